#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Completion in bash, zsh and fish, as these shells do it themselves. Usage: completion_test.py HYPERGATE SOURCES; SOURCES is the folder of
the three files."""
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time

HYPERGATE, SOURCES = sys.argv[1:3]
PATIENCE = 60.0
PROMPT = 'what-next: '
COMMANDS = ('new', 'rotate', 'check', 'run', 'bootstrap', 'relay', 'scan', 'doctor', 'status', 'peers', 'reload', 'routes',
            'gates', 'services', 'channels', 'top', 'metrics', 'log-level', 'add', 'remove', 'drain', 'undrain',
            'allow', 'deny', 'allowed', 'version')
# What completion asks the instances that run.
FAKE = '''#!/bin/sh
case $1 in
status) echo '{"type":"status","instance":"house","x":1}'; echo '{"type":"status","instance":"garden","x":1}' ;;
allowed) echo '{"type":"allowance","instance":"house","address":"192.0.2.7","until":null}' ;;
services) echo '{"type":"service","gatePort":8053,"protocol":"udp"}' ;;
esac
'''
tests = []


def test(function):
    tests.append(function)
    return function


def environment(folder):
    return {'PATH': f'{folder}:/usr/bin:/bin', 'HOME': folder, 'ZDOTDIR': folder, 'TERM': 'dumb',
            'LC_ALL': 'C.UTF-8', 'COLUMNS': '300', 'LINES': '100'}


class Bash:
    def __init__(self, folder):
        self.folder = folder

    def offers(self, *words):
        """For the last of the @words."""
        script = f'source {SOURCES}/hypergate.bash; COMP_WORDS=(hypergate "$@"); COMP_CWORD=$#; _hypergate; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(['bash', '--norc', '-c', script, 'bash', *words], capture_output=True, text=True,
                              env=environment(self.folder))
        assert done.returncode == 0 and not done.stderr, done
        return set(done.stdout.split())

    def end(self):
        pass


class Fish:
    def __init__(self, folder):
        self.folder = folder

    def offers(self, *words):
        line = ' '.join(['hypergate', *words])
        done = subprocess.run(['fish', '--no-config', '-c', f'source {SOURCES}/hypergate.fish; complete -C "{line}"'], capture_output=True,
                              text=True, env=environment(self.folder))
        assert done.returncode == 0 and not done.stderr, done
        return {line.split('\t')[0] for line in done.stdout.splitlines()}

    def end(self):
        pass


class Zsh:
    """On a terminal, where alone it completes: what it offers is listed below a line that is given up then."""

    def __init__(self, folder):
        os.symlink(os.path.join(SOURCES, 'hypergate.zsh'), os.path.join(folder, '_hypergate'))
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (100, 300))
        self.process = subprocess.Popen(['zsh', '-f', '-i'], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(folder),
                                        start_new_session=True, close_fds=True)
        os.close(theirs)
        self.count = 0
        self.read_to(b'[%#] ')         # or #, as root: it reads
        self.said(f"PS1='{PROMPT}' RPS1=; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0; setopt no_list_beep no_prompt_sp "
                  "list_rows_first no_auto_menu no_bracketed_paste 2>/dev/null; zstyle ':completion:*' verbose no")

    def read_to(self, pattern):
        """All up to that; what is typed before a prompt is not for the line editor."""
        text, deadline = b'', time.monotonic() + PATIENCE
        while not re.search(pattern, text):
            assert select.select([self.ours], [], [], deadline - time.monotonic())[0], text
            text += os.read(self.ours, 65536)
        return text.decode()

    def said(self, line, before=b'\n'):
        """All that it says to this line, up to the prompt behind a word that it says then."""
        self.count += 1
        os.write(self.ours, line.encode() + before + b'print "<"%d">"\n' % self.count)
        return self.read_to(b'(?s)<%d>.*%s' % (self.count, PROMPT.encode()))

    def offers(self, *words):
        """What it lists and, where there is one only, what it writes: all words that were not typed."""
        text = self.said(' '.join(['hypergate', *words]) + '\t\t', b'\x15')
        text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|[\x07\x0f]', '', text)
        while '\b' in text:
            text = re.sub('[^\b]\b', '', text.lstrip('\b'), count=1)
        return set(text.split())

    def end(self):
        os.close(self.ours)
        self.process.kill()
        self.process.wait()


SHELLS = (Bash, Zsh, Fish)


@test
def all_commands_are_offered(shells):
    said = subprocess.run([HYPERGATE, '--help'], check=True, capture_output=True, text=True).stdout
    named = set(re.findall(r'^(?:usage:|      ) hypergate ([a-z-]+(?: \| [a-z]+)*)', said, re.M))
    assert {name for names in named for name in names.split(' | ')} == set(COMMANDS), named
    for shell in shells:
        assert set(COMMANDS) <= shell.offers(''), (shell, set(COMMANDS) - shell.offers(''))


@test
def each_command_has_the_same_options_in_all_of_them(shells):
    def options(shell, command):
        return {word for word in shell.offers(command, '--') if re.fullmatch('--[a-z][A-Za-z-]+', word)} - {'--help', '--version'}
    for command in COMMANDS:
        found = [options(shell, command) for shell in shells]
        assert found[0] == found[1] == found[2], (command, found)


@test
def instances_and_gates_are_those_that_run(shells):
    for shell in shells:
        for command in 'reload', 'peers', 'top', 'drain', 'channels':
            assert {'house', 'garden'} <= shell.offers(command, ''), (shell, command)
        assert '8053/udp' in shell.offers('remove', ''), shell
        assert '192.0.2.7' in shell.offers('deny', ''), shell
        assert 'debug' in shell.offers('log-level', ''), shell


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        with open(os.open(os.path.join(folder, 'hypergate'), os.O_WRONLY | os.O_CREAT, 0o755), 'w') as file:
            file.write(FAKE)
        shells = [shell(folder) for shell in SHELLS]
        for number, function in enumerate(tests, 1):
            try:
                function(shells)
                print(f'ok {number} - {function.__name__}')
            except AssertionError as error:
                failed += 1
                print(f'# {error}\nnot ok {number} - {function.__name__}')
        for shell in shells:
            shell.end()
    print(f'1..{len(tests)}')
    sys.exit(1 if failed else 0)


main()

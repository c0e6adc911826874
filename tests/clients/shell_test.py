# SPDX-License-Identifier: BSD-3-Clause
"""OpenSSH behind a gate: a terminal, files, and whatever else goes through it."""
import os
import pty
import select
import subprocess
import termios

from place import Shell, bytes_at, digest_of, eventually, folder, gate, listens, meet, says, tree

from scene import nginx, start

from harness import free_ports, main, test


def shell_behind_a_gate(stack):
    shell, (port,) = Shell(stack), free_ports(1)
    meet(stack, [gate(port, shell.port)])
    return shell, port


class Terminal:
    """ssh with a terminal of 40 lines with 100 columns."""

    def __init__(self, stack, *command):
        self.ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 100))
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        stack.callback(os.close, self.ours)
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)
        self.said = b''

    def types(self, text):
        os.write(self.ours, text)

    def shows(self, text):
        """Within half a minute, and takes it off."""
        def look():
            if select.select([self.ours], [], [], 0.1)[0]:
                self.said += os.read(self.ours, 65536)
            return text in self.said
        eventually(look, 30, f'{text} in {self.said[-500:]}')
        self.said = self.said.split(text, 1)[1]


@test
def a_terminal(stack):
    """ssh with a terminal: its size, what is typed and shown, an interrupt that ends what runs, the exit code"""
    shell, port = shell_behind_a_gate(stack)
    terminal = Terminal(stack, 'ssh', *shell.words(port), '-tt', '127.0.0.1', "PS1='> ' PS2='' exec sh -i")
    terminal.types(b'stty size; echo $((6 * 7)) is the answer\n')
    terminal.shows(b'40 100')
    terminal.shows(b'42 is the answer')
    terminal.types(b'sh -c \'echo sle""eps; exec sleep 1000\'\n')       # told by what runs in the foreground
    terminal.shows(b'sleeps')
    terminal.types(b'\x03')
    terminal.shows(b'> ')               # what was typed before it is gone
    terminal.types(b'echo a""wake $?\n')
    terminal.shows(b'awake 130')
    terminal.types(b'exit 7\n')
    assert terminal.process.wait(30) == 7


@test
def files_are_copied(stack):
    """scp: 30 MB there and back; rsync: a tree, what changed in it, and what was deleted; five of them at once"""
    shell, port = shell_behind_a_gate(stack)
    place = folder(stack)
    sent, there, back = (os.path.join(place, name) for name in ('sent', 'there', 'back'))
    wanted = bytes_at(sent, 30 << 20)
    says('scp', '-q', *shell.words(port), sent, f'127.0.0.1:{there}')
    says('scp', '-q', *shell.words(port), f'127.0.0.1:{there}', back)
    assert digest_of(there) == digest_of(back) == wanted

    source, copy = os.path.join(place, 'source'), os.path.join(place, 'copy')
    for number in range(60):
        os.makedirs(os.path.join(source, str(number % 7)), exist_ok=True)
        bytes_at(os.path.join(source, str(number % 7), str(number)), number * 1500)
    rsync = ['rsync', '-a', '--delete', '-e', ' '.join(['ssh', *shell.words(port)]), f'{source}/']
    says(*rsync, f'127.0.0.1:{copy}')
    assert tree(copy) == tree(source) and len(tree(copy)) == 60
    with open(os.path.join(source, '3', '59'), 'r+b') as file:
        file.seek(50000)
        file.write(b'changed')
    os.remove(os.path.join(source, '0', '0'))
    says(*rsync, '--checksum', f'127.0.0.1:{copy}')
    assert tree(copy) == tree(source) and len(tree(copy)) == 59
    at_once = [subprocess.Popen([*rsync, f'127.0.0.1:{copy}-{number}']) for number in range(5)]
    assert [one.wait(60) for one in at_once] == [0] * 5
    assert all(tree(f'{copy}-{number}') == tree(source) for number in range(5))


@test
def others_go_through_it(stack):
    """ssh -N -D: curl through its SOCKS proxy has 20 MB from nginx, and forty answers at once"""
    shell, port = shell_behind_a_gate(stack)
    place, (web, socks) = folder(stack), free_ports(2)
    wanted, got = bytes_at(os.path.join(place, 'file'), 20 << 20), os.path.join(place, 'got')
    nginx(stack, [web], f'server {{ listen 127.0.0.1:{web}; root {place}; location = /word {{ return 200 word; }} }}')
    start(stack, 'ssh', *shell.words(port), '-N', '-D', f'127.0.0.1:{socks}', '127.0.0.1')
    eventually(lambda: listens(socks), 30, 'the proxy')
    curl = ['curl', '-sS', '--fail', '--proxy', f'socks5h://127.0.0.1:{socks}']
    says(*curl, '-o', got, f'http://127.0.0.1:{web}/file')
    assert digest_of(got) == wanted
    assert says(*curl, '--parallel', '--parallel-max', '40', f'http://127.0.0.1:{web}/word?[1-40]') == 'word' * 40


if __name__ == '__main__':
    main()

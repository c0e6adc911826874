#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds what is written for people against what there is: the manual pages are clean mdoc, name every option and every key,
and their examples, as those of the README, are good configurations. Usage: manual.py HYPERGATE HYPERGATED. Prints TAP."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import parts

ROOT = pathlib.Path(__file__).resolve().parents[2]
HYPERGATE = os.path.abspath(sys.argv[1])
HYPERGATED = os.path.abspath(sys.argv[2])
OPTION = re.compile(r'(?<![\w-])--[a-z][A-Za-z-]+')


def page(name):
    return (ROOT / 'man' / name).read_text()


def lint():
    if not shutil.which('mandoc'):
        return ['mandoc is not installed']
    found = []
    for path in sorted((ROOT / 'man').glob('*.[1-8]')):
        done = subprocess.run(['mandoc', '-T', 'lint', path.name], cwd=path.parent, capture_output=True, text=True)
        # Whether other packages' pages are here is not our fault.
        found += [line for line in (done.stdout + done.stderr).splitlines()
                  if 'referenced manual not found' not in line and 'outdated mandoc.db' not in line]
    return found


def options_of(program):
    return set(OPTION.findall(subprocess.run([program, '--help'], capture_output=True, text=True, check=True).stdout))


def options_of_page(name):
    return {'-' + option for option in re.findall(r'Fl (-[a-z][A-Za-z-]+)', page(name))}


def differ(what, expected, actual):
    return ([f'{what} lacks {name}' for name in sorted(expected - actual)] +
            [f'{what} has {name}, which does not exist' for name in sorted(actual - expected)])


def options():
    there = options_of(HYPERGATE)
    bash, zsh, fish = ((ROOT / f'daemon/cli/hypergate.{shell}').read_text() for shell in ('bash', 'zsh', 'fish'))
    lines = re.findall(r'^    (?:\S*/)?hypergate .*', (ROOT / 'README.md').read_text(), re.M)
    unknown = {option for line in lines for option in OPTION.findall(line)} - there
    return ([f'README.md has {option}, which does not exist' for option in sorted(unknown)] +
            differ('hypergate.1', there, options_of_page('hypergate.1')) + differ('hypergate.bash', there, set(OPTION.findall(bash))) +
            differ('hypergate.zsh', there, set(OPTION.findall(zsh))) +
            differ('hypergate.fish', there, {'--' + option for option in re.findall(r'^complete .* -l ([A-Za-z-]+)', fish, re.M)}) +
            differ('hypergated.8', options_of(HYPERGATED), options_of_page('hypergated.8')))


def commands():
    """Those of the summary, in each shell and in the manual."""
    usage = subprocess.run([HYPERGATE, '--help'], capture_output=True, text=True, check=True).stdout
    there = set(re.findall(r'^  ([a-z][a-z-]*) ', usage, re.M))
    files = {name: (ROOT / name).read_text() for name in ('daemon/cli/hypergate.bash', 'daemon/cli/hypergate.zsh',
                                                          'daemon/cli/hypergate.fish')}
    described = set(re.findall(r'^\.It Cm ([a-z-]+)', page('hypergate.1'), re.M))
    return ([f'{name} lacks {command}' for name, text in files.items() for command in sorted(there)
             if not re.search(rf'(?<![\w-]){command}(?![\w-])', text)] + differ('hypergate.1', there, described))


def keys_of(source):
    return set(re.findall(r'\{ "(\w+)", (?:read_|conf_layers_|conf_limits_)', (ROOT / 'conf' / source).read_text()))


def keys():
    described = {name: set(re.findall(r'^\.It Ic (\w+) ', page(name), re.M))
                 for name in ('hypergate.yaml.5', 'hypergate-services.5')}
    inside = (keys_of('conf_services.c') | keys_of('conf_health.c') | keys_of('conf_ingress.c')) - {'services'}
    there = set().union(*(keys_of(f'conf_{name}.c') for name in ('load', 'provider', 'gateway', 'dht', 'relay', 'site', 'docker')))
    without_effect = set(re.findall(r'\{ "(\w+)", conf_limits_pass_over', (ROOT / 'conf/conf_load.c').read_text()))
    # What is included is part of what is shown, what a rule excludes is shown by what is left, and some limits say nothing.
    shown = set(re.findall(r'\b([a-z][A-Za-z]+)(?=: |:%s|:\n|")',
                           ''.join((ROOT / 'conf' / name).read_text() for name in ('conf_show.c', 'conf_ingress.c')).replace('\\n', '\n')))
    hidden = (there | inside) - {'include', 'excludeProtocols', 'desc'} - without_effect - shown
    return (differ('hypergate.yaml.5', there, described['hypergate.yaml.5']) +
            differ('hypergate-services.5', inside, described['hypergate-services.5']) +
            [f'conf_show.c lacks {key}' for key in sorted(hidden)])


def check(folder, text, name='x.yaml'):
    """What hypergate says about it, where the files that examples name exist."""
    text = text.replace('/etc/hypergate/router1.key', 'key').replace('/var/lib/hypergate/router1', 'state').replace('/etc/hypergate/resolver.auth', 'auth').replace('/etc/hypergate/unlimited.secret', 'auth')
    (folder / name).write_text(text)
    done = subprocess.run([HYPERGATE, 'check', name], cwd=folder, capture_output=True, text=True)
    return done.stderr.splitlines() if done.returncode or done.stderr else []


def literals(name):
    for block in re.findall(r'^\.Bd -literal.*?\n(.*?)^\.Ed', page(name), re.M | re.S):
        yield block.replace('\\(dq', '"')


def one_liners(name):
    for line in re.findall(r'^Example:\n\.Dl (.*)', page(name), re.M):
        yield line.strip('"').replace('\\(dq', '"')


def check_one_liner(folder, line):
    """It is a key of one of these places: good in one of them is good."""
    role = '' if line.startswith('gateway') else 'gateway:\n'
    secret = '' if line.startswith('secretFile') else 'secretFile: key\n'
    places = [f'{secret}{role}{line}\n', f'{secret}{role}stateDirectory: state\n{line}\n',
              f'secretFile: key\ngateway: {{{line}}}\n', f'secretFile: key\nprovider: {{{line}}}\n',
              f'secretFile: key\ngateway: {{services: [{{{line}}}]}}\n',
              f'secretFile: key\ngateway: {{services: [{{tags: x, {line}}}]}}\n',
              f'secretFile: key\ngateway: {{services: [{{tags: x, health: {{{line}}}}}]}}\n',
              f'secretFile: key\ngateway: {{services: [{{tags: x, health: {{type: http, {line}}}}}]}}\n', f'dht: {{persistent: true, {line}}}\n',
              f'dht: {{public: "192.0.2.1:1", {line}}}\n', f'secretFile: key\nrelay: {{{line}}}\n',
              f'secretFile: key\nprovider: {{}}\nfingerprintResolver: {{listen: 127.0.0.1:1, {line}}}\n',
              f'secretFile: key\nprovider: {{}}\ndocker: {{{line}}}\n',
              f'secretFile: key\nprovider: {{}}\nfingerprintResolver: {{{line}}}\n',
              f'secretFile: key\ngateway: {{}}\nunlimited: {{{line}}}\n',
              f'secretFile: key\ngateway: {{}}\nunlimited: {{tokenSecretFile: auth, {line}}}\n']
    said = [check(folder, place) for place in places]
    return [] if [] in said else [f'{line}: {said[0]}']


def examples():
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'key').write_text('0' * 64)
        (folder / 'key').chmod(0o600)
        (folder / 'auth').write_text('user:password\n')
        (folder / 'auth').chmod(0o600)
        (folder / 'common.yaml').write_text('logLevel: notice\n')
        for block in literals('hypergate-services.5'):
            service_file = 'http.json' if block.startswith('{') else 'ssh.yaml'
            (folder / service_file).write_text(block)
            for role in ('provider', 'gateway'):
                found += check(folder, f'secretFile: key\n{role}: {{services: [{service_file}]}}\n')
        for block in literals('hypergate.yaml.5'):
            found += check(folder, block if 'secretFile' in block else 'secretFile: key\n' + block)
        for block in re.findall(r'```yaml\n(.*?)```', (ROOT / 'README.md').read_text(), re.S):
            found += check(folder, block)
        for line in [*one_liners('hypergate.yaml.5'), *one_liners('hypergate-services.5')]:
            found += check_one_liner(folder, line)
    return found


if __name__ == '__main__':
    parts.main(('pages are clean mdoc', lint), ('pages and completion name every option', options),
               ('pages and completion name every command', commands), ('pages name every key', keys), ('examples are good', examples))

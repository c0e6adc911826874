#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds every #include against the table of who may know whom. Prints TAP."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Folder -> folders whose headers it may include (its own is always allowed).
STACK = ['wire', 'noise', 'cipher', 'secret', 'udx', 'rpc', 'dht', 'nat', 'relay', 'peer', 'swarm', 'tunnel', 'node']
MAY = {
    'ipc': [],
    'conf': [],
    'daemon': ['ipc', 'conf', 'worker/base'],
    'daemon/cli': ['ipc', 'conf'],
    'worker/base': [],
    'worker/policy': ['ipc'],
    'worker/run': ['ipc', 'worker/base'],
    'worker/hosts': ['ipc', 'worker/run', 'worker/base', 'worker/port'],
    'worker/router': ['ipc', 'worker/run', 'worker/base', 'worker/policy'],
    'worker/forward': ['ipc', 'worker/run', 'worker/base', 'worker/policy'],
    'worker/resolve': ['ipc', 'worker/run', 'worker/base'],
    'worker/fetch': ['ipc', 'worker/run', 'worker/base'],
    'worker/port': ['ipc', 'worker/base'],
    'worker/docker': ['ipc', 'worker/run', 'worker/base'],
    'worker/admin': ['ipc', 'worker/run', 'worker/base'],
    'worker/swarm': ['ipc', 'worker/run', 'worker/base', 'worker/swarm/node', 'worker/swarm/cipher'],
}
BELOW = {
    'wire': [],
    'noise': ['wire'],
    'cipher': [],
    'secret': ['wire', 'cipher'],
    'udx': ['wire'],
    'rpc': ['wire'],
    'dht': ['wire', 'rpc'],
    'nat': ['wire'],
    'relay': ['wire'],
    'peer': ['wire', 'noise', 'secret', 'udx', 'rpc', 'dht', 'nat', 'relay'],
    'tunnel': ['wire', 'peer'],
    'swarm': ['wire', 'dht', 'peer'],
    'node': ['wire', 'noise', 'secret', 'udx', 'rpc', 'dht', 'nat', 'relay', 'peer', 'swarm', 'tunnel'],
}
for name, below in BELOW.items():
    MAY['worker/swarm/' + name] = ['worker/base'] + ['worker/swarm/' + other for other in below]

# Libraries by header -> folders that may use them.
LIBRARIES = {
    r'sodium\.h|sodium/.*': ['daemon', 'daemon/cli', 'worker/swarm'] + ['worker/swarm/' + name for name in STACK],
    r'openssl/.*': ['worker/swarm/cipher', 'worker/admin'],
    r'ev\.h': ['daemon', 'worker/run', 'worker/swarm', 'worker/router', 'worker/forward', 'worker/resolve', 'worker/admin',
               'worker/docker'],
    r'yaml\.h': ['conf'],
    r'systemd/.*': ['daemon'],
    r'curl/.*': ['worker/fetch'],
    r'seccomp\.h': ['worker/run', 'worker/fetch'],
    r'jansson\.h': ['worker/router', 'worker/admin', 'worker/docker', 'daemon/cli'],
}

# What the stack may know of the C library: no clock, no socket, no stdio.
STACK_SYSTEM = {'assert.h', 'errno.h', 'limits.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdlib.h', 'string.h', 'inttypes.h',
                'stdalign.h', 'math.h', 'sys/uio.h', 'sodium.h'}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def folder_of(path):
    return str(path.parent.relative_to(ROOT))


def generated(folder):
    """Headers the build makes for a folder: its own business, nobody else's."""
    build = folder / 'meson.build'
    return set(re.findall(r"output: '([^']+\.h)'", build.read_text())) if build.is_file() else set()


def complaints(path):
    folder = folder_of(path)
    own = {header.name for header in path.parent.glob('*.h')} | generated(path.parent)
    text = path.read_text()
    if 'SPDX-License-Identifier: BSD-3-Clause' not in '\n'.join(text.splitlines()[:3]):
        yield f'{path.relative_to(ROOT)}:1: no SPDX line'
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, name = match.groups()
        where = f'{path.relative_to(ROOT)}:{number}'
        if '..' in name:
            yield f'{where}: {name}: an include never climbs'
        elif kind == '"':
            homes = [f for f in MAY if (ROOT / f / name).is_file()]
            if name in own:
                continue
            if not homes:
                yield f'{where}: {name}: in no folder'
            elif homes and not any(home in MAY[folder] for home in homes):
                yield f'{where}: {folder} may not know {homes[0]} ({name})'
        else:
            for pattern, users in LIBRARIES.items():
                if re.fullmatch(pattern, name) and folder not in users:
                    yield f'{where}: {folder} may not use <{name}>'
            if folder.startswith('worker/swarm/') and name not in STACK_SYSTEM and not name.startswith('openssl/'):
                yield f'{where}: the stack may not include <{name}>'


def main():
    number = failed = 0
    names = {}
    for folder in MAY:
        files = sorted((ROOT / folder).glob('*.[ch]'))
        found = [complaint for path in files for complaint in complaints(path)]
        number += 1
        for complaint in found:
            print('#', complaint)
        failed += bool(found)
        print('not ok' if found else 'ok', number, '-', folder, f'({len(files)} files)')
        for path in files:
            if path.suffix == '.h':
                names.setdefault(path.name, []).append(folder)
    twice = {name: folders for name, folders in names.items() if len(folders) > 1}
    number += 1
    failed += bool(twice)
    print('not ok' if twice else 'ok', number, '- header names are unique', twice or '')
    tree = {str(p.parent.relative_to(ROOT)) for top in ('ipc', 'conf', 'daemon', 'worker') for p in (ROOT / top).rglob('*.[ch]')}
    unknown = sorted(tree - set(MAY))
    number += 1
    failed += bool(unknown)
    print('not ok' if unknown else 'ok', number, '- every folder is in the table', unknown or '')
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The tarball of static binaries: made twice; looked at; run where there is nothing but its files; run by a real systemd. Usage:
tarball_test.py SOURCE [TEST...]"""
import atexit
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / 'system')]
from harness import main, test
from machine import AS_ROOT, Machine, run, wait_for
from scene import ALL, BELONGS, BUILDERS, MANUAL, configure, environment, fetched, serve_page, sources

SOURCE = sys.argv[1]
sys.argv[1:2] = []
FOLDER = tempfile.mkdtemp(prefix='hypergate-tarball.', dir='/var/tmp')
atexit.register(run, ['rm', '-rf', FOLDER])

ROLES = ['swarm', 'router', 'forward', 'resolve', 'admin', 'port']

# A tree with the tarball, who nobody is and one name: a DHT node, a provider of a page of that name, and a gateway, in a network of their own.
# Prints the page as it comes through.
ALONE = r'''
cd "$1"
touch dev/null
mount --bind /dev/null dev/null
mount -t proc proc proc
ip link set lo up
begun=
trap 'kill $begun; wait' EXIT
for file in node r1 r2; do
	chroot . /usr/local/bin/hypergate run --user nobody "/etc/hypergate/$file.yaml" >"$file.log" 2>&1 &
	begun="$begun $!"
done
python3 -m http.server -d srv -b 127.0.0.1 8080 >web.log 2>&1 &
begun="$begun $!"
python3 -c '
import time, urllib.request
for _ in range(600):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8000/page", timeout=30).read().decode())
        break
    except OSError:
        time.sleep(0.1)
' || true
chroot . /usr/local/bin/hypergate status || true
cat ./*.log >&2
'''


def made(tar, place, more):
    """The tarball that is made of it there."""
    folder = pathlib.Path(FOLDER, place)
    tree = folder / 'hypergate'
    tree.mkdir(parents=True)
    subprocess.run(['tar', '-C', tree, '-xf', '-'], input=tar, check=True)
    done = subprocess.run([tree / 'tarball/make.sh', folder], capture_output=True, text=True, env={**environment(), **more})
    assert done.returncode == 0, done.stderr[-3000:]
    return pathlib.Path(done.stdout.strip())


def unpacked(name):
    tree = os.path.join(FOLDER, name)
    os.mkdir(tree)
    subprocess.run(['tar', '-C', tree, '-xf', MADE[0]], check=True)
    os.chmod(tree, 0o755)
    return tree


@test
def same_twice(stack):
    """two that were made elsewhere and in another time zone are the same bytes"""
    assert len({hashlib.sha256(tarball.read_bytes()).hexdigest() for tarball in MADE}) == 1, MADE


@test
def whole_and_needs_nothing(stack):
    """all that the package has is there, in no folder's place, and no program asks for a library or a loader"""
    tree = unpacked('looked-at')
    there = subprocess.run(['tar', '-tf', MADE[0]], check=True, capture_output=True, text=True).stdout.splitlines()
    assert not [name for name in there if name.endswith('/') or not name.startswith('usr/')], there
    for name in [*BELONGS, *[f'share/man/man{page[-1]}/{page}' for page in MANUAL], 'sbin/hypergated',
                 'lib/systemd/system/hypergate@.service']:
        assert os.path.exists(f'{tree}/usr/local/{name}'), name
    programs = [path for folder in ('bin', 'sbin', 'libexec/hypergate') for path in pathlib.Path(tree, 'usr/local', folder).iterdir()]
    assert {path.name for path in programs} >= {'hypergate', 'hypergated', *(f'hypergate-{role}' for role in ROLES)}, programs
    for path in programs:
        headers = subprocess.run(['readelf', '-Wld', path], check=True, capture_output=True, text=True).stdout
        assert 'INTERP' not in headers and '(NEEDED)' not in headers, headers
        assert 'DYN (Position-Independent Executable file)' in headers and 'GNU_RELRO' in headers, headers


@test
def alone(stack):
    """where there is no other file a page goes through it, from a service that has a name"""
    tree = unpacked('alone')
    for folder in ('dev', 'proc', 'run', 'tmp', 'srv', 'etc'):
        os.mkdir(os.path.join(tree, folder))
    configure(tree)
    for name, text in {'etc/passwd': 'nobody:x:65534:65534::/:/bin/false\n', 'etc/hosts': '127.0.0.1 web.test\n', 'srv/page': 'the page'}.items():
        pathlib.Path(tree, name).write_text(text)
    for name in ('r1', 'r2'):
        path = pathlib.Path(tree, f'etc/hypergate/{name}.yaml')
        path.write_text(f'secretFile: /etc/hypergate/{name}.key\n' + path.read_text().replace('serviceHost: 127.0.0.1', 'serviceHost: web.test'))
    if AS_ROOT:
        run(['chown', '-R', 'root:root', f'{tree}/etc/hypergate'])
    done = run(['unshare', '--mount', '--net', '--propagation', 'private', 'sh', '-c', ALONE, 'sh', tree], timeout=120)
    assert done.stdout.startswith('the page\n'), done.stdout + done.stderr
    assert '1 gate' in done.stdout and 'system call it may not make' not in done.stderr, done.stdout + done.stderr


@test
def under_systemd(stack):
    """systemd runs its units: they say that they are ready, write events to the journal, and a page goes through"""
    files = unpacked('machine')
    configure(files)
    machine = Machine(stack, files)
    machine.ok('systemd-sysusers')
    machine.ok('journalctl', '--update-catalog')
    serve_page(machine)
    machine.ok('systemctl', 'start', *ALL)
    wait_for(lambda: 'the page' in fetched(machine, 8000), machine.journal)
    assert 'All workers run and all sockets are open.' in machine.ok('journalctl', '-x', '-u', 'hypergate@r1', 'HYPERGATE_EVENT=ready')
    machine.ok('systemctl', 'restart', 'hypergate@r2')
    wait_for(lambda: 'the page' in fetched(machine, 8000), machine.journal)
    machine.ok('systemctl', 'stop', *ALL)


if __name__ == '__main__':
    copy = sources(SOURCE)
    MADE = [made(copy, place, more) for place, more in BUILDERS.items()]
    main()

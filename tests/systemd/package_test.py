#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The package for Debian: built as anybody would, twice; looked at; installed, upgraded and purged under a real systemd. Usage: package_test.py
SOURCE [TEST...]"""
import atexit
import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / 'system')]
from harness import main, test
from machine import Machine, wait_for
from scene import ALL, BELONGS, BUILDERS, MANUAL, configure, environment, fetched, serve_page, sources

SOURCE = sys.argv[1]
sys.argv[1:2] = []
FOLDER = tempfile.mkdtemp(prefix='hypergate-package.', dir='/var/tmp')
atexit.register(shutil.rmtree, FOLDER)

def built(tar, place, more):
    """The folder where the package is."""
    folder = os.path.join(FOLDER, place, 'hypergate')
    os.makedirs(folder)
    subprocess.run(['tar', '-C', folder, '-xf', '-'], input=tar, check=True)
    done = subprocess.run(['dpkg-buildpackage', '-b', '-us', '-uc'], cwd=folder, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env={**environment(), 'DEB_BUILD_OPTIONS': 'parallel=2', **more})
    assert done.returncode == 0, done.stdout[-3000:]
    return pathlib.Path(folder).parent


def the(folder, pattern):
    found = list(folder.glob(pattern))
    assert len(found) == 1, (pattern, found)
    return found[0]


def main_pid(unit):
    return M.show(unit, 'MainPID')


@test
def same_twice(stack):
    """two builds, elsewhere and in another time zone, are the same bytes; lintian finds no error and no warning"""
    for pattern in ('hypergate_*.deb', 'hypergate-dbgsym_*.deb'):
        digests = {hashlib.sha256(the(folder, pattern).read_bytes()).hexdigest() for folder in BUILT}
        assert len(digests) == 1, pattern
    done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning', str(the(BUILT[0], '*.changes'))],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@test
def installed(stack):
    """it brings all that belongs to it, starts nothing by itself, and a page goes through it"""
    M.ok('dpkg', '-i', '/etc/hypergate/package.deb')
    there = M.ok('dpkg', '-L', 'hypergate').split()
    for path in ('/usr/sbin/hypergated', '/lib/systemd/system/hypergate@.service', '/lib/systemd/system/hypergate-metrics.socket',
                 '/lib/systemd/system/hypergate-metrics@.service', '/usr/lib/systemd/catalog/hypergate.catalog',
                 *[f'/usr/{name}' for name in BELONGS], *[f'/usr/share/man/man{page[-1]}/{page}.gz' for page in MANUAL]):
        assert path in there, path
    assert M.run('systemctl', 'is-enabled', 'hypergate-metrics.socket').stdout == 'disabled\n'
    assert M.run('systemctl', 'is-active', 'hypergate-metrics.socket').stdout == 'inactive\n'
    serve_page(M)
    M.ok('systemctl', 'enable', '--now', *ALL)
    wait_for(lambda: 'the page' in fetched(M, 8000), lambda: M.journal())
    assert 'All workers run and all sockets are open.' in M.ok('journalctl', '-x', '-u', 'hypergate@r1', 'HYPERGATE_EVENT=ready')


@test
def upgraded(stack):
    """with another version, what runs is started again"""
    before = [main_pid(unit) for unit in ALL]
    M.ok('dpkg', '-i', '/etc/hypergate/package.deb')
    for unit, pid in zip(ALL, before):
        wait_for(lambda: main_pid(unit) not in (pid, '0'), lambda: M.journal(unit))
    wait_for(lambda: 'the page' in fetched(M, 8000), lambda: M.journal())


@test
def purged(stack):
    """nothing of it runs or is left but what the administrator wrote"""
    M.ok('dpkg', '-P', 'hypergate')
    wait_for(lambda: 'hypergate' not in M.ok('ps', '-eo', 'comm'), lambda: M.ok('ps', '-eo', 'args'))
    for path in ('/usr/bin/hypergate', '/var/lib/hypergate', '/var/lib/private/hypergate', '/lib/systemd/system/hypergate.target'):
        assert M.run('test', '-e', path).returncode != 0, path
    assert M.ok('ls', '/etc/hypergate').split() == ['node.yaml', 'package.deb', 'r1.key', 'r1.yaml', 'r2.key', 'r2.yaml']


if __name__ == '__main__':
    everything = contextlib.ExitStack()
    atexit.register(everything.close)
    copy = sources(SOURCE)
    BUILT = [built(copy, place, more) for place, more in BUILDERS.items()]
    files = os.path.join(FOLDER, 'files')
    configure(files)
    shutil.copy(the(BUILT[0], 'hypergate_*.deb'), os.path.join(files, 'etc/hypergate/package.deb'))
    os.chmod(files, 0o755)
    M = Machine(everything, files)
    M.ok('rm', '-f', '/usr/sbin/policy-rc.d')       # by which an image of a container may forbid packages to start anything
    main()

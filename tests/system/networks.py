# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces without a name: they are gone with whoever holds them, however that ends."""
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def system_call(name, *args):
    if getattr(LIBC, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f'{name}: {os.strerror(error)}')


def tool(name, words, text=''):
    """Runs a program of the system's administrator."""
    path = shutil.which(name) or f'/usr/sbin/{name}'
    done = subprocess.run([path, *words], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f'{name} {" ".join(words)}: {done.stderr}{text}'
    return done.stdout


def ip(*words):
    return tool('ip', words)


class Network:
    """A network namespace; what is started or connected .inside() of it is part of it."""

    def __init__(self, stack):
        with open('/proc/thread-self/ns/net') as before:
            system_call('unshare', CLONE_NEWNET)
            self.file = open('/proc/thread-self/ns/net')
            ip('link', 'set', 'lo', 'up')
            system_call('setns', before.fileno(), CLONE_NEWNET)
        self.path = f'/proc/{os.getpid()}/fd/{self.file.fileno()}'
        stack.callback(self.file.close)

    @contextlib.contextmanager
    def inside(self):
        """This thread, and what it starts."""
        with open('/proc/thread-self/ns/net') as before:
            system_call('setns', self.file.fileno(), CLONE_NEWNET)
            try:
                yield
            finally:
                system_call('setns', before.fileno(), CLONE_NEWNET)

    def ip(self, *lines):
        """Commands of ip, one a line."""
        with self.inside():
            tool('ip', ['-batch', '-'], '\n'.join(lines) + '\n')


def with_networks():
    """For a script: runs it again as somebody who may make networks, and has the same name in all else. One that is ended from outside
    stops what it has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended from outside'))
    if os.geteuid() != 0 and 'NETWORKS' not in os.environ:
        os.environ['NETWORKS'] = '1'
        os.execvp('unshare', ['unshare', '--map-current-user', '--keep-caps', '--net', sys.executable, *sys.argv])

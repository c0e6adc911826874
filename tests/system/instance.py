# SPDX-License-Identifier: BSD-3-Clause
"""A hypergated under test: started, listened to, looked at through /proc, stopped by its pid. And TAP for what is found."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PATIENCE = 20.0         # for what comes at once on an idle machine; no test measures with it
ROOT = os.geteuid() == 0
USER = 'nobody'
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Folder:
    """A place that the daemon's user may read."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix='hypergate-test.')
        os.chmod(self.path, 0o755)

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.path, name)
        with open(path, 'w', encoding='utf-8') as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def remove(self):
        shutil.rmtree(self.path)


class Instance:
    def __init__(self, hypergated, libexec, *args, env=None, as_user=True, fds=()):
        command = [hypergated, '--foreground', *args]
        if ROOT and as_user:
            command += ['--user', USER]
        environment = {'PATH': '/usr/bin:/bin', 'HYPERGATE_LIBEXEC': libexec, **(env or {})}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors='replace', pass_fds=fds)
        self.pid = self.process.pid
        self.lines = []
        self.read_to = 0
        self.heard = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.heard:
                self.lines.append(line.rstrip('\n'))
                self.heard.notify_all()
        with self.heard:
            self.heard.notify_all()

    def text(self):
        with self.heard:
            return '\n'.join(self.lines)

    def expect(self, pattern, patience=PATIENCE):
        """The match of the next line with that pattern, after the last expected one."""
        deadline = time.monotonic() + patience
        with self.heard:
            while True:
                while self.read_to < len(self.lines):
                    self.read_to += 1
                    match = re.search(pattern, self.lines[self.read_to - 1])
                    if match:
                        return match
                left = deadline - time.monotonic()
                if left <= 0 or (not self.reader.is_alive() and self.read_to == len(self.lines)):
                    raise AssertionError('never said: %s; said:\n%s' % (pattern, '\n'.join(self.lines)))
                self.heard.wait(min(left, 0.2))

    def from_start(self):
        self.read_to = 0

    def workers(self, role=None, duty=None):
        """pids of its children, by the name in their argv."""
        found = []
        for pid in children_of(self.pid):
            argv = argv_of(pid)
            if not argv or not argv[0].startswith('hypergate-'):
                continue
            if (role is None or argv[0] == 'hypergate-' + role) and (duty is None or argv[-1] == duty):
                found.append(pid)
        return found

    def worker(self, role, duty=None):
        found = self.workers(role, duty)
        check(len(found) == 1, '%d %s workers' % (len(found), role))
        return found[0]

    def replaced(self, pid, role, duty=None):
        """The pid of the worker that took the place of @pid."""
        def other():
            found = self.workers(role, duty)
            return found and pid not in found and found[0]
        return wait_for(other, 'nobody took the place of the %s worker' % role)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.end()

    def end(self):
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)


def wait_for(probe, otherwise, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        time.sleep(0.02)


def children_of(pid):
    try:
        with open('/proc/%d/task/%d/children' % (pid, pid), encoding='ascii') as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def argv_of(pid):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as file:
            return [word.decode(errors='replace') for word in file.read().split(b'\0')[:-1]]
    except OSError:
        return []


def status_of(pid):
    with open('/proc/%d/status' % pid, encoding='ascii') as file:
        return dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)


def alive(pid):
    try:
        return status_of(pid)['State'][0] != 'Z'
    except (OSError, KeyError):
        return False


def fetch(port, patience=5.0):
    """All that comes from there until the end; raises on refusal and on a reset."""
    with socket.create_connection(('127.0.0.1', port), patience) as client:
        client.settimeout(patience)
        text = b''
        while True:
            more = client.recv(4096)
            if not more:
                return text
            text += more


def fetch_until(port, text):
    """Waits until that is what comes from there."""
    def probe():
        try:
            return fetch(port) == text
        except OSError:
            return False
    wait_for(probe, 'port %d never said %r' % (port, text))


def run():
    """Runs each test with a Folder and a list for what it starts, prints TAP; what a failed one has started is stopped as well."""
    failed = 0
    print('1..%d' % len(TESTS))
    for number, test_function in enumerate(TESTS, 1):
        folder = Folder()
        started = []
        try:
            test_function(folder, started)
            print('ok %d - %s' % (number, test_function.__name__), flush=True)
        except Exception:       # a test that breaks is a test that fails
            failed += 1
            for line in traceback.format_exc().splitlines():
                print('#', line)
            for instance in started:
                for line in instance.text().splitlines():
                    print('#', line)
            print('not ok %d - %s' % (number, test_function.__name__), flush=True)
        finally:
            for instance in started:
                instance.kill()
            folder.remove()
    sys.exit(1 if failed else 0)

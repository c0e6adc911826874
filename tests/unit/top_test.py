#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""hypergate top: pages, and a terminal that is given back however it ends. Usage: top_test.py HYPERGATE. Prints TAP."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

import ask_test
from ask_test import ANSWERS, HYPERGATE, PEER, STATUS

ENTER, LEAVE = b'\x1b[?1049h', b'\x1b[?1049l'
PATIENCE = 60
tests = []


def test(function):
    tests.append(function)
    return function


@contextlib.contextmanager
def instance(name='r1', **answers):
    """One that says so, and of each connection that more has gone over it each time; yields the environment to find it in."""
    before, asked = dict(ANSWERS), {'times': 0}
    ANSWERS.update(answers)

    def dumps(line):
        asked['times'] += 1
        more = {key: line[key] + 5000 * asked['times'] for key in ('sentBytes', 'receivedBytes') if key in line}
        return json.dumps({**line, **more})

    ask_test.dumps = dumps
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(folder, name + '.sock'))
        listener.listen(8)
        thread = threading.Thread(target=ask_test.serve, args=(listener,), daemon=True)
        thread.start()
        yield {'RUNTIME_DIRECTORY': folder, **{k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')}}
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    ask_test.dumps = json.dumps
    ANSWERS.clear()
    ANSWERS.update(before)


class Terminal:
    """hypergate top on a terminal, as the job of a shell: .said is all it has written, .states what became of it, as waitpid(2) says."""

    def __init__(self, environment, *args, rows=40, columns=140):
        told, tell = os.pipe()
        os.set_inheritable(tell, True)
        self.master, self.slave = pty.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.leader = os.fork()
        if self.leader == 0:
            self._lead(tell, environment, args)
        os.close(tell)
        self.states, self.said = os.fdopen(told, 'rb', buffering=0), b''
        self.job = int(self._state())

    def _lead(self, tell, environment, args):
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        for fd in 0, 1, 2:
            os.dup2(self.slave, fd)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        job = os.fork()
        if job == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.close(tell)
            os.execve(HYPERGATE, [HYPERGATE, 'top', *args], {'TERM': 'xterm', **environment})
        os.write(tell, b'%d\n' % job)
        while True:
            _, status = os.waitpid(job, os.WUNTRACED)
            os.write(tell, b'stopped\n' if os.WIFSTOPPED(status) else b'%d\n' % os.waitstatus_to_exitcode(status))
            if not os.WIFSTOPPED(status):
                os._exit(0)

    def _state(self):
        line = b''
        while not line.endswith(b'\n'):
            assert select.select([self.states], [], [], PATIENCE)[0], 'nothing has become of it'
            line += self.states.read(1)
        return line.decode().strip()

    def size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def read(self):
        if select.select([self.master], [], [], 0.05)[0]:
            self.said += os.read(self.master, 1 << 16)

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition(self.said):
            assert time.monotonic() < deadline, self.said[-2000:]
            self.read()

    def becomes(self):
        """What becomes of it; the terminal is read meanwhile, so that nobody waits for room."""
        while not select.select([self.states], [], [], 0)[0]:
            self.read()
        state = self._state()
        for _ in range(3):
            self.read()
        return state

    def type(self, text):
        os.write(self.master, text)

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before and self.said.endswith(LEAVE)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.job, signal.SIGKILL)
        os.waitpid(self.leader, 0)
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(*args, rows=40, columns=140, more=(), **answers):
    with instance(**answers) as environment:
        shown = Terminal({**environment, **dict(more)}, *args, rows=rows, columns=columns)
        try:
            shown.until(lambda said: b'peer' in said)
            yield shown
        finally:
            shown.close()


def last_page(said):
    """Its lines, without colours."""
    page = said.split(b'\x1b[H')[-1].split(b'\x1b[J')[0].decode()
    return [re.sub('\x1b\\[[0-9]*m', '', line) for line in page.replace('\x1b[K', '').replace('\r', '').split('\n')]


@test
def pages_of_text_where_there_is_no_terminal():
    with instance() as environment:
        done = subprocess.run([HYPERGATE, 'top', '-n', '2', '--delay', '0.1'], env={'TERM': 'xterm', **environment},
                              capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr == '' and done.stdout.replace('\n', '').isprintable(), done
    pages = done.stdout.split('hypergate ')[1:]
    assert len(pages) == 2 and all('1 instance, 2 peers, 1 channel\n' in page for page in pages), pages
    for page in pages:
        assert re.search(r'^r1 +gateway +1 min +2 +2 +7 +[\d.]+ kB/s +[\d.]+ kB/s  $', page, re.M), page
        assert re.search(r'^r1 +abababababababab provider relay +192\.0\.2\.1:1 +25\.0 ms +[\d.]+ kB/s +[\d.]+ kB/s  leaves$', page, re.M), page
        assert re.search(r'^r1 +cdcdcdcdcdcdcdcd provider direct .* - +[\d.]+ kB/s', page, re.M), page
        assert re.search(r'^r1 +efefefefefefefef not reached: x$', page, re.M), page
        assert re.search(r'^r1 +80/tcp +::1 +not open: Address already in use$', page, re.M), page
        assert re.search(r'^r1 +80/tcp +service abababababababab open +2 s +[\d.]+ kB/s +[\d.]+ kB/s +[\d.]+ kB +[\d.]+ kB$', page, re.M), page


@test
def nobody_runs():
    with tempfile.TemporaryDirectory() as folder:
        environment = {'RUNTIME_DIRECTORY': folder, 'TERM': 'xterm'}
        done = subprocess.run([HYPERGATE, 'top'], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 1 and 'no instance runs here that this user may ask' in done.stderr and done.stdout == '', done
        shown = Terminal(environment)
        assert shown.becomes() == '1' and b'no instance' in shown.said and b'\x1b' not in shown.said, 'before the screen is taken'
        shown.close()


@test
def q_ends_it_and_the_terminal_is_as_before():
    with terminal('-d', '0.2') as shown:
        assert shown.said.startswith(ENTER) and termios.tcgetattr(shown.slave) != shown.before
        shown.until(lambda said: said.count(b'kB/s') > 4 and b'\x1b[1m' in said)
        shown.type(b'xq')
        assert shown.becomes() == '0' and shown.is_as_before()


@test
def so_many_pages():
    with terminal('-d', '0.1', '-n', '3') as shown:
        assert shown.becomes() == '0' and shown.is_as_before() and shown.said.count(b'\x1b[H') == 3


@test
def every_end_gives_the_terminal_back():
    harmless = {'KILL', 'STOP', 'TSTP', 'TTIN', 'TTOU', 'CONT', 'CHLD', 'URG', 'WINCH', 'PIPE'}
    passed_over = {getattr(signal, 'SIG' + name) for name in harmless} | set(range(signal.SIGRTMIN + 1, signal.SIGRTMAX))
    for number in signal.valid_signals() - passed_over:
        with terminal() as shown:
            os.kill(shown.job, number)
            assert shown.becomes() == str(-number) and shown.is_as_before(), (number, shown.said[-200:])
    with terminal() as shown:
        shown.type(b'\x03')
        assert shown.becomes() == str(-signal.SIGINT) and shown.is_as_before()


@test
def an_instance_that_hangs_holds_nobody():
    with terminal('-d', '0.1') as shown:
        lock = threading.Lock()
        lock.acquire()
        dumps, ask_test.dumps = ask_test.dumps, lambda line: (lock.acquire(), json.dumps(line))[1]
        shown.until(lambda said: True)
        shown.type(b'\x03')
        assert shown.becomes() == str(-signal.SIGINT) and shown.is_as_before()
        ask_test.dumps = dumps
        lock.release()


@test
def stopped_and_going_on():
    with terminal('-d', '0.2') as shown:
        shown.type(b'\x1a')
        assert shown.becomes() == 'stopped' and shown.is_as_before()
        so_far = len(shown.said)
        os.kill(shown.job, signal.SIGCONT)
        shown.until(lambda said: ENTER in said[so_far:] and b'peer' in said[so_far:])
        shown.type(b'q')
        assert shown.becomes() == '0' and shown.is_as_before()


@test
def another_size():
    with terminal('-d', '60') as shown:
        assert max(map(len, last_page(shown.said))) > 79
        shown.size(8, 40)
        os.kill(shown.job, signal.SIGWINCH)
        shown.until(lambda said: b'lines more' in said and said.endswith(b'\x1b[J'))
        page = last_page(shown.said)
        assert len(page) == 8 and max(map(len, page)) == 39 and re.fullmatch(r'\.\.\. \d+ lines more: they need a lar.*', page[-1]), page


@test
def no_colours_and_no_terminal_that_is_none():
    with terminal(more={'NO_COLOR': '1'}) as shown:
        assert not re.search(rb'\x1b\[[0-9]*m', shown.said)
    with terminal('-n', '1', '-d', '0.1', more={'TERM': 'dumb'}) as shown:
        assert shown.becomes() == '0' and b'\x1b' not in shown.said, shown.said


@test
def nobody_else_writes_to_the_terminal():
    evil = '\x1b[2J\u009b31m\n\x07' + 'x' * 500
    answers = {'status': [{**STATUS, 'instance': evil, 'version': evil}], 'peers': [{**PEER, 'address': evil, 'path': evil, 'role': evil, 'key': evil},
                                                                                   {'type': 'unreached', 'key': evil, 'why': evil}],
               'gates': [{'type': 'gate', 'gatePort': 80, 'protocol': evil, 'open': False,
                          'listen': [{'address': evil, 'listening': False, 'why': evil}]}],
               'channels': [{**ANSWERS['channels'][0], 'state': evil, 'peer': evil, 'end': evil}]}
    with terminal('-n', '2', '-d', '0.1', rows=60, columns=400, **answers) as shown:
        assert shown.becomes() == '0' and shown.is_as_before()
        left = re.sub(rb'\x1b\[(\?1049[hl]|\?25[hl]|[HJK]|0m|1m|33m)|\r+\n', b'', shown.said)
        assert left.decode().isprintable(), left
    with instance(**answers) as environment:
        done = subprocess.run([HYPERGATE, 'top', '-n', '1', '-d', '0.1'], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0 and done.stdout.replace('\n', '').isprintable() and '\\x1b[2J' in done.stdout, done


if __name__ == '__main__':
    ask_test.tests[:] = tests
    sys.exit(ask_test.main())

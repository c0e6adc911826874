# SPDX-License-Identifier: BSD-3-Clause
"""For tests of whole instances: starts the installed hypergate, services and clients, and says what happened in TAP.

HYPERGATE_BIN names the command. As root, daemons become HYPERGATE_USER."""
import contextlib
import hashlib
import json
import os
import random
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

MB = 1 << 20
# What a worker of a sanitized build says before it ends, what a filter trapped, what an assertion found.
REPORT = re.compile(r'Sanitizer|runtime error:|Assertion .* failed|system call it may not make|broke the rules')
TESTS = []
PORTS, GIVEN = random.SystemRandom(), set()


def test(function):
    TESTS.append(function)
    return function


def sanitized(program=None):
    """Whether the processes, or @program, are of a build with sanitizers."""
    with open(program or binary(), 'rb') as file:
        return b'__asan_init' in file.read()


def memory_factor():
    """By how much more a process may grow: the sanitizers' runtime keeps some of what was freed, and a wall around each piece."""
    return 4 if sanitized() else 1


def test_of_what_ships(function):
    """A test of a limit that the sanitizers' runtime, which has its own memory, does not keep."""
    return function if sanitized() else test(function)


def run(function, stack):
    """What the instances said last is told with the failure; after this they are stopped, which may fail as well."""
    try:
        function(stack)
    except Exception:
        for instance in Process.running:
            instance.tell(40)
        raise


def main():
    """Runs the script's tests named in argv (all when none is) in order; each gets an ExitStack that is undone after it."""
    wanted = sys.argv[1:]
    chosen = [t for t in TESTS if t.__module__ == '__main__' and (not wanted or t.__name__ in wanted)]
    failed = 0
    print(f'1..{len(chosen)}', flush=True)
    for number, function in enumerate(chosen, 1):
        began, verdict = time.monotonic(), 'ok'
        try:
            with contextlib.ExitStack() as stack:
                run(function, stack)
        except Exception:
            verdict = 'not ok'
            failed += 1
            for line in traceback.format_exc().splitlines():
                print('#', line)
        print(f'{verdict} {number} - {function.__doc__ or function.__name__} # {time.monotonic() - began:.1f} s', flush=True)
    sys.exit(1 if failed or not chosen else 0)


def eventually(probe, seconds, what):
    """Calls @probe until it yields something true; returns that."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'{what}: not within {seconds} s')
        time.sleep(0.02)


def pattern(seed, length):
    """Repeatable bytes: what comes out shifted, cut or doubled has another digest."""
    return random.Random(seed).randbytes(length)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def is_free(port, kind):
    with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
        probe.bind(('127.0.0.1', port))
        return True
    return False


def free_ports(count, kind=socket.SOCK_STREAM):
    """None twice. They are below those that the kernel gives to who asks for any: nobody takes one before its user comes."""
    ports = []
    while len(ports) < count:
        port = PORTS.randrange(10000, 20000)
        if port not in GIVEN and is_free(port, kind):
            GIVEN.add(port)
            ports.append(port)
    return ports


# --- Services ---

class Service:
    """A TCP service on 127.0.0.1, at @port or any; @serve(socket) runs in a thread for each connection and must leave closing to us."""

    def __init__(self, stack, serve, port=0):
        self.serve, self.open, self.served = serve, set(), 0
        self.listener = socket.create_server(('127.0.0.1', port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        stack.callback(self.close)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass
        finally:
            self.served += 1
            self.open.discard(connection)
            connection.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)        # a thread that accepts would keep it listening
        self.listener.close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def serve_echo(connection):
    while chunk := connection.recv(65536):
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)


def serve_digest(connection):
    """Reads to the end, then answers with the digest: needs a real half-close."""
    hashed = hashlib.sha256()
    while chunk := connection.recv(65536):
        hashed.update(chunk)
    connection.sendall(hashed.hexdigest().encode())


def serve_bytes(data):
    """Answers each connection with @data and closes at once."""
    def serve(connection):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    return serve


# --- Clients ---

def connect(port, timeout=30):
    connection = socket.create_connection(('127.0.0.1', port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection):
    chunks = []
    while chunk := connection.recv(65536):
        chunks.append(chunk)
    return b''.join(chunks)


def talk(port, data, half_close=True, expect=None):
    """Sends @data, ends (or, without @half_close, when @expect bytes are here), returns all that came back."""
    with connect(port) as connection:
        def send():
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        got = bytearray()
        while (expect is None or len(got) < expect) and (chunk := connection.recv(65536)):
            got += chunk
        sender.join(10)
        if expect is not None:
            connection.shutdown(socket.SHUT_WR)
            got += read_all(connection)
        return bytes(got)


def answers(port, data=b'are you there?'):
    """Whether an echo comes back through @port."""
    try:
        return talk(port, data, half_close=False, expect=len(data)) == data
    except OSError:
        return False


def how_it_ends(connection):
    """'end' for an orderly end, else the name of the error."""
    try:
        while connection.recv(65536):
            pass
        return 'end'
    except ConnectionResetError:
        return 'reset'
    except TimeoutError:
        return 'nothing'


# --- Instances ---

class Process:
    """A hypergate command, started (by the command @under, if any, which becomes it) with the descriptors @fds; its words in .log()."""
    running = []

    def __init__(self, stack, name, args, env=None, under=(), fds=()):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix='hypergate-test-')
        self.path = os.path.join(self.folder, 'log')
        with open(self.path, 'wb') as log:
            self.process = subprocess.Popen([*under, binary(), *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=fds,
                                            env={**os.environ, 'RUNTIME_DIRECTORY': self.folder, **(env or {})})
        Process.running.append(self)
        stack.callback(self.forget)

    def log(self):
        with open(self.path, encoding='utf-8', errors='replace') as log:
            return log.read()

    def says(self, text, seconds=15):
        return eventually(lambda: [line for line in self.log().splitlines() if text in line], seconds, f'{self.name} says "{text}"')

    def stop(self, how=signal.SIGTERM, seconds=15):
        """Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in self.tree():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f'{self.name} did not end within {seconds} s')

    def tell(self, lines):
        """Into the report of a test that failed: how it ended, and what it said last."""
        code = self.process.poll()
        print(f'#   {self.name}:', 'runs' if code is None else f'ended with {code}')
        for line in self.log().splitlines()[-lines:]:
            print(f'#     {line}')

    def forget(self):
        """Whoever still runs ends in order."""
        runs = self.process.poll() is None
        try:
            code = self.stop()
            found = [line for line in self.log().splitlines() if REPORT.search(line)]
            assert not found, f'{self.name}: ' + '\n'.join(found)
            assert code == 0 or not runs, f'{self.name}: its stop ended with {code}'
        except AssertionError:
            self.tell(150)
            raise
        finally:
            Process.running.remove(self)
            shutil.rmtree(self.folder)

    def tree(self):
        """All processes of the instance, the supervisor first."""
        found, at = [self.process.pid], 0
        while at < len(found):
            found += children(found[at])
            at += 1
        return found

    def settled(self):
        """The tree once who derived a key has gone: nobody of it ends by itself."""
        def tree():
            found = self.tree()
            return all(program(pid).startswith('hypergate-') for pid in found[1:]) and found
        return eventually(tree, 20, f'{self.name} has workers alone')

    def kill(self):
        """All its processes, at once and without a word to anybody, as when the machine goes."""
        for pid in self.tree():
            with contextlib.suppress(ProcessLookupError):       # a worker ends with its supervisor, which is the first
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def workers(self, role):
        """Process ids of the workers named hypergate-@role."""
        return [pid for pid in self.tree() if program(pid) == f'hypergate-{role}']


def open_files(pid):
    """How many descriptors it holds; of who has just ended none."""
    try:
        return len(os.listdir(f'/proc/{pid}/fd'))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def udp_ports(instance):
    return [port for line in instance.says('UDP port') for port in re.findall(r'UDP port (\d+)', line)]


def memory_kib(instance):
    """What all its processes hold, shared pages counted once (PSS)."""
    total = 0
    for pid in instance.settled():
        with open(f'/proc/{pid}/smaps_rollup') as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith('Pss:'))
    return total


def binary():
    path = os.environ.get('HYPERGATE_BIN')
    if not path:
        raise RuntimeError('HYPERGATE_BIN must name the installed hypergate: run these tests by tests/run.sh system')
    return path


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f'/proc/{pid}/task'):
            with contextlib.suppress(OSError), open(f'/proc/{pid}/task/{thread}/children') as file:
                found += [int(child) for child in file.read().split()]
    return found


def program(pid):
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as file:
            return os.path.basename(file.read().split(b'\0')[0].decode())
    except OSError:
        return ''


def status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f'/proc/{pid}/status') as file:
        return dict(line.rstrip('\n').split(':\t', 1) for line in file if ':\t' in line)


def new_secret():
    return subprocess.run([binary(), 'new'], check=True, capture_output=True, text=True).stdout.strip()


def start_dht(stack, count=3, host='127.0.0.1'):
    """A private DHT of our own nodes; returns the address of its first."""
    first = None
    for port in free_ports(count, socket.SOCK_DGRAM):
        address = f'{host}:{port}'
        Process(stack, f'dht {port}', ['bootstrap', '--listen', address, '--public', address,
                                       *(['--bootstrap', first] if first else [])])
        first = first or address
    return first


def start_instance(stack, name, secret, config, under=(), env=None, fds=()):
    """Runs @config (a dictionary: JSON is YAML) with the secret in a file of its own, which is its owner's alone."""
    folder = tempfile.mkdtemp(prefix='hypergate-test-')
    os.chmod(folder, 0o755)
    stack.callback(shutil.rmtree, folder)
    key, path = os.path.join(folder, 'router.key'), os.path.join(folder, f'{name}.yaml')
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write(secret + '\n')
    with open(path, 'w') as file:
        json.dump({'secretFile': key, **config}, file)
    instance = Process(stack, name, ['run', path], env, under, fds)
    instance.conf, instance.key = path, key
    return instance


class Pair:
    """A DHT of ours, a provider of @services ({name: serve function}) and a gateway; .gate[name] is the port to talk to."""
    also = {}                   # of both configurations

    def __init__(self, stack, **services):
        self.stack, self.secret, self.dht = stack, new_secret(), start_dht(stack)
        self.service = {name: Service(stack, serve) for name, serve in services.items()}
        self.gate = dict(zip(services, free_ports(len(services))))
        self.provider = self.start_provider()
        self.gateway = self.start_gateway()
        for name, port in self.gate.items():
            eventually(lambda: listens(port), 20, f'gate {port} ({name})')

    def entries(self):
        return [{'gatePort': self.gate[name], 'serviceHost': '127.0.0.1', 'servicePort': service.port, 'protocol': 'tcp'}
                for name, service in self.service.items()]

    def start_provider(self, under=()):
        return start_instance(self.stack, 'provider', self.secret,
                              {'bootstrap': [self.dht], 'provider': {'services': self.entries()}, **self.also}, under)

    def start_gateway(self, under=()):
        return start_instance(self.stack, 'gateway', self.secret,
                              {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1'}, **self.also}, under)


def listens(port):
    try:
        connect(port, 2).close()
        return True
    except OSError:
        return False

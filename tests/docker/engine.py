# SPDX-License-Identifier: BSD-3-Clause
"""A Docker engine of its own: its socket, its files, its mounts and its control group, in a network that a test has made. Nothing of the
machine's own engine, if there is one, is touched, and nothing is pulled: images are made here. It takes root, and Debian's docker.io,
iptables and busybox-static; several run side by side, one in each network."""
import concurrent.futures
import contextlib
import grp
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness

CLIENT = '/usr/bin/docker' if os.path.exists('/usr/bin/docker') else 'docker'
PATIENCE = 60.0

# Keeps the mounts of a killed engine: overlays of containers that go on, the sockets of who looks after them.
HOLD = r'''
set -e
echo $$ >"$1/cgroup.procs"
shift
mount --make-rprivate /
for folder in "$@"; do
	mkdir -p "$folder"
	mount -t tmpfs tmpfs "$folder"
done
echo held
exec sleep infinity
'''

# The first thing that a machine with Docker does; the engine drops what it does not know only where it had to begin with forwarding.
START = r'''
set -e
echo $$ >"$1/cgroup.procs"
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -w -P FORWARD DROP
shift
exec "$@"
'''


def hierarchies():
    with open('/proc/self/mounts') as file:
        return [words[1] for words in map(str.split, file) if words[2] in ('cgroup', 'cgroup2')]


def main_hierarchy():
    """The one in which all processes of an engine are found below one group."""
    with open('/proc/self/mounts') as file:
        mounts = [line.split() for line in file]
    unified = [words[1] for words in mounts if words[2] == 'cgroup2']
    named = [words[1] for words in mounts if words[2] == 'cgroup' and 'name=systemd' in words[3].split(',')]
    assert unified or named, 'no hierarchy of control groups is mounted here'
    return (unified or named)[0]


def wait_for(probe, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not (value := probe()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)
    return value


def group_of_daemons():
    """Whom the socket is for."""
    return grp.getgrgid(pwd.getpwnam(os.environ.get('HYPERGATE_USER') or 'root').pw_gid).gr_name


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost')
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Engine:
    """@network: where it runs, and its machine's processes beside it. @address, @pool: docker0's and those of other networks, which may be the
    same in several engines, as on real machines. @conf: its daemon.json."""
    made = 0
    hidden = ['/run/docker', '/run/containerd']         # from the machine

    def __init__(self, stack, network, address='10.201.0.1/24', pool='10.202.0.0/16', conf=None):
        Engine.made += 1
        self.stack, self.network = stack, network
        self.name = f'hypergate-docker-{os.getpid()}-{Engine.made}'
        self.folder = tempfile.mkdtemp(prefix='hypergate-docker.', dir='/var/tmp')
        os.chmod(self.folder, 0o755)
        self.socket = os.path.join(self.folder, 'docker.sock')
        self.process = self.holder = None
        stack.callback(self._end)
        harness.Process.running.append(self)
        self.words = self.command(address, pool, conf or {})
        self.group = os.path.join(main_hierarchy(), self.name, 'engine')
        os.makedirs(self.group)
        self.holder = subprocess.Popen(['unshare', '--mount', '--propagation', 'private', 'sh', '-c', HOLD, 'sh', self.group,
                                        *self.hidden],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        assert self.holder.stdout.readline() == b'held\n', 'no mounts of its own'
        self.start()

    def command(self, address, pool, conf):
        """That starts it."""
        pathlib.Path(self.folder, 'daemon.json').write_text(json.dumps({'userland-proxy': False, **conf}))
        return ['dockerd', '-H', f'unix://{self.socket}', '--data-root', f'{self.folder}/data', '--exec-root', f'{self.folder}/exec',
                '--pidfile', f'{self.folder}/docker.pid', '--config-file', f'{self.folder}/daemon.json', '--cgroup-parent', f'/{self.name}',
                '--group', group_of_daemons(), '--exec-opt', 'native.cgroupdriver=cgroupfs', '--oom-score-adjust', '0', '--bip', address,
                '--default-address-pool', f'base={pool},size=24']

    # --- It and its log ---

    def start(self):
        for left in ('docker.pid', 'exec/containerd/containerd.pid'):       # of a killed one, for which it would take whoever has the number
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, left))
        with open(os.path.join(self.folder, 'log'), 'a') as log:
            self.process = subprocess.Popen(['nsenter', f'--mount=/proc/{self.holder.pid}/ns/mnt', f'--net={self.network.path}', '--',
                                             'sh', '-c', START, 'sh', self.group, *self.words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: self._answers(), self.log)

    def _answers(self):
        assert self.process.poll() is None, self.log()
        return os.path.exists(self.socket) and self.client('version').returncode == 0

    def log(self, lines=30):
        text = pathlib.Path(self.folder, 'log').read_text(errors='replace')
        return 'the engine said:\n' + '\n'.join(text.splitlines()[-lines:])

    def tell(self, lines):
        """Into the report of a test that failed: what its containers said last."""
        if self.process and self.process.poll() is not None:
            print(f'#   {self.log()}'.replace('\n', '\n#     '))
        for line in self.client('ps', '-a', '--format', '{{.ID}} {{.Image}}, {{.Names}}: {{.Status}}').stdout.splitlines():
            print(f'#   {line}')
            for said in self.logs(line.split()[0]).splitlines()[-lines:]:
                print(f'#     {said}')

    def kill(self):
        """As a crash: its containers go on."""
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not [pid for pid in self.processes() if command(pid) == 'containerd'], 'its containerd did not go with it')
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)

    def processes(self):
        """Of the engine and in its containers."""
        found = []
        for folder, _, _ in os.walk(os.path.dirname(self.group)):
            with contextlib.suppress(OSError):
                found += map(int, pathlib.Path(folder, 'cgroup.procs').read_text().split())
        return found

    # --- Its client ---

    def client(self, *words, **more):
        return subprocess.run([CLIENT, *words], capture_output=True, text=True, stdin=more.pop('stdin', subprocess.DEVNULL),
                              env={'PATH': os.environ['PATH'], 'DOCKER_HOST': f'unix://{self.socket}', 'DOCKER_CONFIG': self.folder}, **more)

    def ok(self, *words, **more):
        done = self.client(*words, **more)
        assert done.returncode == 0, f'docker {" ".join(words)}: {done.returncode}\n{done.stdout}{done.stderr}'
        return done.stdout.strip()

    def started(self, *words):
        """docker run -d of these; gone with the test, by its number."""
        number = self.ok('run', '-d', *words)
        self.stack.callback(lambda: self.client('rm', '-fv', number))
        return number

    def inspect(self, name):
        return json.loads(self.ok('inspect', name))[0]

    def address(self, name, network):
        return self.inspect(name)['NetworkSettings']['Networks'][network]['IPAddress']

    def logs(self, name):
        done = self.client('logs', name)
        return done.stdout + done.stderr

    def imported(self, name, tree, *changes):
        """An image of the folder @tree."""
        packed = subprocess.Popen(['tar', '-C', tree, '-c', '.'], stdout=subprocess.PIPE)
        self.ok('import', *[word for change in changes for word in ('--change', change)], '-', name, stdin=packed.stdout)
        packed.stdout.close()
        assert packed.wait() == 0

    # --- Its socket, where the client would cost more than what it asks for ---

    def ask(self, method, path, said=None):
        with contextlib.closing(Connection(self.socket)) as to:
            to.request(method, f'/v1.41{path}', None if said is None else json.dumps(said), {'Content-Type': 'application/json'})
            answer = to.getresponse()
            text = answer.read()
        assert answer.status < 400, f'{method} {path}: {answer.status} {text}'
        return json.loads(text) if text else None

    def run_all(self, containers, command=('sleep', '1000000'), network='net'):
        """Starts these, four at a time: {name: (image, labels, {port: public port})}."""
        def begin(name):
            image, labels, published = containers[name]
            host = {'NetworkMode': network, 'LogConfig': {'Type': 'none'},
                    'PortBindings': {port: [{'HostPort': str(public)}] for port, public in published.items()}}
            made = self.ask('POST', f'/containers/create?name={name}', {
                'Image': image, 'Cmd': command, 'Labels': labels, 'ExposedPorts': {port: {} for port in published}, 'HostConfig': host})
            self.ask('POST', f'/containers/{made["Id"]}/start')
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(begin, containers))

    def remove_all(self, names):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: self.ask('DELETE', f'/containers/{name}?force=1&v=1'), names))

    # --- Its end ---

    def _end(self):
        harness.Process.running.remove(self)
        if self.process and self.process.poll() is None:
            containers = self.client('ps', '-aq').stdout.split()
            if containers:
                self.client('rm', '-fv', *containers)
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
        self._thaw()
        for _ in range(200):
            left = self.processes()
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        for process in self.process, self.holder:
            if process:
                process.wait()
        for top in hierarchies():
            for folder, _, _ in os.walk(os.path.join(top, self.name), topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        shutil.rmtree(self.folder)

    def _thaw(self):
        """A paused container gets no signal."""
        for top in hierarchies():
            for state in pathlib.Path(top, self.name).rglob('freezer.state'):
                with contextlib.suppress(OSError):
                    state.write_text('THAWED')


def command(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
    return ''

# SPDX-License-Identifier: BSD-3-Clause
"""Servers that nobody here wrote, on 127.0.0.1, and the ways to them: ours, and doubles of the original on its libraries."""
import getpass
import glob
import hashlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'features'), os.path.join(HERE, '..', 'system')]

from scene import eventually, folder, listens, says, start, write                       # noqa: E402

from harness import free_ports, new_secret, start_dht, start_instance                   # noqa: E402

DOUBLE = os.path.join(HERE, '..', 'interop', 'double', 'process.js')
ROOT = os.geteuid() == 0
# Databases don't run as root.
AS_NOBODY = {'user': 'nobody', 'group': 'nogroup', 'extra_groups': []} if ROOT else {}


def gate(port, service, protocol='tcp'):
    return {'gatePort': port, 'serviceHost': '127.0.0.1', 'servicePort': service, 'protocol': protocol}


def digest_of(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def bytes_at(path, length):
    """A file of bytes that nobody can guess; its digest."""
    with open(path, 'wb') as file:
        file.write(os.urandom(length))
    return digest_of(path)


def tree(path):
    """Each file below, by its digest."""
    files = [os.path.join(at, name) for at, _, names in os.walk(path) for name in names]
    return {os.path.relpath(file, path): digest_of(file) for file in files}


def node(stack, script, *words):
    """A server of ours around a library from npm: it runs until the end of the test."""
    return start(stack, 'node', os.path.join(HERE, script), *map(str, words))


def ask_node(script, *words):
    """What such a client found out."""
    return json.loads(says('node', os.path.join(HERE, script), *map(str, words)))


# --- The ways ---

def double(stack, role, secret, dht, **more):
    """One that lives for as long as its input is open."""
    options = json.dumps({'secret': secret, 'bootstrap': [dht], **more})
    process = subprocess.Popen(['node', DOUBLE, role, options], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop():
        process.kill()
        process.wait()
        process.stdin.close()
    stack.callback(stop)
    return process


def routes_of_the_original(services):
    """What its service files say; it has no protocol that is two."""
    numbers = {'tcp': [0], 'udp': [1], 'tcp+udp': [0, 1]}
    return [{**service, 'protocol': number} for service in services for number in numbers[service['protocol']]]


def meet(stack, services, provider='ours', gateway='ours', **more):
    """Both, each 'ours' or 'original'; the gates of all TCP services are open. @more is for a gateway of ours. Returns the provider."""
    secret, dht = new_secret(), start_dht(stack, 2)
    if provider == 'ours':
        started = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}})
    else:
        started = double(stack, 'provider', secret, dht, services=routes_of_the_original(services), advertiseMs=500)
    if gateway == 'ours':
        start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1', **more}})
    else:
        double(stack, 'gateway', secret, dht, halfOpen=True, refreshMs=500)
    for service in services:
        if service['protocol'] != 'udp':
            eventually(lambda: listens(service['gatePort']), 40, f'gate {service["gatePort"]}')
    return started


# --- Servers ---

def server(stack, port, *command, **options):
    start(stack, *command, **options)
    eventually(lambda: listens(port), 40, command[0])


class Shell:
    """sshd, who lets us in by a key, and what a client must say for that."""

    def __init__(self, stack):
        place, (self.port,) = folder(stack), free_ports(1)
        self.key, host = os.path.join(place, 'key'), os.path.join(place, 'host')
        for path in (self.key, host):
            says('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path)
        if ROOT:
            os.makedirs('/run/sshd', 0o755, exist_ok=True)
        conf = write(os.path.join(place, 'conf'), f'Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host}\nPidFile none\n'
                     'UsePAM no\nStrictModes no\n'
                     f'AuthorizedKeysFile {self.key}.pub\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n'
                     'AllowTcpForwarding yes\nSubsystem sftp internal-sftp\nMaxStartups 100\n')
        with open(host + '.pub') as file:
            self.identity = ' '.join(file.read().split()[:2])
        self.place = place
        server(stack, self.port, '/usr/sbin/sshd', '-D', '-e', '-f', conf)

    def words(self, port):
        """Options for a connection to @port, where this server and no other is expected."""
        known = write(os.path.join(self.place, f'known-{port}'), f'[127.0.0.1]:{port} {self.identity}\n')
        options = ['IdentitiesOnly=yes', f'UserKnownHostsFile={known}', 'StrictHostKeyChecking=yes', 'BatchMode=yes',
                   f'User={getpass.getuser()}', f'Port={port}']
        return ['-F', '/dev/null', '-i', self.key, *(word for option in options for word in ('-o', option))]


def dnsmasq(stack, records):
    (port,) = free_ports(1)
    conf = write(os.path.join(folder(stack), 'dnsmasq.conf'), f'port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\n'
                 'no-hosts\ndns-forward-max=10000\n' + records)
    server(stack, port, 'dnsmasq', '--no-daemon', '--conf-file=' + conf, '--user=' + ('root' if ROOT else ''), '--pid-file')
    return port


def place_for_nobody(stack):
    place = folder(stack)
    if ROOT:
        os.chmod(place, 0o777)
    return os.path.join(place, 'data')


class MariaDb:
    def __init__(self, stack):
        data, (self.port,) = place_for_nobody(stack), free_ports(1)
        subprocess.run(['mariadb-install-db', '--no-defaults', f'--datadir={data}', '--auth-root-authentication-method=normal',
                        '--skip-test-db', '--skip-name-resolve'], check=True, capture_output=True, timeout=120, **AS_NOBODY)
        first = write(data + '.sql', "CREATE USER guest@'%' IDENTIFIED BY 'open sesame';\nGRANT ALL ON *.* TO guest@'%';\n")
        server(stack, self.port, 'mariadbd', '--no-defaults', f'--datadir={data}', f'--socket={data}.socket', f'--port={self.port}',
               '--skip-name-resolve', '--bind-address=127.0.0.1', f'--init-file={first}', '--innodb-flush-log-at-trx-commit=0',
               '--max-allowed-packet=64M', **AS_NOBODY)

    def words(self, port, program='mariadb'):
        return [program, '--no-defaults', '--host=127.0.0.1', f'--port={port}', '--user=guest', '--password=open sesame', '--protocol=tcp']

    def ask(self, port, question, seconds=60):
        return says(*self.words(port), '--batch', '--skip-column-names', '-e', question, seconds=seconds).strip()

    def fill(self, port, megabytes):
        self.ask(port, f'CREATE DATABASE first; CREATE DATABASE second; CREATE TABLE first.pages (n INT PRIMARY KEY, words TEXT); '
                 f'INSERT INTO first.pages SELECT seq, REPEAT(MD5(seq), 32) FROM first.seq_1_to_{megabytes * 1000}', 600)

    def dump(self, port, database, path):
        with open(path, 'wb') as out:
            command = [*self.words(port, 'mariadb-dump'), '--skip-comments', '--skip-dump-date', '--single-transaction', database]
            subprocess.run(command, check=True, stdout=out, stderr=subprocess.PIPE)
        return digest_of(path)

    def load(self, port, database, path):
        with open(path, 'rb') as file:
            subprocess.run([*self.words(port), database], check=True, stdin=file, capture_output=True)


class PostgreSql:
    def __init__(self, stack):
        data, (self.port,) = place_for_nobody(stack), free_ports(1)
        programs = max(glob.glob('/usr/lib/postgresql/*/bin'), key=lambda path: int(path.split('/')[4]))
        subprocess.run([f'{programs}/initdb', '-D', data, '-U', 'guest', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
                       check=True, capture_output=True, timeout=120, cwd='/', **AS_NOBODY)
        server(stack, self.port, f'{programs}/postgres', '-D', data, '-p', str(self.port), '-k', '', '-c', 'listen_addresses=127.0.0.1',
               '-c', 'fsync=off', cwd='/', **AS_NOBODY)
        ready = ['pg_isready', '-q', '-h', '127.0.0.1', '-p', str(self.port)]
        eventually(lambda: subprocess.run(ready, check=False).returncode == 0, 40, 'postgres')

    def words(self, port, program='psql'):
        return [program, '-h', '127.0.0.1', '-p', str(port), '-U', 'guest']

    def ask(self, port, question, database='postgres', seconds=60):
        words = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', question]
        return says(*self.words(port), *words, seconds=seconds).strip()

    def fill(self, port, megabytes):
        self.ask(port, 'CREATE DATABASE first')
        self.ask(port, 'CREATE DATABASE second')
        self.ask(port, 'CREATE TABLE pages AS SELECT n, repeat(md5(n::text), 32) AS words '
                 f'FROM generate_series(1, {megabytes * 1000}) AS n', 'first', 600)

    def dump(self, port, database, path):
        """Without the two lines that have a new word each time."""
        with open(path, 'wb') as out:
            with subprocess.Popen([*self.words(port, 'pg_dump'), database], stdout=subprocess.PIPE) as dump:
                out.writelines(line for line in dump.stdout if not line.startswith((b'\\restrict', b'\\unrestrict')))
        assert dump.returncode == 0
        return digest_of(path)

    def load(self, port, database, path):
        command = [*self.words(port), '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database, '-f', path]
        subprocess.run(command, check=True, capture_output=True)

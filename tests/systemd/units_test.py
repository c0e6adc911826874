#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The units as they are installed, under a real systemd. Usage: units_test.py BUILD UNITS [TEST...]; BUILD is installed into the
machine, UNITS is where its units go."""
import ast
import atexit
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / 'system')]
from harness import main, test
from machine import UNITS, Machine, wait_for
from scene import ALL, GATEWAY, PROVIDER, SECRET, configure, fetched, serve_page

BUILD, UNIT_DIR = sys.argv[1:3]
sys.argv[1:3] = []
FILES = tempfile.mkdtemp(prefix='hypergate-systemd-files.', dir='/var/tmp')


def option(name):
    found = json.loads(subprocess.run(['meson', 'introspect', '--buildoptions', BUILD], check=True, capture_output=True).stdout)
    return next(each['value'] for each in found if each['name'] == name)


def install(stack):
    stack.callback(subprocess.run, ['rm', '-rf', FILES])
    os.chmod(FILES, 0o755)
    done = subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', FILES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    units = os.path.join(FILES, 'etc/systemd/system')
    os.makedirs(units)
    for name in os.listdir(FILES + UNIT_DIR) if UNIT_DIR not in UNITS else []:
        os.symlink(os.path.join(UNIT_DIR, name), os.path.join(units, name))
    for place in 'systemd/catalog/hypergate.catalog', 'sysusers.d/hypergate.conf':      # below a prefix of its own nobody would look
        path, where = os.path.join(option('prefix'), 'lib', place), os.path.join(FILES, 'usr/lib', place)
        if option('prefix') not in ('/usr', '/usr/local'):
            os.makedirs(os.path.dirname(where))
            os.symlink(path, where)
    configure(FILES)


def drop_in(unit, name, text, kind='service'):
    M.write(f'/etc/systemd/system/{unit}.{kind}.d/{name}.conf', text)
    M.ok('systemctl', 'daemon-reload')


def drop_no_more(unit, kind='service'):
    M.ok('rm', '-rf', f'/etc/systemd/system/{unit}.{kind}.d')
    M.ok('systemctl', 'daemon-reload')


def state(unit):
    return M.show(unit, 'ActiveState')


def refused(unit):
    """Starts what shall not start; returns its log."""
    done = M.run('systemctl', 'start', unit)
    assert done.returncode != 0, f'{unit} has started: {M.journal(unit)}'
    wait_for(lambda: state(unit) == 'failed', lambda: f'{unit} is {state(unit)}')
    return M.journal(unit)


def said_of(unit, *words):
    text = M.show(unit, 'StatusText')
    return all(word in text for word in words)


def processes(unit):
    folder = '/sys/fs/cgroup' + M.show(unit, 'ControlGroup')
    return [pid for pid in M.run('cat', f'{folder}/cgroup.procs').stdout.split()]


def status_of(pid):
    lines = M.ok('cat', f'/proc/{pid}/status').splitlines()
    return {name: value.strip() for name, value in (line.split(':', 1) for line in lines)}


def fetch(port):
    return fetched(M, port)


def offer(stack, port, service=8080):
    """The provider's page, or another service, is at another gate until the test ends."""
    def at(text):
        M.write('/etc/hypergate/r1.yaml', text)
        M.ok('systemctl', 'reload', 'hypergate@r1')
    stack.callback(at, PROVIDER)
    at(PROVIDER.replace('gatePort: 8000', f'gatePort: {port}').replace('servicePort: 8080', f'servicePort: {service}'))


def inode_of(kind, port):
    """Of the one socket that listens (kind: tcp) or is bound (udp) there."""
    lines = [line.split() for line in M.ok('cat', f'/proc/net/{kind}').splitlines()[1:]]
    found = [line[9] for line in lines if int(line[1].split(':')[1], 16) == port and (kind == 'udp' or line[3] == '0A')]
    return found[0] if found else None


def udp_inodes(unit):
    """Of the ports of its DHT node: the sockets that its supervisor has, which make those of its workers."""
    bound = {line.split()[9] for line in M.ok('cat', '/proc/net/udp').splitlines()[1:]}
    return bound & sockets_of(M.show(unit, 'MainPID'))


def sockets_of(pid):
    return set(re.findall(r'socket:\[(\d+)\]', M.run('ls', '-l', f'/proc/{pid}/fd').stdout))


def holders(unit, inode):
    return sorted({M.ok('cat', f'/proc/{pid}/comm').strip() for pid in processes(unit) if inode in sockets_of(pid)})


def start_both():
    M.ok('systemctl', 'start', *ALL)
    wait_for(lambda: said_of('hypergate@r2', '1 provider,', '1 gate open'), lambda: M.journal())


@test
def units_are_good(stack):
    """systemd finds nothing to complain of; exposure is at most 1.3, with the right to low ports 1.7"""
    low = option('prefix') + '/' + option('datadir') + '/hypergate/low-ports.conf'
    M.ok('systemd-analyze', 'security', '--offline=true', '--threshold=13', f'{UNIT_DIR}/hypergate-metrics@.service')
    for name, most in [('shipped', '13'), ('low', '17')]:
        folder = f'/var/tmp/{name}'
        M.ok('mkdir', '-p', f'{folder}/hypergate@.service.d')
        M.ok('cp', f'{UNIT_DIR}/hypergate@.service', f'{UNIT_DIR}/hypergate.target', folder)
        if name == 'low':
            M.ok('cp', low, f'{folder}/hypergate@.service.d')
        M.ok('sh', '-ec', 'cd "$1"; systemd-analyze security --offline=true --threshold="$2" ./hypergate@.service', 'sh', folder, most)
        complaints = M.run('systemd-analyze', 'verify', '--man=no', f'{folder}/hypergate@.service', f'{folder}/hypergate.target')
        assert complaints.returncode == 0 and 'hypergate' not in complaints.stderr, complaints.stderr


@test
def starts_and_carries(stack):
    """Ready when started; as nobody in particular, without a capability, behind a filter; a page through a gate; status"""
    serve_page(M)
    start_both()
    assert state('hypergate@r1') == state('hypergate@r2') == 'active'
    wait_for(lambda: said_of('hypergate@r1', '1 gateway,', 'channels'), lambda: M.show('hypergate@r1', 'StatusText'))
    wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())
    for unit in 'hypergate@r1', 'hypergate@r2':
        pids = processes(unit)
        assert len(pids) >= 5, pids
        for pid in pids:
            found = status_of(pid)
            assert '0' not in found['Uid'].split() and found['Seccomp'] == '2' and found['NoNewPrivs'] == '1', found
            assert not any(int(found[name], 16) for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')), found
    command = option('prefix') + '/' + option('bindir') + '/hypergate'
    told = [json.loads(line) for line in M.ok(command, 'status', '--json').splitlines()]
    assert sorted(each['instance'] for each in told if each['type'] == 'status') == ['node', 'r1', 'r2'], told
    assert '"r2"' in M.ok(command, 'status', '--json', 'r2')
    fields = M.ok('journalctl', '-u', 'hypergate@r1', '-o', 'json', 'HYPERGATE_INSTANCE=r1', 'HYPERGATE_EVENT=ready')
    assert 'ready: provider' in fields and '"MESSAGE_ID"' in fields, fields
    M.ok('test', '-s', '/var/lib/hypergate/r1/r1.provider.seed')


@test
def explained(stack):
    """journalctl -x has our text below each line that is an event"""
    M.ok('journalctl', '--update-catalog')
    text = M.ok('journalctl', '-x', '-u', 'hypergate@r1', 'HYPERGATE_EVENT=ready')
    assert 'Subject: The instance r1 is ready' in text and 'All workers run and all sockets are open.' in text, text


@test
def scraped(stack):
    """hypergate-metrics.socket answers with the metrics of all instances, and no more processes are left than before"""
    address = '/run/hypergate-metrics.socket'
    ask = ('import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"GET /metrics HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");'
           'print(b"".join(iter(lambda: s.recv(65536), b"")).decode())')
    M.ok('systemctl', 'start', 'hypergate-metrics.socket')
    stack.callback(M.ok, 'systemctl', 'stop', 'hypergate-metrics.socket')
    assert M.ok('stat', '-c', '%a %U', address) == '660 root\n'
    text = M.ok('python3', '-c', ask, address)
    head, metrics = text.split('\n\n', 1)          # as text, without carriage returns
    assert head.startswith('HTTP/1.1 200 ') and metrics.rstrip().endswith('# EOF'), text + M.journal()
    for name in ('node', 'r1', 'r2'):
        assert f'instance="{name}"' in metrics or f'hypergate_instance="{name}"' in metrics, metrics
    wait_for(lambda: not M.ok('systemctl', 'list-units', '--plain', '--no-legend', 'hypergate-metrics@*').strip(),
             lambda: M.ok('systemctl', 'list-units', 'hypergate-metrics@*') + M.journal())


@test
def reloaded(stack):
    """systemctl reload: what is new takes effect, in the same processes, drop-ins too; what is wrong fails it, with its place, and nothing changes"""
    unit, before = 'hypergate@r1', processes('hypergate@r1')
    stack.callback(M.write, '/etc/hypergate/r1.yaml', PROVIDER)
    M.write('/etc/hypergate/r1.yaml', PROVIDER.replace('gatePort: 8000', 'gatePort: 8001') + 'logLevel: debug\n')
    M.ok('systemctl', 'reload', unit)
    assert state(unit) == 'active' and 'services: 1 more, 1 gone, logLevel' in M.journal(unit), M.journal(unit)
    wait_for(lambda: 'the page' in fetch(8001), lambda: M.journal())
    M.write('/etc/hypergate/r1.yaml', PROVIDER + 'what: is this?\n')
    assert M.run('systemctl', 'reload', unit).returncode != 0
    assert state(unit) == 'active' and M.journal(unit).count('/etc/hypergate/r1.yaml:5:1: ') == 1, M.journal(unit)
    fields = json.loads(M.ok('journalctl', '-u', unit, '-o', 'json', 'HYPERGATE_EVENT=config-wrong').splitlines()[-1])
    assert [fields[f'HYPERGATE_{name}'] for name in ('FILE', 'LINE', 'COLUMN')] == ['/etc/hypergate/r1.yaml', '5', '1'], fields
    assert 'the page' in fetch(8001)
    M.write('/etc/hypergate/r1.yaml', PROVIDER)
    M.ok('systemctl', 'kill', '--kill-whom=main', '-s', 'HUP', unit)
    wait_for(lambda: M.journal(unit).count('\nreloaded in') == 2 and state(unit) == 'active', lambda: M.journal(unit))
    wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())
    assert len(set(before) & set(processes(unit))) == len(before) - 1, 'more have begun anew than who connects to the service'

    stack.callback(M.ok, 'systemctl', 'reload', unit)
    stack.callback(M.ok, 'rm', '-rf', '/etc/hypergate/r1.yaml.d')
    M.write('/etc/hypergate/r1.yaml.d/50-more.yaml',
            'provider: {services: [{gatePort: 8002, serviceHost: 127.0.0.1, servicePort: 8080}]}\n')
    M.ok('systemctl', 'reload', unit)
    wait_for(lambda: 'the page' in fetch(8002), lambda: M.journal())


@test
def asked(stack):
    """Members of the group hypergate may ask, and change nothing; nobody else may ask"""
    command = option('prefix') + '/' + option('bindir') + '/hypergate'
    M.ok('useradd', 'member')
    M.ok('usermod', '-aG', 'hypergate', 'member')
    M.ok('useradd', 'stranger')
    told = M.ok('runuser', '-u', 'member', '--', command, 'status', '--json')
    assert sorted(json.loads(line)['instance'] for line in told.splitlines()) == ['node', 'r1', 'r2'], told
    M.ok('runuser', '-u', 'member', '--', command, 'peers', 'r1')
    for words in ['reload'], ['drain'], ['undrain'], ['log-level', 'debug'], ['remove', '8000'], ['allow', '127.0.0.1']:
        done = M.run('runuser', '-u', 'member', '--', command, *words, 'r1')
        assert done.returncode == 1 and 'only root, and the user it runs as, may change it' in done.stderr, done
    M.ok('runuser', '-u', 'member', '--', command, 'log-level', 'r1')
    done = M.run('runuser', '-u', 'stranger', '--', command, 'status', 'r1')
    assert done.returncode == 1 and 'runs as somebody else' in done.stderr, done
    assert M.run('runuser', '-u', 'stranger', '--', command, 'status').returncode == 1
    M.ok(command, 'log-level', 'info', 'r1')


@test
def scraped_by_prometheus(stack):
    """Prometheus on the loopback: it takes all that is said, of all instances, with types and units, and sees who is connected how"""
    drop_in('hypergate-metrics', 'loopback', '[Socket]\nListenStream=127.0.0.1:9469\n', 'socket')
    stack.callback(drop_no_more, 'hypergate-metrics', 'socket')
    M.ok('systemctl', 'start', 'hypergate-metrics.socket')
    stack.callback(M.ok, 'systemctl', 'stop', 'hypergate-metrics.socket')
    M.write('/var/tmp/prometheus.yml', 'global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: hypergate, honor_labels: true, '
            'static_configs: [{targets: ["127.0.0.1:9469"]}]}]\n')
    M.ok('systemd-run', '--quiet', '--unit=scraper', 'prometheus', '--config.file=/var/tmp/prometheus.yml',
         '--storage.tsdb.path=/var/tmp/prometheus', '--web.listen-address=127.0.0.1:9090')
    stack.callback(M.ok, 'systemctl', 'stop', 'scraper')

    def asked(what, **query):
        words = [word for name, value in query.items() for word in ('--data-urlencode', f'{name}={value}')]
        text = M.run('curl', '-sfG', *words, f'http://127.0.0.1:9090/api/v1/{what}').stdout
        return json.loads(text)['data'] if text else None

    def values(query, label):
        return {one['metric'][label]: float(one['value'][1]) for one in (asked('query', query=query) or {'result': []})['result']}

    up = wait_for(lambda: values('hypergate_uptime_seconds', 'instance'), lambda: M.journal('scraper'))
    assert up.keys() == {'node', 'r1', 'r2'} and all(value > 0 for value in up.values()), up
    assert values('hypergate_peers{role="gateway",path="near"}', 'instance') == {'node': 0, 'r1': 1, 'r2': 0}
    gates = values('hypergate_gates{listening="yes"}', 'instance')
    assert gates.keys() == {'r2'} and gates['r2'] >= 1, gates          # one that nobody offers any more waits a while
    rtt = values('hypergate_peer_rtt_seconds', 'instance')
    assert rtt.keys() == {'r1', 'r2'} and all(0 < value < 60 for value in rtt.values()), rtt
    assert values('hypergate_channels_ended_total{instance="r1"}', 'reason')['done'] > 0
    about = {one['metric']: (one['type'], one['unit']) for one in asked('targets/metadata') if one['metric'].startswith('hypergate_')}
    assert len(about) > 20 and about['hypergate_peer_rtt_seconds'] == ('gauge', 'seconds'), about
    assert about['hypergate_channel_sent_bytes'] == ('counter', 'bytes') and about['hypergate_instance'][0] == 'info', about
    [target] = asked('targets')['activeTargets']
    assert target['health'] == 'up' and not target['lastError'], target


@test
def watched(stack):
    """A supervisor that hangs is killed and started again; one that does not hang is not"""
    drop_in('hypergate@r2', 'watchdog', '[Service]\nWatchdogSec=3\nRestartSec=100ms\n')
    stack.callback(drop_no_more, 'hypergate@r2')
    M.ok('systemctl', 'restart', 'hypergate@r2')
    beats = {M.show('hypergate@r2', 'WatchdogTimestampMonotonic')}

    def fed():
        beats.add(M.show('hypergate@r2', 'WatchdogTimestampMonotonic'))
        return len(beats) > 2
    wait_for(fed, lambda: f'not fed: {beats}')
    hung, before = M.show('hypergate@r2', 'MainPID'), int(M.show('hypergate@r2', 'NRestarts'))
    others = [pid for pid in processes('hypergate@r2') if pid != hung]
    M.ok('kill', '-s', 'STOP', hung)
    wait_for(lambda: int(M.show('hypergate@r2', 'NRestarts')) > before and state('hypergate@r2') == 'active',
             lambda: M.journal('hypergate@r2'))
    assert 'Watchdog timeout' in M.journal('hypergate@r2')
    assert M.show('hypergate@r2', 'MainPID') != hung
    assert not set(others) & set(processes('hypergate@r2')), 'its workers have ended with it'


@test
def killed(stack):
    """A supervisor that dies is started again, as the same peer"""
    key = M.ok('sha256sum', '/var/lib/hypergate/r1/r1.provider.seed')
    dead = M.show('hypergate@r1', 'MainPID')
    M.ok('systemctl', 'kill', '--kill-whom=main', '-s', 'KILL', 'hypergate@r1')
    wait_for(lambda: M.show('hypergate@r1', 'MainPID') not in (dead, '0') and state('hypergate@r1') == 'active',
             lambda: M.journal('hypergate@r1'))
    assert M.ok('sha256sum', '/var/lib/hypergate/r1/r1.provider.seed') == key
    wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())


# A service that says its page in two pieces, the second when a file is there.
SLOW = '''
import os, socket, time
with socket.create_server(('127.0.0.1', 8081)) as listener:
    while True:
        client, _ = listener.accept()
        client.recv(4096)
        client.sendall(b'first ')
        while not os.path.exists('/run/rest'):
            time.sleep(0.02)
        client.sendall(b'and rest')
        client.close()
'''


def begun(stack):
    """A client of the slow service, which has its first piece, and says what came in all, or how it ended."""
    client = subprocess.Popen(M.words('python3', '-c',
                                      'import socket; c = socket.create_connection(("127.0.0.1", 8002), 30); c.sendall(b"x");'
                                      'text = c.recv(6); print("begun", flush=True); text += b"".join(iter(lambda: c.recv(99), b"")); print(text)'),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stack.callback(client.kill)
    assert client.stdout.readline() == 'begun\n', client.communicate()
    return client


@test
def stopped(stack):
    """What runs with a provider may finish while it stops; what does not is reset, in time, and nobody had to be killed"""
    M.write('/srv/slow.py', SLOW)
    M.ok('systemd-run', '--quiet', '--unit=slow', 'python3', '/srv/slow.py')
    stack.callback(M.ok, 'systemctl', 'stop', 'slow')
    offer(stack, 8002, 8081)
    wait_for(lambda: inode_of('tcp', 8002) and inode_of('tcp', 8081), lambda: M.journal())
    for finishes in True, False:
        M.run('rm', '-f', '/run/rest')
        client = begun(stack)
        M.ok('systemctl', 'stop', '--no-block', 'hypergate@r1')
        wait_for(lambda: 'leaves, what runs may finish' in M.journal('hypergate@r2').rsplit('came from', 1)[-1], lambda: M.journal())
        if finishes:
            M.write('/run/rest', '')
        text = client.communicate(timeout=30)[0]
        assert ('first and rest' in text) if finishes else ('ConnectionResetError' in text), text
        wait_for(lambda: state('hypergate@r1') == 'inactive', lambda: M.journal('hypergate@r1'))
        last = M.journal('hypergate@r1').split('stopping: Terminated')[-1]
        assert M.show('hypergate@r1', 'Result') == 'success' and 'killed' not in last and 'Killing' not in last, last
        M.ok('systemctl', 'start', 'hypergate@r1')


@test
def all_together(stack):
    """hypergate.target stops and starts all that are enabled; a stop is in order and leaves no process, no group and no socket"""
    M.ok('systemctl', 'enable', *ALL)
    stack.callback(M.ok, 'systemctl', 'disable', *ALL)
    before = [M.show(unit, 'MainPID') for unit in ALL]
    M.ok('systemctl', 'restart', 'hypergate.target')    # which nobody has started so far
    assert not set(before) & {M.show(unit, 'MainPID') for unit in ALL}, M.journal()
    groups = [M.show(unit, 'ControlGroup') for unit in ALL]
    M.ok('systemctl', 'stop', 'hypergate.target')
    for unit, group in zip(ALL, groups):
        wait_for(lambda: state(unit) == 'inactive', lambda: f'{unit} is {state(unit)}')
        assert M.show(unit, 'Result') == 'success' and M.show(unit, 'ExecMainStatus') == '0', M.journal(unit)
        last = M.journal(unit).split('Started hypergate@')[-1]
        assert 'stopping: Terminated' in last and 'was killed' not in last and 'Killing process' not in last, last
        assert M.run('test', '-e', f'/sys/fs/cgroup{group}').returncode != 0, f'{group} is left'
        assert M.run('test', '-e', f'/run/hypergate/{unit.split("@")[1]}').returncode != 0, 'its socket is left'
    assert 'hypergate' not in M.ok('ps', '-eo', 'args')
    M.ok('systemctl', 'start', 'hypergate.target')
    for unit in ALL:
        wait_for(lambda: state(unit) == 'active', lambda: M.journal(unit))


@test
def secrets(stack):
    """An encrypted credential is as good as a file; who may not read a secret, or has none, is told of LoadCredential="""
    M.ok('systemctl', 'stop', 'hypergate@r1')
    M.ok('rm', '/etc/hypergate/r1.key')
    stack.callback(M.write, '/etc/hypergate/r1.key', SECRET, '600')
    text = refused('hypergate@r1')
    assert 'LoadCredential=' in text and '/etc/hypergate/NAME.key' in text, text

    M.write('/etc/hypergate/own.key', SECRET, '600')
    M.write('/etc/hypergate/r3.yaml', 'secretFile: /etc/hypergate/own.key\n' + GATEWAY)
    text = refused('hypergate@r3')
    assert 'r3.yaml:1:13: secretFile: cannot read' in text and 'LoadCredential=' in text, text
    assert M.show('hypergate@r3', 'ExecMainStatus') == '78' and M.show('hypergate@r3', 'NRestarts') == '0'
    drop_in('hypergate@r3', 'secret', '[Service]\nUser=hypergate-r3\nLoadCredential=router.key:/etc/hypergate/own.key\n')
    M.write('/etc/hypergate/r3.yaml', GATEWAY)
    M.ok('systemctl', 'start', 'hypergate@r3')
    users = [status_of(M.show(unit, 'MainPID'))['Uid'] for unit in ('hypergate@r2', 'hypergate@r3')]
    assert users[0] != users[1], users
    M.ok('systemctl', 'stop', 'hypergate@r3')

    M.ok('systemd-creds', 'encrypt', '--quiet', '--with-key=host', '--name=router.key', '/etc/hypergate/own.key', '/etc/hypergate/r1.cred')
    drop_in('hypergate@r1', 'secret', '[Service]\nLoadCredentialEncrypted=router.key:/etc/hypergate/r1.cred\n')
    stack.callback(drop_no_more, 'hypergate@r1')
    M.ok('systemctl', 'start', 'hypergate@r1')
    assert SECRET not in M.ok('journalctl', '-o', 'export', '-a')


@test
def rotated(stack):
    """Root hands another secret to both sides, whose credentials are of their start: no process begins anew, and the page goes on"""
    units, command = ('hypergate@r1', 'hypergate@r2'), option('prefix') + '/' + option('bindir') + '/hypergate'
    start_both()
    wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())
    pids = [sorted(processes(unit)) for unit in units]
    said = M.ok(command, 'rotate', 'r1')
    assert 'hypergate reload --secret-file "/etc/hypergate/r1.key" r1' in said, said
    M.ok('cp', '-p', '/etc/hypergate/r1.key', '/etc/hypergate/r2.key')
    stack.callback(M.ok, 'systemctl', 'restart', *units)
    for name in ('r1', 'r2'):
        stack.callback(M.write, f'/etc/hypergate/{name}.key', SECRET, '600')
        M.ok(command, 'reload', '--secret-file', f'/etc/hypergate/{name}.key', name)
    M.ok('systemctl', 'reload', *units)
    names = {json.loads(M.ok(command, 'status', '--json', name).splitlines()[0])['router'] for name in ('r1', 'r2')}
    assert len(names) == 1 and names.pop() in said, said
    assert 'the page' in fetch(8000) and [sorted(processes(unit)) for unit in units] == pids, M.journal()


@test
def low_ports(stack):
    """With its drop-in a gateway opens port 80, and its workers have no capability"""
    text = M.ok('cat', option('prefix') + '/' + option('datadir') + '/hypergate/low-ports.conf')
    drop_in('hypergate@r4', 'low-ports', text)
    M.write('/etc/hypergate/r4.key', SECRET, '600')
    M.write('/etc/hypergate/r4.yaml', GATEWAY + '  services: [{gatePort: 80}]\n')
    offer(stack, 80)
    M.ok('systemctl', 'start', 'hypergate@r4')
    stack.callback(M.ok, 'systemctl', 'stop', 'hypergate@r4')
    wait_for(lambda: said_of('hypergate@r4', '1 gate open'), lambda: M.journal('hypergate@r4'))
    wait_for(lambda: 'the page' in fetch(80), lambda: M.journal())
    main_pid = M.show('hypergate@r4', 'MainPID')
    for pid in processes('hypergate@r4'):
        found = status_of(pid)
        bind = 0x400 if pid == main_pid else 0
        assert '0' not in found['Uid'].split() and int(found['CapEff'], 16) == bind, found
        if not bind:
            assert not any(int(found[name], 16) for name in ('CapInh', 'CapPrm', 'CapAmb')), found


@test
def opened_by_a_socket_unit(stack):
    """Port 80 without a capability: its first client starts the instance and is served; the supervisor and one worker have the socket"""
    text = M.ok('cat', option('prefix') + '/' + option('datadir') + '/hypergate/gates.socket')
    M.write('/etc/systemd/system/hypergate@r5.socket', text.replace('0.0.0.0', '127.0.0.1'))
    M.write('/etc/hypergate/r5.key', SECRET, '600')
    M.write('/etc/hypergate/r5.yaml', GATEWAY + '  services: [{gatePort: 80}]\n')
    offer(stack, 80)
    M.ok('systemctl', 'daemon-reload')
    M.ok('systemctl', 'start', 'hypergate@r5.socket')
    stack.callback(M.ok, 'systemctl', 'stop', 'hypergate@r5.socket', 'hypergate@r5')
    assert state('hypergate@r5') == 'inactive' and 'the page' in fetch(80), M.journal('hypergate@r5')
    assert holders('hypergate@r5', inode_of('tcp', 80)) == ['hypergate-forwa', 'hypergated']
    for pid in processes('hypergate@r5'):
        assert not any(int(status_of(pid)[name], 16) for name in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'))
    last = M.journal('hypergate@r5')
    assert 'socket "gate" (127.0.0.1, 443) is of no use here: gateway.services must name' in last and last.count('of no use') == 1, last
    M.ok('systemctl', 'restart', 'hypergate@r5')
    assert state('hypergate@r5.socket') == 'active' and 'the page' in fetch(80)


# Asks for the page again and again, eight at a time, until a file is there; prints how often which end it came to.
LOAD = '''
import collections, os, socket, threading, time
ends = collections.Counter()

def ask():
    while not os.path.exists('/run/enough'):
        try:
            with socket.create_connection(('127.0.0.1', 8000), timeout=30) as client:
                client.sendall(b'GET /page HTTP/1.0\\r\\n\\r\\n')
                text = b''.join(iter(lambda: client.recv(4096), b''))
                ends['whole' if text.endswith(b'the page') else f'cut: {text!r}'] += 1
        except OSError as error:
            ends[type(error).__name__] += 1

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(dict(ends))
'''


@test
def restarted_under_load(stack):
    """Five restarts of a gateway under eight clients that never rest: none is refused, none gets half a page, few are reset"""
    M.write('/srv/load.py', LOAD)
    load = subprocess.Popen(M.words('python3', '/srv/load.py'), stdout=subprocess.PIPE, text=True)
    stack.callback(load.kill)
    for _ in range(5):
        M.ok('systemctl', 'restart', 'hypergate@r2')
        wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())
    M.write('/run/enough', '')
    ends = ast.literal_eval(load.communicate(timeout=60)[0])
    print('#', ends, flush=True)
    assert set(ends) <= {'whole', 'ConnectionResetError'} and ends['whole'] > 100 and ends.get('ConnectionResetError', 0) <= 5 * 8, ends


@test
def kept_over_a_restart(stack):
    """Who connects while nobody runs waits and is served; gates and UDP ports are the same sockets in the next life, and gone after a stop"""
    unit = 'hypergate@r2'
    M.ok('systemctl', 'restart', 'hypergate@r1', unit)
    wait_for(lambda: 'the page' in fetch(8000), lambda: M.journal())
    assert M.show(unit, 'FileDescriptorStoreMax') == '512' and 'FDSTORE=512' in M.show(unit, 'Environment')
    before = (inode_of('tcp', 8000), udp_inodes(unit))
    wait_for(lambda: int(M.show(unit, 'NFileDescriptorStore')) >= 3, lambda: M.show(unit, 'NFileDescriptorStore'))
    drop_in(unit, 'slow', '[Service]\nRestartSec=100ms\nExecStartPre=+/bin/sh -c "until test -e /run/go; do sleep 0.02; done"\n')
    stack.callback(drop_no_more, unit)
    M.ok('systemctl', 'restart', '--no-block', unit)
    wait_for(lambda: M.show(unit, 'SubState') == 'start-pre', lambda: M.show(unit, 'SubState'))
    client = subprocess.Popen(M.words('python3', '-c',
                                      'import socket; c = socket.create_connection(("127.0.0.1", 8000)); print("in", flush=True);'
                                      'c.sendall(b"GET /page HTTP/1.0\\r\\n\\r\\n"); print(c.makefile().read())'),
                              stdout=subprocess.PIPE, text=True)
    stack.callback(client.kill)
    assert client.stdout.readline() == 'in\n'
    M.write('/run/go', '')
    assert 'the page' in client.communicate(timeout=60)[0], M.journal(unit)
    wait_for(lambda: state(unit) == 'active', lambda: M.journal(unit))
    after = (inode_of('tcp', 8000), udp_inodes(unit))
    assert after[0] == before[0] and len(after[1] & before[1]) == 2, (before, after, M.journal(unit))
    M.ok('systemctl', 'kill', '--kill-whom=main', '-s', 'KILL', unit)
    wait_for(lambda: int(M.show(unit, 'NRestarts')) > 0 and state(unit) == 'active', lambda: M.journal(unit))
    assert inode_of('tcp', 8000) == before[0] and 'the page' in fetch(8000)
    M.ok('systemctl', 'stop', unit)
    assert inode_of('tcp', 8000) is None
    M.ok('systemctl', 'start', unit)


if __name__ == '__main__':
    everything = contextlib.ExitStack()
    atexit.register(everything.close)
    install(everything)
    M = Machine(everything, FILES)
    M.ok('systemd-sysusers')
    main()

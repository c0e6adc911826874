#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""hypergated with the real router, forward and resolve workers, and a swarm worker that has no network.

supervisor_test.py HYPERGATED FAKE_SWARM FAKE_ROUTER WORKER..."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import free_ports, sanitized
from instance import (PATIENCE, ROOT, USER, Instance, alive, argv_of, check, children_of, fetch, fetch_until, run,
                      status_of, test, wait_for)

HYPERGATED, FAKE_SWARM, FAKE_ROUTER, *WORKERS = sys.argv[1:]
SECRET = '0123456789abcdef' * 4
HELLO = b'hello\n'


def place_of_workers(folder, **others):
    """libexec with the real workers, the fake swarm worker, and @others as scripts in place of them."""
    place = os.path.join(folder.path, 'libexec')
    os.mkdir(place)
    os.chmod(place, 0o755)
    for worker in WORKERS:
        shutil.copy(worker, place)
    shutil.copy(FAKE_SWARM, os.path.join(place, 'hypergate-swarm'))
    for role, script in others.items():
        path = os.path.join(place, 'hypergate-' + role)
        os.remove(path)
        folder.file('libexec/hypergate-' + role, '#!/bin/sh\n' + script + '\n', 0o755)
    return place


def configuration(folder, text, bootstrap):
    folder.file('key', SECRET + '\n', 0o600)
    seeds = ', '.join('"127.0.0.1:%d"' % port for port in bootstrap)
    return folder.file('r1.yaml', 'secretFile: %s/key\nport: %d\nhost: 127.0.0.1\nbootstrap: [%s]\n%s' %
                       (folder.path, free_ports(1, socket.SOCK_DGRAM)[0], seeds, text))


def start(folder, started, text, bootstrap, place=None, **options):
    instance = Instance(HYPERGATED, place or place_of_workers(folder), configuration(folder, text, bootstrap), **options)
    started.append(instance)
    return instance


def start_gateway(folder, started, gates=1, **options):
    """Ready, with its gates open; returns it and the gates' ports."""
    ports = free_ports(gates)
    instance = start(folder, started, 'gateway: {listen: 127.0.0.1}\n', ports, **options)
    instance.expect(r'ready: gateway of router')
    for port in ports:
        fetch_until(port, HELLO)
    return instance, ports


def the_workers(instance):
    """Of a gateway with one gate. Who made the key may end a moment after it was used."""
    wait_for(lambda: sorted((argv_of(pid) or [''])[0] for pid in children_of(instance.pid)) ==
             ['hypergate-forward', 'hypergate-resolve', 'hypergate-router', 'hypergate-swarm'], 'the workers, and nobody else')
    return children_of(instance.pid)


@test
def root_is_refused(folder, started):
    path = configuration(folder, 'gateway: {}\n', [1])
    if ROOT:
        instance = Instance(HYPERGATED, place_of_workers(folder), path, as_user=False)
    else:
        instance = Instance(HYPERGATED, place_of_workers(folder), path, '--user', 'root')
    started.append(instance)
    check(instance.end() == 77, 'exit code')
    check('--user' in instance.text(), 'no word about --user')
    check('told:' not in instance.text(), 'a worker ran')


@test
def a_user_that_is_not_there_is_refused(folder, started):
    path = configuration(folder, 'gateway: {}\n', [1])
    instance = Instance(HYPERGATED, place_of_workers(folder), path, '--user', 'nobody-of-that-name', as_user=False)
    started.append(instance)
    check(instance.end() == 67, 'exit code')


@test
def nonsense_on_the_command_line_is_exit_64(folder, started):
    instance = Instance(HYPERGATED, folder.path, '--frobnicate')
    started.append(instance)
    check(instance.end() == 64, 'exit code')
    check('usage: hypergated' in instance.text(), 'no usage')


@test
def a_bad_configuration_is_exit_78_with_every_complaint(folder, started):
    path = folder.file('bad.yaml', 'secretFile: /nonexistent/key\nlisten: 1\nprovider:\n  services: [{gatePort: 0}]\n')
    instance = Instance(HYPERGATED, place_of_workers(folder), path)
    started.append(instance)
    check(instance.end() == 78, 'exit code')
    text = instance.text()
    check(re.search(r'bad\.yaml:2:\d+: ', text), 'line 2')
    check(re.search(r'bad\.yaml:4:\d+: ', text), 'line 4')
    check('worker' not in text, 'something was started')


@test
def an_incomplete_installation_is_exit_69(folder, started):
    place = place_of_workers(folder)
    os.remove(os.path.join(place, 'hypergate-router'))
    instance = start(folder, started, 'gateway: {}\n', [1], place)
    check(instance.end() == 69, 'exit code')
    check('hypergate-router' in instance.text(), 'which one')


@test
def a_worker_of_another_build_is_exit_70(folder, started):
    instance = start(folder, started, 'gateway: {}\n', [1], place_of_workers(folder, router='exit 70'))
    check(instance.end() == 70, 'exit code')
    check('router worker is of another build' in instance.text(), 'no reason')


def limits_of(pid):
    """The soft and hard limits that a worker has taken from itself, which have no others."""
    with open('/proc/%d/limits' % pid, encoding='ascii') as file:
        rows = [re.split(r'  +', line) for line in file]
    return {row[0]: row[1] for row in rows if row[1] == row[2]}


def check_limits(pid):
    """No file but, with advertisements, memory files; no process, where there are no threads."""
    role, limits = argv_of(pid)[0].removeprefix('hypergate-'), limits_of(pid)
    check(limits['Max core file size'] == limits['Max msgqueue size'] == '0', 'limits of %s' % role)
    if sanitized(HYPERGATED):       # whose runtime writes its reports to files and starts a thread
        return
    if role in ('router', 'forward', 'resolve'):
        check(limits['Max file size'] == ('262144' if role == 'router' else '0'), 'file size of %s' % role)
    check(role == 'resolve' or limits['Max processes'] == '0', 'processes of %s' % role)


def check_wall(pid, supervisor):
    status = status_of(pid)
    for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        check(int(status[kind], 16) == 0, '%s of %s' % (kind, argv_of(pid)))
    if ROOT:
        check(int(status['CapBnd'], 16) == 0, 'CapBnd of %s' % argv_of(pid))
        check('0' not in status['Uid'].split(), 'uid of %s' % argv_of(pid))
        check('0' not in status['Gid'].split(), 'gid of %s' % argv_of(pid))
        check(status['Groups'].strip() == '', 'groups of %s' % argv_of(pid))
    check(status['NoNewPrivs'] == '1', 'no new privileges, %s' % argv_of(pid))
    if pid == supervisor:
        return
    check(status['Seccomp'] == '2', 'seccomp of %s' % argv_of(pid))
    check_limits(pid)
    if ROOT:        # others can't even look: it is not dumpable
        with open('/proc/%d/environ' % pid, 'rb') as file:
            check(file.read() == b'', 'environment of %s' % argv_of(pid))
        for fd in os.listdir('/proc/%d/fd' % pid):
            target = os.readlink('/proc/%d/fd/%s' % (pid, fd))
            check(target == '/dev/null' or target.startswith(('socket:', 'pipe:', 'anon_inode:')),
                  '%s holds %s' % (argv_of(pid), target))
    else:
        check(not os.access('/proc/%d/environ' % pid, os.R_OK), '%s can be read by its user' % argv_of(pid))


@test
def workers_stand_behind_their_walls(folder, started):
    instance, _ = start_gateway(folder, started)
    pids = the_workers(instance)
    for pid in pids:
        wait_for(lambda pid=pid: status_of(pid)['Seccomp'] == '2', 'no wall')
    for pid in [instance.pid] + pids:
        check_wall(pid, instance.pid)
        check(not any(SECRET in word for word in argv_of(pid)), 'the secret is in an argv')
    check(SECRET not in instance.text(), 'the secret is in the log')


@test
def weakness_14_33_the_swarm_worker_is_told_what_it_needs(folder, started):
    services = ''.join(f'  - {{gatePort: {gate}, servicePort: {port}, serviceHost: 127.0.0.1, protocol: {protocol}}}\n'
                       for gate, port, protocol in ((81, 1, 'tcp'), (82, 2, 'tcp'), (81, 3, 'tcp'), (81, 4, 'udp')))
    instance = start(folder, started, 'gateway: {listen: 127.0.0.1}\nprovider:\n  services:\n' + services, free_ports(3))
    told = instance.expect(r'told: port (\d+), 4 sockets, 3 seeds, 1 addresses, 1 routers, 2 identities, 3 services, '
                           r'gateway ([0-9a-f]{16}), provider ([0-9a-f]{16})')
    check(told[2] != told[3], 'one identity for two roles')
    instance.from_start()
    instance.expect(r'ready: provider and gateway of router [0-9a-f]{8}')
    check(len(instance.workers('swarm')) == 1, 'more than one node of the DHT')


@test
def a_client_gets_through(folder, started):
    instance, ports = start_gateway(folder, started, gates=3)
    for port in ports:
        check(fetch(port) == HELLO, 'gate %d' % port)
    check(len(instance.workers('forward', 'gates')) == 3, 'a worker each')


@test
def the_death_of_a_forward_worker_leaves_the_gate_open(folder, started):
    instance, ports = start_gateway(folder, started)
    pid = instance.worker('forward')
    os.kill(pid, signal.SIGKILL)
    check(fetch(ports[0], 10) == HELLO, 'the client that came meanwhile')       # never refused: the listener is not the worker's
    instance.replaced(pid, 'forward')
    instance.expect(r'forward worker 1 \(pid %d\) was killed by signal 9 .*; starting it now' % pid)


@test
def the_death_of_the_router_worker_closes_nothing(folder, started):
    instance, ports = start_gateway(folder, started, gates=2)
    pid = instance.worker('router')
    forwards = sorted(instance.workers('forward'))
    os.kill(pid, signal.SIGKILL)
    check(fetch(ports[0]) == HELLO, 'while it is away')
    instance.replaced(pid, 'router')
    instance.expect(r'router worker \(pid %d\) was killed by signal 9' % pid)
    instance.expect(r'swarm worker: met the router worker')
    for port in ports:
        fetch_until(port, HELLO)
    check(sorted(instance.workers('forward')) == forwards, 'forward workers were disturbed')


@test
def the_swarm_worker_comes_back_as_who_it_was(folder, started):
    instance, ports = start_gateway(folder, started)
    instance.from_start()
    before = instance.expect(r'told: .* 1 routers, .*')[0]    # once its keys were there
    pid = instance.worker('swarm')
    os.kill(pid, signal.SIGKILL)
    instance.replaced(pid, 'swarm')
    check(instance.expect(r'told: .*')[0] == before, 'another identity or port')
    fetch_until(ports[0], HELLO)


@test
def a_denied_system_call_is_named(folder, started):
    instance, ports = start_gateway(folder, started)
    pid = instance.worker('swarm')
    os.kill(pid, signal.SIGUSR1)
    instance.expect(r'swarm worker \(pid %d\) made a system call it may not make, socket \(\d+\), and was ended; '
                    r'starting it now' % pid)
    instance.replaced(pid, 'swarm')
    fetch_until(ports[0], HELLO)


@test
def a_worker_that_breaks_the_rules_is_killed(folder, started):
    instance, ports = start_gateway(folder, started)
    pid = instance.worker('swarm')
    os.kill(pid, signal.SIGUSR2)
    instance.expect(r'swarm worker \(pid %d\): broke the rules of its link: killed' % pid)
    instance.replaced(pid, 'swarm')
    fetch_until(ports[0], HELLO)


@test
def a_worker_that_breaks_the_rules_of_a_sibling_is_replaced_and_they_meet_again(folder, started):
    instance, ports = start_gateway(folder, started)
    liar, router = instance.worker('swarm'), instance.worker('router')
    os.kill(liar, signal.SIGWINCH)
    instance.expect(r'swarm worker \(pid %d\): broke the rules of its link to the router worker: killed, starting it again' % liar)
    instance.replaced(liar, 'swarm')
    instance.expect(r'swarm worker: met the router worker')
    fetch_until(ports[0], HELLO)
    check(instance.worker('router') == router, 'the router worker was disturbed')
    check(instance.text().count('pid %d)' % liar) == 1, 'more than one line about it')


@test
def workers_that_lose_each_other_are_introduced_again(folder, started):
    instance, ports = start_gateway(folder, started)
    swarm, router = instance.worker('swarm'), instance.worker('router')
    os.kill(swarm, signal.SIGURG)
    instance.expect(r'swarm worker and router worker lost each other, though both live: introduced again')
    instance.expect(r'swarm worker: met the router worker')
    fetch_until(ports[0], HELLO)
    check([instance.worker('swarm'), instance.worker('router')] == [swarm, router], 'one was replaced')


@test
def a_worker_that_can_not_live_is_started_ever_later(folder, started):
    place = place_of_workers(folder, router='echo "no luck \\033[31m" >&2; exit 3')
    instance = start(folder, started, 'gateway: {}\n', free_ports(1), place)
    instance.expect(r'router worker \(pid \d+\) ended with exit code 3; starting it now')
    waits = [float(instance.expect(r'router worker .* ended with exit code 3; starting it again in ([0-9.]+) s')[1])
             for _ in range(4)]
    check(waits == [0.1, 0.2, 0.4, 0.8], 'waits %s' % waits)
    check('router worker wrote: no luck \\x1b[31m' in instance.text(), 'its words')
    check('ready:' not in instance.text(), 'it is not ready')


@test
def weakness_14_1_a_port_in_use_is_said_once_and_waited_for(folder, started):
    ports = free_ports(2)
    with socket.socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        occupant.bind(('127.0.0.1', ports[0]))
        occupant.listen()
        instance = start(folder, started, 'gateway: {listen: 127.0.0.1}\n', ports)
        instance.expect(r'gate %d: can\'t listen on 127\.0\.0\.1: the port is in use .*; trying again in 1 s' % ports[0])
        fetch_until(ports[1], HELLO)
        time.sleep(2.5)         # two tries more
        check(instance.text().count("can't listen") == 1, 'said more than once')
    fetch_until(ports[0], HELLO)
    instance.expect(r'gate %d open on 127\.0\.0\.1' % ports[0])


@test
def a_udp_port_in_use_is_waited_for(folder, started):
    path = configuration(folder, 'gateway: {listen: 127.0.0.1}\n', free_ports(1))
    with open(path, encoding='utf-8') as file:
        port = int(re.search(r'port: (\d+)', file.read())[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupant:
        occupant.bind(('127.0.0.1', port))
        instance = Instance(HYPERGATED, place_of_workers(folder), path)
        started.append(instance)
        instance.expect(r'UDP port %d on 127\.0\.0\.1: the port is in use .* trying again in 1 s' % port)
        wait_for(lambda: instance.workers('router'), 'the rest does not run')
        check(not instance.workers('swarm'), 'a swarm worker without sockets')
    instance.expect(r'told: port %d, 4 sockets' % port)


@test
def a_filter_holds_the_router_worker_too(folder, started):
    ports = free_ports(2)
    instance = start(folder, started, 'gateway:\n  listen: 127.0.0.1\n  services: [{gatePort: %d}]\n' % ports[1], ports)
    fetch_until(ports[1], HELLO)
    check('gate %d' % ports[0] not in instance.text(), 'the other one was opened')


@test
def a_named_service_is_resolved_and_reached(folder, started):
    with socket.socket() as service:
        service.bind(('127.0.0.1', 0))
        service.listen()
        service.settimeout(PATIENCE)
        instance = start(folder, started, 'provider:\n  services: [{gatePort: 8000, serviceHost: localhost, servicePort: %d, '
                         'protocol: tcp}]\n' % service.getsockname()[1], free_ports(1))
        instance.expect(r'service 8000 is held by forward worker 1')
        client, _ = service.accept()
        with client:
            client.settimeout(PATIENCE)
            check(client.recv(100) == HELLO, 'the greeting')
    check(len(instance.workers('resolve')) == 1, 'a resolve worker')
    check(len(instance.workers('forward', 'services')) == 1, 'a forward worker')


@test
def services_share_workers_beyond_the_cap(folder, started):
    services = ''.join('    - {gatePort: %d, serviceHost: 127.0.0.1, servicePort: %d, protocol: tcp}\n' % (port, port)
                       for port in range(20000, 20090))
    instance = start(folder, started, 'provider:\n  services:\n' + services, free_ports(1))
    held = {}
    for _ in range(90):
        match = instance.expect(r'service (\d+) is held by forward worker (\d+)')
        held[int(match[1])] = int(match[2])
    check(sorted(held) == list(range(20000, 20090)), 'all services')
    check(len(set(held.values())) == 64, '%d workers' % len(set(held.values())))
    check(len(instance.workers('forward')) == 64, 'processes')


@test
def a_stopped_instance_leaves_nothing_behind(folder, started):
    instance, ports = start_gateway(folder, started)
    pids = the_workers(instance)
    check(instance.stop() == 0, 'exit code')
    check(not any(alive(pid) for pid in pids), 'workers are left')
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(('127.0.0.1', ports[0]))
    check('stopping: Terminated' in instance.text(), 'a word')
    check('starting it' not in instance.text(), 'a worker died on the way')


@test
def workers_die_with_their_supervisor(folder, started):
    instance, _ = start_gateway(folder, started)
    pids = the_workers(instance)
    instance.process.kill()
    instance.end()
    wait_for(lambda: not any(alive(pid) for pid in pids), 'workers live on')


@test
def an_interrupt_stops_it_even_when_a_worker_does_not_listen(folder, started):
    instance, _ = start_gateway(folder, started)
    pid = instance.worker('router')
    os.kill(pid, signal.SIGSTOP)
    check(instance.stop(signal.SIGINT) == 0, 'exit code')
    check('router worker (pid %d): did not stop in time: killed' % pid in instance.text(), 'no word')
    check(not alive(pid), 'it lives')


@test
def weakness_14_28_a_stored_identity_outlives_the_supervisor(folder, started):
    state = os.path.join(folder.path, 'state')
    os.mkdir(state, 0o700)
    place = place_of_workers(folder)
    text = 'stateDirectory: %s\ngateway: {listen: 127.0.0.1}\nprovider: {services: []}\n' % state
    identities = []
    for _ in range(2):
        instance = start(folder, started, text, free_ports(1), place)
        identities.append(instance.expect(r'told: .*(gateway [0-9a-f]+, provider [0-9a-f]+)')[1])
        check(instance.stop() == 0, 'exit code')
    check(identities[0] == identities[1], 'another identity')
    files = sorted(os.listdir(state))
    check(files == ['r1.gates', 'r1.gateway.seed', 'r1.nodes', 'r1.provider.seed'], 'files: %s' % files)
    for name in files:
        check(os.stat(os.path.join(state, name)).st_mode & 0o777 == 0o600, 'mode of ' + name)
    os.chmod(os.path.join(state, files[1]), 0o644)
    instance = start(folder, started, text, free_ports(1), place)
    check(instance.end() == 77, 'exit code with a readable identity')


@test
def an_identity_is_kept_or_not_as_it_was_said(folder, started):
    state = os.path.join(folder.path, 'state')
    os.mkdir(state, 0o700)
    place = place_of_workers(folder)

    def identity(said, status=0):
        instance = start(folder, started, 'gateway: {listen: 127.0.0.1}\n' + said, free_ports(1), place)
        if status:
            check(instance.end() == status, 'exit code')
            return instance.text()
        told = instance.expect(r'told: .*(gateway [0-9a-f]+)')[1]
        check(instance.stop() == 0, 'exit code')
        return told

    at = 'stateDirectory: %s\n' % state
    kept = [identity(at + said) for said in ('identity: persistent\n', 'identity: ephemeral\n', 'identity: ephemeral\n', '',
                                             'identity: persistent\n')]
    check(kept[0] == kept[3] == kept[4] and len(set(kept)) == 3, 'identities: %s' % kept)
    missing = 'stateDirectory: %s/none\n' % state
    text = identity(missing + 'identity: persistent\n', 73)
    check("none/r1.gateway.seed: No such file or directory: an identity that is to be persistent can't be kept there" in text, text)
    identity(missing)
    check('needs a folder to be kept in' in identity('identity: persistent\n', 78), 'no hint')


def gates_in_a_row(count):
    """Free ports with a free one above each."""
    while True:
        ports = sorted(free_ports(count))
        if all(b > a + 1 for a, b in zip(ports, ports[1:])) and ports[-1] < 65535:
            return ports


@test
def the_router_worker_gets_open_what_is_allowed_and_closed_what_it_gives_up(folder, started):
    ports = gates_in_a_row(2)
    place = place_of_workers(folder)
    shutil.copy(FAKE_ROUTER, os.path.join(place, 'hypergate-router'))
    instance = start(folder, started, 'gateway:\n  listen: 127.0.0.1\n  services: [{gatePort: %d, protocol: tcp}, {gatePort: %d, protocol: tcp}]\n' % (*ports,),
                     free_ports(1), place)
    for port in ports:
        fetch_until(port, HELLO)
    for port in ports:
        for gate in '%d/tcp' % (port + 1), '%d/udp' % port:
            wait_for(lambda gate=gate: 'the router worker wants gate %s open: refused' % gate in instance.text(), gate)
        check('gate %d open' % (port + 1) not in instance.text(), 'port %d' % (port + 1))
    forwards = instance.workers('forward')
    os.kill(instance.worker('router'), signal.SIGWINCH)
    for _ in ports:
        instance.expect(r'gate \d+ closed')
    for port in ports:
        try:
            fetch(port)
            check(False, 'gate %d is open' % port)
        except ConnectionRefusedError:
            pass
    wait_for(lambda: not any(alive(pid) for pid in forwards), 'workers without a gate live on')
    check('forward worker' not in instance.text(), 'one was killed, or complains')


@test
def the_service_manager_hears_of_it(folder, started):
    path = os.path.join(folder.path, 'notify')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        os.chmod(path, 0o777)
        manager.settimeout(PATIENCE)
        instance, _ = start_gateway(folder, started, env={'NOTIFY_SOCKET': path})
        heard = manager.recv(4096)
        while b'READY=1' not in heard:
            check(heard.startswith(b'STATUS='), 'heard %r' % heard)
            heard = manager.recv(4096)
        while not re.match(rb'STATUS=1 provider, 0 gateways, 1 gate open, 0 channels, 5 DHT nodes$', heard):
            heard = manager.recv(4096)
        check(instance.stop() == 0, 'exit code')
        while heard != b'STOPPING=1':
            heard = manager.recv(4096)


def memfd(name, text):
    fd = os.memfd_create(name)
    os.write(fd, text.encode())
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@test
def configuration_and_secret_come_by_descriptor(folder, started):
    gate = free_ports(1)[0]
    conf = memfd('conf', 'host: 127.0.0.1\nbootstrap: ["127.0.0.1:%d"]\ngateway: {listen: 127.0.0.1}\n' % gate)
    secret = memfd('secret', SECRET)
    instance = Instance(HYPERGATED, place_of_workers(folder), '--conf-fd', str(conf), '--secret-fd', str(secret),
                        fds=(conf, secret))
    started.append(instance)
    os.close(conf)
    os.close(secret)
    instance.expect(r'ready: gateway of router 207a0678')
    fetch_until(gate, HELLO)


@test
def a_secret_in_the_environment_is_wiped_from_it(folder, started):
    path = folder.file('r1.yaml', 'host: 127.0.0.1\nbootstrap: ["127.0.0.1:%d"]\ngateway: {listen: 127.0.0.1}\n' % free_ports(1)[0])
    instance = Instance(HYPERGATED, place_of_workers(folder), path, env={'HYPERGATE_ROUTER': SECRET})
    started.append(instance)
    instance.expect(r'ready: gateway of router 207a0678')
    try:
        with open('/proc/%d/environ' % instance.pid, 'rb') as file:
            check(SECRET.encode() not in file.read(), 'it is still there')
    except PermissionError:
        check(not ROOT, 'root may look')        # and others can't


@test
def descriptors_that_were_closed_are_no_trap(folder, started):
    gate = free_ports(1)[0]
    path = configuration(folder, 'gateway: {listen: 127.0.0.1}\n', [gate])
    command = [HYPERGATED, path] + (['--user', USER] if ROOT else [])
    silent = subprocess.Popen(['sh', '-c', 'exec "$0" "$@" <&- >&- 2>&-'] + command,
                              env={'HYPERGATE_LIBEXEC': place_of_workers(folder)})
    try:
        fetch_until(gate, HELLO)
    finally:
        silent.terminate()
    check(silent.wait(PATIENCE) == 0, 'exit code')


@test
def a_root_that_stays_root_has_workers_without_capabilities(folder, started):
    path = configuration(folder, 'gateway: {listen: 127.0.0.1}\n', free_ports(1))
    instance = Instance(HYPERGATED, place_of_workers(folder), path, '--allow-root', as_user=False)
    started.append(instance)
    instance.expect('ready:')
    for pid in instance.workers():
        status = status_of(pid)
        check(all(int(status[kind], 16) == 0 for kind in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')), argv_of(pid)[0])
        check(not ROOT or int(status['CapBnd'], 16) == 0, 'bounding set of ' + argv_of(pid)[0])


@test
def workers_that_hang_do_not_hold_up_the_rest_and_are_replaced(folder, started):
    instance, ports = start_gateway(folder, started, gates=2)
    swarm, router, resolve = (instance.worker(role) for role in ('swarm', 'router', 'resolve'))
    os.kill(router, signal.SIGSTOP)
    os.kill(resolve, signal.SIGSTOP)
    check(fetch(ports[0]) == HELLO and fetch(ports[1]) == HELLO, 'gates')
    os.kill(swarm, signal.SIGHUP)                               # runs, and never looks up
    for pid in swarm, router, resolve:
        instance.from_start()
        instance.expect(r'worker \(pid %d\): takes no messages any more: killed, starting it again' % pid, 3 * PATIENCE)
        check(instance.text().count('pid %d)' % pid) == 1, 'more than one line about it')
    for pid, role in (swarm, 'swarm'), (router, 'router'), (resolve, 'resolve'):
        instance.replaced(pid, role)
    for port in ports:
        fetch_until(port, HELLO)
    check(len(instance.text().split('takes no messages')) == 4, 'somebody else was killed')


run()

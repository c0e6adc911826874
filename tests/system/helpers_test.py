#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The virtual network of a gateway at a Docker engine: helpers are made and removed as services come and go. The engine is played by the
test; a helper that it is asked to start is the real program, in a network of its own."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from engine_double import NETWORK, Engine
from harness import Process, Service, eventually, free_ports, main, new_secret, read_all, serve_bytes, start_dht, start_instance, test
from networks import with_networks
from virtual_test import ADDRESS, container, helper_program

ONE, TWO = 'mysql.hyper', 'web.hyper'


class Scene:
    """A provider of two hosts with a service at the same port, one of them with a second, and a gateway with an engine. .networks
    {host: where its helper is}."""

    def __init__(self, stack, docker=None, gateway=None):
        self.stack, self.engine = stack, Engine(stack)
        self.engine.starts = self.start_helper
        self.networks, self.docker = {}, {'refreshTime': 1000, **(docker or {})}
        self.secret, self.dht, self.gates = new_secret(), start_dht(stack, 1), free_ports(3)
        self.service = {ONE: Service(stack, serve_bytes(b'one')), TWO: Service(stack, serve_bytes(b'two'))}
        self.conf = {'bootstrap': [self.dht], 'gateway': {'listen': '127.0.0.1', **(gateway or {})},
                     'docker': {'socket': self.engine.path, **self.docker}}
        self.provider = self.gateway = None

        self.runtime = self.folder(0o755)       # as /run/hypergate is

    def folder(self, mode):
        path = tempfile.mkdtemp(prefix='hypergate-test-')
        os.chmod(path, mode)
        self.stack.callback(shutil.rmtree, path)
        return path

    def start(self, hosts=(ONE, TWO), under=()):
        self.engine.start()
        self.provide(hosts)
        self.gateway = start_instance(self.stack, 'gateway', self.secret, self.conf, env={'RUNTIME_DIRECTORY': self.runtime}, under=under)
        return self

    def as_container(self, number):
        """The words before a program that make it see what is in one of that number: a file that its engine brought."""
        brought = os.path.join(self.folder(0o755), number)
        os.mkdir(brought)
        shutil.copy('/etc/hosts', brought)
        rights = [] if os.geteuid() == 0 else ['--map-current-user', '--keep-caps']
        mount = f'mount --make-rprivate / 2>/dev/null; mount --bind {brought}/hosts /etc/hosts && exec "$@"'
        return ['unshare', *rights, '--mount', '--propagation', 'unchanged', 'sh', '-c', mount, 'sh']

    def provide(self, hosts):
        services = [{'gatePort': self.gates[number], 'serviceHost': '127.0.0.1', 'alias': host, 'servicePort': self.service[host].port}
                    for number, host in enumerate(hosts)]
        if services:
            services.append({**services[0], 'gatePort': self.gates[2], 'protocol': 'udp'})
        config = {'bootstrap': [self.dht], 'provider': {'services': services}}
        if self.provider and self.provider.process.poll() is None:
            self.provider.stop()
        self.provider = start_instance(self.stack, 'provider', self.secret, config)

    def start_helper(self, found, said):
        """As the engine would: where it is, what it sees there, who it is; and it is gone when it ends."""
        network, (mount,) = container(self.stack), said['HostConfig']['Mounts']
        socket_path, host = said['Cmd']
        path = socket_path.replace(mount['Target'], mount['Source'])
        user = ['setpriv', '--reuid', said['User'].split(':')[0], '--clear-groups'] if os.geteuid() == 0 else []
        with network.inside():
            helper = subprocess.Popen([*user, helper_program(), path, host])
        self.stack.callback(helper.wait, 20)
        self.stack.callback(helper.kill)
        self.networks[host] = network
        threading.Thread(target=self.bury, args=[helper, found], daemon=True).start()

    def bury(self, helper, found):
        helper.wait()
        self.engine.remove(found['Id'])

    def answer(self, host):
        if host not in self.networks:
            return None
        with contextlib.suppress(OSError), self.networks[host].inside():
            with socket.create_connection((ADDRESS, self.service[host].port), timeout=20) as client:
                client.shutdown(socket.SHUT_WR)
                return read_all(client)

    def answers(self, host, seconds=40):
        eventually(lambda: self.answer(host) == {ONE: b'one', TWO: b'two'}[host], seconds, f'{host} answers')

    def has(self, *hosts, seconds=40):
        eventually(lambda: set(self.engine.helpers()) == set(hosts), seconds, lambda: f'helpers of {hosts}: {list(self.engine.helpers())}')

    def count(self, method, text):
        return sum(1 for asked, path in self.engine.asked if asked == method and text in path)


@test
def a_host_has_a_helper_while_somebody_has_its_service(stack):
    """one helper for a host, however many ports it has; it may do nothing else, answers by the service's own port and goes with it"""
    scene = Scene(stack, {'network': [NETWORK, 'second']}).start()
    scene.answers(ONE)
    scene.answers(TWO)
    helper = scene.engine.helpers()[ONE]
    said = scene.engine.made[helper['Id']]
    host, labels = said['HostConfig'], said['Labels']
    assert said['Image'] == 'hypergate' and said['Entrypoint'] == ['/usr/local/libexec/hypergate/hypergate-port'], said
    assert host['CapDrop'] == ['ALL'] and host['SecurityOpt'] == ['no-new-privileges'] and host['ReadonlyRootfs'] and host['AutoRemove'], host
    assert host['Sysctls'] == {'net.ipv4.ip_unprivileged_port_start': '0'} and host['NetworkMode'] == NETWORK, host
    assert host['Mounts'][0]['ReadOnly'] and host['Memory'] and host['PidsLimit'] and host['LogConfig'] == {'Type': 'none'}, host
    assert said['User'].split(':')[0] != '0' or os.geteuid() == 0, said
    assert labels['hypergate.EXCLUDE'] == 'true' and len(labels['hypergate.helper']) == 32, labels
    assert helper['Name'] == f'/hypergate-{ONE}-{labels["hypergate.helper"][:8]}', helper['Name']
    on = helper['NetworkSettings']['Networks']
    assert sorted(on) == sorted([NETWORK, 'second']) and all(how['Aliases'] == [ONE] for how in on.values()), on
    assert scene.secret not in json.dumps(said) and scene.secret not in json.dumps(scene.engine.asked)
    assert scene.count('POST', 'containers/create') == 2
    scene.provide([ONE])
    scene.has(ONE)
    scene.answers(ONE)
    assert helper['Id'] in scene.engine.containers, 'it was there, and stays'
    folder = os.path.dirname(said['HostConfig']['Mounts'][0]['Source'])
    assert oct(os.stat(said['HostConfig']['Mounts'][0]['Source']).st_mode & 0o777) == '0o700', folder
    scene.provider.stop()
    scene.has()


@test
def helpers_are_made_again_and_leftovers_removed(stack):
    """a helper that is gone comes back; those of a life before, or that never ran, are removed; none is left when the gateway ends"""
    scene = Scene(stack).start([ONE])
    scene.answers(ONE)
    first = scene.engine.helpers()[ONE]
    labels = first['Config']['Labels']
    scene.engine.remove(first['Id'])
    eventually(lambda: (now := scene.engine.helpers().get(ONE)) and now['Id'] != first['Id'], 20, 'another helper')
    for name, life, running in ('old', '0' * 16, True), ('stuck', labels['hypergate.life'], False):
        one = scene.engine.run(name, {**labels, 'hypergate.life': life, 'hypergate.host': f'{name}.hyper'})
        scene.engine.containers[one]['State'] = {'Running': running, 'Status': 'running' if running else 'created'}
        eventually(lambda: one not in scene.engine.containers, 20, f'{name} is removed')
    foreign, forgotten = (scene.engine.run(name, {**labels, 'hypergate.helper': 'f' * 32}) for name in ('foreign', 'forgotten'))
    scene.engine.containers[forgotten].update(State={'Running': False, 'Status': 'created'}, Created=1)
    eventually(lambda: forgotten not in scene.engine.containers, 20, 'one that nobody started is removed, whose ever it was')
    docker, = scene.gateway.workers('docker')
    os.kill(docker, signal.SIGKILL)
    eventually(lambda: scene.gateway.workers('docker') not in ([], [docker]), 20, 'another worker')
    second = scene.engine.helpers()[ONE]
    scene.provide([ONE, TWO])
    scene.answers(TWO)
    assert second['Id'] in scene.engine.containers and foreign in scene.engine.containers
    assert scene.gateway.stop() == 0
    eventually(lambda: [one['Id'] for one in scene.engine.helpers().values()] == [foreign], 20, 'no helper is left')


@test
def a_name_of_a_container_is_left_to_it(stack):
    """no helper for a host that a container of this network is called, by name or alias; one that comes later takes its place"""
    scene = Scene(stack)
    mine = scene.engine.run('something', {'hypergate.EXCLUDE': 'true'}, aliases=['MySQL.hyper'])
    scene.engine.run(TWO, {}, networks=['elsewhere'])
    scene.start()
    scene.answers(TWO)
    assert list(scene.engine.helpers()) == [TWO]
    scene.engine.remove(mine)
    scene.answers(ONE)
    scene.engine.run(ONE, {})
    scene.has(TWO)
    scene.answers(TWO)


@test
def what_an_engine_refuses_is_told_of(stack):
    """no image, no address left, a name that is taken: a line each that says what to do, once; it goes on when it can"""
    scene = Scene(stack)
    scene.engine.images = set()
    scene.start([ONE])
    scene.gateway.says('docker load -i hypergate-*-image-*.tar.gz', 30)
    eventually(lambda: scene.count('POST', 'containers/create') > 2, 30, 'it is tried again')
    assert scene.gateway.log().count('No such image') == 1
    full = (403, {'message': 'no available IPv4 addresses on this network\'s address pools: hypergatenet'})
    scene.engine.refuse = lambda words, said: full if words[-1] == 'start' else None
    scene.engine.images = {'hypergate'}
    scene.gateway.says('larger --subnet', 40)
    eventually(lambda: not scene.engine.containers, 20, 'what never ran is removed')
    scene.engine.refuse = lambda words, said: (500, b'half a js') if words[-1] == 'create' else None
    scene.gateway.says("can't be made (status 500)", 40)
    taken = f'hypergate-{ONE}-{next(iter(scene.engine.made.values()))["Labels"]["hypergate.helper"][:8]}'
    stale = scene.engine.run(taken, {}, networks=['elsewhere'])
    scene.engine.refuse = None
    scene.answers(ONE, 60)
    assert stale not in scene.engine.containers


@test
def an_engine_that_starts_anew_gets_helpers_anew(stack):
    """an engine that takes its containers with it has them again when it is back, and its network, without anything being started anew"""
    scene = Scene(stack).start([ONE])
    scene.answers(ONE)
    scene.engine.stop()
    scene.gateway.says('Docker engine at ')
    scene.engine.containers.clear()
    scene.engine.networks.clear()
    scene.networks.clear()
    scene.engine.start()
    scene.answers(ONE)
    assert scene.engine.networks == {NETWORK: 'bridge'}


@test
def a_container_shares_its_volume_and_enters_networks(stack):
    """in a container helpers are of its image and get the volume with their socket, or a line says which; it enters networks of services"""
    scene = Scene(stack)
    mount = {'Type': 'bind', 'Source': f'{scene.runtime}/hosts', 'Destination': f'{scene.runtime}/hosts'}
    other = {'Type': 'volume', 'Name': 'state', 'Destination': '/var/lib/hypergate'}
    number = scene.engine.run('gateway', {'hypergate.EXCLUDE': 'true'}, networks=['bridge'])
    mine = scene.engine.containers[number]
    mine.update(Image='sha256:ours', HostConfig={'NetworkMode': 'bridge'}, Mounts=[other])
    scene.engine.images = {'sha256:ours'}
    scene.conf['provider'] = {}
    scene.start(under=scene.as_container(number))
    scene.gateway.says(f'docker run --volume {scene.runtime}/hosts', 30)
    scene.gateway.says(f'Docker network {NETWORK}: this container is connected to it')
    assert list(mine['NetworkSettings']['Networks']) == ['bridge', NETWORK] and scene.count('POST', 'containers/create') == 0
    mine['Mounts'].append(mount)
    scene.answers(ONE)
    said = scene.engine.made[scene.engine.helpers()[ONE]['Id']]
    assert said['Image'] == 'sha256:ours' and said['Cmd'] == ['/run/hypergate/hosts/gateway/port.sock', ONE], said
    wanted = {'Type': 'bind', 'Source': f'{scene.runtime}/hosts', 'Target': '/run/hypergate/hosts', 'ReadOnly': True}
    assert said['HostConfig']['Mounts'] == [wanted], said
    assert scene.count('POST', 'connect') == 1


@test
def a_command_line_has_a_place_of_its_own(stack):
    """two gateways without a file, in one runtime directory, each with its helpers at the same engine"""
    scene = Scene(stack)
    scene.engine.start()
    scene.provide([ONE])
    words = ['--gateway', '--listen', '127.0.0.1', '--docker', scene.engine.path, '--image', 'other', '--bootstrap', scene.dht,
             '--exposeOnlyDocker', 'false']
    scene.engine.images = {'other'}
    env = {'RUNTIME_DIRECTORY': scene.runtime, 'HYPERGATE_ROUTER': scene.secret}
    gateways = [Process(stack, name, words, env) for name in ('first', 'second')]
    made = lambda: [one for one in list(scene.engine.containers.values()) if one['State']['Running']]
    for gateway in gateways:
        gateway.says(f'host {ONE}: port {scene.service[ONE].port} open', 40)
    assert len({one['Config']['Labels']['hypergate.helper'] for one in made()}) == 2
    assert gateways[0].stop() == 0
    eventually(lambda: len(made()) == 1, 20, 'the other one stays')


@test
def a_container_of_another_engine_is_a_machine_to_this_one(stack):
    """one that the engine does not know is asked for once, and helpers get the folder"""
    scene = Scene(stack)
    scene.start([ONE], under=scene.as_container('ab' * 32))
    scene.answers(ONE)
    asked = len(scene.engine.asked)
    eventually(lambda: len(scene.engine.asked) > asked + 8, 20, 'more rounds')
    assert scene.count('GET', 'abab') == 1


if __name__ == '__main__':
    with_networks()
    main()

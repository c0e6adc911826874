# SPDX-License-Identifier: BSD-3-Clause
"""Services in containers, at an engine that the test plays: found as they come and go, and what engines do that are wrong, gone or somebody else."""
from engine_double import Engine
from harness import Service, answers, eventually, free_ports, listens, main, new_secret, serve_echo, start_dht, start_instance, test

class Scene:
    def __init__(self, stack, docker=None, services=()):
        self.engine, self.echo, self.gates = Engine(stack), Service(stack, serve_echo), free_ports(3)
        self.secret, self.dht, self.stack = new_secret(), start_dht(stack, 1), stack
        self.docker, self.services = docker or {}, list(services)

    def start(self, filters=()):
        self.provider = start_instance(self.stack, 'provider', self.secret, {
            'bootstrap': [self.dht], 'provider': {'services': self.services}, 'docker': {'socket': self.engine.path, **self.docker}})
        self.gateway = start_instance(self.stack, 'gateway', self.secret, {'bootstrap': [self.dht], 'gateway': {
            'listen': '127.0.0.1', 'services': list(filters)}})
        return self

    def expose(self, gate):
        return {'hypergate.EXPOSE': f'{self.echo.port}:{self.gates[gate]}'}

    def opens(self, gate, seconds=30):
        eventually(lambda: listens(self.gates[gate]) and answers(self.gates[gate]), seconds, f'gate {gate}')


@test
def a_container_is_served_as_it_starts_and_until_it_stops(stack):
    """events make it known; a service of the configuration stays beside it; its announced name is its alias; a garbage entry is told of once"""
    scene = Scene(stack)
    scene.services = [{'gatePort': scene.gates[2], 'serviceHost': '127.0.0.1', 'servicePort': scene.echo.port}]
    scene.engine.start()
    scene.start([{'serviceHost': 'web.hyper', 'tags': 'docker published'}, *({'gatePort': gate} for gate in scene.gates[1:])])
    scene.opens(2)
    eventually(lambda: scene.engine.listeners, 20, 'events are heard')
    web = scene.engine.run('web', {'hypergate.EXPOSE': f'{scene.echo.port}:{scene.gates[0]},nonsense'}, aliases=['web.hyper'])
    scene.opens(0)
    scene.provider.says('container web: label hypergate.EXPOSE: "nonsense"')
    scene.engine.run('other', scene.expose(1), networks=['elsewhere'])
    scene.engine.run('hidden', {**scene.expose(1), 'hypergate.EXCLUDE': 'TRUE'})
    rounds = len(scene.engine.asked)
    scene.engine.happens()
    eventually(lambda: len(scene.engine.asked) > rounds + 2, 20, 'another round')
    assert not listens(scene.gates[1]) and answers(scene.gates[2])
    assert scene.provider.log().count('"nonsense"') == 1
    scene.engine.remove(web)
    eventually(lambda: not answers(scene.gates[0]), 20, 'it is withdrawn')
    assert answers(scene.gates[2]) and not scene.provider.log().count(scene.secret)


@test
def a_file_that_is_wrong_by_now_holds_no_container_back(stack):
    """what is found goes over the configuration as it was taken last; one that is being written takes effect when somebody says so"""
    scene = Scene(stack)
    scene.services = [{'gatePort': scene.gates[2], 'serviceHost': '127.0.0.1', 'servicePort': scene.echo.port}]
    scene.engine.start()
    scene.start()
    scene.opens(2)
    with open(scene.provider.conf) as file:
        text = file.read().replace(f'"gatePort": {scene.gates[2]},', f'"gatePort": {scene.gates[1]},')

    def write(what):
        with open(scene.provider.conf, 'w') as file:
            file.write(what)
    write('provider: [')
    web = scene.engine.run('web', scene.expose(0))
    scene.opens(0)
    write(text)
    scene.engine.remove(web)
    eventually(lambda: not answers(scene.gates[0]), 20, 'it is withdrawn')
    scene.engine.run('again', scene.expose(0))
    scene.opens(0)
    assert not listens(scene.gates[1]) and answers(scene.gates[2]), 'nobody has said that it takes effect'
    scene.provider.process.send_signal(1)       # SIGHUP
    scene.opens(1)
    assert answers(scene.gates[0])


@test
def a_network_is_made_where_there_is_none(stack):
    """unless nothing is to be made, of which a line tells; one of another driver is told of, and used"""
    scene = Scene(stack, {'network': ['made', 'there']})
    scene.engine.networks = {'there': 'macvlan'}
    scene.engine.start()
    scene.start()
    scene.provider.says('Docker network made: made')
    scene.provider.says('Docker network there is of driver macvlan')
    assert scene.engine.networks['made'] == 'bridge'
    careful = start_instance(stack, 'careful', scene.secret, {'bootstrap': [scene.dht], 'provider': {}, 'docker': {
        'socket': scene.engine.path, 'network': 'absent', 'readOnly': True}})
    careful.says('docker network create absent')
    assert 'absent' not in scene.engine.networks and [method for method, _ in scene.engine.asked].count('POST') == 1


@test
def an_engine_may_come_late_go_and_come_back(stack):
    """what was found stays meanwhile, and what is there afterwards is found, without anything being started anew"""
    scene = Scene(stack, {'refreshTime': 1000})
    scene.start()
    scene.provider.says('Docker engine at ')
    scene.engine.start()
    scene.engine.run('web', scene.expose(0))
    scene.opens(0)
    scene.provider.says('it can be reached now')
    scene.engine.stop()
    scene.provider.says('No such file or directory')
    assert answers(scene.gates[0]), 'the container still is there'
    scene.engine.run('db', scene.expose(1))
    scene.engine.start()
    scene.opens(1)
    assert answers(scene.gates[0])


@test
def what_no_engine_says_is_told_of_and_survived(stack):
    """half a JSON, no HTTP, an old version, no room for a network, a container without an end: a line each, and the rest keeps working"""
    tricks = [
        (lambda to: to.say(200, b'{"ApiVersion": "1.4'), 'no version of a Docker engine'),
        (lambda to: to.wfile.write(b'SSH-2.0-OpenSSH_9.2\r\n') and to.connection.close(), 'no HTTP'),
        (lambda to: to.say(200, {'ApiVersion': '1.18'}), 'it speaks API 1.18'),
        (lambda to: to.say(403, {'message': 'no'}), 'status 403'),
    ]
    scene = Scene(stack, {'refreshTime': 1000})
    scene.services = [{'gatePort': scene.gates[2], 'serviceHost': '127.0.0.1', 'servicePort': scene.echo.port}]
    scene.engine.trick = tricks[0][0]
    scene.engine.start()
    scene.start()
    scene.opens(2)
    for trick, said in tricks:
        scene.engine.trick = trick
        eventually(lambda: said in scene.provider.log(), 40, said)
        assert answers(scene.gates[2])
    scene.engine.networks, scene.engine.no_room, scene.engine.trick = {}, True, None
    eventually(lambda: "can't be made (status 500)" in scene.provider.log() and '--subnet that is free' in scene.provider.log(),
               40, 'no room')
    scene.engine.no_room = False
    scene.engine.run('web', scene.expose(0))
    scene.opens(0, 60)
    scene.provider.says('answers again')
    assert answers(scene.gates[2])


main()

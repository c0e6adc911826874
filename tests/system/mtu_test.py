# SPDX-License-Identifier: BSD-3-Clause
"""A path that carries less than it did, in the middle of a transfer: nobody says so, or our own machine refuses to send. And one to a UDP
service, or to a client, that carries less than its datagrams take.

Provider and gateway have a network of their own each (a namespace), and two routers between them."""
import hashlib
import socket
import threading
import time

from harness import Service, answers, connect, eventually, free_ports, main, new_secret, read_all, serve_echo, start_dht, start_instance, test
from networks import Network, ip, tool, with_networks
from udp_scene import Echo, ask

BYTES = 60_000_000
SILENT = 'table ip silent { chain out { type filter hook output priority 0; ip protocol icmp drop; }; }'


def chain(stack, count):
    """So many sites in a row, each with a link to the next one; those between the first and the last are routers."""
    sites = [Network(stack) for _ in range(count)]
    for number, (left, right) in enumerate(zip(sites, sites[1:])):
        with left.inside():
            ip('link', 'add', 'right', 'type', 'veth', 'peer', 'name', 'left', 'netns', right.path)
        for site, device, host in ((left, 'right', 1), (right, 'left', 2)):
            with site.inside():
                ip('address', 'add', f'10.98.{number}.{host}/24', 'dev', device)
                ip('link', 'set', device, 'up')
                with open('/proc/sys/net/ipv4/ip_forward', 'w') as file:
                    file.write('1')
    for number, site in enumerate(sites):
        with site.inside():
            for other in range(count - 1):
                if not number - 1 <= other <= number:
                    via = f'10.98.{number}.2' if other > number else f'10.98.{number - 1}.1'
                    ip('route', 'add', f'10.98.{other}.0/24', 'via', via)
    return sites


def set_mtu(site, device, mtu):
    with site.inside():
        ip('link', 'set', device, 'mtu', str(mtu))


class Path:
    """A provider of an echo, two routers, a gateway with a gate to it; the DHT is at the first router."""

    def __init__(self, stack):
        self.theirs, self.near, self.far, self.ours = chain(stack, 4)
        with self.near.inside():
            dht = start_dht(stack, 3, '10.98.0.2')
        secret, self.gate = new_secret(), free_ports(1)[0]
        with self.theirs.inside():
            echo = Service(stack, serve_echo)
            self.provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [
                {'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'tcp'}]}})
        with self.ours.inside():
            self.gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
            eventually(lambda: answers(self.gate), 40, 'service')


def counters(site):
    """Of IP."""
    with site.inside(), open('/proc/net/snmp') as file:
        lines = [line.split()[1:] for line in file if line.startswith('Ip:')]
    return dict(zip(lines[0], map(int, lines[1])))


def survives(stack, narrow):
    path = Path(stack)
    data = hashlib.shake_128(b'path').digest(BYTES // 60) * 60
    processes = path.provider.settled() + path.gateway.settled()
    with path.ours.inside():
        connection = connect(path.gate)
    stack.callback(connection.close)

    def write():
        connection.sendall(data[:BYTES // 3])
        narrow(path)
        connection.sendall(data[BYTES // 3:])
        connection.shutdown(1)

    began = time.monotonic()
    writer = threading.Thread(target=write)
    writer.start()
    back = read_all(connection)
    writer.join()
    print(f'# {time.monotonic() - began:.1f} s', flush=True)
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest(), len(back)
    assert path.provider.tree() + path.gateway.tree() == processes, 'a worker was replaced'
    return path


@test
def black_hole(stack):
    """the link between the routers narrows to 1,300 bytes, and they say nothing of it: the transfer arrives whole, for a moment in fragments"""
    def narrow(path):
        for router, device in ((path.near, 'right'), (path.far, 'left')):
            with router.inside():
                tool('nft', ['-f', '-'], SILENT)
            set_mtu(router, device, 1300)

    path = survives(stack, narrow)
    for counted in counters(path.near), counters(path.far):
        assert counted['FragFails'] > 0 and counted['FragCreates'] > 0, counted


@test
def own_interface(stack):
    """our own interfaces take no more than 1,300 bytes: the same"""
    path = survives(stack, lambda path: [set_mtu(path.theirs, 'right', 1300), set_mtu(path.near, 'left', 1300),
                                         set_mtu(path.ours, 'left', 1300), set_mtu(path.far, 'right', 1300)])
    assert counters(path.ours)['FragCreates'] > 0 or counters(path.theirs)['FragCreates'] > 0


def narrow_beyond_us(stack, silent):
    """A provider and a gateway; beyond a router, behind a link of 1,300 bytes, a UDP service and a client. What either sends, and gets."""
    ours, router, beyond = chain(stack, 3)
    set_mtu(router, 'right', 1300)
    set_mtu(beyond, 'left', 1300)
    if silent:
        with router.inside():
            tool('nft', ['-f', '-'], SILENT)
    with beyond.inside():
        service = Echo(stack, host='10.98.1.2')
    with ours.inside():
        near = Echo(stack)
        dht, secret, (gate, second) = start_dht(stack, 1), new_secret(), free_ports(2)
        services = [{'gatePort': port, 'serviceHost': host, 'servicePort': echo.port, 'protocol': 'udp'}
                    for port, host, echo in ((gate, '10.98.1.2', service), (second, '127.0.0.1', near))]
        start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services}})
        start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '0.0.0.0'}})

    def asks(site, host, port, echo):
        with site.inside():
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect((host, port))
        client.settimeout(0.5)
        eventually(lambda: ask(client, b'are you there?') == b'are you there?', 20, 'the service')
        client.settimeout(5)
        echo.seen.clear()
        for number in range(200):       # one that says so much has a socket of its own at the gate
            data = hashlib.shake_128(b'%d' % number).digest((1400, 10, 1401, 5000)[number % 4])
            assert ask(client, data) == data, f'{number}: {len(data)} bytes'
        assert len(echo.seen) == 1, 'one client is one session'
    asks(ours, '127.0.0.1', gate, service)
    asks(beyond, '10.98.0.1', second, near)


@test
def datagrams_where_routers_say_so(stack):
    """beyond a router that says that it carries 1,300 bytes a UDP service and a client get larger datagrams whole, the first one too"""
    narrow_beyond_us(stack, silent=False)


@test
def datagrams_where_routers_are_silent(stack):
    """beyond one that does not say so the same"""
    narrow_beyond_us(stack, silent=True)


if __name__ == '__main__':
    with_networks()
    main()

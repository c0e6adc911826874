# SPDX-License-Identifier: BSD-3-Clause
"""A path that carries less than it did, in the middle of a transfer: nobody says so, or our own machine refuses to send.

Provider and gateway have a network of their own each (a namespace), and two routers between them."""
import hashlib
import threading
import time

from harness import Service, answers, connect, eventually, free_ports, main, new_secret, read_all, serve_echo, start_dht, start_instance, test
from networks import Network, ip, tool, with_networks

BYTES = 60_000_000
SILENT = 'table ip silent { chain out { type filter hook output priority 0; ip protocol icmp drop; }; }'


class Path:
    """A provider of an echo, two routers, a gateway with a gate to it; the DHT is at the first router."""

    def __init__(self, stack):
        self.theirs, self.near, self.far, self.ours = sites = [Network(stack) for _ in range(4)]
        for number, (left, right) in enumerate(zip(sites, sites[1:])):
            with left.inside():
                ip('link', 'add', 'right', 'type', 'veth', 'peer', 'name', 'left', 'netns', right.path)
            for site, device, host in ((left, 'right', 1), (right, 'left', 2)):
                with site.inside():
                    ip('address', 'add', f'10.98.{number}.{host}/24', 'dev', device)
                    ip('link', 'set', device, 'up')
                    with open('/proc/sys/net/ipv4/ip_forward', 'w') as file:
                        file.write('1')
        for site, gateway in ((self.theirs, '10.98.0.2'), (self.near, '10.98.1.2'), (self.far, '10.98.1.1'), (self.ours, '10.98.2.1')):
            with site.inside():
                ip('route', 'add', 'default', 'via', gateway)
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

    def set_mtu(self, site, device, mtu):
        with site.inside():
            ip('link', 'set', device, 'mtu', str(mtu))


def counters(site):
    """Of IP."""
    with site.inside(), open('/proc/net/snmp') as file:
        lines = [line.split()[1:] for line in file if line.startswith('Ip:')]
    return dict(zip(lines[0], map(int, lines[1])))


def survives(stack, narrow):
    path = Path(stack)
    data = hashlib.shake_128(b'path').digest(BYTES // 60) * 60
    processes = path.provider.tree() + path.gateway.tree()
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
            path.set_mtu(router, device, 1300)

    path = survives(stack, narrow)
    for counted in counters(path.near), counters(path.far):
        assert counted['FragFails'] > 0 and counted['FragCreates'] > 0, counted


@test
def own_interface(stack):
    """our own interfaces take no more than 1,300 bytes: the same"""
    path = survives(stack, lambda path: [path.set_mtu(path.theirs, 'right', 1300), path.set_mtu(path.near, 'left', 1300),
                                            path.set_mtu(path.ours, 'left', 1300), path.set_mtu(path.far, 'right', 1300)])
    assert counters(path.ours)['FragCreates'] > 0 or counters(path.theirs)['FragCreates'] > 0


if __name__ == '__main__':
    with_networks()
    main()

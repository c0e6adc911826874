# SPDX-License-Identifier: BSD-3-Clause
"""A small internet of network namespaces, with every kind of NAT; nothing of it touches the machine's own network.

Public segment 203.0.113.0/24:
  dht1 .. dht6    a node of the DHT each
  pub1, pub2      open
  fw1, fw2        a public address behind a firewall that lets in only answers
  natA1, natA2    in one LAN, and natB1: a router that keeps ports (endpoint-independent mapping, address and port dependent filtering)
  cone1, cone2    a router each that lets everybody in at a mapped port (full cone)
  sym1, sym2      a router each that maps to another random port for each destination
  cgn1, cgn2      a home router each, with the same addresses inside, behind one router of a carrier; all keep ports
  cgs1            a home router behind a carrier's router of the kind of sym1
  loop1           a router as that of natB1, which leads back in who calls its own address from inside
  walled          a router that lets no UDP out
The routers drop what nobody asked for. HOSTS says what a host sees of all this, and check() whether it is so.

Lab(stack, delay_ms=20, loss=0.02): what leaves a machine of the public segment takes 20 ms to get to the next one, so that a way there
and back takes 40, and two of a hundred datagrams are lost on each; .wan.set() changes that for all or for some of them. A LAN, and the
way between the home routers of one carrier, takes no time."""
import contextlib
import hashlib
import socket

from networks import Network, tool
from wan import Wan

DHT_HOSTS = 6
DHT_PORT = 49737

# What a host's router (or routers, seen as one) does with a UDP port: mapping, filtering (RFC 4787).
OPEN, KEPT, RANDOM, NONE = 'kept', 'kept', 'per destination', 'blocked'
HOSTS = {
    'pub1': (OPEN, 'open'), 'pub2': (OPEN, 'open'), 'fw1': (OPEN, 'closed'), 'fw2': (OPEN, 'closed'),
    'natA1': (KEPT, 'closed'), 'natA2': (KEPT, 'closed'), 'natB1': (KEPT, 'closed'), 
    'cone1': (KEPT, 'open'), 'cone2': (KEPT, 'open'),
    'sym1': (RANDOM, 'closed'), 'sym2': (RANDOM, 'closed'),
    'cgn1': (KEPT, 'closed'), 'cgn2': (KEPT, 'closed'), 'cgs1': (RANDOM, 'closed'),
    'loop1': (KEPT, 'closed'),
    'walled': (NONE, 'closed'),
}

FIREWALL = '''
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop
    iifname "lo" accept
    ct state established,related accept
    meta l4proto icmp accept
  }
}
'''

# An input chain that accepts what nobody asked for would make an entry for it, and the LAN's own packet to that peer find its
# port taken. Such routers exist; these are the others.
ROUTER = '''
table ip nat {{
  chain pre {{
    type nat hook prerouting priority dstnat; policy accept
    {pre}
  }}
  chain post {{
    type nat hook postrouting priority srcnat; policy accept
    {post}
  }}
}}
table inet filter {{
  chain input {{
    type filter hook input priority filter; policy accept
    ct state established,related accept
    iifname "wan" meta l4proto udp drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop
    {forward}
    ct state established,related accept
    iifname "lan" accept
  }}
}}
'''

SILENCE = '''
table inet silence {{
  chain everything {{
    type filter hook prerouting priority raw; policy {policy}
    {rule}
  }}
}}
'''

MASQUERADE = 'oifname "wan" masquerade'
KINDS = {
    'keep': {'post': MASQUERADE},
    'random': {'post': 'oifname "wan" meta l4proto udp masquerade random,fully-random; ' + MASQUERADE},
    'cone': {'post': MASQUERADE, 'pre': 'iifname "wan" meta l4proto udp dnat to {first}',
             'forward': 'iifname "wan" meta l4proto udp accept'},
    'loop': {'pre': 'iifname "lan" ip daddr {wan} meta l4proto udp dnat to {first}', 'forward': 'iifname "lan" oifname "lan" accept',
             'post': 'ip saddr {first} oifname "lan" snat to {wan}; ' + MASQUERADE},
    'no-udp': {'post': MASQUERADE, 'forward': 'iifname "lan" meta l4proto udp drop'},
}


def write(path, text):
    with contextlib.suppress(FileNotFoundError), open(path, 'w') as file:       # a kernel without IPv6 has nothing to switch off
        file.write(text)


class Machine(Network):
    def __init__(self, lab, name):
        super().__init__(lab.stack)
        self.lab, self.name, self.wires, self.address = lab, name, {}, None
        with self.inside():
            for which in 'all', 'default':
                write(f'/proc/sys/net/ipv6/conf/{which}/disable_ipv6', '1')
                write(f'/proc/sys/net/ipv4/conf/{which}/send_redirects', '0')

    def plug(self, interface, address, bridge, gateway=None):
        """A cable to one of the lab's switches."""
        wire = self.wires[interface] = self.lab.cable()
        card = '02' + ''.join(f':{byte:02x}' for byte in hashlib.sha256(f'{self.name} {interface}'.encode()).digest()[:5])
        self.lab.switches.ip(f'link add {wire} type veth peer name {interface} address {card} netns {self.path}', f'link set {wire} up')
        if bridge == 'public' and self.lab.wan:
            self.ip(f'link set {interface} gso_max_segs 1')         # a datagram is lost, not sixty at once
            self.lab.wan.plug(self.name, wire)
        else:
            self.lab.switches.ip(f'link set {wire} master {bridge}')
        self.ip(f'address add {address}/24 dev {interface}', f'link set {interface} up',
                *([f'route add default via {gateway}'] if gateway else []))
        self.address = self.address or address

    def received(self, interface='eth0'):
        """Bytes that came in at an interface."""
        with self.inside(), open('/proc/thread-self/net/dev') as file:
            return next(int(line.split(':')[1].split()[0]) for line in file if line.split(':')[0].strip() == interface)

    def udp(self):
        with self.inside():
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.bind(('0.0.0.0', 0))
            one.settimeout(1)
            self.lab.stack.callback(one.close)
            return one


class Router:
    """Its machine is another one after each reboot, and knows nothing any more."""

    def __init__(self, lab, name, kind, wan, lan, outside, inside):
        self.lab, self.name, self.kind = lab, name, kind
        self.wan, self.lan, self.outside, self.inside = wan, lan, outside, inside
        self.machine = None
        self.boot()

    def boot(self):
        self.machine = Machine(self.lab, self.name)
        gateway = None if self.outside == 'public' else self.wan.rsplit('.', 1)[0] + '.1'
        self.machine.plug('wan', self.wan, self.outside, gateway)
        self.machine.plug('lan', self.lan, self.inside)
        with self.machine.inside():
            write('/proc/sys/net/ipv4/ip_forward', '1')
            parts = {name: KINDS[self.kind].get(name, '') for name in ('pre', 'post', 'forward')}
            first = self.lan.rsplit('.', 1)[0] + '.11'
            tool('nft', ['-f', '-'], ROUTER.format(**{name: text.format(first=first, wan=self.wan) for name, text in parts.items()}))

    def reboot(self, wan=None):
        """It forgets all mappings, and may have another address outside then."""
        self.machine.ip('link del wan', 'link del lan')
        self.wan = wan or self.wan
        self.boot()

    def silence(self, on=True, source=None):
        """Nothing passes any more, or nothing from @source, and nobody is told; or all is as before."""
        with self.machine.inside():
            if on:
                tool('nft', ['-f', '-'],
                     SILENCE.format(policy='accept' if source else 'drop', rule=f'ip saddr {source} drop' if source else ''))
            else:
                tool('nft', ['delete', 'table', 'inet', 'silence'])


class Lab:
    def __init__(self, stack, delay_ms=0, loss=0):
        self.stack, self.cables, self.hosts, self.routers = stack, 0, {}, {}
        self.switches = Network(stack)
        self.wan = Wan(stack, self.switches, delay_ms, loss) if delay_ms or loss else None
        if not self.wan:
            self.switch('public')
        for number in range(1, DHT_HOSTS + 1):
            self.host(f'dht{number}', f'203.0.113.{10 + number}', 'public')
        for number, name in enumerate(('pub1', 'pub2', 'fw1', 'fw2')):
            self.host(name, f'203.0.113.{31 + number}', 'public')
        for name in 'fw1', 'fw2':
            with self.hosts[name].inside():
                tool('nft', ['-f', '-'], FIREWALL)
        self.site('A', 101, 'keep', '10.1.0', 'natA1', 'natA2')
        self.site('B', 102, 'keep', '10.2.0', 'natB1')
        self.site('S1', 103, 'random', '10.3.0', 'sym1')
        self.site('S2', 104, 'random', '10.4.0', 'sym2')
        self.site('C', 105, 'keep', '100.64.0')
        self.site('C1', '100.64.0.11', 'keep', '10.5.0', 'cgn1', outside='C')
        self.site('C2', '100.64.0.12', 'keep', '10.5.0', 'cgn2', outside='C')
        self.site('D', 106, 'random', '100.65.0')
        self.site('D1', '100.65.0.11', 'keep', '10.6.0', 'cgs1', outside='D')
        self.site('F1', 107, 'cone', '10.7.0', 'cone1')
        self.site('F2', 109, 'cone', '10.9.0', 'cone2')
        self.site('L', 110, 'loop', '10.10.0', 'loop1')
        self.site('W', 108, 'no-udp', '10.8.0', 'walled')

    def __getitem__(self, name):
        return self.hosts[name]

    def cable(self):
        self.cables += 1
        return f'cable{self.cables}'

    def switch(self, name):
        self.switches.ip(f'link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0', f'link set {name} up')

    def host(self, name, address, bridge, gateway=None):
        machine = self.hosts[name] = Machine(self, name)
        machine.plug('eth0', address, bridge, gateway)

    def site(self, name, wan, kind, lan, *hosts, outside='public'):
        """A router and the hosts of its LAN. @wan: its address outside, or the last part of a public one."""
        self.switch(name)
        wan = f'203.0.113.{wan}' if outside == 'public' else wan
        self.routers[name] = Router(self, name, kind, wan, f'{lan}.1', outside, name)
        for number, host in enumerate(hosts):
            self.host(host, f'{lan}.{11 + number}', name, f'{lan}.1')

    def dht_bytes(self):
        """What came in at the nodes of the DHT, all together."""
        return sum(self.hosts[f'dht{number}'].received() for number in range(1, DHT_HOSTS + 1))

    def check(self):
        """Whether each host's NAT does what its name says: a kernel may lack what this needs."""
        if self.wan:
            self.wan.pause(True)
        first, second, third = (self.hosts[f'dht{number}'].udp() for number in (1, 2, 3))
        for name, wanted in HOSTS.items():
            seen = sees(self.hosts[name].udp(), first, second, third, (self['dht1'].address, self['dht2'].address))
            assert seen == wanted, f'{name}: its NAT is {seen}, not {wanted}; does this kernel have NAT and nf_tables?'
        if self.wan:
            self.wan.pause(False)


def sees(one, first, second, third, hosts):
    """(mapping, filtering) of the way between @one and the three others."""
    port = one.getsockname()[1]
    mapped = []
    for other, host in zip((first, second), hosts):
        one.sendto(b'mapping', (host, other.getsockname()[1]))
        try:
            mapped.append(other.recvfrom(100)[1])
        except TimeoutError:
            return NONE, 'closed'
    mapping = RANDOM if mapped[0] != mapped[1] else KEPT if mapped[0][1] == port else 'another'
    third.sendto(b'filtering', mapped[0])
    one.settimeout(0.1)
    try:
        one.recvfrom(100)
        return mapping, 'open'
    except TimeoutError:
        return mapping, 'closed'


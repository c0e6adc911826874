# SPDX-License-Identifier: BSD-3-Clause
"""PROXY headers between us, nginx and haproxy: who a service thinks its client is."""
import os

from scene import eventually, folder, join, listens, nginx, says, start, write

from harness import free_ports, main, test


def told(port):
    """A server that expects a header, and answers with what that says."""
    return (f'server {{ listen 127.0.0.1:{port} proxy_protocol; location / {{ return 200 '
            '"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port\\n"; } }')


def haproxy(stack, *proxies):
    """@proxies are (port to listen on, what else that line says, where to go and how)."""
    defaults = 'defaults\n mode tcp\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n'
    conf = write(os.path.join(folder(stack), 'haproxy.cfg'), defaults + ''.join(
        f'listen l{port}\n bind 127.0.0.1:{port} {bind}\n server s {server}\n' for port, bind, server in proxies))
    start(stack, 'haproxy', '-db', '-q', '-f', conf)
    for port, bind, _ in proxies:
        eventually(lambda: 'accept-proxy' in bind or listens(port), 20, 'haproxy')


def ask(host, port):
    """Who nginx thinks asks when we do from @host, and our own port."""
    said = says('curl', '-sS', '--interface', host, '-w', '%{local_port}', f'http://127.0.0.1:{port}/').split()
    assert len(said) == 4, said
    return said[0], said[1] == said[3], said[2]


@test
def nginx_knows_its_clients(stack):
    """curl to gates, and to haproxy before one, with send-proxy and send-proxy-v2: nginx has the client's address and port, by v1 and v2"""
    services, gates, fronts = free_ports(2), free_ports(3), free_ports(2)
    nginx(stack, services, *map(told, services))
    entries = [{'gatePort': gates[0], 'serviceHost': '127.0.0.1', 'servicePort': services[0], 'proxyProtocol': 'v1'},
               {'gatePort': gates[1], 'serviceHost': '127.0.0.1', 'servicePort': services[1], 'proxyProtocol': 'v2'}]
    join(stack, entries, {'trustedProxies': ['127.0.0.8']})
    for gate in gates[:2]:
        assert ask('127.0.0.9', gate) == ('127.0.0.9', True, str(gate))
    haproxy(stack, (fronts[0], '', f'127.0.0.1:{gates[1]} source 127.0.0.8 send-proxy'),
            (fronts[1], '', f'127.0.0.1:{gates[0]} source 127.0.0.8 send-proxy-v2'))
    for front in fronts:
        assert ask('127.0.0.9', front) == ('127.0.0.9', True, str(front))


@test
def haproxy_knows_its_clients(stack):
    """haproxy as a service, with accept-proxy, takes the header of either version, and tells nginx behind it in its own"""
    services, inner, gates = free_ports(2), free_ports(1), free_ports(2)
    nginx(stack, inner, *map(told, inner))
    haproxy(stack, *((service, 'accept-proxy', f'127.0.0.1:{inner[0]} send-proxy') for service in services))
    join(stack, [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service, 'proxyProtocol': version}
                 for gate, service, version in zip(gates, services, ('v1', 'v2'))])
    for gate in gates:
        assert ask('127.0.0.9', gate) == ('127.0.0.9', True, str(gate))


main()

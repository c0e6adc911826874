# SPDX-License-Identifier: BSD-3-Clause
"""Routers beside each other on one machine, and several providers and gateways of one; by curl, from nginx."""
import itertools

from place import eventually, gate, says

from scene import nginx

from harness import free_ports, listens, main, new_secret, start_dht, start_instance, test


def sites(stack, *words):
    """nginx, which says one word a port."""
    ports = free_ports(len(words))
    nginx(stack, ports, *(f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 {word}; }} }}' for port, word in zip(ports, words)))
    return ports


def start(stack, name, secret, dht, **roles):
    return start_instance(stack, name, secret, {'bootstrap': [dht], **roles})


def opens(host, port):
    return lambda: says('bash', '-c', f'curl -s http://{host}:{port}/ || true')


@test
def nine_paths(stack):
    """S09: three providers and three gateways of one router: each gateway's three ports lead to the three, twenty times, and all at once"""
    hosts, gates, dht, secret = ['127.0.0.2', '127.0.0.3', '127.0.0.4'], free_ports(3), start_dht(stack, 2), new_secret()
    for word, service, port in zip('ABC', sites(stack, 'A', 'B', 'C'), gates):
        start(stack, word, secret, dht, provider={'services': [gate(port, service)]})
    for host in hosts:
        start(stack, host, secret, dht, gateway={'listen': host})
    paths = list(itertools.product(hosts, gates))
    for host, port in paths:
        eventually(opens(host, port), 30, f'{host}:{port}')
    urls = [f'http://{host}:{port}/{number}' for number in range(20) for host, port in paths]
    wanted = ''.join('ABC'[gates.index(port)] for _ in range(20) for _, port in paths)
    assert says('curl', '-sS', '--fail', *urls) == wanted
    assert sorted(says('curl', '-sS', '--fail', '--parallel', '--parallel-max', '50', *urls)) == sorted(wanted)


@test
def two_routers_don_t_meet(stack):
    """S22: two routers with the same gate ports on one DHT and one machine: nobody is in both, whoever knows one secret has one word"""
    port, dht, secrets = free_ports(1)[0], start_dht(stack, 2), [new_secret(), new_secret()]
    gateways = []
    for secret, word, service, host in zip(secrets, ('red', 'blue'), sites(stack, 'red', 'blue'), ('127.0.0.2', '127.0.0.3')):
        start(stack, f'provider of {word}', secret, dht, provider={'services': [gate(port, service)]})
        gateways.append(start(stack, f'gateway of {word}', secret, dht, gateway={'listen': host}))
    for host, word in (('127.0.0.2', 'red'), ('127.0.0.3', 'blue')):
        eventually(opens(host, port), 30, word)
        assert says('curl', '-sS', '--fail', f'http://{host}:{port}/[1-50]') == word * 50
    for gateway in gateways:
        assert gateway.says('connected to 1 provider') and 'connected to 2' not in gateway.log()
    assert not listens(port), 'nobody said 127.0.0.1'


if __name__ == '__main__':
    main()

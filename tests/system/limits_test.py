# SPDX-License-Identifier: BSD-3-Clause
"""Limits of bandwidth, by ingress policies: one bucket for all connections of a client, whichever gate, swarm worker and provider carries them."""
import socket
import subprocess
import threading
import time

from harness import Service, digest, eventually, free_ports, listens, main, new_secret, pattern, serve_bytes, serve_digest, start_dht, \
    start_instance, talk, test
from udp_scene import Echo

RATE, BURST = 1000000, 125000


def curl(gate, data):
    """All of @data, from a service that just sends it."""
    done = subprocess.run(['curl', '-sS', '--fail', '--http0.9', '--max-time', '60', f'http://127.0.0.1:{gate}/'], capture_output=True, check=False)
    assert done.returncode == 0 and digest(done.stdout) == digest(data), (done.returncode, len(done.stdout), done.stderr)


def upload(gate, data):
    assert talk(gate, data) == digest(data).encode()


def together(*jobs):
    """All at once; what went wrong in one goes wrong here. How long they took."""
    wrong = []

    def tried(job):
        try:
            job()
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=tried, args=(job,)) for job in jobs]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return time.monotonic() - began


@test
def one_bucket(stack):
    """four downloads by two gates and four swarm workers, an upload beside them and datagrams after them: no more than one bucket each way, every byte"""
    dht, secret, gates = start_dht(stack, 1), new_secret(), free_ports(4)
    down, up = pattern(1, 250000), pattern(2, 1000000)
    services = [Service(stack, serve) for serve in (serve_bytes(down), serve_bytes(down), serve_digest)]
    echo = Echo(stack)
    entries = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port} for gate, service in zip(gates, services)]
    entries.append({'gatePort': gates[3], 'serviceHost': '127.0.0.1', 'servicePort': echo.port, 'protocol': 'udp'})
    policy = {'ips': {'127.0.0.0/8': {'bandwidthLimit': {'mbps': RATE * 8 / 1e6, 'burstMbps': BURST * 8 / 1e6}}}, 'defaults': {'allow': False}}
    start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'cores': 2, 'provider': {'services': entries, 'ingressPolicy': policy}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'cores': 2, 'gateway': {}})
    eventually(lambda: all(map(listens, gates[:3])), 30, 'the gates')
    took = together(*[lambda gate=gate: curl(gate, down) for gate in gates[:2] * 2],
                    lambda: upload(gates[2], up))
    assert took >= (4 * len(down) - BURST) / RATE, f'{took:.3f} s for {4 * len(down)} bytes'
    assert took < 30, took

    # The same bucket, and what is in it again by now.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.01)
        client.connect(('127.0.0.1', gates[3]))
        sent, got, began = 0, 0, time.monotonic()
        while sent < 2000000 or not got:
            for _ in range(30):
                sent += client.send(bytes(1000))
            try:
                while True:
                    got += len(client.recv(2000))
            except TimeoutError:
                pass
            assert time.monotonic() - began < 60, 'no datagram comes back'
        took = time.monotonic() - began
    assert got <= BURST + 1000 + took * RATE, (got, took)


main()

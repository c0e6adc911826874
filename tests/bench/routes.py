#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""routes.py [ROUNDS]: from the moment a provider is told of more services until a gateway has their gates open: one more at a time, and then
many at once. HYPERGATE_BIN names the command. In milliseconds, with the time that the reload takes; medians, and the most."""
import contextlib
import json
import os
import signal
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import Service, eventually, free_ports, listens, memory_kib, new_secret, serve_echo, start_dht, start_instance  # noqa: E402

MANY = 200


def tell(provider, gates, service):
    with open(provider.conf) as file:
        conf = json.load(file)
    conf['provider']['services'] = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service.port} for gate in gates]
    with open(provider.conf, 'w') as file:
        json.dump(conf, file)
    provider.process.send_signal(signal.SIGHUP)


def until_open(gates):
    began = time.monotonic()
    for gate in gates:
        while not listens(gate):
            time.sleep(0.0005)
    return (time.monotonic() - began) * 1e3


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with contextlib.ExitStack() as stack:
        secret, dht, service = new_secret(), start_dht(stack, 1), Service(stack, serve_echo)
        gates = free_ports(rounds + 1 + MANY)
        provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': []}})
        gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {}})
        provider.says('ready')
        tell(provider, gates[:1], service)
        eventually(lambda: listens(gates[0]), 30, 'the first gate')
        took = []
        for number in range(1, rounds + 1):
            tell(provider, gates[:number + 1], service)
            took.append(until_open(gates[number:number + 1]))
        print(f'one more, {rounds} times: {statistics.median(took):.0f} ms, at most {max(took):.0f} ms')
        before = memory_kib(gateway)
        tell(provider, gates[rounds:rounds + MANY], service)
        print(f'{MANY} at once: all open after {until_open(gates[rounds:rounds + MANY]):.0f} ms; the gateway: {before} KiB before, {memory_kib(gateway)} after')


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""many_routes.py [PROVIDERS [ROUTES [GATES]]]: a gateway of real processes that hears of 40 providers with 250 routes each, four behind
each of 2,500 gates (doubles of the original in one process, crowd.js), and a provider with as many services as one may have, of which it
advertises 256. How long until the gates are open, and what each process holds. In a network of its own (system/apart.py);
HYPERGATE_BIN names the command, NODE_PATH is as tests/run.sh sets it."""
import contextlib
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import Service, eventually, new_secret, program, serve_echo, start_dht, start_instance, talk      # noqa: E402

FIRST, ALONE = 20000, 10000


def gates_from(port):
    """How many are open there."""
    which = f'src 127.0.0.1 and sport >= {port} and sport < {port + 10000}'
    return len(subprocess.run(['ss', '-Hltn', which], check=True, capture_output=True, text=True).stdout.splitlines())


def tell_memory(what, instance):
    """Of each program, how many there are, and MB of all of them; shared pages counted once (PSS)."""
    found = {}
    for pid in instance.tree():
        with open(f'/proc/{pid}/smaps_rollup') as file:
            kib = int(re.search(r'Pss:\s+(\d+)', file.read())[1])
        count, before = found.get(program(pid), (0, 0))
        found[program(pid)] = (count + 1, before + kib)
    print(f'{what}: ' + ', '.join(f'{name.removeprefix("hypergate-")} {kib / 1024:.1f} MB' + (f' ({count})' if count > 1 else '')
                                  for name, (count, kib) in found.items()), flush=True)


def tell_times(what, port, wanted):
    """From now on."""
    began, took = time.monotonic(), {}
    while wanted not in took:
        count, now = gates_from(port), time.monotonic() - began
        assert now < 300, f'{count} of {wanted} gates'
        for share in (1, wanted // 2, wanted):
            if count >= share:
                took.setdefault(share, now)
        time.sleep(0.01)
    print(f'{what}: ' + ', '.join(f'{share} open after {took[share]:.2f} s' for share in sorted(took)), flush=True)


def start_crowd(stack, secret, dht, lists):
    crowd = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'crowd.js')
    options = json.dumps({'secret': secret, 'bootstrap': [dht], 'lists': lists})
    process = subprocess.Popen(['node', crowd], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    process.stdin.write(options)
    process.stdin.close()
    assert process.stdout.readline() == 'announced\n'


def main():
    providers, routes, gates = (int(word) for word in (sys.argv[1:] + ['40', '250', '2500'][len(sys.argv) - 1:]))
    with contextlib.ExitStack() as stack:
        secret, dht, service = new_secret(), start_dht(stack, 2), Service(stack, serve_echo)
        lists = [[{'gatePort': FIRST + (number * routes + i) % gates, 'servicePort': service.port} for i in range(routes)]
                 for number in range(providers)]
        start_crowd(stack, secret, dht, lists)
        gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
        tell_times(f'{providers} providers, {providers * routes} routes, {gates} gates, from the start of the gateway', FIRST, gates)
        ways = f'connected to {providers} providers'
        eventually(lambda: ways in gateway.log(), 120, ways)
        tell_memory('the gateway', gateway)
        for gate in range(FIRST, FIRST + gates, max(1, gates // 10)):
            assert talk(gate, b'hello', half_close=False, expect=5) == b'hello', gate
        entries = [{'gatePort': ALONE + i, 'serviceHost': '127.0.0.1', 'servicePort': service.port} for i in range(10000)]
        alone = start_instance(stack, 'alone', secret, {'bootstrap': [dht], 'provider': {'services': entries}})
        tell_times('one more provider, of 10,000 services, from its start', ALONE, 256)
        tell_memory('that provider', alone)
        tell_memory('the gateway', gateway)


if __name__ == '__main__':
    main()

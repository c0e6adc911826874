#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""perf script -F comm,pid,ip,sym,dso | layers.py HZ: what the samples of a profile fell on, as {"layer": seconds, ...}.

Ours is named by the folder of the source line (so it takes debug information), libraries by what they are for, and the kernel by
the system call: what it does of its own accord meanwhile (loopback: the receiver's half) counts to whoever called last."""
import json, re, subprocess, sys
from collections import Counter, defaultdict

CALLS = [('udp_sendmsg', 'kernel: send datagrams'), ('udp_recvmsg', 'kernel: receive datagrams'), ('tcp_sendmsg', 'kernel: send TCP'),
         ('tcp_recvmsg', 'kernel: receive TCP'), ('sock_splice', 'kernel: splice'), ('epoll', 'kernel: wait'),
         ('timerfd', 'kernel: wait'), ('unix_', 'kernel: IPC')]
LIBRARIES = [('libcrypto', 'cipher'), ('libsodium', 'cipher'), ('libc.so', 'libc'), ('libev', 'event loop'), ('[vdso]', 'event loop')]
FRAME = re.compile(r'\s+([0-9a-f]+) (.*) \((.*)\)$')


def stacks(lines):
    """Innermost frame first: (address in its file, symbol, file)."""
    stack = []
    for line in lines:
        frame = FRAME.match(line)
        if frame:
            stack.append((int(frame[1], 16), frame[2], frame[3]))
        elif not line.strip() and stack:
            yield stack
            stack = []
    if stack:
        yield stack


def folder(source):
    """worker/swarm/udx/udx_receive.c:120 is udx's."""
    parts = source.split(':')[0].split('/')
    for top in ('worker', 'daemon', 'conf', 'ipc'):
        if top in parts:
            at = len(parts) - 1 - parts[::-1].index(top)
            inner = parts[at + 1:-1]
            return inner[-1] if inner else top
    return 'other'


def resolve(addresses):
    """Of each program the layers of addresses in it."""
    found = {}
    for program, wanted in addresses.items():
        wanted = sorted(wanted)
        told = subprocess.run(['addr2line', '-e', program], input='\n'.join(map(hex, wanted)), text=True, capture_output=True).stdout
        found.update({(program, address): folder(line) for address, line in zip(wanted, told.splitlines())})
    return found


def main():
    samples, addresses, layers = [], defaultdict(set), Counter()
    for stack in stacks(sys.stdin):
        address, symbol, program = stack[0]
        library = next((name for part, name in LIBRARIES if part in program), None)
        if program.startswith('[kernel') or program.startswith('[guest'):
            layers[next((name for part, name in CALLS if any(part in symbol for _, symbol, _ in stack)), 'kernel: other')] += 1
        elif library:
            layers[library] += 1
        elif program.startswith('/'):
            addresses[program].add(address)
            samples.append((program, address))
        else:
            layers['other'] += 1
    found = resolve(addresses)
    layers.update(found.get(sample, 'other') for sample in samples)
    json.dump({name: round(count / int(sys.argv[1]), 3) for name, count in layers.most_common()}, sys.stdout)


main()

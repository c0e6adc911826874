#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""flood.py [storm] [ROUNDS [SECONDS [PER_SECOND]]]: what strangers cost those who are connected.

Downloads through a gateway and a provider while strangers send PER_SECOND datagrams to all their sockets, beside what is measured in
quiet, and beside a control: the same flood sent to sockets at which the kernel drops everything, as the senders need a part of the
machine, too. storm: they are handshakes to the provider, valid in every byte; before, with nothing else to do for it, what each costs
that is computed and answered. HYPERGATE_BIN names the command, STRANGERS the program that floods. A line of the table: megabytes a
second and their share of the control's (medians of the rounds), CPU time of both swarm workers for each megabyte and, over that of quiet, for each datagram of the
strangers; how many of these were sent, and what one costs its sender."""
import contextlib
import ctypes
import os
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import MB, connect, udp_ports  # noqa: E402
from hostile_test import hostile_seeds  # noqa: E402
from storm_test import KnownPair, Storm, cpu_us, knocks  # noqa: E402

SO_ATTACH_FILTER = 26
FEEDER = ('import socket,threading\n'
          'l=socket.create_server(("127.0.0.1",0));print(l.getsockname()[1],flush=True)\n'
          'def feed(c):\n'
          ' b=bytes(1<<20)\n'
          ' try:\n'
          '  while True: c.sendall(b)\n'
          ' except OSError: pass\n'
          'while True: threading.Thread(target=feed,args=(l.accept()[0],),daemon=True).start()\n')


def sink(stack):
    """The port of a socket whose filter keeps nothing."""
    code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))         # ret 0
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack('HL', 1, ctypes.addressof(code)))
    one.bind(('127.0.0.1', 0))
    stack.callback(one.close)
    return str(one.getsockname()[1])


class Download:
    """Counts what comes through a gate, for as long as it is left."""

    def __init__(self, port):
        self.connection, self.bytes = connect(port), 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        buffer = bytearray(MB)
        with contextlib.suppress(OSError):
            while got := self.connection.recv_into(buffer):
                self.bytes += got


class Bench:
    def __init__(self, stack, storm, seconds, per_second):
        self.storm, self.seconds, self.per_second = storm, seconds, per_second
        feeder = subprocess.Popen([sys.executable, '-c', FEEDER], stdout=subprocess.PIPE, text=True)
        stack.callback(feeder.kill)
        self.pair = KnownPair(stack, bulk=lambda connection: None)
        self.pair.service['bulk'].port = int(feeder.stdout.readline())
        self.pair.provider.stop()
        self.pair.provider = self.pair.start_provider()
        time.sleep(3)
        self.ports = udp_ports(self.pair.provider) + ([] if storm else udp_ports(self.pair.gateway))
        self.seeds = knocks(5000, self.pair.state) if storm else hostile_seeds()
        self.sinks = [sink(stack) for _ in self.ports]
        self.workers = self.pair.provider.workers('swarm') + self.pair.gateway.workers('swarm')

    def flood(self, ports, per_second):
        return Storm(self.seeds, per_second, ports, changed=not self.storm)

    def handshakes(self):
        """A second of rest counts as well as one of theirs, but for what the handshakes take; fewer come than are computed."""
        worker, seconds = self.workers[:1], 10
        before = cpu_us(worker)
        time.sleep(seconds)
        rest = cpu_us(worker) - before
        flood = self.flood(self.ports, 40)
        sent, *_ = flood.over(seconds)
        print(f'a handshake that is answered: {(cpu_us(worker) - before - 2 * rest) / sent:.0f} us ({sent} of them)')
        time.sleep(seconds)             # and their sessions are over

    def measure(self, ports):
        flood = self.flood(ports, self.per_second) if ports else None
        time.sleep(0.5)
        began, cpu, count = time.monotonic(), cpu_us(self.workers), self.download.bytes
        time.sleep(self.seconds)
        senders = cpu_us([flood.process.pid]) if flood else 0
        took, cpu, count = time.monotonic() - began, cpu_us(self.workers) - cpu, self.download.bytes - count
        sent = flood.over(0)[0] * took / flood.took if flood else 0
        return count / took / 1e6, cpu, count / 1e6, sent, senders

    def run(self, rounds):
        if self.storm:
            self.handshakes()
        self.download = Download(self.pair.gate['bulk'])
        rows = {'quiet': None, 'control': self.sinks, 'storm' if self.storm else 'flood': self.ports}
        figures = {name: [] for name in rows}
        for _ in range(rounds):
            for name, ports in rows.items():
                figures[name].append(self.measure(ports))
        quiet_per_mb = statistics.median(cpu / mb for _, cpu, mb, *_ in figures['quiet'])
        control = [speed for speed, *_ in figures['control']]
        print(f'{"":8} {"MB/s":>6} {"of control":>10} {"CPU ms/MB":>10} {"us/datagram":>12} {"datagrams/s":>12} {"sender us":>10}')
        for name, all_of in figures.items():
            speed = statistics.median(one[0] for one in all_of)
            share = statistics.median(one[0] / beside for one, beside in zip(all_of, control))
            cpu, mb, sent, senders = (sum(one[i] for one in all_of) for i in (1, 2, 3, 4))
            extra = (cpu - mb * quiet_per_mb) / sent if sent else 0
            print(f'{name:8} {speed:6.0f} {100 * share:9.0f}% {cpu / mb / 1000:10.2f} {extra:12.2f} '
                  f'{sent / rounds / self.seconds:12.0f} {senders / sent if sent else 0:10.2f}')


if __name__ == '__main__':
    storm = sys.argv[1:2] == ['storm']
    numbers = [int(word) for word in sys.argv[1 + storm:]]
    rounds, seconds, per_second = (numbers + [5, 3, 10000 if storm else 100000][len(numbers):])
    with contextlib.ExitStack() as stack:
        Bench(stack, storm, seconds, per_second).run(rounds)

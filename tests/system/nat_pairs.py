# SPDX-License-Identifier: BSD-3-Clause
"""A provider and a gateway in the NAT lab, each ours or the double of an original, on npm's hyperswarm (interop/double)."""
import hashlib
import json
import os
import subprocess
import threading
import time

from harness import MB, Process, Service, answers, connect, eventually, free_ports, new_secret, pattern, start_instance
from nat_lab import DHT_HOSTS, DHT_PORT

DOUBLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'interop', 'double', 'process.js')
BULK = pattern(20, 20 * MB)
BULK_DIGEST = hashlib.sha256(BULK).hexdigest()
BOOTSTRAP_NODE = ('const DHT = require("hyperdht"); const [port, ...bootstrap] = process.argv.slice(1);'
                  'new DHT({ port: Number(port), bootstrap, ephemeral: false, firewalled: false, host: "0.0.0.0" });'
                  'process.stdin.on("end", () => process.exit()).resume()')


def node(stack, *words, stdout=None):
    """A JavaScript process, which ends with us."""
    one = subprocess.Popen(['node', *words], stdin=subprocess.PIPE, stdout=stdout)
    stack.callback(one.wait)
    stack.callback(one.kill)
    return one


def start_dht(stack, lab, whose='ours'):
    """A node at each of the lab's hosts for it; returns the addresses of the first three, to begin at. Ours know each other then."""
    addresses, ours = [], []
    for number in range(1, DHT_HOSTS + 1):
        host = lab[f'dht{number}']
        address = f'{host.address}:{DHT_PORT}'
        with host.inside():
            if whose == 'ours':
                known = ['--bootstrap', addresses[0]] if addresses else []
                ours.append(Process(stack, f'dht {number}', ['bootstrap', '--listen', address, '--public', address, *known]))
            else:
                node(stack, '-e', BOOTSTRAP_NODE, str(DHT_PORT), *addresses[:1])
                if not addresses:
                    time.sleep(1)
        addresses.append(address)
    for one in ours:
        one.says('DHT reached')
    return addresses[:3]


THEIR_RELAY = """
const { createRequire } = require('module'), DHT = require('hyperdht'), blindRelay = createRequire(require.resolve('hyperdht'))('blind-relay')
const [host, port, ...bootstrap] = process.argv.slice(1), dht = new DHT({ bootstrap, host, port: Number(port), ephemeral: false, firewalled: false })
const relay = new blindRelay.Server({ createStream: (opts) => dht.createRawStream({ ...opts, framed: true }) })
const server = dht.createServer((socket) => {
  socket.on('error', () => {})
  relay.accept(socket, { id: socket.remotePublicKey }).on('error', () => {})
})
const keyPair = DHT.keyPair()
server.listen(keyPair).then(() => console.log(keyPair.publicKey.toString('hex')))
process.stdin.on('end', () => process.exit()).resume()
"""


def start_their_relay(stack, host, bootstrap):
    """npm's blind-relay in a process at @host of the lab; yields it and its key."""
    with host.inside():
        process = node(stack, '-e', THEIR_RELAY, host.address, str(DHT_PORT), *bootstrap, stdout=subprocess.PIPE)
    return process, process.stdout.readline().decode().strip()


def serve_bulk(connection):
    """Whoever took all of it ends first: an end of an original's overtakes what is still on its way."""
    connection.sendall(BULK)
    connection.recv(1)


class Double:
    """An original's, in node; .at: when that and its modules were "loaded", and hyperswarm first "connected" (time.monotonic())."""

    def __init__(self, stack, role, options):
        self.at = {}
        self.process = node(stack, DOUBLE, role, json.dumps(options), 'tell', stdout=subprocess.PIPE)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        with self.process.stdout as lines:
            for what, when in (line.decode().split() for line in lines):
                self.at[what] = int(when) / 1e9


class NatPair:
    """@provider, @gateway: (whose, host), whose: 'ours' or 'npm'. Both start at once; @ahead_s: the gateway so much sooner.
    @relay: the key of one both know."""

    def __init__(self, stack, lab, bootstrap, provider, gateway, serve=serve_bulk, secret=None, ahead_s=0, relay=None):
        self.relay = relay
        self.name = ' - '.join(f'{whose} {host}' for whose, host in (provider, gateway))
        self.lab, self.there, self.here = lab, lab[provider[1]], lab[gateway[1]]
        secret = secret or new_secret()
        with self.here.inside():
            self.gate = free_ports(1)[0]
        with self.there.inside():
            self.service = Service(stack, serve)
        entry = {'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': self.service.port, 'protocol': 'tcp'}
        if ahead_s:
            self.start_gateway(stack, gateway[0], secret, bootstrap)
            time.sleep(ahead_s)
        self.began = time.monotonic()
        with self.there.inside():
            self.provider = start(stack, 'provider', provider[0], secret, bootstrap, {'services': [entry]}, relay)
        if not ahead_s:
            self.start_gateway(stack, gateway[0], secret, bootstrap)

        self.opened, self.over = None, threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()
        stack.callback(self.over.set)

    def start_gateway(self, stack, whose, secret, bootstrap):
        with self.here.inside():
            self.gateway = start(stack, 'gateway', whose, secret, bootstrap, {}, self.relay)

    def took(self, what):
        """From .began until that was so (Double.at) at the later of those that are not ours; 0: none is, or it was so before."""
        doubles = [one for one in (self.provider, self.gateway) if isinstance(one, Double)]
        return max([0, *(one.at[what] - self.began for one in doubles if what in one.at)])

    def watch(self):
        with self.here.inside():
            while not self.over.wait(0.02):
                if is_open(self.gate):
                    self.opened = time.monotonic() - self.began
                    return

    def open(self, seconds=30):
        """Waits for the gate; returns how long it took from the start of both."""
        return eventually(lambda: self.opened, seconds - (time.monotonic() - self.began), f'{self.name}: the gate')

    def fetch(self):
        """Takes the bulk through the gate; returns the digest and the seconds it took."""
        began, hashed, left = time.monotonic(), hashlib.sha256(), len(BULK)
        with self.here.inside():
            connection = connect(self.gate)
        with connection:
            while left and (chunk := connection.recv(min(left, 1 << 18))):
                hashed.update(chunk)
                left -= len(chunk)
        return hashed.hexdigest(), time.monotonic() - began

    def answers(self):
        with self.here.inside():
            return answers(self.gate)


def is_open(port):
    """Whether somebody listens there, in this thread's network; without a word to who does."""
    with open('/proc/thread-self/net/tcp') as file:
        return any(line.split()[1].endswith(f':{port:04X}') and line.split()[3] == '0A' for line in file.readlines()[1:])


def start(stack, role, whose, secret, bootstrap, more, relay=None):
    if whose == 'ours':
        return start_instance(stack, role, secret, {'bootstrap': bootstrap, role: more or {'listen': '127.0.0.1'},
                                                    **({'relays': [relay]} if relay else {})})
    services = [{name: value for name, value in entry.items() if name != 'protocol'} for entry in more.get('services', [])]
    return Double(stack, role, {'secret': secret, 'bootstrap': bootstrap, 'services': services, 'relayThrough': relay})

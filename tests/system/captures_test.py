# SPDX-License-Identifier: BSD-3-Clause
"""What the JavaScript implementations once said on the wire, said again to live sockets, changed and made true (captures.c).

CAPTURES names the program. CAPTURES_SEED and CAPTURES_SECONDS are another run, or a longer one."""
import json
import os
import subprocess
import threading
import time

from harness import (MB, Pair, Process, answers, connect, digest, eventually, listens, main, memory_factor, memory_kib, pattern,
                     read_all, serve_bytes, serve_echo, test, udp_ports)

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'vectors')
SEED = int(os.environ.get('CAPTURES_SEED', '1'))
SECONDS = int(os.environ.get('CAPTURES_SECONDS', '6'))
PER_SECOND = 3000
BULK = pattern('captures', 5 * MB)
BYTES = {'dht-session.json': ['hex'], 'dht-hostile.json': ['hex'], 'holepunch.json': ['datagram_hex', 'noise_hex', 'sealed_hex'],
         'udx.json': ['bytes'], 'relay.json': ['inHex', 'outHex', 'hex'], 'hypergate-session.json': ['frame_hex']}


def strings(value, names):
    """All that stands under one of @names, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from strings(one, names)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in names and isinstance(one, str):
                yield one
            yield from strings(one, names)


def captured():
    """{file: the datagrams, messages and frames in it, each once, in hexadecimal}"""
    found = {}
    for name, names in BYTES.items():
        with open(os.path.join(VECTORS, name)) as file:
            found[name] = list(dict.fromkeys(one for one in strings(json.load(file), names) if 0 < len(one) <= 2800))
        assert len(found[name]) > 10, f'{name}: nothing to say'
    return found


class Honest:
    """Somebody who fetches all the while."""

    def __init__(self, port):
        self.port, self.going, self.whole, self.wrong = port, True, 0, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.going and not self.wrong:
            try:
                with connect(self.port, 30) as connection:
                    got = read_all(connection)
                if digest(got) != digest(BULK):
                    self.wrong.append(f'{len(got)} of {len(BULK)} bytes')
                self.whole += 1
            except OSError as error:
                self.wrong.append(repr(error))

    def stop(self):
        self.going = False
        self.thread.join(60)
        assert not self.wrong, self.wrong
        return self.whole


@test
def captures_at_every_socket(stack):
    """recorded datagrams, changed and made true, at provider, gateway and DHT nodes: all live, honest traffic goes on, nothing grows"""
    pair = Pair(stack, bulk=serve_bytes(BULK), echo=serve_echo)
    nodes = [process for process in Process.running if process.name.startswith('dht ')]
    instances = [pair.provider, pair.gateway, *nodes]
    assert answers(pair.gate['echo'])
    before = {instance.name: (memory_kib(instance), len(instance.log()), instance.settled()) for instance in instances}
    said = captured()
    honest = Honest(pair.gate['bulk'])
    program = subprocess.Popen([os.environ['CAPTURES'], str(SEED), str(SECONDS), str(PER_SECOND),
                                *[port for instance in instances for port in udp_ports(instance)]],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told = program.communicate('\n'.join(one for captures in said.values() for one in captures), timeout=SECONDS + 60)[0]
    assert program.returncode == 0
    sent, sent_bytes, received, received_bytes, requests = map(int, told.split())
    whole = honest.stop()
    print(f'# seed {SEED}, {sum(map(len, said.values()))} captures: {sent} datagrams, {sent_bytes} bytes; {received} came back, '
          f'{received_bytes} bytes, {requests} of them requests; {whole} downloads meanwhile')
    assert sent > 500 * SECONDS and whole > 0
    assert received > sent / 100 and requests > 10, 'the sockets took them for what they were made to be'
    assert received_bytes < sent_bytes, 'strangers get more than they send'
    for instance in instances:
        held, logged, tree = before[instance.name]
        grown = memory_kib(instance) - held
        print(f'# {instance.name}: {held} KiB, grown by {grown}')
        assert grown < 24 * 1024 * memory_factor(), f'{instance.name} grew by {grown} KiB'
        assert len(instance.log()) - logged < 4000, f'{instance.name} says what strangers make it say'
        assert instance.tree() == tree, f'{instance.name}: a process died'
    assert answers(pair.gate['echo'])
    # Whoever comes only now still finds its way, through nodes that know all these strangers.
    pair.gateway.stop()
    began = time.monotonic()
    pair.start_gateway()
    eventually(lambda: listens(pair.gate['echo']) and answers(pair.gate['echo']), 30, 'a gateway that starts among them')
    print(f'# a gateway that started then served after {time.monotonic() - began:.1f} s')


if __name__ == '__main__':
    main()

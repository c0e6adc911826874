# SPDX-License-Identifier: BSD-3-Clause
"""Which way datagrams go between two instances, as seen on the wire: in a network namespace of their own, where nobody else speaks."""
import contextlib
import socket
import struct
import threading
import time

from harness import eventually, main, pattern, test
from nat_pairs import Double
from networks import Network, with_networks
from udp_scene import Scene, ask

COUNT = 100
LONGEST = 1423                          # of a datagram beside the stream, where the path carries as much
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23    # on lo each packet is seen as it leaves and as it comes
UDX, MESSAGE = b'\xff\x01', 8           # magic and version; bit of the type: transport.md
UDP_BYTES, UDX_BYTES, SEAL_MAX = 8, 20, 64


class Wire:
    """What packets of UDX on the loopback interface carry; several that leave together and are no messages count as one."""

    def __init__(self, stack):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.bind(('lo', 0x0800))
        self.socket.settimeout(0.2)
        self.messages, self.others, self.closing = [], [], False         # lengths
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        stack.callback(self.close)

    def run(self):
        while not self.closing:
            with contextlib.suppress(TimeoutError):
                self.look(self.socket.recv(65536))
        self.socket.close()

    def look(self, packet):
        header = (packet[0] & 15) * 4
        udx = packet[header + UDP_BYTES:header + struct.unpack('!H', packet[header + 4:header + 6])[0]]
        if packet[9] == socket.IPPROTO_UDP and udx[:2] == UDX and len(udx) >= UDX_BYTES:
            (self.messages if udx[2] & MESSAGE else self.others).append(len(udx) - UDX_BYTES - udx[3])

    def close(self):
        self.closing = True
        self.thread.join()

    def beside(self, size):
        """How many messages held one of @size bytes."""
        return sum(size < length <= size + SEAL_MAX for length in list(self.messages))

    def rest(self):
        """Until what was on its way has been seen: datagrams of nearly the same length are alike here."""
        def quiet():
            before = len(self.messages)
            time.sleep(0.2)
            return len(self.messages) == before
        eventually(quiet, 10, 'the wire is quiet')

    def in_stream(self, size):
        """How many bytes went in the stream in packets that may hold one."""
        return sum(length for length in list(self.others) if length > size)


def echoed(scene, wire, size, way):
    """So many of @size bytes there and back, and seen to have gone @way, which is a count of the wire's; what it counted."""
    before = wire.beside(size), wire.in_stream(size)

    def counts():
        return wire.beside(size) - before[0], wire.in_stream(size) - before[1]

    with scene.client() as client:
        for number in range(COUNT):
            data = pattern(f'{size} {number}', size)
            eventually(lambda: ask(client, data) == data, 10, f'datagram {number} of {size} bytes')
    eventually(lambda: way(*counts()), 10, f'{COUNT} of {size} bytes there and back, seen on the wire')
    return counts()


def beside(size):
    return lambda messages, _: messages >= 2 * COUNT


def any_way(*_):
    return True


def in_stream(size):
    return lambda _, stream_bytes: stream_bytes >= 2 * COUNT * size


@test
def small_datagrams_between_two_of_ours_go_beside_the_stream(stack):
    """between two of ours datagrams go beside the stream, there and back: all that fit each path, and longer ones that this one carries"""
    network = Network(stack)
    with network.inside():
        wire = Wire(stack)
        scene = Scene(stack)
        for size in (1, 200, 1123):
            _, stream_bytes = echoed(scene, wire, size, beside(size))
            assert size == 1 or stream_bytes < COUNT * size / 10, f'{size} bytes: {stream_bytes} bytes in the stream'      # an open
        eventually(lambda: echoed(scene, wire, 1400, any_way)[0] >= COUNT, 20, 'this path is known to carry 1400 bytes')
        wire.rest()
        messages, _ = echoed(scene, wire, LONGEST + 1, in_stream(LONGEST + 1))
        assert not messages, f'{messages} messages'


@test
def with_an_original_they_are_in_the_stream(stack):
    """toward a gateway of the original all datagrams are in the stream, there and back"""
    network = Network(stack)
    with network.inside():
        wire = Wire(stack)
        scene = Scene(stack, gateway=lambda stack, secret, dht: Double(stack, 'gateway', {'secret': secret, 'bootstrap': [dht]}))
        messages, _ = echoed(scene, wire, 200, in_stream(200))
        assert not messages, f'{messages} messages'


if __name__ == '__main__':
    with_networks()
    main()

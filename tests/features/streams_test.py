# SPDX-License-Identifier: BSD-3-Clause
"""TCP connections of programs that nobody here wrote."""
import os
import subprocess
import sys

from scene import eventually, folder, join, listens, start, write

from harness import MB, free_ports, main, test


def tree(path):
    """What `tar` packs, without where and when."""
    return {os.path.relpath(os.path.join(at, name), path): open(os.path.join(at, name), 'rb').read()
            for at, _, names in os.walk(path) for name in names}


@test
def row_n21_ends_are_passed_on_one_by_one(stack):
    """N21: a request that ends before its answer begins has all of the answer (socat, http.server); a tree goes through tar, two socats and tar"""
    place, (web, sink), gates = folder(stack), free_ports(2), free_ports(2)
    os.mkdir(os.path.join(place, 'www'))
    page = os.urandom(5 * MB).hex()
    write(os.path.join(place, 'www', 'page'), page)
    # Not nginx: it takes the end of a request for that of its reader.
    start(stack, sys.executable, '-m', 'http.server', '-b', '127.0.0.1', '-d', os.path.join(place, 'www'), str(web))
    os.mkdir(os.path.join(place, 'out'))
    # What comes is unpacked to the end, and only then answered.
    start(stack, 'socat', f'TCP-LISTEN:{sink},bind=127.0.0.1,fork,reuseaddr', f'SYSTEM:tar -x -C {place}/out && echo whole')
    eventually(lambda: listens(web) and listens(sink), 20, 'the services')
    join(stack, [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': service} for gate, service in zip(gates, (web, sink))])

    got = subprocess.run(['socat', '-t30', '-', f'TCP:127.0.0.1:{gates[0]}'], input=b'GET /page HTTP/1.0\r\n\r\n', check=True,
                         capture_output=True, timeout=60).stdout
    assert got.split(b'\r\n\r\n', 1)[1] == page.encode()

    os.mkdir(os.path.join(place, 'in'))
    for number in range(20):
        with open(os.path.join(place, 'in', str(number)), 'wb') as file:
            file.write(os.urandom(number * 40000))
    packed = subprocess.run(['tar', '-c', '-C', os.path.join(place, 'in'), '.'], check=True, capture_output=True).stdout
    said = subprocess.run(['socat', '-t30', '-', f'TCP:127.0.0.1:{gates[1]}'], input=packed, check=True, capture_output=True, timeout=60).stdout
    assert said == b'whole\n', said
    assert tree(os.path.join(place, 'out')) == tree(os.path.join(place, 'in'))


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""podman's socket in place of Docker's: what its containers offer is found as they come and go."""
import time

import scene
from discovery import Discovery
from discovery_test import took, within
from harness import eventually, test
from images import PAGE
from podman import Podman


@test
def n09_podman(stack):
    """N09: one that starts is reachable, one that stops withdrawn, within a second; its alias is its host; what comes after a restart is found"""
    site = Discovery(stack, kind=Podman)
    start_s, stop_s = [], []
    for number in range(3):
        site.engine.ok('create', '--cgroup-parent', f'/{site.engine.name}', '--name', f'web{number}', '--network', 'net', '--network-alias',
                       f'web{number}.hyper', '-l', f'hypergate.EXPOSE=80:800{number}', 'test/httpd')
        site.engine.ok('start', f'web{number}')
        start_s.append(took(time.monotonic(), lambda: PAGE in site.page(8000 + number), f'web{number} serves'))
    assert set(site.addresses()) == {f'web{number}.hyper' for number in range(3)}, site.addresses()
    for number in range(2):
        site.engine.ok('stop', '-t', '2', f'web{number}')
        stop_s.append(took(time.monotonic(), lambda: (8000 + number, 'tcp') not in site.routes(), f'web{number} is withdrawn'))
    site.engine.kill()
    assert PAGE in site.page(8002), 'the container lives'
    site.engine.start()
    site.engine.ok('start', 'web0')
    site.served(8000)
    assert PAGE in site.page(8002)
    within('from its start until it is served', start_s)
    within('from its stop until it is withdrawn', stop_s)


if __name__ == '__main__':
    scene.main()

# SPDX-License-Identifier: BSD-3-Clause
"""Service files behind URLs of an nginx: as large as they may be, changed, moved, and not sent twice."""
import json
import os
import signal

from scene import eventually, folder, listens, nginx, write

from harness import MB, Service, answers, free_ports, main, new_secret, serve_echo, start_dht, start_instance, test


class Site:
    """nginx with a folder; what was asked for is in .log, a line each: path, status, bytes, what was known, what encoding was wanted."""

    def __init__(self, stack):
        self.place, (self.port,) = folder(stack), free_ports(1)
        self.log, self.url = os.path.join(self.place, 'log'), f'http://127.0.0.1:{self.port}'
        nginx(stack, [self.port],
              'log_format asked escape=none "$uri $status $body_bytes_sent [$http_if_none_match] [$http_accept_encoding]";',
              f'server {{ listen 127.0.0.1:{self.port}; root {self.place}; access_log {self.log} asked; gzip on; gzip_types *; gzip_min_length 0; '
              'absolute_redirect off; location = /moved { return 302 /services.json; } }')

    def put(self, services, size=0):
        """In one step, padded with blanks up to @size bytes."""
        text = json.dumps(services)
        write(os.path.join(self.place, 'new'), text + ' ' * (size - len(text)))
        os.rename(os.path.join(self.place, 'new'), os.path.join(self.place, 'services.json'))

    def asked(self):
        with open(self.log, encoding='utf-8') as file:
            return [line.rstrip('\n') for line in file if line.startswith('/services.json')]


@test
def an_nginx_has_the_services(stack):
    """10 MiB of services come whole through a redirect, are not sent again by ETag, and a change is found; one byte more is not taken"""
    site, echo, gates = Site(stack), Service(stack, serve_echo), free_ports(2)
    offers = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': echo.port} for gate in gates]
    site.put(offers[:1], 10 * MB)
    secret, dht = new_secret(), start_dht(stack, 1)
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [f'{site.url}/moved']}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})

    def asked_anew():
        before = len(site.asked())
        provider.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(site.asked()) > before, 40, 'it asks again')
        return site.asked()[-1]

    eventually(lambda: listens(gates[0]), 40, 'the gate of what nginx has')
    assert answers(gates[0]) and site.asked() == [f'/services.json 200 {10 * MB} [] []'], site.asked()

    assert asked_anew().startswith('/services.json 304 0 ["'), site.asked()
    assert answers(gates[0])

    site.put(offers)
    assert asked_anew().startswith('/services.json 200 '), site.asked()
    eventually(lambda: listens(gates[1]), 40, 'the gate of what came')
    assert all(answers(gate) for gate in gates)

    site.put(offers, 10 * MB + 1)
    asked_anew()
    provider.says('cannot be fetched: Maximum file size exceeded')
    assert all(answers(gate) for gate in gates)


main()

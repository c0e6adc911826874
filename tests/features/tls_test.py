# SPDX-License-Identifier: BSD-3-Clause
"""TLS services that share a gate, by the names that clients ask for: nginx, openssl and curl."""
import os
import subprocess

from scene import eventually, folder, join, listens, nginx, says, start

from harness import free_ports, main, test


def certificate(place, name):
    """The paths of one for that name, by itself, and of its key."""
    crt, key = os.path.join(place, f'{name}.crt'), os.path.join(place, f'{name}.key')
    says('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
         f'/CN={name}', '-addext', f'subjectAltName=DNS:{name}', '-keyout', key, '-out', crt)
    return crt, key


def curl(place, gate, name, certified=None):
    return says('curl', '-sS', '--cacert', os.path.join(place, f'{certified or name}.crt'),
                '--resolve', f'{name}:{gate}:127.0.0.1', f'https://{name}:{gate}/')


def shown(gate, *words):
    """Whose certificate openssl is shown."""
    said = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{gate}', *words], input='', capture_output=True,
                          text=True, timeout=60, check=False).stdout
    return said.split('subject=CN = ', 1)[1].split('\n', 1)[0] if 'subject=CN = ' in said else said


@test
def each_tls_service_has_the_clients_who_ask_for_it(stack):
    """four services at one gate, by name, by domain and without: curl and s_client get whom they ask for; plain HTTP the one without"""
    place = folder(stack)
    ports, (gate,) = free_ports(4), free_ports(1)
    names = ('a.example.org', 'b.example.org', 'other.example', 'plain.example')
    for name in names[:3]:
        certificate(place, name)
    os.chmod(place, 0o755)
    servers = [f'server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {place}/{name}.crt; ssl_certificate_key {place}/{name}.key; '
               f'location / {{ return 200 "{name} for $ssl_server_name"; }} }}' for port, name in zip(ports[:2], names)]
    nginx(stack, [*ports[:2], ports[3]], *servers, f'server {{ listen 127.0.0.1:{ports[3]}; location / {{ return 200 plain; }} }}')
    start(stack, 'openssl', 's_server', '-accept', f'127.0.0.1:{ports[2]}', '-cert', f'{place}/{names[2]}.crt',
          '-key', f'{place}/{names[2]}.key', '-www', '-quiet')
    eventually(lambda: listens(ports[2]), 20, 's_server')
    services = [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': port, **sni}
                for port, sni in zip(ports, ({'sni': 'A.example.org'}, {'sni': '*.example.org'}, {'sni': 'other.example'}, {}))]
    join(stack, services)
    eventually(lambda: curl(place, gate, names[0]), 20, 'all are known')
    for _ in range(5):
        assert curl(place, gate, names[0]) == 'a.example.org for a.example.org'
        assert curl(place, gate, names[1]) == 'b.example.org for b.example.org'
        assert says('curl', '-sS', f'http://127.0.0.1:{gate}/') == 'plain'
    assert shown(gate, '-servername', 'a.example.org') == 'a.example.org'
    assert shown(gate, '-servername', 'A.EXAMPLE.org', '-tls1_2') == 'a.example.org'
    assert shown(gate, '-servername', 'anything.example.org') == 'b.example.org'
    assert shown(gate, '-servername', 'other.example') == 'other.example'
    assert 'CONNECTED' in shown(gate, '-noservername'), 'the one without, which speaks no TLS'
    assert 'CONNECTED' in shown(gate, '-servername', 'a.b.example.org')


main()

# SPDX-License-Identifier: BSD-3-Clause
"""nginx asks whose a connection to it is, as hypergate.yaml(5) shows."""
import json
import os

from scene import eventually, folder, listens, nginx, says

from harness import free_ports, main, new_secret, start_dht, start_instance, test


@test
def n18_nginx_asks_whose_its_connections_are(stack):
    """nginx asks the resolver of each request, by its own variables and with a password: curl is told its own address and port"""
    web, gate, resolver = free_ports(3)
    auth = os.path.join(folder(stack), 'auth')
    with open(os.open(auth, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write('nginx:open sesame\n')
    nginx(stack, [web], f'server {{ listen 127.0.0.1:{web}; location / {{ proxy_set_header Authorization "Basic bmdpbng6b3BlbiBzZXNhbWU="; '
          f'proxy_pass http://127.0.0.1:{resolver}/resolve?proto=tcp&remote_addr=$remote_addr&remote_port=$remote_port'
          '&server_addr=$server_addr&server_port=$server_port; } }')
    secret, dht = new_secret(), start_dht(stack, 1)
    start_instance(stack, 'provider', secret, {
        'bootstrap': [dht], 'provider': {'services': [{'gatePort': gate, 'serviceHost': '127.0.0.1', 'servicePort': web}]},
        'fingerprintResolver': {'listen': f'127.0.0.1:{resolver}', 'basicAuthFile': auth}})
    start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': {'listen': '127.0.0.1'}})
    eventually(lambda: listens(gate), 20, 'the gate')
    for last in range(2, 12):
        said, port = says('curl', '-sS', '--interface', f'127.0.0.{last}', '-w', ' %{local_port}', f'http://127.0.0.1:{gate}/').rsplit(' ', 1)
        source = json.loads(said)['fingerprint']['source']
        assert (source['ip'], source['port']) == (f'127.0.0.{last}', int(port)), said


main()

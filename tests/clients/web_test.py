# SPDX-License-Identifier: BSD-3-Clause
"""The web behind a gate: curl, wget and wrk, nginx and haproxy, and websockets of npm's ws."""
import os
import re
import subprocess

from place import ask_node, bytes_at, digest_of, eventually, folder, gate, listens, meet, node, says, start, write

from scene import nginx

from harness import free_ports, main, test


def site(stack, port):
    """nginx with a file, a word, and a place for uploads; where these are, and the digest of the file."""
    place = folder(stack)
    os.mkdir(os.path.join(place, 'uploads'))
    os.chmod(os.path.join(place, 'uploads'), 0o777)
    digest = bytes_at(os.path.join(place, 'file'), 50 << 20)
    nginx(stack, [port], f'server {{ listen 127.0.0.1:{port} backlog=1024; root {place}; client_max_body_size 0; '
          f'location = /word {{ return 200 word; }} '
          f'location /uploads/ {{ dav_methods PUT DELETE; }} }}')
    return place, digest


@test
def curl_and_wget_have_what_nginx_has(stack):
    """nginx: 50 MB by curl, in parts, and by wget, which goes on with a half; 50 MB by PUT; a hundred requests at once, and in a row"""
    service, port = free_ports(2)
    place, wanted = site(stack, service)
    meet(stack, [gate(port, service)])
    url, got = f'http://127.0.0.1:{port}', os.path.join(place, 'got')
    curl = ['curl', '-sS', '--fail', '--max-time', '60']
    says(*curl, '-o', got, f'{url}/file')
    assert digest_of(got) == wanted
    with open(got, 'wb') as file:
        for part in ('0-999999', '1000000-29999999', '30000000-'):
            subprocess.run([*curl, '-r', part, f'{url}/file'], check=True, stdout=file)
    assert digest_of(got) == wanted
    says(*curl, '-T', got, f'{url}/uploads/put')
    assert digest_of(os.path.join(place, 'uploads', 'put')) == wanted
    os.truncate(got, 25 << 20)
    says('wget', '-q', '-c', '--tries=1', '-O', got, f'{url}/file')
    assert digest_of(got) == wanted
    assert says(*curl, '--parallel', '--parallel-immediate', '--parallel-max', '100', f'{url}/word?[1-100]') == 'word' * 100
    said = says(*curl, '-w', '%{num_connects}\n', f'{url}/word?[1-100]')
    assert said == 'word1\n' + 'word0\n' * 99, said


@test
def wrk_has_an_answer_to_each_request(stack):
    """wrk: 10,000 requests and more at 64 connections, and as many of which each has a connection of its own; none without its answer"""
    service, port = free_ports(2)
    site(stack, service)
    meet(stack, [gate(port, service)])
    for more in ([], ['-H', 'Connection: close']):
        answered = 0
        while answered < 10000:
            said = says('wrk', '-t', '2', '-c', '64', '-d', '2s', '--timeout', '30s', *more, f'http://127.0.0.1:{port}/word')
            assert 'Socket errors' not in said and 'Non-2xx' not in said, said
            answered += int(re.search(r'(\d+) requests in', said)[1])


@test
def haproxy_on_both_sides(stack):
    """haproxy before two gates, which asks both whether they are well, and another one behind each: curl has 50 MB, and takes turns"""
    web, inner, gates, (front,) = free_ports(2), free_ports(2), free_ports(2), free_ports(1)
    places = [site(stack, port) for port in web]
    for name, (place, _) in zip('AB', places):
        write(os.path.join(place, 'name'), name)
    defaults = 'defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n'
    conf = write(os.path.join(folder(stack), 'haproxy.cfg'), defaults + ''.join(
        f'listen behind{port}\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{service}\n' for port, service in zip(inner, web)) +
        f'listen before\n bind 127.0.0.1:{front}\n balance roundrobin\n option httpchk GET /word\n' + ''.join(
            f' server g{port} 127.0.0.1:{port} check inter 500 fall 1 rise 1\n' for port in gates))
    meet(stack, [gate(port, service) for port, service in zip(gates, inner)])
    start(stack, 'haproxy', '-db', '-q', '-f', conf)
    eventually(lambda: listens(front), 20, 'haproxy')
    url = f'http://127.0.0.1:{front}'
    ask = ['curl', '-s', '--fail', f'{url}/word']
    eventually(lambda: subprocess.run(ask, capture_output=True, check=False).stdout == b'word', 20, 'its checks')
    eventually(lambda: sorted(says('curl', '-sS', '--fail', f'{url}/name?[1-2]')) == ['A', 'B'], 20, 'both')
    said = says('curl', '-sS', '--fail', f'{url}/name?[1-100]')
    assert (said.count('A'), said.count('B')) == (50, 50), said
    for _ in range(2):
        got = os.path.join(folder(stack), 'got')
        says('curl', '-sS', '--fail', '-o', got, f'{url}/file')
        assert digest_of(got) in [digest for _, digest in places]


@test
def websockets(stack):
    """ws: words, messages of up to 5 MB, compressed or not, pings, and an end with its code and its reason"""
    service, port = free_ports(2)
    node(stack, 'websocket.js', 'serve', service)
    eventually(lambda: listens(service), 20, 'ws')
    meet(stack, [gate(port, service)])
    assert ask_node('websocket.js', 'ask', port) == {'words': 200, 'large': 4, 'pongs': 2, 'code': 4001, 'reason': 'as you like'}


if __name__ == '__main__':
    main()

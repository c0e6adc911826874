# SPDX-License-Identifier: BSD-3-Clause
"""Clients that let themselves in at a gateway by tokens: made and brought as the original's README shows it, by openssl and curl."""
import json
import os
import signal
import subprocess
import time

from harness import (Service, answers, connect, eventually, free_ports, listens, main, new_secret, read_all, serve_bytes,
                     serve_echo, start_dht, start_instance, test)

SECRET = 'shared-secret'
# The original's README, but for the port and the address.
TOKEN = r'''
TIMESTAMP="${TIMESTAMP:-$(date +%s%3N)}"
PAYLOAD="{\"timestamp\":${TIMESTAMP},\"ip\":\"${IP}\"}"
TOKEN="$(printf '%s' "$PAYLOAD" | openssl enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -salt -pass pass:$SECRET | openssl base64 -A | tr '+/' '-_' | tr -d '=')"
'''
CURL = 'curl -s -w " %{http_code}" '


def shell(script, **variables):
    done = subprocess.run(['bash', '-ec', script], capture_output=True, text=True, timeout=30,
                          env={**os.environ, 'SECRET': SECRET, **variables})
    assert done.returncode == 0, done
    text, _, status = done.stdout.rpartition(' ')
    return int(status), json.loads(text)


def bring(port, ip='127.0.0.1', how='"http://127.0.0.1:$PORT/unlimited?payload=${TOKEN}"', **variables):
    return shell(TOKEN + CURL + how, PORT=str(port), IP=ip, **variables)


class Scene:
    def __init__(self, stack, policy, serve=serve_echo):
        dht, secret = start_dht(stack, 1), new_secret()
        self.gate, self.port = free_ports(2)
        entry = {'gatePort': self.gate, 'serviceHost': '127.0.0.1', 'servicePort': Service(stack, serve).port}
        start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': [entry], 'ingressPolicy': policy}})
        self.gateway = start_instance(stack, 'gateway', secret,
                                      {'bootstrap': [dht], 'gateway': {}, 'unlimited': {'listen': f'127.0.0.1:{self.port}'}},
                                      env={'HYPERGATE_UNLIMITED_SECRET': SECRET})
        eventually(lambda: listens(self.gate) and listens(self.port), 30, 'both ports')


@test
def weakness_14_9_a_token_lets_its_caller_in(stack):
    """who is denied comes in with a token, once for each; all others of them are refused alike; the secret is in no log"""
    scene = Scene(stack, {'defaults': {'allow': False}})
    assert not answers(scene.gate)
    no = (403, {'error': 'invalid_token'})
    assert bring(scene.port, SECRET='another') == no
    assert bring(scene.port, ip='127.0.0.2') == no
    assert bring(scene.port, TIMESTAMP=str(int(time.time() * 1000) - 301000)) == no
    assert bring(scene.port, how='"http://127.0.0.1:$PORT/unlimited?payload=x${TOKEN}"') == no
    assert shell(CURL + f'http://127.0.0.1:{scene.port}/unlimited') == (400, {'error': 'missing_payload'})
    assert not answers(scene.gate)
    again = '"http://127.0.0.1:$PORT/unlimited?payload=${TOKEN}" >/dev/null; ' + CURL
    before = time.time()
    assert bring(scene.port, how=again + '-d "${TOKEN}" http://127.0.0.1:$PORT/unlimited') == (409, {'error': 'replay_detected'})
    assert answers(scene.gate)
    for how in ('-d "payload=${TOKEN}"', """-H 'Content-Type: application/json' -d "{\\"payload\\":\\"${TOKEN}\\"}" """, '-d "${TOKEN}"'):
        status, said = bring(scene.port, how=how + ' http://127.0.0.1:$PORT/unlimited')
        assert status == 200 and said['ok'] is True and said['ip'] == '127.0.0.1', said
        assert before + 1790 < said['expireAt'] / 1000 < time.time() + 1810, said
    scene.gateway.says('clients from 127.0.0.1 are let in for 1800 s, whatever ingress policies say')
    scene.gateway.says('a token for 127.0.0.2 that came from 127.0.0.1 is refused: it is for another address')
    scene.gateway.says('is refused: its time is more than five minutes from here')
    assert SECRET not in scene.gateway.log()


@test
def its_bandwidth_has_no_limit(stack):
    """a download that a policy makes take seconds takes none"""
    data = bytes(500000)
    scene = Scene(stack, {'defaults': {'allow': True, 'bandwidthLimit': {'mbps': 1, 'burstMbps': 0.1}}}, serve_bytes(data))

    def took():
        began = time.monotonic()
        with connect(scene.gate) as client:
            assert len(read_all(client)) == len(data)
        return time.monotonic() - began
    slow = took()
    assert slow > 3, slow
    assert bring(scene.port)[0] == 200
    assert took() < slow / 2


@test
def a_reload_moves_it_to_all_addresses(stack):
    """at the port that it has"""
    scene = Scene(stack, {'defaults': {'allow': False}})
    def is_there():
        return subprocess.run(['curl', '-s', f'http://127.0.0.2:{scene.port}/unlimited'], capture_output=True, check=False).returncode == 0
    assert not is_there()
    with open(scene.gateway.conf, encoding='utf-8') as file:
        config = json.load(file)
    with open(scene.gateway.conf, 'w', encoding='utf-8') as file:
        json.dump({**config, 'unlimited': {'listen': f'0.0.0.0:{scene.port}'}}, file)
    scene.gateway.process.send_signal(signal.SIGHUP)
    eventually(is_there, 20, 'another address')
    assert bring(scene.port)[0] == 200 and answers(scene.gate)


@test
def the_end_of_who_reads_tokens(stack):
    """it is killed and comes back, tells no secret, and who was let in still is"""
    scene = Scene(stack, {'defaults': {'allow': False}})
    assert bring(scene.port)[0] == 200
    worker, = scene.gateway.workers('admin')
    os.kill(worker, 9)
    eventually(lambda: bring(scene.port)[0] == 200, 20, 'another one')
    assert answers(scene.gate)


main()

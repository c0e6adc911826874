# SPDX-License-Identifier: BSD-3-Clause
"""A provider and a gateway in front of programs that nobody here wrote."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'system'))

from harness import eventually, listens, new_secret, start_dht, start_instance         # noqa: E402


def folder(stack):
    path = tempfile.mkdtemp(prefix='hypergate-test-')
    os.chmod(path, 0o755)
    stack.callback(shutil.rmtree, path)
    return path


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)
    return path


def start(stack, *command, **options):
    """A program that runs until the end of the test."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def stop():
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
    stack.callback(stop)
    return process


def says(*command, seconds=60):
    """What it prints, when it has ended well and in time."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds).stdout


def join(stack, services, gateway=None, **provider):
    """The instances; the gates of all TCP services are open."""
    secret, dht = new_secret(), start_dht(stack, 1)
    provider = start_instance(stack, 'provider', secret, {'bootstrap': [dht], 'provider': {'services': services, **provider}})
    gateway = start_instance(stack, 'gateway', secret, {'bootstrap': [dht], 'gateway': gateway or {}})
    for service in services:
        if service.get('protocol', 'tcp') != 'udp':
            eventually(lambda: listens(service['gatePort']), 20, 'the gate')
    return provider, gateway


def nginx(stack, ports, *servers):
    """One with these `server` blocks, which listen at @ports."""
    place = folder(stack)
    temporary = ''.join(f'{name}_temp_path {place}/{name}; ' for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    conf = write(os.path.join(place, 'nginx.conf'),
                 f'daemon off; master_process off; pid {place}/pid; error_log {place}/error; events {{ }}\n'
                 f'http {{ access_log off; {temporary}\n' + '\n'.join(servers) + '\n}\n')
    start(stack, 'nginx', '-p', place, '-e', f'{place}/error', '-c', conf)
    for port in ports:
        eventually(lambda: listens(port), 20, 'nginx')

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The image, as its users meet it: loaded into an engine that has nothing else. HYPERGATE_IMAGE and HYPERGATE_TARBALL name what tarball/ made.
Ids as S38 are those of the list of promises."""
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile

import scene
from harness import eventually, test
from images import OURS, PAGE, image_file
from scene import DHT, LOCKED, SECRET, curl, ended, machine, said, served, services, with_node

TREE = pathlib.Path(__file__).resolve().parents[2]
MB = 1000 * 1000
# A profile that has everything but what it is told not to have.
REFUSED = {'names': ['landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self'], 'action': 'SCMP_ACT_ERRNO'}


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def folder(stack):
    return stack.enter_context(tempfile.TemporaryDirectory(prefix='hypergate-image.', dir='/var/tmp'))


def secret_file(stack, owner):
    path = pathlib.Path(folder(stack), 'router.key')
    path.parent.chmod(0o755)
    path.write_text(SECRET + '\n')
    path.chmod(0o600)
    os.chown(path, owner, owner)
    return path


def user_of(engine):
    return int(engine.inspect(OURS)['Config']['User'].split(':')[0])


def gateway(engine, *words):
    """One of no DHT, which is ready all the same."""
    container = engine.started(*words, '-e', f'HYPERGATE_ROUTER={SECRET}', OURS, '--gateway', '--bootstrap', '127.0.0.1:1')
    said(engine, container, 'hypergated: ready')
    return container


def status(engine, container):
    done = engine.client('exec', container, 'hypergate', 'status', '--json')
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@test
def same_twice(stack):
    """one that is made elsewhere, in another time zone and by somebody with other habits, is the same bytes"""
    there = folder(stack)
    subprocess.run(['sh', '-c', 'umask 077; exec "$@"', 'sh', TREE / 'tarball/image.sh', there, os.environ['HYPERGATE_TARBALL']], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, 'TZ': 'Pacific/Auckland', 'LC_ALL': 'C.UTF-8', 'TMPDIR': there})
    made = list(pathlib.Path(there).glob('*.tar.gz'))
    assert [digest(path) for path in made] == [digest(image_file())], made


@test
def two_kinds_of_image(stack):
    """what it says of its parts is true: an OCI layout whose blobs have the digests and sizes that are said, and the list that Docker reads"""
    there = pathlib.Path(folder(stack))
    subprocess.run(['tar', '-C', there, '-xf', image_file()], check=True)
    read = lambda name: json.loads((there / name).read_text())
    blob = lambda one: pathlib.Path('blobs/sha256', one['digest'].removeprefix('sha256:'))
    manifest = read('index.json')['manifests'][0]
    parts = [manifest, read(blob(manifest))['config'], *read(blob(manifest))['layers']]
    for part in parts:
        assert (there / blob(part)).stat().st_size == part['size'] and digest(there / blob(part)) == blob(part).name, part
    assert read('manifest.json') == [{'Config': str(blob(parts[1])), 'Layers': [str(blob(parts[2]))],
                                      'RepoTags': ['hypergate:latest', read('manifest.json')[0]['RepoTags'][1]]}]
    assert read(blob(parts[1]))['rootfs']['diff_ids'] == [parts[2]['digest']]


@test
def n29_s16_small_and_nobody(stack):
    """N29, S16: less than 20 MB, not root, left out by providers, with volumes for what it writes; and no program in it but ours"""
    engine = machine(stack)
    about = engine.inspect(OURS)
    assert about['Size'] < 20 * MB, about['Size']
    conf = about['Config']
    assert conf['Labels']['hypergate.EXCLUDE'] == 'true' and user_of(engine) > 0, conf
    assert sorted(conf['Volumes']) == ['/run/hypergate', '/run/hypergate/hosts', '/var/lib/hypergate'], conf
    container = engine.ok('create', OURS)
    stack.callback(lambda: engine.client('rm', '-v', container))
    listed = subprocess.run(['sh', '-c', f'"$0" -H unix://{engine.socket} export {container} | tar -tvf -', '/usr/bin/docker'], check=True,
                            capture_output=True, text=True).stdout
    fields = [line.split() for line in listed.splitlines()]
    programs = [words[5] for words in fields if words[0][0] == '-' and 'x' in words[0] and words[2] != '0']      # the engine's own are empty
    strangers = [path for path in programs if not re.fullmatch(r'usr/local/(bin|sbin|libexec/hypergate)/hypergate[a-z-]*', path)]
    assert programs and not strangers, strangers


@test
def s38_new(stack):
    """S38: docker run -it --rm hypergate --new prints a secret, another one each time; a wrong word on the command line says what is wrong"""
    engine = machine(stack)
    secrets = {engine.ok('run', '--rm', '--network', 'none', *LOCKED, OURS, '--new') for _ in range(3)}
    keyboard, screen = pty.openpty()
    for end in keyboard, screen:
        stack.callback(os.close, end)
    secrets.add(engine.ok('run', '-it', '--rm', OURS, '--new', stdin=screen))
    assert len(secrets) == 4 and all(re.fullmatch('[0-9a-f]{64}', one) for one in secrets), 'these are no four secrets'
    done = engine.client('run', '--rm', OURS, '--gatewy')
    assert done.returncode == 64 and 'did you mean --gateway?' in done.stderr, done


@test
def a_page_goes_through(stack):
    """provider and gateway in locked containers: a page comes out of the gate, and they end in order, with nothing in a log that broke a rule"""
    engine = machine(stack)
    with_node(engine)
    engine.started('--network', 'net', '--network-alias', 'web', 'test/httpd')
    common = [*LOCKED, '--network', 'net', '-e', f'HYPERGATE_ROUTER={SECRET}']
    provider = engine.started(*common, OURS, '--provider', services((8080, 'web', 80)), '--bootstrap', DHT)
    gate = engine.started(*common, '-p', '8000:8080', OURS, '--listen', '0.0.0.0', '--gateway', '--bootstrap', DHT)
    served(engine.network, f'{engine.address(gate, "net")}:8080', PAGE)
    assert PAGE in curl(engine.network, '127.0.0.1:8000') or PAGE in curl(engine.network, '10.201.0.1:8000'), 'nothing at the published port'
    shown, _ = status(engine, gate)
    assert len([one for one in shown if one['type'] == 'status']) == 1, shown
    for container in provider, gate:
        assert ended(engine, container) == 0, engine.logs(container)
        assert 'warning' not in engine.logs(container) and 'may not make' not in engine.logs(container), engine.logs(container)
        assert SECRET not in engine.logs(container), 'the secret is in a log'


@test
def secret_in_a_file(stack):
    """a secret in a mounted file is used, and is in nothing that the engine shows of the container"""
    engine = machine(stack)
    path = secret_file(stack, user_of(engine))
    container = engine.started(*LOCKED, '-v', f'{path}:/router.key:ro', OURS, '--secret-file', '/router.key', '--gateway',
                               '--bootstrap', '127.0.0.1:1')
    line = said(engine, container, 'hypergated: ready')
    other = gateway(engine)
    assert re.search('router ([0-9a-f]{8})', line).group(1) == re.search('router ([0-9a-f]{8})', said(engine, other, 'ready')).group(1), line
    seen = json.dumps(engine.inspect(container)) + engine.ok('top', container, '-eo', 'pid,args') + engine.logs(container)
    for pid in engine.processes():
        with contextlib.suppress(OSError):
            if b'hypergate' in pathlib.Path(f'/proc/{pid}/cmdline').read_bytes() and not_of(engine, other, pid):
                seen += pathlib.Path(f'/proc/{pid}/environ').read_text() + pathlib.Path(f'/proc/{pid}/cmdline').read_text()
    assert SECRET not in seen


def not_of(engine, container, pid):
    return engine.inspect(container)['Id'] not in pathlib.Path(f'/proc/{pid}/cgroup').read_text()


@test
def identity_in_a_volume(stack):
    """peers know it again where its volume is the same, over another container; and where it is not, they don't"""
    engine = machine(stack)
    engine.ok('volume', 'create', 'state')
    keys = []
    for words in (['-v', 'state:/var/lib/hypergate'], ['-v', 'state:/var/lib/hypergate'], []):
        container = gateway(engine, *LOCKED, *words)
        shown, wrong = status(engine, container)
        keys += [one['gatewayKey'] for one in shown if one['type'] == 'status']
        engine.ok('rm', '-fv', container)
    assert keys[0] == keys[1] != keys[2] and len(keys) == 3, (keys, wrong)


@test
def s44_as_root(stack):
    """S44: as root, as the original's manual starts it, it runs as it is told to; as somebody without a name, it says what it can't keep"""
    engine = machine(stack)
    container = gateway(engine, '-u', 'root')
    assert 'warning' not in engine.logs(container), engine.logs(container)
    assert ended(engine, container) == 0
    container = gateway(engine, '-u', '4711')
    assert 'lasts until the next start only' in engine.logs(container), engine.logs(container)
    assert ended(engine, container) == 0


@test
def first_process(stack):
    """it is the first process of its container, and buries whom others leave behind there"""
    engine = machine(stack)
    container = gateway(engine)
    asking = subprocess.Popen(['/usr/bin/docker', '-H', f'unix://{engine.socket}', 'exec', container, 'hypergate', 'scan', 'ab' * 32],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(asking.wait)
    found = lambda: [line.split(None, 2) for line in engine.ok('top', container, '-o', 'pid,state,args').splitlines()[1:]]
    asked = eventually(lambda: [pid for pid, _, words in found() if words.startswith('hypergate scan')], 20, 'a question is asked')
    before = len(found())
    os.kill(int(asked[0]), signal.SIGKILL)
    eventually(lambda: len(found()) == 4 < before and not [one for one in found() if one[1].startswith('Z')], 30, 'nobody is left')


@test
def without_landlock(stack):
    """where the engine's filter of system calls has no Landlock, as old ones, one warning says what that leaves open, and all works"""
    engine = machine(stack)
    for error in 1, 38:         # EPERM, ENOSYS
        profile = pathlib.Path(folder(stack), 'profile.json')
        profile.write_text(json.dumps({'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [{**REFUSED, 'errnoRet': error}]}))
        container = gateway(engine, *LOCKED, '--security-opt', f'seccomp={profile}')
        warned = [line for line in engine.logs(container).splitlines() if 'Landlock' in line]
        assert len(warned) == 1, engine.logs(container)
        assert ended(engine, container) == 0


if __name__ == '__main__':
    scene.main()

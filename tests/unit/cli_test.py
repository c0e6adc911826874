#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""hypergate(1) from outside: what it prints, how it ends, and what it hands to a hypergated that only tells what it got.
Usage: cli_test.py HYPERGATE. Prints TAP."""
import calendar
import ctypes
import itertools
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
import traceback

TESTS = os.path.dirname(os.path.abspath(__file__))
HYPERGATE = os.path.abspath(sys.argv[1])
SECRET = bytes(range(32)).hex()
SERVICE = '{"gatePort": 8080, "serviceHost": "localhost", "servicePort": 80, "protocol": "tcp"}'

HYPERGATED = f'''#!{sys.executable}
import fcntl, json, os, sys
fds = {{}}
for name in ('--conf-fd', '--secret-fd'):
    if name in sys.argv:
        fd = int(sys.argv[sys.argv.index(name) + 1])
        os.lseek(fd, 0, os.SEEK_SET)
        fds[name] = [os.read(fd, 1 << 20).decode(), fcntl.fcntl(fd, 1034)]
fds['open'] = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[3:-1]
json.dump({{'argv': sys.argv[1:], 'environment': dict(os.environ), 'fds': fds}}, sys.stdout)
'''
PR_CAPBSET_DROP = 24
SEALS = 0x1 | 0x2 | 0x4 | 0x8   # fcntl(2): F_SEAL_SEAL, _SHRINK, _GROW, _WRITE
tests = []


def test(function):
    tests.append(function)
    return function


def run(*args, env=(), stdout=subprocess.PIPE, before=None):
    """Runs it in the current folder, with nothing in the environment but @env; @before is called in its process."""
    environment = {'HYPERGATE_LIBEXEC': os.path.join(os.getcwd(), 'libexec'), **dict(env)}
    environment.update({k: v for k, v in os.environ.items() if k.endswith('SAN_OPTIONS')})
    done = subprocess.run([HYPERGATE, *args], env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60,
                          preexec_fn=before)
    if not {'--output', 'new', '--new'} & set(args):
        assert SECRET not in done.stderr, 'the secret is in what it says'
    return done


def handed(*args, env=()):
    """What hypergated got."""
    done = run(*args, env=env)
    assert done.returncode == 0, done
    got = json.loads(done.stdout)
    got['stderr'] = done.stderr
    return got


def refused(status, expected, *args, env=()):
    done = run(*args, env=env)
    assert (done.returncode, done.stdout) == (status, ''), done
    assert done.stderr == expected, done.stderr


def write(name, text, mode=0o644):
    with open(name, 'w') as file:
        file.write(text)
    os.chmod(name, mode)


@test
def new_prints_a_fresh_secret():
    secrets = {run('new').stdout for _ in range(20)} | {run('--new').stdout for _ in range(20)}
    assert len(secrets) == 40 and all(re.fullmatch('[0-9a-f]{64}\n', secret) for secret in secrets)


@test
def new_writes_a_file_that_only_its_owner_reads_and_never_over_another():
    os.umask(0)
    done = run('new', '--output', 'fresh')
    os.umask(0o022)
    said = re.fullmatch('the secret of router ([0-9a-f]{64}), whose name is no secret, is in "fresh"\n', done.stdout)
    assert done.returncode == 0 and said, done
    secret = open('fresh').read()
    assert re.fullmatch('[0-9a-f]{64}\n', secret) and secret.strip() != said[1]
    assert stat.S_IMODE(os.stat('fresh').st_mode) == 0o600
    done = run('new', '--output=fresh')
    assert done.returncode == 73 and done.stdout == '' and 'is left as it is' in done.stderr, done
    os.symlink('elsewhere', 'link')
    assert run('new', '--output', 'link').returncode == 73 and not os.path.exists('elsewhere')
    assert open('fresh').read() == secret
    done = run('new', '--output', 'nofolder/key')
    assert done.returncode == 73 and done.stderr == 'hypergate: cannot write "nofolder/key": No such file or directory\n', done


def lines_of(name):
    with open(name, encoding='ascii') as file:
        return [line.split() for line in file]


@test
def rotate_puts_a_new_secret_above_the_old_one():
    write('rotated.key', SECRET + '\n', 0o600)
    os.symlink('rotated.key', 'rotated.link')
    said = [run('rotate', './rotated.link')]
    one = lines_of('rotated.key')
    assert [words[1:2] for words in one] == [[], ['until']] and one[1][0] == SECRET and one[0][0] != SECRET, one
    assert 86000 < calendar.timegm(time.strptime(one[1][2], '%Y-%m-%dT%H:%M:%SZ')) - time.time() < 86401, one
    said += [run('rotate', './rotated.key', '--overlap', '90m', '--json')]
    two = lines_of('rotated.key')
    assert [words[0] for words in two[1:]] == [one[0][0], SECRET] and two[2] == one[1], two
    assert re.fullmatch('[0-9a-f]{64}', two[0][0]) and two[1][2] < one[1][2]
    told = json.loads(said[1].stdout)
    assert told['type'] == 'rotate' and told['until'] == two[1][2] and told['file'] == os.path.realpath('rotated.key'), told
    assert told['previousRouter'] in said[0].stdout and told['router'] not in said[0].stdout
    by = f'--secret-file "{os.path.realpath("rotated.key")}" ' if os.geteuid() == 0 else ''
    assert f'hypergate reload {by}rotated\n' in said[0].stdout, said[0]
    assert os.path.islink('rotated.link') and stat.S_IMODE(os.stat('rotated.key').st_mode) == 0o600
    assert not os.path.exists('rotated.key.new')
    write('reads.yaml', 'secretFile: rotated.key\ngateway:\n')
    assert run('check', 'reads.yaml').returncode == 0
    for _ in range(2):
        said += [run('rotate', './rotated.key')]
    assert len(lines_of('rotated.key')) == 4 and '1 of the oldest' in said[-1].stdout, said[-1]
    said += [run('rotate', './rotated.key', '--overlap', '0')]
    assert len(lines_of('rotated.key')) == 1
    for done in said:
        assert done.returncode == 0 and not done.stderr, done
        assert not any(words[0] in done.stdout for words in one + two), 'a secret is in what it says'


@test
def rotate_leaves_what_it_can_not_replace_as_it_is():
    def told(status, expected, *args):
        done = run(*args)
        assert (done.returncode, done.stdout) == (status, '') and expected in done.stderr, done

    write('kept.key', SECRET + '\n', 0o600)
    for overlap in ('', '24', '1x', '-1h', '59s', '367d', '99999999999999999999h', '1h2'):
        told(64, '--overlap', 'rotate', f'--overlap={overlap}', './kept.key')
    told(64, 'which NAME or FILE?', 'rotate')
    told(66, 'No such file', 'rotate', './nokey')
    told(66, '/etc/hypergate/kept-nowhere.key', 'rotate', 'kept-nowhere')
    told(66, 'File name too long', 'rotate', './' + 'x' * 5000)
    write('kept.key.new', 'half', 0o600)
    told(73, '/kept.key.new" is there already', 'rotate', './kept.key')
    os.unlink('kept.key.new')
    os.chmod('kept.key', 0o644)
    told(78, 'is open to others', 'rotate', './kept.key')
    write('wrong.key', SECRET + '\n' + SECRET + '\n', 0o600)
    told(78, 'wrong.key:2:65: a previous secret: expected "until"', 'rotate', './wrong.key')
    assert lines_of('kept.key') == [[SECRET]] and not os.path.exists('kept.key.new')


def without_rights_of_root():
    """capabilities(7): not those by which root reads whatever it likes, CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, nor what it starts."""
    for capability in (1, 2) if os.geteuid() == 0 else ():
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


@test
def rotate_has_failed_only_if_the_secret_is_what_it_was():
    os.mkdir('blind')
    write('blind/a.key', SECRET + '\n', 0o600)
    os.chmod('blind', 0o300)
    try:
        done = run('rotate', './blind/a.key', before=without_rights_of_root)
    finally:
        os.chmod('blind', 0o700)
    assert (done.returncode, done.stdout) == (73, '') and 'a.key": Permission denied' in done.stderr, done
    assert lines_of('blind/a.key') == [[SECRET]] and os.listdir('blind') == ['a.key']


@test
def rotate_finds_a_file_whatever_its_name():
    for name in 'caf\u00e9', 'key \U0001f511', 'a"b\\c', 'tab\t\x7f', 'next\u0085line\ufffe':
        write(name, SECRET + '\n', 0o600)
        done = run('rotate', './' + name, '--json')
        assert done.returncode == 0 and json.loads(done.stdout)['file'] == os.path.realpath(name), (name, done)
        assert len(lines_of(name)) == 2
    write(b'latin\xe9', SECRET + '\n', 0o600)
    done = run('rotate', b'./latin\xe9')
    assert (done.returncode, done.stdout) == (78, '') and 'it is not UTF-8\n' in done.stderr, done
    assert lines_of(b'latin\xe9') == [[SECRET]]


@test
def what_can_not_be_printed_is_an_error():
    write('full.key', SECRET + '\n', 0o600)
    with open('/dev/full', 'w') as full:
        for args in ('new',), ('--help',), ('--version',), ('version', '--json'), ('rotate', './full.key'), ('rotate', '--json', './full.key'):
            done = run(*args, stdout=full)
            assert done.returncode == 74 and 'cannot' in done.stderr, (args, done)


@test
def help_and_version():
    done = run('--help')
    assert done.returncode == 0 and done.stdout.startswith('usage: hypergate ') and done.stderr == ''
    assert all(run(*args).stdout == done.stdout for args in (('run', '--help'), ('help',), ('-h',), ('new', '-h')))
    assert re.fullmatch(r'hypergate [0-9.]+\n', run('--version').stdout)


@test
def the_one_liners_of_the_original():
    write('http.json', f'{{"name": "HTTP", "icon": "", "services": [{SERVICE}]}}')
    got = handed('--router', SECRET, '--provider', 'http.json')
    assert got['argv'][:2] == ['--foreground', '--conf-fd'] and got['argv'][3] == '--secret-fd' and len(got['argv']) == 5
    assert got['fds']['--conf-fd'] == ['provider: {\n services: [\n "http.json",\n ]}\n', SEALS]
    assert got['fds']['--secret-fd'] == [SECRET, SEALS]
    assert len(got['fds']['open']) == 2, 'no descriptor but these two'
    assert got['stderr'].startswith('hypergate: warning: --router: others on this machine could read the secret')

    got = handed('--router=' + SECRET, '--listen', '0.0.0.0', '--gateway')
    assert got['fds']['--conf-fd'][0] == 'gateway: {\n listen: [\n "0.0.0.0",\n ],\n}\n'
    got = handed('--gateway', 'http.json', env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0] == 'gateway: {\n services: [\n "http.json",\n ],\n}\n'
    assert got['fds']['--secret-fd'][0] == SECRET and 'HYPERGATE_ROUTER' not in got['environment'] and got['stderr'] == ''
    write('file.key', SECRET, 0o600)
    for variables in {}, {'HYPERGATE_ROUTER': 'f' * 64}:        # which the file goes before
        got = handed('--secret-file', 'file.key', '--gateway', env=variables)
        assert got['fds']['--conf-fd'][0] == 'gateway: {\n}\nsecretFile: "file.key"\n'
        assert '--secret-fd' not in got['argv'] and 'HYPERGATE_ROUTER' not in got['environment'] and got['stderr'] == ''
    got = handed('relay', '--secret-file', 'file.key')
    assert got['fds']['--conf-fd'][0] == 'relay: { open: false }\nsecretFile: "file.key"\n'
    write('seen.key', SECRET, 0o644)
    assert '--secret-file' in run('--secret-file', 'seen.key', '--gateway').stderr
    got = handed('--router', SECRET.upper(), '--provider', f'[{SERVICE}]', '--provider', 'http.json', '--gateway', '--verbose',
                 '--bootstrap', '127.0.0.1:1,127.0.0.1:2', '--bootstrap', 'c:3')
    assert got['fds']['--conf-fd'][0] == (
        'provider: {\n services: [\n "' + f'[{SERVICE}]'.replace('"', '\\"') + '",\n "http.json",\n ]}\ngateway: {\n}\n'
        'bootstrap: [\n"127.0.0.1:1", "127.0.0.1:2", \n"c:3", \n]\nlogLevel: debug\n')


@test
def the_variables_of_the_original():
    got = handed(env={'HYPERGATE_ROUTER': SECRET, 'HYPERGATE_PROVIDER': f'[{SERVICE}]', 'HYPERGATE_GATEWAY': 'true',
                      'HYPERGATE_LISTEN': '127.0.0.2', 'HYPERGATE_VERBOSE': 'True'})
    assert got['fds']['--conf-fd'][0].endswith('gateway: {\n listen: [\n "127.0.0.2",\n ],\n}\nlogLevel: debug\n')
    got = handed('--listen', '127.0.0.3', '--gateway', env={'HYPERGATE_ROUTER': SECRET, 'HYPERGATE_LISTEN': '127.0.0.2',
                                                            'HYPERGATE_VERBOSE': 'no'})
    assert got['fds']['--conf-fd'][0] == 'gateway: {\n listen: [\n "127.0.0.3",\n ],\n}\n'


def variable_of(flag):
    return 'HYPERGATE_' + re.sub('([A-Z])', r'_\1', flag).upper()


# Each of the original's, by its name without --, a value, and what it makes of the configuration of an instance.
PROVIDER = 'provider: {\n services: [\n ]}\n'
ORIGINALS = (
    ('provider', 'http.json', 'provider: {\n services: [\n "http.json",\n ]}\n'),
    ('provider', 'https://example.org/http.json', 'provider: {\n services: [\n "https://example.org/http.json",\n ]}\n'),
    ('provider', '[]', 'provider: {\n services: [\n "[]",\n ]}\n'),
    ('provider', 'true', PROVIDER),
    ('gateway', 'http://example.org/x', 'gateway: {\n services: [\n "http://example.org/x",\n ],\n}\n'),
    ('gateway', '[{"gatePort":1}]', 'gateway: {\n services: [\n "[{\\"gatePort\\":1}]",\n ],\n}\n'),
    ('gateway', 'http.json', 'gateway: {\n services: [\n "http.json",\n ],\n}\n'),
    ('gateway', 'true', 'gateway: {\n}\n'),
    ('listen', '127.0.0.2', PROVIDER + 'gateway: {\n listen: [\n "127.0.0.2",\n ],\n}\n'),
    ('verbose', 'TRUE', PROVIDER + 'logLevel: debug\n'),
    ('routeFindingTimeoutMs', '15000', PROVIDER + 'gateway: {\n routeFindingTimeoutMs: 15000,\n}\n'),
    ('udpSocketTimeoutMs', '2000',
     'provider: {\n udpSocketTimeoutMs: 2000,\n services: [\n ]}\ngateway: {\n udpSocketTimeoutMs: 2000,\n}\n'),
    ('tcpSocketTimeoutMs', '3000',
     'provider: {\n tcpSocketTimeoutMs: 3000,\n services: [\n ]}\ngateway: {\n tcpSocketTimeoutMs: 3000,\n}\n'),
    ('fingerprintResolverPort', '8080', PROVIDER + 'fingerprintResolver: { listen: "127.0.0.1:8080" }\n'),
    ('ingressPolicy', 'policy.json', 'provider: {\n ingressPolicy: [\n "policy.json",\n ],\n services: [\n ]}\n'),
    ('ingressPolicy', '{"defaults":{}}', 'provider: {\n ingressPolicy: [\n "{\\"defaults\\":{}}",\n ],\n services: [\n ]}\n'),
    ('channelTimeoutPollMs', '60000', PROVIDER + 'channelTimeoutPollMs: 60000\n'),
    ('findRouteRetryMinMs', '100', PROVIDER + 'findRouteRetryMinMs: 100\n'),
    ('findRouteRetryMaxMs', '600', PROVIDER + 'findRouteRetryMaxMs: 600\n'),
    ('peerStaleMs', '900000', PROVIDER + 'peerStaleMs: 900000\n'),
    ('openRequestTimeoutMs', '5000', PROVIDER + 'gateway: {\n openRequestTimeoutMs: 5000,\n}\n'),
    ('routeExpirationMs', '60000', PROVIDER + 'gateway: {\n routeExpirationMs: 60000,\n}\n'),
    ('statsIntervalMs', '0', PROVIDER + 'statsIntervalMs: 0\n'),
    ('maxBufferPerChannel', '8388608', PROVIDER + 'maxBufferPerChannel: 8388608\n'),
    ('maxBufferPerPeer', '33554432', PROVIDER + 'maxBufferPerPeer: 33554432\n'),
    ('peerRefreshMs', '5000', PROVIDER + 'peerRefreshMs: 5000\n'),
    ('peerRefreshWaitMs', '100', PROVIDER + 'peerRefreshWaitMs: 100\n'),
    ('docker', 'true', PROVIDER + 'docker: {\n}\n'),
    ('docker', '/run/docker.sock', PROVIDER + 'docker: {\n socket: "/run/docker.sock",\n}\n'),
    ('network', 'net', PROVIDER + 'docker: {\n network: [\n "net",\n ],\n}\n'),
    ('image', 'hyper/gate:1', PROVIDER + 'docker: {\n image: "hyper/gate:1",\n}\n'),
    ('refreshTime', '5000', PROVIDER + 'docker: {\n refreshTime: 5000,\n}\n'),
    ('exposeOnlyDocker', 'true', PROVIDER + 'gateway: {\n exposeOnlyDocker: true,\n}\n'),
    ('exposeOnlyDocker', 'false', PROVIDER + 'gateway: {\n exposeOnlyDocker: false,\n}\n'),
    ('exposeOnlyPublished', 'TRUE', PROVIDER + 'gateway: {\n exposeOnlyPublished: true,\n}\n'),
    ('exposeOnlyServices', 'a.hyper,b', PROVIDER + 'gateway: {\n exposeOnlyServices: [\n"a.hyper", "b", \n ],\n}\n'),
)


@test
def each_option_of_the_original_alone_as_a_flag_and_as_a_variable():
    write('http.json', f'[{SERVICE}]')
    write('policy.json', '{"defaults": {"allow": false}}')
    for name, value, expected in ORIGINALS:
        roles = [role for role in ('provider', 'gateway', 'docker') if role + ': {' in expected and role != name]
        flags = [word for role in roles for word in ('--' + role,)]
        alone = ('--' + name,) if value.lower() == 'true' else ('--' + name, value)
        got = handed(*flags, *alone, env={'HYPERGATE_ROUTER': SECRET})
        assert got['fds']['--conf-fd'][0] == expected, (name, got['fds'])
        got = handed(env={'HYPERGATE_ROUTER': SECRET, variable_of(name): value, **{variable_of(role): 'true' for role in roles}})
        assert got['fds']['--conf-fd'][0] == expected, (variable_of(name), got['fds'])


@test
def docker_as_the_manual_of_the_original_has_it():
    environment = {'HYPERGATE_ROUTER': SECRET}
    got = handed('--router', SECRET, '--docker', '--provider', '--network', 'hypergatenet')
    assert got['fds']['--conf-fd'][0] == PROVIDER + 'docker: {\n network: [\n "hypergatenet",\n ],\n}\n', got
    third = ('--docker', '--gateway', '--listen', '0.0.0.0', '--network', 'hypergatenet', '--exposeOnlyServices', 'phpmyadmin.hyper')
    gateway = 'gateway: {\n listen: [\n "0.0.0.0",\n ],\n exposeOnlyDocker: %s,\n exposeOnlyServices: [\n"phpmyadmin.hyper", \n ],\n}\n'
    docker = 'docker: {\n network: [\n "hypergatenet",\n ],\n}\n'
    got = handed(*third, env=environment)
    assert got['fds']['--conf-fd'][0] == gateway % 'true' + docker, got
    got = handed('--provider', *third, env=environment)
    assert got['fds']['--conf-fd'][0] == PROVIDER + gateway % 'true' + docker, got
    variable = 'HYPERGATE_EXPOSE_ONLY_DOCKER'
    for flags, variables in ((('--exposeOnlyDocker', 'false'), {}), (('--exposeOnlyDocker=False',), {variable: 'true'}),
                             ((), {variable: 'false'})):
        got = handed('--provider', *third, *flags, env={**environment, **variables})
        assert got['fds']['--conf-fd'][0] == PROVIDER + gateway % 'false' + docker, got
    variables = {'HYPERGATE_DOCKER': 'False', 'HYPERGATE_NETWORK': 'a', 'HYPERGATE_EXPOSE_ONLY_SERVICES': 'b'}
    got = handed('--provider', env={**environment, **variables})
    assert got['fds']['--conf-fd'][0] == PROVIDER, 'these variables are there for others'
    for flag, value, why in (('exposeOnlyDocker', 'yes', 'true or false'), ('exposeOnlyPublished', '1', 'true or false'),
                             ('refreshTime', '5s', 'a whole number from 1000 to 3600000'),
                             ('image', 'a b', 'the name of an image'), ('network', 'a/b', 'the name of a Docker network'),
                             ('exposeOnlyServices', ',', 'a text such as "phpmyadmin.hyper"'),
                             ('exposeOnlyServices', 'a:1', 'a host alone'),
                             ('docker', 'tcp://127.0.0.1:2375', 'the path of a unix socket')):
        roles = ('--provider', '--gateway', *(() if flag == 'docker' else ('--docker',)))
        done = run(*roles, '--' + flag, value, env=environment)
        assert done.returncode == 78 and done.stderr.startswith(f'--{flag}: ') and f': expected {why}' in done.stderr, done


@test
def the_password_of_the_resolver_is_handed_on_by_its_variable():
    write('http.json', f'[{SERVICE}]')
    where = ('--provider', 'http.json', '--fingerprintResolverPort', '8080', '--fingerprintResolverHost', '::1')
    got = handed(*where, '--fingerprintResolverBasicAuth', 'u:p', env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0].endswith('fingerprintResolver: { listen: "[::1]:8080" }\n'), got
    assert got['environment']['HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH'] == 'u:p' and 'u:p' not in str(got['argv']), got
    refused(64, 'hypergate: fingerprints are told to nobody without --fingerprintResolverPort\nTry: hypergate --help\n',
            '--provider', 'http.json', '--fingerprintResolverHost', '127.0.0.1')
    done = run('--provider', 'http.json', '--fingerprintResolverPort', '8080', '--fingerprintResolverHost', '0.0.0.0',
               env={'HYPERGATE_ROUTER': SECRET})
    assert done.returncode == 78 and 'others than this machine could ask at 0.0.0.0:8080' in done.stderr, done


@test
def the_secret_of_tokens_is_handed_on_by_its_variable():
    secret = {'HYPERGATE_ROUTER': SECRET, 'HYPERGATE_UNLIMITED_SECRET': 'shared-secret'}
    got = handed('--gateway', '--unlimitedSecret', 'shared-secret', '--unlimitedHost', '127.0.0.1', '--unlimitedPort', '8092',
                 env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0].endswith('unlimited: { listen: "127.0.0.1:8092" }\n'), got
    assert got['environment']['HYPERGATE_UNLIMITED_SECRET'] == 'shared-secret' and 'shared-secret' not in str(got['argv']), got
    got = handed('--gateway', env=secret)
    assert got['fds']['--conf-fd'][0].endswith('unlimited: { listen: "127.0.0.1:8091" }\n'), got
    got = handed(env={**secret, 'HYPERGATE_GATEWAY': 'true', 'HYPERGATE_UNLIMITED_HOST': '::1', 'HYPERGATE_UNLIMITED_PORT': '1'})
    assert got['fds']['--conf-fd'][0].endswith('unlimited: { listen: "[::1]:1" }\n'), got
    refused(64, 'hypergate: nobody is let in by tokens without --unlimitedSecret\nTry: hypergate --help\n', '--gateway',
            '--unlimitedPort', '8092')


@test
def limits_are_numbers_and_those_without_effect_say_so():
    for name, value, _ in ORIGINALS:
        if not name.endswith('Ms'):
            continue
        for source, args, env in (('--' + name, ('--' + name, '1s'), {}), (variable_of(name), (), {variable_of(name): '1s'})):
            done = run('--provider', '--gateway', *args, env={'HYPERGATE_ROUTER': SECRET, **env})
            assert done.returncode == 78 and done.stderr.startswith(f'{source}: {name}: expected a whole number from '), done
    write('limits.yaml', 'secretFile: key\ngateway:\npeerStaleMs: 900000\n')
    write('key', SECRET, 0o600)
    done = run('check', 'limits.yaml')
    assert done.returncode == 0 and done.stderr.startswith(
        'limits.yaml:3:14: warning: peerStaleMs: this limit of the original has no effect here: '), done


@test
def a_flag_goes_before_its_variable():
    got = handed('--provider', '--peerStaleMs', '1', env={'HYPERGATE_ROUTER': SECRET, 'HYPERGATE_PEER_STALE_MS': '2'})
    assert got['fds']['--conf-fd'][0].endswith('peerStaleMs: 1\n')
    got = handed('--router', SECRET, '--gateway', env={'HYPERGATE_ROUTER': 'f' * 64})
    assert got['fds']['--secret-fd'][0] == SECRET and 'HYPERGATE_ROUTER' not in got['environment']


@test
def relays():
    got = handed('relay', '--bootstrap', '127.0.0.1:1', env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0] == 'relay: { open: false }\nbootstrap: [\n"127.0.0.1:1", \n]\n'
    assert got['fds']['--secret-fd'][0] == SECRET and 'HYPERGATE_ROUTER' not in got['environment']
    got = handed('relay', '--open', '--listen', '0.0.0.0:4000', env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0] == 'relay: { open: true }\nhost: "0.0.0.0"\nport: 4000\n'
    assert '--secret-fd' not in got['argv'] and 'HYPERGATE_ROUTER' not in got['environment']
    refused(64, 'hypergate: relay: --listen IP:PORT, such as 0.0.0.0:49737\nTry: hypergate --help\n', 'relay', '--listen', '0.0.0.0')
    refused(64, 'hypergate: --public: does not go with relay\nTry: hypergate --help\n', 'relay', '--public', '192.0.2.1:1')
    refused(78, 'command line: no router secret: name its file with secretFile, or set HYPERGATE_ROUTER; "hypergate new --output '
            'FILE" makes one\n', 'relay')


@test
def bootstrap_nodes():
    got = handed('bootstrap', '--listen', '127.0.0.1:4000', env={'HYPERGATE_ROUTER': SECRET})
    assert got['fds']['--conf-fd'][0] == (
        'dht: { persistent: true,\n}\nhost: "127.0.0.1"\nport: 4000\nbootstrap: [\n]\n')
    assert '--secret-fd' not in got['argv'] and 'HYPERGATE_ROUTER' not in got['environment']
    got = handed('bootstrap', '--listen', '0.0.0.0:4000', '--public', '192.0.2.1:4001', '--bootstrap', 'node1:1')
    assert '\n public: "192.0.2.1:4001"\n' in got['fds']['--conf-fd'][0]
    refused(78, '--public: dht: a persistent node must say where others reach it: public: IP:PORT, such as 192.0.2.1:49737\n',
            'bootstrap', '--listen', '0.0.0.0:4000')
    refused(78, '--listen: port: expected a whole number from 0 to 65535, such as 49737, not "70000"\n',
            'bootstrap', '--listen', '127.0.0.1:70000')
    refused(78, '--listen: host: expected an IPv4 address such as 0.0.0.0, not "localhost"\n',
            'bootstrap', '--listen', 'localhost:1')
    refused(64, 'hypergate: bootstrap: where? --listen IP:PORT, such as 0.0.0.0:49737\nTry: hypergate --help\n', 'bootstrap')


@test
def run_hands_over_a_file_as_it_is():
    assert handed('run', 'x.yaml')['argv'] == ['--foreground', 'x.yaml']
    got = handed('run', '--user', 'nobody', '--allow-root', 'x.yaml', env={'HYPERGATE_ROUTER': SECRET})
    assert got['argv'] == ['--foreground', '--user', 'nobody', '--allow-root', 'x.yaml']
    assert handed('run', '--verbose', 'x.yaml')['argv'] == ['--foreground', '--verbose', 'x.yaml']
    assert got['environment']['HYPERGATE_ROUTER'] == SECRET


@test
def check_says_everything_that_is_wrong_and_nothing_else():
    write('key', SECRET, 0o600)
    write('good.yaml', f'secretFile: key\nprovider: {{services: [{SERVICE}]}}\n')
    write('bad.yaml', 'secretFile: key\ngateway: {listen: here}\nprot: 1\n')
    done = run('check', 'good.yaml')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', ''), done
    refused(78, 'bad.yaml:2:19: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, not "here"\n'
                'bad.yaml:3:1: unknown key "prot"; did you mean port?\n'
                'missing.yaml: cannot read it: No such file or directory\n', 'check', 'bad.yaml', 'good.yaml', 'missing.yaml')
    write('alone.yaml', 'gateway:\n')
    assert run('check', 'alone.yaml').returncode == 78
    assert run('check', 'alone.yaml', env={'HYPERGATE_ROUTER': SECRET}).returncode == 0
    assert run('check', '-c', 'good.yaml').returncode == run('check', '--config=good.yaml', 'good.yaml').returncode == 0
    assert run('check', 'good.yaml', '-c', 'bad.yaml').stderr.startswith('bad.yaml:2:19: ')


@test
def check_shows_what_files_say_together_and_that_reads_the_same():
    write('key', SECRET, 0o600)
    write('many.yaml', f'secretFile: key\nprovider: {{services: [{SERVICE}]}}\n')
    os.makedirs('many.yaml.d', exist_ok=True)
    write('many.yaml.d/50-level.yaml', 'logLevel: warning\ngateway: {listen: "::1"}\n')
    done = run('check', '--show', '-c', 'many.yaml')
    assert (done.returncode, done.stderr) == (0, '') and SECRET not in done.stdout, done
    assert done.stdout.startswith('# many.yaml\n# many.yaml.d/50-level.yaml\nsecretFile: "/') and '\nlogLevel: warning\n' in done.stdout
    os.makedirs('elsewhere', exist_ok=True)
    write('elsewhere/many.yaml', done.stdout)
    again = run('check', '--show', 'elsewhere/many.yaml')
    assert (again.returncode, again.stderr) == (0, ''), again

    def without_comments(text):
        return re.sub(r' *#.*', '', text).strip()
    assert without_comments(again.stdout) == without_comments(done.stdout)
    refused(78, 'missing.yaml: cannot read it: No such file or directory\n', 'check', '--show', 'missing.yaml')
    refused(64, 'hypergate: --show: one FILE is enough\nTry: hypergate --help\n', 'check', '--show', 'many.yaml', 'many.yaml')
    with open('/dev/full', 'w') as full:
        assert run('check', '--show', 'many.yaml', stdout=full).returncode == 74
    assert handed('run', '-c', 'many.yaml')['argv'] == ['--foreground', 'many.yaml']


@test
def new_check_and_version_for_programs():
    one = json.loads(run('new', '--json').stdout)
    assert set(one) == {'type', 'router', 'secret'} and one['type'] == 'new' and re.fullmatch('[0-9a-f]{64}', one['secret']), one
    assert re.fullmatch('[0-9a-f]{64}', one['router']) and one['router'] != one['secret']
    kept = json.loads(run('new', '--json', '--output', 'kept').stdout)
    assert set(kept) == {'type', 'router'} and open('kept').read().strip() not in json.dumps(kept), kept
    assert run('version', '--json').stdout == run('--version', '--json').stdout
    said = json.loads(run('version', '--json').stdout)
    assert said == {'type': 'version', 'version': run('version').stdout.split()[1]}, said

    write('key', SECRET, 0o600)
    write('good.yaml', f'secretFile: key\nprovider: {{services: [{SERVICE}]}}\n')
    write('warns.yaml', 'secretFile: key\ngateway: {services: []}\n')
    write('bad.yaml', 'secretFile: key\ngateway:\nprot: 1\n')
    done = run('check', '--json', 'good.yaml', 'warns.yaml', 'bad.yaml', 'missing.yaml', 'x' + SECRET)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 78 and done.stderr == '' and SECRET not in done.stdout, done
    assert [(one['file'], one['good'], one['errors'], one['warnings']) for one in lines if one['type'] == 'check'] == [
        ('good.yaml', True, 0, 0), ('warns.yaml', True, 0, 1), ('bad.yaml', False, 1, 0), ('missing.yaml', False, 1, 0),
        ('(65 characters)', False, 1, 0)], lines
    assert [(one['file'], one['line'], one['column'], one['warning']) for one in lines if one['type'] == 'complaint'][:3] == [
        ('warns.yaml', 2, 21, True), ('bad.yaml', 3, 1, False), ('missing.yaml', 0, 0, False)], lines
    assert all(one['text'] for one in lines if one['type'] == 'complaint')
    assert run('check', '--json', 'warns.yaml').returncode == 0
    shown = json.loads(run('check', '--json', '--show', 'good.yaml').stdout)
    assert shown['shown'] == run('check', '--show', 'good.yaml').stdout and SECRET not in shown['shown'], shown
    write(b'latin\xe9.yaml', 'gateway:\nprot: 1\n')
    done = run('check', '--json', b'latin\xe9.yaml', 'good.yaml')
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 78 and done.stderr == '' and len(lines) == 4, done
    assert [one['file'] for one in lines] == ['latin\\xe9.yaml'] * 3 + ['good.yaml'], lines
    with open('/dev/full', 'w') as full:
        assert run('check', '--json', 'bad.yaml', stdout=full).returncode == run('new', '--json', stdout=full).returncode == 74


@test
def wrong_flags_are_told_by_their_name_all_at_once():
    refused(78, '--provider: services: cannot read "no.json": No such file or directory\n'
                '--gateway: services: cannot read "none.json": No such file or directory\n'
                '--listen: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, not "here"\n'
                '--bootstrap: bootstrap: expected HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737, not "x"\n'
                '--provider:1:15: gatePort: expected a whole number from 1 to 65535, such as 8080, not "0"\n',
            '--provider', 'no.json', '--provider', '[{"gatePort": 0, "serviceHost": "a", "servicePort": 1}]',
            '--gateway', 'none.json', '--listen', 'here', '--bootstrap', 'x', env={'HYPERGATE_ROUTER': SECRET})
    refused(78, 'command line: no router secret: name its file with secretFile, or set HYPERGATE_ROUTER; "hypergate new --output '
                'FILE" makes one\n', '--gateway')
    refused(78, '--gateway: services: cannot read "a\\u{a}b": No such file or directory\n', '--gateway', 'a\nb',
            env={'HYPERGATE_ROUTER': SECRET})


@test
def wrong_command_lines():
    hint = '\nTry: hypergate --help\n'
    for args, expected in (
            (('--gatway',), '"--gatway": unknown option; did you mean --gateway?'),
            (('--zzz=1',), '"--zzz": unknown option'),
            (('--docker',), 'provider or gateway? --provider SERVICES, --gateway [SERVICES]'),
            (('--provider', '--network', 'hypergatenet'), '--network: of which engine? It goes with --docker'),
            (('--gateway', '--image', 'hypergate'), '--image: of which engine? It goes with --docker'),
            (('--gateway', '--refreshTime', '5000'), '--refreshTime: of which engine? It goes with --docker'),
            (('--provider', '--exposeOnlyDocker'), '--exposeOnlyDocker: a provider opens no ports; it goes with --gateway'),
            (('--provider', '--exposeOnlyPublished'), '--exposeOnlyPublished: a provider opens no ports; it goes with --gateway'),
            (('--provider', '--exposeOnlyServices', 'a'), '--exposeOnlyServices: a provider opens no ports; it goes with --gateway'),
            (('--gateway', '--exposeOnlyServices'), '--exposeOnlyServices: needs a value'),
            (('--gateway', '--docker='), '--docker: needs a value'),
            (('--scan', 'x'), 'scan: a KEY is 64 hexadecimal characters: hypergate new says which, and so does hypergate status --json'),
            (('--scan',), 'scan: which router? Its public KEY, or --secret-file FILE'),
            (('--scan', SECRET, '--gateway'), '--gateway: does not go with scan'),
            (('--gateway', ''), '--gateway: needs a value'),
            (('--provider=',), '--provider: needs a value'),
            (('--provider', 'x.json', '--routeFindingTimeoutMs', '1'),
             '--routeFindingTimeoutMs: a provider has no clients that wait; it goes with --gateway'),
            (('chek', 'x'), '"chek": unknown command; did you mean check?'),
            (('check',), 'check: which FILE?'),
            (('run',), 'run: which FILE?'),
            (('run', 'a', 'b'), 'run: one FILE is enough'),
            (('new', 'a'), 'new: takes no operand'),
            (('new', '--output'), '--output: needs a value'),
            (('--listen', '--gateway'), '--listen: needs a value'),
            (('--verbose=1',), '--verbose: takes no value'),
            (('check', '--router', 'x', 'y'), '--router: does not go with check'),
            (('--provider', 'x.json', '--listen', '0.0.0.0'), '--listen: a provider opens no ports; it goes with --gateway'),
            (('--output', 'x'), '--output: does not go with these options'),
            (('--secret-file', 'x', '--router', SECRET, '--gateway'), '--router, or --secret-file? One of them'),
            (('relay', '--secret-file', 'x', '--open'), '--open: for everybody, or of the router of --secret-file?'),
            (('scan', '--json', 'x', 'y'), 'scan: one KEY is enough'),
            (('scan',), 'scan: which router? Its public KEY, or --secret-file FILE'),
            (('scan', '--secret-file', 'x', 'y'), 'scan: which router? Its public KEY, or --secret-file FILE'),
            (('scan', SECRET[:-1]), 'scan: a KEY is 64 hexadecimal characters: hypergate new says which, and so does hypergate status '
                                    '--json'),
            (('scan', '--seconds', '0', SECRET), 'scan: --seconds: a whole number from 1 to 300'),
            (('scan', '--seconds', '1s', SECRET), 'scan: --seconds: a whole number from 1 to 300'),
            (('doctor', 'x'), 'doctor: takes no operand'),
            (('status', '--bootstrap', 'x:1'), '--bootstrap: does not go with status'),
            (('run', '--json', 'x'), '--json: does not go with run'),
            (('add', 'x'), 'add: which SERVICES, and to which NAME?'),
            (('add', '[]', 'x'), 'add: there is no service in it'),
            (('remove', '80'), 'remove: which gate PORT, and from which NAME?'),
            (('remove', '0', 'x'), 'remove: a gate PORT, 1 to 65535, such as 8000 or 8000/udp'),
            (('remove', '80/sctp', 'x'), 'remove: a gate PORT, 1 to 65535, such as 8000 or 8000/udp'),
            (('drain', '--wait', '0'), 'drain: --wait: a whole number of seconds from 1 to 604800'),
            (('drain', '--wait', '5m'), 'drain: --wait: a whole number of seconds from 1 to 604800'),
            (('top', '-d', '0'), 'top: --delay: seconds, 0.1 to 3600'),
            (('top', '-n', '0.5'), 'top: --count: a whole number from 1 to 1000000'),
            (('check', '-n', '1', 'x'), '--count: does not go with check'),
            (('allow',), 'allow: which IP?'),
            (('allow', 'localhost'), 'allow: an IP address, such as 192.0.2.1 or 2001:db8::1'),
            (('allow', '--for', '0s', '::1'), 'allow: --for: for how long? 1s to 30d, such as 30m, 8h'),
            (('allow', '--for', '31d', '::1'), 'allow: --for: for how long? 1s to 30d, such as 30m, 8h'),
            (('allow', '--for', '18446744073709551617s', '::1'), 'allow: --for: for how long? 1s to 30d, such as 30m, 8h'),
            (('allow', '--for', '30', '::1'), 'allow: --for: for how long? 1s to 30d, such as 30m, 8h'),
            (('deny', '10.0.0.0/8'), 'deny: an IP address, such as 192.0.2.1 or 2001:db8::1'),
            (('deny', '--for', '5m', '::1'), '--for: does not go with deny'),
            (('undrain', '--wait', '5'), '--wait: does not go with undrain'),
            (('--router', SECRET), 'provider or gateway? --provider SERVICES, --gateway [SERVICES]')):
        refused(64, f'hypergate: {expected}{hint}', *args)
    done = run()
    assert done.returncode == 64 and done.stderr == run('--help').stdout and done.stdout == ''


@test
def a_secret_in_the_wrong_place_is_never_printed():
    places = ['--routr', '--router', '--provider', '--gateway', '--listen', '--bootstrap', '--user', '--public', '--output', 'run',
              'check', '--']
    for first, second in itertools.product(places, ['', 'bootstrap']):
        for value in (SECRET, SECRET[:-1] + 'g', 'x' + SECRET):
            done = run(*filter(None, [second, first, value]))
            assert value not in done.stderr and SECRET[:20] not in done.stderr, (first, second, done.stderr)
            done = run(*filter(None, [second, first + '=' + value]))
            assert value not in done.stderr and SECRET[:20] not in done.stderr, (first, second, done.stderr)
    for value in (SECRET + '0', SECRET[:-1], 'x' + SECRET, ' '):
        done = run('--gateway', env={'HYPERGATE_ROUTER': value})
        assert done.returncode == 78 and SECRET[:20] not in done.stderr and done.stderr.startswith('HYPERGATE_ROUTER: '), done
    refused(78, 'HYPERGATE_ROUTER: the router secret has 66 characters, not 64\n', '--gateway',
            env={'HYPERGATE_ROUTER': SECRET + '00'})
    done = run('--gateway', '--router', SECRET + '00')
    assert done.returncode == 78 and done.stderr.endswith('\n--router: the router secret has 66 characters, not 64\n'), done
    assert run('new', '--output', SECRET).returncode == 0
    refused(73, 'hypergate: (64 characters) exists and is left as it is: it may be the only copy of a secret\n', 'new', '--output',
            SECRET)


def completed(*words):
    """What bash offers for the last of @words."""
    script = os.path.join(os.path.dirname(TESTS), '..', 'daemon', 'cli', 'hypergate.bash')
    asks = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hypergate; printf "%s\\n" "${COMPREPLY[@]}"'
    return subprocess.run(['bash', '-c', asks, script, 'hypergate', *words], capture_output=True, text=True, timeout=60).stdout.split()


@test
def bash_completes_where_to_listen():
    assert completed('metrics', '--listen', '') == completed('metrics', '--listen', '127') == ['127.0.0.1:9469']
    assert completed('relay', '--listen', '') == completed('bootstrap', '--listen', '') == []
    assert '0.0.0.0' in completed('--gateway', '--listen', '')


@test
def the_path_is_not_searched():
    environment = {'PATH': os.path.join(os.getcwd(), 'libexec'), 'HYPERGATE_LIBEXEC': os.path.join(os.getcwd(), 'nothing')}
    done = run('run', 'x.yaml', env=environment)
    assert done.returncode == 71 and re.fullmatch('hypergate: cannot run .*/nothing/hypergated: No such file or directory\n',
                                                  done.stderr), done


def main():
    failed = 0
    for number, function in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.mkdir('libexec')
            write('libexec/hypergated', HYPERGATED, 0o755)
            try:
                function()
                print('ok', number, '-', function.__name__)
            except Exception:
                failed += 1
                print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()))
                print('not ok', number, '-', function.__name__)
            os.chdir('/')
    print(f'1..{len(tests)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: BSD-3-Clause
"""What is tried in a machine: a DHT node, a provider of a page, and a gateway to it."""
import os
import pathlib
import subprocess

SECRET = 'ab' * 32
NODE = 'bootstrap: []\nhost: 127.0.0.1\nport: 41000\ndht: {persistent: true}\n'
PROVIDER = '''bootstrap: ["127.0.0.1:41000"]
host: 127.0.0.1
provider:
  services: [{gatePort: 8000, serviceHost: 127.0.0.1, servicePort: 8080, protocol: tcp}]
'''
GATEWAY = 'bootstrap: ["127.0.0.1:41000"]\nhost: 127.0.0.1\ngateway:\n'
# What is installed with it wherever, below its prefix; manual pages may be compressed.
BELONGS = ['bin/hypergate', 'share/hypergate/low-ports.conf', 'share/hypergate/gates.socket', 'share/hypergate/hypergate.schema.json',
           'share/bash-completion/completions/hypergate', 'share/zsh/site-functions/_hypergate', 'share/fish/vendor_completions.d/hypergate.fish']
MANUAL = ['hypergate.1', 'hypergate.yaml.5', 'hypergate-services.5', 'hypergate.7', 'hypergate-journal.7', 'hypergated.8']
# Two people who make the same thing, far from each other. A compiler's cache would make the home that is none.
BUILDERS = {'here': {}, 'far/away': {'TZ': 'Pacific/Auckland', 'LC_ALL': 'C.UTF-8', 'HOME': '/nonexistent', 'CCACHE_DISABLE': '1'}}
ALL = ['hypergate@node', 'hypergate@r1', 'hypergate@r2']


def environment():
    """Ours, without what would build another way."""
    return {name: value for name, value in os.environ.items() if name not in ('CC', 'CFLAGS', 'DESTDIR')}


def sources(folder):
    """A tar of what git knows of them, as they are now."""
    names = subprocess.run(['git', '-c', 'safe.directory=*', '-C', folder, 'ls-files', '-z'], check=True, capture_output=True).stdout
    return subprocess.run(['tar', '-C', folder, '--null', '-T', '-', '-cf', '-'], input=names, check=True, capture_output=True).stdout


def configure(files):
    """Below @files, a machine's root."""
    for name, text, mode in [('node.yaml', NODE, 0o644), ('r1.yaml', PROVIDER, 0o644), ('r2.yaml', GATEWAY, 0o644),
                             ('r1.key', SECRET, 0o600), ('r2.key', SECRET, 0o600)]:
        path = pathlib.Path(files, 'etc/hypergate', name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def serve_page(machine):
    machine.ok('mkdir', '-p', '/srv/web')
    machine.write('/srv/web/page', 'the page')
    machine.ok('systemd-run', '--quiet', '--unit=web', 'python3', '-m', 'http.server', '-d', '/srv/web', '-b', '127.0.0.1', '8080')


def fetched(machine, port):
    """What comes from that gate."""
    return machine.run('python3', '-c',
                       f'import urllib.request as u; print(u.urlopen("http://127.0.0.1:{port}/page", timeout=30).read())').stdout

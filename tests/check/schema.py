#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds conf/hypergate.schema.json, by which editors complete and check a configuration, against what reads one and against its manual
pages: the same keys in each map, the same ranges, defaults and words. Usage: schema.py HYPERGATE. Prints TAP."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import parts

ROOT = pathlib.Path(__file__).resolve().parents[2]
HYPERGATE = os.path.abspath(sys.argv[1])
SCHEMA = json.loads((ROOT / 'conf/hypergate.schema.json').read_text())

# Where each map stands in a configuration that is good with any good key in it.
MAPS = {
    'root': lambda inner: {'gateway': {}, 'stateDirectory': 'state', **inner},
    'provider': lambda inner: {'provider': inner},
    'gateway': lambda inner: {'gateway': inner},
    'dht': lambda inner: {'host': '192.0.2.1', 'port': 1, 'gateway': {}, 'dht': inner},
    'relay': lambda inner: {'relay': inner},
    'health': lambda inner: {'provider': {'services': [{'gatePort': 1, 'serviceHost': 'a', 'servicePort': 1,
                                                        'health': {'type': 'http', **inner}}]}},
    'docker': lambda inner: {'provider': {}, 'docker': inner},
    'fingerprintResolver': lambda inner: {'provider': {}, 'fingerprintResolver': {'listen': '127.0.0.1:1', **inner}},
    'unlimited': lambda inner: {'gateway': {}, 'unlimited': {'tokenSecretFile': 'auth', **inner}},
    'filter': lambda inner: {'gateway': {'services': [{'gatePort': 1, **inner}]}},
}

# What nobody is advised to write.
UNNAMED = {
    'root': {'channelTimeoutPollMs', 'findRouteRetryMinMs', 'findRouteRetryMaxMs', 'peerStaleMs', 'peerRefreshMs', 'peerRefreshWaitMs'},
}


def resolved(node):
    while '$ref' in node:
        node = {**SCHEMA['definitions'][node['$ref'].rsplit('/', 1)[1]], **{key: value for key, value in node.items() if key != '$ref'}}
    return node


def properties(name):
    if name == 'root':
        return SCHEMA['properties']
    return (SCHEMA['definitions'][name] if name in ('filter', 'health') else SCHEMA['properties'][name])['properties']


def check(folder, inner, name):
    """What hypergate says of a configuration with @inner in that map."""
    path = pathlib.Path(folder) / 'x.yaml'
    path.write_text(json.dumps({'secretFile': 'key', **MAPS[name](inner)}))
    return subprocess.run([HYPERGATE, 'check', 'x.yaml'], cwd=folder, capture_output=True, text=True).stderr


def in_folder(look):
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / 'key'
        key.write_text('0' * 64)
        key.chmod(0o600)
        return list(look(folder))


def keys():
    """What reads a map names all its keys when it meets another one."""
    def look(folder):
        for name in MAPS:
            said = re.search(r'has: ([^\n]*)', check(folder, {'qqqqqqqq': 1}, name))
            if not said:
                yield f'{name}: no keys are named'
                continue
            there = set(said[1].split(', ')) | UNNAMED.get(name, set())
            for key in sorted(there ^ set(properties(name))):
                yield f'{name}: {key} is {"not in the schema" if key in there else "in the schema alone"}'
    return in_folder(look)


def integers(node):
    """The ranges of whole numbers that it may be."""
    node = resolved(node)
    if node.get('type') == 'integer':
        yield node['minimum'], node['maximum']
    for other in node.get('oneOf', []):
        yield from integers(other)


def ranges():
    """Both ends are good, and what is beyond them is not."""
    def look(folder):
        for name in MAPS:
            for key, node in properties(name).items():
                for low, high in integers(node):
                    for value, good in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
                        if (f': {key}: expected' not in check(folder, {key: value}, name)) != good:
                            yield f'{name}: {key}: {value} is {"refused" if good else "taken"}'
    return in_folder(look)


def words():
    def look(folder):
        for name in MAPS:
            for key, node in properties(name).items():
                node = resolved(node)
                for word in node.get('enum', [True, False] if 'boolean' in node.get('type', ()) else []):
                    if check(folder, {key: word}, name):
                        yield f'{name}: {key}: {word} is refused'
                if 'enum' in node and ': expected' not in check(folder, {key: 'qqqqqqqq'}, name):
                    yield f'{name}: {key}: whatever is taken'
    return in_folder(look)


def described():
    """The paragraphs of a key, in the order of the page; a key of two maps has two."""
    text = (ROOT / 'man/hypergate.yaml.5').read_text() + (ROOT / 'man/hypergate-services.5').read_text()
    found = {}
    for key, paragraph in re.findall(r'^\.It Ic (\w+) :[^\n]*\n(.*?)(?=^\.It |^\.El|^\.Bl)', text, re.M | re.S):
        found.setdefault(key, []).append(paragraph)
    return found


def manual():
    """Each range and each default is in one of the paragraphs about its key."""
    about = described()
    for name in MAPS:
        for key, node in properties(name).items():
            paragraphs = about.get(key, [])
            for low, high in integers(node):
                if not any(re.search(rf'\b{low}\s+to\s+{high}\b', paragraph) for paragraph in paragraphs):
                    yield f'{name}: {key}: {low} to {high} is not in the manual'
            default = resolved(node).get('default')
            word = str(default).lower() if isinstance(default, bool) else str(default)
            if default is not None and not any(re.search(rf'Default:\s+(\.Ic\s+)?{re.escape(word)}(?!\w)', paragraph) for paragraph in paragraphs):
                yield f'{name}: {key}: its default {word} is not in the manual'


if __name__ == '__main__':
    parts.main(('the schema has every key of every map', keys), ('numbers are taken from one end of their range to the other', ranges),
               ('words are taken, and no others', words), ('the manual says each range and each default', lambda: list(manual())))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What containers of a real engine offer, by the labels they have and the images they are of, as a provider finds it and a gateway hears of it.
Ids as S26 are those of the list of promises."""
import collections
import os
import random
import re

import scene
from discovery import Discovery, load_ports
from harness import eventually, test
from images import OURS, load_ours

SEED = int(os.environ.get('LABELS_SEED', '1'))
MANY = 50
IMAGES = {'test/ports': [(80, 'tcp'), (443, 'tcp'), (53, 'udp')], 'test/busybox': []}
TOLD = re.compile(r'container (\S+): label (\S+): "(.*)" is none of its entries')


def expose(entries, **more):
    return {'hypergate.EXPOSE': entries, **more}


def unexpose(entries):
    return {'hypergate.UNEXPOSE': entries}


def exclude(word):
    return {'hypergate.EXCLUDE': word}


# Name: image, labels, {port: public port}, and what it offers: (inside, outside or 0, protocol).
IMAGE = [(80, 0, 'tcp'), (443, 0, 'tcp'), (53, 0, 'udp')]
ROWS = {
    's25-image': ('test/ports', {}, {}, IMAGE),
    's26-left-out': ('test/ports', exclude('true'), {}, []),
    's26-any-case': ('test/ports', exclude('TRUE'), {}, []),
    's26-false': ('test/ports', exclude('false'), {}, IMAGE),
    's27-one': ('test/busybox', expose('3306'), {}, [(3306, 0, 'tcp')]),
    's27-public': ('test/busybox', expose('3306:13306'), {}, [(3306, 13306, 'tcp')]),
    's27-udp': ('test/busybox', expose('53:5353/udp'), {}, [(53, 5353, 'udp')]),
    's27-list': ('test/busybox', expose(' 80 , 443:8443/tcp'), {}, [(80, 0, 'tcp'), (443, 8443, 'tcp')]),
    's27-garbage': ('test/busybox', expose('80,web,0,65536,1/sctp'), {}, [(80, 0, 'tcp')]),
    's28-tcp': ('test/busybox', expose('81'), {}, [(81, 0, 'tcp')]),
    's29-one': ('test/ports', unexpose('80'), {}, IMAGE[1:]),
    's29-tcp': ('test/ports', unexpose('80/tcp,443'), {}, IMAGE[2:]),
    's29-udp': ('test/ports', unexpose('53/udp'), {}, IMAGE[:2]),
    's29-published': ('test/ports', unexpose('*'), {'80/tcp': 8080}, [(80, 8080, 'tcp')]),
    's30-both': ('test/busybox', {**unexpose('80'), **expose('80')}, {}, [(80, 0, 'tcp')]),
    's31-all': ('test/ports', unexpose('*'), {}, []),
}
GARBAGE = {('s27-garbage', 'hypergate.EXPOSE', entry) for entry in ('web', '0', '65536', '1/sctp')}


def as_services(name, ports):
    """As a provider says it."""
    return {(name, inside, outside or inside, protocol, 'docker published' if outside else 'docker') for inside, outside, protocol in ports}


def ways(services):
    """As a gateway does, which opens no port below 1024 unasked."""
    return dict(collections.Counter((outside, protocol) for _, _, outside, protocol, _ in services if outside >= 1024))


def complaints(provider):
    return [found.groups() for found in map(TOLD.search, provider.log().splitlines()) if found]


def sees(site, wanted, what):
    """Provider and gateway, those and no others."""
    last = []

    def look():
        last[:] = [site.services()]
        return last[0] == wanted and site.routes() == ways(wanted)
    try:
        eventually(look, 30, what)
    except AssertionError as error:
        raise AssertionError(f'{error}: missing {sorted(wanted - last[0])}, too many {sorted(last[0] - wanted)}, ways {site.routes()}') from None


@test
def s25_to_s31_labels(stack):
    """S25 to S31, N29: EXCLUDE, EXPOSE, UNEXPOSE and the image; entries that say nothing are told once each, the others count; nothing of ours"""
    site = Discovery(stack)
    load_ports(site.engine)
    load_ours(site.engine)
    site.engine.started('--name', 'elsewhere', 'test/ports', 'sleep', '1000000')
    site.engine.started('--network', 'net', '-p', '8081:80', '-l', 'hypergate.EXPOSE=80', OURS, 'bootstrap', '--listen', '127.0.0.1:49737')
    site.engine.run_all({name: row[:3] for name, row in ROWS.items()})
    sees(site, set().union(*(as_services(name, row[3]) for name, row in ROWS.items())), 'what the labels say')
    assert sorted(complaints(site.provider)) == sorted(GARBAGE), complaints(site.provider)
    for host, address in site.addresses().items():
        assert address == site.engine.address(host, 'net'), (host, address)


# --- A table by rules that are written down once more ---

PORT = re.compile(r'\s*(\d+)\s*(?::\s*(\d+)\s*)?(?:/\s*(tcp|udp)\s*)?', re.IGNORECASE)


def entries(label, may_map):
    """[(entry, (inside, outside, protocol) or None)]"""
    found = []
    for text in filter(None, map(str.strip, label.split(','))):
        match = PORT.fullmatch(text)
        inside, outside, protocol = (int(match[1]), int(match[2] or 0), (match[3] or 'tcp').lower()) if match else (0, 0, '')
        good = match and 0 < inside < 65536 and (match[2] is None or (may_map and 0 < outside < 65536))
        found.append((text, (inside, outside, protocol) if good else None))
    return found


def add(ports, inside, outside, protocol):
    """A port is a service once, unless it has several public ones."""
    has = {port for port in ports if port[::2] == (inside, protocol)}
    if outside and (inside, 0, protocol) in has:
        ports.discard((inside, 0, protocol))
    if outside or not has:
        ports.add((inside, outside, protocol))


def rules(image, labels, published):
    """What a container offers, and the entries that say nothing: [(label, entry)]"""
    ports, wrong = set(), []
    if labels.get('hypergate.EXCLUDE', '').lower() == 'true':
        return ports, wrong
    for port, public in published.items():
        add(ports, int(port.split('/')[0]), public, port.split('/')[1])
    for port, protocol in IMAGES[image]:
        add(ports, port, 0, protocol)
    for text, port in entries(labels.get('hypergate.UNEXPOSE', ''), False):
        if text == '*':
            ports = {one for one in ports if one[1]}
        elif port:
            ports.discard((port[0], 0, port[2]))
        else:
            wrong.append(('hypergate.UNEXPOSE', text))
    for text, port in entries(labels.get('hypergate.EXPOSE', ''), True):
        if port:
            add(ports, *port)
        else:
            wrong.append(('hypergate.EXPOSE', text))
    return ports, wrong


def entry(rng):
    """Of the label EXPOSE; one of five says nothing."""
    inside = rng.choice([53, 80, 443, rng.randrange(1000, 2000)])
    text = f'{inside}' + rng.choice(['', f':{rng.randrange(20000, 65536)}']) + rng.choice(['', '/tcp', '/udp', '/UDP'])
    if rng.random() < 0.2:
        return rng.choice([f'x{text}', f'{inside}:70000', f'-{text}', f'{text}/ip', f'{inside}.5', ':80', '0'])
    return ' ' * rng.randrange(2) + text + ' ' * rng.randrange(2)


def one_of(rng, number):
    """A container as any: (image, labels, published)"""
    labels = {}
    if rng.random() < 0.5:
        labels['hypergate.UNEXPOSE'] = ','.join(rng.sample(['80', '443/tcp', '53/udp', '*', '53', 'all'], rng.randrange(1, 4)))
    if rng.random() < 0.7:
        labels['hypergate.EXPOSE'] = ','.join(entry(rng) for _ in range(rng.randrange(1, 5)))
    if rng.random() < 0.3:
        labels['hypergate.EXCLUDE'] = rng.choice(['true', 'True', 'TRUE', 'false', 'yes', ''])
    return rng.choice(list(IMAGES)), labels, {f'{rng.choice([80, 1500])}/tcp': 10000 + number} if rng.random() < 0.2 else {}


@test
def many_with_random_labels(stack):
    """fifty containers with random labels (LABELS_SEED) offer what a table says that is made by the rules, at the provider and at the gateway"""
    rng = random.Random(SEED)
    print(f'# LABELS_SEED={SEED}')
    containers = {f'c{number}': one_of(rng, number) for number in range(MANY)}
    table = {name: rules(*container) for name, container in containers.items()}
    wanted = set().union(*(as_services(name, ports) for name, (ports, _) in table.items()))
    wrong = {(name, *what) for name, (_, told) in table.items() for what in told}
    assert 50 < len(wanted) <= 256 and len(wrong) > 10, f'seed {SEED} is of no use: {len(wanted)} services, {len(wrong)} entries that say nothing'
    site = Discovery(stack)
    load_ports(site.engine)
    site.engine.run_all(containers)
    sees(site, wanted, f'the table of LABELS_SEED={SEED}')
    told = complaints(site.provider)
    assert set(told) <= wrong and len(told) == len(set(told)) and told, f'LABELS_SEED={SEED}: {sorted(set(told) - wrong)} is told'


if __name__ == '__main__':
    scene.main()

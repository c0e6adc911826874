#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nat.py [--delay-ms MS] [--loss PART] [--mode cold,running] [--rounds N] [--seconds S] [--dht ours|npm] [--third HOST]
       [--who npm-npm,ours-ours,...] [--json FILE] [PROVIDER-GATEWAY ...]

Who meets whom behind which NAT, and how fast: every kind of host of tests/system/nat_lab.py as provider and as gateway, one pair after
the other, each of new processes, ours and doubles of the original on npm's hyperswarm (NODE_PATH names where that is). HYPERGATE_BIN
names the command, WAN the program that makes distances (build/tests/system/wan). A pair has met when its gate is open and 20 MB came through, equal by SHA-256, of
which no byte went over the DHT's nodes (less than 1 MB came in at all of them together); it has not when that is not so after S seconds
(60).

--delay-ms, --loss: how long each way between two machines of the public segment takes, and the part of the datagrams that is lost on
it. --mode: "cold", counted from the start of both processes, or "running", from that of the provider while the gateway has been there
for some seconds. Of pairs that can only meet over a third one, there is one of ours at pub1 before they start; --third HOST: of all pairs,
there. (That one is of no use to originals.)

Prints, for each pair and for each group of them, of how many tries how many met, and their median and 95th percentile in seconds; in
brackets what remains without the time that node took to load itself and its modules: until the gate was open, and until hyperswarm had
its connection (what comes after that are the habits of the original); and what came in at the DHT's nodes. --json FILE: each try, one
a line; what is in the file already counts, and is not tried again."""
import argparse
import contextlib
import itertools
import json
import os
import sys
import time
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import MB, new_secret, start_instance  # noqa: E402
from nat_lab import HOSTS, NONE, RANDOM, Lab  # noqa: E402
from nat_pairs import BULK, BULK_DIGEST, NatPair, start_dht  # noqa: E402
from networks import with_networks  # noqa: E402

FIRST = {'open': 'pub1', 'firewall': 'fw1', 'full cone': 'cone1', 'keeps ports': 'natA1', 'carrier': 'cgn1', 'symmetric': 'sym1',
         'symmetric carrier': 'cgs1'}
SECOND = {'open': 'pub2', 'firewall': 'fw2', 'full cone': 'cone2', 'keeps ports': 'natB1', 'symmetric': 'sym2'}
SPECIAL = ['natA1-natA1', 'natA1-natA2', 'cgn1-cgn2', 'walled-pub1']
PAIRS = [f'{provider}-{SECOND[kind] if kind in SECOND and provider == gateway else gateway}'
         for provider in FIRST.values() for kind, gateway in FIRST.items() if provider != gateway or kind in SECOND] + SPECIAL
WHO = ['npm-npm', 'ours-ours', 'ours-npm', 'npm-ours']
GROUPS = ['consistent-consistent', 'consistent-random', 'same network', 'relayed', 'no UDP']
AHEAD_S = 6
DHT_BYTES_MAX = MB                      # of a minute of trying in vain, too


def group(pair):
    hosts = pair.split('-')
    mappings = [HOSTS[host][0] for host in hosts]
    if NONE in mappings:
        return 'no UDP'
    if sorted(hosts) == ['cgn1', 'cgn2'] or mappings == [RANDOM, RANDOM]:
        return 'relayed'
    if all(host.startswith('natA') for host in hosts):
        return 'same network'
    return 'consistent-random' if RANDOM in mappings else 'consistent-consistent'


def attempt(lab, dht, who, pair, mode, args):
    done = {'who': who, 'pair': pair, 'mode': mode, 'delay_ms': args.delay_ms, 'loss': args.loss, 'open_s': None, 'runtime_s': None,
            'bulk_s': None, 'load': os.getloadavg()[0]}
    before, third = lab.dht_bytes(), args.third or ('pub1' if group(pair) == 'relayed' else None)
    with contextlib.ExitStack() as stack:
        secret = new_secret()
        if third:
            with lab[third].inside():
                start_instance(stack, 'third', secret, {'bootstrap': dht, 'gateway': {}}).says('announced on the DHT')
        one = NatPair(stack, lab, dht, *zip(who.split('-'), pair.split('-')), secret=secret, ahead_s=AHEAD_S if mode == 'running' else 0)
        try:
            done['open_s'] = one.open(args.seconds)
            done['runtime_s'], done['connected_s'] = one.took('loaded'), one.took('connected')
            digest, done['bulk_s'] = one.fetch()
            done['same'] = digest == BULK_DIGEST
        except (AssertionError, OSError) as error:
            done['error'] = str(error)
    done['dht_bytes'] = lab.dht_bytes() - before
    return done


def met(one):
    return one.get('same', False) and one['dht_bytes'] < DHT_BYTES_MAX


def percentile(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(part * len(sorted_values)))]


def both(times):
    times = sorted(times)
    return f'{percentile(times, 0.5):.2f}, {percentile(times, 0.95):.2f}'


def summary(tries):
    good = [one for one in tries if met(one)]
    if not good:
        return f'0 of {len(tries)}' if tries else ''
    nodes = [one for one in good if one['runtime_s']]
    inside = ', connected '.join(both(one[what] - one['runtime_s'] for one in nodes) for what in ('open_s', 'connected_s')) if nodes else ''
    return f'{len(good)} of {len(tries)}: {both(one["open_s"] for one in good)}' + (f' ({inside})' if inside else '')


def table(tries, whos, title, key, keys):
    print(f'\n| {title} |', ' | '.join(whos), '|')
    print('| --- |', ' | '.join('---' for _ in whos), '|')
    for name in keys:
        row = [summary([one for one in tries if key(one['pair']) == name and one['who'] == who]) for who in whos]
        if any(row):
            print(f'| {name} |', ' | '.join(row), '|')
    print('| all |', ' | '.join(summary([one for one in tries if one['who'] == who]) for who in whos), '|')


def show(tries, whos, mode, args):
    tries = [one for one in tries if is_of(one, mode, args)]
    loads = sorted(one['load'] for one in tries)
    print(f'\n{mode}, {args.delay_ms:g} ms each way, {100 * args.loss:g} % lost'
          + (f'; load of the machine {loads[0]:.0f} to {loads[-1]:.0f}' if loads else ''))
    table(tries, whos, 'provider, gateway', lambda pair: pair.replace('-', ', '),
          dict.fromkeys(one['pair'].replace('-', ', ') for one in tries))
    table(tries, whos, 'group', group, GROUPS)
    for who in whos:
        all_bytes = [one['dht_bytes'] for one in tries if one['who'] == who]
        if all_bytes:
            print(f"\n{who}: at most {max(all_bytes) >> 10} KiB of a try came in at the DHT's nodes, {len(BULK) >> 10} KiB at the gateway")


def is_of(one, mode, args):
    return (one['mode'], one['delay_ms'], one['loss']) == (mode, args.delay_ms, args.loss)


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument('--delay-ms', type=float, default=0)
    parse.add_argument('--loss', type=float, default=0)
    parse.add_argument('--mode', default='cold')
    parse.add_argument('--rounds', type=int, default=1)
    parse.add_argument('--seconds', type=float, default=60)
    parse.add_argument('--dht', default='ours')
    parse.add_argument('--who', default=','.join(WHO))
    parse.add_argument('--third')
    parse.add_argument('--json')
    parse.add_argument('pairs', nargs='*')
    args = parse.parse_args()
    whos, modes, tries = args.who.split(','), args.mode.split(','), []
    if args.json and os.path.exists(args.json):
        with open(args.json) as file:
            tries = [json.loads(line) for line in file]
    with contextlib.ExitStack() as stack:
        lab = Lab(stack, args.delay_ms, args.loss)
        lab.check()
        dht = start_dht(stack, lab, args.dht)
        time.sleep(2)
        for number in range(args.rounds):
            for pair, mode, who in itertools.product(args.pairs or PAIRS, modes, whos):
                if sum(one['who'] == who and one['pair'] == pair and is_of(one, mode, args) for one in tries) > number:
                    continue
                tries.append(attempt(lab, dht, who, pair, mode, args))
                print(f'{mode} {who} {pair}: {summary(tries[-1:])}', file=sys.stderr, flush=True)
                if args.json:
                    with open(args.json, 'a') as file:
                        file.write(json.dumps(tries[-1]) + '\n')
    for mode in modes:
        show(tries, whos, mode, args)


if __name__ == '__main__':
    with_networks()
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""nat.py [--rounds N] [--seconds S] [--dht ours|npm] [--third HOST] [--who npm-npm,ours-ours,...] [--json FILE] [PROVIDER-GATEWAY ...]

Who meets whom behind which NAT, and how fast: every kind of host of tests/system/nat_lab.py as provider and as gateway, one pair after
the other, each of new processes, ours and doubles of the original on npm's hyperswarm (NODE_PATH names where that is). HYPERGATE_BIN
names the command. A pair has met when its gate is open, counted from the start of both processes, and 20 MB came through, equal by
SHA-256; it has not when that is not so after S seconds (60). Prints a table: of how many tries how many met, their median time and 95th
percentile in seconds. --json FILE: each try, one a line; what is in the file already counts, and is not tried again. --third HOST: a further gateway of theirs, one of ours, has been running there,
which may relay (and a JSON file of its own is advised)."""
import argparse
import contextlib
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import new_secret, start_instance  # noqa: E402
from nat_lab import Lab  # noqa: E402
from nat_pairs import BULK_DIGEST, NatPair, start_dht  # noqa: E402
from networks import with_networks  # noqa: E402

FIRST = {'open': 'pub1', 'firewall': 'fw1', 'full cone': 'cone1', 'keeps ports': 'natA1', 'carrier': 'cgn1', 'symmetric': 'sym1'}
SECOND = {'open': 'pub2', 'firewall': 'fw2', 'full cone': 'cone2', 'keeps ports': 'natB1', 'symmetric': 'sym2'}
SPECIAL = ['natA1-natA1', 'natA1-natA2', 'cgn1-cgn2', 'cgs1-pub1', 'pub1-cgs1', 'cgs1-natA1', 'natA1-cgs1', 'walled-pub1']
PAIRS = [f'{provider}-{SECOND[kind] if kind in SECOND and provider == gateway else gateway}'
         for provider in FIRST.values() for kind, gateway in FIRST.items() if (provider, gateway) != ('cgn1', 'cgn1')] + SPECIAL
WHO = ['npm-npm', 'ours-ours', 'ours-npm', 'npm-ours']


def attempt(lab, dht, who, pair, seconds, third):
    done = {'who': who, 'pair': pair, 'open_s': None, 'bulk_s': None}
    before = lab.dht_bytes()
    with contextlib.ExitStack() as stack:
        secret = new_secret()
        if third:
            with lab[third].inside():
                start_instance(stack, 'third', secret, {'bootstrap': dht, 'gateway': {}}).says('announced on the DHT')
        one = NatPair(stack, lab, dht, *zip(who.split('-'), pair.split('-')), secret=secret)
        try:
            done['open_s'] = one.open(seconds)
            digest, done['bulk_s'] = one.fetch()
            done['same'] = digest == BULK_DIGEST
        except (AssertionError, OSError) as error:
            done['error'] = str(error)
    done['dht_bytes'] = lab.dht_bytes() - before
    return done


def met(one):
    return one.get('same', False)


def percentile(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(part * len(sorted_values)))]


def summary(tries):
    times = sorted(one['open_s'] for one in tries if met(one))
    if not tries:
        return ''
    if not times:
        return f'0 of {len(tries)}'
    return f'{len(times)} of {len(tries)}: {percentile(times, 0.5):.1f}, {percentile(times, 0.95):.1f}'


def table(tries, whos):
    print('| provider, gateway |', ' | '.join(whos), '|')
    print('| --- |', ' | '.join('---' for _ in whos), '|')
    for pair in dict.fromkeys(one['pair'] for one in tries):
        print(f'| {pair.replace("-", ", ")} |', ' | '.join(summary([one for one in tries if one['pair'] == pair and one['who'] == who])
                                                           for who in whos), '|')
    print('| all |', ' | '.join(summary([one for one in tries if one['who'] == who]) for who in whos), '|')


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument('--rounds', type=int, default=1)
    parse.add_argument('--seconds', type=float, default=60)
    parse.add_argument('--dht', default='ours')
    parse.add_argument('--who', default=','.join(WHO))
    parse.add_argument('--third')
    parse.add_argument('--json')
    parse.add_argument('pairs', nargs='*')
    args = parse.parse_args()
    whos, tries = args.who.split(','), []
    if args.json and os.path.exists(args.json):
        with open(args.json) as file:
            tries = [json.loads(line) for line in file]
    with contextlib.ExitStack() as stack:
        lab = Lab(stack)
        lab.check()
        dht = start_dht(stack, lab, args.dht)
        time.sleep(2)
        for number in range(args.rounds):
            for pair in args.pairs or PAIRS:
                for who in whos:
                    if sum(one['who'] == who and one['pair'] == pair for one in tries) > number:
                        continue
                    tries.append(attempt(lab, dht, who, pair, args.seconds, args.third))
                    print(f'{who} {pair}: {summary(tries[-1:])}', file=sys.stderr, flush=True)
                    if args.json:
                        with open(args.json, 'a') as file:
                            file.write(json.dumps(tries[-1]) + '\n')
    table(tries, whos)


if __name__ == '__main__':
    with_networks()
    main()

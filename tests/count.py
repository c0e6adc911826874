#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the tests in meson's JSON logs (TAP lines where there are any), names what failed and what was said about it, and ends
with 'N passed, N failed'. A skipped test counts as failed, and so does a suite without tests: they hide a gap.

count.py "SUITE ..." LOG..."""
import json
import os
import re
import sys

LINE = re.compile(r'^\s*(not )?ok\b(?P<what>.*)')
SAID_MAX = 200          # lines about one failure: the last ones


def verdicts(text):
    """(passed, what, said): with each the comments before and behind it, as ours are on either side."""
    found, said = [], []
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            after = []
            found.append((not match.group(1) and '# SKIP' not in line.upper(), match.group('what').strip(' -'), (said, after)))
            said = after
        elif not re.match(r'\d+\.\.\d+', line):
            said.append(line)
    return [(good, what, before + after) for good, what, (before, after) in found]


def count(entry):
    """How many passed, and of each that did not: what it is, and what was said."""
    text = entry.get('stdout', '')
    found = verdicts(text)
    failed = [(what, said) for good, what, said in found if not good]
    if entry['result'] not in ('OK', 'EXPECTEDFAIL') and not failed:
        failed = [(entry['result'], (text + '\n' + entry.get('stderr', '')).splitlines())]
    return sum(good for good, _, _ in found) or (0 if failed or found else 1), failed


def main():
    passed, failed = 0, []
    missing = set(sys.argv[1].split())
    for path in sys.argv[2:]:
        if not os.path.exists(path):
            failed.append((f'{path}: no such log: these suites have no test', []))
            continue
        for line in open(path, encoding='utf-8', errors='replace'):
            entry = json.loads(line)
            missing -= set(entry['name'].split(' / ')[0].split(':')[-1].split('+'))    # "project:suite+suite / test"
            good, bad = count(entry)
            passed += good
            failed += [(f'{path.split("/")[-3]}: {entry["name"]}: {what}', said) for what, said in bad]
    failed += [(f'{suite}: not one test of this suite ran', []) for suite in sorted(missing)]
    for name, said in failed:
        print('FAILED', name)
        for line in said[-SAID_MAX:]:
            print('   ', line)
    for name, said in failed:       # once more: whoever sees only the end shall see them all
        if said:
            print('FAILED', name)
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())

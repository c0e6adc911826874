#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the tests in meson's JSON logs (TAP lines where there are any), names what failed, and ends with
'N passed, N failed'. A skipped test counts as failed, and so does a suite without tests: they hide a gap.

count.py "SUITE ..." LOG..."""
import json
import os
import re
import sys

LINE = re.compile(r'^\s*(not )?ok\b(?P<what>.*)', re.MULTILINE)


def count(entry):
    lines = [(not m.group(1), m.group('what')) for m in LINE.finditer(entry.get('stdout', ''))]
    passed = [what for good, what in lines if good and '# SKIP' not in what.upper()]
    failed = [what for good, what in lines if not good or '# SKIP' in what.upper()]
    fine = entry['result'] in ('OK', 'EXPECTEDFAIL')
    if not lines:
        return (1, []) if fine else (0, [entry['result']])
    return len(passed), failed if fine or failed else [entry['result']]


def main():
    passed, failed = 0, []
    missing = set(sys.argv[1].split())
    for path in sys.argv[2:]:
        if not os.path.exists(path):
            failed.append(f'{path}: no such log: these suites have no test')
            continue
        for line in open(path, encoding='utf-8', errors='replace'):
            entry = json.loads(line)
            missing -= set(entry['name'].split(' / ')[0].split(':')[-1].split('+'))    # "project:suite+suite / test"
            good, bad = count(entry)
            passed += good
            failed += [f'{path.split("/")[-3]}: {entry["name"]}: {what.strip(" -")}' for what in bad]
    failed += [f'{suite}: not one test of this suite ran' for suite in sorted(missing)]
    for name in failed:
        print('FAILED', name)
    print(f'{passed} passed, {len(failed)} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())

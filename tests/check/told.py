#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tests/run.sh ends with: a failure is told with what the test and its instances said. Prints TAP."""
import json
import pathlib
import subprocess
import sys
import tempfile

import parts

COUNT = pathlib.Path(__file__).resolve().parents[1] / 'count.py'
SYSTEM = '1..3\nok 1 - one # 0.1 s\n# why it failed\n#     gateway: its words\nnot ok 2 - two # 0.1 s\nok 3 - three\n'
INTEROP = '1..2\nnot ok 1 - one\n#   Error: that\n#     hypergate run x: ended with 1\nok 2 - two\n'
CONDEMNED = '1..1\nok 1 - one\n# ERROR: LeakSanitizer: of a stop\n'


def told(*results):
    """The lines that count.py prints of tests with that (result, stdout, stderr)."""
    with tempfile.NamedTemporaryFile('w', suffix='.json') as log:
        for result, out, err in results:
            print(json.dumps({'name': 'hypergate:system / a', 'result': result, 'stdout': out, 'stderr': err}), file=log)
        log.flush()
        done = subprocess.run([sys.executable, COUNT, 'system', log.name], capture_output=True, text=True, check=False)
    return done.returncode, [line.strip() for line in done.stdout.splitlines()]


def lacks(code, lines, expected_code, *expected):
    return ([f'exit code {code}'] * (code != expected_code) +
            [f'not told: {one}; but: {" / ".join(lines)}' for one in expected if not any(one in line for line in lines)])


def reasons():
    return (lacks(*told(('FAIL', SYSTEM, '')), 1, 'a: 2 - two', '# why it failed', '#     gateway: its words', '2 passed, 1 failed') +
            lacks(*told(('FAIL', INTEROP, '')), 1, 'a: 1 - one', 'Error: that', 'hypergate run x: ended with 1', '1 passed, 1 failed'))


def without_verdict():
    return (lacks(*told(('FAIL', CONDEMNED, '')), 1, 'a: FAIL', 'LeakSanitizer: of a stop', '1 passed, 1 failed') +
            lacks(*told(('TIMEOUT', '', 'its last words')), 1, 'a: TIMEOUT', 'its last words', '0 passed, 1 failed'))


def the_rest():
    code, lines = told(('OK', SYSTEM.replace('not ok', 'ok'), ''), ('OK', '', ''))
    skipped = told(('OK', '1..1\nok 1 - one # SKIP no node\n', ''))
    return (lacks(code, lines, 0, '4 passed, 0 failed') + [f'told: {line}' for line in lines[:-1]] +
            lacks(*skipped, 1, 'one # SKIP no node', '0 passed, 1 failed'))


if __name__ == '__main__':
    parts.main(('what failed is told with its reasons', reasons), ('and so is what ended without a verdict', without_verdict),
               ('what passed is only counted, and skipping is no passing', the_rest))

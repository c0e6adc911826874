#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds tests/weaknesses.md against the list it answers and the tests it names. Prints TAP."""
import pathlib
import re

import parts

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROW = re.compile(r'^\| 14\.(\d+) \|(.*)\|(.*)\|(.*)\|$', re.M)
NAMED = (('*.c', re.compile(r'^TEST\(weakness_14_(\d+)_\w', re.M)),
         ('*.py', re.compile(r'^@test\ndef weakness_14_(\d+)_\w', re.M)),
         ('*.js', re.compile(r"^ *test\(['`]weakness 14\.(\d+): ", re.M)))


def rows():
    return [(int(number), what.strip(), ours.strip(), shown.strip())
            for number, what, ours, shown in ROW.findall((TESTS / 'weaknesses.md').read_text())]


def numbers():
    text = (TESTS / 'vectors/protocol/hypergate.md').read_text()
    section = re.search(r'^## 14\. .*?(?=^## 15\. )', text, re.M | re.S)[0]
    return [int(number) for number in re.findall(r'^(\d+)\. ', section, re.M)]


def complete():
    there, answered = numbers(), [row[0] for row in rows()]
    return (['section 14 is not a list from 1'] * (there != list(range(1, len(there) + 1)) or not there) +
            [f'14.{number} has no row' for number in sorted(set(there) - set(answered))] +
            [f'14.{number} is not in the list' for number in sorted(set(answered) - set(there))] +
            ['rows are not in order, each once'] * (answered != sorted(set(answered))) +
            [f'14.{number} says nothing of the original' for number, what, _, _ in rows() if not what])


def is_built(path):
    """Whether the build runs it: as it is, or by the name of its module."""
    text = (path.parent / 'meson.build').read_text()
    module = re.sub(r'(_sim_test|_test|\.test)$', '', path.stem)
    return path.name in text or f"'{module}'" in text


def named_tests():
    """Number and file of each test that carries one."""
    for pattern, name in NAMED:
        for path in sorted(TESTS.rglob(pattern)):
            if 'node_modules' not in path.parts:
                yield from ((int(number), path.relative_to(TESTS).as_posix()) for number in name.findall(path.read_text()))


def shown():
    found, cited = set(named_tests()), set()
    said = []
    for number, _, ours, shown_by in rows():
        files = re.findall(r'`([^`]+)`', shown_by)
        cited |= {(number, name) for name in files}
        if shown_by.startswith('No test: '):
            said += [f'14.{number} has a sentence and no reason'] * (len(shown_by.split()) < 6)
        elif not files or not ours:
            said.append(f'14.{number} has neither a test nor a sentence')
        else:
            said += [f'14.{number}: {name} is not built' for name in files
                     if not (TESTS / name).is_file() or not is_built(TESTS / name)]
    return (said + [f'14.{number}: no test of that number in {name}' for number, name in sorted(cited - found)] +
            [f'14.{number}: {name} has a test that the row does not name' for number, name in sorted(found - cited)])


if __name__ == '__main__':
    parts.main(('every weakness has its row', complete), ('every row has its tests or its sentence', shown))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each test file is run by a suite: its name, or what its folder's meson.build makes it of, stands there. Prints TAP."""
import pathlib
import re

import parts

TESTS = pathlib.Path(__file__).resolve().parents[1]
NAME = re.compile(r"'([\w-]+)(?:_sim_test\.c|_test\.(?:c|py)|\.test\.js)?'")
ENDS = ('_sim_test.c', '_test.c', '_test.py', '.test.js')


def files():
    return sorted(path for path in TESTS.glob('*/*') if path.name.endswith(ENDS))


def name_of(path):
    return next(path.name.removesuffix(end) for end in ENDS if path.name.endswith(end))


def unnamed():
    built = {folder: set(NAME.findall((folder / 'meson.build').read_text())) for folder in {path.parent for path in files()}}
    return [f'{path.relative_to(TESTS)} is named in no meson.build' for path in files() if name_of(path) not in built[path.parent]]


def some():
    return [] if len(files()) > 100 else [f'only {len(files())} test files were found']


if __name__ == '__main__':
    parts.main(('every test file is run', unnamed), ('there are test files', some))

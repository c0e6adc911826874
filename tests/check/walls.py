#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the table in SECURITY.md against the one that the red team works through. Usage: walls.py REDTEAM_TABLE. Prints TAP."""
import pathlib
import re
import subprocess
import sys

import parts

ROOT = pathlib.Path(__file__).resolve().parents[2]


def rows_shown():
    text = (ROOT / 'SECURITY.md').read_text()
    return re.findall(r'^\|.*\|$', text[text.index('| to | swarm |'):], re.M)


def table():
    there = subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout.splitlines()
    shown = rows_shown()
    return ([f'SECURITY.md lacks: {row}' for row in there if row not in shown] +
            [f'SECURITY.md has, and the red team does not: {row}' for row in shown if row not in there] +
            ['SECURITY.md has the rows in another order'] * (sorted(there) == sorted(shown) and there != shown))


if __name__ == '__main__':
    parts.main(('SECURITY.md shows what the red team tries', table))

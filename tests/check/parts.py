# SPDX-License-Identifier: BSD-3-Clause
"""What a guard prints: TAP, a line for each of its parts, and what each found before it."""
import sys


def main(*parts):
    """@parts: (what holds, function that yields what speaks against it); ends the program."""
    failed = 0
    for number, (what, part) in enumerate(parts, 1):
        found = part()
        failed += bool(found)
        for line in found:
            print('#', line)
        print('not ok' if found else 'ok', number, '-', what)
    print(f'1..{len(parts)}')
    sys.exit(1 if failed else 0)

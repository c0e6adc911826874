#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs libFuzzer targets one after another, each for so many seconds from its corpus, and prints what they reached as rows of a table:
inputs tried, branches seen ("cov"), and after how many inputs and seconds the last new one was, which is what saturation shows in.
Usage: campaign.py BUILD SECONDS [--keep] [TARGET...]. Inputs that fail are left in BUILD/failed. --keep: corpus/NAME/found.hex becomes
a smallest set of inputs that, with the seeds beside it, reaches what was reached."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

FUZZ = pathlib.Path(__file__).resolve().parent
LINE = re.compile(r'^#(\d+)\s+(INITED|NEW|REDUCE|RELOAD|pulse|DONE)\s+cov: (\d+) ft: (\d+)')
ROW = '| {:14} | {:>10} | {:>6} | {:>6} | {:>10} | {:>6} |'


def run(program, seconds, folder, corpus, failed):
    """(inputs, branches, features, input and second of the last new branch, good)"""
    limits = [f'-max_total_time={seconds}', '-max_len=4096', '-timeout=30', '-rss_limit_mb=2048', '-close_fd_mask=3']
    process = subprocess.Popen([program, *limits, f'-artifact_prefix={failed}/{program.name}-', folder, corpus],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
    began, inputs, branches, features, last = time.monotonic(), 0, 0, 0, (0, 0)
    for line in process.stderr:
        found = LINE.match(line)
        if not found:
            continue
        inputs, features = int(found[1]), int(found[4])
        if int(found[3]) > branches:
            branches = int(found[3])
            last = (inputs, int(time.monotonic() - began)) if found[2] != 'INITED' else (0, 0)
    return inputs, branches, features, last, process.wait() == 0


def unpack(corpus, folder):
    """What earlier campaigns found: corpus/NAME/found.hex, an input a line."""
    found = corpus / 'found.hex'
    for number, line in enumerate(found.read_text().split() if found.exists() else []):
        (pathlib.Path(folder) / f'found{number}').write_bytes(bytes.fromhex(line))


def keep(program, folder, corpus):
    with tempfile.TemporaryDirectory() as smallest:
        subprocess.run([program, '-set_cover_merge=1', '-use_counters=0', '-close_fd_mask=3', smallest, corpus, folder], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        there = {path.read_bytes() for path in corpus.iterdir()}
        found = {path.read_bytes() for path in pathlib.Path(smallest).iterdir()} - there
        if found:
            (corpus / 'found.hex').write_text(''.join(f'{one.hex()}\n' for one in sorted(found, key=lambda one: (len(one), one)) if one))


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != '--keep']
    build, seconds = pathlib.Path(arguments[0]), int(arguments[1])
    targets = arguments[2:] or sorted(path.name for path in (FUZZ / 'corpus').iterdir())
    failed = build / 'failed'
    failed.mkdir(exist_ok=True)
    print(ROW.format('target', 'inputs', 'cov', 'ft', 'last new', 'at s'), flush=True)
    good = True
    for target in targets:
        program = build / 'tests/fuzz' / f'fuzz-{target}'
        with tempfile.TemporaryDirectory() as folder:
            unpack(FUZZ / 'corpus' / target, folder)
            inputs, branches, features, last, fine = run(program, seconds, folder, FUZZ / 'corpus' / target, failed)
            if fine and '--keep' in sys.argv:
                keep(program, folder, FUZZ / 'corpus' / target)
        print(ROW.format(target, f'{inputs:,}', branches, features, f'{last[0]:,}', last[1]), '' if fine else 'FAILED', flush=True)
        good = good and fine
    return 0 if good else 1


if __name__ == '__main__':
    os.nice(10)
    sys.exit(main())

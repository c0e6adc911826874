#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""libFuzzer campaigns that go on where the last one stopped. What they found so far lies in BUILD/campaign.

  campaign.py search BUILD SECONDS [TARGET...]   each target so many seconds; what was reached, as rows of a table: inputs tried, edges
                                                 seen, after how many inputs and seconds the last new edge was. A program that was
                                                 built anew starts to count anew. Inputs that fail are left in BUILD/failed.
  campaign.py table BUILD [TARGET...]            the rows alone
  campaign.py keep BUILD [TARGET...]             corpus/TARGET/found becomes a smallest set of inputs that, with the seeds beside it,
                                                 reaches the same edges
  campaign.py lines BUILD [TARGET...]            the lines of the decoders that no target's corpus reaches and README.md does not excuse,
                                                 each after the function it is in;
                                                 BUILD counts lines: README.md says how it is made
  campaign.py late LINES BUILD [TARGET...]       the branches of a target's decoders that only inputs from the second half of its search in
                                                 BUILD take, each after the function it is in; LINES counts lines"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

FUZZ = pathlib.Path(__file__).resolve().parent
TOP, README = FUZZ.parents[1], FUZZ / 'README.md'
LINE = re.compile(r'^#(\d+)\s+(INITED|NEW|REDUCE|RELOAD|pulse|DONE)\s+cov: (\d+) ft: (\d+)')
ROW = '| {:15} | {:>11} | {:>6} | {:>11} | {:>11} |'
DECODES = re.compile(r'^\| `(\w+)` \|(.*)\|.*\|$', re.M)
EXCUSED = re.compile(r'^\| `([\w/.*]+)` \|(.*)\|[^|]+\|$', re.M)
FILE = re.compile(r'`([\w/]+\.c)`')
WORD = re.compile(r'"(?![^"]*\.h")([\w./:=-]{2,24})"')


class Campaign:
    """What is known of one target."""

    def __init__(self, build, target):
        self.program = build / 'tests/fuzz' / f'fuzz-{target}'
        self.target, self.corpus = target, FUZZ / 'corpus' / target
        self.folder = build / 'campaign' / target
        self.failed = build / 'failed'
        self.folder.mkdir(parents=True, exist_ok=True)
        self.failed.mkdir(exist_ok=True)
        self.notes = build / 'campaign' / f'{target}.json'
        built = hashlib.sha256(self.program.read_bytes()).hexdigest()
        self.seen = {'built': built, 'inputs': 0, 'edges': 0, 'new_inputs': 0, 'seconds': 0, 'new_seconds': 0,
                     'slices': []}                      # [when a search began, seconds]
        if self.notes.exists() and json.loads(self.notes.read_text())['built'] == built:
            self.seen.update(json.loads(self.notes.read_text()))

    def unpack(self):
        """What earlier campaigns found: corpus/NAME/found, inputs one after another, each after its length, two bytes, little-endian."""
        found = self.corpus / 'found'
        rest = found.read_bytes() if found.exists() else b''
        while rest:
            size = 2 + int.from_bytes(rest[:2], 'little')
            one, rest = rest[2:size], rest[size:]
            (self.folder / hashlib.sha1(one).hexdigest()).write_bytes(one)

    def dictionary(self):
        """Arguments that give it what stands in quotes in the target's files, alone."""
        words = {word for file in decoders()[self.target] for word in WORD.findall((TOP / file).read_text())}
        file = self.folder.with_suffix('.words')
        file.write_text(''.join(f'"{word}"\n' for word in sorted(words)))
        return [f'-dict={file}'] if words else []

    def search(self, seconds):
        self.unpack()
        schedule = self.seen['seconds'] // max(seconds, 1) % 2          # in turn: what is rare first, and without that book-keeping
        limits = [f'-max_total_time={seconds}', f'-entropic={schedule}', '-entropic_feature_frequency_threshold=16', '-max_len=4096',
                  '-timeout=30', '-rss_limit_mb=2048', '-close_fd_mask=3', '-print_funcs=0', *self.dictionary()]
        process = subprocess.Popen([self.program, *limits, f'-artifact_prefix={self.failed}/{self.target}-', self.folder, self.corpus],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace')
        began, seen, inputs = time.monotonic(), self.seen, 0
        before, had = (seen['inputs'], seen['seconds']), seen['inputs'] > 0
        seen['slices'].append([time.time(), 0])
        for line in process.stderr:
            found = LINE.match(line)
            if not found:
                continue
            inputs, edges = int(found[1]), int(found[3])
            if edges > seen['edges']:
                if had or found[2] != 'INITED':
                    seen['new_inputs'], seen['new_seconds'] = before[0] + inputs, round(before[1] + time.monotonic() - began)
                seen['edges'] = edges
        good = process.wait() == 0
        seen['inputs'], seen['seconds'] = before[0] + inputs, round(before[1] + time.monotonic() - began)
        seen['slices'][-1][1] = time.monotonic() - began
        self.notes.write_text(json.dumps(seen))
        return good

    def row(self):
        seen = self.seen
        return ROW.format(f'`{self.target}`', f"{seen['inputs']:,}", seen['edges'], f"{seen['new_inputs']:,}",
                          f"{seen['new_seconds']}/{seen['seconds']}")

    def keep(self):
        with tempfile.TemporaryDirectory() as smallest, tempfile.TemporaryDirectory() as place:
            for path in self.folder.iterdir():
                with contextlib.suppress(FileNotFoundError):            # a search may go on meanwhile, and find smaller ones
                    shutil.copy(path, place)
            subprocess.run([self.program, '-set_cover_merge=1', '-use_counters=0', '-close_fd_mask=3', smallest, self.corpus, place],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            there = {path.read_bytes() for path in self.corpus.iterdir()}
            found = {path.read_bytes() for path in pathlib.Path(smallest).iterdir()} - there - {b''}
        if found:
            (self.corpus / 'found').write_bytes(b''.join(len(one).to_bytes(2, 'little') + one
                                                         for one in sorted(found, key=lambda one: (len(one), one))))

    def measure(self, folders):
        """What llvm-cov says of a run over the inputs in @folders: (file, its record), for each file of the tree."""
        with tempfile.TemporaryDirectory() as place:
            raw, profile = (pathlib.Path(place) / name for name in ('raw', 'profile'))
            subprocess.run([self.program, '-runs=0', '-close_fd_mask=3', *folders], check=True, stderr=subprocess.DEVNULL,
                           env={**os.environ, 'LLVM_PROFILE_FILE': str(raw)})
            subprocess.run(['llvm-profdata', 'merge', '-sparse', raw, '-o', profile], check=True)
            told = subprocess.run(['llvm-cov', 'export', '-format=lcov', f'-instr-profile={profile}', self.program], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
        for record in told.split('end_of_record'):
            name = re.search(r'^SF:(.*)$', record, re.M)
            path = pathlib.Path(name[1]).resolve() if name else None
            if path and path.is_relative_to(TOP):
                yield path.relative_to(TOP).as_posix(), record

    def counts(self, files):
        """{(file, line number): how often the corpus gets there}"""
        with tempfile.TemporaryDirectory() as inputs:
            self.folder = pathlib.Path(inputs)
            self.unpack()
            for file, record in self.measure([inputs, self.corpus]):
                if file in files:
                    for number, count in re.findall(r'^DA:(\d+),(\d+)$', record, re.M):
                        yield (file, int(number)), int(count)

    def branches(self, files, folders):
        """{(file, line number, which way)} that the inputs in @folders take"""
        return {(file, int(number), which) for file, record in self.measure(folders) if file in files
                for number, which, count in re.findall(r'^BRDA:(\d+),(\d+,\d+),(\d+)$', record, re.M) if count != '0'}

    def half_time(self):
        """When half of the time was over that was spent in the search."""
        left = sum(seconds for _, seconds in self.seen['slices']) / 2
        for began, seconds in self.seen['slices']:
            if left <= seconds:
                return began + left
            left -= seconds
        return 0


def decoders():
    """{target: its files}"""
    table = README.read_text().split('## What decodes what')[1].split('\n## ')[0]
    return {target: FILE.findall(files) for target, files in DECODES.findall(table)}


def inside(code, number):
    """The name of the function in which that line stands, with (): what begins at the left margin is the head of one."""
    heads = [line for line in code[:number] if re.match(r'[a-z_].*\(', line)]
    return re.search(r'(\w+)\(', heads[-1])[1] + '()' if heads else ''


def excuses_in(table):
    """{(file, what of it)}: a function, as name(), a line, one of a function, as name(): line, all of it, as *; in file * whatever has
    that in it"""
    return {(file, what) for file, whats in EXCUSED.findall(table) for what in re.findall(r'`([^`]+)`', whats)}


def covers(excuse, file, function, text):
    where, what = excuse
    return what in text if where == '*' else where == file and what in ('*', function, text, f'{function}: {text}')


def lines(campaigns):
    """Prints what no corpus reaches; returns whether every such line has its reason, and every reason its line."""
    readme = README.read_text()
    files = {file for campaign in campaigns for file in decoders()[campaign.target]}
    counts, good = {}, True
    for campaign in campaigns:
        for line, count in campaign.counts(files):
            counts[line] = counts.get(line, 0) + count
    excuses, used = excuses_in(readme.split('## What no input reaches')[1].split('\n## ')[0]), set()
    for file in sorted(files):
        code = (TOP / file).read_text().split('\n')
        all_lines = sorted((number, count) for (name, number), count in counts.items() if name == file)
        missed = [(number, code[number - 1].strip()) for number, count in all_lines if count == 0]
        unexcused = []
        for number, text in missed:
            reasons = {excuse for excuse in excuses if covers(excuse, file, inside(code, number), text)}
            used |= reasons
            if text.strip('{};') and not text.startswith('#') and not reasons:
                unexcused.append((number, text))
        print(f'# {file}: {len(all_lines)} lines, {len(missed)} missed, {len(unexcused)} of them without a reason', flush=True)
        for number, text in unexcused:
            good = False
            print(f'{file}:{number}: {inside(code, number)}: {text}', flush=True)
    for file, text in sorted(excuses - used):
        if file in files:
            good = False
            print(f'README.md: is reached, or not there: {file}: {text}')
    return good


def late(searched, counting):
    """Prints what the second half of the search that @searched is of found in the decoders, as @counting, the same target, sees it;
    returns whether it found nothing."""
    files, half = set(decoders()[searched.target]), searched.half_time()
    with tempfile.TemporaryDirectory() as first:
        counting.folder = pathlib.Path(first)
        counting.unpack()
        for path in searched.folder.iterdir():
            if path.stat().st_mtime < half:
                shutil.copy(path, first)
        before = counting.branches(files, [first, searched.corpus])
        after = counting.branches(files, [first, searched.corpus, searched.folder])
    news = sorted(after - before)
    print(f"# {searched.target}: {len(after)} branches, {len(news)} of them found in the second half of {searched.seen['seconds']} s",
          flush=True)
    for file, number, _ in news:
        code = (TOP / file).read_text().split('\n')
        print(f'{file}:{number}: {inside(code, number)}: {code[number - 1].strip()}', flush=True)
    return not news


def main():
    what, build, rest = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    searched = pathlib.Path(rest.pop(0)) if what == 'late' else None
    seconds = int(rest.pop(0)) if what == 'search' else 0
    campaigns = [Campaign(build, target) for target in rest or sorted(path.name for path in (FUZZ / 'corpus').iterdir())]
    good = True
    if what == 'lines':
        return 0 if lines(campaigns) else 1
    if what == 'late':
        return 0 if all([late(Campaign(searched, campaign.target), campaign) for campaign in campaigns]) else 1
    print(ROW.format('target', 'inputs', 'edges', 'last new', 'at s of'), flush=True)
    for campaign in campaigns:
        fine = campaign.search(seconds) if seconds else True
        if what == 'keep':
            campaign.keep()
        print(campaign.row(), '' if fine else 'FAILED', flush=True)
        good = good and fine
    return 0 if good else 1


if __name__ == '__main__':
    os.nice(10)
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the table of tests/fuzz/README.md against the files that read what others wrote, and the fuzzers that are built. Prints TAP."""
import pathlib
import re

import parts

TOP = pathlib.Path(__file__).resolve().parents[2]
FUZZ = TOP / 'tests/fuzz'
READS = re.compile(r'\bstruct reader\b|\breader_over\(|\bread_copy\(|\bIPC_PAYLOAD\(|\bipc_blob_read\(|\bipc_session_collect\(|\bjson_load|'
                   r'\byaml_parser_|\bstrto(?:l|ul|ull)\(|\bsscanf\(|\brecvm?msg\(|\bp?read\([a-z]|\bfgets\(|\bgetenv\(')
ROW = re.compile(r'^\| `(\w+)` \|(.*)\|(.*)\|$', re.M)
WITHOUT = re.compile(r'^\| No target \|(.*)\|(.*)\|$', re.M)
FILE = re.compile(r'`([\w/]+\.c)`')


def text():
    return (FUZZ / 'README.md').read_text().split('## What decodes what')[1].split('\n## ')[0]


def rows():
    return {target: FILE.findall(files) for target, files, _ in ROW.findall(text())}


def excused():
    return [(files, why.strip()) for files, why in WITHOUT.findall(text())]


def sources():
    for folder in ('conf', 'daemon', 'ipc', 'worker'):
        for path in sorted((TOP / folder).rglob('*.c')):
            yield path.relative_to(TOP).as_posix(), path.read_text()


def complete():
    named = {name for files in rows().values() for name in files} | {name for files, _ in excused() for name in FILE.findall(files)}
    there = dict(sources())
    return ([f'{name} reads what others wrote and has no row' for name, code in there.items() if READS.search(code) and name not in named] +
            [f'{name} is not there' for name in sorted(named - set(there))] +
            [f'{files.strip()}: no reason is given' for files, why in excused() if len(why.split()) < 5])


def built():
    targets = set(re.findall(r"^  '(\w+)': ", (FUZZ / 'meson.build').read_text(), re.M))
    return ([f'{target} has no row' for target in sorted(targets - set(rows()))] +
            [f'{target} is not built' for target in sorted(set(rows()) - targets)] +
            [f'{target}: no seeds' for target in sorted(targets) if len(list((FUZZ / 'corpus' / target).glob('*'))) < 2] +
            [f'{target} decodes nothing' for target, files in rows().items() if not files])


if __name__ == '__main__':
    parts.main(('every file that reads what others wrote has its fuzzer or its reason', complete),
               ('every fuzzer is built, has seeds and a row', built))

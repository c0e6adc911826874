#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds the table of events against the code that says them, their texts for journalctl -x, and hypergate-journal(7). Prints TAP."""
import pathlib
import re
import shutil
import subprocess
import tempfile

import parts

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r'X\((\w+), +"([\w-]+)", +"([^"]*)", (\w+)\)')
FIELD = re.compile(r'ipc_fields_(?:text|number|key)\(\w*&?\w+, "(\w+)"|"HYPERGATE_(\w+)=%|add_named\(&entry, "HYPERGATE_(\w+)"')
ENTRY = re.compile(r'# ([\w-]+)\n-- (\w+)\nSubject: (.+)\nDefined-By: hypergate\nDocumentation: man:hypergate-journal\(7\)\n\n(.+)', re.S)


def rows():
    return ROW.findall((ROOT / 'ipc/ipc_event.h').read_text())


def sources():
    return {path: path.read_text() for folder in ('daemon', 'ipc', 'worker') for path in sorted((ROOT / folder).rglob('*.c'))}


def fields_said():
    return {name for code in sources().values() for found in FIELD.findall(code) for name in found if name}


def page():
    return (ROOT / 'man/hypergate-journal.7').read_text()


def twice(what, names):
    return [f'{what} {name} is there twice' for name in sorted({name for name in names if names.count(name) > 1})]


def table():
    code = '\n'.join(sources().values())
    return (twice('the MESSAGE_ID', [id for _, _, id, _ in rows()]) + twice('the word', [word for _, word, _, _ in rows()]) +
            [f'{name}: not a MESSAGE_ID: {id}' for name, _, id, _ in rows() if not re.fullmatch('[0-9a-f]{32}', id)] +
            [f'nobody says {name}' for name, _, _, _ in rows() if not re.search(rf'\bIPC_EVENT_{name}\b', code)])


def catalogue():
    entries = re.split(r'\n\n(?=# )', (ROOT / 'daemon/hypergate.catalog').read_text())[1:]
    read = [ENTRY.fullmatch(entry) for entry in entries]
    found = {entry[1]: (entry[2], entry[3] + entry[4]) for entry in read if entry}
    ours = {word: id for _, word, id, _ in rows()}
    named = {word: set(re.findall(r'@HYPERGATE_(\w+)@', said)) for word, (_, said) in found.items()}
    return ([f'{word} has no text' for word in ours if word not in found] + [f'{word} is no event' for word in found if word not in ours] +
            [f'{word}: another MESSAGE_ID' for word in ours if word in found and found[word][0] != ours[word]] +
            [f'not like the others: {entry[:60]}' for entry, its in zip(entries, read) if not its] +
            [f'{word}: nobody has a field {name}' for word in named for name in sorted(named[word] - fields_said())])


def is_read():
    """journalctl takes it as it is."""
    if not shutil.which('journalctl'):
        return ['journalctl is not installed']
    with tempfile.TemporaryDirectory() as root:
        for folder in ('usr/lib/systemd/catalog', 'var/lib/systemd/catalog'):
            (pathlib.Path(root) / folder).mkdir(parents=True)
        shutil.copy(ROOT / 'daemon/hypergate.catalog', f'{root}/usr/lib/systemd/catalog')
        done = subprocess.run(['journalctl', f'--root={root}', '--update-catalog'], capture_output=True, text=True)
        there = subprocess.run(['journalctl', f'--root={root}', '--list-catalog'], capture_output=True, text=True).stdout
    return [line for line in done.stderr.splitlines()] + [f'journalctl does not know {word}' for _, word, id, _ in rows() if id not in there]


def manual():
    text = page()
    events = dict(re.findall(r'^\.It Li ([\w-]+)\n(?:(?!\.It ).*\n)*?\.Li ([0-9a-f]{32})$', text, re.M))
    ours = {word: id for _, word, id, _ in rows()}
    described = {name for line in re.findall(r'^\.It Va (.+)$', text, re.M) for name in re.split(r'[ ,]+', line)}
    used = {name for line in re.findall(r'^\.Pq Va (.+)$', text, re.M) for name in re.split(r'[ ,]+', line)}
    return ([f'hypergate-journal.7 lacks {word}, or has another MESSAGE_ID' for word in ours if events.get(word) != ours[word]] +
            [f'hypergate-journal.7 has {word}, which is no event' for word in events if word not in ours] +
            [f'hypergate-journal.7 lacks the field {name}' for name in sorted(fields_said() - described)] +
            [f'hypergate-journal.7 has the field {name}, which nobody says' for name in sorted((described | used) - fields_said())])


if __name__ == '__main__':
    parts.main(('every event has a MESSAGE_ID of its own and is said', table), ('every event has its text', catalogue),
               ('journalctl reads the texts', is_read), ('the manual has every event and field', manual))

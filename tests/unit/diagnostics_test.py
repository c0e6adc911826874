#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What "hypergate check" says: to newcomers, who make the mistakes everybody makes, in words that help them; and to files that
are made to break a reader: exit 78, within bounds of time, memory and words. Usage: diagnostics_test.py HYPERGATE. Prints TAP."""
import os
import resource
import subprocess
import sys
import tempfile
import traceback

HYPERGATE = os.path.abspath(sys.argv[1])
SECRET = bytes(range(32)).hex()
ZEROS = '0' * 64
MB = 1 << 20
BAD = 78
LINES_MAX = 201                         # of complaints, and how many more there are
CPU_MAX_S = 20                          # of which an ordinary build needs a hundredth
MEMORY_MAX = 512 * MB                   # of which an ordinary build needs a tenth

PORT = 'expected a whole number from 1 to 65535'
NO_SECRET = ('x.yaml: no router secret: name its file with secretFile, or set HYPERGATE_ROUTER; "hypergate new --output FILE" '
             'makes one')
IDLE = 'x.yaml: nothing to do: it has neither provider: nor gateway: nor relay: nor dht: {persistent: true}'
GATEWAY = 'secretFile: key\ngateway:\n'
PROVIDER = 'secretFile: key\nprovider:\n  services:\n    - '
SERVICE = '{gatePort: 8000, serviceHost: 127.0.0.1, servicePort: 80, protocol: tcp}\n'


def utf8(text):
    """As said() writes it, which is byte by byte."""
    return text.encode().decode('latin-1')


def with_file(name, text):
    return {'x.yaml': PROVIDER + name + '\n', name: text}


# What somebody wrote (x.yaml, or several files), and what is said.
NEWCOMERS = (
    ('a peer without its key', GATEWAY + 'peers: [192.0.2.1:49737]\n',
     "x.yaml:3:9: peers: expected a peer's key, as hypergate status says it there, and where it is: 64 characters 0-9 a-f, @, "
     'HOST:PORT, not "192.0.2.1:49737"'),
    ('a peer without a port', GATEWAY + f'peers: ["{ZEROS}@192.0.2.1"]\n',
     'x.yaml:3:9: peers: expected HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737, not (74 characters)'),
    ('a tab', GATEWAY + '\tlisten: 127.0.0.1\n', 'x.yaml:3:1: a tab at the start of a line; YAML is indented with blanks'),
    ('a tab before a list', 'secretFile: key\nprovider:\n  services:\n\t- ' + SERVICE,
     'x.yaml:4:1: a tab at the start of a line; YAML is indented with blanks'),
    ('one blank too many', GATEWAY + '  listen: 127.0.0.1\n   services: []\n',
     "x.yaml:4:12: a colon can't stand here: indent this line exactly as its neighbours, and put a blank behind each colon above"),
    ('an entry whose keys are not in a column', PROVIDER + 'gatePort: 8000\n    serviceHost: 127.0.0.1\n',
     'x.yaml:5:5: part of no entry of the list from line 4 on: all keys of an entry begin in the column of its first, behind the '
     '"- "'),
    ('a key that is half indented', 'secretFile: key\nprovider:\n    services: []\n  gateway:\n',
     'x.yaml:4:3: no key of the map from line 1 on: what belongs together begins in one column'),
    ('a first line that is indented', '  secretFile: key\ngateway:\n',
     'x.yaml:2:1: what stands above is complete: this is indented too little, or does not belong to it'),
    ('no blank behind a colon', 'secretFile:key\ngateway:\n',
     "x.yaml:2:8: a colon can't stand here: indent this line exactly as its neighbours, and put a blank behind each colon above"),
    ('no blank behind an inner colon', GATEWAY + '  listen:127.0.0.1\n',
     'x.yaml:3:3: gateway: expected a map of keys and values, such as "listen: ...", not "listen:127.0.0.1"'),
    ('no colon', 'secretFile: key\ngateway\nport: 1\n', 'x.yaml:2:1: a key without its colon, a blank and a value: "key: value"'),
    ('a list on the line of its key', 'secretFile: key\nprovider:\n  services: - ' + SERVICE,
     'x.yaml:3:13: a list can\'t begin here: each "- " opens a line of its own, below the key'),
    ('a brace that is missing', PROVIDER + '{gatePort: 8000, serviceHost: 127.0.0.1, servicePort: 80\n',
     'x.yaml:5:1: the map whose { is on line 4 needs a , or its } here'),
    ('a bracket that is missing', 'secretFile: key\nbootstrap: ["192.0.2.1:49737"\ngateway:\n',
     'x.yaml:3:1: the list whose [ is on line 2 needs a , or its ] here'),
    ('a quote that is never closed', 'secretFile: "key\ngateway:\n', 'x.yaml:1:13: the quote that opens here is never closed'),
    ('a path of Windows in quotes', 'secretFile: "C:\\key"\ngateway:\n',
     'x.yaml:1:16: in double quotes a backslash is written \\\\, in single ones as it is'),
    ('two documents', GATEWAY + '---\n' + GATEWAY, 'x.yaml:3:1: a second document begins here; there must be one only'),
    ('a port in quotes', PROVIDER + '{gatePort: "8000", serviceHost: 127.0.0.1, servicePort: 80}\n',
     f'x.yaml:4:18: gatePort: {PORT} without quotes, such as 8080, not "8000"'),
    ('gatePort: 70000', PROVIDER + '{gatePort: 70000, serviceHost: 127.0.0.1, servicePort: 80}\n',
     f'x.yaml:4:18: gatePort: {PORT}, such as 8080, not "70000"'),
    ('protocl', PROVIDER + '{gatePort: 8000, serviceHost: 127.0.0.1, servicePort: 80, protocl: tcp}\n',
     'x.yaml:4:65: unknown key "protocl"; did you mean protocol?'),
    ('another style of keys', 'secret_file: key\nGateway:\n', IDLE, 'x.yaml:1:1: unknown key "secret_file"; did you mean secretFile?',
     'x.yaml:2:1: unknown key "Gateway"; did you mean gateway?'),
    ('a key at the wrong place', 'secretFile: key\nservices:\n  - ' + SERVICE, IDLE,
     'x.yaml:2:1: "services" does not belong here but below provider: or gateway:'),
    ('a service that is no entry of a list', 'secretFile: key\nprovider:\n  gatePort: 8000\n  bootstrap: []\n',
     'x.yaml:3:3: "gatePort" does not belong here but in an entry of services:',
     'x.yaml:4:3: "bootstrap" does not belong here but at the left margin'),
    ('a list where keys belong', 'secretFile: key\nprovider:\n  - ' + SERVICE,
     'x.yaml:3:3: provider: expected a map of keys and values, such as "services: ...", not a list'),
    ('host and port in one', PROVIDER + '{gatePort: 8000, serviceHost: "127.0.0.1:80", servicePort: 80}\n',
     'x.yaml:4:37: serviceHost: expected a host alone, without a port: a name, or an address such as 127.0.0.1 or ::1, not '
     '"127.0.0.1:80"'),
    ('a URL', PROVIDER + '{gatePort: 8000, serviceHost: "http://localhost", servicePort: 80}\n',
     'x.yaml:4:37: serviceHost: expected a host alone, no URL: a name, or an address such as 127.0.0.1 or ::1, not '
     '"http://localhost"'),
    ('a port behind listen', GATEWAY + '  listen: 0.0.0.0:8000\n',
     'x.yaml:3:11: listen: expected an address alone, without a port: which ports open is up to the services, not "0.0.0.0:8000"'),
    ('an interface behind listen', GATEWAY + '  listen: eth0\n',
     'x.yaml:3:11: listen: expected an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1, not "eth0"'),
    ('a bootstrap node without a port', GATEWAY + 'bootstrap: [192.0.2.1]\n',
     'x.yaml:3:13: bootstrap: expected HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737, not "192.0.2.1"'),
    ('no secret', 'gateway:\n', NO_SECRET),
    ('the secret itself', f'secretFile: {SECRET}\ngateway:\n',
     'x.yaml:1:13: secretFile: expected the name of a file with the secret in it: the secret itself never stands here'),
    ('a key file that is not there', 'secretFile: nokey\ngateway:\n',
     'x.yaml:1:13: secretFile: cannot read "nokey": No such file or directory; "hypergate new --output FILE" makes one'),
    ('a folder for a key file', 'secretFile: folder\ngateway:\n', 'x.yaml:1:13: secretFile: cannot read "folder": it is a folder'),
    ('a key file for all to read', {'x.yaml': 'secretFile: open.key\ngateway:\n', 'open.key': SECRET},
     'x.yaml:1:13: secretFile: "open.key" is open to others than its owner (mode 0644): chmod 600 it, and think of a new secret'),
    ('a secret that is cut', {'x.yaml': 'secretFile: short.key\ngateway:\n', 'short.key': ZEROS[:62]},
     'short.key:1:1: the router secret has 62 characters, not 64'),
    ('the same gatePort twice in one entry', PROVIDER + '{gatePort: 8000, gatePort: 8000, serviceHost: a, servicePort: 80}\n',
     'x.yaml:4:24: "gatePort" is here twice; the first one is on line 4'),
    ('a service file that is not there', PROVIDER + 'http.json\n',
     'x.yaml:4:7: services: cannot read "http.json": No such file or directory'),
    ('a folder for a service file', PROVIDER + 'folder\n', 'x.yaml:4:7: services: cannot read "folder": it is a folder'),
    ('a comma too many in a list of JSON', with_file('s.json', '[{"gatePort": 1, "serviceHost": "a", "servicePort": 1},]'),
     's.json:1:56: a value should follow the comma; JSON has no comma before ]'),
    ('a comma too many in a map of JSON', with_file('s.json', '[{"gatePort": 1, "serviceHost": "a", "servicePort": 1,}]'),
     's.json:1:55: a key should follow the comma; JSON has no comma before }'),
    ('a comment in JSON', with_file('s.json', '{\n  // the web\n  "services": []\n}'), 's.json:2:3: JSON has no comments'),
    ('single quotes in JSON', with_file('s.json', "{'services': []}"), 's.json:1:2: expected a key in "quotes"'),
    ('a file that an editor saved as UTF-16', GATEWAY.encode('utf-16').decode('latin-1'),
     'x.yaml:1:1: not UTF-8 text: UTF-16, which begins with byte 0xff; save it as UTF-8'),
    ('an umlaut of Latin 1', '# f\xfcr zuhause\n' + GATEWAY, 'x.yaml:1:4: not UTF-8 text: byte 0xfc; save it as UTF-8'),
    ('quotes of a word processor', GATEWAY + '  listen: ' + utf8('\u201c127.0.0.1\u201d\n'),
     'x.yaml:3:11: not a quote to YAML: write " or \''),
    ('a blank of a web page', utf8('secretFile:\u00a0key\n') + 'gateway:\n',
     'x.yaml:1:12: a blank that is none to YAML: write a plain one'),
    ('a star for all addresses', GATEWAY + '  listen: *\n', 'x.yaml:3:11: a text that begins with * or & needs quotes'),
    ('another protocol', PROVIDER + '{gatePort: 8000, serviceHost: a, servicePort: 80, protocol: http}\n',
     'x.yaml:4:67: protocol: expected tcp, udp or tcp+udp, not "http"'),
    ('a pattern of names', PROVIDER + 'services/*.json\n',
     'x.yaml:4:7: services: cannot read "services/*.json": No such file or directory; patterns mean nothing here: name each file'),
    ('a home folder', 'secretFile: ~/key\ngateway:\n',
     'x.yaml:1:13: secretFile: cannot read "~/key": No such file or directory; ~ and variables mean nothing here: write the whole '
     'path'),
    ('a configuration among the services', {'x.yaml': PROVIDER + 'y.yaml\n', 'y.yaml': PROVIDER + SERVICE},
     'y.yaml:1:1: this is a configuration, named as a service file, which is a list of services'),
    ('a secret in quotes', {'x.yaml': 'secretFile: short.key\ngateway:\n', 'short.key': f'"{SECRET}"'},
     'short.key:1:1: the router secret: character 1 is none of 0-9 a-f; it is 64 of these and nothing else'),
    ('two secrets', {'x.yaml': 'secretFile: short.key\ngateway:\n', 'short.key': f'{SECRET}\n{ZEROS}\n'},
     'short.key:2:65: a previous secret: expected "until" and a time behind it, as in "until 2026-12-01T12:00:00Z"'),
    ('several files, all at once', {
        'x.yaml': 'secretFile: key\nlogLevel: dbug\nprovider:\n  services: [a.json, b.yaml, c.yaml, d.yaml]\n',
        'a.json': '[{"gatePort": 0, "serviceHost": "a", "servicePort": 1}]',
        'b.yaml': '- {gatePort: 1, serviceHost: a, servicePort: 1, prtocol: tcp}\n',
        'd.yaml': 'services: [a.json\n'},
     'x.yaml:2:11: logLevel: expected debug, not "dbug"',
     'x.yaml:4:30: services: cannot read "c.yaml": No such file or directory',
     f'a.json:1:15: gatePort: {PORT}, such as 8080, not "0"',
     'b.yaml:1:49: unknown key "prtocol"; did you mean protocol?',
     'd.yaml:2:1: the list whose [ is on line 1 needs a , or its ] here'),
)

LAUGHS = 'a0: &a0 [lol, lol]\n' + ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30))

# Files of which each was made to take a reader's memory, its time, its stack or its sense, and a word of what is said.
BOMBS = (
    ('a thousand million laughs', LAUGHS, 'anchors (&) and tags (!) are not used here'),
    ('laughs in a service file', with_file('s.yaml', LAUGHS), 'anchors (&) and tags (!) are not used here'),
    ('a map that merges itself', 'a: &a {<<: *a}\n', 'anchors (&) and tags (!) are not used here'),
    ('an alias of nothing', 'gateway: *nothing\n', 'aliases (*) are not used here'),
    ('a tag that names a type', 'gateway: !!python/object:os.system {}\n', 'anchors (&) and tags (!) are not used here'),
    ('10 MB', '# words\n' * (10 * MB // 8), 'more than 1 MiB'),
    ('10 MB of a service file', with_file('s.json', '[' + '{"gatePort": 1},' * (10 * MB // 16) + ']'), 'more than 1 MiB'),
    ('a file without an end', PROVIDER + '/dev/zero\n', 'not a file'),
    ('a pipe that nobody writes to', PROVIDER + 'fifo\n', 'fifo: the file is empty'),
    ('lists in lists', '[' * (MB - 1), 'more than 16 lists and maps in each other'),
    ('lists in lists, one below the other', '- ' * (MB // 2 - 1), 'more than 16 lists and maps in each other'),
    ('maps in maps', '{a: ' * (MB // 4 - 1), 'more than 16 lists and maps in each other'),
    ('keys that are maps', '? ' * (MB // 2 - 1), 'a key must be a word'),
    ('lists in lists of JSON', with_file('s.json', '[' * (MB - 1)), 'more than 16 lists and maps in each other'),
    ('maps in maps of JSON', with_file('s.json', '{"a":' * (MB // 5 - 1)), 'more than 16 lists and maps in each other'),
    ('a NUL', GATEWAY + 'port: 1\0\n', 'it holds the character U+0000'),
    ('nothing but NULs', '\0' * 100000, 'it holds the character U+0000'),
    ('a NUL by an escape', GATEWAY + 'stateDirectory: "a\\0b"\n', 'a text with a NUL character'),
    ('a NUL in a key', GATEWAY + '"port\\0": 1\n', 'a text with a NUL character'),
    ('a NUL by an escape of JSON', with_file('s.json', '[{"gatePort": 1, "serviceHost": "a\\u0000b", "servicePort": 1}]'),
     'a text with a NUL character'),
    ('a key of a thousand bytes', GATEWAY + 'k' * 1000 + ': 1\n', 'unknown key'),
    ('a key of a million bytes', GATEWAY + '"' + 'k' * (MB - 100) + '": 1\n', 'a key without its colon'),
    ('a key of a million bytes behind a ?', GATEWAY + '? ' + 'k' * (MB - 100) + '\n: 1\n', 'unknown key'),
    ('a key of a million bytes in JSON', with_file('s.json', '[{"' + 'k' * (MB - 100) + '": 1}]'), 'a service without gatePort'),
    ('a value of a million bytes', GATEWAY + 'port: ' + '9' * (MB - 100) + '\n', 'port: expected a whole number'),
    ('a path of a million bytes', GATEWAY + 'stateDirectory: ' + 'a/' * (MB // 2 - 100) + '\n', 'a path of more than 4095 bytes'),
    ('a quote of a million bytes', GATEWAY + 'port: "' + 'x' * (MB - 100), 'the quote that opens here is never closed'),
    ('as many values as fit', 'bootstrap: [' + '1,' * (MB // 2 - 100) + ']\n', 'more than 262144 values in one file'),
    ('as many keys as fit', '{' + ','.join(f'k{i}: 1' for i in range(80000)) + '}\n', 'more than 64 keys in one map'),
    ('the same key again and again', GATEWAY + 'port: 1\n' * 100000, 'is here twice'),
    ('ten thousand mistakes', PROVIDER + '    - '.join(['{gatePort: 0}\n'] * 10000), 'and 29800 more'),
    ('a mistake in each of many files', {'x.yaml': PROVIDER + '    - '.join(f's{i}.yaml\n' for i in range(256)),
                                         **{f's{i}.yaml': '- {gatePort: 0}\n' for i in range(256)}}, 'and 568 more'),
    ('nothing but tabs', '\t' * (MB - 1) + 'x', 'a tab'),
    ('nothing but commas', '[' + ',' * (MB - 10) + ']', 'a value is missing here'),
    ('half a character at the end', GATEWAY + 'port: 1 # \xe2\x82', 'not UTF-8 text'),
)


def said(files):
    """Exit code, words, and what it took, for x.yaml among @files in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {'key': ZEROS, **(files if isinstance(files, dict) else {'x.yaml': files})}.items():
            with open(os.path.join(folder, name), 'w', encoding='latin-1', newline='') as file:
                file.write(text)
            os.chmod(file.name, 0o600 if name in ('key', 'short.key') else 0o644)
        os.mkdir(os.path.join(folder, 'folder'))
        os.mkfifo(os.path.join(folder, 'fifo'))
        environment = {name: value for name, value in os.environ.items() if name.endswith('SAN_OPTIONS')}
        with tempfile.TemporaryFile('w+') as words:
            process = subprocess.Popen([HYPERGATE, 'check', 'x.yaml'], cwd=folder, env=environment, stdout=words, stderr=words,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_MAX_S, CPU_MAX_S)))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            words.seek(0)
            return process.returncode, words.read(), used.ru_maxrss * 1024


def check_newcomer(files, *expected):
    code, words, _ = said(files)
    assert words == '\n'.join(expected) + '\n', words
    assert code == BAD, code


def check_bomb(files, expected):
    code, words, memory = said(files)
    lines = words.splitlines()
    assert code == BAD, (code, words[:1000])
    assert len(lines) <= LINES_MAX and max(map(len, lines)) < 1000, words[:1000]
    assert any(expected in line for line in lines), words[:1000]
    assert memory < MEMORY_MAX, memory


def main():
    rows = [(check_newcomer, 'a newcomer: ', row) for row in NEWCOMERS] + [(check_bomb, 'a bomb: ', row) for row in BOMBS]
    failed = 0
    for number, (check, kind, (what, *row)) in enumerate(rows, 1):
        verdict = 'ok'
        try:
            check(*row)
        except Exception:
            failed += 1
            verdict = 'not ok'
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()))
        print(verdict, number, '-', kind + what)
    print(f'1..{len(rows)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

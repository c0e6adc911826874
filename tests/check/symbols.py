#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles the protocol stack on its own and lists what it needs from outside: memory, strings, assert and the
deterministic part of libsodium, and, for the cipher, that of OpenSSL; nothing else. No clock, no socket, no log, no randomness. Prints TAP."""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = ['wire', 'noise', 'cipher', 'secret', 'udx', 'rpc', 'dht', 'nat', 'relay', 'peer', 'swarm', 'tunnel', 'node']

ALLOWED = re.compile(r'''^(
    malloc|calloc|realloc|free|reallocarray|aligned_alloc
  | mem(cpy|move|set|cmp|chr|rchr|mem)|bcmp
  | str(len|nlen|cmp|ncmp|chr|rchr|str)
  | qsort|bsearch
  | __assert_fail|abort
  | cbrt|cbrtf|sqrt
  | crypto_\w+ | sodium_(memcmp|memzero|increment|is_zero|compare|add)
  | _GLOBAL_OFFSET_TABLE_ | __stack_chk_fail
)$''', re.VERBOSE)
# Where there is no OpenSSL, what would use it is not built and not looked at.
OPENSSL = 'worker/swarm/cipher/cipher_openssl.c'
ALLOWED_OPENSSL = re.compile(r'^(OSSL_LIB_CTX_(new|free)|OPENSSL_init_crypto|EVP_(CIPHER|MAC)_\w+|EVP_Encrypt(Init_ex2|Update))$')
REFUSED = re.compile(r'^(randombytes\w*|crypto_pwhash\w*|crypto_\w+_random|crypto_\w+_keygen|'
                     r'crypto_(?!\w*seed_keypair)\w+_keypair|crypto_secretstream_\w+_init_push)$')


def main():
    cc = shlex.split(sys.argv[1]) if len(sys.argv) > 1 else ['cc']
    sources = sorted(p for name in STACK + ['../base'] for p in (ROOT / 'worker/swarm' / name).resolve().glob('*.c'))
    roots = [f'-I{ROOT}/worker/base'] + [f'-I{ROOT}/worker/swarm/{name}' for name in STACK]
    flags = ['-std=gnu17', '-D_GNU_SOURCE', '-O1', '-U_FORTIFY_SOURCE', '-fno-stack-protector', '-fno-sanitize=all', '-fno-pie', '-w',
             '-c']       # -fno-pie: a const table of functions is no writable global
    needs, defines, bad = {}, set(), []
    if subprocess.run(cc + ['-E', '-'], input='#include <openssl/evp.h>', text=True, capture_output=True).returncode:
        sources.remove(ROOT / OPENSSL)
    with tempfile.TemporaryDirectory() as scratch:
        for index, source in enumerate(sources):
            out = f'{scratch}/{index}.o'
            subprocess.run(cc + flags + roots + [str(source), '-o', out], check=True)
            for line in subprocess.run(['nm', out], check=True, capture_output=True, text=True).stdout.splitlines():
                kind, name = line.split()[-2:]
                if kind == 'U':
                    needs.setdefault(name, set()).add(source.relative_to(ROOT))
                elif kind.isupper():
                    defines.add(name)
                if kind in 'dDbBC' and not name.startswith(('__', '.')) and 'swarm' in str(source):
                    bad.append(f'{source.relative_to(ROOT)}: writable global {name}')
    for name, users in sorted(needs.items()):
        if users == {pathlib.Path(OPENSSL)} and ALLOWED_OPENSSL.match(name):
            continue
        if name not in defines and (not ALLOWED.match(name) or REFUSED.match(name)):
            bad.append(f'{", ".join(sorted(map(str, users)))}: needs {name}')
    for complaint in bad:
        print('#', complaint)
    print('not ok' if bad else 'ok', f'1 - the stack needs nothing from outside but memory ({len(sources)} files)')
    print('1..1')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Names of this machine's system calls, from the compiler's own <sys/syscall.h>: syscall_names.py CC... > syscall_names.h"""
import re
import subprocess
import sys

defines = subprocess.run(sys.argv[1:] + ['-dM', '-E', '-include', 'sys/syscall.h', '-xc', '/dev/null'],
                         capture_output=True, text=True, check=True).stdout
for name in sorted(set(re.findall(r'^#define __NR_([a-z0-9_]+) ', defines, re.M))):
    print(f'        {{ __NR_{name}, "{name}" }},')

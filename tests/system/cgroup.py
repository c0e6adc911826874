# SPDX-License-Identifier: BSD-3-Clause
"""A control group of our own that limits memory, on a machine with either version of them; as root, or with sudo."""
import contextlib
import os
import subprocess

AS_ROOT = [] if os.getuid() == 0 else ['sudo', '-n']


def controllers():
    """(version, folder) of each hierarchy that may limit memory."""
    with open('/proc/self/mountinfo') as file:
        for line in file:
            before, after = line.split(' - ')
            folder, kind, options = before.split()[4], after.split()[0], after.split()[2]
            if kind == 'cgroup' and 'memory' in options.split(','):
                yield 1, folder
            elif kind == 'cgroup2':
                with contextlib.suppress(OSError), open(os.path.join(folder, 'cgroup.controllers')) as names:
                    if 'memory' in names.read().split():
                        yield 2, folder


def as_root(script, *args):
    return subprocess.run([*AS_ROOT, 'sh', '-ec', script, 'sh', *args], capture_output=True, text=True)


class MemoryGroup:
    """Empty at first: what is started by the command .under is in it, with its children. AssertionError: there can be none here."""

    def __init__(self, stack, name):
        tried = []
        for self.version, parent in controllers():
            self.folder = os.path.join(parent, f'hypergate-test-{os.getpid()}-{name}')
            script = 'mkdir "$2"; [ -f "$2/memory.limit_in_bytes" ]' if self.version == 1 else \
                'echo +memory >"$1/cgroup.subtree_control"; mkdir "$2"; [ -f "$2/memory.max" ]'
            made = as_root(script, parent, self.folder)
            if made.returncode == 0:
                break
            tried.append(f'{parent}: {made.stderr.strip() or made.returncode}')
        else:
            raise AssertionError('no control group for memory can be made here (it takes root, and a controller that is ours): ' +
                                 ('; '.join(tried) or 'no hierarchy has a memory controller'))
        stack.callback(as_root, 'rmdir "$1"', self.folder)
        enter = ' '.join([*AS_ROOT, 'sh', '-c', "'echo $1 >\"$0/cgroup.procs\"'", self.folder, '$$'])
        self.under = ['sh', '-ec', f'{enter}; exec "$@"', 'sh']

    def read(self, name):
        with open(os.path.join(self.folder, name)) as file:
            return file.read()

    def used_bytes(self):
        return int(self.read('memory.usage_in_bytes' if self.version == 1 else 'memory.current'))

    def limit(self, limit_bytes):
        """None: no limit."""
        name, none = ('memory.limit_in_bytes', '-1') if self.version == 1 else ('memory.max', 'max')
        set_to = as_root('echo "$1" >"$2"', none if limit_bytes is None else str(limit_bytes), os.path.join(self.folder, name))
        assert set_to.returncode == 0, set_to.stderr

    def killed(self):
        """How many of its processes the kernel has killed for want of memory."""
        events = self.read('memory.oom_control' if self.version == 1 else 'memory.events')
        return next(int(line.split()[1]) for line in events.splitlines() if line.startswith('oom_kill '))

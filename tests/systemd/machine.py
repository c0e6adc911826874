# SPDX-License-Identifier: BSD-3-Clause
"""A machine that systemd runs: a container over this machine's own files, of which nothing is changed. It takes root, or sudo, and the
package systemd-container; systemd need not run here."""
import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

AS_ROOT = [] if os.geteuid() == 0 else ['sudo', '-n']
UNITS = ['/etc/systemd/system', '/usr/local/lib/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system']
PATIENCE = 60.0         # for what comes at once on an idle machine

# In a mount namespace of its own: the machine's files below a layer in memory, without what its own services, users and units left there;
# control groups of its own; then systemd-nspawn, without the filter of system calls that no real machine has.
BOOT = r'''
set -e
mount --make-rprivate /
mkdir "$1/low" "$1/memory" "$1/root"
mount --bind / "$1/low"
mount -t tmpfs -o size=256m,mode=755 tmpfs "$1/memory"
mkdir "$1/memory/up" "$1/memory/work"
mount -t overlay -o "lowerdir=$1/low,upperdir=$1/memory/up,workdir=$1/memory/work" overlay "$1/root"
cd "$1/root"
rm -rf etc/systemd/system etc/fstab var/lib/systemd var/log/journal
mkdir -p etc/systemd/system var/lib/systemd
: >etc/machine-id
echo hypergate-test >etc/hostname
ln -s /dev/null etc/systemd/system/getty.target
ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
tar -C "$2" -cf - . | tar --keep-directory-symlink --no-overwrite-dir --no-same-owner -xpf -
for group in $3; do
	mkdir "$group"
	echo $$ >"$group/cgroup.procs"
done
cd /
exec env SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 systemd-nspawn --quiet --register=no --keep-unit -D "$1/root" \
	-M "$4" --console=read-only --resolv-conf=off --timezone=off --link-journal=no --capability=all --private-network --boot \
	systemd.show_status=0 systemd.log_target=journal </dev/null
'''


def groups(name):
    """Control groups to be made: of the second version, and of systemd's own hierarchy of the first."""
    with open('/proc/self/mounts') as file:
        for line in file:
            _, folder, kind, options = line.split()[:4]
            if kind == 'cgroup2' or (kind == 'cgroup' and 'name=systemd' in options.split(',')):
                yield os.path.join(folder, name)


def run(words, **more):
    return subprocess.run([*AS_ROOT, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def wait_for(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.05)
    return value


class Machine:
    """@files: a folder that is copied over its root."""

    def __init__(self, stack, files):
        self.leader = None
        self.folder = tempfile.mkdtemp(prefix='hypergate-systemd.', dir='/var/tmp')
        self.name = f'hypergate-{os.getpid()}'
        self.groups = list(groups(self.name))
        stack.callback(self._end)
        self.console = open(os.path.join(self.folder, 'console'), 'w+')
        self.process = subprocess.Popen([*AS_ROOT, 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', BOOT, 'sh', self.folder,
                                         files, ' '.join(self.groups), self.name], stdout=self.console, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.leader = wait_for(self._find_leader, self._said)
        wait_for(lambda: self.run('systemctl', 'is-system-running').stdout.strip() in ('running', 'degraded'), self._said)

    def _said(self):
        text = 'systemd did not start:\n' + pathlib.Path(self.console.name).read_text(errors='replace')
        return text + (self.run('systemctl', 'list-jobs').stdout + self.journal() if self.leader else '')

    def _find_leader(self):
        """Its systemd, seen from here: the child of systemd-nspawn, which took the place of unshare, or is its grandchild by sudo."""
        assert self.process.poll() is None, self._said()
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
                found += children
                if pathlib.Path(f'/proc/{pid}/comm').read_text() == 'systemd-nspawn\n':
                    for child in children:
                        if pathlib.Path(f'/proc/{child}/comm').read_text() == 'systemd\n':
                            return child
        return None

    def words(self, *words):
        """What runs it inside; its own systemd does not know of it."""
        return [*AS_ROOT, 'nsenter', '-t', self.leader, '-m', '-u', '-i', '-n', '-p', '-C', '--', 'env', '-i',
                'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8', 'SYSTEMD_PAGER=', *words]

    def run(self, *words):
        return subprocess.run(self.words(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def ok(self, *words):
        done = self.run(*words)
        assert done.returncode == 0, f'{" ".join(words)}: {done.returncode}\n{done.stdout}{done.stderr}{self.journal()}'
        return done.stdout

    def write(self, path, text, mode='644'):
        done = subprocess.run(self.words('sh', '-ec', 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"', 'sh', path, mode),
                              input=text, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def show(self, unit, name):
        return self.ok('systemctl', 'show', '--value', '-p', name, unit).strip()

    def journal(self, unit=None):
        self.run('journalctl', '--sync')        # what was said before stands in it
        return self.run('journalctl', '--no-pager', '-o', 'cat', *(['-u', unit] if unit else ['-n', '60'])).stdout

    def _end(self):
        if self.leader:
            run(['kill', '-s', 'RTMIN+4', self.leader])         # power off
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process.poll() is None:
            run(['kill', '-s', 'KILL', self.leader or str(self.process.pid)])
            self.process.wait(30)
        self.console.close()
        run(['find', *self.groups, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
        run(['rm', '-rf', '--one-file-system', self.folder, f'/run/systemd/nspawn/propagate/{self.name}'])

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""cores.py [ROUNDS [SECONDS [PERCENT]]]: what `cores: 1`, 2 and 4 carry when each swarm worker has PERCENT of one core (20), so that a machine
of two shows what one of many would: eight uploads at once through a gateway and a provider. As root, with the cpu controller of a
control group hierarchy, of either version. HYPERGATE_BIN names the command. A line of the table: megabytes a second, and CPU time of
all processes of both sides for a gigabyte; medians of the rounds, and the least and the most."""
import contextlib
import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'system'))
from harness import MB, Pair, connect  # noqa: E402

PERIOD_US = 20000
UPLOADS = 8


def hierarchy():
    """The folder of the controller, and whether it is version 2."""
    for folder, probe in (('/sys/fs/cgroup/cpu', 'cpu.cfs_quota_us'), ('/sys/fs/cgroup', 'cgroup.controllers')):
        if os.path.exists(os.path.join(folder, probe)):
            return folder, probe == 'cgroup.controllers'
    sys.exit('cores.py: no control groups with a cpu controller here')


def write(path, text):
    with open(path, 'w') as file:
        file.write(text)


class Share:
    """A process with @percent of a core, until it ends."""

    def __init__(self, stack, pid, percent):
        top, newer = hierarchy()
        self.folder = os.path.join(top, f'hypergate-bench-{pid}')
        if newer:
            write(os.path.join(top, 'cgroup.subtree_control'), '+cpu')
        os.mkdir(self.folder)
        stack.callback(self.forget)
        quota = PERIOD_US * percent // 100
        if newer:
            write(os.path.join(self.folder, 'cpu.max'), f'{quota} {PERIOD_US}')
        else:
            write(os.path.join(self.folder, 'cpu.cfs_period_us'), str(PERIOD_US))
            write(os.path.join(self.folder, 'cpu.cfs_quota_us'), str(quota))
        write(os.path.join(self.folder, 'cgroup.procs'), str(pid))

    def forget(self):
        for _ in range(100):            # it is empty once its process is gone
            with contextlib.suppress(OSError):
                return os.rmdir(self.folder)
            time.sleep(0.1)


def serve_sink(connection):
    while connection.recv(MB):
        pass


def cpu_s(sides):
    ticks = 0
    for side in sides:
        for pid in side.tree():
            with open(f'/proc/{pid}/stat') as file:
                ticks += sum(map(int, file.read().rsplit(')', 1)[1].split()[11:13]))
    return ticks / os.sysconf('SC_CLK_TCK')


def measure(cores, seconds, percent):
    """Megabytes a second, and seconds of CPU for a gigabyte."""
    class Cores(Pair):
        also = {'cores': cores}
    with contextlib.ExitStack() as stack:
        shares = stack.enter_context(contextlib.ExitStack())    # left last of what is begun here, but for instances
        pair = Cores(stack, sink=serve_sink)
        sides = pair.gateway, pair.provider
        time.sleep(3)                   # all workers have met
        for pid in [pid for side in sides for pid in side.workers('swarm')]:
            Share(shares, pid, percent)
        sent, ends = [0] * UPLOADS, time.monotonic() + seconds

        def upload(i):
            chunk = bytes(MB // 4)
            with connect(pair.gate['sink']) as connection:
                while time.monotonic() < ends:
                    sent[i] += connection.send(chunk)
        before, began = cpu_s(sides), time.monotonic()
        threads = [threading.Thread(target=upload, args=(i,)) for i in range(UPLOADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = sum(sent) / (time.monotonic() - began) / 1e6
        time.sleep(2)                   # what was still under way
        return rate, (cpu_s(sides) - before) / (sum(sent) / 1e9)


def main():
    rounds, seconds, percent = (int(word) if word else value for word, value in zip(sys.argv[1:4] + [''] * 3, (5, 5, 20)))
    found = {cores: [] for cores in (1, 2, 4)}
    for _ in range(rounds):
        for cores, rates in found.items():
            rates.append(measure(cores, seconds, percent))
    print('| cores | MB/s | s/GB |\n| ---: | ---: | ---: |')
    for cores, rates in found.items():
        columns = [f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})'
                   for values, digits in zip(zip(*rates), (0, 2))]
        print(f'| {cores} |', ' | '.join(columns), '|', flush=True)


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: BSD-3-Clause
"""A public segment with distances between its machines (wan.c): WAN names the program, or it lies beside the others of the build."""
import os
import subprocess

PROGRAM = os.environ.get('WAN') or os.path.join(os.environ.get('HYPERGATE_LIBEXEC', 'build/libexec'), '..', 'tests', 'system', 'wan')


class Wan:
    """Takes the place of a bridge in @switches. What leaves the machine of a cable takes that long and is lost that often."""

    def __init__(self, stack, switches, delay_ms, loss, seed=1):
        self.usual, self.special, self.cables, self.clear = (delay_ms, loss), {}, {}, False
        with switches.inside():
            self.process = subprocess.Popen([PROGRAM, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        stack.callback(self.process.wait)
        stack.callback(self.process.stdin.close)

    def plug(self, machine, cable):
        self.cables[machine] = cable
        self.tell(machine)

    def tell(self, machine):
        delay_ms, loss = (0, 0) if self.clear else self.special.get(machine, self.usual)
        cable = self.cables[machine]
        self.process.stdin.write(f'{cable} {round(delay_ms * 1000)} {round(loss * 1e6)}\n')
        said = self.process.stdout.readline().strip()
        assert said == cable, f'the WAN said "{said}" when {cable} of {machine} was plugged in'

    def set(self, delay_ms, loss, *machines):
        """From now on, for @machines or, without any, for all."""
        for machine in machines:
            self.special[machine] = delay_ms, loss
        if not machines:
            self.usual, self.special = (delay_ms, loss), {}
        for machine in machines or self.cables:
            self.tell(machine)

    def pause(self, clear):
        """Nothing is delayed or lost for a while."""
        self.clear = clear
        for machine in self.cables:
            self.tell(machine)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs a command in a network of its own, with a loopback and one more address: apart.py COMMAND [ARGUMENT...]

Tests that run side by side have no port in common then, and see no socket of each other's. Who may do no more than others outside may not
here: what it takes to make the network is given up."""
import os
import sys

from networks import CLONE_NEWNET, ip, system_call, with_networks

ADDRESS = '10.96.0.1/24'        # a machine without any but loopback says that nobody can be reached
PR_CAP_AMBIENT, CLEAR_ALL = 47, 4


def main():
    with_networks()
    if os.geteuid() == 0:
        system_call('unshare', CLONE_NEWNET)
    ip('link', 'set', 'lo', 'up')
    ip('link', 'add', 'card', 'type', 'bridge')
    ip('address', 'add', ADDRESS, 'dev', 'card')
    ip('link', 'set', 'card', 'up')
    if os.environ.pop('NETWORKS', None):
        system_call('prctl', PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == '__main__':
    main()

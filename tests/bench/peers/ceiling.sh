#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The least that could do the same: ../ceiling.c. On loopback alone, as it resends nothing.
. "$(dirname "$0")/lib.sh"
do_start() { spawn gateway "$BENCH_RUN/ceiling" "$2" "$1"; }
main "tcp" "$@"

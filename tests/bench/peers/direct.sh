#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# No tunnel: the load generator talks to the service itself (the ceiling).
. "$(dirname "$0")/lib.sh"
do_start() { :; }
do_target() { echo "$BENCH_PROV_IP $1"; }
main "tcp udp link" "$@"

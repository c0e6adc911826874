#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Plain relay by socat, one process per connection, no crypto.
. "$(dirname "$0")/lib.sh"
do_start() {
	if [ "$3" = udp ]; then
		spawn gateway socat -b 65536 UDP4-LISTEN:$2,bind=127.0.0.1,fork,reuseaddr,rcvbuf=4000000 UDP4:$BENCH_PROV_IP:$1
	else
		spawn gateway socat -b 65536 TCP4-LISTEN:$2,bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=1024 TCP4:$BENCH_PROV_IP:$1,nodelay
	fi
}
main "tcp udp link" "$@"

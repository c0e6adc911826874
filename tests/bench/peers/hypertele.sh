#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hypertele of npm: one connection over the HyperDHT for each TCP connection.
. "$(dirname "$0")/lib.sh"
do_start() {
	local seed key hypertele=${BENCH_NPM:?}/node_modules/hypertele i
	seed=$(hextoken)
	spawn_prov provider node "$hypertele/server.js" -l "$1" --seed "$seed" --bootstrap "${BENCH_BOOTSTRAP#*:}"
	for i in $(seq 100); do
		key=$(sed -n 's/^hypertele: //p' provider.log 2>/dev/null)
		[ -z "$key" ] || break
		sleep 0.1
	done
	spawn gateway node "$hypertele/client.js" -p "$2" -s "$key" --bootstrap "${BENCH_BOOTSTRAP#*:}"
}
main tcp "$@"

#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Both ends in JavaScript: the doubles of the original's provider and gateway, on its libraries from npm. HALF=provider or
# HALF=gateway (to-npm.sh, from-npm.sh): that end alone, and the other one is ours.
. "$(dirname "$0")/lib.sh"
DOUBLE=$(cd "$(dirname "$0")/../../interop/double" && pwd)/process.js
HALF=${HALF:-both}

# One that lives for as long as its input is open. double ROLE PREFIX OPTIONS
double() {
	local role=$1 prefix=$2
	spawn "$role" $prefix bash -c 'exec node "$0" "$@" < <(exec sleep infinity)' "$DOUBLE" "$role" "$3"
}
do_start() {
	local ours="secretFile: $BENCH_STATE/router.key
bootstrap: [\"$BENCH_BOOTSTRAP\"]" common protocol=0
	[ "$3" = tcp ] || protocol=1
	hextoken >router.key
	chmod 600 router.key
	common="\"secret\":\"$(cat router.key)\",\"bootstrap\":[\"$BENCH_BOOTSTRAP\"]"
	if [ "$HALF" = gateway ]; then
		printf '%s\n' "$ours" "provider: {services: [{gatePort: $2, serviceHost: 127.0.0.1, servicePort: $1, protocol: $3}]}" >provider.yaml
		spawn_prov provider "$HYPERGATE_BIN" run "$BENCH_STATE/provider.yaml"
	else
		double provider "$BENCH_PROV_EXEC" "{$common,\"services\":[{\"gatePort\":$2,\"servicePort\":$1,\"protocol\":$protocol}]}"
	fi
	if [ "$HALF" = provider ]; then
		printf '%s\n' "$ours" 'gateway: {listen: 127.0.0.1}' >gateway.yaml
		spawn gateway "$HYPERGATE_BIN" run "$BENCH_STATE/gateway.yaml"
	else
		double gateway '' "{$common}"
	fi
}
main "tcp udp link" "$@"

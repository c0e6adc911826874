#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# This project. HYPERGATE_BIN: the hypergate command.
. "$(dirname "$0")/lib.sh"
do_start() {
	local bootstrap="bootstrap: [\"$BENCH_BOOTSTRAP\"]"
	hextoken >router.key
	chmod 600 router.key
	printf '%s\n' "secretFile: $BENCH_STATE/router.key" "$bootstrap" \
		"provider: {services: [{gatePort: $2, serviceHost: 127.0.0.1, servicePort: $1, protocol: $3}]}" >provider.yaml
	printf '%s\n' "secretFile: $BENCH_STATE/router.key" "$bootstrap" 'gateway: {listen: 127.0.0.1}' >gateway.yaml
	spawn_prov provider "$HYPERGATE_BIN" run "$BENCH_STATE/provider.yaml"
	spawn gateway "$HYPERGATE_BIN" run "$BENCH_STATE/gateway.yaml"
}
main "tcp udp link" "$@"

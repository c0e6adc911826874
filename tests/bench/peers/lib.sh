# SPDX-License-Identifier: BSD-3-Clause
# Shared by the drivers: . "$(dirname "$0")/lib.sh"
#
# A driver is called as
#   NAME.sh supports                                 -> words: tcp udp link
#   NAME.sh start SERVICE_PORT GATE_PORT tcp|udp     -> starts, returns at once or when up
#   NAME.sh target SERVICE_PORT GATE_PORT tcp|udp    -> HOST PORT for the load generator
#   NAME.sh query SERVICE_PORT GATE_PORT tcp|udp     -> HOST PORT of the service past the tunnel, to
#                                                       ask it what has arrived
#   NAME.sh pids                                     -> lines: ROLE PID (roots of process trees)
#   NAME.sh stop
# with in the environment
#   BENCH_STATE      private directory of this instance (logs, keys, pids)
#   BENCH_BOOTSTRAP  host:port of the local DHT testnet
#   BENCH_PROV_EXEC  prefix that runs a command on the provider's side (ip netns exec X), or empty
#   BENCH_PROV_IP    address of the provider's side as the gateway sees it (127.0.0.1)
#   BENCH_GATE_IP    address of the gateway's side as the provider sees it (127.0.0.1)
#   BENCH_RUN        where the tools were built
# The service is at 127.0.0.1:SERVICE_PORT on the provider's side.
set -u
: "${BENCH_STATE:?}"
BENCH_RUN=${BENCH_RUN:-/tmp/bench-run}
BENCH_PROV_EXEC=${BENCH_PROV_EXEC:-}
BENCH_PROV_IP=${BENCH_PROV_IP:-127.0.0.1}
BENCH_GATE_IP=${BENCH_GATE_IP:-127.0.0.1}
mkdir -p "$BENCH_STATE"
cd "$BENCH_STATE" || exit 1

# spawn ROLE CMD...: run in the background, remember its pid
spawn() {
	local role=$1; shift
	setsid "$@" >"$BENCH_STATE/$role.log" 2>&1 </dev/null &
	echo "$role $!" >>"$BENCH_STATE/pids"
}
spawn_prov() { local role=$1; shift; spawn "$role" $BENCH_PROV_EXEC "$@"; }
hextoken() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }

tree() { # pid and its descendants
	local p=$1 c
	echo "$p"
	for c in $(cat /proc/"$p"/task/*/children 2>/dev/null); do tree "$c"; done
}
do_pids() { cat "$BENCH_STATE/pids" 2>/dev/null || true; }
do_stop() {
	local all='' p r i
	[ -f "$BENCH_STATE/pids" ] || return 0
	while read -r r p; do all="$all $(tree "$p")"; done <"$BENCH_STATE/pids"
	for p in $all; do kill "$p" 2>/dev/null; done
	for i in 1 2 3 4 5 6 7 8 9 10; do
		local left=''
		for p in $all; do kill -0 "$p" 2>/dev/null && left="$left $p"; done
		[ -z "$left" ] && break
		sleep 0.2
	done
	for p in $all; do kill -9 "$p" 2>/dev/null; done
	rm -f "$BENCH_STATE/pids"
	return 0
}
do_target() { echo "127.0.0.1 $2"; }
do_query() { echo "$BENCH_PROV_IP $1"; }
# main SUPPORTS "$@": the driver defines do_start SERVICE GATE PROTO
main() {
	local sup=$1 v=$2; shift 2
	case $v in
	supports) echo "$sup" ;;
	start) do_stop; do_start "$@" ;;
	target) do_target "$@" ;;
	query) do_query "$@" ;;
	pids) do_pids ;;
	stop) do_stop ;;
	*) echo "unknown verb $v" >&2; exit 2 ;;
	esac
}

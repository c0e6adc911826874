#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [PEER...] [--modes bulk,lat,hol,conn,idle,slow,pace,fetch,half,udp,start] [--rounds R] [--secs S]
#        [--json out.json] [--link DELAY_MS:LOSS_PCT[:MBIT[:JITTER_MS]]] [--set LABEL] [--idle N] [--profile]
#
# Two rounds take less than ten minutes.
# Measures tunnels side by side: for every round and every single test, each
# peer in turn. PEER is a driver peers/PEER.sh (see peers/lib.sh); without any:
# direct ceiling hypergate ssh. Writes one JSON object a line and a table (report.py) to
# standard output; with bulk, CPU by process, too, and with --profile by layer (layers.py). With --link the
# provider's side lives in another network namespace behind tunlink, a link with one-way delay DELAY_MS, up to
# JITTER_MS more by which packets overtake each other, and random loss LOSS_PCT each way. Builds what it measures; needs root for --link and --profile.
set -u
unset BENCH_BOOTSTRAP
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../prepare.sh"
make_work
need_packages "${BUILD_PACKAGES[@]}" openssh-server openssh-client iproute2 procps
[ "$(id -u)" != 0 ] || export HYPERGATE_ALLOW_ROOT=1	# one user for all peers, as the load generator reads their figures
PROFILE=
case " $* " in *" --profile "*) PROFILE=1; need_packages linux-perf binutils ;; esac
build bench -Dbuildtype=release ${PROFILE:+-Ddebug=true} -Dtests=false --prefix "$WORK/bench-install"
meson install -C "$WORK/bench" --only-changed >"$WORK/install.log" 2>&1 || { tail "$WORK/install.log" >&2; die "the installation failed"; }
export HYPERGATE_BIN=${HYPERGATE_BIN:-$WORK/bench-install/bin/hypergate} BENCH_RUN=$WORK/bench-run
mkdir -p "$BENCH_RUN"
for t in loadgen tunlink; do [ "$BENCH_RUN/$t" -nt "$HERE/$t.c" ] || ${CC:-cc} -O2 -Wall -Wextra -o "$BENCH_RUN/$t" "$HERE/$t.c" || exit 1; done
# What ours is measured by has the cipher of this very build.
[ "$BENCH_RUN/ceiling" -nt "$HERE/ceiling.c" ] && [ "$BENCH_RUN/ceiling" -nt "$WORK/bench/worker/swarm/cipher/libhg-cipher.a" ] ||
	${CC:-cc} -O2 -Wall -Wextra -D_GNU_SOURCE -I"$ROOT/worker/swarm/cipher" -o "$BENCH_RUN/ceiling" "$HERE/ceiling.c" \
		"$WORK/bench/worker/swarm/cipher/libhg-cipher.a" -lsodium -Wl,--as-needed $(pkg-config --libs libcrypto 2>/dev/null) || exit 1
MODES=start,bulk,lat,hol,conn,idle,half ROUNDS=2 SECS=2 JSON=out.json LINK='' SET='' IDLE=1000 PEERS=()
BULK=${BENCH_BULK:-up:1 down:1 both:1 up:4 down:4 both:4}
STALL=${BENCH_STALL:-20} SLOWMB=${BENCH_SLOWMB:-64}
while [ $# -gt 0 ]; do
	case $1 in
	--modes) MODES=$2; shift ;; --rounds) ROUNDS=$2; shift ;; --secs) SECS=$2; shift ;;
	--json) JSON=$2; shift ;; --link) LINK=$2; shift ;; --set) SET=$2; shift ;; --idle) IDLE=$2; shift ;; --profile) ;;
	-*) echo "unknown option $1" >&2; exit 2 ;;
	*) PEERS+=("$1") ;;
	esac
	shift
done
[ ${#PEERS[@]} -gt 0 ] || PEERS=(direct ceiling hypergate ssh)
[ -z "$LINK" ] || PEERS=(${PEERS[@]/#ceiling})
case " ${PEERS[*]} " in *" socat "*) need_packages socat ;; esac
case " ${PEERS[*]} " in *npm*) need_npm interop "$ROOT/tests/interop"; export NODE_PATH=$WORK/interop/node_modules ;; esac
case " ${PEERS[*]} " in *" hypertele "*) need_npm bench-npm "$HERE/npm"; export BENCH_NPM=$WORK/bench-npm ;; esac
LG=$BENCH_RUN/loadgen
case $JSON in /*) ;; *) JSON=$PWD/$JSON ;; esac
: >"$JSON"
ST=$(mktemp -d $BENCH_RUN/state.XXXXXX)
ulimit -n "$(ulimit -Hn)" 2>/dev/null
BASE=${BENCH_BASEPORT:-21000}
SERVICE=$BASE
PIDS=()
killtree() { kill "$1" 2>/dev/null; wait "$1" 2>/dev/null; }
declare -A UP PORT
inst() { echo "$1.$2"; }
drv() { # PEER PROTO VERB ARGS...
	local peer=$1 proto=$2; shift 2
	BENCH_STATE=$ST/$peer.$proto bash "$HERE/peers/$peer.sh" "$@"
}
cleanup() {
	local k p
	for k in "${!UP[@]}"; do
		for p in gateway provider; do [ -s "$ST/$k/$p.log" ] && tail -c 20000 "$ST/$k/$p.log" >"$JSON.$k.$p.log"; done
		drv "${k%.*}" "${k##*.}" stop
	done
	for p in "${PIDS[@]}"; do killtree "$p"; done
	[ -n "$LINK" ] && ip netns del $NS 2>/dev/null
	rm -rf "$ST"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- the two sides
export BENCH_PROV_EXEC='' BENCH_PROV_IP=127.0.0.1 BENCH_GATE_IP=127.0.0.1
NS=bnp$((BASE % 1000))
if [ -n "$LINK" ]; then
	IFS=: read -r D L M J <<<"$LINK"
	ip netns add $NS || exit 1
	$BENCH_RUN/tunlink /run/netns/$NS bl$((BASE % 1000)) "$D" "$L" ${M:-0} 16384 ${J:-0} >"$ST/tunlink.log" 2>&1 & PIDS+=($!)
	sleep 0.3
	ip addr add 10.77.0.1/24 dev bl$((BASE % 1000)); ip link set bl$((BASE % 1000)) mtu 1500 txqueuelen 10000 up
	ip -n $NS link set lo up
	ip -n $NS addr add 10.77.0.2/24 dev bl$((BASE % 1000)); ip -n $NS link set bl$((BASE % 1000)) mtu 1500 txqueuelen 10000 up
	export BENCH_PROV_EXEC="ip netns exec $NS" BENCH_PROV_IP=10.77.0.2 BENCH_GATE_IP=10.77.0.1
fi
$BENCH_PROV_EXEC $LG server --port $SERVICE --proto both --bind 0.0.0.0 >"$ST/service.log" 2>&1 & PIDS+=($!)
# A private DHT of our own nodes, three of them.
for i in 1 2 3; do
	dht=$BENCH_GATE_IP:$((BASE + 5000 + i))
	$HYPERGATE_BIN bootstrap --listen "$dht" --public "$dht" ${BENCH_BOOTSTRAP:+--bootstrap $BENCH_BOOTSTRAP} >"$ST/dht$i.log" 2>&1 </dev/null & PIDS+=($!)
	BENCH_BOOTSTRAP=${BENCH_BOOTSTRAP:-$dht}
done
sleep 1
export BENCH_BOOTSTRAP

emit() { # PEER ROUND EXTRA JSONLINE
	[ -n "$4" ] || return 0
	printf '{"peer":"%s","round":%s,"set":"%s","link":"%s",%s%s\n' "$1" "$2" "$SET" "$LINK" "${3:+$3,}" "${4#\{}" >>"$JSON"
}
ptree() { # PEER PROTO -> pstat json
	local p; p=$(drv "$1" "$2" pids | awk '$1=="gateway"||$1=="provider"{print $2}')
	$LG pstat $p
}
jget() { sed -n "s/.*\"$2\":\([-0-9.]*\).*/\1/p" <<<"$1"; }
cpudiff() { # BEFORE AFTER -> "cpu_user":x,"cpu_sys":y
	awk -v a="$(jget "$1" user_s)" -v b="$(jget "$2" user_s)" -v c="$(jget "$1" sys_s)" -v d="$(jget "$2" sys_s)" 'BEGIN{printf "\"cpu_user\":%.2f,\"cpu_sys\":%.2f", b-a, d-c}'
}
ptimes() { # PEER PROTO -> a process a line: PID USER SYSTEM ROLE PROGRAM, in ticks
	local role pid p s name
	while read -r role pid; do
		for p in $(tree "$pid"); do
			s=$(cat "/proc/$p/stat" 2>/dev/null) || continue
			name=${s#*(}; name=${name%)*}
			awk -v p="$p" -v n="$role ${name// /_}" '{ print p, $12, $13, n }' <<<"${s##*) }"
		done
	done < <(drv "$1" "$2" pids)
}
tree() { # pid and its descendants
	local c
	echo "$1"
	for c in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$c"; done
}
parts() { # BEFORE AFTER, as ptimes says -> "parts":{"ROLE PROGRAM":[user, system]}, in seconds, of those that took any
	awk -v hz="$(getconf CLK_TCK)" 'NR==FNR { u[$1] = $2; s[$1] = $3; next }
		$1 in u && $2 + $3 > u[$1] + s[$1] { k = $4 " " $5; if (!(k in x)) o[++n] = k; x[k] += $2 - u[$1]; y[k] += $3 - s[$1] }
		END { printf "\"parts\":{"; for (i = 1; i <= n; i++) printf "%s\"%s\":[%.2f,%.2f]", (i > 1 ? "," : ""), o[i], x[o[i]] / hz, y[o[i]] / hz; printf "}" }' \
		<(echo "$1") <(echo "$2")
}
PROFILE_HZ=997 RECORDER=
record() { # PEER: samples its processes until `recorded`
	local pids; pids=$(ptimes "$1" tcp | awk '{ print $1 }' | paste -sd,)
	[ -n "$PROFILE" ] && [ -n "$pids" ] || return 0
	perf record -q -e cpu-clock -F $PROFILE_HZ -g -o "$ST/perf.data" -p "$pids" 2>>"$ST/perf.err" & RECORDER=$!
	sleep 0.5
}
recorded() { # -> LAYERS: ,"layers":{"LAYER":seconds}
	LAYERS=
	[ -n "$RECORDER" ] || return 0
	kill -INT "$RECORDER"; wait "$RECORDER"
	RECORDER=
	LAYERS=$(perf script -i "$ST/perf.data" -F comm,pid,ip,sym,dso 2>>"$ST/perf.err" | "$HERE/layers.py" $PROFILE_HZ)
	LAYERS=${LAYERS:+,\"layers\":$LAYERS}
}
n=0
startpeer() { # PEER PROTO ROUND
	local k; k=$(inst "$1" "$2")
	if [ -z "${PORT[$k]:-}" ]; then n=$((n + 1)); PORT[$k]=$((BASE + n * 10)); fi
	drv "$1" "$2" start $SERVICE ${PORT[$k]} "$2"
	local r t; read -r h t <<<"$(drv "$1" "$2" target $SERVICE ${PORT[$k]} "$2")"
	UP[$k]="$h $t"
	r=$($LG wait --host "$h" --port "$t" --proto "$2" --secs 90) || { echo "$k did not come up" >&2; emit "$1" "$3" '' "{\"mode\":\"start\",\"proto\":\"$2\",\"ok\":0}"; return 1; }
	sleep 0.5
	local m; m=$(ptree "$1" "$2")
	emit "$1" "$3" "\"mode\":\"start\",\"proto\":\"$2\",\"ok\":1,\"base_pss_kb\":$(jget "$m" pss_kb)" "$r"
}
healthy() { # PEER PROTO ROUND TEST: restart what no longer answers
	local h t k p dead=''; k=$(inst "$1" "$2"); read -r h t <<<"${UP[$k]}"
	for p in $(drv "$1" "$2" pids | awk '{print $2}'); do kill -0 "$p" 2>/dev/null || dead=1; done
	if [ -n "$dead" ] || ! $LG wait --host "$h" --port "$t" --proto "$2" --secs 12 >/dev/null; then
		emit "$1" "$3" '' "{\"mode\":\"down\",\"before\":\"$4\",\"procdead\":\"$dead\"}"
		echo "!! $1 $2 down before $4 (process dead: ${dead:-no}); restarting" >&2
		mkdir -p "$BENCH_RUN/crash"; cp -r "$ST/$1.$2" "$BENCH_RUN/crash/$1.$2.$(date +%s)" 2>/dev/null
		startpeer "$1" "$2" "$3"
	fi
}
one() { # PEER ROUND TEST
	local peer=$1 r=$2 test=$3 proto=tcp a b out h t A
	IFS=: read -ra A <<<"$test"
	[ "${A[0]}" != udp ] || proto=udp
	case " $(drv "$peer" $proto supports) " in *" $proto "*) ;; *) return ;; esac
	local k; k=$(inst "$peer" $proto)
	if [ -z "${UP[$k]:-}" ] || [ "${A[0]}" = idle ] || [ "${A[0]}" = start ]; then startpeer "$peer" $proto "$r" || return; else healthy "$peer" $proto "$r" "$test"; fi
	[ "${A[0]}" = start ] && return
	read -r h t <<<"${UP[$k]}"
	local to="--host $h --port $t" qh qp
	read -r qh qp <<<"$(drv "$peer" $proto query $SERVICE ${PORT[$k]} $proto)"
	case ${A[0]} in
	bulk)
		a=$(ptree "$peer" tcp)
		local ta tb; ta=$(ptimes "$peer" tcp)
		record "$peer"
		out=$(timeout 120 $LG bulk $to --dir "${A[1]%-gentle}" --gentle "$(case ${A[1]} in *-gentle) echo 1 ;; *) echo 0 ;; esac)" --n "${A[2]}" --secs $SECS 2>>"$ST/$k/loadgen.err")
		sleep 0.3; b=$(ptree "$peer" tcp); tb=$(ptimes "$peer" tcp)
		recorded
		emit "$peer" "$r" "$(cpudiff "$a" "$b"),$(parts "$ta" "$tb")$LAYERS,\"pss_kb\":$(jget "$b" pss_kb)" "$out" ;;
	lat) emit "$peer" "$r" '' "$(timeout 120 $LG lat $to --size "${A[1]}" --secs $SECS)" ;;
	hol) emit "$peer" "$r" '"test":"hol"' "$(timeout 120 $LG lat $to --size 1 --secs $SECS --loaddir "${A[1]}" --load "${A[2]}" 2>>"$ST/$k/loadgen.err")" ;;
	conn) emit "$peer" "$r" '' "$(timeout 120 $LG conn $to --n "${A[1]}" --secs $SECS)" ;;
	half) emit "$peer" "$r" '' "$(timeout 300 $LG half $to --n 5 --mb 1 --qport $qp --qhost $qh)" ;;
	slow)
		emit "$peer" "$r" '' "$(timeout 300 $LG slow $to --dir "${A[1]}" --stall $STALL --mb $SLOWMB 2>>"$ST/$k/loadgen.err")" ;;
	fetch) # DIR:SIZE:CONCURRENCY:LOAD
		emit "$peer" "$r" '' "$(timeout 120 $LG fetch $to --dir "${A[1]}" --size "${A[2]}" --n "${A[3]}" --load "${A[4]}" --loaddir "${A[1]}" --secs $SECS --qport $qp --qhost $qh 2>>"$ST/$k/loadgen.err")" ;;
	udp) # SIZE:RATE:FLOWS
		a=$(ptree "$peer" udp)
		out=$(timeout 120 $LG udp $to --size "${A[1]}" --rate "${A[2]}" --n "${A[3]:-1}" --secs $SECS)
		b=$(ptree "$peer" udp)
		emit "$peer" "$r" "$(cpudiff "$a" "$b"),\"pss_kb\":$(jget "$b" pss_kb)" "$out" ;;
	pace) emit "$peer" "$r" '' "$(timeout 300 $LG pace $to --pace "${A[1]}" --mb "${A[2]}")" ;;
	idle)
		a=$(ptree "$peer" tcp)
		rm -f "$ST/fifo"; mkfifo "$ST/fifo"
		$LG idle $to --n "${A[1]}" <"$ST/fifo" >"$ST/idle.out" & local ip=$!
		exec 7>"$ST/fifo"
		for i in $(seq 1200); do [ -s "$ST/idle.out" ] && break; sleep 0.1; done
		sleep 2; b=$(ptree "$peer" tcp)
		local l0 c0 b0
		l0=$(timeout 30 $LG lat $to --size 1 --secs $SECS); c0=$(timeout 30 $LG conn $to --n 1 --secs $SECS); b0=$(timeout 30 $LG bulk $to --dir down --n 1 --secs $SECS 2>>"$ST/$k/loadgen.err")
		local c1 c2; c1=$(ptree "$peer" tcp); sleep 5; c2=$(ptree "$peer" tcp)
		echo go >&7; exec 7>&-; wait $ip
		local alive; alive=$(sed -n 2p "$ST/idle.out")
		emit "$peer" "$r" "\"mode\":\"idle\",\"n\":${A[1]},\"opened\":$(jget "$(head -1 "$ST/idle.out")" ok),\"open_s\":$(jget "$(head -1 "$ST/idle.out")" secs),\"alive\":$(jget "${alive:-\"alive\":-1,}" alive),\"pss0_kb\":$(jget "$a" pss_kb),\"pss1_kb\":$(jget "$b" pss_kb),\"procs\":$(jget "$b" procs),\"threads\":$(jget "$b" threads),\"fds\":$(jget "$b" fds),\"idle5s_$(cpudiff "$c1" "$c2" | sed 's/^"//'),\"lat_p50_us\":$(jget "$l0" p50_us),\"lat_p99_us\":$(jget "$l0" p99_us),\"cps\":$(jget "$c0" cps)" "{\"MBps\":$(jget "$b0" MBps)}" ;;
	esac
}
TESTS=()
for m in ${MODES//,/ }; do
	case $m in
	bulk) for x in $BULK; do TESTS+=("bulk:$x"); done ;;
	lat) TESTS+=(lat:1 lat:1024) ;;
	hol) TESTS+=(hol:down:1 hol:up:1 hol:down:4 hol:up:4) ;;
	conn) TESTS+=(conn:1 conn:32) ;;
	half) TESTS+=(half) ;;
	slow) TESTS+=(slow:down slow:up) ;;
	fetch) for x in ${BENCH_FETCH:-down:100000:8:0 down:100000:8:4 up:100000:1:0 up:100000:1:4}; do TESTS+=("fetch:$x"); done ;;
	pace) for x in ${BENCH_PACE:-10:40 40:40}; do TESTS+=("pace:$x"); done ;;
	idle) for x in ${IDLE//,/ }; do TESTS+=("idle:$x"); done ;;
	udp) for x in ${BENCH_UDP:-64:5000:1 1200:5000:1 1400:5000:1 1200:5000:1000 64:50000:1 1200:50000:1}; do TESTS+=("udp:$x"); done ;;
	start) TESTS+=(start) ;;
	*) echo "unknown mode $m" >&2; exit 2 ;;
	esac
done
for r in $(seq "$ROUNDS"); do
	for test in "${TESTS[@]}"; do
		for peer in "${PEERS[@]}"; do one "$peer" "$r" "$test"; done
		echo "$(date +%T) round $r $test done, load $(cut -d' ' -f1 /proc/loadavg)" >&2
	done
done
for p in "${PEERS[@]}"; do for q in tcp udp; do
	[ -s "$ST/$p.$q/loadgen.err" ] && { echo "-- $p $q connections that died or were corrupt:" >&2; sort "$ST/$p.$q/loadgen.err" | uniq -c | head -20 >&2; cp "$ST/$p.$q/loadgen.err" "$JSON.$p.$q.err"; }
done; done
[ -n "$LINK" ] && { kill "${PIDS[0]}"; sleep 0.2; cat "$ST/tunlink.log" >&2; }
python3 "$HERE/report.py" "$JSON"

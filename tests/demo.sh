#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The main job, on this machine alone: a private DHT of our own nodes, a provider with a web server behind it, a gateway,
# and a page fetched through them. Installs what is missing, builds, runs, cleans up.
#
#   tests/demo.sh          show it once
#   tests/demo.sh --keep   leave it running until Ctrl-C, to play with
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

keep=no
case ${1:-} in
'') ;;
--keep) keep=yes ;;
*) sed -n '3,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 64 ;;
esac

make_work
as_whom
say "1. What is needed"
need_packages "${BUILD_PACKAGES[@]}" curl
tell "compiler, libraries, curl: here"

say "2. Building hypergate (first time: half a minute)"
build demo -Dbuildtype=release -Dtests=false --prefix "$WORK/install"
meson install -C "$WORK/demo" --only-changed >"$WORK/install.log" 2>&1 || { tail "$WORK/install.log" >&2; die "the installation failed"; }
hypergate=$WORK/install/bin/hypergate
tell "installed in $WORK/install"

run=$(mktemp -d "${TMPDIR:-/tmp}/hypergate-demo.XXXXXX")
pids=()
finish() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$run"
}
trap finish EXIT
trap 'exit 130' INT TERM

# free_ports KIND COUNT: numbers nobody listens on right now.
free_ports() {
	python3 - "$@" <<'PY'
import socket, sys
kind = {'tcp': socket.SOCK_STREAM, 'udp': socket.SOCK_DGRAM}[sys.argv[1]]
held = [socket.socket(socket.AF_INET, kind) for _ in range(int(sys.argv[2]))]
for s in held: s.bind(('127.0.0.1', 0))
print(*[s.getsockname()[1] for s in held])
PY
}
# start NAME COMMAND...: in the background, its words in $run/NAME.log.
start() {
	local name=$1
	shift
	"$@" >"$run/$name.log" 2>&1 </dev/null &
	pids+=($!)
}
failed() {
	local log
	for log in "$run"/*.log; do printf -- '--- %s\n' "${log##*/}" >&2; tail -15 "$log" >&2; done
	die "$*"
}

read -r dht1 dht2 dht3 <<<"$(free_ports udp 3)"
read -r web gate <<<"$(free_ports tcp 2)"

say "3. A private DHT: three nodes of our own"
tell "Peers find each other through it. The public one works the same way, but this demo stays on this machine."
start dht1 "$hypergate" bootstrap --listen "127.0.0.1:$dht1" --public "127.0.0.1:$dht1"
start dht2 "$hypergate" bootstrap --listen "127.0.0.1:$dht2" --public "127.0.0.1:$dht2" --bootstrap "127.0.0.1:$dht1"
start dht3 "$hypergate" bootstrap --listen "127.0.0.1:$dht3" --public "127.0.0.1:$dht3" --bootstrap "127.0.0.1:$dht1"
tell "UDP ports $dht1, $dht2 and $dht3 on 127.0.0.1"

say "4. A web server: the private service"
mkdir -p "$run/www"
printf 'Hello World, from a service that only the provider can reach.\n' >"$run/www/index.html"
start web python3 -m http.server --bind 127.0.0.1 --directory "$run/www" "$web"
for _ in $(seq 100); do
	curl -fs -o "$run/direct" --max-time 5 "http://127.0.0.1:$web/" && break
	sleep 0.1
done
[ -s "$run/direct" ] || failed "the web server did not start"
tell "port $web on 127.0.0.1"

say "5. A router secret: whoever holds it belongs together"
"$hypergate" new --output "$run/router.key" >/dev/null
tell "written to a file that only its owner can read"

say "6. The provider: makes the service known"
cat >"$run/provider.yaml" <<YAML
secretFile: $run/router.key
bootstrap: ["127.0.0.1:$dht1"]
provider:
  services:
    - {gatePort: $gate, serviceHost: 127.0.0.1, servicePort: $web, protocol: tcp}
YAML
sed 's/^/      /' "$run/provider.yaml" >&2
start provider "$hypergate" run "$run/provider.yaml"

say "7. The gateway: opens a port for each service it learns of"
cat >"$run/gateway.yaml" <<YAML
secretFile: $run/router.key
bootstrap: ["127.0.0.1:$dht1"]
gateway:
  listen: 127.0.0.1
YAML
sed 's/^/      /' "$run/gateway.yaml" >&2
began=$(date +%s%N)
start gateway "$hypergate" run "$run/gateway.yaml"

say "8. curl http://127.0.0.1:$gate/ : in at the gateway, encrypted to the provider, on to the service"
page=
for _ in $(seq 150); do
	page=$(curl -fsS --max-time 5 "http://127.0.0.1:$gate/" 2>"$run/curl.log") && break
	for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || failed "a process of the demo has ended"; done
	sleep 0.1
done
[ -n "$page" ] || failed "no page came through within 15 seconds: $(cat "$run/curl.log")"
tell "the page came $(( ($(date +%s%N) - began) / 1000000 )) ms after the gateway was started"

if [ $keep = yes ]; then
	say "It runs. Try: curl http://127.0.0.1:$gate/   Logs: $run/*.log   Stop: Ctrl-C"
	printf '%s\n' "$page"
	wait
fi
say "Done; everything this demo started is being stopped. Again: tests/demo.sh   To play with it: tests/demo.sh --keep"
printf '%s\n' "$page"

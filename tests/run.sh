#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing, builds, runs all tests. Ends with 'N passed, N failed'; exit code 1 on any failure.
#
#   tests/run.sh                     everything but systemd and docker
#   tests/run.sh unit sim            only these suites (unit vectors sim fuzz check interop system features clients systemd docker; processes: the
#                                    part of interop and system that runs with every process under sanitizers, too, and that system brings along)
#   tests/run.sh sanitized           all of interop and system, with every process under sanitizers, and what is lengthy under them
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

make_work
as_whom
need_packages "${BUILD_PACKAGES[@]}" curl openssl ca-certificates mandoc systemd python3-prometheus-client binutils procps iproute2 nftables zsh fish
need_command node nodejs        # before the build is configured, which looks for it
need_command npm npm

fast=(unit vectors sim fuzz check)
slow=(interop system features clients)
wanted=("$@")
plain=1 sanitized=(processes)
[ ${#wanted[@]} -gt 0 ] || wanted=("${fast[@]}" "${slow[@]}")
[[ " ${wanted[*]} " != *" features "* ]] || need_programs nginx-light haproxy socat dnsmasq-base bind9-dnsutils teeworlds-server
[[ " ${wanted[*]} " != *" clients "* ]] || need_programs nginx-light haproxy dnsmasq-base bind9-dnsutils dnsperf wget wrk \
	openssh-server openssh-client rsync postgresql mariadb-server mariadb-client redis-server redis-tools iperf3 mumble-server
[[ " ${wanted[*]} " != *" systemd "* ]] || need_packages systemd-container prometheus debhelper dpkg-dev fakeroot git lintian
[[ " ${wanted[*]} " != *" docker "* ]] || { need_packages iptables busybox-static; need_programs containerd docker.io podman netavark aardvark-dns; }
if [ "${wanted[*]}" = sanitized ]; then
	plain='' sanitized=(interop system) wanted=(interop system lengthy)
elif [[ " ${wanted[*]} " == *" system "* ]]; then
	wanted+=(processes)
fi
chosen() { # those of the arguments that are wanted, as meson options
	local suite want
	for suite in "$@"; do for want in "${wanted[@]}"; do [ "$suite" != "$want" ] || printf -- '--suite\n%s\n' "$suite"; done; done
}

logs=()
# tests DIR NAME OPTION...: those that these options of meson leave.
tests() {
	local dir=$1 name=$2
	shift 2
	meson test -C "$dir" --no-rebuild --timeout-multiplier "${SLOWER:-1}" --logbase "$name" --print-errorlogs "$@" >&2 || true
}

# suites BUILD NAME SUITE...: runs them in that build; its log is counted at the end. Of whole instances, each test in a network of its own,
# those that keep a processor busy run one after the other, and beside them three at a time of those that mostly wait.
suites() {
	local dir=$WORK/$1 name=$2 options began
	shift 2
	mapfile -t options < <(chosen "$@")
	[ ${#options[@]} -gt 0 ] || return 0
	say "$name: ${options[*]//--suite/}"
	began=$(date +%s)
	rm -f "$dir/meson-logs/$name"*.json
	case " ${options[*]} " in
	*" interop "* | *" system "* | *" features "* | *" clients "* | *" processes "*)
		tests "$dir" "$name-busy" "${options[@]}" --no-suite waits --num-processes 1 &
		tests "$dir" "$name-waits" "${options[@]}" --no-suite busy --num-processes 3
		wait
		logs+=("$dir/meson-logs/$name-busy.json" "$dir/meson-logs/$name-waits.json")
		;;
	*)
		tests "$dir" "$name" "${options[@]}"
		logs+=("$dir/meson-logs/$name.json")
		;;
	esac
	tell "$(( $(date +%s) - began )) s"
}

# The JavaScript peers, and the programs of npm that are no peers, at the versions of the lock files.
if [ -n "$(chosen interop system processes clients)" ]; then
	need_npm interop "$ROOT/tests/interop"
	export NODE_PATH=$WORK/interop/node_modules
fi
if [ -n "$(chosen clients)" ]; then
	need_npm clients "$ROOT/tests/clients"
	export NODE_PATH=$NODE_PATH:$WORK/clients/node_modules
fi

# install_build NAME: the processes run from an installation, as they would at a user's.
install_build() {
	meson install -C "$WORK/$1" --only-changed >"$WORK/install.log" 2>&1 || { tail "$WORK/install.log" >&2; die "the installation failed"; }
}

say "building"
# Plain: what is shipped.
if [ -n "$plain" ]; then
	build plain --prefix "$WORK/plain-install"
	install_build plain
	export HYPERGATE_BIN=$WORK/plain-install/bin/hypergate
	suites plain fast unit vectors sim check
fi

# The same code under address and undefined behaviour sanitizers; leaks at exit count.
if [ -n "$(chosen unit vectors sim lengthy fuzz "${sanitized[@]}")" ]; then
	build sanitized -Db_sanitize=address,undefined -Db_lundef=false --prefix "$WORK/sanitized-install"
	export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	suites sanitized sanitized unit vectors sim lengthy fuzz
	if [ -n "$(chosen "${sanitized[@]}")" ]; then
		install_build sanitized
		HYPERGATE_BIN=$WORK/sanitized-install/bin/hypergate SLOWER=2 suites sanitized processes "${sanitized[@]}"
	fi
	unset ASAN_OPTIONS UBSAN_OPTIONS
fi

# The image of the static build, and that of a server whose name containers ask for.
if [ -n "$(chosen docker)" ]; then
	say "making images"
	mkdir -p "$WORK/images"
	HYPERGATE_TARBALL=$("$ROOT/tarball/make.sh" "$WORK/images")
	HYPERGATE_IMAGE=$("$ROOT/tarball/image.sh" "$WORK/images" "$HYPERGATE_TARBALL")
	HYPERGATE_MARIADB=$(python3 "$ROOT/tests/docker/images.py" "$WORK/images")
	export HYPERGATE_TARBALL HYPERGATE_IMAGE HYPERGATE_MARIADB
fi

[ -z "$plain" ] || { suites plain slow "${slow[@]}"; suites plain systemd systemd; suites plain docker docker; }
python3 "$ROOT/tests/count.py" "${wanted[*]}" "${logs[@]}"

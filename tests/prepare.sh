# SPDX-License-Identifier: BSD-3-Clause
# Shared by demo.sh and run.sh: what they need from Debian, where they build, and whom they run as.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config python3 libsodium-dev libssl-dev libev-dev libyaml-dev
                libsystemd-dev libseccomp-dev libjansson-dev libcurl4-openssl-dev)

# In words a newcomer understands; to stderr, so that results can be piped.
say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }
tell() { printf '   %s\n' "$*" >&2; }
die() { printf '\nerror: %s\n' "$*" >&2; exit 1; }

# need_packages NAME...: installs those that are missing.
need_packages() {
	local missing=() name
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	local become=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "these packages are missing; as root: apt-get install ${missing[*]}"
		become=(sudo)
	fi
	tell "installing from Debian: ${missing[*]}"
	"${become[@]}" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -qy --no-install-recommends "$@"' \
		sh "${missing[@]}" >"$WORK/apt.log" 2>&1 || { tail -20 "$WORK/apt.log" >&2; die "apt-get could not install ${missing[*]}"; }
}

# need_programs NAME...: the same of packages with services, none of which shall run here but when a test starts it.
need_programs() (
	local become=() policy=/usr/sbin/policy-rc.d name missing=()
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || exit 0
	[ "$(id -u)" = 0 ] || become=(sudo)
	if [ ! -e "$policy" ]; then
		trap '"${become[@]}" rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' | "${become[@]}" install -m 755 /dev/stdin "$policy"
	fi
	need_packages "${missing[@]}"
	for name in "${missing[@]}"; do
		dpkg -L "$name" | sed -n 's,^\(/usr\)\?/lib/systemd/system/\([^@/]*\.\(service\|socket\)\)$,\2,p' | while read -r unit; do
			"${become[@]}" systemctl disable -q "$unit" 2>/dev/null || true
		done
	done
)

# need_command COMMAND PACKAGE: for what may also have come from elsewhere (node, npm).
need_command() { command -v "$1" >/dev/null || need_packages "$2"; }

# need_npm NAME FOLDER: the packages of FOLDER, at the versions of its lock file, in $WORK/NAME/node_modules.
need_npm() {
	local there=$WORK/$1
	! cmp -s "$2/package-lock.json" "$there/installed.json" || return 0
	need_command node nodejs
	need_command npm npm
	say "installing the JavaScript peers"
	rm -rf "$there"
	mkdir -p "$there"
	cp "$2"/package*.json "$there"
	npm ci --prefix "$there" --no-audit --no-fund >"$WORK/npm.log" 2>&1 || { tail -20 "$WORK/npm.log" >&2; die "npm could not install the JavaScript peers"; }
	cp "$there/package-lock.json" "$there/installed.json"
}

# A place that everyone may read (root builds, an unprivileged user runs) and only we may write.
make_work() {
	if [ "$(id -u)" = 0 ]; then WORK=${HYPERGATE_WORK:-/var/cache/hypergate-build}; else WORK=${HYPERGATE_WORK:-${XDG_CACHE_HOME:-$HOME/.cache}/hypergate-build}; fi
	umask 022
	mkdir -p "$WORK"
	[ -O "$WORK" ] || die "$WORK belongs to somebody else; set HYPERGATE_WORK to a folder of your own"
}

# Daemons never run as root: as root they are told to become this user, once they have read their files.
as_whom() {
	if [ "$(id -u)" = 0 ]; then export HYPERGATE_USER=${HYPERGATE_USER:-nobody}; fi
}

# build NAME [meson options]: configures (anew when the options changed) and builds into $WORK/NAME.
build() {
	local name=$1 dir=$WORK/$1 options
	shift
	options="$ROOT ${CC:-cc} $*"
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir.options" 2>/dev/null)" != "$options" ]; then
		rm -rf "$dir"
		meson setup "$dir" "$ROOT" "$@" >"$WORK/$name.log" 2>&1 || { cat "$WORK/$name.log" >&2; die "meson setup failed"; }
		printf '%s\n' "$options" >"$dir.options"
	fi
	# Any warning is an error by the build's own settings; what only warns at link time is caught here.
	ninja -C "$dir" >"$WORK/$name.log" 2>&1 || { tail -40 "$WORK/$name.log" >&2; die "the build failed"; }
	if grep -q 'warning:' "$WORK/$name.log"; then grep -A3 'warning:' "$WORK/$name.log" >&2; die "the build warned"; fi
}

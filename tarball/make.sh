#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A tarball of binaries that need nothing of the machine that they run on but Linux: what Debian's package has, below /usr/local. Written to
# the folder that is named, or this one, it is the same bytes whoever makes it wherever from the same sources and packages of Debian.
#
#   tarball/make.sh [FOLDER]
#   tar -C / -xf hypergate-VERSION-linux-MACHINE.tar.gz
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(cd "${1:-.}" && pwd)
umask 022
export LC_ALL=C TZ=UTC
work=$(mktemp -d "${TMPDIR:-/tmp}/hypergate-tarball.XXXXXX")
trap 'rm -rf "$work"' EXIT

# What gcc and the assembler write of where they were called, as nobody in particular would have it.
from=$(realpath --relative-to "$work/build" "$root")
unset CFLAGS CPPFLAGS LDFLAGS DESTDIR
meson setup "$work/build" "$root" --prefix /usr/local --buildtype release -Dtests=false -Dstatic=true -Dopenssl=enabled \
	-Dsystemd-unit-dir=/usr/local/lib/systemd/system -Dc_args="-ffile-prefix-map=$from=. -ffile-prefix-map=$work/build=." >"$work/log" 2>&1 &&
	ninja -C "$work/build" >"$work/log" 2>&1 && meson install -C "$work/build" --no-rebuild --strip --destdir "$work/files" >"$work/log" 2>&1 ||
	{ tail -40 "$work/log" >&2; exit 1; }

# Of ours what a package has as documents, and of what was linked in the terms that go with it.
documents=$work/files/usr/local/share/doc/hypergate
mkdir -p "$documents"
cp "$root"/{README,SECURITY,CHANGELOG}.md "$root/LICENSE" "$documents"
for package in libc6-dev libsodium-dev libssl-dev libev-dev libyaml-dev libseccomp-dev libjansson-dev libgcc-12-dev; do
	[ ! -e "/usr/share/doc/$package/copyright" ] || cp -L "/usr/share/doc/$package/copyright" "$documents/LICENSE.$package"
done

# Files alone: a folder that is a link where it is unpacked stays one. The date is that of the version.
when=$(date -d "$(sed -n 's/^ -- .*>  //p' "$root/debian/changelog" | head -n 1)" +%s)
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" "$root/meson.build")
name=hypergate-$version-linux-$(uname -m).tar.gz
(cd "$work/files" && find . ! -type d -printf '%P\n' | sort) >"$work/list"
tar -C "$work/files" --no-recursion -T "$work/list" --format=gnu --mtime="@$when" --owner=0 --group=0 --numeric-owner -cf "$work/tar"
gzip -9n "$work/tar"
mv "$work/tar.gz" "$out/$name"
echo "$out/$name"

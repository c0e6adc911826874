#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# An image for containers, of the tarball's programs and nothing else: no shell, no library, no root. Docker takes it by `docker load`, and so
# does podman; it is an OCI image, too. Nothing of Docker is needed to make it. Written to the folder that is named, or this one, it is the
# same bytes whoever makes it wherever from the same tarball.
#
#   tarball/image.sh [FOLDER [TARBALL]]         TARBALL: that of make.sh; without one it is made
#   docker load -i hypergate-VERSION-image-MACHINE.tar.gz
#   docker run --rm hypergate --new
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(cd "${1:-.}" && pwd)
tarball=${2:+$(realpath "$2")}
umask 022
export LC_ALL=C TZ=UTC
work=$(mktemp -d "${TMPDIR:-/tmp}/hypergate-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
[ -n "$tarball" ] || tarball=$("$root/tarball/make.sh" "$work")

# Who it runs as is nobody of the machine's: Debian's adduser gives no number from 60000 on but 65534.
user=64023
version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" "$root/meson.build")
when=$(date -d "$(sed -n 's/^ -- .*>  //p' "$root/debian/changelog" | head -n 1)" +%s)
case $(uname -m) in x86_64) machine=amd64 ;; aarch64) machine=arm64 ;; *) machine=$(uname -m) ;; esac

# The files: programs, the terms they come under, and who is who. What is looked up by name is in passwd(5) and hosts(5), of which the engine
# brings the second. Folders that volumes take the place of give these their owner.
files=$work/files
mkdir -p "$files" && tar -C "$files" -xf "$tarball" usr/local/bin usr/local/sbin usr/local/libexec usr/local/share/doc
rm -f "$files"/usr/local/share/doc/hypergate/*.md
mkdir -p "$files"/{etc,run/hypergate/hosts,var/lib/hypergate}
printf '%s\n' root:x:0:0::/:/nonexistent "hypergate:x:$user:$user::/:/nonexistent" nobody:x:65534:65534::/:/nonexistent >"$files/etc/passwd"
printf '%s\n' root:x:0: "hypergate:x:$user:" nogroup:x:65534: >"$files/etc/group"
chmod 711 "$files/run/hypergate" "$files/run/hypergate/hosts" && chmod 700 "$files/var/lib/hypergate"

# One layer, sorted: what is not the user's is root's.
owned=(run/hypergate run/hypergate/hosts var/lib/hypergate)
(cd "$files" && find . -mindepth 1 -printf '%P\n' | grep -vxF "$(printf '%s\n' "${owned[@]}")" | sort) >"$work/list"
pack=(tar -C "$files" --no-recursion --format=gnu --mtime="@$when" --numeric-owner)
"${pack[@]}" -T "$work/list" --owner=0 --group=0 -cf "$work/layer"
"${pack[@]}" --owner=$user --group=$user -rf "$work/layer" "${owned[@]}"

# blob FILE: puts it where its digest names it, and says the digest.
image=$work/image
mkdir -p "$image/blobs/sha256"
blob() {
	local digest
	digest=$(sha256sum "$1" | cut -d ' ' -f 1)
	cp "$1" "$image/blobs/sha256/$digest"
	echo "$digest"
}
# descriptor TYPE DIGEST
descriptor() {
	printf '"mediaType":"application/vnd.oci.image.%s+json","digest":"sha256:%s","size":%d' "$1" "$2" "$(stat -c %s "$image/blobs/sha256/$2")"
}

# What it is started with: the original's command line is what comes behind its name. As root, which `-u root` asks for, it stays what it is
# told to be; and where its sockets are is where `docker exec NAME hypergate status` looks. Helpers of a virtual network get the volume with
# theirs, and no other.
layer=$(blob "$work/layer")
created=$(date -d "@$when" +%Y-%m-%dT%H:%M:%SZ)
cat >"$work/config" <<END
{"architecture":"$machine","os":"linux","created":"$created","config":{"User":"$user:$user",
"Entrypoint":["/usr/local/bin/hypergate"],
"Env":["PATH=/usr/local/bin:/usr/local/sbin","HYPERGATE_ALLOW_ROOT=1","STATE_DIRECTORY=/var/lib/hypergate","RUNTIME_DIRECTORY=/run/hypergate"],
"Volumes":{"/run/hypergate":{},"/run/hypergate/hosts":{},"/var/lib/hypergate":{}},"WorkingDir":"/","StopSignal":"SIGTERM",
"Labels":{"hypergate.EXCLUDE":"true","org.opencontainers.image.title":"hypergate","org.opencontainers.image.version":"$version",
"org.opencontainers.image.licenses":"BSD-3-Clause"}},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created":"$created","created_by":"tarball/image.sh"}]}
END
config=$(blob "$work/config")
cat >"$work/manifest" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{$(descriptor config.v1 "$config")},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(stat -c %s "$work/layer")}]}
END
manifest=$(blob "$work/manifest")

# An OCI layout, and beside it the list that `docker load` reads.
echo '{"imageLayoutVersion":"1.0.0"}' >"$image/oci-layout"
cat >"$image/index.json" <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{$(descriptor manifest.v1 "$manifest"),
"annotations":{"io.containerd.image.name":"docker.io/library/hypergate:latest","org.opencontainers.image.ref.name":"latest"},
"platform":{"architecture":"$machine","os":"linux"}}]}
END
cat >"$image/manifest.json" <<END
[{"Config":"blobs/sha256/$config","RepoTags":["hypergate:latest","hypergate:$version"],"Layers":["blobs/sha256/$layer"]}]
END
name=hypergate-$version-image-$(uname -m).tar.gz
tar -C "$image" --sort=name --format=gnu --mtime="@$when" --owner=0 --group=0 --numeric-owner -cf "$work/tar" blobs index.json manifest.json oci-layout
gzip -9n "$work/tar"
mv "$work/tar.gz" "$out/$name"
echo "$out/$name"

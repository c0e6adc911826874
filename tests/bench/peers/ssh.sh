#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# ssh -N -L to a private sshd; SSH_CIPHER picks the cipher (empty: OpenSSH's default).
. "$(dirname "$0")/lib.sh"
do_start() {
	local p=$(( $2 + 3 ))
	rm -f hk uk hk.pub uk.pub
	ssh-keygen -q -t ed25519 -N '' -f hk; ssh-keygen -q -t ed25519 -N '' -f uk; cp uk.pub ak; chmod 600 ak
	mkdir -p /run/sshd
	cat >sshd.conf <<E
Port $p
ListenAddress $BENCH_PROV_IP
HostKey $BENCH_STATE/hk
AuthorizedKeysFile $BENCH_STATE/ak
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
MaxSessions 100000
MaxStartups 1000
AllowTcpForwarding yes
E
	spawn_prov provider /usr/sbin/sshd -D -e -f $BENCH_STATE/sshd.conf
	sleep 0.7
	spawn gateway ssh ${SSH_CIPHER:+-c $SSH_CIPHER} -F none -N -o ExitOnForwardFailure=yes -o StrictHostKeyChecking=no \
		-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o Compression=no -i $BENCH_STATE/uk -p $p -l "$(id -un)" \
		-L 127.0.0.1:$2:127.0.0.1:$1 $BENCH_PROV_IP
}
main "tcp link" "$@"

/* SPDX-License-Identifier: BSD-3-Clause */
/* The wall a worker builds around itself, one way: seccomp allow-list (run_filter.h), Landlock, limits, no new privileges, not
 * dumpable. Who gets which is in run_walls.h. */
#ifndef HG_RUN_CONFINE_H
#define HG_RUN_CONFINE_H

#include <stddef.h>
#include <stdint.h>

/* What this worker needs beyond what all need (memory, its loop, its links). */
struct run_confinement {
        const int *syscalls;            /* SCMP_SYS() of seccomp.h */
        size_t syscall_count;
        const char *const *readable;    /* files and folders it may read, NULL at the end; NULL: no file system at all */
        unsigned accepts : 1;           /* clients of a listener that it was given, non-blocking: they are passed on */
        unsigned connects : 1;          /* may make TCP sockets and connect them */
        unsigned connects_udp : 1;      /* may make UDP sockets and connect them, to any port: Landlock knows those of TCP alone */
        const uint16_t *ports;          /* with @connects: only to these (Landlock, ABI 4) */
        size_t port_count;              /* 0: to all */
        unsigned sets_linger : 1;       /* setsockopt(SOL_SOCKET, SO_LINGER) */
        unsigned sets_tcp : 1;          /* setsockopt on TCP sockets: linger, no delay, keep-alive, urgent bytes in line */
        unsigned sets_buffers : 1;      /* setsockopt(SOL_SOCKET, SO_SNDBUF and SO_RCVBUF) */
        unsigned sets_fragments : 1;    /* setsockopt(IPPROTO_IP, IP_MTU_DISCOVER), and of IPv6 */
        unsigned sets_flags : 1;        /* fcntl(F_GETFL), and F_SETFL to what does not block */
        unsigned batches : 1;           /* recvmmsg and sendmmsg */
        unsigned reads_blobs : 1;       /* those of others */
        unsigned blobs : 1;             /* sealed memory files of up to IPC_BLOB_MAX bytes (ipc_blob.h): no other file can be written to */
        unsigned ends_halves : 1;       /* shutdown(SHUT_WR) */
        unsigned keeps : 1;             /* keeps memory out of swap space and dumps: run_keep.h */
        unsigned names : 1;             /* what the C library's name service does; it alone has threads */
        unsigned local_names : 1;       /* with @names: asks other processes of this machine, by AF_UNIX */
        unsigned pairs : 1;             /* socketpair(AF_UNIX, SOCK_SEQPACKET): such a socket sends to nobody but its other end */
};

/* Before anything else: no core dump, no ptrace by others of our user, no new privileges, a session keyring of its own if the
 * kernel has such and room for one. 0 or -errno. */
int run_harden(void);

/* Closes the wall. @control_fd: where a denied syscall is reported, as a DENIED message. 0 or -errno. What the kernel's Landlock
 * can't do is left to seccomp alone: the supervisor tells of it. */
int run_confine(const struct run_confinement *confinement, int control_fd);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The wall a worker builds around itself, one way: seccomp allow-list, Landlock, no new privileges, not dumpable. */
#ifndef HG_RUN_CONFINE_H
#define HG_RUN_CONFINE_H

#include <stddef.h>
#include <stdint.h>

/* What this worker needs beyond what all need (memory, its loop, its links). */
struct run_confinement {
        const int *syscalls;            /* SYS_* of sys/syscall.h */
        size_t syscall_count;
        const char *const *readable;    /* files and folders it may read, NULL at the end; NULL: no file system at all */
        unsigned connects : 1;          /* may make TCP sockets and connect them */
        unsigned connects_udp : 1;      /* may make UDP sockets and connect them, to any port: Landlock knows those of TCP alone */
        const uint16_t *ports;          /* with @connects: only to these (Landlock, ABI 4) */
        size_t port_count;              /* 0: to all */
        unsigned sets_linger : 1;       /* setsockopt(SOL_SOCKET, SO_LINGER) */
        unsigned sets_tcp : 1;          /* setsockopt on TCP sockets: linger, no delay, keep-alive */
        unsigned sets_buffers : 1;      /* setsockopt(SOL_SOCKET, SO_SNDBUF and SO_RCVBUF) */
        unsigned sets_fragments : 1;    /* setsockopt(IPPROTO_IP, IP_MTU_DISCOVER) */
        unsigned batches : 1;           /* recvmmsg and sendmmsg */
        unsigned pairs : 1;             /* socketpair(AF_UNIX, SOCK_SEQPACKET): such a socket sends to nobody but its other end */
};

/* Before anything else: no core dump, no ptrace by others of our user, no new privileges. 0 or -errno. */
int run_harden(void);

/* Closes the wall. @control_fd: where a denied syscall is reported, as a DENIED message. 0 or -errno.
 * @landlock_out: the kernel's Landlock ABI, 0 when it has none. */
int run_confine(const struct run_confinement *confinement, int control_fd, int *landlock_out);

#endif

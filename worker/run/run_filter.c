/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"

/* Newer than the headers of Debian 12: what newer C libraries do when a thread begins. */
#define ADVICE_GUARD_INSTALL 102
#define ADVICE_GUARD_REMOVE 103
#define PRCTL_SET_VMA 0x53564d41

/* A call and what its arguments must be; several rows for one call: any of them. */
struct rule {
        int call;
        unsigned count;
        struct scmp_arg_cmp arg[3];
};

#define EQUAL(number, value) { (number), SCMP_CMP_EQ, (value), 0 }
#define BITS(number, mask, value) { (number), SCMP_CMP_MASKED_EQ, (mask), (value) }

/* Memory, the event loop, links and time; what every worker does all day. */
static const int base_calls[] = {
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv), SCMP_SYS(close),
        SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
        SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_create1),        /* libev begins anew when a descriptor that is closed here lives on elsewhere */
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
        SCMP_SYS(brk), SCMP_SYS(munmap),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
        SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid),
};

#define FUTEX_FLAGS (FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
#define FUTEX(operation) { SCMP_SYS(futex), 1, { BITS(1, ~(uint64_t)FUTEX_FLAGS, (operation)) } }

/* Memory never becomes executable and nothing is advised but to free it; who waits or wakes does no more with a futex; to send with
 * MSG_FASTOPEN is to connect by another name. */
static const struct rule base_rules[] = {
        { SCMP_SYS(mprotect), 1, { BITS(2, PROT_EXEC, 0) } },
        { SCMP_SYS(mremap), 1, { EQUAL(3, MREMAP_MAYMOVE) } },
        { SCMP_SYS(madvise), 1, { EQUAL(2, MADV_DONTNEED) } },
        { SCMP_SYS(madvise), 1, { EQUAL(2, MADV_FREE) } },
        FUTEX(FUTEX_WAIT), FUTEX(FUTEX_WAKE), FUTEX(FUTEX_WAIT_BITSET),
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_GETFD) } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_DUPFD_CLOEXEC) } },
        { SCMP_SYS(sendmsg), 1, { BITS(2, MSG_FASTOPEN, 0) } },
        { SCMP_SYS(sendto), 1, { BITS(3, MSG_FASTOPEN, 0) } },
};

/* Memory that nobody shares. The name service may map files, which Landlock chooses. */
static const struct rule own_memory[] = {
        { SCMP_SYS(mmap), 2, { BITS(2, PROT_EXEC, 0), BITS(3, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS) } },
};

static const struct rule batches[] = {
        { SCMP_SYS(sendmmsg), 1, { BITS(3, MSG_FASTOPEN, 0) } },
        { SCMP_SYS(recvmmsg), 0, { { 0 } } },
};

static const struct rule pairs[] = {
        { SCMP_SYS(socketpair), 3, { EQUAL(0, AF_UNIX), EQUAL(1, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC), EQUAL(2, 0) } },
};

static const struct rule blobs[] = {
        { SCMP_SYS(memfd_create), 1, { EQUAL(1, MFD_CLOEXEC | MFD_ALLOW_SEALING) } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_ADD_SEALS) } },
};

static const struct rule read_blobs[] = {
        { SCMP_SYS(pread64), 0, { { 0 } } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_GET_SEALS) } },
};

static const struct rule halves[] = { { SCMP_SYS(shutdown), 1, { EQUAL(1, SHUT_WR) } } };
static const struct rule keeps[] = { { SCMP_SYS(mlock), 0, { { 0 } } }, { SCMP_SYS(madvise), 1, { EQUAL(2, MADV_DONTDUMP) } } };

#define SOCKET(family, type) \
        { SCMP_SYS(socket), 3, { EQUAL(0, (family)), EQUAL(1, (type) | SOCK_NONBLOCK | SOCK_CLOEXEC), EQUAL(2, 0) } }

static const struct rule accepting[] = { { SCMP_SYS(accept4), 1, { EQUAL(3, SOCK_NONBLOCK | SOCK_CLOEXEC) } } };
static const struct rule connecting[] = { { SCMP_SYS(connect), 0, { { 0 } } } };
static const struct rule tcp_sockets[] = { SOCKET(AF_INET, SOCK_STREAM), SOCKET(AF_INET6, SOCK_STREAM) };
static const struct rule udp_sockets[] = { SOCKET(AF_INET, SOCK_DGRAM), SOCKET(AF_INET6, SOCK_DGRAM) };

#define OPTION(level, name) { SCMP_SYS(setsockopt), 2, { EQUAL(1, (level)), EQUAL(2, (name)) } }

static const struct rule sets_linger[] = { OPTION(SOL_SOCKET, SO_LINGER) };
static const struct rule sets_buffers[] = { OPTION(SOL_SOCKET, SO_SNDBUF), OPTION(SOL_SOCKET, SO_RCVBUF) };
static const struct rule sets_fragments[] = { OPTION(IPPROTO_IP, IP_MTU_DISCOVER), OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER) };
static const struct rule sets_flags[] = {
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_GETFL) } },
        { SCMP_SYS(fcntl), 2, { EQUAL(1, F_SETFL), EQUAL(2, O_RDWR | O_NONBLOCK) } },
};
static const struct rule sets_tcp[] = {
        OPTION(SOL_SOCKET, SO_LINGER), OPTION(SOL_SOCKET, SO_KEEPALIVE), OPTION(SOL_SOCKET, SO_OOBINLINE), OPTION(IPPROTO_TCP, TCP_NODELAY),
        OPTION(IPPROTO_TCP, TCP_KEEPIDLE), OPTION(IPPROTO_TCP, TCP_KEEPINTVL), OPTION(IPPROTO_TCP, TCP_KEEPCNT),
};

/* What getaddrinfo(), the modules of its name service and the threads that wait for it do. */
static const int name_calls[] = {
        SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity),
        SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(poll), SCMP_SYS(ppoll),
        SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(pread64),
        SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(uname), SCMP_SYS(sysinfo),
        SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
};

#define THREAD_MUST (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define THREAD_MAY (THREAD_MUST | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)
#define TO_WRITE (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
#define SOCKET_FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)
#define NAME_SOCKET(family, type) { SCMP_SYS(socket), 2, { EQUAL(0, (family)), BITS(1, ~(uint64_t)SOCKET_FLAGS, (type)) } }

/* Threads are of this process, files are for reading, sockets for asking name servers and the kernel's addresses. */
static const struct rule name_rules[] = {
        { SCMP_SYS(clone), 1, { BITS(0, ~(uint64_t)(THREAD_MAY & ~THREAD_MUST), THREAD_MUST) } },
        { SCMP_SYS(mmap), 1, { BITS(2, PROT_EXEC, 0) } },
        { SCMP_SYS(madvise), 1, { EQUAL(2, ADVICE_GUARD_INSTALL) } },
        { SCMP_SYS(madvise), 1, { EQUAL(2, ADVICE_GUARD_REMOVE) } },
        { SCMP_SYS(prctl), 1, { EQUAL(0, PR_SET_NAME) } },
        { SCMP_SYS(prctl), 1, { EQUAL(0, PRCTL_SET_VMA) } },
        { SCMP_SYS(open), 1, { BITS(1, TO_WRITE, 0) } },
        { SCMP_SYS(openat), 1, { BITS(2, TO_WRITE, 0) } },
        { SCMP_SYS(ioctl), 1, { EQUAL(1, FIONREAD) } },
        { SCMP_SYS(ioctl), 1, { EQUAL(1, SIOCGIFINDEX) } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_SETFD) } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_GETFL) } },
        { SCMP_SYS(fcntl), 1, { EQUAL(1, F_SETFL) } },
        NAME_SOCKET(AF_INET, SOCK_STREAM), NAME_SOCKET(AF_INET, SOCK_DGRAM),
        NAME_SOCKET(AF_INET6, SOCK_STREAM), NAME_SOCKET(AF_INET6, SOCK_DGRAM),
        { SCMP_SYS(socket), 3, { EQUAL(0, AF_NETLINK), BITS(1, ~(uint64_t)SOCKET_FLAGS, SOCK_RAW), EQUAL(2, NETLINK_ROUTE) } },
        OPTION(IPPROTO_IP, IP_RECVERR), OPTION(IPPROTO_IPV6, IPV6_RECVERR), OPTION(SOL_SOCKET, SO_RCVBUF), OPTION(SOL_SOCKET, SO_SNDBUF),
        { SCMP_SYS(setsockopt), 1, { EQUAL(1, SOL_NETLINK) } },
};

/* Of modules that ask another process of this machine. */
static const struct rule local_names[] = { NAME_SOCKET(AF_UNIX, SOCK_STREAM), NAME_SOCKET(AF_UNIX, SOCK_DGRAM) };

/* What the sanitizers' runtime needs on top, to report and to look for leaks at exit. Never in a build that ships. */
#ifdef HG_SANITIZED
static const int sanitizer_calls[] = {
        SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(tgkill),
        SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
        SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(prctl),
        SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(wait4), SCMP_SYS(ptrace), SCMP_SYS(kill), SCMP_SYS(sched_yield),
        SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(getdents),
        SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(pipe), SCMP_SYS(pipe2),
        SCMP_SYS(uname), SCMP_SYS(getppid), SCMP_SYS(sched_getaffinity), SCMP_SYS(ioctl), SCMP_SYS(access),
        SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(fcntl), SCMP_SYS(pread64),
        SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
};
#endif

/* Whether the runtime may call it as it likes. */
static bool is_sanitizers(int call)
{
#ifdef HG_SANITIZED
        for (size_t i = 0; i < ARRAY_LEN(sanitizer_calls); i++)
                if (sanitizer_calls[i] == call)
                        return true;
#endif
        return false;
}

static int add(scmp_filter_ctx filter, uint32_t action, const struct rule *rule)
{
        int r = 0;

        if (rule->call != __NR_SCMP_ERROR && !is_sanitizers(rule->call))
                r = seccomp_rule_add_array(filter, action, rule->call, rule->count, rule->arg);
        return r == -EEXIST || r == -EDOM ? 0 : r;      /* it is there already; this machine has no such call */
}

static int allow_rules(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < count; i++)
                r = add(filter, SCMP_ACT_ALLOW, &rules[i]);
        return r;
}

static int allow_calls(scmp_filter_ctx filter, const int *calls, size_t count)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < count; i++)
                r = add(filter, SCMP_ACT_ALLOW, &(struct rule){ .call = calls[i] });
        return r;
}

#define ALLOW_IF(condition, rules)                                                              \
        do {                                                                                    \
                if (r == 0 && (condition))                                                      \
                        r = allow_rules(filter, (rules), ARRAY_LEN(rules));                     \
        } while (0)

static int allow_base(scmp_filter_ctx filter)
{
        const struct rule to_itself = { SCMP_SYS(tgkill), 1, { EQUAL(0, (scmp_datum_t)getpid()) } };
        int r = allow_calls(filter, base_calls, ARRAY_LEN(base_calls));

        ALLOW_IF(true, base_rules);
        return r == 0 ? add(filter, SCMP_ACT_ALLOW, &to_itself) : r;
}

/* Flags of clone3() are behind a pointer: the C library takes clone() where there is none, and does without a local daemon. */
static int allow_names(scmp_filter_ctx filter, bool local)
{
        static const struct rule none = { SCMP_SYS(clone3), 0, { { 0 } } }, nobody = { SCMP_SYS(socket), 1, { EQUAL(0, AF_UNIX) } };
        int r = allow_calls(filter, name_calls, ARRAY_LEN(name_calls));

        ALLOW_IF(true, name_rules);
        ALLOW_IF(local, local_names);
        if (r == 0 && !local)
                r = add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), &nobody);
        return r == 0 ? add(filter, SCMP_ACT_ERRNO(ENOSYS), &none) : r;
}

static int allow(scmp_filter_ctx filter, const struct run_confinement *may)
{
        int r = allow_base(filter);

        ALLOW_IF(!may->names, own_memory);
        ALLOW_IF(may->batches, batches);
        ALLOW_IF(may->pairs, pairs);
        ALLOW_IF(may->blobs || may->reads_blobs, read_blobs);
        ALLOW_IF(may->blobs, blobs);
        ALLOW_IF(may->ends_halves, halves);
        ALLOW_IF(may->keeps, keeps);
        ALLOW_IF(may->accepts, accepting);
        ALLOW_IF(may->connects || may->connects_udp, connecting);
        ALLOW_IF(may->connects && !may->names, tcp_sockets);
        ALLOW_IF(may->connects_udp, udp_sockets);
        ALLOW_IF(may->sets_linger, sets_linger);
        ALLOW_IF(may->sets_tcp, sets_tcp);
        ALLOW_IF(may->sets_buffers, sets_buffers);
        ALLOW_IF(may->sets_fragments, sets_fragments);
        ALLOW_IF(may->sets_flags, sets_flags);
        if (r == 0 && may->names)
                r = allow_names(filter, may->local_names);
#ifdef HG_SANITIZED
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(sanitizer_calls); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, sanitizer_calls[i], 0);
#endif
        return r == 0 ? allow_calls(filter, may->syscalls, may->syscall_count) : r;
}

int run_filter_make(const struct run_confinement *confinement, scmp_filter_ctx *out)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
        int r = filter ? allow(filter, confinement) : -ENOMEM;

        if (r < 0) {
                seccomp_release(filter);
                return r;
        }
        *out = filter;
        return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_message.h"

/* Newer than the kernel headers of Debian 12: linux/landlock.h of 6.7 and 6.12. */
#define RULESET_NET_BIND 1ULL
#define RULESET_NET_CONNECT 2ULL
#define RULESET_SCOPE_ABSTRACT 1ULL
#define RULESET_SCOPE_SIGNAL 2ULL
#define RULE_NET_PORT 2

struct ruleset_attr {
        uint64_t handled_access_fs, handled_access_net, scoped;
};

struct net_port_attr {
        uint64_t allowed_access, port;
};

/* Memory, the event loop, links and time; what every worker does all day. */
static const int base_syscalls[] = {
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(readv), SCMP_SYS(close),
        SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(pread64),
        SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_create1),        /* libev begins anew when a descriptor that is closed here lives on elsewhere */
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall),
        SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
};

/* What the sanitizers' runtime needs on top, to report and to look for leaks at exit. Never in a build that ships. */
#ifdef HG_SANITIZED
static const int sanitizer_syscalls[] = {
        SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
        SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigaction), SCMP_SYS(prctl),
        SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(wait4), SCMP_SYS(ptrace), SCMP_SYS(kill), SCMP_SYS(sched_yield),
        SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(getdents),
        SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(pipe), SCMP_SYS(pipe2),
        SCMP_SYS(uname), SCMP_SYS(getppid), SCMP_SYS(sched_getaffinity), SCMP_SYS(ioctl), SCMP_SYS(access),
        SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(fcntl),
        SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
};

/* A worker has no environment to be told by. It keeps less of what was freed than 256 MiB: how much it holds is tested, too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "quarantine_size_mb=4:detect_leaks=1:abort_on_error=1";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
        return "halt_on_error=1:print_stacktrace=1";
}
#endif

static int report_fd;

/* Runs with whatever state the worker was in: nothing but a write and the end. */
static void on_denied(int signal, siginfo_t *info, void *context)
{
        struct {
                uint32_t type;
                struct ipc_denied denied;
        } packet = { .type = IPC_DENIED, .denied = { .syscall = (uint32_t)info->si_syscall, .arch = info->si_arch } };

        if (write(report_fd, &packet, sizeof(packet)) < 0)
                _exit(1);
        _exit(1);
}

int run_harden(void)
{
        struct rlimit none = { 0 };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
#ifndef HG_SANITIZED    /* the leak checker traces its own process */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
#endif
        return 0;
}

static int allow_readable(int ruleset, const char *path)
{
        struct landlock_path_beneath_attr beneath = { .parent_fd = open(path, O_PATH | O_CLOEXEC) };
        int r;

        if (beneath.parent_fd < 0)
                return 0;       /* what isn't there can't be read */
        beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
        r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
        if (r == -EINVAL) {     /* a file can't be listed */
                beneath.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
                r = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
        }
        close(beneath.parent_fd);
        return r;
}

static int allow_ports(int ruleset, const uint16_t *ports, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct net_port_attr rule = { .allowed_access = RULESET_NET_CONNECT, .port = ports[i] };

                if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
                        return -errno;
        }
        return 0;
}

/* Who connects to any port says so by naming none. */
static uint64_t handled_net(const struct run_confinement *confinement)
{
        return RULESET_NET_BIND | (confinement->connects && !confinement->port_count ? 0 : RULESET_NET_CONNECT);
}

/* No file system but what may be read, no TCP port to bind and none to reach but for those who connect. 0 or -errno. */
static int confine_landlock(const struct run_confinement *confinement, int *abi_out)
{
        struct ruleset_attr attr = { .handled_access_fs = (1ULL << 13) - 1 };   /* all of ABI 1 */
        size_t size = sizeof(attr.handled_access_fs);
        int ruleset, r = 0, abi;

        abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        *abi_out = MAX(abi, 0);
        if (abi < 1)
                return 0;       /* seccomp alone still leaves no call that opens anything */
        if (abi >= 2)
                attr.handled_access_fs |= 1ULL << 13;   /* refer */
        if (abi >= 3)
                attr.handled_access_fs |= 1ULL << 14;   /* truncate */
        if (abi >= 4) {
                attr.handled_access_net = handled_net(confinement);
                size = offsetof(struct ruleset_attr, scoped);
        }
        if (abi >= 5)
                attr.handled_access_fs |= 1ULL << 15;   /* ioctl on devices */
        if (abi >= 6) {
                attr.scoped = RULESET_SCOPE_ABSTRACT | RULESET_SCOPE_SIGNAL;
                size = sizeof(attr);
        }
        ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
        if (ruleset < 0)
                return -errno;
        for (const char *const *path = confinement->readable; path && *path && r == 0; path++)
                r = allow_readable(ruleset, *path);
#ifdef HG_SANITIZED     /* the leak checker looks for its threads */
        if (r == 0)
                r = allow_readable(ruleset, "/proc");
#endif
        if (r == 0 && abi >= 4 && confinement->connects)
                r = allow_ports(ruleset, confinement->ports, confinement->port_count);
        if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                r = -errno;
        close(ruleset);
        return r;
}

static int allow_option(scmp_filter_ctx filter, unsigned level, unsigned option)
{
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2, SCMP_A1(SCMP_CMP_EQ, level),
                                SCMP_A2(SCMP_CMP_EQ, option));
}

static int allow_options(scmp_filter_ctx filter, const struct run_confinement *confinement)
{
        static const unsigned tcp[] = { TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT };
        int r = 0;

        if (confinement->sets_linger || confinement->sets_tcp)
                r = allow_option(filter, SOL_SOCKET, SO_LINGER);
        if (r == 0 && confinement->sets_tcp)
                r = allow_option(filter, SOL_SOCKET, SO_KEEPALIVE);
        for (size_t i = 0; r == 0 && confinement->sets_tcp && i < ARRAY_LEN(tcp); i++)
                r = allow_option(filter, IPPROTO_TCP, tcp[i]);
        if (r == 0 && confinement->sets_buffers)
                r = allow_option(filter, SOL_SOCKET, SO_SNDBUF);
        if (r == 0 && confinement->sets_buffers)
                r = allow_option(filter, SOL_SOCKET, SO_RCVBUF);
        if (r == 0 && confinement->sets_fragments)
                r = allow_option(filter, IPPROTO_IP, IP_MTU_DISCOVER);
        return r;
}

static int allow_list(scmp_filter_ctx filter, const int *syscalls, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int r = syscalls[i] == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, syscalls[i], 0);

                if (r < 0 && r != -EEXIST && r != -EDOM)
                        return r;
        }
        return 0;
}

/* To send with MSG_FASTOPEN is to connect by another name. */
static int allow_sending(scmp_filter_ctx filter, bool batches)
{
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));

        if (r < 0)
                return r;
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
        if (r == 0 && batches)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmmsg), 1,
                                     SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
        return r == 0 && batches ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvmmsg), 0) : r;
}

static int allow_sockets(scmp_filter_ctx filter, unsigned type)
{
        static const unsigned families[] = { AF_INET, AF_INET6 };
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_LEN(families); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, SCMP_A0(SCMP_CMP_EQ, families[i]),
                                     SCMP_A1(SCMP_CMP_EQ, type | SOCK_NONBLOCK | SOCK_CLOEXEC), SCMP_A2(SCMP_CMP_EQ, 0));
        return r;
}

/* Non-blocking sockets of the protocols that are needed and nothing else. */
static int allow_connecting(scmp_filter_ctx filter, const struct run_confinement *confinement)
{
        int r = 0;

        if (confinement->connects || confinement->connects_udp)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
        if (r == 0 && confinement->connects)
                r = allow_sockets(filter, SOCK_STREAM);
        if (r == 0 && confinement->connects_udp)
                r = allow_sockets(filter, SOCK_DGRAM);
        return r;
}

static int allow_pairs(scmp_filter_ctx filter)
{
        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 3, SCMP_A0(SCMP_CMP_EQ, AF_UNIX),
                                SCMP_A1(SCMP_CMP_EQ, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC), SCMP_A2(SCMP_CMP_EQ, 0));
}

/* Memory is never executable and never becomes so; a descriptor's flags may be read and set, and it may be duplicated. */
static int allow_bounded(scmp_filter_ctx filter)
{
        static const int commands[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS };
        int r = 0;

#ifndef HG_SANITIZED
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(commands); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, commands[i]));
#else
        (void)commands;
#endif
        return r;
}

static int confine_seccomp(const struct run_confinement *confinement)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
        int r;

        if (!filter)
                return -ENOMEM;
        r = allow_list(filter, base_syscalls, ARRAY_LEN(base_syscalls));
        if (r == 0)
                r = allow_bounded(filter);
        if (r == 0)
                r = allow_sending(filter, confinement->batches);
        if (r == 0)
                r = allow_connecting(filter, confinement);
        if (r == 0 && confinement->pairs)
                r = allow_pairs(filter);
        if (r == 0)
                r = allow_options(filter, confinement);
        if (r == 0)
                r = allow_list(filter, confinement->syscalls, confinement->syscall_count);
#ifdef HG_SANITIZED
        if (r == 0)
                r = allow_list(filter, sanitizer_syscalls, ARRAY_LEN(sanitizer_syscalls));
#endif
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

int run_confine(const struct run_confinement *confinement, int control_fd, int *landlock_out)
{
        struct sigaction denied = { .sa_sigaction = on_denied, .sa_flags = SA_SIGINFO | SA_NODEFER };
        int r = confine_landlock(confinement, landlock_out);

        if (r < 0)
                return r;
        report_fd = control_fd;
        if (sigaction(SIGSYS, &denied, NULL) < 0)
                return -errno;
        return confine_seccomp(confinement);
}

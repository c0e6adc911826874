/* SPDX-License-Identifier: BSD-3-Clause */
#include "run_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc_message.h"
#include "run_filter.h"

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

#ifdef HG_SANITIZED
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

        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);         /* else it is our supervisor's, which has nothing in it */
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
static int confine_landlock(const struct run_confinement *confinement)
{
        struct ruleset_attr attr = { .handled_access_fs = (1ULL << 13) - 1 };   /* all of ABI 1 */
        size_t size = sizeof(attr.handled_access_fs);
        int ruleset, r = 0, abi;

        abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
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

/* A thread is counted as a process of its user, so that who has some can't be left none. Queues of POSIX messages nobody needs. */
static int confine_limits(const struct run_confinement *confinement)
{
        const struct rlimit none = { 0 };
        int r = setrlimit(RLIMIT_MSGQUEUE, &none);

#ifndef HG_SANITIZED    /* whose runtime reports to files and starts a thread to look for leaks */
        const struct rlimit blob = { IPC_BLOB_MAX, IPC_BLOB_MAX };

        if (r == 0)
                r = setrlimit(RLIMIT_FSIZE, confinement->blobs ? &blob : &none);
        if (r == 0 && !confinement->names)
                r = setrlimit(RLIMIT_NPROC, &none);
#endif
        return r < 0 ? -errno : 0;
}

static int confine_seccomp(const struct run_confinement *confinement)
{
        scmp_filter_ctx filter;
        int r = run_filter_make(confinement, &filter);

        if (r < 0)
                return r;
        r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}

int run_confine(const struct run_confinement *confinement, int control_fd)
{
        struct sigaction denied = { .sa_sigaction = on_denied, .sa_flags = SA_SIGINFO | SA_NODEFER };
        int r = confine_limits(confinement);

        if (r == 0)
                r = confine_landlock(confinement);
        if (r < 0)
                return r;
        report_fd = control_fd;
        if (sigaction(SIGSYS, &denied, NULL) < 0)
                return -errno;
        return confine_seccomp(confinement);
}

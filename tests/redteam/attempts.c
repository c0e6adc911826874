/* SPDX-License-Identifier: BSD-3-Clause */
#include "attempts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"

/* Newer than the headers of Debian 12. */
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* Older than some machines. */
#ifndef SYS_creat
#define SYS_creat (-1)
#define SYS_vfork (-1)
#endif

enum { LINK = 3, PAGE = 4096 };

/* A second process must not go on as the worker. */
static long born(long pid)
{
        if (pid == 0)
                _exit(0);
        return pid;
}

static long path_at(int call, const char *path, long a, long b)
{
        return syscall(call, AT_FDCWD, path, a, b);
}

static long make_file(const struct order *order)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/made", order->folder);
        return path_at(SYS_openat, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static long look_at(const char *path)
{
        struct stat file;

        return stat(path, &file);
}

static long open_of(int32_t process, const char *name)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", process, name);
        return open(path, O_RDONLY);
}

static long call_socket(int family, int type, int protocol)
{
        return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

static long connect_to(uint16_t port, int type)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        long fd = call_socket(AF_INET, type, 0);

        if (fd < 0)
                return fd;
        return connect((int)fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EINPROGRESS ? 0 : -1;
}

static long connect_unix(const struct order *order)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        size_t len = strlen(order->name);
        long fd = call_socket(AF_UNIX, SOCK_STREAM, 0);

        memcpy(addr.sun_path + 1, order->name, len);
        if (fd < 0)
                return fd;
        return connect((int)fd, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

static long bind_tcp(void)
{
        struct sockaddr_in addr = { .sin_family = AF_INET };
        long fd = call_socket(AF_INET, SOCK_STREAM, 0);

        return fd < 0 ? fd : bind((int)fd, (struct sockaddr *)&addr, sizeof(addr));
}

static long send_to_connect(int call)
{
        struct msghdr message = { 0 };

        return call == SYS_sendto ? syscall(SYS_sendto, LINK, "", 1, MSG_FASTOPEN, NULL, 0)
                                  : syscall(call, LINK, &message, MSG_FASTOPEN);
}

static void *do_nothing(void *context)
{
        return context;
}

static long make_thread(void)
{
        pthread_t thread;

        errno = pthread_create(&thread, NULL, do_nothing, NULL);
        return errno ? -1 : 0;
}

static long exhaust_descriptors(void)
{
        int fd;

        do
                fd = fcntl(LINK, F_DUPFD_CLOEXEC, 0);
        while (fd >= 0);
        return fd;
}

/* A byte more than an advertisement may have. */
static long write_much(void)
{
        static const char bytes[IPC_BLOB_MAX];
        int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        long r = fd < 0 ? fd : write(fd, bytes, sizeof(bytes));

        return r < 0 ? r : write(fd, bytes, 1);
}

static long read_sibling(int call, const struct order *order)
{
        char byte = 0;
        struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)&attempt_count, 1 };

        return syscall(call, order->sibling, &here, 1, &there, 1, 0);
}

static long map(int protection, int flags, int fd)
{
        void *at = mmap(NULL, PAGE, protection, flags, fd, 0);

        return at == MAP_FAILED ? -1 : 0;
}

static long protect(int call, int protection)
{
        void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return syscall(call, at, PAGE, protection, 0);
}

static long advise(int advice)
{
        void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return madvise(at, PAGE, advice);
}

static long set_option(int level, int name)
{
        int value = 1;

        return setsockopt(LINK, level, name, &value, sizeof(value));
}

static long make_pair(int type)
{
        int fds[2];

        return socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

static long run_program(int call)
{
        char *const nothing[] = { NULL };

        return call == SYS_execve ? syscall(SYS_execve, "/bin/true", nothing, nothing)
                                  : syscall(SYS_execveat, LINK, "", nothing, nothing, AT_EMPTY_PATH);
}

#ifdef __x86_64__
/* The call table of another architecture: 20 is getpid there. */
static long call_as_i386(void)
{
        long r;

        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
        return r;
}

static long call_as_x32(void)
{
        return syscall(0x40000000 | SYS_getpid);
}
#else
static long call_as_i386(void)
{
        raise(SIGKILL);
        return 0;
}
#define call_as_x32() call_as_i386()
#endif

/* Nothing here does any harm where it is not refused: numbers and pointers are such that the kernel would say no later. */
#define ENDS(call) { ENDED, SYS_##call, 0 }
#define SAYS(error) { REFUSED, error, 0 }
#define SAYS_FROM(abi, error) { REFUSED, error, abi }
#define DIES(signal) { KILLED, signal, 0 }
#define MAY_DO { MAY, 0, 0 }
#define ALL(call) ALL_DO(ENDS(call))
#define ALL_BUT_RESOLVE(call, ...) { ENDS(call), ENDS(call), ENDS(call), ENDS(call), __VA_ARGS__, ENDS(call), ENDS(call), ENDS(call), ENDS(call) }
#define ALL_DO(...) { __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__ }
/* swarm, router, gates, services, resolve, admin, hosts, docker, fetch */
#define EACH(...) { __VA_ARGS__ }

#define CALL0(call) syscall(SYS_##call, 0, 0, 0, 0, 0, 0)
#define CALL(call, ...) syscall(SYS_##call, __VA_ARGS__)

/*        name            what                                            how                                             outcome */
#define ATTEMPTS(X)                                                                                                             \
        /* Files. */                                                                                                            \
        X(read_file,      "read a file",                                  open(order->file, O_RDONLY),                          \
                          ALL_BUT_RESOLVE(openat, SAYS(EACCES)))                                                                \
        X(make_file,      "make a file",                                  make_file(order),                ALL(openat))         \
        X(openat2,        "open with openat2()",                          CALL(openat2, AT_FDCWD, order->file, "", 0), ALL(openat2)) \
        X(creat,          "open with creat()",                            CALL(creat, order->folder, 0600), ALL(creat))         \
        X(handle,         "open a file by its handle",                    CALL0(open_by_handle_at),   ALL(open_by_handle_at))   \
        X(hosts,          "read /etc/hosts",                              open("/etc/hosts", O_RDONLY),                         \
                          ALL_BUT_RESOLVE(openat, MAY_DO))                                                                      \
        X(exists,         "see whether a file exists, and whose it is",   look_at(order->file),                                \
                          ALL_BUT_RESOLVE(newfstatat, MAY_DO))                                                                 \
        X(unlink,         "remove a file",                                path_at(SYS_unlinkat, "/nowhere/x", 0, 0), ALL(unlinkat)) \
        X(rename,         "rename a file",                                CALL(renameat2, AT_FDCWD, "/nowhere/x", AT_FDCWD, "/nowhere/y", 0), \
                          ALL(renameat2))                                                                                       \
        X(link,           "link a file",                                  CALL(linkat, AT_FDCWD, "/nowhere/x", AT_FDCWD, "/nowhere/y", 0), \
                          ALL(linkat))                                                                                          \
        X(mkdir,          "make a folder",                                path_at(SYS_mkdirat, "/nowhere/x", 0700, 0), ALL(mkdirat)) \
        X(mknod,          "make a device",                                path_at(SYS_mknodat, "/nowhere/x", 0, 0), ALL(mknodat)) \
        X(chmod,          "change a file's mode",                         path_at(SYS_fchmodat, "/nowhere/x", 0, 0), ALL(fchmodat)) \
        X(chown,          "change a file's owner",                        CALL(fchownat, AT_FDCWD, "/nowhere/x", 0, 0, 0), ALL(fchownat)) \
        X(truncate,       "truncate a file",                              CALL(truncate, "/nowhere/x", 0), ALL(truncate))       \
        X(getdents,       "list a folder",                                CALL(getdents64, LINK, NULL, 0), ALL(getdents64))     \
        X(watch,          "watch a folder",                               CALL(inotify_init1, 0), ALL(inotify_init1))           \
        X(fanotify,       "watch a file system",                          CALL0(fanotify_init), ALL(fanotify_init))             \
        X(chdir,          "go to another folder",                         chdir("/nowhere"), ALL(chdir))                        \
        X(chroot,         "change the root",                              chroot("/nowhere"), ALL(chroot))                      \
        X(mount,          "mount a file system",                          CALL0(mount), ALL(mount))                             \
        X(fsopen,         "make a mount of a new file system",            CALL(fsopen, "x", 0), ALL(fsopen))                    \
        X(umount,         "unmount one",                                  CALL(umount2, "/nowhere", 0), ALL(umount2))           \
        X(pivot,          "exchange the root",                            CALL(pivot_root, "/nowhere", "/nowhere"), ALL(pivot_root)) \
        X(blob,           "make a memory file",                           memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING),   \
                          EACH(MAY_DO, MAY_DO, ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create))) \
        X(blob_run,       "make one that can be run",                     memfd_create("x", MFD_CLOEXEC), ALL(memfd_create))    \
        X(blob_much,      "make one larger than an advertisement",        write_much(),                                         \
                          EACH(DIES(SIGXFSZ), DIES(SIGXFSZ), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create), ENDS(memfd_create))) \
        X(splice,         "move bytes past itself",                       CALL(splice, 0, NULL, LINK, NULL, 1, 0), ALL(splice)) \
        X(sendfile,       "send a file",                                  CALL(sendfile, LINK, 0, NULL, 1), ALL(sendfile))      \
        /* Other processes. */                                                                                                  \
        X(list,           "list processes",                               open("/proc", O_RDONLY | O_DIRECTORY),                \
                          ALL_BUT_RESOLVE(openat, SAYS(EACCES)))                                                                \
        X(mem,            "open another worker's memory",                 open_of(order->sibling, "mem"),                       \
                          ALL_BUT_RESOLVE(openat, SAYS(EACCES)))                                                                \
        X(own_mem,        "write to its own code by /proc/self/mem",      open("/proc/self/mem", O_RDWR), ALL(openat))          \
        X(environ,        "read its supervisor's environment",            open_of(order->supervisor, "environ"), \
                          ALL_BUT_RESOLVE(openat, SAYS(EACCES)))                                                                \
        X(ptrace,         "trace another worker",                         ptrace(PTRACE_ATTACH, order->sibling, 0, 0), ALL(ptrace)) \
        X(seize,          "trace its supervisor",                         ptrace(PTRACE_SEIZE, order->supervisor, 0, 0), ALL(ptrace)) \
        X(vm_read,        "read another worker's memory",                 read_sibling(SYS_process_vm_readv, order), ALL(process_vm_readv)) \
        X(vm_write,       "write to another worker's memory",             read_sibling(SYS_process_vm_writev, order), ALL(process_vm_writev)) \
        X(vm_advise,      "advise the kernel about another's memory",     CALL(process_madvise, LINK, NULL, 0, 0, 0), ALL(process_madvise)) \
        X(pidfd,          "hold another process by a descriptor",         CALL(pidfd_open, order->sibling, 0), ALL(pidfd_open)) \
        X(pidfd_getfd,    "take a descriptor from another process",       CALL(pidfd_getfd, LINK, 0, 0), ALL(pidfd_getfd))      \
        X(pidfd_signal,   "signal one held by a descriptor",              CALL(pidfd_send_signal, LINK, 0, NULL, 0), ALL(pidfd_send_signal)) \
        X(kcmp,           "compare what two processes share",             CALL(kcmp, order->sibling, order->supervisor, 0, 0, 0), ALL(kcmp)) \
        X(kill,           "signal another worker",                        kill(order->sibling, 0), ALL(kill))                   \
        X(kill_up,        "signal its supervisor",                        kill(order->supervisor, 0), ALL(kill))                \
        X(kill_all,       "signal everybody",                             kill(-1, 0), ALL(kill))                               \
        X(tgkill,         "signal another worker's thread",               CALL(tgkill, order->sibling, order->sibling, 0), ALL(tgkill)) \
        X(tkill,          "the same with tkill()",                        CALL(tkill, order->sibling, 0), ALL(tkill))           \
        X(sigqueue,       "queue a signal to it",                         CALL(rt_sigqueueinfo, order->sibling, 0, NULL), ALL(rt_sigqueueinfo)) \
        X(own,            "have input signal another process",            fcntl(LINK, F_SETOWN, order->sibling), ALL(fcntl))    \
        X(prlimit,        "change another's limits",                      CALL(prlimit64, order->sibling, RLIMIT_CORE, NULL, NULL),\
                          ALL(prlimit64))                                                                                      \
        X(nice,           "go before others",                             CALL(setpriority, 0, 0, 0), ALL(setpriority))         \
        X(scheduler,      "run in real time",                             CALL0(sched_setscheduler), ALL(sched_setscheduler))   \
        X(affinity,       "choose its processor",                         CALL0(sched_setaffinity), ALL(sched_setaffinity))     \
        X(session,        "begin a session of its own",                   CALL0(setsid), ALL(setsid))                           \
        /* More of itself. */                                                                                                   \
        X(execve,         "run a program",                                run_program(SYS_execve), ALL(execve))                 \
        X(execveat,       "run one it holds",                             run_program(SYS_execveat), ALL(execveat))             \
        X(fork,           "fork",                                         born(CALL(clone, SIGCHLD, 0, 0, 0, 0)), ALL(clone))   \
        X(vfork,          "fork with vfork()",                            born(CALL0(vfork)), ALL(vfork))                       \
        X(clone3,         "fork with clone3()",                           CALL(clone3, NULL, 0), ALL_BUT_RESOLVE(clone3, SAYS(ENOSYS))) \
        X(user_space,     "fork into a user namespace",                   born(CALL(clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)), ALL(clone)) \
        X(thread,         "begin a thread",                               make_thread(), ALL_BUT_RESOLVE(rt_sigaction, MAY_DO))       \
        X(unshare,        "make a namespace",                             unshare(CLONE_NEWUSER), ALL(unshare))                 \
        X(setns,          "enter one",                                    CALL(setns, LINK, 0), ALL(setns))                     \
        X(setuid,         "become another user",                          CALL(setresuid, 0, 0, 0), ALL(setresuid))             \
        X(setgroups,      "join groups",                                  CALL(setgroups, 0, NULL), ALL(setgroups))             \
        X(capset,         "take capabilities",                            CALL(capset, NULL, NULL), ALL(capset))                \
        X(dumpable,       "become dumpable",                              prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), ALL(prctl))       \
        X(tracer,         "let itself be traced",                         ptrace(PTRACE_TRACEME, 0, 0, 0), ALL(ptrace))        \
        X(outlive,        "outlive its supervisor",                       prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0), ALL(prctl))      \
        X(limits,         "raise its limits",                             CALL(prlimit64, 0, RLIMIT_NPROC, NULL, NULL), ALL(prlimit64)) \
        X(handler,        "catch the signal of a denied call",            CALL(rt_sigaction, SIGSYS, NULL, NULL, 8), ALL(rt_sigaction)) \
        X(seccomp,        "change its filter",                            CALL(seccomp, 0, 0, NULL), ALL(seccomp))              \
        X(landlock,       "change its Landlock rules",                    CALL(landlock_create_ruleset, NULL, 0, 1),           \
                          ALL(landlock_create_ruleset))                                                                        \
        X(descriptors,    "exhaust its descriptors",                      exhaust_descriptors(), ALL_DO(SAYS(EMFILE)))          \
        X(dup,            "put a descriptor in another's place",          CALL(dup3, 0, LINK, 0), ALL(dup3))                          \
        X(pipe,           "make a pipe",                                  CALL(pipe2, NULL, 0), ALL(pipe2))                     \
        X(timer,          "make a timer",                                 CALL(timerfd_create, 0, 0), ALL(timerfd_create))       \
        X(posix_timer,    "make one that signals",                        CALL0(timer_create), ALL(timer_create))               \
        X(blocking,       "make a socket that others hold block",         fcntl(LINK, F_SETFL, 0), ALL_BUT_RESOLVE(fcntl, MAY_DO)) \
        X(lease,          "lease a file",                                 fcntl(LINK, F_SETLEASE, F_RDLCK), ALL(fcntl))          \
        /* Memory. */                                                                                                           \
        X(map_code,       "map memory that can be run",                   map(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1),\
                          ALL(mmap))                                                                                           \
        X(make_code,      "make memory executable",                       protect(SYS_mprotect, PROT_READ | PROT_EXEC), ALL(mprotect)) \
        X(pkey,           "the same with pkey_mprotect()",                protect(SYS_pkey_mprotect, PROT_READ | PROT_EXEC),   \
                          ALL(pkey_mprotect))                                                                                  \
        X(map_file,       "map what it holds",                            map(PROT_READ, MAP_SHARED, 0), ALL_BUT_RESOLVE(mmap, SAYS(ENODEV))) \
        X(dump,           "let memory be dumped",                         advise(MADV_DODUMP), ALL(madvise))                    \
        X(secret_memory,  "have memory that the kernel can't see",        CALL(memfd_secret, 0), ALL(memfd_secret))             \
        X(shm,            "share memory with others",                     CALL0(shmget), ALL(shmget))                           \
        X(queue,          "have a queue with others",                     CALL(mq_open, "/x", 0, 0, NULL), ALL(mq_open))        \
        /* The network. */                                                                                                      \
        X(tcp,            "connect by TCP to a port it was started for",  connect_to(order->its_port, SOCK_STREAM),             \
                          EACH(ENDS(socket), ENDS(socket), ENDS(socket), MAY_DO, SAYS_FROM(4, EACCES), ENDS(socket), ENDS(socket), ENDS(socket), MAY_DO))           \
        X(tcp_other,      "connect to another",                           connect_to(order->other_port, SOCK_STREAM),           \
                          EACH(ENDS(socket), ENDS(socket), ENDS(socket), SAYS_FROM(4, EACCES), SAYS_FROM(4, EACCES), ENDS(socket), ENDS(socket), ENDS(socket), SAYS_FROM(4, EACCES))) \
        X(udp,            "reach any UDP port by a socket of its own",    connect_to(order->other_port, SOCK_DGRAM),            \
                          EACH(ENDS(socket), ENDS(socket), ENDS(socket), MAY_DO, MAY_DO, ENDS(socket), ENDS(socket), ENDS(socket), ENDS(socket)))                         \
        X(connect,        "connect a socket it holds",                    CALL(connect, 0, NULL, 0),                            \
                          EACH(ENDS(connect), ENDS(connect), ENDS(connect), SAYS(ENOTSOCK), SAYS(ENOTSOCK), ENDS(connect), ENDS(connect), ENDS(connect), SAYS(ENOTSOCK)))     \
        X(fast_open,      "connect by sending",                           send_to_connect(SYS_sendto), ALL(sendto))             \
        X(fast_open_many, "the same with sendmsg()",                      send_to_connect(SYS_sendmsg), ALL(sendmsg))           \
        X(bind,           "bind a TCP port",                              bind_tcp(),                                           \
                          EACH(ENDS(socket), ENDS(socket), ENDS(socket), ENDS(bind), SAYS_FROM(4, EACCES), ENDS(socket), ENDS(socket), ENDS(socket), ENDS(bind)))       \
        X(listen,         "listen",                                       listen(LINK, 1), ALL(listen))                         \
        X(accept,         "accept",                                       accept4(0, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), \
                          EACH(ENDS(accept4), ENDS(accept4), SAYS(ENOTSOCK), ENDS(accept4), ENDS(accept4), SAYS(ENOTSOCK), SAYS(ENOTSOCK), ENDS(accept4), ENDS(accept4)))     \
        X(accept_slow,    "accept a socket that blocks whom it is passed to", accept4(0, NULL, NULL, 0), ALL(accept4))          \
        X(raw,            "make a raw socket",                            call_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), ALL(socket)) \
        X(packet,         "listen to an interface",                       call_socket(AF_PACKET, SOCK_RAW, 0), ALL(socket))     \
        X(netlink,        "ask the kernel about interfaces",              call_socket(AF_NETLINK, SOCK_RAW, 0),                \
                          ALL_BUT_RESOLVE(socket, MAY_DO))                                                                     \
        X(audit,          "ask it about anything else",                   call_socket(AF_NETLINK, SOCK_RAW, 9), ALL(socket))    \
        X(vsock,          "reach a hypervisor",                           call_socket(AF_VSOCK, SOCK_STREAM, 0), ALL(socket))   \
        X(algorithm,      "use the kernel's ciphers",                     call_socket(AF_ALG, SOCK_SEQPACKET, 0), ALL(socket))  \
        X(unix_socket,    "reach another program of this machine",        connect_unix(order), ALL_BUT_RESOLVE(socket, SAYS(EAFNOSUPPORT))) \
        X(pair,           "make a pair of datagram sockets",              make_pair(SOCK_DGRAM), ALL(socketpair))               \
        X(session_pair,   "make a pair as sessions have",                 make_pair(SOCK_SEQPACKET),                            \
                          EACH(ENDS(socketpair), ENDS(socketpair), MAY_DO, ENDS(socketpair), ENDS(socketpair), ENDS(socketpair), ENDS(socketpair), ENDS(socketpair), ENDS(socketpair))) \
        X(mark,           "mark a socket to be routed elsewhere",         set_option(SOL_SOCKET, SO_MARK), ALL(setsockopt))     \
        X(device,         "bind it to an interface",                      set_option(SOL_SOCKET, SO_BINDTODEVICE), ALL(setsockopt)) \
        X(attach,         "put a filter on it",                           set_option(SOL_SOCKET, SO_ATTACH_FILTER), ALL(setsockopt)) \
        X(reuse,          "share its port",                               set_option(SOL_SOCKET, SO_REUSEPORT), ALL(setsockopt)) \
        X(half,           "close a socket for all who hold it",           shutdown(LINK, SHUT_RDWR), ALL(shutdown))             \
        X(interfaces,     "configure an interface",                       ioctl(LINK, 0x8914, NULL), ALL(ioctl))                \
        X(terminal,       "type into a terminal",                         ioctl(0, TIOCSTI, ""), ALL(ioctl))                    \
        /* The kernel. */                                                                                                       \
        X(keyctl,         "use a keyring",                                CALL(keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0),\
                          ALL(keyctl))                                                                                         \
        X(add_key,        "keep a key",                                   CALL(add_key, "user", "x", "x", 1, KEY_SPEC_SESSION_KEYRING),\
                          ALL(add_key))                                                                                        \
        X(request_key,    "ask for a key",                                CALL(request_key, "user", "x", NULL, 0), ALL(request_key)) \
        X(io_uring,       "go past the filter by io_uring",               CALL(io_uring_setup, 1, NULL), ALL(io_uring_setup))   \
        X(aio,            "the same with aio",                            CALL(io_setup, 1, NULL), ALL(io_setup))               \
        X(bpf,            "load a BPF program",                           CALL0(bpf), ALL(bpf))                                 \
        X(perf,           "count events of others",                       CALL(perf_event_open, NULL, 0, -1, -1, 0), ALL(perf_event_open)) \
        X(userfaultfd,    "stop the kernel at a page",                    CALL(userfaultfd, 0), ALL(userfaultfd))               \
        X(futex,          "lend its priority by a futex",                 CALL(futex, order, 6, 0, NULL, NULL, 0), ALL(futex))   \
        X(module,         "load a module",                                CALL(finit_module, LINK, "", 0), ALL(finit_module))    \
        X(kexec,          "load another kernel",                          CALL0(kexec_load), ALL(kexec_load))                   \
        X(reboot,         "reboot",                                       CALL(reboot, 0, 0, 0, NULL), ALL(reboot))             \
        X(clock,          "set the clock",                                CALL(clock_settime, 0, NULL), ALL(clock_settime))     \
        X(hostname,       "change the host name",                         CALL(sethostname, NULL, 0), ALL(sethostname))          \
        X(syslog,         "read the kernel's log",                        CALL(syslog, 10, NULL, 0), ALL(syslog))               \
        X(swap,           "change swap space",                            CALL(swapoff, "/nowhere"), ALL(swapoff))              \
        X(personality,    "change its personality",                       CALL(personality, 0xffffffff), ALL(personality))      \
        X(i386,           "call as a 32-bit program",                     call_as_i386(), ALL_DO(DIES(0)))                      \
        X(x32,            "call as an x32 program",                       call_as_x32(), ALL_DO(DIES(0)))

#define X(name, what, how, ...)                                 \
        static int try_##name(const struct order *order)        \
        {                                                       \
                long r = (how);                                 \
                                                                \
                return r < 0 ? errno : 0;                       \
        }
ATTEMPTS(X)
#undef X

#define X(name, what, how, ...) { what, try_##name, __VA_ARGS__ },
const struct attempt attempts[] = { ATTEMPTS(X) };
#undef X
const size_t attempt_count = ARRAY_LEN(attempts);

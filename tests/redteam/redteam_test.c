/* SPDX-License-Identifier: BSD-3-Clause */
/* Each worker as a test build of it, behind its real walls, tries what attempts.c lists, a process an attempt: what came of it is
 * what the table says. As root all of them are nobody, and who can open files and sockets is a root without capabilities, too, as with
 * --allow-root.
 *
 * $REDTEAM: the folder of the test builds. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempts.h"
#include "cleanup.h"
#include "ipc_fd.h"
#include "ipc_fetch.h"
#include "ipc_link.h"
#include "ipc_table.h"
#include "privileges.h"
#include "resolve_files.h"
#include "spawn.h"
#include "test.h"

enum {
        PATIENCE_MS = 20000,
        FAILED_MAX = 8192,
        LANDLOCK_DEBIAN = 2,            /* of Linux 6.1, as Debian 12 has it: no rules for the network */
};

static const struct { const char *name, *program; enum ipc_role role; enum ipc_duty duty; } walls[RUN_WALLS] = {
        [RUN_WALL_SWARM] = { "swarm", "redteam-swarm", IPC_SWARM, IPC_DUTY_GATES },
        [RUN_WALL_ROUTER] = { "router", "redteam-router", IPC_ROUTER, IPC_DUTY_GATES },
        [RUN_WALL_GATES] = { "forward of gates", "redteam-forward", IPC_FORWARD, IPC_DUTY_GATES },
        [RUN_WALL_SERVICES] = { "forward of services", "redteam-forward", IPC_FORWARD, IPC_DUTY_SERVICES },
        [RUN_WALL_RESOLVE] = { "resolve", "redteam-resolve", IPC_RESOLVE, IPC_DUTY_GATES },
        [RUN_WALL_ADMIN] = { "admin", "redteam-admin", IPC_ADMIN, IPC_DUTY_GATES },
        [RUN_WALL_HOSTS] = { "hosts", "redteam-hosts", IPC_HOSTS, IPC_DUTY_GATES },
        [RUN_WALL_DOCKER] = { "docker", "redteam-docker", IPC_DOCKER, IPC_DUTY_GATES },
        [RUN_WALL_FETCH] = { .name = "fetch", .program = "redteam-fetch" },
};

/* Copies of the test builds, for whoever can't reach the build tree; and what lies in the workers' way. */
struct ground {
        char folder[64];
        struct order order;
        int listener[3], null_fd, words[2];
        bool local_names;               /* this machine's name service asks others on it */
        int landlock;                   /* what the kernel has, or is said to have */
};

static struct ground ground;

static uint16_t listen_tcp(int *fd)
{
        struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(addr);

        *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(*fd >= 0 && bind(*fd, (struct sockaddr *)&addr, len) == 0 && listen(*fd, 4096) == 0);
        check_equal(getsockname(*fd, (struct sockaddr *)&addr, &len), 0);
        return ntohs(addr.sin_port);
}

static void listen_abstract(struct order *order, int *fd)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        static unsigned count;

        snprintf(order->name, sizeof(order->name), "hypergate-redteam-%d-%u", (int)getpid(), ++count);
        memcpy(addr.sun_path + 1, order->name, strlen(order->name));
        *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(bind(*fd, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(order->name))) == 0);
        check_equal(listen(*fd, 4096), 0);
}

static void copy(const char *from, const char *to)
{
        cleanup_fd int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        char bytes[65536];
        ssize_t len;

        if (in < 0 || out < 0)
                test_fail(__FILE__, __LINE__, "%s: %s", in < 0 ? from : to, strerror(errno));
        while ((len = read(in, bytes, sizeof(bytes))) > 0)
                check(write(out, bytes, (size_t)len) == len);
        check_equal(fchmod(out, 0755), 0);
}

static void lay(int landlock)
{
        const char *from = getenv("REDTEAM");
        char source[4096], target[256];

        check(from != NULL);
        snprintf(ground.folder, sizeof(ground.folder), "/tmp/hypergate-redteam-XXXXXX");
        check(mkdtemp(ground.folder) && chmod(ground.folder, 0777) == 0);
        for (size_t i = 0; i < RUN_WALLS; i++) {
                snprintf(source, sizeof(source), "%s/%s", from, walls[i].program);
                snprintf(target, sizeof(target), "%s/%s", ground.folder, walls[i].program);
                if (access(target, F_OK) < 0)
                        copy(source, target);
        }
        snprintf(ground.order.folder, sizeof(ground.order.folder), "%s", ground.folder);
        snprintf(ground.order.file, sizeof(ground.order.file), "%s/redteam-router", ground.folder);
        ground.order.its_port = listen_tcp(&ground.listener[0]);
        ground.order.other_port = listen_tcp(&ground.listener[1]);
        listen_abstract(&ground.order, &ground.listener[2]);
        ground.null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        check(ground.null_fd >= 0 && pipe2(ground.words, O_CLOEXEC | O_NONBLOCK) == 0);
        ground.local_names = resolve_files_load_modules("/etc/nsswitch.conf");
        ground.landlock = MIN((int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), landlock);
        ground.order.landlock = (uint32_t)MAX(ground.landlock, 0);
}

static void clear(void)
{
        char path[256];

        for (size_t i = 0; i < RUN_WALLS; i++) {
                snprintf(path, sizeof(path), "%s/%s", ground.folder, walls[i].program);
                unlink(path);
        }
        rmdir(ground.folder);
        for (size_t i = 0; i < ARRAY_LEN(ground.listener); i++)
                close(ground.listener[i]);
        close(ground.null_fd);
        close(ground.words[0]);
        close(ground.words[1]);
}

/* A worker of the test build, as its supervisor has it. */
struct agent {
        pid_t pid;
        struct ipc_link link;
};

/* What came of an attempt. */
struct end {
        bool ready, lost;
        int denied;                     /* the call, or -1 */
        int status;
};

/* What it is told on its standard input, and nothing else. */
static int fetch_order(void)
{
        struct ipc_fetch_order order = { .url = "http://localhost/", .host = "localhost", .addresses = "127.0.0.1",
                                         .port = ground.order.its_port };
        int fd = memfd_create("order", MFD_CLOEXEC);

        if (fd >= 0 && (write(fd, &order, sizeof(order)) != sizeof(order) || lseek(fd, 0, SEEK_SET) < 0))
                close_fdp(&fd);
        return fd;
}

static bool agent_begin(struct agent *agent, enum run_wall wall)
{
        struct ipc_begin begin = { .id = 1, .log.level = 7, .duty = walls[wall].duty, .protocols = 1U << IPC_TCP | 1U << IPC_UDP,
                                   .port_count = 1, .port = { ground.order.its_port } };
        cleanup_fd int input = wall == RUN_WALL_FETCH ? fetch_order() : dup(ground.null_fd);
        char path[256], name[] = "redteam";
        char *argv[] = { path, name, NULL };
        int pair[2], r;

        snprintf(path, sizeof(path), "%s/%s", ground.folder, walls[wall].program);
        if (ipc_link_pair(pair) < 0)
                return false;
        ipc_link_init(&agent->link, pair[0], IPC_SUPERVISOR, walls[wall].role, 1);
        r = spawn(&(struct spawn){ .path = path, .argv = argv, .null_fd = input, .link_fd = pair[1],
                                   .words_fd = ground.words[1] }, &agent->pid);
        close(pair[1]);
        ipc_build_id(begin.build_id);
        return r == 0 && (wall == RUN_WALL_FETCH || ipc_link_send(&agent->link, IPC_BEGIN, &begin, NULL, 0) == 0);
}

static void agent_end(struct agent *agent)
{
        ipc_link_fini(&agent->link);
        kill(agent->pid, SIGKILL);
        waitpid(agent->pid, NULL, 0);
}

/* The worker's words, and then the report. */
static void hear(const struct agent *agent, struct end *end)
{
        struct pollfd ready = { .fd = agent->link.fd, .events = POLLIN };
        union {
                uint32_t type;
                struct { uint32_t type; struct ipc_denied what; } denied;
                struct report report;
                uint8_t bytes[sizeof(uint32_t) + IPC_PAYLOAD_MAX];
        } said = { 0 };

        while (said.type != REPORT && !end->lost) {
                end->lost = poll(&ready, 1, PATIENCE_MS) != 1 || recv(agent->link.fd, &said, sizeof(said), 0) <= 0;
                end->ready |= said.type == IPC_READY;
                if (said.type == IPC_DENIED)
                        end->denied = (int)said.denied.what.syscall;
        }
        end->status = said.report.status;
}

static struct end carry_out(const struct agent *agent, uint32_t attempt)
{
        struct order order = ground.order;
        struct end end = { .denied = -1 };

        order.attempt = attempt;
        end.lost = send(agent->link.fd, &order, sizeof(order), MSG_NOSIGNAL) < 0;
        hear(agent, &end);
        return end;
}

static struct outcome expected_of(const struct attempt *attempt, enum run_wall wall)
{
        struct outcome outcome = attempt->outcome[wall];
        bool local = ground.local_names && outcome.kind == REFUSED && outcome.what == EAFNOSUPPORT;

        if (outcome.landlock > ground.landlock)
                outcome.kind = MAY;
        if (local)
                outcome = (struct outcome){ ground.landlock >= 6 ? REFUSED : MAY, EPERM, 6 };
        return outcome;
}

static bool as_expected(const struct outcome *outcome, const struct end *end)
{
        if (!end->ready || end->lost)
                return false;
        switch (outcome->kind) {
        case ENDED:
                return end->denied == outcome->what && WIFEXITED(end->status);
        case KILLED:
                return end->denied == -1 && WIFSIGNALED(end->status) && (!outcome->what || WTERMSIG(end->status) == outcome->what);
        case REFUSED:
                return end->denied == -1 && WIFEXITED(end->status) && WEXITSTATUS(end->status) == outcome->what;
        case MAY:
        default:
                return end->denied == -1 && WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0;
        }
}

static void describe(enum run_wall wall, const struct attempt *attempt, const struct end *end)
{
        static const char *const kinds[] = { "ended by its filter at", "refused with", "killed by", "free to" };
        struct outcome expected = expected_of(attempt, wall);

        printf("# the %s worker: %s: %s call %d, %s %d, expected %s %d\n", walls[wall].name, attempt->what,
               end->lost ? "hung or gone," : !end->ready ? "never ready," : "denied", end->denied,
               WIFSIGNALED(end->status) ? "signal" : "exit code",
               WIFSIGNALED(end->status) ? WTERMSIG(end->status) : WEXITSTATUS(end->status), kinds[expected.kind], expected.what);
}

/* A process of the same user, which nothing but the walls keeps from being traced. */
static pid_t make_sibling(void)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        for (;;)
                pause();
}

/* Returns how many attempts ended otherwise than the table says. */
static unsigned try_all(enum run_wall wall)
{
        struct agent agent;
        unsigned wrong = 0;

        ground.order.supervisor = getpid();
        ground.order.sibling = make_sibling();
        wrong += !agent_begin(&agent, wall);
        for (uint32_t i = 0; i < attempt_count; i++) {
                struct outcome expected = expected_of(&attempts[i], wall);
                struct end end = carry_out(&agent, i);

                if (as_expected(&expected, &end))
                        continue;
                wrong++;
                describe(wall, &attempts[i], &end);
                if (end.lost)
                        break;
        }
        agent_end(&agent);
        kill(ground.order.sibling, SIGKILL);
        waitpid(ground.order.sibling, NULL, 0);
        return wrong;
}

static bool become(const char *user)
{
        struct privileges plan;

        return privileges_plan(&plan, user, true) == PRIVILEGES_OK && privileges_drop(&plan) == 0;
}

/* As a supervisor that became @user (NULL: stays who it is). */
static void check_wall(enum run_wall wall, const char *user)
{
        int status = -1;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                unsigned wrong = become(user) ? try_all(wall) : 255;

                fflush(stdout);
                _exit((int)MIN(wrong, 255U));
        }
        check_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                test_fail(__FILE__, __LINE__, "as %s: status %d", user ? user : "who we are", status);
}

static void check_walls_on(enum run_wall wall, int landlock)
{
        lay(landlock);
        check_wall(wall, geteuid() == 0 ? "nobody" : NULL);
        if (geteuid() == 0 && wall == RUN_WALL_RESOLVE)
                check_wall(wall, NULL);
        clear();
}

static void check_walls(enum run_wall wall)
{
        check_walls_on(wall, INT_MAX);
}

TEST(on_an_older_kernel_each_is_refused_what_that_can_refuse)
{
        for (enum run_wall wall = 0; wall < RUN_WALLS; wall++)
                check_walls_on(wall, LANDLOCK_DEBIAN);
}

TEST(a_swarm_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_SWARM);
}

TEST(a_router_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_ROUTER);
}

TEST(a_forward_worker_of_gates_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_GATES);
}

TEST(a_forward_worker_of_services_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_SERVICES);
}

TEST(a_resolve_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_RESOLVE);
}

TEST(an_admin_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_ADMIN);
}

TEST(a_hosts_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_HOSTS);
}

TEST(who_fetches_urls_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_FETCH);
}

TEST(at_least_forty_things_are_tried_and_most_of_them_nobody_may)
{
        unsigned nobody_may = 0;

        for (size_t i = 0; i < attempt_count; i++) {
                bool anybody = false;

                for (size_t wall = 0; wall < RUN_WALLS; wall++)
                        anybody |= attempts[i].outcome[wall].kind == MAY;
                nobody_may += !anybody;
        }
        check(nobody_may >= 100);
}

TEST(a_docker_worker_is_refused_what_it_is_not_for)
{
        check_walls(RUN_WALL_DOCKER);
}

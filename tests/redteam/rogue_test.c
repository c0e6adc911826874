/* SPDX-License-Identifier: BSD-3-Clause */
/* Real processes in place of workers that say to their supervisor what they may not: each is ended, which is told once, nothing is done
 * that it wanted, and no descriptor stays. $ROGUE: the program. */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "children.h"
#include "cleanup.h"
#include "ipc_table.h"
#include "test.h"

#define PATIENCE_S 20.0

static const enum ipc_role roles[] = { IPC_SWARM, IPC_ROUTER, IPC_FORWARD, IPC_RESOLVE, IPC_ADMIN, IPC_HOSTS, IPC_DOCKER };

struct scene {
        char folder[64], text[8192];
        int stderr_fd, log_fd;
        struct log log;
        struct children children;
        unsigned heard;                 /* messages that were let through */
        bool late;
};

static void on_message(void *context, struct child *child, struct ipc_received *message)
{
        ((struct scene *)context)->heard++;
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
        ((struct scene *)timer->data)->late = true;
}

/* A libexec in which every worker is the rogue. */
static void lay(struct scene *scene)
{
        const char *rogue = getenv("ROGUE");
        char path[128];

        check(rogue != NULL);
        snprintf(scene->folder, sizeof(scene->folder), "/tmp/hypergate-rogue-XXXXXX");
        check(mkdtemp(scene->folder) != NULL);
        for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
                snprintf(path, sizeof(path), "%s/hypergate-%s", scene->folder, ipc_role_name(roles[i]));
                check_equal(symlink(rogue, path), 0);
        }
}

static void clear(struct scene *scene)
{
        char path[128];

        for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
                snprintf(path, sizeof(path), "%s/hypergate-%s", scene->folder, ipc_role_name(roles[i]));
                unlink(path);
        }
        rmdir(scene->folder);
}

static const char *logged(struct scene *scene)
{
        ssize_t len = pread(scene->log_fd, scene->text, sizeof(scene->text) - 1, 0);

        scene->text[MAX(len, 0)] = '\0';
        return scene->text;
}

/* What the supervisor says of a worker of that role that does @what, until it has said something or heard a message. */
static void meet(struct scene *scene, enum ipc_role role, const char *what)
{
        static const struct children_events events = { .message = on_message };
        struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
        ev_timer late;

        scene->stderr_fd = dup(STDERR_FILENO);
        scene->log_fd = memfd_create("log", MFD_CLOEXEC);
        scene->heard = 0;
        scene->late = false;
        dup2(scene->log_fd, STDERR_FILENO);
        log_init(&scene->log, NULL);
        children_init(&scene->children, loop, &scene->log, scene->folder, what, &events, scene);
        if (role == IPC_FORWARD)
                children_add_forward(&scene->children, 1, IPC_DUTY_GATES, 0, NULL, 0, NULL);
        else
                children_add(&scene->children, role, 1, NULL);
        ev_timer_init(&late, on_late, PATIENCE_S, 0.0);
        late.data = scene;
        ev_timer_start(loop, &late);
        while (!scene->late && !scene->heard && !*logged(scene))
                ev_run(loop, EVRUN_ONCE);
        ev_timer_stop(loop, &late);
        children_fini(&scene->children);
        logged(scene);
        dup2(scene->stderr_fd, STDERR_FILENO);
        close(scene->stderr_fd);
        close(scene->log_fd);
}

static int lowest_free(void)
{
        int fd = dup(STDIN_FILENO);

        close(fd);
        return fd;
}

/* Ended for @why, in one line. */
static void check_ended(struct scene *scene, enum ipc_role role, const char *what, const char *why)
{
        int before = lowest_free();
        const char *line;

        meet(scene, role, what);
        line = strstr(scene->text, why);
        if (scene->heard || !line || strchr(line, '\n') != strrchr(scene->text, '\n') || strchr(scene->text, '\n') < line)
                test_fail(__FILE__, __LINE__, "%s worker, %s: %u messages heard, expected \"%s\" and nothing else, logged:\n%s",
                          ipc_role_name(role), what, scene->heard, why, scene->text);
        check_equal(lowest_free(), before);
}

static bool may_say(enum ipc_role role, uint32_t type)
{
        const struct ipc_row *row = ipc_row(type);

        return row && (row->from & IPC_ROLE_BIT(role)) && (row->to & IPC_ROLE_BIT(IPC_SUPERVISOR));
}

static void begin(struct scene *scene)
{
        check(ev_default_loop(EVFLAG_AUTO) != NULL);    /* whose descriptors stay */
        lay(scene);
        meet(scene, IPC_ROUTER, "type-0");              /* and those of its first child */
}

TEST(what_the_table_forbids_ends_who_says_it)
{
        static struct scene scene;
        char what[32];

        begin(&scene);
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
                for (uint32_t type = IPC_NOTHING; type <= IPC_TYPES; type++) {
                        if (may_say(roles[i], type))
                                continue;
                        snprintf(what, sizeof(what), "type-%u", type);
                        check_ended(&scene, roles[i], what, "broke the rules of its link: killed, starting it again");
                }
        clear(&scene);
}

TEST(another_size_or_descriptors_that_do_not_belong_end_who_sends_them)
{
        static const char *const lies[] = { "long", "short", "descriptors", "many" };
        static struct scene scene;
        char what[32];

        begin(&scene);
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
                for (uint32_t type = IPC_NOTHING + 1; type < IPC_TYPES; type++)
                        for (size_t lie = 0; may_say(roles[i], type) && lie < ARRAY_LEN(lies); lie++) {
                                snprintf(what, sizeof(what), "%s-%u", lies[lie], type);
                                check_ended(&scene, roles[i], what, "broke the rules of its link: killed, starting it again");
                        }
        check_ended(&scene, IPC_SWARM, "byte-0", "broke the rules of its link: killed, starting it again");
        clear(&scene);
}

TEST(an_empty_message_is_the_end_of_the_link)
{
        static struct scene scene;

        begin(&scene);
        check_ended(&scene, IPC_FORWARD, "nothing-0", "was killed by signal 9 (Killed); starting it now");
        clear(&scene);
}

TEST(who_floods_its_supervisor_is_ended)
{
        static struct scene scene;
        char what[32];

        begin(&scene);
        snprintf(what, sizeof(what), "flood-%u", IPC_READY);
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
                check_ended(&scene, roles[i], what, "floods its supervisor with words: killed, starting it again");
        clear(&scene);
}

/* What children.c itself hears of a worker's life. */
static bool is_of_its_life(uint32_t type)
{
        return type == IPC_READY || type == IPC_LOG || type == IPC_CONF_DONE || type == IPC_DENIED;
}

TEST(what_the_table_allows_is_heard)
{
        static struct scene scene;
        unsigned heard = 0;
        char what[32];

        begin(&scene);
        for (size_t i = 0; i < ARRAY_LEN(roles); i++)
                for (uint32_t type = IPC_NOTHING + 1; type < IPC_TYPES; type++) {
                        if (!may_say(roles[i], type) || is_of_its_life(type))
                                continue;
                        snprintf(what, sizeof(what), "type-%u", type);
                        meet(&scene, roles[i], what);
                        check(scene.heard > 0 && !*scene.text);
                        heard++;
                }
        check(heard >= 12);
        clear(&scene);
}

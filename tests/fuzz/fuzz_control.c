/* SPDX-License-Identifier: BSD-3-Clause */
/* People at the control socket, and a swarm worker that answers them: the input is what both say, when they go, who does not read, and how
 * time passes. Whatever it is, an answer is lines of JSON of which the last is the end, and nothing is left over. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "cleanup.h"
#include "control_conn.h"
#include "hear.h"
#include "ipc_blob.h"
#include "ipc_fd.h"
#include "ipc_table.h"
#include "steps.h"
#include "supervisor.h"

enum { OPERATIONS_MAX = 64, PEOPLE = CONTROL_CONNS_MAX + 2, REQUEST_RELOAD = 240 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte of an input. */
enum {
        WITH_SEEDS = 1,
        WITH_ROUTER = 2,
        ALONE = 4,                      /* one person, whose connection we were started with */
        AFTER_DEAD = 8,                 /* who was here before has left its socket */
        TWICE = 16,                     /* another would have the same path */
        WRONG = 32,                     /* the configuration is, by now */
};

struct person {
        int fd;                         /* -1: not there */
        bool deaf, was_deaf;            /* does not read */
        char told[256 * 1024];
        size_t len;
};

static time_t passed_s;

/* For libev and for us time is that of the machine, and what the inputs let pass. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
        int r = (int)syscall(SYS_clock_gettime, clock, time);

        if (r == 0 && clock == CLOCK_MONOTONIC)
                time->tv_sec += passed_s;
        return r;
}

struct scene {
        struct supervisor supervisor;
        struct log log;
        struct keys keys;
        struct child swarm;
        struct ipc_link worker;
        struct person people[PEOPLE];
        struct reader input;
        char path[64];
        int conf_fd;                    /* what is read when somebody asks for that */
};

static void must(bool condition)
{
        if (!condition)
                abort();
}

static void on_nothing(struct ev_loop *loop, ev_io *watcher, int events)
{
}

static void on_no_time(struct ev_loop *loop, ev_timer *timer, int events)
{
}

static void on_message(void *context, struct child *child, struct ipc_received *message)
{
        hear(context, child, message);
}

static void on_context(void *context)
{
}

static bool on_nothing_fetched(void *context)
{
        return true;
}

static void on_no_gate(void *context, const struct gate *gate)
{
}

static void on_no_host(void *context, const struct host *host)
{
}

static void on_no_name(void *context, const struct name *name)
{
}

static void begin_swarm(struct scene *scene)
{
        struct child *child = &scene->swarm;
        int pair[2];

        must(ipc_link_pair(pair) == 0);
        *child = (struct child){ .children = &scene->supervisor.children, .role = IPC_SWARM, .id = 1, .state = CHILD_UP };
        ipc_link_init(&child->link, pair[0], IPC_SUPERVISOR, IPC_SWARM, 1);
        ipc_link_init(&scene->worker, pair[1], IPC_SWARM, IPC_SUPERVISOR, 0);
        list_push_back(&scene->supervisor.children.all, &child->in_all);
        ev_init(&child->readable, on_nothing);
        ev_init(&child->writable, on_nothing);
        ev_init(&child->due, on_no_time);
        ev_timer_init(&child->stuck, on_no_time, 0, CHILD_STUCK_S);
        scene->supervisor.cores.count = 1;
        scene->supervisor.cores.list[0] = (struct core){ .cores = &scene->supervisor.cores, .child = child };
}

static void leave_dead_socket(const struct sockaddr_un *address)
{
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        must(fd >= 0 && bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0);
}

static int listen_for(struct scene *scene, uint8_t flags)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char too_long[sizeof(address.sun_path) + 1];
        int listener, other;

        snprintf(scene->path, sizeof(scene->path), "/tmp/hypergate-fuzz-%d.sock", (int)getpid());
        memcpy(address.sun_path, scene->path, strlen(scene->path) + 1);
        if (flags & AFTER_DEAD)
                leave_dead_socket(&address);
        must(control_listen(scene->path, geteuid(), getegid(), &listener) == 0);
        if (flags & TWICE) {
                memset(too_long, 'x', sizeof(too_long) - 1);
                too_long[sizeof(too_long) - 1] = '\0';
                must(control_listen(scene->path, geteuid(), getegid(), &other) == -EADDRINUSE);
                must(control_listen(too_long, geteuid(), getegid(), &other) == -ENAMETOOLONG);
        }
        return listener;
}

static void begin_control(struct scene *scene, uint8_t flags)
{
        struct supervisor *supervisor = &scene->supervisor;
        int pair[2];

        for (unsigned i = 0; i < PEOPLE; i++)
                scene->people[i].fd = -1;
        if (flags & ALONE) {
                supervisor->children.stopping = true;   /* when he goes, all ends: not ours to do here */
                must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
                scene->people[0].fd = pair[0];
                control_init(&supervisor->control, supervisor, -1, pair[1]);
        } else {
                control_init(&supervisor->control, supervisor, listen_for(scene, flags), -1);
        }
        control_begin(&supervisor->control);
}

static void begin_reload(struct scene *scene, bool wrong)
{
        static const char good[] = "gateway: {listen: 127.0.0.2}\nlogLevel: error\n", bad[] = "gateway: {listen: \"\x7f\"}\nwhat: is this?\n";
        struct conf_source source = CONF_SOURCE_INIT;
        const char *text = wrong ? bad : good;

        scene->conf_fd = memfd_create("fuzz", MFD_CLOEXEC);
        must(scene->conf_fd >= 0 && write(scene->conf_fd, text, strlen(text)) == (ssize_t)strlen(text));
        source.path = "fuzz.yaml";
        source.fd = scene->conf_fd;
        reload_init(&scene->supervisor.reload, &scene->supervisor, &source);
        reload_begin(&scene->supervisor.reload);
}

static void begin(struct scene *scene, uint8_t flags)
{
        static const struct children_events events = { .message = on_message };
        static const struct conf_bootstrap seeds[] = {
                { "127.0.0.1", "one.example", 49737 },
                { "255.255.255.255", "255.255.255.255", 49738 },        /* where there is no way to */
        };
        static const uint8_t map_key[16];
        static struct passed no_sockets;
        static struct conf conf;
        struct supervisor *supervisor = &scene->supervisor;

        conf = (struct conf){ .name = "fuzz \"1\"\n", .bootstrap = seeds, .bootstrap_count = flags & WITH_SEEDS ? 2 : 0 };
        conf.gateway.present = conf.has_secret = true;
        supervisor->loop = ev_default_loop(EVFLAG_AUTO);
        log_init(&scene->log, NULL);
        log_instance(&scene->log, "fuzz", LOG_ERR);
        supervisor->log = &scene->log;
        supervisor->conf = &conf;
        supervisor->asked_as = "fuzzed";
        supervisor->keys = &scene->keys;
        scene->keys.router_count = flags & WITH_ROUTER ? 1 : 0;
        supervisor->children = (struct children){ .loop = supervisor->loop, .log = supervisor->log, .events = &events,
                                                  .context = supervisor };
        list_init(&supervisor->children.all);
        list_init(&supervisor->fetches.all);
        questions_init(&supervisor->questions);
        names_init(&supervisor->names, supervisor->loop, supervisor->log, map_key, on_no_name, on_context, NULL);
        gates_init(&supervisor->gates, supervisor->loop, supervisor->log, &conf.gateway, NULL, &no_sockets, on_no_gate,
                   on_no_gate, NULL);
        status_init(&supervisor->status, supervisor->loop, supervisor->log, &supervisor->gates, &conf, on_context, NULL);
        must(seeds_init(&supervisor->seeds, &supervisor->names, &conf) == 0);
        must(appointed_init(&supervisor->appointed, &supervisor->names, &conf) == 0);
        forwards_init(&supervisor->forwards, &supervisor->children, FORWARDS_MAX);
        site_init(&supervisor->resolver, supervisor->log, &supervisor->children, "fingerprintResolver", 1);
        site_init(&supervisor->unlimited, supervisor->log, &supervisor->children, "unlimited", 2);
        hosts_init(&supervisor->hosts, supervisor->log, &supervisor->forwards, on_no_host, NULL);
        fetches_init(&supervisor->fetches, supervisor->loop, supervisor->log, &supervisor->names, "/nowhere", on_nothing_fetched, NULL);
        begin_reload(scene, flags & WRONG);
        begin_swarm(scene);
        supervisor->interfaces.count = 1;
        begin_control(scene, flags);
}

/* Whole lines, each of them an object; after the end there is none. Who does not read is cut off anywhere. */
static void check_answer(const struct person *person)
{
        size_t at = 0;
        bool ended = false;

        while (at < person->len) {
                const char *newline = memchr(person->told + at, '\n', person->len - at);
                size_t len = newline ? (size_t)(newline - person->told) - at : 0;
                json_t *object = json_loadb(person->told + at, len, JSON_REJECT_DUPLICATES, NULL);
                const char *type = json_string_value(json_object_get(object, "type"));

                if (!newline && person->was_deaf)
                        return;
                must(type && !ended);
                ended = strcmp(type, "end") == 0;
                at = (size_t)(newline - person->told) + 1;
                json_decref(object);
        }
}

static void leave(struct person *person)
{
        if (person->fd < 0)
                return;
        close_fdp(&person->fd);
        check_answer(person);
        person->len = 0;
        person->deaf = person->was_deaf = false;
}

static void end(struct scene *scene)
{
        struct supervisor *supervisor = &scene->supervisor;

        control_fini(&supervisor->control);
        must(list_empty(&supervisor->reload.waiters));
        reload_stop(&supervisor->reload);
        must(list_empty(&supervisor->questions.all) && supervisor->control.count == 0);
        for (unsigned i = 0; i < PEOPLE; i++)
                leave(&scene->people[i]);
        if (*scene->path)
                unlink(scene->path);
        ev_timer_stop(supervisor->loop, &scene->swarm.stuck);
        ev_io_stop(supervisor->loop, &scene->swarm.writable);
        ipc_link_fini(&scene->swarm.link);
        ipc_link_fini(&scene->worker);
        seeds_fini(&supervisor->seeds);
        fetches_fini(&supervisor->fetches);
        names_fini(&supervisor->names);
        gates_fini(&supervisor->gates);
        status_fini(&supervisor->status);
        services_fini(&supervisor->services);
        reload_fini(&supervisor->reload);
        close(scene->conf_fd);
}

/* Who is there already stops reading, or begins again; and there is room for little between us. */
static void be_deaf(struct scene *scene, struct person *person)
{
        int bytes = 1;

        person->deaf = !person->deaf;
        person->was_deaf = true;
        list_for_each(at, &scene->supervisor.control.conns)
                setsockopt(list_entry(at, struct control_conn, in_control)->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static void come(struct scene *scene, struct person *person)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (person->fd >= 0) {
                be_deaf(scene, person);
                return;
        }
        if (!*scene->path)
                return;
        person->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        memcpy(address.sun_path, scene->path, strlen(scene->path) + 1);
        must(person->fd >= 0 && connect(person->fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
}

/* A secret file that is handed over, and that is none; every other one is open for changes. */
static void hand_over(struct scene *scene, const struct person *person, size_t len)
{
        static const char words[] = "reload secret\n";
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
        char text[256] = "0", request[sizeof(words)];
        struct iovec iov = { request, sizeof(words) - 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
        bool sealed = len % 2 == 0;
        int fd;

        len = MIN(len, reader_left(&scene->input));
        memcpy(request, words, sizeof(words));
        read_copy(&scene->input, text, len);
        fd = sealed ? ipc_blob_new(text, MAX(len, 1)) : memfd_create("hypergate-fuzz", MFD_CLOEXEC);
        must(fd >= 0);
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        (void)!sendmsg(person->fd, &message, MSG_NOSIGNAL);
        close(fd);
}

/* One of the requests, the beginning of one, or anything. */
static void request(struct scene *scene, struct person *person, uint8_t which)
{
        static const char *const requests[] = { "status\n", "doctor\n", "peers\n",
                "scan 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 9\n" };
        static const char *const changes[] = { "reload\n", "reload\n", "drain\n", "undrain\n", "remove 80/udp\n", "remove 080000\n",
                "add [{gatePort: 80, serviceHost: a, servicePort: 80}]\n", "", "allow 192.0.2.1 1\n", "allow ::1 2592000\n", "deny 192.0.2.1\n",
                "allowed\n" };
        char text[300];
        size_t len = read_u8(&scene->input);

        if (person->fd < 0)
                return;
        if (which >= REQUEST_RELOAD) {
                const char *change = changes[(which - REQUEST_RELOAD) % ARRAY_LEN(changes)];

                if (*change)
                        (void)!send(person->fd, change, strlen(change), MSG_NOSIGNAL);
                else
                        hand_over(scene, person, len);
                return;
        }
        which %= ARRAY_LEN(requests) + 1;
        if (which < ARRAY_LEN(requests)) {
                len = MIN(len < 128 ? strlen(requests[which]) : (size_t)len - 128, strlen(requests[which]));
                (void)!send(person->fd, requests[which], len, MSG_NOSIGNAL);
                return;
        }
        len = MIN(len, reader_left(&scene->input));
        read_copy(&scene->input, text, len);
        (void)!send(person->fd, text, len, MSG_NOSIGNAL);
}

/* To one of the last eight questions. */
static void answer(struct scene *scene, uint8_t which, bool earlier)
{
        static const enum ipc_type types[] = { IPC_SWARM_FOUND, IPC_SWARM_PONG, IPC_SWARM_SELF, IPC_SWARM_ANSWERED, IPC_SWARM_PEER,
                                              IPC_SWARM_CHANNEL };
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        enum ipc_type type = types[which % 8 % ARRAY_LEN(types)];
        uint64_t number = scene->supervisor.questions.last - which / 8 - (earlier ? 4 : 0);
        size_t given = (size_t)2 * read_u8(&scene->input);

        given = MIN(given, reader_left(&scene->input));
        read_copy(&scene->input, payload + sizeof(number), MIN(given, ipc_row(type)->payload_bytes - sizeof(number)));
        memcpy(payload, &number, sizeof(number));
        (void)!ipc_link_send(&scene->worker, type, payload, NULL, 0);
}

static void lose_swarm(struct scene *scene, uint8_t how)
{
        struct child *child = &scene->swarm;

        child->state = how % 4 == 0 ? CHILD_STARTING : CHILD_UP;
        child->unconfigured = how % 4 == 1;
        if (how & 4)
                questions_lose(&scene->supervisor.questions, child);
}

/* Long enough for a look, for the doctor, for a connection, for any scan. */
static void let_pass(uint8_t how_long)
{
        static const uint16_t seconds[] = { 1, 16, CONTROL_PATIENCE_S + 1, 301 };

        passed_s += seconds[how_long % ARRAY_LEN(seconds)];
}

static void turn(struct scene *scene)
{
        struct ipc_received message;

        for (unsigned i = 0; i < 4; i++)
                ev_run(scene->supervisor.loop, EVRUN_NOWAIT);
        reload_look(&scene->supervisor.reload);
        ev_run(scene->supervisor.loop, EVRUN_NOWAIT);
        while (ipc_link_receive(&scene->swarm.link, &message) > 0) {
                child_hear(&scene->swarm, &message);
                ipc_received_fini(&message);
        }
        while (ipc_link_receive(&scene->worker, &message) > 0)
                ipc_received_fini(&message);
        for (unsigned i = 0; i < PEOPLE; i++) {
                struct person *person = &scene->people[i];
                ssize_t got = 0;

                if (person->fd >= 0 && !person->deaf)
                        got = recv(person->fd, person->told + person->len, sizeof(person->told) - person->len, 0);
                if (got > 0)
                        person->len += (size_t)got;
        }
}

static void operate(struct scene *scene)
{
        uint8_t operation = read_u8(&scene->input);
        struct person *person = &scene->people[operation / 8 % PEOPLE];

        switch (operation % 8) {
        case 0:
                come(scene, person);
                break;
        case 1:
                turn(scene);
                leave(person);
                break;
        case 2:
                lose_swarm(scene, operation / 8);
                break;
        case 3:
                let_pass(operation / 8);
                break;
        case 4:
        case 5:
                answer(scene, operation / 8, operation & 1);
                break;
        default:
                request(scene, person, read_u8(&scene->input));
        }
        turn(scene);
        must(scene->supervisor.control.count <= CONTROL_CONNS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct scene *scene;
        int first_free, now_free;

        must(sodium_init() >= 0 && ev_default_loop(EVFLAG_AUTO));
        first_free = dup(STDERR_FILENO);
        close(first_free);
        scene = calloc(1, sizeof(*scene));
        must(scene != NULL);
        scene->input = steps_begin(data, len);
        begin(scene, read_u8(&scene->input));
        for (unsigned i = 0; i < OPERATIONS_MAX && steps_next(&scene->input); i++)
                operate(scene);
        turn(scene);
        end(scene);
        free(scene);
        now_free = dup(STDERR_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}

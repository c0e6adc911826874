/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor and its workers, which say anything in any order: the input is their words, on their links and on their standard
 * error, their ends, and the timers that fire. Whatever they say, the supervisor keeps its bounds, and no descriptor is left over. */
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "child_log.h"
#include "cleanup.h"
#include "hear.h"
#include "introduce.h"
#include "ipc_fd.h"
#include "ipc_resolve.h"
#include "ipc_swarm.h"
#include "ipc_table.h"
#include "message.h"
#include "steps.h"

enum { OPERATIONS_MAX = 64, WORKERS = 6, RESOLVE = 4 /* of them */, NAMES = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct scene {
        struct supervisor supervisor;
        struct log log;
        struct child workers[WORKERS];
        struct ipc_link ends[WORKERS];  /* the workers' */
        int words[WORKERS];             /* what they write to */
        struct name *names[NAMES];
        struct reader input;
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

static void on_no_gate(void *context, const struct gate *gate)
{
}

static void on_name(void *context, const struct name *name)
{
        must(name->count > 0 && name->count <= IPC_ADDRESSES_MAX);
}

static void on_context(void *context)
{
}

static bool on_found(void *context)
{
        size_t count;

        must(docker_services(&((struct supervisor *)context)->docker, &count) && count <= CONF_FOUND_MAX);
        return true;
}

static void on_message(void *context, struct child *child, struct ipc_received *message)
{
        hear(context, child, message);
}

static void on_words(void *context, const char *line)
{
        child_log_words(context, line);
}

/* A life of worker @i begins: its link, its standard error. */
static void begin_life(struct scene *scene, unsigned i)
{
        struct child *child = &scene->workers[i];
        int pair[2], words[2];

        must(ipc_link_pair(pair) == 0 && pipe2(words, O_CLOEXEC | O_NONBLOCK) == 0);
        ipc_link_init(&child->link, pair[0], IPC_SUPERVISOR, child->role, child->id);
        ipc_link_init(&scene->ends[i], pair[1], child->role, IPC_SUPERVISOR, 0);
        child->state = CHILD_STARTING;
        child->unintroduced = true;
        child->links_before = scene->supervisor.children.links;
        words_init(&child->words, scene->supervisor.loop, words[0], on_words, child);
        scene->words[i] = words[1];
}

static void end_life(struct scene *scene, unsigned i)
{
        struct child *child = &scene->workers[i];
        struct ev_loop *loop = scene->supervisor.loop;

        if (child->link.fd < 0)
                return;
        close_fdp(&scene->words[i]);
        words_fini(&child->words, loop);
        ev_timer_stop(loop, &child->stuck);
        ev_io_stop(loop, &child->writable);
        ipc_link_fini(&child->link);
        ipc_link_fini(&scene->ends[i]);
        child->state = CHILD_WAITING;
}

static void begin_worker(struct scene *scene, unsigned i)
{
        static const struct { enum ipc_role role; uint32_t id; } who[WORKERS] = {
                { IPC_SWARM, 1 }, { IPC_ROUTER, 1 }, { IPC_FORWARD, 1 }, { IPC_FORWARD, 2 }, { IPC_RESOLVE, 1 }, { IPC_DOCKER, 1 },
        };
        struct child *child = &scene->workers[i];

        *child = (struct child){ .children = &scene->supervisor.children, .role = who[i].role, .id = who[i].id };
        list_push_back(&scene->supervisor.children.all, &child->in_all);
        ev_init(&child->readable, on_nothing);
        ev_init(&child->writable, on_nothing);
        ev_init(&child->due, on_no_time);
        ev_timer_init(&child->stuck, on_no_time, 0, CHILD_STUCK_S);
        begin_life(scene, i);
}

/* What it may open is at an address that this host does not have: no process is started for it. */
static const struct conf *conf_of(bool gateway, bool filtered)
{
        static const struct conf_address nowhere = { .text = "192.0.2.1", .ip = { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };
        static const struct conf_filter filter = { .fields = CONF_FILTER_GATE_PORT, .gate_port = 80, .gate_port_last = 80 };
        static const struct conf_bootstrap bootstrap = { "", "one.example", 49737 };
        static struct conf conf;

        conf = (struct conf){ .name = "fuzz", .state_directory = "/nowhere", .bootstrap = &bootstrap, .bootstrap_count = 1 };
        conf.provider.present = true;
        conf.docker = (struct conf_docker){ .present = true, .socket = "/nowhere/docker.sock" };
        conf.gateway = (struct conf_gateway){ .present = gateway, .listen = &nowhere, .listen_count = 1, .filters = &filter,
                                              .filter_count = filtered };
        return &conf;
}

static void begin(struct scene *scene, uint8_t flags)
{
        static const char *const hosts[NAMES] = { "one.example", "two.example", "three.example" };
        static const struct children_events events = { .message = on_message };
        static const uint8_t map_key[16];
        static struct passed no_sockets;
        struct supervisor *supervisor = &scene->supervisor;
        const struct conf *conf = conf_of(flags & 1, flags & 2);

        supervisor->loop = ev_default_loop(EVFLAG_AUTO);
        must(supervisor->loop != NULL);
        log_init(&scene->log, NULL);
        log_instance(&scene->log, "fuzz", LOG_DEBUG);
        supervisor->log = &scene->log;
        supervisor->conf = conf;
        supervisor->children = (struct children){ .loop = supervisor->loop, .log = supervisor->log, .events = &events,
                                                  .context = supervisor };
        list_init(&supervisor->children.all);
        questions_init(&supervisor->questions);
        lost_links_init(&supervisor->lost, &supervisor->children, supervisor->loop);
        names_init(&supervisor->names, supervisor->loop, supervisor->log, map_key, on_name, on_context, NULL);
        gates_init(&supervisor->gates, supervisor->loop, supervisor->log, &conf->gateway, NULL, &no_sockets, on_no_gate,
                   on_no_gate, NULL);
        docker_init(&supervisor->docker, supervisor->log, conf, on_found, supervisor);
        status_init(&supervisor->status, supervisor->loop, supervisor->log, conf->gateway.present ? &supervisor->gates : NULL,
                    conf, on_context, NULL);
        must(known_init(&supervisor->known, NULL, 0, 0, conf) == 0);
        for (unsigned i = 0; i < WORKERS; i++)
                begin_worker(scene, i);
        supervisor->cores.count = 1;
        supervisor->cores.list[0] = (struct core){ .cores = &supervisor->cores, .child = &scene->workers[0] };
        for (unsigned i = 0; i < NAMES; i++)
                scene->names[i] = names_add(&supervisor->names, hosts[i], i == 0, "service 80");
        names_worker(&supervisor->names, &scene->workers[RESOLVE]);
        status_begin(&supervisor->status, 1);
}

static void end(struct scene *scene)
{
        struct supervisor *supervisor = &scene->supervisor;

        gates_fini(&supervisor->gates);
        docker_fini(&supervisor->docker);
        known_fini(&supervisor->known);
        lost_links_fini(&supervisor->lost);
        names_fini(&supervisor->names);
        status_fini(&supervisor->status);
        for (unsigned i = 0; i < WORKERS; i++)
                end_life(scene, i);
}

/* A message of any type, with the payload's size or another, and as many descriptors as it should have, or one more. */
static void say(struct scene *scene, unsigned i)
{
        uint8_t payload[IPC_PAYLOAD_MAX] = { 0 };
        uint32_t type = message_type(&scene->input);
        uint8_t how = read_u8(&scene->input);
        const struct ipc_row *row = ipc_row(type);
        size_t len = row ? row->payload_bytes : 8, given = read_u8(&scene->input);
        struct iovec parts[] = { { &type, sizeof(type) }, { payload, len } };
        struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };

        given = MIN(MIN(given, len), reader_left(&scene->input));
        read_copy(&scene->input, payload, given);
        if (how == 255)
                parts[1].iov_len++;
        if (scene->ends[i].fd >= 0)
                (void)!sendmsg(scene->ends[i].fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A log line in good order, of the input's text. */
static void say_line(struct scene *scene, unsigned i)
{
        uint8_t kind = read_u8(&scene->input);
        struct ipc_log line = { .level = kind % 9, .event = kind / 9 };
        size_t len = read_u8(&scene->input);

        len = MIN(MIN(len, sizeof(line.text) - 1), reader_left(&scene->input));
        read_copy(&scene->input, line.text, len);
        line.text_len = (uint32_t)len + 1;
        if (scene->ends[i].fd >= 0)
                (void)!ipc_link_send(&scene->ends[i], IPC_LOG, &line, NULL, 0);
}

/* An answer to what it was asked last. */
static void answer(struct scene *scene)
{
        struct ipc_resolve_answer said = { .question = scene->supervisor.names.last_question - read_u8(&scene->input) % 4 };
        struct child *child = &scene->workers[RESOLVE];
        uint8_t flags = read_u8(&scene->input);

        said.error = flags & 1 ? -2 : 0;
        said.count = flags / 2 % 19;
        read_copy(&scene->input, said.address, MIN(reader_left(&scene->input), sizeof(said.address[0])));
        memset(said.text, flags, flags & 128 ? sizeof(said.text) : 1);
        if (child->link.fd >= 0)
                (void)!ipc_link_send(&scene->ends[RESOLVE], IPC_RESOLVE_ANSWER, &said, NULL, 0);
}

static void write_words(struct scene *scene, unsigned i)
{
        char text[1200];
        size_t len = read_u8(&scene->input), given = MIN(len, reader_left(&scene->input));

        memset(text, 'x', sizeof(text));
        read_copy(&scene->input, text, given);
        if (scene->words[i] < 0)
                return;
        (void)!write(scene->words[i], text, len & 1 ? sizeof(text) : given);
        ev_invoke(scene->supervisor.loop, &scene->workers[i].words.readable, EV_READ);
}

static void fire(struct scene *scene, ev_timer *timer)
{
        if (!ev_is_active(timer))
                return;
        ev_timer_stop(scene->supervisor.loop, timer);
        ev_invoke(scene->supervisor.loop, timer, EV_TIMER);
}

static void fire_one(struct scene *scene, uint8_t which)
{
        struct supervisor *supervisor = &scene->supervisor;

        switch (which % 5) {
        case 0:
                fire(scene, &supervisor->lost.due);
                break;
        case 1:
                fire(scene, &supervisor->status.line);
                break;
        case 2:
                fire(scene, &supervisor->status.unreachable);
                break;
        case 3:
                fire(scene, &scene->names[which / 5 % NAMES]->due);
                break;
        case 4:
                list_for_each(at, &supervisor->gates.all)
                        fire(scene, &list_entry(at, struct gate, in_all)->listeners[0].retry);
                break;
        }
}

/* As the loop would: all that has come, and its end. */
static void listen_to(struct scene *scene, unsigned i)
{
        struct child *child = &scene->workers[i];
        struct ipc_received message;
        int r;

        if (child->link.fd < 0)
                return;
        while ((r = ipc_link_receive(&child->link, &message)) > 0) {
                child_hear(child, &message);
                ipc_received_fini(&message);
        }
        if (r < 0) {
                end_life(scene, i);
                begin_life(scene, i);
                if (i == RESOLVE)
                        names_worker(&scene->supervisor.names, child);
        }
        while (ipc_link_receive(&scene->ends[i], &message) > 0)
                ipc_received_fini(&message);
}

static void check_bounds(const struct scene *scene)
{
        const struct supervisor *supervisor = &scene->supervisor;

        must(supervisor->gates.count <= GATES_MAX && gates_open_count(&supervisor->gates) == 0);
        must(supervisor->lost.count <= LOST_LINKS_MAX);
        must(supervisor->names.asked_count <= NAMES);
        must(supervisor->known.nodes.count <= IPC_KNOWN_MAX);
}

static void operate(struct scene *scene)
{
        uint8_t operation = read_u8(&scene->input);
        unsigned i = operation / 8 % WORKERS;

        switch (operation % 8) {
        case 0:
                write_words(scene, i);
                break;
        case 1:
                fire_one(scene, operation / 8);
                break;
        case 2:
                introduce_new(&scene->supervisor.children);
                break;
        case 3:
                say_line(scene, i);
                break;
        case 4:
                answer(scene);
                break;
        default:
                say(scene, i);
        }
        listen_to(scene, i);
        if (operation % 8 == 4 && i != RESOLVE)     /* it was the resolver that said something */
                listen_to(scene, RESOLVE);
        check_bounds(scene);
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
        end(scene);
        free(scene);
        now_free = dup(STDERR_FILENO);
        close(now_free);
        must(first_free == now_free);
        return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "forward_dial.h"
#include "forward_http.h"
#include "forward_proxy.h"

enum {
        REASON_MAX = 96,
        DIALS_FOR_CHECKS = 0,   /* the swarm worker that the supervisor is told: none has this number */
};

enum check_state {
        CHECK_RESTING,
        CHECK_WAITING,          /* too many are running */
        CHECK_CONNECTING,
        CHECK_ASKING,           /* it was asked for something */
};

enum known { KNOWN_NOTHING, KNOWN_THERE, KNOWN_GONE };

struct check {
        struct checks *checks;
        struct map_entry by_number;
        struct heap_entry due;
        struct list in_waiting;
        const struct ipc_forward_service *what;         /* of the list of services, which is replaced as a whole */
        uint64_t number;
        enum check_state state;
        enum known known;
        unsigned against;               /* checks in a row that say otherwise */
        usec_t began_us, gives_up_us;
        struct dial dial;
        uint8_t answer[HTTP_STATUS_BYTES];
        size_t answer_len;
        bool listed;
        bool nameless;                  /* by the last check: its name had no address */
};

void checks_init(struct checks *checks, struct worker *worker, struct watch *watch, struct services *services,
                 const struct ipc_forward_keep_alive *keep, const struct random *random)
{
        uint8_t key[16];

        *checks = (struct checks){ .worker = worker, .watch = watch, .services = services, .keep = keep, .random = *random };
        random_fill(random, key, sizeof(key));
        map_init(&checks->by_number, key);
        list_init(&checks->waiting);
}

static uint64_t number_of(const struct checks *checks, const struct ipc_forward_service *what)
{
        uint64_t key[2] = { what->service, what->gate_port };

        return map_hash(&checks->by_number, key, sizeof(key));
}

static struct check *find(const struct checks *checks, uint64_t number)
{
        struct map_entry *at = map_first(&checks->by_number, number);

        return at ? container_of(at, struct check, by_number) : NULL;
}

static void stop(struct check *check)
{
        if (check->state == CHECK_CONNECTING || check->state == CHECK_ASKING) {
                dial_fini(&check->dial);
                check->checks->running--;
        }
        list_remove(&check->in_waiting);
        check->state = CHECK_RESTING;
}

static void check_free(struct check *check)
{
        stop(check);
        heap_remove(&check->checks->due, &check->due);
        map_remove(&check->checks->by_number, &check->by_number);
        free(check);
}

void checks_fini(struct checks *checks)
{
        struct map_entry *at;

        while ((at = map_walk(&checks->by_number, NULL)))
                check_free(container_of(at, struct check, by_number));
        map_fini(&checks->by_number);
}

/* --- What came of it --- */

static void tell(struct check *check, const char *reason)
{
        const struct ipc_forward_service *what = check->what;
        bool there = check->known == KNOWN_THERE;
        struct ipc_service_health health = { .service = what->service, .gate_port = what->gate_port, .protocol = what->protocol, .there = there };
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char at[sizeof(what->host) + 8];

        services_mark(what, there);
        worker_send(&check->checks->worker->supervisor, IPC_SERVICE_HEALTH, &health, NULL, 0);
        snprintf(at, sizeof(at), what->local ? "%s" : "%s:%u", what->host, what->service_port);
        ipc_fields_gate(&fields, what->gate_port, what->protocol);
        ipc_fields_text(&fields, "SERVICE", at);
        if (!there) {
                ipc_fields_text(&fields, "REASON", reason);
                worker_log_event(check->checks->worker, IPC_EVENT_SERVICE_UNHEALTHY, LOG_NOTICE, fields.list,
                                 "service %u at %s: its check fails: %s; it is offered no more until it succeeds", what->gate_port, at, reason);
        } else if (reason) {
                worker_log_event(check->checks->worker, IPC_EVENT_SERVICE_HEALTHY, LOG_NOTICE, fields.list,
                                 "service %u at %s: its check succeeds: it is offered again", what->gate_port, at);
        }
}

/* Its name may lead elsewhere by now. */
static void tell_fails(const struct check *check)
{
        const struct ipc_forward_service *what = check->what;
        struct ipc_service_fails fails = { .service = what->service, .gate_port = what->gate_port, .protocol = what->protocol };

        if (!what->local)
                worker_send(&check->checks->worker->supervisor, IPC_SERVICE_FAILS, &fails, NULL, 0);
}

/* @trouble: NULL: it is there. */
static void judge(struct check *check, const char *trouble)
{
        enum known said = trouble ? KNOWN_GONE : KNOWN_THERE;
        unsigned enough = check->known == KNOWN_NOTHING ? 1 : trouble ? check->what->fall : check->what->rise;

        if (trouble)
                tell_fails(check);
        if (said == check->known) {
                check->against = 0;
        } else if (++check->against >= enough) {
                bool first = check->known == KNOWN_NOTHING;

                check->against = 0;
                check->known = said;
                tell(check, trouble ? trouble : first ? NULL : "");
        }
}

/* A twentieth earlier or later, lest all that began together stay so. */
static usec_t next_time(const struct check *check)
{
        usec_t interval_us = MSEC(check->what->interval_ms), spread_us = interval_us / 10;
        uint32_t number;

        random_fill(&check->checks->random, &number, sizeof(number));
        return usec_add(check->began_us, interval_us - spread_us / 2 + spread_us * number / UINT32_MAX);
}

static void finish(struct check *check, const char *trouble)
{
        stop(check);
        heap_set(&check->checks->due, &check->due, next_time(check));
        judge(check, trouble);
}

/* --- Asking --- */

/* Some of the answer came, or its end. */
static void hear(struct check *check)
{
        ssize_t got = recv(check->dial.watched.fd, check->answer + check->answer_len, sizeof(check->answer) - check->answer_len, MSG_DONTWAIT);
        char trouble[REASON_MAX];
        enum http_verdict verdict;
        unsigned status = 0;

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (got <= 0) {
                finish(check, got < 0 ? strerror(errno) : "it closes without an answer");
                return;
        }
        check->answer_len += (size_t)got;
        verdict = http_status_read(check->answer, check->answer_len, &status);
        if (verdict == HTTP_MORE)
                return;
        snprintf(trouble, sizeof(trouble), "HTTP status %u", status);
        finish(check, verdict == HTTP_BAD ? "what it answers is no HTTP" :
                      status < check->what->status_first || status > check->what->status_last ? trouble : NULL);
}

static void run(struct checks *checks, usec_t now_us);

static void on_answer(struct watched *watched, uint32_t events)
{
        struct check *check = container_of(watched, struct check, dial.watched);
        struct checks *checks = check->checks;
        struct now now;

        hear(check);
        worker_now(&now);
        run(checks, now.mono_us);
}

/* Who waits for a PROXY header gets one that names nobody: it is the proxy itself that asks. */
static size_t request_write(const struct ipc_forward_service *what, uint8_t out[PROXY_WRITE_MAX + HTTP_REQUEST_MAX])
{
        static const struct proxy_header nobody = { .protocol = IPC_TCP };
        size_t len = what->proxy ? proxy_write(what->proxy, &nobody, out) : 0;

        return len + http_request_write(what->path, what->host, (char *)out + len);
}

static void connected(struct check *check)
{
        uint8_t request[PROXY_WRITE_MAX + HTTP_REQUEST_MAX];
        size_t len = request_write(check->what, request);
        int fd = dial_take(&check->dial);

        check->dial.watched.fd = fd;
        if (check->what->health == IPC_HEALTH_TCP) {
                finish(check, NULL);
                return;
        }
        check->dial.watched.ready = on_answer;
        check->state = CHECK_ASKING;
        check->answer_len = 0;
        heap_set(&check->checks->due, &check->due, check->gives_up_us);
        if (send(fd, request, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
                finish(check, "it takes no request");
        else if (watch_add(check->checks->watch, &check->dial.watched, EPOLLIN) < 0)
                finish(check, "no memory");
}

/* One address after the other; those before it still may answer. */
static void connect_next(struct check *check, usec_t now_us)
{
        usec_t left_us = check->gives_up_us > now_us ? check->gives_up_us - now_us : 0;
        int r = dial_next(&check->dial);

        if (r == 0)
                connected(check);
        else if (r == -EINPROGRESS)
                heap_set(&check->checks->due, &check->due, usec_add(now_us, dial_patience_us(&check->dial, left_us)));
        else {
                check->nameless = !check->what->count;
                finish(check, check->what->count ? strerror(-r) : "the name has no address");
        }
}

static void on_connecting(struct watched *watched, uint32_t events)
{
        struct check *check = container_of(watched, struct check, dial.watched);
        struct checks *checks = check->checks;
        int r = dial_look(&check->dial);
        struct now now;

        worker_now(&now);
        if (r == -EINPROGRESS)
                return;
        if (r == 0) {
                connected(check);
        } else {
                dial_fail(&check->dial, -r);
                connect_next(check, now.mono_us);
        }
        run(checks, now.mono_us);
}

static void begin(struct check *check, usec_t now_us)
{
        struct checks *checks = check->checks;
        struct ipc_service_dial dial = { .channel = check->number, .service = check->what->service, .swarm = DIALS_FOR_CHECKS,
                                         .gate_port = check->what->gate_port };

        check->state = CHECK_CONNECTING;
        check->began_us = now_us;
        check->gives_up_us = usec_add(now_us, MSEC(check->what->timeout_ms));
        checks->running++;
        dial_init(&check->dial, checks->watch, check->what, checks->keep, on_connecting);
        if (!check->what->local) {
                connect_next(check, now_us);
                return;
        }
        heap_set(&checks->due, &check->due, check->gives_up_us);
        if (worker_send(&checks->worker->supervisor, IPC_SERVICE_DIAL, &dial, NULL, 0) < 0)
                finish(check, "no memory");
}

/* Those that wait, as long as there is room. */
static void run(struct checks *checks, usec_t now_us)
{
        while (checks->running < CHECKS_RUNNING_MAX && !list_empty(&checks->waiting)) {
                struct check *check = list_entry(list_first(&checks->waiting), struct check, in_waiting);

                list_remove(&check->in_waiting);
                begin(check, now_us);
        }
}

void checks_dialled(struct checks *checks, const struct ipc_service_dialled *dialled, int fd, usec_t now_us)
{
        struct check *check = find(checks, dialled->channel);

        if (!check || check->state != CHECK_CONNECTING || !check->what->local) {
                if (fd >= 0)
                        close(fd);
                return;
        }
        check->dial.watched.fd = fd;
        if (fd >= 0)
                connected(check);
        else
                finish(check, strerror((int)dialled->error));
        run(checks, now_us);
}

/* --- Whom to ask --- */

static unsigned count_wanted(const struct checks *checks)
{
        const struct ipc_forward_service *what;
        struct service_group *group = NULL;
        unsigned count = 0;

        while ((group = services_next(checks->services, group)))
                for (what = services_of(group, NULL); what; what = services_of(group, what))
                        count += what->health != IPC_HEALTH_NONE;
        return count;
}

/* What is under way begins anew: it is of a list that is no more. Whose name is known only now could not be asked before: one good answer
 * is enough. */
static void renew(struct check *check, const struct ipc_forward_service *what, usec_t now_us)
{
        bool under_way = check->state != CHECK_RESTING, named = check->nameless && what->count;
        usec_t latest_us = usec_add(now_us, MSEC((usec_t)what->interval_ms));

        stop(check);
        check->what = what;
        check->listed = true;
        if (named) {
                check->nameless = false;
                check->against = check->known == KNOWN_GONE ? what->rise - 1U : check->against;
        }
        if (under_way || named)
                heap_set(&check->checks->due, &check->due, now_us);
        else if (check->due.key_us > latest_us)
                heap_set(&check->checks->due, &check->due, latest_us);
}

/* The first of them now, the others spread over the interval. */
static void add(struct checks *checks, const struct ipc_forward_service *what, usec_t first_us)
{
        struct check *check = calloc(1, sizeof(*check));

        if (check) {
                check->checks = checks;
                check->what = what;
                check->number = number_of(checks, what);
                check->listed = true;
                list_init(&check->in_waiting);
                check->dial.watched.fd = -1;
        }
        if (!check || map_insert(&checks->by_number, &check->by_number, check->number) < 0) {
                worker_log(checks->worker, LOG_ERR, "service %u is not checked: out of memory", what->gate_port);
                free(check);
                return;
        }
        heap_set(&checks->due, &check->due, first_us);
}

void checks_services_changed(struct checks *checks, usec_t now_us)
{
        unsigned count = count_wanted(checks), number = 0;
        const struct ipc_forward_service *what;
        struct service_group *group = NULL;

        for (struct map_entry *at = map_walk(&checks->by_number, NULL); at; at = map_walk(&checks->by_number, at))
                container_of(at, struct check, by_number)->listed = false;
        while ((group = services_next(checks->services, group)))
                for (what = services_of(group, NULL); what; what = services_of(group, what)) {
                        struct check *check = what->health ? find(checks, number_of(checks, what)) : NULL;

                        if (check && !check->listed)
                                renew(check, what, now_us);
                        else if (what->health && !check)
                                add(checks, what, usec_add(now_us, MSEC((usec_t)what->interval_ms) * number / count));
                        number += what->health != IPC_HEALTH_NONE;
                }
        for (struct map_entry *at = map_walk(&checks->by_number, NULL), *next; at; at = next) {
                struct check *check = container_of(at, struct check, by_number);

                next = map_walk(&checks->by_number, at);
                if (!check->listed)
                        check_free(check);
        }
        run(checks, now_us);
}

void checks_advance(struct checks *checks, usec_t now_us)
{
        struct heap_entry *due;

        while ((due = heap_pop_due(&checks->due, now_us))) {
                struct check *check = container_of(due, struct check, due);

                if (check->state == CHECK_RESTING) {
                        check->state = CHECK_WAITING;
                        list_push_back(&checks->waiting, &check->in_waiting);
                } else if (check->state == CHECK_CONNECTING && !check->what->local && check->gives_up_us > now_us) {
                        dial_pass(&check->dial);
                        connect_next(check, now_us);
                } else {
                        finish(check, check->state == CHECK_ASKING ? "no answer in time" : strerror(ETIMEDOUT));
                }
        }
        run(checks, now_us);
}

usec_t checks_deadline(const struct checks *checks)
{
        return heap_deadline(&checks->due);
}

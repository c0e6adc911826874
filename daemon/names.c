/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "monotonic.h"

bool names_literal(const char *host, uint8_t ip[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        uint8_t parsed[16];

        if (inet_pton(AF_INET, host, parsed) == 1) {
                memcpy(ip, mapped, sizeof(mapped));
                memcpy(ip + sizeof(mapped), parsed, 4);
                return true;
        }
        if (inet_pton(AF_INET6, host, parsed) != 1)
                return false;
        memcpy(ip, parsed, sizeof(parsed));
        return true;
}

/* Asks as many as may be under way. */
static void ask_queued(struct names *names)
{
        if (!names->worker && !list_empty(&names->queued))
                names->wanted(names->context);
        while (names->worker && names->asked_count < NAMES_ASKED_MAX && !list_empty(&names->queued)) {
                struct name *name = list_entry(list_first(&names->queued), struct name, in_queue);
                struct ipc_resolve_ask ask = { .question = ++names->last_question, .ipv4_only = name->ipv4_only };

                snprintf(ask.name, sizeof(ask.name), "%s", name->host);
                name->question = ask.question;
                name->state = NAME_ASKED;
                list_remove(&name->in_queue);
                list_push_back(&names->asked, &name->in_queue);
                names->asked_count++;
                child_send(names->worker, IPC_RESOLVE_ASK, &ask, NULL, 0);
        }
}

static void enqueue(struct name *name)
{
        name->state = NAME_QUEUED;
        list_push_back(&name->names->queued, &name->in_queue);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct name *name = timer->data;

        enqueue(name);
        ask_queued(name->names);
}

static void rest(struct name *name, usec_t us)
{
        name->state = NAME_RESTING;
        ev_timer_set(&name->due, to_seconds(us), 0);
        ev_timer_start(name->names->loop, &name->due);
}

/* Said when it begins to fail, not each time it still does. */
static void tell_failure(const struct name *name, const char *reason, usec_t wait_us)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        ipc_fields_text(&fields, "HOST", name->host);
        ipc_fields_text(&fields, "REASON", reason);
        log_event(name->names->log, IPC_EVENT_NAME_UNRESOLVED, LOG_WARNING, fields.list,
                  "%s: can't resolve \"%s\": %s; %s, next try in %.0f s, then at least every %d s", name->what, name->host, reason,
                  name->count ? "its last addresses stay in use" : "unreachable until then", to_seconds(wait_us),
                  NAMES_RETRY_LONGEST_S);
}

static void tell_success(const struct name *name)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        ipc_fields_text(&fields, "HOST", name->host);
        log_event(name->names->log, IPC_EVENT_NAME_RESOLVED, LOG_NOTICE, fields.list, "%s: \"%s\" is resolved", name->what, name->host);
}

static void on_failure(struct name *name, const char *reason)
{
        usec_t wait_us = backoff_us(++name->failures, SECONDS(NAMES_RETRY_FIRST_S), SECONDS(NAMES_RETRY_LONGEST_S));

        if (name->failures == 1)
                tell_failure(name, reason, wait_us);
        rest(name, wait_us);
}

static void on_success(struct name *name, const struct ipc_resolve_answer *answer)
{
        bool same = answer->count == name->count && memcmp(answer->address, name->address, answer->count * 16) == 0;

        if (name->failures)
                tell_success(name);
        name->failures = 0;
        rest(name, SECONDS(NAMES_REFRESH_S));
        if (same)
                return;
        name->count = answer->count;
        memcpy(name->address, answer->address, answer->count * 16);
        name->names->changed(name->names->context, name);
}

void names_answer(struct names *names, const struct ipc_resolve_answer *answer)
{
        list_for_each(at, &names->asked) {
                struct name *name = list_entry(at, struct name, in_queue);
                char reason[IPC_TEXT_MAX + 1];

                if (name->question != answer->question)
                        continue;
                list_remove(&name->in_queue);
                names->asked_count--;
                snprintf(reason, sizeof(reason), "%.*s", IPC_TEXT_MAX, answer->text);
                if (answer->error || answer->count == 0 || answer->count > IPC_ADDRESSES_MAX)
                        on_failure(name, reason);
                else
                        on_success(name, answer);
                break;
        }
        ask_queued(names);
}

/* One that could not be looked up is asked for soon anyway. */
void names_doubt(struct name *name)
{
        double left_s, since_s;

        if (!name || name->state != NAME_RESTING || name->failures)
                return;
        left_s = ev_timer_remaining(name->names->loop, &name->due);
        since_s = NAMES_REFRESH_S - left_s;
        if (left_s <= NAMES_RETRY_FIRST_S)
                return;
        ev_timer_stop(name->names->loop, &name->due);
        rest(name, since_s < NAMES_RETRY_FIRST_S ? (usec_t)((NAMES_RETRY_FIRST_S - since_s) * SECONDS(1)) : 0);
}

void names_worker(struct names *names, struct child *worker)
{
        names->worker = worker;
        list_for_each(at, &names->asked) {
                list_remove(at);
                enqueue(list_entry(at, struct name, in_queue));
        }
        names->asked_count = 0;
        if (worker)
                ask_queued(names);
}

void names_init(struct names *names, struct ev_loop *loop, const struct log *log, const uint8_t map_key[16],
                void (*changed)(void *context, const struct name *name), void (*wanted)(void *context), void *context)
{
        *names = (struct names){ .loop = loop, .log = log, .changed = changed, .wanted = wanted, .context = context };
        map_init(&names->all, map_key);
        list_init(&names->queued);
        list_init(&names->asked);
}

static void name_free(struct name *name)
{
        struct names *names = name->names;

        map_remove(&names->all, &name->entry);
        ev_timer_stop(names->loop, &name->due);
        list_remove(&name->in_queue);
        names->asked_count -= name->state == NAME_ASKED;
        free(name);
}

void names_fini(struct names *names)
{
        struct map_entry *entry;

        while ((entry = map_walk(&names->all, NULL)))
                name_free(container_of(entry, struct name, entry));
        map_fini(&names->all);
}

/* The answer to its question, if there is one under way, is one to nobody. */
void names_drop(struct name *name)
{
        struct names *names = name ? name->names : NULL;

        if (!name || --name->users > 0)
                return;
        name_free(name);
        ask_queued(names);
}

struct name *names_add(struct names *names, const char *host, bool ipv4_only, const char *what)
{
        uint64_t hash = map_hash(&names->all, host, strlen(host));
        struct name *name;

        for (struct map_entry *at = map_first(&names->all, hash); at; at = map_next(at)) {
                name = container_of(at, struct name, entry);
                if (name->ipv4_only == ipv4_only && strcmp(name->host, host) == 0) {
                        name->users++;
                        return name;
                }
        }
        name = calloc(1, sizeof(*name));
        if (!name || map_insert(&names->all, &name->entry, hash) < 0) {
                free(name);
                return NULL;
        }
        name->names = names;
        name->users = 1;
        snprintf(name->host, sizeof(name->host), "%s", host);
        name->ipv4_only = ipv4_only;
        snprintf(name->what, sizeof(name->what), "%s", what);
        list_init(&name->in_queue);
        ev_init(&name->due, on_due);
        name->due.data = name;
        if (names_literal(host, name->address[0])) {
                name->count = 1;
        } else {
                enqueue(name);
                ask_queued(names);
        }
        return name;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the supervisor and the siblings say to the admin worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin_process.h"
#include "ipc_admin.h"
#include "ipc_fingerprint.h"

enum {
        CROWD_MIN = 32,                 /* told of in one turn; a link holds two or three times as many */
        CROWD_MS = 100,                 /* and it lasts, and a question waits at most */
        CROWD_AGAIN_MS = 10,
        LATER = -1,                     /* priority, as that of questions: what siblings have said is heard before */
};

/* One of a configuration. False: it is none, and who says so is disowned. */
static bool take_listener(struct admin *admin, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_admin_listener *listener = IPC_PAYLOAD(message, struct ipc_admin_listener);

        if (!admin->conf_open || admin->listener_next >= 0 || listener->auth_len > sizeof(listener->auth)) {
                worker_disown(from);
                return false;
        }
        admin->listener_next = ipc_received_take_fd(message, 0);
        return true;
}

#ifdef HG_OPENSSL
static void allow(void *context, uint64_t number, const uint8_t ip[16])
{
        struct ipc_admin_allow question = { .question = number };
        struct admin *admin = context;

        memcpy(question.ip, ip, sizeof(question.ip));
        worker_send(&admin->worker.supervisor, IPC_ADMIN_ALLOW, &question, NULL, 0);
}

static void say(void *context, const char *text)
{
        worker_log(&((struct admin *)context)->worker, LOG_NOTICE, "%s", text);
}

static int begin_unlimited(struct admin *admin)
{
        admin->unlimited = (struct admin_unlimited){ .tokens = admin_tokens_new(), .allow = allow, .say = say, .context = admin };
        return admin->unlimited.tokens ? 0 : -ENOMEM;
}

static void end_unlimited(struct admin *admin)
{
        admin_tokens_free(admin->unlimited.tokens);
}

static struct admin_site unlimited_site(struct admin *admin)
{
        return (struct admin_site){ .bodies = true, .answer = admin_unlimited_answer, .context = &admin->unlimited };
}

static void on_unlimited(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_admin_listener *listener = IPC_PAYLOAD(message, struct ipc_admin_listener);
        struct admin *admin = context;

        if (!take_listener(admin, from, message))
                return;
        admin->unlimited_next = true;
        admin_tokens_learn(admin->unlimited.tokens, listener->auth, listener->auth_len);
        explicit_bzero(message->payload.bytes, sizeof(*listener));
}

static void on_allowed(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_admin_allowed *allowed = IPC_PAYLOAD(message, struct ipc_admin_allowed);

        admin_http_answer(&((struct admin *)context)->http, allowed->question, admin_unlimited_allowed(allowed->ip, allowed->until_ms));
}

#else   /* there are no tokens: the configuration is told so */
static int begin_unlimited(struct admin *admin)
{
        return 0;
}

static void end_unlimited(struct admin *admin)
{
}

static struct admin_site unlimited_site(struct admin *admin)
{
        return (struct admin_site){ .bodies = false };
}
#endif

static void crowd_grows(struct admin *admin, usec_t now_us)
{
        struct admin_crowd *crowd = &admin->crowd;
        unsigned turn = ev_iteration(admin->worker.loop);

        crowd->told = turn == crowd->turn ? crowd->told + 1 : 1;
        crowd->turn = turn;
        if (crowd->told >= CROWD_MIN)
                crowd->until_us = now_us + MSEC(CROWD_MS);
}

static bool may_come(const struct admin_crowd *crowd, const struct admin_asked *asked)
{
        return asked->now.mono_us < usec_min(crowd->until_us, asked->since_us + MSEC(CROWD_MS));
}

static void ask_again(struct admin *admin)
{
        ev_timer *again = &admin->crowd.again;

        if (ev_is_active(again))
                return;
        ev_timer_set(again, CROWD_AGAIN_MS / 1e3, 0);
        ev_timer_start(admin->worker.loop, again);
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
        admin_http_ask_again(&((struct admin *)timer->data)->http);
}

static struct admin_answer answer(void *context, const struct admin_asked *asked)
{
        struct admin *admin = context;
        struct admin_answer answer = admin_answer(&admin->fingerprints, &admin->auth, asked->request, asked->short_only, asked->now.wall_us);

        if (answer.status != 404 || !may_come(&admin->crowd, asked))
                return answer;
        free(answer.body);
        ask_again(admin);
        return (struct admin_answer){ .status = 0 };
}

int admin_init(struct admin *admin, const uint8_t key[16])
{
        admin_fingerprints_init(&admin->fingerprints, key);
        admin_http_init(&admin->http, &admin->worker);
        ev_init(&admin->crowd.again, on_again);
        ev_set_priority(&admin->crowd.again, LATER);
        admin->crowd.again.data = admin;
        admin->listener_next = -1;
        return begin_unlimited(admin);
}

static void forget_next(struct admin *admin)
{
        if (admin->listener_next >= 0)
                close(admin->listener_next);
        admin->listener_next = -1;
        explicit_bzero(&admin->auth_next, sizeof(admin->auth_next));
}

void admin_fini(struct admin *admin)
{
        forget_next(admin);
        ev_timer_stop(admin->worker.loop, &admin->crowd.again);
        admin_http_fini(&admin->http);
        admin_fingerprints_fini(&admin->fingerprints);
        end_unlimited(admin);
        explicit_bzero(&admin->auth, sizeof(admin->auth));
}

static void on_begin(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct admin *admin = context;

        forget_next(admin);
        admin->conf_open = true;
}

static void on_listener(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_admin_listener *listener = IPC_PAYLOAD(message, struct ipc_admin_listener);
        struct admin *admin = context;

        if (!take_listener(admin, from, message))
                return;
        admin->unlimited_next = false;
        admin_auth_init(&admin->auth_next, listener->auth, listener->auth_len);
        explicit_bzero(message->payload.bytes, sizeof(*listener));
}

static void on_end(void *context, struct worker_link *from, struct ipc_received *message)
{
        struct admin *admin = context;
        struct admin_site site = { .answer = answer, .context = admin };

        if (!admin->conf_open) {
                worker_disown(from);
                return;
        }
        admin->conf_open = false;
        admin->auth = admin->auth_next;
        if (admin->unlimited_next)
                site = unlimited_site(admin);
        admin_http_listen(&admin->http, admin->listener_next, &site);
        admin->listener_next = -1;
        forget_next(admin);
}

/* Both ends are text that is compared as it is. Swarm workers speak for themselves alone. */
static bool is_sound(const struct worker_link *from, const struct ipc_tuple *tuple, uint32_t swarm)
{
        return tuple->protocol <= IPC_UDP && tuple->pad == 0 && (from->ipc.peer != IPC_SWARM || from->ipc.id == swarm);
}

static void on_set(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_fingerprint *said = IPC_PAYLOAD(message, struct ipc_fingerprint);
        struct admin *admin = context;
        struct now now;
        int r;

        if (!is_sound(from, &said->tuple, said->swarm) || said->metadata_len > sizeof(said->metadata)) {
                worker_disown(from);
                return;
        }
        worker_now(&now);
        crowd_grows(admin, now.mono_us);
        r = admin_fingerprints_set(&admin->fingerprints, from, from->ipc.peer == IPC_SWARM, said, now.wall_us);
        if (r < 0 && !admin->full)
                worker_log(&admin->worker, LOG_WARNING, "whose some connections to services are is not known: %s",
                           r == -ENOBUFS ? "there are too many at a time" : strerror(-r));
        admin->full = r < 0;
}

static void on_drop(void *context, struct worker_link *from, struct ipc_received *message)
{
        const struct ipc_fingerprint_drop *said = IPC_PAYLOAD(message, struct ipc_fingerprint_drop);
        struct admin *admin = context;

        if (!is_sound(from, &said->tuple, said->swarm))
                worker_disown(from);
        else
                admin_fingerprints_drop(&admin->fingerprints, from, said);
}

/* What a swarm worker carried is over with it. */
static void on_departed(void *context, struct worker_link *link)
{
        admin_fingerprints_lose(&((struct admin *)context)->fingerprints, link);
}

const struct worker_handlers admin_handlers = {
        .message = {
                [IPC_CONF_BEGIN] = on_begin,
                [IPC_ADMIN_LISTENER] = on_listener,
#ifdef HG_OPENSSL
                [IPC_ADMIN_UNLIMITED] = on_unlimited,
                [IPC_ADMIN_ALLOWED] = on_allowed,
#endif
                [IPC_CONF_END] = on_end,
                [IPC_FINGERPRINT_SET] = on_set,
                [IPC_FINGERPRINT_DROP] = on_drop,
        },
        .departed = on_departed,
};

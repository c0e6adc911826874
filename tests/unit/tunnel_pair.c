/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_pair.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

enum { KEY_BYTES = 4, HGX_ACTION = 0x40, ACTION_AT = 4, SPIN_MAX = 200000 };

/* Byte @at of what the end in @role sends on channel @key: no period that a lost or doubled block could hide in. */
static uint8_t pattern(uint32_t key, enum tunnel_role role, uint64_t at)
{
        uint64_t x = (at + 1) * 0x9e3779b97f4a7c15 + key * 0xbf58476d1ce4e5b9 + (uint64_t)role * 0x94d049bb133111eb;

        return (uint8_t)(x >> 32 ^ x >> 56);
}

static const struct tunnel_routers routers = {
        .list = { { .held = true, .public_key = { [0 ... TUNNEL_KEY_BYTES - 1] = 7 },
                    .auth_key = { [0 ... TUNNEL_AUTH_KEY_BYTES - 1] = 9 } } },
};

static struct tunnel *side_tunnel(struct pair *pair, enum tunnel_role role)
{
        struct tunnel_config config = { .role = role, .random = pair->random, .routers = &routers,
                                        .window_max_bytes = pair->window_max_bytes };
        struct now now = { .mono_us = pair->now_us, .wall_us = SECONDS(1700000000) };
        struct tunnel *t;

        memset(config.key, 1 + role, sizeof(config.key));
        memset(config.peer_key, 2 - role, sizeof(config.peer_key));
        check_equal(tunnel_new(&t, &config, &now), 0);
        return t;
}

struct pair *pair_new(uint64_t seed, int original)
{
        return pair_new_limited(seed, original, 0);
}

struct pair *pair_new_limited(uint64_t seed, int original, uint32_t window_max_bytes)
{
        struct pair *pair = calloc(1, sizeof(*pair));

        pair->window_max_bytes = window_max_bytes;
        pair->seed = seed;
        pair->random = (struct random){ test_random_fill, &pair->seed };
        pair->now_us = SECONDS(100);
        pair->next_key = 1;
        pair->cut_max = 70000;
        for (int role = 0; role < 2; role++) {
                struct pair_side *side = &pair->side[role];

                side->pair = pair;
                side->role = role;
                side->original = original == role;
                list_init(&side->wire);
                list_init(&side->apps);
                side->t = side_tunnel(pair, role);
        }
        return pair;
}

void pair_free(struct pair *pair)
{
        for (int role = 0; role < 2; role++) {
                list_for_each(at, &pair->side[role].apps)
                        free(list_entry(at, struct pair_app, entry));
                list_for_each(at, &pair->side[role].wire)
                        free(list_entry(at, struct pair_message, entry));
                tunnel_free(pair->side[role].t);
        }
        free(pair);
}

static struct pair_app *app_new(struct pair_side *side, const struct pair_plan *plan, uint32_t key)
{
        struct pair_app *app = calloc(1, sizeof(*app));

        *app = (struct pair_app){ .side = side, .plan = *plan, .key = key };
        list_push_back(&side->apps, &app->entry);
        return app;
}

struct pair_app *pair_open(struct pair *pair, uint16_t port, struct pair_plan plan)
{
        struct pair_side *side = &pair->side[TUNNEL_GATEWAY];
        struct pair_app *app = app_new(side, &plan, pair->next_key++);
        int r = tunnel_open(side->t, port, TUNNEL_TCP, &app->key, KEY_BYTES, pair->now_us + SECONDS(15), app, &app->ch, pair->now_us);

        if (r < 0)
                test_fail(__FILE__, __LINE__, "tunnel_open: %d", r);
        return app;
}

struct pair_app *pair_other(const struct pair_app *app)
{
        struct pair_side *side = &app->side->pair->side[!app->side->role];

        list_for_each(at, &side->apps)
                if (list_entry(at, struct pair_app, entry)->key == app->key)
                        return list_entry(at, struct pair_app, entry);
        return NULL;
}

bool pair_gone(const struct pair_app *app)
{
        return app->refused || app->closed;
}

bool pair_got_all(const struct pair_app *app)
{
        const struct pair_app *other = pair_other(app);

        return other && app->got == other->plan.want;
}

static void wire_put(struct pair_side *side, const void *head, size_t head_len, const void *body, size_t len)
{
        struct pair_message *message;

        if (side->original && ((const uint8_t *)head)[ACTION_AT] == HGX_ACTION)
                return;
        message = malloc(sizeof(*message) + head_len + len);
        message->at = 0;
        message->len = head_len + len;
        memcpy(message->bytes, head, head_len);
        if (len)
                memcpy(message->bytes + head_len, body, len);
        list_push_back(&side->wire, &message->entry);
        side->wire_bytes += message->len + TUNNEL_SEAL_BYTES;
        side->messages++;
}

static void side_transmit(struct pair_side *side)
{
        struct tunnel_message message;

        while (tunnel_transmit(side->t, &message, side->pair->now_us)) {
                check(message.len && message.len <= TUNNEL_MESSAGE_MAX);
                wire_put(side, message.bytes, message.len, NULL, 0);
        }
        check(side->wire_bytes <= PAIR_WIRE_BYTES);
}

static void app_write(struct pair_app *app)
{
        struct pair *pair = app->side->pair;
        static uint8_t data[TUNNEL_DATA_MAX];
        uint8_t header[TUNNEL_HEADER_BYTES];
        size_t room;

        while (app->sent < app->plan.want && (room = tunnel_writable(app->ch)) > 0) {
                size_t len = 1 + random_below(&pair->random, (uint32_t)room);

                len = MIN(len, app->plan.want - app->sent);
                for (size_t i = 0; i < len; i++)
                        data[i] = pattern(app->key, app->side->role, app->sent + i);
                tunnel_write(app->ch, len, header, pair->now_us);
                wire_put(app->side, header, sizeof(header), data, len);
                app->sent += len;
        }
        if (app->sent < app->plan.want)
                return;
        if (app->plan.abort_after) {
                tunnel_abort(app->ch, pair->now_us);
                app->ch = NULL;
                app->closed = true;
                return;
        }
        if (!app->ended && !app->plan.never_end && (!app->plan.end_late || app->saw_end)) {
                app->ended = true;
                tunnel_end(app->ch, pair->now_us);
                check_equal(tunnel_writable(app->ch), 0);
        }
}

/* As one whose socket is polled: told that it may, it writes once a turn, and waits again when it may no longer. */
static void app_poll(struct pair_app *app)
{
        struct pair *pair = app->side->pair;
        static const uint8_t zeros[TUNNEL_DATA_MAX];
        uint8_t header[TUNNEL_HEADER_BYTES];
        size_t room;

        if (!app->watched)
                return;
        room = tunnel_writable(app->ch);
        if (room) {
                tunnel_write(app->ch, room, header, pair->now_us);
                wire_put(app->side, header, sizeof(header), zeros, room);
                app->sent += room;
        }
        app->watched = tunnel_writable(app->ch) > 0;
}

static void app_read(struct pair_app *app)
{
        size_t left = app->plan.read_max, len;
        const uint8_t *bytes;
        bool ended = false;

        if (app->saw_end)
                return;
        while (left && (len = tunnel_peek(app->ch, &bytes, &ended)) > 0) {
                len = MIN(len, left);
                for (size_t i = 0; i < len && !app->side->pair->polled; i++)
                        if (bytes[i] != pattern(app->key, !app->side->role, app->got + i))
                                test_fail(__FILE__, __LINE__, "channel %u differs at byte %llu", app->key,
                                          (unsigned long long)(app->got + i));
                app->got += len;
                left -= len;
                tunnel_consume(app->ch, len, app->side->pair->now_us);
        }
        if (!left || !ended)
                return;
        app->saw_end = true;
        check(pair_got_all(app));       /* an end that comes early lies */
        tunnel_consume_end(app->ch, app->side->pair->now_us);
}

/* The provider's answer to an arrival; the metadata is the pattern's key. */
static void app_arrive(struct pair_side *side, const struct tunnel_event *event)
{
        static const char text[] = "no \"such\" service";
        struct pair_app *app;
        uint32_t key;

        check_equal(event->len, KEY_BYTES);
        memcpy(&key, event->bytes, sizeof(key));
        if (event->gate_port == PAIR_REFUSED_PORT) {
                tunnel_refuse(event->channel, text, sizeof(text) - 1, side->pair->now_us);
                return;
        }
        app = app_new(side, &side->pair->answer, key);
        app->ch = event->channel;
        app->open = event->gate_port != PAIR_SILENT_PORT;
        if (app->open)
                tunnel_accept(app->ch, app, side->pair->now_us);
        else
                tunnel_channel_set_context(app->ch, app);
}

static void app_gone(struct pair_app *app, const struct tunnel_event *event)
{
        app->refused = event->kind == TUNNEL_REFUSED;
        app->closed = event->kind == TUNNEL_CLOSED;
        app->closed_us = app->side->pair->now_us;
        app->reason = event->reason;
        app->ch = NULL;
        if (event->len)
                memcpy(app->text, event->bytes, MIN(event->len, sizeof(app->text) - 1));
}

static void side_event(struct pair_side *side, const struct tunnel_event *event)
{
        struct pair_app *app = event->context;

        switch (event->kind) {
        case TUNNEL_UP:
                check(event->role != side->role);
                side->ups++;
                return;
        case TUNNEL_FAILED:
                side->failed++;
                return;
        case TUNNEL_RELAY:
                side->relays++;
                side->relay = event->relay;
                return;
        case TUNNEL_BYE:
        case TUNNEL_ADVERT_LONG:
                check(false);           /* nobody here leaves, or says so much */
                return;
        case TUNNEL_ADVERT:
                side->adverts++;
                side->advert_len = event->len;
                side->advert_first = event->len ? event->bytes[0] : 0;
                return;
        case TUNNEL_ARRIVED:
                app_arrive(side, event);
                return;
        case TUNNEL_OPENED:
                app->open = app->watched = true;
                return;
        case TUNNEL_READABLE:
                return;
        case TUNNEL_WRITABLE:
                check(tunnel_writable(event->channel) > 0);
                app->watched = true;
                if (!app->side->pair->polled)
                        app_write(app); /* at once */
                return;
        case TUNNEL_REFUSED:
        case TUNNEL_CLOSED:
                app_gone(app, event);
                return;
        }
}

static void side_turn(struct pair_side *side)
{
        struct pair *pair = side->pair;
        struct tunnel_event event;
        struct tunnel_stats stats;
        unsigned spins = 0;

        tunnel_progress(side->t, PAIR_WIRE_BYTES - side->wire_bytes, side->wire_bytes, pair->now_us);
        if (tunnel_deadline(side->t) <= pair->now_us)
                tunnel_advance(side->t, pair->now_us);
        side_transmit(side);
        while (tunnel_event(side->t, &event, pair->now_us)) {
                side_event(side, &event);
                side_transmit(side);
                check(++spins < SPIN_MAX);
        }
        list_for_each(at, &side->apps) {
                struct pair_app *app = list_entry(at, struct pair_app, entry);

                if (app->ch && app->open)
                        app_read(app);
                if (app->ch && app->open && pair->polled)
                        app_poll(app);
                else if (app->ch && app->open)
                        app_write(app);
        }
        side_transmit(side);
        tunnel_stats(side->t, &stats);
        side->queued_max = MAX(side->queued_max, stats.queued_bytes);
}

/* From @from to the other side, in pieces. */
static void side_deliver(struct pair_side *from)
{
        struct pair *pair = from->pair;
        struct pair_side *to = &pair->side[!from->role];
        size_t left = pair->wire_rate ? pair->wire_rate : SIZE_MAX;
        struct list *first;

        while (left && (first = list_first(&from->wire))) {
                struct pair_message *message = list_entry(first, struct pair_message, entry);
                size_t cut = 1 + random_below(&pair->random, (uint32_t)pair->cut_max), len, n;

                len = MIN(MIN(message->len - message->at, left), cut);
                if (to->original && message->len > ACTION_AT && message->bytes[ACTION_AT] == HGX_ACTION)
                        n = len;
                else
                        n = tunnel_receive(to->t, message->bytes + message->at, len, pair->now_us);
                check(n <= len);
                check(n == len || tunnel_paused(to->t));
                message->at += n;
                left -= n;
                if (message->at == message->len) {
                        from->wire_bytes -= message->len + TUNNEL_SEAL_BYTES;
                        list_remove(&message->entry);
                        free(message);
                }
                if (n < len)
                        return;
        }
}

void pair_turn(struct pair *pair)
{
        for (int role = 0; role < 2; role++)
                side_turn(&pair->side[role]);
        for (int role = 0; role < 2; role++)
                side_deliver(&pair->side[role]);
        pair->now_us += PAIR_TURN_US;
}

void pair_run(struct pair *pair, usec_t for_us)
{
        usec_t end_us = pair->now_us + for_us;

        while (pair->now_us < end_us)
                pair_turn(pair);
}

bool pair_until(struct pair *pair, bool (*done)(const struct pair_app *), const struct pair_app *app, usec_t limit_us)
{
        usec_t end_us = pair->now_us + limit_us;

        while (pair->now_us < end_us && !done(app))
                pair_turn(pair);
        return done(app);
}

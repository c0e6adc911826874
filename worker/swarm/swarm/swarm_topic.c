/* SPDX-License-Identifier: BSD-3-Clause */
/* What a swarm does at one topic: announce, look up, and withdraw when it leaves. Of several topics each goes at its own pace. */
#include <assert.h>
#include <string.h>

#include "swarm_state.h"

#define STARTING_US SECONDS(3)                  /* for our server to be announced; then we look, at least */
#define ANNOUNCE_US MINUTES(11)                 /* records live 13 to 27 minutes: swarm.md 1 */
#define ANNOUNCE_RETRY_US SECONDS(1)            /* nobody took the record: doubled each time */
#define ANNOUNCE_RETRY_MAX_US MINUTES(1)
#define ANNOUNCE_PAUSE_US SECONDS(10)           /* relays that change all the time are told no faster */
#define LOOKUP_FIRST_US MSEC(250)               /* doubled each time; fourfold in company */
#define LOOKUP_ALONE_US SECONDS(30)             /* no slower than this */
#define LOOKUP_COMPANY_US MINUTES(4)
#define ANSWERS_QUICK 480                       /* of nodes: 24 lookups in a large DHT, each of a handful in a small one */
#define ANSWERS_DRY 24                          /* in a row that name nobody new: of a hundred members, of whom a node tells 20 at a
                                                 * time, one is missed by as many in 200 times */
#define CROWD 20                                /* members: a node tells no more at a time */

enum swarm_phase_event {
        REACHABLE,
        DONE,                   /* the query */
        LOOKUP_DUE,             /* or waited long enough to be reachable */
        ANNOUNCE_DUE,
        LEAVE_SEEN,             /* leave, and our record is out there */
        LEAVE_UNSEEN,
        PHASE_EVENTS
};

/* Announce first, then look: of two who start at once, at least one finds the other. */
static const enum swarm_phase phase_next[SWARM_PHASES][PHASE_EVENTS] = {
        [SWARM_STARTING] = { [REACHABLE] = SWARM_ANNOUNCING, [LOOKUP_DUE] = SWARM_LOOKING, [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_ANNOUNCING] = { [DONE] = SWARM_LOOKING, [LEAVE_SEEN] = SWARM_LEAVING },
        [SWARM_LOOKING] = { [DONE] = SWARM_SETTLED, [LEAVE_SEEN] = SWARM_LEAVING, [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_SETTLED] = { [LOOKUP_DUE] = SWARM_LOOKING, [ANNOUNCE_DUE] = SWARM_ANNOUNCING, [LEAVE_SEEN] = SWARM_LEAVING,
                            [LEAVE_UNSEEN] = SWARM_GONE },
        [SWARM_LEAVING] = { [DONE] = SWARM_GONE },
};

static void step(struct swarm_topic *topic, enum swarm_phase_event event)
{
        enum swarm_phase next = phase_next[topic->phase][event];

        if (next == SWARM_PHASE_SAME)
                return;
        topic->phase = next;
        topic->query_wanted = next == SWARM_ANNOUNCING || next == SWARM_LOOKING || next == SWARM_LEAVING;
}

static void announce_at(struct swarm_topic *topic, usec_t when_us)
{
        topic->announce_due_us = usec_min(topic->announce_due_us, when_us);
}

static void reachable(struct swarm_topic *topic, usec_t now_us)
{
        topic->clear = true;            /* JavaScript nodes keep the old record otherwise */
        announce_at(topic, topic->announced_us ? usec_max(now_us, usec_add(topic->announced_us, ANNOUNCE_PAUSE_US)) : now_us);
        step(topic, REACHABLE);
}

void swarm_join(struct swarm *swarm, unsigned number, usec_t now_us)
{
        struct swarm_topic *topic = &swarm->topics[number];

        assert(number < SWARM_TOPICS_MAX && topic->phase == SWARM_GONE);
        *topic = (struct swarm_topic){
                .phase = SWARM_STARTING,
                .lookup_due_us = usec_add(now_us, STARTING_US),
                .announce_due_us = USEC_NEVER,
                .clear = true,          /* a life before this one may have left a record with other relays */
        };
        if (swarm->relay_count)
                reachable(topic, now_us);
}

bool swarm_topic_is_in(const struct swarm_topic *topic)
{
        return topic->phase != SWARM_LEAVING && topic->phase != SWARM_GONE;
}

bool swarm_topic_task(struct swarm *swarm, unsigned number, struct swarm_task *out)
{
        struct swarm_topic *topic = &swarm->topics[number];

        if (!topic->query_wanted)
                return false;
        topic->query_wanted = false;
        *out = (struct swarm_task){ .kind = SWARM_LOOKUP, .topic = number, .seeds = topic->seeds, .seed_count = topic->seed_count };
        if (topic->phase == SWARM_LEAVING) {
                out->kind = SWARM_UNANNOUNCE;
        } else if (topic->phase == SWARM_ANNOUNCING) {
                out->kind = SWARM_ANNOUNCE;
                out->addrs = swarm->relays;
                out->addr_count = swarm->relay_count;
                out->clear = topic->clear;
                topic->announce_due_us = USEC_NEVER;    /* set anew when it is done, or when the relays change meanwhile */
        }
        return true;
}

void swarm_topic_advance(struct swarm_topic *topic, usec_t now_us)
{
        if (topic->phase == SWARM_SETTLED && now_us >= topic->announce_due_us)
                step(topic, ANNOUNCE_DUE);
        else if (now_us >= topic->lookup_due_us)
                step(topic, LOOKUP_DUE);
}

usec_t swarm_topic_deadline(const struct swarm_topic *topic)
{
        usec_t due_us = USEC_NEVER;

        if (topic->phase == SWARM_STARTING || topic->phase == SWARM_SETTLED)
                due_us = topic->lookup_due_us;
        return topic->phase == SWARM_SETTLED ? usec_min(due_us, topic->announce_due_us) : due_us;
}

void swarm_reachable(struct swarm *swarm, const struct addr *relays, size_t count, usec_t now_us)
{
        bool same = swarm->relay_count && swarm->relay_count == MIN(count, ARRAY_LEN(swarm->relays));

        for (size_t i = 0; same && i < count; i++)
                same = addr_equal(&swarm->relays[i], &relays[i]);
        if (!count || same)
                return;
        swarm->relay_count = MIN(count, ARRAY_LEN(swarm->relays));
        memcpy(swarm->relays, relays, swarm->relay_count * sizeof(*relays));
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++)
                reachable(&swarm->topics[i], now_us);
}

static usec_t doubled(usec_t first_us, unsigned times, usec_t most_us)
{
        while (times-- && first_us < most_us)
                first_us *= 2;
        return usec_min(first_us, most_us);
}

static void announce_done(const struct swarm *swarm, struct swarm_topic *topic, bool accepted, usec_t now_us)
{
        bool moved = topic->announce_due_us != USEC_NEVER;

        topic->announced = accepted;
        topic->announced_us = now_us;
        if (accepted) {
                topic->announce_failures = topic->quick = 0;
                topic->clear = moved;
                announce_at(topic, usec_add(now_us, swarm_about(swarm, moved ? ANNOUNCE_PAUSE_US : ANNOUNCE_US)));
        } else {
                usec_t pause_us = doubled(ANNOUNCE_RETRY_US, topic->announce_failures++, ANNOUNCE_RETRY_MAX_US);

                announce_at(topic, usec_add(now_us, swarm_about(swarm, pause_us)));
        }
}

static void lookup_done(const struct swarm *swarm, struct swarm_topic *topic, unsigned replies, usec_t now_us)
{
        usec_t most_us = swarm->useful_count ? LOOKUP_COMPANY_US : LOOKUP_ALONE_US;
        usec_t pause_us = doubled(LOOKUP_FIRST_US, topic->lookups, most_us);

        topic->lookup_due_us = usec_add(now_us, swarm_about(swarm, pause_us));
        topic->dry = topic->found_new ? 0 : topic->dry + replies;
        if (replies && swarm->by_key.count >= CROWD && topic->dry < ANSWERS_DRY && topic->quick < ANSWERS_QUICK)
                topic->quick += replies;        /* there may be more where those came from */
        else if (pause_us < most_us)
                topic->lookups += swarm->useful_count ? 2 : 1;
        topic->found_new = false;
}

void swarm_query_done(struct swarm *swarm, unsigned number, const struct addr *closest, size_t count, unsigned replies,
                      unsigned accepted, usec_t now_us)
{
        struct swarm_topic *topic = &swarm->topics[number];

        if (count && replies) {
                topic->seed_count = MIN(count, ARRAY_LEN(topic->seeds));
                memcpy(topic->seeds, closest, topic->seed_count * sizeof(*closest));
        }
        if (topic->phase == SWARM_ANNOUNCING)
                announce_done(swarm, topic, accepted > 0, now_us);
        else if (topic->phase == SWARM_LOOKING)
                lookup_done(swarm, topic, replies, now_us);
        step(topic, DONE);
}

void swarm_topic_look_soon(struct swarm *swarm, struct swarm_topic *topic, usec_t now_us)
{
        topic->lookups = 0;
        topic->lookup_due_us = usec_min(topic->lookup_due_us, usec_add(now_us, swarm_about(swarm, LOOKUP_FIRST_US)));
}

void swarm_wake(struct swarm *swarm, usec_t now_us)
{
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++) {
                struct swarm_topic *topic = &swarm->topics[i];

                topic->lookups = 0;
                topic->clear = true;
                if (swarm->relay_count)
                        announce_at(topic, now_us);
                topic->lookup_due_us = usec_min(topic->lookup_due_us, now_us);
        }
}

void swarm_come_back(struct swarm *swarm, usec_t now_us)
{
        for (size_t i = 0; i < ARRAY_LEN(swarm->topics); i++) {
                struct swarm_topic *topic = &swarm->topics[i];

                topic->lookups = 0;
                topic->lookup_due_us = usec_min(topic->lookup_due_us, now_us);
                if (topic->announce_failures && swarm->relay_count)
                        announce_at(topic, now_us);
                topic->announce_failures = 0;
        }
        swarm_peer_come_back(swarm, now_us);
}

void swarm_leave(struct swarm *swarm, unsigned number, usec_t now_us)
{
        struct swarm_topic *topic = &swarm->topics[number];

        step(topic, topic->announced || topic->phase == SWARM_ANNOUNCING ? LEAVE_SEEN : LEAVE_UNSEEN);
        topic->announced = false;
        swarm_peer_unlist(swarm, number);
}

bool swarm_has_left(const struct swarm *swarm, unsigned number)
{
        return swarm->topics[number].phase == SWARM_GONE;
}

bool swarm_announced(const struct swarm *swarm, unsigned number)
{
        return swarm->topics[number].announced;
}

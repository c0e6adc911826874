/* SPDX-License-Identifier: BSD-3-Clause */
#include "status.h"

#include <inttypes.h>
#include <stdio.h>

#include "monotonic.h"
#include "notify.h"

#define UNREACHABLE_S 10.0
#define LINE_S 1.0

static const char *plural(unsigned count)
{
        return count == 1 ? "" : "s";
}

/* A node that hears nobody may take itself for the first one and serve: for us that is no network yet. */
static bool is_reached(const struct ipc_swarm_status *status)
{
        return status->bootstrapped && status->nodes > 0;
}

const char *status_text(const struct status *status, char *out, size_t size)
{
        const struct ipc_swarm_status *last = &status->last;
        unsigned open = status->gates ? gates_open_count(status->gates) : 0;
        uint64_t dropped = status->dropped + last->datagrams_dropped;
        int len;

        if (!is_reached(last) && status->conf->bootstrap_count > 0)
                len = snprintf(out, size, "DHT not reached yet, trying");
        else
                len = snprintf(out, size, "%u provider%s, %u gateway%s, %u gate%s open, %u channel%s, %u DHT node%s", last->providers,
                         plural(last->providers), last->gateways, plural(last->gateways), open, plural(open), last->channels,
                         plural(last->channels), last->nodes, plural(last->nodes));
        if (last->relayed > 0 && (size_t)len < size)
                len += snprintf(out + len, size - (size_t)len, ", %u peer%s through a relay", last->relayed, plural(last->relayed));
        if (status->conf->relay.present && (size_t)len < size)
                len += snprintf(out + len, size - (size_t)len, ", %u connection%s relayed", last->relays, plural(last->relays));
        if (dropped > 0 && (size_t)len < size)
                len += snprintf(out + len, size - (size_t)len, ", %" PRIu64 " UDP datagram%s dropped", dropped,
                                dropped == 1 ? "" : "s");
        if (last->streams_dropped > 0 && (size_t)len < size)
                len += snprintf(out + len, size - (size_t)len, ", %" PRIu64 " packet%s of streams dropped", last->streams_dropped,
                                last->streams_dropped == 1 ? "" : "s");
        if (last->strangers_dropped > 0 && (size_t)len < size)
                snprintf(out + len, size - (size_t)len, ", %" PRIu64 " of strangers dropped", last->strangers_dropped);
        return out;
}

static void on_line(struct ev_loop *loop, ev_timer *timer, int events)
{
        char text[320];

        notify_status(status_text(timer->data, text, sizeof(text)));
}

void status_touch(struct status *status)
{
        if (ev_is_active(&status->line))
                return;
        ev_timer_set(&status->line, LINE_S, 0);
        ev_timer_start(status->loop, &status->line);
}

/* "node1.example:49737 and 2 others" */
static const char *seeds_text(const struct conf *conf, char *out, size_t size)
{
        size_t others = conf->bootstrap_count - 1;
        int len = snprintf(out, size, "%.64s:%u", conf->bootstrap[0].host, conf->bootstrap[0].port);

        if (others > 0)
                snprintf(out + len, size - (size_t)len, " and %zu other%s", others, plural((unsigned)others));
        return out;
}

static void on_unreachable(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct status *status = timer->data;
        char seeds[128];

        log_event(status->log, IPC_EVENT_DHT_UNREACHABLE, LOG_WARNING, NULL,
                  "DHT unreachable: no answer from bootstrap node%s %s; asking again, at least every %d s",
                  plural((unsigned)status->conf->bootstrap_count), seeds_text(status->conf, seeds, sizeof(seeds)),
                  STATUS_ASKED_EVERY_S);
        status->told_unreachable = true;
        status->lost(status->context);
}

static void arm(struct status *status)
{
        ev_timer_stop(status->loop, &status->unreachable);
        if (status->conf->bootstrap_count == 0)
                return;
        ev_timer_set(&status->unreachable, UNREACHABLE_S, 0);
        ev_timer_start(status->loop, &status->unreachable);
}

static uint32_t most(uint32_t a, uint32_t b)
{
        return a > b ? a : b;
}

static struct ipc_swarm_status sum(const struct status *status)
{
        struct ipc_swarm_status all = status->of[0];

        for (size_t i = 1; i < CONF_CORES_MAX; i++) {
                const struct ipc_swarm_status *one = &status->of[i];

                all.gateways = most(all.gateways, one->gateways);
                all.providers = most(all.providers, one->providers);
                all.relayed = most(all.relayed, one->relayed);
                all.outdated = most(all.outdated, one->outdated);
                all.channels += one->channels;
                all.sent_bytes += one->sent_bytes;
                all.received_bytes += one->received_bytes;
                all.datagrams_dropped += one->datagrams_dropped;
                all.strangers_dropped += one->strangers_dropped;
                all.streams_dropped += one->streams_dropped;
                all.limited += one->limited;
        }
        all.sent_bytes += status->gone.sent_bytes;
        all.received_bytes += status->gone.received_bytes;
        all.strangers_dropped += status->gone.strangers_dropped;
        all.streams_dropped += status->gone.streams_dropped;
        all.limited += status->gone.limited;
        return all;
}

void status_begin(struct status *status, uint32_t swarm)
{
        struct ipc_swarm_status *own = &status->of[swarm - 1];

        status->dropped += own->datagrams_dropped;
        status->gone.sent_bytes += own->sent_bytes;
        status->gone.received_bytes += own->received_bytes;
        status->gone.strangers_dropped += own->strangers_dropped;
        status->gone.streams_dropped += own->streams_dropped;
        status->gone.limited += own->limited;
        *own = (struct ipc_swarm_status){ 0 };
        status->last = sum(status);
        if (swarm == 1)
                arm(status);
        status_touch(status);
}

/* What changes again and again is told no more often than anything else of a worker. */
static bool may_tell(struct status *status)
{
        unsigned dropped = 0;

        if (!log_limit_take(&status->told, monotonic_us(), &dropped))
                return false;
        if (dropped)
                log_notice(status->log, "%u more lines about the network left out", dropped);
        return true;
}

static void on_reached(struct status *status, unsigned nodes)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;

        ipc_fields_number(&fields, "NODES", nodes);
        if (may_tell(status))
                log_event(status->log, IPC_EVENT_DHT_REACHED, status->told_unreachable ? LOG_NOTICE : LOG_INFO, fields.list,
                          "DHT reached: %u node%s known", nodes, plural(nodes));
        ev_timer_stop(status->loop, &status->unreachable);
        status->told_unreachable = false;
}

static void on_lost(struct status *status)
{
        bool first = status->conf->bootstrap_count == 0;

        if (may_tell(status))
                log_event(status->log, IPC_EVENT_DHT_LOST, LOG_NOTICE, NULL, "%s",
                          first ? "no other node is left in this DHT; they are welcome again"
                                : "DHT lost: no node answers any more; asking the bootstrap nodes again");
        if (!first)
                arm(status);
}

static void on_announced(struct status *status, unsigned announced)
{
        bool provider = status->conf->provider.present, gateway = status->conf->gateway.present;

        if ((announced != 0 && announced != (unsigned)provider + gateway) || !may_tell(status))
                return;
        if (announced == 0)
                log_event(status->log, IPC_EVENT_ANNOUNCEMENT_LOST, LOG_NOTICE, NULL,
                          "no node of the DHT holds our announcement any more: announcing again");
        else
                log_event(status->log, IPC_EVENT_ANNOUNCED, LOG_INFO, NULL, "announced on the DHT: others can find this %s%s%s",
                          provider ? "provider" : "", provider && gateway ? " and " : "", gateway ? "gateway" : "");
}

static void on_peers(struct status *status, unsigned providers, unsigned gateways)
{
        struct ipc_fields fields = IPC_FIELDS_INIT;
        char text[96] = "no peer any more: looking for them";

        if (!may_tell(status))
                return;
        if (providers && gateways)
                snprintf(text, sizeof(text), "%u provider%s and %u gateway%s", providers, plural(providers), gateways, plural(gateways));
        else if (providers || gateways)
                snprintf(text, sizeof(text), "%u %s%s", providers + gateways, providers ? "provider" : "gateway",
                         plural(providers + gateways));
        ipc_fields_number(&fields, "PROVIDERS", providers);
        ipc_fields_number(&fields, "GATEWAYS", gateways);
        log_event(status->log, IPC_EVENT_PEERS, LOG_NOTICE, fields.list, "connected to %s", text);
}

void status_swarm(struct status *status, uint32_t swarm, const struct ipc_swarm_status *said)
{
        const struct ipc_swarm_status before = status->last, *now = &status->last;

        status->of[swarm - 1] = *said;
        status->last = sum(status);
        if (!before.bootstrapped && now->bootstrapped && status->conf->bootstrap_count == 0 && may_tell(status))
                log_info(status->log, "no bootstrap nodes: this is the first node of a DHT of its own, others may come");
        if (!is_reached(&before) && is_reached(now))
                on_reached(status, now->nodes);
        else if (is_reached(&before) && !is_reached(now))
                on_lost(status);
        if (before.announced != now->announced)
                on_announced(status, now->announced);
        if (before.providers != now->providers || before.gateways != now->gateways)
                on_peers(status, now->providers, now->gateways);
        status_touch(status);
}

void status_forward(struct status *status, const struct ipc_forward_status *more)
{
        for (size_t i = 0; i < IPC_REASONS; i++)
                status->ended[i] += more->ended[i];
        status->dropped += more->datagrams_dropped;
        if (more->datagrams_dropped)
                status_touch(status);
}

void status_router(struct status *status, const struct ipc_router_status *more)
{
        status->adverts_dropped += more->adverts_dropped;
}

/* Of an interval in which nothing was carried nothing is said. */
static void on_stats(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct status *status = timer->data;
        uint64_t sent = status->last.sent_bytes - status->stats_sent_bytes;
        uint64_t received = status->last.received_bytes - status->stats_received_bytes;
        char text[320];

        status->stats_sent_bytes += sent;
        status->stats_received_bytes += received;
        if (sent || received)
                log_info(status->log, "in the last %.0f s %" PRIu64 " bytes were sent to peers and %" PRIu64 " received; now %s", timer->repeat,
                         sent, received, status_text(status, text, sizeof(text)));
}

/* A reload that changes nothing of it does not begin it anew. */
static void arm_stats(struct status *status)
{
        double interval_s = status->conf->stats_interval_ms / 1e3;

        if (status->stats.repeat == interval_s)
                return;
        status->stats.repeat = interval_s;
        ev_timer_again(status->loop, &status->stats);           /* 0 stops it */
}

void status_init(struct status *status, struct ev_loop *loop, const struct log *log, const struct gates *gates,
                 const struct conf *conf, void (*lost)(void *context), void *context)
{
        *status = (struct status){ .loop = loop, .log = log, .gates = gates, .conf = conf, .lost = lost, .context = context };
        ev_init(&status->unreachable, on_unreachable);
        ev_init(&status->line, on_line);
        ev_init(&status->stats, on_stats);
        status->unreachable.data = status->line.data = status->stats.data = status;
        arm_stats(status);
}

void status_reload(struct status *status, const struct conf *conf)
{
        status->conf = conf;
        arm_stats(status);
        status_touch(status);
}

void status_fini(struct status *status)
{
        ev_timer_stop(status->loop, &status->stats);
        ev_timer_stop(status->loop, &status->unreachable);
        ev_timer_stop(status->loop, &status->line);
}

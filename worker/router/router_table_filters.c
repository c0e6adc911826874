/* SPDX-License-Identifier: BSD-3-Clause */
/* What the filters of a gateway say of routes. */
#include <string.h>

#include "ipc_router.h"
#include "router_table_state.h"

static bool has_word(const char *words, const char *word, size_t len)
{
        for (const char *at = words; *(at += strspn(at, " \t")); at += strcspn(at, " \t"))
                if (strcspn(at, " \t") == len && memcmp(at, word, len) == 0)
                        return true;
        return false;
}

static bool has_words(const char *words, const char *wanted)
{
        for (const char *at = wanted; *(at += strspn(at, " \t")); at += strcspn(at, " \t"))
                if (!has_word(words, at, strcspn(at, " \t")))
                        return false;
        return true;
}

static bool is_between(uint16_t first, uint16_t last, uint16_t port)
{
        return first <= port && port <= last;
}

static bool filter_matches(const struct ipc_router_filter *filter, const struct route *route)
{
        uint32_t fields = filter->fields;

        return (!(fields & IPC_FILTER_GATE_PORT) || is_between(filter->gate_port, filter->gate_port_last, route->gate_port)) &&
               (!(fields & IPC_FILTER_SERVICE_PORT) || is_between(filter->service_port, filter->service_port_last, route->service_port)) &&
               (!(fields & IPC_FILTER_PROTOCOL) || filter->protocol == route->protocol) &&
               (!(fields & IPC_FILTER_HOST) || strcmp(filter->host, route->host) == 0) &&
               (!(fields & IPC_FILTER_TAGS) || has_words(route->tags, filter->tags));
}

static bool is_exception(const struct ipc_router_filter *filter)
{
        return filter->fields & IPC_FILTER_EXCEPT;
}

static bool route_excepted(const struct route_table *table, const struct route *route)
{
        for (size_t i = 0; i < table->filter_count; i++)
                if (is_exception(&table->filters[i]) && filter_matches(&table->filters[i], route))
                        return true;
        return false;
}

/* By the first filter that says one for it. */
static uint16_t route_priority(const struct route_table *table, const struct route *route)
{
        for (size_t i = 0; i < table->filter_count; i++)
                if (table->filters[i].priority >= 0 && filter_matches(&table->filters[i], route))
                        return (uint16_t)table->filters[i].priority;
        return route->said_priority;
}

static bool is_only(const struct ipc_router_filter *filter)
{
        return filter->fields & IPC_FILTER_ONLY;
}

/* What filters say of a route, or of a gate. */
struct verdict {
        unsigned matching, others;
        unsigned meant, unmeant;        /* of those that something must match */
        bool named;                     /* one that matches says the gate port, or which host alone is meant */
};

static void judge(struct verdict *verdict, const struct ipc_router_filter *filter, bool matches)
{
        verdict->matching += matches;
        verdict->others += !matches;
        verdict->named = verdict->named || (matches && (filter->fields & IPC_FILTER_GATE_PORT));
}

static void judge_only(struct verdict *verdict, const struct ipc_router_filter *only, bool matches)
{
        verdict->meant += matches;
        verdict->unmeant += !matches;
        verdict->named = verdict->named || (matches && (only->fields & IPC_FILTER_HOST));
}

/* One of those that something must match, and any filter or all of them together; without any, everything is. */
static bool is_admitted(const struct route_table *table, const struct verdict *verdict)
{
        if (verdict->unmeant > 0 && verdict->meant == 0)
                return false;
        if (!table->selective)
                return true;
        return table->every ? verdict->others == 0 : verdict->matching > 0;
}

/* *@named_out: whether one that lets it through says the gate port, or that its host alone is meant. */
static bool passes(const struct route_table *table, const struct route *route, uint16_t *priority_out, bool *named_out)
{
        struct verdict verdict = { 0 };

        if (route_excepted(table, route))
                return false;
        *priority_out = route_priority(table, route);
        for (size_t i = 0; i < table->filter_count; i++) {
                const struct ipc_router_filter *filter = &table->filters[i];

                if (is_only(filter))
                        judge_only(&verdict, filter, filter_matches(filter, route));
                else if (!is_exception(filter))
                        judge(&verdict, filter, filter_matches(filter, route));
        }
        *named_out = verdict.named;
        return is_admitted(table, &verdict);
}

bool route_passes(const struct route_table *table, const struct route *route, uint16_t *priority_out)
{
        bool named;

        return passes(table, route, priority_out, &named);
}

/* A low port only by one that names it or its host, lest whoever holds the secret opens our port 22. */
bool route_admitted(struct route_table *table, struct route *route)
{
        bool named;

        if (!passes(table, route, &route->priority, &named))
                return false;
        if (route->gate_port >= ROUTE_LOW_PORTS || named)
                return true;
        table->low_seen[route->gate_port / 8] |= (uint8_t)(1u << route->gate_port % 8);
        table->low_dirty = true;
        return false;
}

bool route_gate_allowed(const struct route_table *table, const struct route_gate *gate)
{
        static const uint32_t of_gates = IPC_FILTER_GATE_PORT | IPC_FILTER_PROTOCOL;
        struct verdict verdict = { 0 };

        for (size_t i = 0; i < table->filter_count; i++) {
                const struct ipc_router_filter *filter = &table->filters[i];
                bool matches = (!(filter->fields & IPC_FILTER_GATE_PORT) ||
                                is_between(filter->gate_port, filter->gate_port_last, gate->port)) &&
                               (!(filter->fields & IPC_FILTER_PROTOCOL) || filter->protocol == gate->protocol);

                if (matches && is_exception(filter) && !(filter->fields & ~(of_gates | IPC_FILTER_EXCEPT)))
                        return false;
                if (!is_exception(filter) && !is_only(filter))
                        judge(&verdict, filter, matches);
        }
        return is_admitted(table, &verdict);
}

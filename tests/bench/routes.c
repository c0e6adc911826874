/* SPDX-License-Identifier: BSD-3-Clause */
/* routes [PEERS [ROUTES]]: what so many peers with so many routes each (40 and 250) cost a gateway: its router worker to read and to hold them
 * all, and to hear them again; a forward worker to hold them, and to choose one of the ways of a gate by each policy. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "forward_choose.h"
#include "ipc_forward.h"
#include "ipc_route.h"
#include "router_advert.h"
#include "router_table.h"

enum { FIRST_GATE = 10000, PEERS_OF_A_GATE = 4, TAKES = 200000 };

static const uint8_t map_key[16] = { 7 };
static struct advert advert;
static struct choose choose;

static double now_ms(void)
{
        struct timespec at;

        clock_gettime(CLOCK_MONOTONIC, &at);
        return (double)at.tv_sec * 1e3 + (double)at.tv_nsec / 1e6;
}

static double held_mb(void)
{
        return (double)mallinfo2().uordblks / 1e6;
}

/* Four peers, one after the other, have the same gates. */
static char *say(unsigned peer, unsigned routes, size_t *len_out)
{
        static struct advert_route list[ADVERT_ROUTES_MAX];
        char *text = NULL;

        for (unsigned i = 0; i < routes; i++) {
                list[i] = (struct advert_route){ .gate_port = (uint16_t)(FIRST_GATE + peer / PEERS_OF_A_GATE * routes + i),
                                                 .service_port = 8080 };
                snprintf(list[i].host, sizeof(list[i].host), "service-%u.example.org", i);
                snprintf(list[i].tags, sizeof(list[i].tags), "web public");
        }
        if (advert_encode(list, routes, &text, len_out) < 0)
                exit(1);
        return text;
}

static unsigned drain(struct route_table *table)
{
        struct route_event event;
        unsigned count = 0;

        for (; route_table_event(table, &event); count++)
                if (event.kind == ROUTE_OFFERED && choose_set(&choose, &event.via, event.gate_port, event.protocol, event.service,
                                                              event.priority, event.name) < 0)
                        exit(1);
        return count;
}

/* Every peer says what it has; the longest that one of them took. */
static double hear(struct route_table *table, char **texts, const size_t *lens, unsigned peers, unsigned *events_out)
{
        double most_ms = 0;

        *events_out = 0;
        for (unsigned i = 0; i < peers; i++) {
                struct ipc_via via = { .peer = { (uint8_t)i, (uint8_t)(i >> 8) }, .swarm = 1 };
                double began_ms = now_ms();

                if (advert_decode(texts[i], lens[i], &advert) != ADVERT_OK || route_table_merge(table, &via, &advert, SECONDS(1)) < 0)
                        exit(1);
                advert_release(&advert);
                *events_out += drain(table);
                most_ms = now_ms() - began_ms > most_ms ? now_ms() - began_ms : most_ms;
        }
        return most_ms;
}

static void take(const char *name, enum ipc_policy policy, unsigned gates)
{
        uint8_t address[16] = { 0 };
        struct choose_ask ask = { .protocol = IPC_TCP, .policy = policy, .address = address };
        double began_ms = now_ms();

        for (unsigned i = 0; i < TAKES; i++) {
                struct choose_way *way;

                ask.gate_port = (uint16_t)(FIRST_GATE + i % gates);
                address[15] = (uint8_t)i;
                way = choose_take(&choose, &ask);
                if (!way)
                        exit(1);
                choose_leave(&choose, way);
        }
        printf("a client's way, %-17s %8.0f ns\n", name, (now_ms() - began_ms) * 1e6 / TAKES);
}

int main(int argc, char **argv)
{
        unsigned peers = argc > 1 ? (unsigned)atoi(argv[1]) : 40, routes = argc > 2 ? (unsigned)atoi(argv[2]) : 250, events;
        char **texts = calloc(peers, sizeof(*texts));
        size_t *lens = calloc(peers, sizeof(*lens));
        unsigned gates = (peers + PEERS_OF_A_GATE - 1) / PEERS_OF_A_GATE * routes;
        double before_mb, began_ms, most_ms;
        struct route_table table;

        if (!texts || !lens || !peers || !routes || routes > ADVERT_ROUTES_MAX || gates > ROUTE_GATES_MAX)
                return 2;
        for (unsigned i = 0; i < peers; i++)
                texts[i] = say(i, routes, &lens[i]);
        route_table_init(&table, map_key);
        choose_init(&choose, map_key);
        before_mb = held_mb();
        began_ms = now_ms();
        most_ms = hear(&table, texts, lens, peers, &events);
        printf("%zu routes of %u peers, %u gates, %zu bytes each time\n", table.routes, peers, gates, lens[0]);
        printf("heard the first time, all; one peer    %8.1f ms; at most %.2f ms (%u events)\n", now_ms() - began_ms, most_ms, events);
        printf("held by router and forward worker      %8.1f MB\n", held_mb() - before_mb);
        began_ms = now_ms();
        most_ms = hear(&table, texts, lens, peers, &events);
        printf("heard again, all; one peer             %8.1f ms; at most %.2f ms (%u events)\n", now_ms() - began_ms, most_ms, events);
        take("round-robin", IPC_POLICY_ROUND_ROBIN, gates);
        take("least-connections", IPC_POLICY_LEAST_CONNECTIONS, gates);
        take("source-hash", IPC_POLICY_SOURCE_HASH, gates);
        take("first", IPC_POLICY_FIRST, gates);
        choose_fini(&choose);
        route_table_fini(&table);
        for (unsigned i = 0; i < peers; i++)
                free(texts[i]);
        free(texts);
        free(lens);
        return 0;
}

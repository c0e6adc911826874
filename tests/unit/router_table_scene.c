/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_table_scene.h"

#include <stdio.h>
#include <string.h>

struct route_table table;
struct advert advert;

static const uint8_t map_key[16] = { 1 };
static char story[65536];

void begin(void)
{
        route_table_init(&table, map_key);
        advert = (struct advert){ 0 };
}

void finish(void)
{
        route_table_fini(&table);
}

void begin_filtered(const struct ipc_router_filter *const chosen[3], bool every)
{
        struct ipc_router_filter filters[3];
        size_t count = 0;

        for (; count < 3 && chosen[count]; count++)
                filters[count] = *chosen[count];
        begin();
        route_table_filter_mode(&table, every);
        check_equal(route_table_filter(&table, filters, count, 0), 0);
}

void offer(uint16_t gate_port, const char *host, const char *tags)
{
        struct advert_route *route = &advert.routes[advert.count++];

        *route = (struct advert_route){ .gate_port = gate_port, .service_port = 80 };
        strcpy(route->host, host);
        strcpy(route->tags, tags);
}

void say(const struct ipc_via *peer, usec_t now_us)
{
        check_equal(route_table_merge(&table, peer, &advert, now_us), 0);
        advert.count = 0;
}

const char *told(void)
{
        struct route_event event;
        size_t len = 0;

        story[0] = '\0';
        while (route_table_event(&table, &event)) {
                switch (event.kind) {
                case ROUTE_OFFERED:
                case ROUTE_WITHDRAWN:
                        len += (size_t)snprintf(story + len, sizeof(story) - len, " %c%c%u",
                                                event.kind == ROUTE_OFFERED ? '+' : '-', event.via.peer[0], event.gate_port);
                        break;
                default:
                        len += (size_t)snprintf(story + len, sizeof(story) - len, " %s %u",
                                                event.kind == ROUTE_GATE_WANTED ? "open" :
                                                event.kind == ROUTE_GATE_DONE   ? "close" : "low", event.gate_port);
                }
                check(len < sizeof(story) - 64);
        }
        return story[0] ? story + 1 : story;
}

unsigned offers(uint16_t gate_port)
{
        const struct route_offer *at = NULL;
        unsigned count = 0;

        while ((at = route_table_next(&table, gate_port, IPC_TCP, at)))
                count++;
        return count;
}

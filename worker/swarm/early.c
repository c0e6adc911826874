/* SPDX-License-Identifier: BSD-3-Clause */
#include "early.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

struct kept {
        struct list in_list;
        struct node_event event;
        uint8_t bytes[];
};

static struct node_event *take(struct early *early, struct kept *kept)
{
        list_remove(&kept->in_list);
        early->count--;
        return &kept->event;
}

void early_free(struct node_event *event)
{
        free(container_of(event, struct kept, event));
}

static void on_impatience(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct early *early = timer->data;

        list_for_each(at, &early->kept) {
                struct node_event *event = take(early, list_entry(at, struct kept, in_list));

                early->refuse(early->context, event);
                early_free(event);
        }
}

void early_init(struct early *early, struct ev_loop *loop, void (*refuse)(void *context, const struct node_event *event),
                void *context)
{
        *early = (struct early){ .loop = loop, .refuse = refuse, .context = context };
        list_init(&early->kept);
        ev_timer_init(&early->patience, on_impatience, EARLY_PATIENCE_S, 0);
        early->patience.data = early;
        early_begin(early);
}

void early_fini(struct early *early)
{
        ev_timer_stop(early->loop, &early->patience);
        list_for_each(at, &early->kept)
                early_free(take(early, list_entry(at, struct kept, in_list)));
}

void early_begin(struct early *early)
{
        ev_timer_stop(early->loop, &early->patience);
        ev_timer_set(&early->patience, EARLY_PATIENCE_S, 0);
        ev_timer_start(early->loop, &early->patience);
}

static bool has(const struct early_services *services, uint16_t gate_port, uint16_t protocol)
{
        return protocol < EARLY_PROTOCOLS && services->bits[protocol][gate_port / 8] & 1U << gate_port % 8;
}

void early_services_add(struct early_services *services, uint16_t gate_port, uint16_t protocol)
{
        if (protocol < EARLY_PROTOCOLS)
                services->bits[protocol][gate_port / 8] |= (uint8_t)(1U << gate_port % 8);
}

void early_expect(struct early *early, const struct early_services *services)
{
        if (memcmp(&early->expected, services, sizeof(*services)) == 0)
                return;
        early->expected = *services;
        early_begin(early);
}

bool early_keep(struct early *early, const struct node_event *event)
{
        struct kept *kept;

        if (!has(&early->expected, event->gate_port, event->protocol) || !ev_is_active(&early->patience) || early->count == EARLY_MAX)
                return false;
        kept = malloc(sizeof(*kept) + event->len);
        if (!kept)
                return false;
        kept->event = *event;
        kept->event.bytes = kept->bytes;
        if (event->len)
                memcpy(kept->bytes, event->bytes, event->len);
        list_push_back(&early->kept, &kept->in_list);
        early->count++;
        return true;
}

struct node_event *early_take(struct early *early, uint16_t gate_port, uint16_t protocol)
{
        list_for_each(at, &early->kept) {
                struct kept *kept = list_entry(at, struct kept, in_list);

                if (kept->event.gate_port == gate_port && kept->event.protocol == protocol)
                        return take(early, kept);
        }
        return NULL;
}

void early_drop(struct early *early, node_channel_id channel)
{
        list_for_each(at, &early->kept) {
                struct kept *kept = list_entry(at, struct kept, in_list);

                if (kept->event.channel == channel)
                        early_free(take(early, kept));
        }
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Events on their way to the caller. */
#include "dht_private.h"

#include <stdlib.h>

enum { NEWS_MAX = 4096 };

struct dht_news *dht_news_new(enum dht_event_kind kind, void *context, const void *noise, size_t noise_len)
{
        struct dht_news *news = calloc(1, sizeof(*news) + noise_len);

        if (!news)
                return NULL;
        list_init(&news->entry);
        news->event.kind = kind;
        news->event.context = context;
        if (noise_len)
                memcpy(news->noise, noise, noise_len);
        news->event.noise = noise_len ? news->noise : NULL;
        news->event.noise_len = noise_len;
        return news;
}

void dht_news_push(struct dht *dht, struct dht_news *news)
{
        list_push_back(&dht->news, &news->entry);
        dht->news_count++;
}

void dht_news_push_bounded(struct dht *dht, struct dht_news *news)
{
        if (!news)
                return;
        if (dht->news_count < NEWS_MAX)
                dht_news_push(dht, news);
        else
                free(news);
}

static bool is_about(const struct dht_event *event, const void *handle)
{
        return event->query == handle || event->listener == handle || event->handshake == handle;
}

void dht_news_drop(struct dht *dht, const void *handle)
{
        list_for_each(at, &dht->news) {
                struct dht_news *news = list_entry(at, struct dht_news, entry);

                if (!is_about(&news->event, handle))
                        continue;
                list_remove(&news->entry);
                dht->news_count--;
                free(news);
        }
}

/* The caller now knows that a handle is gone. */
static void forget_handle(struct dht *dht, const struct dht_event *event)
{
        switch (event->kind) {
        case DHT_QUERY_DONE:
                dht_query_free(dht, event->query);
                break;
        case DHT_UNLISTENED:
                dht_listener_free(dht, event->listener);
                break;
        case DHT_HANDSHAKE_ANSWERED:
        case DHT_HANDSHAKE_FAILED:
        case DHT_PUNCH_ANSWERED:
        case DHT_PUNCH_FAILED:
        case DHT_PONG:
        case DHT_PING_FAILED:
                list_remove(&event->handshake->entry);
                free(event->handshake);
                break;
        default:
                break;
        }
}

bool dht_event(struct dht *dht, struct dht_event *out)
{
        struct list *first = list_first(&dht->news);

        free(dht->told);
        dht->told = first ? list_entry(first, struct dht_news, entry) : NULL;
        if (!first)
                return false;
        list_remove(first);
        dht->news_count--;
        *out = dht->told->event;
        forget_handle(dht, out);
        return true;
}

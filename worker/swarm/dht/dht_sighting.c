/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_private.h"

static void drop(struct dht *dht, size_t at)
{
        dht->sighting_count--;
        memmove(&dht->sightings[at], &dht->sightings[at + 1], (dht->sighting_count - at) * sizeof(dht->sightings[0]));
}

void dht_sighting_note(struct dht *dht, const struct rpc_event *event, const struct now *now)
{
        const struct addr *seen = &event->message.to;
        bool elsewhere = false;

        if (event->socket != rpc_socket(dht->rpc) || !dht_usable(dht, seen))
                return;
        for (size_t i = dht->sighting_count; i-- > 0;) {
                if (!addr_equal(&dht->sightings[i].witness, &event->from))
                        continue;
                elsewhere = !addr_equal(&dht->sightings[i].seen, seen);
                if (!elsewhere)
                        drop(dht, i);
                break;
        }
        if (dht->sighting_count == DHT_SIGHTINGS_MAX)
                drop(dht, 0);
        dht->sightings[dht->sighting_count++] = (struct dht_sighting){ event->from, *seen };
        if (elsewhere)
                dht_survey_contradicted(dht, &event->from, now);
        dht_survey_hear(dht, &event->from);
}

void dht_sighting_forget(struct dht *dht)
{
        dht->sighting_count = 0;
}

size_t dht_sightings(const struct dht *dht, struct dht_sighting out[DHT_SIGHTINGS_MAX])
{
        memcpy(out, dht->sightings, dht->sighting_count * sizeof(out[0]));
        return dht->sighting_count;
}

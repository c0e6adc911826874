/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_peers.h"

#include <string.h>

#include "conf_host.h"

enum { KEY_DIGITS = 2 * CONF_KEY_BYTES };

static int digit_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool conf_key(const char *text, size_t len, uint8_t out[CONF_KEY_BYTES])
{
        if (len != KEY_DIGITS)
                return false;
        for (size_t i = 0; i < CONF_KEY_BYTES; i++) {
                int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                out[i] = (uint8_t)(high << 4 | low);
        }
        return true;
}

/* NULL, or what to write instead. */
static const char *read_peer(struct conf_read *read, const char *text, struct conf_peer *peer)
{
        const char *at = strchr(text, '@'), *expected;
        struct conf_host_port place;

        if (!at || !conf_key(text, (size_t)(at - text), peer->key))
                return "a peer's key, as hypergate status says it there, and where it is: 64 characters 0-9 a-f, @, HOST:PORT";
        expected = conf_host_port(at + 1, &place);
        if (expected)
                return expected;
        if (*place.ip)
                return "one HOST:PORT after the key, such as ...@192.0.2.1:49737";
        peer->host = conf_value_copy(read, place.host);
        peer->port = place.port;
        return NULL;
}

void conf_peers_read(struct conf_read *read, const struct conf_node *node, struct conf *conf)
{
        const struct conf_node *entry;
        struct conf_peer *list;
        uint32_t count;

        if (!conf_value_list(read, node, CONF_PEERS_MAX, &entry, &count))
                return;
        if (count == 0)
                conf->peer_count = 0;
        if (count > CONF_PEERS_MAX - conf->peer_count) {
                conf_error(&read->report, read->file, node->at, "%s: with those of other files more than %d", node->key, CONF_PEERS_MAX);
                return;
        }
        list = conf_arena_take(&read->image, CONF_PEERS_MAX * sizeof(*list));
        if (conf->peer_count)
                memcpy(list, conf->peers, conf->peer_count * sizeof(*list));
        conf->peers = list;
        for (; count > 0; count--, entry = entry->next) {
                const char *text, *expected;

                if (!conf_value_text(read, entry, "0b7c...@192.0.2.1:49737", &text))
                        continue;
                expected = read_peer(read, text, &list[conf->peer_count]);
                if (expected)
                        conf_value_wrong(read, entry, expected);
                else
                        conf->peer_count++;
        }
}

void conf_keys_read(struct conf_read *read, const struct conf_node *node, const char *expected, uint8_t (*list)[CONF_KEY_BYTES],
                    size_t max, size_t *count_inout)
{
        const struct conf_node *entry;
        uint32_t count;

        if (!conf_value_list(read, node, (uint32_t)max, &entry, &count))
                return;
        if (count > max - *count_inout) {
                conf_error(&read->report, read->file, node->at, "%s: with those of other files more than %zu", node->key, max);
                return;
        }
        for (; count > 0; count--, entry = entry->next) {
                const char *text;

                if (!conf_value_text(read, entry, "0b7c...", &text))
                        continue;
                if (conf_key(text, strlen(text), list[*count_inout]))
                        ++*count_inout;
                else
                        conf_value_wrong(read, entry, expected);
        }
}

void conf_allowed_read(struct conf_read *read, const struct conf_node *node, struct conf_keys *keys)
{
        if (node->kind == CONF_LIST && !node->first)
                conf_error(&read->report, read->file, node->at,
                           "%s: an empty list; leave it out to let all come that know the secret, or name who may", node->key);
        else
                conf_keys_read(read, node, "a peer's key, 64 characters 0-9 a-f, as hypergate status says it there", keys->list,
                               CONF_ALLOWED_MAX, &keys->count);
}

bool conf_keys_have(const struct conf_keys *keys, const uint8_t key[CONF_KEY_BYTES])
{
        for (size_t i = 0; i < keys->count; i++)
                if (memcmp(keys->list[i], key, CONF_KEY_BYTES) == 0)
                        return true;
        return false;
}

/* Roles that are there and let all come do so with these, too. */
static bool may_come(const struct conf *conf, const uint8_t key[CONF_KEY_BYTES])
{
        const struct { bool present; const struct conf_keys *allowed; } roles[] = {
                { conf->provider.present, &conf->provider.allowed }, { conf->gateway.present, &conf->gateway.allowed },
        };
        bool any = false;

        for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
                any = any || roles[i].present;
                if (roles[i].present && (!roles[i].allowed->count || conf_keys_have(roles[i].allowed, key)))
                        return true;
        }
        return !any;
}

void conf_peers_finish(struct conf_read *read, const struct conf_file *file, const struct conf *conf)
{
        for (size_t i = 0; i < conf->peer_count; i++)
                if (!may_come(conf, conf->peers[i].key))
                        conf_warning(&read->report, file, CONF_WHOLE_FILE, "peers: the one at %s:%u is not among allowPeers: "
                                     "it is not dialled", conf->peers[i].host, conf->peers[i].port);
}

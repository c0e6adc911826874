/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 64, EXPECTED_MAX = 640 };

/* What somebody wrote, for the end of a complaint. */
static const char *shown(const struct conf_node *node, char *out, size_t len)
{
        if (node->kind == CONF_LIST)
                return "a list";
        if (node->kind == CONF_MAP)
                return "a map";
        if (node->kind == CONF_PLAIN && node->text[0] == '\0')
                return "nothing";
        return conf_quote(node->text, out, len);
}

const struct conf_file *conf_value_file(const struct conf_read *read, const struct conf_node *node)
{
        return node->file ? node->file : read->file;
}

bool conf_value_wrong(struct conf_read *read, const struct conf_node *node, const char *expected)
{
        char quoted[CONF_QUOTE_MAX];

        conf_error(&read->report, conf_value_file(read, node), node->at, "%s%sexpected %s, not %s", node->key ? node->key : "",
                   node->key ? ": " : "", expected, shown(node, quoted, sizeof(quoted)));
        return false;
}

bool conf_value_is_empty(const struct conf_node *node)
{
        return node->kind == CONF_PLAIN &&
               (node->text[0] == '\0' || strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
}

static void append_with(char *out, size_t len, const char *between, const char *text)
{
        size_t used = strlen(out);

        snprintf(out + used, len - used, "%s%s", used ? between : "", text);
}

static void append(char *out, size_t len, const char *text)
{
        append_with(out, len, ", ", text);
}

/* Where keys belong that people put elsewhere. */
static const char *place_of(const char *key)
{
        static const struct { const char *key, *place; } places[] = {
                { "services", "below provider: or gateway:" }, { "listen", "below gateway:" }, { "except", "below gateway:" },
                { "allowPeers", "below provider: or gateway:" },
                { "routeFindingTimeoutMs", "below gateway:" }, { "udpSocketTimeoutMs", "below provider: or gateway:" },
                { "persistent", "below dht:" }, { "public", "below dht:" },
                { "gatePort", "in an entry of services:" }, { "serviceHost", "in an entry of services:" },
                { "servicePort", "in an entry of services:" }, { "protocol", "in an entry of services:" },
                { "tags", "in an entry of services:" }, { "priority", "in an entry of services:" },
                { "health", "in an entry of services:" }, { "path", "below health:" }, { "status", "below health:" },
                { "rise", "below health:" }, { "fall", "below health:" },
                { "intervalMs", "below health:" }, { "timeoutMs", "below health:" },
                { "exposeOnlyDocker", "below gateway:" }, { "exposeOnlyPublished", "below gateway:" },
                { "exposeOnlyServices", "below gateway:" }, { "filterMode", "below gateway:" },
                { "policy", "below gateway:, or in an entry of its services:" }, { "secretFile", "at the left margin" },
                { "open", "below relay:" }, { "connections", "below gateway: or relay:" },
                { "connectionsPerClient", "below gateway: or relay:" }, { "connectionsPerPeer", "below provider:" },
                { "ingressPolicy", "below provider: or gateway:, or in an entry of services:" }, { "routesPerPeer", "below gateway:" },
                { "connectionRate", "below gateway:" }, { "connectionRatePerClient", "below gateway:" },
                { "bytesPerSecond", "below relay:" },
                { "bytesPerSecondPerClient", "below relay:" }, { "relay", "at the left margin" }, { "relays", "at the left margin" },
                { "provider", "at the left margin" }, { "gateway", "at the left margin" }, { "dht", "at the left margin" },
                { "bootstrap", "at the left margin" }, { "stateDirectory", "at the left margin" },
                { "identity", "at the left margin" },
                { "logLevel", "at the left margin" }, { "include", "at the left margin" }, { "cores", "at the left margin" },
                { "peers", "at the left margin" }, { "logChannels", "at the left margin" },
        };

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
                if (strcmp(places[i].key, key) == 0)
                        return places[i].place;
        return NULL;
}

static void complain_unknown(struct conf_read *read, const struct conf_node *node, const char *what,
                             const struct conf_field *fields)
{
        const char *names[NAMES_MAX] = { NULL }, *suggestion;
        const char *place = place_of(node->key);
        char all[EXPECTED_MAX] = "", quoted[CONF_QUOTE_MAX];
        size_t count = 0;

        for (; fields->key && count < NAMES_MAX - 1; fields++)
                if (!fields->unnamed)
                        append(all, sizeof(all), names[count++] = fields->key);
        suggestion = conf_suggest(node->key, names);
        conf_quote(node->key, quoted, sizeof(quoted));
        if (conf_value_file(read, node)->json)
                conf_warning(&read->report, conf_value_file(read, node), node->key_at, "unknown key %s is passed over%s%s%s",
                             quoted, suggestion ? "; did you mean " : "", suggestion ? suggestion : "", suggestion ? "?" : "");
        else if (place)
                conf_error(&read->report, conf_value_file(read, node), node->key_at, "%s does not belong here but %s", quoted, place);
        else if (suggestion)
                conf_error(&read->report, conf_value_file(read, node), node->key_at, "unknown key %s; did you mean %s?", quoted,
                           suggestion);
        else
                conf_error(&read->report, conf_value_file(read, node), node->key_at, "unknown key %s; %s has: %s", quoted, what,
                           all);
}

void conf_value_map(struct conf_read *read, const struct conf_node *node, const char *what, const struct conf_field *fields,
                    void *into)
{
        if (conf_value_is_empty(node))
                return;
        if (node->kind != CONF_MAP) {
                char expected[EXPECTED_MAX];

                snprintf(expected, sizeof(expected), "a map of keys and values, such as \"%s: ...\"", fields[0].key);
                conf_value_wrong(read, node, expected);
                return;
        }
        for (const struct conf_node *member = node->first; member; member = member->next) {
                const struct conf_field *field = fields;

                while (field->key && strcmp(field->key, member->key) != 0)
                        field++;
                if (field->key)
                        field->read(read, member, into);
                else
                        complain_unknown(read, member, what, fields);
        }
}

const struct conf_node *conf_value_member(const struct conf_node *node, const char *key)
{
        const struct conf_node *member = node->kind == CONF_MAP ? node->first : NULL;

        while (member && strcmp(member->key, key) != 0)
                member = member->next;
        return member;
}

bool conf_value_text(struct conf_read *read, const struct conf_node *node, const char *example, const char **out)
{
        bool plain = node->kind == CONF_PLAIN && !conf_value_file(read, node)->json && !conf_value_is_empty(node);
        char expected[EXPECTED_MAX];

        if (plain || (node->kind == CONF_QUOTED && node->text[0])) {
                *out = node->text;
                return true;
        }
        snprintf(expected, sizeof(expected), "a text such as \"%s\"", example);
        return conf_value_wrong(read, node, expected);
}

const char *conf_value_copy(struct conf_read *read, const char *text)
{
        return conf_arena_text(&read->image, text, strlen(text));
}

/* Whole and exactly what was written: nothing signed, no octal, no 22:22. */
static bool whole_number(const struct conf_node *node, bool json, double *out)
{
        size_t digits = strspn(node->text, "0123456789");
        char *end;

        if (node->text[0] == '\0' || (!json && (node->text[digits] || digits > 15)))
                return false;
        if (!json && node->text[0] == '0' && digits > 1)
                return false;
        *out = strtod(node->text, &end);
        return *end == '\0' && isfinite(*out) && floor(*out) == *out;
}

bool conf_value_whole(struct conf_read *read, const struct conf_node *node, uint32_t min, uint32_t max, uint32_t example,
                      uint32_t *out)
{
        char expected[EXPECTED_MAX];
        double value;

        if (node->kind == CONF_PLAIN && whole_number(node, conf_value_file(read, node)->json, &value) && value >= min && value <= max) {
                *out = (uint32_t)value;
                return true;
        }
        snprintf(expected, sizeof(expected), "a whole number from %u to %u%s, such as %u", min, max,
                 node->kind == CONF_QUOTED ? " without quotes" : "", example);
        return conf_value_wrong(read, node, expected);
}

/* Of what begins with digits and a '-'. */
static bool port_range(const char *text, uint16_t *first_out, uint16_t *last_out)
{
        unsigned long ports[2];
        char *end;

        for (size_t i = 0; i < 2; i++) {
                size_t digits = strspn(text, "0123456789");

                if (digits == 0 || digits > 5 || text[digits] != (i ? '\0' : '-'))
                        return false;
                ports[i] = strtoul(text, &end, 10);
                text += digits + 1;
        }
        *first_out = (uint16_t)ports[0];
        *last_out = (uint16_t)ports[1];
        return ports[0] >= 1 && ports[0] <= ports[1] && ports[1] <= UINT16_MAX;
}

bool conf_value_ports(struct conf_read *read, const struct conf_node *node, uint16_t *first_out, uint16_t *last_out)
{
        bool scalar = node->kind == CONF_PLAIN || node->kind == CONF_QUOTED;
        size_t digits = scalar ? strspn(node->text, "0123456789") : 0;
        uint16_t first, last;
        uint32_t port;

        if (digits > 0 && node->text[digits] == '-') {
                if (!port_range(node->text, &first, &last))
                        return conf_value_wrong(read, node, "ports from 1 to 65535, the lowest first, such as 27000-27050");
                *first_out = first;
                *last_out = last;
                return true;
        }
        if (!conf_value_whole(read, node, 1, UINT16_MAX, 8080, &port))
                return false;
        *first_out = *last_out = (uint16_t)port;
        return true;
}

bool conf_value_bool(struct conf_read *read, const struct conf_node *node, bool *out)
{
        bool yes = node->kind == CONF_PLAIN && strcmp(node->text, "true") == 0;

        if (!yes && (node->kind != CONF_PLAIN || strcmp(node->text, "false") != 0))
                return conf_value_wrong(read, node, "true or false");
        *out = yes;
        return true;
}

bool conf_value_choice(struct conf_read *read, const struct conf_node *node, const char *const *names, unsigned *out)
{
        bool scalar = node->kind == CONF_PLAIN || node->kind == CONF_QUOTED;
        char expected[EXPECTED_MAX] = "";
        const char *suggestion;

        for (unsigned i = 0; scalar && names[i]; i++)
                if (strcasecmp(node->text, names[i]) == 0) {
                        *out = i;
                        return true;
                }
        for (unsigned i = 0; names[i]; i++)
                append_with(expected, sizeof(expected), names[i + 1] ? ", " : " or ", names[i]);
        suggestion = scalar ? conf_suggest(node->text, names) : NULL;
        if (suggestion)
                snprintf(expected, sizeof(expected), "%s", suggestion);
        return conf_value_wrong(read, node, expected);
}

bool conf_value_list(struct conf_read *read, const struct conf_node *node, uint32_t max, const struct conf_node **first,
                     uint32_t *count)
{
        bool list = node->kind == CONF_LIST;
        char expected[EXPECTED_MAX];

        if ((list ? node->count : 1) > max) {
                conf_error(&read->report, conf_value_file(read, node), node->at, "%u entries, at most %u are taken", node->count, max);
                return false;
        }
        if (conf_value_is_empty(node)) {
                snprintf(expected, sizeof(expected), "a list; write %s: [] for an empty one", node->key ? node->key : "services");
                return conf_value_wrong(read, node, expected);
        }
        *first = list ? node->first : node;
        *count = list ? node->count : 1;
        return true;
}

void *conf_value_texts(struct conf_read *read, const struct conf_node *node, const struct conf_texts *texts, size_t *count_out)
{
        const struct conf_node *entry;
        const char *text, *expected;
        size_t kept = 0;
        uint32_t count;
        uint8_t *list;

        if (!conf_value_list(read, node, texts->max, &entry, &count))
                return NULL;
        if (count == 0 && texts->none)
                conf_value_wrong(read, node, texts->none);
        list = conf_arena_take(&read->image, count * texts->entry_bytes);
        for (; count > 0; count--, entry = entry->next) {
                uint8_t *out = list + kept * texts->entry_bytes;

                if (!conf_value_text(read, entry, texts->example, &text))
                        continue;
                memset(out, 0, texts->entry_bytes);
                expected = texts->make(read, text, out, list, kept);
                if (expected)
                        conf_value_wrong(read, entry, expected);
                else
                        kept++;
        }
        *count_out = kept;
        return list;
}

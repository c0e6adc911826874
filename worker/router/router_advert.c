/* SPDX-License-Identifier: BSD-3-Clause */
#include "router_advert.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ipc_message.h"
#include "ipc_router.h"
#include "policy.h"
#include "router_policy.h"

/* Brackets open at once, outside of strings: what a recursive parser would spend on its stack. */
static bool too_deep(const char *text, size_t len)
{
        unsigned depth = 0;
        bool quoted = false;

        for (size_t i = 0; i < len; i++) {
                char c = text[i];

                if (quoted && c == '\\')
                        i++;
                else if (c == '"')
                        quoted = !quoted;
                else if (!quoted && (c == '[' || c == '{') && ++depth > ADVERT_DEPTH_MAX)
                        return true;
                else if (!quoted && (c == ']' || c == '}') && depth > 0)
                        depth--;
        }
        return false;
}

/* The number that JavaScript's == would see: 80, 80.0 and "80" are the same. -1: none, or not a whole one in range. */
static long whole_number(const json_t *value, long max)
{
        double number = -1;

        if (json_is_integer(value)) {
                json_int_t integer = json_integer_value(value);

                return integer >= 0 && integer <= max ? (long)integer : -1;
        }
        if (json_is_real(value)) {
                number = json_real_value(value);
        } else if (json_is_string(value)) {
                const char *digits = json_string_value(value);
                size_t len = strspn(digits, "0123456789");

                if (len == 0 || len > 5 || len != json_string_length(value))
                        return -1;
                number = (double)strtol(digits, NULL, 10);
        }
        return number >= 0 && number <= (double)max && number == (double)(long)number ? (long)number : -1;
}

/* A missing protocol is TCP: services from before there was another. -1: one we don't know. */
static long protocol_number(const json_t *value)
{
        const char *name = json_string_value(value);

        if (!value || json_is_null(value))
                return IPC_TCP;
        if (name && strcmp(name, "tcp") == 0)
                return IPC_TCP;
        if (name && strcmp(name, "udp") == 0)
                return IPC_UDP;
        return whole_number(value, IPC_UDP);
}

/* Copies a string, or nothing for one that is absent; false when it is something else, too long or holds a NUL. */
static bool copy_text(const json_t *value, char *out, size_t max)
{
        size_t len = json_string_length(value);

        out[0] = '\0';
        if (!value || json_is_null(value))
                return true;
        if (!json_is_string(value) || len >= max || memchr(json_string_value(value), '\0', len))
                return false;
        memcpy(out, json_string_value(value), len + 1);
        return true;
}

static enum advert_flaw texts_decode(const json_t *entry, struct advert_route *route)
{
        if (!copy_text(json_object_get(entry, "serviceHost"), route->host, sizeof(route->host)))
                return ADVERT_HOST;
        if (!copy_text(json_object_get(entry, "tags"), route->tags, sizeof(route->tags)))
                return ADVERT_TAGS;
        return copy_text(json_object_get(entry, "sni"), route->sni, sizeof(route->sni)) ? ADVERT_FLAWLESS : ADVERT_SNI;
}

static enum advert_flaw route_decode(const json_t *entry, struct advert_route *route)
{
        long gate_port = whole_number(json_object_get(entry, "gatePort"), UINT16_MAX);
        long service_port = whole_number(json_object_get(entry, "servicePort"), UINT16_MAX);
        long protocol = protocol_number(json_object_get(entry, "protocol"));
        long priority = whole_number(json_object_get(entry, "priority"), IPC_PRIORITY_MAX);

        if (!json_is_object(entry))
                return ADVERT_NO_OBJECT;
        if (gate_port < 1 || protocol < 0)
                return gate_port < 1 ? ADVERT_GATE_PORT : ADVERT_PROTOCOL;
        *route = (struct advert_route){
                .gate_port = (uint16_t)gate_port,
                .service_port = service_port < 0 ? 0 : (uint16_t)service_port,
                .protocol = (uint16_t)protocol,
                .priority = priority < 0 ? 0 : (uint16_t)priority,
        };
        return texts_decode(entry, route);
}

/* What was made of the last policy: a provider says the same one of each of its services. */
struct last_policy {
        json_t *said;
        struct policy *policy;          /* held */
};

/* False: no memory. */
static bool policy_decode(json_t *said, struct last_policy *last, struct ipc_rule *room, struct policy **out)
{
        struct policy *policy = NULL;
        size_t count;

        if (!last->said || !json_equal(last->said, said)) {
                count = router_policy_decode(said, room);
                if (count && !(policy = policy_new(room, count)))
                        return false;
                policy_leave(last->policy);
                *last = (struct last_policy){ .said = said, .policy = policy };
        }
        *out = policy_hold(last->policy);
        return true;
}

/* The next one of @out, unless it says nothing, or who may use it can't be kept. */
static void entry_decode(json_t *entry, unsigned number, struct last_policy *last, struct advert *out)
{
        struct advert_route *route = &out->routes[out->count];
        json_t *policy = json_object_get(entry, "ingressPolicy");
        enum advert_flaw flaw = route_decode(entry, route);

        if (flaw != ADVERT_FLAWLESS) {
                if (out->garbage++ == 0) {
                        out->flawed = number;
                        out->flaw = flaw;
                }
                return;
        }
        route->keeps_policy = !policy;
        if (policy && !policy_decode(policy, last, out->rules, &route->policy))
                out->starved = true;
        else
                out->count++;
}

static void routes_decode(const json_t *list, struct advert *out)
{
        struct last_policy last = { NULL, NULL };
        size_t index;
        json_t *entry;

        out->count = 0;
        out->garbage = out->surplus = out->flawed = 0;
        out->flaw = ADVERT_FLAWLESS;
        out->starved = false;
        json_array_foreach (list, index, entry) {
                if (out->count == ADVERT_ROUTES_MAX)
                        out->surplus++;
                else
                        entry_decode(entry, (unsigned)index + 1, &last, out);
        }
        policy_leave(last.policy);
}

void advert_release(struct advert *advert)
{
        for (size_t i = 0; i < advert->count; i++)
                policy_leave(advert->routes[i].policy);
        advert->count = 0;
}

enum advert_verdict advert_decode(const char *text, size_t len, struct advert *out)
{
        enum advert_verdict verdict = ADVERT_OK;
        json_t *root, *list;
        json_error_t error;

        if (len > ADVERT_BYTES_MAX)
                return ADVERT_TOO_LARGE;
        if (too_deep(text, len))
                return ADVERT_TOO_DEEP;
        /* A NUL spoils the one string that holds it, a number beyond 64 bits the one entry: not the whole list. */
        root = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
        list = json_object_get(root, "routes");
        if (!root && json_error_code(&error) == json_error_out_of_memory)
                verdict = ADVERT_NO_MEMORY;
        else if (!json_is_object(root))
                verdict = ADVERT_MALFORMED;
        else if (!json_is_array(list) || (json_array_size(list) == 0 && json_object_get(root, "hgx")))
                verdict = ADVERT_NO_LIST;
        else
                routes_decode(list, out);
        json_decref(root);
        return verdict;
}

static json_t *route_encode(const struct advert_route *route)
{
        json_t *entry = json_pack("{s:s, s:i, s:i, s:i}", "serviceHost", route->host, "servicePort", route->service_port,
                                  "protocol", route->protocol, "gatePort", route->gate_port);
        const struct policy *policy = route->policy;
        int failed = !entry;

        if (route->tags[0])
                failed |= json_object_set_new(entry, "tags", json_string(route->tags));
        if (route->priority)
                failed |= json_object_set_new(entry, "priority", json_integer(route->priority));
        if (route->sni[0])
                failed |= json_object_set_new(entry, "sni", json_string(route->sni));
        failed |= json_object_set_new(entry, "routes", json_array());
        failed |= json_object_set_new(entry, "ingressPolicy", policy ? router_policy_encode(policy->rule, policy->count) : json_object());
        if (!failed)
                return entry;
        json_decref(entry);
        return NULL;
}

int advert_encode(const struct advert_route *routes, size_t count, char **text_out, size_t *len_out)
{
        json_t *list = json_array(), *root = json_pack("{s:o}", "routes", list);
        char *text = NULL;
        size_t len = 0;
        int result = root ? 0 : -ENOMEM;

        if (count > ADVERT_ROUTES_MAX)
                result = -E2BIG;
        for (size_t i = 0; result == 0 && i < count; i++)
                if (json_array_append_new(list, route_encode(&routes[i])) < 0)
                        result = -EILSEQ;
        if (result == 0 && !(text = json_dumps(root, JSON_COMPACT)))
                result = -ENOMEM;
        json_decref(root);
        len = text ? strlen(text) : 0;
        if (len > ADVERT_BYTES_MAX) {
                free(text);
                result = -E2BIG;
        }
        if (result < 0)
                return result;
        *text_out = text;
        *len_out = len;
        return 0;
}

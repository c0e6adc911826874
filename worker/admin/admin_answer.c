/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_answer.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ipc_fingerprint.h"

enum {
        KEY_MAX = 4 * ADMIN_VALUE_MAX + 32,
        EACH_BYTES = 160,               /* of one in a list, beside what its gateway said */
        LEFT_MS = 60000, LEFT_MIN_MS = 120000,          /* an original keeps one for so long after its last byte: ttlMs */
};

/* A connection as a service sees it: who came to it, and where. */
struct question {
        char protocol[ADMIN_VALUE_MAX], remote[ADMIN_VALUE_MAX], server[ADMIN_VALUE_MAX];
        uint16_t remote_port, server_port;
};

/* Takes @body. */
struct admin_answer admin_say(unsigned status, json_t *body)
{
        struct admin_answer answer = { .status = status, .fields = "", .body = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL };

        json_decref(body);
        return answer;
}

struct admin_answer admin_refuse(unsigned status, const char *why)
{
        return admin_say(status, json_pack("{s:s}", "error", why));
}

struct admin_answer admin_busy(void)
{
        return (struct admin_answer){ .status = 503, .fields = "Retry-After: 1\r\n", .body = strdup("{\"error\":\"busy\"}") };
}

static bool is_mapped(const uint8_t ip[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

void admin_print_ip(const uint8_t ip[16], char out[ADMIN_VALUE_MAX])
{
        inet_ntop(is_mapped(ip) ? AF_INET : AF_INET6, is_mapped(ip) ? ip + 12 : ip, out, ADMIN_VALUE_MAX);
}

/* In the words of an original: IPv4 is never IPv6. False: it is no address; then @text stays as it is. */
static bool read_ip(char text[ADMIN_VALUE_MAX], uint8_t out[16])
{
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        if (inet_pton(AF_INET, text, out + 12) != 1 && inet_pton(AF_INET6, text, out) != 1)
                return false;
        admin_print_ip(out, text);
        return true;
}

static bool read_port(const char *text, uint16_t *out)
{
        size_t len = strspn(text, "0123456789");
        unsigned long port = len > 0 && len <= 5 && !text[len] ? strtoul(text, NULL, 10) : 0;

        *out = (uint16_t)port;
        return port > 0 && port <= UINT16_MAX;
}

static bool read_question(const struct admin_request *request, struct question *out)
{
        static const char *const protocol[] = { "proto", "protocol", NULL }, *const remote_addr[] = { "remote_addr", "remoteAddr", NULL },
                          *const remote_port[] = { "remote_port", "remotePort", NULL },
                          *const server_addr[] = { "server_addr", "local_addr", "localAddr", NULL },
                          *const server_port[] = { "server_port", "local_port", "localPort", NULL };
        char port[ADMIN_VALUE_MAX], other[ADMIN_VALUE_MAX];

        *out = (struct question){ .protocol = "tcp" };
        admin_text_value(request->query, protocol, out->protocol, sizeof(out->protocol));
        for (char *c = out->protocol; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        return admin_text_value(request->query, remote_addr, out->remote, sizeof(out->remote)) &&
               admin_text_value(request->query, server_addr, out->server, sizeof(out->server)) &&
               admin_text_value(request->query, remote_port, port, sizeof(port)) && read_port(port, &out->remote_port) &&
               admin_text_value(request->query, server_port, other, sizeof(other)) && read_port(other, &out->server_port);
}

static bool tuple_of(struct question *question, struct ipc_tuple *out)
{
        bool udp = strcmp(question->protocol, "udp") == 0;
        bool remote = read_ip(question->remote, out->local_ip), server = read_ip(question->server, out->remote_ip);

        out->local_port = question->remote_port;        /* whom the service sees is us */
        out->remote_port = question->server_port;
        out->protocol = udp ? IPC_UDP : IPC_TCP;
        out->pad = 0;
        return remote && server && (udp || strcmp(question->protocol, "tcp") == 0);
}

static void print_key(const struct question *question, char out[KEY_MAX])
{
        snprintf(out, KEY_MAX, "%s|%s|%u|%s|%u", question->protocol, question->remote, question->remote_port, question->server,
                 question->server_port);
}

static void print_key_of(const struct ipc_tuple *tuple, char out[KEY_MAX])
{
        struct question question = { .remote_port = tuple->local_port, .server_port = tuple->remote_port };

        snprintf(question.protocol, sizeof(question.protocol), "%s", tuple->protocol == IPC_UDP ? "udp" : "tcp");
        admin_print_ip(tuple->local_ip, question.remote);
        admin_print_ip(tuple->remote_ip, question.server);
        print_key(&question, out);
}

/* One lasts as long as its connection, which an original can only guess. NULL: no memory. */
static json_t *describe(const struct admin_fingerprint *fingerprint, usec_t wall_us)
{
        uint64_t now_ms = wall_us / 1000, left_ms = MAX((uint64_t)fingerprint->idle_ms + LEFT_MS, (uint64_t)LEFT_MIN_MS);
        json_t *said = json_loadb(fingerprint->text, fingerprint->len, 0, NULL);
        json_int_t channel_port = json_integer_value(json_object_get(said, "channelPort"));
        char key[KEY_MAX];

        print_key_of(&fingerprint->tuple, key);
        return json_pack("{s:s, s:s, s:i, s:I, s:o, s:I, s:I}", "key", key, "protocol", fingerprint->tuple.protocol == IPC_UDP ? "udp" : "tcp",
                         "gatePort", (int)fingerprint->gate_port, "channelPort", channel_port, "fingerprint", said,
                         "createdAt", (json_int_t)(fingerprint->since_us / 1000), "expiresAt", (json_int_t)(now_ms + left_ms));
}

static struct admin_answer resolve(const struct admin_fingerprints *all, const struct admin_request *request, usec_t wall_us)
{
        const struct admin_fingerprint *found;
        struct question question;
        struct ipc_tuple tuple;
        char key[KEY_MAX];
        json_t *body;

        if (!read_question(request, &question))
                return admin_refuse(400, "missing_tuple_params");
        found = tuple_of(&question, &tuple) ? admin_fingerprints_find(all, &tuple) : NULL;
        if (found)
                return admin_say(200, describe(found, wall_us));
        print_key(&question, key);
        body = json_pack("{s:s, s:s}", "error", "not_found", "key", key);
        return body ? admin_say(404, body) : admin_refuse(404, "not_found");        /* the key may be no text at all */
}

/* About: what gateways said is written anew. */
static bool is_long(const struct admin_fingerprints *all)
{
        return all->text_bytes + all->by_tuple.count * EACH_BYTES > ADMIN_LONG_BYTES;
}

static struct admin_answer list(const struct admin_fingerprints *all, bool short_only, usec_t wall_us)
{
        json_t *array;

        if (short_only && is_long(all))
                return admin_busy();
        array = json_array();
        for (struct map_entry *at = map_walk(&all->by_tuple, NULL); at; at = map_walk(&all->by_tuple, at))
                if (json_array_append_new(array, describe(container_of(at, struct admin_fingerprint, by_tuple), wall_us)) < 0) {
                        json_decref(array);
                        array = NULL;
                        break;
                }
        return admin_say(200, array);
}

struct admin_answer admin_answer(const struct admin_fingerprints *all, const struct admin_auth *auth, const struct admin_request *request,
                                 bool short_only, usec_t wall_us)
{
        struct admin_answer answer;

        if (!request)
                return admin_refuse(400, "bad_request");
        if (!admin_auth_passes(auth, request->authorization)) {
                answer = admin_refuse(401, "unauthorized");
                answer.fields = "WWW-Authenticate: Basic realm=\"hypergate-fingerprint-resolver\"\r\n";
                return answer;
        }
        if (request->method == ADMIN_OTHER) {
                answer = admin_refuse(405, "method_not_allowed");
                answer.fields = "Allow: GET, POST\r\n";
                return answer;
        }
        if (admin_text_is(request->path, "/health"))
                return admin_say(200, json_pack("{s:b}", "ok", true));
        if (admin_text_is(request->path, "/resolve"))
                return resolve(all, request, wall_us);
        if (admin_text_is(request->path, "/all"))
                return list(all, short_only, wall_us);
        return admin_refuse(404, "not_found");
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_health.h"

#include <string.h>

enum {
        INTERVAL_MS = 10000,
        INTERVAL_MIN_MS = 500,
        INTERVAL_MAX_MS = 3600000,
        TIMEOUT_MS = 2000,
        TIMEOUT_MIN_MS = 50,
        TIMEOUT_MAX_MS = 60000,
        RISE = 2,
        FALL = 3,
        TIMES_MAX = 100,
        STATUS_FIRST = 200,
        STATUS_LAST = 399,
};

/* What is read so far. */
struct draft {
        struct conf_health *health;
        const struct conf_node *of_http;        /* says something of HTTP alone; NULL: nothing does */
        bool ill;
};

static void read_type(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const types[] = { "tcp", "http", NULL };
        static const enum conf_health_type meant[] = { CONF_HEALTH_TCP, CONF_HEALTH_HTTP };
        struct draft *draft = into;
        unsigned type = 0;

        draft->ill = !conf_value_choice(read, node, types, &type) || draft->ill;
        draft->health->type = meant[type];
}

/* RFC 9112 3.2.1: what is no letter of a target is percent-encoded. */
static bool is_path(const char *text)
{
        size_t len = strlen(text);

        for (size_t i = 0; i < len; i++)
                if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '#')
                        return false;
        return *text == '/' && len < CONF_HEALTH_PATH_MAX;
}

static void read_path(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        const char *text;

        draft->of_http = node;
        if (!conf_value_text(read, node, "/ready", &text) ||
            (!is_path(text) && !conf_value_wrong(read, node, "a path that begins with /, of at most 127 printable characters, such as /ready")))
                draft->ill = true;
        else
                draft->health->path = conf_value_copy(read, text);
}

/* "200" or "200-399". */
static bool read_range(const char *text, uint16_t *first_out, uint16_t *last_out)
{
        unsigned number[2] = { 0, 0 }, count = 0;

        do {
                if (strspn(text, "0123456789") != 3)
                        return false;
                number[count++] = (unsigned)(text[0] - '0') * 100 + (unsigned)(text[1] - '0') * 10 + (unsigned)(text[2] - '0');
                text += 3;
        } while (count < 2 && *text++ == '-');
        if (count == 1)
                number[1] = number[0];
        *first_out = (uint16_t)number[0];
        *last_out = (uint16_t)number[1];
        return (count == 2 ? !*text : !text[-1]) && number[0] >= 100 && number[0] <= number[1] && number[1] <= 599;
}

static void read_status(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;
        bool scalar = node->kind == CONF_PLAIN || node->kind == CONF_QUOTED;

        draft->of_http = node;
        if (scalar && read_range(node->text, &draft->health->status_first, &draft->health->status_last))
                return;
        conf_value_wrong(read, node, "a status of HTTP from 100 to 599, or a range such as 200-399");
        draft->ill = true;
}

static void read_interval(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        draft->ill = !conf_value_whole(read, node, INTERVAL_MIN_MS, INTERVAL_MAX_MS, INTERVAL_MS, &draft->health->interval_ms) || draft->ill;
}

static void read_timeout(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        draft->ill = !conf_value_whole(read, node, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS, TIMEOUT_MS, &draft->health->timeout_ms) || draft->ill;
}

static void read_rise(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        draft->ill = !conf_value_whole(read, node, 1, TIMES_MAX, RISE, &draft->health->rise) || draft->ill;
}

static void read_fall(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct draft *draft = into;

        draft->ill = !conf_value_whole(read, node, 1, TIMES_MAX, FALL, &draft->health->fall) || draft->ill;
}

bool conf_health_read(struct conf_read *read, const struct conf_node *node, struct conf_health *out)
{
        static const struct conf_field fields[] = {
                { "type", read_type },
                { "path", read_path },
                { "status", read_status },
                { "intervalMs", read_interval },
                { "timeoutMs", read_timeout },
                { "rise", read_rise },
                { "fall", read_fall },
                { NULL, NULL },
        };
        struct draft draft = { .health = out };
        bool map = node->kind == CONF_MAP || conf_value_is_empty(node);
        uint32_t errors = read->report.error_count;

        *out = (struct conf_health){ .type = CONF_HEALTH_TCP, .path = "/", .status_first = STATUS_FIRST, .status_last = STATUS_LAST,
                                     .interval_ms = INTERVAL_MS, .timeout_ms = TIMEOUT_MS, .rise = RISE, .fall = FALL };
        conf_value_map(read, node, "health", fields, &draft);
        if (!draft.ill && draft.of_http && out->type != CONF_HEALTH_HTTP)
                conf_error(&read->report, read->file, draft.of_http->key_at, "%s says nothing without type: http", draft.of_http->key);
        return map && !draft.ill && read->report.error_count == errors;
}

static int compare(uint32_t a, uint32_t b)
{
        return (a > b) - (a < b);
}

int conf_health_compare(const struct conf_health *a, const struct conf_health *b)
{
        const uint32_t numbers[][2] = {
                { a->type, b->type }, { a->status_first, b->status_first }, { a->status_last, b->status_last },
                { a->interval_ms, b->interval_ms }, { a->timeout_ms, b->timeout_ms }, { a->rise, b->rise }, { a->fall, b->fall },
        };

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
                if (numbers[i][0] != numbers[i][1])
                        return compare(numbers[i][0], numbers[i][1]);
        return a->type ? strcmp(a->path, b->path) : 0;
}

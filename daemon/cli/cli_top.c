/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate top: how instances fare, again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_screen.h"
#include "cli_talk.h"

enum { DELAY_MAX_S = 3600, COUNT_MAX = 1000000, KEY_MAX = 2560 };

#define DELAY_S 2.0
#define DELAY_MIN_S 0.1

/* What all instances have told at a time. */
struct sample {
        json_t *told;                   /* a list of objects, each with its instance */
        json_t *by_key;                 /* the same, by what each of them is about; NULL: not needed */
        long long at_us;
};

struct top {
        const struct cli_options *options;
        struct cli_screen screen;
        struct sample now, before;
        double delay_s;
        unsigned long left;             /* pages; 0: for ever */
};

/* Of one kind, and how fast it goes. */
struct row {
        const json_t *object;
        double sent_per_s, received_per_s;      /* negative: not known yet */
        size_t number;                  /* in the order they were told */
};

struct rows {
        struct row *list;
        size_t count;
};

/* --- Samples --- */

static const char *type_of(const json_t *object)
{
        return cli_talk_text(object, "type");
}

/* Of connections that may come and go, the same name is the same connection. */
static const char *key_of(const json_t *object, char out[KEY_MAX])
{
        snprintf(out, KEY_MAX, "%s %s %s %s %s %lld", type_of(object), cli_talk_text(object, "instance"), cli_talk_text(object, "key"),
                 cli_talk_text(object, "role"), cli_talk_text(object, "peer"), cli_talk_number(object, "channel"));
        return out;
}

static void sample_fini(struct sample *sample)
{
        json_decref(sample->told);
        json_decref(sample->by_key);
        *sample = (struct sample){ 0 };
}

static void ask(struct top *top, const char *request, bool quiet)
{
        cli_each_named(&(struct cli_each){ .request = request, .take = cli_each_collect, .context = top->now.told, .quiet = quiet }, top->options);
}

static int sample_take(struct top *top)
{
        static const char *const requests[] = { "peers\n", "gates\n", "channels\n" };
        bool first = !top->before.told && !top->now.told;
        int status = EX_OK;

        sample_fini(&top->before);
        top->before = top->now;
        top->now = (struct sample){ .told = json_array(), .by_key = json_object(), .at_us = cli_screen_now_us() };
        if (!top->now.told || !top->now.by_key)
                return EX_OSERR;
        ask(top, "status\n", !first);
        if (json_array_size(top->now.told) == 0)
                status = CLI_EXIT_NOTHING;
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]) && status == EX_OK; i++)
                ask(top, requests[i], true);
        for (size_t i = 0; i < json_array_size(top->now.told); i++) {
                char key[KEY_MAX];

                json_object_set(top->now.by_key, key_of(json_array_get(top->now.told, i), key), json_array_get(top->now.told, i));
        }
        return status;
}

/* Of a counter that began anew, what it has come to since. */
static double per_second(const struct top *top, const json_t *object, const char *counter)
{
        char key[KEY_MAX];
        const json_t *before = json_object_get(top->before.by_key, key_of(object, key));
        double seconds = (double)(top->now.at_us - top->before.at_us) / 1e6, more;

        if (!top->before.told || seconds <= 0)
                return -1;
        more = cli_talk_decimal(object, counter) - cli_talk_decimal(before, counter);
        return (more < 0 ? cli_talk_decimal(object, counter) : more) / seconds;
}

/* --- Rows --- */

static int compare(const void *a, const void *b)
{
        const struct row *one = a, *other = b;
        double x = one->sent_per_s + one->received_per_s, y = other->sent_per_s + other->received_per_s;

        return x != y ? (x < y) - (x > y) : (one->number > other->number) - (one->number < other->number);
}

/* Those of that type, the busiest first. */
static struct rows rows_of(const struct top *top, const char *type)
{
        size_t most = json_array_size(top->now.told);
        struct rows rows = { .list = calloc(most + 1, sizeof(*rows.list)) };

        for (size_t i = 0; rows.list && i < most; i++) {
                const json_t *object = json_array_get(top->now.told, i);

                if (strcmp(type_of(object), type) == 0)
                        rows.list[rows.count++] = (struct row){ object, per_second(top, object, "sentBytes"),
                                                                per_second(top, object, "receivedBytes"), i };
        }
        if (rows.count)
                qsort(rows.list, rows.count, sizeof(*rows.list), compare);
        return rows;
}

/* --- Words --- */

struct words {
        char text[24];
};

/* 1234567 is 1.2 MB. */
static struct words bytes(double count, const char *suffix)
{
        static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
        struct words words;
        size_t unit = 0;

        for (; count >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
                count /= 1000;
        snprintf(words.text, sizeof(words.text), "%.*f %s%s", count < 99.95 && unit > 0, count, units[unit], suffix);
        return words;
}

static struct words speed(double per_second)
{
        return per_second < 0 ? (struct words){ "-" } : bytes(per_second, "/s");
}

static struct words since(double seconds)
{
        struct words words;

        if (seconds < 60)
                snprintf(words.text, sizeof(words.text), "%.0f s", seconds);
        else if (seconds < 3600)
                snprintf(words.text, sizeof(words.text), "%.0f min", seconds / 60);
        else if (seconds < 48 * 3600)
                snprintf(words.text, sizeof(words.text), "%.0f h", seconds / 3600);
        else
                snprintf(words.text, sizeof(words.text), "%.0f d", seconds / 86400);
        return words;
}

static struct words gate_of(const json_t *object)
{
        struct words words;

        snprintf(words.text, sizeof(words.text), "%lld/%.3s", cli_talk_number(object, "gatePort"), cli_talk_text(object, "protocol"));
        return words;
}

static struct words rtt_of(const json_t *peer)
{
        struct words words = { "-" };

        if (json_is_number(json_object_get(peer, "rttMs")))
                snprintf(words.text, sizeof(words.text), "%.1f ms", cli_talk_decimal(peer, "rttMs"));
        return words;
}

/* --- The page --- */

static void draw_title(struct top *top, size_t instances, size_t peers, size_t channels)
{
        time_t now = time(NULL);
        struct tm local;
        char clock[16] = "", line[160];

        if (localtime_r(&now, &local))
                strftime(clock, sizeof(clock), "%H:%M:%S", &local);
        snprintf(line, sizeof(line), "hypergate %s: %zu instance%s, %zu peer%s, %zu channel%s%s", clock, instances, instances == 1 ? "" : "s", peers,
                 peers == 1 ? "" : "s", channels, channels == 1 ? "" : "s", top->screen.keys ? "; q quits" : "");
        cli_screen_heading(&top->screen, line);
}

static void draw_instance(struct top *top, const struct row *row)
{
        const json_t *status = row->object, *peers = json_object_get(status, "peers");
        bool provider = cli_talk_flag(status, "provider"), gateway = cli_talk_flag(status, "gateway"), drained = cli_talk_flag(status, "drained");
        bool reached = cli_talk_flag(json_object_get(status, "dht"), "reached");
        char line[320];

        snprintf(line, sizeof(line), "%-20.20s %-10s %6s %6lld %6zu %9lld %12s %12s  %s%s%s", cli_talk_text(status, "instance"),
                 provider && gateway ? "both" : provider ? "provider" : gateway ? "gateway" : "node",
                 since(cli_talk_decimal(status, "uptimeSeconds")).text, cli_talk_number(peers, "providers") + cli_talk_number(peers, "gateways"),
                 json_array_size(json_object_get(status, "gates")), cli_talk_number(status, "channels"), speed(row->sent_per_s).text,
                 speed(row->received_per_s).text, reached ? "" : "no DHT", !reached && drained ? ", " : "", drained ? "drained" : "");
        if (reached && !drained)
                fprintf(top->screen.out, "%s\n", line);
        else
                cli_screen_stress(&top->screen, line);
}

static void draw_peer(struct top *top, const struct row *row)
{
        const json_t *peer = row->object;

        fprintf(top->screen.out, "%-20.20s %.16s %-8.8s %-7.7s %-21.21s %10s %12s %12s%s\n", cli_talk_text(peer, "instance"),
                cli_talk_text(peer, "key"), cli_talk_text(peer, "role"), cli_talk_text(peer, "path"), cli_talk_text(peer, "address"),
                rtt_of(peer).text, speed(row->sent_per_s).text, speed(row->received_per_s).text, cli_talk_flag(peer, "leaves") ? "  leaves" : "");
}

static void draw_unreached(struct top *top, const struct row *row)
{
        char line[256];

        snprintf(line, sizeof(line), "%-20.20s %.16s not reached: %.160s", cli_talk_text(row->object, "instance"),
                 cli_talk_text(row->object, "key"), cli_talk_text(row->object, "why"));
        cli_screen_stress(&top->screen, line);
}

static void draw_gate(struct top *top, const struct row *row)
{
        const json_t *listen = json_object_get(row->object, "listen");

        for (size_t i = 0; i < json_array_size(listen); i++) {
                const json_t *at = json_array_get(listen, i);
                bool listening = cli_talk_flag(at, "listening");
                char line[320];

                snprintf(line, sizeof(line), "%-20.20s %-10s %-39.39s %s%s%.160s", cli_talk_text(row->object, "instance"), gate_of(row->object).text,
                         cli_talk_text(at, "address"), listening ? "open" : "not open", *cli_talk_text(at, "why") ? ": " : "",
                         cli_talk_text(at, "why"));
                if (listening)
                        fprintf(top->screen.out, "%s\n", line);
                else
                        cli_screen_stress(&top->screen, line);
        }
}

static void draw_channel(struct top *top, const struct row *row)
{
        const json_t *channel = row->object;

        fprintf(top->screen.out, "%-20.20s %-10s %-7.7s %.16s %-7.7s %6s %12s %12s %10s %10s\n", cli_talk_text(channel, "instance"),
                gate_of(channel).text, cli_talk_text(channel, "end"), cli_talk_text(channel, "peer"), cli_talk_text(channel, "state"),
                since(cli_talk_decimal(channel, "ageSeconds")).text, speed(row->sent_per_s).text, speed(row->received_per_s).text,
                bytes(cli_talk_decimal(channel, "sentBytes"), "").text, bytes(cli_talk_decimal(channel, "receivedBytes"), "").text);
}

static const struct section {
        const char *type, *heading;     /* NULL: those before have it */
        void (*draw)(struct top *top, const struct row *row);
} sections[] = {
        { "status", "INSTANCE             ROLE           UP  PEERS  GATES  CHANNELS         SENT     RECEIVED", draw_instance },
        { "peer", "INSTANCE             PEER             ROLE     PATH    ADDRESS                      RTT         SENT     RECEIVED", draw_peer },
        { "unreached", NULL, draw_unreached },
        { "gate", "INSTANCE             GATE       ADDRESS", draw_gate },
        { "channel", "INSTANCE             GATE       END     PEER             STATE      AGE         SENT     RECEIVED    SENT ALL   RECEIVED", draw_channel },
};

enum { SECTIONS = sizeof(sections) / sizeof(sections[0]) };

static bool draw(struct top *top)
{
        struct rows rows[SECTIONS];
        bool good = cli_screen_begin(&top->screen);

        for (size_t i = 0; i < SECTIONS; i++)
                rows[i] = rows_of(top, sections[i].type);
        if (good)
                draw_title(top, rows[0].count, rows[1].count, rows[4].count);
        for (size_t i = 0; i < SECTIONS && good; i++) {
                if (rows[i].count && sections[i].heading) {
                        fputs("\n", top->screen.out);
                        cli_screen_heading(&top->screen, sections[i].heading);
                }
                for (size_t j = 0; j < rows[i].count; j++)
                        sections[i].draw(top, &rows[i].list[j]);
        }
        for (size_t i = 0; i < SECTIONS; i++)
                free(rows[i].list);
        return good && cli_screen_show(&top->screen);
}

/* --- Again and again --- */

/* Until the next page is due. False: somebody wants no more. */
static bool rest(struct top *top)
{
        long long deadline_us = top->now.at_us + (long long)(top->delay_s * 1e6);
        enum cli_screen_event event;

        while ((event = cli_screen_wait(&top->screen, deadline_us)) == CLI_SCREEN_AGAIN)
                if (!draw(top))
                        return false;
        return event == CLI_SCREEN_TIME;
}

static int run(struct top *top)
{
        int status = EX_OK;

        if (!top->screen.terminal && !rest(top))        /* plain pages have speeds from the first one on */
                return EX_OK;
        if (!top->screen.terminal)
                status = sample_take(top);
        for (;;) {
                if (!draw(top))
                        return EX_IOERR;
                if (top->left && --top->left == 0)
                        return EX_OK;
                if (!rest(top))
                        return EX_OK;
                status = sample_take(top);
                if (status == EX_OSERR)
                        return status;
        }
}

static int refuse(const char *why)
{
        fprintf(stderr, "hypergate: top: %s\nTry: hypergate --help\n", why);
        return EX_USAGE;
}

int cli_top_run(const struct cli_options *options)
{
        const char *delay = cli_options_value(options, CLI_OPTION_DELAY), *count = cli_options_value(options, CLI_OPTION_COUNT);
        struct top top = { .options = options, .delay_s = DELAY_S };
        char *rest_of = NULL;
        int status;

        if (delay)
                top.delay_s = strtod(delay, &rest_of);
        if (delay && (*delay < '0' || *delay > '9' || *rest_of || !(top.delay_s >= DELAY_MIN_S && top.delay_s <= DELAY_MAX_S)))
                return refuse("--delay: seconds, 0.1 to 3600");
        if (count)
                top.left = strtoul(count, &rest_of, 10);
        if (count && (*count < '0' || *count > '9' || *rest_of || top.left < 1 || top.left > COUNT_MAX))
                return refuse("--count: a whole number from 1 to 1000000");
        status = sample_take(&top);     /* before there is a screen on which nobody would read why not */
        if (status == EX_OK) {
                status = cli_screen_init(&top.screen) < 0 ? EX_OSERR : run(&top);
                cli_screen_fini(&top.screen);
        }
        sample_fini(&top.now);
        sample_fini(&top.before);
        return status;
}

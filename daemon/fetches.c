/* SPDX-License-Identifier: BSD-3-Clause */
#include "fetches.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "backoff.h"
#include "cleanup.h"
#include "ipc_fd.h"
#include "ipc_fetch.h"
#include "monotonic.h"
#include "spawn.h"

enum {
        HASH_BYTES = crypto_generichash_BYTES,
        ANSWER_MAX = sizeof(struct ipc_fetch_answer) + IPC_FETCH_BODY_MAX,
        PATIENCE_S = IPC_FETCH_TIME_MS / 1000 + 10,     /* with the process */
};

_Static_assert((int)IPC_URL_MAX == (int)CONF_URL_MAX && (int)IPC_FETCH_HOST_MAX == (int)CONF_HOST_MAX &&
               (int)IPC_FETCH_BODY_MAX == (int)CONF_FETCHED_BYTES_MAX, "nothing is cut");

struct fetch {
        struct list in_all;
        struct fetches *fetches;
        char url[CONF_URL_MAX];         /* that of the configuration */
        char at[CONF_URL_MAX];          /* where redirects have led */
        struct conf_url where;
        struct name *name;              /* of @where; NULL: it rests */
        bool waits;                     /* for an address */
        unsigned redirects, failures;
        ev_timer due;                   /* the next time; of one that is at work, the end of our patience */
        ev_child process;
        ev_io readable;                 /* active: it is at work */
        uint8_t *answer;
        size_t answer_len;
        char *text;                     /* what is there; NULL: nothing is known */
        size_t text_len;
        char etag[IPC_ETAG_MAX];
        uint8_t seen[HASH_BYTES];       /* what came last, good or not */
        bool has_seen, refused;
        bool again;                     /* it was asked for while it was at work */
        bool in_change, gone;           /* others look at it; nobody names it any more since they do */
};

/* Without what may be for nobody's eyes. */
static int shown_len(const struct fetch *fetch)
{
        return (int)strcspn(fetch->url, "?");
}

static void rest(struct fetch *fetch, usec_t us)
{
        names_drop(fetch->name);
        fetch->name = NULL;
        fetch->waits = false;
        ev_timer_stop(fetch->fetches->loop, &fetch->due);
        ev_timer_set(&fetch->due, fetch->again ? 0 : to_seconds(us), 0);
        fetch->again = false;
        ev_timer_start(fetch->fetches->loop, &fetch->due);
}

/* Said when it begins to fail, not each time it still does. */
static void fail(struct fetch *fetch, const char *reason)
{
        if (fetch->failures++ == 0)
                log_warning(fetch->fetches->log, "%.*s: cannot be fetched: %s; %s; it is tried again, at least every %d s", shown_len(fetch),
                            fetch->url, reason, fetch->text ? "what it said before stays in use" : "nothing is known of it until then",
                            FETCHES_REFRESH_S);
        rest(fetch, backoff_us(fetch->failures, SECONDS(FETCHES_RETRY_FIRST_S), SECONDS(FETCHES_REFRESH_S)));
}

static void end_work(struct fetch *fetch)
{
        struct ev_loop *loop = fetch->fetches->loop;

        if (ev_is_active(&fetch->process))
                kill(fetch->process.pid, SIGKILL);
        ev_child_stop(loop, &fetch->process);
        if (ev_is_active(&fetch->readable)) {
                ev_io_stop(loop, &fetch->readable);
                close(fetch->readable.fd);
        }
        ev_timer_stop(loop, &fetch->due);
        free(fetch->answer);
        fetch->answer = NULL;
        fetch->answer_len = 0;
}

/* Now, or when nobody looks at it any more. */
static void drop(struct fetch *fetch)
{
        fetch->gone = true;
        if (fetch->in_change)
                return;
        end_work(fetch);
        names_drop(fetch->name);
        list_remove(&fetch->in_all);
        free(fetch->text);
        free(fetch);
}

static void come_soon(struct fetch *fetch)
{
        if (ev_is_active(&fetch->readable))
                fetch->again = true;
        else
                rest(fetch, 0);
}

/* What was wrong may have been a matter of the rest. */
static void forget_refused(struct fetch *fetch)
{
        if (!fetch->refused)
                return;
        fetch->has_seen = false;
        fetch->etag[0] = '\0';
}

static void try_refused(struct fetches *fetches)
{
        list_for_each(at, &fetches->all) {
                struct fetch *fetch = list_entry(at, struct fetch, in_all);

                if (fetch->refused)
                        come_soon(fetch);
        }
}

/* --- What came --- */

/* Takes *@body and leaves NULL there, unless it is what came the last time. */
static void take(struct fetch *fetch, char **body, size_t len)
{
        uint8_t hash[HASH_BYTES];
        char *before = fetch->text, *text = *body;
        size_t before_len = fetch->text_len;

        crypto_generichash(hash, sizeof(hash), (const uint8_t *)text, len, NULL, 0);
        if (fetch->has_seen && memcmp(hash, fetch->seen, sizeof(hash)) == 0)
                return;
        *body = NULL;
        memcpy(fetch->seen, hash, sizeof(hash));
        fetch->has_seen = true;
        fetch->text = text;
        fetch->text_len = len;
        log_info(fetch->fetches->log, "%.*s: fetched, %zu bytes", shown_len(fetch), fetch->url, len);
        fetch->in_change = true;
        fetch->refused = !fetch->fetches->changed(fetch->fetches->context);
        fetch->in_change = false;
        if (!fetch->refused)
                try_refused(fetch->fetches);
        if (fetch->gone) {
                free(before);
                drop(fetch);
        } else if (fetch->refused) {
                log_warning(fetch->fetches->log, "%.*s: what is there is not used: %s", shown_len(fetch), fetch->url,
                            before ? "what it said before stays in use" : "nothing is known of it until it is right");
                free(text);
                fetch->text = before;
                fetch->text_len = before_len;
        } else {
                free(before);
        }
}

static void begin(struct fetch *fetch);

/* Never from https to what everybody on the way can change. */
static void follow(struct fetch *fetch, const char *location)
{
        struct conf_url where;

        if (++fetch->redirects > FETCHES_REDIRECTS_MAX)
                fail(fetch, "it leads elsewhere again and again");
        else if (conf_url_read(location, &where))
                fail(fetch, "it leads to where nothing can be fetched from");
        else if (fetch->where.tls && !where.tls)
                fail(fetch, "it leads from https to http");
        else {
                snprintf(fetch->at, sizeof(fetch->at), "%s", location);
                begin(fetch);
        }
}

static void finish(struct fetch *fetch, const struct ipc_fetch_answer *answer, char **body)
{
        char reason[64];

        if (answer->location[0] && answer->status >= 300 && answer->status < 400) {
                follow(fetch, answer->location);
                return;
        }
        snprintf(reason, sizeof(reason), "the server says %u", answer->status);
        if (answer->status != 200 && answer->status != 304) {
                fail(fetch, answer->status ? reason : answer->reason);
                return;
        }
        if (fetch->failures)
                log_notice(fetch->fetches->log, "%.*s: can be fetched again", shown_len(fetch), fetch->url);
        fetch->failures = 0;
        rest(fetch, SECONDS(FETCHES_REFRESH_S));
        if (answer->status == 304)
                return;
        strcpy(fetch->etag, answer->etag);
        take(fetch, body, answer->body_bytes);
}

/* What is behind the answer, with a NUL, in no more memory than that takes. */
static char *body_of(uint8_t *bytes, size_t len)
{
        char *body;

        memmove(bytes, bytes + sizeof(struct ipc_fetch_answer), len);
        bytes[len] = '\0';
        body = realloc(bytes, len + 1);
        return body ? body : (char *)bytes;
}

static void on_answer(struct fetch *fetch)
{
        struct ipc_fetch_answer answer;
        uint8_t *bytes = fetch->answer;
        bool good = fetch->answer_len >= sizeof(answer);
        char *body;

        if (good)
                memcpy(&answer, bytes, sizeof(answer));
        good = good && ipc_fetch_answer_good(&answer) && answer.body_bytes == fetch->answer_len - sizeof(answer);
        fetch->answer = NULL;           /* so that what follows may begin anew */
        end_work(fetch);
        if (!good) {
                free(bytes);
                fail(fetch, "the process that fetches it has ended without an answer");
                return;
        }
        body = body_of(bytes, answer.body_bytes);
        finish(fetch, &answer, &body);
        free(body);
}

/* With what is on its way. */
static size_t held_bytes(const struct fetches *fetches)
{
        size_t bytes = 0;

        list_for_each(at, &fetches->all) {
                const struct fetch *fetch = list_entry(at, struct fetch, in_all);

                bytes += fetch->text_len + fetch->answer_len;
        }
        return bytes;
}

static void on_readable(struct ev_loop *loop, ev_io *readable, int events)
{
        struct fetch *fetch = readable->data;
        ssize_t len = read(readable->fd, fetch->answer + fetch->answer_len, ANSWER_MAX + 1 - fetch->answer_len);

        if (len < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (len > 0)
                fetch->answer_len += (size_t)len;
        if (held_bytes(fetch->fetches) > FETCHES_HELD_MAX) {
                end_work(fetch);
                fail(fetch, "there is no room for it beside what the other URLs say");
        } else if (len <= 0 || fetch->answer_len > ANSWER_MAX) {
                on_answer(fetch);
        }
}

static void on_ended(struct ev_loop *loop, ev_child *process, int events)
{
        ev_child_stop(loop, process);
}

/* --- Asking --- */

static void put_addresses(const struct name *name, char *out, size_t size)
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        size_t len = 0;

        for (size_t i = 0; i < name->count; i++) {
                const uint8_t *ip = name->address[i];
                bool v4 = memcmp(ip, mapped, sizeof(mapped)) == 0;
                char text[INET6_ADDRSTRLEN];

                inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip + sizeof(mapped) : ip, text, sizeof(text));
                if (len + strlen(text) + 2 > size)
                        return;
                len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "," : "", text);
        }
}

/* A file that others may write to while it is read is short at worst. 0 or -errno. */
static int put_ca(int fd, const char *path, struct ipc_fetch_order *order)
{
        cleanup_fd int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t len = from < 0 ? -1 : lseek(fd, sizeof(*order), SEEK_SET) < 0 ? -1 : sendfile(fd, from, NULL, IPC_FETCH_CA_MAX);

        if (len < 0)
                return -errno;
        order->ca_bytes = (uint32_t)len;
        return len > 0 && lseek(fd, 0, SEEK_SET) == 0 ? 0 : -ENODATA;
}

/* In a memory file. -errno. */
static int write_order(const struct fetch *fetch)
{
        const char *ca_file = fetch->fetches->ca_file;
        struct ipc_fetch_order order = { .port = fetch->where.port };
        cleanup_fd int fd = memfd_create("order", MFD_CLOEXEC);
        int r = fd < 0 ? -errno : 0;

        strcpy(order.url, fetch->at);
        strcpy(order.host, fetch->where.host);
        if (fetch->text || fetch->refused)
                strcpy(order.etag, fetch->etag);
        put_addresses(fetch->name, order.addresses, sizeof(order.addresses));
        if (r == 0 && ca_file)
                r = put_ca(fd, ca_file, &order);
        if (r == 0 && pwrite(fd, &order, sizeof(order), 0) != sizeof(order))
                r = -EIO;
        return r < 0 ? r : take_fd(&fd);
}

static void on_impatience(struct fetch *fetch)
{
        end_work(fetch);
        fail(fetch, "the process that fetches it does not end");
}

/* 0 or -errno. */
static int start(struct fetch *fetch)
{
        static const char *const argv[] = { "hypergate-fetch", NULL };
        struct fetches *fetches = fetch->fetches;
        cleanup_fd int order = write_order(fetch), null = open("/dev/null", O_RDONLY | O_CLOEXEC);     /* its words, of which it has none */
        int ends[2], r;
        pid_t pid = 0;

        if (order < 0 || null < 0)
                return order < 0 ? order : -errno;
        fetch->answer = malloc(ANSWER_MAX + 1);
        if (!fetch->answer || pipe2(ends, O_CLOEXEC) < 0)
                return fetch->answer ? -errno : -ENOMEM;
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        r = spawn(&(struct spawn){ .path = fetches->program, .argv = (char *const *)(uintptr_t)argv, .null_fd = order, .link_fd = ends[1],
                                   .words_fd = null }, &pid);
        close(ends[1]);
        if (r < 0) {
                close(ends[0]);
                return r;
        }
        ev_child_set(&fetch->process, pid, 0);
        ev_child_start(fetches->loop, &fetch->process);
        ev_io_set(&fetch->readable, ends[0], EV_READ);
        ev_io_start(fetches->loop, &fetch->readable);
        ev_timer_stop(fetches->loop, &fetch->due);
        ev_timer_set(&fetch->due, PATIENCE_S, 0);
        ev_timer_start(fetches->loop, &fetch->due);
        return 0;
}

static void ask(struct fetch *fetch)
{
        int r;

        fetch->waits = false;
        if (access(fetch->fetches->program, X_OK) < 0) {
                fail(fetch, "hypergate-fetch is not installed, which static binaries are without");
                return;
        }
        r = start(fetch);
        if (r < 0) {
                end_work(fetch);
                fail(fetch, strerror(-r));
        }
}

static void begin(struct fetch *fetch)
{
        names_drop(fetch->name);
        fetch->name = NULL;
        if (conf_url_read(fetch->at, &fetch->where) == NULL)
                fetch->name = names_add(fetch->fetches->names, fetch->where.host, false, "service file");
        fetch->waits = true;
        if (!fetch->name)
                fail(fetch, "no memory");
        else if (fetch->name->count)
                ask(fetch);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
        struct fetch *fetch = timer->data;

        if (ev_is_active(&fetch->readable)) {
                on_impatience(fetch);
                return;
        }
        fetch->redirects = 0;
        strcpy(fetch->at, fetch->url);
        begin(fetch);
}

/* --- Which --- */

static struct fetch *find(const struct fetches *fetches, const char *url)
{
        list_for_each(at, &fetches->all) {
                struct fetch *fetch = list_entry(at, struct fetch, in_all);

                if (strcmp(fetch->url, url) == 0)
                        return fetch;
        }
        return NULL;
}

static void add(struct fetches *fetches, const char *url)
{
        struct fetch *fetch = calloc(1, sizeof(*fetch));

        if (!fetch) {
                log_warning(fetches->log, "no memory to fetch a service file");
                return;
        }
        fetch->fetches = fetches;
        snprintf(fetch->url, sizeof(fetch->url), "%s", url);
        ev_init(&fetch->due, on_due);
        ev_init(&fetch->process, on_ended);
        ev_init(&fetch->readable, on_readable);
        fetch->due.data = fetch->readable.data = fetch;
        list_push_back(&fetches->all, &fetch->in_all);
        rest(fetch, 0);
}

static bool is_named(const struct conf *conf, const char *url)
{
        for (size_t i = 0; i < conf->provider.url_count; i++)
                if (strcmp(conf->provider.urls[i], url) == 0)
                        return true;
        for (size_t i = 0; i < conf->gateway.url_count; i++)
                if (strcmp(conf->gateway.urls[i], url) == 0)
                        return true;
        return false;
}

void fetches_set(struct fetches *fetches, const struct conf *conf)
{
        fetches->ca_file = conf->ca_file;
        list_for_each(at, &fetches->all) {
                struct fetch *fetch = list_entry(at, struct fetch, in_all);

                fetch->gone = false;
                if (!is_named(conf, fetch->url))
                        drop(fetch);
                else if (!fetch->in_change)
                        forget_refused(fetch);
        }
        for (size_t i = 0; i < conf->provider.url_count; i++)
                if (!find(fetches, conf->provider.urls[i]))
                        add(fetches, conf->provider.urls[i]);
        for (size_t i = 0; i < conf->gateway.url_count; i++)
                if (!find(fetches, conf->gateway.urls[i]))
                        add(fetches, conf->gateway.urls[i]);
}

void fetches_refresh(struct fetches *fetches)
{
        list_for_each(at, &fetches->all) {
                struct fetch *fetch = list_entry(at, struct fetch, in_all);

                forget_refused(fetch);
                come_soon(fetch);
        }
}

void fetches_renamed(struct fetches *fetches, const struct name *name)
{
        list_for_each(at, &fetches->all) {
                struct fetch *fetch = list_entry(at, struct fetch, in_all);

                if (fetch->waits && fetch->name == name)
                        ask(fetch);
        }
}

const char *fetches_text(void *context, const char *url, size_t *len_out)
{
        const struct fetch *fetch = find(context, url);

        if (!fetch || !fetch->text)
                return NULL;
        *len_out = fetch->text_len;
        return fetch->text;
}

void fetches_init(struct fetches *fetches, struct ev_loop *loop, const struct log *log, struct names *names, const char *libexec,
                  bool (*changed)(void *context), void *context)
{
        *fetches = (struct fetches){ .loop = loop, .log = log, .names = names, .changed = changed, .context = context };
        list_init(&fetches->all);
        snprintf(fetches->program, sizeof(fetches->program), "%s/hypergate-fetch", libexec);
}

void fetches_fini(struct fetches *fetches)
{
        list_for_each(at, &fetches->all)
                drop(list_entry(at, struct fetch, in_all));
}

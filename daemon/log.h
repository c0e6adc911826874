/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: the journal with its fields when stderr leads there, else lines for people on stderr. All text is made
 * printable: it holds host names and what workers say. */
#ifndef HG_LOG_H
#define HG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "ipc_event.h"
#include "journal.h"
#include "usec.h"

struct log {
        struct journal journal;         /* where stderr leads there */
        bool terminal;                  /* where warnings and errors have colours */
        int level;                      /* what is less urgent is not written */
        char instance[64];              /* HYPERGATE_INSTANCE= */
        char router[2 * IPC_KEY_BYTES + 1];     /* HYPERGATE_ROUTER=, its public key; empty: none */
};

/* @journal_stream: $JOURNAL_STREAM or NULL; see systemd.exec(5). */
void log_init(struct log *log, const char *journal_stream);
void log_instance(struct log *log, const char *name, int level);
void log_router(struct log *log, const uint8_t public_key[IPC_KEY_BYTES]);

/* @fields: "NAME=value", NULL at the end, or NULL; for the journal alone, as are the name and the MESSAGE_ID of @event. */
void log_event(const struct log *log, enum ipc_event event, int level, const char *const *fields, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

#define log_error(log, ...) log_event(log, IPC_EVENT_NONE, LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(log, ...) log_event(log, IPC_EVENT_NONE, LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(log, ...) log_event(log, IPC_EVENT_NONE, LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(log, ...) log_event(log, IPC_EVENT_NONE, LOG_INFO, NULL, __VA_ARGS__)

/* Printable ASCII stays, a backslash is doubled, all else becomes \xNN; cut at what fits, NUL at the end. Returns the length. */
size_t log_escape(char *out, size_t size, const char *text, size_t len);

/* Whether a worker may say this "NAME=value" to the journal: [A-Z][A-Z0-9_]*, and no name that the supervisor or the
 * journal itself uses to say who is speaking. */
bool log_field_allowed(const char *field);

/* A token bucket for one speaker. Zeroed: full, of LOG_BURST. */
struct log_limit {
        usec_t since_us;
        unsigned spent, dropped;
        unsigned times;                 /* so many times more than others may say; 0: as others */
};

enum {
        LOG_BURST = 100,                /* lines at once, */
        LOG_PER_SECOND = 10,            /* then so many */
        LOG_CHANNELS_TIMES = 20,        /* where somebody wants to read how each channel ended */
};

/* True: say it; *@dropped_out lines were left out before. */
bool log_limit_take(struct log_limit *limit, usec_t now_us, unsigned *dropped_out);

#endif

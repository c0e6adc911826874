/* SPDX-License-Identifier: BSD-3-Clause */
/* Service files behind URLs: fetched when the configuration comes to name them, then again every five minutes and when it is read anew,
 * by a process for each time that knows nothing else (worker/fetch). What cannot be had leaves what was there. */
#ifndef HG_FETCHES_H
#define HG_FETCHES_H

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "list.h"
#include "log.h"
#include "names.h"

enum {
        FETCHES_REFRESH_S = 300,
        FETCHES_RETRY_FIRST_S = 5,
        FETCHES_REDIRECTS_MAX = 5,
        FETCHES_HELD_MAX = 64 * 1024 * 1024,    /* of all URLs, what is known and what is on its way */
};

struct fetches {
        struct ev_loop *loop;
        const struct log *log;
        struct names *names;
        char program[PATH_MAX + 32];    /* that fetches */
        const char *ca_file;            /* borrowed from the configuration */
        struct list all;
        bool (*changed)(void *context); /* something else is behind a URL; false: it is wrong, and goes back to what it was */
        void *context;
};

/* All borrowed. */
void fetches_init(struct fetches *fetches, struct ev_loop *loop, const struct log *log, struct names *names, const char *libexec,
                  bool (*changed)(void *context), void *context);
void fetches_fini(struct fetches *fetches);

/* @conf runs from now on: what is new in it begins to be fetched, what is gone is forgotten. */
void fetches_set(struct fetches *fetches, const struct conf *conf);

/* All of them soon. */
void fetches_refresh(struct fetches *fetches);

/* @name has an address. */
void fetches_renamed(struct fetches *fetches, const struct name *name);

/* For struct conf_source, @context a struct fetches. */
const char *fetches_text(void *context, const char *url, size_t *len_out);

#endif

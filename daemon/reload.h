/* SPDX-License-Identifier: BSD-3-Clause */
/* Another configuration while everything runs: read anew, because of SIGHUP or of somebody at the control socket, or the same with what
 * somebody there has said or what was found in containers goes over it. If anything is wrong with it, all of the old one stays. Otherwise
 * each worker for which something is different is told its complete configuration, as at its start, and nobody else hears of it. */
#ifndef HG_RELOAD_H
#define HG_RELOAD_H

#include <ev.h>
#include <stdbool.h>

#include "conf.h"
#include "list.h"
#include "overrides.h"
#include "usec.h"

struct supervisor;

enum { RELOAD_PATIENCE_S = 10 };        /* with workers, to take over what they are told */

/* Who wants to know when all workers do as the new configuration says. */
struct reload_waiter {
        struct list in_reload;
        void (*done)(void *context, bool confirmed);    /* once; not @confirmed: some have not said so within RELOAD_PATIENCE_S */
        void *context;
};

struct reload {
        struct supervisor *supervisor;
        struct conf_source source;
        const struct conf *first;       /* that of the start, which others borrow from for good */
        struct conf *conf;              /* the last one that was read; NULL: none but the first */
        struct overrides found;         /* services in containers */
        struct conf *laid;              /* what was read with those; NULL: there are none */
        struct overrides overrides;
        struct conf *overridden;        /* all that with the overrides, which is what runs; NULL: there are none */
        struct list waiters;
        ev_timer patience;              /* runs while workers are waited for */
        usec_t began_us;                /* and this is what they are told, since then: */
        struct conf_difference difference;
        bool read;                      /* it was read anew, and not only overridden */
        bool begun, wanted;             /* all have been up together; SIGHUP came before */
};

/* What came of it. */
struct reload_told {
        bool good;                      /* the new one runs */
        struct conf_complaints complaints;      /* to be ended */
        struct conf_difference difference;
};

/* @source is copied, and its texts are borrowed. */
void reload_init(struct reload *reload, struct supervisor *supervisor, const struct conf_source *source);

/* All workers are up; from now on it works. */
void reload_begin(struct reload *reload);

/* Nobody waits any more. */
void reload_stop(struct reload *reload);

/* Nobody uses the configuration any more. */
void reload_fini(struct reload *reload);

/* Reads it, and puts it into effect if it is good. Everything is logged; @told_out: NULL, or what to tell whoever asked. @secret_fd: -1, or the
 * secret file as it is now, a regular or memory file, borrowed: of an instance that may not read that itself. */
void reload_run(struct reload *reload, int secret_fd, struct reload_told *told_out);

/* Puts @overrides, which are the reload's from now on, in the place of those there are. 0, or -ENOMEM: nothing has changed, and they are not. */
int reload_override(struct reload *reload, struct overrides *overrides, struct conf_difference *difference_out);

/* Puts the services that were found in containers in the place of those there were, over what was read last: no file is read for them.
 * False: no memory, and they stay. */
bool reload_found(struct reload *reload, const struct conf_found *list, size_t count);

/* What was read last with what was found, without overrides. */
const struct conf *reload_conf(const struct reload *reload);

/* After reload_run() or reload_override(): @waiter is called soon, and not from here. To be cancelled, or not at all. */
void reload_wait(struct reload *reload, struct reload_waiter *waiter);
void reload_cancel(struct reload_waiter *waiter);

/* In each turn, when all was sent: have all taken it over? */
void reload_look(struct reload *reload);

#endif

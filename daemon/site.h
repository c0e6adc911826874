/* SPDX-License-Identifier: BSD-3-Clause */
/* Where somebody asks by HTTP: a listener, and the admin worker that answers there. A reload moves it while who is being answered goes on. */
#ifndef HG_SITE_H
#define HG_SITE_H

#include "children.h"
#include "conf.h"
#include "log.h"

struct site {
        const struct log *log;
        struct children *children;
        const char *key;                /* of the configuration */
        uint32_t id;                    /* of the worker */
        struct child *child;            /* NULL: there is none, nor was */
        int fd;                         /* -1: nobody is answered */
        uint8_t ip[16];                 /* where @fd is, as in struct conf_site */
        uint16_t port;
        char path[CONF_SOCKET_PATH_MAX];        /* ""; or of a unix socket */
};

/* All borrowed. */
void site_init(struct site *site, const struct log *log, struct children *children, const char *key, uint32_t id);
void site_fini(struct site *site);

/* Opens it where @conf says, if anywhere. 0 or -errno, which has been logged. */
int site_begin(struct site *site, const struct conf_site *conf);

/* The same while it runs: what cannot be opened leaves it where it was, and is tried again the next time. */
void site_reload(struct site *site, const struct conf_site *conf);

#endif

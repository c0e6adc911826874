/* SPDX-License-Identifier: BSD-3-Clause */
/* A conversation with an instance over its control socket: one request, and lines of JSON. */
#ifndef HG_CLI_TALK_H
#define HG_CLI_TALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli_options.h"

struct cli_talk {
        int fd;
        pid_t instance;                 /* started for this talk alone; 0: it was there */
        bool quiet;                     /* nothing is printed of what goes wrong */
        const int *handed;              /* a descriptor that goes along with the request; NULL: none */
        bool not_meant;                 /* it refused for want of a role that others may have */
};

/* With an instance made for it, that knows the DHT and has no router. 0, or an exit status, and why was printed. */
int cli_talk_start(struct cli_talk *talk, const struct cli_options *options);

/* With the one that listens at @path. 0 or -errno. */
int cli_talk_connect(struct cli_talk *talk, const char *path);

/* Asks, and hands out every object that comes, and the line it was, which is printable ASCII and a newline. Texts of the object are made so,
 * too, by cli_talk_escape(): they may be of strangers, and people read them on a terminal. False: no complete answer, of which something was
 * printed unless the instance itself has said why. Ends the talk. */
bool cli_talk(struct cli_talk *talk, const char *request, void (*take)(void *context, const json_t *object, const char *line),
              void *context);

/* Printable ASCII stays, a backslash is doubled, all else becomes \xNN; cut at what fits. Returns @out. */
char *cli_talk_escape(char *out, size_t size, const char *text);

/* The texts and numbers of an object, a whole one or as it is; what is missing, or of another kind, is "" and 0. A flag is 1 or 0 as well. */
const char *cli_talk_text(const json_t *object, const char *key);
long long cli_talk_number(const json_t *object, const char *key);
double cli_talk_decimal(const json_t *object, const char *key);
bool cli_talk_flag(const json_t *object, const char *key);

#endif

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
};

/* With an instance made for it, that knows the DHT and has no router. 0, or an exit status, and why was printed. */
int cli_talk_start(struct cli_talk *talk, const struct cli_options *options);

/* With the one that listens at @path. 0 or -errno. */
int cli_talk_connect(struct cli_talk *talk, const char *path);

/* Asks, and hands out every object that comes, with the line it was; false: no complete answer, of which something was printed unless the
 * instance itself has said why. Ends the talk. */
bool cli_talk(struct cli_talk *talk, const char *request, void (*take)(void *context, const json_t *object, const char *line),
              void *context);

/* The texts and numbers of an object; what is missing, or of another kind, is "" and 0. */
const char *cli_talk_text(const json_t *object, const char *key);
long long cli_talk_number(const json_t *object, const char *key);
bool cli_talk_flag(const json_t *object, const char *key);

#endif

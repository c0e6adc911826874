/* SPDX-License-Identifier: BSD-3-Clause */
/* The instances that run here as this user, each asked the same. */
#ifndef HG_CLI_EACH_H
#define HG_CLI_EACH_H

#include <jansson.h>
#include <stdbool.h>

#include "cli_options.h"

/* What an instance, whose name is printable, says, object by object, with the line it was: see cli_talk(). */
struct cli_each {
        const char *request;
        void (*take)(void *context, const char *instance, const json_t *object, const char *line);
        void *context;
        bool quiet;                     /* one that does not answer is not told of */
        const int *handed;              /* a descriptor that goes along with the request; NULL: none */
};

/* Those that the operands of @options name, or all. Returns an exit status; what does not run was told of. */
int cli_each_named(const struct cli_each *each, const struct cli_options *options);

/* All there are; returns how many have answered. Nothing is said where there is none. */
int cli_each_there(const struct cli_each *each);

/* A take of struct cli_each: appends a copy of each object, with the instance that said it, to the array @context. */
void cli_each_collect(void *context, const char *instance, const json_t *object, const char *line);

#endif

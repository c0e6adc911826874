/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor's own command line. */
#ifndef HG_ARGS_H
#define HG_ARGS_H

#include <stdbool.h>

struct args {
        bool help, version, allow_root, verbose;
        const char *user;               /* whom root becomes; NULL: stays who it is */
        const char *file;               /* NULL: @conf_fd */
        int conf_fd, secret_fd, control_fd;     /* -1: none */
        const char *complaint;          /* what is wrong, when args_parse() says false */
        const char *about;              /* the argument it is about, or NULL */
};

/* hypergated [--foreground] (FILE | --conf-fd N [--secret-fd M | --control-fd C]) [--user NAME] [--allow-root] [--verbose]. Strings are argv's. */
bool args_parse(struct args *args, int argc, char *const argv[]);

/* What argv left open, from $HYPERGATE_USER and $HYPERGATE_ALLOW_ROOT (NULL: not set). */
void args_default(struct args *args, const char *user, const char *allow_root);

extern const char args_usage[];

#endif

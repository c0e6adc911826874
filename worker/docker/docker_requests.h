/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine is asked: paths, and bodies as JSON. All are written to @out, with a NUL; false: it does not fit. */
#ifndef HG_DOCKER_REQUESTS_H
#define HG_DOCKER_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc_message.h"

/* All containers that run on one of @networks. */
bool docker_path_list(char *out, size_t size, unsigned minor, const char *const *networks, size_t network_count);

/* All helpers, however they are and whose ever. */
bool docker_path_helpers(char *out, size_t size, unsigned minor);

/* What happens to containers and networks, from now on. */
bool docker_path_events(char *out, size_t size, unsigned minor);

/* To make a helper, and to remove it by its name. */
bool docker_path_helper(char *out, size_t size, unsigned minor, const char *id, const char *host);
bool docker_path_remove_helper(char *out, size_t size, unsigned minor, const char *id, const char *host);

bool docker_body_network(char *out, size_t size, const char *network);

/* @alias: a name in that network, or NULL. */
bool docker_body_connect(char *out, size_t size, const char *container, const char *alias);

/* How helpers are made. */
struct docker_frame {
        const char *id, *life;          /* labels */
        const char *image, *network;
        uint32_t uid, gid;              /* whose socket it is */
        const char *type, *source;      /* the mount with the socket, */
        const char *rest, *file;        /* and where that is in there: a folder with a '/' before it, or ""; a name */
};

bool docker_body_helper(char *out, size_t size, const struct docker_frame *frame, const char *host);

#endif

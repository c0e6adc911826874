/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine says, as JSON, of helpers, of names that are taken, and of the container that we are in. */
#ifndef HG_DOCKER_HELPER_H
#define HG_DOCKER_HELPER_H

#include "docker_container.h"
#include "ipc_docker.h"

#define DOCKER_LABEL_HOST "hypergate.host"      /* which one it is */
#define DOCKER_LABEL_LIFE "hypergate.life"      /* of whoever made it: a later one has no use for it */

enum {
        DOCKER_LIFE_MAX = 17,           /* 16 hex digits and a NUL */
        DOCKER_SOURCE_MAX = 1024,       /* where a mount comes from, with its NUL */
        DOCKER_SAYS_MAX = 200,          /* of what it says for people, with its NUL */
};

enum docker_helper_state {
        DOCKER_HELPER_RUNS,
        DOCKER_HELPER_STANDS,           /* it is of no use any more, or not yet */
        DOCKER_HELPER_LEAVING,          /* the engine removes it */
};

struct docker_helper {
        char id[DOCKER_ID_MAX], owner[IPC_HELPERS_ID_MAX], host[IPC_NAME_MAX], life[DOCKER_LIFE_MAX];
        enum docker_helper_state state;
        unsigned networks;              /* bit by bit, those it is on */
        double made_s;                  /* since the epoch */
};

/* Each of the list of containers. False: it is none. */
bool docker_helpers_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                         void (*tell)(void *context, const struct docker_helper *helper), void *context);

/* What a container is called on these networks. */
void docker_names_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                       void (*tell)(void *context, const char *name), void *context);

struct docker_self {
        bool shares;                    /* the network of the machine, or of another container: it can't be connected to any */
        unsigned networks;              /* bit by bit, those it is on */
        char image[IPC_IMAGE_MAX];      /* what it was made of */
        char type[8];                   /* "volume" or "bind": of the mount that has our folder, */
        char source[DOCKER_SOURCE_MAX]; /* where that comes from, */
        char rest[IPC_SOCKET_PATH_MAX];       /* and the folder beneath, with a '/' before it, or ""; @type "": there is none */
};

/* What the engine says of the container that we are in. False: that is not what it says. */
bool docker_self_read(const char *json, size_t len, const char *const *networks, size_t network_count, const char *folder,
                      struct docker_self *out);

/* The id of a container that was made. False: there is none. */
bool docker_made_read(const char *json, size_t len, char out[DOCKER_ID_MAX]);

/* Why it refused, printable; "" if it said nothing. */
void docker_says_read(const char *json, size_t len, char out[DOCKER_SAYS_MAX]);

#endif

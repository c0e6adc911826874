/* SPDX-License-Identifier: BSD-3-Clause */
/* The gates that were open last, kept in a file: a gateway that starts again opens them at once, and who comes waits there until
 * a provider is back, as long as the configuration says. What nobody offers again is closed a minute later, as after the death
 * of a router worker. */
#ifndef HG_LAST_GATES_H
#define HG_LAST_GATES_H

#include <stdint.h>
#include <sys/types.h>

#include "gates.h"
#include "keys.h"
#include "state_halves.h"

enum { LAST_GATES_MAX = 256 };          /* more are not kept: a provider tells no more either */

struct last_gates {
        struct state_halves file;
        uint8_t router[KEYS_BYTES];     /* whose gates they are: another router's are none */
        uint32_t count;
        struct { uint16_t port, protocol; } gate[LAST_GATES_MAX];
};

/* Opens or makes the file at @path (NULL: none): 0600, of @uid:@gid, for this process alone, and reads it. What belongs to another
 * router, or is damaged, is as good as nothing. 0, or -errno: then it works without; -EPERM: others may write it. */
int last_gates_init(struct last_gates *last, const char *path, uid_t uid, gid_t gid, const uint8_t router[KEYS_BYTES]);
void last_gates_fini(struct last_gates *last);

/* The same gates, of what is called otherwise now. */
void last_gates_of_router(struct last_gates *last, const uint8_t router[KEYS_BYTES]);

/* Keeps which gates there are now, and stores that when it is another set. What a full disk does not take is left as it was. */
void last_gates_take(struct last_gates *last, const struct gates *gates);

/* Of the gates that were kept since our last life, those that can't be opened again are dropped. */
void last_gates_sort(const struct last_gates *last, const struct conf_gateway *conf, struct passed *passed);

/* Opens them as far as @gates' configuration lets them open again. */
void last_gates_open(const struct last_gates *last, struct gates *gates);

#endif

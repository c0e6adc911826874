/* SPDX-License-Identifier: BSD-3-Clause */
/* What an instance keeps of the configuration it runs with, whatever a new one says: sockets, names and keys that others know it by. */
#ifndef HG_CONF_KEEP_H
#define HG_CONF_KEEP_H

#include "conf_value.h"

enum { CONF_PLACES = 13 };

/* Where the keys stand that are kept. */
struct conf_places {
        struct conf_place at[CONF_PLACES];
};

/* Notes those in @file, each of which goes before what was noted; what is not there is nowhere. */
void conf_places_note(struct conf_places *places, const struct conf_file *file, const struct conf_node *root);

/* Puts what source->running has in place of what @conf, complete and good, has; a warning for each that differs, in the name of @file
 * where no file says it. */
void conf_keep(struct conf_read *read, const struct conf_file *file, const struct conf_places *places, struct conf *conf);

#endif

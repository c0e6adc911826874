/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder of its own for one test, which becomes the working directory: so complaints name files as the test does. */
#ifndef HG_CONF_FOLDER_H
#define HG_CONF_FOLDER_H

#include <stddef.h>

#include "conf.h"

struct folder {
        char path[64];
        int before;                     /* the working directory */
};

#define FOLDER_SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* Holds a good secret in "key". */
struct folder folder_begin(void);
void folder_end(struct folder *folder);

void folder_write(const char *name, const char *text, size_t len, unsigned mode);

/* Loads x.yaml and returns what it says, a line each, in static memory. *@conf_out is NULL or the caller's to conf_free(). */
const char *folder_load(struct conf_source source, struct conf **conf_out);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Which name services a process uses. */
#ifndef HG_OWN_NAMES_H
#define HG_OWN_NAMES_H

#include <nss.h>
#include <stdbool.h>

/* Whether these are the C library's own alone: a static binary can't rely on modules, which belong to the C library of the machine that it
 * happens to run on. Call it before the first look-up, and before there are threads. */
static inline bool own_names_only(void)
{
#ifdef HG_STATIC
        __nss_configure_lookup("hosts", "files dns");
        __nss_configure_lookup("passwd", "files");
        __nss_configure_lookup("group", "files");
        return true;
#else
        return false;
#endif
}

#endif

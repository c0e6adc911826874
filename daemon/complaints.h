/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong with a configuration, for whoever reads the log. */
#ifndef HG_COMPLAINTS_H
#define HG_COMPLAINTS_H

#include "conf.h"
#include "log.h"

/* A line each. On a terminal file:line:column comes first, as editors and people expect it. */
void complaints_say(const struct conf_complaints *complaints, const struct log *log);

#endif

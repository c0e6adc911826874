/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of a round: each asks one question, and its answer decides which is next. */
#ifndef HG_DOCKER_ROUND_H
#define HG_DOCKER_ROUND_H

#include "docker_process.h"

#define DOCKER_SOON_S 0.03              /* after something happened: more of it may follow */

/* A round begins, or is to when this one is over. */
void docker_begin_round(struct docker *docker);

/* Nothing more is to be done in it. */
void docker_end_round(struct docker *docker);

/* It is over without a result: what was found before stays. @why: NULL if the supervisor has said it. */
void docker_fail(struct docker *docker, const char *why);

/* To that step, as soon as there is a connection. */
void docker_next(struct docker *docker, enum docker_step step, size_t at);

/* The next round begins so soon at the latest. */
void docker_set_due(struct docker *docker, double after_s);

/* Asks on the connection that there is; what changes something may take its time. @fits: path and body could be written. */
void docker_put(struct docker *docker, bool fits, const char *method, const char *path, const char *json);

/* Asks what this step is about. */
void docker_ask(struct docker *docker);

/* With what comes of it. */
void docker_answer(struct docker *docker, const struct docker_http *http);

#endif

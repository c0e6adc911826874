/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of a round that make and remove helpers of the virtual network, and look at the container that we are in. */
#ifndef HG_DOCKER_MAKING_H
#define HG_DOCKER_MAKING_H

#include "docker_process.h"

/* Each is a question, and what its answer does. */
void docker_ask_self(struct docker *docker);
void docker_take_self(struct docker *docker, const struct docker_http *http);

/* The first network from @at on that this container is to be connected to, or their count. */
size_t docker_next_to_enter(struct docker *docker, size_t at);
void docker_ask_enter(struct docker *docker);
void docker_take_entered(struct docker *docker, const struct docker_http *http);
void docker_ask_helpers(struct docker *docker);
void docker_take_helpers(struct docker *docker, const struct docker_http *http);
void docker_ask_remove(struct docker *docker);
void docker_take_removed(struct docker *docker, const struct docker_http *http);
void docker_ask_make(struct docker *docker);
void docker_take_made(struct docker *docker, const struct docker_http *http);
void docker_ask_clear(struct docker *docker);
void docker_take_cleared(struct docker *docker, const struct docker_http *http);
void docker_ask_join(struct docker *docker);
void docker_take_joined(struct docker *docker, const struct docker_http *http);
void docker_ask_start(struct docker *docker);
void docker_take_started(struct docker *docker, const struct docker_http *http);
void docker_ask_undo(struct docker *docker);
void docker_take_undone(struct docker *docker, const struct docker_http *http);

/* A container that runs here is called all that. */
void docker_take_names(struct docker *docker, const struct docker_http *http);

#endif

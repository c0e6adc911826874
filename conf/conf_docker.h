/* SPDX-License-Identifier: BSD-3-Clause */
/* docker: at which engine services are found, and on which of its networks. */
#ifndef HG_CONF_DOCKER_H
#define HG_CONF_DOCKER_H

#include "conf_services.h"

struct conf_docker_draft {
        struct conf_place at;           /* NULL file: nowhere */
        struct conf_place read_only_at;
};

void conf_docker_read(struct conf_read *read, const struct conf_node *node, struct conf_docker_draft *draft, struct conf_docker *into);

/* When all files are known. */
void conf_docker_finish(struct conf_read *read, const struct conf_docker_draft *draft, struct conf *conf);

bool conf_docker_same(const struct conf_docker *a, const struct conf_docker *b);

#endif

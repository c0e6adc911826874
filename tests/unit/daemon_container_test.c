/* SPDX-License-Identifier: BSD-3-Clause */
#include "container.h"

#include <string.h>

#include "ipc_docker.h"
#include "test.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

TEST(a_container_is_known_by_the_files_that_its_engine_brings)
{
        static const struct { const char *line; bool inside; } rows[] = {
                { "612 589 8:1 /var/lib/docker/containers/" ID "/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw\n", true },
                { "612 589 0:24 /containers/storage/overlay-containers/" ID "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n", true },
                { "612 589 8:1 /docker/containers/" ID "/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n", true },
                { "99 25 0:50 / /var/lib/docker/containers/" ID "/mounts/shm rw - tmpfs shm rw\n", false },     /* seen from outside */
                { "612 589 8:1 /srv/" ID "0/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", false },
                { "612 589 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n", false },
                { "612 589 8:1\n", false },
                { "", false },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char id[IPC_CONTAINER_ID_MAX] = "";

                check_equal(container_line(rows[i].line, id), rows[i].inside);
                check(strcmp(id, rows[i].inside ? ID : "") == 0);
        }
}

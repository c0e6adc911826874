/* SPDX-License-Identifier: BSD-3-Clause */
#include "container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_brought(const char *path)
{
        return strcmp(path, "/etc/hostname") == 0 || strcmp(path, "/etc/hosts") == 0 || strcmp(path, "/etc/resolv.conf") == 0;
}

/* Docker: /var/lib/docker/containers/ID/hostname; podman: /run/containers/storage/overlay-containers/ID/userdata/hostname. */
bool container_line(const char *line, char out[IPC_CONTAINER_ID_MAX])
{
        char root[4096], path[64], *rest;

        if (sscanf(line, "%*s %*s %*s %4095s %63s", root, path) != 2 || !is_brought(path))
                return false;
        for (char *part = strtok_r(root, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
                if (strlen(part) == IPC_CONTAINER_ID_MAX - 1 && strspn(part, "0123456789abcdef") == IPC_CONTAINER_ID_MAX - 1) {
                        memcpy(out, part, IPC_CONTAINER_ID_MAX);
                        return true;
                }
        return false;
}

void container_self(char out[IPC_CONTAINER_ID_MAX])
{
        FILE *file = fopen("/proc/self/mountinfo", "re");
        char *line = NULL;
        size_t size = 0;

        out[0] = '\0';
        while (file && getline(&line, &size, file) > 0 && !container_line(line, out))
                continue;
        free(line);
        if (file)
                fclose(file);
}

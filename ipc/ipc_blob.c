/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "ipc_fd.h"
#include "ipc_message.h"

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

int ipc_blob_new(const void *bytes, size_t len)
{
        cleanup_fd int fd = -1;

        if (len == 0 || len > IPC_BLOB_MAX)
                return -EMSGSIZE;
        fd = memfd_create("hypergate", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        for (size_t done = 0; done < len;) {
                ssize_t written = write(fd, (const uint8_t *)bytes + done, len - done);

                if (written < 0 && errno != EINTR)
                        return -errno;
                done += written > 0 ? (size_t)written : 0;
        }
        if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        return take_fd(&fd);
}

bool ipc_blob_is_sealed(int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & SEALS) == SEALS;
}

int ipc_blob_read(int fd, size_t len, uint8_t **bytes_out)
{
        uint8_t *bytes;

        if (!ipc_blob_is_sealed(fd) || len == 0 || len > IPC_BLOB_MAX)
                return -EPROTO;
        bytes = malloc(len + 1);        /* one more, to see that it ends where it was said to */
        if (!bytes)
                return -ENOMEM;
        for (size_t done = 0; done <= len;) {
                ssize_t got = pread(fd, bytes + done, len + 1 - done, (off_t)done);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got == 0 && done == len) {
                        *bytes_out = bytes;
                        return 0;
                }
                if (got <= 0)
                        break;
                done += (size_t)got;
        }
        free(bytes);
        return -EPROTO;
}

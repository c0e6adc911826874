/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_save.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_talk.h"
#include "ipc_fd.h"

enum { FILES_MAX = 256, TEXT_MAX = 4096 };      /* drop-ins of an instance: conf.h, CONF_FILES_MAX */

static const char heading[] = "# Written by hypergate add --save; hypergate remove --save takes it away.\n";

static int fail(const char *what, const char *name, int error)
{
        fprintf(stderr, "hypergate: cannot %s %s: %s\n", what, name, strerror(error));
        return EX_CANTCREAT;
}

/* FILE.d, open. */
static int open_folder(const char *file, char folder[PATH_MAX])
{
        int len = snprintf(folder, PATH_MAX, "%s.d", file), fd;

        if (len >= PATH_MAX)
                return -ENAMETOOLONG;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int complain_folder(const char *folder, int error)
{
        if (error == -ENOENT)
                fprintf(stderr, "hypergate: it runs so, but is not saved: there is no folder for drop-ins. Make it, and say that again: "
                                "mkdir %s\n", folder);
        else
                return fail("save in", folder, -error);
        return EX_CANTCREAT;
}

static bool says_the_same(int folder, const char *name, const char *text, size_t len)
{
        cleanup_fd int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char there[TEXT_MAX];

        return fd >= 0 && read(fd, there, sizeof(there)) == (ssize_t)len && memcmp(there, text, len) == 0;
}

/* Whole, or not at all: under a name that is no drop-in's first, of which one that was left behind means nothing. */
static int write_file(int folder, const char *name, const char *text, size_t len)
{
        char hidden[NAME_MAX];
        cleanup_fd int fd = -1;
        int r = 0;

        snprintf(hidden, sizeof(hidden), ".%.200s.new", name);
        unlinkat(folder, hidden, 0);
        fd = openat(folder, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0644) < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 ||
            renameat2(folder, hidden, folder, name, RENAME_NOREPLACE) < 0 || fsync(folder) < 0)
                r = errno ? -errno : -ENOSPC;
        if (r < 0)
                unlinkat(folder, hidden, 0);
        return r;
}

/* The first name that is free, or says that already. */
static int save(int folder, const json_t *service, const char *text, size_t len)
{
        char name[64];
        int r = -EEXIST;

        for (int number = 1; number <= FILES_MAX && r == -EEXIST; number++) {
                snprintf(name, sizeof(name), "added-%lld-%s-%d.yaml", cli_talk_number(service, "gatePort"),
                         cli_talk_text(service, "protocol"), number);
                if (says_the_same(folder, name, text, len))
                        return 0;
                errno = 0;
                r = faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? -EEXIST : write_file(folder, name, text, len);
        }
        return r;
}

int cli_save_add(const char *file, const json_t *service)
{
        char folder[PATH_MAX], text[TEXT_MAX];
        cleanup_fd int fd = open_folder(file, folder);
        char *flow = json_dumps(service, 0);
        int len, r;

        if (fd < 0 || !flow) {
                free(flow);
                return complain_folder(folder, fd < 0 ? fd : -ENOMEM);
        }
        len = snprintf(text, sizeof(text), "%sprovider:\n  services:\n    - %s\n", heading, flow);
        free(flow);
        r = len < (int)sizeof(text) ? save(fd, service, text, (size_t)len) : -EFBIG;
        return r < 0 ? fail("save in", folder, -r) : EX_OK;
}

int cli_save_remove(const char *file, uint16_t port, const char *protocol)
{
        char folder[PATH_MAX], prefix[64];
        cleanup_fd int fd = open_folder(file, folder);
        const struct dirent *entry;
        int status = EX_OK;
        DIR *files;

        if (fd == -ENOENT)
                return EX_OK;
        files = fd < 0 ? NULL : opendir(folder);
        if (!files)
                return complain_folder(folder, fd < 0 ? fd : -errno);
        snprintf(prefix, sizeof(prefix), "added-%u-%s-", port, protocol);
        while ((entry = readdir(files)))
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && unlinkat(fd, entry->d_name, 0) < 0)
                        status = fail("remove", entry->d_name, errno);
        closedir(files);
        return status;
}

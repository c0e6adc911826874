/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_folder.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

struct folder folder_begin(void)
{
        struct folder folder = { .path = "/tmp/hypergate-conf.XXXXXX", .before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC) };

        check(folder.before >= 0 && mkdtemp(folder.path) && chdir(folder.path) == 0);
        folder_write("key", FOLDER_SECRET "\n", strlen(FOLDER_SECRET) + 1, 0600);
        return folder;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
        return remove(path);
}

void folder_end(struct folder *folder)
{
        int left = fchdir(folder->before);

        close(folder->before);
        nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        check(left == 0);
}

void folder_write(const char *name, const char *text, size_t len, unsigned mode)
{
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        check(fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0 && close(fd) == 0);
}

const char *folder_load(struct conf_source source, struct conf **conf_out)
{
        static char all[CONF_COMPLAINTS_MAX * CONF_COMPLAINT_TEXT_MAX], line[CONF_COMPLAINT_TEXT_MAX];
        struct conf_complaints complaints;
        enum conf_verdict verdict;
        size_t used = 0;

        *conf_out = NULL;
        if (!source.path)
                source.path = "x.yaml";
        all[0] = '\0';
        verdict = conf_load(&source, conf_out, &complaints);
        for (size_t i = 0; i < complaints.count; i++) {
                conf_complaint_text(&complaints.list[i], line, sizeof(line));
                used += (size_t)snprintf(all + used, sizeof(all) - used, "%s\n", line);
        }
        check((verdict == CONF_GOOD) == (complaints.error_count == 0));
        check((verdict == CONF_GOOD) == (*conf_out != NULL));
        check_equal(complaints.error_count + complaints.warning_count, complaints.count + complaints.omitted_count);
        conf_complaints_fini(&complaints);
        return all;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "resolve_files.h"
#include "test.h"

/* The modules of a line, with a blank after each. */
static const char *modules_of(const char *line)
{
        static char all[256];
        char name[16];

        all[0] = '\0';
        while ((line = resolve_files_next_module(line, name, sizeof(name)))) {
                strcat(all, name);
                strcat(all, " ");
        }
        return all;
}

TEST(modules_are_named_between_rules_and_blanks)
{
        check(strcmp(modules_of("\tfiles mdns4_minimal [NOTFOUND=return] dns\n"), "files mdns4_minimal dns ") == 0);
        check(strcmp(modules_of(" files resolve [!UNAVAIL=return] dns # mymachines\n"), "files resolve dns ") == 0);
        check(strcmp(modules_of("files dns"), "files dns ") == 0);
        check(strcmp(modules_of("files[SUCCESS=return]dns"), "files dns ") == 0);
        check(strcmp(modules_of(""), "") == 0);
        check(strcmp(modules_of("[never closed"), "") == 0);
}

TEST(a_name_that_would_leave_the_librarys_folder_is_no_module)
{
        check(strcmp(modules_of("files ../../tmp/evil dns"), "files dns ") == 0);
        check(strcmp(modules_of("a/b dns"), "dns ") == 0);
        check(strcmp(modules_of("averyveryverylongnameofamodule dns"), "dns ") == 0);
}

TEST(files_that_stay_are_not_changed)
{
        struct resolve_files_seen seen;

        resolve_files_look(&seen);
        check(!resolve_files_changed(&seen));
        seen.file[1].inode ^= 1;
        check(resolve_files_changed(&seen));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "hosts_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

enum { NOBODY = 65534 };

static char top[] = "/tmp/hypergate-test-XXXXXX", path[128];

/* @name in the place of an instance called x. */
static const char *at(const char *name)
{
        static char whole[160];

        snprintf(whole, sizeof(whole), "%s/%s", top, name);
        return whole;
}

static void begin(void)
{
        memcpy(top + strlen(top) - 6, "XXXXXX", 6);
        check(mkdtemp(top) != NULL);
        snprintf(path, sizeof(path), "%s/hosts/x/port.sock", top);
}

static void end(void)
{
        unlink(at("hosts/x"));
        rmdir(at("hosts/x"));
        rmdir(at("hosts"));
        check(rmdir(top) == 0);
}

static unsigned mode_of(const char *name)
{
        struct stat is;

        check(stat(at(name), &is) == 0);
        return is.st_mode & 07777;
}

TEST(others_may_pass_the_outer_folder_and_enter_no_inner_one)
{
        mode_t before = umask(0077);

        begin();
        check_equal(hosts_folder_make(path, geteuid(), getegid()), 0);
        check(mode_of("hosts") == 0711 && mode_of("hosts/x") == 0700);
        check(chmod(at("hosts/x"), 0755) == 0);
        check_equal(hosts_folder_make(path, geteuid(), getegid()), 0);  /* of a start before */
        check_equal(mode_of("hosts/x"), 0700);
        umask(before);
        end();
}

TEST(what_somebody_else_has_put_there_is_left_alone)
{
        begin();
        check(mkdir(at("hosts"), 0755) == 0 && symlink("/", at("hosts/x")) == 0);
        check_equal(hosts_folder_make(path, geteuid(), getegid()), -ENOTDIR);
        check_equal(mode_of("hosts"), 0755);
        check(unlink(at("hosts/x")) == 0);
        if (geteuid() == 0) {           /* who else could make another's */
                struct stat is;

                check_equal(hosts_folder_make(path, NOBODY, NOBODY), 0);
                check(stat(at("hosts/x"), &is) == 0 && is.st_uid == NOBODY && is.st_gid == NOBODY);
                check(chown(at("hosts/x"), NOBODY - 1, 0) == 0);
                check_equal(hosts_folder_make(path, NOBODY, NOBODY), -EPERM);
        }
        check_equal(hosts_folder_make("/nowhere-at-all/hosts/x/port.sock", geteuid(), getegid()), -ENOENT);
        end();
}

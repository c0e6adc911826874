/* SPDX-License-Identifier: BSD-3-Clause */
#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capabilities.h"
#include "cleanup.h"
#include "ipc_fd.h"

enum privileges_verdict privileges_plan(struct privileges *plan, const char *user, bool allow_root)
{
        const struct passwd *entry;

        *plan = (struct privileges){ .uid = geteuid(), .gid = getegid() };
        if (!user)
                return geteuid() == 0 && !allow_root ? PRIVILEGES_ROOT : PRIVILEGES_OK;
        entry = getpwnam(user);
        if (!entry)
                return PRIVILEGES_NO_USER;
        if (geteuid() != 0)
                return entry->pw_uid == geteuid() ? PRIVILEGES_OK : PRIVILEGES_NOT_ROOT;
        if (entry->pw_uid == 0)
                return allow_root ? PRIVILEGES_OK : PRIVILEGES_USER_IS_ROOT;
        *plan = (struct privileges){ .drops = true, .uid = entry->pw_uid, .gid = entry->pw_gid };
        return PRIVILEGES_OK;
}

static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);       /* what can't be raised stays; accept() says when it was too little */
}

int privileges_harden(void)
{
        struct rlimit none = { 0 };

        raise_descriptor_limit();
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);         /* what is in that of whoever started us is none of ours */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
#ifndef HG_SANITIZED    /* the leak checker traces its own process */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
#endif
        return 0;
}

/* -EPERM when anything of root is left, or can be had back. */
static int check_dropped(const struct privileges *plan)
{
        uid_t real, effective, saved;
        gid_t real_group, effective_group, saved_group;

        if (getresuid(&real, &effective, &saved) < 0 || getresgid(&real_group, &effective_group, &saved_group) < 0)
                return -errno;
        if (real != plan->uid || effective != plan->uid || saved != plan->uid || real_group != plan->gid ||
            effective_group != plan->gid || saved_group != plan->gid || getgroups(0, NULL) != 0 || capabilities_any())
                return -EPERM;
        return setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 ? -EPERM : 0;
}

int privileges_drop(const struct privileges *plan)
{
        int r;

        if (!plan->drops)
                return 0;
        capabilities_drop_bounding();
        if (setgroups(0, NULL) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
            setresuid(plan->uid, plan->uid, plan->uid) < 0)
                return -errno;
        r = capabilities_drop_all();
        if (r == 0)
                r = privileges_harden();        /* with its user a process becomes dumpable again */
        return r < 0 ? r : check_dropped(plan);
}

/* What is beneath the folder of @path; one that is not there (yet) is told of when a gate is to be opened in it. */
static int allow_sockets(int ruleset, const char *path)
{
        struct landlock_path_beneath_attr beneath = { .allowed_access = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE };
        char folder[CONF_SOCKET_PATH_MAX + sizeof(CONF_GATE_PORT_WORD)];
        cleanup_fd int fd = -1;

        snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path) + 1, path);
        fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        beneath.parent_fd = fd;
        return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ? -errno : 0;
}

int privileges_renounce_writing(const struct conf *conf)
{
        const struct conf_gateway *gateway = &conf->gateway;
        struct landlock_ruleset_attr attr = {
                .handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                                     LANDLOCK_ACCESS_FS_MAKE_SYM,
        };
        int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION), ruleset, r = 0;

        if (abi < 1)
                return 0;
        if (abi >= 2)
                attr.handled_access_fs |= 1ULL << 13;   /* refer */
        if (abi >= 3)
                attr.handled_access_fs |= 1ULL << 14;   /* truncate */
        ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (ruleset < 0)
                return -errno;
        for (size_t i = 0; r == 0 && gateway->present && i < gateway->listen_count; i++)
                if (gateway->listen[i].path)
                        r = allow_sockets(ruleset, gateway->listen[i].path);
        if (r == 0 && gateway->present && gateway->hosts)
                r = allow_sockets(ruleset, gateway->hosts);
        if (r == 0 && conf->resolver.path)
                r = allow_sockets(ruleset, conf->resolver.path);
        if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                r = -errno;
        close(ruleset);
        return r;
}

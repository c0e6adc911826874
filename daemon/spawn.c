/* SPDX-License-Identifier: BSD-3-Clause */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "capabilities.h"

enum { LINK_FD = 3 };

static void default_signals(void)
{
        sigset_t none;

        for (int number = 1; number < NSIG; number++)
                signal(number, SIG_DFL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Everything but 0 to 3 is closed; the four may come from anywhere. 0 or -errno. */
static int arrange_fds(const struct spawn *spawn)
{
        int null = fcntl(spawn->null_fd, F_DUPFD, LINK_FD + 1);
        int words = fcntl(spawn->words_fd, F_DUPFD, LINK_FD + 1);
        int link = fcntl(spawn->link_fd, F_DUPFD, LINK_FD + 1);

        if (null < 0 || words < 0 || link < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(words, STDOUT_FILENO) < 0 ||
            dup2(words, STDERR_FILENO) < 0 || dup2(link, LINK_FD) < 0)
                return -errno;
        return syscall(SYS_close_range, LINK_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static _Noreturn void fail(const char *what, int error)
{
        dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(error));
        _exit(EX_OSERR);
}

static _Noreturn void become(const struct spawn *spawn, pid_t supervisor)
{
        char *nothing[] = { NULL };
        int r = arrange_fds(spawn);

        if (r < 0)
                fail("descriptors", -r);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                fail("prctl", errno);
        if (getppid() != supervisor)
                _exit(EX_OSERR);        /* it died before we asked to be told */
        r = capabilities_drop_all();
        if (r < 0)
                fail("capabilities", -r);
        setsid();
        umask(077);
        default_signals();
        if (chdir("/") < 0)
                fail("/", errno);
        execve(spawn->path, spawn->argv, nothing);
        fail(spawn->path, errno);
}

int spawn(const struct spawn *spawn, pid_t *pid_out)
{
        pid_t supervisor = getpid(), pid;
        int r;

        if (spawn->oom_score)
                oom_score_raise(spawn->oom_score);
        pid = fork();
        if (pid == 0)
                become(spawn, supervisor);
        r = pid < 0 ? -errno : 0;
        if (spawn->oom_score)
                oom_score_lower(spawn->oom_score);
        if (r < 0)
                return r;
        *pid_out = pid;
        return 0;
}

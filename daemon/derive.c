/* SPDX-License-Identifier: BSD-3-Clause */
#include "derive.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "ipc_fd.h"

/* It holds nothing of ours open but its end of the pipe, which takes as little as that whole. */
static _Noreturn void work(struct keys_router *router, const uint8_t *secret, int fd, pid_t supervisor)
{
        static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE };
        bool good;

        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
                signal(ours[i], SIG_DFL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != supervisor)
                _exit(EXIT_FAILURE);
        if (fd > STDERR_FILENO + 1)
                syscall(SYS_close_range, STDERR_FILENO + 1, fd - 1, 0);
        syscall(SYS_close_range, fd + 1, ~0U, 0);
        good = keys_router_derive(router, secret) == 0 && write(fd, router->auth, sizeof(router->auth)) == sizeof(router->auth);
        sodium_memzero(router, sizeof(*router));
        _exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void on_readable(struct ev_loop *loop, ev_io *readable, int events)
{
        struct derive *derive = readable->data;
        uint8_t auth[KEYS_AUTH_BYTES];
        ssize_t len = read(readable->fd, auth, sizeof(auth));
        bool good = len == sizeof(auth);

        if (len < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (good)
                keys_router_take_auth(derive->router, auth);
        sodium_memzero(auth, sizeof(auth));
        derive_fini(derive);
        derive->done(derive->context, good);
}

int derive_begin(struct derive *derive, struct ev_loop *loop, struct keys_router *router, const uint8_t *secret,
                 void (*done)(void *context, bool good), void *context)
{
        pid_t supervisor = getpid(), pid;
        int ends[2], r;

        *derive = (struct derive){ .loop = loop, .router = router, .done = done, .context = context };
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        pid = fork();
        r = pid < 0 ? -errno : 0;
        if (pid == 0)
                work(router, secret, ends[1], supervisor);
        close_fdp(&ends[1]);
        if (r < 0) {
                close_fdp(&ends[0]);
                return r;
        }
        ev_io_init(&derive->readable, on_readable, ends[0], EV_READ);
        derive->readable.data = derive;
        ev_io_start(loop, &derive->readable);
        return 0;
}

void derive_fini(struct derive *derive)
{
        if (!ev_is_active(&derive->readable))
                return;
        ev_io_stop(derive->loop, &derive->readable);
        close(derive->readable.fd);
}

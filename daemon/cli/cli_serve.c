/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli_serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc_fd.h"

enum { WHERE_MAX = 64, BACKLOG = 16 };

static int refuse(void)
{
        fprintf(stderr, "hypergate: metrics: --listen: an address of the loopback and a port, such as 127.0.0.1:9469 or [::1]:9469\n"
                        "Try: hypergate --help\n");
        return EX_USAGE;
}

static int fail(const char *where)
{
        fprintf(stderr, "hypergate: can't listen on %s: %s\n", where, strerror(errno));
        return EX_UNAVAILABLE;
}

static bool is_loopback(const struct sockaddr *address)
{
        if (address->sa_family == AF_INET6)
                return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
        return address->sa_family == AF_INET && ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
}

/* What is served says who is connected to whom: nobody but this machine's users gets it, and they ask as they like. */
static struct addrinfo *find(const char *where)
{
        struct addrinfo wanted = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *found = NULL;
        char host[WHERE_MAX];
        char *port, *end;

        if (strlen(where) >= sizeof(host))
                return NULL;
        memcpy(host, where, strlen(where) + 1);
        port = strrchr(host, ':');
        if (!port || port == host)
                return NULL;
        end = port - 1;
        *port++ = '\0';
        if (*host == '[' && *end == ']')
                *end = '\0';
        if (getaddrinfo(host + (*host == '['), port, &wanted, &found) != 0)
                return NULL;
        if (is_loopback(found->ai_addr))
                return found;
        freeaddrinfo(found);
        return NULL;
}

/* With the port that it got. */
static void say(int listener)
{
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);
        char host[WHERE_MAX], port[16];

        if (getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
            getnameinfo((const struct sockaddr *)&address, len, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
                printf("http://%s%s%s:%s/metrics\n", strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", port);
        fflush(stdout);
}

/* Those that have ended are forgotten; where there are enough, one of them is waited for. */
static unsigned reap(unsigned running)
{
        while (running > 0 && waitpid(-1, NULL, running < CLI_SERVE_MAX ? WNOHANG : 0) > 0)
                running--;
        return running;
}

/* Until that does not work any more. */
static void accept_all(int listener, int (*answer)(void *context, int fd), void *context)
{
        unsigned running = 0;

        for (;;) {
                cleanup_fd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                pid_t child;

                if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
                        return;
                running = reap(running);
                child = fd < 0 ? -1 : fork();
                if (child == 0) {
                        close(listener);
                        _exit(answer(context, fd));
                }
                running += child > 0;
        }
}

int cli_serve(const char *where, int (*answer)(void *context, int fd), void *context)
{
        struct addrinfo *at = find(where);
        cleanup_fd int listener = at ? socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
        int on = 1;

        if (!at)
                return refuse();
        if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(listener, at->ai_addr, at->ai_addrlen) < 0 || listen(listener, BACKLOG) < 0) {
                freeaddrinfo(at);
                return fail(where);
        }
        freeaddrinfo(at);
        say(listener);
        accept_all(listener, answer, context);
        return fail(where);
}

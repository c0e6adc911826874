/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetches one URL and ends. It holds no key, is told nothing but that, and has no file, no name service and no port to connect to but
 * the URL's: what a server sends is read by libcurl here, and by nobody who knows more. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "fetch_http.h"
#include "run_confine.h"
#include "run_walls.h"

enum { ANSWER_FD = 3 };

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

/* Up to @max bytes; *@len_out of them. NULL: cannot be read, or no memory. */
static uint8_t *read_all(int fd, size_t max, size_t *len_out)
{
        uint8_t *bytes = malloc(max);
        ssize_t len = 1;

        for (*len_out = 0; bytes && len > 0 && *len_out < max; *len_out += (size_t)len) {
                len = read(fd, bytes + *len_out, max - *len_out);
                if (len < 0 && errno == EINTR)
                        len = 0;
                if (len < 0) {
                        free(bytes);
                        return NULL;
                }
        }
        return bytes;
}

static bool write_all(const void *bytes, size_t len)
{
        for (ssize_t wrote; len > 0; len -= (size_t)wrote, bytes = (const uint8_t *)bytes + wrote) {
                wrote = write(ANSWER_FD, bytes, len);
                if (wrote < 0)
                        return false;
        }
        return true;
}

static int fetch(const struct ipc_fetch_order *order, const uint8_t *ca, size_t ca_bytes)
{
        const struct ipc_begin begin = { .protocols = 1U << IPC_TCP, .port_count = 1, .port = { order->port } };
        struct run_confinement walls;
        struct ipc_fetch_answer answer;
        struct fetch_http http;
        bool good;

        run_walls(RUN_WALL_FETCH, &begin, &walls);
        if (!fetch_http_init(&http, order, ca, ca_bytes) || run_confine(&walls, -1) < 0) {
                fetch_http_fini(&http);
                return EX_OSERR;
        }
        fetch_http_run(&http, &answer);
        good = write_all(&answer, sizeof(answer)) && write_all(http.body, answer.body_bytes);
        fetch_http_fini(&http);
        return good ? EX_OK : EX_IOERR;
}

int main(void)
{
        struct ipc_fetch_order *order;
        size_t len, ca_bytes;
        uint8_t *said, *ca;
        int code, fd;

        signal(SIGPIPE, SIG_IGN);
        setenv("TZ", "UTC0", 1);        /* else the C library looks for the zone when a certificate is checked */
        tzset();
        if (run_harden() < 0)
                return EX_OSERR;
        said = read_all(STDIN_FILENO, IPC_FETCH_CA_MAX + sizeof(*order), &len);
        order = (struct ipc_fetch_order *)(void *)said;
        if (!said || len < sizeof(*order) || !ipc_fetch_order_good(order) || order->ca_bytes != len - sizeof(*order)) {
                free(said);
                return EX_DATAERR;
        }
        fd = order->ca_bytes ? -1 : open(system_ca, O_RDONLY | O_CLOEXEC);
        ca = fd < 0 ? NULL : read_all(fd, IPC_FETCH_CA_MAX, &ca_bytes);
        if (fd >= 0)
                close(fd);
        code = order->ca_bytes ? fetch(order, said + sizeof(*order), order->ca_bytes) : fetch(order, ca, ca ? ca_bytes : 0);
        free(ca);
        free(said);
        return code;
}

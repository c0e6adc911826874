/* SPDX-License-Identifier: BSD-3-Clause */
#include "site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gate_socket.h"
#include "ipc_fd.h"
#include "sockets.h"

void site_init(struct site *site, const struct log *log, struct children *children, const char *key, uint32_t id)
{
        *site = (struct site){ .log = log, .children = children, .key = key, .id = id, .fd = -1 };
}

static void leave(struct site *site)
{
        close_fdp(&site->fd);
        if (site->path[0])
                unlink(site->path);
        memset(site->ip, 0, sizeof(site->ip));
        site->port = 0;
        site->path[0] = '\0';
}

void site_fini(struct site *site)
{
        leave(site);
}

/* What it has may be in the way of what it shall have: "0.0.0.0" is all addresses. */
static int open_port(const struct site *site, const struct conf_site *conf, int *fd_out)
{
        int r = sockets_http(conf->ip, conf->port, fd_out);

        return r == -EADDRINUSE && site->fd >= 0 && site->port == conf->port ? sockets_http_beside(conf->ip, conf->port, site->fd, fd_out) : r;
}

/* 0 or -errno, which is logged. */
static int open_at(const struct site *site, const struct conf_site *conf, int *fd_out)
{
        int r = conf->path ? gate_socket_http(conf->path, fd_out) : open_port(site, conf, fd_out);

        if (r < 0)
                log_error(site->log, "%s: can't listen on %s: %s%s", site->key, conf->text,
                          conf->path ? gate_socket_refusal(-r) : sockets_refusal(-r),
                          site->fd >= 0 ? "; it stays where it was" : "");
        return r;
}

static bool is_there(const struct site *site, const struct conf_site *conf)
{
        return site->fd >= 0 && strcmp(site->path, conf->path ? conf->path : "") == 0 && site->port == conf->port &&
               memcmp(site->ip, conf->ip, sizeof(site->ip)) == 0;
}

int site_begin(struct site *site, const struct conf_site *conf)
{
        int fd = -1, r = conf_site_answers(conf) ? open_at(site, conf, &fd) : 0;

        if (r < 0 || fd < 0)
                return r;
        if (!site->child)
                site->child = children_add(site->children, IPC_ADMIN, site->id, NULL);
        if (!site->child) {
                close(fd);
                return -ENOMEM;
        }
        leave(site);
        site->fd = fd;
        memcpy(site->ip, conf->ip, sizeof(site->ip));
        site->port = conf->port;
        snprintf(site->path, sizeof(site->path), "%s", conf->path ? conf->path : "");
        return 0;
}

void site_reload(struct site *site, const struct conf_site *conf)
{
        bool wanted = conf_site_answers(conf);

        if (wanted ? is_there(site, conf) : site->fd < 0)
                return;
        if (wanted)
                (void)site_begin(site, conf);
        else
                leave(site);
        if (site->child)
                site->child->unconfigured = true;
}

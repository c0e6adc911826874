/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_hosts.h"

#include <string.h>
#include <strings.h>

static struct docker_host *find(struct docker_hosts *hosts, const char *name)
{
        for (size_t i = 0; i < hosts->count; i++)
                if (strcasecmp(hosts->list[i].name, name) == 0)
                        return &hosts->list[i];
        return NULL;
}

static bool is_wanted(const struct docker_wanted *wanted, const char *name)
{
        for (size_t i = 0; i < wanted->count; i++)
                if (strcmp(wanted->name[i], name) == 0)
                        return true;
        return false;
}

void docker_hosts_want(struct docker_hosts *hosts, const struct docker_wanted *wanted)
{
        size_t kept = 0;

        for (size_t i = 0; i < hosts->count; i++)
                if (is_wanted(wanted, hosts->list[i].name))
                        hosts->list[kept++] = hosts->list[i];
        hosts->count = kept;
        for (size_t i = 0; i < wanted->count; i++) {
                struct docker_host *host = &hosts->list[hosts->count];

                if (find(hosts, wanted->name[i]))
                        continue;
                memset(host, 0, sizeof(*host));
                strcpy(host->name, wanted->name[i]);
                hosts->count++;
        }
}

void docker_hosts_look(struct docker_hosts *hosts)
{
        for (size_t i = 0; i < hosts->count; i++)
                hosts->list[i].local = hosts->list[i].there = false;
        hosts->doomed_count = 0;
        hosts->more_doomed = false;
}

void docker_hosts_local(struct docker_hosts *hosts, const char *name)
{
        struct docker_host *host = find(hosts, name);

        if (host)
                host->local = true;
}

static void doom(struct docker_hosts *hosts, const struct docker_helper *helper)
{
        if (helper->state == DOCKER_HELPER_LEAVING)
                return;
        if (hosts->doomed_count == DOCKER_DOOMED_MAX)
                hosts->more_doomed = true;
        else
                memcpy(hosts->doomed[hosts->doomed_count++], helper->id, DOCKER_ID_MAX);
}

void docker_hosts_found(struct docker_hosts *hosts, const struct docker_helper *helper, const char *owner, const char *life,
                        unsigned networks, double now_s)
{
        struct docker_host *host = find(hosts, helper->host);

        if (strcmp(helper->owner, owner) != 0) {
                if (helper->state != DOCKER_HELPER_RUNS && now_s - helper->made_s > DOCKER_HOST_STARTS_S)
                        doom(hosts, helper);
                return;
        }
        if (!host || host->local || host->there || helper->state != DOCKER_HELPER_RUNS || strcmp(helper->life, life) != 0 ||
            (helper->networks & networks) != networks) {
                doom(hosts, helper);
                return;
        }
        host->there = true;
        if (now_s - host->made_s >= DOCKER_HOST_STEADY_S)
                host->tries = 0;
}

static bool needs(const struct docker_host *host)
{
        return !host->local && !host->there;
}

struct docker_host *docker_hosts_next(struct docker_hosts *hosts, double now_s)
{
        for (size_t i = 0; i < hosts->count; i++)
                if (needs(&hosts->list[i]) && hosts->list[i].not_before_s <= now_s)
                        return &hosts->list[i];
        return NULL;
}

void docker_host_made(struct docker_host *host, double now_s)
{
        double wait_s = DOCKER_HOST_FIRST_S;

        for (unsigned i = 0; i < host->tries && wait_s < DOCKER_HOST_LAST_S; i++)
                wait_s *= 2;
        host->there = true;
        host->tries++;
        host->made_s = now_s;
        host->not_before_s = now_s + (wait_s < DOCKER_HOST_LAST_S ? wait_s : DOCKER_HOST_LAST_S);
}

double docker_hosts_wait(const struct docker_hosts *hosts, double now_s)
{
        double wait_s = hosts->more_doomed ? 0 : -1;

        for (size_t i = 0; i < hosts->count; i++) {
                double left_s = hosts->list[i].not_before_s - now_s;

                if (needs(&hosts->list[i]) && (wait_s < 0 || left_s < wait_s))
                        wait_s = left_s > 0 ? left_s : 0;
        }
        return wait_s;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_ports.h"

#include <string.h>
#include <strings.h>

/* A part of a label; it does not end with NUL. */
struct part {
        const char *at;
        size_t len;
};

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct part trimmed(struct part part)
{
        for (; part.len > 0 && is_blank(*part.at); part.len--)
                part.at++;
        while (part.len > 0 && is_blank(part.at[part.len - 1]))
                part.len--;
        return part;
}

/* Up to the first @end; @rest is what stands behind. False: there is none, and @rest is untouched. */
static bool split(struct part *part, char end, struct part *rest)
{
        const char *at = memchr(part->at, end, part->len);

        if (!at)
                return false;
        *rest = (struct part){ at + 1, part->len - (size_t)(at + 1 - part->at) };
        part->len = (size_t)(at - part->at);
        return true;
}

static bool read_port(struct part part, uint16_t *out)
{
        uint32_t port = 0;

        part = trimmed(part);
        for (size_t i = 0; i < part.len; i++) {
                if (part.at[i] < '0' || part.at[i] > '9' || port > UINT16_MAX)
                        return false;
                port = port * 10 + (uint32_t)(part.at[i] - '0');
        }
        *out = (uint16_t)port;
        return port > 0 && port <= UINT16_MAX;
}

static bool read_protocol(struct part part, uint16_t *out)
{
        part = trimmed(part);
        *out = part.len == 3 && strncasecmp(part.at, "udp", 3) == 0 ? IPC_UDP : IPC_TCP;
        return part.len == 3 && (*out == IPC_UDP || strncasecmp(part.at, "tcp", 3) == 0);
}

/* "port[:outside][/protocol]", of which @outside may be forbidden. */
static bool read_entry(struct part entry, bool may_map, struct docker_port *out)
{
        struct part protocol, outside;

        *out = (struct docker_port){ .protocol = IPC_TCP };
        if (split(&entry, '/', &protocol) && !read_protocol(protocol, &out->protocol))
                return false;
        if (split(&entry, ':', &outside) && (!may_map || !read_port(outside, &out->outside)))
                return false;
        return read_port(entry, &out->inside);
}

bool docker_port_read(const char *text, struct docker_port *out)
{
        return strchr(text, '/') && read_entry((struct part){ text, strlen(text) }, false, out);
}

static bool same(const struct docker_port *a, const struct docker_port *b)
{
        return a->inside == b->inside && a->protocol == b->protocol;
}

void docker_ports_add(struct docker_ports *ports, struct docker_port port)
{
        for (size_t i = 0; i < ports->count; i++) {
                struct docker_port *known = &ports->list[i];

                if (!same(known, &port) || (port.outside && known->outside && known->outside != port.outside))
                        continue;
                if (!known->outside)
                        known->outside = port.outside;
                return;
        }
        if (ports->count < DOCKER_PORTS_MAX)
                ports->list[ports->count++] = port;
        else
                ports->more++;
}

/* NULL: all. */
static void drop(struct docker_ports *ports, const struct docker_port *which)
{
        size_t kept = 0;

        for (size_t i = 0; i < ports->count; i++)
                if (ports->list[i].outside || (which && !same(&ports->list[i], which)))
                        ports->list[kept++] = ports->list[i];
        ports->count = kept;
}

/* The first of @left, which becomes the rest; empty ones are passed over. False: there is none. */
static bool next_entry(struct part *left, struct part *entry_out)
{
        while (left->at) {
                struct part entry = *left, rest = { NULL, 0 };

                split(&entry, ',', &rest);
                *left = rest;
                *entry_out = trimmed(entry);
                if (entry_out->len)
                        return true;
        }
        return false;
}

void docker_ports_unexpose(struct docker_ports *ports, const char *label, docker_ports_complaint *complain, void *context)
{
        struct part left = { label, strlen(label) }, entry;
        struct docker_port port;

        while (next_entry(&left, &entry)) {
                bool all = entry.len == 1 && *entry.at == '*';

                if (all || read_entry(entry, false, &port))
                        drop(ports, all ? NULL : &port);
                else
                        complain(context, "hypergate.UNEXPOSE", entry.at, entry.len);
        }
}

void docker_ports_expose(struct docker_ports *ports, const char *label, docker_ports_complaint *complain, void *context)
{
        struct part left = { label, strlen(label) }, entry;
        struct docker_port port;

        while (next_entry(&left, &entry))
                if (read_entry(entry, true, &port))
                        docker_ports_add(ports, port);
                else
                        complain(context, "hypergate.EXPOSE", entry.at, entry.len);
}

bool docker_label_true(const char *label)
{
        struct part part = trimmed((struct part){ label, strlen(label) });

        return part.len == 4 && strncasecmp(part.at, "true", 4) == 0;
}

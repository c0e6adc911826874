/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_container.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { SHORT_ID_LEN = 12 };

/* What a label's complaints are told with. */
struct listener {
        docker_container_complaint *complain;
        void *context;
        const struct docker_container *container;
};

/* "1.41" of API 1.x; 0: it is none. */
static unsigned minor_of(const json_t *value)
{
        const char *text = json_string_value(value);
        unsigned minor = 0;

        if (!text || strncmp(text, "1.", 2) != 0 || strlen(text) < 3 || strlen(text) > 5)
                return 0;
        for (text += 2; *text; text++) {
                if (*text < '0' || *text > '9')
                        return 0;
                minor = minor * 10 + (unsigned)(*text - '0');
        }
        return minor;
}

bool docker_version_read(const char *json, size_t len, unsigned *minor_out, unsigned *theirs_out)
{
        json_t *root = json_loadb(json, len, 0, NULL);
        unsigned theirs = minor_of(json_object_get(root, "ApiVersion")), least = minor_of(json_object_get(root, "MinAPIVersion"));

        json_decref(root);
        *theirs_out = theirs;
        if (theirs < DOCKER_API_MIN || least > DOCKER_API_MAX)
                return false;
        *minor_out = theirs < DOCKER_API_MAX ? theirs : DOCKER_API_MAX;
        return true;
}

/* It goes into paths: nothing but hex digits. */
static bool is_id(const char *text)
{
        return text && strlen(text) == DOCKER_ID_MAX - 1 && strspn(text, "0123456789abcdef") == DOCKER_ID_MAX - 1;
}

bool docker_ids_read(const char *json, size_t len, struct docker_ids *out)
{
        json_t *root = json_loadb(json, len, 0, NULL), *entry;
        bool good = json_is_array(root);
        size_t index;

        out->count = out->more = 0;
        json_array_foreach(root, index, entry) {
                const char *id = json_string_value(json_object_get(entry, "Id"));

                if (!is_id(id))
                        good = false;
                else if (json_object_get(json_object_get(entry, "Labels"), DOCKER_LABEL_HELPER))
                        continue;
                else if (out->count < DOCKER_CONTAINERS_MAX)
                        memcpy(out->list[out->count++], id, DOCKER_ID_MAX);
                else
                        out->more++;
        }
        json_decref(root);
        return good;
}

/* Cut, and other than printable ASCII as '?'. */
static void put_printable(char *out, size_t size, const char *text)
{
        size_t len = 0;

        for (; *text && len + 1 < size; text++)
                out[len++] = *text > ' ' && *text <= '~' ? *text : '?';
        out[len] = '\0';
}

bool docker_network_read(const char *json, size_t len, char *driver_out, size_t size)
{
        json_t *root = json_loadb(json, len, 0, NULL);
        const char *driver = json_string_value(json_object_get(root, "Driver"));

        if (driver)
                put_printable(driver_out, size, driver);
        json_decref(root);
        return driver;
}

/* A name that a gateway and its people can do something with. */
static bool is_host(const char *text)
{
        size_t len = text ? strlen(text) : 0;

        return len > 0 && len < IPC_NAME_MAX &&
               strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len && *text != '.' && *text != '-';
}

static bool read_address(const json_t *network, uint8_t out[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        const char *v4 = json_string_value(json_object_get(network, "IPAddress"));
        const char *v6 = json_string_value(json_object_get(network, "GlobalIPv6Address"));

        memcpy(out, mapped, sizeof(mapped));
        return (v4 && inet_pton(AF_INET, v4, out + sizeof(mapped)) == 1) || (v6 && inet_pton(AF_INET6, v6, out) == 1);
}

/* The engine has the short id among the aliases, too. */
static const char *first_alias(const json_t *network, const char *id)
{
        const json_t *aliases = json_object_get(network, "Aliases");

        for (size_t i = 0; i < json_array_size(aliases); i++) {
                const char *alias = json_string_value(json_array_get(aliases, i));

                if (is_host(alias) && !(strlen(alias) == SHORT_ID_LEN && strncmp(alias, id, SHORT_ID_LEN) == 0))
                        return alias;
        }
        return NULL;
}

static void read_place(const json_t *root, const char *id, const char *const *networks, size_t network_count, struct docker_container *out)
{
        const json_t *all = json_object_get(json_object_get(root, "NetworkSettings"), "Networks");
        const char *name = json_string_value(json_object_get(root, "Name"));

        for (size_t i = 0; i < network_count && !out->host[0]; i++) {
                const json_t *network = json_object_get(all, networks[i]);
                const char *host = network ? first_alias(network, id) : NULL;

                if (!host && name)
                        host = name + (*name == '/');
                if (network && is_host(host) && read_address(network, out->ip))
                        snprintf(out->host, sizeof(out->host), "%s", host);
        }
}

/* The host's end of a published port; those of IPv4 and IPv6 are the same mostly. */
static void add_published(struct docker_ports *ports, struct docker_port port, const json_t *ends)
{
        for (size_t i = 0; i < json_array_size(ends); i++) {
                const char *text = json_string_value(json_object_get(json_array_get(ends, i), "HostPort"));
                char whole[16];
                struct docker_port outside;

                if (!text || snprintf(whole, sizeof(whole), "%s/tcp", text) >= (int)sizeof(whole) || !docker_port_read(whole, &outside))
                        continue;
                port.outside = outside.inside;
                docker_ports_add(ports, port);
        }
}

static void read_ports(json_t *root, struct docker_ports *ports)
{
        json_t *exposed = json_object_get(json_object_get(root, "Config"), "ExposedPorts");
        json_t *bound = json_object_get(json_object_get(root, "NetworkSettings"), "Ports");
        struct docker_port port;
        const char *key;
        json_t *ends;

        json_object_foreach(bound, key, ends) {
                if (!docker_port_read(key, &port))
                        continue;               /* sctp */
                docker_ports_add(ports, port);
                add_published(ports, port, ends);
        }
        json_object_foreach(exposed, key, ends)
                if (docker_port_read(key, &port))
                        docker_ports_add(ports, port);
}

static void on_complaint(void *context, const char *label, const char *entry, size_t entry_len)
{
        const struct listener *listener = context;

        listener->complain(listener->context, listener->container, label, entry, entry_len);
}

static void read_labels(const json_t *root, struct listener *listener, struct docker_container *out)
{
        const json_t *labels = json_object_get(json_object_get(root, "Config"), "Labels");
        const char *exclude = json_string_value(json_object_get(labels, "hypergate.EXCLUDE"));
        const char *unexpose = json_string_value(json_object_get(labels, "hypergate.UNEXPOSE"));
        const char *expose = json_string_value(json_object_get(labels, "hypergate.EXPOSE"));

        out->excluded = out->excluded || (exclude && docker_label_true(exclude));
        if (out->excluded)
                return;
        if (unexpose)
                docker_ports_unexpose(&out->ports, unexpose, on_complaint, listener);
        if (expose)
                docker_ports_expose(&out->ports, expose, on_complaint, listener);
}

bool docker_container_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                           docker_container_complaint *complain, void *context, struct docker_container *out)
{
        json_t *root = json_loadb(json, len, 0, NULL);
        const char *name = json_string_value(json_object_get(root, "Name")), *id = json_string_value(json_object_get(root, "Id"));
        struct listener listener = { complain, context, out };
        bool good = name && is_id(id);

        *out = (struct docker_container){ 0 };
        if (good) {
                put_printable(out->name, sizeof(out->name), name + (*name == '/'));
                out->excluded = !json_is_true(json_object_get(json_object_get(root, "State"), "Running"));
                read_ports(root, &out->ports);
                read_labels(root, &listener, out);
        }
        if (good && !out->excluded)
                read_place(root, id, networks, network_count, out);
        json_decref(root);
        return good;
}

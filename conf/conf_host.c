/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_host.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_MAX = 63 };        /* RFC 1035 2.3.4 */

static bool is_alnum(char c)
{
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One name between two dots. */
static bool is_label(const char *at, size_t len)
{
        if (len == 0 || len > LABEL_MAX || at[0] == '-' || at[len - 1] == '-')
                return false;
        for (size_t i = 0; i < len; i++)
                if (!is_alnum(at[i]) && at[i] != '-' && at[i] != '_')
                        return false;
        return true;
}

static bool is_name(const char *host)
{
        while (*host) {
                size_t len = strcspn(host, ".");

                if (!is_label(host, len))
                        return false;
                host += len + (host[len] == '.');
        }
        return true;
}

static bool has_other_scripts(const char *text)
{
        for (; *text; text++)
                if ((unsigned char)*text >= 0x80)
                        return true;
        return false;
}

const char *conf_host_check(const char *host)
{
        struct in6_addr ip;

        if (strlen(host) >= CONF_HOST_MAX)
                return "a host name of at most 253 characters";
        if (strstr(host, "://"))
                return "a host alone, no URL: a name, or an address such as 127.0.0.1 or ::1";
        if (strchr(host, ':') && inet_pton(AF_INET6, host, &ip) != 1)
                return "a host alone, without a port: a name, or an address such as 127.0.0.1 or ::1";
        if (strchr(host, ':'))
                return NULL;
        if (strspn(host, "0123456789.") == strlen(host))
                return inet_pton(AF_INET, host, &ip) == 1 ? NULL : "an address with four numbers from 0 to 255, such as 127.0.0.1";
        if (has_other_scripts(host))
                return "a host name in its ASCII form (xn--...)";
        return is_name(host) ? NULL : "a host name or an address, such as localhost or 127.0.0.1";
}

static const char *path_in(const char *host)
{
        static const char prefix[] = "unix:";

        return strncmp(host, prefix, sizeof(prefix) - 1) == 0 ? host + sizeof(prefix) - 1 : NULL;
}

const char *conf_service_path(const struct conf_service *service)
{
        return path_in(service->host);
}

const char *conf_service_announced(const struct conf_service *service)
{
        return service->alias ? service->alias : service->host;
}

const char *conf_host_service(const char *text, bool *local_out)
{
        const char *path = path_in(text);

        *local_out = path;
        if (!path)
                return conf_host_check(text);
        if (*path != '/' || strlen(path) >= CONF_SOCKET_PATH_MAX)
                return "unix: and the whole path of a socket, of at most 107 bytes, such as unix:/run/app.sock";
        return NULL;
}

const char *conf_host_gate_path(const char *text, const char **expected_out)
{
        const char *path = path_in(text), *word = path ? strstr(path, CONF_GATE_PORT_WORD) : NULL;
        size_t longest = path ? strlen(path) - strlen(CONF_GATE_PORT_WORD) + strlen("65535") : 0;

        *expected_out = NULL;
        if (path && (*path != '/' || !word || strchr(word, '/') || strstr(word + 1, CONF_GATE_PORT_WORD) || longest >= CONF_SOCKET_PATH_MAX))
                *expected_out = "unix: and the whole path of a socket, of at most 107 bytes, with {gatePort} in its name once, such as "
                                "unix:/run/gates/{gatePort}.sock";
        return path;
}

const char *conf_host_path(const char *text)
{
        const char *path = path_in(text);

        return path && *path == '/' && strlen(path) < CONF_SOCKET_PATH_MAX ? path : NULL;
}

bool conf_address_same(const struct conf_address *a, const struct conf_address *b)
{
        if (!a->path || !b->path)
                return a->path == b->path && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
        return strcmp(a->path, b->path) == 0;
}

const char *conf_host_ipv4(const char *text, uint8_t ip_out[4])
{
        struct in_addr ip;

        if (inet_pton(AF_INET, text, &ip) != 1)
                return "an IPv4 address such as 0.0.0.0";
        memcpy(ip_out, &ip, 4);
        return NULL;
}

const char *conf_host_address(const char *text, uint8_t ip_out[16])
{
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        struct in6_addr ip;

        if (!conf_host_ipv4(text, ip_out + 12))
                return memcpy(ip_out, mapped, sizeof(mapped)), NULL;
        if (inet_pton(AF_INET6, text, &ip) != 1 && strchr(text, ':') && strchr(text, ':') == strrchr(text, ':'))
                return "an address alone, without a port: which ports open is up to the services";
        if (inet_pton(AF_INET6, text, &ip) != 1)
                return "an address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::1";
        memcpy(ip_out, &ip, 16);
        return NULL;
}

static bool read_port(const char *text, uint16_t *out)
{
        size_t digits = strspn(text, "0123456789");
        unsigned long value = digits && digits <= 5 && !text[digits] ? strtoul(text, NULL, 10) : 0;

        *out = (uint16_t)value;
        return value >= 1 && value <= UINT16_MAX;
}

static bool copy_part(const char *from, const char *to, char *out, size_t len)
{
        size_t part = (size_t)(to - from);

        if (part == 0 || part >= len)
                return false;
        memcpy(out, from, part);
        out[part] = '\0';
        return true;
}

const char *conf_host_port(const char *text, struct conf_host_port *out)
{
        const char *expected = "HOST:PORT, such as 192.0.2.1:49737 or node1.example.org:49737";
        const char *at = strchr(text, '@'), *host = at ? at + 1 : text, *colon = strrchr(host, ':');
        uint8_t ip[4];

        *out = (struct conf_host_port){ 0 };
        if (at && (!copy_part(text, at, out->ip, sizeof(out->ip)) || conf_host_ipv4(out->ip, ip)))
                return "IP@HOST:PORT with an IPv4 address, such as 192.0.2.1@node1.example.org:49737";
        if (!colon || !copy_part(host, colon, out->host, sizeof(out->host)))
                return expected;
        if (strchr(out->host, ':'))
                return "HOST:PORT with a name or an IPv4 address: the DHT is IPv4 only";
        if (conf_host_check(out->host))
                return expected;
        return read_port(colon + 1, &out->port) ? NULL : "HOST:PORT with a port from 1 to 65535, such as 192.0.2.1:49737";
}

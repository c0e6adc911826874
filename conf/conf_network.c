/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "conf_host.h"

enum { TEXT_MAX = INET6_ADDRSTRLEN + 4, ALL_BITS = 128, MAPPED_BITS = 96 };

static const char example[] = "a network, such as 10.0.0.0/8 or 2001:db8::/32, or an address, such as 192.0.2.7";

/* Clears what is beyond the first @bits; whether there was something. */
static bool cut(uint8_t ip[16], unsigned bits)
{
        bool any = false;

        for (unsigned i = bits; i < ALL_BITS; i++) {
                uint8_t bit = (uint8_t)(0x80 >> i % 8);

                any = any || (ip[i / 8] & bit);
                ip[i / 8] &= (uint8_t)~bit;
        }
        return any;
}

static bool read_bits(const char *text, unsigned max, unsigned *out)
{
        size_t digits = strspn(text, "0123456789");

        *out = digits && digits <= 3 && !text[digits] ? (unsigned)strtoul(text, NULL, 10) : max + 1;
        return *out <= max;
}

const char *conf_network_parse(const char *text, struct conf_network *out)
{
        const char *slash = strchr(text, '/');
        size_t len = slash ? (size_t)(slash - text) : strlen(text);
        bool v6 = memchr(text, ':', len);
        unsigned bits = v6 ? ALL_BITS : ALL_BITS - MAPPED_BITS;
        char address[TEXT_MAX];

        if (len >= sizeof(address))
                return example;
        memcpy(address, text, len);
        address[len] = '\0';
        if (conf_host_address(address, out->ip) || (slash && !read_bits(slash + 1, bits, &bits)))
                return example;
        out->bits = (uint8_t)(bits + (v6 ? 0 : MAPPED_BITS));
        return !cut(out->ip, out->bits) ? NULL :
               "a network whose address ends with it: beyond the bits behind the / all are 0, as in 10.0.0.0/8";
}

static bool has(const struct conf_network *list, size_t count, const struct conf_network *network)
{
        while (count > 0)
                if (list[--count].bits == network->bits && memcmp(list[count].ip, network->ip, sizeof(network->ip)) == 0)
                        return true;
        return false;
}

static const char *make(struct conf_read *read, const char *text, void *entry_out, const void *list, size_t count)
{
        struct conf_network *network = entry_out;
        const char *expected = conf_network_parse(text, network);

        if (!expected && has(list, count, network))
                expected = "each network once";
        if (!expected)
                network->text = conf_value_copy(read, text);
        return expected;
}

void conf_networks_read(struct conf_read *read, const struct conf_node *node, const struct conf_network **out, size_t *count_out)
{
        static const struct conf_texts networks = { .max = CONF_NETWORKS_MAX, .example = "10.0.0.0/8",
                                                    .entry_bytes = sizeof(struct conf_network), .make = make };
        const struct conf_network *list = conf_value_texts(read, node, &networks, count_out);

        *out = list ? list : *out;
}

bool conf_networks_same(const struct conf_network *a, size_t a_count, const struct conf_network *b, size_t b_count)
{
        if (a_count != b_count)
                return false;
        for (size_t i = 0; i < a_count; i++)
                if (a[i].bits != b[i].bits || memcmp(a[i].ip, b[i].ip, sizeof(a[i].ip)) != 0)
                        return false;
        return true;
}

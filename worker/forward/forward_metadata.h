/* SPDX-License-Identifier: BSD-3-Clause */
/* What a provider is told about a client: the fingerprint JSON of an open frame (Hypergate, Gateway.ts). */
#ifndef HG_FORWARD_METADATA_H
#define HG_FORWARD_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "forward_socket.h"
#include "ipc_channel.h"
#include "ipc_message.h"

enum { METADATA_ID_BYTES = 16 };

struct metadata {
        uint8_t id[METADATA_ID_BYTES];          /* random; a client keeps it over all attempts */
        uint64_t opened_at_ms;                  /* since the epoch */
        uint16_t gate_port, protocol;
        uint32_t channel_port;                  /* tells the attempts of one worker apart */
        struct sockaddr_storage source, gateway;
        const char *labels;             /* as struct ipc_rule has them; NULL: none */
};

/* Writes the text, without NUL, and returns its length. An address is told twice: as text, an IPv4 client of a dual-stack
 * listener as plain IPv4, and raw as the kernel names it. Labels that find no room are left out. */
size_t metadata_write(const struct metadata *metadata, char out[IPC_METADATA_MAX]);

/* Who it is: the client's address, and the one of the gateway that it came to, from such a text of ours or of an original. False: it doesn't
 * say, or is no such text. */
bool metadata_read(const char *text, size_t len, union socket_address *source_out, union socket_address *gateway_out);

/* Labels of the rules that let it in, from such a text; each ends with NUL, the first empty one is none. One with an escape, or
 * that finds no room, is left out. */
void metadata_read_labels(const char *text, size_t len, char out[IPC_CLIENT_LABELS_MAX]);

/* "192.0.2.1:80" or "[2001:db8::1]:80", for the log. */
enum { METADATA_ADDRESS_TEXT_MAX = 64 };
void metadata_address_text(const struct sockaddr_storage *addr, char out[METADATA_ADDRESS_TEXT_MAX]);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_frame.h"

#include "cleanup.h"
#include "tunnel_hello.h"

#define PROTOCOL_MAX 1          /* 0 tcp, 1 udp */
#define UNORDERED_MARK 1        /* of a datagram, among what else unordered messages may once carry */

void tunnel_frame_write(struct writer *w, uint8_t action, uint8_t error_len, uint32_t channel, size_t body_len)
{
        write_u32be(w, (uint32_t)(TUNNEL_FRAME_HEAD_BYTES + body_len));
        write_u8(w, action);
        write_u8(w, error_len);
        write_u32be(w, channel);
}

void tunnel_frame_read(struct reader *r, struct tunnel_frame *frame)
{
        *frame = (struct tunnel_frame){ .length = read_u32be(r) };
        if (frame->length < TUNNEL_FRAME_HEAD_BYTES)
                return;
        frame->action = read_u8(r);
        frame->error_len = read_u8(r);
        frame->channel = read_u32be(r);
}

bool tunnel_open_read(struct reader *r, uint32_t *gate_port_out, uint8_t *protocol_out)
{
        *gate_port_out = read_u32be(r);
        *protocol_out = reader_left(r) ? read_u8(r) : 0;
        if (*protocol_out > PROTOCOL_MAX)
                *protocol_out = 0;
        return !r->failed;
}

void tunnel_open_write(struct writer *w, uint32_t gate_port, uint8_t protocol)
{
        write_u32be(w, gate_port);
        write_u8(w, protocol);
}

/* Bytes of the character that starts at @text: a whole UTF-8 sequence as far as there is one, else a single byte. */
static size_t character_len(const char *text, size_t len)
{
        uint8_t first = (uint8_t)text[0];
        size_t want = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

        for (size_t i = 1; i < want; i++)
                if (i >= len || ((uint8_t)text[i] & 0xc0) != 0x80)
                        return i;
        return want;
}

/* One character as it stands in a JSON string; nothing and failed when it does not fit. */
static void write_character(struct writer *w, const char *at, size_t len)
{
        static const char hex[] = "0123456789abcdef";
        uint8_t first = (uint8_t)at[0];

        if (first == '"' || first == '\\') {
                uint8_t escaped[] = { '\\', first };

                write_bytes(w, escaped, sizeof(escaped));
        } else if (first < 0x20) {
                uint8_t escaped[] = { '\\', 'u', '0', '0', (uint8_t)hex[first >> 4], (uint8_t)hex[first & 15] };

                write_bytes(w, escaped, sizeof(escaped));
        } else if (first >= 0x80 && len == 1) {
                write_u8(w, '?');       /* no UTF-8: the peer's JSON parser would choke on it */
        } else {
                write_bytes(w, at, len);
        }
}

size_t tunnel_error_write(uint8_t out[TUNNEL_ERROR_MAX], const char *text, size_t len)
{
        struct writer w = writer_over(out, TUNNEL_ERROR_MAX - 1);       /* the last byte is the closing quote's */
        size_t at = 0;

        write_u8(&w, '"');
        while (at < len && !w.failed) {
                size_t n = character_len(text + at, len - at);

                write_character(&w, text + at, n);
                at += n;
        }
        out[writer_len(&w)] = '"';
        return writer_len(&w) + 1;
}

const uint8_t *tunnel_error_read(const uint8_t *json, size_t *len)
{
        if (*len < 2 || json[0] != '"' || json[*len - 1] != '"')
                return json;
        *len -= 2;
        return json + 1;
}

/* An extension hides from originals as an error: the JSON text '0' is all they look at (hypergate.md 15.1). */
static void write_extension(struct writer *w, uint8_t action, uint32_t channel, size_t body_len)
{
        tunnel_frame_write(w, action, 1, channel, 1 + body_len);
        write_u8(w, '0');
}

/* A body without that mark is none of ours. */
static void read_extension(struct reader *r)
{
        if (read_u8(r) != '0')
                read_fail(r);
}

void tunnel_hgx_write(struct writer *w, const struct tunnel_hgx *hgx)
{
        write_extension(w, TUNNEL_ACTION_HGX, 0, 10);
        write_u8(w, TUNNEL_HGX_VERSION);
        write_u8(w, hgx->flags);
        write_u32be(w, hgx->features);
        write_u32be(w, hgx->window_bytes);
}

bool tunnel_hgx_read(struct reader *r, struct tunnel_hgx *hgx)
{
        uint8_t version;

        read_extension(r);
        version = read_u8(r);
        hgx->flags = read_u8(r);
        hgx->features = read_u32be(r);
        hgx->window_bytes = read_u32be(r);
        return !r->failed && version == TUNNEL_HGX_VERSION;
}

void tunnel_credit_write(struct writer *w, uint32_t channel, uint32_t bytes)
{
        write_extension(w, TUNNEL_ACTION_CREDIT, channel, 4);
        write_u32be(w, bytes);
}

bool tunnel_credit_read(struct reader *r, uint32_t *bytes_out)
{
        read_extension(r);
        *bytes_out = read_u32be(r);
        return !r->failed;
}

void tunnel_relay_write(struct writer *w, const struct tunnel_relay *relay)
{
        static const uint8_t none[TUNNEL_KEY_BYTES];

        write_extension(w, TUNNEL_ACTION_RELAY, 0, 1 + TUNNEL_KEY_BYTES);
        write_u8(w, (relay->wanted ? TUNNEL_RELAY_WANTED : 0) | (relay->offered ? TUNNEL_RELAY_OFFERED : 0));
        write_bytes(w, relay->offered ? relay->key : none, TUNNEL_KEY_BYTES);
}

bool tunnel_relay_read(struct reader *r, struct tunnel_relay *relay)
{
        uint8_t flags;

        read_extension(r);
        flags = read_u8(r);
        *relay = (struct tunnel_relay){ .wanted = flags & TUNNEL_RELAY_WANTED, .offered = flags & TUNNEL_RELAY_OFFERED };
        read_copy(r, relay->key, sizeof(relay->key));
        if (!relay->offered)
                memset(relay->key, 0, sizeof(relay->key));
        return !r->failed;
}

void tunnel_bye_write(struct writer *w)
{
        write_extension(w, TUNNEL_ACTION_BYE, 0, 0);
}

bool tunnel_bye_read(struct reader *r)
{
        read_extension(r);
        return !r->failed;
}

void tunnel_service_write(struct writer *w, uint32_t channel, uint64_t service)
{
        write_extension(w, TUNNEL_ACTION_SERVICE, channel, 8);
        write_u64be(w, service);
}

bool tunnel_service_read(struct reader *r, uint64_t *service_out)
{
        read_extension(r);
        *service_out = read_u64be(r);
        return !r->failed;
}

uint8_t *tunnel_proof_write(struct writer *w, uint8_t flags)
{
        write_extension(w, TUNNEL_ACTION_PROOF, 0, 1 + TUNNEL_HELLO_BYTES);
        write_u8(w, flags);
        return write_reserve(w, TUNNEL_HELLO_BYTES);
}

bool tunnel_proof_read(struct reader *r, uint8_t *flags_out, const uint8_t **hello_out)
{
        read_extension(r);
        *flags_out = read_u8(r);
        *hello_out = read_bytes(r, TUNNEL_HELLO_BYTES);
        return !r->failed;
}

void tunnel_unordered_write(struct writer *w, uint32_t channel)
{
        write_u8(w, UNORDERED_MARK);
        write_u32be(w, channel);
}

bool tunnel_unordered_read(struct reader *r, uint32_t *channel_out)
{
        uint8_t mark = read_u8(r);

        *channel_out = read_u32be(r);
        return !r->failed && mark == UNORDERED_MARK;
}

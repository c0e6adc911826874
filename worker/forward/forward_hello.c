/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_hello.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "cleanup.h"

enum {
        RECORD_HANDSHAKE = 22,
        RECORD_MAX = 16384,             /* RFC 8446 5.1 */
        VERSION_MAJOR = 3,              /* of all versions from SSL 3.0 on */
        CLIENT_HELLO = 1,
        EXTENSION_SERVER_NAME = 0,
        NAME_HOST = 0,
};

/* The bytes of a handshake message may lie in several records, of any size but nothing: RFC 8446 5.1. */
static enum hello_verdict gather(struct reader *records, uint8_t out[HELLO_MAX], size_t *len_out)
{
        size_t len = 0, wanted = 4;

        while (len < wanted) {
                struct reader header = *records;
                uint8_t type = read_u8(&header), major = read_u8(&header);
                size_t size, part;

                (void)read_u8(&header);
                size = read_u16be(&header);
                if ((reader_left(records) > 0 && type != RECORD_HANDSHAKE) || (reader_left(records) > 1 && major != VERSION_MAJOR))
                        return HELLO_NAMELESS;
                if (header.failed)
                        return HELLO_MORE;
                part = MIN(size, reader_left(&header));
                if (size == 0 || size > RECORD_MAX || part > HELLO_MAX - len)
                        return HELLO_NAMELESS;
                read_copy(&header, out + len, part);
                len += part;
                if (len > 0 && out[0] != CLIENT_HELLO)
                        return HELLO_NAMELESS;
                if (len >= 4)
                        wanted = 4 + ((size_t)out[1] << 16 | (size_t)out[2] << 8 | out[3]);
                if (wanted > HELLO_MAX)
                        return HELLO_NAMELESS;
                if (part < size && len < wanted)
                        return HELLO_MORE;
                *records = header;
        }
        *len_out = wanted;
        return HELLO_NAMED;
}

/* A part of @in behind its own length of @len_bytes. */
static struct reader vector(struct reader *in, size_t len_bytes)
{
        size_t len = (size_t)read_be(in, len_bytes);
        const uint8_t *bytes = read_bytes(in, len);

        return reader_over(bytes, bytes ? len : 0);
}

static bool is_in_names(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static bool copy_name(const struct reader *name, char out[IPC_NAME_MAX])
{
        size_t len = reader_left(name);

        if (len > 0 && name->at[len - 1] == '.')
                len--;
        if (len == 0 || len >= IPC_NAME_MAX)
                return false;
        for (size_t i = 0; i < len; i++) {
                char c = (char)name->at[i];

                out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
                if (!is_in_names(out[i]))
                        return false;
        }
        out[len] = '\0';
        return true;
}

/* The first name of a host: RFC 6066 3 allows one. */
static bool find_name(struct reader *extension, char out[IPC_NAME_MAX])
{
        struct reader list = vector(extension, 2);

        while (reader_left(&list) > 0 && !list.failed) {
                uint8_t type = read_u8(&list);
                struct reader name = vector(&list, 2);

                if (!list.failed && type == NAME_HOST)
                        return copy_name(&name, out);
        }
        return false;
}

static bool find_extension(struct reader *hello, char out[IPC_NAME_MAX])
{
        struct reader extensions;

        read_bytes(hello, 4 + 2 + 32);          /* type and length, version, random */
        vector(hello, 1);                       /* session */
        vector(hello, 2);                       /* cipher suites */
        vector(hello, 1);                       /* compression methods */
        extensions = vector(hello, 2);
        while (!hello->failed && reader_left(&extensions) > 0 && !extensions.failed) {
                uint16_t type = read_u16be(&extensions);
                struct reader extension = vector(&extensions, 2);

                if (!extensions.failed && type == EXTENSION_SERVER_NAME)
                        return find_name(&extension, out);
        }
        return false;
}

enum hello_verdict hello_read(const uint8_t *bytes, size_t len, char name_out[IPC_NAME_MAX])
{
        struct reader records = reader_over(bytes, len), hello;
        uint8_t whole[HELLO_MAX];
        size_t size = 0;
        enum hello_verdict verdict = gather(&records, whole, &size);
        char name[IPC_NAME_MAX];

        if (verdict != HELLO_NAMED)
                return verdict;
        hello = reader_over(whole, size);
        if (!find_extension(&hello, name))
                return HELLO_NAMELESS;
        memcpy(name_out, name, strlen(name) + 1);
        return HELLO_NAMED;
}

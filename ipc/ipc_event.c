/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc_event.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
        const char *word, *id;
        uint32_t who;                   /* enum ipc_role; IPC_ROLES: anybody */
} rows[IPC_EVENT_COUNT] = {
#define X(name, row_word, row_id, row_who) [IPC_EVENT_##name] = { .word = (row_word), .id = (row_id), .who = (row_who) },
        IPC_EVENTS(X)
#undef X
};

static const struct row *row_of(uint32_t event)
{
        return event > IPC_EVENT_NONE && event < IPC_EVENT_COUNT ? &rows[event] : NULL;
}

const char *ipc_event_word(uint32_t event)
{
        const struct row *row = row_of(event);

        return row ? row->word : NULL;
}

const char *ipc_event_id(uint32_t event)
{
        const struct row *row = row_of(event);

        return row ? row->id : NULL;
}

int ipc_event_is_of(uint32_t event, uint32_t role)
{
        const struct row *row = row_of(event);

        return event == IPC_EVENT_NONE || (row && (row->who == role || row->who == IPC_ROLES));
}

__attribute__((format(printf, 2, 3)))
static void add(struct ipc_fields *fields, const char *format, ...)
{
        size_t room = sizeof(fields->text) - fields->len;
        va_list args;
        int len;

        if (fields->count == IPC_FIELDS_MAX)
                return;
        va_start(args, format);
        len = vsnprintf(fields->text + fields->len, room, format, args);
        va_end(args);
        if (len < 0 || (size_t)len >= room)
                return;
        fields->list[fields->count++] = fields->text + fields->len;
        fields->list[fields->count] = NULL;
        fields->len += (size_t)len + 1;
}

void ipc_fields_text(struct ipc_fields *fields, const char *name, const char *value)
{
        add(fields, "HYPERGATE_%s=%s", name, value);
}

void ipc_fields_number(struct ipc_fields *fields, const char *name, uint64_t number)
{
        add(fields, "HYPERGATE_%s=%" PRIu64, name, number);
}

void ipc_fields_key(struct ipc_fields *fields, const char *name, const uint8_t key[IPC_KEY_BYTES])
{
        char text[2 * IPC_KEY_BYTES + 1];

        for (size_t i = 0; i < IPC_KEY_BYTES; i++)
                snprintf(text + 2 * i, 3, "%02x", key[i]);
        ipc_fields_text(fields, name, text);
}

void ipc_fields_gate(struct ipc_fields *fields, uint16_t port, uint16_t protocol)
{
        ipc_fields_number(fields, "GATE_PORT", port);
        ipc_fields_text(fields, "PROTOCOL", protocol == IPC_UDP ? "udp" : "tcp");
}

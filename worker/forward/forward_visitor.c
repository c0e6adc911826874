/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_visitor.h"

#include <stdlib.h>
#include <string.h>

#include "ipc_words.h"

struct visitor *visitor_new(const union socket_address *remote, const char labels[IPC_CLIENT_LABELS_MAX])
{
        struct visitor *visitor = calloc(1, sizeof(*visitor));
        char text[IPC_CLIENT_LABELS_MAX];

        if (!visitor)
                return NULL;
        visitor->remote = *remote;
        visitor->labels = *labels ? strdup(ipc_labels_text(labels, text, sizeof(text))) : NULL;
        return visitor;
}

void visitor_free(struct visitor *visitor)
{
        if (visitor)
                free(visitor->labels);
        free(visitor);
}

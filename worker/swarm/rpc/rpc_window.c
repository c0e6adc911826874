/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_window.h"

#include "cleanup.h"

void rpc_window_init(struct rpc_window *window, usec_t now_us)
{
        *window = (struct rpc_window){ .turned_us = now_us };
}

void rpc_window_turn(struct rpc_window *window, usec_t now_us)
{
        usec_t turns = (now_us - window->turned_us) / MSEC(RPC_WINDOW_SLOT_MS);

        window->turned_us += turns * MSEC(RPC_WINDOW_SLOT_MS);
        for (usec_t i = 0; i < MIN(turns, RPC_WINDOW_SLOTS); i++) {
                window->slot = (window->slot + 1) % RPC_WINDOW_SLOTS;
                window->total -= window->sends[window->slot];
                window->sends[window->slot] = 0;
        }
}

usec_t rpc_window_turns_at(const struct rpc_window *window)
{
        return window->turned_us + MSEC(RPC_WINDOW_SLOT_MS);
}

void rpc_window_send(struct rpc_window *window)
{
        window->sends[window->slot]++;
        window->total++;
}

/* Only of this slot, however long ago it was sent: as the original does. */
void rpc_window_receive(struct rpc_window *window)
{
        if (window->sends[window->slot] == 0)
                return;
        window->sends[window->slot]--;
        window->total--;
}

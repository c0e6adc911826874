/* SPDX-License-Identifier: BSD-3-Clause */
#include "forward_tally.h"

#define TELL_EVERY_US SECONDS(1)

void tally_init(struct tally *tally, struct worker *worker)
{
        *tally = (struct tally){ .worker = worker };
}

void tally_count(struct tally *tally, enum ipc_reason reason)
{
        if (reason >= IPC_REASONS)
                return;
        tally->more.ended[reason]++;
        tally->news = true;
}

void tally_advance(struct tally *tally, usec_t now_us)
{
        if (!tally->news || now_us < tally->tell_us)
                return;
        worker_send(&tally->worker->supervisor, IPC_FORWARD_STATUS, &tally->more, NULL, 0);
        tally->more = (struct ipc_forward_status){ 0 };
        tally->news = false;
        tally->tell_us = usec_add(now_us, TELL_EVERY_US);
}

usec_t tally_deadline(const struct tally *tally)
{
        return tally->news ? tally->tell_us : USEC_NEVER;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet of a port helper, or for one: what is read is within its bounds and is written as it came. */
#include <assert.h>
#include <string.h>

#include "host_name.h"
#include "port_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        uint8_t packet[PORT_PACKET_MAX];
        struct port_said said;

        if (!port_read(data, len, &said))
                return 0;
        assert(said.kind != PORT_HELLO || host_name_good(said.host));
        assert(said.kind != PORT_BIND || said.port);
        assert(port_write(&said, packet) == len && memcmp(packet, data, len) == 0);
        return 0;
}

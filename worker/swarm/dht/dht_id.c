/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht_id.h"

#include <string.h>

bool dht_id_equal(const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES])
{
        return memcmp(a, b, DHT_ID_BYTES) == 0;
}

int dht_id_compare(const uint8_t target[DHT_ID_BYTES], const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES])
{
        for (unsigned i = 0; i < DHT_ID_BYTES; i++) {
                int difference = (target[i] ^ a[i]) - (target[i] ^ b[i]);

                if (difference)
                        return difference;
        }
        return 0;
}

unsigned dht_id_shared_bits(const uint8_t a[DHT_ID_BYTES], const uint8_t b[DHT_ID_BYTES])
{
        for (unsigned i = 0; i < DHT_ID_BYTES; i++)
                for (unsigned bit = 0; bit < 8; bit++)
                        if ((a[i] ^ b[i]) & (0x80u >> bit))
                                return 8 * i + bit;
        return DHT_ID_BITS;
}

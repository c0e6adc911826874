/* SPDX-License-Identifier: BSD-3-Clause */
#include "tunnel_hello.h"

#include <sodium.h>

#include "bytes.h"

#define TIME_TAG 0x15   /* in front of every time stamp: hypergate.md 3 */

static void make_mac(uint8_t out[TUNNEL_HELLO_MAC_BYTES], const struct tunnel_hello_keys *keys,
                     const uint8_t time[TUNNEL_HELLO_TIME_BYTES])
{
        crypto_generichash_state state;

        crypto_generichash_init(&state, keys->auth, TUNNEL_AUTH_KEY_BYTES, TUNNEL_HELLO_MAC_BYTES);
        crypto_generichash_update(&state, keys->sender, TUNNEL_KEY_BYTES);
        crypto_generichash_update(&state, keys->receiver, TUNNEL_KEY_BYTES);
        crypto_generichash_update(&state, keys->router, TUNNEL_KEY_BYTES);
        crypto_generichash_update(&state, time, TUNNEL_HELLO_TIME_BYTES);
        crypto_generichash_final(&state, out, TUNNEL_HELLO_MAC_BYTES);
        sodium_memzero(&state, sizeof(state));
}

void tunnel_hello_make(uint8_t out[TUNNEL_HELLO_BYTES], const struct tunnel_hello_keys *keys, int64_t time_ms)
{
        struct writer w = writer_over(out, TUNNEL_HELLO_BYTES);

        write_u8(&w, TIME_TAG);
        write_u64be(&w, (uint64_t)time_ms);
        make_mac(write_reserve(&w, TUNNEL_HELLO_MAC_BYTES), keys, out);
}

bool tunnel_hello_check(const uint8_t blob[TUNNEL_HELLO_BYTES], const struct tunnel_hello_keys *keys, int64_t *time_ms_out)
{
        struct reader r = reader_over(blob, TUNNEL_HELLO_BYTES);
        uint8_t tag = read_u8(&r), mac[TUNNEL_HELLO_MAC_BYTES];
        int64_t time_ms = (int64_t)read_u64be(&r);
        bool same;

        make_mac(mac, keys, blob);
        same = sodium_memcmp(mac, blob + TUNNEL_HELLO_TIME_BYTES, sizeof(mac)) == 0;
        sodium_memzero(mac, sizeof(mac));
        if (!same || tag != TIME_TAG)
                return false;
        *time_ms_out = time_ms;
        return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Two tunnels back to back in one process: a provider and a gateway, a wire with a bounded buffer between them, and at both
 * ends of each channel somebody who writes and reads a known pattern. Time and every cut come from one seed. */
#ifndef HG_TEST_TUNNEL_PAIR_H
#define HG_TEST_TUNNEL_PAIR_H

#include "list.h"
#include "tunnel.h"

enum {
        PAIR_WIRE_BYTES = 256 * 1024,           /* send buffer of the connection */
        PAIR_TURN_US = 1000,
        PAIR_REFUSED_PORT = 1,                  /* the provider refuses it */
        PAIR_SILENT_PORT = 2,                   /* the provider never answers */
};

struct pair;

/* A message on its way. */
struct pair_message {
        struct list entry;
        size_t len, at;
        uint8_t bytes[];
};

/* What one end of a channel does. */
struct pair_plan {
        uint64_t want;                  /* bytes it sends */
        size_t read_max;                /* bytes it reads a turn; 0: it has stopped */
        bool end_late;                  /* it ends only after it has seen the peer's end */
        bool never_end;
        bool abort_after;               /* it resets once it has sent everything */
};

/* One end of a channel. */
struct pair_app {
        struct list entry;              /* side->apps */
        struct pair_side *side;
        struct tunnel_channel *ch;      /* NULL once it is gone */
        struct pair_plan plan;
        uint32_t key;                   /* chooses the pattern; the same at both ends */
        uint64_t sent, got;
        bool open, ended, saw_end, watched;
        bool refused, closed;
        enum tunnel_reason reason;
        char text[256];
        usec_t closed_us;
};

struct pair_side {
        struct pair *pair;
        struct tunnel *t;
        enum tunnel_role role;
        struct list wire;               /* messages it has sent, not all delivered */
        size_t wire_bytes;              /* of them, sealing included */
        size_t held_bytes;              /* what tunnel_receive() did not take of the head message */
        struct list apps;
        bool original;                  /* emulation: sends no HGX and never hears one */
        size_t adverts, advert_len;
        unsigned messages, ups, failed;
        size_t queued_max;              /* of the tunnel's statistics */
        uint8_t advert_first;
        unsigned relays;                /* how often the peer said something of relays, and what */
        struct tunnel_relay relay;
};

struct pair {
        struct pair_side side[2];       /* by role */
        usec_t now_us;
        uint64_t seed;
        struct random random;
        struct pair_plan answer;        /* what the provider's end of a new channel does */
        uint32_t next_key;
        uint32_t window_max_bytes;      /* of both; 0: as usual */
        size_t cut_max;                 /* bytes delivered at once */
        bool polled;                    /* who may write does so in a fixed order later in the turn, a read's worth, as a pump */
        size_t wire_rate;               /* bytes delivered a turn and direction; 0: all there are */
};

/* Both connected and not yet spoken. @original: which side, or neither (-1), is an original. */
struct pair *pair_new(uint64_t seed, int original);
struct pair *pair_new_limited(uint64_t seed, int original, uint32_t window_max_bytes);
void pair_free(struct pair *pair);

/* One millisecond: events, reading and writing, transmitting, delivering. */
void pair_turn(struct pair *pair);
void pair_run(struct pair *pair, usec_t for_us);

/* Turns until @done, at most @limit_us of virtual time; whether it became so. */
bool pair_until(struct pair *pair, bool (*done)(const struct pair_app *), const struct pair_app *app, usec_t limit_us);

/* The gateway opens a channel on @port to do @plan. */
struct pair_app *pair_open(struct pair *pair, uint16_t port, struct pair_plan plan);

/* The other end, once it arrived. */
struct pair_app *pair_other(const struct pair_app *app);

bool pair_gone(const struct pair_app *app);     /* refused or closed */
bool pair_got_all(const struct pair_app *app);  /* all the other end wants to send */

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/resource.h>

#include "derive.h"
#include "test.h"

enum { NOT_YET = -1 };

static const uint8_t secret[KEYS_BYTES] = { 1, 2, 3 };

static void on_done(void *context, bool good)
{
        *(int *)context = good;
        ev_break(ev_default_loop(0), EVBREAK_ALL);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
        ev_break(loop, EVBREAK_ALL);
}

/* With a limit to what a process may have. */
static int derived(struct keys_router *router, rlim_t bytes)
{
        struct ev_loop *loop = ev_default_loop(0);
        struct rlimit usual, limit;
        struct derive derive;
        int good = NOT_YET;

        check_equal(getrlimit(RLIMIT_DATA, &usual), 0);
        limit = (struct rlimit){ bytes < usual.rlim_cur ? bytes : usual.rlim_cur, usual.rlim_max };
        check_equal(setrlimit(RLIMIT_DATA, &limit), 0);
        check_equal(derive_begin(&derive, loop, router, secret, on_done, &good), 0);
        check_equal(setrlimit(RLIMIT_DATA, &usual), 0);
        check(!router->has_auth && good == NOT_YET);
        ev_run(loop, 0);
        derive_fini(&derive);           /* again */
        return good;
}

TEST(the_process_derives_what_we_would)
{
        struct keys_router here, there;

        keys_router_name(&there, secret);
        check(!there.has_auth);
        check_equal(derived(&there, RLIM_INFINITY), true);
        check_equal(keys_router_derive(&here, secret), 0);
        check(there.has_auth && here.has_auth);
        check_bytes(there.auth, here.auth, sizeof(here.auth));
        check_bytes(there.public_key, here.public_key, sizeof(here.public_key));
}

TEST(without_memory_that_is_told_and_there_is_no_key)
{
        struct keys_router router = { .has_auth = false };

        check_equal(derived(&router, RLIM_INFINITY), true);     /* the loop has what it needs */
        router.has_auth = false;
        check_equal(derived(&router, 1 << 20), false);
        check(!router.has_auth);
}

TEST(who_is_not_interested_any_more_hears_nothing)
{
        struct keys_router router = { .has_auth = false };
        struct ev_loop *loop = ev_default_loop(0);
        struct derive derive;
        ev_timer timer;
        int good = NOT_YET;

        check_equal(derive_begin(&derive, loop, &router, secret, on_done, &good), 0);
        derive_fini(&derive);
        ev_timer_init(&timer, on_timer, 0.3, 0);
        ev_timer_start(loop, &timer);
        ev_run(loop, 0);
        check(good == NOT_YET && !router.has_auth);
}

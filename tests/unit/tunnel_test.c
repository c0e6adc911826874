/* SPDX-License-Identifier: BSD-3-Clause */
/* Two tunnels back to back: what goes in at one end of a channel comes out at the other, whole, in order and ended in order,
 * among improved peers and with an original on either side. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "tunnel_pair.h"

enum { NEITHER = -1, QUICK = 1 << 20, MIB = 1024 * 1024 };

/* Up, and HGX exchanged. */
static struct pair *pair_up(uint64_t seed, int original)
{
        struct pair *pair = pair_new(seed, original);

        pair->answer = (struct pair_plan){ .want = 0, .read_max = QUICK };
        pair_run(pair, MSEC(5));
        check(pair->side[0].ups == 1 && pair->side[1].ups == 1);
        return pair;
}

static size_t channels(const struct pair *pair)
{
        struct tunnel_stats stats[2];

        tunnel_stats(pair->side[0].t, &stats[0]);
        tunnel_stats(pair->side[1].t, &stats[1]);
        return stats[0].channels + stats[1].channels;
}

/* Both ends are done with each other and everything arrived. */
static void check_whole(struct pair *pair, const struct pair_app *app, usec_t limit_us)
{
        const struct pair_app *other;

        check(pair_until(pair, pair_gone, app, limit_us));
        other = pair_other(app);
        check(pair_until(pair, pair_gone, other, limit_us));
        check(app->closed && other->closed);
        check_equal(app->reason, TUNNEL_DONE);
        check_equal(other->reason, TUNNEL_DONE);
        check(pair_got_all(app) && pair_got_all(other));
}

TEST(bytes_both_ways_arrive_in_order_in_any_cut)
{
        static const size_t cuts[] = { 1, 3, 11, 1000, 70000 };

        for (int original = NEITHER; original < 2; original++) {
                for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
                        struct pair *pair = pair_up(10 + i, original);
                        struct pair_app *app;

                        pair->cut_max = cuts[i];
                        pair->answer.want = 100000;
                        app = pair_open(pair, 80, (struct pair_plan){ .want = 60000, .read_max = QUICK });
                        check_whole(pair, app, SECONDS(20));
                        pair_run(pair, MSEC(5));
                        check_equal(channels(pair), 0);
                        pair_free(pair);
                }
        }
}

TEST(weakness_14_20_half_close_in_both_orders)
{
        for (int original = NEITHER; original < 2; original++) {
                for (int late = 0; late < 2; late++) {
                        struct pair *pair = pair_up(20, original);
                        struct pair_app *app;

                        pair->answer = (struct pair_plan){ .want = 300000, .read_max = QUICK, .end_late = late };
                        app = pair_open(pair, 80, (struct pair_plan){ .want = 200000, .read_max = QUICK, .end_late = !late });
                        check_whole(pair, app, SECONDS(20));
                        pair_free(pair);
                }
        }
}

TEST(many_channels_at_once_all_arrive)
{
        for (int original = NEITHER; original < 2; original++) {
                struct pair *pair = pair_up(30, original);
                struct pair_app *apps[50];

                pair->cut_max = 5000;
                for (unsigned i = 0; i < ARRAY_LEN(apps); i++) {
                        pair->answer.want = random_below(&pair->random, 200000);
                        apps[i] = pair_open(pair, 80, (struct pair_plan){ .want = random_below(&pair->random, 200000),
                                                                          .read_max = 1 + random_below(&pair->random, 50000) });
                        pair_turn(pair);
                }
                for (unsigned i = 0; i < ARRAY_LEN(apps); i++)
                        check_whole(pair, apps[i], SECONDS(60));
                pair_free(pair);
        }
}

/* 100 KB responses ended by close, small wire, beside bulk: the original truncates half of them. */
TEST(short_responses_beside_bulk_are_whole)
{
        for (int original = NEITHER; original < 2; original++) {
                struct pair *pair = pair_up(40, original);
                struct pair_app *bulk[4];

                pair->wire_rate = 100000;       /* 100 MB/s */
                pair->answer.want = UINT64_C(1) << 40;
                for (unsigned i = 0; i < ARRAY_LEN(bulk); i++)
                        bulk[i] = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK, .never_end = true });
                pair_run(pair, MSEC(50));
                pair->answer.want = 100000;
                for (unsigned i = 0; i < 20; i++) {
                        struct pair_app *app = pair_open(pair, 80, (struct pair_plan){ .want = 100, .read_max = QUICK });

                        check_whole(pair, app, SECONDS(10));
                }
                for (unsigned i = 0; i < ARRAY_LEN(bulk); i++)
                        check(bulk[i]->got > 10 * MIB / 8);
                pair_free(pair);
        }
}

/* The one that has stopped holds no more than its window; the other goes on at full speed. */
TEST(weakness_14_18_a_stopped_reader_stops_only_itself)
{
        struct pair *pair = pair_up(50, NEITHER);
        struct pair_app *stopped, *quick;

        pair->wire_rate = 100000;
        pair->answer.want = 64 * MIB;
        stopped = pair_open(pair, 80, (struct pair_plan){ .read_max = 0 });
        quick = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
        check(pair_until(pair, pair_gone, quick, SECONDS(2)));
        check_equal(quick->got, 64 * MIB);
        check_equal(stopped->got, 0);
        check(pair->side[TUNNEL_GATEWAY].queued_max <= 262144 + 4 * MIB);
        pair_run(pair, SECONDS(30));    /* nobody loses patience */
        check(!pair_gone(stopped));
        stopped->plan.read_max = QUICK;
        check_whole(pair, stopped, SECONDS(5));
        pair_free(pair);
}

/* A window grows for who empties it fast, and not for who doesn't. */
TEST(windows_grow_with_what_is_read)
{
        static const size_t rates[] = { 1000, 100000 };
        size_t queued[2];

        for (unsigned i = 0; i < ARRAY_LEN(rates); i++) {
                struct pair *pair = pair_up(60, NEITHER);
                struct pair_app *app;

                pair->answer.want = UINT64_C(1) << 40;
                app = pair_open(pair, 80, (struct pair_plan){ .read_max = rates[i], .never_end = true });
                pair_run(pair, SECONDS(2));
                app->plan.read_max = 0;
                pair_run(pair, MSEC(200));
                queued[i] = pair->side[TUNNEL_GATEWAY].queued_max;
                pair_free(pair);
        }
        check(queued[0] >= 262144 / 2 && queued[0] <= 262144);          /* up to half of it is read and not granted yet */
        check(queued[1] >= 4 * MIB / 2 && queued[1] <= 4 * MIB);
}

/* Rounds of a distant peer, of 16 to 128 KiB: the next ones may bring 256 and 512 before the reader's next word is there. */
TEST(windows_are_ahead_of_who_sends_twice_as_much_each_round)
{
        struct pair *pair = pair_up(65, NEITHER);
        struct pair_app *app;

        tunnel_distance(pair->side[TUNNEL_GATEWAY].t, MSEC(200));
        pair->answer.want = UINT64_C(1) << 40;
        app = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK, .never_end = true });
        for (size_t round_bytes = 16384; round_bytes <= 131072; round_bytes *= 2) {
                pair->wire_rate = round_bytes / 200;
                pair_run(pair, MSEC(200));
        }
        check(app->got <= 15 * 16384);
        pair->wire_rate = 0;
        app->plan.read_max = 0;
        pair_run(pair, MSEC(50));
        check(pair->side[TUNNEL_GATEWAY].queued_max > 512 * 1024 - 131072);        /* the last round is read and not granted yet */
        pair_free(pair);
}

/* However fast it is emptied. Of an original a channel leaves no more unread, and all arrives. */
TEST(windows_grow_no_further_than_they_may)
{
        static const struct { int original; uint32_t max; } cases[] = { { NEITHER, 65536 }, { NEITHER, MIB }, { TUNNEL_PROVIDER, 65536 } };

        for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
                struct pair *pair = pair_new_limited(60, cases[i].original, cases[i].max);
                struct pair_app *app;

                pair->answer = (struct pair_plan){ .want = 8 * MIB, .read_max = QUICK };
                pair_run(pair, MSEC(5));
                app = pair_open(pair, 80, (struct pair_plan){ .read_max = 100000 });
                pair_run(pair, MSEC(50));
                app->plan.read_max = 0;
                pair_run(pair, MSEC(200));
                check(!pair_gone(app));
                check(pair->side[TUNNEL_GATEWAY].queued_max <= cases[i].max && pair->side[TUNNEL_GATEWAY].queued_max >= cases[i].max / 2);
                app->plan.read_max = 100000;
                check_whole(pair, app, SECONDS(20));
                pair_free(pair);
        }
}

/* Without credit only the whole connection can wait: a slow reader gets everything, a stopped one is reset after 10 s. */
TEST(weakness_14_18_a_slow_reader_of_an_original_slows_all_and_loses_nothing)
{
        struct pair *pair = pair_up(70, TUNNEL_PROVIDER);
        struct pair_app *slow, *quick;

        pair->answer.want = 20 * MIB;
        slow = pair_open(pair, 80, (struct pair_plan){ .read_max = 1000 });     /* 1 MB/s */
        quick = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
        check_whole(pair, quick, SECONDS(40));
        check_whole(pair, slow, SECONDS(40));
        check(pair->side[TUNNEL_GATEWAY].queued_max <= 8 * MIB);
        pair_free(pair);
}

TEST(weakness_14_18_a_stopped_reader_of_an_original_is_reset_after_ten_seconds)
{
        struct pair *pair = pair_up(80, TUNNEL_PROVIDER);
        struct pair_app *stopped, *quick;
        usec_t stalled_us;

        pair->answer.want = 20 * MIB;
        stopped = pair_open(pair, 80, (struct pair_plan){ .read_max = 0 });
        quick = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
        while (!tunnel_paused(pair->side[TUNNEL_GATEWAY].t))
                pair_turn(pair);
        stalled_us = pair->now_us;
        check(pair_until(pair, pair_gone, stopped, SECONDS(11)));
        check_equal(stopped->reason, TUNNEL_LIMIT);
        check(stopped->closed_us >= stalled_us + SECONDS(10) - MSEC(2));
        check_whole(pair, quick, SECONDS(10));
        check(pair_gone(pair_other(stopped)) && pair_other(stopped)->reason == TUNNEL_RESET);
        pair_free(pair);
}

/* So many stopped readers that their windows together pass the limit: after 10 s the fullest goes, one at a time. */
TEST(weakness_14_19_memory_for_all_channels_together_is_bounded)
{
        struct pair *pair = pair_up(85, NEITHER);
        struct pair_app *apps[400], *fullest;
        unsigned reset = 0;

        pair->answer.want = UINT64_C(1) << 40;
        fullest = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK, .never_end = true });
        pair_run(pair, SECONDS(2));                     /* its window grows */
        fullest->plan.read_max = 0;
        pair->answer.want = 1 * MIB;
        for (unsigned i = 0; i < ARRAY_LEN(apps); i++)
                apps[i] = pair_open(pair, 80, (struct pair_plan){ .read_max = 0 });
        pair_run(pair, SECONDS(9));
        check_equal(pair->side[TUNNEL_GATEWAY].queued_max, TUNNEL_RECEIVE_LIMIT_BYTES);
        check(tunnel_paused(pair->side[TUNNEL_GATEWAY].t));
        pair_run(pair, SECONDS(12));
        check_equal(pair->side[TUNNEL_GATEWAY].queued_max, TUNNEL_RECEIVE_LIMIT_BYTES);
        for (unsigned i = 0; i < ARRAY_LEN(apps); i++)
                reset += pair_gone(apps[i]) && apps[i]->reason == TUNNEL_LIMIT;
        check(pair_gone(fullest) && fullest->reason == TUNNEL_LIMIT);
        check(reset <= 1);
        pair_free(pair);
}

TEST(refusals_carry_their_text)
{
        for (int original = NEITHER; original < 2; original++) {
                struct pair *pair = pair_up(90, original);
                struct pair_app *app = pair_open(pair, PAIR_REFUSED_PORT, (struct pair_plan){ 0 });
                usec_t start_us = pair->now_us;

                check(pair_until(pair, pair_gone, app, SECONDS(3)));
                check(app->refused && app->reason == TUNNEL_DECLINED);
                check(strcmp(app->text, "no \\\"such\\\" service") == 0);
                check(app->closed_us - start_us < MSEC(10) || original != NEITHER);
                check(app->closed_us - start_us >= SECONDS(1) || original == NEITHER);  /* an original would try again at once */
                pair_run(pair, MSEC(5));
                check_equal(channels(pair), 0);
                pair_free(pair);
        }
}

TEST(an_unanswered_open_ends_at_its_deadline)
{
        struct pair *pair = pair_up(100, NEITHER);
        struct pair_app *app = pair_open(pair, PAIR_SILENT_PORT, (struct pair_plan){ 0 });

        check(!pair_until(pair, pair_gone, app, SECONDS(15) - MSEC(2)));
        check(pair_until(pair, pair_gone, app, MSEC(10)));
        check(app->refused && app->reason == TUNNEL_TIMED_OUT);
        check(pair_until(pair, pair_gone, pair_other(app), MSEC(10)));
        check(pair_other(app)->reason == TUNNEL_RESET);
        check_equal(channels(pair), 0);
        pair_free(pair);
}

/* Data sent ahead of an abort is read, then the reader learns of it: never a clean end. */
TEST(an_abort_is_never_a_clean_end)
{
        for (int original = NEITHER; original < 2; original++) {
                struct pair *pair = pair_up(110, original);
                struct pair_app *app;

                pair->answer.abort_after = true;
                pair->answer.want = 200000;
                app = pair_open(pair, 80, (struct pair_plan){ .read_max = 100, .never_end = true });
                check(pair_until(pair, pair_gone, app, SECONDS(10)));
                check(app->closed && app->reason == TUNNEL_RESET);
                check(!app->saw_end);
                check_equal(app->got, 200000);
                pair_run(pair, MSEC(5));
                check_equal(channels(pair), 0);
                pair_free(pair);
        }
}

/* Both have ended, the data lies unread at the far end, whose reader then fails: the near end must not hear "done". */
TEST(an_abort_after_both_ends_is_still_an_abort)
{
        struct pair *pair = pair_up(120, NEITHER);
        struct pair_app *app, *other;

        pair->answer = (struct pair_plan){ .want = 1000, .read_max = 0 };
        app = pair_open(pair, 80, (struct pair_plan){ .want = 100000, .read_max = QUICK });
        pair_run(pair, MSEC(100));
        other = pair_other(app);
        check(app->ended && app->saw_end && other->ended && !pair_gone(app));
        tunnel_abort(other->ch, pair->now_us);
        other->ch = NULL;
        check(pair_until(pair, pair_gone, app, MSEC(10)));
        check_equal(app->reason, TUNNEL_RESET);
        pair_free(pair);
}

TEST(ten_thousand_channels_in_a_row_leave_nothing_behind)
{
        struct pair *pair = pair_up(130, NEITHER);

        pair->answer.want = 50;
        for (unsigned i = 0; i < 10000; i++) {
                struct pair_app *app = pair_open(pair, 80, (struct pair_plan){ .want = 30, .read_max = QUICK }), *other;

                check_whole(pair, app, SECONDS(1));
                other = pair_other(app);
                list_remove(&app->entry);
                list_remove(&other->entry);
                free(app);
                free(other);
                check(channels(pair) <= 2);
        }
        pair_run(pair, MSEC(5));
        check_equal(channels(pair), 0);
        pair_free(pair);
}

TEST(room_is_shared_fairly_and_the_quiet_go_first)
{
        struct pair *pair = pair_up(140, NEITHER);
        struct pair_app *bulk[8], *quiet;
        uint64_t least = UINT64_MAX, most = 0;
        usec_t start_us;

        pair->wire_rate = 20000;        /* 20 MB/s: the wire is always full */
        pair->answer.want = 0;
        pair->answer.read_max = QUICK;
        for (unsigned i = 0; i < ARRAY_LEN(bulk); i++)
                bulk[i] = pair_open(pair, 80, (struct pair_plan){ .want = UINT64_C(1) << 40, .read_max = QUICK });
        pair_run(pair, SECONDS(2));
        for (unsigned i = 0; i < ARRAY_LEN(bulk); i++) {
                least = MIN(least, bulk[i]->sent);
                most = MAX(most, bulk[i]->sent);
        }
        check(least > 0 && most - least <= 4 * TUNNEL_DATA_MAX);
        quiet = pair_open(pair, 80, (struct pair_plan){ .want = 100, .read_max = QUICK });
        start_us = pair->now_us;
        check_whole(pair, quiet, SECONDS(1));
        check(pair->now_us - start_us < MSEC(80));      /* the full wire takes 13 ms a way, and end and close go it too */
        pair_free(pair);
}

/* An acknowledgement for each packet, as an original's library sends them, makes no frame for each: many small frames cost their reader
 * more than the bytes in them. */
TEST(who_sends_much_waits_for_room_that_is_worth_a_frame)
{
        struct pair *pair = pair_up(146, TUNNEL_PROVIDER);
        const struct pair_side *gateway = &pair->side[TUNNEL_GATEWAY];
        struct pair_app *bulk;
        unsigned messages;
        uint64_t sent;

        pair->wire_rate = 1400;
        pair->polled = true;
        pair->answer.read_max = QUICK;
        bulk = pair_open(pair, 80, (struct pair_plan){ .want = UINT64_C(1) << 40, .read_max = QUICK });
        pair_run(pair, SECONDS(1));
        messages = gateway->messages;
        sent = bulk->sent;
        pair_run(pair, SECONDS(2));
        check(bulk->sent - sent > UINT64_C(2000) * 1400 * 9 / 10);
        check((bulk->sent - sent) / (gateway->messages - messages) > 40000);
        pair_free(pair);
}

/* The poll's order must not decide who gets the room: what one was told it may write is kept for it a while. */
TEST(room_is_shared_fairly_among_the_polled)
{
        struct pair *pair = pair_up(145, NEITHER);
        struct pair_app *bulk[8];
        uint64_t least = UINT64_MAX, most = 0;

        pair->wire_rate = 20000;
        pair->polled = true;
        for (unsigned i = 0; i < ARRAY_LEN(bulk); i++)
                bulk[i] = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK });
        pair_run(pair, SECONDS(2));
        for (unsigned i = 0; i < ARRAY_LEN(bulk); i++) {
                least = MIN(least, bulk[i]->sent);
                most = MAX(most, bulk[i]->sent);
        }
        check(least > 2 * MIB && most - least <= 4 * TUNNEL_DATA_MAX);
        pair_free(pair);
}

TEST(weakness_14_27_advertisements_go_out_at_once_on_change_and_every_thirty_seconds)
{
        struct pair *pair = pair_new(150, NEITHER);
        struct pair_side *gateway = &pair->side[TUNNEL_GATEWAY], *provider = &pair->side[TUNNEL_PROVIDER];
        uint8_t *big = malloc(TUNNEL_ADVERT_MAX + 1);

        memset(big, 'x', TUNNEL_ADVERT_MAX + 1);
        check_equal(tunnel_advertise(provider->t, "{}", 2, pair->now_us), 0);
        check_equal(tunnel_advertise(gateway->t, "{}", 2, pair->now_us), 0);    /* never leaves */
        pair_run(pair, MSEC(5));
        check(gateway->adverts == 1 && gateway->advert_len == 2 && gateway->advert_first == '{');
        check_equal(tunnel_advertise(provider->t, big, TUNNEL_ADVERT_MAX, pair->now_us), 0);
        check_equal(tunnel_advertise(provider->t, big, TUNNEL_ADVERT_MAX + 1, pair->now_us), -EMSGSIZE);
        pair_run(pair, MSEC(20));
        check(gateway->adverts == 2 && gateway->advert_len == TUNNEL_ADVERT_MAX && gateway->advert_first == 'x');
        pair_run(pair, SECONDS(29));
        check_equal(gateway->adverts, 2);
        pair_run(pair, SECONDS(1));
        check_equal(gateway->adverts, 3);
        check_equal(provider->adverts, 0);
        free(big);
        pair_free(pair);
}

/* A large advertisement on a slow wire is replaced while it leaves: the peer gets the first whole, then the second. */
TEST(an_advertisement_may_change_while_it_leaves)
{
        struct pair *pair = pair_up(160, NEITHER);
        struct pair_side *gateway = &pair->side[TUNNEL_GATEWAY], *provider = &pair->side[TUNNEL_PROVIDER];
        uint8_t *big = malloc(TUNNEL_ADVERT_MAX);

        pair->wire_rate = 1000;
        memset(big, 'a', TUNNEL_ADVERT_MAX);
        check_equal(tunnel_advertise(provider->t, big, TUNNEL_ADVERT_MAX, pair->now_us), 0);
        pair_run(pair, MSEC(10));
        for (unsigned i = 0; i < 3; i++) {
                memset(big, 'b', 1000);
                check_equal(tunnel_advertise(provider->t, big, 1000, pair->now_us), 0);
        }
        while (!gateway->adverts)
                pair_turn(pair);
        check(gateway->advert_len == TUNNEL_ADVERT_MAX && gateway->advert_first == 'a');
        pair_run(pair, MSEC(100));
        check(gateway->adverts == 2 && gateway->advert_len == 1000 && gateway->advert_first == 'b');
        free(big);
        pair_free(pair);
}

TEST(disconnect_ends_every_channel_visibly)
{
        struct pair *pair = pair_up(170, NEITHER);
        struct pair_app *running = pair_open(pair, 80, (struct pair_plan){ .read_max = QUICK, .never_end = true }), *opening;

        pair_run(pair, MSEC(5));
        opening = pair_open(pair, PAIR_SILENT_PORT, (struct pair_plan){ 0 });
        pair_run(pair, MSEC(5));
        tunnel_disconnect(pair->side[0].t, pair->now_us);
        tunnel_disconnect(pair->side[1].t, pair->now_us);
        pair_run(pair, MSEC(2));
        check(running->closed && running->reason == TUNNEL_LOST);
        check(opening->refused && opening->reason == TUNNEL_LOST);
        check(pair_other(running)->closed && pair_other(opening)->closed);
        check_equal(channels(pair), 0);
        pair_free(pair);
}

TEST(weakness_14_15_an_original_is_asked_one_slow_port_at_a_time)
{
        struct pair *pair = pair_up(180, TUNNEL_PROVIDER);
        struct tunnel *t = pair->side[TUNNEL_GATEWAY].t;
        struct tunnel_channel *ch;

        pair_open(pair, PAIR_SILENT_PORT, (struct pair_plan){ 0 });
        pair_run(pair, SECONDS(1));
        pair_open(pair, PAIR_SILENT_PORT, (struct pair_plan){ 0 });
        pair_run(pair, SECONDS(2));
        check_equal(tunnel_open(t, PAIR_SILENT_PORT, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, pair->now_us), -EBUSY);
        check_equal(tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, pair->now_us), 0);
        tunnel_abort(ch, pair->now_us);
        pair_free(pair);
}

TEST(channels_are_limited)
{
        struct pair *pair = pair_up(190, NEITHER);
        struct tunnel *t = pair->side[TUNNEL_GATEWAY].t;
        struct tunnel_channel *ch;
        unsigned count = 0;
        int r;

        while ((r = tunnel_open(t, 80, TUNNEL_TCP, NULL, 0, USEC_NEVER, NULL, &ch, pair->now_us)) == 0)
                count++;
        check_equal(r, -EMFILE);
        check_equal(count, 16384);
        pair_free(pair);
}

/* Though each tells a time that leads. */
TEST(equal_clocks_differ_by_nothing)
{
        struct pair *pair = pair_up(5, NEITHER);

        for (int role = 0; role < 2; role++) {
                struct tunnel_stats stats;

                tunnel_stats(pair->side[role].t, &stats);
                check(stats.skew_ms <= 5 && stats.skew_ms >= -5);
        }
        pair_free(pair);
}

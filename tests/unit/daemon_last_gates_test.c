/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of gates: read again as written, never half, never by two, never another router's. */
#include "last_gates.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_place.h"
#include "test.h"

static const uint8_t ours[KEYS_BYTES] = { 1 }, theirs[KEYS_BYTES] = { 2 };

static void start(struct last_gates *last, const struct place *place, const uint8_t router[KEYS_BYTES])
{
        check_equal(last_gates_init(last, place->path, geteuid(), getegid(), router), 0);
}

/* @count gates from @first on are there. */
static void take(struct last_gates *last, uint16_t first, unsigned count)
{
        static struct gate gate[LAST_GATES_MAX + 1];
        struct gates gates = { .count = count };

        list_init(&gates.all);
        for (unsigned i = 0; i < count; i++) {
                gate[i] = (struct gate){ .port = (uint16_t)(first + i), .protocol = CONF_TCP };
                list_push_back(&gates.all, &gate[i].in_all);
        }
        last_gates_take(last, &gates);
}

/* What a start after this one finds: the first port, and how many; 0 for none. */
static void found(const struct place *place, const uint8_t router[KEYS_BYTES], uint16_t first, unsigned count)
{
        struct last_gates last;

        start(&last, place, router);
        check_equal(last.count, count);
        for (unsigned i = 0; i < count; i++)
                check(last.gate[i].port == first + i && last.gate[i].protocol == CONF_TCP);
        last_gates_fini(&last);
}

TEST(gates_are_there_at_the_next_start)
{
        struct last_gates last;
        struct stat file;
        PLACE(place);

        found(&place, ours, 0, 0);
        start(&last, &place, ours);
        take(&last, 8000, 3);
        last_gates_fini(&last);
        found(&place, ours, 8000, 3);
        start(&last, &place, ours);
        take(&last, 8000, LAST_GATES_MAX + 1);          /* of more the first are kept */
        last_gates_fini(&last);
        found(&place, ours, 8000, LAST_GATES_MAX);
        start(&last, &place, ours);
        take(&last, 0, 0);
        last_gates_fini(&last);
        found(&place, ours, 0, 0);
        check_equal(stat(place.path, &file), 0);
        check_equal(file.st_mode & 07777, 0600);
}

TEST(the_same_gates_are_stored_once)
{
        struct last_gates last;
        uint64_t number;
        PLACE(place);

        start(&last, &place, ours);
        take(&last, 8000, 2);
        number = last.file.number;
        take(&last, 8000, 2);
        check_equal(last.file.number, number);
        take(&last, 8001, 2);
        check_equal(last.file.number, number + 1);
        last_gates_fini(&last);
}

/* Whatever byte of the newest half is lost, the one before is still whole. */
TEST(a_write_that_was_cut_off_leaves_what_was_before)
{
        struct last_gates last;
        PLACE(place);

        start(&last, &place, ours);
        take(&last, 8000, 3);
        take(&last, 9000, 4);                           /* to the first half */
        for (off_t at = 0; at < 2048; at += 31) {
                uint8_t byte, other;

                check_equal(pread(last.file.fd, &byte, 1, at), 1);
                other = byte ^ 1;
                check_equal(pwrite(last.file.fd, &other, 1, at), 1);
                last_gates_fini(&last);
                found(&place, ours, 8000, 3);
                start(&last, &place, ours);
                check_equal(pwrite(last.file.fd, &byte, 1, at), 1);
        }
        last_gates_fini(&last);
        found(&place, ours, 9000, 4);
}

TEST(another_routers_gates_are_none)
{
        struct last_gates last;
        PLACE(place);

        start(&last, &place, ours);
        take(&last, 8000, 3);
        last_gates_fini(&last);
        found(&place, theirs, 0, 0);
        found(&place, ours, 8000, 3);
}

TEST(the_file_is_ours_alone)
{
        struct last_gates last, other;
        PLACE(place);

        start(&last, &place, ours);
        check_equal(last_gates_init(&other, place.path, geteuid(), getegid(), ours), -EWOULDBLOCK);
        check(other.file.fd == -1 && other.count == 0);
        last_gates_fini(&last);
        check_equal(chmod(place.path, 0640), 0);
        check_equal(last_gates_init(&other, place.path, geteuid(), getegid(), ours), -EPERM);
        unlink(place.path);
        check_equal(symlink("/dev/null", place.path), 0);
        check_equal(last_gates_init(&other, place.path, geteuid(), getegid(), ours), -ELOOP);
        check_equal(last_gates_init(&other, NULL, geteuid(), getegid(), ours), 0);
        take(&other, 8000, 3);                          /* nothing is kept, and nothing happens */
        last_gates_fini(&other);
}

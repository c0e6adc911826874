/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of known nodes: read again as written, never half, never by two, never of another network. */
#include "known.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon_place.h"
#include "ipc_swarm.h"
#include "test.h"

static const struct conf_bootstrap first[] = { { "", "one.example", 49737 } }, second[] = { { "", "two.example", 49737 } };
static const struct conf home = { .bootstrap = first, .bootstrap_count = 1 }, away = { .bootstrap = second, .bootstrap_count = 1 };

static struct ipc_swarm_known nodes_of(uint32_t count, uint8_t number)
{
        struct ipc_swarm_known nodes = { .count = count };

        for (uint32_t i = 0; i < MIN(count, (uint32_t)IPC_KNOWN_MAX); i++)
                nodes.node[i] = (struct ipc_swarm_bootstrap){ .ip = { 80, number, 0, (uint8_t)i }, .port = (uint16_t)(4000 + i) };
        return nodes;
}

static void start(struct known *known, const struct place *place, const struct conf *conf)
{
        check_equal(known_init(known, place->path, geteuid(), getegid(), conf), 0);
}

/* What a start after this one finds. */
static struct ipc_swarm_known found(const struct place *place, const struct conf *conf)
{
        struct known known;

        start(&known, place, conf);
        known_fini(&known);
        return known.nodes;
}

TEST(known_nodes_are_there_at_the_next_start)
{
        struct ipc_swarm_known many = nodes_of(IPC_KNOWN_MAX, 1), few = nodes_of(3, 2), got;
        struct known known;
        struct stat file;
        PLACE(place);

        check_equal(found(&place, &home).count, 0);
        start(&known, &place, &home);
        check(known_take(&known, &many));
        known_fini(&known);
        got = found(&place, &home);
        check_bytes(&got, &many, sizeof(many));
        for (unsigned i = 0; i < 3; i++) {
                start(&known, &place, &home);
                check(known_take(&known, &few) && known_take(&known, &many) && known_take(&known, &few));
                known_fini(&known);
                got = found(&place, &home);
                check_bytes(&got, &few, sizeof(few));
        }
        check_equal(stat(place.path, &file), 0);
        check_equal(file.st_mode & 07777, 0600);
}

/* Whatever byte of the newest half is lost, the one before is still whole. */
TEST(known_write_that_was_cut_off_leaves_what_was_before)
{
        struct ipc_swarm_known before = nodes_of(5, 1), after = nodes_of(6, 2), got;
        struct known known;
        PLACE(place);

        start(&known, &place, &home);
        check(known_take(&known, &before) && known_take(&known, &after));
        for (off_t at = 0; at < 512; at += 3) {         /* the second one went to the first half */
                uint8_t byte, other;

                check_equal(pread(known.file.fd, &byte, 1, at), 1);
                other = byte ^ 1;
                check_equal(pwrite(known.file.fd, &other, 1, at), 1);
                known_fini(&known);
                got = found(&place, &home);
                check_bytes(&got, &before, sizeof(before));
                start(&known, &place, &home);
                check_equal(pwrite(known.file.fd, &byte, 1, at), 1);
        }
        known_fini(&known);
        got = found(&place, &home);
        check_bytes(&got, &after, sizeof(after));
}

/* Files may not grow beyond @bytes: to a writer that is a full disk, in the middle of a write if need be. */
static void limit_files(rlim_t bytes)
{
        struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

        signal(SIGXFSZ, SIG_IGN);
        check_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

TEST(known_nodes_that_a_full_disk_does_not_take_leave_what_was_before_and_come_later)
{
        struct ipc_swarm_known before = nodes_of(5, 1), after = nodes_of(6, 2), got;
        struct known known;
        PLACE(place);

        start(&known, &place, &home);
        check(known_take(&known, &before));             /* the first goes to the second half */
        check(known_take(&known, &before));
        for (rlim_t room = 0; room < 1024; room += 93) {
                limit_files(room);
                check(known_take(&known, &after));
                check(known.error != 0 && known.news);
                check_bytes(&known.nodes, &after, sizeof(after));       /* for the next swarm worker */
                check(known_take(&known, &after));
                check(known.error != 0 && !known.news);                 /* told once */
                limit_files(RLIM_INFINITY);
                known_fini(&known);
                got = found(&place, &home);
                check_bytes(&got, &before, sizeof(before));
                start(&known, &place, &home);
        }
        check(known_take(&known, &after));
        check(known.error == 0 && !known.news);
        limit_files(0);
        check(known_take(&known, &after) && known.news);
        limit_files(RLIM_INFINITY);
        check(known_take(&known, &after) && known.news && !known.error);
        check(known_take(&known, &after) && !known.news);
        known_fini(&known);
        got = found(&place, &home);
        check_bytes(&got, &after, sizeof(after));
}

TEST(known_nodes_of_another_network_are_none)
{
        struct ipc_swarm_known nodes = nodes_of(5, 1);
        struct known known;
        PLACE(place);

        start(&known, &place, &home);
        check(known_take(&known, &nodes));
        known_fini(&known);
        check_equal(found(&place, &away).count, 0);
        check_equal(found(&place, &home).count, 5);
}

TEST(known_takes_no_nodes_that_can_not_be)
{
        struct ipc_swarm_known nodes[] = {
                nodes_of(0, 1), nodes_of(IPC_KNOWN_MAX + 1, 1), nodes_of(UINT32_MAX, 1), nodes_of(3, 1),
        };
        struct known known;

        nodes[3].node[2].port = 0;
        check_equal(known_init(&known, NULL, geteuid(), getegid(), &home), 0);
        for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
                check(!known_take(&known, &nodes[i]));
        nodes[3].node[2].port = 1;
        check(known_take(&known, &nodes[3]));           /* kept for the next swarm worker, though there is no file */
        check_equal(known.nodes.count, 3);
        known_fini(&known);
}

TEST(known_file_is_ours_alone)
{
        struct known known, other;
        PLACE(place);

        start(&known, &place, &home);
        check_equal(known_init(&other, place.path, geteuid(), getegid(), &home), -EWOULDBLOCK);
        check_equal(other.file.fd, -1);
        known_fini(&known);
        check_equal(chmod(place.path, 0640), 0);
        check_equal(known_init(&other, place.path, geteuid(), getegid(), &home), -EPERM);
        unlink(place.path);
        check_equal(symlink("/dev/null", place.path), 0);
        check_equal(known_init(&other, place.path, geteuid(), getegid(), &home), -ELOOP);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Services that ask while the worker is still told of connections by the dozen. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin_process.h"
#include "inside.h"
#include "ipc_admin.h"
#include "ipc_fingerprint.h"
#include "test.h"

enum { CROWD = 72, A_FEW = 8 };         /* a turn takes 64 of a link */

static const struct ipc_tuple nobody = { .local_port = 9999 };

static struct admin admin;
static struct inside inside;
static struct sockaddr_in at;

static void turn(void)
{
        worker_turn(&admin.worker, &admin_handlers, &admin);
}

static void begin(void)
{
        static const uint8_t key[16];
        struct ipc_generation generation = { .generation = 1 };
        struct ipc_admin_listener conf = { .auth_len = 0 };
        socklen_t len = sizeof(at);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

        at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        check_equal(bind(listener, (struct sockaddr *)&at, len), 0);
        check_equal(listen(listener, 16), 0);
        check_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
        memset(&admin, 0, sizeof(admin));
        inside_begin(&inside, &admin.worker, IPC_ADMIN, IPC_DUTY_NONE);
        check_equal(admin_init(&admin, key), 0);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_BEGIN, &generation, -1);
        inside_send(&inside, IPC_SUPERVISOR, IPC_ADMIN_LISTENER, &conf, listener);
        inside_send(&inside, IPC_SUPERVISOR, IPC_CONF_END, &generation, -1);
        inside_introduce(&inside, IPC_SWARM);
        turn();
        close(listener);
}

static void end(void)
{
        worker_part(&admin.worker);
        admin_fini(&admin);
        inside_end(&inside);
}

static struct ipc_tuple ends(uint16_t number)
{
        return (struct ipc_tuple){ .local_ip = { [15] = 1 }, .remote_ip = { [15] = 2 }, .local_port = number, .remote_port = 80 };
}

/* Connections 1 to @count. */
static void tell(uint16_t count)
{
        struct ipc_fingerprint said = { .swarm = 1, .metadata_len = 2, .metadata = "{}" };

        for (uint16_t i = 1; i <= count; i++) {
                said.channel = i;
                said.tuple = ends(i);
                inside_send(&inside, IPC_SWARM, IPC_FINGERPRINT_SET, &said, -1);
        }
}

/* A service that has connected. */
static int call(void)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        check_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
        turn();
        return fd;
}

static void ask(int fd, const struct ipc_tuple *tuple)
{
        char line[256];
        int len = snprintf(line, sizeof(line), "GET /resolve?remote_addr=::1&remote_port=%u&server_addr=::2&server_port=80 "
                                               "HTTP/1.1\r\n\r\n", tuple->local_port);

        check_equal(send(fd, line, (size_t)len, 0), len);
}

/* A service asks for @tuple while connections 1 to @count are told. */
static int begin_asking(uint16_t count, struct ipc_tuple tuple)
{
        int fd;

        begin();
        fd = call();
        tell(count);
        ask(fd, &tuple);
        return fd;
}

/* 0: none yet. */
static unsigned answered(int fd)
{
        char text[1024] = "";
        unsigned status = 0;

        if (recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0)
                check_equal(sscanf(text, "HTTP/1.1 %u ", &status), 1);
        return status;
}

static unsigned answered_at_last(int fd)
{
        for (unsigned i = 0; i < 2000; i++) {
                unsigned status = answered(fd);

                if (status)
                        return status;
                turn();
                usleep(1000);
        }
        return 0;
}

TEST(who_asks_before_the_last_of_a_crowd_is_heard_of_waits_for_it)
{
        int fd = begin_asking(CROWD, ends(CROWD));

        turn();
        check_equal(answered(fd), 0);
        check_equal(answered_at_last(fd), 200);
        close(fd);
        end();
}

TEST(a_question_in_a_crowd_that_nobody_can_answer_is_told_so_after_a_moment)
{
        int fd = begin_asking(CROWD, nobody);

        check_equal(answered_at_last(fd), 404);
        close(fd);
        end();
}

TEST(where_there_is_no_crowd_it_is_told_so_at_once)
{
        int fd = begin_asking(A_FEW, nobody);

        turn();
        check_equal(answered(fd), 404);
        close(fd);
        end();
}

TEST(who_waits_and_leaves_is_forgotten)
{
        int fd = begin_asking(CROWD, nobody);

        turn();
        check_equal(admin.http.asking_count, 1);
        close(fd);
        for (unsigned i = 0; i < 2000 && admin.http.asking_count; i++) {
                turn();
                usleep(1000);
        }
        check_equal(admin.http.asking_count, 0);
        end();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of a secret, in which previous ones may stand below it, each with the time until which it counts. */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "conf_folder.h"
#include "test.h"

#define S1 FOLDER_SECRET
#define S2 "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define S3 "fe0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define S4 "fd0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define S5 "fc0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define UNTIL " until 2026-12-01T12:00:00Z\n"

/* What is said of a "key" of that text; *@conf_out as of folder_load(). */
static const char *load(const char *key, struct conf **conf_out)
{
        static const char text[] = "secretFile: key\ngateway:\n";

        folder_write("x.yaml", text, strlen(text), 0644);
        folder_write("key", key, strlen(key), 0600);
        return folder_load((struct conf_source)CONF_SOURCE_INIT, conf_out);
}

TEST(previous_secrets_stand_below_the_secret)
{
        struct folder folder = folder_begin();
        struct conf *conf;

        check(!*load("\n \t\n  " S2 "\r\n\n  " S1 "  until\t1970-01-02T00:00:01Z  \n" S3 UNTIL S4 " until 9999-12-31T23:59:59Z", &conf));
        check_equal(conf->secret[0], 0xff);
        check_equal(conf->previous_count, 3);
        check_equal(conf->previous[0].secret[31], 0x1f);
        check_equal(conf->previous[0].secret[0], 0);
        check_equal(conf->previous[0].until_s, 24 * 60 * 60 + 1);
        check_equal(conf->previous[1].secret[0], 0xfe);
        check_equal(conf->previous[1].until_s, 1796126400);
        check_equal(conf->previous[2].until_s, 253402300799);
        conf_free(conf);
        check(!*load(S2, &conf));
        check_equal(conf->previous_count, 0);
        conf_free(conf);
        folder_end(&folder);
}

/* Each at its place, all at once, and never the secret itself. */
TEST(what_is_wrong_with_a_previous_secret_is_told_where_it_stands)
{
        static const struct { const char *key, *expected; } cases[] = {
                { S2 "\n" S1 "\n",
                  "key:2:65: a previous secret: expected \"until\" and a time behind it, as in \"until 2026-12-01T12:00:00Z\"\n" },
                { S2 "\n\n  " S1 " since 2026-12-01T12:00:00Z\n",
                  "key:3:68: a previous secret: expected \"until\" and a time behind it, as in \"until 2026-12-01T12:00:00Z\"\n" },
                { S2 "\n" S1 " until\n", "key:2:71: a previous secret: until: expected a time of UTC like 2026-12-01T12:00:00Z\n" },
                { S2 "\n" S1 " until 2026-12-01 12:00:00\n",
                  "key:2:72: a previous secret: until: expected a time of UTC like 2026-12-01T12:00:00Z\n" },
                { S2 "\n" S1 " until 2026-02-30T12:00:00Z\n",
                  "key:2:72: a previous secret: until: expected a time of UTC like 2026-12-01T12:00:00Z\n" },
                { S2 "\n" S1 " until 2026-12-01T12:00:00+01\n",
                  "key:2:72: a previous secret: until: expected a time of UTC like 2026-12-01T12:00:00Z\n" },
                { S2 "\n" S1 " until 2026-12-01T12:00:00Z x\n",
                  "key:2:93: a previous secret: there is something behind the time: take it away\n" },
                { S2 "\n" S2 UNTIL, "key:2:1: a previous secret: it is there already: take this line away\n" },
                { S2 "\n" S1 UNTIL S1 UNTIL, "key:3:1: a previous secret: it is there already: take this line away\n" },
                { S2 "\n" S1 UNTIL S3 UNTIL S4 UNTIL S5 UNTIL,
                  "key:5:1: previous secrets: there are more than 3: take the last ones away\n" },
                { S2 "\n" S1 "0" UNTIL "x" S3 UNTIL,
                  "key:2:1: the router secret has 65 characters, not 64\n"
                  "key:3:1: the router secret: character 1 is none of 0-9 a-f; it is 64 of these and nothing else\n" },
                { S2 UNTIL, "key:1:65: the router secret: character 65 is none of 0-9 a-f; it is 64 of these and nothing else\n" },
        };
        struct folder folder = folder_begin();

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct conf *conf;
                const char *said = load(cases[i].key, &conf);

                if (strcmp(said, cases[i].expected) != 0 || conf)
                        test_fail(__FILE__, __LINE__, "case %zu says\n%s", i, said);
        }
        folder_end(&folder);
}

/* A variable and an option are one secret. */
TEST(previous_secrets_stand_in_files_alone)
{
        struct folder folder = folder_begin();
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf *conf;

        folder_write("x.yaml", "gateway:\n", 9, 0644);
        source.router_secret = S2 "\n" S1 UNTIL;
        check(strcmp(folder_load(source, &conf), "HYPERGATE_ROUTER: the router secret: character 65 is none of 0-9 a-f; it is 64 of these and "
                                                 "nothing else\n") == 0);
        folder_end(&folder);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf_folder.h"
#include "test.h"

#define BEFORE "secretFile: key\nprovider: {}\nfingerprintResolver: "

/* NULL with a complaint; what it says must be @expected. */
static struct conf *load(const char *text, struct conf_source source, const char *expected)
{
        struct conf *conf;
        const char *said;

        folder_write("x.yaml", text, strlen(text), 0644);
        said = folder_load(source, &conf);
        if (strcmp(said, expected) != 0)
                test_fail(__FILE__, __LINE__, "%s\n--- says\n%s\n--- instead of\n%s", text, said, expected);
        return conf;
}

static void check_auth(struct conf *conf, const char *auth)
{
        check(conf && conf->resolver.auth_len == strlen(auth) && memcmp(conf->resolver.auth, auth, strlen(auth)) == 0);
        conf_free(conf);
}

TEST(who_may_ask_is_in_a_file_a_credential_or_a_variable)
{
        struct conf_source none = CONF_SOURCE_INIT, variable = none, both = none;
        struct folder folder = folder_begin();

        variable.path = none.path = both.path = "x.yaml";
        variable.resolver_auth = both.resolver_auth = "u:variable";
        both.credentials_directory = "credentials";
        folder_write("auth", "u:p:q\r\n", 7, 0600);
        check(mkdir("credentials", 0700) == 0);
        folder_write("credentials/resolver.auth", "u:credential\n", 13, 0640);
        check_auth(load(BEFORE "{listen: 127.0.0.1:8080}\n", none, ""), "");
        check_auth(load(BEFORE "{listen: '[::1]:8080'}\n", variable, ""), "u:variable");
        check_auth(load(BEFORE "{listen: '[::]:8080'}\n", both, ""), "u:credential");
        check_auth(load(BEFORE "{listen: '0.0.0.0:8080', basicAuthFile: auth}\n", both, ""), "u:p:q");
        folder_end(&folder);
}

TEST(what_is_no_password_is_told_without_it)
{
        static const char wrong[] = ": expected USER:PASSWORD on one line, at most 256 bytes, and nothing else\n";
        struct conf_source source = CONF_SOURCE_INIT;
        struct folder folder = folder_begin();
        static char much[300];
        char expected[256];

        source.path = "x.yaml";
        memset(much, 'a', sizeof(much));
        much[1] = ':';
        folder_write("much", much, 257, 0600);
        folder_write("none", "\n", 1, 0600);
        folder_write("user", ":password", 9, 0600);
        folder_write("two", "a:b\nc:d\n", 8, 0600);
        folder_write("open", "a:b\n", 4, 0640);
        for (size_t i = 0; i < 4; i++) {
                static const char *const names[] = { "much", "none", "user", "two" };
                char text[128];

                snprintf(text, sizeof(text), BEFORE "{listen: 127.0.0.1:1, basicAuthFile: %s}\n", names[i]);
                snprintf(expected, sizeof(expected), "x.yaml:3:59: basicAuthFile: \"%s\"%s", names[i], wrong);
                check(!load(text, source, expected));
        }
        check(!load(BEFORE "{listen: 127.0.0.1:1, basicAuthFile: open}\n", source,
                    "x.yaml:3:59: basicAuthFile: \"open\": it is open to others than its owner: chmod 600 it, and think of a new password\n"));
        check(!load(BEFORE "{listen: 127.0.0.1:1, basicAuthFile: gone}\n", source,
                    "x.yaml:3:59: basicAuthFile: \"gone\": No such file or directory\n"));
        check(mkfifo("pipe", 0600) == 0);
        check(!load(BEFORE "{listen: 127.0.0.1:1, basicAuthFile: pipe}\n", source,
                    "x.yaml:3:59: basicAuthFile: \"pipe\": it is no file\n"));
        source.resolver_auth = "secret";
        check(!load(BEFORE "{listen: 127.0.0.1:1}\n", source,
                    "x.yaml:3:1: HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH: expected USER:PASSWORD on one line, at most 256 bytes, and nothing else\n"));
        folder_end(&folder);
}

TEST(where_it_answers_is_said_and_others_need_a_password)
{
        static const char *const bad[] = { "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "'::1:80'", "'[127.0.0.1]:80'", "localhost:80", "':80'", "'[::1:80'",
                                            "'unix:'", "'unix:socket'", "'unix:/run/'" };
        struct conf_source source = CONF_SOURCE_INIT;
        struct folder folder = folder_begin();
        struct conf *conf;

        source.path = "x.yaml";
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                char text[128];

                snprintf(text, sizeof(text), BEFORE "{listen: %s}\n", bad[i]);
                folder_write("x.yaml", text, strlen(text), 0644);
                check(strstr(folder_load(source, &conf), "x.yaml:3:31: listen: expected IP:PORT, such as 127.0.0.1:8080") && !conf);
        }
        check(!load(BEFORE "{}\n", source, "x.yaml:3:1: fingerprintResolver: where? listen: IP:PORT, such as 127.0.0.1:8080 or \"[::1]:8080\", "
                                           "or unix: and the whole path of a socket\n"));
        check(!load(BEFORE "{listen: 192.0.2.1:8080}\n", source,
                    "x.yaml:3:1: fingerprintResolver: others than this machine could ask at 192.0.2.1:8080: say who may by basicAuthFile, or listen on 127.0.0.1\n"));
        conf_free(load("secretFile: key\ngateway:\nfingerprintResolver: {listen: 127.1.2.3:8080}\n", source,
                       "x.yaml:3:1: warning: fingerprintResolver: it is for the services of a provider: there is none\n"));
        folder_end(&folder);
}

TEST(a_unix_socket_needs_no_password)
{
        struct conf_source source = CONF_SOURCE_INIT;
        struct folder folder = folder_begin();
        struct conf *conf;

        source.path = "x.yaml";
        conf = load(BEFORE "{listen: 'unix:/run/app/whose.sock'}\n", source, "");
        check(conf && strcmp(conf->resolver.path, "/run/app/whose.sock") == 0 && !conf->resolver.port && conf_site_answers(&conf->resolver));
        conf_free(conf);
        source.unlimited_secret = "a secret";
        check(!load("secretFile: key\ngateway: {}\nunlimited: {listen: 'unix:/run/x'}\n", source,
                    "x.yaml:3:21: listen: expected IP:PORT, such as 127.0.0.1:8091 or \"[::1]:8091\", not \"unix:/run/x\"\n"));
        folder_end(&folder);
}

TEST(a_reload_moves_it_and_keeps_what_was_a_variable)
{
        struct conf_source source = CONF_SOURCE_INIT;
        struct folder folder = folder_begin();
        struct conf_difference difference;
        struct conf *running, *conf;

        source.path = "x.yaml";
        source.resolver_auth = "u:p";
        running = load(BEFORE "{listen: 127.0.0.1:8080}\n", source, "");
        source.resolver_auth = NULL;            /* it was wiped */
        source.running = running;
        check_auth(load(BEFORE "{listen: 127.0.0.1:8080}\n", source, ""), "u:p");
        conf = load(BEFORE "{listen: 127.0.0.1:8081}\n", source, "");
        check(conf->resolver.port == 8081 && conf_compare(running, conf, &difference) == 0 && difference.parts == CONF_PART_SITES);
        check_auth(conf, "u:p");
        folder_write("auth", "u:other", 7, 0600);
        conf = load(BEFORE "{listen: 127.0.0.1:8080, basicAuthFile: auth}\n", source, "");
        check(conf_compare(running, conf, &difference) == 0 && difference.parts == CONF_PART_SITES);
        conf_free(running);
        source.running = running = conf;
        check_auth(load(BEFORE "{listen: 127.0.0.1:8080}\n", source, ""), "");          /* a file that is not named any more */
        conf = load("secretFile: key\nprovider: {}\n", source, "");
        check(!conf_site_answers(&conf->resolver));
        conf_free(conf);
        conf_free(running);
        folder_end(&folder);
}

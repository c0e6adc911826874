/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes over a configuration: services that come and go, and nothing at all when it is drained. */
#include <string.h>

#include "overrides.h"
#include "test.h"

static struct conf_service service(uint16_t gate_port, const char *host, enum conf_protocol protocol)
{
        return (struct conf_service){ .gate_port = gate_port, .service_port = 80, .protocol = protocol, .line = 7, .file = "x.yaml",
                                      .host = host, .tags = "", .sni = "" };
}

static struct conf provider(const struct conf_service *services, size_t count)
{
        struct conf conf = { .name = "x", .has_secret = true };

        memset(conf.secret, 0xab, sizeof(conf.secret));
        conf.provider = (struct conf_provider){ .present = true, .services = services, .service_count = count, .udp_timeout_ms = 5 };
        return conf;
}

/* Of each service that is left of @conf: its gate port, whether it was added, and all of that as one number. */
static uint64_t offers(const struct conf *conf, const struct overrides *overrides)
{
        struct conf *overridden = overridden_new(conf, overrides);
        uint64_t said = 0;

        check(overridden && overridden->provider.present == conf->provider.present && overridden->provider.udp_timeout_ms == 5);
        check(memcmp(overridden->secret, conf->secret, sizeof(conf->secret)) == 0);
        for (size_t i = 0; i < overridden->provider.service_count; i++)
                said = said * 1000 + overridden->provider.services[i].gate_port * 10u + (overridden->provider.services[i].line == 0);
        overridden_free(overridden);
        return said;
}

TEST(services_come_and_go)
{
        const struct conf_service configured[] = { service(11, "a", CONF_TCP), service(12, "a", CONF_TCP), service(12, "b", CONF_TCP),
                                                   service(12, "a", CONF_UDP) };
        const struct conf_service more[] = { service(13, "a", CONF_TCP), service(11, "a", CONF_TCP), service(11, "b", CONF_TCP) };
        const struct conf conf = provider(configured, 4), added = provider(more, 3), nothing = provider(NULL, 0);
        struct overrides overrides = { 0 }, copy;

        check(overrides_empty(&overrides));
        check_equal(offers(&conf, &overrides), 110120120120);
        check_equal(overrides_remove(&overrides, &conf.provider, 13, CONF_TCP), 0);
        check_equal(overrides_remove(&overrides, &conf.provider, 12, CONF_TCP), 1);
        check_equal(overrides_remove(&overrides, &conf.provider, 12, CONF_TCP), 0);
        check_equal(offers(&conf, &overrides), 110120);
        check_equal(overrides_add(&overrides, &added.provider), 0);
        check_equal(overrides_add(&overrides, &added.provider), 0);
        check_equal(overrides.added_count, 3);
        check_equal(offers(&conf, &overrides), 110120131111);   /* that which is configured, too, is there once */
        check_equal(offers(&nothing, &overrides), 131111111);   /* and stays when the configuration loses it */

        check_equal(overrides_copy(&copy, &overrides), 0);
        check_equal(overrides_remove(&overrides, &conf.provider, 11, CONF_TCP), 1);
        check_equal(overrides_remove(&overrides, &conf.provider, 13, CONF_TCP), 1);
        check_equal(overrides_remove(&overrides, &conf.provider, 13, CONF_TCP), 0);
        check_equal(offers(&conf, &overrides), 120);
        check_equal(offers(&conf, &copy), 110120131111);
        check(!overrides_empty(&overrides) && !overrides_empty(&copy));
        overrides_fini(&copy);
        overrides_fini(&overrides);
        check(overrides_empty(&overrides));
}

TEST(what_is_found_goes_over_what_is_read_and_is_taken_away_like_that)
{
        const struct conf_service configured[] = { service(11, "a", CONF_TCP) };
        const struct conf_found list[] = {
                { .gate_port = 13, .service_port = 80, .protocol = CONF_UDP, .published = true, .host = "web.hyper",
                  .address = "172.18.0.2" },
                { .gate_port = 12, .service_port = 80, .protocol = CONF_TCP, .host = "db", .address = "172.18.0.3" },
                { .gate_port = 12, .service_port = 80, .protocol = CONF_TCP, .host = "db", .address = "172.18.0.3" },
        };
        const struct conf conf = provider(configured, 1);
        struct overrides found, wishes = { 0 };
        struct conf *laid;

        check_equal(overrides_found(&found, list, 3), 0);
        check_equal(offers(&conf, &found), 110121131);
        laid = overridden_new(&conf, &found);
        check(laid);
        check(strcmp(laid->provider.services[2].host, "172.18.0.2") == 0 && strcmp(laid->provider.services[2].alias, "web.hyper") == 0);
        check(strcmp(laid->provider.services[1].tags, "docker") == 0 && strcmp(laid->provider.services[2].tags, "docker published") == 0);
        check_equal(laid->provider.services[2].protocol, CONF_UDP);
        check_equal(overrides_remove(&wishes, &laid->provider, 12, CONF_TCP), 1);
        check_equal(offers(laid, &wishes), 110131);
        overridden_free(laid);
        overrides_fini(&wishes);
        overrides_fini(&found);
        check_equal(overrides_found(&found, NULL, 0), 0);
        check(overrides_empty(&found));
        overrides_fini(&found);
}

TEST(long_lists_are_laid_over_each_other_in_their_order)
{
        static struct conf_service configured[CONF_SERVICES_MAX / 2], more[CONF_SERVICES_MAX / 2];
        const size_t count = CONF_SERVICES_MAX / 2;
        const struct conf conf = provider(configured, count), added = provider(more, count);
        struct overrides overrides = { 0 }, copy;
        struct conf *overridden;

        for (size_t i = 0; i < count; i++) {
                configured[i] = service((uint16_t)(count - i), "a", CONF_TCP);          /* 8192 to 1 */
                more[i] = service((uint16_t)(count + count / 2 - i), "a", CONF_TCP);    /* 12288 to 4097: half of them are there */
        }
        check_equal(overrides_add(&overrides, &added.provider), 0);
        check_equal(overrides_add(&overrides, &added.provider), 0);
        check_equal(overrides_copy(&copy, &overrides), 0);
        check_equal(copy.added_count, count);
        for (size_t i = 0; i < count; i++)
                check(conf_service_compare(&copy.added[i], &more[i]) == 0 && copy.added[i].host != overrides.added[i].host);
        overridden = overridden_new(&conf, &copy);
        check_equal(overridden->provider.service_count, count + count / 2);
        for (size_t i = 0; i < count + count / 2; i++)
                check_equal(overridden->provider.services[i].gate_port, i < count ? count - i : 2 * count + count / 2 - i);
        overridden_free(overridden);
        overrides_fini(&copy);
        overrides_fini(&overrides);
}

TEST(what_is_removed_can_be_added_again)
{
        const struct conf_service configured[] = { service(11, "a", CONF_TCP) };
        const struct conf conf = provider(configured, 1);
        struct overrides overrides = { 0 };

        check_equal(overrides_remove(&overrides, &conf.provider, 11, CONF_TCP), 1);
        check_equal(overrides_add(&overrides, &conf.provider), 0);
        check_equal(offers(&conf, &overrides), 111);
        check_equal(overrides_remove(&overrides, &conf.provider, 11, CONF_TCP), 1);
        check_equal(offers(&conf, &overrides), 0);
        overrides_fini(&overrides);
}

TEST(drained_is_without_services_and_gates)
{
        const struct conf_service configured[] = { service(11, "a", CONF_TCP) };
        struct conf conf = provider(configured, 1);
        struct overrides overrides = { .drained = true }, copy;
        struct conf *overridden;

        check(!overrides_empty(&overrides));
        conf.gateway.present = true;
        check_equal(offers(&conf, &overrides), 0);
        overridden = overridden_new(&conf, &overrides);
        check(overridden->gateway.present && overridden->gateway.filter_count == 1);
        check(overridden->gateway.filters[0].fields == CONF_FILTER_GATE_PORT && overridden->gateway.filters[0].gate_port == 0);
        overridden_free(overridden);
        check_equal(overrides_copy(&copy, &overrides), 0);
        check(copy.drained);
        overrides_fini(&copy);
}

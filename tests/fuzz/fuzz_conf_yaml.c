/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file: good or bad, never both; what is good keeps what conf.h promises, and what is shown of it reads the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void demand(bool condition)
{
        if (!condition)
                abort();
}

static void check_conf(const struct conf *conf)
{
        demand(conf->provider.present || conf->gateway.present || conf->relay.present || conf->dht.persistent);
        demand(conf->has_secret || !(conf->provider.present || conf->gateway.present || (conf->relay.present && !conf->relay.anybody)));
        demand(conf->log_level >= 3 && conf->log_level <= 7);
        demand(!conf->gateway.present || conf->gateway.listen_count > 0);
        demand(!conf->dht.persistent || conf->dht.public_port > 0);
        for (size_t i = 0; i < conf->provider.service_count; i++) {
                const struct conf_service *service = &conf->provider.services[i];

                demand(service->gate_port && !service->service_port == (conf_service_path(service) != NULL));
                demand(service->protocol == CONF_TCP || (service->protocol == CONF_UDP && service->service_port));
                demand(service->host[0] && strlen(service->host) < CONF_HOST_MAX && strlen(service->tags) < CONF_TAGS_MAX);
        }
        for (size_t i = 0; i < conf->gateway.filter_count; i++)
                demand(conf->gateway.filters[i].fields && conf->gateway.filters[i].host && conf->gateway.filters[i].tags);
        for (size_t i = 0; i < conf->bootstrap_count; i++)
                demand(conf->bootstrap[i].port && conf->bootstrap[i].host[0] && conf->bootstrap[i].ip);
}

static void check_complaints(const struct conf_complaints *complaints)
{
        char text[CONF_COMPLAINT_TEXT_MAX];

        demand(complaints->count + complaints->omitted_count == complaints->error_count + complaints->warning_count);
        for (size_t i = 0; i < complaints->count; i++) {
                conf_complaint_text(&complaints->list[i], text, sizeof(text));
                demand(strlen(text) < sizeof(text) - 1);
                for (const char *at = text; *at; at++)
                        demand(*at >= ' ' && *at < 0x7f);
        }
}

static void check_shown(const struct conf_source *source, const struct conf *conf, size_t warning_count)
{
        struct conf_source shown = *source;
        struct conf_complaints complaints;
        struct conf_difference difference;
        struct conf *again = NULL;
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        demand(out && conf_show(conf, NULL, out) && fclose(out) == 0);
        shown.running = conf;
        shown.fd = memfd_create("shown", MFD_CLOEXEC);
        demand(shown.fd >= 0 && write(shown.fd, text, len) == (ssize_t)len);
        if (len <= CONF_FILE_BYTES_MAX) {
                demand(conf_load(&shown, &again, &complaints) == CONF_GOOD && complaints.warning_count <= warning_count);
                demand(conf_compare(conf, again, &difference) == 0 && !difference.parts && !difference.added && !difference.removed);
                conf_complaints_fini(&complaints);
        }
        conf_free(again);
        close(shown.fd);
        free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
        struct conf_source source = { .path = "fuzz.yaml", .secret_fd = -1 };
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        enum conf_verdict verdict;

        conf_source_environment(&source);
        source.verbose = len % 2;
        source.router_secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        source.fd = memfd_create("fuzz", MFD_CLOEXEC);
        demand(source.fd >= 0 && write(source.fd, data, len) == (ssize_t)len);
        verdict = conf_load(&source, &conf, &complaints);
        demand((verdict == CONF_GOOD) == (complaints.error_count == 0) && (verdict == CONF_GOOD) == (conf != NULL));
        check_complaints(&complaints);
        if (conf) {
                check_conf(conf);
                check_shown(&source, conf, complaints.warning_count);
        }
        conf_free(conf);
        conf_complaints_fini(&complaints);
        close(source.fd);
        return 0;
}

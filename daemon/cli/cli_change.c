/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate add, remove and undrain: what goes over the configuration of instances that run, until they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli_ask.h"
#include "cli_each.h"
#include "cli_instance.h"
#include "cli_json.h"
#include "cli_reload.h"
#include "cli_save.h"
#include "cli_sheet.h"
#include "cli_talk.h"
#include "conf.h"
#include "ipc_blob.h"
#include "ipc_fd.h"

enum { REQUEST_MAX = 32 * 1024 };       /* daemon/control.h, CONTROL_LINE_MAX */

static const char *const protocols[] = { [CONF_TCP] = "tcp", [CONF_UDP] = "udp" };

/* What is asked, and what came of it. */
struct change {
        bool json, save;
        json_t *services;               /* to be added: a list, or NULL */
        uint16_t port;                  /* behind which nothing is left: 0: of which there is none */
        unsigned protocols;             /* or of 1 << enum conf_protocol */
        char request[REQUEST_MAX];
        int status;
};

static int refuse(const char *about, const char *why)
{
        fprintf(stderr, "hypergate: %s: %s\nTry: hypergate --help\n", about, why);
        return EX_USAGE;
}

static int no_memory(void)
{
        fprintf(stderr, "hypergate: no memory\n");
        return EX_OSERR;
}

/* --- What to add --- */

static json_t *health_of(const struct conf_health *from)
{
        json_t *health = json_pack("{s:s, s:i, s:i, s:i, s:i}", "type", from->type == CONF_HEALTH_HTTP ? "http" : "tcp", "intervalMs",
                                   from->interval_ms, "timeoutMs", from->timeout_ms, "rise", from->rise, "fall", from->fall);

        if (from->type == CONF_HEALTH_HTTP) {
                json_object_set_new(health, "path", json_string(from->path));
                json_object_set_new(health, "status", json_sprintf("%u-%u", from->status_first, from->status_last));
        }
        return health;
}

static json_t *list_of(const struct conf_provider *provider)
{
        json_t *list = json_array();

        for (size_t i = 0; i < provider->service_count; i++) {
                const struct conf_service *from = &provider->services[i];
                json_t *service = json_pack("{s:i, s:s, s:s}", "gatePort", from->gate_port, "serviceHost", from->host, "protocol",
                                            protocols[from->protocol]);

                if (from->alias)
                        json_object_set_new(service, "alias", json_string(from->alias));
                if (!conf_service_path(from))
                        json_object_set_new(service, "servicePort", json_integer(from->service_port));
                if (from->proxy)
                        json_object_set_new(service, "proxyProtocol", json_string(from->proxy == CONF_PROXY_V1 ? "v1" : "v2"));
                if (*from->tags)
                        json_object_set_new(service, "tags", json_string(from->tags));
                if (*from->sni)
                        json_object_set_new(service, "sni", json_string(from->sni));
                if (from->priority)
                        json_object_set_new(service, "priority", json_integer(from->priority));
                if (from->health.type)
                        json_object_set_new(service, "health", health_of(&from->health));
                if (json_array_append_new(list, service) < 0) {
                        json_decref(list);
                        return NULL;
                }
        }
        return list;
}

/* As --provider would read it. An exit status. */
static int read_services(char *services, json_t **list_out)
{
        struct cli_given given = { CLI_OPTION_PROVIDER, "SERVICES", services };
        struct cli_options options = { .given = &given, .given_count = 1 };
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct conf *conf = NULL;
        struct cli_sheet sheet;
        cleanup_fd int fd = -1;
        int r = cli_sheet_init(&sheet, &options);

        if (r < 0)
                return no_memory();
        fd = ipc_blob_new(sheet.text, sheet.len);
        source.path = "command line";
        source.fd = fd;
        source.flags = sheet.flags;
        source.flag_count = sheet.flag_count;
        source.without_secret = true;
        if (fd >= 0) {
                conf_load(&source, &conf, &complaints);
                cli_print_complaints(&complaints);
                conf_complaints_fini(&complaints);
        }
        cli_sheet_fini(&sheet);
        *list_out = conf ? list_of(&conf->provider) : NULL;
        conf_free(conf);
        return fd < 0 ? no_memory() : !conf ? EX_CONFIG : *list_out ? EX_OK : no_memory();
}

static int ask_to_add(struct change *change, char *services)
{
        int status = read_services(services, &change->services), len;
        char *text = status == EX_OK ? json_dumps(change->services, 0) : NULL;

        if (status != EX_OK)
                return status;
        if (!text)
                return no_memory();
        len = snprintf(change->request, sizeof(change->request), "add %s\n", text);
        free(text);
        if (json_array_size(change->services) == 0)
                return refuse("add", "there is no service in it");
        return len < REQUEST_MAX ? EX_OK : refuse("add", "that are too many at once: add some, then the others");
}

/* --- What to remove --- */

static int ask_to_remove(struct change *change, const char *gate)
{
        size_t digits = strspn(gate, "0123456789");
        unsigned long port = strtoul(gate, NULL, 10);
        const char *slash = gate + digits;

        change->protocols = !*slash ? 1U << CONF_TCP | 1U << CONF_UDP : 0;
        for (unsigned i = CONF_TCP; i <= CONF_UDP; i++)
                if (*slash == '/' && strcmp(slash + 1, protocols[i]) == 0)
                        change->protocols = 1U << i;
        if (digits == 0 || digits > 5 || port == 0 || port > UINT16_MAX || !change->protocols)
                return refuse("remove", "a gate PORT, 1 to 65535, such as 8000 or 8000/udp");
        change->port = (uint16_t)port;
        snprintf(change->request, sizeof(change->request), "remove %s\n", gate);
        return EX_OK;
}

/* --- What came of it --- */

static void print_change(const char *instance, const json_t *object)
{
        printf("%s: ", instance);
        if (cli_talk_flag(object, "changed"))
                printf("services: %lld more, %lld gone", cli_talk_number(object, "servicesAdded"),
                       cli_talk_number(object, "servicesRemoved"));
        else
                printf("nothing is different");
        puts(cli_talk_flag(object, "drained") ? ", while it is drained" : "");
        fflush(stdout);
        if (!cli_talk_flag(object, "confirmed"))
                fprintf(stderr, "hypergate: %s: not all of its workers have said that they have it; its log may say why\n", instance);
}

static int save_in(const struct change *change, const char *file)
{
        int status = change->services ? cli_save_add(file, change->services) : EX_OK;

        for (unsigned i = CONF_TCP; i <= CONF_UDP && status == EX_OK; i++)
                if (change->protocols & 1U << i)
                        status = cli_save_remove(file, change->port, protocols[i]);
        return status;
}

/* Of @line the file: in the object it is for people. */
static int save(const struct change *change, const char *instance, const char *line)
{
        json_t *object = json_loads(line, 0, NULL);
        const char *file = cli_talk_text(object, "file");
        int status = *file ? save_in(change, file) : EX_CANTCREAT;

        if (!*file)
                fprintf(stderr, "hypergate: %s: it runs so, but is not saved: it has no file that others know\n", instance);
        json_decref(object);
        return status;
}

static void take_change(struct change *change, const char *instance, const json_t *object, const char *line)
{
        int status = !cli_talk_flag(object, "good") ? EX_CONFIG : !cli_talk_flag(object, "confirmed") ? EX_TEMPFAIL : EX_OK;

        if (change->json)
                fputs(line, stdout);
        else if (cli_talk_flag(object, "good"))
                print_change(instance, object);
        if (change->save && cli_talk_flag(object, "good") && status == EX_OK)
                status = save(change, instance, line);
        if (change->status == EX_OK)
                change->status = status;
}

static void take(void *context, const char *instance, const json_t *object, const char *line)
{
        struct change *change = context;
        bool complaint = strcmp(cli_talk_text(object, "type"), "complaint") == 0;

        if (strcmp(cli_talk_text(object, "type"), "change") == 0)
                take_change(change, instance, object, line);
        else if (complaint && change->json)
                cli_json_print_line(instance, object, line);
        else if (complaint)
                cli_reload_print_complaint(object);
        fflush(stdout);
}

int cli_change_run(const struct cli_options *options)
{
        struct change change = { .json = cli_options_next(options, CLI_OPTION_JSON, NULL),
                                 .save = cli_options_next(options, CLI_OPTION_SAVE, NULL), .request = "undrain\n" };
        struct cli_options rest = *options;
        int asked = options->command == CLI_ADD    ? ask_to_add(&change, options->operands[0]) :
                    options->command == CLI_REMOVE ? ask_to_remove(&change, options->operands[0]) : EX_OK;

        if (options->command != CLI_UNDRAIN) {
                rest.operands++;
                rest.operand_count--;
        }
        if (asked == EX_OK)
                asked = cli_each_named(&(struct cli_each){ .request = change.request, .take = take, .context = &change }, &rest);
        json_decref(change.services);
        return change.status != EX_OK ? change.status : asked;
}

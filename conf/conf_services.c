/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_services.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_health.h"
#include "conf_host.h"
#include "conf_ingress.h"

enum {
        ADVERTISED_MAX = 256,           /* worker/router ADVERT_ROUTES_MAX: no gateway would take more of one peer */
        TCP = 1 << CONF_TCP,
        UDP = 1 << CONF_UDP,
};

/* One entry of a list, whichever list it is. */
struct entry {
        unsigned fields;                /* enum conf_filter_field: what was there and good */
        unsigned bad;                   /* there, but complained of */
        uint16_t gate_port, gate_port_last, service_port, service_port_last;
        unsigned protocols;             /* TCP, UDP or both */
        const char *host;               /* memory of the tree */
        bool local;                     /* a unix socket */
        const char *alias;              /* memory of the tree; NULL: it says none */
        bool ill;                       /* something beside these fields was complained of */
        char tags[CONF_TAGS_MAX];
        enum conf_proxy proxy;
        char sni[CONF_HOST_MAX];
        const struct conf_node *sni_at; /* NULL: it says nothing of that */
        struct conf_health health;
        const struct conf_node *health_at;      /* NULL: it says nothing of that */
        const struct conf_node *proxy_at;       /* NULL: it says nothing of that */
        const struct conf_ingress *ingress;     /* NULL: it says nothing of that */
        uint32_t priority;
        unsigned policy;                /* enum conf_policy */
        const struct conf_node *priority_at, *policy_at;        /* NULL: it says none */
};

static void read_gate_port(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        bool good = conf_value_ports(read, node, &entry->gate_port, &entry->gate_port_last);

        *(good ? &entry->fields : &entry->bad) |= CONF_FILTER_GATE_PORT;
}

static void read_service_port(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        bool good = conf_value_ports(read, node, &entry->service_port, &entry->service_port_last);

        *(good ? &entry->fields : &entry->bad) |= CONF_FILTER_SERVICE_PORT;
}

static void read_host(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;
        const char *host = NULL, *expected = NULL;
        bool good = conf_value_text(read, node, "127.0.0.1", &host);

        if (good && (expected = conf_host_service(host, &entry->local)))
                good = conf_value_wrong(read, node, expected);
        if (good)
                entry->host = host;
        *(good ? &entry->fields : &entry->bad) |= CONF_FILTER_HOST;
}

/* Gateways take it for the host, and so it looks like one. */
static void read_alias(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;
        const char *alias = NULL;
        bool good = conf_value_text(read, node, "db.internal", &alias);

        if (good && conf_host_check(alias))
                good = conf_value_wrong(read, node, "a name for gateways to be told instead of serviceHost, such as db.internal");
        if (good)
                entry->alias = alias;
        else
                entry->ill = true;
}

/* The original takes 0 and 1 as well: what it sends to its peers. */
static void read_protocol(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const names[] = { "tcp", "udp", "tcp+udp", NULL };
        static const unsigned meant[] = { TCP, UDP, TCP | UDP };
        struct entry *entry = into;
        bool number = node->kind == CONF_PLAIN && (strcmp(node->text, "0") == 0 || strcmp(node->text, "1") == 0);
        unsigned choice = number && node->text[0] == '1' ? CONF_UDP : CONF_TCP;
        bool good = number || conf_value_choice(read, node, names, &choice);

        entry->protocols = meant[choice];
        *(good ? &entry->fields : &entry->bad) |= CONF_FILTER_PROTOCOL;
}

/* One blank between words, none around them. */
static void read_tags(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;
        const char *text = "";
        bool empty = conf_value_is_empty(node) || (node->kind == CONF_QUOTED && node->text[0] == '\0');
        bool good = empty || conf_value_text(read, node, "docker published", &text);
        size_t used = 0;

        while (good && *(text += strspn(text, " \t\r\n"))) {
                size_t len = strcspn(text, " \t\r\n");

                if (used + (used > 0) + len >= sizeof(entry->tags)) {
                        good = conf_value_wrong(read, node, "words of at most 511 characters together");
                        break;
                }
                used += (size_t)snprintf(entry->tags + used, sizeof(entry->tags) - used, "%s%.*s", used ? " " : "", (int)len, text);
                text += len;
        }
        if (!good)
                entry->bad |= CONF_FILTER_TAGS;
        else if (used)
                entry->fields |= CONF_FILTER_TAGS;
}

static void read_ingress_policy(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        if (conf_value_is_empty(node))
                return;
        entry->ingress = conf_ingress_read(read, node);
        entry->ill = entry->ill || !entry->ingress;
}

static void read_priority(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        if (conf_value_whole(read, node, 0, CONF_PRIORITY_MAX, 1, &entry->priority))
                entry->priority_at = node;
        else
                entry->ill = true;
}

const char *const conf_policies[] = { "round-robin", "least-connections", "source-hash", "first", NULL };

/* Of a gateway: a provider that reads the same file passes it over. */
static void read_policy(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        if (conf_value_choice(read, node, conf_policies, &entry->policy))
                entry->policy_at = node;
        else
                entry->ill = true;
}

/* Of a ClientHello: RFC 6066 3 leaves addresses out. */
static void read_sni(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;
        const char *text = "", *name;
        uint8_t ip[16];
        size_t len;

        entry->sni_at = node;
        if (!conf_value_text(read, node, "www.example.org", &text)) {
                entry->ill = true;
                return;
        }
        name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
        len = strlen(text);
        if (conf_host_check(name) || conf_host_address(name, ip) == NULL || len >= sizeof(entry->sni)) {
                entry->ill = !conf_value_wrong(read, node, "a host name, such as www.example.org, or *.example.org for all with one word more");
                return;
        }
        for (size_t i = 0; i <= len; i++)
                entry->sni[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
        if (entry->sni[len - 1] == '.')
                entry->sni[len - 1] = '\0';
}

static void read_proxy(struct conf_read *read, const struct conf_node *node, void *into)
{
        static const char *const versions[] = { "none", "v1", "v2", NULL };
        struct entry *entry = into;
        unsigned version = CONF_PROXY_NONE;

        entry->proxy_at = node;
        if (conf_value_choice(read, node, versions, &version))
                entry->proxy = (enum conf_proxy)version;
        else
                entry->ill = true;
}

static void read_health(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct entry *entry = into;

        entry->health_at = node;
        if (!conf_health_read(read, node, &entry->health))
                entry->ill = true;
}

static const struct conf_field entry_fields[] = {
        { "gatePort", read_gate_port },
        { "serviceHost", read_host },
        { "alias", read_alias },
        { "servicePort", read_service_port },
        { "protocol", read_protocol },
        { "tags", read_tags },
        { "priority", read_priority },
        { "policy", read_policy },
        { "proxyProtocol", read_proxy },
        { "sni", read_sni },
        { "health", read_health },
        { "ingressPolicy", read_ingress_policy },
        { NULL, NULL },
};

static bool is_missing(struct conf_read *read, const struct conf_node *node, const struct entry *entry, unsigned field,
                       const char *what)
{
        bool missing = !((entry->fields | entry->bad) & field);

        if (missing)
                conf_error(&read->report, read->file, node->at, "a service without %s", what);
        return missing;
}

/* For @count more of them; complains once. */
static bool is_full(struct conf_read *read, const struct conf_node *node, size_t count, size_t *taken_count)
{
        size_t before = *taken_count;

        *taken_count += count;
        if (before <= CONF_SERVICES_MAX && *taken_count > CONF_SERVICES_MAX)
                conf_error(&read->report, read->file, node->at, "more than %d services in all", CONF_SERVICES_MAX);
        return *taken_count > CONF_SERVICES_MAX;
}

/* Each of its ports, for each protocol, is a service of its own. */
static void add_each(struct conf_read *read, const struct conf_node *node, const struct entry *entry, struct conf_services *services)
{
        const char *host = conf_value_copy(read, entry->host), *alias = entry->alias ? conf_value_copy(read, entry->alias) : NULL;
        const char *tags = conf_value_copy(read, entry->tags), *sni = conf_value_copy(read, entry->sni);
        size_t ports = (size_t)(entry->gate_port_last - entry->gate_port) + 1;

        for (size_t i = 0; i < ports; i++)
                for (unsigned protocol = CONF_TCP; protocol <= CONF_UDP; protocol++)
                        if (entry->protocols & (1u << protocol))
                                services->list[services->count++] = (struct conf_service){
                                        .gate_port = (uint16_t)(entry->gate_port + i),
                                        .service_port = entry->local ? 0 : (uint16_t)(entry->service_port + i),
                                        .protocol = (enum conf_protocol)protocol, .proxy = entry->proxy,
                                        .priority = (uint8_t)entry->priority, .line = node->at.line, .file = read->file->name,
                                        .host = host, .alias = alias, .tags = tags, .sni = sni,
                                        .health = entry->health, .ingress = entry->ingress,
                                };
}

/* A service behind each gate, one after the other. */
static bool are_paired(struct conf_read *read, const struct conf_node *node, const struct entry *entry)
{
        int gates = entry->gate_port_last - entry->gate_port + 1, ports = entry->service_port_last - entry->service_port + 1;

        if (gates == ports || (entry->local && gates == 1))
                return true;
        if (entry->local) {
                conf_error(&read->report, read->file, node->at, "a unix socket is behind one gatePort, not behind %d", gates);
                return false;
        }
        conf_error(&read->report, read->file, node->at, "gatePort is %d and servicePort %d in a row: write as many for both, such as "
                   "gatePort: 27000-27050, servicePort: 27000-27050", gates, ports);
        return false;
}

static void add_service(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_services *services = into;
        struct entry entry = { .protocols = TCP };
        bool missing = false;
        size_t count;

        conf_value_map(read, node, "a service", entry_fields, &entry);
        if (node->kind != CONF_MAP)
                return;
        missing |= is_missing(read, node, &entry, CONF_FILTER_GATE_PORT, "gatePort, which gateways open, such as gatePort: 8080");
        missing |= is_missing(read, node, &entry, CONF_FILTER_HOST, "serviceHost, where it runs, such as serviceHost: 127.0.0.1");
        if (!entry.local)
                missing |= is_missing(read, node, &entry, CONF_FILTER_SERVICE_PORT, "servicePort, its port there, such as servicePort: 80");
        if (entry.local && ((entry.fields & CONF_FILTER_SERVICE_PORT) || entry.protocols != TCP)) {
                conf_error(&read->report, read->file, node->at, "a unix socket has no servicePort, and no protocol but tcp: leave them out");
                return;
        }
        if (entry.sni_at && (entry.protocols & UDP)) {
                conf_error(&read->report, read->file, entry.sni_at->key_at, "sni is asked for by TLS, over tcp alone: leave it out, or udp");
                return;
        }
        if (entry.proxy == CONF_PROXY_V1 && (entry.protocols & UDP)) {
                conf_error(&read->report, read->file, entry.proxy_at->key_at, "proxyProtocol: v1 can't tell of datagrams: write v2");
                return;
        }
        if (entry.health.type && (entry.protocols & UDP)) {
                conf_error(&read->report, read->file, entry.health_at->key_at, "health is asked by TCP: who is there by UDP is found out by "
                           "its clients; write an entry without it for udp");
                return;
        }
        if (missing || entry.bad || entry.ill || !are_paired(read, node, &entry))
                return;
        count = (size_t)(entry.gate_port_last - entry.gate_port + 1) * (entry.protocols == (TCP | UDP) ? 2 : 1);
        if (!is_full(read, node, count, &services->taken_count))
                add_each(read, node, &entry, services);
}

/* What a filter says of the services that it lets through must be about some. */
static bool chooses_well(struct conf_read *read, const struct entry *entry, bool keeps_out)
{
        const struct conf_node *said = entry->priority_at ? entry->priority_at : entry->policy_at;

        if (keeps_out && said) {
                conf_error(&read->report, read->file, said->key_at, "%s says nothing here: what matches is kept out; leave it out", said->key);
                return false;
        }
        if (entry->policy_at && !(entry->fields & CONF_FILTER_GATE_PORT)) {
                conf_error(&read->report, read->file, entry->policy_at->key_at, "policy is one of a gate: say which gatePort, such as "
                           "gatePort: 8000; or leave it out and write gateway: {policy: %s} for all", conf_policies[entry->policy]);
                return false;
        }
        return true;
}

static void add_filter(struct conf_read *read, const struct conf_node *node, void *into)
{
        struct conf_filters *filters = into;
        struct entry entry = { .host = "" };

        if (is_full(read, node, 1, &filters->taken_count))
                return;
        conf_value_map(read, node, "a service", entry_fields, &entry);
        if (node->kind != CONF_MAP || entry.bad || entry.ill)
                return;
        if (entry.alias) {      /* of a file that a provider reads, too: what it announces is the alias */
                entry.host = entry.alias;
                entry.fields |= CONF_FILTER_HOST;
        }
        if (entry.protocols == (TCP | UDP))
                entry.fields &= ~(unsigned)CONF_FILTER_PROTOCOL;
        if (!entry.fields) {
                conf_error(&read->report, read->file, node->at,
                           "says nothing about which services are meant; it needs at least one of gatePort, serviceHost, servicePort, "
                           "protocol, tags");
                return;
        }
        if (!chooses_well(read, &entry, filters->keep_out))
                return;
        filters->list[filters->count++] = (struct conf_filter){
                .fields = entry.fields, .gate_port = entry.gate_port, .gate_port_last = entry.gate_port_last,
                .service_port = entry.service_port, .service_port_last = entry.service_port_last,
                .protocol = entry.protocols == UDP ? CONF_UDP : CONF_TCP, .host = conf_value_copy(read, entry.host),
                .tags = conf_value_copy(read, entry.tags), .priority = entry.priority_at ? (int)entry.priority : -1,
                .policy = entry.policy_at ? (int)entry.policy : -1,
        };
}

typedef void add_function(struct conf_read *read, const struct conf_node *node, void *into);

/* A list under way: where its entries go. */
struct listing {
        add_function *add;
        void *into;
};

static void read_file_entries(struct conf_read *read, const struct conf_node *node, void *context)
{
        const struct listing *listing = context;
        const struct conf_node *entry;
        uint32_t count;

        if (!conf_value_list(read, node, CONF_SERVICES_MAX, &entry, &count))
                return;
        for (; count > 0; count--, entry = entry->next) {
                if (entry->kind == CONF_MAP)
                        listing->add(read, entry, listing->into);
                else
                        conf_value_wrong(read, entry, "a service, {gatePort: ..., serviceHost: ..., servicePort: ...}");
        }
}

/* name and icon: for people. */
static void pass_over(struct conf_read *read, const struct conf_node *node, void *context)
{
}

static bool is_of_configuration(const char *key)
{
        return strcmp(key, "secretFile") == 0 || strcmp(key, "provider") == 0 || strcmp(key, "gateway") == 0;
}

/* A service file: a list, or a map with the list (the original has name and icon beside it). */
static void read_file_root(struct conf_read *read, const struct conf_node *root, void *context)
{
        static const struct conf_field fields[] = {
                { "services", read_file_entries },
                { "name", pass_over },
                { "icon", pass_over },
                { NULL, NULL },
        };
        bool found = root->kind == CONF_LIST;

        for (const struct conf_node *node = root->kind == CONF_MAP ? root->first : NULL; node; node = node->next) {
                found = found || strcmp(node->key, "services") == 0;
                if (!read->file->json && is_of_configuration(node->key)) {
                        conf_error(&read->report, read->file, node->key_at,
                                   "this is a configuration, named as a service file, which is a list of services");
                        return;
                }
        }
        if (root->kind == CONF_LIST)
                read_file_entries(read, root, context);
        else if (root->kind == CONF_MAP)
                conf_value_map(read, root, "a service file", fields, context);
        if (!found)
                conf_error(&read->report, read->file, root->at,
                           "a service file is a list of services, or a map with one: services: [...]");
}

static void read_listing(struct conf_read *read, const struct conf_node *node, add_function *add, void *into, struct conf_urls *urls,
                         void (*pending)(void *context))
{
        struct listing listing = { add, into };
        const struct conf_sources sources = { read_file_root, &listing, "http.json", urls, pending };
        const struct conf_node *entry;
        uint32_t count;

        if (!conf_value_list(read, node, CONF_SERVICES_MAX, &entry, &count))
                return;
        for (; count > 0; count--, entry = entry->next) {
                if (entry->kind == CONF_MAP)
                        add(read, entry, into);
                else if (entry->kind == CONF_LIST)
                        conf_value_wrong(read, entry, "a service {gatePort: ...} or the name of a service file");
                else
                        conf_sources_read(read, entry, &sources);
        }
}

/* Equal ones in their order. */
static int compare_pointers(const void *a, const void *b)
{
        const struct conf_service *const *x = a, *const *y = b;
        int order = conf_service_compare(*x, *y);

        return order ? order : *x < *y ? -1 : *x > *y;
}

/* Leaves the first of equal entries; gate_port 0 marks the others meanwhile. */
static void drop_duplicates(struct conf_services *services)
{
        struct conf_service **sorted = calloc(services->count + 1, sizeof(*sorted));
        size_t kept = 0;

        if (!sorted)
                return;
        for (size_t i = 0; i < services->count; i++)
                sorted[i] = &services->list[i];
        qsort(sorted, services->count, sizeof(*sorted), compare_pointers);
        for (size_t i = services->count; i > 1; i--)
                if (conf_service_compare(sorted[i - 2], sorted[i - 1]) == 0)
                        sorted[i - 1]->gate_port = 0;
        for (size_t i = 0; i < services->count; i++)
                if (services->list[i].gate_port)
                        services->list[kept++] = services->list[i];
        services->count = kept;
        free(sorted);
}

static bool is_empty_list(const struct conf_node *node)
{
        return node->kind == CONF_LIST && !node->first;
}

void conf_services_read(struct conf_read *read, const struct conf_node *node, struct conf_services *out)
{
        size_t before;

        if (!out->list)
                out->list = conf_arena_take(&read->image, CONF_SERVICES_MAX * sizeof(*out->list));
        if (is_empty_list(node))
                out->count = out->urls.count = 0;
        before = out->count;
        read_listing(read, node, add_service, out, read->source->without_secret && read->file->sheet ? NULL : &out->urls, NULL);
        drop_duplicates(out);
        if (out->count > ADVERTISED_MAX && before <= ADVERTISED_MAX)
                conf_warning(&read->report, read->file, node->at, "%zu services: gateways learn of the first %d only", out->count,
                             ADVERTISED_MAX);
}

/* No port is from 1 to 0. */
static void add_pending(void *context)
{
        const struct listing *listing = context;
        struct conf_filters *filters = listing->into;

        if (filters->taken_count++ < CONF_SERVICES_MAX)
                filters->list[filters->count++] = (struct conf_filter){ .fields = CONF_FILTER_GATE_PORT, .gate_port = 1, .host = "",
                                                                          .tags = "", .priority = -1, .policy = -1 };
}

static void read_filters(struct conf_read *read, const struct conf_node *node, struct conf_filters *out, struct conf_urls *urls)
{
        if (!out->list)
                out->list = conf_arena_take(&read->image, CONF_SERVICES_MAX * sizeof(*out->list));
        if (is_empty_list(node))
                out->count = out->urls.count = 0;
        read_listing(read, node, add_filter, out, urls, add_pending);
}

void conf_filters_read(struct conf_read *read, const struct conf_node *node, struct conf_filters *out)
{
        read_filters(read, node, out, &out->urls);
}

void conf_exceptions_read(struct conf_read *read, const struct conf_node *node, struct conf_filters *out)
{
        read_filters(read, node, out, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What an instance shall be: one YAML file, its drop-ins, and the files that these name, read into one checked struct that nobody
 * can write to any more, or every reason why not, each with file, line and column and with what to write instead. */
#ifndef HG_CONF_H
#define HG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "error", that of syslog(3) with the number CONF_LOG_LEVEL_FIRST, to "debug", NULL at the end. */
extern const char *const conf_log_levels[];

enum {
        CONF_LOG_LEVEL_FIRST = 3,
        CONF_SECRET_BYTES = 32,
        CONF_PREVIOUS_MAX = 3,
        CONF_SECRET_FILE_MAX = 1024,            /* bytes, with previous ones */
        CONF_KEY_BYTES = 32,
        CONF_RELAYS_MAX = 8,
        CONF_ALLOWED_MAX = 256,                 /* peers of one role */
        CONF_CORES_MAX = 8,
        CONF_RELAY_RATE_MIN = 10000,            /* bytes a second: with less not even keep-alives of a few get through */
        CONF_URL_MAX = 2048,                    /* with its NUL */
        CONF_URLS_MAX = 16,                     /* of a provider, and of a gateway */
        CONF_HOST_MAX = 254,                    /* with its NUL: RFC 1035 2.3.4 */
        CONF_SOCKET_PATH_MAX = 108,             /* with its NUL: sockaddr_un(7) */
        CONF_TAGS_MAX = 512,                    /* with its NUL */
        CONF_FILE_BYTES_MAX = 1024 * 1024,      /* of each file, */
        CONF_FETCHED_BYTES_MAX = 10 * CONF_FILE_BYTES_MAX,      /* and behind each URL */
        CONF_FILES_MAX = 256,                   /* files of one instance, beside the first */
        CONF_SERVICES_MAX = 16384,              /* services, and filters */
        CONF_ONLY_HOSTS_MAX = 256,
        CONF_PEERS_MAX = 64,
        CONF_PRIORITY_MAX = 255,
        CONF_HEALTH_PATH_MAX = 128,             /* with its NUL */
        CONF_BASIC_AUTH_MAX = 256,
        CONF_DOCKER_NETWORKS_MAX = 8,
        CONF_DOCKER_NETWORK_MAX = 128,          /* the name of one, with its NUL */
        CONF_IMAGE_MAX = 256,                   /* of an image, the same */
        CONF_FOUND_MAX = 1024,                  /* services in containers */
        CONF_ADDRESS_MAX = 46,                  /* an address as text, with its NUL */
        CONF_COMPLAINTS_MAX = 200,              /* kept; more are only counted */
        CONF_COMPLAINT_TEXT_MAX = 4096 + 1024,  /* a path and what is said about it */
};

/* The numbers are those of the Hypergate protocol. */
enum conf_protocol {
        CONF_TCP = 0,
        CONF_UDP = 1,
};

/* The numbers are the versions of the PROXY protocol. */
enum conf_proxy {
        CONF_PROXY_NONE,
        CONF_PROXY_V1,
        CONF_PROXY_V2,
};

/* Which provider of a gate gets its next client: one after the other, the one with fewest, the same for each client's address, or the same
 * for all. */
enum conf_policy {
        CONF_POLICY_ROUND_ROBIN,
        CONF_POLICY_LEAST_CONNECTIONS,
        CONF_POLICY_SOURCE_HASH,
        CONF_POLICY_FIRST,
};

/* As they are written, NULL at the end. */
extern const char *const conf_policies[];
extern const char *const conf_filter_modes[];

/* Whether peers know the instance again after a restart. */
enum conf_identity {
        CONF_IDENTITY_KEPT,             /* by a key in the state directory, if there is one and it can be written */
        CONF_IDENTITY_PERSISTENT,       /* by a key in the state directory, or it does not start */
        CONF_IDENTITY_EPHEMERAL,        /* never: the key is new at each start */
};

/* The numbers are those of ipc/. */
enum conf_health_type {
        CONF_HEALTH_NONE,
        CONF_HEALTH_TCP,                /* it takes connections */
        CONF_HEALTH_HTTP,               /* it answers a request */
};

/* What filters say together. */
enum conf_filter_mode {
        CONF_FILTER_ANY,                /* a route passes if any does */
        CONF_FILTER_ORIGINAL,           /* all must, as the original has it */
};

/* How a provider finds out whether a service is there; all else is 0 and NULL with CONF_HEALTH_NONE. */
struct conf_health {
        enum conf_health_type type;
        uint16_t status_first, status_last;     /* both included */
        const char *path;               /* of the request */
        uint32_t interval_ms, timeout_ms;
        uint32_t rise, fall;            /* checks in a row after which it is there, or is not */
};

/* A service of this provider. Entries equal in all fields occur once; several with one gate port and protocol are alternatives. */
enum conf_rule_who {
        CONF_RULE_ALL,
        CONF_RULE_IPV4,
        CONF_RULE_IPV6,
        CONF_RULE_OTHERS,               /* whom no other rule is about */
};

enum conf_way {
        CONF_UP = 1,                    /* to the service */
        CONF_DOWN = 2,
};

enum { CONF_LABELS_MAX = 128 };

/* Of an ingress policy. Made of zeroed memory: two are the same when their bytes are. */
struct conf_rule {
        uint8_t ip[16];                 /* as struct conf_network has it; all 0 without one */
        uint8_t bits;
        uint8_t protocols;              /* 1 << enum conf_protocol of those it is about */
        bool allow;
        enum conf_rule_who who;
        unsigned ways;                  /* or of enum conf_way: what the limit is about */
        uint16_t port_first, port_last;         /* of gates, both included */
        uint16_t except_first, except_last;     /* none where the first is greater */
        uint64_t expires_ms;            /* since the epoch; 0: never */
        uint64_t bytes_per_s, burst_bytes;      /* 0: no limit */
        char labels[CONF_LABELS_MAX];   /* each ends with NUL; the first empty one is none */
};

struct conf_ingress {
        const struct conf_rule *rules;  /* the first about a client decides; that for others is the last one */
        size_t count;                   /* 0: everybody may come */
};

struct conf_service {
        uint16_t gate_port;             /* 1..65535, what gateways listen on */
        uint16_t service_port;          /* 1..65535; 0 of a unix socket */
        enum conf_protocol protocol;
        enum conf_proxy proxy;          /* what the service is told of its client; never CONF_PROXY_V1 with CONF_UDP */
        uint8_t priority;               /* 0: best; others are taken while none of a better one is fit */
        struct conf_health health;      /* never of CONF_UDP */
        uint32_t line;                  /* where it was said, from 1; 0: in no file */
        const char *file;               /* for messages */
        const char *host;               /* host name, address literal, or "unix:" and a path; shorter than CONF_HOST_MAX */
        const char *alias;              /* what peers are told instead of it; NULL: nothing else */
        const char *tags;               /* words with one blank between; "" when none */
        const struct conf_ingress *ingress;     /* NULL: the provider's */
        const char *sni;                /* whom TLS clients ask for, in lower case, or "*." and what stands behind one word more; "": no name */
};

enum conf_filter_field {
        CONF_FILTER_GATE_PORT = 1,
        CONF_FILTER_SERVICE_PORT = 2,
        CONF_FILTER_PROTOCOL = 4,
        CONF_FILTER_HOST = 8,
        CONF_FILTER_TAGS = 16,
};

/* A route passes a filter that matches in all of its @fields; all words of @tags must be among the route's. */
struct conf_filter {
        unsigned fields;                /* or of enum conf_filter_field; never 0 */
        uint16_t gate_port, gate_port_last;             /* both included */
        uint16_t service_port, service_port_last;
        enum conf_protocol protocol;
        const char *host;               /* "" when not among @fields */
        const char *tags;
        int priority;                   /* of what matches; -1: what its provider says */
        int policy;                     /* enum conf_policy, of gates among its ports; -1: it says none */
};

/* "[ip@]host:port" of a DHT node: @ip ("" when not given) is a hint that spares the look-up of @host. */
struct conf_bootstrap {
        const char *ip, *host;          /* @host may be an address literal */
        uint16_t port;
};

/* "KEY@host:port" of a peer of the router. */
struct conf_peer {
        uint8_t key[CONF_KEY_BYTES];
        const char *host;               /* name or IPv4 address */
        uint16_t port;
};

/* In the path of a unix socket that gates listen at. */
#define CONF_GATE_PORT_WORD "{gatePort}"

struct conf_address {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d; all 0 where @path is set */
        const char *text;               /* as people write it */
        const char *path;               /* of a unix socket for each gate of TCP, with CONF_GATE_PORT_WORD in it; NULL: none */
};

struct conf_network {
        uint8_t ip[16];                 /* as struct conf_address has it; beyond @bits all 0 */
        uint8_t bits;                   /* of the 128 */
        const char *text;               /* as people write it */
};

/* Of the connections to clients, or to services. */
struct conf_tcp {
        uint32_t timeout_ms;            /* one that is silent for so long is reset; 0: never */
        uint32_t keep_idle_s, keep_interval_s, keep_count;      /* all 0: the kernel asks nobody */
};

/* Of peers. */
struct conf_keys {
        size_t count;
        uint8_t list[CONF_ALLOWED_MAX][CONF_KEY_BYTES];
};

struct conf_provider {
        bool present;
        const struct conf_service *services;
        size_t service_count;
        const char *const *urls;        /* where service files are fetched from; what is there is among @services once it is known */
        size_t url_count;               /* at most CONF_URLS_MAX */
        uint32_t udp_timeout_ms;        /* a session of datagrams that is silent for so long ends */
        struct conf_tcp tcp;
        struct conf_keys allowed;       /* gateways that may come; none: all that know the secret */
        const struct conf_ingress *ingress;     /* of services without their own; NULL: everybody may come */
        uint32_t connections_per_peer;  /* of each gateway to all services at a time; 0: no limit */
};

struct conf_gateway {
        bool present;
        const struct conf_address *listen;      /* at least one */
        size_t listen_count;
        uint32_t socket_mode;           /* of unix sockets listened at */
        const char *hosts;              /* path of the unix socket that helpers of a virtual network connect to; NULL: there is none */
        bool hosts_own;                 /* in our runtime directory, whose folders are ours to make: nobody named it */
        const struct conf_network *trusted;     /* who comes from there is a proxy, and begins with a PROXY header */
        size_t trusted_count;
        const struct conf_filter *filters;      /* a route passes if any does, or all, by @filter_mode */
        size_t filter_count;                    /* 0: everything passes, */
        const char *const *urls;        /* as a provider's; a filter that no route passes stands for each that is not known yet */
        size_t url_count;
        const struct conf_filter *exceptions;   /* but for a route that matches any of these */
        size_t exception_count;
        bool only_docker, only_published;       /* nothing passes but services in containers, and published ones */
        const char *const *only_hosts;          /* nor any but of these hosts; none: of any */
        size_t only_host_count;
        const struct conf_filter *only;         /* these three as filters, of which a route matches one if there are any */
        size_t only_count;
        enum conf_filter_mode filter_mode;
        enum conf_policy policy;                /* where no filter with a policy is for the gate */
        uint32_t connections, connections_per_client;   /* at each gate at a time; 0: no limit */
        uint32_t connection_rate, connection_rate_per_client;   /* a second, that begin there; 0: no limit */
        uint32_t route_finding_timeout_ms;
        uint32_t open_timeout_ms;       /* for a provider's answer, after which the next one is asked */
        uint32_t route_expiration_ms;   /* of what a provider does not repeat */
        uint32_t udp_timeout_ms;
        struct conf_tcp tcp;
        uint32_t routes_per_peer;       /* gates open for each provider; 0: as many as may be */
        struct conf_keys allowed;       /* providers for which gates are opened; none: all that know the secret */
        const struct conf_ingress *ingress;     /* of all gates, whatever providers say; NULL: everybody may come */
};

/* Serving the DHT itself, as the bootstrap node of a private network does. */
struct conf_dht {
        bool persistent;                /* then what follows is set */
        uint8_t public_ip[4];           /* where others reach this node */
        uint16_t public_port;
};

/* Being a blind relay for others; if neither @present nor @never, on demand. 0 in a number: the default, or no limit. */
struct conf_relay {
        bool present, never;
        bool anybody;                   /* whoever knows its key; otherwise peers of the router and those they bring */
        uint32_t connections;           /* carried at a time */
        uint32_t connections_per_client;
        uint32_t bytes_per_second, bytes_per_second_per_client;
};

/* Where somebody on this machine, or who knows a password, asks by HTTP. */
struct conf_site {
        uint8_t ip[16];                 /* IPv6, or IPv4 as ::ffff:a.b.c.d */
        uint16_t port;                  /* 0: at @path, or nowhere */
        const char *path;               /* of a unix socket, within @text; or NULL */
        const char *text;               /* where, as people write it */
        const char *auth_file;          /* where @auth is; NULL: it came another way */
        char auth[CONF_BASIC_AUTH_MAX]; /* what who asks must know, without NUL; beyond @auth_len all 0 */
        uint32_t auth_len;              /* 0: nothing, on a loopback address */
};

/* At which Docker engine the provider's services are found, too, and the gateway has its virtual network. All else is 0 and NULL unless
 * @present. */
struct conf_docker {
        bool present;
        const char *socket;             /* shorter than CONF_SOCKET_PATH_MAX */
        const char *networks[CONF_DOCKER_NETWORKS_MAX];         /* on which containers offer services, and hosts have names; at least one */
        size_t network_count;
        uint32_t refresh_ms;            /* so often they are looked at though nothing happened */
        bool read_only;                 /* nothing is made */
        bool virtual_network;           /* a gateway has one: see conf_docker_makes_hosts() */
        const char *image;              /* what helpers are made of; NULL: our own, or hypergate */
};

/* A service that was found there. Made of zeroed memory: two are the same when their bytes are. */
struct conf_found {
        uint16_t gate_port, service_port;
        enum conf_protocol protocol;
        bool published;
        char host[CONF_HOST_MAX];       /* what it is called */
        char address[CONF_ADDRESS_MAX]; /* where it is */
};

/* A secret that still counts beside the one that has taken its place. */
struct conf_previous {
        uint8_t secret[CONF_SECRET_BYTES];
        int64_t until_s;                /* since the epoch */
};

struct conf {
        const char *name;               /* of the instance: its file without folder and suffix */
        const char *const *files;       /* that said it, for people; what a later one says goes before */
        size_t file_count;
        const char *secret_file;        /* where the secret is; NULL: it came another way */
        bool has_secret;                /* always when provider, gateway or a relay that is not for anybody is present */
        uint8_t secret[CONF_SECRET_BYTES];
        struct conf_previous previous[CONF_PREVIOUS_MAX];       /* newest first, over or not */
        size_t previous_count;
        const char *ca_file;            /* with the certificates that URLs are trusted by; NULL: those of the system */
        const char *state_directory;    /* NULL: none, the identity is new at each start */
        enum conf_identity identity;
        const char *runtime_directory;  /* where its control socket is, NAME.sock; NULL: as hypergate(1) would look for it */
        uint16_t port;                  /* UDP server port; 0: the first free of 49737..49741, else any */
        uint8_t host[4];                /* UDP sockets are bound here; 0.0.0.0 by default */
        uint32_t cores;                 /* that may be kept busy: swarm workers, 1 to CONF_CORES_MAX */
        const struct conf_bootstrap *bootstrap;
        size_t bootstrap_count;         /* 0: this node is the first of a private network */
        const struct conf_peer *peers;  /* dialled where they are, whether the DHT knows them or not */
        size_t peer_count;              /* at most CONF_PEERS_MAX */
        struct conf_provider provider;
        struct conf_gateway gateway;
        struct conf_dht dht;
        struct conf_relay relay;
        struct conf_site resolver;      /* for services: whose a connection to them is; @auth is "USER:PASSWORD" */
        struct conf_site unlimited;     /* for clients, to be let in for a while: @auth is what their tokens are made with */
        struct conf_docker docker;
        uint8_t relays[CONF_RELAYS_MAX][CONF_KEY_BYTES];        /* public keys of relays to use */
        size_t relay_count;
        uint32_t stats_interval_ms;     /* between two lines of the log that say how it fares; 0: there are none */
        uint32_t channel_buffer_bytes, peer_buffer_bytes;       /* received and not handed on, of a channel and of all of a peer */
        int log_level;                  /* syslog number: 3 error, 4 warning, 5 notice, 6 info, 7 debug */
        bool log_channels;              /* how each channel ended, at info, not only those that failed */
};

/* Where to read from. Zero and NULL mean nothing special, but both fds must then be -1: start from CONF_SOURCE_INIT. */
struct conf_source {
        const char *path;               /* the file; with @fd, only its name in complaints */
        int fd;                         /* read this instead (borrowed): the command line as a file made by hypergate(1) */
        int secret_fd;                  /* the router secret, 64 hex characters (borrowed); goes before @router_secret */
        bool secret_handed;             /* @secret_fd is a secret file that root hands to an instance that runs, and goes before all else */
        bool credential_old;            /* a newer secret was handed over since: that of @running goes before it */
        const char *router_secret;      /* $HYPERGATE_ROUTER */
        const char *resolver_auth;      /* $HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH */
        const char *unlimited_secret;   /* $HYPERGATE_UNLIMITED_SECRET */
        const char *credentials_directory;      /* $CREDENTIALS_DIRECTORY */
        const char *notify_socket;      /* $NOTIFY_SOCKET: systemd started us, or somebody who speaks as it does */
        const char *state_directory;    /* $STATE_DIRECTORY; of several the first counts */
        const char *runtime_directory;  /* $RUNTIME_DIRECTORY; of several the first counts */
        bool verbose;                   /* log_level is debug, whatever the file says */
        bool without_role;              /* the instance is there to answer a question: it need have no role */
        bool without_secret;            /* it is read for its services alone: no secret is looked for */
        size_t added_count;             /* services that an instance offers beside those that are read */
        const struct conf *running;     /* what an instance runs with that reads anew: what can't change meanwhile stays as it is there, with
                                         * a warning; a secret that can't be had any more is that one */
        /* The text behind @url, which stays there during the call; NULL: it is not known yet, and what it lists comes later. */
        const char *(*fetched)(void *context, const char *url, size_t *len_out);        /* NULL: no URL is known */
        void *fetched_context;
        const char *const *flags;       /* flags[n] said line n + 1 of @fd: complaints then name it in place of a position */
        size_t flag_count;
};

#define CONF_SOURCE_INIT { .fd = -1, .secret_fd = -1 }

/* Fills @source from the environment variables named above (AT_SECURE programs see none). What is set already stays. */
void conf_source_environment(struct conf_source *source);

struct conf_complaint {
        const char *file;               /* or flag, or variable */
        uint32_t line, column;          /* from 1, column in characters; 0: the file as a whole */
        bool warning;                   /* the configuration is good nevertheless */
        const char *text;
};

/* In the order of the files, then of position. Never contains a secret, and only printable characters. */
struct conf_complaints {
        const struct conf_complaint *list;
        size_t count, error_count, warning_count;
        size_t omitted_count;           /* beyond CONF_COMPLAINTS_MAX, in the counts above */
        void *memory;                   /* private */
};

enum conf_verdict {
        CONF_GOOD,                      /* *conf_out is set; there may be warnings */
        CONF_BAD,                       /* *conf_out is untouched; at least one complaint is no warning */
};

/* Reads, checks and returns all at once; holds no fd afterwards. @complaints_out is always set and the caller's to
 * conf_complaints_fini(); the configuration is the caller's to conf_free(). Paths in it are absolute or relative to the
 * working directory at the call. Opens no socket, resolves no name, creates no file. */
enum conf_verdict conf_load(const struct conf_source *source, struct conf **conf_out, struct conf_complaints *complaints_out);

/* Wipes the secret and unmaps; the struct is read-only memory until then. NULL is fine. */
void conf_free(struct conf *conf);

void conf_complaints_fini(struct conf_complaints *complaints);

/* "file:line:column: [warning: ]text"; returns @out. CONF_COMPLAINT_TEXT_MAX is always enough. */
const char *conf_complaint_text(const struct conf_complaint *complaint, char *out, size_t len);

/* @text in quotes, made printable and short; what looks like a secret is replaced by its length. Returns @out. */
const char *conf_quote(const char *text, char *out, size_t len);

/* "http://HOST[:PORT][/...]" or "https://...": who is to be asked. */
struct conf_url {
        bool tls;
        uint16_t port;
        char host[CONF_HOST_MAX];       /* name or address, IPv6 without brackets */
};

/* NULL, or what to write instead. What is good has only printable characters of ASCII, no blank, user, password or fragment. */
const char *conf_url_read(const char *text, struct conf_url *out);

/* The name among @names (ends with NULL) that @word was most likely meant to be, or NULL. Ignores case, '-' and '_'. */
const char *conf_suggest(const char *word, const char *const *names);

/* Where the control sockets of the system's instances are. */
#define CONF_SYSTEM_RUNTIME "/run/hypergate"

/* Whether helpers of a virtual network are made at a Docker engine. */
bool conf_docker_makes_hosts(const struct conf *conf);

/* Where the control sockets of this user's instances are, unless they are told otherwise: CONF_SYSTEM_RUNTIME for root, else
 * $XDG_RUNTIME_DIR/hypergate. NULL: nowhere, or longer than @size. Returns @out. */
const char *conf_runtime_directory(char *out, size_t size);

bool conf_address_same(const struct conf_address *a, const struct conf_address *b);

/* Whether it is anywhere. */
static inline bool conf_site_answers(const struct conf_site *site)
{
        return site->port || site->path;
}

/* The path of the unix socket that it is, within @service->host; NULL: it is none. */
const char *conf_service_path(const struct conf_service *service);

/* What peers are told that its host is. */
const char *conf_service_announced(const struct conf_service *service);

/* The order of services: by gate port and protocol, then by all else. 0: they are the same. */
int conf_service_compare(const struct conf_service *a, const struct conf_service *b);

/* Parts in which two configurations may differ while the instance runs. */
enum conf_part {
        CONF_PART_SERVICES = 1,
        CONF_PART_SERVICE_TIMES = 2,    /* how long their sessions and connections may be silent */
        CONF_PART_FILTERS = 4,          /* and exceptions */
        CONF_PART_LISTEN = 8,
        CONF_PART_GATE_TIMES = 16,      /* and limits, and policy */
        CONF_PART_PEERS = 32,
        CONF_PART_RELAY = 64,           /* limits of ours */
        CONF_PART_RELAYS = 128,
        CONF_PART_LOG_LEVEL = 256,
        CONF_PART_SECRET = 512,         /* or previous ones */
        CONF_PART_ALLOWED = 1024,       /* peers of either role */
        CONF_PART_SERVICE_LIMITS = 2048,
        CONF_PART_BUFFERS = 4096,       /* of connections to peers */
        CONF_PART_ROUTE_TIMES = 8192,
        CONF_PART_SITES = 16384,        /* where somebody asks by HTTP, and what who asks must know */
};

struct conf_difference {
        unsigned parts;                 /* or of enum conf_part */
        size_t added, removed;          /* services; one that was changed is both */
};

/* @conf as one YAML file that reads the same, also what was not said; but for the secret, which stays in its file or wherever else it came
 * from. Relative paths of @conf get @folder in front, unless that is NULL. False: @out takes no more. */
bool conf_show(const struct conf *conf, const char *folder, FILE *out);

/* From @before to @after. 0 or -ENOMEM. */
int conf_compare(const struct conf *before, const struct conf *after, struct conf_difference *out);

/* How hypergate(1) starts hypergated(8) in the foreground for a configuration given on its own command line:
 *
 *     hypergated --foreground --conf-fd N --secret-fd M [--user NAME] [--allow-root]
 *
 * N: a sealed memfd with a YAML file equal to the flags (name it "command line" in @path); M: a sealed memfd with the
 * secret, absent for an instance without a router. For `hypergate run FILE`: hypergated --foreground FILE. The
 * environment is passed on without HYPERGATE_ROUTER, except for `run` of a file that relies on it. */

#endif

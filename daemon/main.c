/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergated: reads the configuration, takes what it needs from the system, becomes who it shall be, and looks after the
 * workers. It runs no protocol. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "args.h"
#include "cleanup.h"
#include "complaints.h"
#include "conf.h"
#include "control.h"
#include "hosts_folder.h"
#include "ipc_control.h"
#include "kernel.h"
#include "keys.h"
#include "known.h"
#include "last_gates.h"
#include "log.h"
#include "own_names.h"
#include "oom_score.h"
#include "passed.h"
#include "privileges.h"
#include "supervisor.h"
#include "swarm_sockets.h"

/* What lives from here to the end. */
struct start {
        struct args args;
        struct log log;
        struct privileges privileges;
        struct conf_source source;
        struct conf *conf;
        struct keys *keys;
        struct swarm_sockets sockets;
        struct known known;
        struct last_gates last;
        struct passed passed;
        struct oom_score oom_score;
        int control;                    /* its listener, or -1 */
        char kind[32];                  /* of one without a file, and its number */
        const char *asked_as;           /* by people */
        char libexec[PATH_MAX];
};

/* Whoever started us may have left signals blocked and the first descriptors closed: then a socket would become our log. */
static void begin_process(void)
{
        sigset_t none;
        int fd;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        umask(077);
        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                close(fd);
}

static int parse_args(struct start *start, int argc, char *argv[])
{
        if (!args_parse(&start->args, argc, argv)) {
                fprintf(stderr, "hypergated: %s%s%s\n%s", start->args.about ? start->args.about : "",
                        start->args.about ? ": " : "", start->args.complaint, args_usage);
                return EX_USAGE;
        }
        args_default(&start->args, secure_getenv("HYPERGATE_USER"), secure_getenv("HYPERGATE_ALLOW_ROOT"));
        return EX_OK;
}

static int plan_privileges(struct start *start)
{
        static const char *const said[] = {
                [PRIVILEGES_ROOT] = "started as root: refused. Start it as an ordinary user, or say whom it shall become with "
                                    "--user NAME (HYPERGATE_USER); --allow-root (HYPERGATE_ALLOW_ROOT=1) is for containers",
                [PRIVILEGES_NO_USER] = "--user: there is no such user",
                [PRIVILEGES_USER_IS_ROOT] = "--user: that user is root; name another, or say --allow-root",
                [PRIVILEGES_NOT_ROOT] = "--user: only root can become somebody else",
        };
        enum privileges_verdict verdict = privileges_plan(&start->privileges, start->args.user, start->args.allow_root);

        if (verdict == PRIVILEGES_OK)
                return EX_OK;
        log_error(&start->log, "%s", said[verdict]);
        return verdict == PRIVILEGES_NO_USER ? EX_NOUSER : EX_NOPERM;
}

/* It has been read: nobody who looks at our environment shall find it there. */
static void wipe_environment(void)
{
        static const char *const names[] = { "HYPERGATE_ROUTER", "HYPERGATE_FINGERPRINT_RESOLVER_BASIC_AUTH", "HYPERGATE_UNLIMITED_SECRET" };

        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                char *secret = getenv(names[i]);

                if (secret)
                        explicit_bzero(secret, strlen(secret));
                unsetenv(names[i]);
        }
}

static int load(struct start *start)
{
        struct conf_source *source = &start->source;
        struct conf_complaints complaints;
        enum conf_verdict verdict;

        *source = (struct conf_source)CONF_SOURCE_INIT;
        source->path = start->args.file ? start->args.file : "command line";
        source->fd = start->args.conf_fd;
        source->secret_fd = start->args.secret_fd;
        source->verbose = start->args.verbose;
        source->without_role = start->args.control_fd >= 0;
        conf_source_environment(source);
        verdict = conf_load(source, &start->conf, &complaints);
        complaints_say(&complaints, &start->log);
        conf_complaints_fini(&complaints);
        wipe_environment();
        source->router_secret = NULL;
        if (verdict != CONF_GOOD)
                return EX_CONFIG;
        log_instance(&start->log, start->conf->name, start->conf->log_level);
        return EX_OK;
}

/* A place for each role's seed, or the one made up at start stays. */
static int read_identity(struct start *start, const char *role, uint8_t seed[KEYS_BYTES])
{
        bool must = start->conf->identity == CONF_IDENTITY_PERSISTENT;
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%s.%s.seed", start->conf->state_directory, start->conf->name, role);
        switch (keys_identity(path, start->privileges.uid, start->privileges.gid, seed)) {
        case KEYS_MADE:
                log_info(&start->log, "%s: a new identity", path);
                return EX_OK;
        case KEYS_READ:
                return EX_OK;
        case KEYS_OPEN:
                log_error(&start->log, "%s: others may read or write it: not used. If nobody did: chmod 600; else remove it", path);
                return EX_NOPERM;
        case KEYS_MALFORMED:
                log_error(&start->log, "%s: not an identity of ours: not used. Remove it, and a new one is made", path);
                return EX_DATAERR;
        case KEYS_REFUSED:
        default:
                if (must)
                        log_error(&start->log, "%s: %s: an identity that is to be persistent can't be kept there", path, strerror(errno));
                else
                        log_warning(&start->log, "%s: %s: this identity lasts until the next start only", path, strerror(errno));
                return must ? EX_CANTCREAT : EX_OK;
        }
}

static int make_keys(struct start *start)
{
        const struct conf *conf = start->conf;
        bool kept = conf->state_directory && conf->identity != CONF_IDENTITY_EPHEMERAL;
        int r = EX_OK;

        start->keys = keys_new();
        if (!start->keys) {
                log_error(&start->log, "no memory for keys");
                return EX_OSERR;
        }
        if (conf->has_secret) {
                keys_router_name(&start->keys->routers[0], conf->secret);
                start->keys->router_count = 1;
                log_router(&start->log, start->keys->routers[0].public_key);
        }
        if (conf->has_secret && kept && conf->gateway.present)
                r = read_identity(start, "gateway", start->keys->seed[0]);
        if (r == EX_OK && conf->has_secret && kept && conf->provider.present)
                r = read_identity(start, "provider", start->keys->seed[1]);
        if (r == EX_OK && kept && conf->relay.present)
                r = read_identity(start, "relay", start->keys->relay_seed);
        return r;
}

/* To begin with at this start: a convenience, whose lack stops nobody. */
static int read_known(struct start *start)
{
        const char *folder = start->conf->state_directory;
        char path[PATH_MAX];
        int r;

        snprintf(path, sizeof(path), "%s/%s.nodes", folder ? folder : "", start->conf->name);
        r = known_init(&start->known, folder ? path : NULL, start->privileges.uid, start->privileges.gid, start->conf);
        if (r == -EPERM)
                log_warning(&start->log, "%s: not a file of ours alone: not used; remove it, and a new one is made", path);
        else if (r < 0)
                log_info(&start->log, "%s: %s: known nodes are not kept", path, strerror(-r));
        return EX_OK;
}

/* As those nodes: without them gates open when a provider is there. */
static int read_last_gates(struct start *start)
{
        const char *folder = start->conf->gateway.present ? start->conf->state_directory : NULL;
        char path[PATH_MAX];
        int r;

        snprintf(path, sizeof(path), "%s/%s.gates", folder ? folder : "", start->conf->name);
        r = last_gates_init(&start->last, folder ? path : NULL, start->privileges.uid, start->privileges.gid,
                            start->keys->routers[0].public_key);
        if (r == -EPERM)
                log_warning(&start->log, "%s: not a file of ours alone: not used; remove it, and a new one is made", path);
        else if (r < 0)
                log_info(&start->log, "%s: %s: which gates are open is not kept", path, strerror(-r));
        return EX_OK;
}

/* What our last life had open comes before anything is opened. */
static int take_passed(struct start *start)
{
        passed_init(&start->passed, &start->log);
        last_gates_sort(&start->last, &start->conf->gateway, &start->passed);
        return EX_OK;
}

/* What is said on the command line has no name but what it is and its number: there may be many of the same kind. */
static void name_for_people(struct start *start)
{
        const struct conf *conf = start->conf;
        const char *kind = conf->gateway.present ? "gateway" : conf->provider.present ? "provider" :
                           conf->relay.present ? "relay" : "node";

        snprintf(start->kind, sizeof(start->kind), "%s-%d", kind, (int)getpid());
        start->asked_as = start->args.file ? conf->name : start->kind;
}

/* The place is made if it is /run/hypergate or of this user; whoever has a file there under that name keeps it. What others left who
 * are dead is taken away: once it runs, an instance can't remove its own. */
static int listen_to_people(struct start *start)
{
        const struct conf *conf = start->conf;
        char folder[PATH_MAX], path[PATH_MAX + 64];
        int r;

        start->control = -1;
        name_for_people(start);
        if (start->args.control_fd >= 0)
                return EX_OK;
        snprintf(folder, sizeof(folder), "%s", conf->runtime_directory ? conf->runtime_directory : "");
        if (!*folder && !conf_runtime_directory(folder, sizeof(folder)))
                return EX_OK;
        snprintf(path, sizeof(path), "%s/%s" IPC_CONTROL_SUFFIX, folder, start->asked_as);
        /* Root's, and root alone makes files in it. Where it is there, it stays as it is; what does not work shows in what follows. */
        if (!conf->runtime_directory && mkdir(folder, 0700) == 0 && start->privileges.drops)
                (void)!chmod(folder, 0755);
        ipc_control_sweep(folder);
        r = control_listen(path, start->privileges.uid, start->privileges.gid, &start->control);
        if (r == -EADDRINUSE)
                log_notice(&start->log, "%s: another instance of this name runs: hypergate status will show that one", path);
        else if (r < 0)
                log_info(&start->log, "%s: %s: hypergate status can't ask this instance", path, strerror(-r));
        return EX_OK;
}

/* Nobody named a place for the socket of the virtual network: it is made before this is somebody who may not. */
static int make_hosts_folder(struct start *start)
{
        const struct conf_gateway *gateway = &start->conf->gateway;
        int r;

        if (!gateway->present || !gateway->hosts_own)
                return EX_OK;
        if (!gateway->hosts) {
                log_error(&start->log, "docker: no place for the socket of the virtual network: there is no runtime directory, or its path "
                          "is too long: set RUNTIME_DIRECTORY, or gateway: {hosts: \"unix:PATH\"}");
                return EX_CONFIG;
        }
        r = hosts_folder_make(gateway->hosts, start->privileges.uid, start->privileges.gid);
        if (r < 0)
                log_error(&start->log, "docker: the folder of %s, of the virtual network, can't be made: %s", gateway->hosts,
                          r == -EPERM ? "it is there, and another user's" : strerror(-r));
        return r < 0 ? EX_CANTCREAT : EX_OK;
}

/* Where the workers are: never PATH, and from the environment only when that is ours alone. */
static int find_workers(struct start *start)
{
        static const char *const names[] = { "hypergate-swarm", "hypergate-router", "hypergate-forward", "hypergate-resolve",
                                             "hypergate-admin", "hypergate-docker", "hypergate-hosts" };
        const bool needed[ARRAY_LEN(names)] = { true, true, true, true,
                                                conf_site_answers(&start->conf->resolver) || conf_site_answers(&start->conf->unlimited),
                                                start->conf->docker.present, start->conf->gateway.present && start->conf->gateway.hosts };
        const char *build_tree = secure_getenv("HYPERGATE_LIBEXEC");
        char path[PATH_MAX + 32];

        if (!realpath(build_tree ? build_tree : LIBEXECDIR, start->libexec)) {
                log_error(&start->log, "%s: %s: hypergate is not installed completely", build_tree ? build_tree : LIBEXECDIR,
                          strerror(errno));
                return EX_UNAVAILABLE;
        }
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                snprintf(path, sizeof(path), "%s/%s", start->libexec, names[i]);
                if (needed[i] && access(path, X_OK) < 0) {
                        log_error(&start->log, "%s: %s: hypergate is not installed completely", path, strerror(errno));
                        return EX_UNAVAILABLE;
                }
        }
        return EX_OK;
}

/* Before the first secret is read. */
static int harden(struct start *start)
{
        int r = privileges_harden();

        if (r == 0)
                return EX_OK;
        log_error(&start->log, "can't give up privileges: %s", strerror(-r));
        return EX_OSERR;
}

/* Once, by who starts them all. */
static int look_at_kernel(struct start *start)
{
        char lacks[512];

        if (kernel_lacks(kernel_landlock(), lacks, sizeof(lacks)))
                log_warning(&start->log, "this kernel lacks %s", lacks);
        return EX_OK;
}

/* The last of what only root may is done before, and nothing of it can be done after. */
static int settle_down(struct start *start)
{
        int r;

        swarm_sockets_init(&start->sockets, &start->log, &start->passed, SWARM_SOCKETS_FIRST, start->conf->host, start->conf->port);
        r = privileges_drop(&start->privileges);
        if (r == 0)
                r = privileges_renounce_writing(start->conf);
        if (r == 0)
                return EX_OK;
        log_error(&start->log, "can't give up privileges: %s", strerror(-r));
        swarm_sockets_fini(&start->sockets);
        return EX_OSERR;
}

/* A configuration may come from somebody slow: until it is here, who interrupts us ends us. */
static int hold_signals(struct start *start)
{
        supervisor_hold_signals();
        return EX_OK;
}

static int prepare(struct start *start)
{
        static int (*const steps[])(struct start *start) = { plan_privileges, harden, load, hold_signals, find_workers, make_keys,
                                                           read_known, read_last_gates, take_passed, listen_to_people,
                                                           make_hosts_folder, look_at_kernel, settle_down };

        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
                int code = steps[i](start);

                if (code != EX_OK)
                        return code;
        }
        return EX_OK;
}

int main(int argc, char *argv[])
{
        static struct supervisor supervisor;
        static struct start start;
        int code;

        begin_process();
        own_names_only();
        code = parse_args(&start, argc, argv);
        if (code != EX_OK)
                return code;
        if (start.args.help || start.args.version)
                return printf("%s", start.args.help ? args_usage : "hypergated " HG_VERSION "\n") < 0 ? EX_IOERR : EX_OK;
        log_init(&start.log, getenv("JOURNAL_STREAM"));
        oom_score_init(&start.oom_score);
        code = prepare(&start);
        if (code == EX_OK)
                code = supervisor_run(&supervisor, &(struct supervisor_start){
                        .log = &start.log, .conf = start.conf, .source = &start.source, .keys = start.keys, .sockets = &start.sockets,
                        .known = &start.known, .last = &start.last, .passed = &start.passed, .oom_score = &start.oom_score,
                        .control_listener = start.control, .control_conn = start.args.control_fd, .asked_as = start.asked_as, .libexec = start.libexec,
                });
        oom_score_fini(&start.oom_score);
        passed_fini(&start.passed);
        keys_free(start.keys);
        conf_free(start.conf);
        return code;
}

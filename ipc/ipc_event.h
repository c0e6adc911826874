/* SPDX-License-Identifier: BSD-3-Clause */
/* What a line of the log is about, for programs that read it. One row is one event: its word (HYPERGATE_EVENT), its MESSAGE_ID, which stays
 * what it is for good, and who may say so. daemon/hypergate.catalog has a text for each, for `journalctl -x`; hypergate-journal(7) lists
 * them. */
#ifndef HG_IPC_EVENT_H
#define HG_IPC_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "ipc_message.h"

/*        name                word                     MESSAGE_ID                          who */
#define IPC_EVENTS(X)                                                                                           \
        /* The instance. */                                                                                     \
        X(READY,              "ready",                 "9d9c2c63c26449338433f0942b8c504f", IPC_SUPERVISOR)      \
        X(STOPPING,           "stopping",              "1f7899739ebc4c3d948daa35d14f695a", IPC_SUPERVISOR)      \
        X(CONFIG_WRONG,       "config-wrong",          "01bc4e51d9e741e7960eb91b275c58ec", IPC_SUPERVISOR)      \
        X(RELOADED,           "reloaded",              "8f88458b3ff04d5aaec04f78c9dc1e6b", IPC_SUPERVISOR)      \
        X(RELOAD_REFUSED,     "reload-refused",        "69bc9600ec90482ab150d75a5cca70da", IPC_SUPERVISOR)      \
        X(SERVICES_CHANGED,   "services-changed",      "ac706804d3aa452ba69f1d933906b509", IPC_SUPERVISOR)      \
        X(DRAINED,            "drained",               "c967e7a46d054d2daae4143e0130688b", IPC_SUPERVISOR)      \
        X(UNDRAINED,          "undrained",             "8e1c1bfb396e46aea1a1d348d572a001", IPC_SUPERVISOR)      \
        X(ALLOWANCE_MADE,     "allowance-made",        "951921fbcad74170b1c4d35db263c2a4", IPC_SUPERVISOR)      \
        X(ALLOWANCE_ENDED,    "allowance-ended",       "a4228979df12491d82b590dccc03f338", IPC_SUPERVISOR)      \
        X(LOG_LEVEL,          "log-level",             "f1c9c2584cc54b71bfa6f23143b81c57", IPC_SUPERVISOR)      \
        X(WORKER_ENDED,       "worker-ended",          "1939f49d4c9a4249bfa3bb43a5ad6c9f", IPC_SUPERVISOR)      \
        X(WORKER_KILLED,      "worker-killed",         "9a631edacae342a389363c1ca69014cc", IPC_SUPERVISOR)      \
        X(WORKER_DENIED,      "worker-denied",         "918578eb65824e9d89b698048803e402", IPC_SUPERVISOR)      \
        X(LINES_LEFT_OUT,     "lines-left-out",        "75a7a45be5f24e018d5105bd3e21f0b5", IPC_SUPERVISOR)      \
        X(STATE_UNWRITTEN,    "state-unwritten",       "5d292a4314d846d7928adfe53f456ae0", IPC_SUPERVISOR)      \
        X(NAME_UNRESOLVED,    "name-unresolved",       "2ed1654f75ff4e37b9e569deceafe808", IPC_SUPERVISOR)      \
        X(NAME_RESOLVED,      "name-resolved",         "0b174e04aae74681b08b0ab4d86a32c9", IPC_SUPERVISOR)      \
        /* The network. */                                                                                      \
        X(ADDRESSES_CHANGED,  "addresses-changed",     "ea6de035a81b4fdfb63a59518cf280e7", IPC_SUPERVISOR)      \
        X(ADDRESSES_MISSING,  "addresses-missing",     "b3a311526ba74f8db5722f5add4d3e84", IPC_SUPERVISOR)      \
        X(UDP_UNAVAILABLE,    "udp-unavailable",       "bc29caaac2ef4ea6b4d341324b2f062a", IPC_SUPERVISOR)      \
        X(DHT_REACHED,        "dht-reached",           "08f366101aff49d7ae51c13c35ea4bee", IPC_SUPERVISOR)      \
        X(DHT_UNREACHABLE,    "dht-unreachable",       "f4be6b37fe0c4e80982ef89d871cef66", IPC_SUPERVISOR)      \
        X(DHT_LOST,           "dht-lost",              "cd507fabe2a44fd887eebfc3d33497ba", IPC_SUPERVISOR)      \
        X(ANNOUNCED,          "announced",             "c41462ae39534b4290e829e2a8df3453", IPC_SUPERVISOR)      \
        X(ANNOUNCEMENT_LOST,  "announcement-lost",     "42494ff883e244f3b474ab31b1c7ed17", IPC_SUPERVISOR)      \
        /* Peers. */                                                                                            \
        X(PEERS,              "peers",                 "41440d297f0343ba936a950ff2e661e4", IPC_SUPERVISOR)      \
        X(PEER_REACHED,       "peer-reached",          "cb4b62b3816e47898dd97ae77620c274", IPC_SWARM)           \
        X(PEER_UNREACHED,     "peer-unreached",        "6c1bce10c81c4a48a695cc4070c9bcd5", IPC_SWARM)           \
        X(PEER_FORBIDDEN,     "peer-forbidden",        "02ebdda452e84d96a469daa4d6d471bc", IPC_SWARM)           \
        X(PEER_MOVED,         "peer-moved",            "2e587bfc05f042a1a672b0e12154de42", IPC_SWARM)           \
        X(PEER_LEAVES,        "peer-leaves",           "72eb5ac7710447ccb12884fc8156a025", IPC_SWARM)           \
        X(PEER_LEFT,          "peer-left",             "20a215e1c4be4f678897ad6378e65359", IPC_SWARM)           \
        X(PEER_LOST,          "peer-lost",             "f98a681638c4493ebdbc3d81116717ff", IPC_SWARM)           \
        X(PEER_LIMITED,       "peer-limited",          "c3e9d1c414754039a624dd3fac20e914", IPC_SWARM)           \
        X(ROUTES_LEFT_OUT,    "routes-left-out",       "30219d2c692c4cb1bdaa3cf939db12d3", IPC_ROUTER)          \
        X(SERVICES_LEFT_OUT,  "services-left-out",     "d7f4c941e43042e9a3e90e03b2a2d2e3", IPC_ROUTER)          \
        /* Gates and services. */                                                                               \
        X(GATE_OPEN,          "gate-open",             "be9c7128fcf94e349e52fb04b4b6730a", IPC_SUPERVISOR)      \
        X(GATE_CLOSED,        "gate-closed",           "6f639907939f4fde84cb39278d3085f2", IPC_SUPERVISOR)      \
        X(GATE_UNAVAILABLE,   "gate-unavailable",      "a72800c5ef7b4811bbee1ddf62187ffb", IPC_SUPERVISOR)      \
        X(SOCKET_UNUSED,      "socket-unused",         "85c0c9801ba54ec395201956fd4e7ffd", IPC_SUPERVISOR)      \
        X(GATE_REFUSED,       "gate-refused",          "b0bced354d0e4ab3a8dd3519ce019d88", IPC_SUPERVISOR)      \
        X(GATE_STAYS_CLOSED,  "gate-stays-closed",     "75da985355654edc9a8b59fbb71d3fac", IPC_ROUTER)          \
        X(GATE_UNSERVED,      "gate-unserved",         "9b18fd980bbd4a37836475ee0414c94d", IPC_FORWARD)         \
        X(SERVICE_FAILS,      "service-fails",         "57ea407fd80249889ac99d23c6e04433", IPC_FORWARD)         \
        X(SERVICE_ANSWERS,    "service-answers",       "63fc9f0c7d4c499c885a7c0a4360be35", IPC_FORWARD)         \
        X(SERVICE_UNHEALTHY,  "service-unhealthy",     "b1e42549aba0413b95b9c0c966d73514", IPC_FORWARD)         \
        X(SERVICE_HEALTHY,    "service-healthy",       "f83103d2c5a34e83ab0bfa4c488360f9", IPC_FORWARD)         \
        X(CHANNEL_CLOSED,     "channel-closed",        "16f1691b64704c4782e08c0f6d467cc5", IPC_FORWARD)         \
        X(CHANNEL_FAILED,     "channel-failed",        "e054fdcaed4b4853b7f945bf4a66680e", IPC_FORWARD)         \
        X(SHORT_OF,           "short-of",              "e5febc932a3c4d5f8ae5d9c059cada7e", IPC_ROLES)

enum ipc_event {
        IPC_EVENT_NONE,                 /* a line like any other */
#define X(name, word, id, who) IPC_EVENT_##name,
        IPC_EVENTS(X)
#undef X
        IPC_EVENT_COUNT,
};

/* "channel-closed", and its MESSAGE_ID; NULL: of a number that is no event. */
const char *ipc_event_word(uint32_t event);
const char *ipc_event_id(uint32_t event);

/* Whether that role has to do with it. */
int ipc_event_is_of(uint32_t event, uint32_t role);

/* The fields of a line in the making, for worker_log_event() and log_event(): "HYPERGATE_NAME=value" each. What finds no room is left out. */
enum { IPC_FIELDS_MAX = 16, IPC_FIELDS_BYTES = 1024 };

struct ipc_fields {
        char text[IPC_FIELDS_BYTES];
        size_t len;
        const char *list[IPC_FIELDS_MAX + 1];   /* NULL at the end */
        size_t count;
};

#define IPC_FIELDS_INIT { .len = 0 }

/* @name without HYPERGATE_. The log makes @value printable. */
void ipc_fields_text(struct ipc_fields *fields, const char *name, const char *value);
void ipc_fields_number(struct ipc_fields *fields, const char *name, uint64_t number);
void ipc_fields_key(struct ipc_fields *fields, const char *name, const uint8_t key[IPC_KEY_BYTES]);        /* in hexadecimal */
void ipc_fields_gate(struct ipc_fields *fields, uint16_t port, uint16_t protocol);      /* GATE_PORT and PROTOCOL */

#endif

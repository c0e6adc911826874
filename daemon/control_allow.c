/* SPDX-License-Identifier: BSD-3-Clause */
/* "allow ADDRESS SECONDS": clients from there are let in for so long, whatever ingress policies say; "deny ADDRESS": no
 * longer; "allowed": who is. A line "allowance" for each. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allowances.h"
#include "control_ask.h"
#include "ipc_forward.h"
#include "sockets.h"
#include "supervisor.h"

enum { SECONDS_MAX = 30 * 24 * 60 * 60, ADDRESS_MAX = 45 };

static void write_allowance(struct json_line *out, const struct ipc_forward_allow *who, uint64_t now_ms)
{
        char address[INET6_ADDRSTRLEN];

        sockets_print_address(who->ip, address);
        json_line_begin(out, "allowance");
        json_line_text(out, "address", address);
        if (who->until_ms > now_ms) {
                json_line_time(out, "until", (int64_t)(who->until_ms / 1000));
                json_line_number(out, "secondsLeft", (who->until_ms - now_ms + 999) / 1000);
        } else {
                json_line_null(out, "until");
                json_line_number(out, "secondsLeft", 0);
        }
        json_line_end(out);
}

static bool is_gateway(struct control_conn *conn)
{
        if (conn->control->supervisor->conf->gateway.present)
                return true;
        control_refuse_role(conn, "gateway", "it is no gateway: clients come to others");
        return false;
}

/* "192.0.2.1 1800", of which the number is there if it is wanted: @s_out is not NULL. */
static bool read_words(const char *words, uint8_t ip[16], unsigned long *s_out)
{
        size_t len = strcspn(words, " ");
        char address[ADDRESS_MAX + 1], *end;

        if (len > ADDRESS_MAX)
                return false;
        memcpy(address, words, len);
        address[len] = '\0';
        if (!names_literal(address, ip))
                return false;
        if (!s_out)
                return !words[len];
        if (words[len] != ' ' || words[len + 1] < '0' || words[len + 1] > '9')
                return false;
        *s_out = strtoul(words + len + 1, &end, 10);
        return !*end && *s_out >= 1 && *s_out <= SECONDS_MAX;
}

static void answer(struct control_conn *conn, const struct ipc_forward_allow *who)
{
        write_allowance(&conn->out, who, allowances_now_ms());
        control_ask_end(conn);
}

void control_allow(struct control_conn *conn, const char *words)
{
        struct ipc_forward_allow who = { 0 };
        unsigned long s;

        if (!read_words(words, who.ip, &s)) {
                control_refuse(conn, "allow: an address, and for how many seconds, 1 to 2592000, such as 192.0.2.1 1800");
                return;
        }
        if (!is_gateway(conn))
                return;
        if (allowances_let_in(conn->control->supervisor, who.ip, s, &who) < 0)
                control_refuse(conn, "256 addresses are let in whatever policies say, as many as may be: end some of them");
        else
                answer(conn, &who);
}

void control_deny(struct control_conn *conn, const char *words)
{
        struct ipc_forward_allow who = { 0 };

        if (!read_words(words, who.ip, NULL)) {
                control_refuse(conn, "deny: an address, such as 192.0.2.1");
                return;
        }
        if (!is_gateway(conn))
                return;
        if (allowances_end(conn->control->supervisor, who.ip, &who))
                answer(conn, &who);
        else
                control_refuse(conn, "nobody has allowed that address, so that policies alone say who comes in: this is no ban");
}

void control_allowed(struct control_conn *conn, const char *words)
{
        const struct ipc_allowances *allowances = &conn->control->supervisor->allowances;
        uint64_t now_ms = allowances_now_ms();

        for (size_t i = 0; i < allowances->count; i++)
                if (allowances->list[i].until_ms > now_ms)
                        write_allowance(&conn->out, &allowances->list[i], now_ms);
        control_ask_end(conn);
}

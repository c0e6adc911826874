/* SPDX-License-Identifier: BSD-3-Clause */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_conn.h"
#include "ipc_control.h"
#include "ipc_fd.h"
#include "supervisor.h"

enum { OVERFLOW_UID = 65534 };          /* user_namespaces(7): who is not mapped */

/* What changes something is for root and for who the instance runs as. */
static const struct request {
        const char *word;
        void (*answer)(struct control_conn *conn, const char *words);
        enum { NEVER, WITH_WORDS, ALWAYS } changes;
} requests[] = {
        { "add", control_add, ALWAYS },
        { "allow", control_allow, ALWAYS },
        { "allowed", control_allowed, NEVER },
        { "channels", control_channels, NEVER },
        { "deny", control_deny, ALWAYS },
        { "doctor", control_doctor, NEVER },
        { "drain", control_drain, ALWAYS },
        { "gates", control_gates, NEVER },
        { "log-level", control_log_level, WITH_WORDS },
        { "peers", control_peers, NEVER },
        { "relays", control_relays, NEVER },
        { "reload", control_reload, ALWAYS },
        { "remove", control_remove, ALWAYS },
        { "routes", control_routes, NEVER },
        { "scan", control_scan, NEVER },
        { "services", control_services, NEVER },
        { "status", control_status, NEVER },
        { "undrain", control_undrain, ALWAYS },
};

/* --- A connection --- */

static void conn_close(struct control_conn *conn)
{
        struct control *control = conn->control;
        struct ev_loop *loop = control->supervisor->loop;

        if (conn->job)
                conn->job->cancel(conn->job);
        ev_io_stop(loop, &conn->readable);
        ev_io_stop(loop, &conn->writable);
        ev_timer_stop(loop, &conn->patience);
        list_remove(&conn->in_control);
        control->count--;
        close(conn->fd);
        close_fdp(&conn->handed);
        json_line_fini(&conn->out);
        free(conn);
        if (control->alone)
                supervisor_stop(control->supervisor);
        else if (control->begun && control->listener >= 0)
                ev_io_start(loop, &control->acceptable);
}

/* True: all of it has left. */
static bool write_out(struct control_conn *conn)
{
        while (conn->sent < conn->out.len) {
                ssize_t wrote = send(conn->fd, conn->out.text + conn->sent, conn->out.len - conn->sent, MSG_NOSIGNAL);

                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return false;
                conn->sent += (size_t)wrote;
        }
        conn->out.len = conn->sent = 0;
        return true;
}

static void flush(struct control_conn *conn)
{
        struct ev_loop *loop = conn->control->supervisor->loop;
        bool empty = !conn->out.failed && write_out(conn);
        bool broken = !empty && errno != EAGAIN;

        if (conn->out.failed || broken || conn->out.len - conn->sent > CONTROL_OUT_MAX || (empty && conn->answered))
                conn_close(conn);
        else if (empty)
                ev_io_stop(loop, &conn->writable);
        else
                ev_io_start(loop, &conn->writable);
}

/* Not from within a job's own call: the connection may go, and its job with it. */
void control_flush(struct control_conn *conn, bool end)
{
        if (end) {
                conn->job = NULL;
                conn->answered = true;
        }
        ev_io_start(conn->control->supervisor->loop, &conn->writable);
}

static void refuse(struct control_conn *conn, const char *role, const char *error)
{
        json_line_begin(&conn->out, "end");
        json_line_text(&conn->out, "error", error);
        if (role)
                json_line_text(&conn->out, "needs", role);
        json_line_end(&conn->out);
        control_flush(conn, true);
}

void control_refuse(struct control_conn *conn, const char *error)
{
        refuse(conn, NULL, error);
}

void control_refuse_role(struct control_conn *conn, const char *role, const char *error)
{
        refuse(conn, role, error);
}

/* Whether all users have a number of their own here: in a namespace of users those that it does not know have one together, which may be
 * ours. */
static bool knows_all_users(void)
{
        cleanup_fd int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
        unsigned long long inside, outside, count;
        char text[128] = "";

        return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && sscanf(text, "%llu %llu %llu", &inside, &outside, &count) == 3 && inside == 0 &&
               outside == 0 && count == UINT32_MAX;
}

/* As it was when it connected. */
static bool find_who(const struct control_conn *conn, struct ucred *who)
{
        socklen_t len = sizeof(*who);

        return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, who, &len) == 0;
}

bool control_is_root(const struct control_conn *conn)
{
        struct ucred who;

        return find_who(conn, &who) && who.uid == 0;
}

static bool may_change(const struct control_conn *conn)
{
        struct ucred who;

        if (!find_who(conn, &who))
                return false;
        return who.uid == 0 || (who.uid == geteuid() && (who.uid != OVERFLOW_UID || knows_all_users()));
}

static void answer(struct control_conn *conn, char *line)
{
        size_t word = strcspn(line, " ");
        const char *words = line + word + (line[word] == ' ');
        const struct request *request = NULL;

        for (size_t i = 0; i < ARRAY_LEN(requests) && !request; i++)
                if (strlen(requests[i].word) == word && memcmp(requests[i].word, line, word) == 0)
                        request = &requests[i];
        if (!request)
                control_refuse(conn, "unknown request: of another version?");
        else if ((request->changes == ALWAYS || (request->changes == WITH_WORDS && *words)) && !may_change(conn))
                control_refuse(conn, "only root, and the user it runs as, may change it");
        else
                request->answer(conn, words);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
        flush(io->data);
}

/* As recv(), with the one descriptor that may come along; others are closed. */
static ssize_t receive(struct control_conn *conn)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { conn->line + conn->line_len, sizeof(conn->line) - conn->line_len };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                                  .msg_controllen = CMSG_LEN(sizeof(int)) };    /* its padding would be room for a second one */
        ssize_t got = recvmsg(conn->fd, &message, MSG_CMSG_CLOEXEC);
        const struct cmsghdr *header = got >= 0 ? CMSG_FIRSTHDR(&message) : NULL;

        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
                close_fdp(&conn->handed);
                memcpy(&conn->handed, CMSG_DATA(header), sizeof(conn->handed));
        }
        return got;
}

/* More than a line, or its end after it, is of no interest; before it, it is the end of the connection. */
static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
        struct control_conn *conn = io->data;
        bool asked = conn->job || conn->answered;
        char ignored[64], *newline;
        ssize_t got = asked ? recv(conn->fd, ignored, sizeof(ignored), 0) : receive(conn);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (got <= 0) {
                conn_close(conn);
                return;
        }
        if (asked)
                return;
        conn->line_len += (size_t)got;
        newline = memchr(conn->line, '\n', conn->line_len);
        if (newline && !memchr(conn->line, '\0', (size_t)(newline - conn->line))) {
                *newline = '\0';
                answer(conn, conn->line);
        } else if (newline || conn->line_len == sizeof(conn->line)) {
                control_refuse(conn, "a request is one line of words");
        }
}

static void on_impatient(struct ev_loop *loop, ev_timer *timer, int events)
{
        conn_close(timer->data);
}

static void conn_open(struct control *control, int fd)
{
        struct ev_loop *loop = control->supervisor->loop;
        struct control_conn *conn = calloc(1, sizeof(*conn));

        if (!conn) {
                close(fd);
                return;
        }
        conn->control = control;
        conn->fd = fd;
        conn->handed = -1;
        list_push_back(&control->conns, &conn->in_control);
        control->count++;
        ev_io_init(&conn->readable, on_readable, fd, EV_READ);
        ev_io_init(&conn->writable, on_writable, fd, EV_WRITE);
        ev_timer_init(&conn->patience, on_impatient, CONTROL_PATIENCE_S, 0);
        conn->readable.data = conn->writable.data = conn->patience.data = conn;
        ev_io_start(loop, &conn->readable);
        if (!control->alone)
                ev_timer_start(loop, &conn->patience);
}

/* --- The socket --- */

static void on_acceptable(struct ev_loop *loop, ev_io *io, int events)
{
        struct control *control = io->data;
        int fd;

        while (control->count < CONTROL_CONNS_MAX &&
               (fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
                conn_open(control, fd);
        if (control->count >= CONTROL_CONNS_MAX)
                ev_io_stop(loop, io);
}

static bool is_socket(const char *path)
{
        struct stat about;

        return lstat(path, &about) == 0 && S_ISSOCK(about.st_mode);
}

/* To who we shall be, and to the readers: a unit has made us one of them already, and lets us give nothing away. */
static int hand_over(const char *path, uid_t uid, gid_t gid)
{
        const struct group *readers = getgrnam(CONTROL_READERS);
        bool root = geteuid() == 0, shared = readers && (root || getegid() == readers->gr_gid);

        if (root && lchown(path, uid, readers ? readers->gr_gid : gid) < 0)
                return -errno;
        if (readers && !shared)
                shared = lchown(path, (uid_t)-1, readers->gr_gid) == 0;
        return shared && chmod(path, 0660) < 0 ? -errno : 0;
}

int control_listen(const char *path, uid_t uid, gid_t gid, int *fd_out)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        if (is_socket(path) && !ipc_control_is_dead(path))
                return -EADDRINUSE;
        if (is_socket(path) && unlink(path) < 0)
                return -errno;
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        r = hand_over(path, uid, gid);
        if (r < 0 || listen(fd, CONTROL_BACKLOG) < 0)
                return r < 0 ? r : -errno;
        *fd_out = take_fd(&fd);
        return 0;
}

void control_init(struct control *control, struct supervisor *supervisor, int listener, int conn)
{
        *control = (struct control){ .supervisor = supervisor, .listener = listener, .conn = conn, .alone = conn >= 0 };
        list_init(&control->conns);
        ev_io_init(&control->acceptable, on_acceptable, listener, EV_READ);
        control->acceptable.data = control;
}

void control_begin(struct control *control)
{
        control->begun = true;
        if (control->listener >= 0)
                ev_io_start(control->supervisor->loop, &control->acceptable);
        if (control->conn >= 0)
                conn_open(control, take_fd(&control->conn));
}

/* Whoever still waits sees the end. */
void control_fini(struct control *control)
{
        control->alone = false;
        control->begun = false;
        ev_io_stop(control->supervisor->loop, &control->acceptable);
        while (!list_empty(&control->conns))
                conn_close(list_entry(list_first(&control->conns), struct control_conn, in_control));
        close_fdp(&control->listener);
        close_fdp(&control->conn);
}

/*
 * One scan is one connection: zINSTREAM, then pieces, each behind its length in
 * four bytes, then a length of zero; the answer is a line that ends with NUL.
 */
#include "files/clamd.h"

#include "base/clock.h"
#include "base/str.h"
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECE = 64 << 10, ANSWER_MOST = 1024, SLICE_US = 200000 };

struct line {
    int socket;
    int64_t until_us;
    const atomic_bool *gives_up; // may be NULL
};

// 0: ready; else an errno.
static int await(const struct line *line, short events)
{
    for (;;) {
        int64_t left_us = line->until_us - clock_now_us();
        if (left_us <= 0 || (line->gives_up != NULL && atomic_load(line->gives_up)))
            return ETIMEDOUT;
        if (left_us > SLICE_US)
            left_us = SLICE_US;
        struct pollfd poll_of = {.fd = line->socket, .events = events};
        int n = poll(&poll_of, 1, (int)(left_us / 1000) + 1);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return errno;
    }
}

static int write_all(const struct line *line, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t sent = send(line->socket, at, n, MSG_NOSIGNAL);
        if (sent >= 0) {
            at += sent;
            n -= (size_t)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        int failed = errno == EAGAIN ? await(line, POLLOUT) : errno;
        if (failed != 0)
            return failed;
    }
    return 0;
}

static int send_file(const struct line *line, int fd)
{
    char piece[PIECE];
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, piece, sizeof piece, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        uint32_t len = htonl((uint32_t)n);
        int failed = write_all(line, &len, sizeof len);
        if (failed == 0 && n > 0)
            failed = write_all(line, piece, (size_t)n);
        if (failed != 0 || n == 0)
            return failed;
        at += n;
    }
}

static int read_answer(const struct line *line, char answer[ANSWER_MOST])
{
    size_t len = 0;
    while (len < ANSWER_MOST - 1) {
        ssize_t n = recv(line->socket, answer + len, ANSWER_MOST - 1 - len, 0);
        if (n < 0 && errno == EAGAIN) {
            int failed = await(line, POLLIN);
            if (failed != 0)
                return failed;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (answer[len - 1] == '\0')
            break;
    }
    answer[len] = '\0';
    return len > 0 ? 0 : ECONNRESET;
}

// The length of the socket's address; 0: it is none.
static socklen_t find_address(struct str where, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (str_starts(where, STR("/"))) {
        struct sockaddr_un *path = (struct sockaddr_un *)out;
        path->sun_family = AF_UNIX;
        return str_to_z(where, path->sun_path, sizeof path->sun_path) == OK ? sizeof *path : 0;
    }
    size_t colon = where.len;
    while (colon > 0 && where.at[colon - 1] != ':')
        colon--;
    uint64_t port;
    struct addr addr;
    if (colon == 0 || str_to_u64(str_skip(where, colon), 1, 65535, &port) != OK ||
        addr_parse(str_first(where, colon - 1), (uint16_t)port, &addr) != OK)
        return 0;
    return addr_to_sockaddr(&addr, out);
}

bool clamd_is_place(struct str where)
{
    struct sockaddr_storage address;
    return find_address(where, &address) > 0;
}

static int connect_to(const char *where, struct line *line)
{
    struct sockaddr_storage address;
    socklen_t len = find_address(str_of(where), &address);
    if (len == 0)
        return EADDRNOTAVAIL;
    const struct sockaddr *to = (const struct sockaddr *)&address;
    line->socket = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->socket < 0)
        return errno;
    int failed = connect(line->socket, to, len) == 0 ? 0 : errno;
    if (failed == EINPROGRESS) {
        socklen_t size = sizeof failed;
        failed = await(line, POLLOUT);
        if (failed == 0 && getsockopt(line->socket, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
            failed = errno;
    }
    return failed;
}

// "stream: OK", "stream: Eicar-Signature FOUND", "INSTREAM size limit exceeded. ERROR"
static enum scan read_word(struct str answer, char finding[SCAN_FINDING_MOST], struct why *why)
{
    answer = str_trim(answer);
    if (str_eq(answer, STR("stream: OK")))
        return SCAN_CLEAN;
    if (str_starts(answer, STR("stream: ")) && str_ends(answer, STR(" FOUND"))) {
        struct str name = str_skip(str_first(answer, answer.len - 6), 8);
        size_t n = name.len < SCAN_FINDING_MOST - 1 ? name.len : SCAN_FINDING_MOST - 1;
        for (size_t i = 0; i < n; i++)
            finding[i] = name.at[i] > ' ' && name.at[i] < 0x7F ? name.at[i] : '_';
        finding[n] = '\0';
        return SCAN_FOUND;
    }
    (void)!why_say(why, ERR_UNSUPPORTED, "it said: %.*s",
                   (int)(answer.len < 200 ? answer.len : 200), answer.at);
    return str_find(answer, STR("size limit exceeded")) < answer.len ? SCAN_TOO_LARGE : SCAN_AWAY;
}

enum scan clamd_scan(const char *where, int fd, int64_t most_us, const atomic_bool *gives_up,
                     char finding[SCAN_FINDING_MOST], struct why *why)
{
    static const char command[] = "zINSTREAM"; // with its NUL
    char answer[ANSWER_MOST];
    struct line line = {.socket = -1, .until_us = clock_now_us() + most_us, .gives_up = gives_up};
    finding[0] = why->text[0] = '\0';
    int failed = connect_to(where, &line);
    bool connected = failed == 0;
    if (failed == 0)
        failed = write_all(&line, command, sizeof command);
    if (failed == 0)
        failed = send_file(&line, fd);
    // who stops listening has said why
    if (connected && (failed == 0 || failed == EPIPE || failed == ECONNRESET))
        failed = read_answer(&line, answer);
    if (line.socket >= 0)
        close(line.socket);
    if (failed == 0)
        return read_word(str_of(answer), finding, why);
    (void)!why_say(why, ERR_IO, "%s: %s", where, strerrordesc_np(failed));
    return SCAN_AWAY;
}

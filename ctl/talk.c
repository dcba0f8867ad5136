#include "ctl/talk.h"

#include "base/must.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MOST = 64 << 20 };

enum err talk_open(struct talk *talk, const char *path, struct why *why)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    *talk = (struct talk){.fd = -1};
    if (str_to_z(str_of(path), to.sun_path, sizeof to.sun_path) != OK)
        return why_say(why, ERR_CLOSED, "%s: the path is too long for a socket", path);
    talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (talk->fd < 0)
        return why_say(why, ERR_IO, "socket: %s", strerror(errno));
    if (connect(talk->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int error = errno;
        close(talk->fd);
        talk->fd = -1;
        if (error == EACCES || error == EPERM)
            return why_say(why, ERR_DENIED,
                           "%s: you may not use it (root, the server's user and the members of "
                           "control.group may)",
                           path);
        return why_say(why, ERR_CLOSED, "no server answers at %s: %s", path, strerror(error));
    }
    buf_init(&talk->in, LINE_MOST);
    return OK;
}

void talk_close(struct talk *talk)
{
    if (talk->fd >= 0)
        close(talk->fd);
    talk->fd = -1;
    buf_done(&talk->in);
}

static bool has_line(const struct talk *talk)
{
    return str_find_char(buf_str(&talk->in), '\n') < talk->in.len;
}

static enum err read_more(struct talk *talk, struct why *why)
{
    char *at = buf_reserve(&talk->in, 65536);
    if (at == NULL)
        return why_say(why, ERR_LIMIT, "the server's answer is too long");
    ssize_t n = recv(talk->fd, at, 65536, 0);
    if (n > 0)
        talk->in.len += (size_t)n;
    else if (n == 0)
        return why_say(why, ERR_CLOSED,
                       "the server closed the connection (it refuses other users, and says why in "
                       "its log)");
    else if (errno != EINTR && errno != EAGAIN)
        return why_say(why, ERR_CLOSED, "the connection broke: %s", strerror(errno));
    return OK;
}

bool talk_has_word(struct talk *talk)
{
    struct pollfd wait = {.fd = talk->fd, .events = POLLIN};
    return has_line(talk) || (poll(&wait, 1, 0) > 0 && (wait.revents & (POLLIN | POLLHUP)) != 0);
}

enum err talk_say(struct talk *talk, const json_t *line, struct why *why)
{
    char *text = json_dumps(line, JSON_COMPACT);
    must(text != NULL);
    size_t len = strlen(text);
    text[len++] = '\n'; // in the place of the NUL
    enum err e = OK;
    for (size_t sent = 0; sent < len && e == OK;) {
        struct pollfd wait = {.fd = talk->fd, .events = POLLIN | POLLOUT};
        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            e = why_say(why, ERR_IO, "poll: %s", strerror(errno));
        // what the server says meanwhile is taken in, so that neither waits for the other
        if (e == OK && (wait.revents & POLLIN) != 0)
            e = read_more(talk, why);
        if (e != OK || (wait.revents & (POLLOUT | POLLERR | POLLHUP)) == 0)
            continue;
        ssize_t n = send(talk->fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            e = why_say(why, ERR_CLOSED, "the connection broke: %s", strerror(errno));
    }
    free(text);
    return e;
}

enum err talk_hear(struct talk *talk, json_t **out, struct why *why)
{
    while (!has_line(talk)) {
        enum err e = read_more(talk, why);
        if (e != OK)
            return e;
    }
    size_t end = str_find_char(buf_str(&talk->in), '\n');
    json_error_t error;
    json_t *line = json_loadb(talk->in.at, end, JSON_ALLOW_NUL, &error);
    buf_drop(&talk->in, end + 1);
    if (!json_is_object(line)) {
        json_decref(line);
        return why_say(why, ERR_MALFORMED, "the server's answer is not understood: %s", error.text);
    }
    *out = line;
    return OK;
}

/*
 * The server's side of the inspector.
 */
#include "files/inspector_internal.h"

#include "base/clock.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// How much longer than a file's own time we wait for the word on it.
static const int64_t grace_us = 5 * SECOND_US;

struct inspector {
    int socket;
    pid_t helper;
    int64_t time_us;
};

static enum err hear_ready(int socket, struct why *why)
{
    struct look_ready ready;
    ssize_t n;
    do
        n = recv(socket, &ready, sizeof ready, 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof ready)
        return why_say(why, ERR_IO, "the process that inspects files did not start");
    ready.why.text[sizeof ready.why.text - 1] = '\0';
    return ready.e == OK ? OK : why_say(why, ready.e, "%s", ready.why.text);
}

enum err inspector_start(const struct inspector_options *options, struct inspector **out,
                         struct why *why)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return why_say(why, ERR_IO, "a socket for the inspector: %s", strerror(errno));
    pid_t helper = fork();
    if (helper == 0) {
        close(pair[0]);
        helper_run(options, pair[1]);
    }
    close(pair[1]);
    if (helper < 0) {
        close(pair[0]);
        return why_say(why, ERR_IO, "the inspector's process: %s", strerror(errno));
    }
    struct inspector *inspector = calloc(1, sizeof *inspector);
    must(inspector != NULL);
    *inspector = (struct inspector){pair[0], helper, options->time_us};
    enum err e = hear_ready(pair[0], why);
    if (e != OK)
        inspector_stop(&inspector);
    else
        *out = inspector;
    return e;
}

void inspector_stop(struct inspector **at)
{
    struct inspector *inspector = TAKE(*at);
    if (inspector == NULL)
        return;
    close(inspector->socket); // it ends when nobody can ask any more
    // the confined server may not wait for it, nor need to: it ends at the closed socket
    waitpid(inspector->helper, NULL, 0);
    free(inspector);
}

static enum err ask(struct inspector *inspector, int file, int answer, struct str name,
                    struct why *why)
{
    struct look_request request = {.magic = MAGIC_REQUEST};
    // the end of a long name is what tells
    if (name.len > NAME_MOST)
        name = str_skip(name, name.len - NAME_MOST);
    request.name_len = (uint32_t)name.len;
    memcpy(request.name, name.at, name.len);
    struct iovec bytes = {&request, sizeof request};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control = {.room = {0}};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), (int[]){file, answer}, 2 * sizeof(int));
    ssize_t n;
    do
        n = sendmsg(inspector->socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof request
               ? OK
               : why_say(why, ERR_CLOSED, "the process that inspects files is gone");
}

// What comes from there was made by a process that a stranger's file may have broken.
static bool is_sound(struct look_answer *answer)
{
    struct inspection *i = &answer->inspection;
    if (answer->magic != MAGIC_INSPECTION)
        return false;
    i->type[sizeof i->type - 1] = i->finding[sizeof i->finding - 1] = '\0';
    for (char *c = i->type; *c != '\0'; c++)
        if (*c <= ' ' || *c >= 0x7F || *c == '"' || *c == ';' || *c == ',')
            return false;
    struct str finding = str_of(i->finding);
    if (!str_is_utf8(finding))
        finding.len = 0;
    for (char *c = i->finding; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?';
    if (finding.len == 0)
        i->finding[0] = '\0';
    return i->type[0] != '\0';
}

static enum err hear(struct inspector *inspector, int pipe_fd, struct look_answer *answer,
                     struct why *why)
{
    int64_t until_us = clock_now_us() + inspector->time_us + grace_us;
    size_t got = 0;
    while (got < sizeof *answer) {
        int64_t left_us = until_us - clock_now_us();
        if (left_us <= 0)
            return why_say(why, ERR_LIMIT, "inspecting it took too long");
        struct pollfd poll_of = {.fd = pipe_fd, .events = POLLIN};
        int ready = poll(&poll_of, 1, (int)(left_us / 1000) + 1);
        if (ready <= 0)
            continue;
        ssize_t n = read(pipe_fd, (char *)answer + got, sizeof *answer - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return why_say(why, ERR_LIMIT, "inspecting it failed, or took too long");
        got += (size_t)n;
    }
    return is_sound(answer) ? OK : why_say(why, ERR_LIMIT, "inspecting it gave no sound answer");
}

enum err inspector_look(struct inspector *inspector, int fd, struct str name,
                        struct inspection *out, struct why *why)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return why_say(why, ERR_IO, "a pipe for the inspector: %s", strerror(errno));
    struct look_answer answer;
    enum err e = ask(inspector, fd, pipes[1], name, why);
    close(pipes[1]);
    if (e == OK)
        e = hear(inspector, pipes[0], &answer, why);
    close(pipes[0]);
    if (e == OK)
        *out = answer.inspection;
    return e;
}

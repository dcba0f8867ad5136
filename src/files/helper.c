/*
 * The helper: a process that makes a process for each file.
 *
 * It parses nothing itself, so nothing that a file does can end it.  Its
 * children inherit the compiled rules and the database of types; that costs a
 * fork, some hundred microseconds, a file.
 */
#include "files/inspector_internal.h"

#include "base/clock.h"
#include "base/must.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    AT_ONCE_MOST = 64,
    SOCKET = 3, // everything above it is closed
    LOOK_MS = 50,
};

struct child {
    pid_t pid; // 0: free
    int64_t until_us;
};

struct helper {
    const struct inspector_options *options;
    struct lookers *lookers;
    struct child children[AT_ONCE_MOST];
    unsigned n;
};

static void limit(__rlimit_resource_t what, rlim_t most)
{
    (void)!setrlimit(what, &(struct rlimit){most, most});
}

static void bound(const struct inspector_options *options)
{
    rlim_t seconds = (rlim_t)(options->time_us / SECOND_US);
    limit(RLIMIT_CPU, seconds > 0 ? seconds : 1);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
    limit(RLIMIT_AS, (rlim_t)options->memory);
#endif
#else
    limit(RLIMIT_AS, (rlim_t)options->memory);
#endif
#endif
}

static _Noreturn void look_at(const struct helper *helper, int file, int out, struct str name)
{
    const struct inspector_options *options = helper->options;
    struct why why;
    bound(options);
    if (options->confine != NULL && options->confine(options->context, true, &why) != OK)
        _exit(1);
    struct look_answer answer;
    memset(&answer, 0, sizeof answer); // its padding too: it goes over the pipe whole
    answer.magic = MAGIC_INSPECTION;
    if (!lookers_look(helper->lookers, file, name, &answer.inspection))
        _exit(1);
    _exit(write(out, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

static void begin(struct helper *helper, const struct look_request *request, int file, int out)
{
    size_t free_at = 0;
    while (free_at < AT_ONCE_MOST && helper->children[free_at].pid != 0)
        free_at++;
    must(free_at < AT_ONCE_MOST);
    pid_t pid = fork();
    if (pid == 0) {
        close(SOCKET);
        look_at(helper, file, out, str_make(request->name, request->name_len));
    }
    if (pid > 0) {
        helper->children[free_at] = (struct child){pid, clock_now_us() + helper->options->time_us};
        helper->n++;
    } // else the pipe's end says it
}

static void reap(struct helper *helper)
{
    int64_t now_us = clock_now_us();
    for (size_t i = 0; i < AT_ONCE_MOST; i++) {
        struct child *child = &helper->children[i];
        if (child->pid == 0)
            continue;
        if (now_us > child->until_us)
            kill(child->pid, SIGKILL); // its time of the processor may never run out: it sleeps
        if (waitpid(child->pid, NULL, WNOHANG) == child->pid) {
            child->pid = 0;
            helper->n--;
        }
    }
}

// False at the end of the server.
static bool take_request(struct helper *helper)
{
    struct look_request request;
    struct iovec bytes = {&request, sizeof request};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (n == 0 || header == NULL || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return n != 0;
    int fds[2];
    memcpy(fds, CMSG_DATA(header), sizeof fds);
    if (n == (ssize_t)sizeof request && request.magic == MAGIC_REQUEST &&
        request.name_len <= NAME_MOST)
        begin(helper, &request, fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
    return true;
}

static void say_ready(enum err e, const struct why *why)
{
    struct look_ready ready;
    memset(&ready, 0, sizeof ready);
    ready.e = e;
    if (e != OK)
        ready.why = *why;
    if (send(SOCKET, &ready, sizeof ready, MSG_NOSIGNAL) != (ssize_t)sizeof ready || e != OK)
        _exit(1);
}

// Of the server's descriptors only our end of the socket and the log remain.
static void keep_only(int socket)
{
    if (socket != SOCKET && dup2(socket, SOCKET) != SOCKET)
        _exit(1);
    close_range(SOCKET + 1, ~0U, 0);
}

_Noreturn void helper_run(const struct inspector_options *options, int socket)
{
    struct helper helper = {.options = options};
    struct why why = {""};
    keep_only(socket);
    prctl(PR_SET_NAME, "firedoor-look");
    must(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
    // who stops the service signals all of its processes; this one ends when the server has
    static const int others[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        must(sigaction(others[i], &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
    setlocale(LC_CTYPE, "C.UTF-8"); // NOLINT(concurrency-mt-unsafe): one thread
    enum err e = lookers_new(options, &helper.lookers, &why);
    if (e == OK && options->confine != NULL)
        e = options->confine(options->context, false, &why);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // after the change of user, which forgets it
    say_ready(e, &why);
    unsigned most =
        options->at_once > 0 && options->at_once < AT_ONCE_MOST ? options->at_once : AT_ONCE_MOST;
    for (;;) {
        struct pollfd poll_of = {.fd = helper.n < most ? SOCKET : -1, .events = POLLIN};
        int ready = poll(&poll_of, 1, helper.n > 0 ? LOOK_MS : -1);
        reap(&helper);
        if (ready > 0 && !take_request(&helper))
            break;
    }
    for (size_t i = 0; i < AT_ONCE_MOST; i++)
        if (helper.children[i].pid != 0)
            kill(helper.children[i].pid, SIGKILL);
    _exit(0);
}

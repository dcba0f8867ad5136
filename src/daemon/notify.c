#include "daemon/notify.h"

#include "base/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int64_t watchdog_interval(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID"); // NOLINT: one thread
    uint64_t interval, whom;
    if (usec == NULL || str_to_u64(str_of(usec), 1, INT64_MAX, &interval) != OK)
        return 0;
    if (pid != NULL &&
        (str_to_u64(str_of(pid), 1, INT32_MAX, &whom) != OK || whom != (uint64_t)getpid()))
        return 0;
    return (int64_t)interval;
}

void notify_open(struct notify *notify)
{
    *notify = (struct notify){.fd = -1};
    const char *path = getenv("NOTIFY_SOCKET"); // NOLINT: one thread
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || path[1] == '\0' ||
        str_to_z(str_of(path), to.sun_path, sizeof to.sun_path) != OK)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        to.sun_path[0] = '\0'; // the abstract namespace
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    // connected now, because later the path is out of reach
    if (connect(fd, (struct sockaddr *)&to, len) != 0) {
        close(fd);
        return;
    }
    notify->fd = fd;
    notify->watchdog_us = watchdog_interval();
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void notify_say(const struct notify *notify, const char *state)
{
    // a manager that does not listen must not stop the service
    if (notify->fd >= 0)
        (void)!send(notify->fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void notify_reloading(const struct notify *notify)
{
    char state[96];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_now_us());
    notify_say(notify, state);
}

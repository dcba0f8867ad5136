/*
 * Talking to the service manager: readiness, status, the watchdog.
 *
 * The protocol of sd_notify(3) by hand: libsystemd would bring compressors along.
 * Without a service manager every call does nothing.  Descriptors that come from
 * it are net/listener.h's listener_inherited().
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct notify {
    int fd;              // -1: nobody listens
    int64_t watchdog_us; // how often the manager wants to hear from us; 0: never
};

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC.  Before the process is confined. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

/* state: "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…", several by newlines. */
void notify_say(const struct notify *notify, const char *state);
/* Says RELOADING=1 with the time that Type=notify-reload wants. */
void notify_reloading(const struct notify *notify);

#endif

/*
 * From root to nobody in particular.
 *
 * Started as root, the daemon binds, reads its keys, makes its directories, and
 * then becomes its own user without any capability.  Started as somebody else it
 * stays who it is, and loses whatever capability it may have been given.
 */
#ifndef DAEMON_PRIVILEGES_H
#define DAEMON_PRIVILEGES_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <sys/types.h>

struct identity {
    uid_t uid;
    gid_t gid;
    bool changes; // we are root and will become it
};

/* Who the process will be.  ERR_MISSING when root would become a user that does not exist. */
enum err identity_find(struct str user, struct identity *out, struct why *why) MUST_CHECK;

/* Makes the directory, and those above it, where absent (mode 0750); gives a new one, or any when
 * own is set, to the identity.  path is terminated. */
enum err directory_prepare(struct str path, bool own, const struct identity *identity,
                           struct why *why) MUST_CHECK;
/* The same for the directory that path stands in, which stays whose it is when it exists. */
enum err directory_prepare_for(struct str path, const struct identity *identity,
                               struct why *why) MUST_CHECK;
/* Gives an existing file to the identity, when that is another than ours. */
enum err file_give(struct str path, const struct identity *identity, struct why *why) MUST_CHECK;

/* Changes groups, group and user, drops every capability, sets no_new_privs.  Before other threads
 * are started.  There is no way back. */
enum err privileges_drop(const struct identity *identity, struct why *why) MUST_CHECK;

#endif

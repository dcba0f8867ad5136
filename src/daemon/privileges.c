#include "daemon/privileges.h"

#include "base/arena.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum err identity_find(struct str user, struct identity *out, struct why *why)
{
    if (geteuid() != 0) {
        *out = (struct identity){.uid = geteuid(), .gid = getegid()};
        return OK;
    }
    struct passwd entry, *found = NULL;
    char room[16384];
    int error = getpwnam_r(user.at, &entry, room, sizeof room, &found);
    if (found == NULL)
        return why_say(why, ERR_MISSING,
                       "server.run_as: there is no user \"%.*s\"%s%s; make one (adduser --system "
                       "--group %.*s) or name another",
                       STR_ARGS(user), error != 0 ? ": " : "", error != 0 ? strerror(error) : "",
                       STR_ARGS(user));
    *out = (struct identity){.uid = entry.pw_uid, .gid = entry.pw_gid, .changes = true};
    return OK;
}

static enum err make_one(const char *path, bool own, const struct identity *identity,
                         struct why *why)
{
    bool made = mkdir(path, 0750) == 0;
    if (!made && errno != EEXIST)
        return why_say(why, ERR_IO, "directory %s: %s", path, strerror(errno));
    if (identity->changes && (made || own) && lchown(path, identity->uid, identity->gid) != 0)
        return why_say(why, ERR_IO, "directory %s: %s", path, strerror(errno));
    return OK;
}

enum err directory_prepare(struct str path, bool own, const struct identity *identity,
                           struct why *why)
{
    struct arena arena;
    arena_init(&arena, 16384);
    enum err e = OK;
    for (size_t i = 1; i <= path.len && e == OK; i++) {
        if (i < path.len && path.at[i] != '/')
            continue;
        struct stat stat_of;
        struct str part =
            arena_fits(&arena, 2 * i) ? arena_str(&arena, str_first(path, i)) : STR_EMPTY;
        bool last = i == path.len;
        if (part.len == 0)
            e = why_say(why, ERR_LIMIT, "directory %.*s: the path is too long", STR_ARGS(path));
        else if (last || stat(part.at, &stat_of) != 0)
            e = make_one(part.at, own && last, identity, why);
    }
    arena_done(&arena);
    return e;
}

enum err directory_prepare_for(struct str path, const struct identity *identity, struct why *why)
{
    size_t slash = path.len;
    while (slash > 0 && path.at[slash - 1] != '/')
        slash--;
    if (slash < 2) // the root or the current directory: there already
        return OK;
    return directory_prepare(str_first(path, slash - 1), false, identity, why);
}

enum err file_give(struct str path, const struct identity *identity, struct why *why)
{
    if (identity->changes && lchown(path.at, identity->uid, identity->gid) != 0)
        return why_say(why, ERR_IO, "%s: %s", path.at, strerror(errno));
    return OK;
}

enum err privileges_drop(const struct identity *identity, struct why *why)
{
    // the bounding set can be cleared by who has the right; some containers withhold it
    capng_get_caps_process();
    bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
    capng_clear(CAPNG_SELECT_BOTH);
    if (identity->changes) {
        int failed = capng_change_id((int)identity->uid, (int)identity->gid,
                                     CAPNG_DROP_SUPP_GRP | (may_bound ? CAPNG_CLEAR_BOUNDING : 0));
        if (failed != 0)
            return why_say(why, ERR_DENIED, "becoming user %u: %s (step %d)", identity->uid,
                           strerror(errno), failed);
    } else if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
        return why_say(why, ERR_DENIED, "dropping capabilities: %s", strerror(errno));
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return why_say(why, ERR_DENIED, "no_new_privs: %s", strerror(errno));
    if (identity->uid != 0 && (setuid(0) == 0 || getegid() != identity->gid))
        return why_say(why, ERR_DENIED, "privileges could be regained");
    return OK;
}

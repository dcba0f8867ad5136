#include "daemon/control.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/must.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LINE_MOST = 1 << 20,
    OUT_MOST = 64 << 20, // as much as firedoorctl takes in one line
    ANSWER_MOST = OUT_MOST - (1 << 20),
    DOORS_MOST = 64, // connections at once: operators, not the public
    GROUPS_MOST = 64,
};

struct control {
    int fd;
    struct sockaddr_un address;
    uid_t own;
    gid_t group; // (gid_t)-1: none
    struct loop *loop;
    struct commands *commands;
    struct watch *watch;
    struct list doors;
    size_t n_doors;
};

// One connection.
struct door {
    struct link link;
    struct control *control;
    int fd;
    struct watch *watch;
    struct buf in, out;
    char who[32];
    struct command_call *call; // under way
    bool data_over;            // its last data has come
    bool paused, dead;
    bool last_words;    // the peer writes no more, and has an answer to read
    bool busy;          // inside take_lines, which must not be entered twice
    struct chore chore; // at the end of the turn: what could not be done inside a callback
};

static void door_free(struct door *door)
{
    if (door->call != NULL)
        command_cancel(TAKE(door->call));
    loop_chore_cancel(&door->chore);
    if (door->watch != NULL)
        watch_free(&door->watch);
    close(door->fd);
    list_leave(&door->link);
    door->control->n_doors--;
    buf_done(&door->in);
    buf_done(&door->out);
    free(door);
}

/* ---- out ---- */

static void look_again(struct door *door)
{
    loop_at_end(door->control->loop, TURN_GATHER, &door->chore);
}

static void flush(struct door *door)
{
    while (door->out.len > 0 && !door->dead) {
        ssize_t n = send(door->fd, door->out.at, door->out.len, MSG_NOSIGNAL);
        if (n > 0)
            buf_drop(&door->out, (size_t)n);
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        else
            door->dead = true;
    }
    if (door->last_words && door->out.len == 0)
        door->dead = true;
    watch_change(door->watch, (door->paused || door->last_words ? 0 : WATCH_READ) |
                                  (door->out.len > 0 ? WATCH_WRITE : 0));
    if (door->dead)
        look_again(door);
}

static void say(struct door *door, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    must(text != NULL);
    if (strlen(text) >= ANSWER_MOST) { // not cut off: whoever asked shall know why
        free(text);
        text = strdup("{\"ok\":false,\"error\":\"limit\",\"message\":\"the answer is too long; ask "
                      "for less\"}");
        must(text != NULL);
    }
    buf_add(&door->out, str_of(text));
    buf_add_char(&door->out, '\n');
    free(text);
    json_decref(line);
    if (door->out.overflowed) // a reader that stopped reading
        door->dead = true;
    flush(door);
}

/* ---- the face of the command layer ---- */

static void on_begun(struct command_call *call)
{
    struct door *door = call->face_data;
    door->call = call;
    door->data_over = (call->command->flags & COMMAND_READS) == 0;
}

static void on_progress(struct command_call *call, const json_t *what)
{
    say(call->face_data, json_pack("{s:O}", "progress", what));
}

static void on_data(struct command_call *call, struct str bytes)
{
    // in pieces that stay well below the longest line
    enum { PIECE = 48 << 10 };
    while (bytes.len > 0) {
        struct str piece = str_first(bytes, bytes.len < PIECE ? bytes.len : PIECE);
        struct arena arena;
        arena_init(&arena, 1 << 20);
        say(call->face_data, json_pack("{s:o}", "data", json_of(base64_encode(&arena, piece))));
        arena_done(&arena);
        bytes = str_skip(bytes, piece.len);
    }
}

static size_t on_waiting(const struct command_call *call)
{
    const struct door *door = call->face_data;
    return door != NULL ? door->out.len : 0;
}

static void on_pause(struct command_call *call, bool paused)
{
    struct door *door = call->face_data;
    if (door == NULL || door->paused == paused)
        return;
    door->paused = paused;
    flush(door);
    if (!paused)
        look_again(door);
}

static void on_answer(struct command_call *call, enum err e, const json_t *result,
                      struct str message)
{
    struct door *door = call->face_data;
    json_t *line = json_pack("{s:b}", "ok", e == OK);
    if (e != OK) {
        json_object_set_new(line, "error", json_string(err_name(e)));
        json_object_set_new(line, "message", json_of(message));
    }
    if (result != NULL)
        json_object_set(line, "result", (json_t *)result);
    door->call = NULL;
    door->paused = false;
    say(door, line);
    look_again(door);
}

static const struct command_face face = {
    .begun = on_begun,
    .progress = on_progress,
    .data = on_data,
    .answer = on_answer,
    .waiting = on_waiting,
    .pause = on_pause,
};

/* ---- in ---- */

static void refuse_line(struct door *door, const char *message)
{
    say(door, json_pack("{s:b, s:s, s:s}", "ok", 0, "error", "malformed", "message", message));
}

static void take_request(struct door *door, const json_t *line)
{
    const json_t *name = json_object_get(line, "command");
    const json_t *arguments = json_object_get(line, "arguments");
    if (!json_is_string(name) || (arguments != NULL && !json_is_object(arguments))) {
        refuse_line(door, "{\"command\": \"…\", \"arguments\": {…}} is needed");
        return;
    }
    // whoever passes the kernel's check of credentials is an operator
    struct actor actor = {.name = str_of(door->who), .role = ROLE_OPERATOR};
    command_run(door->control->commands,
                str_make(json_string_value(name), json_string_length(name)), arguments, &actor,
                &face, door);
}

static void take_data(struct door *door, const json_t *line)
{
    const json_t *data = json_object_get(line, "data");
    bool end = json_is_true(json_object_get(line, "end"));
    struct str bytes = STR_EMPTY;
    struct arena arena;
    arena_init(&arena, 4 << 20);
    if (!json_is_string(data) ||
        base64_decode(&arena, str_make(json_string_value(data), json_string_length(data)),
                      LINE_MOST, &bytes) != OK) {
        door->dead = true;
        look_again(door);
    } else if (door->call->on_data != NULL) {
        door->data_over = end;
        door->call->on_data(door->call, bytes, end);
    }
    arena_done(&arena);
}

static void take_line(struct door *door, struct str text)
{
    json_error_t error;
    json_t *line = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json_is_object(line))
        refuse_line(door, "a line is a JSON object");
    else if (door->call != NULL)
        take_data(door, line);
    else if (json_object_get(line, "data") != NULL)
        ; // was on its way when its command had failed already
    else
        take_request(door, line);
    json_decref(line);
}

// Takes complete lines while there is somebody to take them.
static void take_lines(struct door *door)
{
    if (door->busy)
        return;
    door->busy = true;
    size_t begun = 0;
    while (!door->dead && !door->paused && (door->call == NULL || !door->data_over)) {
        struct str rest = str_skip(buf_str(&door->in), begun);
        size_t end = str_find_char(rest, '\n');
        if (end == rest.len)
            break;
        begun += end + 1;
        if (end > 0)
            take_line(door, str_first(rest, end));
    }
    buf_drop(&door->in, begun);
    if (door->in.len >= LINE_MOST && str_find_char(buf_str(&door->in), '\n') == door->in.len)
        door->dead = true;
    buf_release(&door->in);
    door->busy = false;
    if (door->dead)
        look_again(door);
}

static void at_end_of_turn(struct chore *chore)
{
    struct door *door = CONTAINER_OF(chore, struct door, chore);
    if (!door->dead)
        take_lines(door);
    if (door->dead)
        door_free(door);
}

static void on_ready(void *context, int events)
{
    struct door *door = context;
    if ((events & WATCH_WRITE) != 0) {
        flush(door);
        if (door->out.len == 0 && door->call != NULL && door->call->on_drained != NULL)
            door->call->on_drained(door->call);
    }
    if ((events & WATCH_READ) != 0 && !door->paused && !door->dead) {
        // a command that is busy leaves its data in the kernel: at most one line waits here
        char *at = buf_reserve(&door->in, 65536);
        ssize_t n = at != NULL ? recv(door->fd, at, 65536, 0) : 0;
        if (n > 0)
            door->in.len += (size_t)n;
        else if (n == 0 && door->out.len > 0 && door->call == NULL)
            door->last_words = true;
        else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            door->dead = true;
        take_lines(door);
    }
    if (door->dead)
        look_again(door);
}

/* ---- who may come in ---- */

static bool is_allowed(const struct control *control, int fd, char who[32])
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
        return false;
    if (peer.uid == 0)
        snprintf(who, 32, "root");
    else
        snprintf(who, 32, "uid:%u", peer.uid);
    if (peer.uid == 0 || peer.uid == control->own)
        return true;
    if (control->group == (gid_t)-1)
        return false;
    gid_t groups[GROUPS_MOST];
    len = sizeof groups;
    size_t n =
        getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0 ? len / sizeof *groups : 0;
    for (size_t i = 0; i < n; i++)
        if (groups[i] == control->group)
            return true;
    return peer.gid == control->group;
}

static void door_open(struct control *control, int fd)
{
    char who[32];
    if (!is_allowed(control, fd, who) || control->n_doors == DOORS_MOST) {
        log_event(LOG_WARNING, "control-refused", "who=%s", who);
        close(fd);
        return;
    }
    struct door *door = calloc(1, sizeof *door);
    must(door != NULL);
    door->control = control;
    door->fd = fd;
    door->chore.run = at_end_of_turn;
    snprintf(door->who, sizeof door->who, "%s", who);
    buf_init(&door->in, LINE_MOST + 65536);
    buf_init(&door->out, OUT_MOST);
    list_add_last(&control->doors, &door->link);
    control->n_doors++;
    if (loop_watch(control->loop, fd, WATCH_READ, on_ready, door, &door->watch) != OK)
        door_free(door);
}

static void on_knock(void *context, int events)
{
    struct control *control = context;
    for (;;) {
        int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        door_open(control, fd);
    }
}

/* ---- life ---- */

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    if (fd >= 0)
        close(fd);
    return answers;
}

static enum err find_group(struct str name, gid_t *out, struct why *why)
{
    struct group entry, *found = NULL;
    char room[65536];
    *out = (gid_t)-1;
    if (name.len == 0)
        return OK;
    getgrnam_r(name.at, &entry, room, sizeof room, &found);
    if (found == NULL)
        return why_say(why, ERR_MISSING, "control.group: there is no group \"%.*s\"",
                       STR_ARGS(name));
    *out = entry.gr_gid;
    return OK;
}

static enum err bind_socket(struct control *control, const struct identity *identity,
                            struct why *why)
{
    const char *path = control->address.sun_path;
    if (somebody_answers(&control->address))
        return why_say(why, ERR_BUSY, "control socket %s: another server answers there", path);
    unlink(path);
    mode_t mask = umask(0117); // for the owner and the group, from its first moment
    int failed = bind(control->fd, (struct sockaddr *)&control->address, sizeof control->address);
    int error = errno;
    umask(mask);
    if (failed != 0)
        return why_say(why, ERR_IO, "control socket %s: %s", path, strerror(error));
    gid_t group = control->group != (gid_t)-1 ? control->group : identity->gid;
    if (identity->changes || control->group != (gid_t)-1)
        if (lchown(path, identity->uid, group) != 0)
            return why_say(why, ERR_IO, "control socket %s: %s", path, strerror(errno));
    if (listen(control->fd, 16) != 0)
        return why_say(why, ERR_IO, "control socket %s: %s", path, strerror(errno));
    return OK;
}

enum err control_bind(struct str path, struct str group, const struct identity *identity,
                      struct control **out, struct why *why)
{
    struct control *control = calloc(1, sizeof *control);
    must(control != NULL);
    list_init(&control->doors);
    control->own = identity->uid;
    control->address.sun_family = AF_UNIX;
    control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum err e = OK;
    if (control->fd < 0)
        e = why_say(why, ERR_IO, "control socket: %s", strerror(errno));
    if (e == OK)
        e = str_to_z(path, control->address.sun_path, sizeof control->address.sun_path);
    if (e == OK)
        e = find_group(group, &control->group, why);
    if (e == OK)
        e = bind_socket(control, identity, why);
    if (e != OK) {
        if (control->fd >= 0)
            close(control->fd);
        free(control);
        return e;
    }
    *out = control;
    return OK;
}

enum err control_serve(struct control *control, struct loop *loop, struct commands *commands,
                       struct why *why)
{
    control->loop = loop;
    control->commands = commands;
    enum err e = loop_watch(loop, control->fd, WATCH_READ, on_knock, control, &control->watch);
    return e == OK ? OK : why_say(why, e, "control socket: %s", err_name(e));
}

void control_free(struct control **control)
{
    struct control *c = *control;
    if (c == NULL)
        return;
    *control = NULL;
    LIST_EACH(&c->doors, struct door, link, door)
    door_free(door);
    if (c->watch != NULL)
        watch_free(&c->watch);
    unlink(c->address.sun_path);
    close(c->fd);
    free(c);
}

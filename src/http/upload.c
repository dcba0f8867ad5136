#include "http/upload.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/uploads.h"
#include "net/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct upload_door {
    struct upload_door_options options;
    struct arena arena; // of the origins
    struct http_cross cross;
};

/* ---- What is given out ---- */

struct str upload_shown_type(struct str type)
{
    // what browsers show without running anything; SVG, HTML and PDF are none of these
    static const char *const harmless[] = {
        "image/png",  "image/jpeg", "image/gif", "image/webp",      "image/avif", "image/bmp",
        "audio/mpeg", "audio/ogg",  "audio/mp4", "audio/x-m4a",     "audio/flac", "audio/x-wav",
        "video/mp4",  "video/webm", "video/ogg", "video/quicktime",
    };
    for (size_t i = 0; i < COUNT_OF(harmless); i++)
        if (str_eq(type, str_of(harmless[i])))
            return str_of(harmless[i]);
    if (str_eq(type, STR("text/plain")))
        return STR("text/plain; charset=utf-8");
    return STR("application/octet-stream");
}

bool upload_range(struct str field, uint64_t size, uint64_t *first, uint64_t *last, bool *whole)
{
    *whole = true;
    // RFC 9110 14.2: a unit that is not known, or a field that is none, is as if it did not come;
    // several ranges may be answered with everything
    if (!str_starts(field, STR("bytes=")) || str_find_char(field, ',') < field.len)
        return false;
    struct str to = str_skip(field, 6), from = str_cut(&to, '-');
    if (to.at == NULL)
        return false;
    uint64_t a = 0, b = 0;
    bool has_from = from.len > 0, has_to = to.len > 0;
    if ((!has_from && !has_to) || (has_from && str_to_u64(from, 0, INT64_MAX, &a) != OK) ||
        (has_to && str_to_u64(to, 0, INT64_MAX, &b) != OK) || (has_from && has_to && b < a))
        return false;
    *whole = false;
    if (has_from ? a >= size : b == 0 || size == 0)
        return false;
    *first = has_from ? a : b >= size ? 0 : size - b;
    *last = has_from && has_to && b < size - 1 ? b : size - 1;
    return true;
}

// RFC 6266, RFC 8187: the name in ASCII, and whole.
static struct str disposition(struct arena *arena, struct str name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *ascii = arena_alloc(arena, name.len + 1), *whole = arena_alloc(arena, 3 * name.len + 1);
    size_t n = 0, m = 0;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_';
        ascii[n++] = plain || c == ' ' ? (char)c : '_';
        if (plain) {
            whole[m++] = (char)c;
        } else {
            whole[m++] = '%';
            whole[m++] = digits[c >> 4];
            whole[m++] = digits[c & 15];
        }
    }
    return arena_printf(arena, "attachment; filename=\"%.*s\"; filename*=UTF-8''%.*s", (int)n,
                        ascii, (int)m, whole);
}

// Nothing of a file may be kept where a conviction does not reach; and whoever shows it asks again.
static size_t fields_of(struct arena *arena, const struct upload *upload, struct http_field *fields)
{
    char hex[2 * STORE_DIGEST_SIZE + 1];
    for (size_t i = 0; i < sizeof upload->digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", upload->digest[i]);
    fields[0] =
        (struct http_field){STR("Content-Disposition"), disposition(arena, str_of(upload->name))};
    fields[1] = (struct http_field){STR("Cache-Control"), STR("private, no-cache")};
    fields[2] = (struct http_field){STR("Accept-Ranges"), STR("bytes")};
    fields[3] = (struct http_field){STR("ETag"), arena_printf(arena, "\"%s\"", hex)};
    return 4;
}

/* ---- One fetch ---- */

struct fetch {
    struct job job;
    struct http_exchange *exchange; // NULL: it is gone
    struct http *http;
    struct uploads *uploads;
    struct loop *loop;
    bool busy;  // the job is with the kitchen
    bool begun; // the head has gone out
    int fd;     // -1: not open
    int64_t owner;
    char id[RANDOM_ID_SIZE + 1];
    struct http_answer answer; // its fields live in the exchange's arena
    uint64_t at, left, length;
    ssize_t got; // of the last read; -1: it failed
    char piece[HTTP_PIECE];
};

static void fetch_free(struct fetch *fetch)
{
    if (fetch->fd >= 0)
        close(fetch->fd);
    http_work_ends(fetch->http);
    free(fetch);
}

static void fetch_read(struct job *job)
{
    struct fetch *fetch = CONTAINER_OF(job, struct fetch, job);
    size_t wanted = fetch->left < sizeof fetch->piece ? (size_t)fetch->left : sizeof fetch->piece;
    if (fetch->fd < 0)
        fetch->fd = uploads_open_file(fetch->uploads, fetch->id);
    fetch->got = -1;
    if (fetch->fd >= 0)
        do
            fetch->got = pread(fetch->fd, fetch->piece, wanted, (off_t)fetch->at);
        while (fetch->got < 0 && errno == EINTR);
}

static void fetch_order(struct fetch *fetch);

static void fetch_has_read(struct job *job)
{
    struct fetch *fetch = CONTAINER_OF(job, struct fetch, job);
    struct http_exchange *exchange = fetch->exchange;
    fetch->busy = false;
    if (exchange == NULL) {
        fetch_free(fetch);
        return;
    }
    if (fetch->got <= 0) { // the file is shorter than its row, or gone
        log_event(LOG_ERROR, "upload-unreadable", "number=%lld", (long long)fetch->owner);
        if (fetch->begun)
            http_abort(exchange);
        else
            http_refuse(exchange, 500);
        return;
    }
    if (!fetch->begun)
        http_begin(exchange, &fetch->answer, fetch->length);
    fetch->begun = true;
    struct str bytes = str_make(fetch->piece, (size_t)fetch->got);
    fetch->at += bytes.len;
    fetch->left -= bytes.len;
    bool over = fetch->left == 0;
    http_write(exchange, bytes); // after the last byte the exchange may be gone
    if (!over)
        http_want_room(exchange);
}

static void fetch_order(struct fetch *fetch)
{
    fetch->job = (struct job){.run = fetch_read, .done = fetch_has_read};
    fetch->busy = uploads_order(fetch->uploads, &fetch->job, fetch->loop) == OK;
    if (fetch->busy)
        return;
    if (fetch->begun)
        http_abort(fetch->exchange);
    else
        http_refuse(fetch->exchange, 503);
}

static void fetch_has_room(struct http_exchange *exchange)
{
    struct fetch *fetch = http_data(exchange);
    if (fetch->busy || fetch->left == 0)
        return;
    // convicted or deleted since the last piece: nobody gets the rest
    struct upload upload;
    bool found = uploads_find(fetch->uploads, str_of(fetch->id), &upload);
    if (found && !upload.convicted) {
        fetch_order(fetch);
        return;
    }
    if (found)
        uploads_withheld(fetch->uploads);
    http_abort(exchange);
}

static void fetch_ends(struct http_exchange *exchange, bool answered)
{
    struct fetch *fetch = http_data(exchange);
    if (answered)
        uploads_served(fetch->uploads, fetch->length);
    fetch->exchange = NULL;
    if (!fetch->busy)
        fetch_free(fetch);
}

static void send_file(struct http_exchange *exchange, const struct upload_door *door,
                      const struct upload *upload, const struct http_answer *answer, uint64_t first,
                      uint64_t length)
{
    static const struct http_calls calls = {.on_room = fetch_has_room, .on_end = fetch_ends};
    struct fetch *fetch = calloc(1, sizeof *fetch);
    must(fetch != NULL);
    fetch->exchange = exchange;
    fetch->http = http_of(exchange);
    fetch->uploads = door->options.uploads;
    fetch->loop = worker_loop(http_worker(exchange));
    fetch->fd = -1;
    fetch->at = first;
    fetch->left = fetch->length = length;
    memcpy(fetch->id, upload->id, sizeof fetch->id);
    fetch->owner = upload->owner;
    fetch->answer = *answer;
    http_work_begins(fetch->http);
    http_set_calls(exchange, &calls, fetch);
    if (http_head(exchange)->method == HTTP_HEAD)
        http_begin(exchange, answer, length);
    else
        fetch_order(fetch);
}

// RFC 9110 13.1: "*", or a list of tags; a weak one (W/) is the same only where that is said.
static bool names_tag(struct str field, struct str tag, bool weakly)
{
    if (str_eq(str_trim(field), STR("*")))
        return true;
    while (field.at != NULL) {
        struct str one = str_trim(str_cut(&field, ','));
        if (weakly && str_starts(one, STR("W/")))
            one = str_skip(one, 2);
        if (str_eq(one, tag))
            return true;
    }
    return false;
}

// RFC 9110 13.2.2, in this order.  0: the file is to be sent.
static unsigned condition_of(const struct http_head *head, struct str tag)
{
    struct str wanted = http_head_field(head, STR("If-Match"));
    struct str known = http_head_field(head, STR("If-None-Match"));
    if (wanted.at != NULL && !names_tag(wanted, tag, false))
        return 412;
    return known.at != NULL && names_tag(known, tag, true) ? 304 : 0;
}

static void get(struct http_exchange *exchange, const struct upload_door *door, struct str id)
{
    const struct http_head *head = http_head(exchange);
    struct arena *arena = http_arena(exchange);
    struct upload upload;
    struct http_field *fields = arena_make_array(arena, struct http_field, 5);
    if (!uploads_find(door->options.uploads, id, &upload)) {
        http_refuse(exchange, 404);
        return;
    }
    if (upload.convicted) {
        uploads_withheld(door->options.uploads);
        http_say(
            exchange, 410,
            "This file is not given out: it is part of an attack that is being stopped. If you "
            "have opened it before, please call your help desk now.");
        return;
    }
    struct http_answer answer = {.status = 200,
                                 .type = upload_shown_type(str_of(upload.type)),
                                 .fields = fields,
                                 .n_fields = fields_of(arena, &upload, fields)};
    struct str tag = fields[3].value;
    answer.status = condition_of(head, tag);
    if (answer.status != 0) {
        answer.type = STR_EMPTY;
        http_answer(exchange, &answer, STR_EMPTY);
        return;
    }
    answer.status = 200;
    uint64_t first = 0, last = upload.size - 1;
    struct str range = http_head_field(head, STR("Range"));
    struct str if_range = http_head_field(head, STR("If-Range"));
    bool whole = true;
    // RFC 9110 14.2: a range is of GET alone
    if (range.at != NULL && head->method == HTTP_GET &&
        (if_range.at == NULL || str_eq(if_range, tag))) {
        bool part = upload_range(range, upload.size, &first, &last, &whole);
        if (!part && !whole) {
            fields[answer.n_fields++] = (struct http_field){
                STR("Content-Range"), arena_printf(arena, "bytes */%" PRIu64, upload.size)};
            answer.status = 416;
            answer.type = STR_EMPTY;
            http_answer(exchange, &answer, STR_EMPTY);
            return;
        }
        if (part) {
            answer.status = 206;
            fields[answer.n_fields++] = (struct http_field){
                STR("Content-Range"), arena_printf(arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                                                   first, last, upload.size)};
        }
    }
    send_file(exchange, door, &upload, &answer, first, last - first + 1);
}

/* ---- One put ---- */

enum step { STEP_BEGIN, STEP_WRITE, STEP_END, STEP_DROP };

struct putting {
    struct job job;
    struct http_exchange *exchange; // NULL: it is gone
    struct http *http;
    struct uploads *uploads;
    struct loop *loop;
    enum step step; // what the job does
    bool busy;      // the job is with the kitchen
    bool complete;  // the body is whole
    char slot[RANDOM_ID_SIZE + 1];
    uint64_t size;
    struct upload_put *put;
    enum err e;
    enum upload_end end;
    uint32_t marks; // of enum upload_flags: what was found in it
    size_t n;       // of the piece
    char piece[HTTP_PIECE];
};

static void put_order(struct putting *putting, enum step step);

static void put_free(struct putting *putting)
{
    http_work_ends(putting->http);
    free(putting);
}

static void put_end(struct putting *putting)
{
    struct upload about;
    putting->end = uploads_end(putting->put, &about);
    putting->marks = about.flags;
}

static void put_run(struct job *job)
{
    struct putting *putting = CONTAINER_OF(job, struct putting, job);
    switch (putting->step) {
    case STEP_BEGIN:
        putting->e =
            uploads_begin(putting->uploads, str_of(putting->slot), putting->size, &putting->put);
        break;
    case STEP_WRITE:
        putting->e = uploads_write(putting->put, str_make(putting->piece, putting->n));
        break;
    case STEP_END:
        put_end(putting);
        upload_put_free(&putting->put);
        break;
    case STEP_DROP:
        upload_put_free(&putting->put);
        break;
    }
}

static unsigned status_of(enum err e)
{
    switch (e) {
    case ERR_MISSING:
        return 404;
    case ERR_MALFORMED: // XEP-0363 section 6: not the size that was granted
    case ERR_LIMIT:
        return 413;
    case ERR_FULL:
        return 507;
    default:
        return 500;
    }
}

// Few clients show it, and whoever asks why a file weighs can be told to look.
static void say_stored(struct http_exchange *exchange, uint32_t marks)
{
    if ((marks & UPLOAD_NESTED) != 0)
        http_say(exchange, 201,
                 "This file was taken, but an archive in it could not be looked into.");
    else
        http_answer(exchange, &(struct http_answer){.status = 201}, STR_EMPTY);
}

static void say_end(struct http_exchange *exchange, enum upload_end end, uint32_t marks)
{
    switch (end) {
    case END_STORED:
        say_stored(exchange, marks);
        break;
    case END_CONVICTED:
    case END_FOUND:
        http_say(exchange, 403, "This file is part of an attack, or a virus was found in it.");
        break;
    case END_PROGRAM:
        http_say(exchange, 403, "Programs are not taken here, or not behind such a name.");
        break;
    case END_UNREAD:
        http_say(exchange, 415, "This file could not be looked into.");
        break;
    case END_LARGE:
        http_say(exchange, 413, "This file is too large to be scanned.");
        break;
    case END_AWAY:
        http_say(exchange, 503, "Files cannot be scanned at present. Try again later.");
        break;
    case END_FULL:
        http_say(exchange, 507, "There is no room for this file at present.");
        break;
    case END_SHORT:
        http_refuse(exchange, 400);
        break;
    case END_FAILED:
        http_refuse(exchange, 500);
        break;
    }
}

// Goes on after a step; without an exchange only to the end.
static void put_has_run(struct job *job)
{
    struct putting *putting = CONTAINER_OF(job, struct putting, job);
    struct http_exchange *exchange = putting->exchange;
    putting->busy = false;
    if (exchange == NULL && putting->put != NULL) {
        put_order(putting, STEP_DROP);
        return;
    }
    if (exchange == NULL) {
        put_free(putting);
        return;
    }
    if (putting->step == STEP_END) {
        say_end(exchange, putting->end, putting->marks);
        return;
    }
    if (putting->e != OK) {
        http_refuse(exchange, status_of(putting->e));
        return;
    }
    putting->n = 0;
    if (putting->complete)
        put_order(putting, STEP_END);
    else
        http_resume(exchange);
}

static void put_order(struct putting *putting, enum step step)
{
    putting->step = step;
    putting->job = (struct job){.run = put_run, .done = put_has_run};
    enum err e = step == STEP_END
                     ? uploads_order_slow(putting->uploads, &putting->job, putting->loop)
                     : uploads_order(putting->uploads, &putting->job, putting->loop);
    putting->busy = e == OK;
    if (putting->busy)
        return;
    if (putting->exchange != NULL) {
        http_refuse(putting->exchange,
                    503); // its end comes back here, if there is something to drop
        return;
    }
    // nobody has time for it: one file less to remove is worth a short wait
    upload_put_free(&putting->put);
    put_free(putting);
}

static size_t put_body(struct http_exchange *exchange, struct str bytes)
{
    struct putting *putting = http_data(exchange);
    if (putting->busy)
        return 0;
    size_t n = bytes.len < sizeof putting->piece ? bytes.len : sizeof putting->piece;
    memcpy(putting->piece, bytes.at, n);
    putting->n = n;
    put_order(putting, STEP_WRITE);
    return n;
}

static void put_complete(struct http_exchange *exchange)
{
    struct putting *putting = http_data(exchange);
    putting->complete = true;
    if (!putting->busy)
        put_order(putting, STEP_END);
}

static void put_ends(struct http_exchange *exchange, bool answered)
{
    struct putting *putting = http_data(exchange);
    (void)answered;
    putting->exchange = NULL;
    if (putting->busy)
        return;
    if (putting->put != NULL)
        put_order(putting, STEP_DROP);
    else
        put_free(putting);
}

static void put(struct http_exchange *exchange, const struct upload_door *door, struct str slot)
{
    static const struct http_calls calls = {
        .on_body = put_body, .on_complete = put_complete, .on_end = put_ends};
    const struct http_head *head = http_head(exchange);
    struct putting *putting = calloc(1, sizeof *putting);
    must(putting != NULL);
    if (!head->has_length || str_to_z(slot, putting->slot, sizeof putting->slot) != OK) {
        free(putting);
        http_refuse(exchange, head->has_length ? 404 : 411);
        return;
    }
    putting->exchange = exchange;
    putting->http = http_of(exchange);
    putting->uploads = door->options.uploads;
    putting->loop = worker_loop(http_worker(exchange));
    putting->size = head->body_bytes;
    http_work_begins(putting->http);
    http_set_calls(exchange, &calls, putting);
    put_order(putting, STEP_BEGIN);
}

/* ---- The door ---- */

static void begin(struct http_exchange *exchange, void *context)
{
    const struct upload_door *door = context;
    struct str rest = http_rest(exchange);
    struct str id = str_cut(&rest, '/');
    // one name behind the id, whatever it is: what counts is what the row says
    if (rest.at == NULL || rest.len == 0 || str_find_char(rest, '/') < rest.len)
        http_refuse(exchange, 404);
    else if (http_head(exchange)->method == HTTP_PUT)
        put(exchange, door, id);
    else
        get(exchange, door, id);
}

struct upload_door *upload_door_new(struct http *http, struct str prefix,
                                    const struct upload_door_options *options)
{
    struct upload_door *door = calloc(1, sizeof *door);
    must(door != NULL);
    door->options = *options;
    arena_init(&door->arena, 1 << 20);
    struct str *origins = arena_make_array(&door->arena, struct str, options->n_origins + 1);
    for (size_t i = 0; i < options->n_origins; i++)
        origins[i] = arena_str(&door->arena, options->origins[i]);
    door->cross = (struct http_cross){
        .origins = origins,
        .n = options->n_origins,
        .methods = STR("GET, HEAD, PUT, OPTIONS"),
        .request = STR("Authorization, Content-Type, If-None-Match, If-Range, Range"),
        .answer = STR("Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag"),
    };
    http_add_route(http,
                   &(struct http_route){
                       .prefix = prefix,
                       .methods = HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD) | HTTP_BIT(HTTP_PUT),
                       .body_most = options->body_most,
                       .begin = begin,
                       .context = door,
                       .cross = &door->cross,
                   });
    return door;
}

void upload_door_free(struct upload_door **at)
{
    struct upload_door *door = TAKE(*at);
    if (door == NULL)
        return;
    arena_done(&door->arena);
    free(door);
}

/*
 * A connection's life: a head is read, its exchange begins, body and answer
 * pass, the exchange ends, the next head is read.
 *
 * Invariants: hc->x is the exchange under way; it is freed by end_exchange()
 * only, which runs from the connection's chore or its on_closed, never inside
 * a handler's call.  While an exchange is under way and its body has been read
 * the connection is paused: a pipelined request waits.  An exchange is under way
 * until its answer has left the outbox: who asks and does not read waits too.
 */
#include "http/http.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/table.h"
#include "net/conn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAGIC_CONN = 0x48747470,
    ROUTES_MOST = 32,
    HOSTS_MOST = 65536,
    DOORS_MOST = 128,
    ARENA_EXTRA = 256 << 10,
    OUTBOX_BYTES = 256 << 10,
    HEAD_OUT_MOST = 16 << 10,
    DRAIN_MOST = 64 << 10, // of a body that nobody wants, read for the sake of the connection
};

struct http {
    struct listener *listener;
    struct door *doors[DOORS_MOST];
    size_t n_doors;
    struct http_limits limits;
    struct http_route routes[ROUTES_MOST];
    size_t n_routes;
    struct table hosts;   // name → itself; immutable once the workers run
    http_words_fn *words; // NULL: English
    void *words_context;
    struct arena arena;
    // any thread
    atomic_size_t n_under_way; // work of handlers
    _Atomic uint64_t n_conns, n_requests, n_answers[6], body_in, body_out;
};

struct http_conn {
    uint32_t magic;
    struct http *http;
    struct conn *conn; // NULL once it is gone
    struct http_exchange *x;
    struct chore chore;
    struct timer timer;
    int64_t head_by_us; // when the head must be whole; 0 while no byte of it has come
    int64_t rested_us;  // when the last exchange ended
    size_t scanned;
    size_t n_requests;
    bool last; // no request is read any more
};

struct http_exchange {
    struct http_conn *hc;
    const struct http_route *route;
    struct http_head head;
    struct arena arena;
    const struct http_calls *calls;
    void *data;
    int64_t began_us;
    uint64_t body_left;   // of the request
    uint64_t answer_left; // of the answer
    bool began : 1;       // the head has gone out
    bool done : 1;        // the answer is whole
    bool told : 1;        // on_complete was called
    bool continued : 1;   // 100 Continue was said
    bool wants_room : 1, looked : 1;
    bool keep : 1;
};

static const struct conn_events conn_calls;

#define ADD(counter, n) atomic_fetch_add_explicit(&(counter), (n), memory_order_relaxed)

const char *http_status_name(unsigned status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 421:
        return "Misdirected Request";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 451:
        return "Unavailable For Legal Reasons";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return status < 500 ? "Refused" : "Internal Server Error";
    }
}

/* ---- the service ---- */

static struct listener_limits listener_limits(const struct http_limits *limits)
{
    return (struct listener_limits){
        .section = "http",
        .conns = limits->conns,
        .conns_per_address = limits->conns_per_address,
        .accepts_per_s_per_address = limits->accepts_per_s_per_address,
        .accepts_at_once_per_address = 10 * limits->accepts_per_s_per_address,
        .backlog = limits->backlog,
    };
}

static void arrived(struct worker *worker, struct arrival *arrival, void *context);

struct http *http_new(struct loop *loop, struct workers *workers, const struct http_limits *limits)
{
    struct http *http = calloc(1, sizeof *http);
    must(http != NULL);
    http->limits = *limits;
    table_init(&http->hosts, HOSTS_MOST);
    arena_init(&http->arena, (size_t)16 << 20);
    struct listener_limits listens = listener_limits(limits);
    http->listener = listener_new(loop, workers, &listens, arrived, http);
    return http;
}

void http_free(struct http **p)
{
    struct http *http = TAKE(*p);
    if (http == NULL)
        return;
    http_close_doors(http);
    if (!http_is_quiet(http)) { // the stop's time is over: who is late still finds it
        log_event(LOG_ERROR, "stop-not-quiet", "what=http");
        return;
    }
    listener_free(&http->listener);
    table_done(&http->hosts);
    arena_done(&http->arena);
    free(http);
}

void http_add_route(struct http *http, const struct http_route *route)
{
    must(http->n_routes < ROUTES_MOST && route->begin != NULL);
    http->routes[http->n_routes++] = *route;
}

void http_set_words(struct http *http, http_words_fn *words, void *context)
{
    http->words = words;
    http->words_context = context;
}

void http_add_host(struct http *http, struct str name)
{
    struct str copy = arena_str(&http->arena, name);
    (void)!table_put(&http->hosts, copy, (void *)(uintptr_t)copy.at); // one given twice is one
}

static enum err keep_door(struct http *http, struct door *door)
{
    http->doors[http->n_doors++] = door;
    log_event(LOG_NOTICE, "listening", "port=%u kind=https", door_port(door));
    return OK;
}

enum err http_open(struct http *http, struct str address, uint16_t port, uint16_t *bound,
                   struct why *why)
{
    struct door *door;
    if (http->n_doors == DOORS_MOST)
        return why_say(why, ERR_LIMIT, "http.addresses: more than %d", DOORS_MOST);
    enum err e = listener_open(http->listener, address, port, 0, &door, why);
    if (e != OK)
        return e;
    if (bound != NULL)
        *bound = door_port(door);
    return keep_door(http, door);
}

enum err http_adopt(struct http *http, int fd, struct why *why)
{
    struct door *door;
    if (http->n_doors == DOORS_MOST)
        return why_say(why, ERR_LIMIT, "more than %d inherited sockets for HTTP", DOORS_MOST);
    enum err e = listener_adopt(http->listener, fd, 0, &door, why);
    return e != OK ? e : keep_door(http, door);
}

void http_close_doors(struct http *http)
{
    while (http->n_doors > 0)
        door_close(&http->doors[--http->n_doors]);
}

void http_work_begins(struct http *http)
{
    atomic_fetch_add(&http->n_under_way, 1);
}

void http_work_ends(struct http *http)
{
    must(atomic_fetch_sub(&http->n_under_way, 1) > 0);
}

bool http_is_quiet(const struct http *http)
{
    return atomic_load(&http->n_under_way) == 0;
}

void http_stats(const struct http *http, struct http_stats *out)
{
    *out = (struct http_stats){
        .n_conns = atomic_load_explicit(&http->n_conns, memory_order_relaxed),
        .n_requests = atomic_load_explicit(&http->n_requests, memory_order_relaxed),
        .body_in = atomic_load_explicit(&http->body_in, memory_order_relaxed),
        .body_out = atomic_load_explicit(&http->body_out, memory_order_relaxed),
    };
    for (size_t i = 0; i < COUNT_OF(out->n_answers); i++)
        out->n_answers[i] = atomic_load_explicit(&http->n_answers[i], memory_order_relaxed);
}

/* ---- the answer's head ---- */

static const struct http_field safe_fields[] = {
    {STR("Content-Security-Policy"),
     STR("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
         "sandbox")                                         },
    {STR("X-Content-Type-Options"),       STR("nosniff")    },
    {STR("Referrer-Policy"),              STR("no-referrer")},
    {STR("X-Frame-Options"),              STR("DENY")       },
    {STR("Cross-Origin-Resource-Policy"), STR("same-origin")},
    {STR("Cache-Control"),                STR("no-store")   },
};

static void add_field(struct buf *out, struct str name, struct str value)
{
    // a CR or LF of ours would begin a field of somebody else's choice
    must(str_find_char(value, '\r') == value.len && str_find_char(value, '\n') == value.len);
    buf_add(out, name);
    buf_add(out, STR(": "));
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

// RFC 9110 §5.6.7; strftime would say it in the locale's words.
static void add_date(struct buf *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(clock_wall_us() / SECOND_US);
    struct tm tm;
    if (gmtime_r(&now, &tm) == NULL)
        return;
    buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static bool has_field(const struct http_field *fields, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(fields[i].name, name))
            return true;
    return false;
}

static void write_head(struct http_conn *hc, const struct http_answer *answer, uint64_t length,
                       bool keep)
{
    struct buf out;
    buf_init(&out, HEAD_OUT_MOST);
    buf_printf(&out, "HTTP/1.1 %u %s\r\n", answer->status, http_status_name(answer->status));
    add_date(&out);
    if (answer->type.len > 0)
        add_field(&out, STR("Content-Type"), answer->type);
    if (answer->status != 204 && answer->status != 304) // RFC 9110 §8.6
        buf_printf(&out, "Content-Length: %" PRIu64 "\r\n", length);
    for (size_t i = 0; i < answer->n_fields; i++)
        add_field(&out, answer->fields[i].name, answer->fields[i].value);
    struct http_field crossing[HTTP_CROSS_FIELDS_MOST];
    const struct http_exchange *x = hc->x; // NULL: no request was understood
    size_t n_crossing = x != NULL && x->route->cross != NULL
                            ? http_cross_fields(x->route->cross, &x->head, crossing)
                            : 0;
    for (size_t i = 0; i < n_crossing; i++)
        add_field(&out, crossing[i].name, crossing[i].value);
    for (size_t i = 0; i < COUNT_OF(safe_fields); i++)
        if (!has_field(answer->fields, answer->n_fields, safe_fields[i].name) &&
            !has_field(crossing, n_crossing, safe_fields[i].name))
            add_field(&out, safe_fields[i].name, safe_fields[i].value);
    if (hc->http->limits.hsts_us > 0)
        buf_printf(&out, "Strict-Transport-Security: max-age=%" PRId64 "\r\n",
                   hc->http->limits.hsts_us / SECOND_US);
    buf_add(&out, keep ? STR("Connection: keep-alive\r\n\r\n") : STR("Connection: close\r\n\r\n"));
    must(!out.overflowed);
    conn_write(hc->conn, buf_str(&out));
    buf_done(&out);
    ADD(hc->http->n_answers[answer->status / 100 < 6 ? answer->status / 100 : 0], 1);
}

// To who has no exchange yet, or never gets one.
static void refuse_conn(struct http_conn *hc, unsigned status)
{
    if (conn_is_closing(hc->conn))
        return;
    struct http_answer answer = {.status = status, .type = STR("text/plain; charset=utf-8")};
    char text[64];
    int n = snprintf(text, sizeof text, "%u %s\n", status, http_status_name(status));
    write_head(hc, &answer, (uint64_t)n, false);
    conn_write(hc->conn, str_make(text, (size_t)n));
    hc->last = true;
    conn_close(hc->conn);
}

/* ---- exchanges ---- */

const struct http_head *http_head(const struct http_exchange *x)
{
    return &x->head;
}

struct str http_rest(const struct http_exchange *x)
{
    return str_skip(x->head.path, x->route->prefix.len);
}

struct arena *http_arena(struct http_exchange *x)
{
    return &x->arena;
}

struct worker *http_worker(const struct http_exchange *x)
{
    return conn_worker(x->hc->conn);
}

const struct addr *http_peer(const struct http_exchange *x)
{
    return conn_peer(x->hc->conn);
}

struct http *http_of(const struct http_exchange *x)
{
    return x->hc->http;
}

void http_set_calls(struct http_exchange *x, const struct http_calls *calls, void *data)
{
    x->calls = calls;
    x->data = data;
}

void *http_data(const struct http_exchange *x)
{
    return x->data;
}

static void look_again(struct http_conn *hc)
{
    loop_at_end(worker_loop(conn_worker(hc->conn)), TURN_GATHER, &hc->chore);
}

void http_resume(struct http_exchange *x)
{
    if (!x->done && x->body_left > 0)
        conn_resume(x->hc->conn);
}

static void answer_is_whole(struct http_exchange *x)
{
    x->done = true;
    x->looked = false;
    look_again(x->hc);
}

void http_begin(struct http_exchange *x, const struct http_answer *answer, uint64_t length)
{
    must(!x->began);
    x->began = true;
    // a short rest of a body is read and dropped, a long one is not: the connection ends then.
    // So it does where the peer waits to be asked for the body (RFC 9110 §10.1.1): whether what
    // comes now is that body or the next request, nobody can know
    bool awaited = x->head.continues && !x->continued;
    x->keep = x->keep && x->body_left <= DRAIN_MOST && !awaited;
    write_head(x->hc, answer, length, x->keep);
    bool none = x->head.method == HTTP_HEAD || answer->status == 204 || answer->status == 304;
    x->answer_left = none ? 0 : length;
    if (x->answer_left == 0)
        answer_is_whole(x);
}

void http_write(struct http_exchange *x, struct str bytes)
{
    if (x->done) // a HEAD's
        return;
    must(x->began && bytes.len <= x->answer_left);
    conn_write(x->hc->conn, bytes);
    ADD(x->hc->http->body_out, bytes.len);
    x->answer_left -= bytes.len;
    if (x->answer_left == 0)
        answer_is_whole(x);
}

size_t http_room(const struct http_exchange *x)
{
    size_t room = conn_room(x->hc->conn);
    return room < x->answer_left ? room : (size_t)x->answer_left;
}

void http_want_room(struct http_exchange *x)
{
    x->wants_room = true;
    x->looked = false;
    look_again(x->hc);
}

void http_answer(struct http_exchange *x, const struct http_answer *answer, struct str body)
{
    // what does not fit beside the head would end the connection: handlers stream such bodies
    must(body.len <= OUTBOX_BYTES - HEAD_OUT_MOST);
    http_begin(x, answer, body.len);
    if (body.len > 0)
        http_write(x, body);
}

static struct str words_for(struct http_exchange *x, const char *words, struct str *lang)
{
    const struct http *http = x->hc->http;
    *lang = STR("en");
    return http->words != NULL ? http->words(http->words_context, x, words, lang) : str_of(words);
}

static void answer_in(struct http_exchange *x, unsigned status, struct str lang, struct str text)
{
    const struct http_field field = {STR("Content-Language"), lang};
    const struct http_answer answer = {
        .status = status,
        .type = STR("text/plain; charset=utf-8"),
        .fields = &field,
        .n_fields = 1,
    };
    http_answer(x, &answer, text);
}

void http_say(struct http_exchange *x, unsigned status, const char *words)
{
    struct str lang, said = words_for(x, words, &lang);
    answer_in(x, status, lang, arena_printf(&x->arena, "%.*s\n", STR_ARGS(said)));
}

void http_refuse(struct http_exchange *x, unsigned status)
{
    struct str lang, said = words_for(x, http_status_name(status), &lang);
    answer_in(x, status, lang, arena_printf(&x->arena, "%u %.*s\n", status, STR_ARGS(said)));
}

void http_abort(struct http_exchange *x)
{
    x->keep = false;
    conn_abort(x->hc->conn);
}

// The last that anybody sees of an exchange.
static void end_exchange(struct http_conn *hc)
{
    struct http_exchange *x = hc->x;
    bool answered = x->done;
    hc->x = NULL;
    if (x->calls != NULL && x->calls->on_end != NULL)
        x->calls->on_end(x, answered);
    arena_done(&x->arena);
    free(x);
}

static void on_time(struct timer *timer);

static void watch_time(struct http_conn *hc)
{
    if (!timer_is_set(&hc->timer))
        loop_timer_set(worker_loop(conn_worker(hc->conn)), &hc->timer, SECOND_US / 4, on_time);
}

static const struct http_route *find_route(const struct http *http, struct str path)
{
    const struct http_route *best = NULL;
    for (size_t i = 0; i < http->n_routes; i++)
        if (str_starts(path, http->routes[i].prefix) &&
            (best == NULL || http->routes[i].prefix.len > best->prefix.len))
            best = &http->routes[i];
    return best;
}

// A browser asks before a page of another origin may; everybody may ask what is allowed.
static bool is_preflight(const struct http_exchange *x)
{
    return x->head.method == HTTP_OPTIONS && x->route->cross != NULL && x->route->cross->n > 0;
}

static void say_methods(struct http_exchange *x)
{
    struct str allowed = STR_EMPTY;
    unsigned methods = x->route->methods | (is_preflight(x) ? HTTP_BIT(HTTP_OPTIONS) : 0);
    for (unsigned m = 0; m < HTTP_N_METHODS; m++)
        if ((methods & HTTP_BIT(m)) != 0)
            allowed = arena_printf(&x->arena, "%.*s%s%.*s", STR_ARGS(allowed),
                                   allowed.len > 0 ? ", " : "",
                                   STR_ARGS(http_method_name((enum http_method)m)));
    struct str lang, said = words_for(x, http_status_name(405), &lang);
    const struct http_field allows[] = {
        {STR("Allow"),            allowed},
        {STR("Content-Language"), lang   }
    };
    struct http_answer answer = {.status = 204, .fields = allows, .n_fields = 1};
    if (is_preflight(x)) {
        http_answer(x, &answer, STR_EMPTY);
        return;
    }
    answer.status = 405;
    answer.type = STR("text/plain; charset=utf-8");
    answer.n_fields = COUNT_OF(allows);
    http_answer(x, &answer, arena_printf(&x->arena, "405 %.*s\n", STR_ARGS(said)));
}

static void body_is_whole(struct http_exchange *x)
{
    conn_pause(x->hc->conn); // the next request waits for the end of this one
    if (x->told)
        return;
    x->told = true;
    if (!x->done && x->calls != NULL && x->calls->on_complete != NULL)
        x->calls->on_complete(x);
    if (x->done)
        look_again(x->hc);
}

static void begin_exchange(struct http_conn *hc, struct http_exchange *x)
{
    struct http *http = hc->http;
    hc->x = x;
    hc->head_by_us = 0;
    hc->scanned = 0;
    hc->n_requests++;
    ADD(http->n_requests, 1);
    x->began_us = loop_now_us(worker_loop(conn_worker(hc->conn)));
    x->body_left = x->head.body_bytes;
    x->keep = x->head.keep && hc->n_requests < http->limits.requests;
    static const struct http_route nowhere = {
        .prefix = {"", 0}
    };
    x->route = find_route(http, x->head.path);
    bool found = x->route != NULL;
    if (!found)
        x->route = &nowhere;
    if (table_get(&http->hosts, x->head.host) == NULL)
        http_refuse(x, 421);
    else if (!found)
        http_refuse(x, 404);
    else if ((x->route->methods & HTTP_BIT(x->head.method)) == 0)
        say_methods(x);
    else if (x->body_left > x->route->body_most)
        http_refuse(x, 413);
    else
        x->route->begin(x, x->route->context);
    if (x->head.continues && !x->began) {
        x->continued = true;
        conn_write(hc->conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    if (x->body_left == 0)
        body_is_whole(x);
}

/* The head of the next request.  How many bytes it took. */
static size_t take_head(struct http_conn *hc, struct str bytes)
{
    const struct http_limits *limits = &hc->http->limits;
    const struct http_head_limits head = {limits->head_bytes, limits->head_fields};
    if (hc->head_by_us == 0)
        hc->head_by_us = loop_now_us(worker_loop(conn_worker(hc->conn))) + limits->head_us;
    struct http_exchange *x = calloc(1, sizeof *x);
    must(x != NULL);
    x->hc = hc;
    arena_init(&x->arena, http_head_memory(&head) + ARENA_EXTRA);
    size_t used = 0;
    unsigned status = http_head_read(&x->arena, bytes, &head, &hc->scanned, &x->head, &used);
    if (status == HTTP_OK) {
        begin_exchange(hc, x);
        return used;
    }
    arena_done(&x->arena);
    free(x);
    if (status != HTTP_WANTS_MORE)
        refuse_conn(hc, status);
    return 0;
}

static size_t take_body(struct http_exchange *x, struct str bytes)
{
    if (bytes.len > x->body_left)
        bytes = str_first(bytes, (size_t)x->body_left);
    size_t used = bytes.len;
    if (!x->done && !x->began && x->calls != NULL && x->calls->on_body != NULL)
        used = x->calls->on_body(x, bytes);
    must(used <= bytes.len);
    x->body_left -= used;
    ADD(x->hc->http->body_in, used);
    if (x->body_left == 0)
        body_is_whole(x);
    else if (used < bytes.len)
        conn_pause(x->hc->conn);
    return used;
}

static size_t on_bytes(struct conn *conn, struct str bytes)
{
    struct http_conn *hc = conn_owner(conn);
    must(hc->magic == MAGIC_CONN);
    size_t used = 0;
    if (hc->last)
        return bytes.len;
    if (hc->x == NULL)
        used = take_head(hc, bytes);
    if (hc->x != NULL && hc->x->body_left > 0 && used < bytes.len && !conn_is_paused(conn))
        used += take_body(hc->x, str_skip(bytes, used));
    return used;
}

// What was written in this turn leaves at its end; if it then does not, on_drained comes.
static void look_once_more(struct http_conn *hc)
{
    if (hc->x->looked)
        return;
    hc->x->looked = true;
    look_again(hc);
}

// The exchange that is over makes room for the next one.
static void next_request(struct http_conn *hc)
{
    bool keep = hc->x->keep;
    end_exchange(hc);
    if (!keep) {
        hc->last = true;
        conn_close(hc->conn);
        return;
    }
    hc->rested_us = loop_now_us(worker_loop(conn_worker(hc->conn)));
    conn_resume(hc->conn);
}

static void run_chore(struct chore *chore)
{
    struct http_conn *hc = CONTAINER_OF(chore, struct http_conn, chore);
    must(hc->magic == MAGIC_CONN);
    struct http_exchange *x = hc->x;
    if (x == NULL)
        return;
    if (x->done && (x->body_left == 0 || !x->keep)) {
        // not before all of the answer has left: a close gives its reader little time, and the next
        // answer needs the room
        if (conn_written(hc->conn) == conn_accepted(hc->conn))
            next_request(hc);
        else
            look_once_more(hc);
        return;
    }
    if (x->done) {
        conn_resume(hc->conn); // the rest of the body, to be dropped
        return;
    }
    if (!x->wants_room)
        return;
    if (conn_room(hc->conn) >= HTTP_PIECE) {
        x->wants_room = false;
        x->calls->on_room(x);
    } else {
        look_once_more(hc);
    }
}

// RFC 9112 §9.6 lets a peer end its side behind its last request: the answer to one that came whole
// still goes out, those behind it do not.
static bool on_eof(struct conn *conn)
{
    struct http_conn *hc = conn_owner(conn);
    if (hc->x == NULL || hc->x->body_left > 0)
        return false;
    hc->x->keep = false;
    if (hc->x->done)
        look_again(hc);
    return true;
}

static void on_drained(struct conn *conn)
{
    struct http_conn *hc = conn_owner(conn);
    if (hc->x != NULL && (hc->x->wants_room || hc->x->done))
        look_again(hc);
}

static void on_secured(struct conn *conn)
{
    struct http_conn *hc = conn_owner(conn);
    hc->rested_us = loop_now_us(worker_loop(conn_worker(conn)));
    hc->head_by_us = hc->rested_us + hc->http->limits.head_us;
    watch_time(hc);
}

static void on_time(struct timer *timer)
{
    struct http_conn *hc = CONTAINER_OF(timer, struct http_conn, timer);
    must(hc->magic == MAGIC_CONN);
    const struct http_limits *limits = &hc->http->limits;
    struct conn *conn = hc->conn;
    int64_t now_us = loop_now_us(worker_loop(conn_worker(conn)));
    struct http_exchange *x = hc->x;
    if (conn_is_closing(conn))
        return;
    bool slow = false;
    if (x == NULL && hc->head_by_us != 0)
        slow = now_us >= hc->head_by_us;
    else if (x == NULL && now_us - hc->rested_us >= limits->idle_us) {
        hc->last = true;
        conn_close(conn); // nothing was asked: nothing to answer
        return;
    }
    if (x != NULL) {
        bool reads = x->body_left > 0 && !conn_is_paused(conn);
        slow = now_us - x->began_us >= limits->request_us ||
               (reads && now_us - conn_heard_us(conn) >= limits->stall_us &&
                now_us - x->began_us >= limits->stall_us);
    }
    if (slow && x != NULL && x->began)
        conn_abort(conn);
    else if (slow)
        refuse_conn(hc, 408);
    else
        watch_time(hc);
}

static void on_closed(struct conn *conn, enum conn_end end)
{
    struct http_conn *hc = conn_owner(conn);
    must(hc->magic == MAGIC_CONN);
    char address[ADDR_TEXT_SIZE];
    addr_text(conn_peer(conn), address);
    log_event(LOG_DEBUG, "http-closed", "conn=%llu address=%s why=%s requests=%zu",
              (unsigned long long)conn_id(conn), address, conn_end_name(end), hc->n_requests);
    if (hc->x != NULL)
        end_exchange(hc);
    loop_timer_cancel(&hc->timer);
    loop_chore_cancel(&hc->chore);
    atomic_fetch_sub_explicit(&hc->http->n_conns, 1, memory_order_relaxed);
    hc->magic = 0;
    free(hc);
}

static const struct conn_events conn_calls = {
    .on_bytes = on_bytes,
    .on_eof = on_eof,
    .on_secured = on_secured,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void arrived(struct worker *worker, struct arrival *arrival, void *context)
{
    struct http *http = context;
    struct tls_config *tls = worker_tls(worker);
    if (tls == NULL) {
        arrival_refuse(arrival);
        return;
    }
    struct http_conn *hc = calloc(1, sizeof *hc);
    must(hc != NULL);
    hc->magic = MAGIC_CONN;
    hc->http = http;
    hc->chore.run = run_chore;
    ADD(http->n_conns, 1);
    struct conn_limits limits = conn_limits_default;
    limits.outbox_bytes = OUTBOX_BYTES;
    limits.unread_bytes = http->limits.head_bytes + HTTP_PIECE;
    limits.handshake_us = http->limits.head_us;
    limits.write_stall_us = http->limits.stall_us;
    hc->conn = conn_accept(arrival, &conn_calls, hc, &limits);
    conn_start_tls_http(hc->conn, tls);
}

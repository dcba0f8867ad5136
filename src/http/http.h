/*
 * HTTP: the server's own HTTPS service for people and their clients.
 *
 * HTTP/1.1 on our connections, certificates and loops (decision 15).  One
 * request at a time on a connection; a worker serves it from the first byte
 * to the last and must never wait in it.
 *
 * How another room serves something: a file of src/http/, which may use the
 * rooms below, or one of src/daemon/, where it needs im as well, adds a route
 * before the workers start (daemon/server.c calls it):
 *
 *     http_add_route(http, &(struct http_route){
 *         .prefix = STR("/upload/"), .methods = HTTP_BIT(HTTP_PUT) | HTTP_BIT(HTTP_GET),
 *         .body_most = 100 << 20, .begin = upload_begins, .context = upload});
 *
 * begin is called on the connection's worker when the head has come.  It
 * answers at once (http_answer), or sets calls and data and answers later,
 * from any callback or mail of that worker:
 *
 *     a body comes    on_body, piece by piece, as fast as it is consumed: what is left waits in
 *                     the kernel until http_resume; then on_complete
 *     a large answer  http_begin with its length, then http_write never more than http_room;
 *                     http_want_room brings one on_room when HTTP_PIECE bytes have room again
 *
 * on_end comes exactly once, when the answer has been given or the connection
 * is gone: the exchange and its arena are freed after it.  So whoever has
 * slow work under way (disk, guard) keeps its own object with a pointer to the
 * exchange, forgets that pointer in on_end, and counts the work with
 * http_work_begins and http_work_ends so that a stop waits for it.
 *
 * Every answer carries the headers that keep a browser harmless: no scripts,
 * no frames, no sniffing, no referrer, no cache.  A field of the handler's own
 * takes the place of one of the same name.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "http/cross.h"
#include "http/head.h"
#include "net/listener.h"

struct http;
struct http_exchange; // a request and its answer

enum { HTTP_PIECE = 64 << 10 };

struct http_limits {
    size_t conns, conns_per_address;
    uint32_t accepts_per_s_per_address;
    unsigned backlog;
    size_t head_bytes, head_fields;
    size_t requests;    // on one connection
    int64_t head_us;    // from the connection, or the first byte of a further request, to its head
    int64_t idle_us;    // between requests
    int64_t stall_us;   // without a byte of a body that is wanted, or without one taken by a reader
    int64_t request_us; // for one request in all
    int64_t hsts_us;    // Strict-Transport-Security; 0: not said
};

struct http_route {
    struct str prefix; // of the decoded path, "/open/"; the longest that fits is taken
    unsigned methods; // HTTP_BIT(…); HEAD is to be named beside GET, its body is left out by itself
    uint64_t body_most; // a longer one is refused with 413 before begin; 0: no body at all
    void (*begin)(struct http_exchange *exchange, void *context);
    void *context;
    /* Pages of which origins may use it (cross.h); the service answers their preflights.  Borrowed
     * like prefix; NULL: of none. */
    const struct http_cross *cross;
};

struct http_calls {
    /* Returns how many of them it consumed; when not all, reading rests until http_resume.  NULL:
     * the body is dropped. */
    size_t (*on_body)(struct http_exchange *exchange, struct str bytes);
    /* The body is whole (or there is none).  May be NULL. */
    void (*on_complete)(struct http_exchange *exchange);
    void (*on_room)(struct http_exchange *exchange);
    /* answered: all of the answer was accepted for sending.  May be NULL. */
    void (*on_end)(struct http_exchange *exchange, bool answered);
};

struct http_answer {
    unsigned status;
    struct str type;                 // Content-Type; empty: none
    const struct http_field *fields; // values without CR or LF, for the call
    size_t n_fields;
};

/* The listener uses loop (the main thread's) and spreads over workers, whose certificates it
 * shows. */
struct http *http_new(struct loop *loop, struct workers *workers, const struct http_limits *limits);
/* After the workers have been stopped.  Unless http_is_quiet, its memory is left to who is late. */
void http_free(struct http **p);
/* Before the workers run; prefix is borrowed for as long as the service lives. */
void http_add_route(struct http *http, const struct http_route *route);
/* A name by which it may be called; all others get 421.  Before the workers run; copied. */
void http_add_host(struct http *http, struct str name);
/* Words for people in the best of the languages that this request accepts; text is from its arena.
 * *lang: which that is.  On the request's worker. */
typedef struct str http_words_fn(void *context, struct http_exchange *exchange, const char *words,
                                 struct str *lang);
/* Before the workers run; without it all is said in English. */
void http_set_words(struct http *http, http_words_fn *words, void *context);
/* Where it listens; see listener.h. */
enum err http_open(struct http *http, struct str address, uint16_t port, uint16_t *bound,
                   struct why *why) MUST_CHECK;
enum err http_adopt(struct http *http, int fd, struct why *why) MUST_CHECK;
/* Main thread: no new connections. */
void http_close_doors(struct http *http);

/* The request.  Valid until on_end returns. */
const struct http_head *http_head(const struct http_exchange *exchange);
/* Its path without the route's prefix. */
struct str http_rest(const struct http_exchange *exchange);
struct arena *http_arena(struct http_exchange *exchange); // ceiling: the head's and 256 KiB
struct worker *http_worker(const struct http_exchange *exchange);
const struct addr *http_peer(const struct http_exchange *exchange);
void http_set_calls(struct http_exchange *exchange, const struct http_calls *calls, void *data);
void *http_data(const struct http_exchange *exchange);

/* Offers the rest of the body again, and more. */
void http_resume(struct http_exchange *exchange);

/* The whole answer.  A body that is still coming is not read any more, and the connection ends. */
void http_answer(struct http_exchange *exchange, const struct http_answer *answer, struct str body);
/* An answer in words (English, and so found in the catalogues), in the reader's language. */
void http_say(struct http_exchange *exchange, unsigned status, const char *words);
/* A short plain text that says the status, in the reader's language. */
void http_refuse(struct http_exchange *exchange, unsigned status);
/* The head of an answer whose body has that many bytes; ends by itself with the last of them. */
void http_begin(struct http_exchange *exchange, const struct http_answer *answer, uint64_t length);
void http_write(struct http_exchange *exchange, struct str bytes);
size_t http_room(const struct http_exchange *exchange);
void http_want_room(struct http_exchange *exchange);
/* The answer cannot be finished: the connection is cut, so that nobody takes it for whole. */
void http_abort(struct http_exchange *exchange);

/* Any thread. */
void http_work_begins(struct http *http);
void http_work_ends(struct http *http);
bool http_is_quiet(const struct http *http);
struct http *http_of(const struct http_exchange *exchange);

struct http_stats {
    uint64_t n_conns; // now
    uint64_t n_requests;
    uint64_t n_answers[6];      // by the status' first digit
    uint64_t body_in, body_out; // bytes of bodies
};
/* Any thread. */
void http_stats(const struct http *http, struct http_stats *out);

/* "Bad Request". */
const char *http_status_name(unsigned status);

#endif

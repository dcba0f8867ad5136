#include "net/metrics_http.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWER_MOST = 8 << 20, CONNECTIONS_MOST = 16, TIMEOUT_S = 10, MEMORY_EACH = 8192 };

struct metrics_http {
    struct MHD_Daemon *daemon;
    metrics_fn *fn;
    void *context;
    uint16_t port;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct str body, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.at, mode);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    struct metrics_http *server = context;
    static char seen; // only its address: marks that the headers have been read
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size != 0)
        return MHD_NO; // a body was sent: closed, nothing is read from it
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
                      STR("GET and HEAD only\n"), MHD_RESPMEM_PERSISTENT);
    if (strcmp(url, "/metrics") != 0)
        return answer(connection, MHD_HTTP_NOT_FOUND, "text/plain", STR("see /metrics\n"),
                      MHD_RESPMEM_PERSISTENT);
    struct buf text;
    buf_init(&text, ANSWER_MOST);
    server->fn(&text, server->context);
    if (text.overflowed || text.at == NULL) {
        bool empty = !text.overflowed;
        buf_done(&text);
        if (!empty)
            return answer(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain",
                          STR("too many metrics\n"), MHD_RESPMEM_PERSISTENT);
        return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                      STR_EMPTY, MHD_RESPMEM_PERSISTENT);
    }
    // libmicrohttpd frees what it was given with MUST_FREE: the buffer's memory moves there
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                  buf_str(&text), MHD_RESPMEM_MUST_FREE);
}

enum err metrics_http_new(const struct addr *at, metrics_fn *fn, void *context,
                          struct metrics_http **out, struct why *why)
{
    struct metrics_http *server = calloc(1, sizeof *server);
    must(server != NULL);
    server->fn = fn;
    server->context = context;
    struct sockaddr_storage address;
    addr_to_sockaddr(at, &address);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | (at->v6 ? MHD_USE_IPv6 : 0);
    server->daemon = MHD_start_daemon(
        flags, at->port, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_EACH, MHD_OPTION_END);
    if (server->daemon == NULL) {
        free(server);
        char text[ADDR_TEXT_SIZE];
        return why_say(why, ERR_IO, "cannot serve metrics at %.*s: %m",
                       STR_ARGS(addr_text(at, text)));
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info != NULL ? info->port : at->port;
    *out = server;
    return OK;
}

uint16_t metrics_http_port(const struct metrics_http *server)
{
    return server->port;
}

void metrics_http_free(struct metrics_http **p)
{
    struct metrics_http *server = TAKE(*p);
    if (server == NULL)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}

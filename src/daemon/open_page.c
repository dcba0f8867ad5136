#include "daemon/open_page.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/config.h"
#include "guard/seal.h"
#include "im/desk.h"
#include "im/gate_errand.h"
#include "im/notices.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ARENA_MOST = 1 << 20,
    PAGE_MOST = 192 << 10,
};

static const int64_t permit_us = 600 * SECOND_US;

/* One opening, from the request to the guard's word. */
struct page {
    struct gate_errand errand;
    struct timer patience;
    struct http_exchange *x; // NULL once it is over
    struct http *http;
    struct desk *desk;
    struct arena arena; // of what follows
    struct sealed_link link;
    struct str token, host;
    struct str lang; // what the reader would like to read
    struct lure_key keys[LURE_WIDTHS + 1];
    size_t n_keys;
    double warn_nats;
    int64_t guard_us; // the guard's time at which it was asked
    bool permitted;   // he has read the warning
    bool asked;       // the errand is under way
    bool answered;
    enum opening opening;
    uint64_t incident;
};

/* ---- What it says ---- */

static const struct http_field fields[] = {
    {STR("Content-Security-Policy"),
     STR("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
         "form-action 'none'")                               },
    {STR("X-Robots-Tag"),            STR("noindex, nofollow")},
};

static const char style[] =
    "body{font:1.1em/1.5 sans-serif;max-width:38em;margin:3em auto;padding:0 1em;color:#222;"
    "background:#fff}h1{font-size:1.4em}.block h1{color:#a00}.warn h1{color:#850}"
    ".to{font-family:monospace;overflow-wrap:anywhere;background:#eee;padding:.5em}"
    "a{color:#555}\n";

static void add_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.at[i]) {
        case '&':
            buf_add(out, STR("&amp;"));
            break;
        case '<':
            buf_add(out, STR("&lt;"));
            break;
        case '>':
            buf_add(out, STR("&gt;"));
            break;
        case '"':
            buf_add(out, STR("&quot;"));
            break;
        case '\'':
            buf_add(out, STR("&#39;"));
            break;
        default:
            buf_add_char(out, text.at[i]);
        }
    }
}

static void add_notice(struct page *page, struct buf *out, enum notice notice)
{
    const struct notices *notices = page->desk->service->notices;
    char incident[24];
    snprintf(incident, sizeof incident, "%" PRIu64, page->incident);
    struct notice_args args = {
        .link = page->host, .person = STR_EMPTY, .incident = str_of(incident), .until = STR_EMPTY};
    add_escaped(out, notice_text(notices, &page->arena, page->lang, STR("en"), notice, &args));
}

static void answer(struct page *page, unsigned status, const char *kind, enum notice title,
                   enum notice text, bool shows_link, struct str go_on)
{
    struct http_exchange *x = page->x;
    page->answered = true;
    const struct notices *notices = page->desk->service->notices;
    struct buf out;
    buf_init(&out, PAGE_MOST);
    buf_add(&out, STR("<!DOCTYPE html>\n<html lang=\""));
    add_escaped(&out, notice_lang(notices, page->lang, STR("en")));
    buf_add(&out, STR("\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                      "content=\"width=device-width\"><link rel=\"stylesheet\" "
                      "href=\"/open/style.css\"><title>"));
    add_notice(page, &out, title);
    buf_printf(&out, "</title></head>\n<body class=\"%s\">\n<h1>", kind);
    add_notice(page, &out, title);
    buf_add(&out, STR("</h1>\n"));
    if (shows_link) {
        buf_add(&out, STR("<p class=\"to\">"));
        add_escaped(&out, page->link.url);
        buf_add(&out, STR("</p>\n"));
    }
    buf_add(&out, STR("<p>"));
    add_notice(page, &out, text);
    buf_add(&out, STR("</p>\n"));
    if (go_on.len > 0) {
        buf_add(&out, STR("<p><a rel=\"noreferrer noopener nofollow\" href=\""));
        add_escaped(&out, go_on);
        buf_add(&out, STR("\">"));
        add_notice(page, &out, NOTICE_PAGE_GO_ON);
        buf_add(&out, STR("</a></p>\n"));
    }
    buf_add(&out, STR("</body>\n</html>\n"));
    must(!out.overflowed);
    struct http_answer head = {status, STR("text/html; charset=utf-8"), fields, COUNT_OF(fields)};
    http_answer(x, &head, buf_str(&out));
    buf_done(&out);
}

// A canonical URL is such as a header takes; made sure of here, where it would matter.
static struct str header_safe(struct arena *arena, struct str url)
{
    struct buf out;
    buf_init(&out, (size_t)3 * SEAL_URL_MOST);
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.at[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
            buf_printf(&out, "%%%02X", c);
        else
            buf_add_char(&out, (char)c);
    }
    struct str safe = arena_str(arena, buf_str(&out));
    buf_done(&out);
    return safe;
}

// Seen of a reader, and the guard may learn: not what a token of old, or a HEAD, shows.
static void tell_opening(const struct page *page)
{
    const struct im_domain *domain = im_settings_domain(page->desk->settings, page->link.domain);
    if (page->link.reader.len > 0 && domain != NULL && domain->guard_mode != CONFIG_GUARD_OFF &&
        http_head(page->x)->method == HTTP_GET)
        gate_opened(page->desk->service->gate, page->link.reader,
                    str_make((const char *)page->keys, page->n_keys * sizeof page->keys[0]));
}

static void lead_on(struct page *page)
{
    struct http_exchange *x = page->x;
    page->answered = true;
    tell_opening(page);
    const struct http_field to[] = {
        {STR("Location"), header_safe(&page->arena, page->link.url)}
    };
    struct http_answer head = {.status = 303, .fields = to, .n_fields = 1};
    page->desk->counters.links_opened++;
    http_answer(x, &head, STR_EMPTY);
}

static void log_page(const struct page *page, const char *event)
{
    struct arena arena;
    arena_init(&arena, 8192);
    struct str host = str_first(page->host, page->host.len < 512 ? page->host.len : 512);
    log_event(LOG_NOTICE, event, "domain=%.*s incident=%" PRIu64 " host=%.*s",
              STR_ARGS(page->link.domain), page->incident, STR_ARGS(log_quote(&arena, host)));
    arena_done(&arena);
}

static void give_answer(struct page *page)
{
    struct desk *desk = page->desk;
    switch (page->opening) {
    case OPENING_GO:
        lead_on(page);
        break;
    case OPENING_WARN:
        if (page->permitted) {
            lead_on(page);
            break;
        }
        desk->counters.links_warned++;
        log_page(page, "link-warned");
        struct str permit = seal_permit(&page->arena, desk->settings->seals, page->token,
                                        clock_wall_us() + permit_us);
        answer(page, 200, "warn", NOTICE_PAGE_WARN_TITLE, NOTICE_PAGE_WARN, true,
               arena_printf(&page->arena, "/open/%.*s?go=%.*s", STR_ARGS(page->token),
                            STR_ARGS(permit)));
        break;
    case OPENING_BLOCK:
        desk->counters.links_blocked++;
        log_page(page, "link-blocked");
        answer(page, 403, "block", NOTICE_PAGE_BLOCK_TITLE, NOTICE_PAGE_BLOCK, false, STR_EMPTY);
        break;
    }
}

/* ---- The guard is asked ---- */

static void page_free_if_over(struct page *page)
{
    if (page->x != NULL || page->asked)
        return;
    loop_timer_cancel(&page->patience);
    arena_done(&page->arena);
    free(page);
}

static void look(struct gate_errand *errand, const struct guard *guard)
{
    struct page *page = errand->context;
    page->opening = guard_opening(guard, page->keys, page->n_keys, page->warn_nats, page->guard_us,
                                  &page->incident);
}

static void looked(struct gate_errand *errand)
{
    struct page *page = errand->context;
    page->asked = false;
    http_work_ends(page->http);
    loop_timer_cancel(&page->patience);
    if (page->x != NULL && !page->answered)
        give_answer(page);
    page_free_if_over(page);
}

static void no_answer(struct timer *timer)
{
    struct page *page = CONTAINER_OF(timer, struct page, patience);
    if (page->x == NULL || page->answered)
        return;
    page->desk->counters.links_unsure++;
    if (!page->desk->settings->links_closed)
        lead_on(page);
    else
        answer(page, 503, "warn", NOTICE_PAGE_UNSURE_TITLE, NOTICE_PAGE_UNSURE, false, STR_EMPTY);
}

static void on_end(struct http_exchange *x, bool answered)
{
    (void)answered;
    struct page *page = http_data(x);
    page->x = NULL;
    page_free_if_over(page);
}

static const struct http_calls calls = {.on_end = on_end};

static void find_keys(struct page *page)
{
    struct lure_list list;
    lure_list_init(&list, gate_lure_rules(page->desk->service->gate), &page->arena);
    lure_add_url(&list, page->link.url, STR_EMPTY);
    lure_list_keys(&list, NULL);
    page->n_keys = 1;
    page->keys[0] = page->link.template;
    page->host = STR_EMPTY;
    if (list.n == 0)
        return;
    memcpy(&page->keys[1], list.lures[0].keys, sizeof list.lures[0].keys);
    page->n_keys += LURE_WIDTHS;
    page->host = list.lures[0].host;
}

static void ask_guard(struct page *page)
{
    struct gate *gate = page->desk->service->gate;
    const struct im_domain *domain = im_settings_domain(page->desk->settings, page->link.domain);
    find_keys(page);
    // where the guard only watches, or does not look, nobody is stopped by it
    if (domain != NULL && domain->guard_mode != CONFIG_GUARD_ON) {
        lead_on(page);
        return;
    }
    // known to all threads: said even when the guard's own is slow
    struct str keys = str_make((const char *)page->keys, page->n_keys * sizeof page->keys[0]);
    if (gate_convicts(gate, keys)) {
        page->opening = OPENING_BLOCK;
        give_answer(page);
        return;
    }
    page->warn_nats = page->desk->settings->links_warn_nats;
    page->guard_us = gate_clock_us(gate);
    page->errand.look = look;
    page->errand.done = looked;
    page->errand.context = page;
    page->asked = true;
    http_work_begins(page->http);
    loop_timer_set(page->desk->home->loop, &page->patience, page->desk->settings->links_answer_us,
                   no_answer);
    gate_errand_send(gate, &page->errand, page->desk->home->loop);
}

/* ---- The request ---- */

struct str open_page_lang(const struct im_settings *settings, struct str name)
{
    const struct im_domain *domain = im_settings_domain(settings, name);
    if (domain == NULL && settings->n_domains > 0)
        domain = &settings->domains[0];
    return domain != NULL && domain->lang.len > 0 ? domain->lang : STR("en");
}

static void serve_style(struct http_exchange *x)
{
    const struct http_field cached[] = {
        {STR("Cache-Control"), STR("public, max-age=86400")}
    };
    struct http_answer head = {200, STR("text/css"), cached, COUNT_OF(cached)};
    http_answer(x, &head, str_make(style, sizeof style - 1));
}

static void begin(struct http_exchange *x, void *context)
{
    (void)context;
    struct str token = http_rest(x), query = http_head(x)->query;
    struct desk *desk = worker_data(http_worker(x));
    const struct seal_keys *seals = desk->settings->seals;
    if (str_eq(token, STR("style.css"))) {
        serve_style(x);
        return;
    }
    struct page *page = calloc(1, sizeof *page);
    must(page != NULL);
    arena_init(&page->arena, ARENA_MOST);
    page->x = x;
    page->http = http_of(x);
    page->desk = desk;
    page->host = STR_EMPTY;
    http_set_calls(x, &calls, page);
    bool sealed = seals != NULL && seal_open(&page->arena, seals, token, &page->link) == OK;
    struct str accepted = http_head_field(http_head(x), STR("Accept-Language"));
    struct str chat = sealed ? page->link.lang : open_page_lang(desk->settings, http_head(x)->host);
    page->lang = arena_str(&page->arena, notices_accepted(desk->service->notices, accepted, chat));
    int64_t now_us = clock_wall_us();
    if (!sealed) {
        desk->counters.links_refused++;
        answer(page, 404, "warn", NOTICE_PAGE_FORGED_TITLE, NOTICE_PAGE_FORGED, false, STR_EMPTY);
    } else if (page->link.expires_us <= now_us) {
        desk->counters.links_refused++;
        answer(page, 410, "warn", NOTICE_PAGE_OLD_TITLE, NOTICE_PAGE_OLD, false, STR_EMPTY);
    } else {
        page->token = arena_str(&page->arena, token);
        page->permitted = query.at != NULL && str_starts(query, STR("go=")) &&
                          seal_permits(seals, token, str_skip(query, 3), now_us);
        ask_guard(page);
    }
}

void open_page_add(struct http *http)
{
    http_add_route(http, &(struct http_route){
                             .prefix = STR("/open/"),
                             .methods = HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD),
                             .begin = begin,
                         });
}

/*
 * firedoor-load: loads one XMPP server and says what that cost it.
 *
 *     firedoor-load SCENARIO --server HOST:PORT --domain NAME --password WORD --pid PID …
 *
 * Each scenario prints one line of JSON.  The server's processor time is that
 * of its whole process tree during the measured stretch, after a warm-up.
 * Users u0, u1, … exist already.  All servers get the same stanzas, one TLS
 * record each, as ordinary clients send them.
 */
#include "base/clock.h"
#include "base/must.h"
#include "bench/crowd.h"
#include "bench/measure.h"
#include "town/texts.h"
#include "xml/writer.h"

#include <getopt.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { N_TEXTS = 4096, SPAN_MOST_S = 180 };

struct load {
    struct loop *loop;
    struct client_pool *pool;
    struct client_options options;
    const char *password;
    pid_t pid;
    uint32_t first, n; // users
    unsigned in_flight, abreast;
    uint32_t n_logins;
    double warmup_s, seconds, rate;
    bool lures;
    struct str texts[N_TEXTS]; // escaped
    struct arena arena;
    struct prng prng;
};

/* Processor time at an instant, and what the scenario had done by then. */
struct instant {
    int64_t at_us;
    double cpu_s, own_cpu_s;
    uint64_t n;
};

static struct instant instant_now(const struct load *load, uint64_t n)
{
    struct cost cost = {0};
    if (measure_tree(load->pid, &cost) != OK)
        fprintf(stderr, "process %d is gone\n", (int)load->pid);
    return (struct instant){clock_now_us(), cost.cpu_s, measure_own_cpu_s(), n};
}

static void print_span(const struct instant *from, const struct instant *to, const char *what)
{
    double seconds = (double)(to->at_us - from->at_us) / 1e6, n = (double)(to->n - from->n);
    printf("{\"%s\": %.0f, \"seconds\": %.3f, \"cpu_s\": %.3f, \"client_cpu_s\": %.3f, "
           "\"per_second\": %.1f, \"cpu_s_per_million\": %.3f",
           what, n, seconds, to->cpu_s - from->cpu_s, to->own_cpu_s - from->own_cpu_s, n / seconds,
           n > 0 ? (to->cpu_s - from->cpu_s) / n * 1e6 : 0.0);
}

static void make_texts(struct load *load)
{
    struct why why;
    struct texts *texts;
    must(texts_read(&texts, NULL, &load->prng, &why) == OK);
    struct buf text, escaped;
    buf_init(&text, 8192);
    buf_init(&escaped, 65536);
    for (size_t i = 0; i < N_TEXTS;) {
        buf_clear(&text);
        buf_clear(&escaped);
        texts_say(texts, &load->prng, &text);
        bool has_link = texts_find_link(buf_str(&text)).len > 0;
        if (has_link != load->lures)
            continue;
        xml_write_text(&escaped, buf_str(&text));
        load->texts[i++] = arena_str(&load->arena, buf_str(&escaped));
    }
    buf_done(&text);
    buf_done(&escaped);
    texts_free(&texts);
}

/* One message to a user; returns its number within the sender's session. */
static uint64_t send_chat(struct load *load, struct member *from, uint32_t to, uint64_t id)
{
    struct str text = load->texts[id % N_TEXTS];
    char stanza[1024];
    int n = snprintf(stanza, sizeof stanza,
                     "<message to='u%u@%.*s' type='chat' id='b%llu'><body>%.*s</body></message>",
                     to, STR_ARGS(load->options.domain), (unsigned long long)id, STR_ARGS(text));
    must(n > 0 && (size_t)n < sizeof stanza);
    return client_send(from->client, str_make(stanza, (size_t)n));
}

static bool is_chat(const struct element *stanza)
{
    return str_eq(stanza->name, STR("message")) &&
           element_child(stanza, NS_CLIENT, STR("body")) != NULL;
}

static bool is_error(const struct element *stanza)
{
    return str_eq(element_attr(stanza, STR("type")), STR("error"));
}

/* The number in an id of ours; false when it is none. */
static bool read_id(const struct element *stanza, uint64_t *id)
{
    struct str text = element_attr(stanza, STR("id"));
    return text.len > 1 && text.at[0] == 'b' &&
           str_to_u64(str_skip(text, 1), 0, UINT64_MAX, id) == OK;
}

static const char *describe(const struct element *stanza)
{
    static char text[512];
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct str whole;
    if (xml_to_str(&arena, stanza, NS_CLIENT, &whole) == OK)
        snprintf(text, sizeof text, "%.*s", STR_ARGS(whole));
    arena_done(&arena);
    return text;
}

/* Pairs: even members send, the next odd one receives. */

struct pairs {
    struct crowd crowd; // first
    struct load *load;
    uint64_t n_sent, n_received, n_errors, n_lost_connections;
};

static void send_next(struct pairs *pairs, struct member *sender)
{
    send_chat(pairs->load, sender, sender->number + 1, pairs->n_sent++);
}

static void pair_stanza(struct member *member, const struct element *stanza)
{
    struct pairs *pairs = (struct pairs *)member->crowd;
    if (!str_eq(stanza->name, STR("message")))
        return;
    uint32_t at = member->number - pairs->load->first;
    if (is_error(stanza)) {
        if (pairs->n_errors++ == 0)
            fprintf(stderr, "first error: %s\n", describe(stanza));
        send_next(pairs, member);
    } else if (at % 2 == 1 && is_chat(stanza)) {
        pairs->n_received++;
        send_next(pairs, &pairs->crowd.members[at - 1]);
    }
}

static void pair_closed(struct member *member, const char *why)
{
    struct pairs *pairs = (struct pairs *)member->crowd;
    if (pairs->n_lost_connections++ == 0)
        fprintf(stderr, "u%u lost its connection: %s\n", member->number, why);
}

static enum err open_pairs(struct pairs *pairs, struct load *load, struct why *why)
{
    *pairs = (struct pairs){.load = load};
    crowd_init(&pairs->crowd, load->loop, load->pool, &load->options, load->password, load->first,
               load->n);
    pairs->crowd.stanza = pair_stanza;
    return crowd_fill(&pairs->crowd, why);
}

/* At least so many seconds, and until so many messages have arrived: a server that commits each
 * one may deliver in bursts of all that is under way. */
static void run_until(struct pairs *pairs, double seconds, uint64_t n)
{
    struct loop *loop = pairs->load->loop;
    int64_t from_us = clock_now_us();
    loop_run(loop, from_us + (int64_t)(seconds * 1e6));
    while (pairs->n_received < n && clock_now_us() - from_us < SPAN_MOST_S * SECOND_US)
        loop_run(loop, clock_now_us() + SECOND_US / 10);
}

static enum err run_chat(struct load *load, struct why *why)
{
    struct pairs pairs;
    enum err e = open_pairs(&pairs, load, why);
    if (e == OK) {
        pairs.crowd.closed = pair_closed;
        for (uint32_t i = 0; i < load->n; i += 2) {
            for (unsigned k = 0; k < load->in_flight; k++)
                send_next(&pairs, &pairs.crowd.members[i]);
        }
        uint64_t n_under_way = (uint64_t)load->n / 2 * load->in_flight;
        run_until(&pairs, load->warmup_s, n_under_way);
        struct instant from = instant_now(load, pairs.n_received);
        run_until(&pairs, load->seconds, from.n + 2 * n_under_way);
        struct instant to = instant_now(load, pairs.n_received);
        print_span(&from, &to, "delivered");
        printf(", \"errors\": %llu, \"lost_connections\": %llu}\n",
               (unsigned long long)pairs.n_errors, (unsigned long long)pairs.n_lost_connections);
    }
    crowd_done(&pairs.crowd);
    return e;
}

/* Open loop: messages leave when a clock says so, whether or not earlier ones have arrived, and
 * their delay counts from the time they were due. */

struct open_loop {
    struct pairs pairs; // first
    struct timer timer;
    int64_t due_us, measure_from_us, until_us;
    uint32_t next_pair;
    int64_t *due_of; // by id
    uint64_t n_due, room;
    double *delays_ms;
    size_t n_delays;
};

static void open_stanza(struct member *member, const struct element *stanza)
{
    struct open_loop *open = (struct open_loop *)member->crowd;
    uint64_t id;
    if (!str_eq(stanza->name, STR("message")) || !read_id(stanza, &id) || id >= open->n_due)
        return;
    if (is_error(stanza)) {
        if (open->pairs.n_errors++ == 0)
            fprintf(stderr, "first error: %s\n", describe(stanza));
        return;
    }
    open->pairs.n_received++;
    if (open->due_of[id] >= open->measure_from_us)
        open->delays_ms[open->n_delays++] = (double)(clock_now_us() - open->due_of[id]) / 1e3;
    if (open->pairs.n_received == open->n_due && open->due_us >= open->until_us)
        loop_stop(open->pairs.load->loop);
}

static void send_due(struct timer *timer)
{
    struct open_loop *open = CONTAINER_OF(timer, struct open_loop, timer);
    struct load *load = open->pairs.load;
    int64_t now_us = clock_now_us();
    while (open->due_us <= now_us && open->due_us < open->until_us && open->n_due < open->room) {
        open->due_of[open->n_due] = open->due_us;
        struct member *sender = &open->pairs.crowd.members[2 * open->next_pair];
        open->next_pair = (open->next_pair + 1) % (load->n / 2);
        send_chat(load, sender, sender->number + 1, open->n_due++);
        open->due_us += (int64_t)(-log(1 - prng_unit(&load->prng)) / load->rate * 1e6);
    }
    if (open->due_us < open->until_us)
        loop_timer(load->loop, &open->timer, open->due_us);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t n, double share)
{
    return n == 0 ? 0 : sorted[(size_t)(share * (double)(n - 1) + 0.5)];
}

static enum err run_open(struct load *load, struct why *why)
{
    struct open_loop open = {.timer.fire = send_due};
    enum err e = open_pairs(&open.pairs, load, why);
    open.pairs.crowd.stanza = open_stanza;
    open.room = (uint64_t)((load->warmup_s + load->seconds) * load->rate * 2) + 1000;
    open.due_of = calloc(open.room, sizeof *open.due_of);
    open.delays_ms = calloc(open.room, sizeof *open.delays_ms);
    must(open.due_of != NULL && open.delays_ms != NULL);
    if (e == OK) {
        open.due_us = clock_now_us();
        open.measure_from_us = open.due_us + (int64_t)(load->warmup_s * 1e6);
        open.until_us = open.measure_from_us + (int64_t)(load->seconds * 1e6);
        loop_timer(load->loop, &open.timer, open.due_us);
        loop_run(load->loop, open.measure_from_us);
        struct instant from = instant_now(load, open.pairs.n_received);
        loop_run(load->loop, open.until_us);
        struct instant to = instant_now(load, open.pairs.n_received);
        loop_run(load->loop, open.until_us + 5 * SECOND_US); // the last ones
        loop_timer_stop(load->loop, &open.timer);
        qsort(open.delays_ms, open.n_delays, sizeof *open.delays_ms, compare_doubles);
        print_span(&from, &to, "delivered");
        printf(", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"errors\": %llu, "
               "\"missing\": %llu}\n",
               percentile(open.delays_ms, open.n_delays, 0.5),
               percentile(open.delays_ms, open.n_delays, 0.99),
               percentile(open.delays_ms, open.n_delays, 1.0),
               (unsigned long long)open.pairs.n_errors,
               (unsigned long long)(open.n_due - open.pairs.n_received - open.pairs.n_errors));
    }
    crowd_done(&open.pairs.crowd);
    free(open.due_of);
    free(open.delays_ms);
    return e;
}

static enum err fill_once(struct load *load, struct crowd *crowd, uint32_t n, struct why *why)
{
    crowd_init(crowd, load->loop, load->pool, &load->options, load->password, load->first, n);
    crowd->abreast = load->abreast;
    return crowd_fill(crowd, why);
}

static enum err run_idle(struct load *load, struct why *why)
{
    struct crowd crowd;
    // a few first, so that what a server loads once is not counted
    enum err e = fill_once(load, &crowd, load->n < 100 ? load->n : 100, why);
    crowd_done(&crowd);
    if (e != OK)
        return e;
    loop_run(load->loop, clock_now_us() + 2 * SECOND_US);
    struct cost before, after;
    if (measure_tree(load->pid, &before) != OK)
        return why_say(why, ERR_MISSING, "process %d is gone", (int)load->pid);
    e = fill_once(load, &crowd, load->n, why);
    if (e == OK) {
        loop_run(load->loop, clock_now_us() + (int64_t)(load->seconds * 1e6));
        e = measure_tree(load->pid, &after);
    }
    if (e == OK && crowd.n_online != load->n)
        e = why_say(why, ERR_CLOSED, "%u of %u sessions are left", crowd.n_online, load->n);
    if (e == OK) {
        double n = load->n;
        printf("{\"sessions\": %u, \"kib_per_session\": %.2f, \"rss_kib_per_session\": %.2f, "
               "\"base_kib\": %lld, \"login_cpu_s\": %.3f}\n",
               load->n, (double)(after.pss_kib - before.pss_kib) / n,
               (double)(after.rss_kib - before.rss_kib) / n, (long long)before.pss_kib,
               after.cpu_s - before.cpu_s);
    }
    crowd_done(&crowd);
    return e;
}

/* Logins: each user comes, shows himself, and leaves. */

struct logins {
    struct crowd crowd; // first
    struct load *load;
    uint32_t n_wanted, n_begun, n_done, n_failed, n_running;
};

static void begin_login(struct logins *logins, struct member *member);

static void leave_at_once(void *owner, bool resumed)
{
    (void)resumed;
    struct member *member = owner;
    client_leave(member->client);
}

static void login_closed(void *owner, const char *why)
{
    struct member *member = owner;
    struct logins *logins = (struct logins *)member->crowd;
    if (str_eq(str_of(why), STR("left")))
        logins->n_done++;
    else if (logins->n_failed++ == 0)
        fprintf(stderr, "u%u: %s\n", member->number, why);
    client_free(&member->client);
    logins->n_running--;
    if (logins->n_begun < logins->n_wanted)
        begin_login(logins, member);
    else if (logins->n_running == 0)
        loop_stop(logins->load->loop);
}

/* The next user in turn: far fewer are under way than there are, so nobody has two sessions. */
static void begin_login(struct logins *logins, struct member *member)
{
    static const struct client_events events = {.online = leave_at_once, .closed = login_closed};
    struct load *load = logins->load;
    member->crowd = &logins->crowd;
    member->number = load->first + logins->n_begun++ % load->n;
    char user[16];
    snprintf(user, sizeof user, "u%u", member->number);
    member->client = client_new(load->pool, &load->options, str_of(user), str_of(load->password),
                                STR("bench"), &events, member);
    client_connect(member->client);
    logins->n_running++;
}

static void log_in_and_out(struct load *load, struct logins *logins, uint32_t n)
{
    *logins = (struct logins){.load = load, .n_wanted = n};
    struct member *members = calloc(load->abreast, sizeof *members);
    must(members != NULL);
    for (uint32_t i = 0; i < load->abreast && i < n; i++)
        begin_login(logins, &members[i]);
    loop_run(load->loop, clock_now_us() + 300 * SECOND_US);
    for (uint32_t i = 0; i < load->abreast; i++)
        client_free(&members[i].client);
    free(members);
}

static enum err run_logins(struct load *load, struct why *why)
{
    struct logins logins;
    // a client derives its key once and keeps it: not in the measured stretch
    log_in_and_out(load, &logins, load->n);
    struct instant from = instant_now(load, 0);
    log_in_and_out(load, &logins, load->n_logins);
    struct instant to = instant_now(load, logins.n_done);
    if (logins.n_done < load->n_logins)
        return why_say(why, ERR_CLOSED, "%u of %u logins failed", load->n_logins - logins.n_done,
                       load->n_logins);
    print_span(&from, &to, "logins");
    printf(", \"cpu_s_per_1000_logins\": %.4f}\n",
           (to.cpu_s - from.cpu_s) / (double)logins.n_done * 1000);
    return OK;
}

/* Kills: a sender with XEP-0198 writes to somebody who is away, while somebody else kills and
 * restarts the server; when our standard input ends, the receiver comes and counts. */

enum { KILL_MESSAGES_MOST = 1000000, RETRY_MS = 100, QUIET_S = 3 };

struct kills {
    struct load *load;
    struct client *sender, *receiver;
    struct timer pace, retry;
    int64_t due_us;
    bool is_over; // the server stays up from now on
    uint64_t n;   // messages; their ids are 0 to n - 1
    bool *acked, *received;
    uint64_t *id_of; // by number of the stanza, less one, across all sessions
    uint64_t n_numbers, acked_to;
    uint64_t n_received, n_twice, n_sessions, n_resumed, n_errors;
    int64_t last_us; // when something came
};

enum { NO_ID = -1 };

static void kill_online(void *owner, bool resumed)
{
    struct kills *kills = owner;
    kills->n_sessions++;
    kills->n_resumed += resumed;
    if (!resumed)
        kills->acked_to = kills->n_numbers; // a lost session acknowledges no more
}

static void kill_acked(void *owner, uint64_t number)
{
    struct kills *kills = owner;
    for (; kills->acked_to < number && kills->acked_to < kills->n_numbers; kills->acked_to++) {
        uint64_t id = kills->id_of[kills->acked_to];
        if (id < kills->n)
            kills->acked[id] = true;
    }
}

static void kill_closed(void *owner, const char *why)
{
    (void)why;
    struct kills *kills = owner;
    loop_timer(kills->load->loop, &kills->retry, clock_now_us() + RETRY_MS * 1000);
}

static void kill_retry(struct timer *timer)
{
    struct kills *kills = CONTAINER_OF(timer, struct kills, retry);
    client_connect(kills->sender);
}

static void kill_sent_back(void *owner, const struct element *stanza)
{
    struct kills *kills = owner;
    if (str_eq(stanza->name, STR("message")) && is_error(stanza) && kills->n_errors++ == 0)
        fprintf(stderr, "first error: %s\n", describe(stanza));
}

static void kill_received(void *owner, const struct element *stanza)
{
    struct kills *kills = owner;
    uint64_t id;
    if (!is_chat(stanza) || is_error(stanza) || !read_id(stanza, &id) || id >= kills->n)
        return;
    kills->n_twice += kills->received[id];
    kills->n_received += !kills->received[id];
    kills->received[id] = true;
    kills->last_us = clock_now_us();
}

static void kill_receiver_closed(void *owner, const char *why)
{
    (void)owner;
    if (!str_eq(str_of(why), STR("left")))
        fprintf(stderr, "the receiver lost its connection: %s\n", why);
}

static void kill_send(struct timer *timer)
{
    struct kills *kills = CONTAINER_OF(timer, struct kills, pace);
    struct load *load = kills->load;
    if (client_is_online(kills->sender) && kills->n < KILL_MESSAGES_MOST) {
        struct member sender = {.client = kills->sender};
        uint64_t number = send_chat(load, &sender, load->first + 1, kills->n);
        must(number > kills->n_numbers && number <= 2 * KILL_MESSAGES_MOST);
        while (kills->n_numbers < number - 1) // stanzas of the login
            kills->id_of[kills->n_numbers++] = (uint64_t)NO_ID;
        kills->id_of[kills->n_numbers++] = kills->n++;
    }
    kills->due_us += (int64_t)(1e6 / load->rate);
    loop_timer(load->loop, timer, kills->due_us);
}

static bool input_has_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char ignored[64];
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, ignored, sizeof ignored) <= 0;
}

static void count_kills(const struct kills *kills)
{
    uint64_t n_acked = 0, n_lost = 0;
    for (uint64_t i = 0; i < kills->n; i++) {
        n_acked += kills->acked[i];
        n_lost += kills->acked[i] && !kills->received[i];
    }
    printf("{\"sent\": %llu, \"acked\": %llu, \"received\": %llu, \"received_twice\": %llu, "
           "\"acked_then_lost\": %llu, \"sessions\": %llu, \"resumed\": %llu, \"errors\": %llu}\n",
           (unsigned long long)kills->n, (unsigned long long)n_acked,
           (unsigned long long)kills->n_received, (unsigned long long)kills->n_twice,
           (unsigned long long)n_lost, (unsigned long long)kills->n_sessions,
           (unsigned long long)kills->n_resumed, (unsigned long long)kills->n_errors);
}

static enum err run_kills(struct load *load, struct why *why)
{
    static const struct client_events sending = {kill_online, NULL, kill_sent_back, kill_acked,
                                                 kill_closed};
    static const struct client_events receiving = {NULL, NULL, kill_received, NULL,
                                                   kill_receiver_closed};
    struct kills kills = {.load = load, .pace.fire = kill_send, .retry.fire = kill_retry};
    kills.acked = calloc(KILL_MESSAGES_MOST, sizeof *kills.acked);
    kills.received = calloc(KILL_MESSAGES_MOST, sizeof *kills.received);
    kills.id_of = calloc(2 * KILL_MESSAGES_MOST, sizeof *kills.id_of);
    must(kills.acked != NULL && kills.received != NULL && kills.id_of != NULL);
    char user[2][16];
    for (uint32_t i = 0; i < 2; i++)
        snprintf(user[i], sizeof user[i], "u%u", load->first + i);
    kills.sender = client_new(load->pool, &load->options, str_of(user[0]), str_of(load->password),
                              STR("bench"), &sending, &kills);
    kills.receiver = client_new(load->pool, &load->options, str_of(user[1]), str_of(load->password),
                                STR("bench"), &receiving, &kills);
    client_connect(kills.sender);
    kills.due_us = clock_now_us();
    loop_timer(load->loop, &kills.pace, kills.due_us);
    while (!input_has_ended())
        loop_run(load->loop, clock_now_us() + SECOND_US / 10);
    loop_timer_stop(load->loop, &kills.pace);
    client_request_ack(kills.sender);
    loop_run(load->loop, clock_now_us() + 2 * SECOND_US);

    client_connect(kills.receiver);
    kills.last_us = clock_now_us();
    while (clock_now_us() - kills.last_us < QUIET_S * SECOND_US)
        loop_run(load->loop, clock_now_us() + SECOND_US / 10);
    enum err e = OK;
    if (!client_is_online(kills.receiver) || kills.n_sessions == 0)
        e = why_say(why, ERR_CLOSED, "the server did not come back");
    else
        count_kills(&kills);
    loop_timer_stop(load->loop, &kills.retry);
    client_free(&kills.sender);
    loop_timer_stop(load->loop, &kills.retry);
    client_leave(kills.receiver);
    loop_run(load->loop, clock_now_us() + SECOND_US / 2);
    client_free(&kills.receiver);
    free(kills.acked);
    free(kills.received);
    free(kills.id_of);
    return e;
}

/* The command line */

static const struct scenario {
    const char *name, *tells;
    enum err (*run)(struct load *load, struct why *why);
} scenarios[] = {
    {"chat",   "pairs, each sender with so many messages in flight",               run_chat  },
    {"open",   "pairs, --rate messages a second whatever comes back: p50 and p99", run_open  },
    {"idle",   "sessions that do nothing: memory for each",                        run_idle  },
    {"logins", "--logins logins over all users: processor time",                   run_logins},
    {"kills",
     "acknowledged messages to somebody who is away, until stdin ends, "
     "while the server is killed and restarted: which of them are lost",           run_kills },
};

static void usage(FILE *to)
{
    fprintf(to, "usage: firedoor-load SCENARIO --server HOST:PORT --domain NAME --password WORD "
                "--pid PID [options]\n\n");
    for (size_t i = 0; i < COUNT_OF(scenarios); i++)
        fprintf(to, "  %-8s %s\n", scenarios[i].name, scenarios[i].tells);
    fprintf(to, "\n"
                "  --users N         users u0 to uN-1 (400)\n"
                "  --first N         begin with another user than u0\n"
                "  --in-flight N     messages of a sender that are under way (10)\n"
                "  --abreast N       logins at the same time (20)\n"
                "  --warmup S        seconds before measuring (2)\n"
                "  --seconds S       seconds of measuring (8)\n"
                "  --rate R          messages a second, for open and kills (1000)\n"
                "  --logins N        for logins (1000)\n"
                "  --mechanism NAME  SCRAM-SHA-1, SCRAM-SHA-256 or PLAIN (SCRAM-SHA-1)\n"
                "  --sm              XEP-0198 on both sides\n"
                "  --ack-every N     stanzas between requests for an acknowledgement (5)\n"
                "  --lures           texts with links; else none has one\n"
                "  --direct-tls      TLS from the first byte; else STARTTLS\n");
}

enum {
    OPT_SERVER = 256,
    OPT_DOMAIN,
    OPT_PASSWORD,
    OPT_PID,
    OPT_USERS,
    OPT_FIRST,
    OPT_IN_FLIGHT,
    OPT_ABREAST,
    OPT_WARMUP,
    OPT_SECONDS,
    OPT_RATE,
    OPT_LOGINS,
    OPT_MECHANISM,
    OPT_SM,
    OPT_ACK_EVERY,
    OPT_LURES,
    OPT_DIRECT_TLS,
    OPT_HELP
};

static const struct option options[] = {
    {"server",           required_argument, NULL, OPT_SERVER},
    {"domain",              required_argument, NULL, OPT_DOMAIN},
    {"password",                  required_argument, NULL, OPT_PASSWORD},
    {"pid",required_argument, NULL, OPT_PID},
    {"users",        required_argument, NULL, OPT_USERS},
    {"first",         required_argument, NULL, OPT_FIRST},
    {"in-flight",              required_argument, NULL, OPT_IN_FLIGHT},
    {"abreast",                  required_argument, NULL, OPT_ABREAST},
    {"warmup",              required_argument, NULL, OPT_WARMUP},
    {"seconds",           required_argument, NULL, OPT_SECONDS},
    {"rate",            required_argument, NULL, OPT_RATE},
    {"logins",              required_argument, NULL, OPT_LOGINS},
    {"mechanism",                  required_argument, NULL, OPT_MECHANISM},
    {"sm",no_argument, NULL, OPT_SM},
    {"ack-every",         required_argument, NULL, OPT_ACK_EVERY},
    {"lures",        no_argument, NULL, OPT_LURES},
    {"direct-tls",              no_argument, NULL, OPT_DIRECT_TLS},
    {"help",                  no_argument, NULL, OPT_HELP},
    {NULL},
};

static enum err read_number(const char *text, double least, double most, double *out,
                            struct why *why)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end != '\0' || !(n >= least && n <= most))
        return why_say(why, ERR_MALFORMED, "%s is not a number from %g to %g", text, least, most);
    *out = n;
    return OK;
}

static enum err read_mechanism(const char *text, enum mechanism *out, struct why *why)
{
    for (enum mechanism m = MECHANISM_PLAIN; m <= MECHANISM_SCRAM_SHA_256; m++) {
        if (str_eq(str_of(text), str_of(mechanism_name(m)))) {
            *out = m;
            return OK;
        }
    }
    return why_say(why, ERR_MALFORMED, "%s is no mechanism of ours", text);
}

static enum err read_option(struct load *load, int option, const char *value, struct why *why)
{
    double n = 0;
    enum err e = OK;
    switch (option) {
    case OPT_SERVER:
        return endpoint_parse(str_of(value), &load->options.endpoint, why);
    case OPT_DOMAIN:
        load->options.domain = str_of(value);
        return OK;
    case OPT_PASSWORD:
        load->password = value;
        return OK;
    case OPT_PID:
        e = read_number(value, 1, INT32_MAX, &n, why);
        load->pid = (pid_t)n;
        return e;
    case OPT_USERS:
        e = read_number(value, 2, 1000000, &n, why);
        load->n = (uint32_t)n;
        return e;
    case OPT_FIRST:
        e = read_number(value, 0, 1000000, &n, why);
        load->first = (uint32_t)n;
        return e;
    case OPT_IN_FLIGHT:
        e = read_number(value, 1, 100000, &n, why);
        load->in_flight = (unsigned)n;
        return e;
    case OPT_ABREAST:
        e = read_number(value, 1, 10000, &n, why);
        load->abreast = (unsigned)n;
        return e;
    case OPT_WARMUP:
        return read_number(value, 0, 86400, &load->warmup_s, why);
    case OPT_SECONDS:
        return read_number(value, 0, 86400, &load->seconds, why);
    case OPT_RATE:
        return read_number(value, 0.001, 1e6, &load->rate, why);
    case OPT_LOGINS:
        e = read_number(value, 1, 1e7, &n, why);
        load->n_logins = (uint32_t)n;
        return e;
    case OPT_MECHANISM:
        return read_mechanism(value, &load->options.mechanism, why);
    case OPT_SM:
        load->options.stream_management = true;
        return OK;
    case OPT_ACK_EVERY:
        e = read_number(value, 0, 100000, &n, why);
        load->options.ack_every = (unsigned)n;
        return e;
    case OPT_LURES:
        load->lures = true;
        return OK;
    case OPT_DIRECT_TLS:
        load->options.direct_tls = true;
        return OK;
    default:
        return why_say(why, ERR_MALFORMED, "see --help");
    }
}

static enum err read_command_line(struct load *load, int argc, char **argv,
                                  const struct scenario **scenario, struct why *why)
{
    enum err e = OK;
    int option;
    while (e == OK &&
           (option = getopt_long(argc, argv, "", options, NULL)) != -1) { // NOLINT: one thread
        if (option == OPT_HELP) {
            usage(stdout);
            exit(0); // NOLINT: one thread
        }
        e = read_option(load, option, optarg, why);
    }
    if (e != OK)
        return e;
    for (size_t i = 0; optind < argc && i < COUNT_OF(scenarios); i++) {
        if (str_eq(str_of(argv[optind]), str_of(scenarios[i].name)))
            *scenario = &scenarios[i];
    }
    if (*scenario == NULL || optind + 1 != argc)
        return why_say(why, ERR_MALFORMED, "name one scenario; see --help");
    if (load->options.endpoint.size == 0 || load->options.domain.len == 0 ||
        load->password == NULL || load->pid == 0)
        return why_say(why, ERR_MALFORMED, "--server, --domain, --password, --pid are needed");
    load->n -= load->n % 2;
    return OK;
}

static void raise_limits(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    prctl(PR_SET_TIMERSLACK, 1UL); // punctual sending
}

int main(int argc, char **argv)
{
    struct load load = {
        .options = {.mechanism = MECHANISM_SCRAM_SHA_1, .ack_every = 5, .presence = true},
        .n = 400,
        .in_flight = 10,
        .abreast = 20,
        .warmup_s = 2,
        .seconds = 8,
        .rate = 1000,
        .n_logins = 1000,
        .prng = {20260101                 },
    };
    const struct scenario *scenario = NULL;
    struct why why;
    random_start();
    enum err e = read_command_line(&load, argc, argv, &scenario, &why);
    if (e != OK) {
        fprintf(stderr, "firedoor-load: %s\n", why.text);
        return 2;
    }
    raise_limits();
    arena_init(&load.arena, 64 << 20);
    make_texts(&load);
    load.loop = loop_new();
    load.pool = client_pool_new(load.loop, true);
    must(scenario != NULL);
    e = scenario->run(&load, &why);
    if (e != OK)
        fprintf(stderr, "firedoor-load %s: %s\n", scenario->name, why.text);
    client_pool_free(&load.pool);
    loop_free(&load.loop);
    arena_done(&load.arena);
    return e == OK ? 0 : 1;
}

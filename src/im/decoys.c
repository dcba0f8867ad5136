/*
 * Everything a decoy does is done from its own timers, each at a time of its
 * own: never in the round that decided it, in which many may be decided, nor
 * under the feet of who asked.
 */
#include "im/decoys.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "im/activity.h"
#include "im/intake.h"
#include "im/roster.h"
#include "im/session_life.h"
#include "route/own.h"
#include "route/spool.h"
#include "xml/tokenizer.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    ASKED_A_ROUND = 8,   // clients of people that are asked for their portrait, at most
    SHOWS_MOST = 8,      // people whose <show/> decoys look at
    ROUNDS_TO_ACT = 4,   // a change is made at some moment within so many rounds
    REPLIES_MOST = 4096, // of a home's decoys, that wait for their time; more are not given
    REPLY_MOST = 4 << 20,
    REPLIES_BYTES_MOST = 32 << 20,
    RESOURCE_MOST = 1024,
    VCARD_MOST = 64 << 20,
};
static const double redraw_a_day = 1.2, leave_margin = 0.05, show_odds = 0.05, idle_odds = 0.3;
static const int64_t delay_most_us = 3 * SECOND_US; // a client that takes longer hangs

struct decoys_desk {
    struct home *home;
    struct table by_name; // of struct decoy
    bool closed;
    size_t n_replies, reply_bytes;
};

struct decoy {
    struct decoys_desk *desk;
    struct jid jid;             // bare; own memory
    struct account_waiter want; // while the account is loaded
    struct timer timer;         // it comes, goes or changes its <show/>
    uint64_t session;           // 0: it is away
    bool named;                 // in this round
    bool gone;                  // it is no decoy any more; freed as soon as nothing holds it
    bool waiting;               // want is in a list, or its vCard is being read
    bool is_wanted;
    double threshold;
    struct portrait *portrait; // while it is there, or about to come
    struct str resource;       // own memory
    struct str show;           // constant
    struct str photo;          // hash of its picture; own memory
    struct account *account;   // held while its vCard is read
    struct store_document_get reading;
    int64_t delay_us;   // that its client takes
    int64_t touched_us; // loop time of what looks like its person's last act
    struct list replies;
    struct timer replies_timer;
    int64_t replied_us; // loop time at which the last reply is due: a client answers in order
};

struct reply {
    struct link link;
    int64_t due_us; // loop time
    struct arena arena;
    struct element *element;
    size_t bytes; // of the arena
};

static double unit(void)
{
    return (double)(random_u64() >> 11) / 9007199254740992.0; // 2^53
}

static int64_t some_of(int64_t us)
{
    return (int64_t)(unit() * (double)us);
}

/* ---- Replies ---- */

static void reply_free(struct decoy *decoy, struct reply *reply)
{
    list_leave(&reply->link);
    decoy->desk->n_replies--;
    decoy->desk->reply_bytes -= reply->bytes;
    arena_done(&reply->arena);
    free(reply);
}

static void drop_replies(struct decoy *decoy)
{
    loop_timer_cancel(&decoy->replies_timer);
    LIST_EACH(&decoy->replies, struct reply, link, reply)
    reply_free(decoy, reply);
}

static void give_replies(struct timer *timer);

static void set_replies_timer(struct decoy *decoy)
{
    const struct reply *first = LIST_FIRST(&decoy->replies, struct reply, link);
    struct loop *loop = decoy->desk->home->loop;
    if (first == NULL || timer_is_set(&decoy->replies_timer))
        return;
    int64_t left_us = first->due_us - loop_now_us(loop);
    loop_timer_set(loop, &decoy->replies_timer, left_us > 0 ? left_us : 1, give_replies);
}

static void give_replies(struct timer *timer)
{
    struct decoy *decoy = CONTAINER_OF(timer, struct decoy, replies_timer);
    struct home *home = decoy->desk->home;
    for (;;) {
        struct session *session = session_find(home, decoy->session);
        struct reply *reply = LIST_FIRST(&decoy->replies, struct reply, link);
        if (session == NULL || session->ending || reply == NULL ||
            reply->due_us > loop_now_us(home->loop))
            break;
        intake_stanza(session, &reply->arena, reply->element); // takes what is in the arena
        reply_free(decoy, reply);
    }
    set_replies_timer(decoy);
}

static struct reply *reply_new(void)
{
    struct reply *reply = calloc(1, sizeof *reply);
    must(reply != NULL);
    arena_init(&reply->arena, REPLY_MOST);
    return reply;
}

static void reply_later(struct decoy *decoy, struct reply *reply)
{
    int64_t now_us = loop_now_us(decoy->desk->home->loop);
    reply->due_us = now_us + (int64_t)((double)decoy->delay_us * (0.8 + 0.4 * unit()));
    if (reply->due_us < decoy->replied_us)
        reply->due_us = decoy->replied_us;
    decoy->replied_us = reply->due_us;
    list_add_last(&decoy->replies, &reply->link);
    reply->bytes = reply->arena.used;
    decoy->desk->n_replies++;
    decoy->desk->reply_bytes += reply->bytes;
    set_replies_timer(decoy);
}

static void answer(struct decoy *decoy, const struct stanza *request)
{
    struct reply *reply = reply_new();
    int64_t idle_us = loop_now_us(decoy->desk->home->loop) - decoy->touched_us;
    if (portrait_reply(decoy->portrait, &reply->arena, request, idle_us, &reply->element) == OK) {
        reply_later(decoy, reply);
        return;
    }
    arena_done(&reply->arena);
    free(reply);
}

// XEP-0184 5: by itself, and to nobody who may not know that it is there.
static void confirm(struct decoy *decoy, const struct account *account, const struct stanza *stanza)
{
    if (!roster_is_seen_by(account, jid_bare(&stanza->from)))
        return;
    struct reply *reply = reply_new();
    reply->element = portrait_receipt(decoy->portrait, &reply->arena, stanza);
    if (reply->element != NULL) {
        reply_later(decoy, reply);
        return;
    }
    arena_done(&reply->arena);
    free(reply);
}

static enum passing to_session(struct session *session, const struct sending_out *what)
{
    struct decoy *decoy = session->decoy;
    const struct stanza *stanza = what->stanza;
    if (decoy == NULL)
        return PASS;
    if (what->spool_id != 0) // as soon as the socket would have it
        spool_delivered(session->account, (int64_t)what->spool_id, what->spool_size);
    if (decoy->desk->closed || decoy->desk->n_replies >= REPLIES_MOST ||
        decoy->desk->reply_bytes >= REPLIES_BYTES_MOST)
        return STOP;
    if (stanza->kind == STANZA_IQ && (stanza->type == TYPE_GET || stanza->type == TYPE_SET) &&
        stanza->from.full.len > 0)
        answer(decoy, stanza);
    else if (stanza->kind == STANZA_MESSAGE)
        confirm(decoy, session->account, stanza);
    return STOP;
}

/* ---- Coming and going ---- */

// As if the client had sent it.
static void say(struct session *session, struct str text)
{
    struct arena arena;
    struct element *element;
    arena_init(&arena, REPLY_MOST);
    must(element_parse(&arena, text, NS_CLIENT, NULL, &element, NULL) == OK);
    intake_stanza(session, &arena, element);
    arena_done(&arena);
}

static void show(struct decoy *decoy, struct session *session)
{
    struct arena arena;
    arena_init(&arena, REPLY_MOST);
    struct str of_show = decoy->show.len > 0
                             ? arena_printf(&arena, "<show>%.*s</show>", STR_ARGS(decoy->show))
                             : STR_EMPTY;
    say(session, arena_printf(&arena, "<presence>%.*s%.*s</presence>", STR_ARGS(of_show),
                              STR_ARGS(portrait_presence(decoy->portrait, &arena, decoy->photo))));
    arena_done(&arena);
}

static void decoy_free(struct decoy *decoy)
{
    loop_timer_cancel(&decoy->timer);
    drop_replies(decoy);
    portrait_unref(&decoy->portrait);
    own_str_free(&decoy->resource);
    own_str_free(&decoy->photo);
    own_jid_free(&decoy->jid);
    free(decoy);
}

// XEP-0153 4.1: the hash of the picture in a vCard; own memory, empty: there is none.
static struct str photo_of(struct str xml)
{
    struct arena arena;
    struct element *card = NULL;
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    arena_init(&arena, VCARD_MOST);
    if (xml.len == 0 || element_parse(&arena, xml, NS_NONE, NULL, &card, NULL) != OK)
        card = NULL;
    const struct element *photo = card != NULL ? element_child(card, NS_VCARD, STR("PHOTO")) : NULL;
    struct str text =
        photo != NULL ? element_child_text(photo, NS_VCARD, STR("BINVAL")) : STR_EMPTY;
    // clients break its lines
    char *packed = arena_alloc(&arena, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!isspace((unsigned char)text.at[i]))
            packed[n++] = text.at[i];
    struct str bytes;
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (n > 0 && base64_decode(&arena, str_make(packed, n), n, &bytes) == OK) {
        must(EVP_Q_digest(NULL, "SHA1", NULL, bytes.at, bytes.len, digest, &size) == 1);
        sodium_bin2hex(hex, sizeof hex, digest, size);
    }
    arena_done(&arena);
    return own_str(str_of(hex));
}

static void enter(struct decoy *decoy, struct account *account)
{
    struct session *session = session_begin(account, decoy->resource, decoy->portrait->lang);
    if (session == NULL)
        return;
    session->decoy = decoy;
    decoy->session = session->id;
    decoy->touched_us = loop_now_us(account->home->loop);
    activity_login(account);
    show(decoy, session);
}

static void picture_is_known(struct store_request *request)
{
    struct decoy *decoy = CONTAINER_OF(request, struct decoy, reading.request);
    struct account *account = TAKE(decoy->account);
    struct session *session =
        decoy->session != 0 ? session_find(decoy->desk->home, decoy->session) : NULL;
    decoy->waiting = false;
    own_str_free(&decoy->photo);
    decoy->photo = photo_of(request->result == OK ? decoy->reading.xml : STR_EMPTY);
    store_release(request);
    if (decoy->gone && decoy->session == 0)
        decoy_free(decoy);
    else if (session != NULL && !session->ending && !decoy->gone)
        show(decoy, session);
    else if (decoy->session == 0 && !decoy->desk->closed && account->state == ACCOUNT_READY)
        enter(decoy, account);
    account_release(account);
}

// Its picture first, as of now: clients know theirs when they come.
static void look_at_picture(struct decoy *decoy, struct account *account)
{
    account_hold(account);
    decoy->waiting = true;
    decoy->account = account;
    decoy->reading = (struct store_document_get){
        .request = {.home = loop_mailbox(account->home->loop), .done = picture_is_known},
        .account = account->number,
        .key = STR("vcard"),
    };
    store_document_get(account->home->store, &decoy->reading);
}

static void come_in(struct account_waiter *waiter, struct account *account)
{
    struct decoy *decoy = CONTAINER_OF(waiter, struct decoy, want);
    decoy->waiting = false;
    if (decoy->gone) {
        decoy_free(decoy);
        return;
    }
    if (decoy->desk->closed || account->state != ACCOUNT_READY || decoy->session != 0)
        return;
    look_at_picture(decoy, account);
}

static void go(struct session *session)
{
    say(session, STR("<presence type='unavailable'/>"));
    session_end(session);
}

static void act(struct timer *timer)
{
    struct decoy *decoy = CONTAINER_OF(timer, struct decoy, timer);
    struct home *home = decoy->desk->home;
    struct session *session = decoy->session != 0 ? session_find(home, decoy->session) : NULL;
    if (session != NULL && session->ending)
        return;
    if (session != NULL && !decoy->is_wanted) {
        go(session);
    } else if (session != NULL && !decoy->waiting) {
        look_at_picture(decoy, session->account);
    } else if (session == NULL && decoy->is_wanted && !decoy->waiting && decoy->portrait != NULL) {
        decoy->waiting = true;
        account_want(home, &decoy->jid, &decoy->want);
    }
}

static void session_ends(struct session *session)
{
    portrait_forget(session);
    struct decoy *decoy = session->decoy;
    if (decoy == NULL)
        return;
    session->decoy = NULL;
    drop_replies(decoy);
    decoy->session = 0;
    if (decoy->gone && !decoy->waiting)
        decoy_free(decoy);
}

/* ---- What its client is ---- */

// A word stays; what looks like chance is drawn anew, letter for letter and digit for digit.
static struct str resource_like(struct arena *arena, struct str example)
{
    char *out = arena_alloc(arena, example.len + 1);
    for (size_t i = 0, end; i < example.len; i = end) {
        bool is_word = true;
        for (end = i; end < example.len && isalnum((unsigned char)example.at[end]); end++)
            is_word &= islower((unsigned char)example.at[end]) ||
                       (end == i && isupper((unsigned char)example.at[end]));
        if (end == i)
            end++;
        for (size_t k = i; k < end; k++) {
            unsigned char c = (unsigned char)example.at[k];
            uint64_t luck = random_u64();
            out[k] = (char)(is_word      ? c
                            : isdigit(c) ? '0' + (int)(luck % 10)
                            : isupper(c) ? 'A' + (int)(luck % 26)
                            : islower(c) ? 'a' + (int)(luck % 26)
                                         : c);
        }
    }
    return str_make(out, example.len);
}

// A word that one person alone uses would be a mark.
static struct str choose_resource(struct arena *arena, const struct known_portrait *known,
                                  const struct portrait_sitter *sitter)
{
    unsigned n_same = 0;
    size_t head = 0;
    while (head < sitter->resource.len && isalnum((unsigned char)sitter->resource.at[head]))
        head++;
    for (unsigned i = 0; i < known->n_sitters; i++) {
        struct str other = known->sitters[i].resource;
        n_same += other.len >= head &&
                  str_eq(str_first(other, head), str_first(sitter->resource, head)) &&
                  (other.len == head || !isalnum((unsigned char)other.at[head]));
    }
    if (n_same >= 2 && sitter->resource.len < RESOURCE_MOST)
        return resource_like(arena, sitter->resource);
    return random_id(arena);
}

// More people have it, more decoys do.
static void choose_client(struct decoy *decoy, const struct decoys_round *round)
{
    uint64_t n = 0;
    struct arena arena;
    for (size_t i = 0; i < round->n_portraits; i++)
        n += round->portraits[i].n_people;
    if (n == 0)
        return;
    uint64_t luck = random_u64() % n;
    const struct known_portrait *known = round->portraits;
    while (luck >= known->n_people)
        luck -= known++->n_people;
    const struct portrait_sitter *sitter = &known->sitters[random_u64() % known->n_sitters];
    portrait_unref(&decoy->portrait);
    decoy->portrait = portrait_ref(known->portrait);
    decoy->delay_us = sitter->delay_us;
    arena_init(&arena, 65536);
    own_str_free(&decoy->resource);
    decoy->resource = own_str(choose_resource(&arena, known, sitter));
    arena_done(&arena);
}

/* ---- Rounds ---- */

static struct decoys_desk *desk_decoys(struct home *home)
{
    struct desk *desk = desk_of(home);
    if (desk->decoys == NULL) {
        desk->decoys = calloc(1, sizeof *desk->decoys);
        must(desk->decoys != NULL);
        desk->decoys->home = home;
        table_init(&desk->decoys->by_name, SIZE_MAX);
    }
    return desk->decoys;
}

static void name_decoys(struct decoys_desk *desk, const struct decoys_round *round)
{
    for (size_t i = 0; i < round->n_names; i++) {
        struct str name = round->names[i];
        if (home_of(desk->home->homes, name) != desk->home)
            continue;
        struct decoy *decoy = table_get(&desk->by_name, name);
        if (decoy == NULL) {
            decoy = calloc(1, sizeof *decoy);
            must(decoy != NULL);
            struct jid jid = jid_of_prepared(name);
            decoy->desk = desk;
            decoy->jid = own_jid(&jid);
            decoy->want.run = come_in;
            decoy->threshold = unit();
            decoy->resource = own_str(STR_EMPTY);
            decoy->photo = own_str(STR_EMPTY);
            list_init(&decoy->replies);
            must(table_put(&desk->by_name, decoy->jid.full, decoy) == OK);
        }
        decoy->named = true;
    }
}

static void dismiss(struct decoys_desk *desk, struct decoy *decoy)
{
    table_remove(&desk->by_name, decoy->jid.full);
    loop_timer_cancel(&decoy->timer);
    decoy->gone = true;
    struct session *session = decoy->session != 0 ? session_find(desk->home, decoy->session) : NULL;
    if (session != NULL && !session->ending)
        go(session); // its end frees the decoy
    else if (session == NULL && !decoy->waiting)
        decoy_free(decoy);
}

static void dismiss_unnamed(struct decoys_desk *desk)
{
    size_t at = 0;
    for (struct decoy *decoy; (decoy = table_next(&desk->by_name, &at)) != NULL;) {
        if (!decoy->named) {
            dismiss(desk, decoy);
            at = 0; // the table has changed
        }
    }
}

static struct str show_of(const struct session *session)
{
    static const struct str shows[] = {
        {"away", 4},
        {"xa",   2},
        {"dnd",  3},
        {"chat", 4}
    };
    struct str text = packed_stanza_text(session->presence);
    for (size_t i = 0; i < COUNT_OF(shows); i++) {
        size_t at = str_find(text, STR("<show>"));
        if (at < text.len && str_starts(str_skip(text, at + 6), shows[i]))
            return shows[i];
    }
    return STR_EMPTY;
}

static bool counts(const struct session *session)
{
    return session->available && !session->ending && session->decoy == NULL;
}

// Several devices are one person.
static bool is_first(const struct session *session)
{
    LIST_EACH(&session->account->sessions, struct session, in_account, other)
    if (counts(other))
        return other == session;
    return false;
}

struct people {
    struct str shows[SHOWS_MOST]; // of some, by chance
    uint64_t n;
};

static void look_at_person(struct decoys_round *round, struct people *people,
                           const struct session *session)
{
    for (size_t i = 0; i < round->n_domains; i++)
        round->domains[i].n_here += str_eq(round->domains[i].name, session->jid.domain);
    uint64_t place = people->n < SHOWS_MOST ? people->n : random_u64() % (people->n + 1);
    people->n++;
    if (place < SHOWS_MOST)
        people->shows[place] = show_of(session);
}

static void made(struct decoys_round *round, struct session *session)
{
    int64_t delay_us;
    struct portrait *portrait = portrait_take(session, &delay_us);
    if (portrait == NULL)
        return;
    struct portrait_made *made = calloc(1, sizeof *made);
    must(made != NULL);
    made->portrait = portrait;
    made->account = own_str(session->account->jid.full);
    made->resource = own_str(session->jid.resource);
    made->delay_us = delay_us < delay_most_us ? delay_us : delay_most_us;
    list_add_last(&round->made, &made->link);
}

void portrait_made_free(struct portrait_made **made)
{
    struct portrait_made *m = TAKE(*made);
    if (m == NULL)
        return;
    list_leave(&m->link);
    portrait_unref(&m->portrait);
    own_str_free(&m->account);
    own_str_free(&m->resource);
    free(m);
}

static void look_at_people(struct decoys_round *round, struct people *people)
{
    struct home *home = round->home;
    const struct decoys_desk *desk = desk_of(home)->decoys;
    size_t at = 0, n_asked = 0;
    for (struct session *session; (session = table_next(&home->sessions, &at)) != NULL;) {
        if (!counts(session) || table_get(&desk->by_name, session->account->jid.full) != NULL)
            continue; // also where an operator looks in at a decoy's account himself
        if (is_first(session))
            look_at_person(round, people, session);
        if (round->n_names == 0 || session->client == NULL)
            continue;
        if (portrait_is_asked(session)) {
            made(round, session);
        } else if (n_asked < ASKED_A_ROUND) {
            n_asked++;
            portrait_ask(session);
        }
    }
}

static double share_in(const struct decoys_round *round, struct str domain)
{
    for (size_t i = 0; i < round->n_domains; i++)
        if (str_eq(round->domains[i].name, domain))
            return round->domains[i].share;
    return 0;
}

static void decide(struct decoy *decoy, const struct decoys_round *round,
                   const struct people *people)
{
    struct loop *loop = decoy->desk->home->loop;
    double share = share_in(round, decoy->jid.domain);
    bool is_there = decoy->session != 0;
    if (unit() < redraw_a_day * (double)round->every_us / (86400.0 * (double)SECOND_US))
        decoy->threshold = unit();
    if (unit() < idle_odds)
        decoy->touched_us = loop_now_us(loop) - some_of(round->every_us);
    decoy->is_wanted = share > 0 && share > decoy->threshold - (is_there ? leave_margin : 0);
    bool changes = decoy->is_wanted != is_there;
    if (changes && !is_there) {
        if (timer_is_set(&decoy->timer))
            return;
        choose_client(decoy, round);
        decoy->show = STR_EMPTY;
    }
    if (is_there && !changes && people->n > 0 && unit() < show_odds) {
        uint64_t n = people->n < SHOWS_MOST ? people->n : SHOWS_MOST;
        struct str show = people->shows[random_u64() % n];
        changes = !str_eq(show, decoy->show);
        decoy->show = show;
    }
    if (changes && !timer_is_set(&decoy->timer))
        loop_timer_set(loop, &decoy->timer, some_of(ROUNDS_TO_ACT * round->every_us) + 1, act);
}

static void come_back(struct mail *mail)
{
    struct decoys_round *round = CONTAINER_OF(mail, struct decoys_round, mail);
    round->done(round);
}

static void run_round(struct mail *mail)
{
    struct decoys_round *round = CONTAINER_OF(mail, struct decoys_round, mail);
    struct decoys_desk *desk = desk_decoys(round->home);
    struct people people = {.n = 0};
    for (size_t i = 0; i < round->n_domains; i++)
        round->domains[i].n_here = 0;
    if (!desk->closed) {
        name_decoys(desk, round);
        dismiss_unnamed(desk);
        look_at_people(round, &people);
        size_t at = 0;
        for (struct decoy *decoy; (decoy = table_next(&desk->by_name, &at)) != NULL;) {
            decoy->named = false;
            decide(decoy, round, &people);
            round->n_there += decoy->session != 0;
        }
    }
    round->mail.run = come_back;
    loop_post(round->back, &round->mail);
}

void decoys_round_send(struct decoys_round *round)
{
    list_init(&round->made);
    round->n_there = 0;
    round->mail.run = run_round;
    loop_post(round->home->loop, &round->mail);
}

/* ---- The end ---- */

void decoys_close(struct desk *desk)
{
    size_t at = 0;
    if (desk->decoys == NULL)
        return;
    desk->decoys->closed = true;
    for (struct decoy *decoy; (decoy = table_next(&desk->decoys->by_name, &at)) != NULL;) {
        loop_timer_cancel(&decoy->timer);
        drop_replies(decoy);
    }
}

void decoys_free(struct decoys_desk **decoys)
{
    struct decoys_desk *d = TAKE(*decoys);
    if (d == NULL)
        return;
    size_t at = 0;
    for (struct decoy *decoy; (decoy = table_next(&d->by_name, &at)) != NULL;)
        decoy_free(decoy);
    table_done(&d->by_name);
    free(d);
}

const struct feature feature_decoys = {
    .name = "decoys",
    .spec = "none: nothing of it is announced",
    .to_session = to_session,
    .session_ends = session_ends,
};

/*
 * The profiles.  Nothing that this program sends leads anywhere: hosts are in
 * reserved top-level domains, and what must look like another host (a document
 * on a large site, a shortener's link, a name spelled out) is made of random
 * letters.
 */
#include "town/worm.h"

#include "base/must.h"

#include <stdlib.h>

enum {
    PURPOSE_WORM = 3,
    PURPOSE_CAMPAIGN = 4,
    PURPOSE_STRAIN = 12,
    PURPOSE_POOL = 33,
    PURPOSE_FIRST = 35,
    POOL = 30
};

#define PICK(prng, array) ((array)[prng_below((prng), COUNT_OF(array))])

const struct worm_profile worm_profiles[] = {
    {"P1",
     "kelvir", "one text, one link, all contacts, a tenth of a second apart",
     10, {.pause_s = 0.1, .zeros = 1}},
    {"P2",
     "the victim's name", "each link holds the name of the one who is to open it",
     10, {.names_victim = true, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P3",
     "rotating", "another host and another text with every copy",
     10, {.host = CHANGE_COPY, .words = CHANGE_COPY, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P4",                                                                                    "slow", "one contact in ten minutes", 480, {.pause_s = 600, .jitter = 0.3, .zeros = 1}},
    {"P5",
     "live conversations", "answers those who have just written",
     45, {.aim = AIM_REPLIES, .pause_s = 3, .jitter = 0.5, .zeros = 1}},
    {"P6",
     "file", "a program in the guise of a picture, as a file to fetch",
     10, {.bait = BAIT_FILE, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P7",
     "shorteners", "a shortener's link, another one with every copy",
     10, {.bait = BAIT_SHORTENER, .host = CHANGE_COPY, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P8",
     "plain words", "no link: words that say where to go",
     10, {.bait = BAIT_WORDS, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P9",
     "recent contacts", "only those with whom there was talk both ways of late",
     10, {.aim = AIM_RECENT, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P10",
     "rooms", "the rooms he is in first, then all contacts",
     10, {.aim = AIM_ROOMS, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P11",
     "from a partner", "twenty infected people of another server write to ours",
     10, {.pause_s = 0.1, .jitter = 0.5, .remote_zeros = 20}},
    {"P12",
     "twenty zeros", "a kelvir that begins in twenty clients at once",
     10, {.pause_s = 0.1, .jitter = 0.5, .zeros = 20}},
    {"P13",
     "encrypted", "end-to-end encrypted copies at machine pace",
     10, {.bait = BAIT_ENCRYPTED, .pause_s = 0.1, .jitter = 0.5, .zeros = 1}},
    {"P14",
     "mimic", "types, keeps a human pace, every text and every host is new",
     120, {.aim = AIM_RANDOM,
      .host = CHANGE_COPY,
      .words = CHANGE_COPY,
      .composes = true,
      .pause_s = 40,
      .jitter = 1.8,
      .wait_s = 60,
      .zeros = 1}},
    {"P15",
     "an honest host", "one document on a large honest host, at human pace",
     120, {.aim = AIM_RANDOM,
      .bait = BAIT_ESTABLISHED,
      .words = CHANGE_COPY,
      .composes = true,
      .pause_s = 40,
      .jitter = 1.8,
      .wait_s = 60,
      .zeros = 1}},
    {"P16",
     "patient", "never-seen hosts, hours apart, six contacts at most",
     1440, {.aim = AIM_RANDOM,
      .host = CHANGE_COPY,
      .words = CHANGE_COPY,
      .composes = true,
      .pause_s = 10800,
      .jitter = 0.5,
      .wait_s = 3600,
      .most = 6,
      .zeros = 1}},
    {NULL                             },
};

const struct worm_profile *worm_find(struct str name)
{
    for (const struct worm_profile *at = worm_profiles; at->name != NULL; at++) {
        if (str_eq_nocase(name, str_of(at->name)))
            return at;
    }
    return NULL;
}

bool worm_is_one_to_one(const struct worm_profile *profile)
{
    const struct worm_habits *habits = &profile->habits;
    return habits->aim != AIM_ROOMS && habits->aim != AIM_STATUS && habits->remote_zeros == 0;
}

/* ---- Habits by name ---- */

const char worm_settings_help[] =
    "aim=roster|random|replies|recent|rooms|status "
    "bait=link|file|shortener|established|words|encrypted|talk host=never|person|copy|pool "
    "words=never|person|copy|pool names=0|1 composes=0|1 pause=SECONDS "
    "jitter=SHARE wait=SECONDS most=N zeros=N remote=N avoids=0|1 chats=0|1 entitled=0|1 "
    "poison=N hosts=N aged=N lead=SECONDS beside=N follows=N ring=N ringpause=SECONDS "
    "ringdays=N ringsome=N ringout=0|1 hubs=0|1 abroad=N lull=N seconds=PERCENT "
    "own=N ownwait=SECONDS ownmost=N meets=0|1";

static const char *const aims[] = {"roster", "random", "replies", "recent", "rooms", "status"};
static const char *const baits[] = {"link",  "file",      "shortener", "established",
                                    "words", "encrypted", "talk"};
static const char *const changes[] = {"never", "person", "copy", "pool"};

static bool find_name(const char *const *names, size_t n, struct str value, int *out)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(value, str_of(names[i]))) {
            *out = (int)i;
            return true;
        }
    }
    return false;
}

static bool read_number(struct str value, double *out)
{
    char text[32], *end;
    if (str_to_z(value, text, sizeof text) != OK || text[0] == 0)
        return false;
    double number = strtod(text, &end);
    if (*end != 0 || !(number >= 0 && number <= 1e9))
        return false;
    *out = number;
    return true;
}

enum err worm_set(struct worm_habits *habits, struct str key, struct str value, struct why *why)
{
    const struct {
        const char *key;
        const char *const *names;
        size_t n;
        int at; // its present value
    } words[] = {
        {"aim",   aims,    COUNT_OF(aims),    (int)habits->aim  },
        {"bait",  baits,   COUNT_OF(baits),   (int)habits->bait },
        {"host",  changes, COUNT_OF(changes), (int)habits->host },
        {"words", changes, COUNT_OF(changes), (int)habits->words},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        int chosen;
        if (!str_eq(key, str_of(words[i].key)))
            continue;
        if (!find_name(words[i].names, words[i].n, value, &chosen))
            return why_say(why, ERR_MALFORMED, "%.*s: no such %s", STR_ARGS(value), words[i].key);
        if (i == 0)
            habits->aim = (enum worm_aim)chosen;
        else if (i == 1)
            habits->bait = (enum worm_bait)chosen;
        else if (i == 2)
            habits->host = (enum worm_change)chosen;
        else
            habits->words = (enum worm_change)chosen;
        return OK;
    }
    double number;
    if (!read_number(value, &number))
        return why_say(why, ERR_MALFORMED, "%.*s=%.*s: not a number", STR_ARGS(key),
                       STR_ARGS(value));
    const struct {
        const char *key;
        bool *flag; // one of these
        uint32_t *count;
        double *number;
    } numbers[] = {
        {"names",     .flag = &habits->names_victim   },
        {"composes",  .flag = &habits->composes       },
        {"pause",     .number = &habits->pause_s      },
        {"jitter",    .number = &habits->jitter       },
        {"wait",      .number = &habits->wait_s       },
        {"most",      .count = &habits->most          },
        {"zeros",     .count = &habits->zeros         },
        {"remote",    .count = &habits->remote_zeros  },
        {"avoids",    .flag = &habits->avoids         },
        {"chats",     .flag = &habits->chats          },
        {"entitled",  .flag = &habits->entitled       },
        {"poison",    .count = &habits->poisoners     },
        {"hosts",     .count = &habits->hosts         },
        {"aged",      .count = &habits->aged          },
        {"lead",      .number = &habits->lead_s       },
        {"beside",    .count = &habits->beside        },
        {"follows",   .count = &habits->follows       },
        {"ring",      .count = &habits->ring          },
        {"ringpause", .number = &habits->ring_pause_s },
        {"ringdays",  .count = &habits->ring_days     },
        {"ringsome",  .count = &habits->ring_some     },
        {"ringout",   .flag = &habits->ring_out       },
        {"hubs",      .flag = &habits->hubs           },
        {"abroad",    .count = &habits->abroad        },
        {"lull",      .count = &habits->lull          },
        {"seconds",   .count = &habits->seconds_of_100},
        {"own",       .count = &habits->own           },
        {"ownwait",   .number = &habits->own_wait_s   },
        {"ownmost",   .count = &habits->own_most      },
        {"meets",     .flag = &habits->meets          },
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (!str_eq(key, str_of(numbers[i].key)))
            continue;
        if (numbers[i].flag != NULL)
            *numbers[i].flag = number != 0;
        else if (numbers[i].count != NULL)
            *numbers[i].count = (uint32_t)number;
        else
            *numbers[i].number = number;
        return OK;
    }
    return why_say(why, ERR_MALFORMED, "%.*s: a worm has no such habit", STR_ARGS(key));
}

/* ---- What it says ---- */

static const char *const teasers[] = {
    "lol is that you in this picture?? %s",       "omg you have to see this %s",
    "haha I found this video of us %s",           "look what they wrote about you: %s",
    "check this out before they take it down %s",
};

// A mimic never says the same twice: 16 x 16 x 16 x 8 sentences.
static const char *const openings[] = {
    "hey",        "so",      "by the way", "look",   "listen", "ok so",      "just saw this,",
    "remember?",  "morning", "finally,",   "oh and", "psst",   "quick one:", "before lunch:",
    "you there?", "hm,",
};
static const char *const subjects[] = {
    "the pictures from friday",
    "that plan we talked about",
    "the new timetable",
    "what anna meant",
    "the list for next week",
    "your part of the draft",
    "that recipe",
    "the map of the place",
    "the offer",
    "the photos of the team",
    "the film I told of",
    "this year's figures",
    "the room plan",
    "the song",
    "an old note of mine",
    "the thing for sunday",
};
static const char *const endings[] = {
    "are here",      "is up now",        "for you",           "as promised",
    "if you like",   "have a look",      "tell me later",     "only if there is time",
    "no hurry",      "it is quite good", "you will laugh",    "I had to think of you",
    "do you agree?", "not bad, is it",   "what do you think", "it made my day",
};
static const char *const tails[] = {"", "!", " :)", " ;-)", "…", " haha", " :D", "."};

static void add_letters(struct buf *out, struct prng *prng, int n)
{
    while (n-- > 0)
        buf_add_char(out, "abcdefghijkmnpqrstuvwxyz23456789"[prng_below(prng, 32)]);
}

static void add_document(struct buf *out, struct prng *prng)
{
    buf_add(out, STR("https://docs.google.com/document/d/"));
    add_letters(out, prng, 30);
    buf_add(out, STR("/edit"));
}

/* A host of the campaign: always the same from the same generator. */
static void add_host(struct buf *url, struct prng *prng)
{
    static const char *const parts[] = {"photo", "pic", "my", "party", "fun", "share", "album"};
    const char *first = PICK(prng, parts), *second = PICK(prng, parts);
    buf_printf(url, "%s-%s-", first, second);
    add_letters(url, prng, 6);
    buf_add(url, STR(".example"));
}

static uint32_t pool_of(const struct worm_habits *habits)
{
    return habits->hosts > 0 ? habits->hosts : POOL;
}

/* The generators of what changes never, with the person, with the copy, or within a pool. */
struct sources {
    struct prng campaign, strain, pool, *copy;
};

static struct prng *source_of(struct sources *sources, enum worm_change change)
{
    switch (change) {
    case CHANGE_NEVER:
        return &sources->campaign;
    case CHANGE_PERSON:
        return &sources->strain;
    case CHANGE_POOL:
        return &sources->pool;
    case CHANGE_COPY:
        break;
    }
    return sources->copy;
}

static void write_bait(const struct worm_habits *habits, struct sources *sources, struct str victim,
                       const char *file_name, struct buf *out)
{
    struct prng *prng = source_of(sources, habits->host);
    switch (habits->bait) {
    case BAIT_SHORTENER:
        buf_add(out, STR("https://bit.ly/"));
        add_letters(out, prng, 7);
        return;
    case BAIT_ESTABLISHED:
        add_document(out, prng);
        return;
    case BAIT_WORDS: // only a name under a public suffix can be spelled out
        buf_add(out, STR("go to "));
        add_letters(out, prng, 11);
        buf_add(out, STR(" dot com and sign in"));
        return;
    case BAIT_TALK:
        buf_printf(out, "ring extension %u and tell them the code on your badge",
                   (unsigned)(1000 + prng_below(prng, 9000)));
        return;
    case BAIT_FILE: // one file for all, its place changes with each copy
        buf_add(out, STR("https://files."));
        add_host(out, prng);
        buf_printf(out, "/%08x/%s", (unsigned)prng_below(sources->copy, UINT32_MAX), file_name);
        return;
    case BAIT_LINK:
    case BAIT_ENCRYPTED:
        break;
    }
    buf_add(out, STR("http://www."));
    add_host(out, prng);
    if (habits->names_victim)
        buf_printf(out, "/profile.php?user=%.*s", STR_ARGS(victim));
    else if (habits->host == CHANGE_NEVER)
        buf_add(out, STR("/pictures.php"));
    else
        buf_printf(out, "/v/%u", (unsigned)prng_below(prng, 100000));
}

static void write_words(const struct worm_habits *habits, struct sources *sources, struct str bait,
                        struct buf *out)
{
    struct prng *prng = source_of(sources, habits->words);
    if (habits->composes) {
        const char *opening = PICK(prng, openings), *subject = PICK(prng, subjects);
        const char *ending = PICK(prng, endings), *tail = PICK(prng, tails);
        if (prng_below(prng, 2) == 0)
            buf_printf(out, "%s %s %.*s %s%s", opening, subject, STR_ARGS(bait), ending, tail);
        else
            buf_printf(out, "%s %s %s%s %.*s", opening, subject, ending, tail, STR_ARGS(bait));
        return;
    }
    struct str teaser = str_of(PICK(prng, teasers));
    size_t at = str_find(teaser, STR("%s"));
    buf_add(out, str_first(teaser, at));
    buf_add(out, bait);
    buf_add(out, str_skip(teaser, at + 2));
}

void infection_write(struct infection *infection, const struct worm *worm, struct arena *arena,
                     struct str victim, struct letter *out)
{
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char *const names[] = {"holiday-pictures.jpg.scr", "Me_and_you.pif",
                                        "party_video.mp4.exe"};
    const struct worm_habits *habits = &worm->profile->habits;
    struct sources sources = {
        .campaign = prng_of(worm->seed, 0, PURPOSE_CAMPAIGN),
        .strain = prng_of(worm->seed, infection->person, PURPOSE_STRAIN),
        .copy = &infection->prng,
    };
    if (habits->host == CHANGE_POOL || habits->words == CHANGE_POOL)
        sources.pool =
            prng_of(worm->seed, (uint32_t)prng_below(sources.copy, pool_of(habits)), PURPOSE_POOL);
    *out = (struct letter){.encrypted = habits->bait == BAIT_ENCRYPTED};
    const char *name = NULL;
    if (habits->bait == BAIT_FILE) {
        struct prng *campaign = &sources.campaign;
        char digest[45];
        name = PICK(campaign, names);
        out->file.size = 40000 + (unsigned)prng_below(campaign, 200000);
        for (int i = 0; i < 42; i++)
            digest[i] = base64[prng_below(campaign, 64)];
        memcpy(digest + 42, "A=", 3); // 32 bytes leave two bits unused
        out->file.name = str_of(name);
        out->file.digest = arena_str(arena, str_of(digest));
    }
    struct buf bait, text;
    buf_init(&bait, 2048);
    buf_init(&text, 16384);
    for (uint32_t i = 0; i < habits->beside; i++) {
        add_document(&text, sources.copy);
        buf_add_char(&text, ' ');
    }
    write_bait(habits, &sources, victim, name, &bait);
    if (habits->bait == BAIT_FILE)
        buf_add(&text, buf_str(&bait));
    else
        write_words(habits, &sources, buf_str(&bait), &text);
    out->text = arena_str(arena, buf_str(&text));
    if (habits->bait != BAIT_WORDS && habits->bait != BAIT_TALK) {
        size_t at = str_find(out->text, buf_str(&bait));
        out->link = str_first(str_skip(out->text, at), bait.len);
    }
    buf_done(&bait);
    buf_done(&text);
}

struct str worm_chat(struct prng *prng)
{
    return str_of(PICK(prng, openings));
}

struct str worm_harmless_link(struct prng *prng, struct arena *arena)
{
    struct buf text;
    buf_init(&text, 1024);
    buf_printf(&text, "%s http://", PICK(prng, openings));
    add_host(&text, prng);
    struct str copy = arena_str(arena, buf_str(&text));
    buf_done(&text);
    return copy;
}

uint32_t worm_n_hosts(const struct worm *worm, uint32_t n_people)
{
    switch (worm->profile->habits.host) {
    case CHANGE_NEVER:
        return 1;
    case CHANGE_PERSON:
        return n_people;
    case CHANGE_POOL:
        return pool_of(&worm->profile->habits);
    case CHANGE_COPY:
        break;
    }
    return 0;
}

struct str worm_first_sight(const struct worm *worm, uint32_t host, struct arena *arena)
{
    const struct worm_habits *habits = &worm->profile->habits;
    struct prng copy = prng_of(worm->seed, host, PURPOSE_FIRST);
    struct sources sources = {
        .campaign = prng_of(worm->seed, 0, PURPOSE_CAMPAIGN),
        .strain = prng_of(worm->seed, host, PURPOSE_STRAIN),
        .pool = prng_of(worm->seed, host, PURPOSE_POOL),
        .copy = &copy,
    };
    struct buf bait;
    buf_init(&bait, 2048);
    write_bait(habits, &sources, STR("me"), "list.txt", &bait);
    struct str text = arena_str(arena, buf_str(&bait));
    buf_done(&bait);
    return text;
}

/* ---- To whom ---- */

void infection_init(struct infection *infection, const struct worm *worm, uint32_t person,
                    const uint32_t *contacts, uint32_t n_contacts)
{
    *infection = (struct infection){
        .prng = prng_of(worm->seed, person, PURPOSE_WORM),
        .person = person,
        .n_contacts = n_contacts,
        .order = malloc((n_contacts + 1) * sizeof *infection->order),
    };
    must(infection->order != NULL);
    if (n_contacts > 0)
        memcpy(infection->order, contacts, n_contacts * sizeof *contacts);
    for (uint32_t i = n_contacts; worm->profile->habits.aim == AIM_RANDOM && i > 1; i--) {
        uint32_t j = (uint32_t)prng_below(&infection->prng, i), contact = infection->order[i - 1];
        infection->order[i - 1] = infection->order[j];
        infection->order[j] = contact;
    }
}

void infection_done(struct infection *infection)
{
    free(infection->order);
    *infection = (struct infection){0};
}

static bool has_finished(const struct infection *infection, const struct worm *worm)
{
    uint32_t most = worm->profile->habits.most;
    return infection->n_sent == infection->n_contacts || (most != 0 && infection->n_sent >= most);
}

static void serve(struct infection *infection, uint32_t at)
{
    uint32_t contact = infection->order[at];
    // the order of the rest stays: a worm walks the roster
    memmove(infection->order + infection->n_sent + 1, infection->order + infection->n_sent,
            (at - infection->n_sent) * sizeof *infection->order);
    infection->order[infection->n_sent++] = contact;
}

bool infection_next(struct infection *infection, const struct worm *worm, uint32_t *contact)
{
    if (worm->profile->habits.aim == AIM_REPLIES || has_finished(infection, worm))
        return false;
    *contact = infection->order[infection->n_sent];
    serve(infection, infection->n_sent);
    return true;
}

bool infection_answers(struct infection *infection, const struct worm *worm, uint32_t contact)
{
    if (worm->profile->habits.aim != AIM_REPLIES || has_finished(infection, worm))
        return false;
    for (uint32_t i = infection->n_sent; i < infection->n_contacts; i++) {
        if (infection->order[i] == contact) {
            serve(infection, i);
            return true;
        }
    }
    return false;
}

int64_t infection_wait_us(const struct worm *worm)
{
    double wait_s = worm->profile->habits.wait_s;
    return (int64_t)((wait_s > 0 ? wait_s : 0.5) * 1e6);
}

int64_t infection_pause_us(struct infection *infection, const struct worm *worm)
{
    const struct worm_habits *habits = &worm->profile->habits;
    if (habits->jitter > 1) {
        struct delay_model human = {.median_s = habits->pause_s, .sigma = habits->jitter - 1};
        return delay_draw_us(&human, &infection->prng);
    }
    double spread = habits->jitter * (2 * prng_unit(&infection->prng) - 1);
    return (int64_t)(habits->pause_s * (1 + spread) * 1e6);
}

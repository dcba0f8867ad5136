/*
 * Users: who takes part.
 *
 * There are as many users as a site has people, so what the guard keeps of each
 * is small: links are numbers, a domain is written once for all its people, the
 * names and packed trails of those on one page lie behind each other without a
 * gap, and what few have is elsewhere (standings).  They are remembered within a
 * share of the memory, least recently used forgotten first.
 */
#include "guard/guard_internal.h"

enum {
    ASKED_BYTES = 3,  // how often somebody was asked, and on what day
    NAMES_SLACK = 64, // bytes that the names and trails of a page may grow by until they move
    JIDS_SAID = 4,    // that are good at once
};

static const double users_share = 0.25;

uint64_t guard_hash(const struct guard *guard, struct str text)
{
    return hash_keyed(&guard->hash_key, text);
}

struct str own_text(struct str text, size_t most)
{
    size_t len = text.len < most ? text.len : most;
    must(len < SIZE_MAX);
    if (len == 0) // nothing takes nothing
        return STR_EMPTY;
    char *copy = malloc(len + 1);
    must(copy != NULL);
    memcpy(copy, text.at, len);
    copy[len] = 0;
    return str_make(copy, len);
}

void *piece_make(struct guard *guard, size_t size, uint32_t *piece)
{
    return memset(slab_make(&guard->pieces, size, piece), 0, size);
}

void str_free(struct str *text)
{
    if (text->len > 0)
        free((char *)text->at);
    *text = STR_EMPTY;
}

/* ---- Names ------------------------------------------------------------------------------------
 */

/* Of the users of a page, in their order: the name of each; how often he was asked, if that is all
 * his standing; his trail. */
struct beside {
    uint16_t room, at[USERS_OF_PAGE + 1]; // each ends where the next one begins
    unsigned char bytes[];
};

/* Of a name that is NAME_LONG there is a pointer to this. */
struct long_name {
    uint32_t len;
    char text[];
};

struct users_said {
    struct {
        char *at;
        size_t room;
    } jids[JIDS_SAID];
    size_t n_jids;
    struct standing standing; // of somebody who was only asked
};

_Static_assert(sizeof(struct user) == 28, "nothing lies idle in it");
_Static_assert(USERS_OF_PAGE <= 64, "six bits say which slot");
_Static_assert(USERS_OF_PAGE *(NAME_LONG + ASKED_BYTES + TRAIL_LONGEST) <= UINT16_MAX - NAMES_SLACK,
               "what lies beside a page is found by sixteen bits");

static struct slab_page *page_of(const struct user *user)
{
    return CONTAINER_OF((char *)(user - user->slot), struct slab_page, at[0]);
}

static struct beside *beside(const struct user *user)
{
    return page_of(user)->beside;
}

static size_t beside_size(size_t room)
{
    return sizeof(struct beside) + room;
}

static size_t bytes_of_name(const struct user *user)
{
    return user->n_name < NAME_LONG ? user->n_name : sizeof(struct long_name *);
}

static size_t bytes_before_trail(const struct user *user)
{
    return bytes_of_name(user) + (user->is_asked ? ASKED_BYTES : 0);
}

static unsigned char *text_of(const struct user *user, size_t *len)
{
    struct beside *names = beside(user);
    unsigned at = names->at[user->slot];
    *len = names->at[user->slot + 1] - at;
    return names->bytes + at;
}

static struct beside *beside_again(struct guard *guard, struct slab_page *page, size_t room)
{
    struct beside *names = page->beside;
    if (names != NULL)
        guard->bytes_texts -= heap_size(beside_size(names->room));
    bool is_new = names == NULL;
    names = realloc(names, beside_size(room));
    must(names != NULL);
    if (is_new)
        memset(names->at, 0, sizeof names->at);
    names->room = (uint16_t)room;
    page->beside = names;
    guard->bytes_texts += heap_size(beside_size(room));
    return names;
}

/* So many bytes are his, of which those that he had before are the first. */
static unsigned char *text_resize(struct guard *guard, const struct user *user, size_t len)
{
    struct slab_page *page = page_of(user);
    struct beside *names = page->beside;
    if (names == NULL)
        names = beside_again(guard, page, len + NAMES_SLACK);
    const unsigned slot = user->slot, from = names->at[slot], end = names->at[slot + 1];
    size_t used = names->at[USERS_OF_PAGE], now = used - (end - from) + len;
    if (now > names->room)
        names = beside_again(guard, page, now + NAMES_SLACK);
    memmove(names->bytes + from + len, names->bytes + end, used - end);
    uint16_t more = (uint16_t)(from + len - end); // or less: it wraps around
    for (size_t i = slot + 1; i <= USERS_OF_PAGE; i++)
        names->at[i] = (uint16_t)(names->at[i] + more);
    if (names->room - now > 4 * NAMES_SLACK)
        names = beside_again(guard, page, now + NAMES_SLACK);
    return names->bytes + from;
}

static struct str name_of(const struct user *user)
{
    size_t len;
    const unsigned char *at = text_of(user, &len);
    if (user->n_name < NAME_LONG)
        return str_make((const char *)at, user->n_name);
    struct long_name *name;
    memcpy(&name, at, sizeof(void *));
    return str_make(name->text, name->len);
}

static struct str domain_text(const struct guard *guard, const struct user *user)
{
    return user->domain != 0 ? guard->domains[user->domain - 1].text : STR_EMPTY;
}

struct users_said *users_said_new(void)
{
    struct users_said *said = calloc(1, sizeof *said);
    must(said != NULL);
    return said;
}

struct str user_jid(const struct guard *guard, const struct user *user)
{
    struct users_said *said = guard->users_said;
    struct str name = name_of(user), domain = domain_text(guard, user);
    size_t len = name.len + domain.len, which = said->n_jids++ % JIDS_SAID;
    if (said->jids[which].room <= len) {
        said->jids[which].room = len + 64;
        said->jids[which].at = realloc(said->jids[which].at, len + 64);
        must(said->jids[which].at != NULL);
    }
    char *at = said->jids[which].at;
    if (name.len > 0)
        memcpy(at, name.at, name.len);
    if (domain.len > 0)
        memcpy(at + name.len, domain.at, domain.len);
    at[len] = 0;
    return str_make(at, len);
}

/* Whether it is his jid.  The ends of names are compared first: most differ there, as people who
 * are looked at for one have names of a kind. */
static bool is_named(const struct guard *guard, const struct user *user, struct str jid)
{
    struct str name = name_of(user);
    if (jid.len < name.len || (name.len > 0 && jid.at[name.len - 1] != name.at[name.len - 1]))
        return false;
    struct str domain = domain_text(guard, user);
    return jid.len == name.len + domain.len &&
           (name.len == 0 || memcmp(jid.at, name.at, name.len) == 0) &&
           (domain.len == 0 || memcmp(jid.at + name.len, domain.at, domain.len) == 0);
}

uint64_t user_hash(const struct guard *guard, const struct user *user)
{
    return guard_hash(guard, user_jid(guard, user));
}

/* The number of a domain that is shared from now on by one more; 0: all places are taken. */
static uint32_t domain_take(struct guard *guard, struct str text)
{
    struct user_domain *none = NULL;
    for (uint32_t i = 0; i < guard->n_domains; i++) { // that of most is among the first
        struct user_domain *domain = &guard->domains[i];
        if (domain->n_users > 0 && str_eq(domain->text, text)) {
            domain->n_users++;
            return i + 1;
        }
        if (domain->n_users == 0 && none == NULL)
            none = domain;
    }
    if (none == NULL && guard->n_domains < DOMAINS_MOST)
        none = &guard->domains[guard->n_domains++];
    if (none == NULL || text.len == 0)
        return 0;
    none->text = own_text(text, SIZE_MAX);
    none->n_users = 1;
    guard->bytes_texts += heap_size(text.len + 1);
    return (uint32_t)(none - guard->domains) + 1;
}

static void domain_give(struct guard *guard, uint32_t number)
{
    if (number == 0)
        return;
    struct user_domain *domain = &guard->domains[number - 1];
    if (--domain->n_users > 0)
        return;
    guard->bytes_texts -= heap_size(domain->text.len + 1);
    str_free(&domain->text);
}

static void name_take(struct guard *guard, struct user *user, struct str jid)
{
    size_t n_before = str_find_char(jid, '@');
    user->domain = domain_take(guard, str_skip(jid, n_before)) & DOMAINS_MOST;
    struct str name = user->domain != 0 ? str_first(jid, n_before) : jid;
    user->n_name = (name.len < NAME_LONG ? (uint32_t)name.len : NAME_LONG) & NAME_LONG;
    unsigned char *at = text_resize(guard, user, bytes_of_name(user));
    if (user->n_name < NAME_LONG) {
        if (name.len > 0)
            memcpy(at, name.at, name.len);
        return;
    }
    struct long_name *whole = malloc(sizeof *whole + name.len);
    must(whole != NULL);
    whole->len = (uint32_t)name.len;
    memcpy(whole->text, name.at, name.len);
    memcpy(at, &whole, sizeof(void *));
    guard->bytes_texts += heap_size(sizeof *whole + name.len);
}

/* His name and his trail; the last of a page takes with him what lies beside it. */
static void text_give(struct guard *guard, const struct user *user)
{
    struct slab_page *page = page_of(user);
    if (user->n_name == NAME_LONG) {
        struct long_name *whole;
        size_t len;
        memcpy(&whole, text_of(user, &len), sizeof(void *));
        guard->bytes_texts -= heap_size(sizeof *whole + whole->len);
        free(whole);
    }
    domain_give(guard, user->domain);
    (void)text_resize(guard, user, 0);
    if (page->n_used > 1)
        return;
    struct beside *names = page->beside;
    guard->bytes_texts -= heap_size(beside_size(names->room));
    free(names);
    page->beside = NULL;
}

/* ---- Finding ----------------------------------------------------------------------------------
 */

// The first of the chain that whoever has this hash is in.
static uint32_t *slot_of(const struct guard *guard, uint32_t hash_high)
{
    return &guard->user_slots[hash_high & (guard->n_user_slots - 1)];
}

// The piece of him whom the hash leads to; 0: nobody.
static uint32_t number_of(const struct guard *guard, struct str jid, uint64_t hash)
{
    uint32_t high = (uint32_t)(hash >> 32);
    uint32_t at = guard->n_user_slots > 0 ? *slot_of(guard, high) : 0;
    while (at != 0) {
        const struct user *user = user_at(guard, at);
        if (user->hash_high == high && is_named(guard, user, jid))
            break;
        at = user->same;
    }
    return at;
}

// Nothing that jid_parse lets through is longer.
static struct str of_jid(struct str jid)
{
    return jid.len <= UINT16_MAX ? jid : str_first(jid, UINT16_MAX);
}

struct user *user_find(const struct guard *guard, struct str jid)
{
    jid = of_jid(jid);
    return user_at(guard, number_of(guard, jid, guard_hash(guard, jid)));
}

static void slots_grow(struct guard *guard)
{
    uint32_t n_slots = guard->n_user_slots == 0 ? 64 : 2 * guard->n_user_slots;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    must(slots != NULL);
    for (uint32_t at = guard->oldest_user, newer; at != 0; at = newer) {
        struct user *user = user_at(guard, at);
        newer = user->newer;
        uint32_t *slot = &slots[user->hash_high & (n_slots - 1)];
        user->same = *slot;
        *slot = at;
    }
    free(guard->user_slots);
    guard->user_slots = slots;
    guard->n_user_slots = n_slots;
}

// His number, by his neighbour: he need not know it himself.
static uint32_t number_in_use(const struct guard *guard, const struct user *user)
{
    return user->older != 0 ? user_at(guard, user->older)->newer : guard->oldest_user;
}

static void leave_order(struct guard *guard, uint32_t number)
{
    const struct user *user = user_at(guard, number);
    if (guard->next_tidied == number)
        guard->next_tidied = user->older;
    *(user->older != 0 ? &user_at(guard, user->older)->newer : &guard->oldest_user) = user->newer;
    *(user->newer != 0 ? &user_at(guard, user->newer)->older : &guard->newest_user) = user->older;
}

static void become_newest(struct guard *guard, uint32_t number)
{
    struct user *user = user_at(guard, number);
    user->newer = 0;
    user->older = guard->newest_user;
    *(user->older != 0 ? &user_at(guard, user->older)->newer : &guard->oldest_user) = number;
    guard->newest_user = number;
}

size_t user_index(const struct guard *guard, const struct user *user)
{
    uint32_t number = number_in_use(guard, user);
    return (size_t)(number / SLAB_SLOTS) * USERS_OF_PAGE + number % SLAB_SLOTS;
}

size_t users_indexes(const struct guard *guard)
{
    return (size_t)guard->users.n_pages * USERS_OF_PAGE;
}

/* What counts against the share of memory, but for his trail.  It must not depend on who was there
 * before, or a guard that was loaded would forget others: so each domain counts, and what he takes
 * in fact (users_memory) is less. */
static size_t user_bytes(const struct guard *guard, const struct user *user)
{
    return sizeof *user + 2 * sizeof(uint16_t) + sizeof(uint32_t) + name_of(user).len +
           domain_text(guard, user).len;
}

static uint32_t user_make(struct guard *guard, struct str jid, uint64_t hash)
{
    // up to two to a chain: a place takes four bytes
    if (guard->n_users >= 2 * (size_t)guard->n_user_slots)
        slots_grow(guard);
    uint32_t number = slab_take(&guard->users, sizeof(struct user));
    struct user *user = user_at(guard, number);
    uint32_t *slot = slot_of(guard, (uint32_t)(hash >> 32));
    *user = (struct user){.hash_high = (uint32_t)(hash >> 32),
                          .sketch = hash & 63,
                          .same = *slot,
                          .slot = number % SLAB_SLOTS & 63};
    name_take(guard, user, jid);
    *slot = number;
    guard->n_users++;
    guard->bytes_users += user_bytes(guard, user);
    return number;
}

/* The sender and the receiver of what was judged are who it is then shown to, mostly: they need not
 * be searched again. */
static uint32_t among_newest(const struct guard *guard, struct str jid)
{
    uint32_t number = guard->newest_user;
    for (int i = 0; i < 2 && number != 0; i++) {
        const struct user *user = user_at(guard, number);
        if (is_named(guard, user, jid))
            return number;
        number = user->older;
    }
    return 0;
}

static struct user *use(struct guard *guard, uint32_t number)
{
    if (number != guard->newest_user) {
        leave_order(guard, number);
        become_newest(guard, number);
    }
    return user_at(guard, number);
}

/* As user_get, of somebody who is not expected among the newest. */
static struct user *search(struct guard *guard, struct str jid)
{
    jid = of_jid(jid);
    uint64_t hash = guard_hash(guard, jid);
    uint32_t number = number_of(guard, jid, hash);
    if (number != 0)
        return use(guard, number);
    number = user_make(guard, jid, hash);
    become_newest(guard, number);
    return user_at(guard, number);
}

struct user *user_get(struct guard *guard, struct str jid)
{
    uint32_t number = among_newest(guard, of_jid(jid));
    return number != 0 ? use(guard, number) : search(guard, jid);
}

void user_get_both(struct guard *guard, struct str sender_jid, struct str receiver_jid,
                   struct user **sender, struct user **receiver)
{
    // whom a message was shown to is whom it was judged for, mostly: then their order stays
    struct user *newest = user_at(guard, guard->newest_user);
    struct user *second = newest != NULL ? user_at(guard, newest->older) : NULL;
    if (second == NULL || !is_named(guard, newest, receiver_jid) ||
        !is_named(guard, second, sender_jid)) {
        *sender = newest != NULL && is_named(guard, newest, of_jid(sender_jid))
                      ? newest
                      : search(guard, sender_jid);
        *receiver = search(guard, receiver_jid);
        return;
    }
    if (guard->next_tidied == guard->newest_user || guard->next_tidied == newest->older)
        guard->next_tidied = second->older;
    *sender = second;
    *receiver = newest;
}

/* ---- Standings --------------------------------------------------------------------------------
 */

static const size_t standing_bytes = sizeof(struct standing) + sizeof(uint32_t);

static struct standing *standing_at(const struct guard *guard, uint32_t piece)
{
    return slab_at(&guard->pieces, piece);
}

static uint32_t *standing_slot(const struct guard *guard, const struct user *user)
{
    return &guard->standing_slots[user->hash_high & (guard->n_standing_slots - 1)];
}

static void standing_put(struct guard *guard, uint32_t piece)
{
    struct standing *standing = standing_at(guard, piece);
    uint32_t *slot = standing_slot(guard, standing->user);
    standing->same = *slot;
    *slot = piece;
}

static void standing_slots_grow(struct guard *guard)
{
    uint32_t *before = guard->standing_slots, n_before = guard->n_standing_slots;
    guard->n_standing_slots = n_before == 0 ? 64 : 2 * n_before;
    guard->standing_slots = calloc(guard->n_standing_slots, sizeof *guard->standing_slots);
    must(guard->standing_slots != NULL);
    for (uint32_t i = 0; i < n_before; i++)
        for (uint32_t at = before[i], next; at != 0; at = next) {
            next = standing_at(guard, at)->same;
            standing_put(guard, at);
        }
    free(before);
}

static struct standing *standing_make(struct guard *guard, struct user *user)
{
    if (guard->n_standings >= 2 * (size_t)guard->n_standing_slots)
        standing_slots_grow(guard);
    uint32_t piece;
    struct standing *standing = piece_make(guard, sizeof *standing, &piece);
    standing->user = user;
    list_init(&standing->brought);
    standing_put(guard, piece);
    guard->n_standings++;
    return standing;
}

static void standing_free(struct guard *guard, const struct user *user)
{
    uint32_t *at = standing_slot(guard, user), piece;
    while (standing_at(guard, *at)->user != user)
        at = &standing_at(guard, *at)->same;
    piece = *at;
    *at = standing_at(guard, piece)->same;
    slab_give(&guard->pieces, piece);
    guard->n_standings--;
}

/* While a worm is about a fifth of the people have been asked, and of hardly one of them is there
 * anything else: how often, and on what day, is three bytes.  They count as a standing all the
 * same: whether it is packed depends on when he was looked at, and what counts must not. */
static bool asked_pack(struct guard *guard, struct user *user, struct standing *standing)
{
    if (standing->n_questions > UINT8_MAX || standing->question_day < 0 ||
        standing->question_day > UINT16_MAX || standing->restricted_by != 0)
        return false;
    uint8_t n_questions = (uint8_t)standing->n_questions;
    uint16_t day = (uint16_t)standing->question_day;
    size_t len, n_name = bytes_of_name(user);
    standing_free(guard, user);
    (void)text_of(user, &len);
    unsigned char *at = text_resize(guard, user, len + ASKED_BYTES) + n_name;
    memmove(at + ASKED_BYTES, at, len - n_name);
    at[0] = n_questions;
    memcpy(at + 1, &day, sizeof day);
    user->is_asked = 1;
    return true;
}

static void asked_drop(struct guard *guard, struct user *user)
{
    size_t len, n_name = bytes_of_name(user);
    unsigned char *at = text_of(user, &len) + n_name;
    len -= ASKED_BYTES;
    memmove(at, at + ASKED_BYTES, len - n_name);
    (void)text_resize(guard, user, len);
    user->is_asked = 0;
}

static struct standing *standing_asked(const struct guard *guard, const struct user *user)
{
    struct standing *standing = &guard->users_said->standing;
    size_t len;
    const unsigned char *at = text_of(user, &len) + bytes_of_name(user);
    uint16_t day;
    memcpy(&day, at + 1, sizeof day);
    *standing = (struct standing){.n_questions = at[0], .question_day = day};
    list_init(&standing->brought);
    return standing;
}

struct standing *standing_of(const struct guard *guard, const struct user *user)
{
    if (!user->has_standing)
        return NULL;
    if (user->is_asked)
        return standing_asked(guard, user);
    struct standing *standing = standing_at(guard, *standing_slot(guard, user));
    while (standing->user != user)
        standing = standing_at(guard, standing->same);
    return standing;
}

struct standing *standing_get(struct guard *guard, struct user *user)
{
    if (user->has_standing && !user->is_asked)
        return standing_of(guard, user);
    struct standing asked = {0};
    if (user->is_asked) {
        asked = *standing_asked(guard, user);
        asked_drop(guard, user);
    } else {
        guard->bytes_users += standing_bytes;
    }
    struct standing *standing = standing_make(guard, user);
    standing->n_questions = asked.n_questions;
    standing->question_day = asked.question_day;
    user->has_standing = 1;
    return standing;
}

static void standing_drop(struct guard *guard, struct user *user)
{
    if (user->is_asked)
        asked_drop(guard, user);
    else
        standing_free(guard, user);
    user->has_standing = 0;
    guard->bytes_users -= standing_bytes;
}

void standing_tidy(struct guard *guard, struct user *user)
{
    if (!user->has_standing || user->is_asked)
        return;
    struct standing *standing = standing_of(guard, user);
    if (standing->n_brought > 0 || standing->restricted_until_us != 0 ||
        (standing->n_questions > 0 && asked_pack(guard, user, standing)))
        return;
    if (standing->n_questions == 0)
        standing_drop(guard, user);
}

/* What somebody was asked on another day is nothing. */
static void standing_pass_day(struct guard *guard, struct user *user)
{
    struct standing *standing = standing_of(guard, user);
    if (standing == NULL || standing->question_day == guard_day(guard))
        return;
    if (user->is_asked)
        standing_drop(guard, user);
    else
        standing->question_day = standing->n_questions = 0;
}

/* ---- Trails -----------------------------------------------------------------------------------
 */

// NULL: there is none.
static const unsigned char *packed_trail(const struct user *user, size_t *n)
{
    size_t n_before = bytes_before_trail(user);
    const unsigned char *at = text_of(user, n);
    *n -= n_before;
    return *n > 0 ? at + n_before : NULL;
}

bool has_trail(const struct user *user)
{
    size_t n;
    return packed_trail(user, &n) != NULL;
}

struct trail trail_of(const struct guard *guard, const struct user *user)
{
    (void)guard; // what is his lies beside him
    size_t n;
    const unsigned char *at = packed_trail(user, &n);
    return at != NULL ? trail_unpack(at) : (struct trail){0};
}

static void keep_packed(struct guard *guard, struct user *user, size_t n_then,
                        const unsigned char *packed, size_t n)
{
    size_t len, n_before = bytes_before_trail(user);
    unsigned char *at = n != n_then ? text_resize(guard, user, n_before + n) : text_of(user, &len);
    guard->bytes_users += n - n_then;
    memcpy(at + n_before, packed, n);
}

void trail_put(struct guard *guard, struct user *user, const struct trail *trail)
{
    size_t n;
    unsigned char packed[TRAIL_LONGEST];
    (void)packed_trail(user, &n);
    keep_packed(guard, user, n, packed, trail_pack(trail, packed));
}

bool trail_adds_recent(struct guard *guard, struct user *user, uint64_t id)
{
    size_t n, n_now;
    const unsigned char *at = packed_trail(user, &n);
    unsigned char packed[TRAIL_LONGEST];
    enum packed_adds adds = trail_pack_recent(at, n, id, packed, &n_now);
    if (adds == ADDS_MORE)
        keep_packed(guard, user, n, packed, n_now);
    return adds != ADDS_NOT;
}

/* Whether the trail has nothing but when he last sent one, and clusters of which the oldest is not
 * gone. */
static bool is_tidy_already(const struct guard *guard, const struct user *user)
{
    size_t n;
    uint64_t oldest;
    const unsigned char *at = packed_trail(user, &n);
    return at == NULL || (trail_is_plain(at, &oldest) &&
                          (oldest == 0 || cluster_by_id(guard, oldest) != NULL)); // as most are
}

/* Forgets what is never asked for any more: clusters that are gone, and what was shown so long ago
 * that it leads to nothing.  Only the oldest of a row, so that what comes pushes out the same ones
 * as it would have. */
static void trail_tidy(struct guard *guard, struct user *user)
{
    if (is_tidy_already(guard, user))
        return;
    struct trail trail = trail_of(guard, user);
    bool is_tidy = true;
    for (size_t n = ids_kept(trail.recent, RECENT_CLUSTERS);
         n > 0 && cluster_by_id(guard, trail.recent[n - 1]) == NULL; n--) {
        trail.recent[n - 1] = 0;
        is_tidy = false;
    }
    for (size_t n = ids_kept(trail.shown, SHOWN_KEPT);
         n > 0 && (guard->now_us - trail.shown_us[n - 1] > guard->config.relay_us ||
                   cluster_by_id(guard, trail.shown[n - 1]) == NULL);
         n--) {
        trail.shown[n - 1] = 0;
        is_tidy = false;
    }
    int64_t old_s = (guard->now_us - guard->config.relay_us) / 1000000;
    if ((trail.n_to > 0 || trail.least_s != 0) && trail.least_s < old_s &&
        (trail.n_to == 0 || trail.to_s[0] < old_s)) {
        trail.n_to = trail.n_copies = 0;
        trail.full_us = trail.least_s = 0;
        memset(trail.least, 0, sizeof trail.least);
        is_tidy = false;
    }
    uint64_t *const ids[] = {&trail.campaign, &trail.sent};
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        if (*ids[i] != 0 && cluster_by_id(guard, *ids[i]) == NULL) {
            *ids[i] = 0;
            is_tidy = false;
        }
    if (!is_tidy)
        trail_put(guard, user, &trail);
}

/* ---- Forgetting -------------------------------------------------------------------------------
 */

static void user_free(struct guard *guard, struct user *user)
{
    const struct standing *standing = standing_of(guard, user);
    must(user->n_refs == 0 &&
         (standing == NULL || (standing->n_brought == 0 && standing->restricted_until_us == 0)));
    if (standing != NULL)
        standing_drop(guard, user);
    uint32_t number = number_in_use(guard, user);
    uint32_t *at = slot_of(guard, user->hash_high);
    while (*at != number)
        at = &user_at(guard, *at)->same;
    *at = user->same;
    leave_order(guard, number);
    guard->n_users--;
    size_t n_trail;
    (void)packed_trail(user, &n_trail);
    guard->bytes_users -= user_bytes(guard, user) + n_trail;
    text_give(guard, user);
    slab_give(&guard->users, number);
}

/* Each event with a lure looks at so many, in turn: from the newest on, since whoever is used
 * becomes the newest, and with them before it a round would never end. */
enum { TIDIED_AT_ONCE = 1 };

static void users_tidy(struct guard *guard)
{
    for (int i = 0; i < TIDIED_AT_ONCE; i++) {
        uint32_t number = guard->next_tidied != 0 ? guard->next_tidied : guard->newest_user;
        struct user *user = user_at(guard, number);
        if (user == NULL)
            return;
        guard->next_tidied = user->older;
        trail_tidy(guard, user);
        if (user->has_standing) {
            standing_pass_day(guard, user);
            standing_tidy(guard, user);
        }
    }
}

void users_tidy_from(struct guard *guard, const struct user *user)
{
    guard->next_tidied = number_in_use(guard, user);
}

void users_trim(struct guard *guard)
{
    size_t share = (size_t)((double)guard->config.memory * users_share);
    users_tidy(guard);
    // those in use are looked at and kept: a bounded number each time, so that no event is slow
    int tries = 64;
    USERS_EACH(guard, user)
    {
        if (guard->bytes_users <= share || tries-- == 0)
            break;
        if (user->n_refs == 0 && restricted_until_us(guard, user) == 0 && !user->is_decoy) {
            user_free(guard, user);
        } else {
            uint32_t number = number_in_use(guard, user);
            leave_order(guard, number);
            become_newest(guard, number);
        }
    }
}

void users_free(struct guard *guard)
{
    USERS_EACH(guard, user)
    {
        struct standing *standing = standing_of(guard, user);
        if (standing != NULL)
            standing->restricted_until_us = 0;
        user_free(guard, user);
    }
    must(guard->bytes_users == 0 && guard->bytes_texts == 0);
    slab_done(&guard->users);
    free(guard->user_slots);
    free(guard->standing_slots);
    for (size_t i = 0; i < JIDS_SAID; i++)
        free(guard->users_said->jids[i].at);
    free(guard->users_said);
}

size_t users_memory(const struct guard *guard)
{
    return slab_memory(&guard->users) + guard->bytes_texts + sizeof guard->domains +
           heap_size(guard->n_user_slots * sizeof *guard->user_slots) +
           heap_size(guard->n_standing_slots * sizeof *guard->standing_slots) +
           guard->n_standings * slab_size(&guard->pieces, sizeof(struct standing));
}

/* ---- Lessons ----------------------------------------------------------------------------------
 */

bool user_may_teach(struct guard *guard, struct user *user)
{
    uint16_t day = (uint16_t)guard_day(guard);
    if (user->lesson_day != day) {
        user->lesson_day = day;
        user->n_lessons = 0;
    }
    bool may = user->n_lessons < guard->config.lessons_per_day && !user->is_remote;
    if (user->n_lessons < UINT16_MAX)
        user->n_lessons++;
    return may;
}

bool user_teaches(const struct guard *guard, const struct user *user)
{
    return user->n_lessons <= guard->config.lessons_per_day;
}

void user_was_seen_fanning(struct user *user)
{
    if (user->n_fans < FANS_MOST)
        user->n_fans++;
}

#include "route/in_hand.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/table.h"
#include "route/own.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    DEPTH = 2,
    NOTE_MOST = 1000,
    PART_MOST = 240, // of each address and id
    ASIDE_MOST = 100000,
    THREADS_MOST = 4096,
    KEY_BYTES = 16,
    RECORDS_A_PAGE = 1000,
};
// A stanza that nobody sends any more is forgotten, and so is what a new version may have mended.
static const int64_t remember_us = 30 * 86400 * SECOND_US;

// On the disk: as the compiler lays it out; another version's file is of another size, or its notes
// name nothing.
struct note {
    atomic_uint len; // 0: nothing in hand.  Written last, so that a note is whole
    char text[NOTE_MOST];
};

struct notes {
    struct note of[DEPTH];
};

struct in_hand_slot {
    struct notes *notes;
    const struct in_hand *in_hand;
    unsigned depth;
    char deeper[NOTE_MOST]; // a note that finds no place there
};

struct in_hand {
    struct notes *mapped;
    size_t n;
    int fd;
    struct str crash_at; // own memory
    struct table aside;  // notes; read only once it is open
    struct in_hand_slot slots[];
};

/* ---- Noting ---- */

// Written in its place at once: this is on every stanza's way.
struct writing {
    char *text; // NOTE_MOST bytes
    size_t len;
};

static struct writing start(struct in_hand_slot *slot)
{
    return (struct writing){slot->depth < DEPTH ? slot->notes->of[slot->depth].text : slot->deeper,
                            0};
}

static void add(struct writing *to, struct str part)
{
    size_t n = part.len < PART_MOST ? part.len : PART_MOST;
    must(n < NOTE_MOST - to->len);
    if (n > 0) // of a memcpy of so few bytes gcc makes a string instruction, three times as slow
        memmove(to->text + to->len, part.at, n);
    to->len += n;
    to->text[to->len++] = ' ';
}

static void add_number(struct writing *to, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add(to, str_make(digits + at, sizeof digits - at));
}

static bool begin(struct in_hand_slot *slot, const struct writing *note)
{
    const struct in_hand *in_hand = slot->in_hand;
    struct str text = str_make(note->text, note->len);
    if (slot->depth < DEPTH)
        atomic_store_explicit(&slot->notes->of[slot->depth].len, (unsigned)text.len,
                              memory_order_release);
    slot->depth++;
    if (in_hand->aside.n > 0 && table_get(&in_hand->aside, text) != NULL)
        return false;
    if (in_hand->crash_at.len > 0 && str_find(text, in_hand->crash_at) < text.len)
        abort();
    return true;
}

bool in_hand_begin(struct in_hand_slot *slot, const struct stanza *stanza)
{
    if (slot == NULL)
        return true;
    struct writing note = start(slot);
    struct str body = element_child_text(stanza->root, NS_CLIENT, STR("body"));
    add(&note, stanza->root->name);
    add(&note, jid_bare(&stanza->from)); // it may come again from a resource made anew
    add(&note, stanza->to.full);
    add(&note, stanza->id);
    add_number(&note, body.at != NULL ? body.len : 0);
    return begin(slot, &note);
}

bool in_hand_begin_number(struct in_hand_slot *slot, const char *what, uint64_t number,
                          int64_t at_us)
{
    if (slot == NULL)
        return true;
    struct writing note = start(slot);
    add(&note, str_of(what));
    add_number(&note, number);
    add_number(&note, (uint64_t)at_us);
    return begin(slot, &note);
}

void in_hand_done(struct in_hand_slot *slot)
{
    if (slot == NULL)
        return;
    must(slot->depth > 0);
    if (--slot->depth < DEPTH)
        atomic_store_explicit(&slot->notes->of[slot->depth].len, 0, memory_order_release);
}

/* ---- After a death ---- */

static struct str key_of(struct arena *arena, struct str note)
{
    unsigned char hash[KEY_BYTES];
    char *hex = arena_alloc(arena, 2 * KEY_BYTES + 1);
    crypto_generichash(hash, sizeof hash, (const unsigned char *)note.at, note.len, NULL, 0);
    sodium_bin2hex(hex, 2 * KEY_BYTES + 1, hash, sizeof hash);
    return str_make(hex, 2 * (size_t)KEY_BYTES);
}

static bool read_record(struct str value, uint64_t *deaths, struct str *note)
{
    struct str rest = value;
    struct str number = str_cut(&rest, '\n');
    *note = rest.at != NULL ? rest : STR_EMPTY;
    return str_to_u64(number, 0, UINT32_MAX, deaths) == OK && note->len > 0 &&
           note->len <= NOTE_MOST;
}

// One more death with this in hand.
static enum err count_death(struct store *store, struct str note)
{
    struct arena arena;
    arena_init(&arena, 65536);
    uint64_t deaths = 0;
    struct str known;
    int64_t now_us = clock_wall_us();
    struct store_record_get get = {
        .kind = STORE_IN_HAND, .key = key_of(&arena, note), .now_us = now_us};
    store_record_get(store, &get);
    enum err e = store_wait(&get.request);
    if (e == OK && !read_record(get.record.value, &deaths, &known))
        deaths = 0;
    store_release(&get.request);
    if (e == OK || e == ERR_MISSING) {
        deaths++;
        struct store_record_put put = {.kind = STORE_IN_HAND};
        put.record.key = get.key;
        put.record.value = arena_printf(&arena, "%" PRIu64 "\n%.*s", deaths, STR_ARGS(note));
        put.record.created_us = now_us;
        put.record.expires_us = now_us + remember_us;
        store_record_put(store, &put);
        e = store_wait(&put.request);
        store_release(&put.request);
        struct str what = log_quote(&arena, note);
        log_event(LOG_WARNING, "was-in-hand", "deaths=%" PRIu64 " what=%.*s", deaths,
                  STR_ARGS(what));
    }
    arena_done(&arena);
    return e;
}

// The same in two forms, one in the course of the other, is one death.
static bool is_noted_above(const struct notes *notes, size_t depth)
{
    const struct note *note = &notes->of[depth];
    for (size_t d = 0; d < depth; d++)
        if (notes->of[d].len == note->len && memcmp(notes->of[d].text, note->text, note->len) == 0)
            return true;
    return false;
}

static enum err count_deaths(int fd, struct store *store, const char *path, struct why *why)
{
    struct notes notes;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < THREADS_MOST; i++) {
        ssize_t n = pread(fd, &notes, sizeof notes, (off_t)(i * sizeof notes));
        if (n != (ssize_t)sizeof notes)
            return n >= 0 ? OK : why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
        for (size_t d = 0; e == OK && d < DEPTH; d++) {
            unsigned len = notes.of[d].len;
            if (len > 0 && len <= NOTE_MOST && !is_noted_above(&notes, d))
                e = count_death(store, str_make(notes.of[d].text, len));
        }
    }
    if (e != OK)
        why_say(why, e, "store: what was in hand when the server died could not be noted: %s",
                err_name(e));
    return e;
}

static void put_aside(struct in_hand *in_hand, struct str note)
{
    // the key in own memory is the value too
    struct str own = own_str(note);
    if (table_put(&in_hand->aside, own, (void *)(uintptr_t)own.at) != OK) {
        own_str_free(&own);
        return;
    }
    struct arena arena;
    arena_init(&arena, 65536);
    struct str what = log_quote(&arena, note);
    log_event(LOG_ERROR, "put-aside", "what=%.*s", STR_ARGS(what));
    arena_done(&arena);
}

static enum err read_aside(struct in_hand *in_hand, struct store *store, struct why *why)
{
    char after[2 * KEY_BYTES + 1] = "";
    enum err e = OK;
    for (bool more = true; e == OK && more;) {
        struct store_record_list list = {.kind = STORE_IN_HAND,
                                         .after_key = str_of(after),
                                         .most = RECORDS_A_PAGE,
                                         .now_us = clock_wall_us()};
        store_record_list(store, &list);
        e = store_wait(&list.request);
        more = e == OK && list.more;
        for (uint32_t i = 0; e == OK && i < list.n; i++) {
            uint64_t deaths;
            struct str note;
            if (str_to_z(list.records[i].key, after, sizeof after) != OK)
                continue;
            if (read_record(list.records[i].value, &deaths, &note) && deaths >= IN_HAND_DEATHS)
                put_aside(in_hand, note);
        }
        store_release(&list.request);
    }
    if (e != OK)
        why_say(why, e, "store: what is put aside could not be read: %s", err_name(e));
    return e;
}

/* ---- The file ---- */

// Written whole before it is mapped: on a full disk a page that has no place yet would be a death.
static enum err map(struct in_hand *in_hand, const char *path, struct why *why)
{
    static const struct notes empty;
    size_t size = in_hand->n * sizeof *in_hand->mapped;
    enum err e = OK;
    if (ftruncate(in_hand->fd, 0) != 0)
        e = ERR_IO;
    for (size_t i = 0; e == OK && i < in_hand->n; i++)
        if (pwrite(in_hand->fd, &empty, sizeof empty, (off_t)(i * sizeof empty)) !=
            (ssize_t)sizeof empty)
            e = ERR_IO;
    if (e == OK && fdatasync(in_hand->fd) != 0)
        e = ERR_IO;
    void *at = MAP_FAILED;
    if (e == OK)
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, in_hand->fd, 0);
    if (at == MAP_FAILED) {
        // no reason not to serve: without a place on the disk notes are of no use, and do no harm
        log_event(LOG_ERROR, "not-noted", "file=%s error=%s", path, strerror(errno));
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (at == MAP_FAILED)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    in_hand->mapped = at;
    return OK;
}

enum err in_hand_open(const char *path, struct store *store, size_t n, struct str crash_at,
                      struct in_hand **out, struct why *why)
{
    must(n > 0 && n <= THREADS_MOST);
    struct in_hand *in_hand = calloc(1, sizeof *in_hand + n * sizeof in_hand->slots[0]);
    must(in_hand != NULL);
    in_hand->n = n;
    table_init(&in_hand->aside, ASIDE_MOST);
    in_hand->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum err e = OK;
    if (in_hand->fd < 0)
        e = why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    if (e == OK)
        e = count_deaths(in_hand->fd, store, path, why);
    if (e == OK)
        e = read_aside(in_hand, store, why);
    if (e == OK)
        e = map(in_hand, path, why);
    if (e != OK) {
        in_hand_close(&in_hand);
        return e;
    }
    for (size_t i = 0; i < n; i++)
        in_hand->slots[i] = (struct in_hand_slot){.notes = &in_hand->mapped[i], .in_hand = in_hand};
    in_hand->crash_at = own_str(crash_at);
    *out = in_hand;
    return OK;
}

void in_hand_close(struct in_hand **at)
{
    struct in_hand *in_hand = TAKE(*at);
    if (in_hand == NULL)
        return;
    if (in_hand->mapped != NULL)
        munmap(in_hand->mapped, in_hand->n * sizeof *in_hand->mapped);
    if (in_hand->fd >= 0)
        close(in_hand->fd);
    size_t i = 0;
    for (void *own; (own = table_next(&in_hand->aside, &i)) != NULL;)
        free(own);
    table_done(&in_hand->aside);
    own_str_free(&in_hand->crash_at);
    free(in_hand);
}

struct in_hand_slot *in_hand_slot(struct in_hand *in_hand, size_t i)
{
    if (in_hand == NULL)
        return NULL;
    must(i < in_hand->n);
    return &in_hand->slots[i];
}

size_t in_hand_n_aside(const struct in_hand *in_hand)
{
    return in_hand != NULL ? in_hand->aside.n : 0;
}

/*
 * A trail as few bytes: there is one for almost everybody, and the members of
 * most are nothing, or lie near to each other.
 *
 *     how many clusters he sent, which members follow (enum, below)
 *     when he sent a never-seen lure, to whom; the level, unless it is usual
 *     the clusters he sent last; his campaign; the cluster of that lure
 *     clusters he was shown, and when
 *     whom he reached, and how fast
 *
 * Numbers are of seven bits a byte.  Clusters, times and seconds are written as
 * what lies between them and the one before; the clusters he sent come before
 * all others, so that one is put before them without unpacking the rest.
 * Nothing is rounded: what is unpacked is what was packed.
 */
#include "guard/guard_internal.h"

#include <endian.h>

// Of the first byte; above them how many clusters he sent.
enum {
    FIRST_SENT = 1,    // when; to whom
    FIRST_LEVEL = 2,   // else it is 1 if anything was sent, or 0
    FIRST_OF_SENT = 4, // the cluster of that is written, as it is none of those he sent last
    FIRST_REACHED = 8, // whom he reached of late
    FIRST_SECOND = 16, // there is a second byte
    FIRST_RECENT = 32, // how many, times this
    SECOND_SHOWN = 7,  // how many
    SECOND_CAMPAIGN = 8,
    SECOND_OF_SENT = 16, // which of those he sent last, from 1, times this
};

// Of the first byte of whom he reached; below them how many.
enum {
    REACHED_PEOPLE = 15,
    REACHED_FULL = 16,
    REACHED_LEAST = 32,    // a byte each, which says whether it is the last
    REACHED_COPIES = 64,   // else as many as people
    REACHED_RECEIVER = 128 // whom he sent the last never-seen lure is the newest of them
};

enum {
    LEAST_BINS = 32,
    LEAST_LAST = 32,
    LEAST_WHICH = 64,
    WIDE_BITS = 55, // of numbers that are mostly that wide
};

_Static_assert((int)SPAN_BINS < (int)LEAST_BINS && (int)RARITIES <= 4,
               "a bin has five bits, its rarity two");
_Static_assert((int)RECENT_CLUSTERS <= 7 && (int)SHOWN_KEPT <= (int)SECOND_SHOWN &&
                   (int)TRAIL_KEPT <= (int)REACHED_PEOPLE,
               "their numbers have room");

static double usual_level(const struct trail *trail)
{
    return trail->sent_us != 0 ? 1 : 0;
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

// Not through the codec: each message with a lure packs and unpacks several.
static unsigned char *put_raw(unsigned char *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (unsigned char)(number | 0x80);
    *at++ = (unsigned char)number;
    return at;
}

// Small, whether it is more than nothing or less.
static uint64_t fold(uint64_t number)
{
    return number << 1 ^ (number >> 63 != 0 ? UINT64_MAX : 0);
}

static uint64_t unfold(uint64_t folded)
{
    return folded >> 1 ^ ((folded & 1) != 0 ? UINT64_MAX : 0);
}

static unsigned char *put_near(unsigned char *at, uint64_t number, uint64_t *before)
{
    uint64_t more = number - *before; // whatever it wraps around
    *before = number;
    return put_number(at, fold(more));
}

// Seven bytes, which is less than eight of seven bits; what is wider has two more.  One more is
// written to, which whatever comes next overwrites.
static unsigned char *put_wide(unsigned char *at, uint64_t number)
{
    const uint64_t flag = UINT64_C(1) << WIDE_BITS;
    uint64_t low = htole64(number < flag ? number : (number & (flag - 1)) | flag);
    memcpy(at, &low, sizeof low);
    at += 7;
    if (number >= flag) {
        *at++ = (unsigned char)(number >> WIDE_BITS);
        *at++ = (unsigned char)(number >> (WIDE_BITS + 8));
    }
    return at;
}

static const unsigned char *take_raw(const unsigned char *at, void *bytes, size_t n)
{
    memcpy(bytes, at, n);
    return at + n;
}

static const unsigned char *take_number(const unsigned char *at, uint64_t *number)
{
    unsigned shift = 0;
    uint64_t sum = 0;
    while (*at >= 0x80) {
        sum |= (uint64_t)(*at++ & 0x7F) << shift;
        shift += 7;
    }
    *number = sum | (uint64_t)*at++ << shift;
    return at;
}

static const unsigned char *skip_number(const unsigned char *at)
{
    while (*at >= 0x80)
        at++;
    return at + 1;
}

static const unsigned char *take_near(const unsigned char *at, uint64_t *before)
{
    uint64_t folded;
    at = take_number(at, &folded);
    *before += unfold(folded);
    return at;
}

static const unsigned char *take_time(const unsigned char *at, int64_t *time_us, uint64_t *before)
{
    at = take_near(at, before);
    *time_us = (int64_t)*before;
    return at;
}

static const unsigned char *take_wide(const unsigned char *at, uint64_t *number)
{
    const uint64_t flag = UINT64_C(1) << WIDE_BITS;
    uint32_t four, three; // and one of the four, as nobody knows what is behind them
    memcpy(&four, at, sizeof four);
    memcpy(&three, at + 3, sizeof three);
    uint64_t low = (uint64_t)le32toh(three) << 24 | le32toh(four);
    at += 7;
    if ((low & flag) != 0) {
        low = (low & ~flag) | (uint64_t)at[0] << WIDE_BITS | (uint64_t)at[1] << (WIDE_BITS + 8);
        at += 2;
    }
    *number = low;
    return at;
}

static const unsigned char *skip_wide(const unsigned char *at)
{
    return at + (at[6] >> 7 != 0 ? 9 : 7);
}

/* A level is 1 or a little more. */
static uint64_t bits_of_level(double level)
{
    const double one = 1;
    uint64_t bits, least;
    memcpy(&bits, &level, sizeof bits);
    memcpy(&least, &one, sizeof least);
    return bits - least;
}

static double level_of_bits(uint64_t bits)
{
    double level = 1;
    uint64_t least;
    memcpy(&least, &level, sizeof least);
    bits += least;
    memcpy(&level, &bits, sizeof level);
    return level;
}

/* ---- Whom he reached --------------------------------------------------------------------------
 */

/* What the newest of the seconds lies near to. */
static uint32_t near_s(uint64_t us)
{
    return (uint32_t)((int64_t)us / 1000000);
}

// Of 32 bits: the newest first, so that each is less than the one before.
static unsigned char *put_earlier(unsigned char *at, uint32_t second, uint32_t *before)
{
    uint32_t less = *before - second;
    *before = second;
    return put_number(at, less);
}

static const unsigned char *take_earlier(const unsigned char *at, uint32_t *before)
{
    uint64_t less;
    at = take_number(at, &less);
    *before -= (uint32_t)less;
    return at;
}

static uint32_t fold32(uint32_t number)
{
    return number << 1 ^ (number >> 31 != 0 ? UINT32_MAX : 0);
}

static unsigned char *pack_reached(const struct trail *trail, unsigned char *at, uint64_t before_us)
{
    bool same = trail->n_to > 0 && trail->to[0] == (uint16_t)trail->receiver;
    uint32_t least = 0;
    memcpy(&least, trail->least, sizeof trail->least);
    *at++ = (unsigned char)(trail->n_to | (trail->full_us != 0 ? REACHED_FULL : 0) |
                            (least != 0 ? REACHED_LEAST : 0) |
                            (trail->n_copies != trail->n_to ? REACHED_COPIES : 0) |
                            (same ? REACHED_RECEIVER : 0));
    uint32_t before = near_s(before_us);
    if (trail->n_to > 0) {
        at = put_number(at, fold32(trail->to_s[0] - before));
        before = trail->to_s[0];
    }
    for (size_t i = 1; i < trail->n_to; i++)
        at = put_earlier(at, trail->to_s[i], &before);
    size_t known = same ? 1 : 0;
    if (trail->n_to > known)
        at = put_raw(at, trail->to + known, (trail->n_to - known) * sizeof *trail->to);
    at = put_number(at, fold32(trail->least_s - before));
    if (trail->full_us != 0)
        at = put_near(at, (uint64_t)trail->full_us, &before_us);
    unsigned char *last = NULL;
    for (unsigned i = 0; least != 0 && i < RARITIES; i++)
        if (trail->least[i] != 0) {
            last = at;
            *at++ = (unsigned char)((trail->least[i] & (LEAST_BINS - 1)) | i * LEAST_WHICH);
        }
    if (last != NULL)
        *last |= LEAST_LAST;
    if (trail->n_copies != trail->n_to)
        *at++ = trail->n_copies;
    return at;
}

static void unpack_reached(struct trail *trail, const unsigned char *at, uint64_t before_us)
{
    unsigned has = *at++;
    uint32_t before = near_s(before_us);
    uint64_t folded;
    trail->n_to = has & REACHED_PEOPLE;
    if (trail->n_to > 0) {
        at = take_number(at, &folded);
        trail->to_s[0] = before += (uint32_t)unfold(folded);
    }
    for (size_t i = 1; i < trail->n_to; i++) {
        at = take_earlier(at, &before);
        trail->to_s[i] = before;
    }
    size_t known = (has & REACHED_RECEIVER) != 0 ? 1 : 0;
    if (known > 0)
        trail->to[0] = (uint16_t)trail->receiver;
    if (trail->n_to > known)
        at = take_raw(at, trail->to + known, (trail->n_to - known) * sizeof *trail->to);
    at = take_number(at, &folded);
    trail->least_s = before + (uint32_t)unfold(folded);
    if ((has & REACHED_FULL) != 0)
        at = take_time(at, &trail->full_us, &before_us);
    bool more = (has & REACHED_LEAST) != 0;
    while (more) {
        trail->least[*at / LEAST_WHICH] = *at & (LEAST_BINS - 1);
        more = (*at++ & LEAST_LAST) == 0;
    }
    trail->n_copies = (has & REACHED_COPIES) != 0 ? *at : trail->n_to;
}

/* ---- All of it --------------------------------------------------------------------------------
 */

// Which of the clusters he sent last is that of the lure, from 1; 0: none.
static unsigned place_of_sent(const struct trail *trail)
{
    for (unsigned i = 0; trail->sent != 0 && i < RECENT_CLUSTERS; i++)
        if (trail->recent[i] == trail->sent)
            return i + 1;
    return 0;
}

size_t trail_pack(const struct trail *trail, unsigned char *out)
{
    size_t n_recent = ids_kept(trail->recent, RECENT_CLUSTERS),
           n_shown = ids_kept(trail->shown, SHOWN_KEPT);
    unsigned place = place_of_sent(trail);
    unsigned second =
        (unsigned)n_shown | (trail->campaign != 0 ? SECOND_CAMPAIGN : 0) | place * SECOND_OF_SENT;
    unsigned first = (trail->sent_us != 0 || trail->receiver != 0 ? FIRST_SENT : 0) |
                     (trail->level != usual_level(trail) ? FIRST_LEVEL : 0) |
                     (trail->sent != 0 && place == 0 ? FIRST_OF_SENT : 0) |
                     (trail->n_to > 0 || trail->least_s != 0 ? FIRST_REACHED : 0) |
                     (second != 0 ? FIRST_SECOND : 0) | (unsigned)n_recent * FIRST_RECENT;
    if (first == 0)
        return 0;
    unsigned char *at = out;
    uint64_t id = 0, us = (uint64_t)trail->sent_us;
    *at++ = (unsigned char)first;
    if (second != 0)
        *at++ = (unsigned char)second;
    if ((first & FIRST_SENT) != 0) {
        at = put_wide(at, fold(us));
        at = put_raw(at, &trail->receiver, sizeof trail->receiver);
    }
    if ((first & FIRST_LEVEL) != 0)
        at = put_wide(at, bits_of_level(trail->level));
    for (size_t i = 0; i < n_recent; i++)
        at = put_near(at, trail->recent[i], &id);
    if (trail->campaign != 0)
        at = put_near(at, trail->campaign, &id);
    if ((first & FIRST_OF_SENT) != 0)
        at = put_near(at, trail->sent, &id);
    for (size_t i = 0; i < n_shown; i++) {
        at = put_near(at, trail->shown[i], &id);
        at = put_near(at, (uint64_t)trail->shown_us[i], &us);
    }
    if ((first & FIRST_REACHED) != 0)
        at = pack_reached(trail, at, (first & FIRST_SENT) != 0 ? (uint64_t)trail->sent_us : us);
    return (size_t)(at - out);
}

struct trail trail_unpack(const unsigned char *at)
{
    struct trail trail = {0};
    uint64_t id = 0, us = 0, number;
    unsigned first = *at++, second = (first & FIRST_SECOND) != 0 ? *at++ : 0;
    if ((first & FIRST_SENT) != 0) {
        at = take_wide(at, &number);
        us = unfold(number);
        trail.sent_us = (int64_t)us;
        at = take_raw(at, &trail.receiver, sizeof trail.receiver);
    }
    trail.level = usual_level(&trail);
    if ((first & FIRST_LEVEL) != 0) {
        at = take_wide(at, &number);
        trail.level = level_of_bits(number);
    }
    size_t n = first / FIRST_RECENT;
    for (size_t i = 0; i < n; i++) {
        at = take_near(at, &id);
        trail.recent[i] = id;
    }
    if ((second & SECOND_CAMPAIGN) != 0) {
        at = take_near(at, &id);
        trail.campaign = id;
    }
    unsigned place = second / SECOND_OF_SENT;
    if (place > 0)
        trail.sent = trail.recent[place - 1];
    if ((first & FIRST_OF_SENT) != 0) {
        at = take_near(at, &id);
        trail.sent = id;
    }
    n = second & SECOND_SHOWN;
    for (size_t i = 0; i < n; i++) {
        at = take_near(at, &id);
        trail.shown[i] = id;
        at = take_time(at, &trail.shown_us[i], &us);
    }
    if ((first & FIRST_REACHED) != 0)
        unpack_reached(&trail, at, (first & FIRST_SENT) != 0 ? (uint64_t)trail.sent_us : us);
    return trail;
}

/* ---- Without unpacking ------------------------------------------------------------------------
 */

static const unsigned char *skip_to_recent(const unsigned char *at, unsigned first)
{
    if ((first & FIRST_SENT) != 0)
        at = skip_wide(at) + sizeof(uint32_t);
    return (first & FIRST_LEVEL) != 0 ? skip_wide(at) : at;
}

enum packed_adds trail_pack_recent(const unsigned char *at, size_t n, uint64_t id,
                                   unsigned char *out, size_t *n_out)
{
    static const unsigned char nothing = 0;
    const unsigned char *from = n > 0 ? at : &nothing, *end = from + n;
    at = from;
    unsigned first = n > 0 ? *at++ : 0, second = (first & FIRST_SECOND) != 0 ? *at++ : 0;
    // those would lie near to others then
    if ((first & FIRST_OF_SENT) != 0 || (second & (SECOND_SHOWN | SECOND_CAMPAIGN)) != 0 ||
        second / SECOND_OF_SENT == RECENT_CLUSTERS)
        return ADDS_NOT;
    const unsigned char *before_recent = at;
    size_t n_recent = first / FIRST_RECENT;
    uint64_t newest = 0, last = 0;
    at = skip_to_recent(at, first);
    size_t n_before = (size_t)(at - before_recent);
    if (n_recent > 0) {
        at = take_near(at, &newest);
        if (newest == id)
            return ADDS_SAME;
    }
    size_t n_now = n_recent < RECENT_CLUSTERS ? n_recent + 1 : RECENT_CLUSTERS;
    unsigned char *to = out;
    *to++ = (unsigned char)((first & (FIRST_RECENT - 1)) | n_now * FIRST_RECENT);
    if (second != 0)
        *to++ = (unsigned char)(second + SECOND_OF_SENT);
    if (n_before > 0)
        to = put_raw(to, before_recent, n_before);
    to = put_near(to, id, &last);
    if (n_recent > 0)
        to = put_near(to, newest, &last);
    if (n_recent == RECENT_CLUSTERS) { // the oldest goes
        const unsigned char *kept = at;
        for (size_t i = 2; i < RECENT_CLUSTERS; i++)
            at = skip_number(at);
        while (kept < at) // a few bytes
            *to++ = *kept++;
        at = skip_number(at);
    }
    if (at < end)
        to = put_raw(to, at, (size_t)(end - at));
    *n_out = (size_t)(to - out);
    return ADDS_MORE;
}

bool trail_is_plain(const unsigned char *at, uint64_t *oldest)
{
    unsigned first = *at++;
    if ((first & (FIRST_OF_SENT | FIRST_REACHED | FIRST_SECOND)) != 0)
        return false;
    at = skip_to_recent(at, first);
    *oldest = 0;
    for (size_t n = first / FIRST_RECENT; n > 0; n--)
        at = take_near(at, oldest);
    return true;
}

/*
 * What is known of characters beyond ASCII.
 *
 * ICU takes up to a microsecond to say what a letter looks like, and texts repeat their letters: so
 * it is asked once for each, by whom that happens to be first, and its answer kept for all.
 */
#include "guard/lure_internal.h"

#include "base/must.h"

#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/unorm.h>

struct points *points_new(void)
{
    struct points *points = calloc(1, sizeof *points); // what is never asked for takes no memory
    must(points != NULL);
    return points;
}

static bool is_stop(uint32_t point)
{
    return point == 0x3002 || point == 0xFF61 || point == 0x2024 || point == 0xFE52;
}

static bool is_blank_point(uint32_t point)
{
    return point == 0xA0 || point == 0x3000 || point == 0x202F ||
           (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029;
}

// All that look like the middle dot, and the bullet.
static bool is_bullet(uint32_t point)
{
    return point == 0xB7 || point == 0x2022 || point == 0x2027 || point == 0x2219 ||
           point == 0x22C5 || point == 0x30FB || point == 0x387 || point == 0xFF65;
}

unsigned point_facts_slowly(const struct lure_rules *rules, uint32_t point)
{
    unsigned facts = POINT_KNOWN;
    uint32_t type = U_GET_GC_MASK((UChar32)point);
    bool is_full_width = point >= 0xFF01 && point <= 0xFF5E;
    char letter = lure_plain_letter(rules, point);
    if (ascii_is_alnum(letter))
        facts |= (unsigned char)letter;
    if ((type & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0)
        facts |= POINT_NAME | POINT_WORD;
    if ((type & U_GC_SO_MASK) != 0)
        facts |= POINT_WORD; // letters in squares and circles are signs
    // IDNA maps by NFKC: what is in that form and begins a character is never part of another
    if ((type & U_GC_L_MASK) != 0 && u_getCombiningClass((UChar32)point) == 0 &&
        u_getIntPropertyValue((UChar32)point, UCHAR_NFKC_QUICK_CHECK) == UNORM_YES)
        facts |= POINT_STAYS;
    if ((type & (U_GC_P_MASK | U_GC_S_MASK | U_GC_Z_MASK)) != 0)
        facts |= POINT_GAP;
    if (lure_is_invisible(point))
        facts |= POINT_INVISIBLE | POINT_WORD;
    if (lure_is_invisible(point) || is_full_width || is_stop(point) || is_blank_point(point) ||
        point == 0xFFFD)
        facts |= POINT_FOLDS;
    if (is_stop(point) || point == 0xFF0E || point == 0xFF1A)
        facts |= POINT_STOP;
    if (is_bullet(point))
        facts |= POINT_BULLET;
    atomic_store_explicit(&rules->points->facts[point], (uint16_t)facts, memory_order_relaxed);
    return facts;
}

/*
 * Small pieces of memory, close together, each named by a number of 32 bits.
 *
 * A piece of the heap costs eight bytes beside what is asked for, is rounded up
 * to sixteen, and takes eight more wherever it is named.  Where there is one of
 * them for every account of a site, that is half of what an account costs.
 * Here pieces of one size share pages; a page whose pieces are all free goes
 * back to the heap.  Pieces do not move.  What lies beside the pieces of a page
 * is the caller's (slab_page.beside).
 */
#ifndef GUARD_SLAB_H
#define GUARD_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_PAGE = 2048 - 8 - 24, // for pieces, beside the heap's own word and the page's: of 2 KiB
    SLAB_CLASSES = 64,         // of sizes; larger pieces have a page of their own
    SLAB_SLOTS = 256,          // at most in a page: the low byte of a piece's name
};

struct slab_page {
    uint32_t next, prev; // pages of the same size that have room
    uint32_t size;       // of a piece
    uint8_t n_used, n_slots, first_free;
    bool is_full;
    void *beside; // NULL of a new page; the slab never looks at it
    char at[];
};

union slab_entry {
    struct slab_page *page;
    uintptr_t next_free; // an odd number: twice the next number without a page, and one
};

struct slab {
    size_t step; // sizes are multiples of it; a power of two
    unsigned shift;
    size_t page; // bytes of one, for pieces
    bool keeps;  // of each size the last page, though it is empty
    union slab_entry *pages;
    uint32_t n_pages, room; // the first is none: so no piece is named 0
    uint32_t first_free;    // number without a page; 0: none
    uint32_t with_room[SLAB_CLASSES];
    size_t bytes; // of pages
};

/* keeps: pieces come and go one at a time, and should not take their page with them. */
void slab_init(struct slab *slab, size_t step, size_t page, bool keeps);
/* Every piece is gone, freed or not. */
void slab_done(struct slab *slab);
/* A piece of at least so many bytes, which are anything; never 0. */
uint32_t slab_take(struct slab *slab, size_t size);
/* The same, and where it is. */
void *slab_make(struct slab *slab, size_t size, uint32_t *piece);
void slab_give(struct slab *slab, uint32_t piece);
/* What a piece of this size takes. */
static inline size_t slab_size(const struct slab *slab, size_t size)
{
    return (size + slab->step - 1) & ~(slab->step - 1); // no division: each piece asks
}
/* All that it has from the heap. */
size_t slab_memory(const struct slab *slab);
/* What a piece of the heap takes of it. */
static inline size_t heap_size(size_t size)
{
    size_t whole = (size + 8 + 15) / 16 * 16;
    return whole < 32 ? 32 : whole;
}

static inline struct slab_page *slab_page_of(const struct slab *slab, uint32_t piece)
{
    return slab->pages[piece / SLAB_SLOTS].page;
}

static inline void *slab_at(const struct slab *slab, uint32_t piece)
{
    struct slab_page *page = slab_page_of(slab, piece);
    return page->at + (size_t)(piece % SLAB_SLOTS) * page->size;
}

#endif

/*
 * Arenas: memory that is born together and dies together.
 *
 * One for each stanza, session or turn of the loop.  An arena has a ceiling;
 * whoever allocates sizes that a peer chooses asks arena_fits() first and
 * answers ERR_LIMIT.  An allocation beyond the ceiling is our bug and aborts,
 * so no allocation returns NULL.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first
    char *at, *end;             // free room in the newest block
    size_t used, ceiling;       // bytes handed out; most that may be
};

/* ceiling: most bytes that may be handed out.  The first block is taken at the first use. */
static inline void arena_init(struct arena *arena, size_t ceiling)
{
    *arena = (struct arena){.ceiling = ceiling};
}
/* Takes the first block already now: where another thread will fill the arena and this one frees
 * it, so that blocks stay with their thread.  Nothing has been allocated from it yet. */
void arena_begin(struct arena *arena);
/* Frees everything; the arena is as after arena_init. */
void arena_done(struct arena *arena);
/* Forgets everything but keeps one block for the next use. */
void arena_reset(struct arena *arena);

/* Whether size more bytes may still be allocated. */
static inline bool arena_fits(const struct arena *arena, size_t size)
{
    return size <= arena->ceiling - arena->used;
}

/* size bytes, aligned for any type, not cleared.  Never NULL. */
static inline void *arena_alloc(struct arena *arena, size_t size)
    __attribute__((malloc, returns_nonnull));
/* The same, zeroed. */
void *arena_zalloc(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));
#define arena_make(arena, type) ((type *)arena_zalloc((arena), sizeof(type)))
#define arena_make_array(arena, type, n)                                                           \
    ((type *)arena_zalloc((arena), array_size((n), sizeof(type))))

/* A copy of text, followed by a NUL that is not counted. */
struct str arena_str(struct arena *arena, struct str text);
struct str arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
struct str arena_vprintf(struct arena *arena, const char *format, va_list args);

/* n * size; aborts on overflow (our bug: n was checked before). */
size_t array_size(size_t n, size_t size);

enum { ARENA_ALIGN = 16 };

/* arena_alloc where the newest block has no room left, or the ceiling is reached. */
void *arena_alloc_slowly(struct arena *arena, size_t size) __attribute__((malloc, returns_nonnull));

static inline void *arena_alloc(struct arena *arena, size_t size)
{
    size_t padded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    // of an arena without a block not even nothing can be given out: never NULL
    if (!arena_fits(arena, size) || arena->at == NULL || padded > (size_t)(arena->end - arena->at))
        return arena_alloc_slowly(arena, size);
    void *p = arena->at;
    arena->at += padded;
    arena->used += size;
    return p;
}

#endif

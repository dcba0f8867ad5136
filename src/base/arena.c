#include "base/arena.h"

#include "base/must.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__ // as gcc says it
#define ADDRESS_SANITIZER
#elif defined(__has_feature) // and clang
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

enum {
    BLOCK_FIRST = 2048 - 64, // leaves room for malloc's header within one size class
    BLOCK_LARGEST = 16384 - 64,
    SPARES_MOST = 256, // of a thread: about what a worker has in hand in a busy turn
};

struct arena_block {
    struct arena_block *older;
    size_t size; // of data
    _Alignas(ARENA_ALIGN) char data[];
};

// First blocks that this thread gave back, for its next arenas.  A stanza is born on its sender's
// worker and dies on its receiver's: through malloc each death would take the lock of the other
// worker's heap, and with it the time of both.  No state that anybody could see: a block is a
// block.
static _Thread_local struct {
    struct arena_block *first;
    unsigned n;
} spares;

static struct arena_block *take_block(size_t size)
{
    struct arena_block *b = spares.first;
    if (size == BLOCK_FIRST && b != NULL) {
        spares.first = b->older;
        spares.n--;
        return b;
    }
    b = malloc(sizeof *b + size);
    must(b != NULL);
    return b;
}

static void give_block(struct arena_block *b)
{
#ifndef ADDRESS_SANITIZER // which shall see whoever still uses it
    if (b->size == BLOCK_FIRST && spares.n < SPARES_MOST) {
        b->older = spares.first;
        spares.first = b;
        spares.n++;
        return;
    }
#endif
    free(b);
}

void arena_done(struct arena *arena)
{
    for (struct arena_block *b = arena->blocks, *older; b != NULL; b = older) {
        older = b->older;
        give_block(b);
    }
    arena_init(arena, arena->ceiling);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;
    if (keep == NULL)
        return;
    arena->blocks = keep->older;
    keep->older = NULL;
    arena_done(arena);
    arena->blocks = keep;
    arena->at = keep->data;
    arena->end = keep->data + keep->size;
}

static void add_block(struct arena *arena, size_t at_least)
{
    // each block twice as large as the last: most stanzas need one, few more than two
    size_t size = arena->blocks == NULL ? BLOCK_FIRST : arena->blocks->size * 2 + 64;
    if (size > BLOCK_LARGEST)
        size = BLOCK_LARGEST;
    if (size < at_least)
        size = at_least;
    struct arena_block *b = take_block(size);
    b->older = arena->blocks;
    b->size = size;
    arena->blocks = b;
    arena->at = b->data;
    arena->end = b->data + size;
}

void arena_begin(struct arena *arena)
{
    must(arena->blocks == NULL);
    add_block(arena, 0);
}

void *arena_alloc_slowly(struct arena *arena, size_t size)
{
    must(arena_fits(arena, size));
    size_t padded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    add_block(arena, padded);
    void *p = arena->at;
    arena->at += padded;
    arena->used += size;
    return p;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
    return memset(arena_alloc(arena, size), 0, size);
}

struct str arena_str(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return (struct str){copy, text.len};
}

struct str arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    must(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (struct str){text, (size_t)len};
}

struct str arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

size_t array_size(size_t n, size_t size)
{
    size_t product;
    must(!__builtin_mul_overflow(n, size, &product));
    return product;
}

#include "guard/slab.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum { NO_SLOT = 255 };

void slab_init(struct slab *slab, size_t step, size_t page, bool keeps)
{
    must(step > 0 && (step & (step - 1)) == 0);
    *slab = (struct slab){.step = step,
                          .shift = (unsigned)__builtin_ctzll(step),
                          .page = page,
                          .keeps = keeps,
                          .n_pages = 1};
}

static struct slab_page *page_at(const struct slab *slab, uint32_t number)
{
    uintptr_t entry = slab->pages[number].next_free;
    return (entry & 1) != 0 ? NULL : slab->pages[number].page;
}

void slab_done(struct slab *slab)
{
    for (uint32_t i = 1; i < slab->n_pages; i++)
        free(page_at(slab, i));
    free(slab->pages);
    slab_init(slab, slab->step, slab->page, slab->keeps);
}

/* Its list of pages that have room; NULL: a page of its own. */
static uint32_t *list_of(struct slab *slab, size_t size)
{
    size_t class = size >> slab->shift;
    return class < SLAB_CLASSES && 2 * size <= slab->page ? &slab->with_room[class] : NULL;
}

static size_t page_bytes(const struct slab *slab, size_t size, uint32_t n_slots)
{
    size_t pieces = n_slots == 1 ? size : slab->page;
    return sizeof(struct slab_page) + pieces;
}

static void list_in(struct slab *slab, uint32_t *list, uint32_t number)
{
    struct slab_page *page = page_at(slab, number);
    page->prev = 0;
    page->next = *list;
    if (*list != 0)
        page_at(slab, *list)->prev = number;
    *list = number;
    page->is_full = false;
}

static void list_out(struct slab *slab, uint32_t *list, uint32_t number)
{
    struct slab_page *page = page_at(slab, number);
    if (page->prev != 0)
        page_at(slab, page->prev)->next = page->next;
    else
        *list = page->next;
    if (page->next != 0)
        page_at(slab, page->next)->prev = page->prev;
    page->next = page->prev = 0;
    page->is_full = true;
}

static uint32_t free_number(struct slab *slab)
{
    uint32_t number = slab->first_free;
    if (number != 0) {
        slab->first_free = (uint32_t)(slab->pages[number].next_free >> 1);
        return number;
    }
    if (slab->n_pages >= slab->room) {
        slab->room = slab->room + slab->room / 4 + 16;
        must(slab->room < UINT32_MAX / SLAB_SLOTS);
        slab->pages = realloc(slab->pages, slab->room * sizeof *slab->pages);
        must(slab->pages != NULL);
    }
    return slab->n_pages++;
}

static uint32_t page_make(struct slab *slab, size_t size, uint32_t n_slots)
{
    must(size <= UINT32_MAX);
    struct slab_page *page = malloc(page_bytes(slab, size, n_slots));
    must(page != NULL);
    *page = (struct slab_page){
        .size = (uint32_t)size, .n_slots = (uint8_t)n_slots, .first_free = 0, .is_full = true};
    for (uint32_t i = 0; i < n_slots; i++) // a free piece begins with the next one's number
        page->at[i * size] = (char)(unsigned char)(i + 1 < n_slots ? i + 1 : NO_SLOT);
    slab->bytes += heap_size(page_bytes(slab, size, n_slots));
    uint32_t number = free_number(slab);
    slab->pages[number].page = page;
    return number;
}

void *slab_make(struct slab *slab, size_t size, uint32_t *piece)
{
    size = slab_size(slab, size > 0 ? size : 1);
    uint32_t *list = list_of(slab, size);
    uint32_t number = list != NULL ? *list : 0;
    if (number == 0) {
        size_t n_slots = list != NULL ? slab->page / size : 1;
        number = page_make(slab, size, (uint32_t)(n_slots < NO_SLOT ? n_slots : NO_SLOT));
        if (list != NULL)
            list_in(slab, list, number);
    }
    struct slab_page *page = page_at(slab, number);
    uint8_t slot = page->first_free;
    must(slot < page->n_slots);
    page->first_free = (uint8_t)page->at[slot * size];
    if (++page->n_used == page->n_slots && list != NULL)
        list_out(slab, list, number);
    *piece = number * SLAB_SLOTS + slot;
    return page->at + slot * size;
}

uint32_t slab_take(struct slab *slab, size_t size)
{
    uint32_t piece;
    (void)slab_make(slab, size, &piece);
    return piece;
}

void slab_give(struct slab *slab, uint32_t piece)
{
    uint32_t number = piece / SLAB_SLOTS, slot = piece % SLAB_SLOTS;
    struct slab_page *page = page_at(slab, number);
    must(page != NULL && slot < page->n_slots && page->n_used > 0);
    uint32_t *list = list_of(slab, page->size);
    page->at[(size_t)slot * page->size] = (char)page->first_free;
    page->first_free = (uint8_t)slot;
    if (page->is_full && list != NULL)
        list_in(slab, list, number);
    if (--page->n_used > 0 || (slab->keeps && list != NULL && page->next == 0 && page->prev == 0))
        return;
    if (list != NULL)
        list_out(slab, list, number);
    slab->bytes -= heap_size(page_bytes(slab, page->size, page->n_slots));
    free(page);
    slab->pages[number].next_free = (uintptr_t)slab->first_free << 1 | 1;
    slab->first_free = number;
}

size_t slab_memory(const struct slab *slab)
{
    return slab->bytes + (slab->room > 0 ? heap_size(slab->room * sizeof *slab->pages) : 0);
}

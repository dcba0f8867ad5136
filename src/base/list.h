/*
 * Doubly linked lists whose links live in the members.
 *
 * A struct list is a ring with a head; a member not on any list has link.next
 * == NULL, so list_leave() is safe to call twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *next, *prev;
};

struct list {
    struct link head;
};

static inline void list_init(struct list *list)
{
    list->head.next = list->head.prev = &list->head;
}

static inline bool list_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline void list_add_last(struct list *list, struct link *link)
{
    link->next = &list->head;
    link->prev = list->head.prev;
    link->prev->next = link->next->prev = link;
}

static inline void list_add_first(struct list *list, struct link *link)
{
    link->prev = &list->head;
    link->next = list->head.next;
    link->prev->next = link->next->prev = link;
}

static inline bool list_is_member(const struct link *link)
{
    return link->next != NULL;
}

static inline void list_leave(struct link *link)
{
    if (link->next == NULL)
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#ifdef __clang_analyzer__
/* The analyzer loses the links at CONTAINER_OF, and then finds members in lists that they have left
 * before they were freed: for it every look into a list brings somebody new. */
struct link *list_analyzer_link(struct link *link);
#define LIST_LINK(link) list_analyzer_link(link)
#else
#define LIST_LINK(link) (link)
#endif

/* The first member or NULL. */
#define LIST_FIRST(list, type, member)                                                             \
    (list_empty(list) ? NULL : CONTAINER_OF(LIST_LINK((list)->head.next), type, member))

/* Walks the members; the current one may leave the list or be freed in the body. */
#define LIST_EACH(list, type, member, it)                                                          \
    for (type *it = CONTAINER_OF(LIST_LINK((list)->head.next), type, member),                      \
              *it##_next = CONTAINER_OF(LIST_LINK(it->member.next), type, member);                 \
         &it->member != &(list)->head;                                                             \
         it = it##_next, it##_next = CONTAINER_OF(LIST_LINK(it->member.next), type, member))

#endif

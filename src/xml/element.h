/*
 * Elements: a stanza as a tree that lives in one arena.
 *
 * The tokenizer builds trees from peers' bytes, the builders below from our own
 * words.  A tree may be changed until it is shared; afterwards nobody changes
 * it, so it can be read from any number of places.
 *
 * Namespaces are resolved: an element knows its namespace, not a prefix.
 * Invariants: no text node is empty, no two text nodes are neighbours, and all
 * text is well-formed UTF-8 of XML's characters.
 */
#ifndef XML_ELEMENT_H
#define XML_ELEMENT_H

#include "base/arena.h"
#include "xml/namespaces.h"

/* A member of an element's content: an element or a piece of text. */
struct node {
    struct node *next;
    bool is_text;
};

struct text {
    struct node node; // first
    struct str text;
};

struct attribute {
    struct attribute *next;
    struct str name, ns, value; // ns is empty for nearly all; NS_XML for xml:lang
};

struct element {
    struct node node;       // first
    struct element *parent; // NULL at the top of a tree
    struct str name, ns;
    struct str text; // all text directly inside it in one piece, its children's not included
    struct attribute *attributes;
    struct node *first, *last; // content
};

/* Reading */

static inline bool element_is(const struct element *element, struct str ns, struct str name)
{
    return str_eq(element->name, name) && ns_eq(element->ns, ns);
}

/* The value of an attribute without namespace; at == NULL when it is absent. */
struct str element_attr(const struct element *element, struct str name);
/* The same, of an attribute in a namespace. */
struct str element_attr_ns(const struct element *element, struct str ns, struct str name);
/* xml:lang of this very element; at == NULL when absent. */
struct str element_lang(const struct element *element);

/* The first child with this name; NULL when there is none. */
struct element *element_child(const struct element *element, struct str ns, struct str name);
/* The text of that child; at == NULL when there is no such child. */
struct str element_child_text(const struct element *element, struct str ns, struct str name);
/* The first child element, and the next sibling element; NULL at the end. */
struct element *element_first(const struct element *element);
struct element *element_next(const struct element *element);
/* The next sibling with the same name and namespace; NULL at the end. */
struct element *element_next_same(const struct element *element);

#define ELEMENT_EACH(parent, it)                                                                   \
    for (struct element *it = element_first(parent); it != NULL; it = element_next(it))

/* Walks the elements below top (top not included) in the order of the document: start with
 * at == top; NULL at the end. */
struct element *element_walk(const struct element *top, const struct element *at);

/* Same names, attributes (in any order) and content, whatever the arenas. */
bool element_eq(const struct element *a, const struct element *b);

/* Building.  Nothing is copied but the tree itself: names, namespaces, values and texts are
 * borrowed and must live as long as the arena.  They must be valid (xml_is_text); sizes that a
 * peer chose are checked with arena_fits() before. */

struct element *element_new(struct arena *arena, struct str ns, struct str name);
/* element_new and element_add in one. */
struct element *element_child_new(struct arena *arena, struct element *parent, struct str ns,
                                  struct str name);
/* The same with a text inside, for <name>text</name>. */
struct element *element_child_with(struct arena *arena, struct element *parent, struct str ns,
                                   struct str name, struct str text);
/* Sets or replaces an attribute without namespace; a value with at == NULL removes it. */
void element_set(struct arena *arena, struct element *element, struct str name, struct str value);
void element_set_ns(struct arena *arena, struct element *element, struct str ns, struct str name,
                    struct str value);
/* Appends a child, which must be in no other tree (element_copy makes one that is not). */
void element_add(struct element *parent, struct element *child);
void element_add_text(struct arena *arena, struct element *element, struct str text);
/* Takes an element out of its parent; it is then the top of a tree of its own.  Safe inside
 * ELEMENT_EACH only when the next element was taken before. */
void element_remove(struct element *element);
/* Removes every child for which unwanted() is true; returns how many. */
size_t element_remove_if(struct element *parent,
                         bool (*unwanted)(const struct element *child, const void *context),
                         const void *context);

/* A deep copy, texts included: shares nothing with the original but known namespaces.  ERR_LIMIT
 * when the arena has no room for it. */
enum err element_copy(struct arena *arena, const struct element *element,
                      struct element **out) MUST_CHECK;

/* Whether text is UTF-8 and holds only characters that XML 1.0 allows: to be asked of text that
 * did not come from a tokenizer. */
bool xml_is_text(struct str text);

#endif

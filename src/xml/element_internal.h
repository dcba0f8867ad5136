/*
 * What everybody who makes elements does.
 */
#ifndef XML_ELEMENT_INTERNAL_H
#define XML_ELEMENT_INTERNAL_H

#include "xml/element.h"

/* Behind the nodes that are there. */
static inline void node_append(struct element *parent, struct node *node)
{
    if (parent->last == NULL)
        parent->first = node;
    else
        parent->last->next = node;
    parent->last = node;
}

#endif

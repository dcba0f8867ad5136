#include "xml/element_internal.h"

#include "base/must.h"

static struct element *next_element(struct node *node)
{
    while (node != NULL && node->is_text)
        node = node->next;
    return (struct element *)node; // its first member
}

static const struct attribute *find_attr(const struct element *element, struct str ns,
                                         struct str name)
{
    for (const struct attribute *a = element->attributes; a != NULL; a = a->next)
        if (str_eq(a->name, name) && ns_eq(a->ns, ns))
            return a;
    return NULL;
}

struct str element_attr_ns(const struct element *element, struct str ns, struct str name)
{
    const struct attribute *a = find_attr(element, ns, name);
    return a != NULL ? a->value : (struct str){NULL, 0};
}

struct str element_attr(const struct element *element, struct str name)
{
    return element_attr_ns(element, NS_NONE, name);
}

struct str element_lang(const struct element *element)
{
    return element_attr_ns(element, NS_XML, STR("lang"));
}

struct element *element_first(const struct element *element)
{
    return next_element(element->first);
}

struct element *element_next(const struct element *element)
{
    return next_element(element->node.next);
}

static struct element *first_named(struct element *e, struct str ns, struct str name)
{
    while (e != NULL && !element_is(e, ns, name))
        e = element_next(e);
    return e;
}

struct element *element_child(const struct element *element, struct str ns, struct str name)
{
    return first_named(element_first(element), ns, name);
}

struct element *element_next_same(const struct element *element)
{
    return first_named(element_next(element), element->ns, element->name);
}

struct str element_child_text(const struct element *element, struct str ns, struct str name)
{
    const struct element *child = element_child(element, ns, name);
    return child != NULL ? child->text : (struct str){NULL, 0};
}

struct element *element_walk(const struct element *top, const struct element *at)
{
    struct element *next = element_first(at);
    while (next == NULL && at != top) {
        next = element_next(at);
        at = at->parent;
    }
    return next;
}

static bool attributes_eq(const struct element *a, const struct element *b)
{
    size_t n_a = 0, n_b = 0;
    for (const struct attribute *at = b->attributes; at != NULL; at = at->next)
        n_b++;
    for (const struct attribute *at = a->attributes; at != NULL; at = at->next, n_a++) {
        const struct attribute *other = find_attr(b, at->ns, at->name);
        if (other == NULL || !str_eq(other->value, at->value))
            return false;
    }
    return n_a == n_b; // no names repeat, so equal numbers make equal sets
}

static bool nodes_eq(const struct node *a, const struct node *b)
{
    if (a->is_text != b->is_text)
        return false;
    if (a->is_text)
        return str_eq(((const struct text *)a)->text, ((const struct text *)b)->text);
    const struct element *x = (const struct element *)a, *y = (const struct element *)b;
    return str_eq(x->name, y->name) && ns_eq(x->ns, y->ns) && str_eq(x->text, y->text) &&
           attributes_eq(x, y);
}

// Both trees are walked in step; the parents tell the way back, so there is no recursion.
bool element_eq(const struct element *a, const struct element *b)
{
    const struct element *up_a = NULL, *up_b = NULL;
    const struct node *x = &a->node, *y = &b->node;
    for (;;) {
        if (!nodes_eq(x, y))
            return false;
        const struct node *below_x = NULL, *below_y = NULL;
        if (!x->is_text) {
            below_x = ((const struct element *)x)->first;
            below_y = ((const struct element *)y)->first;
        }
        if ((below_x == NULL) != (below_y == NULL))
            return false;
        if (below_x != NULL) {
            up_a = (const struct element *)x;
            up_b = (const struct element *)y;
            x = below_x;
            y = below_y;
            continue;
        }
        while (up_a != NULL && x->next == NULL) {
            if (y->next != NULL)
                return false;
            must(up_b != NULL); // in step
            x = &up_a->node;
            y = &up_b->node;
            up_a = up_a == a ? NULL : up_a->parent;
            up_b = up_b == b ? NULL : up_b->parent;
        }
        if (up_a == NULL)
            return true;
        x = x->next;
        y = y->next;
        if (y == NULL)
            return false;
    }
}

struct element *element_new(struct arena *arena, struct str ns, struct str name)
{
    must(name.len > 0);
    struct element *e = arena_make(arena, struct element);
    e->name = name;
    e->ns = ns;
    e->text = STR_EMPTY;
    return e;
}

struct element *element_child_new(struct arena *arena, struct element *parent, struct str ns,
                                  struct str name)
{
    struct element *child = element_new(arena, ns, name);
    element_add(parent, child);
    return child;
}

struct element *element_child_with(struct arena *arena, struct element *parent, struct str ns,
                                   struct str name, struct str text)
{
    struct element *child = element_child_new(arena, parent, ns, name);
    element_add_text(arena, child, text);
    return child;
}

void element_set_ns(struct arena *arena, struct element *element, struct str ns, struct str name,
                    struct str value)
{
    struct attribute **at = &element->attributes;
    while (*at != NULL && !(str_eq((*at)->name, name) && ns_eq((*at)->ns, ns)))
        at = &(*at)->next;
    if (value.at == NULL) {
        if (*at != NULL)
            *at = (*at)->next;
        return;
    }
    if (*at == NULL) {
        *at = arena_make(arena, struct attribute);
        (*at)->ns = ns;
        (*at)->name = name;
    }
    (*at)->value = value;
}

void element_set(struct arena *arena, struct element *element, struct str name, struct str value)
{
    element_set_ns(arena, element, NS_NONE, name, value);
}

void element_add(struct element *parent, struct element *child)
{
    must(child->parent == NULL && child->node.next == NULL);
    child->parent = parent;
    node_append(parent, &child->node);
}

static struct str joined(struct arena *arena, struct str a, struct str b)
{
    char *both = arena_alloc(arena, a.len + b.len);
    memcpy(both, a.at, a.len);
    memcpy(both + a.len, b.at, b.len);
    return (struct str){both, a.len + b.len};
}

void element_add_text(struct arena *arena, struct element *element, struct str text)
{
    if (text.len == 0)
        return;
    bool is_only = element->text.len == 0;
    element->text = is_only ? text : joined(arena, element->text, text);
    if (element->last != NULL && element->last->is_text) {
        struct text *last = (struct text *)element->last;
        last->text =
            element->first == element->last ? element->text : joined(arena, last->text, text);
        return;
    }
    struct text *node = arena_make(arena, struct text);
    node->node.is_text = true;
    node->text = text;
    node_append(element, &node->node);
}

size_t element_remove_if(struct element *parent,
                         bool (*unwanted)(const struct element *child, const void *context),
                         const void *context)
{
    struct node *before = NULL;
    size_t texts = 0; // length of all text up to and with before
    size_t n = 0;
    for (struct node *node = parent->first, *next; node != NULL; node = next) {
        next = node->next;
        struct element *child = (struct element *)node;
        struct text *text = (struct text *)node;
        if (!node->is_text && unwanted(child, context)) {
            n++;
            child->parent = NULL;
            node->next = NULL;
        } else if (node->is_text && before != NULL && before->is_text) {
            // neighbours now, so one text: parent->text has both in one piece
            struct text *one = (struct text *)before;
            size_t start = texts - one->text.len;
            texts += text->text.len;
            one->text = (struct str){parent->text.at + start, texts - start};
        } else {
            if (node->is_text)
                texts += text->text.len;
            before = node;
            continue;
        }
        if (before != NULL)
            before->next = next;
        else
            parent->first = next;
        if (next == NULL)
            parent->last = before;
    }
    return n;
}

static bool is_it(const struct element *child, const void *wanted)
{
    return child == wanted;
}

void element_remove(struct element *element)
{
    must(element->parent != NULL);
    must(element_remove_if(element->parent, is_it, element) == 1);
}

struct copier {
    struct arena *arena;
    bool is_full;
};

static void *take(struct copier *copier, size_t size)
{
    if (!arena_fits(copier->arena, size)) {
        copier->is_full = true;
        return NULL;
    }
    return arena_alloc(copier->arena, size);
}

static struct str copy_str(struct copier *copier, struct str text)
{
    char *copy = text.len > 0 ? take(copier, text.len) : NULL;
    if (copy == NULL)
        return STR_EMPTY;
    memcpy(copy, text.at, text.len);
    return (struct str){copy, text.len};
}

static struct str copy_ns(struct copier *copier, struct str ns)
{
    ns = ns_known(ns);
    return ns_is_known(ns) ? ns : copy_str(copier, ns);
}

// The element without its content; NULL when the arena is full.
static struct element *copy_head(struct copier *copier, const struct element *element)
{
    struct element *copy = take(copier, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = (struct element){.name = copy_str(copier, element->name),
                             .ns = copy_ns(copier, element->ns),
                             .text = copy_str(copier, element->text)};
    struct attribute **tail = &copy->attributes;
    for (const struct attribute *a = element->attributes; a != NULL; a = a->next) {
        struct attribute *new = take(copier, sizeof *new);
        if (new == NULL)
            return NULL;
        *new = (struct attribute){.name = copy_str(copier, a->name),
                                  .ns = copy_ns(copier, a->ns),
                                  .value = copy_str(copier, a->value)};
        *tail = new;
        tail = &new->next;
    }
    return copier->is_full ? NULL : copy;
}

static bool copy_text(struct copier *copier, const struct text *text, struct element *parent)
{
    struct text *new = take(copier, sizeof *new);
    if (new == NULL)
        return false;
    // nearly always all of the parent's text, which is there already
    bool is_all = text->text.len == parent->text.len;
    *new = (struct text){.node = {.is_text = true},
                         .text = is_all ? parent->text : copy_str(copier, text->text)};
    node_append(parent, &new->node);
    return !copier->is_full;
}

enum err element_copy(struct arena *arena, const struct element *element, struct element **out)
{
    struct copier copier = {.arena = arena};
    struct element *top = copy_head(&copier, element);
    if (top == NULL)
        return ERR_LIMIT;
    struct element *into = top; // the copy of from
    const struct element *from = element;
    const struct node *node = element->first;
    for (;;) {
        if (node == NULL) { // up, and on behind the element just finished
            if (from == element)
                break;
            node = from->node.next;
            from = from->parent;
            into = into->parent;
            must(into != NULL); // from is not the top yet
        } else if (node->is_text) {
            if (!copy_text(&copier, (const struct text *)node, into))
                return ERR_LIMIT;
            node = node->next;
        } else {
            from = (const struct element *)node;
            struct element *child = copy_head(&copier, from);
            if (child == NULL)
                return ERR_LIMIT;
            element_add(into, child);
            into = child;
            node = from->first;
        }
    }
    *out = top;
    return OK;
}

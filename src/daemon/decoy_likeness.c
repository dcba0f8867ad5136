#include "daemon/decoy_likeness.h"

#include "base/must.h"
#include "base/table.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"
#include "xmpp/jid.h"

#include <stdlib.h>

enum {
    NAMES_MOST = 4096, // of each half
    CARDS_MOST = 256,
    LOCALS_MOST = 1 << 24,
    TRIES = 200,
    FEW = 4,    // halves, of each kind, with which there is hardly anybody new
    SHARED = 3, // people with the same: it is nobody's alone
    CARD_MOST = 1 << 20,
    SEPARATORS = 3,
};
static const char separators[SEPARATORS] = {'.', '_', '-'};

struct card {
    struct str bare;
    struct element *root; // NULL: he has none
};

struct likeness {
    struct arena arena; // of all below
    struct table locals;
    struct str given[NAMES_MOST], family[NAMES_MOST];
    size_t n_given, n_family;
    bool by_operator; // the names are
    size_t n_separated[SEPARATORS];
    struct card cards[CARDS_MOST];
    size_t n_cards;
};

struct likeness *likeness_new(void)
{
    struct likeness *likeness = calloc(1, sizeof *likeness);
    must(likeness != NULL);
    arena_init(&likeness->arena, SIZE_MAX / 2); // bounded by LOCALS_MOST and CARDS_MOST
    table_init(&likeness->locals, LOCALS_MOST);
    return likeness;
}

void likeness_free(struct likeness **likeness)
{
    struct likeness *l = TAKE(*likeness);
    if (l == NULL)
        return;
    table_done(&l->locals);
    arena_done(&l->arena);
    free(l);
}

/* ---- What people are called ---- */

static bool is_word(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (!(c >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return text.len >= 2;
}

static struct str with_capital(struct arena *arena, struct str word)
{
    char *copy = arena_alloc(arena, word.len + 1);
    memcpy(copy, word.at, word.len);
    if (word.len > 0 && copy[0] >= 'a' && copy[0] <= 'z')
        copy[0] = (char)(copy[0] - 'a' + 'A');
    return str_make(copy, word.len);
}

static void add_once(struct likeness *likeness, struct str *list, size_t *n, struct str word)
{
    for (size_t i = 0; i < *n; i++)
        if (str_eq(list[i], word))
            return;
    if (*n < NAMES_MOST)
        list[(*n)++] = arena_str(&likeness->arena, word);
}

static void add_halves(struct likeness *likeness, struct str given, struct str family)
{
    struct arena *arena = &likeness->arena;
    add_once(likeness, likeness->given, &likeness->n_given, with_capital(arena, given));
    add_once(likeness, likeness->family, &likeness->n_family, with_capital(arena, family));
}

void likeness_add_local(struct likeness *likeness, struct str local, bool names)
{
    struct str copy = arena_str(&likeness->arena, local);
    (void)!table_put(&likeness->locals, copy, likeness);
    for (size_t i = 0; i < SEPARATORS; i++) {
        size_t at = str_find_char(local, separators[i]);
        if (at == local.len)
            continue;
        struct str given = str_first(local, at), family = str_skip(local, at + 1);
        if (!is_word(given) || !is_word(family))
            continue;
        likeness->n_separated[i]++;
        if (names && !likeness->by_operator)
            add_halves(likeness, given, family);
    }
}

void likeness_add_name(struct likeness *likeness, struct str name)
{
    struct str rest = str_trim(name);
    struct str given = str_cut(&rest, ' ');
    if (rest.at == NULL || given.len == 0 || str_trim(rest).len == 0 || !xml_is_text(name))
        return;
    if (!likeness->by_operator)
        likeness->n_given = likeness->n_family = 0;
    likeness->by_operator = true;
    add_halves(likeness, given, str_trim(rest));
}

static char separator_here(const struct likeness *likeness)
{
    size_t best = 0;
    for (size_t i = 1; i < SEPARATORS; i++)
        if (likeness->n_separated[i] > likeness->n_separated[best])
            best = i;
    return separators[best];
}

static bool is_called_so(const struct likeness *likeness, struct str name)
{
    for (size_t i = 0; i < likeness->n_cards; i++) {
        const struct element *root = likeness->cards[i].root;
        if (root != NULL && str_eq_nocase(element_child_text(root, NS_VCARD, STR("FN")), name))
            return true;
    }
    return false;
}

enum err likeness_invent(struct likeness *likeness, struct prng *luck, struct arena *arena,
                         struct invented *out)
{
    char separator = separator_here(likeness);
    if (likeness->n_given < FEW || likeness->n_family < FEW)
        return ERR_MISSING;
    for (unsigned i = 0; i < TRIES; i++) {
        struct str given = likeness->given[prng_below(luck, likeness->n_given)];
        struct str family = likeness->family[prng_below(luck, likeness->n_family)];
        struct str local =
            arena_printf(arena, "%.*s%c%.*s", STR_ARGS(given), separator, STR_ARGS(family));
        struct str name = arena_printf(arena, "%.*s %.*s", STR_ARGS(given), STR_ARGS(family));
        if (jid_prepare_local(arena, local, &local) != OK ||
            jid_is_safe_new_localpart(local) != OK || table_get(&likeness->locals, local) != NULL ||
            is_called_so(likeness, name))
            continue;
        struct str kept = arena_str(&likeness->arena, local);
        (void)!table_put(&likeness->locals, kept, likeness);
        *out = (struct invented){.local = local, .given = given, .family = family, .name = name};
        return OK;
    }
    return ERR_MISSING;
}

/* ---- What their vCards say ---- */

void likeness_add_vcard(struct likeness *likeness, struct str bare, struct str xml)
{
    if (likeness->n_cards == CARDS_MOST)
        return;
    struct card *card = &likeness->cards[likeness->n_cards++];
    card->bare = arena_str(&likeness->arena, bare);
    card->root = NULL;
    if (xml.len == 0 || xml.len > CARD_MOST)
        return;
    struct str text = arena_str(&likeness->arena, xml);
    if (element_parse(&likeness->arena, text, NS_NONE, NULL, &card->root, NULL) != OK)
        card->root = NULL;
}

static bool is_shared(const struct likeness *likeness, const struct element *field)
{
    size_t n = 0;
    for (size_t i = 0; i < likeness->n_cards && n < SHARED; i++) {
        if (likeness->cards[i].root == NULL)
            continue;
        ELEMENT_EACH(likeness->cards[i].root, other)
        if (element_eq(field, other)) {
            n++;
            break;
        }
    }
    return n >= SHARED;
}

static struct str domain_of_mail(const struct element *field)
{
    struct str mail = element_child_text(field, NS_VCARD, STR("USERID"));
    size_t at = mail.at != NULL ? str_find_char(mail, '@') : 0;
    return mail.at != NULL && at < mail.len ? str_skip(mail, at) : STR_EMPTY;
}

// Where several people have their mail.
static bool is_mail_shared(const struct likeness *likeness, struct str domain)
{
    size_t n = 0;
    for (size_t i = 0; i < likeness->n_cards; i++) {
        if (likeness->cards[i].root == NULL)
            continue;
        const struct element *mail = element_child(likeness->cards[i].root, NS_VCARD, STR("EMAIL"));
        n += mail != NULL && str_eq_nocase(domain_of_mail(mail), domain);
    }
    return domain.len > 0 && n >= SHARED;
}

// The same children in the same order; of those that hold text, those for which text_for() has one.
static struct element *filled(struct arena *arena, const struct element *field,
                              const struct str *names, const struct str *texts, size_t n)
{
    struct element *copy = element_new(arena, NS_VCARD, field->name);
    ELEMENT_EACH(field, child)
    {
        if (child->text.len == 0) { // <WORK/>, <INTERNET/>; or a part that is empty for all we know
            element_child_new(arena, copy, NS_VCARD, child->name);
            continue;
        }
        for (size_t i = 0; i < n; i++)
            if (str_eq(child->name, names[i]))
                element_child_with(arena, copy, NS_VCARD, child->name, texts[i]);
    }
    return copy;
}

static struct element *field_like(const struct likeness *likeness, struct arena *arena,
                                  const struct element *field, const struct invented *who,
                                  struct str bare)
{
    const struct str n_names[] = {STR("FAMILY"), STR("GIVEN")},
                     n_texts[] = {who->family, who->given};
    struct element *plain = element_new(arena, NS_VCARD, field->name);
    if (str_eq(field->name, STR("FN")))
        element_add_text(arena, plain, who->name);
    else if (str_eq(field->name, STR("NICKNAME")))
        element_add_text(arena, plain, who->given);
    else if (str_eq(field->name, STR("JABBERID")))
        element_add_text(arena, plain, bare);
    else if (str_eq(field->name, STR("N")))
        return filled(arena, field, n_names, n_texts, 2);
    else if (str_eq(field->name, STR("EMAIL"))) {
        struct str domain = domain_of_mail(field);
        if (!is_mail_shared(likeness, domain))
            return NULL;
        struct str name = STR("USERID");
        struct str mail = arena_printf(arena, "%.*s%.*s", STR_ARGS(who->local), STR_ARGS(domain));
        return filled(arena, field, &name, &mail, 1);
    } else if (is_shared(likeness, field)) {
        struct element *copy;
        return element_copy(arena, field, &copy) == OK ? copy : NULL;
    } else {
        return NULL;
    }
    return plain;
}

struct str likeness_vcard(const struct likeness *likeness, struct prng *luck, struct arena *arena,
                          const struct invented *who, struct str bare)
{
    if (likeness->n_cards == 0)
        return STR_EMPTY;
    const struct card *like = &likeness->cards[prng_below(luck, likeness->n_cards)];
    if (like->root == NULL)
        return STR_EMPTY;
    struct element *card = element_new(arena, like->root->ns, like->root->name);
    ELEMENT_EACH(like->root, field)
    {
        struct element *mine = field_like(likeness, arena, field, who, bare);
        if (mine != NULL)
            element_add(card, mine);
    }
    struct str xml;
    return card->first != NULL && xml_to_str(arena, card, NS_NONE, &xml) == OK ? xml : STR_EMPTY;
}

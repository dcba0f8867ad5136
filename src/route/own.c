#include "route/own.h"

#include "base/must.h"

#include <stdlib.h>

static char *take(size_t size)
{
    char *at = malloc(size);
    must(at != NULL);
    return at;
}

struct str own_str(struct str text)
{
    if (text.len == 0)
        return STR_EMPTY;
    char *at = take(text.len + 1);
    memcpy(at, text.at, text.len);
    at[text.len] = '\0';
    return str_make(at, text.len);
}

struct jid own_jid(const struct jid *jid)
{
    return jid_of_prepared(own_str(jid->full));
}

struct jid own_jid_with_resource(const struct jid *bare, struct str resource)
{
    size_t len = bare->full.len + 1 + resource.len;
    char *at = take(len + 1);
    memcpy(at, bare->full.at, bare->full.len);
    at[bare->full.len] = '/';
    memcpy(at + bare->full.len + 1, resource.at, resource.len);
    at[len] = '\0';
    return jid_of_prepared(str_make(at, len));
}

void own_str_free(struct str *text)
{
    if (text->len > 0)
        free((char *)text->at);
    *text = STR_EMPTY;
}

void own_jid_free(struct jid *jid)
{
    free((char *)jid->full.at);
    *jid = (struct jid){0};
}

/*
 * JIDs: what is accepted is in its final form, within its limits, and cuts the
 * same again; and no text means two accounts.
 */
#include "base/must.h"
#include "xmpp/jid.h"
#include "xmpp/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_jid(struct arena *arena, struct str text)
{
    struct jid jid, again;
    if (jid_parse(arena, text, &jid) != OK)
        return;
    must(jid.local.len <= JID_PART_MOST && jid.resource.len <= JID_PART_MOST);
    must(jid.domain.len > 0 && jid.domain.len <= JID_PART_MOST);
    must(str_is_utf8(jid.full));
    must(str_find_char(jid.full, '\0') == jid.full.len);
    must(jid_parse(arena, jid.full, &again) == OK);
    must(jid_eq(&jid, &again));
    must(str_eq(jid.local, again.local) && str_eq(jid.domain, again.domain) &&
         str_eq(jid.resource, again.resource));
    again = jid_of_prepared(jid.full);
    must(str_eq(jid.local, again.local) && str_eq(jid.domain, again.domain) &&
         str_eq(jid.resource, again.resource));
    again = jid_bare_of(&jid);
    must(jid_eq_bare(&jid, &again) && jid_is_bare(&again));
    must(jid_make(arena, jid.local, jid.domain, jid.resource, &again) == OK);
    must(jid_eq(&jid, &again));
}

static void check_part(struct arena *arena, struct str text,
                       enum err (*prepare)(struct arena *, struct str, struct str *))
{
    struct str once, twice;
    if (prepare(arena, text, &once) != OK)
        return;
    must(once.len > 0 && once.len <= JID_PART_MOST);
    must(prepare(arena, once, &twice) == OK);
    must(str_eq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena, 1U << 20);
    struct str text = {(const char *)data, size};
    check_jid(&arena, text);
    check_part(&arena, text, jid_prepare_local);
    check_part(&arena, text, jid_prepare_domain);
    check_part(&arena, text, jid_prepare_resource);

    struct str local, password;
    enum err e = jid_is_safe_new_localpart(text);
    must((e == OK || e == ERR_DENIED) == (jid_prepare_local(&arena, text, &local) == OK));
    if (e == OK)
        must(jid_is_safe_new_localpart(local) == OK);
    // not asked twice: SASLprep's repertoire is older than its normalization
    if (prepare_password(&arena, text, &password) == OK)
        must(password.len > 0 && password.len <= PASSWORD_MOST);
    arena_done(&arena);
    return 0;
}

/*
 * `decoy picture`: gives a decoy a picture, as a person's client does: in its vCard, and in what it
 * says when it comes (XEP-0153, im/decoys.c).
 *
 * The operator brings the picture.  One that is drawn here, however it is drawn, would be known for
 * ours by whoever has read how: then a picture would tell decoys from people (decision 23).
 */
#include "daemon/command_errand_internal.h"

#include "base/base64.h"
#include "base/must.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <stdlib.h>

enum { WORK_MOST = 64 << 20 };

static const struct str vcard_key = {"vcard", 5};

struct picturing {
    struct command_errand errand;
    struct daemon *daemon;
    struct buf picture;
    const char *type; // NULL: there is to be none
    bool is_decoy;
    int64_t account;
    struct arena arena;
    struct store_account_find find;
    struct store_document_get get;
    struct store_document_put put;
};

static void picturing_done(struct picturing *picturing)
{
    buf_done(&picturing->picture);
    arena_done(&picturing->arena);
}

static void fail(struct picturing *picturing, enum err e, const char *why)
{
    struct command_call *call = picturing->errand.call;
    picturing_done(picturing);
    command_fail(call, e, "%s", why);
}

static bool begin(struct picturing *picturing, struct store_request *request,
                  void (*done)(struct store_request *request))
{
    if (picturing->daemon->store == NULL) {
        fail(picturing, ERR_CLOSED, "the server stops");
        return false;
    }
    request->home = loop_mailbox(picturing->daemon->loop);
    request->done = done;
    return true;
}

static void is_put(struct store_request *request)
{
    struct picturing *picturing = CONTAINER_OF(request, struct picturing, put.request);
    struct command_call *call = picturing->errand.call;
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        fail(picturing, e, "the store did not take it");
        return;
    }
    json_t *result =
        json_pack("{s:o, s:o, s:I}", "jid", json_of(argument_text(call, "jid")), "type",
                  picturing->type != NULL ? json_string(picturing->type) : json_null(), "bytes",
                  (json_int_t)picturing->picture.len);
    picturing_done(picturing);
    command_done(call, result);
}

// The vCard without its old picture, and with the new one, at the end as clients put it.  What is
// there and cannot be read is an error: to write a new one would lose all the rest of it.
static enum err with_picture(struct picturing *picturing, struct str xml, struct str *out)
{
    struct arena *arena = &picturing->arena;
    struct element *old = NULL, *card = element_new(arena, NS_VCARD, STR("vCard"));
    enum err e = OK;
    if (xml.len > 0)
        e = element_parse(arena, xml, NS_NONE, NULL, &old, NULL);
    if (e != OK)
        return e;
    if (old != NULL)
        ELEMENT_EACH(old, field)
        {
            struct element *copy;
            if (str_eq(field->name, STR("PHOTO")))
                continue;
            e = element_copy(arena, field, &copy);
            if (e != OK)
                return e;
            element_add(card, copy);
        }
    if (picturing->type != NULL) {
        struct element *photo = element_child_new(arena, card, NS_VCARD, STR("PHOTO"));
        element_child_with(arena, photo, NS_VCARD, STR("TYPE"), str_of(picturing->type));
        element_child_with(arena, photo, NS_VCARD, STR("BINVAL"),
                           base64_encode(arena, buf_str(&picturing->picture)));
    }
    return xml_to_str(arena, card, NS_NONE, out);
}

static void got(struct store_request *request)
{
    struct picturing *picturing = CONTAINER_OF(request, struct picturing, get.request);
    enum err e = request->result;
    if (e != OK && e != ERR_MISSING) {
        store_release(request);
        fail(picturing, e, "its vCard could not be read");
        return;
    }
    struct str xml;
    e = with_picture(picturing, e == OK ? picturing->get.xml : STR_EMPTY, &xml);
    store_release(request);
    if (e != OK) {
        fail(picturing, ERR_CORRUPT,
             "its vCard cannot be read and is left as it is: set another with a client first");
        return;
    }
    if (xml.len > (size_t)picturing->daemon->config->limits.vcard_bytes) {
        fail(picturing, ERR_LIMIT,
             "no person's vCard may be as large as that (limits.vcard_bytes)");
        return;
    }
    picturing->put.account = picturing->account;
    picturing->put.document.key = vcard_key;
    picturing->put.document.xml = xml;
    if (begin(picturing, &picturing->put.request, is_put))
        store_document_put(picturing->daemon->store, &picturing->put);
}

static void found(struct store_request *request)
{
    struct picturing *picturing = CONTAINER_OF(request, struct picturing, find.request);
    enum err e = request->result;
    picturing->account = e == OK ? picturing->find.account.number : 0;
    store_release(request);
    if (e != OK) {
        fail(picturing, e, e == ERR_MISSING ? "there is no such account" : "it could not be read");
        return;
    }
    picturing->get.account = picturing->account;
    picturing->get.key = vcard_key;
    if (begin(picturing, &picturing->get.request, got))
        store_document_get(picturing->daemon->store, &picturing->get);
}

/* ---- Whose, and what ---- */

struct looking {
    struct str bare;
    bool found;
};

static void look_at_rule(void *context, const struct guard_rule *rule)
{
    struct looking *looking = context;
    looking->found |= rule->kind == RULE_DECOY && str_eq(rule->account, looking->bare);
}

static void look(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    struct picturing *picturing = CONTAINER_OF(errand, struct picturing, errand);
    struct looking looking = {.bare = argument_text(errand->call, "jid")};
    guard_rules(guard, look_at_rule, &looking);
    picturing->is_decoy = looking.found;
}

static void looked(struct gate_errand *gate)
{
    struct command_errand *errand = command_errand_of(gate);
    struct picturing *picturing = CONTAINER_OF(errand, struct picturing, errand);
    struct jid jid = jid_of_prepared(argument_text(errand->call, "jid"));
    if (!picturing->is_decoy) {
        fail(picturing, ERR_MISSING, "that account is no decoy (decoy add makes it one)");
        return;
    }
    picturing->find.local = jid.local;
    picturing->find.domain = jid.domain;
    if (begin(picturing, &picturing->find.request, found))
        store_account_find(picturing->daemon->store, &picturing->find);
}

// By its first bytes; NULL: clients would not show it.
static const char *type_of(struct str bytes)
{
    static const struct {
        struct str head;
        const char *type;
    } types[] = {
        {STR("\x89PNG\r\n\x1A\n"), "image/png" },
        {STR("\xFF\xD8\xFF"),      "image/jpeg"},
        {STR("GIF8"),              "image/gif" },
    };
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_starts(bytes, types[i].head))
            return types[i].type;
    return NULL;
}

static void on_data(struct command_call *call, struct str bytes, bool end)
{
    struct picturing *picturing = call->state;
    buf_add(&picturing->picture, bytes);
    bool too_large = picturing->picture.overflowed;
    if (!end && !too_large)
        return;
    call->on_data = NULL;
    call->on_cancelled = NULL;
    picturing->type = type_of(buf_str(&picturing->picture));
    if (too_large)
        fail(picturing, ERR_LIMIT,
             "no person's vCard may be as large as that (limits.vcard_bytes)");
    else if (picturing->type == NULL && picturing->picture.len > 0)
        fail(picturing, ERR_MALFORMED, "it is no PNG, JPEG or GIF");
    else
        command_errand_send(&picturing->errand);
}

static void on_cancelled(struct command_call *call)
{
    fail(call->state, ERR_CLOSED, "nobody waits for it any more");
}

static void run_picture(struct command_call *call)
{
    if (command_gate(call) == NULL)
        return;
    struct picturing *picturing = arena_make(&call->arena, struct picturing);
    command_errand_init(&picturing->errand, call);
    picturing->daemon = call->context;
    picturing->errand.gate.look = look;
    picturing->errand.gate.done = looked;
    buf_init(&picturing->picture, (size_t)picturing->daemon->config->limits.vcard_bytes);
    arena_init(&picturing->arena, WORK_MOST);
    call->state = picturing;
    call->on_data = on_data;
    call->on_cancelled = on_cancelled;
}

static const struct command rows[] = {
    {
     .name = "decoy picture",
     .doc = "Gives a decoy the picture in a file, as people have theirs; an empty one takes it.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED | COMMAND_READS,
     .run = run_picture,
     .arguments = {{"jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "The decoy."},
                      ARGUMENT_REASON},
     },
};

void commands_add_decoy_picture(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}

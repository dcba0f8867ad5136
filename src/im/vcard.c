#include "im/vcard.h"

#include "im/limits.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

static const struct str vcard_key = {"vcard", 5};

struct getting {
    struct asked *asked;
    struct store_document_get op;
};

static void got(struct store_request *request)
{
    struct getting *getting = CONTAINER_OF(request, struct getting, op.request);
    struct asked *asked = getting->asked;
    struct arena *arena = asked_arena(asked);
    struct element *vcard;
    enum err e = request->result;
    if (e == OK)
        e = element_parse(arena, arena_str(arena, getting->op.xml), NS_NONE, NULL, &vcard, NULL);
    store_release(request);
    if (e == OK)
        asked_result(&asked, vcard);
    else if (e != ERR_MISSING)
        asked_store_error(&asked, e);
    else if (asked_may_see(asked))
        asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
    else // as for an account that does not exist
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL);
}

static void get(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    if (asked->where == ASKED_DOMAIN) {
        struct element *vcard = element_new(arena, NS_VCARD, STR("vCard"));
        element_child_with(arena, vcard, NS_VCARD, STR("FN"), STR("Firedoor"));
        element_child_with(arena, vcard, NS_VCARD, STR("DESC"), STR("XMPP server"));
        element_child_with(arena, vcard, NS_VCARD, STR("JABBERID"), asked->stanza->to.full);
        asked_result(&asked, vcard);
        return;
    }
    struct getting *getting = arena_make(arena, struct getting);
    getting->asked = asked;
    getting->op.account = asked->account->number;
    getting->op.key = vcard_key;
    getting->op.request.home = loop_mailbox(asked->home->loop);
    getting->op.request.done = got;
    store_document_get(asked->home->store, &getting->op);
}

struct setting {
    struct asked *asked;
    struct store_document_put op;
};

static void is_set(struct store_request *request)
{
    struct setting *setting = CONTAINER_OF(request, struct setting, op.request);
    struct asked *asked = setting->asked;
    enum err e = request->result;
    store_release(request);
    if (e == OK)
        asked_result(&asked, NULL);
    else
        asked_store_error(&asked, e);
}

static void set(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct setting *setting = arena_make(arena, struct setting);
    setting->op.document.key = vcard_key;
    if (xml_to_str(arena, asked->payload, NS_NONE, &setting->op.document.xml) != OK ||
        setting->op.document.xml.len > desk_of(asked->home)->settings->vcard_bytes) {
        limit_reached(asked->home, asked->account->jid.full, "limits.vcard_bytes");
        asked_error(&asked, STANZA_NOT_ACCEPTABLE, "the vCard is too large");
        return;
    }
    setting->asked = asked;
    setting->op.account = asked->account->number;
    setting->op.request.home = loop_mailbox(asked->home->loop);
    setting->op.request.done = is_set;
    store_document_put(asked->home->store, &setting->op);
}

static const struct str disco[] = {
    NS_VCARD, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_VCARD,  {"vCard", 5}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT,   get },
    {NS_VCARD,  {"vCard", 5}, IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, set },
    {{NULL, 0}, {NULL, 0},    0,                                 NULL},
};

const struct feature feature_vcard = {
    .name = "vcard",
    .spec = "XEP-0054",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
};

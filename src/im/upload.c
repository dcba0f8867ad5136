#include "im/upload.h"

#include "base/base64.h"
#include "base/clock.h"
#include "files/uploads.h"
#include "im/containment.h"
#include "im/gate.h"
#include "im/notices.h"

/* ---- What the service says of itself ---- */

void upload_describe(struct arena *arena, struct element *query, const struct im_domain *domain)
{
    if (domain->upload_url.len == 0)
        return;
    struct element *identity = element_child_new(arena, query, NS_DISCO_INFO, STR("identity"));
    element_set(arena, identity, STR("category"), STR("store"));
    element_set(arena, identity, STR("type"), STR("file"));
    element_set(arena, identity, STR("name"), STR("HTTP File Upload"));
    struct element *feature = element_child_new(arena, query, NS_DISCO_INFO, STR("feature"));
    element_set(arena, feature, STR("var"), NS_UPLOAD);
    struct element *form = element_child_new(arena, query, NS_DATA, STR("x"));
    element_set(arena, form, STR("type"), STR("result"));
    struct element *type = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, type, STR("var"), STR("FORM_TYPE"));
    element_set(arena, type, STR("type"), STR("hidden"));
    element_child_with(arena, type, NS_DATA, STR("value"), NS_UPLOAD);
    struct element *most = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, most, STR("var"), STR("max-file-size"));
    element_child_with(arena, most, NS_DATA, STR("value"),
                       arena_printf(arena, "%llu", (unsigned long long)domain->upload_bytes));
}

/* ---- A slot ---- */

// RFC 3986 2.3: what need not be encoded; a URL is then one word in every client.
static struct str encode(struct arena *arena, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, 3 * text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            out[n++] = (char)c;
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    return str_make(out, n);
}

static struct str url_of(struct arena *arena, const struct im_domain *domain, const char *id,
                         struct str name)
{
    return arena_printf(arena, "%.*s%s/%.*s", STR_ARGS(domain->upload_url), id, STR_ARGS(name));
}

static void give(struct asked *asked, const struct im_domain *domain,
                 const struct upload_slot *slot, struct str filename)
{
    struct arena *arena = asked_arena(asked);
    struct str name = encode(arena, filename);
    struct element *answer = element_new(arena, NS_UPLOAD, STR("slot"));
    struct element *put = element_child_new(arena, answer, NS_UPLOAD, STR("put"));
    element_set(arena, put, STR("url"), url_of(arena, domain, slot->put, name));
    struct element *get = element_child_new(arena, answer, NS_UPLOAD, STR("get"));
    element_set(arena, get, STR("url"), url_of(arena, domain, slot->get, name));
    asked_result(&asked, answer);
}

static const char *words_of(enum upload_grant grant)
{
    switch (grant) {
    case GRANT_LARGE:
        return "A file may have 1 to {number} bytes.";
    case GRANT_QUOTA:
        return "Your files take all the room that you have here.";
    case GRANT_DAILY:
        return "You have put as much as a day allows.";
    case GRANT_SLOTS:
        return "You have asked for many files and not put them yet.";
    case GRANT_STORAGE:
        return "There is no room for more files.";
    default:
        return "A file needs a name that can be written down.";
    }
}

// Section 5: what an application-specific condition holds is added here.
static void refuse(struct asked *asked, const struct im_domain *domain, enum upload_grant grant,
                   int64_t retry_us)
{
    struct arena *arena = asked_arena(asked);
    struct str most = arena_printf(arena, "%llu", (unsigned long long)domain->upload_bytes);
    const struct notice_args args = {.number = most};
    struct stanza_error error = {.condition = STANZA_NOT_ACCEPTABLE, .type = STANZA_MODIFY};
    struct element *more = NULL;
    asked_words(asked, words_of(grant), &args, &error);
    if (grant == GRANT_LARGE) {
        more = element_new(arena, NS_UPLOAD, STR("file-too-large"));
        element_child_with(arena, more, NS_UPLOAD, STR("max-file-size"), most);
    } else if (grant != GRANT_NAME) {
        error.condition = STANZA_RESOURCE_CONSTRAINT;
        error.type = STANZA_WAIT;
    }
    if (retry_us != 0) {
        more = element_new(arena, NS_UPLOAD, STR("retry"));
        element_set(arena, more, STR("stamp"), clock_format(arena, retry_us));
    }
    error.specific_whole = more;
    asked_error_full(&asked, &error);
}

static void request(struct asked *asked)
{
    const struct desk *desk = desk_of(asked->home);
    struct uploads *uploads = desk->service->uploads;
    const struct im_domain *domain = desk_domain(desk, asked->stanza->to.domain);
    struct str name = element_attr(asked->payload, STR("filename"));
    struct str size = element_attr(asked->payload, STR("size"));
    struct upload_slot slot;
    uint64_t bytes;
    if (uploads == NULL || domain == NULL || domain->upload_url.len == 0) {
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    if (asked->account == NULL || asked->session == 0) {
        asked_error(&asked, STANZA_NOT_ALLOWED, "Only our own people may put files here.");
        return;
    }
    if (name.at == NULL || size.at == NULL || str_to_u64(size, 0, UINT64_MAX, &bytes) != OK) {
        asked_error(&asked, STANZA_BAD_REQUEST, NULL);
        return;
    }
    int64_t until_us;
    if (gate_suspends(asked->account, FEATURE_FILES, &until_us)) {
        const struct session *session = asked_session(asked);
        struct stanza_error error;
        containment_no_files(asked->home, asked_arena(asked), &asked->account->jid,
                             session != NULL ? session->lang : STR_EMPTY, until_us, &error);
        asked_error_full(&asked, &error);
        return;
    }
    enum upload_grant grant = uploads_grant(uploads, asked->account->number,
                                            asked->account->jid.full, name, bytes, &slot);
    if (grant == GRANT_OK)
        give(asked, domain, &slot, name);
    else
        refuse(asked, domain, grant, slot.retry_us);
}

/* ---- What links lead to ---- */

static unsigned lure_flags_of(uint32_t found)
{
    unsigned flags = 0;
    if ((found & UPLOAD_PROGRAM) != 0)
        flags |= LURE_EXECUTABLE;
    if ((found & UPLOAD_DISGUISED) != 0)
        flags |= LURE_EXECUTABLE | LURE_DISGUISED;
    if ((found & UPLOAD_SUSPECT) != 0)
        flags |= LURE_SUSPECT;
    if ((found & UPLOAD_FOUND) != 0)
        flags |= LURE_INFECTED;
    return flags;
}

struct lure_file upload_lure_file(struct arena *arena, const struct upload *upload)
{
    struct str digest = str_make((const char *)upload->digest, sizeof upload->digest);
    return (struct lure_file){
        .name = str_of(upload->name),
        .media_type = str_of(upload->type),
        .size = upload->size,
        .digest_name = STR("sha-256"),
        .digest = base64_encode(arena, digest),
    };
}

void upload_add_file(struct lure_list *list, const struct upload *upload)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct lure_file file = upload_lure_file(&arena, upload);
    size_t before = list->n;
    lure_add_file(list, &file);
    if (list->n > before)
        list->lures[before].flags |= lure_flags_of(upload->flags);
    arena_done(&arena);
}

void upload_add_files(const struct desk *desk, struct lure_list *list)
{
    struct uploads *uploads = desk->service->uploads;
    if (uploads == NULL)
        return;
    size_t n = list->n; // files are added behind
    for (size_t i = 0; i < n; i++) {
        struct lure link = list->lures[i];
        if (link.kind != LURE_LINK)
            continue;
        // Our own host is what all its links share: no conviction may grow to it, nor to a pattern
        // of our URLs.  The file behind the link is what a worm's copies have in common.
        size_t at = str_find(link.url, STR(UPLOAD_PATH));
        const struct im_domain *domain = im_settings_of_upload_host(desk->settings, link.host);
        if (domain != NULL && at < link.url.len)
            list->lures[i].flags |= LURE_WELL_KNOWN;
        struct upload upload;
        if (!uploads_find_in_path(uploads, link.url, &upload))
            continue;
        size_t before = list->n;
        upload_add_file(list, &upload);
        if (list->n > before)
            list->lures[before].flags |= link.flags & LURE_DEFANGED;
    }
}

static const struct iq_handler iqs[] = {
    {NS_UPLOAD, {"request", 7}, IQ_GET | IQ_DOMAIN, request},
    {{NULL, 0}, {NULL, 0},      0,                  NULL   },
};

const struct feature feature_upload = {
    .name = "upload",
    .spec = "XEP-0363",
    .iqs = iqs,
};

/*
 * The profiles.  All hosts are in reserved top-level domains: nothing that
 * this program sends leads anywhere.
 */
#include "drill/worm.h"

#include "base/must.h"
#include "xml/writer.h"

#include <stdlib.h>

enum { PURPOSE_WORM = 3, PURPOSE_CAMPAIGN = 4 };

#define PICK(prng, array) ((array)[prng_below((prng), COUNT_OF(array))])

static const char *const teasers[] = {
    "lol is that you in this picture?? %s",       "omg you have to see this %s",
    "haha I found this video of us %s",           "look what they wrote about you: %s",
    "check this out before they take it down %s",
};

static void say_link(struct buf *out, const char *teaser, const struct buf *url)
{
    struct buf text;
    buf_init(&text, 2048);
    struct str before = str_of(teaser);
    size_t at = str_find(before, STR("%s"));
    buf_add(&text, str_first(before, at));
    buf_add(&text, buf_str(url));
    buf_add(&text, str_skip(before, at + 2));
    buf_add(out, STR("<body>"));
    xml_write_text(out, buf_str(&text));
    buf_add(out, STR("</body>"));
    buf_done(&text);
}

/* A host of the campaign: always the same from the same generator. */
static void add_host(struct buf *url, struct prng *prng)
{
    static const char *const parts[] = {"photo", "pic", "my", "party", "fun", "share", "album"};
    const char *first = PICK(prng, parts), *second = PICK(prng, parts);
    buf_printf(url, "%s-%s%u.example", first, second, (unsigned)prng_below(prng, 1000));
}

static void write_same(const struct worm_profile *profile, struct prng *campaign, struct prng *copy,
                       struct str victim, struct buf *out)
{
    (void)profile, (void)copy, (void)victim;
    struct buf url;
    buf_init(&url, 512);
    buf_add(&url, STR("http://www."));
    add_host(&url, campaign);
    buf_add(&url, STR("/pictures.php"));
    say_link(out, PICK(campaign, teasers), &url);
    buf_done(&url);
}

static void write_named(const struct worm_profile *profile, struct prng *campaign,
                        struct prng *copy, struct str victim, struct buf *out)
{
    (void)profile, (void)copy;
    struct buf url;
    buf_init(&url, 512);
    buf_add(&url, STR("http://www."));
    add_host(&url, campaign);
    buf_printf(&url, "/profile.php?user=%.*s", STR_ARGS(victim));
    say_link(out, PICK(campaign, teasers), &url);
    buf_done(&url);
}

static void write_rotating(const struct worm_profile *profile, struct prng *campaign,
                           struct prng *copy, struct str victim, struct buf *out)
{
    (void)profile, (void)campaign, (void)victim;
    struct buf url;
    buf_init(&url, 512);
    buf_add(&url, STR("http://"));
    add_host(&url, copy);
    buf_printf(&url, "/v/%u", (unsigned)prng_below(copy, 100000));
    say_link(out, PICK(copy, teasers), &url);
    buf_done(&url);
}

/* One file for all; its name, size and digest are given, its place changes with each copy. */
static void write_file(const struct worm_profile *profile, struct prng *campaign, struct prng *copy,
                       struct str victim, struct buf *out)
{
    (void)profile, (void)victim;
    static const char *const names[] = {"holiday-pictures.jpg.scr", "Me_and_you.pif",
                                        "party_video.mp4.exe"};
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf url;
    buf_init(&url, 512);
    buf_add(&url, STR("https://files."));
    add_host(&url, campaign);
    const char *name = PICK(campaign, names);
    unsigned size = 40000 + (unsigned)prng_below(campaign, 200000);
    char digest[45];
    for (int i = 0; i < 42; i++)
        digest[i] = base64[prng_below(campaign, 64)];
    memcpy(digest + 42, "A=", 3); // 32 bytes leave two bits unused
    buf_printf(&url, "/%08x/%s", (unsigned)prng_below(copy, UINT32_MAX), name);
    say_link(out, "%s", &url);
    struct str at = buf_str(&url);
    buf_printf(out, "<x xmlns='jabber:x:oob'><url>%.*s</url></x>", STR_ARGS(at));
    buf_printf(out,
               "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='attachment'>"
               "<file xmlns='urn:xmpp:file:metadata:0'><media-type>application/octet-stream"
               "</media-type><name>%s</name><size>%u</size>"
               "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>%s</hash></file>"
               "<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='%.*s'/>"
               "</sources></file-sharing>",
               name, size, digest, STR_ARGS(at));
    buf_done(&url);
}

const struct worm_profile worm_profiles[] = {
    {"P1",                                                           "kelvir", "one text, one link, all contacts, a tenth of a second apart", false, 0.1, 0,
     10, write_same},
    {"P2", "the victim's name", "each link holds the name of the one who is to open it", false, 0.1,
     0.5, 10, write_named},
    {"P3",                                                           "rotating", "another host and another text with every copy", false, 0.1, 0.5, 10,
     write_rotating},
    {"P4",                                                             "slow", "one contact in ten minutes", false, 600, 0.3, 480, write_same},
    {"P5",                                                              "live conversations", "answers those who have just written", true, 3, 0.5, 45,
     write_same},
    {"P6",                                           "file", "a program in the guise of a picture, as a file to fetch", false, 0.1, 0.5, 10,
     write_file},
    {NULL                                                        },
};

const struct worm_profile *worm_find(struct str name)
{
    for (const struct worm_profile *at = worm_profiles; at->name != NULL; at++) {
        if (str_eq_nocase(name, str_of(at->name)))
            return at;
    }
    return NULL;
}

void infection_init(struct infection *infection, const struct worm *worm, uint32_t person,
                    const uint32_t *contacts, uint32_t n_contacts)
{
    *infection = (struct infection){
        .prng = prng_of(worm->seed, person, PURPOSE_WORM),
        .person = person,
        .n_contacts = n_contacts,
        .order = malloc((n_contacts + 1) * sizeof *infection->order),
    };
    must(infection->order != NULL);
    memcpy(infection->order, contacts, n_contacts * sizeof *contacts);
}

void infection_done(struct infection *infection)
{
    free(infection->order);
    *infection = (struct infection){0};
}

static void serve(struct infection *infection, uint32_t at)
{
    uint32_t contact = infection->order[at];
    // the order of the rest stays: a worm walks the roster
    memmove(infection->order + infection->n_sent + 1, infection->order + infection->n_sent,
            (at - infection->n_sent) * sizeof *infection->order);
    infection->order[infection->n_sent++] = contact;
}

bool infection_next(struct infection *infection, const struct worm *worm, uint32_t *contact)
{
    if (worm->profile->replies || infection->n_sent == infection->n_contacts)
        return false;
    *contact = infection->order[infection->n_sent];
    serve(infection, infection->n_sent);
    return true;
}

bool infection_answers(struct infection *infection, const struct worm *worm, uint32_t contact)
{
    for (uint32_t i = infection->n_sent; worm->profile->replies && i < infection->n_contacts; i++) {
        if (infection->order[i] == contact) {
            serve(infection, i);
            return true;
        }
    }
    return false;
}

int64_t infection_pause_us(struct infection *infection, const struct worm *worm)
{
    double spread = worm->profile->jitter * (2 * prng_unit(&infection->prng) - 1);
    return (int64_t)(worm->profile->pause_s * (1 + spread) * 1e6);
}

void infection_write(struct infection *infection, const struct worm *worm, struct str victim,
                     struct buf *out)
{
    struct prng campaign = prng_of(worm->seed, 0, PURPOSE_CAMPAIGN);
    worm->profile->write(worm->profile, &campaign, &infection->prng, victim, out);
}

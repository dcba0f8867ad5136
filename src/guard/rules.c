/*
 * Read-only tables of the guard's lure extraction, and the hosts that everybody
 * knows.
 *
 * A fresh installation has seen no host at all.  The list below is the shipped
 * prior: large sites, shared hosts and shorteners on which one link says nothing
 * about the next, so that they never tie two lures together and are never
 * convicted whole.  It is matched against the whole host and its registrable
 * domain, never against a part of either.
 */
#include "guard/lure_internal.h"

#include "base/must.h"

#include <stdlib.h>

enum { KNOWN = LURE_WELL_KNOWN, SHORT = LURE_WELL_KNOWN | LURE_SHORTENER };

/* Sorted by bytes (a test checks that). */
static const struct known_host {
    const char *host;
    unsigned flags;
} known_hosts[] = {
    {"adf.ly",              SHORT},
    {"adobe.com",           KNOWN},
    {"airbnb.com",          KNOWN},
    {"akamaihd.net",        KNOWN},
    {"aliexpress.com",      KNOWN},
    {"amazon.co.jp",        KNOWN},
    {"amazon.co.uk",        KNOWN},
    {"amazon.com",          KNOWN},
    {"amazon.de",           KNOWN},
    {"amazon.es",           KNOWN},
    {"amazon.fr",           KNOWN},
    {"amazon.it",           KNOWN},
    {"amzn.to",             SHORT},
    {"apache.org",          KNOWN},
    {"apple.com",           KNOWN},
    {"archive.org",         KNOWN},
    {"archlinux.org",       KNOWN},
    {"arxiv.org",           KNOWN},
    {"askubuntu.com",       KNOWN},
    {"atlassian.net",       KNOWN},
    {"baidu.com",           KNOWN},
    {"bandcamp.com",        KNOWN},
    {"bbc.co.uk",           KNOWN},
    {"bbc.com",             KNOWN},
    {"bing.com",            KNOWN},
    {"bit.ly",              SHORT},
    {"bitbucket.org",       KNOWN},
    {"bitly.com",           SHORT},
    {"bl.ink",              SHORT},
    {"bloomberg.com",       KNOWN},
    {"booking.com",         KNOWN},
    {"box.com",             KNOWN},
    {"buff.ly",             SHORT},
    {"calendly.com",        KNOWN},
    {"canva.com",           KNOWN},
    {"cnn.com",             KNOWN},
    {"cutt.ly",             SHORT},
    {"dailymotion.com",     KNOWN},
    {"debian.org",          KNOWN},
    {"deviantart.com",      KNOWN},
    {"discord.com",         KNOWN},
    {"discord.gg",          SHORT},
    {"dropbox.com",         KNOWN},
    {"duckduckgo.com",      KNOWN},
    {"ebay.co.uk",          KNOWN},
    {"ebay.com",            KNOWN},
    {"ebay.de",             KNOWN},
    {"economist.com",       KNOWN},
    {"espn.com",            KNOWN},
    {"etsy.com",            KNOWN},
    {"eventbrite.com",      KNOWN},
    {"facebook.com",        KNOWN},
    {"fb.com",              KNOWN},
    {"fb.me",               SHORT},
    {"fedoraproject.org",   KNOWN},
    {"figma.com",           KNOWN},
    {"flickr.com",          KNOWN},
    {"ft.com",              KNOWN},
    {"gist.github.com",     KNOWN},
    {"git.io",              SHORT},
    {"github.com",          KNOWN},
    {"gitlab.com",          KNOWN},
    {"gnome.org",           KNOWN},
    {"gnu.org",             KNOWN},
    {"goo.gl",              SHORT},
    {"google.ca",           KNOWN},
    {"google.co.in",        KNOWN},
    {"google.co.jp",        KNOWN},
    {"google.co.uk",        KNOWN},
    {"google.com",          KNOWN},
    {"google.com.br",       KNOWN},
    {"google.de",           KNOWN},
    {"google.es",           KNOWN},
    {"google.fr",           KNOWN},
    {"google.it",           KNOWN},
    {"imdb.com",            KNOWN},
    {"imgur.com",           KNOWN},
    {"indeed.com",          KNOWN},
    {"instagram.com",       KNOWN},
    {"is.gd",               SHORT},
    {"j.mp",                SHORT},
    {"kde.org",             KNOWN},
    {"kernel.org",          KNOWN},
    {"launchpad.net",       KNOWN},
    {"lemonde.fr",          KNOWN},
    {"linkedin.com",        KNOWN},
    {"live.com",            KNOWN},
    {"lnkd.in",             SHORT},
    {"lwn.net",             KNOWN},
    {"maps.app.goo.gl",     SHORT},
    {"medium.com",          KNOWN},
    {"meetup.com",          KNOWN},
    {"mega.nz",             KNOWN},
    {"microsoft.com",       KNOWN},
    {"microsoftonline.com", KNOWN},
    {"mozilla.org",         KNOWN},
    {"msn.com",             KNOWN},
    {"netflix.com",         KNOWN},
    {"notion.so",           KNOWN},
    {"nytimes.com",         KNOWN},
    {"office.com",          KNOWN},
    {"ow.ly",               SHORT},
    {"pastebin.com",        KNOWN},
    {"paypal.com",          KNOWN},
    {"pinterest.com",       KNOWN},
    {"python.org",          KNOWN},
    {"qq.com",              KNOWN},
    {"quora.com",           KNOWN},
    {"rb.gy",               SHORT},
    {"rebrand.ly",          SHORT},
    {"redd.it",             SHORT},
    {"reddit.com",          KNOWN},
    {"reuters.com",         KNOWN},
    {"salesforce.com",      KNOWN},
    {"sharepoint.com",      KNOWN},
    {"shopify.com",         KNOWN},
    {"shorturl.at",         SHORT},
    {"skype.com",           KNOWN},
    {"slack.com",           KNOWN},
    {"soundcloud.com",      KNOWN},
    {"sourceforge.net",     KNOWN},
    {"spiegel.de",          KNOWN},
    {"spotify.com",         KNOWN},
    {"stackexchange.com",   KNOWN},
    {"stackoverflow.com",   KNOWN},
    {"steamcommunity.com",  KNOWN},
    {"t.co",                SHORT},
    {"t.ly",                SHORT},
    {"t.me",                SHORT},
    {"taobao.com",          KNOWN},
    {"telegram.me",         SHORT},
    {"theguardian.com",     KNOWN},
    {"tiktok.com",          KNOWN},
    {"tiny.cc",             SHORT},
    {"tinyurl.com",         SHORT},
    {"tripadvisor.com",     KNOWN},
    {"tumblr.com",          KNOWN},
    {"twitch.tv",           KNOWN},
    {"twitter.com",         KNOWN},
    {"ubuntu.com",          KNOWN},
    {"ubuntuforums.org",    KNOWN},
    {"ubuntuusers.de",      KNOWN},
    {"v.gd",                SHORT},
    {"vimeo.com",           KNOWN},
    {"vk.com",              KNOWN},
    {"washingtonpost.com",  KNOWN},
    {"webex.com",           KNOWN},
    {"weibo.com",           KNOWN},
    {"wetransfer.com",      KNOWN},
    {"whatsapp.com",        KNOWN},
    {"wikimedia.org",       KNOWN},
    {"wikipedia.org",       KNOWN},
    {"wordpress.com",       KNOWN},
    {"wsj.com",             KNOWN},
    {"x.com",               KNOWN},
    {"xkcd.com",            KNOWN},
    {"yahoo.com",           KNOWN},
    {"yandex.ru",           KNOWN},
    {"yelp.com",            KNOWN},
    {"youtu.be",            SHORT},
    {"youtube.com",         KNOWN},
    {"zhihu.com",           KNOWN},
    {"zoom.us",             KNOWN},
};

struct lure_rules *lure_rules_new(void)
{
    struct lure_rules *rules = calloc(1, sizeof *rules);
    must(rules != NULL);
    UErrorCode code = U_ZERO_ERROR;
    // WHATWG "domain to ASCII": no STD3 rules, non-transitional, bidi and joiners checked
    rules->idna = uidna_openUTS46(
        UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_NONTRANSITIONAL_TO_ASCII, &code);
    must(U_SUCCESS(code));
    rules->lookalikes = uspoof_open(&code);
    rules->folds = unorm2_getNFKCCasefoldInstance(&code);
    must(U_SUCCESS(code));
    rules->psl = psl_builtin();
    must(rules->psl != NULL);
    rules->hosts = calloc(1, sizeof *rules->hosts);
    must(rules->hosts != NULL);
    rules->hosts->key = hash_key_random();
    rules->points = points_new();
    warnings_index(&rules->warnings);
    return rules;
}

void lure_rules_free(struct lure_rules **rules)
{
    if (*rules == NULL)
        return;
    uidna_close((*rules)->idna);
    uspoof_close((*rules)->lookalikes);
    free((*rules)->hosts);
    free((*rules)->points);
    free(*rules);
    *rules = NULL;
}

static unsigned flags_of(struct str name)
{
    size_t low = 0, high = COUNT_OF(known_hosts);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, str_of(known_hosts[middle].host));
        if (order == 0)
            return known_hosts[middle].flags;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

unsigned rules_host_flags(struct str host, struct str domain)
{
    if (str_starts(host, STR("www.")))
        host = str_skip(host, 4);
    unsigned flags = flags_of(host);
    return flags != 0 || str_eq(host, domain) ? flags : flags_of(domain);
}

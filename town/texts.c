/*
 * Hosts follow a power law: a few that everybody links to, and a long tail of
 * which most are seen once.  That tail is what a guard against never-seen
 * hosts has to live with.
 */
#include "town/texts.h"

#include "base/must.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

extern const char town_sample[];
extern const size_t town_sample_size;

struct texts {
    char *bytes;
    struct str *lines;
    uint32_t *order; // of a file's lines
    size_t n_lines, next;
    bool is_sample;
};

static const char *const hosts[] = {
    "www.wikipedia.org",
    "github.com",
    "stackoverflow.com",
    "docs.google.com",
    "www.youtube.com",
    "maps.google.com",
    "en.wikipedia.org",
    "gitlab.com",
    "www.bbc.co.uk",
    "www.reuters.com",
    "www.nytimes.com",
    "teams.microsoft.com",
    "zoom.us",
    "www.amazon.com",
    "www.spiegel.de",
    "www.lemonde.fr",
    "news.ycombinator.com",
    "www.reddit.com",
    "medium.com",
    "drive.google.com",
    "www.dropbox.com",
    "onedrive.live.com",
    "www.linkedin.com",
    "twitter.com",
    "www.instagram.com",
    "www.imdb.com",
    "www.booking.com",
    "www.airbnb.com",
    "www.tripadvisor.com",
    "www.bahn.de",
    "www.sncf.com",
    "www.easyjet.com",
    "www.ikea.com",
    "www.ebay.com",
    "www.paypal.com",
    "bugs.debian.org",
    "lists.debian.org",
    "www.python.org",
    "www.postgresql.org",
    "www.sqlite.org",
    "www.openssl.org",
    "www.ietf.org",
    "www.w3.org",
    "xmpp.org",
    "www.nature.com",
    "arxiv.org",
    "www.gutenberg.org",
    "www.openstreetmap.org",
    "www.theguardian.com",
    "www.economist.com",
    "www.ft.com",
    "www.wired.com",
    "www.chefkoch.de",
    "www.bbcgoodfood.com",
    "www.wetter.com",
    "www.yr.no",
    "doodle.com",
    "www.eventbrite.com",
    "www.meetup.com",
    "open.spotify.com",
    "soundcloud.com",
    "vimeo.com",
    "www.flickr.com",
    "imgur.com",
    "wiki.example.net",
    "intranet.example.net",
    "git.example.net",
    "tickets.example.net",
};

static const char *const words[] = {
    "harbour", "meadow",  "lantern", "walnut",  "granite", "orchard", "violet",  "ferry",
    "copper",  "willow",  "station", "bakery",  "cedar",   "river",   "mosaic",  "pepper",
    "saddle",  "thistle", "garden",  "market",  "winter",  "almond",  "beacon",  "cobalt",
    "dune",    "ember",   "falcon",  "glacier", "hazel",   "island",  "juniper", "kettle",
    "linden",  "maple",   "nectar",  "olive",   "pebble",  "quarry",  "raven",   "summit",
    "tulip",   "upland",  "valley",  "wharf",   "yarrow",  "zephyr",  "anchor",  "breeze",
};

static const char *const endings[] = {"com", "org", "net", "de", "fr", "co.uk", "info", "eu"};

static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"};

static const char *const files[] = {"forecast.xlsx", "draft-3.docx", "minutes.odt",
                                    "plan.pdf",      "figures.ods",  "offer-final.docx",
                                    "layout.png",    "contract.pdf"};

#define PICK(prng, array) ((array)[prng_below((prng), COUNT_OF(array))])

void texts_link(struct prng *prng, struct buf *out)
{
    buf_add(out, prng_below(prng, 12) == 0 ? STR("http://") : STR("https://"));
    if (prng_unit(prng) < 0.75) {
        // rank by a power law over the known hosts
        const size_t n_hosts = COUNT_OF(hosts);
        double rank = pow((double)n_hosts + 1, prng_unit(prng)) - 1;
        buf_add(out, str_of(hosts[(size_t)rank]));
    } else {
        // 48 x 48 x 8 small sites: most of those drawn appear once
        const char *first = PICK(prng, words), *second = PICK(prng, words);
        buf_printf(out, "www.%s-%s.%s", first, second, PICK(prng, endings));
    }
    // drawn one by one: the order within a call's arguments is the compiler's to choose
    const char *word = PICK(prng, words), *more = PICK(prng, words);
    unsigned number = (unsigned)prng_below(prng, 1000000);
    switch (prng_below(prng, 4)) {
    case 0:
        buf_printf(out, "/%s/%u", word, number);
        break;
    case 1:
        buf_printf(out, "/%s?id=%u", word, number);
        break;
    case 2:
        buf_printf(out, "/%s-%s-%u.html", word, more, number % 1000);
        break;
    default:
        buf_printf(out, "/%s/%s/", word, more);
    }
}

static bool fill(struct str name, struct prng *prng, struct buf *out)
{
    unsigned hour = 8 + (unsigned)prng_below(prng, 11), minute = 5 * (unsigned)prng_below(prng, 12);
    if (str_eq(name, STR("link")))
        texts_link(prng, out);
    else if (str_eq(name, STR("time")))
        buf_printf(out, "%u:%02u", hour, minute);
    else if (str_eq(name, STR("day")))
        buf_add(out, str_of(PICK(prng, days)));
    else if (str_eq(name, STR("file")))
        buf_add(out, str_of(PICK(prng, files)));
    else if (str_eq(name, STR("n")))
        buf_printf(out, "%u", 2 + (unsigned)prng_below(prng, 8));
    else
        return false;
    return true;
}

void texts_say(struct texts *texts, struct prng *prng, struct buf *out)
{
    if (!texts->is_sample) {
        buf_add(out, texts->lines[texts->order[texts->next]]);
        texts->next = (texts->next + 1) % texts->n_lines;
        return;
    }
    struct str rest = texts->lines[prng_below(prng, texts->n_lines)];
    while (rest.at != NULL) {
        buf_add(out, str_cut(&rest, '{'));
        if (rest.at == NULL)
            break;
        struct str name = str_cut(&rest, '}');
        if (!fill(name, prng, out))
            buf_printf(out, "{%.*s}", STR_ARGS(name));
    }
}

struct str texts_find_link(struct str text)
{
    size_t at = str_find(text, STR("https://")), plain = str_find(text, STR("http://"));
    at = at < plain ? at : plain;
    size_t end = at;
    while (end < text.len && (unsigned char)text.at[end] > ' ')
        end++;
    return str_make(text.at + at, end - at);
}

static enum err load(const char *path, char **bytes, size_t *size, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    size_t room = 1 << 16, n = 0;
    char *at = malloc(room);
    must(at != NULL);
    for (size_t got; (got = fread(at + n, 1, room - n, file)) > 0;) {
        n += got;
        if (n == room) {
            room *= 2;
            at = realloc(at, room);
            must(at != NULL);
        }
    }
    bool bad = ferror(file) != 0;
    fclose(file);
    if (bad) {
        free(at);
        return why_say(why, ERR_IO, "%s: cannot be read", path);
    }
    *bytes = at;
    *size = n;
    return OK;
}

/* A text that a person may have typed: UTF-8, no control characters, not a comment. */
static bool is_text(struct str line)
{
    if (line.len == 0 || line.len > 4000 || !str_is_utf8(line))
        return false;
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.at[i] < ' ' && line.at[i] != '\t')
            return false;
    }
    return true;
}

enum err texts_read(struct texts **out, const char *path, struct prng *prng, struct why *why)
{
    struct texts *texts = calloc(1, sizeof *texts);
    must(texts != NULL);
    texts->is_sample = path == NULL;
    struct str all = str_make(town_sample, town_sample_size);
    if (path != NULL) {
        enum err e = load(path, &texts->bytes, &all.len, why);
        if (e != OK) {
            free(texts);
            return e;
        }
        all.at = texts->bytes;
    }
    size_t room = 0;
    while (all.at != NULL) {
        struct str line = str_trim(str_cut(&all, '\n'));
        if (!is_text(line) || (texts->is_sample && line.at[0] == '#'))
            continue;
        if (texts->n_lines == room) {
            room = room == 0 ? 1024 : 2 * room;
            texts->lines = realloc(texts->lines, room * sizeof *texts->lines);
            must(texts->lines != NULL);
        }
        texts->lines[texts->n_lines++] = line;
    }
    if (texts->n_lines == 0) {
        texts_free(&texts);
        return why_say(why, ERR_MALFORMED, "%s: no line of text", path);
    }
    texts->order = malloc(texts->n_lines * sizeof *texts->order);
    must(texts->order != NULL);
    texts_shuffle(texts, prng);
    *out = texts;
    return OK;
}

void texts_shuffle(struct texts *texts, struct prng *prng)
{
    texts->next = 0;
    for (size_t i = 0; i < texts->n_lines; i++)
        texts->order[i] = (uint32_t)i;
    for (size_t i = texts->n_lines - 1; !texts->is_sample && i > 0; i--) {
        size_t j = prng_below(prng, i + 1);
        uint32_t line = texts->order[i];
        texts->order[i] = texts->order[j];
        texts->order[j] = line;
    }
}

void texts_free(struct texts **texts)
{
    if (*texts == NULL)
        return;
    free((*texts)->bytes);
    free((*texts)->lines);
    free((*texts)->order);
    free(*texts);
    *texts = NULL;
}

/*
 * What is known of a host: its registrable domain, whether it is a large one, its keys.
 *
 * To find that out takes microseconds, and most links lead to a few hosts; so it is remembered.
 * Whoever does not know the hashes' key cannot make one host answer for another; and what is
 * forgotten is found out again.
 */
#include "guard/lure_internal.h"

#include "base/must.h"

#include <stdatomic.h>

enum { HOST_MOST = 253, WORDS = COUNT_OF(((struct host_cache *)0)->hosts->words) };

/* ---- Domain, flags and keys ------------------------------------------------------------------ */

static struct str find_domain(const struct lure_rules *rules, struct str host)
{
    char z[HOST_MOST + 1];
    if (host.len == 0 || host.at[0] == '[' || ascii_is_digit(host.at[host.len - 1]) ||
        str_to_z(host, z, sizeof z) != OK) // an address, or no name that DNS can hold
        return host;
    const char *domain = psl_registrable_domain(rules->psl, z);
    return domain == NULL ? host : str_skip(host, (size_t)(domain - z));
}

static struct host_facts find_out(const struct lure_rules *rules, struct str host)
{
    struct str domain = find_domain(rules, host), name = host;
    if (str_starts(name, STR("www.")))
        name = str_skip(name, 4);
    return (struct host_facts){.n_domain = (uint32_t)domain.len,
                               .flags = rules_host_flags(host, domain),
                               .host = lure_hash('H', name, STR_EMPTY),
                               .domain = lure_hash('D', domain, STR_EMPTY)};
}

/* What all words together are: a set of which some belong to another host says something else. */
static uint64_t check_of(uint64_t hash, const uint64_t *words)
{
    for (size_t i = 1; i < WORDS; i++)
        hash ^= words[i];
    return hash;
}

static bool read_entry(const _Atomic uint64_t *at, uint64_t hash, uint64_t *words)
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&at[i], memory_order_relaxed);
    return words[0] == check_of(hash, words);
}

static void write_entry(_Atomic uint64_t *at, const uint64_t *words)
{
    for (size_t i = 0; i < WORDS; i++)
        atomic_store_explicit(&at[i], words[i], memory_order_relaxed);
}

struct host_facts host_facts(const struct lure_rules *rules, struct str host)
{
    // a host has so many places: of some that are asked for in turn none pushes the others out
    enum { PLACES = 4 };
    struct host_facts facts;
    _Static_assert(sizeof facts == (WORDS - 1) * sizeof(uint64_t), "all of it is remembered");
    if (host.len > HOST_MOST) // such a host has no entry; but bounded, like every link
        return find_out(rules, host);
    uint64_t words[PLACES][WORDS], hash = hash_keyed(&rules->hosts->key, host);
    size_t first = hash % COUNT_OF(rules->hosts->hosts);
    for (size_t i = 0; i < PLACES; i++)
        if (read_entry(rules->hosts->hosts[first ^ i].words, hash, words[i])) {
            memcpy(&facts, words[i] + 1, sizeof facts);
            if (!lure_key_is_none(&facts.host))
                return facts;
        }
    for (size_t i = 1; i < PLACES; i++) // the last is forgotten
        write_entry(rules->hosts->hosts[first ^ i].words, words[i - 1]);
    facts = find_out(rules, host);
    memcpy(words[0] + 1, &facts, sizeof facts);
    words[0][0] = check_of(hash, words[0]);
    write_entry(rules->hosts->hosts[first].words, words[0]);
    return facts;
}

struct str url_domain(const struct lure_rules *rules, struct str host)
{
    return str_skip(host, host.len - host_facts(rules, host).n_domain);
}

/* ---- Suffixes -------------------------------------------------------------------------------- */

static struct str last_label(struct str host)
{
    size_t at = host.len;
    while (at > 0 && host.at[at - 1] != '.')
        at--;
    return str_skip(host, at);
}

bool url_has_suffix(const struct lure_rules *rules, struct str host)
{
    static const struct str private_use[] = {
        {"example",   7},
        {"test",      4},
        {"local",     5},
        {"internal",  8},
        {"lan",       3},
        {"home",      4},
        {"corp",      4},
        {"onion",     5},
        {"localhost", 9},
    };
    struct str label = last_label(host);
    char z[64];
    if (label.len < 2 || label.len >= sizeof z)
        return false;
    // a word is the label's hash but for its lowest bits, which are the answer
    enum { NO = 1, YES, ANSWER_BITS = 2 };
    uint64_t hash = hash_keyed(&rules->hosts->key, label);
    _Atomic uint64_t *at =
        &rules->hosts->suffixes[hash >> 20 & (COUNT_OF(rules->hosts->suffixes) - 1)];
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed), answer = 0;
    if ((word ^ hash) >> ANSWER_BITS == 0)
        answer = word & ((1U << ANSWER_BITS) - 1);
    if (answer == 0) {
        if (str_to_z(label, z, sizeof z) != OK)
            return false;
        int type = PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE;
        answer = psl_is_public_suffix2(rules->psl, z, type) == 1 ? YES : NO;
        for (size_t i = 0; i < COUNT_OF(private_use); i++)
            answer = str_eq(label, private_use[i]) ? YES : answer;
        atomic_store_explicit(at, hash >> ANSWER_BITS << ANSWER_BITS | answer,
                              memory_order_relaxed);
    }
    return answer == YES;
}

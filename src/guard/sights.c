/*
 * Sights: what was seen before, and who brought it.
 *
 * Hosts and files are remembered within a share of the memory.  A flood of new
 * ones only pushes out what one person brought; what several brought
 * independently lives in a list of its own.
 */
#include "guard/guard_internal.h"

static const double sights_share = 0.25;

struct sight *sight_find(const struct guard *guard, const struct lure_key *key)
{
    uint64_t hash = guard_hash_key(guard, key);
    for (struct map_node *at = map_first(&guard->sights_map, hash); at != NULL; at = at->next) {
        struct sight *sight = CONTAINER_OF(at, struct sight, node);
        if (at->hash == hash && lure_key_eq(&sight->key, key))
            return sight;
    }
    return NULL;
}

static const size_t sight_bytes = sizeof(struct sight) + sizeof(void *);

void sight_free(struct guard *guard, struct sight *sight)
{
    map_remove(&guard->sights_map, &sight->node);
    list_leave(&sight->link);
    if (sight->is_known)
        guard->n_known--;
    else
        guard->n_young--;
    guard->bytes_sights -= sight_bytes;
    guard->n_forgotten++;
    slab_give(&guard->pieces, sight->piece);
}

struct sight *sight_make(struct guard *guard, const struct lure_key *key)
{
    uint32_t piece;
    struct sight *sight = piece_make(guard, sizeof *sight, &piece);
    sight->piece = piece;
    sight->key = *key;
    sight->first_us = sight->counted_us = guard->now_us;
    map_put(&guard->sights_map, &sight->node, guard_hash_key(guard, key));
    list_add_last(&guard->young, &sight->link);
    guard->n_young++;
    guard->bytes_sights += sight_bytes;
    return sight;
}

void sight_count(struct guard *guard, const struct lure_key *key, const struct user *by,
                 bool independent)
{
    struct sight *sight = sight_find(guard, key);
    if (sight == NULL)
        sight = sight_make(guard, key);
    sight->last_us = guard->now_us;
    sight->n_sendings++;
    if (guard->now_us - sight->counted_us > guard->config.established_us) {
        sight->settled = (uint8_t)sight_settled(guard, sight);
        sight->counted = (uint8_t)sight->introducers; // 64 at most, the sketch's bits
        sight->counted_us = guard->now_us;
    }
    uint64_t bit = UINT64_C(1) << by->sketch;
    if (independent && (sight->who_introduced & bit) == 0) {
        sight->who_introduced |= bit;
        sight->introducers++;
    }
    list_leave(&sight->link);
    if (!sight->is_known && sight->introducers >= 2) {
        sight->is_known = true;
        guard->n_young--;
        guard->n_known++;
    }
    list_add_last(sight->is_known ? &guard->known : &guard->young, &sight->link);

    size_t share = (size_t)((double)guard->config.memory * sights_share);
    while (guard->bytes_sights > share) {
        // the young may always have a quarter, else nothing new could ever become known
        struct list *list = guard->n_young * 4 > guard->n_known ? &guard->young : &guard->known;
        struct sight *oldest = LIST_FIRST(list, struct sight, link);
        if (oldest == NULL || oldest == sight)
            break;
        sight_free(guard, oldest);
    }
}

uint32_t sight_settled(const struct guard *guard, const struct sight *sight)
{
    int64_t since_us = guard->now_us - sight->counted_us;
    return since_us > 2 * guard->config.established_us ? sight->introducers
           : since_us > guard->config.established_us   ? sight->counted
                                                       : sight->settled;
}

bool sight_is_established(const struct guard *guard, const struct sight *sight)
{
    return sight->introducers >= guard->config.established_by &&
           guard->now_us - sight->first_us >= guard->config.established_us;
}

const struct lure_key *lure_home_key(const struct lure *lure)
{
    if (lure->kind == LURE_LINK && !lure_key_is_none(&lure->keys[LURE_DOMAIN]) &&
        (lure->flags & LURE_SHORTENER) == 0)
        return &lure->keys[LURE_DOMAIN];
    return &lure->keys[LURE_EXACT];
}

bool lure_is_established(const struct guard *guard, const struct lure *lure)
{
    if (lure->kind != LURE_LINK)
        return false;
    if ((lure->flags & LURE_WELL_KNOWN) != 0)
        return true;
    const struct sight *sight = sight_find(guard, lure_home_key(lure));
    return sight != NULL && sight_is_established(guard, sight);
}

bool lure_is_scarce(const struct guard *guard, const struct lure *lure)
{
    if ((lure->flags & (LURE_WELL_KNOWN | LURE_SHORTENER)) == LURE_WELL_KNOWN)
        return false;
    const struct sight *sight = sight_find(guard, lure_home_key(lure));
    return sight != NULL && sight_settled(guard, sight) <= guard->config.scarce_by;
}

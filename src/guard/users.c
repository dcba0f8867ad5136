/*
 * Users and sights: who takes part, and what was seen before.
 *
 * Both are remembered within a share of the memory.  A flood of new hosts only
 * pushes out hosts that one person brought; what several brought independently
 * lives in a list of its own.
 */
#include "guard/guard_internal.h"

static const double users_share = 0.25, sights_share = 0.25;

uint64_t guard_hash(const struct guard *guard, struct str text)
{
    return hash_keyed(&guard->hash_key, text);
}

struct str own_text(struct str text, size_t most)
{
    size_t len = text.len < most ? text.len : most;
    must(len < SIZE_MAX);
    char *copy = malloc(len + 1);
    must(copy != NULL);
    if (len > 0)
        memcpy(copy, text.at, len);
    copy[len] = 0;
    return str_make(copy, len);
}

void str_free(struct str *text)
{
    free((char *)text->at);
    *text = (struct str){0};
}

struct user *user_find(const struct guard *guard, struct str jid)
{
    uint64_t hash = guard_hash(guard, jid);
    for (struct map_node *at = map_first(&guard->users_map, hash); at != NULL; at = at->next) {
        struct user *user = CONTAINER_OF(at, struct user, node);
        if (at->hash == hash && str_eq(user->jid, jid))
            return user;
    }
    return NULL;
}

struct user *user_get(struct guard *guard, struct str jid)
{
    struct user *user = user_find(guard, jid);
    if (user == NULL) {
        user = calloc(1, sizeof *user);
        must(user != NULL);
        user->jid = own_text(jid, SIZE_MAX);
        list_init(&user->brought);
        map_put(&guard->users_map, &user->node, guard_hash(guard, jid));
        guard->n_users++;
        guard->bytes_users += sizeof *user + jid.len + sizeof(void *);
    } else {
        list_leave(&user->link);
    }
    user->last_us = guard->now_us;
    list_add_last(&guard->users, &user->link);
    return user;
}

void user_free(struct guard *guard, struct user *user)
{
    must(user->n_refs == 0 && list_empty(&user->brought));
    map_remove(&guard->users_map, &user->node);
    list_leave(&user->link);
    guard->n_users--;
    guard->bytes_users -= sizeof *user + user->jid.len + sizeof(void *);
    trail_free(guard, user);
    str_free(&user->jid);
    free(user);
}

void users_trim(struct guard *guard)
{
    size_t share = (size_t)((double)guard->config.memory * users_share);
    // those in use are looked at and kept: a bounded number each time, so that no event is slow
    int tries = 64;
    LIST_EACH(&guard->users, struct user, link, user)
    {
        if (guard->bytes_users <= share || tries-- == 0)
            break;
        if (user->n_refs == 0 && user->restricted_until_us == 0 && !user->is_decoy) {
            user_free(guard, user);
        } else {
            list_leave(&user->link);
            list_add_last(&guard->users, &user->link);
        }
    }
}

bool user_may_teach(struct guard *guard, struct user *user)
{
    int64_t day = guard->now_us / (86400 * INT64_C(1000000));
    if (user->lesson_day != day) {
        user->lesson_day = day;
        user->n_lessons = 0;
    }
    return user->n_lessons++ < guard->config.lessons_per_day;
}

/* ---- Sights ---------------------------------------------------------------------------------- */

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
    free(sight);
}

struct sight *sight_make(struct guard *guard, const struct lure_key *key)
{
    struct sight *sight = calloc(1, sizeof *sight);
    must(sight != NULL);
    sight->key = *key;
    sight->first_us = guard->now_us;
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
    uint64_t bit = UINT64_C(1) << (by->node.hash & 63);
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

bool sight_is_established(const struct guard *guard, const struct sight *sight)
{
    return sight->introducers >= guard->config.established_by &&
           guard->now_us - sight->first_us >= guard->config.established_us;
}

const struct lure_key *lure_home_key(const struct lure *lure)
{
    if (lure->kind == LURE_LINK && !lure_key_is_none(&lure->keys[LURE_DOMAIN]))
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

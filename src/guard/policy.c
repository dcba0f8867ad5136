/*
 * What operators decide beforehand: suspensions, entitlements, decoys.
 */
#include "guard/guard_internal.h"

struct str domain_of(struct str jid)
{
    size_t at = str_find_char(jid, '@');
    return at < jid.len ? str_skip(jid, at + 1) : jid;
}

struct ban *ban_find(const struct guard *guard, enum feature_kind feature, struct str sender)
{
    struct list *bans = (struct list *)&guard->bans;
    struct ban *longest = NULL;
    LIST_EACH(bans, struct ban, link, ban)
    {
        if (ban->feature != feature || ban->expires_us <= guard->now_us)
            continue;
        bool covers = ban->account.len > 0
                          ? str_eq(ban->account, sender)
                          : ban->domain.len == 0 || str_eq(ban->domain, domain_of(sender));
        if (covers && (longest == NULL || ban->expires_us > longest->expires_us))
            longest = ban;
    }
    return longest;
}

struct ban *ban_new(struct guard *guard)
{
    struct ban *ban = calloc(1, sizeof *ban);
    must(ban != NULL);
    list_add_last(&guard->bans, &ban->link);
    guard->n_bans++;
    return ban;
}

void ban_free(struct guard *guard, struct ban *ban)
{
    list_leave(&ban->link);
    guard->n_bans--;
    str_free(&ban->domain);
    str_free(&ban->account);
    str_free(&ban->actor);
    str_free(&ban->why);
    free(ban);
}

void take_suspension(struct guard *guard, const struct suspension *suspension,
                     struct guard_word *word)
{
    LIST_EACH(&guard->bans, struct ban, link, ban)
    if (ban->feature == suspension->feature && str_eq(ban->domain, suspension->domain) &&
        str_eq(ban->account, suspension->account))
        ban_free(guard, ban);
    word->reason = REASON_OPERATOR;
    if (suspension->expires_us <= guard->now_us || guard->n_bans >= RULES_MOST)
        return;
    struct ban *ban = ban_new(guard);
    ban->feature = suspension->feature;
    ban->domain = own_text(suspension->domain, SIZE_MAX);
    ban->account = own_text(suspension->account, SIZE_MAX);
    ban->actor = own_text(suspension->actor, TEXT_KEPT);
    ban->why = own_text(suspension->reason, TEXT_KEPT);
    ban->expires_us = suspension->expires_us;
    expiry_note(guard, ban->expires_us);
}

struct right *right_new(struct guard *guard, struct user *user)
{
    struct right *right = calloc(1, sizeof *right);
    must(right != NULL);
    right->user = user;
    user->n_refs++;
    list_add_last(&guard->rights, &right->link);
    guard->n_rights++;
    return right;
}

void right_free(struct guard *guard, struct right *right)
{
    right->user->n_refs--;
    list_leave(&right->link);
    guard->n_rights--;
    str_free(&right->domain);
    str_free(&right->actor);
    str_free(&right->why);
    free(right);
}

void take_entitlement(struct guard *guard, const struct entitlement *entitlement,
                      struct guard_word *word)
{
    struct user *user = user_get(guard, entitlement->account);
    LIST_EACH(&guard->rights, struct right, link, right)
    if (right->user == user && str_eq(right->domain, entitlement->domain))
        right_free(guard, right);
    word->reason = REASON_OPERATOR;
    if (entitlement->expires_us <= guard->now_us || guard->n_rights >= RULES_MOST)
        return;
    struct right *right = right_new(guard, user);
    right->domain = own_text(entitlement->domain, SIZE_MAX);
    right->actor = own_text(entitlement->actor, TEXT_KEPT);
    right->why = own_text(entitlement->reason, TEXT_KEPT);
    right->most = entitlement->receivers;
    right->expires_us = entitlement->expires_us;
    expiry_note(guard, right->expires_us);
}

/* "desk.example" covers itself and what is below it, whole labels only.  Without a domain it covers
 * hosts that people here know: a worm in an entitled client would bring one of its own. */
static bool covers(const struct guard *guard, struct str domain, const struct lure *lure)
{
    if (domain.len == 0)
        return lure->kind == LURE_LINK && lure_is_established(guard, lure) &&
               !lure_is_scarce(guard, lure);
    if (lure->kind != LURE_LINK || lure->host.len < domain.len)
        return false;
    size_t below = lure->host.len - domain.len;
    return str_eq(str_skip(lure->host, below), domain) &&
           (below == 0 || lure->host.at[below - 1] == '.');
}

bool right_covers(struct guard *guard, struct user *sender, const struct sending *sending)
{
    if (guard->n_rights == 0)
        return false;
    int64_t day = guard->now_us / (86400 * INT64_C(1000000));
    LIST_EACH(&guard->rights, struct right, link, right)
    {
        if (right->user != sender || right->expires_us <= guard->now_us)
            continue;
        if (right->day != day) {
            right->day = day;
            right->n_today = 0;
        }
        uint32_t audience = sending->audience > 0 ? sending->audience : 1;
        bool all = right->n_today < right->most && audience <= right->most - right->n_today;
        for (size_t i = 0; all && i < sending->n_lures; i++)
            all = covers(guard, right->domain, &sending->lures[i]);
        if (all) {
            right->n_today += audience;
            return true;
        }
    }
    return false;
}

void take_decoy(struct guard *guard, const struct decoy *decoy, struct guard_word *word)
{
    struct user *user = user_get(guard, decoy->account);
    word->reason = REASON_OPERATOR;
    if (user->is_decoy == !decoy->removed || (!decoy->removed && guard->n_decoys >= RULES_MOST))
        return;
    user->is_decoy = !decoy->removed;
    guard->n_decoys += decoy->removed ? (size_t)-1 : 1;
}

void policy_expire(struct guard *guard)
{
    LIST_EACH(&guard->bans, struct ban, link, ban)
    {
        if (ban->expires_us <= guard->now_us)
            ban_free(guard, ban);
        else
            expiry_note(guard, ban->expires_us);
    }
    LIST_EACH(&guard->rights, struct right, link, right)
    {
        if (right->expires_us <= guard->now_us)
            right_free(guard, right);
        else
            expiry_note(guard, right->expires_us);
    }
}

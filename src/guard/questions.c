/*
 * Questions: "did you mean to send this?"
 *
 * What separates a viral story from a worm on an honest host is whether the
 * people who passed it on meant to, and only they know.  Three situations ask:
 *
 *     star   somebody's never-seen lure goes to many at machine pace and would be convicted: it is,
 *            on trial, and what he goes on sending waits.  His "yes" undoes everything, also when
 *            it comes late; what had returned by then stays returned (decision 24).
 *     trial  one program made a tree of it, or it is a campaign: the same, and a "yes" of one of
 *            those whose acts made it one takes these out of the sum (decision 32).
 *     tree   a lure is passed on as a worm would be: its root, its relays and whoever joins them
 *            are asked, a few.  Nobody is convicted for being slow to answer.
 *
 * A "no" is believed at once about the account that says so, and about nobody
 * else: his copies are taken back, he loses links and files.  The lure needs
 * several (ask_denials); then whoever was shown it needs his own "yes" before
 * his copies go, which convicts nobody and stops a worm.  A "yes" counts as much
 * as the device it came from: one that sent the lure is the worm's own.
 */
#include "guard/guard_internal.h"

static const double denial_nats = 8, more_denials_nats = 4, denials_most = 16;
static const double confirmed_nats = -4, confirmed_most = -8;
// his own acts are explained, and a little more
static const double own_nats = -2, puzzle_nats = -1;

/* So many more who meant it than did not, and nobody is asked before it has grown so much. */
enum { CONFIRMS_ENOUGH = 3, ASK_AGAIN_AT = 4 };

const char *question_state_name(enum question_state state)
{
    static const char *const names[] = {"open", "yes", "no", "expired", "withdrawn"};
    must((size_t)state < COUNT_OF(names));
    return names[state];
}

/* ---- Book-keeping --------------------------------------------------------------------------- */

struct question *question_make(struct guard *guard, struct cluster *cluster, struct user *who)
{
    struct question *question = calloc(1, sizeof *question);
    must(question != NULL);
    question->cluster = cluster;
    question->who = who;
    who->n_refs++;
    list_add_last(&cluster->questions, &question->in_cluster);
    cluster->n_questions++;
    guard->bytes_clusters += sizeof *question;
    return question;
}

static bool is_before(const struct question *a, const struct question *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

void question_queue(struct guard *guard, struct question *question)
{
    // all wait equally long unless that was configured anew: the place is found from the end
    struct link *after = guard->questions.head.prev;
    while (after != &guard->questions.head &&
           is_before(question, CONTAINER_OF(after, struct question, link)))
        after = after->prev;
    question->link.prev = after;
    question->link.next = after->next;
    after->next->prev = &question->link;
    after->next = &question->link;
    question->cluster->n_asking++;
    guard->n_questions++;
}

void question_queue_late(struct guard *guard, struct question *question)
{
    struct link *after = guard->late.head.prev;
    while (after != &guard->late.head &&
           CONTAINER_OF(after, struct question, link)->late_us > question->late_us)
        after = after->prev;
    question->link.prev = after;
    question->link.next = after->next;
    after->next->prev = &question->link;
    after->next = &question->link;
    guard->n_late++;
}

/* His answer is taken: its time is not over, or he may still give it. */
static bool is_answerable(const struct question *question)
{
    return question->state == QUESTION_OPEN || question->late_us != 0;
}

static void question_ends(struct guard *guard, struct question *question, enum question_state state)
{
    if (question->state == QUESTION_OPEN) {
        list_leave(&question->link);
        question->cluster->n_asking--;
        guard->n_questions--;
    } else if (question->late_us != 0) {
        list_leave(&question->link);
        guard->n_late--;
        question->late_us = 0;
    }
    question->state = state;
    question->ended_us = guard->now_us;
}

static void question_free(struct guard *guard, struct question *question)
{
    question_ends(guard, question, QUESTION_WITHDRAWN);
    question->cluster->n_questions--;
    guard->bytes_clusters -= sizeof *question;
    list_leave(&question->in_cluster);
    question->who->n_refs--;
    free(question);
}

void questions_forget(struct guard *guard, struct cluster *cluster)
{
    LIST_EACH(&cluster->questions, struct question, in_cluster, question)
    question_free(guard, question);
}

/* The newest question to him about it; NULL: he was not asked. */
static struct question *question_to(const struct cluster *cluster, const struct user *user)
{
    struct question *newest = NULL;
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    if (question->who == user)
        newest = question;
    return newest;
}

bool question_is_open(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = cluster->n_asking > 0 ? question_to(cluster, user) : NULL;
    return question != NULL && question->state == QUESTION_OPEN;
}

bool question_confirmed(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = question_to(cluster, user);
    return question != NULL && question->state == QUESTION_YES;
}

bool question_is_silent(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = question_to(cluster, user);
    return question != NULL &&
           (question->state == QUESTION_OPEN || question->state == QUESTION_EXPIRED);
}

bool question_is_late(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = question_to(cluster, user);
    return question != NULL && question->late_us != 0;
}

bool question_denied(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = cluster->n_denied > 0 ? question_to(cluster, user) : NULL;
    return question != NULL && question->state == QUESTION_NO;
}

int64_t questions_wait_us(const struct cluster *cluster, const struct user *user)
{
    int64_t his_us = 0, last_us = 0;
    if (cluster->n_asking > 0)
        LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
        {
            if (question->state != QUESTION_OPEN)
                continue;
            if (question->who == user && question->due_us > his_us)
                his_us = question->due_us;
            if (question->due_us > last_us)
                last_us = question->due_us;
        }
    // who was asked and meant it knows that his waits for the others' word
    return his_us == 0 && cluster->on_trial && question_confirmed(cluster, user) ? last_us : his_us;
}

enum reason questions_end_reason(const struct cluster *cluster, const struct user *user)
{
    const struct question *question = question_to(cluster, user);
    bool was_silent = question != NULL && question->state == QUESTION_EXPIRED;
    return was_silent || !cluster->on_trial ? REASON_UNANSWERED : REASON_UNDECIDED;
}

/* Was asked as its trial began: whoever joins it later decides about his own copies only. */
static bool is_accused(const struct cluster *cluster, const struct user *user)
{
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    if (question->who == user && question->asked_us <= cluster->convicted_us)
        return true;
    return false;
}

bool trial_is_denied(const struct guard *guard, const struct cluster *cluster)
{
    if (cluster->n_denied >= guard->config.ask_denials)
        return true;
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    if (question->state == QUESTION_NO && is_accused(cluster, question->who))
        return true;
    return false;
}

/* Several have denied it; or it would be convicted as a tree at human pace, but for what few have
 * said or done, who may be accounts of a worm's own: that they meant it, that its host is known. */
static bool is_doubted(const struct guard *guard, const struct cluster *cluster)
{
    if (cluster->cleared)
        return false;
    bool is_everyones = cluster_is_everyones(cluster);
    bool is_tree = may_convict_tree(guard, cluster, true) ||
                   (cluster->established && !is_everyones && is_slow_tree(guard, cluster));
    if (is_tree && cluster->n_confirmed <= (is_everyones ? 0 : guard->config.scarce_by))
        return true;
    uint32_t enough = is_everyones ? guard->config.ask_denials : 1;
    return cluster->n_denied >= enough && cluster->n_denied * 2 > cluster->n_confirmed;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static uint32_t asked_today(const struct guard *guard, const struct user *user)
{
    const struct standing *standing = standing_of(guard, user);
    return standing != NULL && standing->question_day == guard_day(guard) ? standing->n_questions
                                                                          : 0;
}

static bool may_be_asked(const struct guard *guard, const struct member *member)
{
    const struct user *user = member->user;
    return asked_today(guard, user) < guard->config.ask_a_day && !member->remote &&
           !user->is_decoy && member->n_receivers > 0 &&
           (!member->warned || member->n_machine >= MACHINE_GAPS) &&
           restricted_until_us(guard, user) <= guard->now_us && guard->n_questions < QUESTIONS_MOST;
}

static void count_question(struct guard *guard, struct user *user)
{
    struct standing *standing = standing_get(guard, user);
    if (standing->question_day != guard_day(guard)) {
        standing->question_day = guard_day(guard);
        standing->n_questions = 0;
    }
    standing->n_questions++;
}

static bool is_full(const struct guard *guard, const struct member *member)
{
    const struct trail trail = trail_of(guard, member->user);
    return trail_is_full(guard, &trail);
}

/* Where few of those who were asked have answered, a tree that grows on has others asked. */
static bool has_asked_enough(const struct guard *guard, const struct cluster *cluster)
{
    return cluster->n_questions >= QUESTIONS_OF_ONE ||
           (cluster->n_questions >= guard->config.ask_most &&
            cluster->n_questions >= cluster->n_relays / 2);
}

/* anyway: for what he does himself, not as one of a tree of which some are asked. */
static bool put_to(struct guard *guard, struct cluster *cluster, struct member *member, bool anyway,
                   struct guard_word *word)
{
    const struct question *before = question_to(cluster, member->user);
    bool again = before == NULL || before->state == QUESTION_EXPIRED ||
                 (before->state == QUESTION_YES && is_full(guard, member));
    if (!again || !may_be_asked(guard, member) || cluster->n_questions >= QUESTIONS_OF_ONE ||
        (!anyway && has_asked_enough(guard, cluster) && !is_doubted(guard, cluster)))
        return false;
    const struct binding *narrowest = cluster_narrowest(cluster);
    cluster_becomes_incident(guard, cluster);
    struct question *question = question_make(guard, cluster, member->user);
    question->asked_us = guard->now_us;
    question->due_us = guard->now_us + guard->config.ask_us;
    question->device = member->device;
    question->receivers = member->n_receivers;
    count_question(guard, member->user);
    guard->n_asked++;
    struct order order = {.kind = ORDER_ASK,
                          .reason = REASON_ASKED,
                          .shown = narrowest != NULL ? narrowest->shown : cluster->shown,
                          .expires_us = question->due_us,
                          .device = question->device,
                          .receivers = question->receivers};
    struct order *made = order_add(guard, word, cluster, &order, member->user);
    made->question = question->number = made->number;
    question_queue(guard, question);
    return true;
}

bool question_put(struct guard *guard, struct cluster *cluster, struct member *member,
                  struct guard_word *word)
{
    return put_to(guard, cluster, member, false, word);
}

/* The root of the tree, and its relays. */
static void ask_people(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    struct member *root = member_of_root(guard, cluster);
    if (root != NULL)
        question_put(guard, cluster, root, word);
    LIST_EACH(&cluster->members, struct member, link, member)
    {
        if (has_asked_enough(guard, cluster))
            break;
        if (member->is_relay)
            question_put(guard, cluster, member, word);
    }
}

/* Who sends it at machine pace; this one, if nobody else is known to. */
static struct member *star_of(const struct guard *guard, const struct cluster *cluster,
                              struct member *member)
{
    struct member *root = member_of_root(guard, cluster);
    return member->n_machine < MACHINE_GAPS && root != NULL && root->n_machine >= MACHINE_GAPS
               ? root
               : member;
}

/* What he did speaks for the tree's conviction: his word could take that out of it. */
static bool is_accusable(const struct guard *guard, const struct cluster *cluster,
                         const struct member *member)
{
    if (cluster->is_campaign)
        return campaign_covers(guard, cluster, member->user);
    return member->n_machine >= (member->is_relay ? 2 : MACHINE_GAPS);
}

static uint32_t accuse_one(struct guard *guard, struct cluster *cluster, struct member *member,
                           struct guard_word *word)
{
    return is_accusable(guard, cluster, member) &&
           (question_is_open(cluster, member->user) || put_to(guard, cluster, member, true, word));
}

/* Those whose acts make it a tree are asked; this copy's sender first. */
static enum asking accuse(struct guard *guard, struct cluster *cluster, struct member *member,
                          struct guard_word *word)
{
    if (tree_is_beyond_words(guard, cluster))
        return ASK_NOBODY;
    uint32_t n_accused = accuse_one(guard, cluster, member, word);
    LIST_EACH(&cluster->members, struct member, link, other)
    {
        if (n_accused >= guard->config.ask_most)
            break;
        if (other != member)
            n_accused += accuse_one(guard, cluster, other, word);
    }
    if (n_accused == 0)
        return ASK_NOBODY;
    cluster->on_trial = true;
    return question_is_open(cluster, member->user) ? ASK_SENDER : ASK_NOBODY;
}

enum asking questions_first(struct guard *guard, struct cluster *cluster, struct member *member,
                            const struct sending *sending, struct guard_word *word)
{
    if (guard->config.ask_us <= 0 || sending->observed || cluster->established)
        return ASK_NOBODY;
    if (may_convict_tree(guard, cluster, cluster->is_campaign || cluster->n_denied > 0))
        return accuse(guard, cluster, member, word);
    if (may_convict_tree(guard, cluster, true)) // not before somebody has denied it
        return ASK_NO_MORE;
    if (question_confirmed(cluster, member->user) || cluster->n_confirmed > cluster->n_denied)
        return ASK_NO_MORE;
    struct member *star = star_of(guard, cluster, member);
    if (!question_is_open(cluster, star->user) && !question_put(guard, cluster, star, word))
        return ASK_NOBODY;
    if (star != member)
        question_put(guard, cluster, member, word);
    cluster->on_trial = true;
    return question_is_open(cluster, member->user) ? ASK_SENDER : ASK_NOBODY;
}

void question_of_root(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    struct member *root = member_of_root(guard, cluster);
    if (guard->config.ask_us > 0 && root != NULL && root->n_machine >= MACHINE_GAPS)
        question_put(guard, cluster, root, word);
}

/* Looks like a tree that a worm makes. */
static bool is_suspect(const struct guard *guard, const struct cluster *cluster)
{
    if (cluster->cleared || !cluster_is_tree(guard, cluster) ||
        cluster->n_relays < cluster->ask_again)
        return false;
    return cluster_is_everyones(cluster)
               ? cluster->n_relays >= guard->config.ask_relays
               : cluster->n_relays >= 1 && cluster->nats >= guard->config.ask_nats;
}

/* His copy needs his own word. */
static enum verdict wait_for_word(const struct guard *guard, const struct cluster *cluster,
                                  const struct member *member, enum reason *reason)
{
    bool waits = question_is_open(cluster, member->user) && guard->n_holds < HOLDS_MOST;
    *reason = waits ? REASON_ASKED : REASON_UNANSWERED;
    return waits ? VERDICT_HOLD : VERDICT_REJECT;
}

enum verdict questions_of_tree(struct guard *guard, struct cluster *cluster, struct member *member,
                               const struct sending *sending, enum reason *reason,
                               struct guard_word *word)
{
    if (guard->config.ask_us <= 0 || sending->observed)
        return VERDICT_DELIVER;
    bool doubted = is_doubted(guard, cluster);
    bool concerns = member->is_relay || member->user == cluster->root;
    if (doubted || is_suspect(guard, cluster)) {
        if (!cluster->asks_tree)
            ask_people(guard, cluster, word);
        cluster->asks_tree = true;
        if (concerns)
            question_put(guard, cluster, member, word);
    }
    if (!doubted || !concerns || question_confirmed(cluster, member->user))
        return VERDICT_DELIVER;
    // a day's questions are used up: that is no reason to refuse him what most people may send
    if (cluster_is_everyones(cluster) && question_to(cluster, member->user) == NULL &&
        asked_today(guard, member->user) >= guard->config.ask_a_day)
        return VERDICT_DELIVER;
    return wait_for_word(guard, cluster, member, reason);
}

enum verdict questions_of_sender(struct guard *guard, struct cluster *cluster,
                                 struct member *member, const struct sending *sending,
                                 enum reason *reason, struct guard_word *word)
{
    if (guard->config.ask_us <= 0 || sending->observed)
        return VERDICT_DELIVER;
    if (question_confirmed(cluster, member->user) && !is_full(guard, member))
        return VERDICT_DELIVER;
    put_to(guard, cluster, member, true, word);
    return wait_for_word(guard, cluster, member, reason);
}

enum verdict questions_of_trial(struct guard *guard, struct cluster *cluster, struct member *member,
                                const struct sending *sending, enum reason *reason,
                                struct guard_word *word)
{
    const struct user *user = member->user;
    *reason = REASON_CONVICTED;
    if (!cluster->on_trial || guard->config.ask_us <= 0 || sending->observed ||
        restricted_until_us(guard, user) > guard->now_us)
        return VERDICT_REJECT;
    // Who was shown it is a relay: evidence, and no question, for whoever shows it to somebody
    // could have him deny it.
    bool was_shown = member->exposed_us != 0 && question_to(cluster, user) == NULL;
    if (was_shown) {
        if (member->n_machine < MACHINE_GAPS)
            *reason = REASON_UNDECIDED;
        return VERDICT_REJECT;
    }
    // nobody's word is waited for any more but his own
    if (cluster->is_campaign && question_confirmed(cluster, user) && !accused_are_asked(cluster))
        return VERDICT_DELIVER;
    if (!question_is_open(cluster, user))
        put_to(guard, cluster, member, true, word);
    bool waits = questions_wait_us(cluster, user) > guard->now_us && guard->n_holds < HOLDS_MOST;
    *reason = waits ? REASON_ASKED : questions_end_reason(cluster, user);
    return waits ? VERDICT_HOLD : VERDICT_REJECT;
}

/* ---- Ends -------------------------------------------------------------------------------------
 */

/* Whoever was asked need not answer any more. */
static void end(struct guard *guard, struct question *question, enum question_state state,
                struct guard_word *word)
{
    static const enum reason reasons[] = {[QUESTION_YES] = REASON_CLEARED,
                                          [QUESTION_NO] = REASON_DENIED,
                                          [QUESTION_EXPIRED] = REASON_UNANSWERED,
                                          [QUESTION_WITHDRAWN] = REASON_NONE};
    struct cluster *cluster = question->cluster;
    bool waited = is_answerable(question), was_late = question->late_us != 0;
    question_ends(guard, question, state);
    if (!waited)
        return;
    const struct member *member = member_find(guard, cluster, question->who);
    // of a campaign only what waited has returned: what was taken back is given again
    bool nothing_returned = was_late && !cluster->on_trial;
    // his own word lets his go only when the others have said theirs
    bool goes_on_waiting = state == QUESTION_YES && cluster->on_trial && !cluster->is_campaign &&
                           !is_accused(cluster, question->who);
    struct order order = {.kind = ORDER_ASK,
                          .undo = true,
                          .reason = goes_on_waiting ? REASON_UNDECIDED : reasons[state],
                          .question = question->number,
                          .device = question->device,
                          .receivers = nothing_returned ? 0
                                       : member != NULL ? member->n_receivers
                                                        : question->receivers};
    order_add(guard, word, cluster, &order, question->who);
}

void questions_withdraw(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    cluster->on_trial = false;
    LIST_EACH(&cluster->questions, struct question, in_cluster, question)
    if (is_answerable(question)) {
        guard->n_withdrawn += question->state == QUESTION_OPEN;
        end(guard, question, QUESTION_WITHDRAWN, word);
    }
}

void questions_overtaken(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    cluster->on_trial = false;
    LIST_EACH(&cluster->questions, struct question, in_cluster, question)
    if (question->state == QUESTION_OPEN)
        holds_end(guard, cluster, question->who, false, REASON_CONVICTED, word);
    else if (question->late_us != 0 && !cluster->is_campaign) // a yes would undo nothing any more
        end(guard, question, QUESTION_EXPIRED, word);
    holds_end(guard, cluster, NULL, false, REASON_CONVICTED, word);
}

/* The star was its sender's own will: as if nothing had been. */
static void acquit(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    cluster->on_trial = false;
    cluster->state = CLUSTER_OPEN;
    cluster->convicted_us = cluster->by_itself_us = cluster->expires_us = 0;
    cluster->key = (struct lure_key){0};
    stops_undo(guard, cluster, REASON_CLEARED, word);
    LIST_EACH(&cluster->members, struct member, link, member)
    if (member->restricted && restricted_by(guard, member->user) == cluster->id)
        restrict_undo(guard, member->user, REASON_CLEARED, word);
    holds_end(guard, cluster, NULL, true, REASON_CLEARED, word);
}

/* It is known now: the conviction stands, or comes. */
static void decide(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    if (cluster->state == CLUSTER_CONVICTED) {
        if (cluster->on_trial && trial_is_denied(guard, cluster))
            questions_overtaken(guard, cluster, word);
        return;
    }
    if (may_convict(guard, cluster))
        convict(guard, cluster, word);
}

static void add_nats(struct guard *guard, struct cluster *cluster, double nats, double least,
                     double most, struct user *who)
{
    if (!evidence_counts(guard, EVIDENCE_ANSWER))
        return;
    double sum = clamp(least, cluster->answers + nats, most);
    evidence_add(guard, cluster, EVIDENCE_ANSWER, sum - cluster->answers, who);
    cluster->answers = sum;
    cluster_sum(cluster);
}

/* Whatever he has sent of it, and nobody else's. */
static void take_back_his(struct guard *guard, struct cluster *cluster, struct user *user,
                          struct guard_word *word)
{
    int width = conviction_width(cluster);
    LIST_EACH(&cluster->lures, struct cluster, in_campaign, lure)
    if (lure->zero == user)
        take_back_his(guard, lure, user, word);
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    {
        if ((int)binding->width != width)
            continue;
        struct order order = {.kind = ORDER_RETRACT,
                              .reason = REASON_DENIED,
                              .width = binding->width,
                              .key = binding->key,
                              .shown = binding->shown};
        order_add(guard, word, cluster, &order, user);
    }
}

static void he_denies(struct guard *guard, struct cluster *cluster, struct member *member,
                      struct question *question, enum answer_trust trust, struct guard_word *word)
{
    if (question->state == QUESTION_YES && question->trust == ANSWER_OTHER_DEVICE)
        cluster->n_confirmed--; // somebody else had said so
    question->trust = trust;
    end(guard, question, QUESTION_NO, word);
    guard->n_said_no++;
    add_nats(guard, cluster, cluster->n_denied == 0 ? denial_nats : more_denials_nats,
             confirmed_most, denials_most, member->user);
    cluster->n_denied++;
    // who sends like a program is stopped as a star: there is no more of that to fear
    if ((cluster->is_campaign || cluster->fresh || cluster->scarce) &&
        member->n_machine < MACHINE_GAPS) {
        outbreak_denied(guard, member->user);
        if (cluster->fresh && !cluster->is_campaign && cluster->zero == member->user)
            campaign_denied(guard, cluster);
    }
    take_back_his(guard, cluster, member->user, word);
    restrict_member(guard, cluster, member, REASON_DENIED, word);
    holds_end(guard, cluster, member->user, false, REASON_DENIED, word);
    decide(guard, cluster, word);
}

bool accused_are_asked(const struct cluster *cluster)
{
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    if (question->state == QUESTION_OPEN && is_accused(cluster, question->who))
        return true;
    return false;
}

static void return_stopped(struct guard *guard, struct cluster *cluster, const struct stop *stop,
                           enum reason reason, struct guard_word *word)
{
    struct order order = {.kind = ORDER_RETURN,
                          .reason = reason,
                          .width = stop->width,
                          .key = stop->key,
                          .shown = stop->shown};
    order_add(guard, word, cluster, &order, NULL);
}

/* The last of those whom the trial waited for has said his word, or none.  Nobody knows whether the
 * others meant theirs: what was taken back returns to whoever sent it. */
static void silence_returns(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    if (!cluster->on_trial || cluster->state != CLUSTER_CONVICTED || accused_are_asked(cluster))
        return;
    LIST_EACH(&guard->stops, struct stop, link, stop)
    if (stop->incident == cluster->id)
        return_stopped(guard, cluster, stop, REASON_UNDECIDED, word);
}

/* Others' word has convicted the campaign; whether he meant his own links nobody knows. */
static void return_his(struct guard *guard, struct cluster *campaign, const struct user *user,
                       struct guard_word *word)
{
    LIST_EACH(&campaign->lures, struct cluster, in_campaign, lure)
    {
        if (lure->zero != user)
            continue;
        LIST_EACH(&lure->bindings, struct binding, link, binding)
        {
            const struct stop *stop = stop_find_of(guard, campaign, &binding->key);
            if (stop != NULL)
                return_stopped(guard, campaign, stop, REASON_UNANSWERED, word);
        }
    }
}

/* Nobody can answer any more: the conviction stands. */
static void trial_ends_if_over(struct guard *guard, struct cluster *cluster,
                               struct guard_word *word)
{
    LIST_EACH(&cluster->questions, struct question, in_cluster, question)
    if (is_answerable(question))
        return;
    if (cluster->state != CLUSTER_CONVICTED) {
        decide(guard, cluster, word);
        return;
    }
    // silence is no denial: whoever joins a campaign's later may still say that he means his own
    cluster->on_trial = cluster->is_campaign;
    holds_end(guard, cluster, NULL, false, REASON_UNDECIDED, word);
}

/* He has said why he sent so many, so fast; of what is on trial also why he passed it on. */
static void is_explained(struct cluster *cluster, struct member *member, bool was_accused)
{
    if (member->n_machine >= MACHINE_GAPS && cluster->n_machine_senders > 0)
        cluster->n_machine_senders--;
    if (!was_accused || !member->is_relay)
        return;
    member->is_relay = false;
    if (cluster->n_relays > 0)
        cluster->n_relays--;
    if (cluster->is_campaign && member->n_receivers >= 2 && cluster->n_grown > 0)
        cluster->n_grown--;
    if (!cluster->is_campaign && member->n_machine >= 2 && cluster->n_fast_relays > 0)
        cluster->n_fast_relays--;
}

static void he_confirms(struct guard *guard, struct cluster *cluster, struct member *member,
                        struct question *question, enum answer_trust trust, struct guard_word *word)
{
    // a warner means his warning: that does not say that the others meant it
    question->trust = member->quoted && trust == ANSWER_OTHER_DEVICE ? ANSWER_PUZZLE : trust;
    bool was_accused = cluster->on_trial && is_accused(cluster, member->user) &&
                       (cluster->is_campaign || member->n_machine >= 2);
    bool is_sure = question->trust == ANSWER_OTHER_DEVICE;
    bool was_silent = question->late_us != 0;
    end(guard, question, QUESTION_YES, word);
    guard->n_said_yes++;
    cluster->window = MEMBERS_MOST;
    user_was_seen_fanning(member->user); // a lesson: he does send to many
    double own = was_accused ? -member_nats(member) + (is_sure ? own_nats : puzzle_nats) : 0;
    double nats = is_sure ? confirmed_nats : puzzle_nats;
    if (was_accused && member->is_relay)
        own -= member->relay;
    if (own < 0)
        add_nats(guard, cluster, own, cluster->answers < 0 ? cluster->answers + own : own,
                 denials_most, member->user);
    else if (!member->quoted) // where acts are explained there is less already
        add_nats(guard, cluster, nats, fmin(confirmed_most, cluster->answers), denials_most,
                 member->user);
    is_explained(cluster, member, was_accused);
    cluster->n_confirmed += is_sure;
    trail_clear(guard, member->user);
    if (was_accused && !still_stands(guard, cluster))
        acquit(guard, cluster, word);
    if (cluster->is_campaign && cluster->state == CLUSTER_CONVICTED && (is_sure || was_accused) &&
        !cluster->operators)
        campaign_confirmed(guard, cluster, member->user, word);
    if (cluster->state != CLUSTER_CONVICTED || cluster->is_campaign)
        holds_end(guard, cluster, member->user, true, REASON_CLEARED, word);
    if (cluster->state == CLUSTER_CONVICTED) { // for somebody else's acts, whose word decides
        if (was_accused && !was_silent)
            silence_returns(guard, cluster, word);
        if (cluster->on_trial)
            trial_ends_if_over(guard, cluster, word);
        return;
    }
    if (cluster->n_confirmed >= CONFIRMS_ENOUGH + 2 * cluster->n_denied) {
        questions_withdraw(guard, cluster, word);
        cluster->ask_again = cluster->n_relays * ASK_AGAIN_AT;
        holds_end(guard, cluster, NULL, true, REASON_CLEARED, word);
    }
}

/* Somebody may have been asked about his lure and about the campaign that it is of: he has answered
 * both where they are about the same. */
static void confirm_the_same(struct guard *guard, struct cluster *cluster, struct user *user,
                             enum answer_trust trust, struct guard_word *word)
{
    struct cluster *campaign =
        cluster->is_campaign ? cluster : cluster_by_id(guard, cluster->campaign);
    struct cluster *his = NULL;
    uint32_t n_his = 0;
    if (campaign == NULL || (!cluster->is_campaign && cluster->zero != user))
        return;
    LIST_EACH(&campaign->lures, struct cluster, in_campaign, lure)
    if (lure->zero == user) {
        his = lure;
        n_his++;
    }
    struct cluster *other = cluster->is_campaign ? his : campaign;
    struct question *question = n_his == 1 ? question_to(other, user) : NULL;
    struct member *member = question != NULL ? member_find(guard, other, user) : NULL;
    bool is_enough = trust == ANSWER_OTHER_DEVICE || (other != NULL && !is_doubted(guard, other));
    if (member != NULL && is_answerable(question) && is_enough)
        he_confirms(guard, other, member, question, trust, word);
}

void take_answer(struct guard *guard, const struct answer *answer, struct guard_word *word)
{
    struct cluster *cluster = cluster_by_id(guard, answer->incident);
    struct user *sender = user_find(guard, answer->sender);
    struct member *member =
        cluster != NULL && sender != NULL ? member_find(guard, cluster, sender) : NULL;
    struct question *question = member != NULL ? question_to(cluster, sender) : NULL;
    if (question == NULL)
        return; // nobody asked
    word->incident = cluster->id;
    if (answer->meant) {
        // where others have denied it, a puzzle is not enough
        bool doubted = is_doubted(guard, cluster) && (cluster->n_denied > 0 || !cluster->on_trial ||
                                                      !is_accused(cluster, sender));
        bool too_late = question->late_us != 0 && !cluster->on_trial &&
                        answer->trust != ANSWER_OTHER_DEVICE; // it would undo nothing
        if (!is_answerable(question) || too_late || answer->trust == ANSWER_SAME_DEVICE ||
            (answer->trust == ANSWER_PUZZLE && doubted))
            return;
        he_confirms(guard, cluster, member, question, answer->trust, word);
        confirm_the_same(guard, cluster, sender, answer->trust, word);
    } else if (question->state != QUESTION_NO && question->state != QUESTION_WITHDRAWN) {
        he_denies(guard, cluster, member, question, answer->trust, word);
    }
    cluster_touch(guard, cluster);
}

/* Until when a question whose time is over may still be answered: while it can undo something. */
static int64_t late_until_us(const struct guard *guard, const struct question *question)
{
    const struct cluster *cluster = question->cluster;
    bool undoes = (cluster->on_trial && is_accused(cluster, question->who)) ||
                  (cluster->is_campaign && !cluster->operators);
    if (cluster->state != CLUSTER_CONVICTED || !undoes || guard->n_late >= QUESTIONS_MOST)
        return 0;
    int64_t until_us = guard->now_us + guard->config.ask_late_us;
    if (cluster->expires_us != 0 && cluster->expires_us < until_us)
        until_us = cluster->expires_us;
    return until_us > guard->now_us ? until_us : 0;
}

static void may_answer_late(struct guard *guard, struct question *question, int64_t until_us,
                            struct guard_word *word)
{
    question_ends(guard, question, QUESTION_EXPIRED);
    question->late_us = until_us;
    question_queue_late(guard, question);
    const struct binding *narrowest = cluster_narrowest(question->cluster);
    struct order order = {.kind = ORDER_ASK,
                          .reason = REASON_UNANSWERED,
                          .shown = narrowest != NULL ? narrowest->shown : question->cluster->shown,
                          .question = question->number,
                          .device = question->device,
                          .receivers = question->receivers,
                          .expires_us = until_us};
    order_add(guard, word, question->cluster, &order, question->who);
}

void questions_due(struct guard *guard, struct guard_word *word)
{
    struct question *question;
    // the first each time: what is decided withdraws others, perhaps the next
    while ((question = LIST_FIRST(&guard->questions, struct question, link)) != NULL &&
           question->due_us <= guard->now_us) {
        struct cluster *cluster = question->cluster;
        int64_t late_us = late_until_us(guard, question);
        if (late_us != 0)
            may_answer_late(guard, question, late_us, word);
        else
            end(guard, question, QUESTION_EXPIRED, word);
        guard->n_unanswered++;
        holds_end(guard, cluster, question->who, false, REASON_UNANSWERED, word);
        if (is_accused(cluster, question->who))
            silence_returns(guard, cluster, word);
        if (cluster->is_campaign && !cluster->on_trial && !cluster->operators &&
            cluster->state == CLUSTER_CONVICTED)
            return_his(guard, cluster, question->who, word);
        if (cluster->on_trial)
            trial_ends_if_over(guard, cluster, word);
    }
    while ((question = LIST_FIRST(&guard->late, struct question, link)) != NULL &&
           question->late_us <= guard->now_us) {
        struct cluster *cluster = question->cluster;
        end(guard, question, QUESTION_EXPIRED, word);
        if (cluster->on_trial)
            trial_ends_if_over(guard, cluster, word);
    }
}

static void show_questions(const struct guard *guard, const struct list *list,
                           guard_question_fn *fn, void *context)
{
    LIST_EACH((struct list *)list, struct question, link, question)
    {
        const struct cluster *cluster = question->cluster;
        const struct binding *narrowest = cluster_narrowest(cluster);
        struct guard_question out = {
            .number = question->number,
            .incident = cluster->id,
            .who = user_jid(guard, question->who),
            .shown = narrowest != NULL ? narrowest->shown : cluster->shown,
            .asked_us = question->asked_us,
            .due_us = question->due_us,
            .state = question->state,
            .ended_us = question->ended_us,
            .late_us = question->late_us,
            .device = question->device,
            .receivers = question->receivers,
        };
        LIST_EACH((struct list *)&guard->holds, struct hold, link, hold)
        out.n_held += hold->cluster == cluster && hold->sender == question->who;
        fn(context, &out);
    }
}

void guard_questions(const struct guard *guard, guard_question_fn *fn, void *context)
{
    show_questions(guard, &guard->questions, fn, context);
    show_questions(guard, &guard->late, fn, context);
}

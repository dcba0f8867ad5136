/*
 * text …: an operator's rules for what people write (texts.rules).
 */
#include "daemon/daemon.h"

#include "daemon/incident_story.h"
#include "daemon/server.h"
#include "files/text_rules.h"
#include "im/desk.h"

struct trying {
    struct job job;
    struct command_call *call;
    struct text_rules *rules; // counted
    struct str text;
    struct text_hits hits;
};

static struct text_rules *rules_of(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct text_rules *rules =
        daemon->server != NULL ? server_im_settings(daemon->server)->text_rules : NULL;
    if (rules == NULL)
        command_fail(call, ERR_MISSING, "there are no rules for texts: see texts.rules");
    return rules;
}

static const char *does(bool suspects)
{
    return suspects ? "suspect" : "refuse";
}

/* ---- text rules ---- */

static void add_rule(void *context, const struct text_rule *rule)
{
    json_t *rules = context;
    json_array_append_new(rules, json_pack("{s:o, s:s, s:I}", "rule", json_of(rule->name), "does",
                                           does(rule->suspects), "hits", (json_int_t)rule->n_hits));
}

static void run_rules(struct command_call *call)
{
    struct text_rules *rules = rules_of(call);
    if (rules == NULL)
        return;
    json_t *list = json_array();
    text_rules_each(rules, add_rule, list);
    command_done(call, json_pack("{s:o}", "rules", list));
}

/* ---- text test ---- */

static void try_it(struct job *job)
{
    struct trying *trying = CONTAINER_OF(job, struct trying, job);
    text_rules_match(trying->rules, trying->text, false, &trying->hits);
}

static void tried(struct job *job)
{
    struct trying *trying = CONTAINER_OF(job, struct trying, job);
    json_t *hits = json_array();
    for (size_t i = 0; i < trying->hits.n; i++)
        json_array_append_new(hits,
                              json_pack("{s:o, s:s}", "rule", json_of(trying->hits.at[i].rule),
                                        "does", does(trying->hits.at[i].suspects)));
    bool unfinished = trying->hits.unfinished;
    text_rules_unref(&trying->rules);
    command_done(trying->call, json_pack("{s:o, s:b}", "rules", hits, "unfinished", unfinished));
}

static void run_test(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct text_rules *rules = rules_of(call);
    if (rules == NULL)
        return;
    struct trying *trying = arena_make(&call->arena, struct trying);
    *trying = (struct trying){
        .job = {.run = try_it, .done = tried},
        .call = call,
        .rules = text_rules_ref(rules),
        .text = argument_text(call, "text"),
    };
    if (daemon->kitchen != NULL && kitchen_order(daemon->kitchen, &trying->job, daemon->loop) == OK)
        return;
    text_rules_unref(&trying->rules);
    command_fail(call, ERR_BUSY, "too much else is to be done at present");
}

static const struct command rows[] = {
    {
     .name = "text test",
     .doc = "Tells which rules match a text; changes and counts nothing.",
     .role = ROLE_OPERATOR,
     .run = run_test,
     .arguments = {{"text", ARGUMENT_TEXT,
                       ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL | ARGUMENT_REST, NULL,
                       "As somebody would write it."}},
     },
    {
     .name = "text rules",
     .doc = "Lists the rules for what people write, and how often each matched.",
     .role = ROLE_OPERATOR,
     .run = run_rules,
     },
};

void commands_add_texts(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}

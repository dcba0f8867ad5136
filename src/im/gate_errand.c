#include "im/gate_errand.h"

#include "im/gate_internal.h"

static void come_back(struct mail *mail)
{
    struct gate_errand *errand = CONTAINER_OF(mail, struct gate_errand, mail);
    errand->done(errand);
}

static void run(struct mail *mail)
{
    struct gate_errand *errand = CONTAINER_OF(mail, struct gate_errand, mail);
    if (errand->event.kind != 0) {
        struct arena arena;
        struct guard_word word;
        arena_init(&arena, WORD_MOST);
        guard_word_init(&word, &arena);
        gate_take(errand->gate, &errand->event, &word, false);
        errand->incident = word.incident;
        arena_done(&arena);
    }
    if (errand->look != NULL)
        errand->look(errand, errand->gate->guard);
    errand->mail.run = come_back;
    loop_post(errand->home, &errand->mail);
}

void gate_errand_send(struct gate *gate, struct gate_errand *errand, struct loop *home)
{
    errand->gate = gate;
    errand->home = home;
    errand->mail.run = run;
    loop_post(gate->loop, &errand->mail);
}

int64_t gate_clock_us(const struct gate *gate)
{
    return gate_now_us(gate);
}

const struct lure_rules *gate_lure_rules(const struct gate *gate)
{
    return gate->rules;
}

#include "test.h"

#include "drill/ledger.h"

static struct said *say(struct ledger *ledger)
{
    uint32_t number = ledger_say(ledger, SAID_HONEST, 1, 2, STR("hello"), 1000000);
    return &ledger->at[number];
}

static struct said *arrives(struct said *said, int64_t after_us, bool stamped)
{
    said->n_received = 1;
    said->received_us = said->sent_us + after_us;
    said->stamped = stamped;
    return said;
}

TEST(what_became_of_a_message_is_counted_once)
{
    struct ledger ledger;
    struct honest_tally all, of_traps;
    ledger_init(&ledger);
    arrives(say(&ledger), 1000, false);
    arrives(say(&ledger), 400000, true)->is_trap = true;  // held: eight seconds at speed 20
    say(&ledger);                                         // lost
    arrives(say(&ledger), 1000, false)->retracted = true; // lost too
    struct said *warning = arrives(say(&ledger), 1000, false);
    warning->warns = warning->retracted = warning->is_trap = true;
    struct said *returned = say(&ledger);
    returned->rejected = returned->asked = true;
    say(&ledger)->asked = true; // waits for its sender's answer
    struct said *of_infected = say(&ledger);
    of_infected->rejected = of_infected->from_infected = of_infected->asked = true;
    struct said *sent_back = arrives(say(&ledger), 1000, false); // taken back, and then returned
    sent_back->retracted = sent_back->rejected = true;
    ledger_say(&ledger, SAID_LURE, 1, 2, STR_EMPTY, 0);

    ledger_tally(&ledger, 20, false, &all);
    check(all.n_sent == 9 && all.n_received == 5);
    check(all.n_lost == 2 && all.n_taken_back == 1 && all.n_withdrawn == 1);
    check(all.n_rejected == 3 && all.n_rejected_infected == 1 && all.n_returned == 2);
    check(all.n_held == 1 && all.longest_s == 8 && all.longest_unasked_s == 8);
    check(all.n_for_answer == 3);
    check(all.machine_s == 0.001); // what was held waited for the guard
    check(ledger_n_open(&ledger) == 1);

    ledger_tally(&ledger, 20, true, &of_traps);
    check(of_traps.n_sent == 2 && of_traps.n_lost == 0 && of_traps.n_withdrawn == 1);
    ledger_done(&ledger);
}

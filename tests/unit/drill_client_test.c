#include "test.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/random.h"
#include "drill/client/login.h"
#include "drill/client/loop.h"

#include <stdio.h>
#include <unistd.h>

/* Timers */

struct note {
    struct timer timer;
    int *next, order; // order: when it fired
};

static void take_note(struct timer *timer)
{
    struct note *note = CONTAINER_OF(timer, struct note, timer);
    note->order = ++*note->next;
}

TEST(timers_fire_in_the_order_of_their_times_and_then_of_their_setting)
{
    enum { N = 200 };
    struct loop *loop = loop_new();
    static struct note notes[N];
    struct prng prng = {4};
    int next = 0;
    for (int i = 0; i < N; i++) {
        notes[i] = (struct note){.timer.fire = take_note, .next = &next};
        loop_timer(loop, &notes[i].timer, (int64_t)prng_below(&prng, 20));
    }
    for (int i = 0; i < N; i += 3)
        loop_timer_stop(loop, &notes[i].timer);
    loop_run(loop, clock_now_us() + 1000);
    check(loop_lag_us(loop) >= clock_now_us() - SECOND_US); // they were due when time began
    check(loop_lag_us(loop) == 0);
    for (int i = 0; i < N; i++) {
        check((notes[i].order == 0) == (i % 3 == 0));
        for (int k = 0; k < i; k++) {
            if (i % 3 != 0 && k % 3 != 0)
                check((notes[k].timer.due_us <= notes[i].timer.due_us) ==
                      (notes[k].order < notes[i].order));
        }
    }
    loop_free(&loop);
}

struct errand {
    struct chore chore;
    struct loop *loop;
    int n;
};

static void run_errand(struct chore *chore)
{
    struct errand *errand = CONTAINER_OF(chore, struct errand, chore);
    if (++errand->n == 3)
        loop_stop(errand->loop);
    else
        loop_chore(errand->loop, chore);
}

TEST(a_chore_asked_for_twice_runs_once)
{
    struct loop *loop = loop_new();
    struct errand errand = {.chore.run = run_errand, .loop = loop};
    loop_chore(loop, &errand.chore);
    loop_chore(loop, &errand.chore);
    loop_run(loop, INT64_MAX);
    check(errand.n == 3);
    loop_free(&loop);
}

struct peer {
    struct watch watch, *other;
    struct loop *loop;
    int n;
};

static void close_the_other(struct watch *watch, bool readable, bool writable)
{
    struct peer *peer = CONTAINER_OF(watch, struct peer, watch);
    check(readable && !writable);
    peer->n++;
    loop_watch(peer->loop, peer->other, false, false);
    loop_stop(peer->loop);
}

TEST(a_watch_that_was_removed_is_not_called_in_the_same_turn)
{
    struct loop *loop = loop_new();
    struct peer peers[2];
    int pipes[2][2];
    for (int i = 0; i < 2; i++) {
        check(pipe(pipes[i]) == 0 && write(pipes[i][1], "x", 1) == 1);
        peers[i] = (struct peer){
            .watch = {.fd = pipes[i][0], .ready = close_the_other},
            .other = &peers[1 - i].watch,
            .loop = loop
        };
        loop_watch(loop, &peers[i].watch, true, false);
    }
    loop_run(loop, INT64_MAX);
    check(peers[0].n + peers[1].n == 1);
    for (int i = 0; i < 2; i++) {
        loop_watch(loop, &peers[i].watch, false, false);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    loop_free(&loop);
}

/* SCRAM, with the examples of RFC 5802 §5 and RFC 7677 §3 */

static struct str as_base64(struct str text)
{
    return base64_encode(test_arena(), text);
}

static void check_example(enum mechanism mechanism, const char *nonce, struct str server_first,
                          struct str client_final, struct str server_final)
{
    struct login login;
    struct buf out;
    struct derived_keys *keys = derived_keys_new();
    buf_init(&out, 4096);
    check(login_begin(&login, mechanism, STR("user"), STR("pencil"), &out) == OK);
    // the example's nonce is shorter than ours: put it in the place of ours
    memcpy(login.nonce, nonce, strlen(nonce) + 1);
    snprintf(login.first_bare, sizeof login.first_bare, "n=user,r=%s", nonce);
    buf_clear(&out);
    check(login_answer(&login, keys, as_base64(server_first), &out) == OK);
    check_str(buf_str(&out), as_base64(client_final));
    check(login_verify(&login, as_base64(server_final)));
    check(!login_verify(&login, as_base64(STR("v=AAAA"))));
    check(!login_verify(&login, STR_EMPTY));
    buf_done(&out);
    derived_keys_free(&keys);
}

TEST(scram_answers_as_the_rfcs_show)
{
    check_example(MECHANISM_SCRAM_SHA_1, "fyko+d2lbbFgONRv9qkxdawL",
                  STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
                  STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                      "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
                  STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    check_example(MECHANISM_SCRAM_SHA_256, "rOprNGfwEbeRWgbNEkqO",
                  STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                      "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
                  STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
                  STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST(a_challenge_with_another_nonce_is_refused)
{
    struct login login;
    struct buf out;
    struct derived_keys *keys = derived_keys_new();
    buf_init(&out, 4096);
    check(login_begin(&login, MECHANISM_SCRAM_SHA_1, STR("user"), STR("pencil"), &out) == OK);
    check(login_answer(&login, keys, as_base64(STR("r=evil,s=QSXCR+Q6sek8bf92,i=4096")), &out) ==
          ERR_MALFORMED);
    check(login_answer(&login, keys, STR("!"), &out) == ERR_MALFORMED);
    buf_done(&out);
    derived_keys_free(&keys);
}

TEST(plain_is_user_and_password_between_zeros)
{
    struct login login;
    struct buf out;
    buf_init(&out, 4096);
    check(login_begin(&login, MECHANISM_PLAIN, STR("user"), STR("pencil"), &out) == OK);
    check_str(buf_str(&out), as_base64(str_make("\0user\0pencil", 12)));
    check(login_verify(&login, STR_EMPTY));
    buf_done(&out);
}

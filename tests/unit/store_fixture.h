/*
 * A store in a directory of its own, for tests that wait for each operation.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "store/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    char directory[64];
    char path[96];
    struct store *store;
};

static inline void fixture_open(struct fixture *f, const char *faults)
{
    struct why why = {{0}};
    enum err e = store_open(&(struct store_options){.path = f->path, .test_faults = faults},
                            &f->store, &why);
    if (e != OK)
        fprintf(stderr, "%s\n", why.text);
    must(e == OK);
}

static inline void fixture_make(struct fixture *f)
{
    *f = (struct fixture){.directory = "/tmp/store-test-XXXXXX"};
    must(mkdtemp(f->directory) != NULL);
    snprintf(f->path, sizeof f->path, "%s/test.sqlite", f->directory);
}

static inline struct fixture fixture_new(void)
{
    struct fixture f;
    fixture_make(&f);
    fixture_open(&f, NULL);
    return f;
}

static inline void fixture_done(struct fixture *f)
{
    store_close(&f->store);
    DIR *directory = opendir(f->directory);
    must(directory != NULL);
    for (struct dirent *e; (e = readdir(directory)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(directory), e->d_name, 0);
    closedir(directory);
    rmdir(f->directory);
}

static inline void op_done(void *op) // every operation begins with its request
{
    store_release(op);
}

/* Declares an operation, carries it out and keeps what it came to in <var>_e. */
#define DO(store, var, name, ...)                                                                  \
    struct store_##name var CLEANUP(op_done) = {__VA_ARGS__};                                      \
    store_##name((store), &var);                                                                   \
    enum err var##_e UNUSED = store_wait(&var.request)

static inline int64_t make_account(struct store *store, const char *local)
{
    DO(store, a, account_create, .local = str_of(local), .domain = STR("example.org"),
       .wall_us = 1000);
    must(a_e == OK && a.account > 0);
    return a.account;
}

static inline int64_t put_message(struct store *store, int64_t account, const char *peer,
                                  const char *stanza, uint8_t flags)
{
    DO(store, a, append, .account = account, .peer = str_of(peer), .resource = STR("r"),
       .message_id = STR("m1"), .origin_id = STR("o1"), .stanza = str_of(stanza), .flags = flags,
       .type = 3);
    must(a_e == OK && a.id > 0);
    return a.id;
}

#endif

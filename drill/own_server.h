/*
 * A Firedoor of the drill's own: made in a temporary directory, with a
 * certificate, people and their rosters, run on loopback, asked what it did,
 * and removed.
 *
 * This file alone knows the server's configuration and firedoorctl's answers.
 */
#ifndef DRILL_OWN_SERVER_H
#define DRILL_OWN_SERVER_H

#include "drill/result.h"

struct own_server_plan {
    const char *programs; // directory of firedoord and firedoorctl
    struct str domain;
    const struct graph *graph;
    const struct account *accounts;
    bool guard;            // on or off
    double speed;          // of the guard's clock
    uint64_t seed;         // of the guard
    const char *keep;      // directory to keep its files in; NULL: they are removed
    char *const *settings; // further key=value pairs, ended by NULL; NULL: none
};

struct own_server;

/* Answers connections when it returns. */
enum err own_server_start(struct own_server **out, const struct own_server_plan *plan,
                          struct why *why) MUST_CHECK;
struct endpoint own_server_endpoint(const struct own_server *server);
/* For plan.entitle, with a struct own_server as context: firedoorctl lets somebody send links of a
 * host to many. */
void own_server_entitle(void *server, uint32_t who, const char *host);
/* Whether it could, as often as it was asked. */
enum err own_server_has_entitled(const struct own_server *server, struct why *why) MUST_CHECK;
/* Reads the server's record of a run and fills result->record. */
enum err own_server_record(struct own_server *server, struct result *result,
                           struct why *why) MUST_CHECK;
/* Stops it by its process id and removes its directory.  Accepts NULL. */
void own_server_stop(struct own_server **server);

#endif

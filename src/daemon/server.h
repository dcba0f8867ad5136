/*
 * The server: everything that serves people, put together from the rooms below.
 *
 * Started in three steps, because the process changes between them: open the
 * doors and read the keys while still privileged; open the store as its own
 * user; start the threads once confined.  Everything here is called on the main
 * loop's thread.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "daemon/config.h"
#include "net/loop.h"

struct inspector;
struct text_rules;
struct server;
struct service;

/* Binds the addresses (or takes inherited sockets), makes the workers, reads certificates.  config
 * is referenced. */
enum err server_prepare(const struct config *config, struct loop *loop, struct server **out,
                        struct why *why) MUST_CHECK;
/* Of a configuration; *out NULL: it has none.  ERR_MALFORMED, with file and line. */
enum err server_read_text_rules(const struct config *config, struct text_rules **out,
                                struct why *why) MUST_CHECK;

/* Opens the store and whatever else needs the state directory.  inspector: for what people upload,
 * where they may; outlives the server. */
enum err server_open(struct server *server, struct inspector *inspector,
                     struct why *why) MUST_CHECK;
/* Starts the threads; from now on clients are served. */
enum err server_start(struct server *server, struct why *why) MUST_CHECK;

/* Uses another configuration from now on (one that config_can_follow).  Certificates are read
 * anew.  All or nothing: on failure the old one stays. */
enum err server_reload(struct server *server, const struct config *config,
                       struct why *why) MUST_CHECK;

/* Who administrates beside those that the configuration names (bare JIDs; copied). */
void server_set_administrators(struct server *server, const struct config_list *named);

/* Takes no more connections, tells the clients, lets the commits finish.  NULL is fine. */
void server_stop(struct server **server);

const struct config *server_config(const struct server *server);
struct service *server_service(struct server *server);
struct im_settings;
const struct im_settings *server_im_settings(const struct server *server);

#endif

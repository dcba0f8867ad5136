/*
 * From the configuration for people to the settings of the im room.
 */
#ifndef DAEMON_SERVER_SETTINGS_H
#define DAEMON_SERVER_SETTINGS_H

#include "daemon/config.h"
#include "guard/guard.h"
#include "guard/seal.h"
#include "im/settings.h"
#include "net/tls.h"

/* One reference for the caller.  named: administrators beside those of the configuration.  seals:
 * none where protected links cannot be opened. */
struct im_settings *server_settings(const struct config *config, const struct config_list *named,
                                    const struct seal_keys *seals);

/* The section tls, as net wants it; its text is the configuration's. */
struct tls_policy server_tls_policy(const struct config *config);

/* The section guard, as the guard wants it. */
void server_guard_config(const struct config *config, struct guard_config *out);

/* How people reach this server over HTTPS under the domain's name, without a slash at the end;
 * empty: they do not. */
struct str server_http_url(struct arena *arena, const struct config *config, struct str domain);
struct upload_settings;
void server_upload_settings(const struct config *config, struct upload_settings *out);

#endif

/*
 * From the configuration for people to the settings of the im room.
 */
#ifndef DAEMON_SERVER_SETTINGS_H
#define DAEMON_SERVER_SETTINGS_H

#include "daemon/config.h"
#include "im/settings.h"

/* One reference for the caller. */
struct im_settings *server_settings(const struct config *config);

#endif

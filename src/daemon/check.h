/*
 * Checks of a configuration that need more than its text: the users of this
 * machine, certificates, catalogues, what other rooms can read.
 *
 * Like config_load they add a line for each trouble, with its place; a line
 * that says "warning" refuses nothing.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "base/buf.h"
#include "daemon/config.h"
#include "files/inspector.h"
#include "im/notices.h"

/* What makes no sense here whoever starts it.  Reads files of users and groups: before the fences
 * stand.  ERR_MALFORMED. */
enum err check_config(const struct config *config, struct buf *troubles) MUST_CHECK;
/* The part of it that a reload may change; notices: those in use. */
enum err check_live(const struct config *config, const struct notices *notices,
                    struct buf *troubles) MUST_CHECK;
/* For --check alone, since a start finds the same when it takes them into use: certificates with
 * their keys and names, rules for files.  options: of the inspector, where there is to be one. */
enum err check_files(const struct config *config, const struct inspector_options *options,
                     struct buf *troubles) MUST_CHECK;

#endif

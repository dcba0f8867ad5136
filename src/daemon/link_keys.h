/*
 * The keys that seal protected links: a small file of the state directory.
 *
 * Whoever has it can make links that this server leads on from, and read those
 * that it made; so it belongs to the server's user alone, and a key of its own
 * has a successor when it is old.
 */
#ifndef DAEMON_LINK_KEYS_H
#define DAEMON_LINK_KEYS_H

#include "guard/seal.h"

/* Reads the keys at path, makes the first one or a successor where one is due, and writes the file
 * then.  keys: those of before, or n == 0; untouched on failure.  A file that cannot be read is an
 * error: new keys would make every link ever sent a forged one. */
enum err link_keys_renew(struct str path, int64_t renew_us, struct seal_keys *keys,
                         struct why *why) MUST_CHECK;

#endif

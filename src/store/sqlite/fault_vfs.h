/*
 * Faults on purpose: a layer between SQLite and the disk, for tests.
 *
 * Used only when store_options.test_faults is set.  The specification is a
 * comma-separated list; counting begins when the store has been opened, and
 * covers the database and its log:
 *
 *     write@N[+M]        the Nth write, and M more, fail with an I/O error
 *     sync@N[+M]         the same for fsync
 *     full@N[+M]         the Nth write, and M more, find the disk full
 *     full?PATH          writes find the disk full while the file PATH exists
 *     random@SEED/ODDS   each write and sync fails with the chance 1 in ODDS
 *     volatile           a write reaches the disk only at the next sync: a
 *                        process killed then has lost what a power cut would
 */
#ifndef STORE_SQLITE_FAULT_VFS_H
#define STORE_SQLITE_FAULT_VFS_H

#include "base/err.h"

#define FAULT_VFS_NAME "firedoor-faults"

struct fault_vfs;

/* Registers the layer with SQLite; one at a time in a process.  ERR_MALFORMED for a specification
 * it cannot read. */
enum err fault_vfs_new(const char *spec, struct fault_vfs **out, struct why *why) MUST_CHECK;
void fault_vfs_free(struct fault_vfs **vfs);
/* From here on writes and syncs are counted and fail. */
void fault_vfs_arm(struct fault_vfs *vfs);

#endif

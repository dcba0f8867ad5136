/*
 * MinHash: what texts have in common, in eight bytes.
 *
 * All runs of three letters are hashed in four ways, and the least of each way is a lane of sixteen
 * bits: two texts share a lane as likely as they share runs.  Private to the guard.
 */
#ifndef GUARD_MINHASH_H
#define GUARD_MINHASH_H

#include <stddef.h>
#include <stdint.h>

enum { MINHASH_RUN = 3 };

/* Of n letters, code points; at least a run of them.  Never 0.  Snapshots and logs of events hold
 * it: it must not change. */
uint64_t minhash(const uint32_t *letters, size_t n);

#endif

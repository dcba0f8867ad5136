/*
 * Bases: older snapshots of the guard, from which the past can be judged again.
 *
 * The log of events is cut where the older of two bases was taken, not at the
 * last snapshot, so that whatever happened of late can be taken once more by
 * another guard, under other settings, that begins as this one was then.
 * A base is renewed, in the place of the older one, when the newer one is
 * settings.replay_us old, or settings.replay_events events ago.
 */
#ifndef IM_GATE_BASE_H
#define IM_GATE_BASE_H

#include "store/store.h"

enum { GATE_BASES = 2 };

/* Their numbers and times; a record of kind STORE_SNAPSHOT under this key. */
static const struct str gate_bases_key = {"guard-bases", 11};

struct gate_base {
    int64_t number; // of the last event that it holds; -1: there is none
    int64_t at_us;  // the guard's time
};

/* The key of a base's snapshot. */
struct str gate_base_key(size_t i);
/* Reads the record: GATE_BASES of them. */
enum err gate_bases_read(struct str value, struct gate_base *out) MUST_CHECK;

struct gate;

/* Before the thread runs: reads them; where there are none, takes the first. */
void gate_bases_open(struct gate *gate);
/* On the guard's thread, with a snapshot that has been kept: makes a base of it if it is time,
 * which goes on by itself. */
void gate_base_if_due(struct gate *gate, struct str state, int64_t number);
/* The same at the end, when the store answers nobody else: waits for it. */
void gate_last_base_if_due(struct gate *gate, struct str state, int64_t number);
/* Up to which event the log may be cut when the snapshot of this one is kept. */
int64_t gate_bases_oldest(const struct gate *gate, int64_t snapshot);

#endif

/*
 * What a process with many sockets asks of the system, once at its start.
 */
#ifndef NET_PROCESS_H
#define NET_PROCESS_H

#include "base/err.h"

#include <stdint.h>

/* A write to a closed socket is an error, not a signal. */
void process_ignore_sigpipe(void);
/* Raises the soft limit of descriptors to the hard one, and the hard one to wanted where that is
 * allowed; returns what holds now. */
uint64_t process_raise_descriptors(uint64_t wanted);
/* Bounds malloc's arenas to about the threads there are and keeps it from giving memory back and
 * asking again at every burst.  Before threads are started. */
void process_tune_malloc(unsigned n_workers);
/* Gives the system back what malloc holds in whole free pages; from any thread, a few milliseconds
 * in which other threads may wait for memory. */
void process_trim_malloc(void);

#endif

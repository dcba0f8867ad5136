/*
 * Confinement: what the running process can reach, whatever it is made to do.
 *
 * Two fences, both set before the first byte from the network is read and
 * before other threads are started, which inherit them:
 *
 * - files: Landlock, asked at run time for what the kernel knows.  The state
 *   directory may be written; configuration, certificates and catalogues may be
 *   read, for reloads; nothing else.
 * - system calls: an allow-list.  No program is ever executed, no process made,
 *   no memory made executable.  Anything else fails with EPERM.
 */
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include "base/err.h"
#include "base/str.h"
#include "daemon/config.h"

/* config_file: NULL when there is none.  ERR_UNSUPPORTED, with a sentence for the log, where the
 * kernel has no Landlock: the process then runs without that fence. */
enum err confine_files(const struct config *config, const char *config_file,
                       struct why *why) MUST_CHECK;

/* ERR_UNSUPPORTED where the kernel has no filters. */
enum err confine_calls(struct why *why) MUST_CHECK;

/* The process that inspects uploaded files (files/inspector.h).  one_file false: it reaches no file
 * any more, and makes processes only; true: each of these reads, computes and answers, nothing
 * else.  ERR_UNSUPPORTED as above, but for a kernel without Landlock, which is let pass. */
enum err confine_inspector(bool one_file, struct why *why) MUST_CHECK;

/* What confined code finds when it tries to break out: errno of each attempt, 0 where it
 * succeeded.  For the test that proves the fences. */
struct confine_probe {
    int open_secret; // reading /etc/shadow
    int open_public; // reading /etc/passwd, which everybody may
    int open_write;  // making a file in /tmp
    int execute;     // executing /bin/true
    int make_process;
    int map_executable;
    int regain; // becoming root
};
void confine_probe(struct confine_probe *out);

#endif

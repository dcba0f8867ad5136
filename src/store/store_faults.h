/*
 * What store_options.test_faults may be, for who checks a configuration.
 */
#ifndef STORE_STORE_FAULTS_H
#define STORE_STORE_FAULTS_H

#include "base/err.h"

/* ERR_MALFORMED: why says what is allowed. */
enum err store_check_faults(const char *spec, struct why *why) MUST_CHECK;

#endif

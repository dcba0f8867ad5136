/*
 * Preparation of text that must compare equal, other than JIDs (xmpp/jid.h).
 */
#ifndef XMPP_PREPARE_H
#define XMPP_PREPARE_H

#include "base/arena.h"

enum { PASSWORD_MOST = 1023 }; // bytes, prepared

/* A password as SCRAM's clients normalize it: SASLprep (RFC 5802 section 2.2), and where that
 * refuses (characters newer than Unicode 3.2), OpaqueString (RFC 8265).  ERR_MALFORMED when both
 * refuse it or it is empty, ERR_LIMIT beyond PASSWORD_MOST.  The text lives in arena, whose owner
 * wipes it. */
enum err prepare_password(struct arena *arena, struct str text, struct str *out) MUST_CHECK;

/* Reads the tables of ICU once, before the process confines itself. */
void prepare_start(void);

#endif

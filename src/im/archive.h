/*
 * The archive of a person's messages, and what he wants in it.
 * Spec: XEP-0313 1.1 with XEP-0059.
 */
#ifndef IM_ARCHIVE_H
#define IM_ARCHIVE_H

#include "im/feature.h"

/* Whether this account wants messages exchanged with peer archived (section 8: always and never
 * lists first, then the default). */
bool archive_wants(const struct account *account, const struct jid *peer);

/* The id of the message by which the server takes back the message of this row: its tombstone names
 * it, so that a client knows them for one (XEP-0424 section 5). */
enum { RETRACTION_ID_SIZE = 32 };
void archive_retraction_id(int64_t row, char out[RETRACTION_ID_SIZE]);

extern const struct feature feature_archive;

#endif

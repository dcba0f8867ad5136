/*
 * When people were last here (XEP-0012, operators' lists): worth keeping, not
 * worth a commit for each login.  Noted in memory, written together some
 * seconds later and at a stop; a crash forgets the last of it.
 */
#ifndef IM_ACTIVITY_H
#define IM_ACTIVITY_H

#include "im/desk.h"
#include "route/account.h"

/* The account logged in now. */
void activity_login(struct account *account);
/* Its last available session said goodbye with these words. */
void activity_left(struct account *account, struct str status);
/* Writes what is noted; on the worker's thread. */
void activity_flush(struct desk *desk);

#endif

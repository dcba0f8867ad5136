/*
 * The page that opens protected links (im/links.h): https://HOST/open/TOKEN.
 *
 * The token says where it leads (guard/seal.h), the guard says whether: on at
 * once, after a warning and a click, or not at all.  Nothing is read from the
 * store.  A go-on that skips the warning cannot be made by anybody else: its
 * permit is ours, for this link, and for ten minutes.
 */
#ifndef DAEMON_OPEN_PAGE_H
#define DAEMON_OPEN_PAGE_H

#include "http/http.h"

void open_page_add(struct http *http);

struct im_settings;
/* The language of whoever comes to this host and does not say his own: the domain's of that name,
 * or that of the first. */
struct str open_page_lang(const struct im_settings *settings, struct str host);

#endif

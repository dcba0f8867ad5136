/*
 * Where people put files so that others can fetch them (XEP-0363): slots by
 * request here, the bytes over HTTP (http/upload.h); what is kept: files/uploads.h.
 */
#ifndef IM_UPLOAD_H
#define IM_UPLOAD_H

#include "guard/lure.h"
#include "im/feature.h"

/* The path below which both URLs of a slot lie, and all uploads. */
#define UPLOAD_PATH "/upload/"

/* Adds what the service of this domain says of itself, where there is one. */
void upload_describe(struct arena *arena, struct element *query, const struct im_domain *domain);

/* A link to an upload of ours is a lure by what it leads to: adds the file, with its digest and
 * what was found in it, beside each such link.  On a desk's worker. */
void upload_add_files(const struct desk *desk, struct lure_list *list);

/* An upload as the file that it is, by its name, size and digest; the digest's text lives in arena,
 * the rest is borrowed. */
struct upload;
struct lure_file upload_lure_file(struct arena *arena, const struct upload *upload);
/* Adds it with what was found in it. */
void upload_add_file(struct lure_list *list, const struct upload *upload);

extern const struct feature feature_upload;

#endif

/*
 * An incident as people and programs read it: one object, and pictures of it.
 *
 * The object is complete; the pictures (text, DOT, SVG) are drawn from it, so
 * that whoever may not see something in the one does not see it in the others.
 */
#ifndef DAEMON_INCIDENT_STORY_H
#define DAEMON_INCIDENT_STORY_H

#include "base/buf.h"
#include "guard/guard.h"

#include <jansson.h>

/* Whether somebody of this domain has to do with it; an empty domain stands for all. */
bool incident_concerns(const struct incident *incident, struct str domain);

/* One line about it. */
json_t *incident_summary(const struct incident *incident);

/* All of it.  domain: people of other domains are named "other-1", "other-2"…, the same person the
 * same in all places, and what somebody outside the domain wrote is left out; empty: everybody is
 * named. */
json_t *incident_story(const struct incident *incident, struct str domain);

/* Pictures of a story. */
void incident_draw_text(struct buf *out, const json_t *story);
void incident_draw_dot(struct buf *out, const json_t *story);
void incident_draw_svg(struct buf *out, const json_t *story); // needs nothing from elsewhere

#endif

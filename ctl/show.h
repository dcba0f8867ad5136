/*
 * Answers as people read them: tables for lists, aligned lines for the rest.
 */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Control characters in what the server says are shown, not obeyed. */
void show_result(FILE *out, const json_t *result);
/* A text of several lines that the server wrote for people; the same with control characters. */
void show_text(FILE *out, const char *text);
/* One line of progress, in place when out is a terminal.  shown_us: when the last one was shown, 0
 * at first. */
void show_progress(FILE *out, const json_t *progress, int64_t *shown_us);
/* Ends the line of progress. */
void show_progress_end(FILE *out);

#endif

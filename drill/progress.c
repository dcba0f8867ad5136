/*
 * Redrawn in place; a bar shows the share of people infected.
 */
#include "drill/progress.h"

#include <stdio.h>

enum { BAR = 24 };

void progress_look(void *context, const struct glance *glance)
{
    const struct progress *progress = context;
    if (!progress->is_live)
        return;
    char bar[3 * BAR + 1];
    size_t at = 0;
    for (uint32_t i = 0; i < BAR; i++) {
        // any infection is seen: rounded up
        bool full = i * glance->n_people < glance->n_infected * BAR;
        at += (size_t)snprintf(bar + at, sizeof bar - at, "%s", full ? "█" : "·");
    }
    bool before = glance->at_s < 0;
    double s = before ? -glance->at_s : glance->at_s;
    fprintf(stderr,
            "\r\033[K%s  %s%02d:%02d  %s %u of %u infected  %u exposed  %u copies  "
            "%u honest, %u under way",
            progress->title, before ? "-" : "", (int)(s / 60), (int)s % 60, bar, glance->n_infected,
            glance->n_people, glance->n_exposed, glance->n_copies, glance->n_honest,
            glance->n_honest - glance->n_honest_received - glance->n_honest_rejected);
    fflush(stderr);
}

void progress_end(const struct progress *progress)
{
    if (progress->is_live)
        fputs("\r\033[K", stderr);
}

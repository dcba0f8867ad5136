/*
 * Pictures are drawn by hand: a step line for each run, a tree laid out in
 * rings around patient zero, and bars for delays.  Colours are variables of
 * the page, so that it reads well by day and by night.
 */
#include "drill/report.h"

#include "base/must.h"
#include "town/roster.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    WIDTH = 720,
    HEIGHT = 300,
    LEFT = 56,
    RIGHT = 16,
    TOP = 16,
    BOTTOM = 40,
    PAGE_MOST = 64 << 20
};

static const char style[] =
    ":root{--ground:#fff;--ink:#1c2733;--faint:#8793a0;--rule:#dfe5ea;--c0:#c8432b;--c1:#1f6fb2;"
    "--c2:#5b8c2a;--zero:#1c2733}"
    "@media(prefers-color-scheme:dark){:root{--ground:#141a20;--ink:#e4eaf0;--faint:#8793a0;"
    "--rule:#2c363f;--c0:#ff7a5c;--c1:#5eb0f0;--c2:#a2d06a;--zero:#fff}}"
    "body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif;"
    "max-width:760px;margin:40px auto;padding:0 20px}"
    "h1{font-size:28px;line-height:1.25;margin:0 0 8px}h2{font-size:19px;margin:40px 0 4px}"
    "p{margin:4px 0 12px}p.note{color:var(--faint);font-size:14px}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "td,th{padding:4px 8px;border-bottom:1px solid var(--rule);text-align:right;font-weight:400}"
    "th{color:var(--faint);font-size:14px}td:first-child,th:first-child{text-align:left;"
    "white-space:pre}svg{width:100%;height:auto;display:block}"
    "svg text{font:12px system-ui,sans-serif;fill:var(--faint)}.rule{stroke:var(--rule)}"
    ".s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}"
    ".f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.zero{fill:var(--zero)}"
    ".line{fill:none;stroke-width:1;opacity:.45}.line.first{stroke-width:2.5;opacity:1}"
    ".twig{stroke:var(--faint);stroke-width:.7;opacity:.6}svg text.key{font-size:13px}"
    "svg text.f0{fill:var(--c0)}svg text.f1{fill:var(--c1)}svg text.f2{fill:var(--c2)}";

/* A round number of steps of 1, 2 or 5 times a power of ten that reaches top in about n steps. */
static double step_of(double top, int n)
{
    double raw = top / n, power = pow(10, floor(log10(raw))), share = raw / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

static double x_of(double share)
{
    return LEFT + share * (WIDTH - LEFT - RIGHT);
}

static double y_of(double share)
{
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
}

static void rules_across(struct buf *out, double top, double step)
{
    int n = (int)(top / step + 1e-6);
    for (int i = 0; i <= n; i++) {
        double at = i * step, y = y_of(at / top);
        buf_printf(out, "<line class='rule' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>", LEFT,
                   WIDTH - RIGHT, y, y);
        buf_printf(out, "<text x='%d' y='%.1f' text-anchor='end'>%g</text>", LEFT - 8, y + 4, at);
    }
}

static double watched_s(const struct report *report)
{
    double most = 1;
    for (size_t i = 0; i < report->n_sides; i++) {
        for (size_t k = 0; k < report->sides[i].n; k++) {
            double s = report->sides[i].results[k].outcome.watched_s;
            most = s > most ? s : most;
        }
    }
    return most;
}

/* The step line of one run. */
static void line(struct buf *out, const struct outcome *outcome, size_t side, bool is_first,
                 double span_s, double top)
{
    buf_printf(out, "<path class='line s%zu%s' d='M%.1f %.1f", side, is_first ? " first" : "",
               x_of(0), y_of(0));
    for (uint32_t i = 0; i < outcome->n_infected; i++) {
        double share = outcome->infected[i].at_s / span_s;
        buf_printf(out, "H%.1fV%.1f", x_of(share > 1 ? 1 : share), y_of((i + 1) / top));
    }
    buf_printf(out, "H%.1f'/>", x_of(1));
}

static void infected_over_time(const struct report *report, struct buf *out)
{
    double span_s = watched_s(report), minutes = span_s / 60, top = 0;
    for (size_t i = 0; i < report->n_sides; i++) {
        for (size_t k = 0; k < report->sides[i].n; k++) {
            uint32_t n = report->sides[i].results[k].outcome.n_infected;
            top = n > top ? n : top;
        }
    }
    double step = step_of(top < 4 ? 4 : top, 4), x_step = step_of(minutes, 6);
    top = ceil((top < 4 ? 4 : top) / step) * step;
    rules_across(out, top, step);
    int n_marks = (int)(minutes / x_step + 1e-6);
    for (int i = 0; i <= n_marks; i++)
        buf_printf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%g</text>",
                   x_of(i * x_step / minutes), HEIGHT - BOTTOM + 18, i * x_step);
    buf_printf(out,
               "<text x='%d' y='%d' text-anchor='end'>minutes since the first infection</text>",
               WIDTH - RIGHT, HEIGHT - 4);
    for (size_t i = 0; i < report->n_sides; i++) {
        // the first run last: it lies on top
        for (size_t k = report->sides[i].n; k > 0; k--)
            line(out, &report->sides[i].results[k - 1].outcome, i, k == 1, span_s, top);
        buf_printf(out, "<text class='key f%zu' x='%d' y='%d'>%s</text>", i, LEFT + 10,
                   TOP + 16 + 18 * (int)i, report->sides[i].name);
    }
}

/* The outbreak tree in rings: each gets a sector as wide as the tree below him has leaves. */

struct twig {
    uint32_t parent; // index into the same array
    uint32_t n_leaves, n_placed, depth;
    double angle; // where its sector begins, in leaves
};

static uint32_t index_of(const struct outcome *outcome, uint32_t person)
{
    for (uint32_t i = 0; i < outcome->n_infected; i++) {
        if (outcome->infected[i].person == person)
            return i;
    }
    return NOBODY;
}

static struct twig *grow(const struct outcome *outcome, uint32_t *deepest)
{
    uint32_t n = outcome->n_infected;
    struct twig *twigs = calloc(n + 1, sizeof *twigs);
    must(twigs != NULL);
    *deepest = 0;
    for (uint32_t i = 0; i < n; i++) {
        // whoever infects is infected before: parents come first
        uint32_t by = outcome->infected[i].by;
        twigs[i].parent = by == NOBODY ? NOBODY : index_of(outcome, by);
        if (twigs[i].parent != NOBODY)
            twigs[i].depth = twigs[twigs[i].parent].depth + 1;
        *deepest = twigs[i].depth > *deepest ? twigs[i].depth : *deepest;
    }
    for (uint32_t i = n; i > 0; i--) {
        struct twig *twig = &twigs[i - 1];
        if (twig->n_leaves == 0)
            twig->n_leaves = 1;
        if (twig->parent != NOBODY)
            twigs[twig->parent].n_leaves += twig->n_leaves;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (twigs[i].parent == NOBODY)
            continue;
        struct twig *parent = &twigs[twigs[i].parent];
        twigs[i].angle = parent->angle + parent->n_placed;
        parent->n_placed += twigs[i].n_leaves;
    }
    return twigs;
}

static void tree(const struct outcome *outcome, size_t side, struct buf *out)
{
    enum { SIZE = 640 };
    uint32_t deepest;
    struct twig *twigs = grow(outcome, &deepest);
    double ring = deepest == 0 ? 0 : (SIZE / 2.0 - 12) / deepest;
    uint32_t n = outcome->n_infected;
    double *x = calloc(n + 1, sizeof *x), *y = calloc(n + 1, sizeof *y);
    must(x != NULL && y != NULL);
    for (uint32_t i = 0; i < n; i++) {
        double turn = 2 * M_PI * (twigs[i].angle + twigs[i].n_leaves / 2.0) / twigs[0].n_leaves;
        x[i] = SIZE / 2.0 + ring * twigs[i].depth * cos(turn);
        y[i] = SIZE / 2.0 + ring * twigs[i].depth * sin(turn);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (twigs[i].parent != NOBODY)
            buf_printf(out, "<line class='twig' x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f'/>",
                       x[twigs[i].parent], y[twigs[i].parent], x[i], y[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        char name[32], class[32];
        town_name(outcome->infected[i].person, name);
        snprintf(class, sizeof class, i == 0 ? "zero" : "f%zu", side);
        buf_printf(out,
                   "<circle class='%s' cx='%.1f' cy='%.1f' r='%d'><title>%s, %.0f s</title>"
                   "</circle>",
                   class, x[i], y[i], i == 0 ? 8 : 4, name, outcome->infected[i].at_s);
    }
    free(twigs);
    free(x);
    free(y);
}

static void delays(const struct report *report, struct buf *out)
{
    enum { ROWS = COUNT_OF(((struct honest_tally *)NULL)->delays) };
    double shares[8][ROWS] = {0}, top = 0;
    must(report->n_sides <= 8);
    unsigned last = 0;
    for (size_t i = 0; i < report->n_sides; i++) {
        double n = 0;
        for (size_t k = 0; k < report->sides[i].n; k++) {
            const struct honest_tally *honest = &report->sides[i].results[k].outcome.honest;
            n += honest->n_received;
            for (unsigned row = 0; row < ROWS; row++)
                shares[i][row] += honest->delays[row];
        }
        for (unsigned row = 0; row < ROWS && n > 0; row++) {
            // the root lets the few slow ones be seen beside the many fast ones
            if (shares[i][row] > 0 && row > last)
                last = row;
            shares[i][row] = sqrt(shares[i][row] / n);
            top = shares[i][row] > top ? shares[i][row] : top;
        }
    }
    last = last < 24 ? 24 : last; // four seconds are always shown
    double slot = (double)(WIDTH - LEFT - RIGHT) / (last + 1),
           width = slot * 0.8 / (double)report->n_sides;
    for (unsigned row = 0; row <= last; row += 2) {
        double s = ledger_delay_row_s(row);
        char text[16];
        snprintf(text, sizeof text, s < 1 ? "%.0f ms" : "%.0f s", s < 1 ? s * 1000 : s);
        if (row % 4 == 0)
            buf_printf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%s</text>",
                       LEFT + row * slot, HEIGHT - BOTTOM + 18, text);
    }
    buf_printf(out, "<line class='rule' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>", LEFT, WIDTH - RIGHT,
               y_of(0), y_of(0));
    double held_x = LEFT + 2 * log2(2 / 1e-3) * slot;
    buf_printf(out, "<line class='rule' x1='%.1f' x2='%.1f' y1='%d' y2='%.1f'/>", held_x, held_x,
               TOP, y_of(0));
    buf_printf(out, "<text x='%.1f' y='%d'>two seconds</text>", held_x + 4, TOP + 10);
    for (size_t i = 0; i < report->n_sides; i++) {
        for (unsigned row = 0; row <= last; row++) {
            if (shares[i][row] == 0)
                continue;
            double y = y_of(shares[i][row] / top);
            buf_printf(out,
                       "<rect class='f%zu' x='%.1f' y='%.1f' width='%.1f' height='%.1f'>"
                       "<title>%.3g %%</title></rect>",
                       i, LEFT + row * slot + (double)i * width, y, width, y_of(0) - y,
                       100 * shares[i][row] * shares[i][row]);
        }
        buf_printf(out, "<text class='key f%zu' x='%d' y='%d'>%s</text>", i, WIDTH / 2,
                   TOP + 16 + 18 * (int)i, report->sides[i].name);
    }
}

static void table(const struct report *report, struct buf *out)
{
    buf_add(out, STR("<table><tr><th></th>"));
    for (size_t i = 0; i < report->n_sides; i++)
        buf_printf(out, "<th>%s</th>", report->sides[i].name);
    buf_add(out, STR("</tr>"));
    for (enum figure figure = 0; figure < N_FIGURES; figure++) {
        buf_printf(out, "<tr><td>%s</td>", figure_label(figure));
        for (size_t i = 0; i < report->n_sides; i++) {
            char text[32];
            figure_text(figure, side_figure(&report->sides[i], figure), report->sides[i].n, text);
            buf_printf(out, "<td>%s</td>", text);
        }
        buf_add(out, STR("</tr>\n"));
    }
    buf_add(out, STR("</table>"));
}

static void headline(const struct report *report, struct buf *out)
{
    buf_add(out, STR("<h1>"));
    for (size_t i = 0; i < report->n_sides; i++) {
        char text[32];
        const struct side *side = &report->sides[i];
        figure_text(FIGURE_INFECTED, side_figure(side, FIGURE_INFECTED), side->n, text);
        buf_printf(out, "%s%c%s: %s of %u infected.", i > 0 ? " " : "",
                   side->name[0] >= 'a' && side->name[0] <= 'z' ? side->name[0] - 32
                                                                : side->name[0],
                   side->name + 1, text, report->n_people);
    }
    buf_add(out, STR("</h1>"));
}

static void svg_start(struct buf *out, int width, int height, const char *more)
{
    buf_printf(out, "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d'%s>", width, height,
               more);
}

void report_write(const struct report *report, struct buf *out)
{
    size_t n_runs = report->n_sides > 0 ? report->sides[0].n : 0;
    buf_printf(out,
               "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>"
               "<meta name='viewport' content='width=device-width'><title>A worm drill</title>"
               "<style>%s</style></head><body>\n",
               style);
    headline(report, out);
    buf_printf(out,
               "<p>Worm %s (%s): %s. %u people with real clients on real sockets; a person opens "
               "what a friend seems to send with probability %g, half of those who do within 21 "
               "seconds. %.0f minutes after the first infection the drill ended; %zu run%s.</p>\n",
               report->worm->name, report->worm->title, report->worm->tells, report->n_people,
               report->chance, report->minutes, n_runs, n_runs == 1 ? "" : "s");
    buf_add(out, STR("<h2>Infected over time</h2>"));
    svg_start(out, WIDTH, HEIGHT, " role='img' aria-label='Infected over time'");
    infected_over_time(report, out);
    buf_add(out, STR("</svg>\n"));
    for (size_t i = 0; i < report->n_sides; i++) {
        const struct outcome *outcome = &report->sides[i].results[0].outcome;
        if (outcome->n_infected == 0)
            continue;
        buf_printf(out, "<h2>Outbreak tree, %s</h2>", report->sides[i].name);
        if (outcome->n_infected == 1) {
            buf_add(out, STR("<p>Patient zero infected nobody.</p>"));
            continue;
        }
        buf_add(out, STR("<p class='note'>Patient zero is in the middle; each ring is one step "
                         "further. First run.</p>"));
        svg_start(out, 640, 640, " role='img' aria-label='Outbreak tree'");
        tree(outcome, i, out);
        buf_add(out, STR("</svg>\n"));
    }
    buf_add(out, STR("<h2>How long honest messages took</h2><p class='note'>Height is the root of "
                     "the share of messages, so that a few slow ones are seen beside many fast "
                     "ones.</p>"));
    svg_start(out, WIDTH, HEIGHT, " role='img' aria-label='Delays of honest messages'");
    delays(report, out);
    buf_add(out, STR("</svg>\n<h2>Figures</h2>"));
    table(report, out);
    buf_add(out, STR("</body></html>\n"));
}

void report_write_picture(const struct report *report, struct buf *out)
{
    svg_start(out, WIDTH, HEIGHT, "");
    buf_printf(out, "<style>%s</style><rect width='%d' height='%d' style='fill:var(--ground)'/>",
               style, WIDTH, HEIGHT);
    infected_over_time(report, out);
    buf_add(out, STR("</svg>\n"));
}

static enum err save(const char *directory, const char *name, const struct buf *text,
                     struct why *why)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    bool good = fwrite(text->at, 1, text->len, file) == text->len;
    good &= fclose(file) == 0;
    return good ? OK : why_say(why, ERR_IO, "%s: cannot be written", path);
}

enum err report_save(const struct report *report, const char *directory, struct why *why)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return why_say(why, ERR_IO, "%s: %s", directory, strerror(errno));
    struct buf page, picture;
    buf_init(&page, PAGE_MOST);
    buf_init(&picture, PAGE_MOST);
    report_write(report, &page);
    report_write_picture(report, &picture);
    enum err e = page.overflowed || picture.overflowed
                     ? why_say(why, ERR_LIMIT, "the report would be too long")
                     : save(directory, "index.html", &page, why);
    if (e == OK)
        e = save(directory, "infected.svg", &picture, why);
    buf_done(&page);
    buf_done(&picture);
    return e;
}

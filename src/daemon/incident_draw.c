/*
 * The outbreak tree as text, DOT and SVG.
 *
 * Each person is a row below who showed him the lure: in the text indented, in
 * the SVG joined by a line.  Names come from outside: whatever could end a
 * string, a tag or a line in the picture's own language is written as that
 * language wants it.
 */
#include "daemon/incident_story.h"

#include "base/must.h"
#include "base/table.h"

#include <stdlib.h>

/* ---- The tree's rows ---- */

struct row {
    const json_t *node;
    size_t parent, first_child, next_sibling; // rows of `rows`, or none
    size_t depth, line;                       // as it is drawn
    bool is_drawn;
};

struct outbreak {
    struct row *rows; // as the guard gave them
    size_t *lines;    // indices of rows, from top to bottom
    size_t n;
};

static const size_t none = SIZE_MAX;

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool is_in(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static long long number_in(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static double real_in(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

// Without recursion: an outbreak may be as deep as it has people.
static void draw_below(struct outbreak *outbreak, size_t top, size_t *n)
{
    size_t at = top, depth = 0;
    while (at != none) {
        struct row *row = &outbreak->rows[at];
        if (!row->is_drawn) {
            row->is_drawn = true;
            row->depth = depth;
            row->line = *n;
            outbreak->lines[(*n)++] = at;
            if (row->first_child != none) {
                at = row->first_child;
                depth++;
                continue;
            }
        }
        while (at != top && outbreak->rows[at].next_sibling == none) {
            at = outbreak->rows[at].parent;
            depth--;
        }
        at = at == top ? none : outbreak->rows[at].next_sibling;
    }
}

static void outbreak_init(struct outbreak *outbreak, const json_t *story)
{
    const json_t *tree = json_object_get(story, "tree");
    size_t n = json_array_size(tree), n_lines = 0;
    outbreak->n = n;
    outbreak->rows = calloc(n + 1, sizeof *outbreak->rows);
    outbreak->lines = calloc(n + 1, sizeof *outbreak->lines);
    must(outbreak->rows != NULL && outbreak->lines != NULL);
    struct table by_name;
    table_init(&by_name, n);
    for (size_t i = 0; i < n; i++) {
        outbreak->rows[i] = (struct row){.node = json_array_get(tree, i),
                                         .parent = none,
                                         .first_child = none,
                                         .next_sibling = none};
        (void)!table_put(&by_name, str_of(text_in(outbreak->rows[i].node, "who")),
                         &outbreak->rows[i]);
    }
    for (size_t i = n; i-- > 0;) { // from the end, so that the earliest child comes first
        const struct row *from =
            table_get(&by_name, str_of(text_in(outbreak->rows[i].node, "from")));
        size_t parent = from != NULL ? (size_t)(from - outbreak->rows) : none;
        if (parent == none || parent == i)
            continue;
        outbreak->rows[i].parent = parent;
        outbreak->rows[i].next_sibling = outbreak->rows[parent].first_child;
        outbreak->rows[parent].first_child = i;
    }
    table_done(&by_name);
    for (size_t i = 0; i < n; i++)
        if (outbreak->rows[i].parent == none)
            draw_below(outbreak, i, &n_lines);
    // two that showed it to each other have no root above them
    for (size_t i = 0; i < n; i++)
        if (!outbreak->rows[i].is_drawn) {
            outbreak->rows[i].parent = none;
            draw_below(outbreak, i, &n_lines);
        }
    must(n_lines == n);
}

static void outbreak_done(struct outbreak *outbreak)
{
    free(outbreak->rows);
    free(outbreak->lines);
}

/* ---- Words ---- */

// "from 12:00:01 to 12:00:02" reads better than two dates.
static struct str clock_in(const json_t *object, const char *name)
{
    struct str time = str_of(text_in(object, name));
    size_t t = str_find_char(time, 'T');
    return t < time.len ? str_skip(time, t + 1) : time;
}

static void describe(struct buf *out, const json_t *node)
{
    struct str exposed = clock_in(node, "exposed"), sent = clock_in(node, "sent");
    bool is_zero = text_in(node, "from")[0] == '\0' && sent.len > 0;
    if (is_zero)
        buf_add(out, STR("came with it"));
    else if (exposed.len > 0)
        buf_printf(out, "met it %.*s", STR_ARGS(exposed));
    if (sent.len > 0)
        buf_printf(out, "%s%s %.*s to %lld", is_zero || exposed.len > 0 ? ", " : "",
                   is_in(node, "warned") ? "warned with it" : "sent it", STR_ARGS(sent),
                   number_in(node, "receivers"));
    if (is_in(node, "relay"))
        buf_add(out, STR(", relay"));
    if (is_in(node, "restricted"))
        buf_add(out, STR(", restricted"));
}

/* ---- Text ---- */

static void heading(struct buf *out, const char *words)
{
    buf_printf(out, "\n%s\n", words);
}

static void line(struct buf *out, const char *name, const char *value)
{
    if (value[0] != '\0')
        buf_printf(out, "%-22s %s\n", name, value);
}

static void text_of_figures(struct buf *out, const json_t *story)
{
    buf_printf(out, "incident %lld: %s\n", number_in(story, "id"), text_in(story, "state"));
    line(out, "lure", text_in(story, "lure"));
    buf_printf(out, "%-22s %s, %s\n", "kind and width", text_in(story, "kind"),
               text_in(story, "width"));
    buf_printf(out, "%-22s %.1f nats\n", "evidence", real_in(story, "nats"));
    line(out, "first seen", text_in(story, "first"));
    line(out, "convicted", text_in(story, "convicted"));
    line(out, "ended", text_in(story, "ended"));
    line(out, "expires", text_in(story, "expires"));
    line(out, "by", text_in(story, "actor"));
    line(out, "why", text_in(story, "why"));
    static const char *const counts[] = {"lures",  "sendings", "receivers", "exposed",
                                         "relays", "rejected", "held",      "reports"};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        buf_printf(out, "%-22s %lld\n", counts[i], number_in(story, counts[i]));
}

static void text_of_tree(struct buf *out, const json_t *story)
{
    struct outbreak outbreak;
    outbreak_init(&outbreak, story);
    heading(out, "outbreak");
    for (size_t i = 0; i < outbreak.n; i++) {
        const struct row *row = &outbreak.rows[outbreak.lines[i]];
        buf_printf(out, "  %*s%s: ", (int)(2 * row->depth), "", text_in(row->node, "who"));
        describe(out, row->node);
        buf_add_char(out, '\n');
    }
    outbreak_done(&outbreak);
}

static void text_of_timeline(struct buf *out, const json_t *story)
{
    size_t i;
    const json_t *moment;
    heading(out, "timeline");
    json_array_foreach(json_object_get(story, "timeline"), i, moment)
    {
        const char *who = text_in(moment, "who"), *more = text_in(moment, "more");
        bool is_relay = strcmp(text_in(moment, "what"), "relay") == 0;
        buf_printf(out, "  %s  %s%s%s%s%s\n", text_in(moment, "time"), text_in(moment, "what"),
                   who[0] != '\0' ? " " : "", who,
                   more[0] == '\0' ? ""
                   : is_relay      ? ", had it from "
                                   : ": ",
                   more);
    }
}

static void text_of_evidence(struct buf *out, const json_t *story)
{
    size_t i;
    const json_t *evidence, *sum = json_object_get(story, "sum");
    heading(out, "evidence (nats)");
    json_array_foreach(json_object_get(story, "evidence"), i, evidence)
    {
        buf_printf(out, "  %s  %+6.2f  %-8s %s\n", text_in(evidence, "time"),
                   real_in(evidence, "nats"), text_in(evidence, "kind"), text_in(evidence, "who"));
    }
    buf_add(out, STR("  sum:"));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)sum, name, value)
    {
        double nats = json_number_value(value);
        if (nats >= 0.005 || nats <= -0.005)
            buf_printf(out, " %s %+.2f", name, nats);
    }
    buf_printf(out, " = %.2f\n", real_in(story, "nats"));
}

static void what_came_of_it(struct buf *out, const json_t *order)
{
    const char *kind = text_in(order, "order");
    long long done = number_in(order, "done"), count = number_in(order, "count");
    if (strcmp(kind, "stop") == 0 && !is_in(order, "undo"))
        buf_printf(out, ": %lld copies refused", done);
    else if (strcmp(kind, "retract") == 0 && is_in(order, "undo"))
        buf_printf(out, ": %lld copies given again", done);
    else if (strcmp(kind, "retract") == 0)
        buf_printf(out, ": %lld copies taken back, %lld of them before they were delivered", done,
                   number_in(order, "waiting"));
    else if (strcmp(kind, "deliver held") == 0 || strcmp(kind, "reject held") == 0)
        buf_printf(out, ": %lld of %lld messages", done, count);
}

static void text_of_files(struct buf *out, const json_t *story)
{
    size_t i;
    const json_t *file, *files = json_object_get(story, "files");
    if (json_array_size(files) == 0)
        return;
    heading(out, "files");
    json_array_foreach(files, i, file)
    {
        buf_printf(out, "  %s  %s (%s, %lld bytes), put here by %s", text_in(file, "upload"),
                   text_in(file, "name"), text_in(file, "type"), number_in(file, "size"),
                   text_in(file, "account"));
        if (text_in(file, "marks")[0] != '\0')
            buf_printf(out, ": %s", text_in(file, "marks"));
        if (text_in(file, "finding")[0] != '\0')
            buf_printf(out, "; in it: %s", text_in(file, "finding"));
        buf_add_char(out, '\n');
    }
}

static void text_of_orders(struct buf *out, const json_t *story)
{
    size_t i;
    const json_t *order, *effects = json_object_get(story, "effects");
    heading(out, "orders");
    json_array_foreach(json_object_get(story, "orders"), i, order)
    {
        buf_printf(out, "  %s  %s%s", text_in(order, "time"), is_in(order, "undo") ? "undo " : "",
                   text_in(order, "order"));
        static const char *const parts[] = {"audience", "who", "lure"};
        for (size_t p = 0; p < COUNT_OF(parts); p++)
            if (text_in(order, parts[p])[0] != '\0')
                buf_printf(out, " %s", text_in(order, parts[p]));
        buf_printf(out, " (%s)", text_in(order, "reason"));
        what_came_of_it(out, order);
        buf_add_char(out, '\n');
    }
    buf_printf(out,
               "  in all: %lld copies refused, %lld taken back (%lld had not been delivered), "
               "%lld given again, %lld returned to their senders; of held messages %lld delivered, "
               "%lld returned\n",
               number_in(effects, "refused"), number_in(effects, "taken_back"),
               number_in(effects, "withdrawn_waiting"), number_in(effects, "given_again"),
               number_in(effects, "copies_returned"), number_in(effects, "held_delivered"),
               number_in(effects, "held_returned"));
}

static void text_of_questions(struct buf *out, const json_t *story)
{
    static const struct {
        const char *name, *words;
    } devices[] = {
        {"other",  ", on another device"              },
        {"puzzle", ", by a puzzle"                    },
        {"same",   ", on the device that it came from"}
    };
    size_t i;
    const json_t *question, *questions = json_object_get(story, "questions");
    if (json_array_size(questions) == 0)
        return;
    heading(out, "questions");
    json_array_foreach(questions, i, question)
    {
        buf_printf(out, "  %s  %s (%lld receivers): %s", text_in(question, "asked"),
                   text_in(question, "who"), number_in(question, "receivers"),
                   text_in(question, "answer"));
        for (size_t d = 0; d < COUNT_OF(devices); d++)
            if (strcmp(text_in(question, "device"), devices[d].name) == 0)
                buf_add(out, str_of(devices[d].words));
        buf_add_char(out, '\n');
    }
}

void incident_draw_text(struct buf *out, const json_t *story)
{
    text_of_figures(out, story);
    text_of_files(out, story);
    text_of_tree(out, story);
    text_of_timeline(out, story);
    text_of_evidence(out, story);
    text_of_questions(out, story);
    text_of_orders(out, story);
}

/* ---- DOT ---- */

// Between double quotes; control characters have no place in a picture.
static void dot_text(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\')
            buf_add_char(out, '\\');
        buf_add_char(out, (unsigned char)text.at[i] < ' ' ? ' ' : text.at[i]);
    }
}

static const char *colour_of(const json_t *node)
{
    if (is_in(node, "relay"))
        return "#c62828";
    if (is_in(node, "warned"))
        return "#1565c0";
    return text_in(node, "sent")[0] != '\0' ? "#ef6c00" : "#9e9e9e";
}

void incident_draw_dot(struct buf *out, const json_t *story)
{
    struct outbreak outbreak;
    struct buf words;
    buf_init(&words, 65536);
    outbreak_init(&outbreak, story);
    buf_printf(out,
               "digraph incident_%lld {\n  rankdir=LR;\n  node [shape=box, fontsize=10];\n"
               "  label=\"",
               number_in(story, "id"));
    dot_text(out, str_of(text_in(story, "lure")));
    buf_add(out, STR("\";\n"));
    for (size_t i = 0; i < outbreak.n; i++) {
        const struct row *row = &outbreak.rows[outbreak.lines[i]];
        buf_clear(&words);
        describe(&words, row->node);
        buf_printf(out, "  n%zu [label=\"", outbreak.lines[i]);
        dot_text(out, str_of(text_in(row->node, "who")));
        buf_add(out, STR("\\n"));
        dot_text(out, buf_str(&words));
        buf_printf(out, "\", color=\"%s\"%s];\n", colour_of(row->node),
                   is_in(row->node, "restricted") ? ", style=bold, peripheries=2" : "");
    }
    for (size_t i = 0; i < outbreak.n; i++) {
        const struct row *row = &outbreak.rows[outbreak.lines[i]];
        if (row->parent == none)
            continue;
        buf_printf(out, "  n%zu -> n%zu [label=\"", row->parent, outbreak.lines[i]);
        dot_text(out, clock_in(row->node, "exposed"));
        buf_add(out, STR("\", fontsize=8];\n"));
    }
    buf_add(out, STR("}\n"));
    outbreak_done(&outbreak);
    buf_done(&words);
}

/* ---- SVG ---- */

static void svg_text(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c == '<')
            buf_add(out, STR("&lt;"));
        else if (c == '>')
            buf_add(out, STR("&gt;"));
        else if (c == '&')
            buf_add(out, STR("&amp;"));
        else
            buf_add_char(out, c < ' ' ? ' ' : text.at[i]);
    }
}

enum { ROW_HIGH = 22, STEP_WIDE = 26, MARGIN = 20, HEAD_HIGH = 76 };

static size_t x_of(const struct row *row)
{
    return MARGIN + row->depth * STEP_WIDE;
}

static size_t y_of(const struct row *row)
{
    return HEAD_HIGH + row->line * ROW_HIGH;
}

static void svg_head(struct buf *out, const json_t *story, const struct outbreak *outbreak)
{
    size_t depth = 0;
    for (size_t i = 0; i < outbreak->n; i++)
        depth = outbreak->rows[i].depth > depth ? outbreak->rows[i].depth : depth;
    size_t width = 2 * MARGIN + depth * STEP_WIDE + 860,
           height = HEAD_HIGH + outbreak->n * ROW_HIGH + MARGIN;
    buf_printf(out,
               "<?xml version='1.0' encoding='UTF-8'?>\n"
               "<svg xmlns='http://www.w3.org/2000/svg' width='%zu' height='%zu' "
               "viewBox='0 0 %zu %zu' font-family='sans-serif' font-size='12'>\n"
               "<rect width='100%%' height='100%%' fill='#ffffff'/>\n"
               "<text x='%d' y='24' font-size='16'>incident %lld, %s: ",
               width, height, width, height, MARGIN, number_in(story, "id"),
               text_in(story, "state"));
    svg_text(out, str_of(text_in(story, "lure")));
    buf_add(out, STR("</text>\n"));
    static const struct {
        const char *colour, *words;
    } legend[] = {
        {"#ef6c00", "sent it"       },
        {"#c62828", "relay"         },
        {"#1565c0", "warned with it"},
        {"#9e9e9e", "only shown it" },
    };
    for (size_t i = 0; i < COUNT_OF(legend); i++)
        buf_printf(out,
                   "<circle cx='%zu' cy='44' r='5' fill='%s'/><text x='%zu' y='48'>%s</text>\n",
                   MARGIN + 5 + i * 130, legend[i].colour, MARGIN + 16 + i * 130, legend[i].words);
    buf_printf(out,
               "<circle cx='%zu' cy='44' r='5' fill='none' stroke='#000000'/>"
               "<text x='%zu' y='48'>restricted</text>\n",
               MARGIN + 5 + COUNT_OF(legend) * 130, MARGIN + 16 + COUNT_OF(legend) * 130);
}

void incident_draw_svg(struct buf *out, const json_t *story)
{
    struct outbreak outbreak;
    struct buf words;
    buf_init(&words, 65536);
    outbreak_init(&outbreak, story);
    svg_head(out, story, &outbreak);
    for (size_t i = 0; i < outbreak.n; i++) {
        const struct row *row = &outbreak.rows[outbreak.lines[i]];
        if (row->parent == none)
            continue;
        const struct row *parent = &outbreak.rows[row->parent];
        buf_printf(out, "<path d='M%zu %zu V%zu H%zu' fill='none' stroke='#bdbdbd'/>\n",
                   x_of(parent), y_of(parent), y_of(row), x_of(row));
    }
    for (size_t i = 0; i < outbreak.n; i++) {
        const struct row *row = &outbreak.rows[outbreak.lines[i]];
        buf_printf(out, "<circle cx='%zu' cy='%zu' r='5' fill='%s'%s/>\n", x_of(row), y_of(row),
                   colour_of(row->node),
                   is_in(row->node, "restricted") ? " stroke='#000000' stroke-width='2'" : "");
        buf_printf(out, "<text x='%zu' y='%zu'>", x_of(row) + 10, y_of(row) + 4);
        buf_clear(&words);
        describe(&words, row->node);
        svg_text(out, str_of(text_in(row->node, "who")));
        buf_add(out, STR("<tspan fill='#616161'>  "));
        svg_text(out, buf_str(&words));
        buf_add(out, STR("</tspan></text>\n"));
    }
    buf_add(out, STR("</svg>\n"));
    outbreak_done(&outbreak);
    buf_done(&words);
}

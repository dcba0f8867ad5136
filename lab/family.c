#include "lab/family.h"

#include "base/must.h"
#include "town/names.h"
#include "town/numbers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static double draw_between(const struct gene *gene, struct prng *prng)
{
    double u = prng_unit(prng);
    if (gene->least > 0)
        return gene->least * pow(gene->most / gene->least, u);
    return gene->least + (gene->most - gene->least) * u;
}

static void draw_gene(const struct gene *gene, struct prng *prng, char out[32])
{
    if (gene->n_values > 0) {
        struct str value = gene->values[prng_below(prng, gene->n_values)];
        must(str_to_z(value, out, 32) == OK);
        return;
    }
    snprintf(out, 32, "%.4g", draw_between(gene, prng));
}

/* Sets what the values say; they were tried when the family was read. */
static void express(const struct family *family, struct member_worm *worm)
{
    worm->profile = *family->base;
    for (size_t i = 0; i < family->n_genes; i++)
        must(worm_set(&worm->profile.habits, family->genes[i].key, str_of(worm->values[i]), NULL) ==
             OK);
}

void family_draw(const struct family *family, struct prng *prng, struct member_worm *out)
{
    *out = (struct member_worm){0};
    for (size_t i = 0; i < family->n_genes; i++)
        draw_gene(&family->genes[i], prng, out->values[i]);
    express(family, out);
}

void family_mutate(const struct family *family, struct prng *prng, const struct member_worm *parent,
                   struct member_worm *out)
{
    struct member_worm child = *parent;
    for (uint64_t n = 1 + prng_below(prng, 2); n > 0 && family->n_genes > 0; n--) {
        size_t at = prng_below(prng, family->n_genes);
        const struct gene *gene = &family->genes[at];
        if (gene->n_values > 0 || prng_below(prng, 4) == 0) {
            draw_gene(gene, prng, child.values[at]);
            continue;
        }
        double near = strtod(child.values[at], NULL) * exp(0.5 * prng_normal(prng));
        near = near < gene->least ? gene->least : near > gene->most ? gene->most : near;
        snprintf(child.values[at], sizeof child.values[at], "%.4g", near);
    }
    *out = child;
    express(family, out);
}

void family_cross(const struct family *family, struct prng *prng, const struct member_worm *mother,
                  const struct member_worm *father, struct member_worm *out)
{
    struct member_worm child = *mother;
    for (size_t i = 0; i < family->n_genes; i++)
        if (prng_below(prng, 2) == 0)
            memcpy(child.values[i], father->values[i], sizeof child.values[i]);
    *out = child;
    express(family, out);
}

static enum err read_range(struct gene *gene, struct str value, struct why *why)
{
    size_t at = str_find(value, STR(".."));
    enum err e = number_read(str_first(value, at), 0, 1e9, &gene->least, why);
    if (e == OK)
        e = number_read(str_skip(value, at + 2), gene->least, 1e9, &gene->most, why);
    return e;
}

static enum err read_gene(struct family *family, struct str key, struct str rest, struct why *why)
{
    struct worm_habits scratch = family->base->habits;
    if (family->n_genes == GENES_MOST)
        return why_say(why, ERR_LIMIT, "more than %d habits vary", GENES_MOST);
    struct gene *gene = &family->genes[family->n_genes];
    *gene = (struct gene){.key = arena_str(&family->arena, key)};
    for (struct str value; (value = column_cut(&rest)).len > 0;) {
        if (gene->n_values == VALUES_MOST || value.len >= 32)
            return why_say(why, ERR_LIMIT, "too many values, or too long ones");
        if (str_find(value, STR("..")) < value.len) {
            if (gene->n_values > 0 || column_cut(&rest).len > 0)
                return why_say(why, ERR_MALFORMED, "a range stands alone");
            enum err e = read_range(gene, value, why);
            if (e != OK)
                return e;
            family->n_genes++;
            return worm_set(&scratch, gene->key, STR("1"), why);
        }
        enum err e = worm_set(&scratch, gene->key, value, why);
        if (e != OK)
            return e;
        gene->values[gene->n_values++] = arena_str(&family->arena, value);
    }
    if (gene->n_values == 0)
        return why_say(why, ERR_MALFORMED, "%.*s has no value", STR_ARGS(key));
    family->n_genes++;
    return OK;
}

static enum err read_line(struct family *family, struct str line, struct why *why)
{
    struct str key = column_cut(&line);
    if (key.len == 0 || key.at[0] == '#')
        return OK;
    if (!str_eq(key, STR("base")))
        return read_gene(family, key, line, why);
    struct str name = column_cut(&line);
    family->base = worm_find(name);
    return family->base != NULL ? OK
                                : why_say(why, ERR_MALFORMED, "%.*s: no such worm", STR_ARGS(name));
}

enum err family_read(struct family *family, const char *path, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    *family = (struct family){.base = worm_profiles};
    arena_init(&family->arena, 1 << 20);
    char *line = NULL;
    size_t room = 0;
    unsigned n_line = 0;
    enum err e = OK;
    struct why reason = {0};
    for (ssize_t len; e == OK && (len = getline(&line, &room, file)) > 0;) {
        n_line++;
        e = read_line(family, str_make(line, (size_t)len), &reason);
    }
    free(line);
    fclose(file);
    if (e != OK) {
        family_done(family);
        return why_say(why, e, "%s:%u: %s", path, n_line, reason.text);
    }
    return OK;
}

void family_done(struct family *family)
{
    arena_done(&family->arena);
    *family = (struct family){0};
}

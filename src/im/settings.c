#include "im/settings.h"

#include "base/must.h"
#include "files/text_rules.h"

#include <stdlib.h>

enum { SETTINGS_MOST = 16 << 20 };

struct im_settings *im_settings_new(void)
{
    struct im_settings *settings = calloc(1, sizeof *settings);
    must(settings != NULL);
    atomic_init(&settings->refs, 1);
    arena_init(&settings->arena, SETTINGS_MOST);
    settings->clock_rate = 1;
    return settings;
}

struct im_settings *im_settings_ref(struct im_settings *settings)
{
    atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);
    return settings;
}

void im_settings_unref(struct im_settings **settings)
{
    struct im_settings *s = TAKE(*settings);
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    text_rules_unref(&s->text_rules);
    arena_done(&s->arena);
    free(s);
}

const struct im_domain *im_settings_domain(const struct im_settings *settings, struct str name)
{
    // few domains: a walk is quicker than a hash; many domains want a table here
    for (size_t i = 0; i < settings->n_domains; i++)
        if (str_eq(settings->domains[i].name, name))
            return &settings->domains[i];
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool is_among(const struct str *sorted, size_t n, struct str bare)
{
    return n > 0 && bsearch(&bare, sorted, n, sizeof bare, compare) != NULL;
}

bool im_settings_protects(const struct im_settings *settings, const struct im_domain *domain,
                          struct str bare)
{
    return domain->links ? !is_among(settings->links_spared, settings->n_links_spared, bare)
                         : is_among(settings->links_people, settings->n_links_people, bare);
}

const struct im_domain *im_settings_of_upload_host(const struct im_settings *settings,
                                                   struct str host)
{
    for (size_t i = 0; i < settings->n_domains; i++)
        if (settings->domains[i].upload_url.len > 0 &&
            str_eq(settings->domains[i].upload_host, host))
            return &settings->domains[i];
    return NULL;
}

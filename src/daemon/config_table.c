/*
 * The rows of config_keys.def as constant tables, one for each section.
 */
#include "daemon/config_internal.h"

#include "base/must.h"

#define KIB 1024.0
#define MIB (1024.0 * KIB)
#define GIB (1024.0 * MIB)
#define TIB (1024.0 * GIB)
#define SECOND 1e6
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)
#define LIVE false
#define RESTART true

// `here` and `BASE` are bound anew for each section: a block of its own in the function below.
#define ROW(field_, kind_, initial_, least_, most_, choices_, when_, doc_)                         \
    .kind = (kind_), .needs_restart = (when_), .offset = BASE + offsetof(here, field_),            \
    .initial = (initial_), .least = (least_), .most = (most_), .choices = (choices_),              \
    .doc = (doc_), .inherited = SIZE_MAX

#define FLAG(name_, initial_, when_, doc_)                                                         \
    {.name = #name_, ROW(name_, KIND_FLAG, initial_, 0, 0, NULL, when_, doc_)},
#define NUMBER(name_, initial_, least_, most_, when_, doc_)                                        \
    {.name = #name_, ROW(name_, KIND_NUMBER, initial_, least_, most_, NULL, when_, doc_)},
#define REAL(name_, initial_, least_, most_, when_, doc_)                                          \
    {.name = #name_, ROW(name_, KIND_REAL, initial_, least_, most_, NULL, when_, doc_)},
#define SIZE(name_, initial_, least_, most_, when_, doc_)                                          \
    {.name = #name_, ROW(name_, KIND_SIZE, initial_, least_, most_, NULL, when_, doc_)},
#define TIME(name_, initial_, least_, most_, when_, doc_)                                          \
    {.name = #name_, ROW(name_##_us, KIND_TIME, initial_, least_, most_, NULL, when_, doc_)},
#define TEXT(name_, initial_, when_, doc_)                                                         \
    {.name = #name_, ROW(name_, KIND_TEXT, initial_, 0, 0, NULL, when_, doc_)},
#define INPUT(name_, initial_, when_, doc_)                                                        \
    {.name = #name_, ROW(name_, KIND_INPUT, initial_, 0, 0, NULL, when_, doc_)},
#define OUTPUT(name_, initial_, when_, doc_)                                                       \
    {.name = #name_, ROW(name_, KIND_OUTPUT, initial_, 0, 0, NULL, when_, doc_)},
#define CHOICE(name_, initial_, choices_, when_, doc_)                                             \
    {.name = #name_, ROW(name_, KIND_CHOICE, initial_, 0, 0, choices_, when_, doc_)},
#define LIST(name_, initial_, when_, doc_)                                                         \
    {.name = #name_, ROW(name_, KIND_LIST, initial_, 0, 0, NULL, when_, doc_)},

void config_sections(struct config_section out[CONFIG_N_SECTIONS])
{
    size_t n = 0;
#define SECTION(name_, doc_)                                                                       \
    {                                                                                              \
        typedef __typeof__(((struct config *)NULL)->name_) here;                                   \
        enum { BASE = offsetof(struct config, name_) };                                            \
        static const char *const doc = doc_;                                                       \
        static const struct config_key keys[] = {
#define END(name_)                                                                                 \
    }                                                                                              \
    ;                                                                                              \
    _Static_assert(COUNT_OF(keys) <= CONFIG_KEYS_MOST, #name_);                                    \
    out[n++] = (struct config_section){#name_, doc, keys, COUNT_OF(keys)};                         \
    }
#include "daemon/config_keys.def"
#undef SECTION
#undef END
}

struct config_section config_domain_section(void)
{
    typedef struct config_domain here;
    enum { BASE = 0 };
#define INHERITED_FLAG(s_, k_) KIND_FLAG
#define INHERITED_CHOICE(s_, k_) KIND_CHOICE
#define INHERITED_TEXT(s_, k_) KIND_TEXT
#define INHERITED_INPUT(s_, k_) KIND_INPUT
#define INHERITS(kind_, name_, section_, key_)                                                     \
    {.name = #name_,                                                                               \
     .kind = INHERITED_##kind_(section_, key_),                                                    \
     .offset = offsetof(struct config_domain, name_),                                              \
     .initial = #section_ "." #key_,                                                               \
     .inherited = offsetof(struct config, section_.key_)},
    static const struct config_key keys[] = {
#include "daemon/config_domain_keys.def"
    };
    _Static_assert(COUNT_OF(keys) <= CONFIG_KEYS_MOST, "domains");
    return (struct config_section){
        .name = "domains",
        .doc = "The domains served, each with its own certificate and, where it differs, settings.",
        .keys = keys,
        .n_keys = COUNT_OF(keys),
    };
}

const struct config_key *config_find_key(struct str section, struct str name)
{
    struct config_section sections[CONFIG_N_SECTIONS];
    config_sections(sections);
    for (size_t i = 0; i < CONFIG_N_SECTIONS; i++)
        for (size_t k = 0; str_eq(str_of(sections[i].name), section) && k < sections[i].n_keys; k++)
            if (str_eq(str_of(sections[i].keys[k].name), name))
                return &sections[i].keys[k];
    return NULL;
}

const struct config_key *config_model(const struct config_key *key)
{
    if (key->inherited == SIZE_MAX)
        return key;
    struct str name = str_of(key->initial);
    struct str section = str_cut(&name, '.');
    const struct config_key *model = config_find_key(section, name);
    must(model != NULL && model->kind == key->kind);
    return model;
}

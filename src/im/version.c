#include "im/version.h"

// The system below is left out: it helps attackers more than people (XEP-0092 section 5).
static void tell(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    const struct im_settings *settings = desk_of(asked->home)->settings;
    struct element *query = element_new(arena, NS_VERSION, STR("query"));
    element_child_with(arena, query, NS_VERSION, STR("name"), STR("Firedoor"));
    element_child_with(arena, query, NS_VERSION, STR("version"), settings->software_version);
    asked_result(&asked, query);
}

static const struct str disco[] = {
    NS_VERSION, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_VERSION, {"query", 5}, IQ_GET | IQ_DOMAIN, tell},
    {{NULL, 0},  {NULL, 0},    0,                  NULL},
};

const struct feature feature_version = {
    .name = "version",
    .spec = "XEP-0092",
    .disco_server = disco,
    .iqs = iqs,
};

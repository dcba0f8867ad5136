#include "im/entity_time.h"

#include "base/clock.h"

// Always UTC: where the server stands is nobody's business.
static void tell(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct element *time = element_new(arena, NS_TIME, STR("time"));
    element_child_with(arena, time, NS_TIME, STR("tzo"), STR("+00:00"));
    element_child_with(arena, time, NS_TIME, STR("utc"), clock_format(arena, clock_wall_us()));
    asked_result(&asked, time);
}

static const struct str disco[] = {
    NS_TIME, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_TIME,   {"time", 4}, IQ_GET | IQ_DOMAIN, tell},
    {{NULL, 0}, {NULL, 0},   0,                  NULL},
};

const struct feature feature_time = {
    .name = "time",
    .spec = "XEP-0202",
    .disco_server = disco,
    .iqs = iqs,
};

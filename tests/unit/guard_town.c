#include "guard_town.h"

#include "base/must.h"

void guard_town_new(struct guard_town *town, uint32_t people, double messages_a_day,
                    const char *worm, const struct sim_config *config)
{
    struct prng prng = {config->seed};
    struct sim_config own = *config;
    *town = (struct guard_town){
        .worm = {worm_find(str_of(worm)), config->seed}
    };
    graph_make(&town->graph, people, 12, &prng);
    must(texts_read(&town->texts, NULL, &prng, NULL) == OK);
    own.graph = &town->graph;
    own.worm = &town->worm;
    town->sim = sim_new(&own);
    town->chat = chat_traffic_new(&town->graph, town->texts, messages_a_day, sim_now_us(town->sim),
                                  config->seed);
    struct traffic traffic = chat_traffic_of(town->chat);
    sim_traffic(town->sim, &traffic);
}

void guard_town_free(struct guard_town *town)
{
    sim_free(&town->sim);
    chat_traffic_free(&town->chat);
    texts_free(&town->texts);
    graph_done(&town->graph);
}

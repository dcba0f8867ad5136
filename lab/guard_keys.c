#include "lab/guard_keys.h"

#include "town/numbers.h"

/* One kind of evidence, by its name. */
static enum err leave_out(struct guard_config *config, struct str name, struct why *why)
{
    for (unsigned kind = 0; kind < EVIDENCE_KINDS; kind++) {
        if (str_eq(name, str_of(evidence_kind_name(kind)))) {
            config->without |= 1U << kind;
            return OK;
        }
    }
    return why_say(why, ERR_MALFORMED, "%.*s: there is no such evidence", STR_ARGS(name));
}

enum err guard_config_set(struct guard_config *config, struct str key, struct str value,
                          struct why *why)
{
    const struct {
        const char *key;
        double *number;
        int64_t *time_us;
        uint32_t *count;
        bool *flag;
        size_t *size;
    } rows[] = {
        {"convict_nats",            .number = &config->convict_nats          },
        {"hold_nats",               .number = &config->hold_nats             },
        {"respond_nats",            .number = &config->respond_nats          },
        {"window_growth",           .number = &config->window_growth         },
        {"star_convicts",           .flag = &config->star_convicts           },
        {"campaigns",               .flag = &config->campaigns               },
        {"campaign_nats",           .number = &config->campaign_nats         },
        {"campaign_lessons",        .number = &config->campaign_lessons      },
        {"fresh_share",             .number = &config->fresh_share           },
        {"relay_share",             .number = &config->relay_share           },
        {"fresh_most",              .number = &config->fresh_most            },
        {"fresh_rare",              .number = &config->fresh_rare            },
        {"fresh_spread",            .number = &config->fresh_spread          },
        {"scarce_by",               .count = &config->scarce_by              },
        {"outbreak_rare",           .number = &config->outbreak_rare         },
        {"surge_nats",              .number = &config->surge_nats            },
        {"day_most",                .number = &config->day_most              },
        {"silent_most",             .number = &config->silent_most           },
        {"spread_rare",             .number = &config->spread_rare           },
        {"rare_doubling",           .time_us = &config->rare_doubling_us     },
        {"defangs",                 .flag = &config->defangs                 },
        {"sealed_pause",            .time_us = &config->sealed_pause_us      },
        {"sealed_first",            .count = &config->sealed_first           },
        {"sealed_hold_nats",        .number = &config->sealed_hold_nats      },
        {"sealed_nats",             .number = &config->sealed_nats           },
        {"window_first",            .count = &config->window_first           },
        {"established_by",          .count = &config->established_by         },
        {"fast_relays_established", .count = &config->fast_relays_established},
        {"senders_open",            .count = &config->senders_open           },
        {"lessons_per_day",         .count = &config->lessons_per_day        },
        {"hold",                    .time_us = &config->hold_us              },
        {"ask",                     .time_us = &config->ask_us               },
        {"ask_late",                .time_us = &config->ask_late_us          },
        {"ask_nats",                .number = &config->ask_nats              },
        {"ask_relays",              .count = &config->ask_relays             },
        {"ask_most",                .count = &config->ask_most               },
        {"ask_a_day",               .count = &config->ask_a_day              },
        {"ask_denials",             .count = &config->ask_denials            },
        {"novel",                   .time_us = &config->novel_us             },
        {"established",             .time_us = &config->established_us       },
        {"relay",                   .time_us = &config->relay_us             },
        {"mature",                  .time_us = &config->mature_us            },
        {"settle",                  .time_us = &config->settle_us            },
        {"forget",                  .time_us = &config->forget_us            },
        {"conviction",              .time_us = &config->conviction_us        },
        {"restriction",             .time_us = &config->restriction_us       },
        {"memory",                  .size = &config->memory                  },
    };
    if (str_eq(key, STR("without")))
        return leave_out(config, value, why);
    double number;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!str_eq(key, str_of(rows[i].key)))
            continue;
        enum err e = number_read(value, 0, 1e12, &number, why);
        if (e != OK)
            return e;
        if (rows[i].number != NULL)
            *rows[i].number = number;
        if (rows[i].time_us != NULL)
            *rows[i].time_us = (int64_t)(number * 1e6);
        if (rows[i].count != NULL)
            *rows[i].count = (uint32_t)number;
        if (rows[i].flag != NULL)
            *rows[i].flag = number != 0;
        if (rows[i].size != NULL)
            *rows[i].size = (size_t)number;
        return OK;
    }
    return why_say(why, ERR_MALFORMED, "%.*s: the guard has no such constant", STR_ARGS(key));
}

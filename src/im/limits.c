#include "im/limits.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

static const int64_t said_again_us = 60 * SECOND_US;

// Whether the last line about the same is old.  A slot that two share makes a line too many, no
// line too few.
static bool is_news(struct desk *desk, struct str who, const char *key)
{
    int64_t now_us = loop_now_us(desk->home->loop);
    uint64_t hash = hash_fast(hash_fast(0, str_of(key)), who);
    struct limit_said *said = &desk->limits_said[hash % COUNT_OF(desk->limits_said)];
    if (said->hash == hash && now_us - said->at_us < said_again_us)
        return false;
    *said = (struct limit_said){.hash = hash, .at_us = now_us};
    return true;
}

void limit_reached(struct home *home, struct str account, const char *key)
{
    struct desk *desk = desk_of(home);
    desk->counters.limits_reached++;
    if (!is_news(desk, account, key))
        return;
    struct arena arena;
    arena_init(&arena, 16384);
    log_event(LOG_NOTICE, "limit", "key=%s account=%.*s", key,
              STR_ARGS(log_quote(&arena, account)));
    arena_done(&arena);
}

void limit_reached_by(struct home *home, const struct addr *address, const char *key)
{
    struct desk *desk = desk_of(home);
    char block[ADDR_BLOCK_SIZE], text[ADDR_TEXT_SIZE];
    desk->counters.limits_reached++;
    if (is_news(desk, addr_block(address, block), key))
        log_event(LOG_NOTICE, "limit", "key=%s address=%.*s", key,
                  STR_ARGS(addr_text(address, text)));
}

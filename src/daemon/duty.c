/*
 * Either the timer is set or the work is under way.
 */
#include "daemon/duty.h"

#include "base/clock.h"

static void begin(struct timer *timer)
{
    struct duty *duty = CONTAINER_OF(timer, struct duty, timer);
    duty->is_under_way = true;
    duty->begin(duty);
}

void duty_init(struct duty *duty, struct loop *loop, int64_t after_us,
               void (*begin_work)(struct duty *duty))
{
    *duty = (struct duty){.loop = loop, .begin = begin_work};
    duty_rest(duty, after_us);
}

void duty_rest(struct duty *duty, int64_t after_us)
{
    duty->is_under_way = false;
    if (!duty->ends)
        loop_timer_set(duty->loop, &duty->timer, after_us, begin);
}

void duty_done(struct duty *duty)
{
    duty->ends = true;
    while (duty->is_under_way)
        loop_turn(duty->loop, SECOND_US / 20);
    loop_timer_cancel(&duty->timer);
}

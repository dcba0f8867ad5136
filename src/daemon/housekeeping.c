/*
 * A round walks through the steps below; each removes a portion and is taken
 * again until nothing is left for it, with a pause between portions so that
 * people's messages come first.
 */
#include "daemon/housekeeping.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/duty.h"

#include <stdlib.h>

enum { PORTION = 1000 };
static const int64_t first_us = 60 * SECOND_US, round_us = 3600 * SECOND_US,
                     pause_us = SECOND_US / 5;

enum step { STEP_ARCHIVE, STEP_DELIVERIES, STEP_RESUMPTIONS, STEP_IN_HAND, STEPS };

struct housekeeping {
    struct duty duty;
    struct store *store;
    const struct config *(*config)(void *context);
    void *context;
    enum step step;
    int64_t after_id; // of the archive's walk
    union {
        struct store_archive_purge archive;
        struct store_deliveries_expire deliveries;
        struct store_record_expire records;
    } op;
};

static void step_over(struct housekeeping *keeping, struct store_request *request, bool more)
{
    if (request->result != OK) {
        log_event(LOG_WARNING, "housekeeping-failed", "step=%d error=%s", (int)keeping->step,
                  err_name(request->result));
        more = false;
    }
    store_release(request);
    if (!more) {
        keeping->after_id = 0;
        keeping->step++;
    }
    bool round_over = keeping->step == STEPS;
    if (round_over)
        keeping->step = STEP_ARCHIVE;
    duty_rest(&keeping->duty, round_over ? round_us : pause_us);
}

static void archive_purged(struct store_request *request)
{
    struct housekeeping *keeping = CONTAINER_OF(request, struct housekeeping, op.archive.request);
    keeping->after_id = keeping->op.archive.after_id;
    step_over(keeping, request, keeping->op.archive.more);
}

static void deliveries_expired(struct store_request *request)
{
    struct housekeeping *keeping =
        CONTAINER_OF(request, struct housekeeping, op.deliveries.request);
    step_over(keeping, request, keeping->op.deliveries.more);
}

static void records_expired(struct store_request *request)
{
    struct housekeeping *keeping = CONTAINER_OF(request, struct housekeeping, op.records.request);
    step_over(keeping, request, false);
}

static void begin(struct housekeeping *keeping, struct store_request *request,
                  void (*done)(struct store_request *))
{
    request->home = loop_mailbox(keeping->duty.loop);
    request->done = done;
}

static void next(struct duty *duty)
{
    struct housekeeping *keeping = CONTAINER_OF(duty, struct housekeeping, duty);
    const struct config *config = keeping->config(keeping->context);
    int64_t now_us = clock_wall_us();
    memset(&keeping->op, 0, sizeof keeping->op);
    switch (keeping->step) {
    case STEP_ARCHIVE:
        if (config->archive.retention_us > 0) {
            keeping->op.archive.before_us = now_us - config->archive.retention_us;
            keeping->op.archive.most = PORTION;
            keeping->op.archive.after_id = keeping->after_id;
            begin(keeping, &keeping->op.archive.request, archive_purged);
            store_archive_purge(keeping->store, &keeping->op.archive);
            return;
        }
        keeping->step++;
        // fall through
    case STEP_DELIVERIES:
        keeping->op.deliveries.before_us = now_us - config->guard.ledger_retention_us;
        keeping->op.deliveries.most = PORTION;
        begin(keeping, &keeping->op.deliveries.request, deliveries_expired);
        store_deliveries_expire(keeping->store, &keeping->op.deliveries);
        return;
    default:
        keeping->op.records.kind =
            keeping->step == STEP_RESUMPTIONS ? STORE_RESUMPTION : STORE_IN_HAND;
        keeping->op.records.now_us = now_us;
        begin(keeping, &keeping->op.records.request, records_expired);
        store_record_expire(keeping->store, &keeping->op.records);
        return;
    }
}

struct housekeeping *housekeeping_new(struct loop *loop, struct store *store,
                                      const struct config *(*config)(void *context), void *context)
{
    struct housekeeping *keeping = calloc(1, sizeof *keeping);
    must(keeping != NULL);
    keeping->store = store;
    keeping->config = config;
    keeping->context = context;
    duty_init(&keeping->duty, loop, first_us, next);
    return keeping;
}

void housekeeping_free(struct housekeeping **housekeeping)
{
    struct housekeeping *keeping = TAKE(*housekeeping);
    if (keeping == NULL)
        return;
    duty_done(&keeping->duty);
    free(keeping);
}

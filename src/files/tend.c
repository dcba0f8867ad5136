/*
 * What goes (it has expired, was deleted, or lost its owner), and what still
 * waits for the scanner's word.
 */
#include "files/uploads_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/clamd.h"

#include <stdlib.h>
#include <unistd.h>

enum { PORTION = 500 };
static const int64_t round_us = 10 * SECOND_US;

/* ---- Going ---- */

enum err uploads_remove(struct uploads *uploads, const struct str *ids, uint32_t n,
                        uint32_t *n_removed)
{
    struct store_upload_remove op = {.n = n, .ids = ids};
    store_upload_remove(uploads->options.store, &op);
    enum err e = store_wait(&op.request);
    *n_removed = e == OK ? op.n_removed : 0;
    store_release(&op.request);
    for (uint32_t i = 0; e == OK && i < n; i++) {
        char id[RANDOM_ID_SIZE + 1];
        pthread_mutex_lock(&uploads->lock);
        struct file *file = table_get(&uploads->by_id, ids[i]);
        if (file != NULL)
            file_take(uploads, file);
        pthread_mutex_unlock(&uploads->lock);
        if (file != NULL && str_to_z(ids[i], id, sizeof id) == OK)
            unlinkat(uploads->directory, id, 0);
        file_free(&file);
    }
    return e;
}

// Ids of those that pass the test, and how many; texts live in ids.
struct portion {
    char ids[PORTION][RANDOM_ID_SIZE + 1];
    struct str texts[PORTION];
    uint32_t n;
};

static void portion_add(struct portion *portion, const struct file *file)
{
    memcpy(portion->ids[portion->n], file->id, sizeof portion->ids[0]);
    portion->texts[portion->n] = str_of(portion->ids[portion->n]);
    portion->n++;
}

// Those whose time is over stand first, unless the time was changed meanwhile: then they wait.
static void find_expired(struct uploads *uploads, struct portion *portion)
{
    int64_t now_us = clock_wall_us();
    portion->n = 0;
    pthread_mutex_lock(&uploads->lock);
    LIST_EACH(&uploads->files, struct file, link, file)
    {
        if (file->expires_us > now_us || portion->n == PORTION)
            break;
        portion_add(portion, file);
    }
    pthread_mutex_unlock(&uploads->lock);
}

static void find_of_owner(struct uploads *uploads, const char *jid, struct portion *portion)
{
    portion->n = 0;
    pthread_mutex_lock(&uploads->lock);
    struct holder *holder = table_get(&uploads->holders, str_of(jid));
    if (holder != NULL) {
        LIST_EACH(&holder->files, struct file, held, file)
        {
            if (portion->n == PORTION)
                break;
            portion_add(portion, file);
        }
    }
    pthread_mutex_unlock(&uploads->lock);
}

static bool remove_portion(struct uploads *uploads, const struct portion *portion, const char *why)
{
    uint32_t n = 0;
    if (portion->n == 0)
        return false;
    enum err e = uploads_remove(uploads, portion->texts, portion->n, &n);
    log_event(e == OK ? LOG_INFO : LOG_WARNING, "uploads-removed", "files=%u why=%s result=%s", n,
              why, err_name(e));
    return e == OK && portion->n == PORTION;
}

struct going {
    struct job job;
    struct uploads *uploads;
    char jid[];
};

static void remove_all_of(struct job *job)
{
    struct going *going = CONTAINER_OF(job, struct going, job);
    struct portion *portion = malloc(sizeof *portion);
    must(portion != NULL);
    do
        find_of_owner(going->uploads, going->jid, portion);
    while (remove_portion(going->uploads, portion, "account"));
    free(portion);
}

static void all_removed(struct job *job)
{
    struct going *going = CONTAINER_OF(job, struct going, job);
    going->uploads->n_going--;
    free(going);
}

void uploads_remove_owner(struct uploads *uploads, struct str jid)
{
    struct going *going = calloc(1, sizeof *going + jid.len + 1);
    must(going != NULL);
    going->job = (struct job){.run = remove_all_of, .done = all_removed};
    going->uploads = uploads;
    memcpy(going->jid, jid.at, jid.len);
    uploads->n_going++;
    if (uploads_order_slow(uploads, &going->job, uploads->options.loop) != OK)
        all_removed(&going->job); // they expire
}

/* ---- The scanner's late word ---- */

static bool next_unscanned(struct uploads *uploads, struct upload *out)
{
    pthread_mutex_lock(&uploads->lock);
    struct file *file = LIST_FIRST(&uploads->unscanned, struct file, unscanned);
    if (file != NULL) {
        file_show(file, out);
        list_leave(&file->unscanned); // to the end: one that cannot be scanned stops no other
        list_add_last(&uploads->unscanned, &file->unscanned);
    }
    pthread_mutex_unlock(&uploads->lock);
    return file != NULL;
}

static enum err keep_word(struct uploads *uploads, struct upload *about)
{
    struct store_upload_mark op = {
        .id = str_of(about->id), .flags = about->flags, .finding = str_of(about->finding)};
    store_upload_mark(uploads->options.store, &op);
    enum err e = store_wait(&op.request);
    store_release(&op.request);
    if (e != OK)
        return e;
    pthread_mutex_lock(&uploads->lock);
    struct file *file = table_get(&uploads->by_id, str_of(about->id));
    if (file != NULL) {
        file->flags = about->flags;
        free(file->finding);
        file->finding = strdup(about->finding);
        must(file->finding != NULL);
        if (list_is_member(&file->unscanned)) {
            list_leave(&file->unscanned);
            uploads->n_unscanned--;
        }
    }
    pthread_mutex_unlock(&uploads->lock);
    return OK;
}

// False: no scanner answers, or nothing waits.
static bool scan_one(struct uploads *uploads, const struct upload_settings *settings)
{
    struct upload about;
    if (settings->scanner[0] == '\0' || atomic_load(&uploads->stopping) ||
        !next_unscanned(uploads, &about))
        return false;
    int fd = uploads_open_file(uploads, about.id);
    if (fd < 0)
        return false;
    enum scan word = upload_scan(uploads, settings, fd, &about);
    close(fd);
    if (word != SCAN_CLEAN && word != SCAN_FOUND)
        return false;
    about.flags &= ~(uint32_t)UPLOAD_UNSCANNED;
    about.flags |= word == SCAN_FOUND ? UPLOAD_FOUND : 0;
    if (word == SCAN_FOUND) {
        log_event(LOG_WARNING, "upload-found-late", "account=%s finding=%s", about.jid,
                  about.finding);
        // before it is written down: after a kill between the two it is scanned again
        if (uploads->found != NULL)
            uploads->found(uploads->found_context, &about);
    }
    return keep_word(uploads, &about) == OK;
}

/* ---- Time ---- */

static void tend(struct job *job)
{
    struct uploads *uploads = CONTAINER_OF(job, struct uploads, tending);
    struct portion *portion = malloc(sizeof *portion);
    must(portion != NULL);
    do
        find_expired(uploads, portion);
    while (remove_portion(uploads, portion, "expired") && !atomic_load(&uploads->stopping));
    free(portion);
    struct upload_settings settings;
    upload_settings_now(uploads, &settings);
    while (scan_one(uploads, &settings))
        continue;
}

static void on_round(struct timer *timer);

static void tended(struct job *job)
{
    struct uploads *uploads = CONTAINER_OF(job, struct uploads, tending);
    uploads->tends = false;
    if (!atomic_load(&uploads->stopping))
        loop_timer_set(uploads->options.loop, &uploads->timer, round_us, on_round);
}

static void on_round(struct timer *timer)
{
    struct uploads *uploads = CONTAINER_OF(timer, struct uploads, timer);
    uploads->tending = (struct job){.run = tend, .done = tended};
    uploads->tends = true;
    if (uploads_order_slow(uploads, &uploads->tending, uploads->options.loop) != OK) {
        uploads->tends = false;
        loop_timer_set(uploads->options.loop, &uploads->timer, round_us, on_round);
    }
}

void tend_start(struct uploads *uploads)
{
    loop_timer_set(uploads->options.loop, &uploads->timer, round_us, on_round);
}

void tend_stop(struct uploads *uploads)
{
    loop_timer_cancel(&uploads->timer);
    while (uploads->tends || uploads->n_going > 0) // their last mails are for this loop
        loop_turn(uploads->options.loop, SECOND_US / 20);
}

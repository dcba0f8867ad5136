/*
 * XEP-0227 files: an import may come from anybody's server.
 *
 * The same bytes whole and in pieces give the same users; a user that was read
 * and written is read again with as many of everything.
 */
#include "daemon/portable.h"

#include "base/must.h"
#include "base/random.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    random_start();
    return 0;
}

struct summary {
    size_t n_users, n_items, n_documents, n_messages, n_pending, n_blocked;
    bool ended;
};

static void write_user(struct buf *out, const struct portable_user *user)
{
    portable_begin_user(out, user->import.local);
    portable_write_keys(out, user->import.keys);
    portable_write_roster(out, user->import.items, user->import.n_items);
    portable_write_pending(out, user->pending, user->n_pending);
    portable_write_blocked(out, user->blocked, user->n_blocked);
    portable_begin_offline(out);
    for (size_t i = 0; i < user->n_messages; i++)
        portable_write_message(out, user->import.domain,
                               &(struct store_message){.wall_us = user->messages[i].wall_us,
                                                       .stanza = user->messages[i].stanza});
    portable_end_offline(out);
    portable_end_user(out);
}

// again: NULL, or where each user is written.
static struct summary read_all(struct str text, size_t piece, struct buf *again)
{
    struct summary summary = {0};
    struct portable_reader reader;
    struct arena arena;
    arena_init(&arena, (size_t)3 * PORTABLE_USER_MOST);
    portable_reader_init(&reader);
    enum portable got = PORTABLE_MORE;
    while (text.len > 0 && got != PORTABLE_FAULT) {
        struct str rest = str_first(text, piece < text.len ? piece : text.len);
        text = str_skip(text, rest.len);
        while (rest.len > 0 && got != PORTABLE_FAULT) {
            struct element *element = NULL;
            struct portable_user user;
            struct why why;
            got = portable_feed(&reader, &rest, &arena, &element);
            if (got != PORTABLE_USER)
                continue;
            summary.n_users++;
            if (portable_read_user(&arena, element, reader.host, &user, &why) == OK) {
                summary.n_items += user.import.n_items;
                summary.n_documents += user.import.n_documents;
                summary.n_messages += user.n_messages;
                summary.n_pending += user.n_pending;
                summary.n_blocked += user.n_blocked;
                if (again != NULL) {
                    portable_begin_host(again, reader.host);
                    write_user(again, &user);
                    portable_end_host(again);
                }
            }
            if (portable_is_idle(&reader))
                arena_reset(&arena);
        }
    }
    summary.ended = got == PORTABLE_END;
    portable_reader_done(&reader);
    arena_done(&arena);
    return summary;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct buf again;
    buf_init(&again, 64 << 20);
    buf_add(&again, portable_begin());
    struct summary whole = read_all(text, SIZE_MAX, &again);
    buf_add(&again, portable_end());
    struct summary pieces = read_all(text, 1 + size % 13, NULL);
    must(whole.n_users == pieces.n_users && whole.n_items == pieces.n_items);
    must(whole.n_messages == pieces.n_messages && whole.n_documents == pieces.n_documents);
    // of a document that was cut off, a fault may be seen now or with the bytes that never come
    must(whole.ended == pieces.ended);
    if (!again.overflowed) {
        struct summary second = read_all(buf_str(&again), SIZE_MAX, NULL);
        must(second.ended);
        must(second.n_items == whole.n_items && second.n_messages == whole.n_messages);
        must(second.n_pending == whole.n_pending && second.n_blocked == whole.n_blocked);
    }
    buf_done(&again);
    return 0;
}

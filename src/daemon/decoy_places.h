/*
 * Places of decoys, as the store keeps them: who holds which decoy because we put it there.
 *
 * Only what is written down here is ever taken out of a roster by a refresh, so that nobody's own
 * contact is touched.  A place goes from due over placing to placed, and from placed over leaving
 * to nothing (daemon/decoy_mover.h); what a death interrupts goes on from there.
 */
#ifndef DAEMON_DECOY_PLACES_H
#define DAEMON_DECOY_PLACES_H

#include "store/store.h"

/* Groups of the records of kind STORE_DECOY. */
#define PLACE_DUE STR("due")
#define PLACE_PLACING STR("placing")
#define PLACE_PLACED STR("placed")
#define PLACE_LEAVING STR("leaving")

/* Both bare. */
static inline struct str decoy_place_key(struct arena *arena, struct str decoy, struct str holder)
{
    return arena_printf(arena, "%.*s %.*s", STR_ARGS(decoy), STR_ARGS(holder));
}

static inline struct str decoy_place_holder(struct str key)
{
    size_t at = str_find_char(key, ' ');
    return at < key.len ? str_skip(key, at + 1) : STR_EMPTY;
}

/* value: what the holder calls it. */
static inline struct store_record decoy_place_record(struct arena *arena, struct str decoy,
                                                     struct str holder, struct str group,
                                                     struct str name)
{
    return (struct store_record){
        .key = decoy_place_key(arena, decoy, holder),
        .group = group,
        .subject = decoy,
        .value = name,
    };
}

#endif

/*
 * Addresses that are spelled out: "example dot com" and its kin, as scan.c asks for them.
 */
#ifndef GUARD_SPELLED_INTERNAL_H
#define GUARD_SPELLED_INTERNAL_H

#include "guard/lure_internal.h"

/* A dot that is said, from behind the name before it to before the suffix; with the suffix where
 * that is written otherwise than here. */
struct said {
    size_t from, to;
    char suffix[16];
    size_t suffix_len; // 0: it stands in the text
};

// How a word for a dot begins (spelled.c: dot_words), or for a period goes on, in lower case; 0 as
// a digit is 0x30.
static inline __attribute__((always_inline)) bytes16 said16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 dot =
        (bytes16)(a == 'd') & ((bytes16)(b == 'o') | (bytes16)(b == '0')) & (bytes16)(c == 't');
    bytes16 point =
        (bytes16)(a == 'p') & (((bytes16)(b == 'u') & (bytes16)(c == 'n')) |
                               ((bytes16)(b == 'o') & ((bytes16)(c == 'n') | (bytes16)(c == 'i'))));
    bytes16 stop = ((bytes16)(a == 'i') & (bytes16)(b == 'o') & (bytes16)(c == 'd')) |
                   ((bytes16)(a == 'f') & (bytes16)(b == 'u') & (bytes16)(c == 'l'));
    return dot | point | stop;
}

/* Where the word begins of which said16 has seen three letters: "per-iod". */
static inline size_t said_from(struct str text, size_t at)
{
    return (text.at[at] | 32) == 'i' && at >= 3 ? at - 3 : at;
}

/* Whether a word for a dot begins at `at`, and is a word of its own. */
bool spelled_is_dot_word(struct str text, size_t at);

/* "example dot com" and its kin, when the word for a dot begins at `at`. */
bool spelled_dot(const struct lure_rules *rules, struct str text, size_t at, struct said *said);

/* The length of such a dot with all that parts it from the words around, when that begins at `at`;
 * 0: none does. */
size_t spelled_dot_len(const struct lure_rules *rules, struct str text, size_t at);

/* Whether the character at *at, which is not ASCII, is of a word that reads as one for a dot, or
 * stands for a dot or colon itself.  Where not, *at is moved behind what was looked at. */
bool spelled_hint(const struct lure_rules *rules, struct str text, size_t *at);

/* Words for a dot and the suffix behind them in letters of ASCII, a bullet that stands for a dot as
 * " dot "; the text itself where there is none of it. */
struct str spelled_fold(const struct lure_rules *rules, struct arena *scratch, struct str text);

/* Whether the reader is told to go to what begins at `at`; a file is opened, too. */
bool spelled_is_sent_to(const struct lure_rules *rules, struct str text, size_t at,
                        bool may_be_file);

/* Suffixes that are also a word's beginning: "done.It works". */
bool spelled_begins_sentence(struct str label);

#endif

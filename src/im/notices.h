/*
 * Notices: what the server says to people, in their language.
 *
 * Sentences come from message catalogues (gettext): those an operator put into
 * notices.catalogues first, then those shipped, then the English of the source.
 * A catalogue's msgid is the English sentence; {link}, {person}, {incident}, {until},
 * {people}, {number} and {words} are replaced.
 */
#ifndef IM_NOTICES_H
#define IM_NOTICES_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>

enum notice {
    NOTICE_REFUSED_LURE,       // to a sender: the link or file is part of an attack
    NOTICE_REFUSED_RESTRICTED, // to a sender: you may not send links and files at present
    NOTICE_REFUSED_NO_LINKS,   // to a sender: links are switched off for a while,
    NOTICE_REFUSED_NO_FILES,   // files,
    NOTICE_REFUSED_NOTHING,    // or both
    NOTICE_NO_UPLOADS,         // to who wants to put a file here while files are
    NOTICE_REFUSED_TOO_MANY,   // to a sender: too many links in one message
    NOTICE_REFUSED_HELD,       // to a sender: a message that was held could not be delivered
    NOTICE_REFUSED_SUSPECTED,  // the same of what cannot be held, a request
    NOTICE_VICTIM,             // to who sends a worm's lures: what happened, how to get clean
    NOTICE_EXPOSED,            // in the place of a withdrawn message: do not open it
    NOTICE_RELEASED,           // to a receiver: what was withdrawn is delivered again
    NOTICE_UNRESTRICTED,       // to who was restricted: you may send links again
    NOTICE_OPERATOR,           // to administrators: an incident began
    NOTICE_ASK,                // to a sender: did you mean to send this to so many?
    NOTICE_PUZZLE,             // after it, where only the device that sent is there
    NOTICE_PUZZLE_WORDS,       // the words that the puzzle asks for,
    NOTICE_PUZZLE_OTHERS,      // and the others
    NOTICE_YES,                // the words that answer
    NOTICE_NO,
    NOTICE_ASK_TITLE, // of the question as a form,
    NOTICE_ASK_FIELD, // and its fields' labels
    NOTICE_PUZZLE_FIELD,
    NOTICE_ANSWER_UNCLEAR,   // to who answered: it was not understood
    NOTICE_ANSWER_ELSEWHERE, // it was said on the device that sent: another must say it
    NOTICE_ANSWER_WRONG,     // the puzzle was not solved
    NOTICE_ANSWER_YES,       // thank you
    NOTICE_ANSWER_NO,
    NOTICE_ANSWER_YES_LATE,    // thank you; what had returned by then is to be sent again,
    NOTICE_ANSWER_YES_AGAIN,   // and what was taken back is given again
    NOTICE_ANSWER_YES_WAITS,   // thank you; others are asked as well
    NOTICE_ASK_LATE,           // to who was asked: the time is over, he may still answer
    NOTICE_ASK_OVER,           // the question needs no answer any more
    NOTICE_REFUSED_UNANSWERED, // to a sender: held, and nobody answered
    NOTICE_REFUSED_DENIED,     // to a sender: he said that it was not he
    NOTICE_REFUSED_UNDECIDED,  // to a sender: not delivered or taken back, since nobody knows
    NOTICE_REFUSED_ENCRYPTED,  // to a sender: encrypted, to one after the other, without a pause
    NOTICE_ENCRYPTED,       // {link} of an encrypted message, of which nobody knows what is in it
    NOTICE_REFUSED_CROWDED, // to a sender: so many of his messages wait already
    // what the page that opens protected links says; {link} is the host
    NOTICE_PAGE_WARN_TITLE,
    NOTICE_PAGE_WARN,
    NOTICE_PAGE_GO_ON,
    NOTICE_PAGE_BLOCK_TITLE,
    NOTICE_PAGE_BLOCK,
    NOTICE_PAGE_UNSURE_TITLE,
    NOTICE_PAGE_UNSURE,
    NOTICE_PAGE_FORGED_TITLE,
    NOTICE_PAGE_FORGED,
    NOTICE_PAGE_OLD_TITLE,
    NOTICE_PAGE_OLD,
    N_NOTICES
};

struct notice_args {
    struct str link;     // template of the lure, for people
    struct str person;   // bare JID
    struct str incident; // number
    struct str until;    // a time
    struct str people;   // how many
    struct str number;   // of a question
    struct str words;    // to choose from
};

struct notices;

/* directory: the operator's catalogues (LANGUAGE/LC_MESSAGES/firedoor.mo), or empty.  Files that
 * cannot be read are named in why (ERR_MALFORMED). */
enum err notices_new(struct str directory, struct notices **out, struct why *why) MUST_CHECK;
void notices_free(struct notices **notices);

/* The sentence in the first of these languages there is: lang, its language without region,
 * fallback, English.  Any thread. */
struct str notice_text(const struct notices *notices, struct arena *arena, struct str lang,
                       struct str fallback, enum notice notice, const struct notice_args *args);
/* The same for a sentence that stands where it is said: "the roster is full".  It is its own msgid.
 * *in: the language that it is in now, for xml:lang; may be NULL. */
struct str notice_words(const struct notices *notices, struct arena *arena, struct str lang,
                        struct str fallback, const char *words, const struct notice_args *args,
                        struct str *in);
/* Whether there is a catalogue in this language, with or without its region; English always. */
bool notices_speak(const struct notices *notices, struct str lang);
/* Of the languages in an Accept-Language field (at NULL: none) that there are the one that its
 * sender likes best, else fallback. */
struct str notices_accepted(const struct notices *notices, struct str accepted,
                            struct str fallback);
/* "en, de": those there are. */
struct str notices_languages(const struct notices *notices, struct arena *arena);
/* The language that notice_text would take, for xml:lang. */
struct str notice_lang(const struct notices *notices, struct str lang, struct str fallback);

#endif

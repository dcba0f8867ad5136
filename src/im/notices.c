/*
 * Catalogues are read from gettext's compiled files (.mo) by hand: libintl
 * knows one language a process, and we speak each reader's.
 */
#include "im/notices.h"

#include "base/buf.h"
#include "base/must.h"
#include "base/table.h"
#include "guard/lure.h"
#include "im/notices_shipped.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CATALOGUES_MOST = 64,
    CATALOGUE_MOST = 4 << 20, // bytes of one file
    SENTENCES_MOST = 10000,
    NOTICE_MOST = 16384,
    LANG_MOST = 35,     // RFC 5646 4.4.1
    ACCEPTED_MOST = 16, // of one Accept-Language
};

struct catalogue {
    char lang[LANG_MOST + 1]; // lower case, '-' between parts
    struct str bytes;         // own memory, or shipped
    bool is_shipped;
    struct table sentences; // msgid → struct sentence
    struct sentence {
        struct str id, text;
    } * list;
};

struct notices {
    struct catalogue catalogues[CATALOGUES_MOST]; // the operator's first
    size_t n;
};

// The msgids; translators see these comments.
static const char *const english[N_NOTICES] = {
    [NOTICE_REFUSED_LURE] =
        "This was not delivered: the link or file in it is part of an attack that is "
        "being stopped (incident {incident}). If you did not send it, your device may be infected: "
        "please call your help desk. You can go on chatting.",
    [NOTICE_REFUSED_RESTRICTED] =
        "This was not delivered: your account may not send links or files at present, "
        "because it sent some that belong to an attack. Please call your help desk. Messages "
        "without links arrive as usual.",
    [NOTICE_REFUSED_NO_LINKS] =
        "This was not delivered: links are switched off here by your administrators until "
        "{until}. Messages without links arrive as usual.",
    [NOTICE_REFUSED_NO_FILES] =
        "This was not delivered: files are switched off here by your administrators until "
        "{until}. Messages without files arrive as usual.",
    [NOTICE_REFUSED_NOTHING] =
        "This was not delivered: links and files are switched off here by your "
        "administrators until {until}. Messages without them arrive as usual.",
    [NOTICE_NO_UPLOADS] = "Files are switched off here by your administrators until {until}: none "
                          "is taken before. Messages without files arrive as usual.",
    [NOTICE_REFUSED_TOO_MANY] =
        "This was not delivered: it has more links than may be sent at once.",
    [NOTICE_REFUSED_HELD] =
        "This message was not delivered: it was held because it looked like part of an attack, "
        "and nobody has cleared it since. If you meant to send it, please send it again.",
    [NOTICE_REFUSED_SUSPECTED] =
        "This was not delivered: it looks like part of an attack, and what is of this kind cannot "
        "wait until that is known. Please try again later, or send it in a message.",
    [NOTICE_VICTIM] =
        "A program seems to be sending links or files from your account in your name (incident "
        "{incident}: {link}). They are being stopped. Your account cannot send links or files for "
        "now; chatting works as usual. Please call your help desk to have your device cleaned, and "
        "change your password.",
    [NOTICE_EXPOSED] =
        "A message from {person} was withdrawn. It was sent by a malicious program, not by that "
        "person. If you still see its link ({link}) or file, do not open it. If you have opened "
        "it, please call your help desk now.",
    [NOTICE_RELEASED] = "A message from {person} that was withdrawn by mistake is delivered again.",
    [NOTICE_UNRESTRICTED] = "Your account may send links and files again. Thank you for waiting.",
    [NOTICE_OPERATOR] =
        "Firedoor incident {incident}: {link}. See: firedoorctl incident show {incident}",
    [NOTICE_ASK] =
        "Did you mean to send {link} to {people} people? It looks like what a malicious program "
        "sends in people's names, so it may be waiting. Please answer here until {until}: "
        "\"yes {number}\" if you sent it yourself, \"no {number}\" if you did not. (Question "
        "{number} of this server.)",
    [NOTICE_PUZZLE] =
        "Since a program on your device could answer for you, add the two of these words that name "
        "animals: {words}. Or answer on another of your devices.",
    [NOTICE_PUZZLE_WORDS] = "dog cat horse cow sheep goat duck mouse lion bear",
    [NOTICE_PUZZLE_OTHERS] = "red chair seven river bread green window stone yellow spoon",
    [NOTICE_YES] = "yes",
    [NOTICE_NO] = "no",
    [NOTICE_ASK_TITLE] = "Did you send this?",
    [NOTICE_ASK_FIELD] = "I meant to send it",
    [NOTICE_PUZZLE_FIELD] = "The two animals",
    [NOTICE_ANSWER_UNCLEAR] =
        "This was not understood. Please answer \"yes {number}\" or \"no {number}\".",
    [NOTICE_ANSWER_ELSEWHERE] = "This came from the device that sent the link, where a program "
                                "could answer for you. Please "
                                "answer on another of your devices, which has been asked.",
    [NOTICE_ANSWER_WRONG] =
        "These were not the two words. Please answer on another of your devices, or call your help "
        "desk.",
    [NOTICE_ANSWER_YES] = "Thank you. What was waiting is on its way.",
    [NOTICE_ANSWER_NO] =
        "Thank you. What a program sent in your name is being taken back. Please call your help "
        "desk to have your device cleaned, and change your password.",
    [NOTICE_ANSWER_YES_LATE] =
        "Thank you. The link may go now. Your answer came late: what you had sent to {people} "
        "people has returned to you. Please send it again.",
    [NOTICE_ANSWER_YES_AGAIN] =
        "Thank you. What was taken back is on its way again. What has returned to you meanwhile, "
        "please send again.",
    [NOTICE_ANSWER_YES_WAITS] =
        "Thank you. Others send the same link to many people and are asked as well; what you sent "
        "waits for their answer.",
    [NOTICE_ASK_LATE] =
        "You were asked whether you meant to send {link} to {people} people, and there was no "
        "answer in time; what you sent has returned to you. You can still answer here until "
        "{until}: \"yes {number}\" if you sent it yourself (then please send it again), \"no "
        "{number}\" if you did not. (Question {number} of this server.)",
    [NOTICE_ASK_OVER] = "Question {number} needs no answer any more.",
    [NOTICE_REFUSED_UNANSWERED] =
        "This message was not delivered: you were asked whether you meant to send its link to so "
        "many people, and there was no answer in time. If you meant to, please answer the question "
        "and send it again.",
    [NOTICE_REFUSED_UNDECIDED] =
        "This message was not delivered, or taken back again after it was: its link was sent to "
        "many people at once, and nobody has said, or not in time, whether that was meant. If you "
        "meant to send it, please answer if you are asked, or send it again later.",
    [NOTICE_REFUSED_DENIED] =
        "This message was not delivered: you said that you did not send it. Please call your help "
        "desk to have your device cleaned.",
    [NOTICE_REFUSED_ENCRYPTED] =
        "This message was not delivered: your account sends encrypted messages to one person after "
        "another without a pause, as a malicious program does. If you did not send them, your "
        "device may be infected: please call your help desk (incident {incident}). What you write "
        "to people you talk with arrives as usual.",
    [NOTICE_ENCRYPTED] = "an encrypted message",
    [NOTICE_REFUSED_CROWDED] =
        "This message was not delivered: so many messages of yours wait already to be cleared. "
        "Please answer the question that you were sent, or send it again later.",
    [NOTICE_PAGE_WARN_TITLE] = "Be careful with this link",
    [NOTICE_PAGE_WARN] =
        "It has the look of something that a malicious program sends in people's names, though "
        "this is not certain. Do not enter a password there and do not start anything from there. "
        "Go on only if you have asked the person who sent it, and that person did mean to.",
    [NOTICE_PAGE_GO_ON] = "Go on to {link}",
    [NOTICE_PAGE_BLOCK_TITLE] = "This link was stopped",
    [NOTICE_PAGE_BLOCK] =
        "It leads to something that a malicious program sends in people's names. Do not open it in "
        "another way. If you have opened it before, please call your help desk now.",
    [NOTICE_PAGE_UNSURE_TITLE] = "This link cannot be checked at the moment",
    [NOTICE_PAGE_UNSURE] = "Please try again in a few minutes.",
    [NOTICE_PAGE_FORGED_TITLE] = "This link leads nowhere",
    [NOTICE_PAGE_FORGED] = "It was not made by this server, or it was not copied completely.",
    [NOTICE_PAGE_OLD_TITLE] = "This link is too old",
    [NOTICE_PAGE_OLD] = "Open the conversation that it came with once more, or ask for it again.",
};

/* ---- Reading a .mo file (gettext manual, "The Format of GNU MO Files") ---- */

static uint32_t word_at(struct str bytes, size_t at, bool swapped)
{
    uint32_t word;
    memcpy(&word, bytes.at + at, sizeof word);
    return swapped ? __builtin_bswap32(word) : word;
}

static bool text_at(struct str bytes, size_t table, uint32_t i, bool swapped, struct str *out)
{
    uint32_t len = word_at(bytes, table + (size_t)i * 8, swapped);
    uint32_t at = word_at(bytes, table + (size_t)i * 8 + 4, swapped);
    if (at > bytes.len || len > bytes.len - at)
        return false;
    *out = str_make(bytes.at + at, len);
    return str_is_utf8(*out);
}

static enum err read_mo(struct catalogue *catalogue)
{
    struct str bytes = catalogue->bytes;
    if (bytes.len < 28)
        return ERR_MALFORMED;
    uint32_t magic = word_at(bytes, 0, false);
    bool swapped = magic == 0xDE120495;
    if (magic != 0x950412DE && !swapped)
        return ERR_MALFORMED;
    uint32_t n = word_at(bytes, 8, swapped);
    uint32_t ids = word_at(bytes, 12, swapped), texts = word_at(bytes, 16, swapped);
    if (n > SENTENCES_MOST || ids > bytes.len || texts > bytes.len ||
        (size_t)n * 8 > bytes.len - ids || (size_t)n * 8 > bytes.len - texts)
        return ERR_MALFORMED;
    table_init(&catalogue->sentences, SENTENCES_MOST);
    catalogue->list = calloc(n + 1, sizeof *catalogue->list);
    must(catalogue->list != NULL);
    for (uint32_t i = 0; i < n; i++) {
        struct sentence *sentence = &catalogue->list[i];
        if (!text_at(bytes, ids, i, swapped, &sentence->id) ||
            !text_at(bytes, texts, i, swapped, &sentence->text))
            return ERR_MALFORMED;
        if (sentence->id.len > 0 && sentence->text.len > 0 &&
            table_put(&catalogue->sentences, sentence->id, sentence) == ERR_LIMIT)
            return ERR_MALFORMED;
    }
    return OK;
}

/* ---- Finding catalogues ---- */

static void set_lang(struct catalogue *catalogue, struct str lang)
{
    size_t n = lang.len < LANG_MOST ? lang.len : LANG_MOST;
    for (size_t i = 0; i < n; i++) {
        char c = lang.at[i];
        catalogue->lang[i] = (char)(c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    catalogue->lang[n] = '\0';
}

static enum err read_file(const char *path, struct str *out, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return why_say(why, errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", path,
                       strerror(errno));
    struct stat st;
    char *bytes = NULL;
    ssize_t n = -1;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size <= CATALOGUE_MOST) {
        bytes = malloc((size_t)st.st_size);
        must(bytes != NULL);
        n = read(fd, bytes, (size_t)st.st_size);
    }
    close(fd);
    if (n <= 0) {
        free(bytes);
        return why_say(why, ERR_MALFORMED, "%s: no message catalogue", path);
    }
    *out = str_make(bytes, (size_t)n);
    return OK;
}

static enum err add_file(struct notices *notices, const char *path, struct str lang,
                         struct why *why)
{
    struct catalogue *catalogue = &notices->catalogues[notices->n];
    enum err e = read_file(path, &catalogue->bytes, why);
    if (e == ERR_MISSING)
        return OK; // a language without our catalogue
    if (e != OK)
        return e;
    notices->n++;
    set_lang(catalogue, lang);
    if (read_mo(catalogue) != OK)
        return why_say(why, ERR_MALFORMED, "%s: no message catalogue (.mo) of UTF-8", path);
    return OK;
}

static enum err add_directory(struct notices *notices, struct str directory, struct why *why)
{
    char path[4096];
    if (str_to_z(directory, path, sizeof path) != OK)
        return why_say(why, ERR_MALFORMED, "notices.catalogues: the path is too long");
    DIR *dir = opendir(path);
    if (dir == NULL)
        return why_say(why, ERR_IO, "notices.catalogues: %s: %s", path, strerror(errno));
    enum err e = OK;
    struct dirent *entry;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this directory stream
    while (e == OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || notices->n == CATALOGUES_MOST)
            continue;
        char file[8192];
        snprintf(file, sizeof file, "%s/%s/LC_MESSAGES/firedoor.mo", path, entry->d_name);
        e = add_file(notices, file, str_of(entry->d_name), why);
    }
    closedir(dir);
    return e;
}

enum err notices_new(struct str directory, struct notices **out, struct why *why)
{
    struct notices *notices = calloc(1, sizeof *notices);
    must(notices != NULL);
    enum err e = directory.len > 0 ? add_directory(notices, directory, why) : OK;
    for (size_t i = 0; i < notices_n_shipped && notices->n < CATALOGUES_MOST && e == OK; i++) {
        struct catalogue *catalogue = &notices->catalogues[notices->n++];
        catalogue->is_shipped = true;
        catalogue->bytes = str_make((const char *)notices_shipped[i].bytes, notices_shipped[i].len);
        set_lang(catalogue, str_of(notices_shipped[i].lang));
        must(read_mo(catalogue) == OK);
    }
    if (e != OK)
        notices_free(&notices);
    else
        *out = notices;
    return e;
}

void notices_free(struct notices **notices)
{
    struct notices *n = TAKE(*notices);
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->n; i++) {
        table_done(&n->catalogues[i].sentences);
        free(n->catalogues[i].list);
        if (!n->catalogues[i].is_shipped)
            free((char *)n->catalogues[i].bytes.at);
    }
    free(n);
}

/* ---- Speaking ---- */

static const struct catalogue *find_exact(const struct notices *notices, struct str lang,
                                          struct str id)
{
    for (size_t i = 0; i < notices->n; i++)
        if (str_eq_nocase(str_of(notices->catalogues[i].lang), lang) &&
            (id.len == 0 || table_get(&notices->catalogues[i].sentences, id) != NULL))
            return &notices->catalogues[i];
    return NULL;
}

// RFC 4647 3.4: the tag, then shorter and shorter.
static const struct catalogue *look_up(const struct notices *notices, struct str lang,
                                       struct str id)
{
    while (lang.len > 0) {
        const struct catalogue *found = find_exact(notices, lang, id);
        if (found != NULL)
            return found;
        while (lang.len > 0 && lang.at[lang.len - 1] != '-')
            lang.len--;
        if (lang.len > 0)
            lang.len--;
    }
    return NULL;
}

static bool is_english(struct str lang)
{
    return lang.len >= 2 && str_eq_nocase(str_first(lang, 2), STR("en")) &&
           (lang.len == 2 || lang.at[2] == '-');
}

bool notices_speak(const struct notices *notices, struct str lang)
{
    return is_english(lang) || look_up(notices, lang, STR_EMPTY) != NULL;
}

static int quality_of(struct str parameters)
{
    struct str q = str_trim(parameters);
    if (!str_starts(q, STR("q=")))
        return 1000;
    q = str_skip(q, 2);
    int value = q.len > 0 && q.at[0] == '1' ? 1000 : 0;
    for (size_t i = 2, scale = 100; i < q.len && scale > 0 && value < 1000; i++, scale /= 10)
        if (q.at[i] >= '0' && q.at[i] <= '9')
            value += (q.at[i] - '0') * (int)scale;
    return value;
}

// RFC 9110 §12.5.4.
struct str notices_accepted(const struct notices *notices, struct str accepted, struct str fallback)
{
    struct str best = fallback;
    int best_quality = 0;
    size_t n = 0;
    for (struct str rest = accepted; rest.at != NULL && n < ACCEPTED_MOST; n++) {
        struct str parameters = str_cut(&rest, ',');
        struct str lang = str_trim(str_cut(&parameters, ';'));
        int quality = parameters.at != NULL ? quality_of(parameters) : 1000;
        if (quality > best_quality && lang.len > 0 && lang.len <= LANG_MOST &&
            notices_speak(notices, lang)) {
            best = lang;
            best_quality = quality;
        }
    }
    return best;
}

struct str notices_languages(const struct notices *notices, struct arena *arena)
{
    struct str all = STR("en");
    for (size_t i = 0; i < notices->n; i++) {
        struct str lang = str_of(notices->catalogues[i].lang);
        // an operator's goes before ours of the same language
        if (!str_eq(lang, STR("en")) &&
            find_exact(notices, lang, STR_EMPTY) == &notices->catalogues[i])
            all = arena_printf(arena, "%.*s, %.*s", STR_ARGS(all), STR_ARGS(lang));
    }
    return all;
}

static const struct catalogue *choose(const struct notices *notices, struct str lang,
                                      struct str fallback, struct str id)
{
    const struct catalogue *found = look_up(notices, lang, id);
    if (found == NULL && !is_english(lang))
        found = look_up(notices, fallback, id);
    return found;
}

static void fill_in(struct buf *out, struct str text, const struct notice_args *args)
{
    const struct {
        struct str name, value;
    } words[] = {
        {STR("{link}"),     args->link    },
        {STR("{person}"),   args->person  },
        {STR("{incident}"), args->incident},
        {STR("{until}"),    args->until   },
        {STR("{people}"),   args->people  },
        {STR("{number}"),   args->number  },
        {STR("{words}"),    args->words   },
    };
    while (text.len > 0) {
        size_t plain = str_find_char(text, '{');
        buf_add(out, str_first(text, plain));
        text = str_skip(text, plain);
        size_t used = text.len > 0 ? 1 : 0;
        struct str piece = str_first(text, used);
        for (size_t i = 0; i < COUNT_OF(words); i++)
            if (str_starts(text, words[i].name)) {
                piece = words[i].value;
                used = words[i].name.len;
            }
        if (piece.len > 0)
            buf_add(out, piece);
        text = str_skip(text, used);
    }
}

struct str notice_text(const struct notices *notices, struct arena *arena, struct str lang,
                       struct str fallback, enum notice notice, const struct notice_args *args)
{
    return notice_words(notices, arena, lang, fallback, english[notice], args, NULL);
}

struct str notice_words(const struct notices *notices, struct arena *arena, struct str lang,
                        struct str fallback, const char *words, const struct notice_args *args,
                        struct str *in)
{
    struct str id = str_of(words), text = id;
    const struct catalogue *catalogue = choose(notices, lang, fallback, id);
    if (in != NULL)
        *in = catalogue != NULL ? str_of(catalogue->lang) : STR("en");
    if (catalogue != NULL) {
        const struct sentence *sentence = table_get(&catalogue->sentences, id);
        text = sentence->text;
    }
    struct buf out;
    struct notice_args own = args != NULL ? *args : (struct notice_args){.link = STR_EMPTY};
    if (str_eq(own.link, STR(LURE_SEALED_SHOWN)))
        own.link = notice_text(notices, arena, lang, fallback, NOTICE_ENCRYPTED, NULL);
    buf_init(&out, NOTICE_MOST);
    fill_in(&out, text, &own);
    struct str filled = arena_str(arena, buf_str(&out));
    buf_done(&out);
    return filled;
}

struct str notice_lang(const struct notices *notices, struct str lang, struct str fallback)
{
    // any sentence will do: a catalogue that has one is taken for all it has
    const struct catalogue *catalogue =
        choose(notices, lang, fallback, str_of(english[NOTICE_EXPOSED]));
    return catalogue != NULL ? str_of(catalogue->lang) : STR("en");
}

/*
 * firedoorctl: an operator's words, as requests to the running server.
 *
 * The commands are the server's: it is asked for its table, and the words on the
 * command line are matched with it, so this program never lags behind.
 * Passwords come from the terminal or standard input, never from the command
 * line, which every user of the machine can read.
 */
#include "ctl/show.h"
#include "ctl/talk.h"

#include "base/base64.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

// What scripts rely on; firedoorctl(1) lists them.
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_MISSING = 4,
    EXIT_EXISTS = 5,
    EXIT_DENIED = 6,
    EXIT_BUSY = 7,
    EXIT_PARTLY = 8,
};

static const char usage[] =
    "usage: firedoorctl [--socket PATH] [--json] COMMAND [ARGUMENT]...\n"
    "\n"
    "  --socket PATH      control socket (default: $FIREDOOR_SOCKET, var/control.sock beside the\n"
    "                     build directory, /run/firedoor/control.sock)\n"
    "  --json             answers as JSON, for scripts\n"
    "  --password-stdin   reads a password from the first line of standard input\n"
    "  --output FILE      where an export or a picture is written (default: standard output)\n"
    "  --quiet            no progress\n"
    "  --version, --help\n"
    "\n"
    "firedoorctl help lists the server's commands, firedoorctl help COMMAND explains one.\n";

struct session {
    struct talk talk;
    bool json, quiet, password_stdin;
    int64_t shown_us; // when progress was shown last
    const char *socket, *output;
    json_t *table; // of commands
};

/* ---- where the server is ---- */

static bool is_socket(const char *path)
{
    struct stat stat_of;
    return stat(path, &stat_of) == 0 && S_ISSOCK(stat_of.st_mode);
}

static const char *find_socket(char path[PATH_MAX])
{
    const char *given = getenv("FIREDOOR_SOCKET"); // NOLINT: one thread
    if (given != NULL && given[0] != '\0')
        return given;
    // build/firedoorctl talks to the instance of `make up`, which lives in var/ beside build/
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);
    for (int up = 0; up < 2 && n > 0; up++)
        while (n > 0 && path[--n] != '/')
            ;
    if (n > 0) {
        snprintf(path + n, 64, "/var/control.sock");
        if (is_socket(path))
            return path;
    }
    return "/run/firedoor/control.sock";
}

/* ---- one request ---- */

static int exit_of(const char *error)
{
    static const struct {
        const char *error;
        int status;
    } table[] = {
        {"missing",   EXIT_MISSING    },
        {"exists",    EXIT_EXISTS     },
        {"denied",    EXIT_DENIED     },
        {"malformed", EXIT_USAGE      },
        {"busy",      EXIT_BUSY       },
        {"closed",    EXIT_UNREACHABLE},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].error, error) == 0)
            return table[i].status;
    return EXIT_FAILED;
}

// Says why nothing came of it, in the form that was asked for; the exit status.
static int refuse(const struct session *session, enum err e, const char *text)
{
    if (session->json) {
        json_t *answer =
            json_pack("{s:b, s:s, s:s}", "ok", 0, "error", err_name(e), "message", text);
        json_dumpf(answer, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
        json_decref(answer);
    } else {
        fprintf(stderr, "firedoorctl: %s\n", text);
    }
    return exit_of(err_name(e));
}

static enum err write_data(FILE *out, const json_t *line, struct why *why)
{
    struct arena arena;
    arena_init(&arena, LINE_MAX + (4 << 20));
    const json_t *data = json_object_get(line, "data");
    struct str bytes;
    enum err e = base64_decode(&arena, str_make(json_string_value(data), json_string_length(data)),
                               2 << 20, &bytes);
    if (e == OK && fwrite(bytes.at, 1, bytes.len, out) != bytes.len)
        e = why_say(why, ERR_IO, "writing: %s", strerror(errno));
    arena_done(&arena);
    return e;
}

// Hears until the answer.  n_data: how many pieces of data came; may be NULL where none can.
static enum err hear_answer(struct session *session, FILE *data, size_t *n_data, bool progress,
                            json_t **out, struct why *why)
{
    for (;;) {
        json_t *line = NULL;
        enum err e = talk_hear(&session->talk, &line, why);
        if (e != OK)
            return e;
        if (json_object_get(line, "ok") != NULL) {
            *out = line;
            return OK;
        }
        if (json_is_string(json_object_get(line, "data")) && data != NULL) {
            e = write_data(data, line, why);
            ++*n_data;
        } else if (progress && json_is_object(json_object_get(line, "progress")))
            show_progress(stderr, json_object_get(line, "progress"), &session->shown_us);
        json_decref(line);
        if (e != OK)
            return e;
    }
}

static enum err ask(struct session *session, const char *command, json_t *arguments, json_t **out,
                    struct why *why)
{
    json_t *line = json_pack("{s:s, s:o}", "command", command, "arguments", arguments);
    enum err e = talk_say(&session->talk, line, why);
    json_decref(line);
    return e == OK ? hear_answer(session, NULL, NULL, false, out, why) : e;
}

/* ---- passwords ---- */

static enum err read_word(FILE *in, char *out, size_t size, struct why *why)
{
    if (fgets(out, (int)size, in) == NULL)
        return why_say(why, ERR_MALFORMED, "no password was given");
    size_t len = strlen(out);
    if (len > 0 && out[len - 1] == '\n')
        out[--len] = '\0';
    else if (!feof(in)) // a beginning of it would be another password
        return why_say(why, ERR_MALFORMED, "the password is too long");
    return len > 0 ? OK : why_say(why, ERR_MALFORMED, "the password is empty");
}

static enum err ask_terminal(FILE *terminal, const char *question, char *out, size_t size,
                             struct why *why)
{
    struct termios seen, hidden;
    int fd = fileno(terminal);
    if (tcgetattr(fd, &seen) != 0)
        return why_say(why, ERR_IO, "terminal: %s", strerror(errno));
    hidden = seen;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(fd, TCSAFLUSH, &hidden); // before the question: what answers it is not shown
    fputs(question, terminal);
    fflush(terminal);
    enum err e = read_word(terminal, out, size, why);
    tcsetattr(fd, TCSAFLUSH, &seen);
    fputc('\n', terminal);
    return e;
}

static enum err read_password(const struct session *session, char out[2048], struct why *why)
{
    if (session->password_stdin)
        return read_word(stdin, out, 2048, why);
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL)
        return why_say(why, ERR_MALFORMED,
                       "there is no terminal to ask for a password: use --password-stdin");
    char again[2048];
    enum err e = ask_terminal(terminal, "Password: ", out, 2048, why);
    if (e == OK)
        e = ask_terminal(terminal, "Again: ", again, sizeof again, why);
    if (e == OK && strcmp(out, again) != 0)
        e = why_say(why, ERR_MALFORMED, "the two passwords differ");
    explicit_bzero(again, sizeof again);
    fclose(terminal);
    return e;
}

/* ---- words and commands ---- */

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

// The command whose name is the longest beginning of the words; *n_words: how many it took.
static const json_t *match_command(const json_t *table, char **words, int n, int *n_words)
{
    const json_t *best = NULL, *command;
    size_t i;
    *n_words = 0;
    json_array_foreach(table, i, command)
    {
        struct str rest = str_of(text_in(command, "name"));
        int at = 0;
        bool fits = true;
        while (rest.at != NULL && fits) {
            struct str word = str_cut(&rest, ' ');
            fits = at < n && str_eq(word, str_of(words[at]));
            at += fits;
        }
        if (fits && at > *n_words) {
            best = command;
            *n_words = at;
        }
    }
    return best;
}

static void print_usage(FILE *out, const json_t *command)
{
    fprintf(out, "firedoorctl %s", text_in(command, "name"));
    size_t i;
    const json_t *argument, *arguments = json_object_get(command, "arguments");
    json_array_foreach(arguments, i, argument)
    {
        bool required = json_is_true(json_object_get(argument, "required"));
        bool positional = json_is_true(json_object_get(argument, "positional"));
        const char *choices = text_in(argument, "choices");
        const char *shown = choices[0] != '\0' ? choices : text_in(argument, "name");
        if (strcmp(text_in(argument, "kind"), "secret") == 0)
            fprintf(out, " [--%s-stdin]", text_in(argument, "name"));
        else if (positional)
            fprintf(out, required ? " %s" : " [%s]", shown);
        else if (strcmp(text_in(argument, "kind"), "flag") == 0)
            fprintf(out, " [--%s]", text_in(argument, "name"));
        else
            fprintf(out, required ? " --%s %s" : " [--%s %s]", text_in(argument, "name"),
                    choices[0] != '\0' ? choices : text_in(argument, "kind"));
    }
    if (json_is_true(json_object_get(command, "reads")))
        fputs(" FILE", out);
    if (json_is_true(json_object_get(command, "writes")))
        fputs(" [--output FILE]", out);
    fputc('\n', out);
}

static void explain(const json_t *command)
{
    print_usage(stdout, command);
    printf("\n%s\n", text_in(command, "doc"));
    size_t i;
    const json_t *argument;
    json_array_foreach(json_object_get(command, "arguments"), i, argument)
    {
        printf("  %-14s %s\n", text_in(argument, "name"), text_in(argument, "doc"));
    }
}

// Whether the command's name begins with these words; rest: what follows them, at is NULL where
// nothing does.
static bool begins_so(const json_t *command, char **words, int n, struct str *rest)
{
    *rest = str_of(text_in(command, "name"));
    bool fits = true;
    for (int at = 0; at < n && fits; at++)
        fits = rest->at != NULL && str_eq(str_cut(rest, ' '), str_of(words[at]));
    return fits;
}

// The usage of all commands that begin with these words; how many there are.
static size_t suggest(FILE *out, const json_t *table, char **words, int n)
{
    size_t i, n_said = 0;
    const json_t *command;
    json_array_foreach(table, i, command)
    {
        struct str rest;
        if (!begins_so(command, words, n, &rest))
            continue;
        print_usage(out, command);
        n_said++;
    }
    return n_said;
}

static int no_such_command(const struct session *session, const char *word)
{
    struct why why = {""};
    (void)!why_say(&why, ERR_MALFORMED, "there is no command \"%s\"; firedoorctl help lists them",
                   word);
    return refuse(session, ERR_MALFORMED, why.text);
}

// As the answer to "commands": those that begin with these words, or the one that they name.
static int help_json(const struct session *session, char **words, int n)
{
    int used;
    size_t i;
    const json_t *one = match_command(session->table, words, n, &used), *command;
    json_t *list = json_array();
    json_array_foreach(session->table, i, command)
    {
        struct str rest;
        if (begins_so(command, words, n, &rest) || (n > 0 && command == one))
            json_array_append(list, (json_t *)command);
    }
    bool any = json_array_size(list) > 0;
    json_t *answer = json_pack("{s:o}", "commands", list);
    if (any) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        fputc('\n', stdout);
    }
    json_decref(answer);
    return any ? EXIT_DONE : no_such_command(session, words[0]);
}

static int help(const struct session *session, char **words, int n)
{
    if (session->json)
        return help_json(session, words, n);
    int used;
    const json_t *command = match_command(session->table, words, n, &used);
    if (n > 0 && command != NULL) {
        explain(command);
        return EXIT_DONE;
    }
    if (n > 0 && suggest(stdout, session->table, words, n) > 0) // "user"
        return EXIT_DONE;
    size_t i;
    json_array_foreach(session->table, i, command)
    {
        printf("%-18s %s\n", text_in(command, "name"), text_in(command, "doc"));
    }
    return n > 0 ? EXIT_USAGE : EXIT_DONE;
}

// What may follow these words, for completion: one word a line.
static int complete(const struct session *session, char **words, int n)
{
    int used;
    size_t i;
    const json_t *command = match_command(session->table, words, n, &used), *argument;
    json_array_foreach(json_object_get(command, "arguments"), i, argument)
    {
        const char *choices = text_in(argument, "choices");
        if (!json_is_true(json_object_get(argument, "positional")))
            printf("--%s%s\n", text_in(argument, "name"),
                   strcmp(text_in(argument, "kind"), "secret") == 0 ? "-stdin" : "");
        for (struct str rest = str_of(choices); choices[0] != '\0' && rest.at != NULL;) {
            struct str choice = str_cut(&rest, '|');
            printf("%.*s\n", STR_ARGS(choice));
        }
    }
    json_array_foreach(session->table, i, command)
    {
        struct str rest;
        if (begins_so(command, words, n, &rest) && rest.at != NULL) {
            struct str next = str_cut(&rest, ' ');
            printf("%.*s\n", STR_ARGS(next));
        }
    }
    return EXIT_DONE;
}

static const json_t *find_named(const json_t *command, const char *name)
{
    size_t i;
    const json_t *argument;
    json_array_foreach(json_object_get(command, "arguments"), i, argument)
    {
        if (strcmp(text_in(argument, "name"), name) == 0)
            return argument;
    }
    return NULL;
}

// The next positional argument that has no value yet.
static const json_t *next_positional(const json_t *command, const json_t *values)
{
    size_t i;
    const json_t *argument;
    json_array_foreach(json_object_get(command, "arguments"), i, argument)
    {
        if (json_is_true(json_object_get(argument, "positional")) &&
            (json_object_get(values, text_in(argument, "name")) == NULL ||
             json_is_true(json_object_get(argument, "rest"))))
            return argument;
    }
    return NULL;
}

static enum err put_option(const json_t *command, char **words, int n, int *at, json_t *values,
                           struct why *why)
{
    char name[64];
    struct str value = str_of(words[*at] + 2), key = str_cut(&value, '=');
    if (str_to_z(key, name, sizeof name) != OK)
        return why_say(why, ERR_MALFORMED, "%s: what is that?", words[*at]);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    const json_t *argument = find_named(command, name);
    if (argument == NULL)
        return why_say(why, ERR_MALFORMED, "%s has no option --%s", text_in(command, "name"), name);
    if (strcmp(text_in(argument, "kind"), "secret") == 0)
        return why_say(why, ERR_MALFORMED,
                       "a password on the command line can be read by every user of this machine: "
                       "use --%s-stdin",
                       name);
    bool several = json_is_true(json_object_get(argument, "several"));
    if (json_object_get(values, name) != NULL && !several) // of two domains one would be forgotten
        return why_say(why, ERR_MALFORMED, "--%s is given twice", name);
    if (strcmp(text_in(argument, "kind"), "flag") == 0 && value.at == NULL) {
        json_object_set_new(values, name, json_true());
        return OK;
    }
    if (value.at == NULL) {
        if (*at + 1 >= n)
            return why_say(why, ERR_MALFORMED, "--%s: a value is needed", name);
        value = str_of(words[++*at]);
    }
    const json_t *before = json_object_get(values, name);
    json_t *text = before == NULL ? json_stringn(value.at, value.len)
                                  : json_sprintf("%s\n%.*s", json_string_value(before),
                                                 (int)value.len, value.at);
    if (text == NULL)
        return why_say(why, ERR_MALFORMED, "--%s: not UTF-8", name);
    json_object_set_new(values, name, text);
    return OK;
}

static enum err put_word(const json_t *command, const char *word, json_t *values, const char **file,
                         struct why *why)
{
    const json_t *argument = next_positional(command, values);
    if (argument == NULL && json_is_true(json_object_get(command, "reads")) && *file == NULL) {
        *file = word;
        return OK;
    }
    if (argument == NULL)
        return why_say(why, ERR_MALFORMED, "%s: one word too many for %s", word,
                       text_in(command, "name"));
    const char *name = text_in(argument, "name");
    const json_t *before = json_object_get(values, name);
    json_t *text =
        before == NULL ? json_string(word) : json_sprintf("%s %s", json_string_value(before), word);
    if (text == NULL)
        return why_say(why, ERR_MALFORMED, "%s: not UTF-8", name);
    json_object_set_new(values, name, text);
    return OK;
}

static enum err read_words(struct session *session, const json_t *command, char **words, int n,
                           json_t *values, const char **file, struct why *why)
{
    enum err e = OK;
    bool options = true;
    for (int i = 0; i < n && e == OK; i++) {
        if (options && strcmp(words[i], "--") == 0)
            options = false;
        else if (options && strncmp(words[i], "--", 2) == 0)
            e = put_option(command, words, n, &i, values, why);
        else
            e = put_word(command, words[i], values, file, why);
    }
    size_t i;
    const json_t *argument;
    json_array_foreach(json_object_get(command, "arguments"), i, argument)
    {
        const char *name = text_in(argument, "name");
        bool required = json_is_true(json_object_get(argument, "required"));
        if (e != OK || !required || json_object_get(values, name) != NULL)
            continue;
        if (strcmp(text_in(argument, "kind"), "secret") == 0) {
            char password[2048] = "";
            e = read_password(session, password, why);
            json_t *text = e == OK ? json_string(password) : NULL;
            if (e == OK && text == NULL)
                e = why_say(why, ERR_MALFORMED, "the password is not UTF-8");
            if (text != NULL)
                json_object_set_new(values, name, text);
            explicit_bzero(password, sizeof password);
        } else {
            e = why_say(why, ERR_MALFORMED, "%s is needed", name);
        }
    }
    if (e == OK && json_is_true(json_object_get(command, "reads")) && *file == NULL)
        e = why_say(why, ERR_MALFORMED, "a file is needed (- for standard input)");
    return e;
}

/* ---- running one ---- */

static enum err send_file(struct session *session, FILE *in, struct why *why)
{
    static char piece[48 << 10];
    enum err e = OK;
    bool end = false;
    while (!end && e == OK) {
        size_t n = fread(piece, 1, sizeof piece, in);
        end = n < sizeof piece;
        if (end && ferror(in))
            return why_say(why, ERR_IO, "reading: %s", strerror(errno));
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct str text = base64_encode(&arena, str_make(piece, n));
        json_t *line = json_pack("{s:s#, s:b}", "data", text.at, (int)text.len, "end", end);
        e = talk_say(&session->talk, line, why);
        json_decref(line);
        arena_done(&arena);
        while (e == OK && !end && talk_has_word(&session->talk)) {
            json_t *said = NULL;
            e = talk_hear(&session->talk, &said, why);
            if (e != OK)
                break;
            if (json_object_get(said, "ok") != NULL) {
                // the answer before the end: it has failed.  Put back for who waits for it.
                char *answer = json_dumps(said, JSON_COMPACT);
                struct buf rest;
                buf_init(&rest, 64 << 20);
                buf_add(&rest, str_of(answer));
                buf_add_char(&rest, '\n');
                buf_add(&rest, buf_str(&session->talk.in));
                buf_done(&session->talk.in);
                session->talk.in = rest;
                free(answer);
                end = true;
            } else if (!session->quiet && json_object_get(said, "progress") != NULL) {
                show_progress(stderr, json_object_get(said, "progress"), &session->shown_us);
            }
            json_decref(said);
        }
    }
    return e;
}

static int show_answer(const struct session *session, const json_t *answer, FILE *out)
{
    const json_t *result = json_object_get(answer, "result");
    bool ok = json_is_true(json_object_get(answer, "ok"));
    show_progress_end(stderr);
    if (session->json) {
        // scripts get the whole answer where it failed, the result alone where it did not; what
        // is the same once more, in words, is for people
        json_object_del((json_t *)result, "text");
        json_dumpf(ok && result != NULL ? result : answer, out, JSON_INDENT(2));
        fputc('\n', out);
    } else if (json_is_string(json_object_get(result, "text"))) {
        show_text(out, text_in(result, "text"));
    } else if (json_object_size(result) > 0) {
        show_result(out, result);
    }
    if (!ok && !session->json)
        fprintf(stderr, "firedoorctl: %s\n", text_in(answer, "message"));
    if (ok)
        return json_is_true(json_object_get(result, "partly")) ? EXIT_PARTLY : EXIT_DONE;
    return exit_of(text_in(answer, "error"));
}

struct output {
    FILE *file;
    char path[PATH_MAX], temporary[PATH_MAX]; // temporary[0] == '\0': it is written where it lies
};

// What is exported holds credentials: for its owner only, from the first byte.  And it is a file of
// its own until it is whole, so that an export that fails leaves the one before as it was.
static enum err open_output(const char *path, struct output *out, struct why *why)
{
    struct stat stat_of;
    bool exists = realpath(path, out->path) != NULL && stat(out->path, &stat_of) == 0;
    if (!exists && (str_to_z(str_of(path), out->path, sizeof out->path) != OK))
        return why_say(why, ERR_LIMIT, "%s: too long", path);
    if (exists && !S_ISREG(stat_of.st_mode)) { // a pipe, /dev/null
        out->file = fopen(path, "we");
    } else if (snprintf(out->temporary, PATH_MAX, "%s.XXXXXX", out->path) < PATH_MAX) {
        int fd = mkostemp(out->temporary, O_CLOEXEC); // mode 0600
        out->file = fd >= 0 ? fdopen(fd, "w") : NULL;
    } else {
        errno = ENAMETOOLONG;
    }
    return out->file != NULL ? OK : why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
}

// Closes it; wanted: it takes its place, else it never was.
static enum err close_output(struct output *out, bool wanted, struct why *why)
{
    bool has_place = out->temporary[0] != '\0', whole = true;
    if (has_place && wanted)
        whole = fflush(out->file) == 0 && fsync(fileno(out->file)) == 0;
    whole = fclose(out->file) == 0 && whole;
    if (has_place && wanted && whole)
        whole = rename(out->temporary, out->path) == 0;
    int trouble = errno;
    if (has_place && (!wanted || !whole))
        unlink(out->temporary);
    return whole ? OK : why_say(why, ERR_IO, "%s: %s", out->path, strerror(trouble));
}

static int run(struct session *session, const json_t *command, json_t *values, const char *file)
{
    struct why why = {""};
    bool reads = json_is_true(json_object_get(command, "reads"));
    bool writes = json_is_true(json_object_get(command, "writes"));
    FILE *in = stdin, *data = stdout;
    if (reads && strcmp(file, "-") != 0)
        in = fopen(file, "re");
    if (in == NULL) {
        (void)!why_say(&why, ERR_IO, "%s: %s", file, strerror(errno));
        return refuse(session, ERR_IO, why.text);
    }
    struct output output = {0};
    if (writes && session->output != NULL) {
        enum err e = open_output(session->output, &output, &why);
        if (e != OK)
            return refuse(session, e, why.text);
        data = output.file;
    }
    json_t *request =
        json_pack("{s:s, s:O}", "command", text_in(command, "name"), "arguments", values);
    json_t *answer = NULL;
    size_t n_data = 0;
    enum err e = talk_say(&session->talk, request, &why);
    json_decref(request);
    if (e == OK && reads)
        e = send_file(session, in, &why);
    if (e == OK)
        e = hear_answer(session, writes ? data : NULL, &n_data, !session->quiet, &answer, &why);
    int status;
    if (e == OK) {
        // what is written is the data, or the answer where there is none
        bool is_data = n_data == 0 && json_is_true(json_object_get(answer, "ok"));
        FILE *beside = writes && data == stdout && (n_data > 0 || !session->json) ? stderr : stdout;
        status = show_answer(session, answer, is_data ? data : beside);
    } else
        status = refuse(session, e, why.text);
    if (data != stdout) {
        e = close_output(&output, status == EXIT_DONE, &why);
        if (e != OK && status == EXIT_DONE)
            status = refuse(session, e, why.text);
    }
    if (in != stdin)
        fclose(in);
    json_decref(answer);
    return status;
}

static int begin(struct session *session, char **words, int n)
{
    struct why why = {""};
    enum err e = talk_open(&session->talk, session->socket, &why);
    if (e != OK)
        return refuse(session, e, why.text);
    json_t *answer = NULL;
    e = ask(session, "commands", json_object(), &answer, &why);
    if (e != OK)
        return refuse(session, e, why.text);
    session->table = json_incref(json_object_get(json_object_get(answer, "result"), "commands"));
    json_decref(answer);
    if (strcmp(words[0], "help") == 0)
        return help(session, words + 1, n - 1);
    if (strcmp(words[0], "complete") == 0)
        return complete(session, words + 1, n - 1);

    if (strcmp(words[n - 1], "--help") == 0)
        return help(session, words, n - 1);
    int used;
    const json_t *command = match_command(session->table, words, n, &used);
    if (command == NULL) {
        int status = no_such_command(session, words[0]);
        if (!session->json) // perhaps only its second word is missing or wrong
            suggest(stderr, session->table, words, 1);
        return status;
    }
    json_t *values = json_object();
    const char *file = NULL;
    int status;
    if (read_words(session, command, words + used, n - used, values, &file, &why) != OK) {
        status = refuse(session, ERR_MALFORMED, why.text);
        if (!session->json) {
            fputs("usage: ", stderr);
            print_usage(stderr, command);
        }
    } else {
        status = run(session, command, values, file);
    }
    json_decref(values);
    return status;
}

// Our own options, wherever they stand; returns how many words are left, -1 after a mistake.
static int take_options(struct session *session, int argc, char **argv, char **words)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) { // kept after a command, which must know of it too
            i += n == 0;
            while (i < argc)
                words[n++] = argv[i++];
        } else if (strcmp(argv[i], "--json") == 0) {
            session->json = true;
        } else if (strcmp(argv[i], "--quiet") == 0) {
            session->quiet = true;
        } else if (strcmp(argv[i], "--password-stdin") == 0) {
            session->password_stdin = true;
        } else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
            session->socket = argv[++i];
        } else if (strcmp(argv[i], "--output") == 0 && i + 1 < argc) {
            session->output = argv[++i];
        } else {
            words[n++] = argv[i];
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    struct session session = {.talk = {.fd = -1}};
    char **words = calloc((size_t)argc + 1, sizeof *words);
    must(words != NULL);
    int n = take_options(&session, argc, argv, words), status = EXIT_USAGE;
    if (n > 0 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)) {
        fputs(usage, stdout);
        status = EXIT_DONE;
    } else if (n > 0 && strcmp(words[0], "--version") == 0) {
        puts("firedoorctl " FIREDOOR_VERSION);
        status = EXIT_DONE;
    } else if (n == 0 || words[0][0] == '-') {
        if (session.json)
            status = refuse(&session, ERR_MALFORMED, "a command is needed: firedoorctl help");
        else
            fputs(usage, stderr);
    } else {
        if (session.socket == NULL)
            session.socket = find_socket(path);
        status = begin(&session, words, n);
    }
    json_decref(session.table);
    talk_close(&session.talk);
    free(words);
    return fflush(stdout) == 0 ? status : EXIT_FAILED;
}

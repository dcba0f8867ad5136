/*
 * Looking into one file: its type, what an archive holds, what rules say.
 *
 * Runs in a process of its own (helper.c): everything here may be broken by the
 * file it reads.  An archive is listed; of each entry only its first bytes are
 * unpacked, to see whether it is a program.  Only an archive inside it is unpacked
 * whole, into memory, and listed in its turn, so deep and so large as the limits
 * say: entries and unpacked bytes are counted over all of them together.
 */
#include "files/inspector_internal.h"
#include "files/rules_internal.h"

#include "base/arena.h"
#include "guard/lure.h"

#include <archive.h>
#include <archive_entry.h>
#include <magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yara.h>

enum {
    HEAD = 512, // bytes by which a program or an archive is known: a tar says so at 257
    BLOCK = 64 << 10,
    HELD_SHARE = 4, // of the process's memory: what an unpacked archive may take up
};

struct lookers {
    magic_t magic;
    YR_RULES *rules; // NULL: none
    int rule_seconds;
    uint64_t unpacked_most, held_most;
    uint32_t entries_most;
    unsigned depth_most;
};

/* ---- Ready: rules and the database of types ---- */

enum err lookers_new(const struct inspector_options *options, struct lookers **out, struct why *why)
{
    struct lookers *lookers = calloc(1, sizeof *lookers);
    if (lookers == NULL)
        return ERR_IO;
    lookers->rule_seconds = (int)(options->time_us / 1000000) + 1;
    lookers->unpacked_most = options->unpacked_most;
    lookers->held_most = options->memory / HELD_SHARE;
    lookers->entries_most = options->entries_most;
    lookers->depth_most = options->depth_most;
    // what is compressed is looked into by the archive's rules, and nothing is ever unpacked here
    lookers->magic = magic_open(MAGIC_MIME_TYPE | MAGIC_NO_CHECK_COMPRESS);
    enum err e = OK;
    if (lookers->magic == NULL || magic_load(lookers->magic, NULL) != 0)
        e = why_say(why, ERR_IO, "the database of file types: %s",
                    lookers->magic != NULL ? magic_error(lookers->magic) : "no memory");
    if (e == OK)
        (void)!magic_buffer(lookers->magic, "warm", 4); // what it reads late it reads now
    if (e == OK && options->rules != NULL)
        e = rules_compile(options->rules, false, &lookers->rules, why);
    *out = lookers; // for the rest of the process's life
    return e;
}

/* ---- Types ---- */

static bool is_one_of(const char *type, const char *const *types, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool type_is_program(const char *type)
{
    static const char *const types[] = {
        "application/x-dosexec",
        "application/vnd.microsoft.portable-executable",
        "application/x-msdownload",
        "application/x-executable",
        "application/x-pie-executable",
        "application/x-sharedlib",
        "application/x-mach-binary",
        "application/x-ms-shortcut",
        "application/x-msi",
        "application/x-java-applet",
        "application/java-archive",
        "application/vnd.android.package-archive",
        "application/vnd.ms-htmlhelp",
        "text/x-msdos-batch",
        "text/x-shellscript",
        "text/x-powershell",
        "application/hta",
    };
    return is_one_of(type, types, COUNT_OF(types));
}

// What a kernel or a shell would run, by its first bytes.
static bool head_is_program(const unsigned char *head, size_t n)
{
    static const struct {
        size_t len;
        const char *bytes;
    } heads[] = {
        {2, "MZ"                   },
        {4, "\x7F"
            "ELF"       },
        {4, "\xCF\xFA\xED\xFE"     },
        {4, "\xCE\xFA\xED\xFE"     },
        {4, "\xCA\xFE\xBA\xBE"     },
        {8, "L\0\0\0\x01\x14\x02\0"}, // a Windows shortcut
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        if (n >= heads[i].len && memcmp(head, heads[i].bytes, heads[i].len) == 0)
            return true;
    return false;
}

static void find(struct inspection *out, unsigned flags, const char *what)
{
    // the first finding of the worst kind is told, and anything rather than what was not looked
    // into
    const unsigned slight = INSPECTED_ARCHIVE | INSPECTED_UNFINISHED | INSPECTED_NESTED;
    bool worse = (flags & ~out->flags & (INSPECTED_DISGUISED | INSPECTED_MATCHED)) != 0 ||
                 ((out->flags & ~slight) == 0 && (flags & ~slight) != 0);
    if (worse || out->finding[0] == '\0') {
        struct str text = str_of(what != NULL ? what : "");
        size_t n = text.len < sizeof out->finding - 1 ? text.len : sizeof out->finding - 1;
        while (n < text.len && n > 0 && (text.at[n] & 0xC0) == 0x80)
            n--; // not within a character
        memcpy(out->finding, text.at, n);
        out->finding[n] = '\0';
    }
    out->flags |= flags;
}

// An archive within the file.
struct place {
    struct str name;
    const struct place *outer; // that it is in; NULL: the file itself
};

/* "photo.jpg in b.zip in a.zip", as far as there is room; the file's own name is known anyway. */
static void find_in(struct inspection *out, unsigned flags, struct str name,
                    const struct place *place)
{
    char text[sizeof out->finding + NAME_MOST + 1];
    size_t n = 0;
    for (; n < sizeof out->finding; place = place->outer) {
        size_t len = name.len <= NAME_MOST ? name.len : NAME_MOST;
        if (len > sizeof text - 1 - n)
            len = sizeof text - 1 - n;
        memcpy(text + n, name.at, len);
        n += len;
        if (place == NULL || sizeof text - n < sizeof " in ")
            break;
        memcpy(text + n, " in ", 4);
        n += 4;
        name = place->name;
    }
    text[n] = '\0';
    find(out, flags, text);
}

enum content { HARMLESS, SCRIPT, PROGRAM };

static void look_at_name(struct inspection *out, struct str name, enum content content,
                         unsigned inner, const struct place *place)
{
    unsigned named = lure_name_flags(name), flags = 0;
    if (content != HARMLESS || (named & LURE_EXECUTABLE) != 0)
        flags |= INSPECTED_PROGRAM;
    // a script that is named as a text is opened as one
    if ((named & LURE_DISGUISED) != 0 || (content == PROGRAM && lure_name_is_innocent(name)))
        flags |= INSPECTED_DISGUISED;
    if (flags != 0)
        find_in(out, flags | inner, name, place);
}

static void look_at_type(struct lookers *lookers, int fd, struct str name, struct inspection *out)
{
    unsigned char head[HEAD];
    const char *type = lseek(fd, 0, SEEK_SET) == 0 ? magic_descriptor(lookers->magic, fd) : NULL;
    if (type == NULL || type[0] == '\0')
        type = "application/octet-stream";
    snprintf(out->type, sizeof out->type, "%s", type);
    ssize_t n = pread(fd, head, sizeof head, 0);
    bool program = type_is_program(out->type);
    bool script = program && strncmp(out->type, "text/", 5) == 0;
    if (n > 0 && head_is_program(head, (size_t)n))
        program = true;
    look_at_name(out, name, script ? SCRIPT : program ? PROGRAM : HARMLESS, 0, NULL);
}

/* ---- Archives ---- */

static const char *entry_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);
    return name != NULL ? name : archive_entry_pathname(entry);
}

static bool is_named_archive(struct str name)
{
    static const char *const ends[] = {".zip", ".rar", ".7z",  ".tar", ".gz",
                                       ".tgz", ".bz2", ".xz",  ".zst", ".cab",
                                       ".iso", ".img", ".arj", ".lzh", ".ace"};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct str end = str_of(ends[i]);
        if (name.len > end.len && str_eq_nocase(str_skip(name, name.len - end.len), end))
            return true;
    }
    return false;
}

// By its first bytes: what is named .txt may be sent to be renamed.
static bool head_is_archive(struct str head)
{
    static const struct {
        size_t at;
        struct str bytes;
    } marks[] = {
        {0,   STR("PK\3\4")            }, // and every office document
        {0,   STR("Rar!\x1A\7")        },
        {0,   STR("7z\xBC\xAF\x27\x1C")},
        {0,   STR("\x1F\x8B\10")       },
        {4,   STR("1AY&SY")            },
        {0,   STR("\xFD"
                "7zXZ")     },
        {0,   STR("\x28\xB5\x2F\xFD")  },
        {0,   STR("MSCF")              },
        {0,   STR("xar!")              },
        {0,   STR("!<arch>\n")         },
        {257, STR("ustar")             },
    };
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (head.len > marks[i].at && str_starts(str_skip(head, marks[i].at), marks[i].bytes))
            return true;
    return false;
}

// One file and all archives in it.
struct listing {
    const struct lookers *lookers;
    struct inspection *out;
    uint64_t unpacked, held; // bytes: in all, and now
};

static void list_archive(struct listing *listing, struct archive *archive, struct str name,
                         const struct place *place, unsigned depth);

static struct archive *archive_new(void)
{
    struct archive *archive = archive_read_new();
    if (archive == NULL)
        return NULL;
    // named one by one: not those that read anything as an archive, and no filter that would start
    // a program
    archive_read_support_format_zip(archive);
    archive_read_support_format_tar(archive);
    archive_read_support_format_7zip(archive);
    archive_read_support_format_rar(archive);
    archive_read_support_format_rar5(archive);
    archive_read_support_format_cab(archive);
    archive_read_support_format_iso9660(archive);
    archive_read_support_format_lha(archive);
    archive_read_support_format_xar(archive);
    archive_read_support_format_ar(archive);
    archive_read_support_format_cpio(archive);
    // but for what is one compressed file: is_single
    archive_read_support_format_raw(archive);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_lzma(archive);
    archive_read_support_filter_zstd(archive);
    return archive;
}

static bool may_unpack(const struct listing *listing, size_t len)
{
    return listing->unpacked + len <= listing->lookers->unpacked_most &&
           listing->held + len <= listing->lookers->held_most;
}

/* The entry, of which the head is read already.  Own memory; NULL: it is too large, or cannot be
 * unpacked. */
static char *unpack(struct listing *listing, struct archive *archive, struct str head, size_t *len)
{
    size_t room = HEAD + BLOCK, n = head.len;
    char *bytes = malloc(room);
    la_ssize_t got = bytes != NULL ? 1 : -1;
    if (bytes != NULL)
        memcpy(bytes, head.at, head.len);
    while (got > 0) {
        char *more = room - n < BLOCK ? realloc(bytes, room *= 2) : bytes;
        if (more != NULL)
            bytes = more;
        got = more != NULL && may_unpack(listing, n) ? archive_read_data(archive, bytes + n, BLOCK)
                                                     : -1;
        n += got > 0 ? (size_t)got : 0;
    }
    listing->unpacked += n;
    *len = n;
    if (got == 0)
        return bytes;
    free(bytes);
    return NULL;
}

static void look_at_nested(struct listing *listing, struct archive *archive, struct str head,
                           struct str name, const struct place *place, unsigned depth)
{
    const struct place here = {.name = name, .outer = place};
    uint32_t before = listing->out->n_entries;
    size_t len;
    char *bytes =
        depth < listing->lookers->depth_most ? unpack(listing, archive, head, &len) : NULL;
    struct archive *inner = bytes != NULL ? archive_new() : NULL;
    if (inner != NULL) {
        listing->held += len;
        if (archive_read_open_memory(inner, bytes, len) == ARCHIVE_OK)
            list_archive(listing, inner, name, &here, depth + 1);
        listing->held -= len;
    }
    archive_read_free(inner);
    free(bytes);
    if (listing->out->n_entries == before)
        find_in(listing->out, INSPECTED_NESTED, name, place);
}

static void look_at_entry(struct listing *listing, struct archive *archive,
                          struct archive_entry *entry, struct str name, const struct place *place,
                          unsigned depth)
{
    struct inspection *out = listing->out;
    char bytes[HEAD];
    bool encrypted = archive_entry_is_encrypted(entry) == 1;
    if (encrypted)
        find_in(out, INSPECTED_ENCRYPTED, name, place);
    if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != 0)
        return;
    la_ssize_t n = encrypted ? 0 : archive_read_data(archive, bytes, sizeof bytes);
    struct str head = str_make(bytes, n > 0 ? (size_t)n : 0);
    // the macros of an office document are a program behind the name of a text
    bool macros = str_ends(name, STR("vbaProject.bin"));
    if (macros)
        find_in(out, INSPECTED_PROGRAM | INSPECTED_INNER, name, place);
    bool program = head_is_program((const unsigned char *)head.at, head.len);
    look_at_name(out, name, program ? PROGRAM : HARMLESS, INSPECTED_INNER, place);
    if (!encrypted && (head_is_archive(head) || is_named_archive(name)))
        look_at_nested(listing, archive, head, name, place, depth);
}

// What is compressed and no archive: its name is that of the file, without the ending.
static bool is_single(struct archive *archive)
{
    return archive_format(archive) == ARCHIVE_FORMAT_RAW;
}

static struct str without_ending(struct str name)
{
    size_t dot = name.len;
    while (dot > 0 && name.at[dot - 1] != '.')
        dot--;
    return dot > 1 ? str_first(name, dot - 1) : name;
}

static void list_archive(struct listing *listing, struct archive *archive, struct str name,
                         const struct place *place, unsigned depth)
{
    const struct lookers *lookers = listing->lookers;
    struct inspection *out = listing->out;
    struct archive_entry *entry;
    uint32_t before = out->n_entries;
    for (;;) {
        int got = archive_read_next_header(archive, &entry);
        if (got == ARCHIVE_EOF)
            break;
        if (got != ARCHIVE_OK && got != ARCHIVE_WARN) {
            // no archive at all, or one that ends too early
            out->flags |= out->n_entries > before ? INSPECTED_UNFINISHED : 0;
            break;
        }
        if (is_single(archive) && archive_filter_code(archive, 0) == ARCHIVE_FILTER_NONE)
            break; // anything
        const char *named = entry_name(entry);
        out->flags |= INSPECTED_ARCHIVE;
        out->n_entries++;
        look_at_entry(listing, archive, entry,
                      is_single(archive) ? without_ending(name)
                                         : str_of(named != NULL ? named : ""),
                      place, depth);
        uint64_t unpacked =
            (uint64_t)archive_filter_bytes(archive, 0) + (depth > 0 ? listing->unpacked : 0);
        if (unpacked > lookers->unpacked_most || out->n_entries >= lookers->entries_most) {
            out->flags |= INSPECTED_UNFINISHED;
            break;
        }
        if (is_single(archive)) // nothing follows, and its bytes need not be unpacked to see that
            break;
    }
    if (archive_read_has_encrypted_entries(archive) == 1)
        out->flags |= INSPECTED_ENCRYPTED;
}

static void look_at_archive(struct lookers *lookers, int fd, struct str name,
                            struct inspection *out)
{
    struct listing listing = {.lookers = lookers, .out = out};
    struct archive *archive = archive_new();
    if (archive != NULL && lseek(fd, 0, SEEK_SET) == 0 &&
        archive_read_open_fd(archive, fd, BLOCK) == ARCHIVE_OK)
        list_archive(&listing, archive, name, NULL, 0);
    archive_read_free(archive);
}

/* ---- Rules ---- */

static int on_rule(YR_SCAN_CONTEXT *scan, int message, void *data, void *context)
{
    struct inspection *out = context;
    YR_RULE *rule = data;
    (void)scan;
    if (message != CALLBACK_MSG_RULE_MATCHING)
        return CALLBACK_CONTINUE;
    find(out, rule_suspects(rule) ? INSPECTED_SUSPECTED : INSPECTED_MATCHED, rule->identifier);
    return CALLBACK_CONTINUE;
}

static bool look_with_rules(struct lookers *lookers, int fd, struct str name,
                            struct inspection *out)
{
    YR_SCANNER *scanner;
    char named[NAME_MOST + 1];
    if (yr_scanner_create(lookers->rules, &scanner) != ERROR_SUCCESS)
        return false;
    if (str_to_z(name, named, sizeof named) == OK)
        yr_scanner_define_string_variable(scanner, "filename", named);
    yr_scanner_set_callback(scanner, on_rule, out);
    yr_scanner_set_timeout(scanner, lookers->rule_seconds);
    int got = yr_scanner_scan_fd(scanner, fd);
    yr_scanner_destroy(scanner);
    return got == ERROR_SUCCESS;
}

bool lookers_look(struct lookers *lookers, int fd, struct str name, struct inspection *out)
{
    struct stat stat_of;
    look_at_type(lookers, fd, name, out);
    look_at_archive(lookers, fd, name, out);
    bool empty = fstat(fd, &stat_of) == 0 && stat_of.st_size == 0;
    return lookers->rules == NULL || empty || look_with_rules(lookers, fd, name, out);
}

#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "files/inspector.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char program[] = "MZ\x90\0\3\0\0\0\4\0\0\0\xFF\xFF\0\0 this program cannot be run";
static const char png[] = "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\2\0\0\0\x90wS\xDE";

static char folder[] = "/tmp/inspector-XXXXXX";
static char path[128];

static int file_of(const void *bytes, size_t n)
{
    if (strstr(folder, "XXXXXX") != NULL)
        must(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    return fd;
}

static const char *rules_of(const char *text)
{
    static char rules[128];
    close(file_of("", 0));
    snprintf(rules, sizeof rules, "%s/rules.yar", folder);
    FILE *file = fopen(rules, "w");
    must(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    return rules;
}

static struct inspector *inspector_of(const char *rules, uint64_t unpacked_most)
{
    struct why why = {""};
    struct inspector *inspector = NULL;
    enum err e = inspector_start(
        &(struct inspector_options){
            .rules = rules,
            .time_us = 5 * SECOND_US,
            .memory = (uint64_t)512 << 20,
            .unpacked_most = unpacked_most,
            .entries_most = 1000,
            .depth_most = 3,
        },
        &inspector, &why);
    if (e != OK)
        fprintf(stderr, "%s\n", why.text);
    must(e == OK);
    return inspector;
}

static struct inspection look(struct inspector *inspector, int fd, const char *name)
{
    struct inspection inspection;
    struct why why = {""};
    enum err e = inspector_look(inspector, fd, str_of(name), &inspection, &why);
    if (e != OK)
        fprintf(stderr, "%s: %s\n", name, why.text);
    must(e == OK);
    close(fd);
    return inspection;
}

TEST(a_type_is_found_by_content_and_a_disguise_by_both)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    const unsigned all = INSPECTED_PROGRAM | INSPECTED_DISGUISED;
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *type; // NULL: whatever the database says
        unsigned flags;
    } cases[] = {
        {"a.png",                  png,               sizeof png,     "image/png",  0                },
        {"a.exe",                  program,           sizeof program, NULL,         INSPECTED_PROGRAM},
        {"a.png",                  program,           sizeof program, NULL,         all              },
        {"holiday.pdf.",           program,           sizeof program, NULL,         all              },
        {"a",                      program,           sizeof program, NULL,         INSPECTED_PROGRAM},
        {"a.txt",                  "hello, world\n",  13,             "text/plain", 0                },
        {"a.jpg.scr",              "hello, world\n",  13,             "text/plain", all              },
        {"a.txt",                  "#!/bin/sh\nls\n", 13,             NULL,         INSPECTED_PROGRAM},
        {"ann\xE2\x80\xAEgpj.exe", program,           sizeof program, NULL,         all              },
        {"a.html",                 "<html>hi</html>", 15,             "text/html",  0                },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct inspection found =
            look(inspector, file_of(cases[i].bytes, cases[i].n), cases[i].name);
        if (found.flags != cases[i].flags)
            fprintf(stderr, "%s: %s flags %x\n", cases[i].name, found.type, found.flags);
        check(found.flags == cases[i].flags);
        if (cases[i].type != NULL)
            check_str(str_of(found.type), str_of(cases[i].type));
    }
    inspector_stop(&inspector);
    check(inspector == NULL);
}

struct entry {
    const char *name, *bytes;
    size_t n;
};

static int archive_of(const struct entry *entries, size_t n, bool tar_gz)
{
    close(file_of("", 0));
    struct archive *archive = archive_write_new();
    if (tar_gz) {
        archive_write_set_format_pax(archive);
        archive_write_add_filter_gzip(archive);
    } else {
        archive_write_set_format_zip(archive);
    }
    must(archive_write_open_filename(archive, path) == ARCHIVE_OK);
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname_utf8(entry, entries[i].name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (int64_t)entries[i].n);
        must(archive_write_header(archive, entry) == ARCHIVE_OK);
        must(archive_write_data(archive, entries[i].bytes, entries[i].n) == (ssize_t)entries[i].n);
        archive_entry_free(entry);
    }
    must(archive_write_free(archive) == ARCHIVE_OK);
    int fd = open(path, O_RDONLY);
    must(fd >= 0);
    return fd;
}

TEST(an_archive_is_listed_and_what_it_hides_is_named)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    static const struct entry harmless[] = {
        {"a.txt", "hello", 5         },
        {"b.png", png,     sizeof png}
    };
    static const struct entry disguised[] = {
        {"a.txt",     "hello", 5             },
        {"photo.jpg", program, sizeof program},
        {"setup.exe", program, sizeof program}
    };
    static const struct entry nested[] = {
        {"inner.zip", "PK", 2}
    };
    static const struct entry both[] = {
        {"inner.zip", "PK",    2             },
        {"setup.exe", program, sizeof program}
    };
    static const struct entry macros[] = {
        {"word/vbaProject.bin", "x", 1}
    };
    for (int tar = 0; tar < 2; tar++) {
        struct inspection found = look(inspector, archive_of(harmless, 2, tar), "a.zip");
        check(found.flags == INSPECTED_ARCHIVE && found.n_entries == 2);
        found = look(inspector, archive_of(disguised, 3, tar), "a.zip");
        check(found.flags ==
              (INSPECTED_ARCHIVE | INSPECTED_PROGRAM | INSPECTED_DISGUISED | INSPECTED_INNER));
        check_str(str_of(found.finding), STR("photo.jpg"));
        found = look(inspector, archive_of(nested, 1, tar), "a.zip");
        check(found.flags == (INSPECTED_ARCHIVE | INSPECTED_NESTED));
        check_str(str_of(found.finding), STR("inner.zip"));
        // what was not looked into is told only where there is nothing worse
        found = look(inspector, archive_of(both, 2, tar), "a.zip");
        check(found.flags ==
              (INSPECTED_ARCHIVE | INSPECTED_NESTED | INSPECTED_PROGRAM | INSPECTED_INNER));
        check_str(str_of(found.finding), STR("setup.exe"));
        found = look(inspector, archive_of(macros, 1, tar), "a.docx");
        check(found.flags == (INSPECTED_ARCHIVE | INSPECTED_PROGRAM | INSPECTED_INNER));
    }
    inspector_stop(&inspector);
}

// What archive_of has just written.
static size_t bytes_of(int fd, char *out, size_t room)
{
    ssize_t n = pread(fd, out, room, 0);
    must(n > 0 && (size_t)n < room);
    close(fd);
    return (size_t)n;
}

TEST(archives_in_archives_are_looked_into_so_deep_as_the_limit_says)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    static char bytes[65536];
    const unsigned hidden =
        INSPECTED_ARCHIVE | INSPECTED_PROGRAM | INSPECTED_DISGUISED | INSPECTED_INNER;
    for (int tar = 0; tar < 2; tar++) {
        struct entry one = {"photo.jpg", program, sizeof program};
        for (unsigned depth = 0; depth < 6; depth++) {
            struct inspection found = look(inspector, archive_of(&one, 1, tar), "a.zip");
            // the innermost is at this depth; three may be unpacked
            check(found.flags == (depth <= 3 ? hidden : INSPECTED_ARCHIVE | INSPECTED_NESTED));
            static const char *const places[] = {
                "photo.jpg", "photo.jpg in notes.txt", "photo.jpg in notes.txt in inner.zip",
                "photo.jpg in notes.txt in inner.zip in notes.txt",
                // the first that was not looked into
                "notes.txt in inner.zip in notes.txt in inner.zip"};
            if (depth < COUNT_OF(places))
                check_str(str_of(found.finding), str_of(places[depth]));
            // known by its bytes, whatever its name
            one.n = bytes_of(archive_of(&one, 1, tar), bytes, sizeof bytes);
            one.bytes = bytes;
            one.name = depth % 2 == 0 ? "notes.txt" : "inner.zip";
        }
    }
    inspector_stop(&inspector);
}

TEST(an_archive_within_that_nobody_reads_is_marked)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    static const struct {
        struct entry entry;
        unsigned more;
    } cases[] = {
        {{"a.arj", "\x60\xEA", 2},                                INSPECTED_NESTED},
        {{"a.rar", "Rar!\x1A\7\1\0 and nothing of the kind", 32}, INSPECTED_NESTED},
        {{"a.txt", "PK\3\4 is how archives begin", 26},           INSPECTED_NESTED},
        {{"a.txt", "PK", 2},                                      0               },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct inspection found = look(inspector, archive_of(&cases[i].entry, 1, false), "a.zip");
        check((found.flags & ~(unsigned)INSPECTED_UNFINISHED) ==
              (INSPECTED_ARCHIVE | cases[i].more));
    }
    inspector_stop(&inspector);
}

TEST(what_is_compressed_alone_is_looked_at_as_what_it_is)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    struct archive *archive = archive_write_new();
    archive_write_set_format_raw(archive);
    archive_write_add_filter_gzip(archive);
    close(file_of("", 0));
    must(archive_write_open_filename(archive, path) == ARCHIVE_OK);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_filetype(entry, AE_IFREG);
    must(archive_write_header(archive, entry) == ARCHIVE_OK);
    must(archive_write_data(archive, program, sizeof program) == (ssize_t)sizeof program);
    archive_entry_free(entry);
    must(archive_write_free(archive) == ARCHIVE_OK);
    struct inspection found = look(inspector, open(path, O_RDONLY), "photo.jpg.gz");
    check(found.flags ==
          (INSPECTED_ARCHIVE | INSPECTED_PROGRAM | INSPECTED_DISGUISED | INSPECTED_INNER));
    inspector_stop(&inspector);
}

TEST(a_bomb_within_is_left_alone)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    size_t n = 8 << 20;
    char *zeros = calloc(1, n);
    must(zeros != NULL);
    memcpy(zeros, "PK\3\4", 4);
    const struct entry entries[] = {
        {"a.zip",     zeros, n},
        {"b.zip",     zeros, n},
        {"setup.exe", "x",   1}
    };
    struct inspection found = look(inspector, archive_of(entries, 3, false), "a.zip");
    // and what stands beside it is still seen
    check((found.flags & (INSPECTED_NESTED | INSPECTED_PROGRAM)) ==
          (INSPECTED_NESTED | INSPECTED_PROGRAM));
    free(zeros);
    inspector_stop(&inspector);
}

TEST(a_bomb_is_left_alone_and_a_broken_archive_is_no_end)
{
    struct inspector *inspector = inspector_of(NULL, 1 << 20);
    size_t n = 64 << 20;
    char *zeros = calloc(1, n);
    must(zeros != NULL);
    const struct entry bomb[] = {
        {"a",         zeros, n},
        {"b",         zeros, n},
        {"setup.exe", "x",   1}
    };
    struct inspection found = look(inspector, archive_of(bomb, 3, true), "a.tgz");
    check((found.flags & INSPECTED_UNFINISHED) != 0 && found.n_entries < 3);
    free(zeros);

    static const struct entry two[] = {
        {"a.txt", "hello", 5},
        {"b.txt", "world", 5}
    };
    int fd = archive_of(two, 2, false);
    must(truncate(path, lseek(fd, 0, SEEK_END) / 2) == 0);
    found = look(inspector, fd, "a.zip");
    check(found.type[0] != '\0');
    inspector_stop(&inspector);
}

TEST(rules_match_and_a_tag_makes_them_a_suspicion)
{
    const char *rules = rules_of("rule worm { strings: $a = \"krvir\" condition: $a }\n"
                                 "rule odd : suspect { strings: $a = \"odd\" condition: $a }\n"
                                 "rule named { condition: filename == \"bad.bin\" }\n");
    struct inspector *inspector = inspector_of(rules, 1 << 20);
    struct inspection found = look(inspector, file_of("xx krvir", 8), "a.txt");
    check(found.flags == INSPECTED_MATCHED);
    check_str(str_of(found.finding), STR("worm"));
    found = look(inspector, file_of("an odd one", 10), "a.txt");
    check(found.flags == INSPECTED_SUSPECTED);
    found = look(inspector, file_of("anything", 8), "bad.bin");
    check(found.flags == INSPECTED_MATCHED);
    found = look(inspector, file_of("anything", 8), "good.bin");
    check(found.flags == 0);
    inspector_stop(&inspector);
}

TEST(a_rule_that_is_wrong_is_named_with_its_line)
{
    struct why why = {""};
    struct inspector *inspector = NULL;
    struct inspector_options options = {
        .rules = rules_of("rule good { condition: true }\nrule bad { condition: $nothing }\n"),
        .time_us = SECOND_US,
    };
    check(inspector_start(&options, &inspector, &why) == ERR_MALFORMED);
    check(strstr(why.text, "rules.yar:2:") != NULL && inspector == NULL);
}

static enum err die_with_the_file(void *context, bool one_file, struct why *why)
{
    (void)context;
    (void)why;
    if (one_file)
        abort();
    return OK;
}

TEST(a_file_that_ends_its_process_ends_nothing_else)
{
    struct why why = {""};
    struct inspector *inspector = NULL;
    struct inspector_options options = {
        .time_us = SECOND_US, .entries_most = 10, .confine = die_with_the_file};
    must(inspector_start(&options, &inspector, &why) == OK);
    for (int i = 0; i < 3; i++) {
        struct inspection found;
        int fd = file_of("x", 1);
        check(inspector_look(inspector, fd, STR("x"), &found, &why) == ERR_LIMIT);
        close(fd);
    }
    inspector_stop(&inspector);
}

/*
 * What looking for lures costs a byte, in texts of several scripts: alone, and with one link at the
 * end, for which the whole text is folded.  Prints, asserts nothing.
 */
#include "guard/lure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_SIZE = 4 << 20, ROUNDS = 3 };

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static const struct {
    const char *name, *words;
} prose[] = {
    {"ASCII",    "the report for tomorrow is in the folder, could you look at it "                                                                                               },
    {"German",   "Könntest du über das Gespräch für morgen früh noch einmal schauen, bitte? "                                                                               },
    {"Cyrillic", "привет, отчёт за вчера лежит в папке, посмотри его пожалуйста до обеда "                              },
    {"Greek",    "καλημέρα, η αναφορά για αύριο είναι στον φάκελο, μπορείς να την κοιτάξεις "                        },
    {"Chinese",  "明天的报告在文件夹里，请你在午饭前看一下，谢谢你的帮助。我们下午再谈 "                                                       },
    {"Japanese", "明日の報告書はフォルダにありますので、お昼までに見てください。よろしく "                                                    },
    {"Korean",   "내일 보고서는 폴더에 있으니 점심 전에 한번 봐 주세요 감사합니다 "                                                                   },
    {"Arabic",   "التقرير ليوم غد موجود في المجلد، هل يمكنك النظر فيه قبل الغداء "                                            },
    {"Hindi",    "कल की रिपोर्ट फ़ोल्डर में है, कृपया दोपहर से पहले इसे देख लें "},
    {"emoji",
     "\360\237\230\200\360\237\216\211 \360\237\221\215\360\237\217\275 \342\235\244\357\270\217 "                                                                               },
};

static void repeat(char *text, const char *words)
{
    size_t n = strlen(words), len = 0;
    for (; TEXT_SIZE - len >= n; len += n)
        memcpy(text + len, words, n);
    memset(text + len, ' ', TEXT_SIZE - len);
}

// Letters of one range in no order, as no language has them, in words of `word` letters, every
// second of which ends with `end`.
static void any_letters(char *text, uint32_t from, uint32_t to, size_t word, const char *end)
{
    uint32_t point = from;
    size_t len = 0;
    for (size_t i = 1; TEXT_SIZE - len >= 4; i++) {
        if (word > 0 && i % (word + 1) == 0) {
            const char *sign = i / (word + 1) % 2 == 0 ? " " : end;
            memcpy(text + len, sign, strlen(sign));
            len += strlen(sign);
            continue;
        }
        point = from + (point - from + 7919) % (to - from);
        if (point < 0x800) {
            text[len++] = (char)(0xC0 | point >> 6);
        } else {
            text[len++] = (char)(0xE0 | point >> 12);
            text[len++] = (char)(0x80 | (point >> 6 & 0x3F));
        }
        text[len++] = (char)(0x80 | (point & 0x3F));
    }
    memset(text + len, ' ', TEXT_SIZE - len);
}

// The best of some: the machine's other work counts for nothing.
static double ns_a_byte(const struct lure_rules *rules, struct str text, size_t *n_lures)
{
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct arena arena;
        struct lure_list list;
        arena_init(&arena, 1 << 20);
        lure_list_init(&list, rules, &arena);
        double begin = cpu_ns();
        lure_scan_text(&list, text);
        double spent = (cpu_ns() - begin) / (double)text.len;
        best = i == 0 || spent < best ? spent : best;
        *n_lures = list.n;
        arena_done(&arena);
    }
    return best;
}

static void row(const struct lure_rules *rules, const char *name, char *text)
{
    static const char link[] = " http://party.example/pictures.php";
    size_t none, one;
    double alone = ns_a_byte(rules, str_make(text, TEXT_SIZE), &none);
    memcpy(text + TEXT_SIZE, link, strlen(link));
    double linked = ns_a_byte(rules, str_make(text, TEXT_SIZE + strlen(link)), &one);
    printf("%-24s %10.2f %10.2f %6zu %6zu\n", name, alone, linked, none, one);
}

int main(void)
{
    struct lure_rules *rules = lure_rules_new();
    char *text = malloc(TEXT_SIZE + 100);
    if (text == NULL)
        abort();
    printf("%-24s %10s %10s %13s\n", "4 MiB of", "ns/byte", "with link", "lures");
    for (size_t i = 0; i < sizeof prose / sizeof *prose; i++) {
        repeat(text, prose[i].words);
        row(rules, prose[i].name, text);
    }
    static const struct {
        const char *name;
        uint32_t from, to;
        size_t word;
        const char *end;
    } ranges[] = {
        {"Cyrillic letters",     0x400,  0x52F,  7,   " "  },
        {"Chinese letters",      0x4E00, 0x9FA5, 7,   " "  },
        {"Chinese, one each",    0x4E00, 0x9FA5, 1,   " "  },
        {"Chinese, one word",    0x4E00, 0x9FA5, 0,   " "  },
        {"Chinese, sentences",   0x4E00, 0x9FA5, 20,  "。"},
        {"Chinese, long ones",   0x4E00, 0x9FA5, 63,  "。"},
        {"Chinese, longer ones", 0x4E00, 0x9FA5, 160, "。"},
        {"Korean letters",       0xAC00, 0xD7A3, 3,   " "  },
        {"signs",                0x2190, 0x2BFF, 0,   " "  },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        any_letters(text, ranges[i].from, ranges[i].to, ranges[i].word, ranges[i].end);
        row(rules, ranges[i].name, text);
    }
    free(text);
    lure_rules_free(&rules);
    return 0;
}

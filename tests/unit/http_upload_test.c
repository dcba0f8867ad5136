#include "test.h"

#include "base/list.h"
#include "http/upload.h"

TEST(a_range_is_followed_refused_or_ignored)
{
    static const struct {
        const char *field;
        uint64_t size;
        bool part, whole;
        uint64_t first, last;
    } cases[] = {
        {"bytes=0-0",                   10, true,  false, 0, 0},
        {"bytes=2-5",                   10, true,  false, 2, 5},
        {"bytes=2-",                    10, true,  false, 2, 9},
        {"bytes=2-99",                  10, true,  false, 2, 9},
        {"bytes=-3",                    10, true,  false, 7, 9},
        {"bytes=-99",                   10, true,  false, 0, 9},
        {"bytes=9-9",                   10, true,  false, 9, 9},
        {"bytes=10-",                   10, false, false, 0, 0},
        {"bytes=-0",                    10, false, false, 0, 0},
        {"bytes=10-20",                 10, false, false, 0, 0},
        {"bytes=5-2",                   10, false, true,  0, 0},
        {"bytes=-",                     10, false, true,  0, 0},
        {"bytes=",                      10, false, true,  0, 0},
        {"bytes=a-b",                   10, false, true,  0, 0},
        {"bytes=+1-2",                  10, false, true,  0, 0},
        {"bytes= 1-2",                  10, false, true,  0, 0},
        {"bytes=1-2,4-5",               10, false, true,  0, 0},
        {"bytes=18446744073709551616-", 10, false, true,  0, 0},
        {"bytes=0-9223372036854775808", 10, false, true,  0, 0},
        {"bytes=--1",                   10, false, true,  0, 0},
        {"items=0-1",                   10, false, true,  0, 0},
        {"",                            10, false, true,  0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t first = 0, last = 0;
        bool whole;
        bool part = upload_range(str_of(cases[i].field), cases[i].size, &first, &last, &whole);
        check(part == cases[i].part);
        check(whole == cases[i].whole || part);
        check(!part || (first == cases[i].first && last == cases[i].last));
    }
}

TEST(what_could_run_is_given_out_as_bytes)
{
    static const char *const dangerous[] = {
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/pdf",
        "application/javascript",
        "image/svg",
        "",
        "text/css",
        "application/x-shockwave-flash",
    };
    for (size_t i = 0; i < COUNT_OF(dangerous); i++)
        check_str(upload_shown_type(str_of(dangerous[i])), STR("application/octet-stream"));
    check_str(upload_shown_type(STR("image/png")), STR("image/png"));
    check_str(upload_shown_type(STR("text/plain")), STR("text/plain; charset=utf-8"));
}

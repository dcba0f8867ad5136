#include "test.h"

#include "base/random.h"
#include "guard/seal.h"

static const int64_t hour_us = INT64_C(3600000000);

static struct seal_keys keys_of(uint32_t first, size_t n)
{
    struct seal_keys keys = {.n = n};
    for (size_t i = 0; i < n; i++) {
        keys.keys[i].id = first + (uint32_t)(n - 1 - i);
        for (size_t k = 0; k < SEAL_SECRET; k++)
            keys.keys[i].secret[k] = (uint8_t)(keys.keys[i].id * 31 + k);
    }
    return keys;
}

static const struct sealed_link link = {
    .url = {"https://evil.example/x?y=z#t", 28},
    .domain = {"caf\xC3\xA9.example",                              13},
    .lang = {"de",2},
    .template = {{1, 2, 3, 4, 5, 6, 7, 8, 9}                          },
    .expires_us = 500000 * INT64_C(3600000000) + 1,
};

TEST(what_was_sealed_comes_out_as_it_went_in)
{
    struct seal_keys keys = keys_of(1, 3);
    struct str token, again;
    struct sealed_link got;
    check(seal_link(test_arena(), &keys, &link, &token) == OK);
    check(seal_link(test_arena(), &keys, &link, &again) == OK);
    check_str(token, again); // on all devices alike
    for (size_t i = 0; i < token.len; i++)
        check(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                     token.at[i]) != NULL);
    check(str_find(token, STR("evil")) == token.len);
    check(seal_open(test_arena(), &keys, token, &got) == OK);
    check_str(got.url, link.url);
    check_str(got.domain, link.domain);
    check_str(got.lang, link.lang);
    check(lure_key_eq(&got.template, &link.template));
    check(got.expires_us == 500001 * hour_us);

    // a key with successors still opens; one that is gone, or another's of the same number, not
    struct seal_keys later = keys_of(2, 5), none = keys_of(4, 3), foreign = keys_of(1, 3);
    foreign.keys[0].secret[5] ^= 1;
    check(seal_open(test_arena(), &later, token, &got) == OK);
    check(seal_open(test_arena(), &none, token, &got) == ERR_MALFORMED);
    check(seal_open(test_arena(), &foreign, token, &got) == ERR_MALFORMED);
}

TEST(a_token_names_its_reader_or_as_of_old_his_domain)
{
    struct seal_keys keys = keys_of(1, 3);
    struct sealed_link to = link, got;
    struct str token;
    check(seal_link(test_arena(), &keys, &to, &token) == OK);
    check(seal_open(test_arena(), &keys, token, &got) == OK && got.reader.len == 0);
    to.reader = STR("romeo@a.example");
    check(seal_link(test_arena(), &keys, &to, &token) == OK);
    check(seal_open(test_arena(), &keys, token, &got) == OK);
    check_str(got.reader, to.reader);
    check_str(got.domain, STR("a.example"));
    check_str(got.url, link.url);
}

TEST(a_changed_token_is_none)
{
    struct seal_keys keys = keys_of(1, 2);
    struct str token;
    struct sealed_link got;
    check(seal_link(test_arena(), &keys, &link, &token) == OK);
    char *copy = (char *)arena_str(test_arena(), token).at;
    for (size_t i = 0; i < token.len; i++) {
        for (const char *c = "Aa0-_."; *c != '\0'; c++) {
            copy[i] = *c;
            if (copy[i] != token.at[i])
                check(seal_open(test_arena(), &keys, str_make(copy, token.len), &got) ==
                      ERR_MALFORMED);
        }
        copy[i] = token.at[i];
        check(seal_open(test_arena(), &keys, str_first(token, i), &got) == ERR_MALFORMED);
    }
    check(seal_open(test_arena(), &keys, STR_EMPTY, &got) == ERR_MALFORMED);
}

TEST(long_links_are_sealed_and_too_long_ones_are_not)
{
    struct seal_keys keys = keys_of(1, 1);
    struct sealed_link longest = link, got;
    char url[SEAL_URL_MOST + 1];
    memset(url, 'x', sizeof url);
    longest.url = str_make(url, SEAL_URL_MOST);
    struct str token;
    check(seal_link(test_arena(), &keys, &longest, &token) == OK && token.len <= SEAL_TOKEN_MOST);
    check(seal_open(test_arena(), &keys, token, &got) == OK);
    check_str(got.url, longest.url);
    longest.url.len++;
    check(seal_link(test_arena(), &keys, &longest, &token) == ERR_LIMIT);
}

TEST(a_permit_is_for_one_token_and_some_time)
{
    struct seal_keys keys = keys_of(1, 2), successor = keys_of(1, 3), other = keys_of(5, 2);
    int64_t now_us = 500000 * hour_us;
    struct str permit = seal_permit(test_arena(), &keys, STR("token"), now_us + hour_us);
    check(seal_permits(&keys, STR("token"), permit, now_us));
    check(seal_permits(&successor, STR("token"), permit, now_us));
    check(!seal_permits(&other, STR("token"), permit, now_us));
    check(!seal_permits(&keys, STR("tokem"), permit, now_us));
    check(!seal_permits(&keys, STR("token"), permit, now_us + 2 * hour_us));
    check(!seal_permits(&keys, STR("token"), STR("9999999999-"), now_us));
    check(!seal_permits(&keys, STR("token"), STR("-"), now_us));
    check(!seal_permits(&keys, STR("token"), STR_EMPTY, now_us));
}

#include "test.h"

#include "net/addr.h"

#include <sys/socket.h>

TEST(addresses_are_read_and_written_alike)
{
    static const struct {
        struct str text, written;
        bool good;
    } cases[] = {
        {STR("127.0.0.1"),        STR("127.0.0.1:5222"),     true },
        {STR("::1"),              STR("[::1]:5222"),         true },
        {STR("[2001:db8::7]"),    STR("[2001:db8::7]:5222"), true },
        {STR("::ffff:192.0.2.1"), STR("192.0.2.1:5222"),     true },
        {STR("localhost"),        STR(""),                   false},
        {STR(""),                 STR(""),                   false},
        {STR("1.2.3"),            STR(""),                   false},
        {STR("fe80::1%lo"),       STR(""),                   false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct addr addr, back;
        char text[ADDR_TEXT_SIZE];
        enum err e = addr_parse(cases[i].text, 5222, &addr);
        check((e == OK) == cases[i].good);
        if (e != OK)
            continue;
        check_str(addr_text(&addr, text), cases[i].written);
        struct sockaddr_storage wire;
        addr_to_sockaddr(&addr, &wire);
        check(addr_from_sockaddr((struct sockaddr *)&wire, &back) == OK);
        check(memcmp(&addr, &back, sizeof addr) == 0);
    }
}

TEST(all_of_a_64_counts_as_one_peer)
{
    struct addr a, b, c, d;
    char keys[4][ADDR_BLOCK_SIZE];
    check(addr_parse(STR("2001:db8:1:2::1"), 1, &a) == OK);
    check(addr_parse(STR("2001:db8:1:2:ffff::9"), 2, &b) == OK);
    check(addr_parse(STR("2001:db8:1:3::1"), 3, &c) == OK);
    check(addr_parse(STR("32.1.13.184"), 4, &d) == OK); // the same bytes as 2001:db8
    check(str_eq(addr_block(&a, keys[0]), addr_block(&b, keys[1])));
    check(!str_eq(addr_block(&a, keys[0]), addr_block(&c, keys[2])));
    check(!str_eq(addr_block(&a, keys[0]), addr_block(&d, keys[3])));
}

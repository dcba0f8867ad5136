#include "test.h"

#include "guard/lure_internal.h"

static const struct lure_rules *rules(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

static struct str canonical(const char *text)
{
    struct url url;
    if (url_parse(rules(), test_arena(), str_of(text), &url) != OK)
        return STR("refused");
    return url_format(test_arena(), &url);
}

TEST(urls_are_read_as_browsers_read_them)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"http://example.org",                                 "http://example.org/"          },
        {"HTTP://Example.ORG/",                                "http://example.org/"          },
        {"  http://example.org/ ",                             "http://example.org/"          },
        {"ht\ntp://exa\tmple.org/",                            "http://example.org/"          },
        {"http:example.org",                                   "http://example.org/"          },
        {"http:/example.org",                                  "http://example.org/"          },
        {"http:\\\\example.org\\a\\b",                         "http://example.org/a/b"       },
        {"http:///////example.org/",                           "http://example.org/"          },
 // who is really asked
        {"https://evil.com\\@good.com/",                       "https://evil.com/@good.com/"  },
        {"https://good.com@evil.com/",                         "https://evil.com/"            },
        {"https://good.com:80@evil.com/",                      "https://evil.com/"            },
        {"https://a@b@evil.com/",                              "https://evil.com/"            },
        {"https://evil.com#@good.com/",                        "https://evil.com/#@good.com/" },
        {"https://evil.com?@good.com/",                        "https://evil.com/?@good.com/" },
        {"https://good.com%2F@evil.com/",                      "https://evil.com/"            },
        {"https://good.com%2Fevil.com/",                       "refused"                      },
        {"https://good.com%00.evil.com/",                      "refused"                      },
        {"https://ev il.com/",                                 "refused"                      },
        {"https://ev<il.com/",                                 "refused"                      },
        {"https:///",                                          "refused"                      },
        {"https://:80/",                                       "refused"                      },
        {"https://user@/",                                     "refused"                      },
 // ports
        {"http://example.org:80/",                             "http://example.org/"          },
        {"https://example.org:443/",                           "https://example.org/"         },
        {"http://example.org:00080/",                          "http://example.org/"          },
        {"http://example.org:8080/",                           "http://example.org:8080/"     },
        {"http://example.org:/",                               "http://example.org/"          },
        {"http://example.org:65536/",                          "refused"                      },
        {"http://example.org:8o/",                             "refused"                      },
 // paths
        {"http://h.org/a/./b/../c",                            "http://h.org/a/c"             },
        {"http://h.org/a/%2e%2E/c",                            "http://h.org/c"               },
        {"http://h.org/../../c",                               "http://h.org/c"               },
        {"http://h.org/a/..",                                  "http://h.org/"                },
        {"http://h.org/a/.",                                   "http://h.org/a/"              },
        {"http://h.org//a",                                    "http://h.org//a"              },
        {"http://h.org/%7euser/%41",                           "http://h.org/~user/A"         },
        {"http://h.org/a%2fb",                                 "http://h.org/a%2Fb"           },
        {"http://h.org/a b",                                   "http://h.org/a%20b"           },
        {"http://h.org/\xC3\xA9",                              "http://h.org/%C3%A9"          },
        {"http://h.org/%c3%a9",                                "http://h.org/%C3%A9"          },
        {"http://h.org/%zz",                                   "http://h.org/%25zz"           },
        {"http://h.org?a=%62",                                 "http://h.org/?a=b"            },
        {"http://h.org/?a=1%262",                              "http://h.org/?a=1%262"        },
 // IPv4 in all its spellings
        {"http://192.0.2.1/",                                  "http://192.0.2.1/"            },
        {"http://3221225985/",                                 "http://192.0.2.1/"            },
        {"http://0xC0000201/",                                 "http://192.0.2.1/"            },
        {"http://0300.0.2.1/",                                 "http://192.0.2.1/"            },
        {"http://192.0.513/",                                  "http://192.0.2.1/"            },
        {"http://192.513/",                                    "http://192.0.2.1/"            },
        {"http://192.0.2.1./",                                 "http://192.0.2.1/"            },
        {"http://%31%39%32.0.2.1/",                            "http://192.0.2.1/"            },
        {"http://\xEF\xBC\x91\xEF\xBC\x99\xEF\xBC\x92.0.2.1/", "http://192.0.2.1/"            },
        {"http://192.0.2.256/",                                "refused"                      },
        {"http://1.2.3.4.5/",                                  "refused"                      },
        {"http://foo.0x4/",                                    "refused"                      },
        {"http://09.2.3.4/",                                   "refused"                      },
 // IPv6
        {"http://[2001:DB8:0:0:0:0:0:1]/",                     "http://[2001:db8::1]/"        },
        {"http://[::ffff:192.0.2.1]/",                         "http://192.0.2.1/"            },
        {"http://[::1",                                        "refused"                      },
        {"http://[::g]/",                                      "refused"                      },
 // names
        {"http://example.org./",                               "http://example.org/"          },
        {"http://B\xC3\xBC"
         "cher.example/",                             "http://xn--bcher-kva.example/"},
        {"http://fa\xC3\x9F.de/",                              "http://xn--fa-hia.de/"        },
        {"http://XN--bcher-KVA.example/",                      "http://xn--bcher-kva.example/"},
        {"http://ex\xC2\xAD"
         "am\xE2\x80\x8Bple.org/",                    "http://example.org/"          },
        {"http://example\xE3\x80\x82org/",                     "http://example.org/"          },
        {"http://\xEF\xBD\x85xample.org/",                     "http://example.org/"          },
        {"http://xn--a/",                                      "refused"                      },
        {"http://foo_bar.example/",                            "http://foo_bar.example/"      },
        {"http://a..b/",                                       "refused"                      },
 // other schemes
        {"ftp://Example.org:21/x",                             "ftp://example.org/x"          },
        {"javascript:alert(1)",                                "javascript:alert(1)"          },
        {"file://Server/share/x.exe",                          "file://server/share/x.exe"    },
        {"smb://Server/share",                                 "smb://server/share"           },
        {"1http://example.org",                                "refused"                      },
        {"example.org",                                        "refused"                      },
        {"",                                                   "refused"                      },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(canonical(rows[i].text), str_of(rows[i].wanted));
}

TEST(canonical_urls_stay_as_they_are)
{
    static const char *const rows[] = {
        "http://h.org/a%2Fb?x=%26#y", "https://[2001:db8::1]:8443/",      "http://h.org/%25zz",
        "javascript:alert(1)",        "ftp://h.org/%C3%A9?%C3%A9#%C3%A9", "http://h.org//",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(canonical(rows[i]), str_of(rows[i]));
}

TEST(a_registrable_domain_follows_the_public_suffix_list)
{
    static const struct {
        const char *host, *wanted;
    } rows[] = {
        {"a.b.example.org",   "example.org"   },
        {"www.example.co.uk", "example.co.uk" },
        {"evil.github.io",    "evil.github.io"},
        {"192.0.2.1",         "192.0.2.1"     },
        {"[2001:db8::1]",     "[2001:db8::1]" },
        {"com",               "com"           },
        {"x.y.evil.example",  "evil.example"  },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(url_domain(rules(), str_of(rows[i].host)), str_of(rows[i].wanted));
}

TEST(well_known_hosts_match_whole_names_only)
{
    check(rules_host_flags(STR("docs.google.com"), STR("google.com")) & LURE_WELL_KNOWN);
    check(rules_host_flags(STR("www.bit.ly"), STR("bit.ly")) & LURE_SHORTENER);
    check(rules_host_flags(STR("google.com.evil.example"), STR("evil.example")) == 0);
    check(rules_host_flags(STR("notgoogle.com"), STR("notgoogle.com")) == 0);
    check(rules_host_flags(STR("evil.github.io"), STR("evil.github.io")) == 0);
}

#include "test.h"

#include "base/base64.h"
#include "xmpp/sasl.h"

static struct scram_crypto *crypto(void)
{
    static struct scram_crypto *made; // one for the program: fetching is slow
    if (made == NULL)
        made = scram_crypto_new(NULL);
    return made;
}

static size_t no_binding(void *context, enum channel_binding binding,
                         unsigned char out[CHANNEL_BINDING_MOST])
{
    (void)context, (void)binding, (void)out;
    return 0;
}

static enum sasl_step begin(const char *mechanism, struct str text, struct sasl **out)
{
    struct sasl_setting setting = {
        .crypto = crypto(),
        .offered = SASL_ALL & ~SASL_BIT(SASL_SCRAM_SHA_1_PLUS),
        .bindings = 1U << BINDING_TLS_EXPORTER,
        .domain = STR("x.example"),
    };
    struct str base64 = text.len > 0 ? base64_encode(test_arena(), text) : STR_EMPTY;
    return sasl_begin(&setting, str_of(mechanism), base64, text.len > 0, no_binding, NULL, out);
}

TEST(only_what_the_connection_can_do_is_offered)
{
    check(sasl_offer(SASL_ALL, false, 3) == 0);
    check(sasl_offer(SASL_ALL, true, 3) == SASL_ALL);
    unsigned plain = SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_SCRAM_SHA_1);
    check(sasl_offer(SASL_ALL, true, 0) == (plain | SASL_BIT(SASL_PLAIN)));
    check(sasl_offer(SASL_ALL & ~SASL_BIT(SASL_PLAIN), true, 0) == plain);
}

TEST(a_mechanism_that_was_not_offered_is_refused)
{
    static const char *const names[] = {"SCRAM-SHA-1-PLUS", "EXTERNAL",     "plain", "",
                                        "DIGEST-MD5",       "SCRAM-SHA-512"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        CLEANUP(sasl_free) struct sasl *sasl = NULL;
        check(begin(names[i], STR("n,,n=user,r=abc"), &sasl) == SASL_FAILED);
        check(sasl_failure(sasl) == SASL_INVALID_MECHANISM);
    }
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    struct sasl_setting setting = {.crypto = crypto(), .domain = STR("x.example")};
    check(sasl_begin(&setting, STR("PLAIN"), STR_EMPTY, false, no_binding, NULL, &sasl) ==
          SASL_FAILED);
    check(sasl_failure(sasl) == SASL_ENCRYPTION_REQUIRED);
}

TEST(base64_is_strict)
{
    static const struct {
        struct str text;
        enum err result;
        struct str bytes;
    } cases[] = {
        {STR("="),        OK,            STR("")   },
        {STR("YWJj"),     OK,            STR("abc")},
        {STR("YWI="),     OK,            STR("ab") },
        {STR(""),         OK,            STR("")   },
        {STR("YWI"),      ERR_MALFORMED, STR("")   },
        {STR("YWJ="),     ERR_MALFORMED, STR("")   }, // stray bits
        {STR("YW Jj"),    ERR_MALFORMED, STR("")   },
        {STR("YWJj\n"),   ERR_MALFORMED, STR("")   },
        {STR("YW==YW=="), ERR_MALFORMED, STR("")   },
        {STR("YWJ_"),     ERR_MALFORMED, STR("")   },
        {STR("===="),     ERR_MALFORMED, STR("")   },
        {STR("YWJjZGVm"), ERR_LIMIT,     STR("")   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str bytes = STR_EMPTY;
        if (sasl_decode(test_arena(), cases[i].text, 4, &bytes) != cases[i].result)
            fail_msg("%.*s", STR_ARGS(cases[i].text));
        if (cases[i].result == OK)
            check_str(bytes, cases[i].bytes);
    }
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    struct sasl_setting setting = {.crypto = crypto(), .offered = SASL_ALL};
    check(sasl_begin(&setting, STR("PLAIN"), STR("%%%%"), true, no_binding, NULL, &sasl) ==
          SASL_FAILED);
    check(sasl_failure(sasl) == SASL_INCORRECT_ENCODING);
}

TEST(plain_is_read_as_rfc_4616_says)
{
    static const struct {
        struct str message;
        enum sasl_step step;
        enum sasl_failure failure;
    } cases[] = {
        {STR("\0user\0secret"),                 SASL_WANT_CREDENTIALS, 0                     },
        {STR("\0USER\0secret"),                 SASL_WANT_CREDENTIALS, 0                     },
        {STR("user@x.example\0user\0secret"),   SASL_WANT_CREDENTIALS, 0                     },
        {STR("USER@X.example\0user\0secret"),   SASL_WANT_CREDENTIALS, 0                     },
 // whose identity: authenticate one, open another
        {STR("other@x.example\0user\0secret"),  SASL_FAILED,           SASL_INVALID_AUTHZID  },
        {STR("user@y.example\0user\0secret"),   SASL_FAILED,           SASL_INVALID_AUTHZID  },
        {STR("user@x.example/r\0user\0secret"), SASL_FAILED,           SASL_INVALID_AUTHZID  },
        {STR("user\0user\0secret"),             SASL_FAILED,           SASL_INVALID_AUTHZID  },
        {STR("\0user"),                         SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("user"),                           SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("\0user\0"),                       SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("\0\0secret"),                     SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("\0user\0sec\0ret"),               SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("\0user\0\xFF"),                   SASL_FAILED,           SASL_MALFORMED_REQUEST},
        {STR("\0us@er\0secret"),                SASL_FAILED,           SASL_NOT_AUTHORIZED   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(sasl_free) struct sasl *sasl = NULL;
        enum sasl_step step = begin("PLAIN", cases[i].message, &sasl);
        if (step != cases[i].step ||
            (step == SASL_FAILED && sasl_failure(sasl) != cases[i].failure))
            fail_msg("case %zu: %d %s", i, step, sasl_failure_name(sasl_failure(sasl)));
        if (step == SASL_WANT_CREDENTIALS)
            check_str(sasl_local(sasl), STR("user"));
    }
}

TEST(plain_is_checked_outside_and_fails_alike_for_unknown_accounts)
{
    struct credentials real, fakes;
    check(scram_credentials(crypto(), STR("secret"), 4096, &real) == OK);
    struct scram_secret secret = {{0}};
    scram_fake(crypto(), &secret, STR("user"), STR("x.example"), 4096, &fakes);
    static const struct {
        enum lookup lookup;
        enum err checked;
        enum sasl_step step;
        enum sasl_failure failure;
    } cases[] = {
        {LOOKUP_FOUND,   OK,         SASL_SUCCEEDED, 0                          },
        {LOOKUP_FOUND,   ERR_DENIED, SASL_FAILED,    SASL_NOT_AUTHORIZED        },
        {LOOKUP_FOUND,   ERR_BUSY,   SASL_FAILED,    SASL_TEMPORARY_AUTH_FAILURE},
        {LOOKUP_UNKNOWN, ERR_DENIED, SASL_FAILED,    SASL_NOT_AUTHORIZED        },
        {LOOKUP_UNKNOWN, OK,         SASL_FAILED,    SASL_NOT_AUTHORIZED        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(sasl_free) struct sasl *sasl = NULL;
        check(begin("PLAIN", STR("\0user\0secret"), &sasl) == SASL_WANT_CREDENTIALS);
        check(sasl_credentials(sasl, cases[i].lookup, &real, &fakes) == SASL_WANT_PASSWORD);
        check_str(sasl_password(sasl), STR("secret"));
        check(scram_password_fits(crypto(), sasl_wanted(sasl), sasl_password(sasl)) ==
              (cases[i].lookup == LOOKUP_FOUND));
        check(sasl_password_checked(sasl, cases[i].checked) == cases[i].step);
        if (cases[i].step == SASL_FAILED)
            check(sasl_failure(sasl) == cases[i].failure);
    }
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    check(begin("PLAIN", STR("\0user\0secret"), &sasl) == SASL_WANT_CREDENTIALS);
    check(sasl_credentials(sasl, LOOKUP_FAILED, NULL, &fakes) == SASL_FAILED);
    check(sasl_failure(sasl) == SASL_TEMPORARY_AUTH_FAILURE);
}

TEST(a_disabled_account_is_told_so_only_with_the_right_password)
{
    struct credentials real, fakes = {0};
    check(scram_credentials(crypto(), STR("secret"), 4096, &real) == OK);
    real.disabled = true;
    for (int right = 0; right < 2; right++) {
        CLEANUP(sasl_free) struct sasl *sasl = NULL;
        check(begin("PLAIN", STR("\0user\0secret"), &sasl) == SASL_WANT_CREDENTIALS);
        check(sasl_credentials(sasl, LOOKUP_FOUND, &real, &fakes) == SASL_WANT_PASSWORD);
        check(sasl_password_checked(sasl, right ? OK : ERR_DENIED) == SASL_FAILED);
        check(sasl_failure(sasl) == (right ? SASL_ACCOUNT_DISABLED : SASL_NOT_AUTHORIZED));
    }
}

// advisories.md, timing and enumeration
TEST(an_unknown_account_gets_the_same_challenge_every_time)
{
    struct scram_secret secret = {{7}};
    struct credentials fakes;
    scram_fake(crypto(), &secret, STR("nobody"), STR("x.example"), 10000, &fakes);
    struct str salts[2];
    for (int i = 0; i < 2; i++) {
        CLEANUP(sasl_free) struct sasl *sasl = NULL;
        check(begin("SCRAM-SHA-256", STR("n,,n=nobody,r=abc"), &sasl) == SASL_WANT_CREDENTIALS);
        check(sasl_credentials(sasl, LOOKUP_UNKNOWN, NULL, &fakes) == SASL_SEND_CHALLENGE);
        struct str challenge;
        check(base64_decode(test_arena(), sasl_answer(sasl), 4096, &challenge) == OK);
        salts[i] = str_skip(challenge, str_find(challenge, STR(",s=")));
        check(str_ends(salts[i], STR(",i=10000")));
        struct str final =
            arena_printf(test_arena(), "c=biws,%.*s,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                         (int)str_find_char(challenge, ','), challenge.at);
        check(sasl_respond(sasl, base64_encode(test_arena(), final)) == SASL_FAILED);
        check(sasl_failure(sasl) == SASL_NOT_AUTHORIZED);
        check(sasl_detail(sasl) == SCRAM_UNKNOWN_USER);
    }
    check_str(salts[0], salts[1]);
}

TEST(without_an_initial_response_the_client_is_asked_for_it)
{
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    check(begin("SCRAM-SHA-1", STR_EMPTY, &sasl) == SASL_SEND_CHALLENGE);
    check_str(sasl_answer(sasl), STR_EMPTY);
    struct str first = base64_encode(test_arena(), STR("n,,n=user,r=abc"));
    check(sasl_respond(sasl, first) == SASL_WANT_CREDENTIALS);
    check_str(sasl_local(sasl), STR("user"));
}

TEST(the_other_identity_is_refused_in_scram_too)
{
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    check(begin("SCRAM-SHA-256", STR("n,a=admin@x.example,n=user,r=abc"), &sasl) == SASL_FAILED);
    check(sasl_failure(sasl) == SASL_INVALID_AUTHZID);
    CLEANUP(sasl_free) struct sasl *own = NULL;
    check(begin("SCRAM-SHA-256", STR("n,a=user@x.example,n=user,r=abc"), &own) ==
          SASL_WANT_CREDENTIALS);
}

TEST(the_downgrade_flag_fails_where_plus_was_offered)
{
    CLEANUP(sasl_free) struct sasl *sasl = NULL;
    check(begin("SCRAM-SHA-256", STR("y,,n=user,r=abc"), &sasl) == SASL_FAILED);
    check(sasl_failure(sasl) == SASL_NOT_AUTHORIZED);
    check(sasl_detail(sasl) == SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING);
}

TEST(all_names_are_those_of_rfc_6120)
{
    for (int i = 0; i < SASL_N_FAILURES; i++)
        check(sasl_failure_name((enum sasl_failure)i) != NULL);
    for (int i = 0; i < SASL_N_MECHANISMS; i++) {
        enum sasl_mechanism mechanism;
        check(sasl_mechanism_of(str_of(sasl_mechanism_name((enum sasl_mechanism)i)), &mechanism) ==
              OK);
        check((int)mechanism == i);
    }
}

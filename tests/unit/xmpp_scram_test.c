#include "test.h"

#include "base/base64.h"
#include "base/random.h"
#include "xmpp/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static struct scram_crypto *crypto(void)
{
    static struct scram_crypto *made; // one for the program: fetching is slow
    if (made == NULL)
        made = scram_crypto_new(NULL);
    return made;
}

static struct str decoded(struct str base64)
{
    struct str bytes;
    check(base64_decode(test_arena(), base64, 4096, &bytes) == OK);
    return bytes;
}

static struct scram_keys keys_of(enum scram_hash hash, struct str password, struct str salt,
                                 uint32_t iterations)
{
    struct scram_keys keys;
    check(scram_derive(crypto(), hash, password, decoded(salt), iterations, &keys) == OK);
    return keys;
}

// The exchanges that the RFCs print.
struct printed {
    enum scram_hash hash;
    struct str salt, first, our_nonce, challenge, final, success;
};

static const struct printed rfc_5802 = {
    SCRAM_SHA_1,
    STR("QSXCR+Q6sek8bf92"),
    STR("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
    STR("3rfcNHYJY1ZVvWVs7j"),
    STR("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
    STR("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
    STR("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="),
};

static const struct printed rfc_7677 = {
    SCRAM_SHA_256,
    STR("W22ZaJ0SNY7soEsUEjb6gQ=="),
    STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
    STR("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"),
    STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
    STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
};

static enum scram_error run(const struct printed *printed, bool known, struct str final,
                            struct str *success)
{
    struct scram_setting setting = {.hash = printed->hash};
    CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
    struct scram_first first;
    check(scram_read_first(scram, printed->first, &first) == SCRAM_FINE);
    check_str(first.user, STR("user"));
    check_str(first.authzid, STR_EMPTY);
    check(!first.bound);
    struct scram_keys keys = keys_of(printed->hash, STR("pencil"), printed->salt, 4096);
    struct buf out;
    buf_init(&out, 4096);
    scram_challenge(scram, &keys, known, printed->our_nonce, &out);
    check_str(buf_str(&out), printed->challenge);
    buf_clear(&out);
    enum scram_error error = scram_read_final(scram, final, STR_EMPTY, &out);
    *success = arena_str(test_arena(), buf_str(&out));
    buf_done(&out);
    return error;
}

TEST(the_exchange_of_rfc_5802_ends_as_printed)
{
    struct str success;
    check(run(&rfc_5802, true, rfc_5802.final, &success) == SCRAM_FINE);
    check_str(success, rfc_5802.success);
}

TEST(the_exchange_of_rfc_7677_ends_as_printed)
{
    struct str success;
    check(run(&rfc_7677, true, rfc_7677.final, &success) == SCRAM_FINE);
    check_str(success, rfc_7677.success);
}

TEST(a_right_proof_for_an_account_that_does_not_exist_fails)
{
    struct str success;
    check(run(&rfc_7677, false, rfc_7677.final, &success) == SCRAM_UNKNOWN_USER);
    check_str(success, STR_EMPTY);
}

TEST(a_bad_last_message_is_named)
{
#define NONCE "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define PROOF "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    static const struct {
        struct str final;
        enum scram_error error;
    } cases[] = {
        {STR("c=biws," NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
         SCRAM_INVALID_PROOF                                                                                      },
        {STR("c=biws," NONCE ",x=1," PROOF),                                     SCRAM_INVALID_PROOF              }, // extensions are signed too
        {STR("c=biws," NONCE ",p=dHzbZapWIk4="),                                 SCRAM_INVALID_ENCODING           },
        {STR("c=biws," NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR="),
         SCRAM_INVALID_ENCODING                                                                                   },
        {STR("c=biws," NONCE "x," PROOF),                                        SCRAM_OTHER_ERROR                },
        {STR("c=biws,r=rOprNGfwEbeRWgbNEkqO," PROOF),                            SCRAM_OTHER_ERROR                },
        {STR("c=eSws," NONCE "," PROOF),                                         SCRAM_CHANNEL_BINDINGS_DONT_MATCH}, // y,,
        {STR("c=biwsYWJj," NONCE "," PROOF),                                     SCRAM_CHANNEL_BINDINGS_DONT_MATCH},
        {STR("c=," NONCE "," PROOF),                                             SCRAM_CHANNEL_BINDINGS_DONT_MATCH},
        {STR("c=bi ws," NONCE "," PROOF),                                        SCRAM_INVALID_ENCODING           },
        {STR("m=x,c=biws," NONCE "," PROOF),                                     SCRAM_EXTENSIONS_NOT_SUPPORTED   },
        {STR("c=biws," NONCE),                                                   SCRAM_INVALID_ENCODING           },
        {STR("c=biws," NONCE "," PROOF ","),                                     SCRAM_INVALID_ENCODING           },
        {STR("c=biws," NONCE "," PROOF ",x=1"),                                  SCRAM_INVALID_ENCODING           },
        {STR(NONCE ",c=biws," PROOF),                                            SCRAM_INVALID_ENCODING           },
        {STR(PROOF),                                                             SCRAM_INVALID_ENCODING           },
        {STR("c=biws," NONCE ",1=1," PROOF),                                     SCRAM_INVALID_ENCODING           },
        {STR("c=biws," NONCE ",,," PROOF),                                       SCRAM_INVALID_ENCODING           },
        {STR(""),                                                                SCRAM_INVALID_ENCODING           },
        {STR(",,,,"),                                                            SCRAM_INVALID_ENCODING           },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str success;
        enum scram_error error = run(&rfc_7677, true, cases[i].final, &success);
        if (error != cases[i].error)
            fail_msg("%.*s: %s", STR_ARGS(cases[i].final), scram_error_name(error));
        check_str(success, STR_EMPTY);
    }
}

TEST(a_first_message_is_read_by_its_grammar)
{
    static const struct {
        struct str message;
        enum scram_error error;
    } cases[] = {
        {STR("n,,n=user,r=abc"),              SCRAM_FINE                         },
        {STR("n,a=user,n=user,r=abc"),        SCRAM_FINE                         },
        {STR("n,,n=us=2Cer=3D,r=abc"),        SCRAM_FINE                         },
        {STR("n,,n=user,r=abc,x=some"),       SCRAM_FINE                         },
        {STR("y,,n=user,r=abc"),              SCRAM_FINE                         },
        {STR("n,,n=us=2cer,r=abc"),           SCRAM_INVALID_USERNAME_ENCODING    },
        {STR("n,,n=us=er,r=abc"),             SCRAM_INVALID_USERNAME_ENCODING    },
        {STR("n,,n=,r=abc"),                  SCRAM_INVALID_USERNAME_ENCODING    },
        {STR("n,,n=\xFF,r=abc"),              SCRAM_INVALID_USERNAME_ENCODING    },
        {STR("n,a=,n=user,r=abc"),            SCRAM_INVALID_USERNAME_ENCODING    },
        {STR("n,,m=1,n=user,r=abc"),          SCRAM_EXTENSIONS_NOT_SUPPORTED     },
        {STR("n,,n=user,r="),                 SCRAM_INVALID_ENCODING             },
        {STR("n,,n=user,r=a\x01"),            SCRAM_INVALID_ENCODING             },
        {STR("n,,n=user,r=a b"),              SCRAM_INVALID_ENCODING             },
        {STR("n,,n=user"),                    SCRAM_INVALID_ENCODING             },
        {STR("n,,r=abc,n=user"),              SCRAM_INVALID_ENCODING             },
        {STR("n,,n=user,r=abc,"),             SCRAM_INVALID_ENCODING             },
        {STR("n,,n=user,r=abc,x"),            SCRAM_INVALID_ENCODING             },
        {STR("n,b=user,n=user,r=abc"),        SCRAM_INVALID_ENCODING             },
        {STR("n,n=user,r=abc"),               SCRAM_INVALID_ENCODING             },
        {STR("F,n,,n=user,r=abc"),            SCRAM_INVALID_ENCODING             },
        {STR("x,,n=user,r=abc"),              SCRAM_INVALID_ENCODING             },
        {STR("n"),                            SCRAM_INVALID_ENCODING             },
        {STR("n,"),                           SCRAM_INVALID_ENCODING             },
        {STR("n,,"),                          SCRAM_INVALID_ENCODING             },
        {STR(""),                             SCRAM_INVALID_ENCODING             },
        {STR("p=tls-exporter,,n=user,r=abc"), SCRAM_CHANNEL_BINDING_NOT_SUPPORTED},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scram_setting setting = {.hash = SCRAM_SHA_256};
        CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
        struct scram_first first;
        enum scram_error error = scram_read_first(scram, cases[i].message, &first);
        if (error != cases[i].error)
            fail_msg("%.*s: %s", STR_ARGS(cases[i].message), scram_error_name(error));
    }
    struct scram_setting setting = {.hash = SCRAM_SHA_256};
    CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
    struct scram_first first;
    check(scram_read_first(scram, STR("n,a=me=2C,n=us=2Cer=3D,r=abc"), &first) == SCRAM_FINE);
    check_str(first.user, STR("us,er="));
    check_str(first.authzid, STR("me,"));
}

// advisories.md, downgrade
TEST(the_flag_of_the_first_message_must_fit_the_offer)
{
    enum { EXPORTER = 1 << BINDING_TLS_EXPORTER, END_POINT = 1 << BINDING_TLS_SERVER_END_POINT };
    static const struct {
        const char *flag;
        bool plus, plus_offered;
        unsigned bindings;
        enum scram_error error;
    } cases[] = {
        {"n",                      false, true,  EXPORTER,             SCRAM_FINE                               },
        {"y",                      false, false, 0,                    SCRAM_FINE                               },
 // somebody hid our offer from the client
        {"y",                      false, true,  EXPORTER,             SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING},
        {"y",                      true,  true,  EXPORTER,             SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING},
        {"n",                      true,  true,  EXPORTER,             SCRAM_OTHER_ERROR                        },
        {"p=tls-exporter",         true,  true,  EXPORTER,             SCRAM_FINE                               },
        {"p=tls-server-end-point", true,  true,  EXPORTER | END_POINT, SCRAM_FINE                               },
        {"p=tls-server-end-point", true,  true,  EXPORTER,             SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE   },
        {"p=tls-unique",           true,  true,  EXPORTER,             SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE   },
        {"p=",                     true,  true,  EXPORTER,             SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE   },
        {"p=tls-exporter",         false, true,  EXPORTER,             SCRAM_CHANNEL_BINDING_NOT_SUPPORTED      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scram_setting setting = {
            .hash = SCRAM_SHA_1,
            .plus = cases[i].plus,
            .plus_offered = cases[i].plus_offered,
            .bindings = cases[i].bindings,
        };
        CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
        struct scram_first first;
        struct str message = arena_printf(test_arena(), "%s,,n=user,r=abc", cases[i].flag);
        enum scram_error error = scram_read_first(scram, message, &first);
        if (error != cases[i].error)
            fail_msg("%s: %s", cases[i].flag, scram_error_name(error));
        if (error == SCRAM_FINE)
            check(first.bound == (cases[i].flag[0] == 'p'));
    }
}

// A client's proof, made independently with OpenSSL's older interface.
static struct str proof_of(struct str password, struct str salt, struct str message)
{
    unsigned char salted[32], client_key[32], stored[32], signature[32];
    unsigned size;
    PKCS5_PBKDF2_HMAC(password.at, (int)password.len, (const unsigned char *)salt.at, (int)salt.len,
                      4096, EVP_sha256(), 32, salted);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, client_key, &size);
    EVP_Digest(client_key, 32, stored, &size, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), stored, 32, (const unsigned char *)message.at, message.len, signature,
         &size);
    for (int i = 0; i < 32; i++)
        signature[i] ^= client_key[i];
    return base64_encode(test_arena(), str_make((char *)signature, 32));
}

static enum scram_error run_bound(struct str client_binding, struct str server_binding)
{
    struct scram_setting setting = {
        .hash = SCRAM_SHA_256,
        .plus = true,
        .plus_offered = true,
        .bindings = 1U << BINDING_TLS_EXPORTER,
    };
    CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
    struct scram_first first;
    check(scram_read_first(scram, STR("p=tls-exporter,,n=user,r=abc"), &first) == SCRAM_FINE);
    check(first.bound && first.binding == BINDING_TLS_EXPORTER);
    struct str salt = STR("W22ZaJ0SNY7soEsUEjb6gQ==");
    struct scram_keys keys = keys_of(SCRAM_SHA_256, STR("pencil"), salt, 4096);
    struct buf out;
    buf_init(&out, 4096);
    scram_challenge(scram, &keys, true, STR("def"), &out);
    struct arena *arena = test_arena();
    struct str challenge = arena_str(arena, buf_str(&out));
    struct str header =
        base64_encode(arena, arena_printf(arena, "p=tls-exporter,,%.*s", STR_ARGS(client_binding)));
    struct str without = arena_printf(arena, "c=%.*s,r=abcdef", STR_ARGS(header));
    struct str message =
        arena_printf(arena, "n=user,r=abc,%.*s,%.*s", STR_ARGS(challenge), STR_ARGS(without));
    struct str proof = proof_of(STR("pencil"), decoded(salt), message);
    struct str final = arena_printf(arena, "%.*s,p=%.*s", STR_ARGS(without), STR_ARGS(proof));
    enum scram_error error = scram_read_final(scram, final, server_binding, &out);
    buf_done(&out);
    return error;
}

TEST(a_channel_binding_must_be_that_of_our_channel)
{
    check(run_bound(STR("channel"), STR("channel")) == SCRAM_FINE);
    check(run_bound(STR("channel"), STR("another")) == SCRAM_CHANNEL_BINDINGS_DONT_MATCH);
    check(run_bound(STR("channel"), STR("channe")) == SCRAM_CHANNEL_BINDINGS_DONT_MATCH);
    // no data although the type was offered: an empty binding must not match
    check(run_bound(STR(""), STR("")) == SCRAM_CHANNEL_BINDING_NOT_SUPPORTED);
}

TEST(our_nonces_are_fresh_and_long)
{
    struct str before = STR_EMPTY;
    for (int i = 0; i < 3; i++) {
        struct scram_setting setting = {.hash = SCRAM_SHA_256};
        CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
        struct scram_first first;
        check(scram_read_first(scram, STR("n,,n=user,r=abc"), &first) == SCRAM_FINE);
        struct scram_keys keys = {.iterations = 10000, .salt_size = 1};
        struct buf out;
        buf_init(&out, 4096);
        scram_challenge(scram, &keys, true, STR_EMPTY, &out);
        struct str nonce = arena_str(test_arena(), buf_str(&out));
        buf_done(&out);
        nonce = str_first(nonce, str_find_char(nonce, ','));
        check(str_starts(nonce, STR("r=abc")) && nonce.len >= 5 + 22); // 22 × 6 bits ≥ 128
        check(!str_eq(nonce, before));
        before = nonce;
    }
}

// XEP-0474 §4.3
TEST(the_offer_is_protected_as_the_example_shows)
{
    struct str mechanisms[] = {STR("SCRAM-SHA-1-PLUS"), STR("SCRAM-SHA-1")};
    struct str bindings[] = {STR("tls-server-end-point"), STR("tls-exporter")};
    struct str offer = scram_offer_text(test_arena(), mechanisms, 2, bindings, 2);
    check_str(offer,
              STR("SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point"));
    struct scram_setting setting = {.hash = SCRAM_SHA_1, .offer = offer};
    CLEANUP(scram_free) struct scram *scram = scram_new(crypto(), &setting);
    struct scram_first first;
    check(scram_read_first(scram, STR("n,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6"),
                           &first) == SCRAM_FINE);
    struct scram_keys keys = keys_of(SCRAM_SHA_1, STR("pencil"), STR("QSXCR+Q6sek8bf92"), 4096);
    struct buf out;
    buf_init(&out, 4096);
    scram_challenge(scram, &keys, true, STR("a09117a6-ac50-4f2f-93f1-93799c2bddf6"), &out);
    check_str(buf_str(&out),
              STR("r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,"
                  "s=QSXCR+Q6sek8bf92,i=4096,h=G6k/rBLDqgOhRRaCuuatSDFkJ08="));
    buf_done(&out);
}

TEST(a_password_fits_its_own_credentials_only)
{
    struct credentials credentials, again;
    check(scram_credentials(crypto(), STR("r0m30myr0m30"), 4096, &credentials) == OK);
    check(scram_credentials(crypto(), STR("r0m30myr0m30"), 4096, &again) == OK);
    check(memcmp(&credentials, &again, sizeof again) != 0); // fresh salts
    check(scram_password_fits(crypto(), &credentials, STR("r0m30myr0m30")));
    check(!scram_password_fits(crypto(), &credentials, STR("r0m30myr0m31")));
    check(!scram_password_fits(crypto(), &credentials, STR("")));
    // an import with SHA-1 keys only
    credentials.keys[SCRAM_SHA_256].iterations = 0;
    check(scram_password_fits(crypto(), &credentials, STR("r0m30myr0m30")));
    credentials.keys[SCRAM_SHA_1].iterations = 0;
    check(!scram_password_fits(crypto(), &credentials, STR("r0m30myr0m30")));
}

TEST(a_password_is_prepared_before_it_is_hashed)
{
    // RFC 4013 §3: a soft hyphen maps to nothing, U+2168 to IX
    struct credentials credentials;
    check(scram_credentials(crypto(), STR("IX"), 4096, &credentials) == OK);
    check(scram_password_fits(crypto(), &credentials, STR("I\xC2\xADX")));
    check(scram_password_fits(crypto(), &credentials, STR("\xE2\x85\xA8")));
    check(scram_credentials(crypto(), STR("\x07"), 4096, &credentials) == ERR_MALFORMED);
    check(scram_credentials(crypto(), STR(""), 4096, &credentials) == ERR_MALFORMED);
}

TEST(fakes_look_the_same_every_time_and_differ_by_name)
{
    struct scram_secret secret = {
        {1, 2, 3}
    };
    struct credentials a, b, c, d;
    scram_fake(crypto(), &secret, STR("romeo"), STR("x.example"), 10000, &a);
    scram_fake(crypto(), &secret, STR("romeo"), STR("x.example"), 10000, &b);
    scram_fake(crypto(), &secret, STR("juliet"), STR("x.example"), 10000, &c);
    secret.bytes[0] = 9;
    scram_fake(crypto(), &secret, STR("romeo"), STR("x.example"), 10000, &d);
    check(memcmp(&a, &b, sizeof a) == 0);
    for (int i = 0; i < SCRAM_N_HASHES; i++) {
        check(a.keys[i].salt_size == SCRAM_SALT_FRESH && a.keys[i].iterations == 10000);
        check(memcmp(a.keys[i].salt, c.keys[i].salt, SCRAM_SALT_FRESH) != 0);
        check(memcmp(a.keys[i].salt, d.keys[i].salt, SCRAM_SALT_FRESH) != 0);
    }
    check(memcmp(a.keys[0].salt, a.keys[1].salt, SCRAM_SALT_FRESH) != 0);
}

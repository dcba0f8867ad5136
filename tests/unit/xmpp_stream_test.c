#include "test.h"

#include "base/base64.h"
#include "xml/writer.h"
#include "xmpp/stream.h"

#include <malloc.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

// The host of these dialogues: one domain, one account (romeo, "pencil"), and a log of what the
// stream asks.  It answers at once, or when it is patient, when the test says so.
struct world {
    struct stream_policy policy;
    struct stream_domain domain;
    struct credentials romeo;
    struct stream *stream;
    struct buf out;    // what was sent
    struct buf events; // what was asked and told
    bool patient;      // answers wait for the test
    bool resumes;
    bool domain_gone;
    enum stanza_condition bind_error; // 0: none (STANZA_BAD_REQUEST is never used here)
    struct arena taken;               // the arena of the last element, when takes is set
    bool takes;
    struct element *element;
    size_t size;
};

static void note(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
static void note(struct world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(test_arena(), format, args);
    va_end(args);
    buf_add(&world->events, text);
}

static void send_bytes(void *host, struct str bytes)
{
    buf_add(&((struct world *)host)->out, bytes);
}

static void start_tls(void *host)
{
    note(host, "start-tls;");
}

static size_t binding(void *host, enum channel_binding kind,
                      unsigned char out[CHANNEL_BINDING_MOST])
{
    (void)host;
    memcpy(out, kind == BINDING_TLS_EXPORTER ? "exporter" : "endpoint", 8);
    return 8;
}

static const struct stream_domain *domain(void *host, struct str name)
{
    struct world *world = host;
    return !world->domain_gone && str_eq(name, world->domain.name) ? &world->domain : NULL;
}

static void answer_lookup(struct world *world, bool found)
{
    stream_credentials(world->stream, found ? LOOKUP_FOUND : LOOKUP_UNKNOWN,
                       found ? &world->romeo : NULL);
}

static void find_credentials(void *host, struct str local, struct str name)
{
    struct world *world = host;
    note(world, "lookup %.*s@%.*s;", STR_ARGS(local), STR_ARGS(name));
    if (!world->patient)
        answer_lookup(world, str_eq(local, STR("romeo")));
}

static void check_password(void *host, const struct credentials *credentials, struct str password)
{
    struct world *world = host;
    note(world, "check;");
    if (!world->patient)
        stream_password_checked(
            world->stream,
            scram_password_fits(world->policy.crypto, credentials, password) ? OK : ERR_DENIED);
}

static void login_failed(void *host, struct str local, struct str name, enum sasl_failure failure,
                         const char *detail)
{
    struct world *world = host;
    (void)name;
    note(world, "failed '%.*s' %s (%s);", STR_ARGS(local), sasl_failure_name(failure), detail);
    if (!world->patient)
        stream_refuse(world->stream);
}

static const struct stream_host calls;

static void authenticated(void *host, const struct jid *bare, enum sasl_mechanism mechanism)
{
    struct world *world = host;
    note(world, "in %.*s %s;", STR_ARGS(bare->full), sasl_mechanism_name(mechanism));
    if (!world->patient)
        stream_continue(world->stream, &world->policy, &calls, world);
}

static void bind_resource(void *host, struct str wished)
{
    struct world *world = host;
    note(world, "bind '%.*s';", STR_ARGS(wished));
    if (world->patient)
        return;
    struct stanza_error error = {.condition = world->bind_error};
    if (world->bind_error != 0)
        stream_not_bound(world->stream, &error);
    else
        stream_bound(world->stream, wished.len > 0 ? wished : STR("given"));
}

static void resume(void *host, const struct element *element)
{
    struct world *world = host;
    note(world, "resume %.*s;", STR_ARGS(element_attr(element, STR("previd"))));
    if (world->resumes)
        stream_resumed(world->stream, STR("before"));
    else
        stream_not_resumed(world->stream);
}

static void registration(void *host, const struct element *iq)
{
    note(host, "register %.*s;", STR_ARGS(element_attr(iq, STR("id"))));
}

static void element(void *host, enum stream_element kind, struct arena *arena, struct element *root,
                    size_t size)
{
    static const char *const kinds[] = {"stanza", "sm", "csi"};
    struct world *world = host;
    struct str text;
    check(xml_to_str(test_arena(), root, NS_CLIENT, &text) == OK);
    note(world, "%s %.*s;", kinds[kind], STR_ARGS(text));
    world->size = size;
    if (world->takes) {
        arena_done(&world->taken);
        world->taken = *arena;
        arena_init(arena, world->taken.ceiling);
        world->element = root;
    }
}

static void ending(void *host)
{
    struct world *world = host;
    note(world, "ending;");
    if (!world->patient)
        stream_close(world->stream, NULL);
}

static void closed(void *host, enum stream_end end, const struct stream_error *error)
{
    static const char *const ends[] = {"by peer", "by us", "by error"};
    note(host, "closed %s%s%s;", ends[end], error != NULL ? " " : "",
         error != NULL ? stream_condition_name(error->condition) : "");
}

static const struct stream_host calls = {
    .send = send_bytes,
    .start_tls = start_tls,
    .binding = binding,
    .domain = domain,
    .find_credentials = find_credentials,
    .check_password = check_password,
    .login_failed = login_failed,
    .authenticated = authenticated,
    .bind = bind_resource,
    .resume = resume,
    .registration = registration,
    .element = element,
    .ending = ending,
    .closed = closed,
};

enum { BOTH_BINDINGS = 1 << BINDING_TLS_EXPORTER | 1 << BINDING_TLS_SERVER_END_POINT };

static struct scram_crypto *crypto(void)
{
    static struct scram_crypto *made; // one for the program: fetching is slow
    if (made == NULL)
        made = scram_crypto_new(NULL);
    return made;
}

static struct world *world_new(bool secured)
{
    struct world *world = arena_make(test_arena(), struct world);
    struct scram_keys *keys = &world->romeo.keys[SCRAM_SHA_256];
    check(scram_derive(crypto(), SCRAM_SHA_256, STR("pencil"), STR("some salt"), 100, keys) == OK);
    world->policy = (struct stream_policy){
        .crypto = crypto(),
        .iterations = 100,
        .attempts = 3,
        .domain = STR("x.example"),
        .strange = {.bytes = 4096,
                    .elements = 100,
                    .namespaces = 20,
                    .depth = 5,
                    .attributes = 20,
                    .name = 100},
        .known = {.bytes = 65536,
                    .elements = 1000,
                    .namespaces = 100,
                    .depth = 20,
                    .attributes = 64,
                    .name = 500},
    };
    world->domain = (struct stream_domain){
        .name = STR("x.example"),
        .mechanisms = SASL_ALL,
        .sm = true,
        .csi = true,
        .roster_versioning = true,
        .preapproval = true,
        .caps_hash = STR("sha-1"),
        .caps_node = STR("https://x.example/it's"),
        .caps_ver = STR("abc="),
    };
    buf_init(&world->out, 1 << 20);
    buf_init(&world->events, 1 << 20);
    arena_init(&world->taken, 0);
    world->stream = stream_new(&world->policy, &calls, world, secured, secured ? BOTH_BINDINGS : 0);
    return world;
}

static void world_free(struct world **world)
{
    stream_free(&(*world)->stream);
    buf_done(&(*world)->out);
    buf_done(&(*world)->events);
    arena_done(&(*world)->taken);
}

#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' to='x.example' version='1.0'>"

// '*' in the pattern stands for any text.
static bool fits(struct str text, struct str pattern)
{
    while (pattern.len > 0 && pattern.at[0] != '*') {
        if (text.len == 0 || text.at[0] != pattern.at[0])
            return false;
        text = str_skip(text, 1);
        pattern = str_skip(pattern, 1);
    }
    if (pattern.len == 0)
        return text.len == 0;
    for (size_t i = 0; i <= text.len; i++)
        if (fits(str_skip(text, i), str_skip(pattern, 1)))
            return true;
    return false;
}

static void check_buf(struct buf *buf, const char *pattern, int line)
{
    if (!fits(buf_str(buf), str_of(pattern))) {
        fprintf(stderr, "line %d\ngot    '%.*s'\nwanted '%s'\n", line, STR_ARGS(buf_str(buf)),
                pattern);
        _fail(__FILE__, line);
    }
    buf_clear(buf);
}

#define check_sent(world, pattern) check_buf(&(world)->out, (pattern), __LINE__)
#define check_events(world, pattern) check_buf(&(world)->events, (pattern), __LINE__)

static void feed(struct world *world, const char *text)
{
    check(stream_read(world->stream, str_of(text)) == strlen(text));
}

static void forget(struct world *world)
{
    buf_clear(&world->out);
    buf_clear(&world->events);
}

static const char *plain(const char *local, const char *password)
{
    struct str message = arena_printf(test_arena(), "%c%s%c%s", 0, local, 0, password);
    struct str text = base64_encode(test_arena(), message);
    return arena_printf(test_arena(),
                        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%.*s"
                        "</auth>",
                        STR_ARGS(text))
        .at;
}

static void log_in(struct world *world)
{
    feed(world, HEADER);
    feed(world, plain("romeo", "pencil"));
    feed(world, HEADER);
    check(stream_state(world->stream) == STREAM_READY);
    forget(world);
}

static void log_in_and_bind(struct world *world)
{
    log_in(world);
    feed(world, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>orchard</resource></bind></iq>");
    check(stream_state(world->stream) == STREAM_BOUND);
    forget(world);
}

TEST(a_client_logs_in_as_rfc_6120_section_9_shows)
{
    CLEANUP(world_free) struct world *world = world_new(false);
    feed(world, HEADER);
    check_sent(world, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                      "xmlns:stream='http://etherx.jabber.org/streams' from='x.example' id='*' "
                      "version='1.0' xml:lang='en'><stream:features>"
                      "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
                      "</stream:features>");
    feed(world, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    check_sent(world, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    check_events(world, "start-tls;");
    check(!stream_wants(world->stream));
    stream_secured(world->stream, BOTH_BINDINGS);
    feed(world, HEADER);
    check_sent(world,
               "<?xml version='1.0'?><stream:stream * id='*' version='1.0' xml:lang='en'>"
               "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
               "<mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
               "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
               "<mechanism>PLAIN</mechanism></mechanisms>"
               "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
               "<channel-binding type='tls-exporter'/>"
               "<channel-binding type='tls-server-end-point'/></sasl-channel-binding>"
               "</stream:features>");
    feed(world, plain("romeo", "pencil"));
    check_sent(world, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    check_events(world, "lookup romeo@x.example;check;in romeo@x.example PLAIN;");
    feed(world, HEADER);
    check_sent(world,
               "<?xml version='1.0'?><stream:stream * from='x.example' to='romeo@x.example' id='*' "
               "version='1.0' xml:lang='en'><stream:features>"
               "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
               "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"
               "<sm xmlns='urn:xmpp:sm:3'/><csi xmlns='urn:xmpp:csi:0'/>"
               "<ver xmlns='urn:xmpp:features:rosterver'/>"
               "<sub xmlns='urn:xmpp:features:pre-approval'/>"
               "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
               "node='https://x.example/it&apos;s' ver='abc='/></stream:features>");
    feed(world, "<iq type='set' id='b&lt;1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                "<resource>balcony</resource></bind></iq>");
    check_sent(world,
               "<iq type='result' id='b&lt;1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
               "<jid>romeo@x.example/balcony</jid></bind></iq>");
    check_events(world, "bind 'balcony';");
    check(stream_is_open(world->stream));
    struct jid jid;
    check(stream_jid(world->stream, &jid));
    check_str(jid.full, STR("romeo@x.example/balcony"));
    check_str(jid.resource, STR("balcony"));
}

TEST(direct_tls_begins_with_the_mechanisms)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    world->domain.mechanisms &= ~SASL_BIT(SASL_PLAIN);
    feed(world, HEADER);
    check_sent(world, "*<stream:features><mechanisms *><mechanism>SCRAM-SHA-256-PLUS</mechanism>*"
                      "<mechanism>SCRAM-SHA-1</mechanism></mechanisms>*</stream:features>");
    feed(world, plain("romeo", "pencil"));
    check_sent(world, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/>"
                      "</failure>");
}

// The whole of SCRAM-SHA-256-PLUS, the proof made with OpenSSL's older interface.
TEST(a_client_logs_in_with_scram_and_channel_binding)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    struct arena *arena = test_arena();
    feed(world, HEADER);
    forget(world);
    struct str first = base64_encode(arena, STR("p=tls-exporter,,n=romeo,r=abc"));
    feed(world, arena_printf(arena,
                             "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                             "mechanism='SCRAM-SHA-256-PLUS'>%.*s</auth>",
                             STR_ARGS(first))
                    .at);
    struct str sent = buf_str(&world->out), challenge;
    sent = str_skip(sent, str_find_char(sent, '>') + 1);
    check(base64_decode(arena, str_first(sent, str_find_char(sent, '<')), 4096, &challenge) == OK);
    check_sent(world, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>*</challenge>");

    struct str without = arena_printf(
        arena, "c=%.*s,%.*s", STR_ARGS(base64_encode(arena, STR("p=tls-exporter,,exporter"))),
        (int)str_find_char(challenge, ','), challenge.at);
    struct str message =
        arena_printf(arena, "n=romeo,r=abc,%.*s,%.*s", STR_ARGS(challenge), STR_ARGS(without));
    unsigned char salted[32], key[32], stored[32], proof[32], server_key[32], signature[32];
    unsigned size;
    PKCS5_PBKDF2_HMAC("pencil", 6, (const unsigned char *)"some salt", 9, 100, EVP_sha256(), 32,
                      salted);
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Client Key", 10, key, &size);
    EVP_Digest(key, 32, stored, &size, EVP_sha256(), NULL);
    HMAC(EVP_sha256(), stored, 32, (const unsigned char *)message.at, message.len, proof, &size);
    for (int i = 0; i < 32; i++)
        proof[i] ^= key[i];
    HMAC(EVP_sha256(), salted, 32, (const unsigned char *)"Server Key", 10, server_key, &size);
    HMAC(EVP_sha256(), server_key, 32, (const unsigned char *)message.at, message.len, signature,
         &size);
    struct str final = arena_printf(arena, "%.*s,p=%.*s", STR_ARGS(without),
                                    STR_ARGS(base64_encode(arena, str_make((char *)proof, 32))));
    feed(world,
         arena_printf(arena, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%.*s</response>",
                      STR_ARGS(base64_encode(arena, final)))
             .at);
    struct str success = arena_printf(
        arena, "v=%.*s", STR_ARGS(base64_encode(arena, str_make((char *)signature, 32))));
    check_sent(world, arena_printf(arena,
                                   "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%.*s"
                                   "</success>",
                                   STR_ARGS(base64_encode(arena, success)))
                          .at);
    check_events(world, "lookup romeo@x.example;in romeo@x.example SCRAM-SHA-256-PLUS;");
}

TEST(bytes_one_by_one_do_the_same)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    struct str all = arena_printf(test_arena(),
                                  HEADER "\n%s\n" HEADER "<iq type='set' id='b'><bind "
                                         "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                                         "<message to='juliet@x.example'><body>hi</body></message>"
                                         "\n </stream:stream>",
                                  plain("romeo", "pencil"));
    for (size_t i = 0; i < all.len; i++)
        check(stream_read(world->stream, str_make(all.at + i, 1)) == 1);
    check_events(world, "lookup romeo@x.example;check;in romeo@x.example PLAIN;bind '';"
                        "stanza <message to='juliet@x.example'><body>hi</body></message>;"
                        "ending;closed by peer;");
    check_sent(world, "<?xml*<success*<?xml*<jid>romeo@x.example/given</jid>*</stream:stream>");
}

TEST(everything_at_once_does_the_same)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, arena_printf(test_arena(),
                             HEADER "%s" HEADER "<iq type='set' id='b'><bind "
                                    "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                                    "<presence/></stream:stream>",
                             plain("romeo", "pencil"))
                    .at);
    check_events(world, "lookup*in romeo*bind '';stanza <presence/>;ending;closed by peer;");
}

// advisories.md, downgrade: STARTTLS buffer injection
TEST(plain_text_behind_starttls_is_thrown_away)
{
    CLEANUP(world_free) struct world *world = world_new(false);
    struct str text = arena_printf(
        test_arena(), "%s<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>" HEADER "%s", HEADER,
        plain("romeo", "pencil"));
    check(stream_read(world->stream, text) == text.len);
    check_events(world, "start-tls;");
    check(stream_read(world->stream, STR("more plain text")) == 15);
    stream_secured(world->stream, 0);
    forget(world);
    feed(world, HEADER);
    check_sent(world, "*<mechanism>SCRAM-SHA-256</mechanism>*</stream:features>");
    check_events(world, "");
    // half an element that was begun in the clear is gone too
    CLEANUP(world_free) struct world *half = world_new(false);
    feed(half, HEADER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message><body>");
    stream_secured(half->stream, 0);
    feed(half, HEADER);
    check(stream_state(half->stream) == STREAM_OFFERED);
}

TEST(a_bad_header_is_answered_with_a_header_and_the_error)
{
#define OPEN "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    static const struct {
        const char *header, *condition;
    } cases[] = {
        {OPEN " to='y.example' version='1.0'>",                        "host-unknown"        },
        {OPEN " version='1.0'>",                                       "improper-addressing" },
        {OPEN " to='' version='1.0'>",                                 "improper-addressing" },
        {OPEN " to='romeo@x.example' version='1.0'>",                  "improper-addressing" },
        {OPEN " to='x.example'>",                                      "unsupported-version" },
        {OPEN " to='x.example' version='0.9'>",                        "unsupported-version" },
        {OPEN " to='x.example' version='1'>",                          "unsupported-version" },
        {OPEN " to='x.example' version='one.two'>",                    "unsupported-version" },
        {OPEN " to='x.example' version='1.0' from='@'>",               "invalid-from"        },
        {OPEN " to='x.example' version='1.0' from='romeo@y.example'>", "invalid-from"        },
        {"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='x.example' version='1.0'>",                     "invalid-namespace"   },
        {"<stream:stream xmlns='jabber:client' xmlns:stream='urn:other' to='x.example' "
         "version='1.0'>",                                    "invalid-namespace"   },
        {"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='x.example' "
         "version='1.0'>",                                    "invalid-namespace"   },
        {"<stream:strom xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='x.example' version='1.0'>",                     "bad-format"          },
        {"GET / HTTP/1.1\r\n\r\n",                                     "not-well-formed"     },
        {"<!DOCTYPE x><stream:stream>",                                "restricted-xml"      },
        {"<?xml version='1.0' encoding='ISO-8859-1'?>",                "unsupported-encoding"},
        {"<stream:stream to='x.example'>",                             "bad-namespace-prefix"},
        {"\x80\x81\x82<",                                              "not-well-formed"     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        feed(world, cases[i].header);
        check_events(world,
                     arena_printf(test_arena(), "closed by error %s;", cases[i].condition).at);
        check_sent(world,
                   arena_printf(test_arena(),
                                "<?xml version='1.0'?><stream:stream *from='x.example' id='*'*>"
                                "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>*"
                                "</stream:error></stream:stream>",
                                cases[i].condition)
                       .at);
        check(stream_state(world->stream) == STREAM_CLOSED);
        feed(world, "whatever follows");
        check_sent(world, "");
    }
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, OPEN " to='X.EXAMPLE' from='Romeo@x.example' version='1.23' xml:lang='de-CH'>");
    check_sent(world, "* from='x.example' to='romeo@x.example' *<stream:features>*");
    check_str(stream_lang(world->stream), STR("de-CH"));
    check_str(stream_domain_name(world->stream), STR("x.example"));
}

// advisories.md, stream restarted for another domain
TEST(to_and_from_may_not_change_within_a_connection)
{
    static const struct {
        const char *before, *after, *condition;
    } cases[] = {
        {" to='x.example'",                        " to='y.example'",                         "not-authorized"},
        {" to='x.example' from='romeo@x.example'", " to='x.example' from='juliet@x.example'",
         "invalid-from"                                                                                       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(false);
        feed(world, arena_printf(test_arena(), OPEN "%s version='1.0'>", cases[i].before).at);
        feed(world, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        stream_secured(world->stream, 0);
        forget(world);
        feed(world, arena_printf(test_arena(), OPEN "%s version='1.0'>", cases[i].after).at);
        check_events(world,
                     arena_printf(test_arena(), "closed by error %s;", cases[i].condition).at);
    }
    static const struct {
        const char *after, *condition;
    } later[] = {
        {" to='y.example'",                         "not-authorized"},
        {" to='x.example' from='juliet@x.example'", "invalid-from"  },
    };
    for (size_t i = 0; i < COUNT_OF(later); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        feed(world, HEADER);
        feed(world, plain("romeo", "pencil"));
        forget(world);
        feed(world, arena_printf(test_arena(), OPEN "%s version='1.0'>", later[i].after).at);
        check_events(world,
                     arena_printf(test_arena(), "closed by error %s;", later[i].condition).at);
    }
    // announced as one, logged in as another
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, OPEN " to='x.example' from='juliet@x.example' version='1.0'>");
    feed(world, plain("romeo", "pencil"));
    check_events(world, "lookup*check;closed by error invalid-from;");
    check_sent(world, "*<invalid-from*");
}

TEST(nothing_passes_before_its_time)
{
    static const char *const before_login[] = {
        "<message to='juliet@x.example'><body>hi</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>",
        "<enable xmlns='urn:xmpp:sm:3'/>",
        "<active xmlns='urn:xmpp:csi:0'/>",
    };
    for (size_t i = 0; i < COUNT_OF(before_login); i++) {
        for (int secured = 0; secured < 2; secured++) {
            CLEANUP(world_free) struct world *world = world_new(secured != 0);
            feed(world, HEADER);
            feed(world, before_login[i]);
            check_events(world, "closed by error not-authorized;");
            check_sent(world, "*<stream:error><not-authorized *</stream:error></stream:stream>");
        }
    }
    static const char *const before_bind[] = {
        "<message to='juliet@x.example'><body>hi</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    };
    for (size_t i = 0; i < COUNT_OF(before_bind); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        log_in(world);
        feed(world, before_bind[i]);
        check_events(world, "closed by error not-authorized;");
    }
}

TEST(login_in_the_clear_is_refused)
{
    CLEANUP(world_free) struct world *world = world_new(false);
    feed(world, HEADER);
    forget(world);
    feed(world, plain("romeo", "pencil"));
    check_events(world, "failed '' encryption-required (other-error);");
    check_sent(world, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><encryption-required/>"
                      "</failure>");
}

#define SASL_NS "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"

TEST(sasl_out_of_order_fails_and_counts)
{
    static const struct {
        const char *sent[3], *answered;
    } cases[] = {
        {{"<response " SASL_NS "/>"},                                                             "<failure " SASL_NS "><malformed-request/></failure>"},
        {{"<abort " SASL_NS "/>"},                                                                "<failure " SASL_NS "><aborted/></failure>"          },
        {{"<auth " SASL_NS " mechanism='SCRAM-SHA-256'/>", "<abort " SASL_NS "/>"},
         "<challenge " SASL_NS "/><failure " SASL_NS "><aborted/></failure>"                                                                           },
        {{"<auth " SASL_NS " mechanism='SCRAM-SHA-256'/>",
          "<auth " SASL_NS " mechanism='SCRAM-SHA-256'/>"},
         "<challenge " SASL_NS "/><failure " SASL_NS "><malformed-request/></failure>"                                                                 },
        {{"<auth " SASL_NS " mechanism='SCRAM-SHA-256'/>", "<response " SASL_NS ">%</response>"},
         "<challenge " SASL_NS "/><failure " SASL_NS "><incorrect-encoding/></failure>"                                                                },
        {{"<auth " SASL_NS "/>"},                                                                 "<failure " SASL_NS "><invalid-mechanism/></failure>"},
        {{"<auth " SASL_NS " mechanism='PLAIN'>=</auth>"},
         "<failure " SASL_NS "><malformed-request/></failure>"                                                                                         },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        feed(world, HEADER);
        forget(world);
        for (size_t j = 0; j < COUNT_OF(cases[i].sent) && cases[i].sent[j] != NULL; j++)
            feed(world, cases[i].sent[j]);
        check_sent(world, cases[i].answered);
        check(stream_state(world->stream) == STREAM_OFFERED);
        feed(world, plain("romeo", "pencil"));
        check_sent(world, "<success " SASL_NS "/>");
    }
    static const char *const too_late[] = {
        "<auth " SASL_NS " mechanism='PLAIN'/>",
        "<response " SASL_NS "/>",
        "<abort " SASL_NS "/>",
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    };
    for (size_t i = 0; i < COUNT_OF(too_late); i++) {
        CLEANUP(world_free) struct world *ready = world_new(true);
        log_in(ready);
        feed(ready, too_late[i]);
        check_events(ready, "closed by error policy-violation;");
        CLEANUP(world_free) struct world *bound = world_new(true);
        log_in_and_bind(bound);
        feed(bound, too_late[i]);
        check_events(bound, "closed by error policy-violation;");
    }
}

TEST(the_third_failure_ends_the_stream)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER);
    forget(world);
    feed(world, plain("romeo", "pen"));
    check_events(world,
                 "lookup romeo@x.example;check;failed 'romeo' not-authorized (invalid-proof);");
    feed(world, plain("nobody", "pencil"));
    check_events(world,
                 "lookup nobody@x.example;check;failed 'nobody' not-authorized (unknown-user);");
    check_sent(world, "<failure " SASL_NS "><not-authorized/></failure>"
                      "<failure " SASL_NS "><not-authorized/></failure>");
    feed(world, "<abort " SASL_NS "/>");
    check_sent(world, "<failure " SASL_NS "><aborted/></failure><stream:error>"
                      "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                      "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>"
                      "too many failed logins</text></stream:error></stream:stream>");
    check_events(world, "closed by error policy-violation;");
}

TEST(tls_twice_is_a_tls_failure)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER);
    forget(world);
    feed(world, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    check_sent(world, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    check_events(world, "closed by error policy-violation;");
}

TEST(a_question_stops_the_reading_until_its_answer)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    world->patient = true;
    struct str all = arena_printf(test_arena(),
                                  HEADER "%s" HEADER "<iq type='set' id='b'><bind "
                                         "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                                         "<presence/></stream:stream>",
                                  plain("romeo", "pencil"));
    size_t used = stream_read(world->stream, all);
    check(used < all.len && !stream_wants(world->stream));
    check(stream_state(world->stream) == STREAM_LOOKUP);
    check(stream_read(world->stream, str_skip(all, used)) == 0);
    answer_lookup(world, true);
    check(stream_state(world->stream) == STREAM_CHECKING);
    check(stream_read(world->stream, str_skip(all, used)) == 0);
    stream_password_checked(world->stream, OK);
    check(stream_state(world->stream) == STREAM_MOVING);
    check_events(world, "lookup romeo@x.example;check;in romeo@x.example PLAIN;");
    stream_continue(world->stream, &world->policy, &calls, world);
    used += stream_read(world->stream, str_skip(all, used));
    check(stream_state(world->stream) == STREAM_BINDING);
    stream_bound(world->stream, STR("orchard"));
    stream_pause(world->stream);
    check(stream_read(world->stream, str_skip(all, used)) == 0);
    stream_unpause(world->stream);
    used += stream_read(world->stream, str_skip(all, used));
    check(used == all.len);
    check_events(world, "bind '';stanza <presence/>;ending;");
    check(stream_is_open(world->stream));
    buf_clear(&world->out);
    stream_close(world->stream, NULL);
    check_sent(world, "</stream:stream>");
    check_events(world, "closed by peer;");
}

TEST(a_refusal_may_wait_and_holds_the_client_back)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    world->patient = true;
    feed(world, HEADER);
    buf_clear(&world->out);
    struct str again = str_of(plain("romeo", "guess"));
    feed(world, again.at);
    answer_lookup(world, false);
    stream_password_checked(world->stream, ERR_DENIED);
    check(stream_state(world->stream) == STREAM_REFUSING);
    check(stream_read(world->stream, again) == 0);
    check_sent(world, "");
    stream_refuse(world->stream);
    check_sent(world, "<failure " SASL_NS "><not-authorized/></failure>");
    check(stream_wants(world->stream));
}

TEST(an_answer_after_the_end_is_too_late)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    world->patient = true;
    feed(world, HEADER);
    feed(world, plain("romeo", "pencil"));
    stream_fail(world->stream, STREAM_CONNECTION_TIMEOUT, NULL);
    forget(world);
    answer_lookup(world, true);
    stream_password_checked(world->stream, OK);
    stream_refuse(world->stream);
    stream_continue(world->stream, &world->policy, &calls, world);
    stream_bound(world->stream, STR("orchard"));
    stream_resumed(world->stream, STR("orchard"));
    stream_not_resumed(world->stream);
    stream_secured(world->stream, 0);
    stream_close(world->stream, NULL);
    stream_abandon(world->stream);
    check_sent(world, "");
    check_events(world, "");
}

TEST(a_bind_request_is_answered)
{
#define BIND(inner) "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" inner "</bind>"
    static const struct {
        const char *request, *events, *answer;
    } cases[] = {
        {"<iq type='set' id='b'>" BIND("") "</iq>",                                  "bind '';",
         "<iq type='result' id='b'>*romeo@x.example/given*"                                                                           },
        {"<iq type='set' id='b'>" BIND("<resource/>") "</iq>",                       "bind '';",
         "<iq type='result' id='b'>*romeo@x.example/given*"                                                                           },
        {"<iq type='set' id='b'>" BIND("<resource>a&amp;b</resource>") "</iq>",      "bind 'a&b';",
         "<iq type='result' id='b'>*<jid>romeo@x.example/a&amp;b</jid>*"                                                              },
        {"<iq type='set' id='b'>" BIND("<resource>a&#7;b</resource>") "</iq>",
         "closed by error not-well-formed;",                                                        "*"                               },
        {"<iq type='set' id='b'>" BIND("<resource>\xE2\x80\xA8</resource>") "</iq>", "",
         "<iq*id='b'*type='error'><error type='modify'><bad-request *"                                                                },
        {"<iq type='get' id='b'>" BIND("") "</iq>",                                  "",
         "<iq*id='b'*type='error'><error type='modify'><bad-request *"                                                                },
        {"<iq type='set'>" BIND("") "</iq>",                                         "",            "<iq*type='error'>*<bad-request *"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        log_in(world);
        feed(world, cases[i].request);
        check_events(world, cases[i].events);
        check_sent(world, cases[i].answer);
    }
    static const struct {
        enum stanza_condition condition;
        const char *answer;
    } refusals[] = {
        {STANZA_CONFLICT,            "*<error type='cancel'><conflict *"         },
        {STANZA_RESOURCE_CONSTRAINT, "*<error type='wait'><resource-constraint *"},
        {STANZA_NOT_ALLOWED,         "*<error type='cancel'><not-allowed *"      },
    };
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        log_in(world);
        world->bind_error = refusals[i].condition;
        feed(world, "<iq type='set' id='b'>" BIND("<resource>r</resource>") "</iq>");
        check_sent(world, refusals[i].answer);
        world->bind_error = 0;
        feed(world, "<iq type='set' id='c'>" BIND("<resource>s</resource>") "</iq>");
        check_sent(world, "<iq type='result' id='c'>*/s</jid>*");
    }
}

TEST(an_id_of_the_greatest_length_is_answered)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    log_in(world);
    char *id = arena_alloc(test_arena(), 60001);
    memset(id, '\'', 60000); // six bytes each when written
    id[60000] = '\0';
    feed(world, arena_printf(test_arena(), "<iq type='get' id=\"%s\">" BIND("") "</iq>", id).at);
    check(world->out.len > 6 * 60000);
    forget(world);
    feed(world, arena_printf(test_arena(), "<iq type='set' id=\"%s\">" BIND("") "</iq>", id).at);
    check(world->out.len > 6 * 60000);
    check(stream_state(world->stream) == STREAM_BOUND);
}

// XEP-0198 §5, §3
TEST(a_session_is_resumed_instead_of_bound)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    log_in(world);
    feed(world, "<resume xmlns='urn:xmpp:sm:3' h='3' previd='some'/>");
    check_events(world, "resume some;");
    check(stream_state(world->stream) == STREAM_READY);
    feed(world, "<enable xmlns='urn:xmpp:sm:3'/>");
    check_sent(world, "<failed xmlns='urn:xmpp:sm:3'><unexpected-request "
                      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
    feed(world, "<active xmlns='urn:xmpp:csi:0'/>");
    check_events(world, "csi <active xmlns='urn:xmpp:csi:0'/>;");
    world->resumes = true;
    feed(world, "<resume xmlns='urn:xmpp:sm:3' h='3' previd='some'/><r xmlns='urn:xmpp:sm:3'/>"
                "<inactive xmlns='urn:xmpp:csi:0'/>");
    check_events(world, "resume some;sm <r xmlns='urn:xmpp:sm:3'/>;"
                        "csi <inactive xmlns='urn:xmpp:csi:0'/>;");
    struct jid jid;
    check(stream_jid(world->stream, &jid));
    check_str(jid.full, STR("romeo@x.example/before"));
}

TEST(an_element_may_be_kept_with_its_memory)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    log_in_and_bind(world);
    world->takes = true;
    const char *text = "<message id='1'><body>first</body></message>";
    feed(world, "  ");
    feed(world, text);
    check(world->size == strlen(text) + 2); // with the white space that went before
    struct element *kept = world->element;
    world->takes = false;
    feed(world, "<message id='2'><body>second</body></message>");
    stream_rest(world->stream);
    check_str(element_child_text(kept, NS_CLIENT, STR("body")), STR("first"));
    feed(world, "<message id='3'><bo");
    stream_rest(world->stream); // in the middle of an element there is nothing to give back
    feed(world, "dy>third</body></message>");
    check_events(world, "*stanza <message id='3'><body>third</body></message>;");
}

// RFC 6120 §8.1.2.1; advisories.md, spoofed from
TEST(a_stanza_comes_from_its_sender_or_the_stream_ends)
{
    static const struct {
        const char *from;
        bool fits;
    } cases[] = {
        {"romeo@x.example",         true },
        {"romeo@x.example/orchard", true },
        {"Romeo@X.example/orchard", true },
        {"romeo@x.example/balcony", false},
        {"juliet@x.example",        false},
        {"x.example",               false},
        {"",                        false},
        {"@",                       false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        log_in_and_bind(world);
        feed(world, arena_printf(test_arena(), "<presence from='%s'/>", cases[i].from).at);
        check_events(world, cases[i].fits ? "stanza *" : "closed by error invalid-from;");
    }
}

TEST(what_is_no_stanza_ends_the_stream)
{
    static const struct {
        const char *text, *condition;
    } cases[] = {
        {"<foo/>",                                                       "unsupported-stanza-type"},
        {"<message xmlns='jabber:server'/>",                             "unsupported-stanza-type"},
        {"<foo xmlns='urn:xmpp:csi:0'/>",                                "unsupported-stanza-type"},
        {"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",           "unsupported-stanza-type"},
        {"<challenge " SASL_NS "/>",                                     "unsupported-stanza-type"},
        {"<stream:features/>",                                           "unsupported-stanza-type"},
        {"<stream:stream to='y.example' version='1.0'></stream:stream>", "unsupported-stanza-type"},
        {"<message><!-- x --></message>",                                "restricted-xml"         },
        {"<message><?php ?></message>",                                  "restricted-xml"         },
        {"<message>&nbsp;</message>",                                    "restricted-xml"         },
        {"<message><a></b></message>",                                   "not-well-formed"        },
        {"<x:message/>",                                                 "bad-namespace-prefix"   },
        {"text",                                                         "bad-format"             },
        {"<message a='1' a='2'/>",                                       "not-well-formed"        },
        {"<message>\xFF</message>",                                      "not-well-formed"        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CLEANUP(world_free) struct world *world = world_new(true);
        log_in_and_bind(world);
        feed(world, cases[i].text);
        if (stream_state(world->stream) != STREAM_CLOSED)
            feed(world, "<presence/>"); // a fault in a run of text shows when the run ends
        check_events(world,
                     arena_printf(test_arena(), "closed by error %s;", cases[i].condition).at);
        check_sent(world, "<stream:error><*</stream:error></stream:stream>");
    }
}

TEST(limits_are_lower_before_login)
{
    char *body = arena_alloc(test_arena(), 5001);
    memset(body, 'x', 5000);
    body[5000] = '\0';
    const char *text = arena_printf(test_arena(), "<message><body>%s</body></message>", body).at;
    CLEANUP(world_free) struct world *before = world_new(true);
    feed(before, HEADER);
    feed(before, text);
    check_events(before, "closed by error policy-violation;");
    CLEANUP(world_free) struct world *after = world_new(true);
    log_in_and_bind(after);
    feed(after, text);
    check_events(after, "stanza *");
}

TEST(a_stream_is_closed_politely_or_with_a_reason)
{
    CLEANUP(world_free) struct world *polite = world_new(true);
    log_in_and_bind(polite);
    stream_close(polite->stream, NULL);
    check_sent(polite, "</stream:stream>");
    check(stream_state(polite->stream) == STREAM_CLOSING && !stream_is_open(polite->stream));
    feed(polite, "<message><body>on its way</body></message><presence/>");
    check_events(polite, "");
    feed(polite, "</stream:stream>");
    check_events(polite, "closed by us;");
    check_sent(polite, "");

    CLEANUP(world_free) struct world *abandoned = world_new(true);
    log_in_and_bind(abandoned);
    stream_close(abandoned->stream, NULL);
    stream_abandon(abandoned->stream);
    check_events(abandoned, "closed by us;");

    CLEANUP(world_free) struct world *broken = world_new(true);
    log_in_and_bind(broken);
    stream_close(broken->stream, NULL);
    forget(broken);
    feed(broken, "<a></b>");
    check_sent(broken, ""); // nothing after our end tag
    check_events(broken, "closed by error not-well-formed;");

    CLEANUP(world_free) struct world *told = world_new(true);
    log_in_and_bind(told);
    stream_fail(told->stream, STREAM_SYSTEM_SHUTDOWN, "back in a minute");
    check_sent(told, "<stream:error><system-shutdown "
                     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text *>back in a minute</text>"
                     "</stream:error></stream:stream>");
    stream_fail(told->stream, STREAM_RESET, NULL);
    check_sent(told, "");
    check_events(told, "closed by error system-shutdown;");

    CLEANUP(world_free) struct world *elsewhere = world_new(true);
    log_in_and_bind(elsewhere);
    struct stream_error error = {
        .condition = STREAM_SEE_OTHER_HOST,
        .other_host = STR("[2001:db8::1]:5222"),
        .specific = STR("<moved xmlns='urn:x'/>"),
    };
    stream_close(elsewhere->stream, &error);
    check_sent(elsewhere, "<stream:error><see-other-host *>[2001:db8::1]:5222</see-other-host>"
                          "<moved xmlns='urn:x'/></stream:error></stream:stream>");
}

TEST(a_peer_may_close_at_any_time)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER "</stream:stream>");
    check_sent(world, "*</stream:features></stream:stream>");
    check_events(world, "closed by peer;");
    CLEANUP(world_free) struct world *ready = world_new(true);
    log_in(ready);
    feed(ready,
         "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    check_sent(ready, "</stream:stream>");
    check_events(ready, "closed by peer;");
    // before any header nothing but an error can be said
    CLEANUP(world_free) struct world *silent = world_new(true);
    stream_close(silent->stream, NULL);
    check_sent(silent, "");
    check_events(silent, "closed by us;");
    CLEANUP(world_free) struct world *timed_out = world_new(true);
    stream_fail(timed_out->stream, STREAM_CONNECTION_TIMEOUT, NULL);
    check_sent(timed_out, "<?xml*<stream:stream *<connection-timeout *</stream:stream>");
    CLEANUP(world_free) struct world *in_tls = world_new(false);
    feed(in_tls, HEADER "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    forget(in_tls);
    stream_fail(in_tls->stream, STREAM_CONNECTION_TIMEOUT, NULL);
    check_sent(in_tls, "");
    check_events(in_tls, "closed by error connection-timeout;");
}

TEST(registration_reaches_the_host_where_the_domain_allows_it)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    world->domain.registration = true;
    feed(world, HEADER);
    check_sent(world, "*<register xmlns='http://jabber.org/features/iq-register'/>"
                      "</stream:features>");
    feed(world, "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>");
    check_events(world, "register r;");
    check(stream_state(world->stream) == STREAM_OFFERED);
    CLEANUP(world_free) struct world *clear = world_new(false);
    clear->domain.registration = true;
    feed(clear, HEADER);
    check_sent(clear, "*</starttls></stream:features>");
    feed(clear, "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>");
    check_events(clear, "closed by error not-authorized;");
}

TEST(who_asks_to_register_where_nobody_may_is_refused_and_may_log_in)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER);
    forget(world);
    feed(world, "<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>");
    check_sent(world, "<iq id='r' type='error'><error type='cancel'><service-unavailable "
                      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
    check(stream_state(world->stream) == STREAM_OFFERED);
}

TEST(a_domain_that_goes_away_in_between_ends_the_stream)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER);
    forget(world);
    world->domain_gone = true;
    feed(world, plain("romeo", "pencil"));
    check_events(world, "closed by error host-gone;");
}

TEST(every_header_gets_a_fresh_id)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    feed(world, HEADER);
    struct str first = arena_str(test_arena(), stream_id(world->stream));
    feed(world, plain("romeo", "pencil"));
    feed(world, HEADER);
    check(first.len == 26 && !str_eq(first, stream_id(world->stream)));
}

// peers.md: an idle session should cost little beside its TLS
TEST(an_idle_stream_is_small)
{
    CLEANUP(world_free) struct world *world = world_new(true);
    log_in_and_bind(world);
    stream_rest(world->stream);
    size_t size = malloc_usable_size(world->stream);
    if (size > 520)
        fail_msg("%zu bytes", size);
}

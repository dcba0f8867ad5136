/* Configuration: what is read, what is refused, and in which words. */
#include "daemon/config.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/server_settings.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ONE_DOMAIN                                                                                 \
    "domains = ( { name = \"example.org\"; } ); listen: { starttls = 0; direct_tls = 0; };\n"

static struct buf said;

static enum err load(const char *text, const struct config **out)
{
    buf_done(&said);
    buf_init(&said, 1 << 20);
    return config_load_text(text, "firedoor.conf", out, &said);
}

// Whether exactly these troubles are named.
static bool refuses(const char *text, const char *troubles)
{
    const struct config *config = NULL;
    enum err e = load(text, &config);
    if (e == OK)
        config_unref(&config);
    else
        check_str(buf_str(&said), str_of(troubles));
    return e == ERR_MALFORMED;
}

static enum err load_sets(const char *const *sets, size_t n, const struct config **out)
{
    buf_done(&said);
    buf_init(&said, 1 << 20);
    return config_load(&(struct config_args){.sets = sets, .n_sets = n}, out, &said);
}

TEST(the_defaults_are_in_force_where_the_file_is_silent)
{
    const struct config *config = NULL;
    check(load(ONE_DOMAIN, &config) == OK);
    check(config->limits.stanza_bytes == 256 << 10);
    check(config->limits.unauthenticated_time_us == 30 * SECOND_US);
    check(config->auth.plain);
    check(config->guard.mode == CONFIG_GUARD_ON);
    check(config->listen.addresses.n == 2);
    check_str(config->listen.addresses.at[1], STR("::"));
    check_str(config->store.path, STR("/var/lib/firedoor/firedoor.sqlite"));
    check(config->n_domains == 1);
    config_unref(&config);
    check(config == NULL);
}

TEST(the_guard_has_the_same_defaults_by_itself)
{
    const struct config *config = NULL;
    struct guard_config here, there;
    check(load(ONE_DOMAIN, &config) == OK);
    memset(&here, 0, sizeof here);
    server_guard_config(config, &here);
    guard_config_default(&there);
#define SAME(key) check(here.key == there.key)
    SAME(convict_nats);
    SAME(hold_nats);
    SAME(respond_nats);
    SAME(star_convicts);
    SAME(campaigns);
    SAME(campaign_nats);
    SAME(campaign_lessons);
    SAME(fresh_share);
    SAME(relay_share);
    SAME(fresh_most);
    SAME(fresh_rare);
    SAME(scarce_by);
    SAME(outbreak_rare);
    SAME(surge_nats);
    SAME(day_most);
    SAME(silent_most);
    SAME(fresh_spread);
    SAME(spread_rare);
    SAME(rare_doubling_us);
    SAME(window_first);
    SAME(window_growth);
    SAME(hold_us);
    SAME(novel_us);
    SAME(established_us);
    SAME(established_by);
    SAME(fast_relays_established);
    SAME(relay_us);
    SAME(mature_us);
    SAME(settle_us);
    SAME(forget_us);
    SAME(conviction_us);
    SAME(restriction_us);
    SAME(memory);
    SAME(senders_open);
    SAME(lessons_per_day);
    config_unref(&config);
}

TEST(values_of_every_kind_are_read)
{
    const struct config *config = NULL;
    check(load(ONE_DOMAIN "server: { state_directory = \"/srv/x\"; workers = 3; };\n"
                          "auth: { plain = false; slowdown = \"250 ms\"; };\n"
                          "limits: { stanza_bytes = \"1 MiB\"; outbox_bytes = 8388608;\n"
                          "  resume_time = 90; offline_bytes = 10000000000L; };\n"
                          "archive: { preference = \"roster\"; retention = \"2 weeks\"; };\n"
                          "store: { path = \"db/x.sqlite\"; };\n"
                          "test: { clock_rate = 60.5; };\n",
               &config) == OK);
    check(config->server.workers == 3);
    check(!config->auth.plain);
    check(config->auth.slowdown_us == 250000);
    check(config->limits.stanza_bytes == 1 << 20);
    check(config->limits.outbox_bytes == 8 << 20);
    check(config->limits.resume_time_us == 90 * SECOND_US);
    check(config->limits.offline_bytes == 10000000000);
    check(config->archive.preference == CONFIG_ARCHIVE_ROSTER);
    check(config->archive.retention_us == 14 * 86400 * SECOND_US);
    check_str(config->store.path, STR("/srv/x/db/x.sqlite"));
    check(config->test.clock_rate == 60.5);
    config_unref(&config);
}

TEST(every_trouble_is_named_at_once_with_file_line_key_and_what_is_allowed)
{
    check(refuses("domains = ( { name = \"example.org\"; plane = true; } );\n"
                  "limits: {\n"
                  "  depth = 5000;\n"
                  "  stanza_byte = \"1 MiB\";\n"
                  "  resume_time = \"soon\";\n"
                  "};\n"
                  "guards: { mode = \"on\"; };\n"
                  "guard: { mode = \"perhaps\"; };\n"
                  "auth: { plain = 3; };\n"
                  "workers = 4;\n",
                  "firedoor.conf:1: domains.plane: no such key; did you mean domains.plain?\n"
                  "firedoor.conf:3: limits.depth: \"5000\" is not a whole number from 8 to 256\n"
                  "firedoor.conf:4: limits.stanza_byte: no such key; did you mean "
                  "limits.stanza_bytes?\n"
                  "firedoor.conf:5: limits.resume_time: \"soon\" is not a time from 0 s to 1 d\n"
                  "firedoor.conf:7: guards: no such section; did you mean guard?\n"
                  "firedoor.conf:8: guard.mode: \"perhaps\" is not one of off, observe, on\n"
                  "firedoor.conf:9: auth.plain: \"3\" is not true or false\n"
                  "firedoor.conf:10: workers: no such section; did you mean the key "
                  "server.workers?\n"));
}

TEST(broken_syntax_is_refused_with_its_line)
{
    check(refuses("limits: {\n depth = ;\n};\n", "firedoor.conf:2: syntax error\n"));
    check(refuses("@include \"/etc/passwd\"\n", "firedoor.conf: @include is not possible here\n"));
}

TEST(what_contradicts_itself_is_refused)
{
    check(refuses("", "firedoor.conf: domains: none is named; needed: domains = ( { name = "
                      "\"example.org\"; } );\n"));
    check(refuses(ONE_DOMAIN "auth: {\n slowdown = \"50 s\"; };",
                  "firedoor.conf:3: auth.slowdown: more than auth.slowdown_most\n"));
    check(refuses("domains = ( { name = \"xn--bcher-kva.example\"; } );"
                  "listen: { starttls = 0; direct_tls = 0; };",
                  "firedoor.conf:1: domains.name: \"xn--bcher-kva.example\" is "
                  "\"b\xC3\xBC"
                  "cher.example\" in people's addresses: write it so\n"));
    check(refuses("domains = ( { name = \"Example.org\"; } );"
                  "listen: { starttls = 0; direct_tls = 0; };",
                  "firedoor.conf:1: domains.name: \"Example.org\" is not a domain name in lower "
                  "case, such as example.org\n"));
    check(refuses("domains = ( { name = \"a.example\"; }, { name = \"a.example\"; } );"
                  "listen: { starttls = 0; direct_tls = 0; };",
                  "firedoor.conf: domains: a.example is named twice\n"));
    check(refuses("domains = ( { name = \"example.org\"; } );",
                  "firedoor.conf:1: domain example.org: certificate and key are needed, here or "
                  "in the section tls\n"));
    check(refuses(ONE_DOMAIN "tls: { certificate = \"/nonexistent/a.crt\"; };",
                  "firedoor.conf:1: certificate: /nonexistent/a.crt: No such file or "
                  "directory\n"));
    check(refuses(ONE_DOMAIN "metrics: { address = \"here\"; };",
                  "firedoor.conf:2: metrics.address: \"here\" is not an IPv4 or IPv6 address\n"));
    check(
        refuses(ONE_DOMAIN "http: { addresses = \"localhost\"; };",
                "firedoor.conf:2: http.addresses: \"localhost\" is not an IPv4 or IPv6 address\n"));
    check(refuses(ONE_DOMAIN "http: { key = \"/etc/passwd\"; };",
                  "firedoor.conf:2: http.certificate and http.key: only one given\n"));
    check(
        refuses(ONE_DOMAIN "links: { protect = true; };",
                "firedoor.conf:1: domain example.org: links are to be protected, but http.port is "
                "0: there is no page to open them\n"));
    check(refuses(ONE_DOMAIN "links: { allowed = [ \"Example.org\" ]; };",
                  "firedoor.conf:2: links.allowed: \"Example.org\" is not a host in lower case (of "
                  "other letters, its xn-- form)\n"));
    check(refuses(ONE_DOMAIN "server: { memory = \"703 MiB\"; workers = 2; };",
                  "firedoor.conf:2: server.memory: less than 704 MiB, what 2 workers and "
                  "guard.memory need\n"));
    check(refuses(ONE_DOMAIN "links: { valid = \"100 d\"; renew = \"1 d\"; };",
                  "firedoor.conf:2: links.valid: longer than 15 keys of links.renew last\n"));
    static const char *const no_urls[] = {"http://a.example",    "https://",
                                          "https://a.example/",  "https://A.example",
                                          "https://a.example:0", "https://a@b.example"};
    for (size_t i = 0; i < COUNT_OF(no_urls); i++)
        check(refuses(
            arena_printf(test_arena(), ONE_DOMAIN "http: { url = \"%s\"; };", no_urls[i]).at,
            arena_printf(test_arena(),
                         "firedoor.conf:2: http.url: \"%s\" is not https:// and a host in "
                         "lower case, with or without a port, and nothing after it\n",
                         no_urls[i])
                .at));
}

TEST(a_host_is_read_from_a_url)
{
    check_str(config_url_host(STR("https://chat.example:5281")), STR("chat.example"));
    check_str(config_url_host(STR("https://chat.example")), STR("chat.example"));
}

TEST(a_domain_inherits_what_it_does_not_say_itself)
{
    const struct config *config = NULL;
    check(load("domains = ( { name = \"a.example\"; plain = false; guard = \"observe\"; },\n"
               "            { name = \"b.example\"; registration = true; } );\n"
               "listen: { starttls = 0; direct_tls = 0; };\n"
               "notices: { language = \"de\"; };",
               &config) == OK);
    const struct config_domain *a = config_find_domain(config, STR("a.example"));
    const struct config_domain *b = config_find_domain(config, STR("b.example"));
    check(a != NULL && b != NULL && config_find_domain(config, STR("c.example")) == NULL);
    check(!a->plain && b->plain);
    check(a->guard == CONFIG_GUARD_OBSERVE && b->guard == CONFIG_GUARD_ON);
    check(!a->registration && b->registration);
    check_str(b->language, STR("de"));
    config_unref(&config);
}

TEST(the_command_line_overrides_every_key_and_makes_domains)
{
    const char *sets[] = {
        "listen.starttls=0",
        "listen.direct_tls = 0",
        "listen.addresses=127.0.0.1,::1",
        "domains.chat.example.org.plain=false",
        "domains.b.example.registration=yes",
        "domains.chat.example.org.plain=true",
        "limits.stanza_bytes=64 KiB",
        "server.state_directory=state",
        "test.clock_rate=1e2",
    };
    const struct config *config = NULL;
    check(load_sets(sets, COUNT_OF(sets), &config) == OK);
    check(config->n_domains == 2);
    check(config_find_domain(config, STR("chat.example.org"))->plain);
    check(config_find_domain(config, STR("b.example"))->registration);
    check(config->limits.stanza_bytes == 64 << 10);
    check(config->listen.addresses.n == 2);
    check(config->test.clock_rate == 100);
    char here[4096];
    check(getcwd(here, sizeof here) != NULL);
    check_str(config->server.state_directory, arena_printf(test_arena(), "%s/state", here));
    config_unref(&config);

    const char *wrong[] = {"nonsense",    "limits.depht=9",          "limit.depth=9",
                           "domains.x=3", "domains.a.example.nam=1", "limits.depth=0x10"};
    check(load_sets(wrong, COUNT_OF(wrong), &config) == ERR_MALFORMED);
    check_str(buf_str(&said),
              STR("--set: nonsense: section.key=value is needed\n"
                  "--set: limits.depht: no such key; did you mean limits.depth?\n"
                  "--set: limit: no such section; did you mean limits?\n"
                  "--set: domains.x=3: domains.NAME.key=value is needed\n"
                  "--set: domains.nam: no such key; did you mean domains.name?\n"
                  "--set: limits.depth: \"0x10\" is not a whole number from 8 to 256\n"));
}

TEST(a_reload_may_not_change_what_needs_a_restart)
{
    const struct config *old = NULL, *new = NULL;
    check(load(ONE_DOMAIN, &old) == OK);
    check(load(ONE_DOMAIN "limits: { depth = 16; };", &new) == OK);
    check(config_can_follow(old, new, &said) == OK);
    config_unref(&new);
    check(load("domains = ( { name = \"b.example\"; } );"
               "listen: { starttls = 0; direct_tls = 5224; }; tls: { };"
               "server: { workers = 7; };",
               &new) == ERR_MALFORMED);
    check(load("domains = ( { name = \"b.example\"; } );"
               "listen: { starttls = 0; direct_tls = 0; backlog = 5; };"
               "server: { workers = 7; };",
               &new) == OK);
    check(config_can_follow(old, new, &said) == ERR_DENIED);
    check_str(buf_str(&said), STR("server.workers: from \"0\" to \"7\" needs a restart\n"
                                  "listen.backlog: from \"1024\" to \"5\" needs a restart\n"
                                  "domains: a new domain, b.example, needs a restart\n"
                                  "domains: taking away example.org needs a restart\n"));
    config_unref(&new);
    config_unref(&old);
}

static char *printed(void (*print)(FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    check(out != NULL);
    print(out);
    fclose(out);
    return text;
}

TEST(the_example_file_is_what_the_table_says)
{
    char *text = printed(config_print_example);
    FILE *file = fopen(EXAMPLE_FILE, "r");
    check(file != NULL);
    static char kept[1 << 20];
    size_t n = fread(kept, 1, sizeof kept, file);
    fclose(file);
    check_str(str_make(kept, n), str_of(text));
    free(text);
}

// The example with every key uncommented must be the defaults: so each documented default is one.
TEST(every_key_of_the_example_is_accepted_with_its_default)
{
    char *text = printed(config_print_example);
    struct buf all;
    buf_init(&all, 1 << 20);
    for (struct str rest = str_of(text); rest.at != NULL;) {
        struct str line = str_cut(&rest, '\n'), bare = str_trim(line);
        struct str key = bare.len > 2 ? str_skip(bare, 2) : STR_EMPTY;
        bool is_key = str_starts(bare, STR("# ")) && str_ends(bare, STR(";")) &&
                      str_find(key, STR(" = ")) == str_find_char(key, ' ');
        bool is_file = str_starts(bare, STR("certificate =")) || str_starts(bare, STR("key ="));
        struct str kept = is_key ? key : line;
        if (str_starts(kept, STR("starttls =")) || str_starts(kept, STR("direct_tls =")))
            kept =
                str_starts(kept, STR("starttls")) ? STR("starttls = 0;") : STR("direct_tls = 0;");
        if (!is_file)
            buf_printf(&all, "%.*s\n", STR_ARGS(kept));
    }
    buf_add_char(&all, '\0');
    const struct config *config = NULL, *defaults = NULL;
    enum err e = load(all.at, &config);
    check_str(buf_str(&said), STR_EMPTY);
    check(e == OK && load(ONE_DOMAIN, &defaults) == OK);
    struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    config_print_values(config, &a);
    config_print_values(defaults, &b);
    check_str(buf_str(&a), buf_str(&b));
    buf_done(&a);
    buf_done(&b);
    buf_done(&all);
    config_unref(&config);
    config_unref(&defaults);
    free(text);
}

TEST(the_manual_names_every_key)
{
    char *text = printed(config_print_man);
    check(strstr(text, ".B limits.stanza_bytes\n") != NULL);
    check(strstr(text, ".B guard.mode\n") != NULL);
    check(strstr(text, "May be one of off, observe, on.\n") != NULL);
    free(text);
    buf_done(&said);
}

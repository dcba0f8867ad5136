/*
 * Accounts come in by an XEP-0227 file with SCRAM keys: nobody derives a
 * password three hundred times.
 */
#include "drill/own_server.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/must.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 512, ITERATIONS = 4096, START_S = 30, STOP_S = 15, ARGUMENTS_MOST = 128 };
static const char salt[] = "firedoor drill 1";

struct own_server {
    const struct own_server_plan *plan;
    char directory[PATH_SIZE];
    struct endpoint endpoint;
    pid_t pid;
    enum err entitling; // the first that failed, and why
    struct why why_not;
};

/* Files */

static void path_in(const struct own_server *server, const char *name, char out[PATH_SIZE])
{
    must(snprintf(out, PATH_SIZE, "%.450s/%s", server->directory, name) < PATH_SIZE);
}

static enum err write_file(const struct own_server *server, const char *name, struct str text,
                           struct why *why)
{
    char path[PATH_SIZE];
    path_in(server, name, path);
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fwrite(text.at, 1, text.len, file) == text.len;
    good = file != NULL && fclose(file) == 0 && good;
    return good ? OK : why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

/* A key on P-256 and a certificate that it signs itself, in one PEM file. */
static enum err make_certificate(const struct own_server *server, struct why *why)
{
    char path[PATH_SIZE], name[300];
    path_in(server, "server.pem", path);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    must(key != NULL && certificate != NULL);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 7L * 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    snprintf(name, sizeof name, "%.*s", STR_ARGS(server->plan->domain));
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    snprintf(name, sizeof name, "DNS:%.*s", STR_ARGS(server->plan->domain));
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    must(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *file = fopen(path, "we");
    bool good = file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) &&
                PEM_write_X509(file, certificate);
    good = file != NULL && fclose(file) == 0 && good;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good ? OK : why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
}

static void add_credentials(struct buf *out, enum mechanism mechanism, struct str password)
{
    struct kept_keys keys = login_kept_keys(mechanism, password, str_of(salt), ITERATIONS);
    buf_printf(out,
               "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='%s'>"
               "<iter-count>%d</iter-count><salt>",
               mechanism_name(mechanism), ITERATIONS);
    base64_add(out, str_of(salt));
    buf_add(out, STR("</salt><server-key>"));
    base64_add(out, str_make((char *)keys.server_key, keys.size));
    buf_add(out, STR("</server-key><stored-key>"));
    base64_add(out, str_make((char *)keys.stored_key, keys.size));
    buf_add(out, STR("</stored-key></scram-credentials>"));
}

/* XEP-0227: accounts and rosters.  All people of the drill share a password. */
static enum err write_people(const struct own_server *server, struct why *why)
{
    const struct own_server_plan *plan = server->plan;
    struct buf text, credentials;
    buf_init(&text, 1 << 30);
    buf_init(&credentials, 4096);
    struct str password = str_of(plan->accounts[0].password);
    add_credentials(&credentials, MECHANISM_SCRAM_SHA_1, password);
    add_credentials(&credentials, MECHANISM_SCRAM_SHA_256, password);
    buf_printf(&text,
               "<?xml version='1.0'?><server-data xmlns='urn:xmpp:pie:0'><host jid='%.*s'>\n",
               STR_ARGS(plan->domain));
    for (uint32_t a = 0; a < plan->graph->n_people; a++) {
        must(str_eq(str_of(plan->accounts[a].password), password));
        buf_printf(&text, "<user name='%s'>", plan->accounts[a].user);
        buf_add(&text, buf_str(&credentials));
        buf_add(&text, STR("<query xmlns='jabber:iq:roster'>"));
        for (uint32_t i = 0; i < graph_degree(plan->graph, a); i++)
            buf_printf(&text, "<item jid='%s@%.*s' subscription='both'/>",
                       plan->accounts[graph_contacts(plan->graph, a)[i]].user,
                       STR_ARGS(plan->domain));
        buf_add(&text, STR("</query></user>\n"));
    }
    buf_add(&text, STR("</host></server-data>\n"));
    enum err e = text.overflowed ? why_say(why, ERR_LIMIT, "too many people")
                                 : write_file(server, "people.xml", buf_str(&text), why);
    buf_done(&text);
    buf_done(&credentials);
    return e;
}

/* Processes */

/* Runs a program; its output goes to the descriptor. */
static pid_t run(char *const *arguments, int output)
{
    pid_t pid = fork();
    must(pid >= 0);
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM); // should the drill die, its server does not stay behind
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        _exit(126);
    execv(arguments[0], arguments);
    _exit(127);
}

/* Calls firedoorctl with some words and takes its output. */
static enum err control(const struct own_server *server, const char *const *words,
                        struct buf *output, struct why *why)
{
    char program[PATH_SIZE], socket_path[PATH_SIZE];
    char *arguments[16] = {program, "--socket", socket_path, "--json", "--quiet"};
    size_t n = 5;
    snprintf(program, sizeof program, "%s/firedoorctl", server->plan->programs);
    path_in(server, "control.sock", socket_path);
    for (; *words != NULL && n < COUNT_OF(arguments) - 1; words++)
        arguments[n++] = (char *)*words;
    int ends[2];
    must(pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = run(arguments, ends[1]);
    close(ends[1]);
    for (;;) {
        char *at = buf_reserve(output, 65536);
        ssize_t got = at != NULL ? read(ends[0], at, 65536) : 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        output->len += (size_t)got;
    }
    close(ends[0]);
    int status;
    must(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return why_say(why, ERR_DENIED, "firedoorctl %s: %.*s", arguments[5],
                       (int)(output->len < 300 ? output->len : 300), output->at);
    return OK;
}

/* Starting */

static struct endpoint free_endpoint(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    close(fd);
    struct endpoint endpoint = {.size = size};
    memcpy(&endpoint.address, &address, size);
    return endpoint;
}

static bool answers(const struct endpoint *endpoint)
{
    int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    bool connected = connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->size) == 0;
    close(fd);
    return connected;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void tail_of_log(const struct own_server *server, char out[256])
{
    char path[PATH_SIZE];
    path_in(server, "output", path);
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file == NULL)
        return;
    if (fseek(file, -255, SEEK_END) != 0)
        rewind(file);
    out[fread(out, 1, 255, file)] = '\0';
    fclose(file);
}

struct command_line {
    struct arena arena;
    char *words[ARGUMENTS_MOST];
    size_t n;
};

static void add_word(struct command_line *line, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_word(struct command_line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    must(line->n < ARGUMENTS_MOST - 1);
    line->words[line->n++] = (char *)arena_vprintf(&line->arena, format, args).at;
    va_end(args);
}

#define SET(line, ...) (add_word((line), "--set"), add_word((line), __VA_ARGS__))

static void compose(const struct own_server *server, struct command_line *line)
{
    const struct own_server_plan *plan = server->plan;
    const struct sockaddr_in *address = (const struct sockaddr_in *)&server->endpoint.address;
    const char *at = server->directory;
    char beside[4096];
    snprintf(beside, sizeof beside, "%s/firedoord", plan->programs);
    // where it is installed it stands among the servers
    add_word(line, access(beside, X_OK) == 0 ? "%s/firedoord" : "%s/../sbin/firedoord",
             plan->programs);
    add_word(line, "--config");
    add_word(line, "%s/firedoor.conf", at);
    SET(line, "server.state_directory=%s/state", at);
    SET(line, "server.run_as=root"); // its directory is ours alone
    SET(line, "listen.addresses=127.0.0.1");
    SET(line, "listen.starttls=%u", (unsigned)ntohs(address->sin_port));
    SET(line, "listen.direct_tls=0");
    SET(line, "tls.certificate=%s/server.pem", at);
    SET(line, "tls.key=%s/server.pem", at);
    SET(line, "control.socket=%s/control.sock", at);
    SET(line, "log.level=notice");
    SET(line, "limits.connections_per_address=1000000");
    SET(line, "limits.accepts_per_second=1000000");
    SET(line, "guard.mode=%s", plan->guard ? "on" : "off");
    SET(line, "test.clock_rate=%g", plan->speed);
    SET(line, "test.guard_seed=%u", (unsigned)(plan->seed % 1000000 + 1));
    for (char *const *setting = plan->settings; setting != NULL && *setting != NULL; setting++)
        SET(line, "%s", *setting);
    line->words[line->n] = NULL;
}

static enum err launch(struct own_server *server, struct why *why)
{
    char path[PATH_SIZE], said[256];
    struct command_line line = {.n = 0};
    arena_init(&line.arena, 1 << 20);
    server->endpoint = free_endpoint();
    compose(server, &line);
    path_in(server, "output", path);
    int output = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    must(output >= 0);
    server->pid = run(line.words, output);
    close(output);
    arena_done(&line.arena);
    for (int64_t until_us = clock_now_us() + START_S * SECOND_US; clock_now_us() < until_us;) {
        if (answers(&server->endpoint))
            return OK;
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            break;
        }
        pause_ms(20);
    }
    tail_of_log(server, said);
    return why_say(why, ERR_IO, "%s/firedoord does not answer: %s", server->plan->programs, said);
}

enum err own_server_start(struct own_server **out, const struct own_server_plan *plan,
                          struct why *why)
{
    struct own_server *server = calloc(1, sizeof *server);
    must(server != NULL);
    server->plan = plan;
    const char *parent = plan->keep != NULL ? plan->keep : getenv("TMPDIR"); // NOLINT: one thread
    snprintf(server->directory, sizeof server->directory, "%s/firedoor-drill.XXXXXX",
             parent != NULL ? parent : "/tmp");
    if (plan->keep != NULL)
        mkdir(plan->keep, 0777); // mkdtemp says so where this fails
    if (mkdtemp(server->directory) == NULL) {
        enum err e = why_say(why, ERR_IO, "%s: %s", server->directory, strerror(errno));
        free(server);
        return e;
    }
    char path[PATH_SIZE];
    path_in(server, "state", path);
    struct buf conf;
    buf_init(&conf, 4096);
    buf_printf(&conf, "domains = ( { name = \"%.*s\"; } );\n", STR_ARGS(plan->domain));
    enum err e =
        mkdir(path, 0700) == 0 ? OK : why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    if (e == OK)
        e = write_file(server, "firedoor.conf", buf_str(&conf), why);
    buf_done(&conf);
    if (e == OK)
        e = make_certificate(server, why);
    if (e == OK)
        e = write_people(server, why);
    if (e == OK)
        e = launch(server, why);
    if (e == OK) {
        struct buf said;
        buf_init(&said, 1 << 20);
        path_in(server, "people.xml", path);
        const char *words[] = {"import", path, NULL};
        e = control(server, words, &said, why);
        buf_done(&said);
    }
    if (e == OK)
        *out = server;
    else
        own_server_stop(&server);
    return e;
}

struct endpoint own_server_endpoint(const struct own_server *server)
{
    return server->endpoint;
}

void own_server_stop(struct own_server **slot)
{
    struct own_server *server = *slot;
    if (server == NULL)
        return;
    *slot = NULL;
    if (server->pid != 0) {
        kill(server->pid, SIGTERM);
        int64_t until_us = clock_now_us() + STOP_S * SECOND_US;
        while (waitpid(server->pid, NULL, WNOHANG) == 0) {
            if (clock_now_us() > until_us)
                kill(server->pid, SIGKILL);
            pause_ms(10);
        }
    }
    if (server->plan->keep == NULL)
        nftw(server->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS); // NOLINT: one thread
    free(server);
}

void own_server_entitle(void *of, uint32_t who, const char *host)
{
    struct own_server *server = of;
    char jid[300], host_word[300];
    const char *words[10] = {"entitle", "add", jid, "--receivers", "10000", "--reason", "its work"};
    snprintf(jid, sizeof jid, "%s@%.*s", server->plan->accounts[who].user,
             STR_ARGS(server->plan->domain));
    snprintf(host_word, sizeof host_word, "%s", host);
    if (host[0] != '\0') {
        words[7] = "--host";
        words[8] = host_word;
    }
    struct buf said;
    buf_init(&said, 65536);
    struct why why;
    enum err e = control(server, words, &said, &why);
    buf_done(&said);
    if (e != OK && server->entitling == OK) {
        server->entitling = e;
        server->why_not = why;
    }
}

enum err own_server_has_entitled(const struct own_server *server, struct why *why)
{
    if (server->entitling != OK)
        *why = server->why_not;
    return server->entitling;
}

/* What the server says it did */

static enum err ask(const struct own_server *server, const char *const *words, json_t **out,
                    struct why *why)
{
    struct buf text;
    json_error_t trouble;
    buf_init(&text, 256 << 20);
    enum err e = control(server, words, &text, why);
    if (e == OK) {
        *out = json_loadb(text.at, text.len, 0, &trouble);
        if (*out == NULL)
            e = why_say(why, ERR_MALFORMED, "firedoorctl %s %s: %s", words[0], words[1],
                        trouble.text);
    }
    buf_done(&text);
    return e;
}

static bool time_in(const json_t *object, const char *key, int64_t *us)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && clock_parse(str_of(text), us) == OK;
}

/* What is known of each person of the town. */
struct standing {
    bool infected, restricted;
};

static struct standing *standing_of(const struct own_server *server, struct standing *people,
                                    const char *jid)
{
    struct str rest = str_of(jid), user = str_cut(&rest, '@');
    for (uint32_t i = 0; i < server->plan->graph->n_people; i++) {
        if (str_eq(user, str_of(server->plan->accounts[i].user)))
            return &people[i];
    }
    return NULL;
}

/* Adds one conviction to the record: what it was about, and whom it restricted. */
static void add_incident(const struct own_server *server, struct standing *people,
                         const json_t *incident, struct record *record)
{
    int64_t first_us, convicted_us;
    if (!time_in(incident, "convicted", &convicted_us))
        return;
    bool is_worm = false;
    size_t i;
    const json_t *node;
    json_array_foreach(json_object_get(incident, "tree"), i, node)
    {
        struct standing *who =
            standing_of(server, people, json_string_value(json_object_get(node, "who")));
        if (who == NULL)
            continue;
        is_worm |= who->infected && json_integer_value(json_object_get(node, "receivers")) > 0;
        who->restricted |= json_is_true(json_object_get(node, "restricted"));
    }
    if (!is_worm) {
        record->n_honest_convicted++;
        return;
    }
    if (!time_in(incident, "first", &first_us))
        first_us = convicted_us;
    double s = (double)(convicted_us - first_us) / 1e6;
    if (record->convicted_s < 0 || s < record->convicted_s)
        record->convicted_s = s;
}

static enum err read_incidents(const struct own_server *server, struct standing *people,
                               struct record *record, struct why *why)
{
    const char *list_words[] = {"incident", "list", NULL};
    json_t *list;
    enum err e = ask(server, list_words, &list, why);
    if (e != OK)
        return e;
    size_t i;
    const json_t *summary;
    json_array_foreach(json_object_get(list, "incidents"), i, summary)
    {
        int64_t convicted_us;
        char id[24];
        json_t *incident;
        if (e != OK || !time_in(summary, "convicted", &convicted_us))
            continue;
        snprintf(id, sizeof id, "%lld",
                 (long long)json_integer_value(json_object_get(summary, "id")));
        const char *show_words[] = {"incident", "show", id, NULL};
        e = ask(server, show_words, &incident, why);
        if (e == OK) {
            add_incident(server, people, incident, record);
            json_decref(incident);
        }
    }
    json_decref(list);
    return e;
}

enum err own_server_record(struct own_server *server, struct result *result, struct why *why)
{
    struct record *record = &result->record;
    *record = (struct record){.known = true, .convicted_s = -1};
    if (!server->plan->guard)
        return OK;
    uint32_t n_people = server->plan->graph->n_people;
    struct standing *people = calloc(n_people, sizeof *people);
    must(people != NULL);
    for (uint32_t i = 0; i < result->outcome.n_infected; i++)
        people[result->outcome.infected[i].person].infected = true;
    enum err e = read_incidents(server, people, record, why);
    for (uint32_t i = 0; i < n_people; i++) {
        record->n_restricted_rightly += people[i].restricted && people[i].infected;
        record->n_restricted_wrongly += people[i].restricted && !people[i].infected;
    }
    free(people);
    return e;
}

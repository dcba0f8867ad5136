/* Against a scanner of our own that says what the test wants; the real one is in integration. */
#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "files/clamd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct scanner {
    int listening;
    const char *says; // NULL: nothing, and it listens on; "": it hangs up
    size_t got;
    char where[64];
    pthread_t thread;
};

static bool read_all(int fd, void *out, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = read(fd, (char *)out + got, n - got);
        if (k <= 0)
            return false;
        got += (size_t)k;
    }
    return true;
}

static void *serve(void *context)
{
    struct scanner *scanner = context;
    int fd = accept(scanner->listening, NULL, NULL);
    char command[10], piece[70000];
    uint32_t len = 1;
    must(fd >= 0);
    if (read_all(fd, command, sizeof command) && memcmp(command, "zINSTREAM", 10) == 0)
        while (read_all(fd, &len, sizeof len) && (len = ntohl(len)) > 0) {
            must(len <= sizeof piece && read_all(fd, piece, len));
            scanner->got += len;
        }
    if (scanner->says == NULL)
        (void)!read(fd, piece, 1);
    else if (scanner->says[0] != '\0')
        must(write(fd, scanner->says, strlen(scanner->says) + 1) > 0);
    close(fd);
    return NULL;
}

static void scanner_start(struct scanner *scanner, const char *says)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *scanner = (struct scanner){.listening = socket(AF_INET, SOCK_STREAM, 0), .says = says};
    must(bind(scanner->listening, (struct sockaddr *)&at, sizeof at) == 0 &&
         listen(scanner->listening, 1) == 0 &&
         getsockname(scanner->listening, (struct sockaddr *)&at, &len) == 0);
    snprintf(scanner->where, sizeof scanner->where, "127.0.0.1:%d", ntohs(at.sin_port));
    must(pthread_create(&scanner->thread, NULL, serve, scanner) == 0);
}

static int file_of(size_t n)
{
    char path[] = "/tmp/clamd-test-XXXXXX";
    int fd = mkstemp(path);
    must(fd >= 0 && ftruncate(fd, (off_t)n) == 0);
    unlink(path);
    return fd;
}

TEST(what_the_scanner_says_is_understood)
{
    static const struct {
        const char *says;
        enum scan word;
        const char *finding;
    } cases[] = {
        {"stream: OK",                          SCAN_CLEAN,     ""               },
        {"stream: Eicar-Signature FOUND",       SCAN_FOUND,     "Eicar-Signature"},
        {"stream: a b\"c FOUND",                SCAN_FOUND,     "a_b\"c"         },
        {"INSTREAM size limit exceeded. ERROR", SCAN_TOO_LARGE, ""               },
        {"stream: Can't allocate memory ERROR", SCAN_AWAY,      ""               },
        {"stream: OK but not quite",            SCAN_AWAY,      ""               },
        {"",                                    SCAN_AWAY,      ""               },
    };
    int fd = file_of(200000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scanner scanner;
        struct why why;
        char finding[SCAN_FINDING_MOST];
        scanner_start(&scanner, cases[i].says);
        check(clamd_scan(scanner.where, fd, 60 * SECOND_US, NULL, finding, &why) == cases[i].word);
        check_str(str_of(finding), str_of(cases[i].finding));
        pthread_join(scanner.thread, NULL);
        check(scanner.got == 200000);
        close(scanner.listening);
    }
    close(fd);
}

TEST(a_scanner_that_is_silent_or_not_there_is_away)
{
    struct scanner scanner;
    struct why why;
    char finding[SCAN_FINDING_MOST];
    int fd = file_of(10);
    scanner_start(&scanner, NULL);
    check(clamd_scan(scanner.where, fd, SECOND_US / 5, NULL, finding, &why) == SCAN_AWAY);
    pthread_join(scanner.thread, NULL);
    close(scanner.listening);
    check(clamd_scan(scanner.where, fd, SECOND_US, NULL, finding, &why) == SCAN_AWAY);
    check(clamd_scan("/tmp/there/is/no/such/socket", fd, SECOND_US, NULL, finding, &why) ==
          SCAN_AWAY);
    check(strstr(why.text, "/tmp/there/is/no/such/socket") != NULL);
    close(fd);
}

TEST(a_place_is_a_path_or_a_numeric_address_with_a_port)
{
    check(clamd_is_place(STR("/run/clamav/clamd.ctl")) && clamd_is_place(STR("127.0.0.1:3310")));
    check(clamd_is_place(STR("[::1]:3310")));
    check(!clamd_is_place(STR("localhost:3310")) && !clamd_is_place(STR("127.0.0.1")));
    check(!clamd_is_place(STR("127.0.0.1:0")) && !clamd_is_place(STR("clamd.ctl")));
}

/*
 * What the XML room costs: CPU time of reading and writing one stanza of about
 * 300 bytes.  Prints, asserts nothing.
 */
#include "base/random.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char header[] = "<stream:stream xmlns='jabber:client' "
                             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

static const char stanza[] =
    "<message from='romeo@montague.example/orchard' to='juliet@capulet.example' type='chat' "
    "id='8a2f0c7e' xml:lang='en'><body>Wherefore art thou, my dear, on this fine evening?</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/>"
    "<request xmlns='urn:xmpp:receipts'/><origin-id xmlns='urn:xmpp:sid:0' id='8a2f0c7e'/>"
    "</message>";

enum { ROUNDS = 1000000 };

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void expect(bool it_is)
{
    if (!it_is)
        abort();
}

/* Reads the stanza ROUNDS times, cut into pieces of n bytes. */
static double read_in_pieces(size_t n, int rounds)
{
    struct arena arena;
    arena_init(&arena, 1U << 20);
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct element *element;
    struct str rest = str_of(header);
    expect(tokenizer_feed(&t, &rest, &arena, &element) == TOKEN_HEADER);
    double start = cpu_ns();
    for (int i = 0; i < rounds; i++) {
        arena_reset(&arena);
        struct str all = str_of(stanza);
        enum token token = TOKEN_MORE;
        while (token == TOKEN_MORE && all.len > 0) {
            rest = str_first(all, n < all.len ? n : all.len);
            all = str_skip(all, rest.len);
            token = tokenizer_feed(&t, &rest, &arena, &element);
        }
        expect(token == TOKEN_STANZA);
    }
    double spent = cpu_ns() - start;
    tokenizer_done(&t);
    arena_done(&arena);
    return spent / rounds;
}

static double write_whole(int rounds)
{
    struct arena arena;
    arena_init(&arena, 1U << 20);
    struct element *element;
    expect(element_parse(&arena, str_of(stanza), NS_CLIENT, NULL, &element, NULL) == OK);
    struct buf buf;
    buf_init(&buf, 1U << 20);
    double start = cpu_ns();
    for (int i = 0; i < rounds; i++) {
        buf_clear(&buf);
        xml_write(&buf, element, NS_CLIENT);
    }
    double spent = cpu_ns() - start;
    buf_done(&buf);
    arena_done(&arena);
    return spent / rounds;
}

int main(void)
{
    random_start();
    printf("stanza of %zu bytes, CPU ns each\n", sizeof stanza - 1);
    printf("read whole             %7.0f\n", read_in_pieces(sizeof stanza, ROUNDS));
    printf("read cut in two        %7.0f\n", read_in_pieces(sizeof stanza / 2, ROUNDS));
    printf("read byte by byte      %7.0f\n", read_in_pieces(1, ROUNDS / 10));
    printf("written                %7.0f\n", write_whole(ROUNDS));
    printf("an idle tokenizer      %7zu bytes\n", sizeof(struct tokenizer));
    return 0;
}

#include "net/addr.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

static void set_v6(struct addr *out, const uint8_t bytes[16], uint16_t port)
{
    *out = (struct addr){.port = port, .v6 = memcmp(bytes, mapped, sizeof mapped) != 0};
    if (out->v6)
        memcpy(out->bytes, bytes, 16);
    else
        memcpy(out->bytes, bytes + 12, 4);
}

enum err addr_parse(struct str text, uint16_t port, struct addr *out)
{
    char z[INET6_ADDRSTRLEN];
    if (text.len >= 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
        text = str_make(text.at + 1, text.len - 2);
    if (str_to_z(text, z, sizeof z) != OK)
        return ERR_MALFORMED;
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, z, &v4) == 1) {
        *out = (struct addr){.port = port};
        memcpy(out->bytes, &v4, 4);
        return OK;
    }
    if (inet_pton(AF_INET6, z, &v6) == 1) {
        set_v6(out, v6.s6_addr, port);
        return OK;
    }
    return ERR_MALFORMED;
}

enum err addr_from_sockaddr(const struct sockaddr *from, struct addr *out)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        *out = (struct addr){.port = ntohs(v4.sin_port)};
        memcpy(out->bytes, &v4.sin_addr, 4);
        return OK;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        set_v6(out, v6.sin6_addr.s6_addr, ntohs(v6.sin6_port));
        return OK;
    }
    return ERR_UNSUPPORTED;
}

unsigned addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (addr->v6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
        memcpy(&v6.sin6_addr, addr->bytes, 16);
        memcpy(out, &v6, sizeof v6);
        return sizeof v6;
    }
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
    memcpy(&v4.sin_addr, addr->bytes, 4);
    memcpy(out, &v4, sizeof v4);
    return sizeof v4;
}

struct str addr_text(const struct addr *addr, char out[ADDR_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN];
    must(inet_ntop(addr->v6 ? AF_INET6 : AF_INET, addr->bytes, ip, sizeof ip) != NULL);
    snprintf(out, ADDR_TEXT_SIZE, addr->v6 ? "[%s]:%u" : "%s:%u", ip, (unsigned)addr->port);
    return str_of(out);
}

struct str addr_block(const struct addr *addr, char out[ADDR_BLOCK_SIZE])
{
    out[0] = addr->v6 ? '6' : '4';
    size_t len = addr->v6 ? 8 : 4;
    memcpy(out + 1, addr->bytes, len);
    return str_make(out, 1 + len);
}

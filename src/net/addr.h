/*
 * Addresses of peers: IPv4 or IPv6 with a port, small enough to keep everywhere.
 *
 * An IPv4 address that arrived mapped into IPv6 is kept as IPv4.  What is
 * counted per peer (connections, failed logins) is counted per addr_block: one
 * IPv4 address, or one /64 of IPv6, because a customer owns all of a /64.
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct sockaddr_storage;
struct sockaddr;

struct addr {
    uint8_t bytes[16]; // network order; IPv4 uses the first four, the rest is zero
    uint16_t port;     // host order
    bool v6;
};

enum {
    ADDR_TEXT_SIZE = 64, // "[2001:db8::1]:65535" and its NUL
    ADDR_BLOCK_SIZE = 9,
};

/* Numeric text: "127.0.0.1", "::1", "[::1]"; no names, no zone. */
enum err addr_parse(struct str text, uint16_t port, struct addr *out) MUST_CHECK;
enum err addr_from_sockaddr(const struct sockaddr *from, struct addr *out) MUST_CHECK;
/* Returns the length that connect(2) and bind(2) want. */
unsigned addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out);

/* "192.0.2.1:5222", "[2001:db8::1]:5222". */
struct str addr_text(const struct addr *addr, char out[ADDR_TEXT_SIZE]);

/* The key under which this peer is counted: family and IPv4 address or IPv6 /64. */
struct str addr_block(const struct addr *addr, char out[ADDR_BLOCK_SIZE]);

#endif

/*
 * Bytes of events and snapshots: numbers of 7 bits a byte, low first; text with
 * its length before it.
 */
#ifndef GUARD_CODEC_H
#define GUARD_CODEC_H

#include "base/buf.h"
#include "guard/lure.h"

static inline void put_u64(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_add_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_add_char(out, (char)value);
}

static inline void put_i64(struct buf *out, int64_t value)
{
    put_u64(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static inline void put_real(struct buf *out, double value)
{
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    buf_add(out, str_make(bytes, sizeof bytes));
}

static inline void put_str(struct buf *out, struct str text)
{
    put_u64(out, text.len);
    buf_add(out, text);
}

static inline void put_key(struct buf *out, const struct lure_key *key)
{
    buf_add(out, str_make((const char *)key->bytes, sizeof key->bytes));
}

/* Reading: once something was wrong, everything after is zero. */
struct reader {
    struct str rest;
    bool bad;
};

static inline struct str get_bytes(struct reader *in, size_t n)
{
    if (in->bad || n > in->rest.len) {
        in->bad = true;
        return STR_EMPTY;
    }
    struct str bytes = str_first(in->rest, n);
    in->rest = str_skip(in->rest, n);
    return bytes;
}

static inline uint64_t get_u64(struct reader *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        struct str byte = get_bytes(in, 1);
        if (byte.len == 0)
            return 0;
        value |= (uint64_t)(byte.at[0] & 0x7F) << shift;
        if ((byte.at[0] & 0x80) == 0)
            return value;
    }
    in->bad = true;
    return 0;
}

static inline int64_t get_i64(struct reader *in)
{
    uint64_t value = get_u64(in);
    return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

/* At most `most`, else the bytes are bad. */
static inline uint32_t get_u32(struct reader *in, uint32_t most)
{
    uint64_t value = get_u64(in);
    if (value > most)
        in->bad = true;
    return in->bad ? 0 : (uint32_t)value;
}

static inline bool get_bool(struct reader *in)
{
    return get_u32(in, 1) != 0;
}

static inline double get_real(struct reader *in)
{
    double value = 0;
    struct str bytes = get_bytes(in, sizeof value);
    if (bytes.len == sizeof value)
        memcpy(&value, bytes.at, sizeof value);
    return value;
}

static inline struct str get_str(struct reader *in)
{
    uint64_t len = get_u64(in);
    if (len > in->rest.len)
        in->bad = true;
    return get_bytes(in, in->bad ? 0 : (size_t)len);
}

static inline struct lure_key get_key(struct reader *in)
{
    struct lure_key key = {0};
    struct str bytes = get_bytes(in, sizeof key.bytes);
    if (bytes.len == sizeof key.bytes)
        memcpy(key.bytes, bytes.at, sizeof key.bytes);
    return key;
}

#endif

#include "base/hash.h"

#include "base/random.h"

#include <sodium.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct hash_key hash_key_random(void)
{
    struct hash_key key;
    random_bytes(key.bytes, sizeof key.bytes);
    return key;
}

uint64_t hash_keyed(const struct hash_key *key, struct str text)
{
    uint64_t out;
    _Static_assert(crypto_shorthash_BYTES == sizeof out, "SipHash gives 64 bits");
    crypto_shorthash((unsigned char *)&out, (const unsigned char *)text.at, text.len, key->bytes);
    return out;
}

uint64_t hash_fast(uint64_t seed, struct str text)
{
    return XXH3_64bits_withSeed(text.at, text.len, seed);
}

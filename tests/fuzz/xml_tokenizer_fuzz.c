/*
 * The tokenizer against expat, against its own writer, and against itself with
 * other cuts.
 */
#include "xml_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t seed = 0;
    memcpy(&seed, data, size < sizeof seed ? size : sizeof seed);
    struct str text = {(const char *)data, size};
    xml_check_document(text);
    xml_check_stream(text, seed + size);
    return 0;
}

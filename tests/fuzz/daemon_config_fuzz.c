/*
 * Configuration files: whatever is in them is read or refused with a sentence.
 *
 * An operator writes them, so this is about never dying at a reload.
 */
#include "daemon/config.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

// libconfig 1.5 loses the last string or file name before a syntax error: some bytes for each
// reload that fails, in a library that is not ours.
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    must(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    struct buf troubles;
    buf_init(&troubles, 1 << 20);
    const struct config *config = NULL;
    enum err e = config_load_text(text, "fuzz.conf", &config, &troubles);
    must((e == OK) == (config != NULL));
    must((e == OK) == (troubles.len == 0 && !troubles.overflowed));
    if (e == OK) {
        must(config->n_domains > 0);
        struct buf values;
        buf_init(&values, 8 << 20);
        config_print_values(config, &values);
        must(config_can_follow(config, config, &troubles) == OK);
        buf_done(&values);
        config_unref(&config);
    }
    buf_done(&troubles);
    free(text);
    return 0;
}

#include "net/certificate.h"

#include "base/arena.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { NAMES_SHOWN = 400 };

// "a.example, *.b.example": its DNS names, as many as fit.
static struct str names_of(struct arena *arena, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    struct str all = STR_EMPTY;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && all.len < NAMES_SHOWN; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        struct str text = str_make((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
        if (str_is_utf8(text) && text.len < NAMES_SHOWN)
            all = arena_printf(arena, "%.*s%s%.*s", STR_ARGS(all), all.len > 0 ? ", " : "",
                               STR_ARGS(text));
    }
    GENERAL_NAMES_free(names);
    return all.len > 0 ? all : STR("no host");
}

enum err certificate_is_for(const char *file, struct str host, struct why *why)
{
    FILE *in = fopen(file, "re");
    X509 *certificate = in != NULL ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;
    if (in != NULL)
        fclose(in);
    ERR_clear_error();
    if (certificate == NULL)
        return why_say(why, ERR_MALFORMED, "there is no certificate in '%s'", file);
    enum err e = OK;
    if (X509_check_host(certificate, host.at, host.len, 0, NULL) != 1) {
        struct arena arena;
        arena_init(&arena, 64 << 10);
        struct str names = names_of(&arena, certificate);
        e = why_say(why, ERR_MISSING, "the certificate '%s' is for %.*s, not for %.*s", file,
                    STR_ARGS(names), STR_ARGS(host));
        arena_done(&arena);
    }
    X509_free(certificate);
    return e;
}

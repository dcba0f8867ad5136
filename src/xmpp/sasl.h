/*
 * SASL as RFC 6120 §6 profiles it, the server's side of one exchange.
 *
 * What is offered depends on the connection and the configuration; what was
 * not offered is refused.  An exchange takes base64 text as it stands in the
 * elements and answers with steps; the stream writes the elements.
 */
#ifndef XMPP_SASL_H
#define XMPP_SASL_H

#include "xmpp/scram.h"

/* Strongest first: the order in which they are offered. */
enum sasl_mechanism {
    SASL_SCRAM_SHA_256_PLUS,
    SASL_SCRAM_SHA_1_PLUS,
    SASL_SCRAM_SHA_256,
    SASL_SCRAM_SHA_1,
    SASL_PLAIN,
    SASL_N_MECHANISMS,
};
#define SASL_BIT(mechanism) (1U << (mechanism))
enum { SASL_ALL = (1 << SASL_N_MECHANISMS) - 1 };

/* "SCRAM-SHA-256-PLUS"…  Static storage. */
const char *sasl_mechanism_name(enum sasl_mechanism mechanism);
/* ERR_UNSUPPORTED when the name is none of ours (mechanism names are upper case: RFC 4422 §3.1). */
enum err sasl_mechanism_of(struct str name, enum sasl_mechanism *out) MUST_CHECK;

/* The mechanisms to offer, a bit set.  allowed: by configuration; secured: inside TLS (nothing is
 * offered outside); bindings: bit set of what the connection can bind to. */
unsigned sasl_offer(unsigned allowed, bool secured, unsigned bindings);

/* RFC 6120 §6.5. */
enum sasl_failure {
    SASL_ABORTED,
    SASL_ACCOUNT_DISABLED,
    SASL_CREDENTIALS_EXPIRED,
    SASL_ENCRYPTION_REQUIRED,
    SASL_INCORRECT_ENCODING,
    SASL_INVALID_AUTHZID,
    SASL_INVALID_MECHANISM,
    SASL_MALFORMED_REQUEST,
    SASL_MECHANISM_TOO_WEAK,
    SASL_NOT_AUTHORIZED,
    SASL_TEMPORARY_AUTH_FAILURE,
    SASL_N_FAILURES,
};
/* "not-authorized"…  Static storage. */
const char *sasl_failure_name(enum sasl_failure failure);

/* Strict base64 (base/base64.h).  A single "=" is
 * the empty text (RFC 6120 §6.4.2).  ERR_MALFORMED otherwise; ERR_LIMIT beyond most bytes. */
enum err sasl_decode(struct arena *arena, struct str text, size_t most, struct str *out) MUST_CHECK;

/* What to do next. */
enum sasl_step {
    SASL_SEND_CHALLENGE,   // answer holds the text of <challenge/>
    SASL_WANT_CREDENTIALS, // look up local@domain, then sasl_credentials
    SASL_WANT_PASSWORD,    // derive slowly, then sasl_password_checked
    SASL_SUCCEEDED,        // answer holds the text of <success/>, maybe empty; local is proved
    SASL_FAILED,           // failure says why
};

struct sasl_setting {
    const struct scram_crypto *crypto; // outlives the exchange
    unsigned offered;                  // what was offered on this stream, a bit set
    unsigned bindings;
    bool protect_offer; // XEP-0474
    struct str domain;  // of the stream, prepared; borrowed for the exchange's life
};

/* One exchange: begins with <auth/>, ends with success, failure or abort. */
struct sasl;

/* Answers the channel's binding data; 0 when there is none. */
typedef size_t (*sasl_binding_fn)(void *context, enum channel_binding binding,
                                  unsigned char out[CHANNEL_BINDING_MOST]);

/* Reads <auth mechanism='…'>text</auth>.  has_text: the element had any (an absent initial
 * response is not an empty one).  *out is made in every case. */
enum sasl_step sasl_begin(const struct sasl_setting *setting, struct str mechanism, struct str text,
                          bool has_text, sasl_binding_fn binding, void *context, struct sasl **out);
void sasl_free(struct sasl **sasl);

/* Reads <response>text</response>. */
enum sasl_step sasl_respond(struct sasl *sasl, struct str text);

/* What the lookup found.  The credentials are copied. */
enum lookup { LOOKUP_FOUND, LOOKUP_UNKNOWN, LOOKUP_FAILED };
/* fakes: what an unknown account would look like (scram_fake); used when lookup is
 * LOOKUP_UNKNOWN or the account has no keys of the hash. */
enum sasl_step sasl_credentials(struct sasl *sasl, enum lookup lookup,
                                const struct credentials *credentials,
                                const struct credentials *fakes);
/* The slow part of PLAIN has an answer.  OK: fits; ERR_DENIED: does not; others: no resources. */
enum sasl_step sasl_password_checked(struct sasl *sasl, enum err result);

/* Text for the element, base64 already; borrowed until the next call. */
struct str sasl_answer(const struct sasl *sasl);
enum sasl_failure sasl_failure(const struct sasl *sasl);
/* For the log: finer than the failure that the client sees. */
enum scram_error sasl_detail(const struct sasl *sasl);
enum sasl_mechanism sasl_mechanism(const struct sasl *sasl);
/* Prepared local part of the account in question; empty before it is known. */
struct str sasl_local(const struct sasl *sasl);
/* With SASL_WANT_PASSWORD: what to derive against, and the password.  Borrowed: whoever hands them
 * to another thread copies them, and wipes the copy. */
const struct credentials *sasl_wanted(const struct sasl *sasl);
struct str sasl_password(const struct sasl *sasl);

#endif

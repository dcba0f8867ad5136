#include "im/session_request.h"

static void begin_session(struct asked *asked)
{
    asked_result(&asked, NULL); // it has begun with the resource already
}

// RFC 6120 7.6.2.1: one stream, one resource.
static void refuse_bind(struct asked *asked)
{
    asked_error(&asked, STANZA_NOT_ALLOWED, "this stream has its resource already");
}

static const struct iq_handler iqs[] = {
    {NS_SESSION, {"session", 7}, IQ_SET | IQ_DOMAIN | IQ_ACCOUNT | IQ_OWN_ONLY, begin_session},
    {NS_BIND,    {"bind", 4},    IQ_SET | IQ_DOMAIN | IQ_ACCOUNT | IQ_OWN_ONLY, refuse_bind  },
    {{NULL, 0},  {NULL, 0},      0,                                             NULL         },
};

const struct feature feature_session_request = {
    .name = "session",
    .spec = "RFC 3921",
    .iqs = iqs,
};

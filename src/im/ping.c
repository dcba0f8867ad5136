#include "im/ping.h"

static void pong(struct asked *asked)
{
    // of people only to those who may know that they exist
    if (asked->where == ASKED_ACCOUNT && !asked_may_see(asked))
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL);
    else
        asked_result(&asked, NULL);
}

static const struct str disco[] = {
    NS_PING, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_PING,   {"ping", 4}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT, pong},
    {{NULL, 0}, {NULL, 0},   0,                               NULL},
};

const struct feature feature_ping = {
    .name = "ping",
    .spec = "XEP-0199",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
};

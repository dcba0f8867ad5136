#include "xmpp/stream_error.h"

#include "xml/namespaces.h"
#include "xml/writer.h"

static const char *const names[STREAM_N_CONDITIONS] = {
    [STREAM_BAD_FORMAT] = "bad-format",
    [STREAM_BAD_NAMESPACE_PREFIX] = "bad-namespace-prefix",
    [STREAM_CONFLICT] = "conflict",
    [STREAM_CONNECTION_TIMEOUT] = "connection-timeout",
    [STREAM_HOST_GONE] = "host-gone",
    [STREAM_HOST_UNKNOWN] = "host-unknown",
    [STREAM_IMPROPER_ADDRESSING] = "improper-addressing",
    [STREAM_INTERNAL_SERVER_ERROR] = "internal-server-error",
    [STREAM_INVALID_FROM] = "invalid-from",
    [STREAM_INVALID_NAMESPACE] = "invalid-namespace",
    [STREAM_INVALID_XML] = "invalid-xml",
    [STREAM_NOT_AUTHORIZED] = "not-authorized",
    [STREAM_NOT_WELL_FORMED] = "not-well-formed",
    [STREAM_POLICY_VIOLATION] = "policy-violation",
    [STREAM_REMOTE_CONNECTION_FAILED] = "remote-connection-failed",
    [STREAM_RESET] = "reset",
    [STREAM_RESOURCE_CONSTRAINT] = "resource-constraint",
    [STREAM_RESTRICTED_XML] = "restricted-xml",
    [STREAM_SEE_OTHER_HOST] = "see-other-host",
    [STREAM_SYSTEM_SHUTDOWN] = "system-shutdown",
    [STREAM_UNDEFINED_CONDITION] = "undefined-condition",
    [STREAM_UNSUPPORTED_ENCODING] = "unsupported-encoding",
    [STREAM_UNSUPPORTED_FEATURE] = "unsupported-feature",
    [STREAM_UNSUPPORTED_STANZA_TYPE] = "unsupported-stanza-type",
    [STREAM_UNSUPPORTED_VERSION] = "unsupported-version",
};

const char *stream_condition_name(enum stream_condition condition)
{
    return names[condition];
}

enum err stream_condition_of(struct str name, enum stream_condition *out)
{
    for (int i = 0; i < STREAM_N_CONDITIONS; i++) {
        if (!str_eq(name, str_of(names[i])))
            continue;
        *out = (enum stream_condition)i;
        return OK;
    }
    return ERR_MISSING;
}

void stream_error_write(struct buf *out, const struct stream_error *error)
{
    const char *name = names[error->condition];
    buf_add(out, STR("<stream:error>"));
    buf_printf(out, "<%s", name);
    xml_write_attribute(out, "xmlns", NS_STREAM_ERRORS);
    if (error->condition == STREAM_SEE_OTHER_HOST && error->other_host.len > 0) {
        buf_add_char(out, '>');
        xml_write_text(out, error->other_host);
        buf_printf(out, "</%s>", name);
    } else {
        buf_add(out, STR("/>"));
    }
    if (error->text.len > 0) {
        buf_add(out, STR("<text"));
        xml_write_attribute(out, "xmlns", NS_STREAM_ERRORS);
        if (error->lang.len > 0)
            xml_write_attribute(out, "xml:lang", error->lang);
        buf_add_char(out, '>');
        xml_write_text(out, error->text);
        buf_add(out, STR("</text>"));
    }
    buf_add(out, error->specific);
    buf_add(out, STR("</stream:error>"));
}

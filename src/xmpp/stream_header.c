#include "xmpp/stream_header.h"

#include "xml/namespaces.h"
#include "xml/writer.h"

static void add_attribute(struct buf *out, const char *name, struct str value)
{
    if (value.len > 0)
        xml_write_attribute(out, name, value);
}

void stream_header_write(struct buf *out, const struct stream_header *header)
{
    buf_add(out, STR("<?xml version='1.0'?><stream:stream"));
    add_attribute(out, "xmlns", header->content_namespace);
    add_attribute(out, "xmlns:stream", NS_STREAM);
    add_attribute(out, "from", header->from);
    add_attribute(out, "to", header->to);
    add_attribute(out, "id", header->id);
    add_attribute(out, "version", STR("1.0"));
    add_attribute(out, "xml:lang", header->lang);
    buf_add_char(out, '>');
}

// RFC 6120 §4.7.5: major and minor are numbers; whoever speaks 1.0 or later speaks with us.  An
// absent version is that of before XMPP.
static bool is_version_ours(struct str version)
{
    struct str rest = version, major = str_cut(&rest, '.');
    uint64_t number, ignored;
    return rest.at != NULL && str_to_u64(major, 1, UINT32_MAX, &number) == OK &&
           str_to_u64(rest, 0, UINT32_MAX, &ignored) == OK;
}

static struct str present(struct str value)
{
    return value.at != NULL ? value : STR_EMPTY;
}

bool stream_header_read(const struct element *element, const struct tokenizer *tokenizer,
                        struct str content_namespace, struct stream_header *out,
                        enum stream_condition *condition)
{
    // what can be read is read even where the stream ends: the answer has a header too
    *out = (struct stream_header){
        .content_namespace = content_namespace,
        .from = present(element_attr(element, STR("from"))),
        .to = present(element_attr(element, STR("to"))),
        .id = present(element_attr(element, STR("id"))),
        .lang = present(element_lang(element)),
    };
    if (!ns_eq(element->ns, NS_STREAM) ||
        !ns_eq(tokenizer_declared(tokenizer, STR_EMPTY), content_namespace)) {
        *condition = STREAM_INVALID_NAMESPACE;
        return false;
    }
    if (!str_eq(element->name, STR("stream"))) {
        *condition = STREAM_BAD_FORMAT;
        return false;
    }
    if (!is_version_ours(present(element_attr(element, STR("version"))))) {
        *condition = STREAM_UNSUPPORTED_VERSION;
        return false;
    }
    return true;
}

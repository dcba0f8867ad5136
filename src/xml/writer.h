/*
 * The writer: elements out, in one canonical form.
 *
 * No prefixes (xml: excepted, and attributes of foreign namespaces, which
 * cannot do without), attributes in single quotes, no white space of its own,
 * empty elements as <name/>.  What it writes parses to the same tree.
 *
 * Stanzas are jabber:client inside this server.  Written to a stream whose
 * default namespace is jabber:server, the stanza and those below it that have
 * been jabber:client all the way down take the stream's namespace; so the inner
 * XML of a stanza is the same text on every kind of stream, is serialized once,
 * and only start tags differ among recipients.
 *
 * ns_around: the default namespace where the text will stand: NS_CLIENT or
 * NS_SERVER on a stream, NS_NONE where there is none.
 */
#ifndef XML_WRITER_H
#define XML_WRITER_H

#include "base/buf.h"
#include "xml/element.h"

void xml_write(struct buf *buf, const struct element *element, struct str ns_around);

/* The content only. */
void xml_write_inner(struct buf *buf, const struct element *element);

/* An attribute (without namespace) to be written in the place of the element's own, or in addition;
 * value.at == NULL leaves it out. */
struct xml_replaced {
    struct str name, value;
};

/* The element with its attributes replaced and with inner as its content, as it stands. */
void xml_write_around(struct buf *buf, const struct element *element, struct str ns_around,
                      const struct xml_replaced *replaced, size_t n_replaced, struct str inner);

/* A start tag, without ('>') or with ('/>') its end; and an end tag. */
void xml_write_start(struct buf *buf, const struct element *element, struct str ns_around,
                     const struct xml_replaced *replaced, size_t n_replaced, bool is_empty);
void xml_write_end(struct buf *buf, const struct element *element);

/* Text and attribute values (for single quotes), escaped.  A character that XML forbids becomes
 * U+FFFD. */
void xml_write_text(struct buf *buf, struct str text);
void xml_write_value(struct buf *buf, struct str value);
/* A space, the name, and the value in its quotes. */
void xml_write_attribute(struct buf *buf, const char *name, struct str value);

/* The whole element as a slice in arena, for logs, tests and the store.  ERR_LIMIT beyond the
 * arena's ceiling. */
enum err xml_to_str(struct arena *arena, const struct element *element, struct str ns_around,
                    struct str *out) MUST_CHECK;

#endif

#include "drill/letter.h"

#include "base/base64.h"
#include "base/must.h"
#include "base/random.h"
#include "xml/writer.h"

enum { OMEMO_KEY_SIZE = 75, OMEMO_IV_SIZE = 12, PAYLOAD_MOST = 4096 };

static void add_random(size_t size, struct buf *out)
{
    char bytes[PAYLOAD_MOST];
    must(size <= sizeof bytes);
    random_bytes(bytes, size);
    base64_add(out, str_make(bytes, size));
}

/* As OMEMO clients write it (XEP-0384 0.3): to a server, keys and text are random numbers.  The
 * text is as long as what it hides. */
static void write_encrypted(struct str text, struct buf *out)
{
    buf_printf(out,
               "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='%u'><key rid='%u'>",
               (unsigned)random_u64() >> 1, (unsigned)random_u64() >> 1);
    add_random(OMEMO_KEY_SIZE, out);
    buf_add(out, STR("</key><iv>"));
    add_random(OMEMO_IV_SIZE, out);
    buf_add(out, STR("</iv></header><payload>"));
    add_random(text.len < PAYLOAD_MOST ? text.len : PAYLOAD_MOST, out);
    buf_add(out,
            STR("</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' name='OMEMO' "
                "namespace='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted "
                "message but your client doesn't seem to support that.</body>"
                "<store xmlns='urn:xmpp:hints'/>"));
}

void letter_write(const struct letter *letter, struct buf *out)
{
    if (letter->encrypted) {
        write_encrypted(letter->text, out);
        return;
    }
    buf_add(out, STR("<body>"));
    xml_write_text(out, letter->text);
    buf_add(out, STR("</body>"));
    if (letter->file.name.len == 0)
        return;
    struct str at = letter->link, name = letter->file.name;
    buf_printf(out, "<x xmlns='jabber:x:oob'><url>%.*s</url></x>", STR_ARGS(at));
    buf_printf(out,
               "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='attachment'>"
               "<file xmlns='urn:xmpp:file:metadata:0'><media-type>application/octet-stream"
               "</media-type><name>%.*s</name><size>%u</size>"
               "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>%.*s</hash></file>"
               "<sources><url-data xmlns='http://jabber.org/protocol/url-data' target='%.*s'/>"
               "</sources></file-sharing>",
               STR_ARGS(name), letter->file.size, STR_ARGS(letter->file.digest), STR_ARGS(at));
}

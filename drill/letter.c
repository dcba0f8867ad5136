#include "drill/letter.h"

#include "xml/writer.h"

void letter_write(const struct letter *letter, struct buf *out)
{
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

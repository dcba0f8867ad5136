/*
 * The single home of namespaces.
 *
 * NS_X is a constant struct str (also in static tables) that points into one
 * storage.  The tokenizer resolves every known namespace to that storage, so
 * comparing is a pointer compare in nearly all cases (ns_eq).  A new namespace
 * is one row in each of the two lists below; the first is kept in order of
 * length, because that is how ns_known() searches (a test checks it).
 */
#ifndef XML_NAMESPACES_H
#define XML_NAMESPACES_H

#include "base/str.h"

#define NAMESPACES(X)                                                                              \
    X(vcard, "vcard-temp")                                                                         \
    X(oob_x, "jabber:x:oob")                                                                       \
    X(client, "jabber:client")                                                                     \
    X(oob_iq, "jabber:iq:oob")                                                                     \
    X(server, "jabber:server")                                                                     \
    X(data, "jabber:x:data")                                                                       \
    X(ping, "urn:xmpp:ping")                                                                       \
    X(sm, "urn:xmpp:sm:3")                                                                         \
    X(time, "urn:xmpp:time")                                                                       \
    X(auth_legacy, "jabber:iq:auth")                                                               \
    X(last, "jabber:iq:last")                                                                      \
    X(csi, "urn:xmpp:csi:0")                                                                       \
    X(delay, "urn:xmpp:delay")                                                                     \
    X(encryption, "urn:xmpp:eme:0")                                                                \
    X(hints, "urn:xmpp:hints")                                                                     \
    X(mam, "urn:xmpp:mam:2")                                                                       \
    X(pie, "urn:xmpp:pie:0")                                                                       \
    X(sfs, "urn:xmpp:sfs:0")                                                                       \
    X(sid, "urn:xmpp:sid:0")                                                                       \
    X(hats, "urn:xmpp:hats:0")                                                                     \
    X(idle, "urn:xmpp:idle:1")                                                                     \
    X(sims, "urn:xmpp:sims:1")                                                                     \
    X(roster, "jabber:iq:roster")                                                                  \
    X(search, "jabber:iq:search")                                                                  \
    X(omemo_2, "urn:xmpp:omemo:2")                                                                 \
    X(reply, "urn:xmpp:reply:0")                                                                   \
    X(gateway, "jabber:iq:gateway")                                                                \
    X(privacy, "jabber:iq:privacy")                                                                \
    X(private, "jabber:iq:private")                                                                \
    X(version, "jabber:iq:version")                                                                \
    X(blocking, "urn:xmpp:blocking")                                                               \
    X(fasten, "urn:xmpp:fasten:0")                                                                 \
    X(hashes_1, "urn:xmpp:hashes:1")                                                               \
    X(hashes, "urn:xmpp:hashes:2")                                                                 \
    X(jingle, "urn:xmpp:jingle:1")                                                                 \
    X(receipts, "urn:xmpp:receipts")                                                               \
    X(register, "jabber:iq:register")                                                              \
    X(carbons, "urn:xmpp:carbons:2")                                                               \
    X(forward, "urn:xmpp:forward:0")                                                               \
    X(openpgp, "urn:xmpp:openpgp:0")                                                               \
    X(sasl_cb, "urn:xmpp:sasl-cb:0")                                                               \
    X(styling, "urn:xmpp:styling:0")                                                               \
    X(conference, "jabber:x:conference")                                                           \
    X(fallback, "urn:xmpp:fallback:0")                                                             \
    X(vcard_update, "vcard-temp:x:update")                                                         \
    X(attention, "urn:xmpp:attention:0")                                                           \
    X(pie_scram, "urn:xmpp:pie:0#scram")                                                           \
    X(reactions, "urn:xmpp:reactions:0")                                                           \
    X(reference, "urn:xmpp:reference:0")                                                           \
    X(reporting_0, "urn:xmpp:reporting:0")                                                         \
    X(reporting, "urn:xmpp:reporting:1")                                                           \
    X(dialback, "jabber:server:dialback")                                                          \
    X(upload, "urn:xmpp:http:upload:0")                                                            \
    X(occupant_id, "urn:xmpp:occupant-id:0")                                                       \
    X(markers, "urn:xmpp:chat-markers:0")                                                          \
    X(mam_extended, "urn:xmpp:mam:2#extended")                                                     \
    X(reporting_spam, "urn:xmpp:reporting:spam")                                                   \
    X(question, "urn:firedoor:question:0")                                                         \
    X(blocking_errors, "urn:xmpp:blocking:errors")                                                 \
    X(file_metadata, "urn:xmpp:file:metadata:0")                                                   \
    X(reporting_abuse, "urn:xmpp:reporting:abuse")                                                 \
    X(jingle_message, "urn:xmpp:jingle-message:0")                                                 \
    X(dialback_feature, "urn:xmpp:features:dialback")                                              \
    X(correct, "urn:xmpp:message-correct:0")                                                       \
    X(retract_0, "urn:xmpp:message-retract:0")                                                     \
    X(retract, "urn:xmpp:message-retract:1")                                                       \
    X(roster_version, "urn:xmpp:features:rosterver")                                               \
    X(xhtml, "http://www.w3.org/1999/xhtml")                                                       \
    X(si, "http://jabber.org/protocol/si")                                                         \
    X(xmlns, "http://www.w3.org/2000/xmlns/")                                                      \
    X(omemo, "eu.siacs.conversations.axolotl")                                                     \
    X(ibb, "http://jabber.org/protocol/ibb")                                                       \
    X(muc, "http://jabber.org/protocol/muc")                                                       \
    X(rsm, "http://jabber.org/protocol/rsm")                                                       \
    X(pre_approval, "urn:xmpp:features:pre-approval")                                              \
    X(caps, "http://jabber.org/protocol/caps")                                                     \
    X(nick, "http://jabber.org/protocol/nick")                                                     \
    X(shim, "http://jabber.org/protocol/shim")                                                     \
    X(tls, "urn:ietf:params:xml:ns:xmpp-tls")                                                      \
    X(stream, "http://etherx.jabber.org/streams")                                                  \
    X(admin, "http://jabber.org/protocol/admin")                                                   \
    X(bind, "urn:ietf:params:xml:ns:xmpp-bind")                                                    \
    X(sasl, "urn:ietf:params:xml:ns:xmpp-sasl")                                                    \
    X(pubsub, "http://jabber.org/protocol/pubsub")                                                 \
    X(address, "http://jabber.org/protocol/address")                                               \
    X(offline, "http://jabber.org/protocol/offline")                                               \
    X(commands, "http://jabber.org/protocol/commands")                                             \
    X(muc_user, "http://jabber.org/protocol/muc#user")                                             \
    X(url_data, "http://jabber.org/protocol/url-data")                                             \
    X(xhtml_im, "http://jabber.org/protocol/xhtml-im")                                             \
    X(framing, "urn:ietf:params:xml:ns:xmpp-framing")                                              \
    X(session, "urn:ietf:params:xml:ns:xmpp-session")                                              \
    X(stanza_errors, "urn:ietf:params:xml:ns:xmpp-stanzas")                                        \
    X(stream_errors, "urn:ietf:params:xml:ns:xmpp-streams")                                        \
    X(contact_info, "http://jabber.org/network/serverinfo")                                        \
    X(muc_admin, "http://jabber.org/protocol/muc#admin")                                           \
    X(muc_owner, "http://jabber.org/protocol/muc#owner")                                           \
    X(xml, "http://www.w3.org/XML/1998/namespace")                                                 \
    X(jingle_file, "urn:xmpp:jingle:apps:file-transfer:5")                                         \
    X(chatstates, "http://jabber.org/protocol/chatstates")                                         \
    X(disco_info, "http://jabber.org/protocol/disco#info")                                         \
    X(register_feature, "http://jabber.org/features/iq-register")                                  \
    X(bytestreams, "http://jabber.org/protocol/bytestreams")                                       \
    X(disco_items, "http://jabber.org/protocol/disco#items")                                       \
    X(muc_traffic, "http://jabber.org/protocol/muc#traffic")                                       \
    X(pubsub_event, "http://jabber.org/protocol/pubsub#event")                                     \
    X(pubsub_owner, "http://jabber.org/protocol/pubsub#owner")                                     \
    X(pubsub_errors, "http://jabber.org/protocol/pubsub#errors")                                   \
    X(data_validate, "http://jabber.org/protocol/xdata-validate")                                  \
    X(si_file, "http://jabber.org/protocol/si/profile/file-transfer")

#define NAMESPACES_ROW(id, text) char of_##id[sizeof text];
extern const struct namespaces {
    NAMESPACES(NAMESPACES_ROW)
} namespaces;
#undef NAMESPACES_ROW

#define NS_OF(id) ((struct str){namespaces.of_##id, sizeof namespaces.of_##id - 1})

#define NS_NONE STR_EMPTY
#define NS_CLIENT NS_OF(client)
#define NS_SERVER NS_OF(server)
#define NS_STREAM NS_OF(stream)
#define NS_TLS NS_OF(tls)
#define NS_SASL NS_OF(sasl)
#define NS_SASL_CB NS_OF(sasl_cb)
#define NS_BIND NS_OF(bind)
#define NS_SESSION NS_OF(session)
#define NS_STANZA_ERRORS NS_OF(stanza_errors)
#define NS_STREAM_ERRORS NS_OF(stream_errors)
#define NS_XML NS_OF(xml)
#define NS_XMLNS NS_OF(xmlns)
#define NS_DIALBACK NS_OF(dialback)
#define NS_DIALBACK_FEATURE NS_OF(dialback_feature)
#define NS_SM NS_OF(sm)
#define NS_CSI NS_OF(csi)
#define NS_FRAMING NS_OF(framing)
#define NS_ROSTER NS_OF(roster)
#define NS_ROSTER_VERSION NS_OF(roster_version)
#define NS_PRE_APPROVAL NS_OF(pre_approval)
#define NS_DISCO_INFO NS_OF(disco_info)
#define NS_DISCO_ITEMS NS_OF(disco_items)
#define NS_CAPS NS_OF(caps)
#define NS_PING NS_OF(ping)
#define NS_VERSION NS_OF(version)
#define NS_LAST NS_OF(last)
#define NS_TIME NS_OF(time)
#define NS_PRIVATE NS_OF(private)
#define NS_VCARD NS_OF(vcard)
#define NS_VCARD_UPDATE NS_OF(vcard_update)
#define NS_OFFLINE NS_OF(offline)
#define NS_DELAY NS_OF(delay)
#define NS_SID NS_OF(sid)
#define NS_RECEIPTS NS_OF(receipts)
#define NS_CHATSTATES NS_OF(chatstates)
#define NS_MARKERS NS_OF(markers)
#define NS_BLOCKING NS_OF(blocking)
#define NS_BLOCKING_ERRORS NS_OF(blocking_errors)
#define NS_PRIVACY NS_OF(privacy)
#define NS_CARBONS NS_OF(carbons)
#define NS_FORWARD NS_OF(forward)
#define NS_MAM NS_OF(mam)
#define NS_MAM_EXTENDED NS_OF(mam_extended)
#define NS_RSM NS_OF(rsm)
#define NS_REGISTER NS_OF(register)
#define NS_REGISTER_FEATURE NS_OF(register_feature)
#define NS_AUTH_LEGACY NS_OF(auth_legacy)
#define NS_COMMANDS NS_OF(commands)
#define NS_ADMIN NS_OF(admin)
#define NS_DATA NS_OF(data)
#define NS_DATA_VALIDATE NS_OF(data_validate)
#define NS_QUESTION NS_OF(question)
#define NS_REPORTING NS_OF(reporting)
#define NS_REPORTING_0 NS_OF(reporting_0)
#define NS_REPORTING_SPAM NS_OF(reporting_spam)
#define NS_REPORTING_ABUSE NS_OF(reporting_abuse)
#define NS_RETRACT NS_OF(retract)
#define NS_RETRACT_0 NS_OF(retract_0)
#define NS_FASTEN NS_OF(fasten)
#define NS_FALLBACK NS_OF(fallback)
#define NS_CORRECT NS_OF(correct)
#define NS_OOB_X NS_OF(oob_x)
#define NS_OOB_IQ NS_OF(oob_iq)
#define NS_XHTML_IM NS_OF(xhtml_im)
#define NS_XHTML NS_OF(xhtml)
#define NS_SFS NS_OF(sfs)
#define NS_URL_DATA NS_OF(url_data)
#define NS_FILE_METADATA NS_OF(file_metadata)
#define NS_HASHES NS_OF(hashes)
#define NS_HASHES_1 NS_OF(hashes_1)
#define NS_REFERENCE NS_OF(reference)
#define NS_SIMS NS_OF(sims)
#define NS_HINTS NS_OF(hints)
#define NS_CONFERENCE NS_OF(conference)
#define NS_MUC NS_OF(muc)
#define NS_MUC_USER NS_OF(muc_user)
#define NS_MUC_ADMIN NS_OF(muc_admin)
#define NS_MUC_OWNER NS_OF(muc_owner)
#define NS_MUC_TRAFFIC NS_OF(muc_traffic)
#define NS_OCCUPANT_ID NS_OF(occupant_id)
#define NS_HATS NS_OF(hats)
#define NS_NICK NS_OF(nick)
#define NS_PUBSUB NS_OF(pubsub)
#define NS_PUBSUB_EVENT NS_OF(pubsub_event)
#define NS_PUBSUB_OWNER NS_OF(pubsub_owner)
#define NS_PUBSUB_ERRORS NS_OF(pubsub_errors)
#define NS_JINGLE NS_OF(jingle)
#define NS_JINGLE_MESSAGE NS_OF(jingle_message)
#define NS_JINGLE_FILE NS_OF(jingle_file)
#define NS_SI NS_OF(si)
#define NS_SI_FILE NS_OF(si_file)
#define NS_BYTESTREAMS NS_OF(bytestreams)
#define NS_IBB NS_OF(ibb)
#define NS_UPLOAD NS_OF(upload)
#define NS_OMEMO NS_OF(omemo)
#define NS_OMEMO_2 NS_OF(omemo_2)
#define NS_OPENPGP NS_OF(openpgp)
#define NS_ENCRYPTION NS_OF(encryption)
#define NS_REACTIONS NS_OF(reactions)
#define NS_REPLY NS_OF(reply)
#define NS_STYLING NS_OF(styling)
#define NS_IDLE NS_OF(idle)
#define NS_ADDRESS NS_OF(address)
#define NS_SHIM NS_OF(shim)
#define NS_ATTENTION NS_OF(attention)
#define NS_CONTACT_INFO NS_OF(contact_info)
#define NS_GATEWAY NS_OF(gateway)
#define NS_SEARCH NS_OF(search)
#define NS_PIE NS_OF(pie)
#define NS_PIE_SCRAM NS_OF(pie_scram)

/* The constant with this text, or text itself when it is none of ours. */
struct str ns_known(struct str text);

/* Whether text is one of the constants itself, not only equal to one. */
static inline bool ns_is_known(struct str text)
{
    uintptr_t at = (uintptr_t)text.at, first = (uintptr_t)&namespaces;
    return at >= first && at < first + sizeof namespaces;
}

static inline bool ns_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.at == b.at || memcmp(a.at, b.at, a.len) == 0);
}

#endif

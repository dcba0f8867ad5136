"""What a client can do decides how a lure is taken back from it (XEP-0115, XEP-0424, XEP-0308)."""

import base64
import hashlib
import secrets
import time

import pytest

import xmpp

NS_INFO = "http://jabber.org/protocol/disco#info"
NS_CAPS = "http://jabber.org/protocol/caps"
RETRACT, RETRACT_0 = "urn:xmpp:message-retract:1", "urn:xmpp:message-retract:0"
FASTEN, CORRECT = "urn:xmpp:fasten:0", "urn:xmpp:message-correct:0"
BODY = "{jabber:client}body"


def hash_of(features, name="client/pc//test"):
    text = "".join(one + "<" for one in [name, *sorted(features)])
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


def info(features):
    return (f"<query xmlns='{NS_INFO}'><identity category='client' type='pc' name='test'/>"
            + "".join(f"<feature var='{f}'/>" for f in features) + "</query>")


def show_caps(client, ver):
    client.send(f"<presence><c xmlns='{NS_CAPS}' hash='sha-1' node='urn:test' ver='{ver}'/>"
                "</presence>")


def is_question(element):
    return (xmpp.local(element) == "iq" and element.get("type") == "get"
            and element.find(f"{{{NS_INFO}}}query") is not None)


def answer_caps(client, features):
    question = client.wait_for(is_question)
    client.send(f"<iq type='result' id='{question.get('id')}' to='{question.get('from')}'>"
                f"{info(features)}</iq>")
    client.fence()
    return question


def with_features(server, features, **options):
    client = server.connect(server.fresh_users(1)[0], **options)
    ver = hash_of(features)
    client.online()
    show_caps(client, ver)
    answer_caps(client, features)
    client.drain()
    return client


def is_about(element):
    return xmpp.local(element) == "message" and element.find(BODY) is not None


FORMS = [
    ([RETRACT, CORRECT], {RETRACT}),
    ([RETRACT_0], {FASTEN}),
    ([CORRECT], {CORRECT}),
    (["urn:xmpp:ping"], set()),
    (None, {RETRACT, FASTEN}),
]


def forms_in(message):
    found = {space for space, name in [(RETRACT, "retract"), (FASTEN, "apply-to"),
                                       (CORRECT, "replace")]
             if message.find(f"{{{space}}}{name}") is not None}
    for space, name in ((RETRACT, "retract"), (CORRECT, "replace")):
        child = message.find(f"{{{space}}}{name}")
        assert child is None or child.get("id") == "lure"
    return found


def test_a_lure_is_taken_back_as_each_client_understands_it(own_server):
    server = own_server()
    sender = server.connect(server.fresh_users(1)[0])
    sender.online()
    readers = []
    for features, _ in FORMS:
        reader = with_features(server, features) if features is not None else \
            server.connect(server.fresh_users(1)[0])
        if features is None:
            reader.online()
            reader.drain()
        readers.append(reader)
    link = f"https://{secrets.token_hex(6)}.example/prize"
    for reader in readers:
        sender.send(f"<message type='chat' id='lure' to='{reader.bare}'><body>see {link}</body>"
                    "</message>")
        assert link in reader.wait_for(is_about).findtext(BODY)
        reader.fence()
    server.ctl("incident", "convict", link, "--reason", "test")
    for (features, wanted), reader in zip(FORMS, readers):
        message = reader.wait_for(is_about)
        assert forms_in(message) == wanted, (features, xmpp.show(message))
        assert message.get("from").split("/")[0] == sender.bare
        assert link not in message.findtext(BODY) or "http" not in message.findtext(BODY)


def test_a_sender_s_other_device_gets_it_as_a_carbon_that_fits(own_server):
    server = own_server()
    sender = with_features(server, [CORRECT])
    other = server.connect(sender.user)
    other.online()
    sender.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    sender.drain()
    reader = server.connect(server.fresh_users(1)[0])
    reader.online()
    link = f"https://{secrets.token_hex(6)}.example/prize"
    other.send(f"<message type='chat' id='lure' to='{reader.bare}'><body>see {link}</body>"
               "</message>")
    reader.wait_for(is_about)
    reader.fence()
    server.ctl("incident", "convict", link, "--reason", "test")
    inner = "{urn:xmpp:carbons:2}sent/{urn:xmpp:forward:0}forwarded/{jabber:client}message"
    seen = sender.wait_for(lambda e: e.find(inner) is not None
                           and forms_in(e.find(inner)) != set())
    assert forms_in(seen.find(inner)) == {CORRECT}


def archive_of(client):
    client.ask("set", "<query xmlns='urn:xmpp:mam:2'/>")
    inner = "{urn:xmpp:mam:2}result/{urn:xmpp:forward:0}forwarded/{jabber:client}message"
    return [e.find(inner) for e in client.drain() if e.find(inner) is not None]


def test_both_archives_have_a_tombstone_that_names_its_retraction(own_server):
    # XEP-0424 section 5: id of the message, and in <retracted/> that of the retraction
    server = own_server()
    sender = server.connect(server.fresh_users(1)[0])
    reader = server.connect(server.fresh_users(1)[0])
    sender.online()
    reader.online()
    features = sender.ask("get", f"<query xmlns='{NS_INFO}'/>", to=sender.bare)
    assert {RETRACT, RETRACT + "#tombstone"} <= {f.get("var") for f in features.iter()}
    link = f"https://{secrets.token_hex(6)}.example/prize"
    sender.send(f"<message type='chat' id='lure' to='{reader.bare}'><body>see {link}</body>"
                "</message>")
    reader.wait_for(is_about)
    reader.fence()
    server.ctl("incident", "convict", link, "--reason", "test")
    reader.wait_for(lambda e: e.find(f"{{{RETRACT}}}retract") is not None)
    for client in (reader, sender):
        def pair():
            found = archive_of(client)
            return ([m for m in found if m.find(f"{{{RETRACT}}}retracted") is not None],
                    [m for m in found if m.find(f"{{{RETRACT}}}retract") is not None])

        until = time.monotonic() + xmpp.PATIENCE
        while not all(pair()):
            assert time.monotonic() < until, "the archive does not get there"
        (tombstone,), (retraction,) = pair()
        assert tombstone.get("id") == "lure" and tombstone.get("type") == "chat"
        assert tombstone.find(f"{{{RETRACT}}}retracted").get("id") == retraction.get("id")
        assert retraction.find(f"{{{RETRACT}}}retract").get("id") == "lure"
        assert link not in xmpp.show(tombstone)


def test_a_verified_hash_is_asked_for_once(own_server):
    server = own_server({"server.workers": "1"})
    features = [RETRACT, "urn:xmpp:ping", "urn:" + secrets.token_hex(4)]
    with_features(server, features)
    second = server.connect(server.fresh_users(1)[0])
    second.online()
    show_caps(second, hash_of(features))
    assert not any(is_question(e) for e in second.drain())


@pytest.mark.parametrize("lie", ["other features", "doubled", "ambiguous"])
def test_a_hash_is_not_believed_before_it_is_verified(own_server, lie):
    # advisories "cache poisoning"; XEP-0115 section 5.4
    server = own_server({"server.workers": "1"})
    features = [RETRACT, "urn:" + secrets.token_hex(4)]
    said = {"other features": ["urn:xmpp:ping"],
            "doubled": features + features[:1],
            "ambiguous": ["&lt;".join(sorted(features))]}[lie]
    liar = server.connect(server.fresh_users(1)[0])
    liar.online()
    show_caps(liar, hash_of(features))
    answer_caps(liar, said)
    honest = server.connect(server.fresh_users(1)[0])
    honest.online()
    show_caps(honest, hash_of(features))
    answer_caps(honest, features)


def test_the_server_s_own_hash_is_that_of_its_features(server):
    # XEP-0115 section 6.1 and 6.2
    stream = server.stream(direct=True)
    stream.open()
    one = server.connect(server.fresh_users(1)[0])
    answer = one.ask("get", f"<query xmlns='{NS_INFO}'/>", to=server.domain)
    query = answer.find(f"{{{NS_INFO}}}query")
    features = [f.get("var") for f in query.findall(f"{{{NS_INFO}}}feature")]
    identity = query.find(f"{{{NS_INFO}}}identity")
    ver = hash_of(features, f"{identity.get('category')}/{identity.get('type')}//"
                            f"{identity.get('name')}")
    node = f"urn:firedoor:server#{ver}"
    again = one.ask("get", f"<query xmlns='{NS_INFO}' node='{node}'/>", to=server.domain)
    assert again.get("type") == "result", xmpp.show(again)
    assert again.find(f"{{{NS_INFO}}}query").get("node") == node
    stream.close()

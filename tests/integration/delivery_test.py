"""RFC 6121 §8.5: to whom a stanza goes, as a table.

A row is: how the receiver stands, what it is addressed to, and for each type of message what must
happen.  `here` means the receiver's stanza arrives at the addressed or best resource, `kept` that
it comes at the next login, `error` that the sender gets service-unavailable, `nothing` that nobody
hears of it, `nothing or error` where the specification leaves the choice.
"""

import pytest

import xmpp

TYPES = ["normal", "chat", "groupchat", "headline", "error"]

HERE, KEPT, ERROR, NOTHING, EITHER = "here", "kept", "error", "nothing", "nothing or error"

ROWS = [
    # §8.5.2.1.1
    ("available", "bare", {"normal": HERE, "chat": HERE, "groupchat": ERROR, "headline": HERE,
                           "error": NOTHING}),
    # §8.5.2.2.1 with XEP-0160
    ("away", "bare", {"normal": KEPT, "chat": KEPT, "groupchat": ERROR, "headline": NOTHING,
                      "error": NOTHING}),
    # §8.5.2: a negative priority counts as no available resource
    ("negative", "bare", {"normal": KEPT, "chat": KEPT, "groupchat": ERROR, "headline": NOTHING,
                          "error": NOTHING}),
    # §8.5.3.1
    ("available", "full", {"normal": HERE, "chat": HERE, "groupchat": HERE, "headline": HERE,
                           "error": HERE}),
    ("negative", "full", {"normal": HERE, "chat": HERE, "groupchat": HERE, "headline": HERE,
                          "error": HERE}),
    # §8.5.3.2.1: chat falls back to the bare address
    ("available", "other", {"normal": EITHER, "chat": HERE, "groupchat": EITHER,
                            "headline": EITHER, "error": NOTHING}),
    ("away", "other", {"normal": EITHER, "chat": KEPT, "groupchat": EITHER, "headline": EITHER,
                       "error": NOTHING}),
]

CASES = [pytest.param(state, address, kind, outcome, id=f"{state}-{address}-{kind}")
         for state, address, row in ROWS for kind, outcome in row.items()]


def messages(stanzas):
    return [s for s in stanzas if xmpp.local(s) == "message"]


@pytest.mark.parametrize("state,address,kind,outcome", CASES)
def test_a_message_goes_where_rfc_6121_says(server, people, state, address, kind, outcome):
    name, sender_name = people(2)
    sender = server.connect(sender_name)
    sender.online()
    receiver = None
    bare = f"{name}@{server.domain}"
    if state != "away":
        receiver = server.connect(name, "balcony")
        receiver.online(priority=-5 if state == "negative" else 0)
        receiver.drain()
    to = {"bare": bare, "full": bare + "/balcony", "other": bare + "/orchard"}[address]
    inside = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" \
        if kind == "error" else ""
    sender.send(f"<message type='{kind}' id='m' to='{to}'><body>hark</body>{inside}</message>")
    for _ in range(3):
        sender.fence()
        if receiver:
            receiver.fence()
    bounced = messages(sender.drain())
    arrived = messages(receiver.drain()) if receiver else []

    later = server.connect(name, "tomb")
    later.online()
    # read after presence, not by the next fence
    kept = [later.wait_for(lambda s: xmpp.local(s) == "message")] if KEPT in outcome else []
    kept += messages(later.drain())

    got = (HERE if arrived else "") + (KEPT if kept else "") + (ERROR if bounced else "")
    for bounce in bounced:
        assert bounce.get("type") == "error" and bounce.get("id") == "m"
        assert xmpp.condition_of(bounce.find("{jabber:client}error")) == "service-unavailable"
    if outcome == EITHER:
        assert got in ("", ERROR)
    else:
        assert got == ("" if outcome == NOTHING else outcome)
    for client in (sender, receiver, later):
        if client:
            client.close()


@pytest.mark.parametrize("priorities,wanted", [
    ((1, 5), {"b"}),
    ((5, 1), {"a"}),
    ((-1, 0), {"b"}),
    ((0, -128), {"a"}),
    ((127, 126), {"a"}),
])
def test_a_chat_message_reaches_the_most_available_resource(server, people, priorities, wanted):
    # §8.5.2.1.1: the most available one, or all that are not negative; never a negative one
    name, sender_name = people(2)
    sender = server.connect(sender_name)
    clients = {r: server.connect(name, r) for r in "ab"}
    for client, priority in zip(clients.values(), priorities):
        client.online(priority=priority)
    for client in clients.values():
        client.drain()
    sender.send(f"<message type='chat' id='m' to='{name}@{server.domain}'><body>x</body></message>")
    sender.fence()
    got = {r for r, c in clients.items() if messages(c.drain())}
    allowed = {r for r, p in zip("ab", priorities) if p >= 0}
    assert wanted <= got <= allowed
    for client in (sender, *clients.values()):
        client.close()


@pytest.mark.parametrize("to", ["balcony", "orchard", ""])
def test_an_iq_to_a_resource_is_answered_by_it_or_for_it(server, people, to):
    # §8.5.2.1.3 and §8.5.3.2.3: unknown to the server, or no such resource: service-unavailable
    name, sender_name = people(2)
    sender, receiver = server.connect(sender_name), server.connect(name, "balcony")
    receiver.online()
    receiver.drain()
    address = receiver.bare + ("/" + to if to else "")
    sender.send(f"<iq type='get' id='q' to='{address}'><query xmlns='urn:example:q'/></iq>")
    if to == "balcony":
        got = receiver.stanza()
        assert got.get("id") == "q" and got.get("from") == sender.jid
    else:
        answer = sender.answer("q")
        assert answer.get("type") == "error" and answer.get("from") == address
        assert xmpp.condition_of(answer.find("{jabber:client}error")) == "service-unavailable"
        assert not receiver.drain()
    sender.close()
    receiver.close()


def test_presence_of_strangers_reaches_an_available_resource_only(server, people):
    # §8.5.2.1.2, §8.5.3.2.2
    name, sender_name = people(2)
    sender, receiver = server.connect(sender_name), server.connect(name, "balcony")
    receiver.online()
    receiver.drain()
    sender.send(f"<presence to='{receiver.bare}/orchard'/>")
    sender.fence()
    assert not receiver.drain()
    sender.send(f"<presence to='{receiver.bare}'/>")
    sender.fence()
    assert [s.get("from") for s in receiver.drain()] == [sender.jid]
    sender.close()
    receiver.close()


def test_presence_that_reaches_no_contact_comes_back_in_his_name(server, people):
    # RFC 6120 §8.3.1, §10.4.2: one stanza for all contacts, but an error is of the one it concerns
    name, = people(1)
    contacts = {f"{c}@remote.example": c for c in ("to", "from", "both")}
    for jid, subscription in contacts.items():
        server.ctl("roster", "add", f"{name}@{server.domain}", jid, "--subscription", subscription)
    client = server.connect(name)
    client.online()
    errors = [e for e in client.drain() if e.get("type") == "error"]
    assert {e.get("from") for e in errors} == set(contacts)
    assert {xmpp.condition_of(e.find("{jabber:client}error")) for e in errors} == {
        "remote-server-not-found"}
    client.close()

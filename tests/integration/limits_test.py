"""Limits of the section `limits`, each from the wire: the error that it gets, and that it ends."""

import time

import xmpp
from xmpp import condition_of, local


def body(to, id, size):
    return (f"<message type='chat' to='{to}' id='{id}'><body>{'x' * size}</body></message>")


def limits(server):
    """What the log says of limits."""
    return [line.split("event=limit ")[1] for line in server.log().splitlines()
            if "event=limit " in line]


def until(what):
    end = time.monotonic() + xmpp.PATIENCE
    while not what():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.05)


def refusals(client, ids):
    """The ids of those that came back: the error is there before the acknowledgement."""
    client.wait_acked(client.n_sent)
    back = {}
    for stanza in client.drain():
        if local(stanza) == "message" and stanza.get("type") == "error":
            error = stanza.find("{jabber:client}error")
            back[stanza.get("id")] = condition_of(error)
    assert set(back.values()) <= {"service-unavailable"}, back
    assert set(back) <= set(ids)
    return set(back)


def read_all(server, name, n):
    """The ids of the n messages that wait for name; the account is away again afterwards."""
    client = server.connect(name)
    client.online()
    got = [client.wait_for(lambda s: local(s) == "message").get("id") for _ in range(n)]
    got += [s.get("id") for s in client.drain() if local(s) == "message"]
    client.send("<presence type='unavailable'/>")
    client.fence()
    client.close()
    return got


def test_what_waits_is_bounded_by_its_size_over_delivery_and_restart(own_server):
    # limits.offline_bytes; RFC 6121 §8.5.2.2.1 with XEP-0160 §2, as limits.offline_messages
    server = own_server({"limits.offline_bytes": "64 KiB", "archive.enabled": "false"})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m1", 30000))
    sender.send(body(to, "m2", 30000))
    sender.send(body(to, "m3", 30000))
    sender.send(body(to, "m4", 100))
    assert refusals(sender, {"m1", "m2", "m3", "m4"}) == {"m3"}
    assert limits(server) == [f"key=limits.offline_bytes account={to}"]
    # the count comes back with the store
    sender.close()
    server.stop()
    server.start()
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m5", 30000))
    assert refusals(sender, {"m5"}) == {"m5"}
    # delivery makes room, all of it
    assert read_all(server, juliet, 3) == ["m1", "m2", "m4"]
    for round in range(3):
        ids = [f"r{round}a", f"r{round}b", f"r{round}c"]
        for id in ids:
            sender.send(body(to, id, 30000))
        assert refusals(sender, set(ids)) == {ids[2]}
        assert read_all(server, juliet, 2) == ids[:2]
    sender.close()


def test_a_deleted_accounts_messages_count_for_nobody(own_server):
    server = own_server({"limits.offline_bytes": "64 KiB"})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m1", 50000))
    assert refusals(sender, {"m1"}) == set()
    server.ctl("user", "delete", to)
    server.add_users([juliet])
    sender.send(body(to, "m2", 50000))
    sender.send(body(to, "m3", 50000))
    assert refusals(sender, {"m2", "m3"}) == {"m3"}
    assert read_all(server, juliet, 1) == ["m2"]
    sender.close()


def test_messages_taken_back_make_room(own_server):
    # a conviction takes them out of the spool; the account is in memory since the first of them
    server = own_server({"limits.offline_bytes": "64 KiB", "limits.offline_messages": 3})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    for i in range(3):
        sender.send(f"<message type='chat' to='{to}' id='m{i}'><body>http://bad.example/worm "
                    f"{'x' * 15000}</body></message>")
    assert refusals(sender, {"m0", "m1", "m2"}) == set()
    sender.send(body(to, "m3", 10))
    assert refusals(sender, {"m3"}) == {"m3"}
    assert limits(server) == [f"key=limits.offline_messages account={to}"]
    server.ctl("incident", "convict", "http://bad.example/worm", "--reason", "test")

    def has_room():
        sender.send(body(to, "again", 30000))
        return refusals(sender, {"again"}) == set()

    until(has_room)
    sender.close()


SMALL = {"limits.depth": 8, "limits.attributes": 16, "limits.elements": 64,
         "limits.stanza_bytes": 20000, "limits.preauth_stanza_bytes": 10000}


def test_each_measure_of_a_stanza_has_its_ceiling(own_server):
    # limits.depth, attributes, elements, stanza_bytes; RFC 6120 §4.9.3.14: policy-violation
    server = own_server(SMALL)
    name, = server.fresh_users(1)
    inside = {
        "depth": ("<d xmlns='urn:d'>" + "<a>" * 4 + "</a>" * 4 + "</d>",
                  "<d xmlns='urn:d'>" + "<a>" * 8 + "</a>" * 8 + "</d>"),
        "attributes": ("<d xmlns='urn:d' " + " ".join(f"a{i}='1'" for i in range(14)) + "/>",
                       "<d xmlns='urn:d' " + " ".join(f"a{i}='1'" for i in range(18)) + "/>"),
        "elements": ("<d xmlns='urn:d'>" + "<a/>" * 60 + "</d>",
                     "<d xmlns='urn:d'>" + "<a/>" * 70 + "</d>"),
        "bytes": (f"<body>{'x' * 15000}</body>", f"<body>{'x' * 21000}</body>"),
    }
    for measure, (good, bad) in inside.items():
        client = server.connect(name)
        client.online()
        client.drain()
        client.send(f"<message to='{client.jid}' id='good'>{good}</message>")
        got = client.wait_for(lambda s: local(s) == "message")
        assert got.get("id") == "good" and got.get("type") != "error", measure
        client.try_write(f"<message to='{client.jid}' id='bad'>{bad}</message>")
        closed = client.read_until_closed()
        assert closed.condition == "policy-violation", (measure, closed)
        key = "stanza_bytes" if measure == "bytes" else measure
        assert limits(server)[-1] == f"key=limits.{key} account={client.bare}"


def test_before_the_login_an_element_is_smaller(own_server):
    # limits.preauth_stanza_bytes
    server = own_server(SMALL)
    stream = server.stream(direct=True)
    stream.open()
    stream.try_write("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
                     + "A" * 10500 + "</auth>")
    assert stream.read_until_closed().condition == "policy-violation"
    assert limits(server)[-1].startswith("key=limits.preauth_stanza_bytes address=127.0.0.1:")


def test_who_says_nothing_is_asked_and_then_gone(own_server):
    # limits.idle_time, limits.answer_time; RFC 6120 §4.9.3.4; a session that may be resumed is cut
    server = own_server({"limits.idle_time": "2 s", "limits.answer_time": "2 s"})
    silent, lively, resuming = server.fresh_users(3)
    client = server.connect(silent)
    asked = client.stanza()
    assert local(asked) == "iq" and asked.get("type") == "get"
    assert asked.find("{urn:xmpp:ping}ping") is not None
    assert client.read_until_closed().condition == "connection-timeout"
    client = server.connect(resuming, sm=True, acks=False)
    assert client.read_until_closed().condition is None
    client, answer = xmpp.Client.resume(server, client)
    assert local(answer) == "resumed"
    client.close()
    other = server.connect(lively)
    for _ in range(2):  # who answers stays
        asked = other.stanza()
        other.send(f"<iq type='result' id='{asked.get('id')}' to='{other.domain}'/>")
    assert other.fence().get("type") == "result"
    other.close()


def test_the_lists_that_one_keeps_have_their_ceilings(own_server):
    # limits.roster_groups (RFC 6121 §2.3.3), block_items, vcard_bytes, archive_page
    server = own_server({"limits.roster_groups": 2, "limits.block_items": 2,
                         "limits.vcard_bytes": "2 KiB", "limits.archive_page": 2})
    name, = server.fresh_users(1)
    client = server.connect(name)
    client.online()
    client.drain()

    def refused(payload, condition, words):
        answer = client.ask("set", payload)
        assert answer.get("type") == "error", xmpp.show(answer)
        assert condition_of(answer.find("{jabber:client}error")) == condition
        assert words in xmpp.show(answer)

    def groups(n):
        return ("<query xmlns='jabber:iq:roster'><item jid='a@example.org'>"
                + "".join(f"<group>g{i}</group>" for i in range(n)) + "</item></query>")

    assert client.ask("set", groups(2)).get("type") == "result"
    refused(groups(3), "not-acceptable", "too many groups")

    def block(first, n):
        return ("<block xmlns='urn:xmpp:blocking'>"
                + "".join(f"<item jid='b{i}@example.org'/>" for i in range(first, first + n))
                + "</block>")

    refused(block(0, 3), "resource-constraint", "the block list is full")
    assert client.ask("set", block(0, 2)).get("type") == "result"
    refused(block(2, 1), "resource-constraint", "the block list is full")

    def vcard(n):
        return f"<vCard xmlns='vcard-temp'><FN>{'x' * n}</FN></vCard>"

    assert client.ask("set", vcard(1000)).get("type") == "result"
    refused(vcard(3000), "not-acceptable", "too large")

    for i in range(4):
        client.send(f"<message to='{client.jid}' type='chat' id='a{i}'><body>x</body></message>")
    client.drain()
    answer = client.ask("set", "<query xmlns='urn:xmpp:mam:2'><set "
                               "xmlns='http://jabber.org/protocol/rsm'><max>10</max></set></query>")
    page = [s for s in client.drain() if s.find("{urn:xmpp:mam:2}result") is not None]
    assert len(page) == 2 and answer[0].get("complete") != "true"
    client.close()
    # the log names each once in a minute, though the second was reached twice
    for key in ("roster_groups", "block_items", "vcard_bytes"):
        assert limits(server).count(f"key=limits.{key} account={client.bare}") == 1
    assert server.count("limits_reached") == 4


def is_admitted(server):
    """Whether somebody is at the other end of a connection."""
    stream = server.stream()
    try:
        stream.open()
        return stream
    except (xmpp.Closed, OSError):
        return None


def test_connections_in_all_have_a_ceiling_and_make_room_when_they_go(own_server):
    # limits.connections
    server = own_server({"limits.connections": 3})
    held = []

    def takes_one():
        held.append(is_admitted(server))
        return held[-1] is not None or held.pop()

    for _ in range(3):
        until(takes_one)  # the harness' own look at the ports may not be gone yet
    assert is_admitted(server) is None
    refused = server.stream().read_until_closed()  # RFC 6120 §4.9.3.17
    assert refused.condition == "resource-constraint"
    assert "too many connections" in xmpp.show(refused.error)
    assert "key=limits.connections " in server.log()
    held.pop().cut()
    until(takes_one)
    for stream in held:
        stream.cut()


def test_an_address_comes_in_at_its_pace(own_server):
    # limits.accepts_per_second: ten times as many at once, of which the harness has used some
    server = own_server({"limits.accepts_per_second": 2})
    admitted = [is_admitted(server) for _ in range(60)]
    assert 10 < sum(one is not None for one in admitted) < 60
    assert "key=limits.accepts_per_second " in server.log()
    until(lambda: is_admitted(server))  # and it may come again
    for stream in filter(None, admitted):
        stream.cut()


def test_a_slow_reader_does_not_hold_up_who_writes_to_him(own_server):
    # what waits behind messages that wait for him is acknowledged like these
    one = own_server({"limits.unacked_stanzas": 20})
    romeo, juliet = one.fresh_users(2)
    sender = one.connect(romeo, sm=True)
    for i in range(60):
        sender.send(body(f"{juliet}@{one.domain}", f"m{i}", 10))
    sender.wait_acked(60)
    slow = one.connect(juliet, sm=True, acks=False)
    slow.online()
    slow.wait_for(lambda s: s.get("id") == "m0")
    sender.send(body(slow.bare, "last", 10))
    sender.send(f"<iq type='get' id='i' to='{slow.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
    sender.send(f"<presence to='{slow.jid}'/>")
    sender.send(f"<presence type='subscribe' to='{slow.bare}'/>")
    # errors that clients send too: a client answers so what it does not know
    sender.send(f"<iq type='error' id='e' to='{slow.jid}'><error type='cancel'>"
                "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
    sender.send(f"<message type='error' id='e' to='{slow.jid}'><error type='cancel'>"
                "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
    sender.wait_acked(66)
    for client in (sender, slow):
        client.cut()

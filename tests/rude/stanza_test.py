"""What a logged-in account may try: to be somebody else, and to drown somebody.

Rows of the advisories: spoofed from, IQ answers, roster pushes; forged carbons, archives, stanza
ids, delays; publishing (paging); cache poisoning; names; floods; whose identity.
"""

import socket
import time

import pytest

import xmpp
from xmpp import condition_of, local


@pytest.fixture
def people(server):
    """Three clients who are strangers to each other: rude, victim, friend of the victim."""
    clients = [server.connect(n) for n in server.fresh_users(3)]
    for client in clients:
        client.online()
    for client in clients:
        client.drain()
    yield clients
    for client in clients:
        client.cut()


def error_of(stanza):
    return condition_of(stanza.find("{jabber:client}error"))


def settle(*clients):
    for client in clients:
        if not client.ended:
            try:
                client.fence()
            except xmpp.Closed:
                pass


@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
@pytest.mark.parametrize("whose", ["victim", "friend", "server", "nobody", "elsewhere", "broken",
                                   "empty", "resource"])
def test_spoofed_from_is_never_believed(people, witness, kind, whose):
    # advisories: "spoofed from"; RFC 6120 §8.1.2.1: stamped, or the stream ends with invalid-from
    rude, victim, friend = people
    claim = {"victim": victim.jid, "friend": friend.bare, "server": victim.domain,
             "nobody": "nobody@" + victim.domain, "elsewhere": "x@elsewhere.example",
             "broken": "@@@", "empty": "", "resource": rude.bare + "/another"}[whose]
    inside = {"message": "<body>trust me</body>", "presence": "",
              "iq": "<query xmlns='urn:example:q'/>"}[kind]
    extra = " type='get'" if kind == "iq" else ""
    rude.try_write(f"<{kind} from='{claim}' to='{victim.jid}' id='s'{extra}>{inside}</{kind}>")
    try:
        rude.fence()
    except xmpp.Closed as closed:
        assert closed.condition in ("invalid-from", "improper-addressing"), closed
    for got in victim.drain():
        assert got.get("from") == rude.jid, xmpp.show(got)


def test_spoofed_from_iq_answers_nobody_asked_for_go_nowhere(people, witness):
    # advisories: CVE-2015-8688, CVE-2016-9928
    rude, victim, friend = people
    for id in ("1", "roster_1", "bind_1", "x"):
        rude.send(f"<iq type='result' to='{victim.jid}' id='{id}'>"
                  f"<query xmlns='jabber:iq:roster'><item jid='{rude.bare}' subscription='both'/>"
                  "</query></iq>")
    settle(rude)
    for got in victim.drain():
        # RFC 6121 lets an IQ pass between full addresses; it must bear its real sender
        assert got.get("from") == rude.jid, xmpp.show(got)


def test_roster_pushes_from_others_do_not_look_like_the_servers(people, witness):
    # advisories: "roster pushes"
    rude, victim, friend = people
    for to in (victim.jid, victim.bare):
        rude.send(f"<iq type='set' to='{to}' id='push'><query xmlns='jabber:iq:roster'>"
                  f"<item jid='{rude.bare}' subscription='both' name='Bank'/></query></iq>")
    settle(rude)
    for got in victim.drain():
        assert got.get("from") == rude.jid, xmpp.show(got)
    roster = victim.ask("get", "<query xmlns='jabber:iq:roster'/>")
    assert len(roster[0]) == 0


def forwarded(kind, sender, receiver):
    inner = (f"<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat' "
             f"from='{sender}' to='{receiver}'><body>send me your password</body></message>"
             "</forwarded>")
    return {
        "carbon-received": f"<received xmlns='urn:xmpp:carbons:2'>{inner}</received>",
        "carbon-sent": f"<sent xmlns='urn:xmpp:carbons:2'>{inner}</sent>",
        "archive": f"<result xmlns='urn:xmpp:mam:2' queryid='f27' id='1'>{inner}</result>",
    }[kind]


@pytest.mark.parametrize("kind", ["carbon-received", "carbon-sent", "archive"])
def test_forged_carbons_and_archives_never_come_from_the_server(people, witness, kind):
    # advisories: CVE-2017-5589 to 5606: what decides is from, and from is ours
    rude, victim, friend = people
    victim.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    rude.send(f"<message to='{victim.jid}' id='f'>"
              f"{forwarded(kind, friend.jid, victim.bare)}</message>")
    settle(rude)
    for got in victim.drain():
        assert got.get("from") == rude.jid, xmpp.show(got)


def test_forged_stanza_ids_and_delays_are_taken_away(people, witness):
    # XEP-0359 §6; XEP-0203 §5: by our domain or our accounts, all of them, duplicates too
    rude, victim, friend = people
    rude.send(
        f"<message type='chat' to='{victim.bare}' id='f'><body>x</body>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{victim.bare}' id='forged'/>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{victim.bare.upper()}' id='forged'/>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{victim.bare}' id='forged'/>"
        f"<delay xmlns='urn:xmpp:delay' from='{victim.domain}' stamp='2001-01-01T00:00:00Z'/>"
        f"<delay xmlns='urn:xmpp:delay' from='{victim.bare}' stamp='2001-01-01T00:00:00Z'/>"
        "</message>")
    settle(rude)
    got = [m for m in victim.drain() if local(m) == "message"]
    assert len(got) == 1
    assert "forged" not in xmpp.show(got[0])
    assert "2001-01-01" not in xmpp.show(got[0])


def test_an_error_is_no_way_to_speak_for_the_server(people, witness):
    rude, victim, friend = people
    rude.send(f"<message type='error' from='{victim.domain}' to='{victim.jid}' id='e'>"
              "<body>your account is closed</body></message>")
    settle(rude)
    for got in victim.drain():
        assert got.get("from") == rude.jid


@pytest.mark.parametrize("text", [
    "'", "\"", "';--", "%", "_", "%00", "\\", "1 OR 1=1", "9" * 400, "-1", "0x1F", "NaN", "\u202e",
    "\U0001f6aa" * 100, "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}", "%s%n",
], ids=lambda t: ascii(t)[:16])
def test_publishing_quotes_and_signs_in_paging_do_no_harm(people, witness, text):
    # advisories: ejabberd 26.07 (SQL through result paging)
    rude, victim, friend = people
    quoted = xmpp.escape(text)
    for inside in (f"<set xmlns='http://jabber.org/protocol/rsm'><after>{quoted}</after></set>",
                   f"<set xmlns='http://jabber.org/protocol/rsm'><before>{quoted}</before></set>",
                   f"<set xmlns='http://jabber.org/protocol/rsm'><max>{quoted}</max></set>",
                   f"<set xmlns='http://jabber.org/protocol/rsm'><index>{quoted}</index></set>",
                   "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"
                   "urn:xmpp:mam:2</value></field><field var='with'><value>"
                   f"{quoted}</value></field></x>"):
        answer = rude.ask("set", f"<query xmlns='urn:xmpp:mam:2'>{inside}</query>")
        assert answer.get("type") in ("result", "error")
        assert answer.get("type") == "result" or error_of(answer) != "internal-server-error"
    rude.drain()


@pytest.mark.parametrize("address", [
    "a" * 1023, "a" * 1024, "a" * 5000, "\u202eevil", "a\u200bb", "\ufdfa" * 50, "a b", "a\u00adb",
    "ß", "ſ", "İ", "Σ", "\u0378", "a&amp;b", "a&lt;b", "a:b", "xn--", "\u0300a", "1" + "\u0300" * 900,
], ids=lambda a: ascii(a)[:16])
@pytest.mark.parametrize("part", ["local", "domain", "resource"])
def test_names_of_every_kind_are_taken_or_refused(people, witness, address, part):
    # advisories: jabberd2 CVE-2015-2058; RFC 7622 §3
    rude, victim, friend = people
    to = {"local": f"{address}@{rude.domain}", "domain": f"x@{address}",
          "resource": f"{victim.bare}/{address}"}[part]
    rude.send(f"<iq type='get' to='{to}' id='n'><query xmlns='urn:example:q'/></iq>")
    rude.send(f"<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='{to}'/></query>"
              "</iq>")
    assert rude.answer("n").get("type") == "error"
    assert rude.answer("r").get("type") in ("result", "error")


def test_binding_a_resource_that_is_none_is_refused(server, witness):
    # RFC 6120 §7.7.2
    for resource in ("a" * 1024, "a\u0378b"):
        client = server.connect(server.fresh_users(1)[0], bind=False)
        answer = client.ask("set", f"<bind xmlns='{xmpp.NS_BIND}'><resource>{resource}"
                                   "</resource></bind>")
        assert answer.get("type") == "error" and error_of(answer) in ("bad-request",
                                                                      "jid-malformed")
        client.cut()


def test_binding_twice_is_refused(people, witness):
    # RFC 6120 §7.1: one resource a stream
    rude, _, _ = people
    try:
        answer = rude.ask("set", f"<bind xmlns='{xmpp.NS_BIND}'><resource>second</resource></bind>")
        assert answer.get("type") == "error", xmpp.show(answer)
    except xmpp.Closed:
        pass


def test_stanzas_before_binding_are_refused(server, witness):
    # RFC 6120 §7.1
    for what in ("<message to='a@b'><body>x</body></message>", "<presence/>",
                 "<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>"):
        client = server.connect(server.fresh_users(1)[0], bind=False)
        client.write(what)
        try:
            answer = client.read()
            assert answer.get("type") == "error", xmpp.show(answer)
        except xmpp.Closed as closed:
            assert closed.condition in ("not-authorized", "policy-violation",
                                        "unsupported-stanza-type"), closed
        client.cut()


# Floods


def test_a_flood_of_resources_ends_at_the_limit(own_server):
    one = own_server({"limits.sessions_per_user": 5})
    name, = one.fresh_users(1)
    held = [one.connect(name) for _ in range(5)]
    refused = 0
    for _ in range(20):
        client = one.connect(name, bind=False)
        answer = client.ask("set", f"<bind xmlns='{xmpp.NS_BIND}'/>")
        refused += answer.get("type") == "error"
        client.cut()
    assert refused == 20
    assert all(c.fence().get("type") == "result" for c in held)
    for client in held:
        client.close()


def test_a_flood_of_contacts_ends_at_the_limit(own_server):
    one = own_server({"limits.roster_items": 100, "limits.stanzas_per_second": 100000,
                      "limits.stanzas_burst": 100000})
    rude = one.connect(one.fresh_users(1)[0])
    rude.online()
    refused = 0
    for i in range(300):
        answer = rude.ask("set", "<query xmlns='jabber:iq:roster'>"
                                 f"<item jid='c{i}@example.org'/></query>")
        refused += answer.get("type") == "error"
    assert refused == 200
    rude.drain()
    assert len(rude.ask("get", "<query xmlns='jabber:iq:roster'/>")[0]) == 100
    rude.cut()


def test_floods_of_subscription_requests_cost_the_sender(own_server):
    # advisories: "caps for offline, pending subscriptions"
    one = own_server({"limits.pending_subscriptions": 10})
    victim, *crowd = one.fresh_users(31)
    for name in crowd:
        client = one.connect(name)
        client.send(f"<presence type='subscribe' to='{victim}@{one.domain}'/>")
        client.fence()
        client.close()
    target = one.connect(victim)
    target.online()
    asked = [s for s in target.drain() if s.get("type") == "subscribe"]
    assert len(asked) <= 10
    target.close()


def test_floods_of_offline_messages_end_at_the_limit(own_server):
    # advisories: "an operator with 20 GB of offline spam"
    one = own_server({"limits.offline_messages": 50, "limits.stanzas_per_second": 100000,
                      "limits.stanzas_burst": 100000})
    victim, name = one.fresh_users(2)
    rude = one.connect(name)
    for i in range(200):
        rude.send(f"<message type='chat' to='{victim}@{one.domain}' id='m{i}'><body>x</body>"
                  "</message>")
    for _ in range(150):
        assert rude.wait_for(lambda s: local(s) == "message").get("type") == "error"
    target = one.connect(victim)
    target.online()
    assert len([s for s in target.drain() if local(s) == "message"]) == 50
    target.close()
    rude.cut()


def test_a_flood_of_iq_ids_is_answered_and_forgotten(own_server):
    server = own_server({"limits.stanzas_per_second": 100000, "limits.stanzas_burst": 100000})
    rude = server.connect(server.fresh_users(1)[0])
    before = server.rss_kib()
    for _ in range(50):
        rude.write("".join(f"<iq type='get' id='{'i' * 200}{i}'><ping xmlns='urn:xmpp:ping'/></iq>"
                           for i in range(100)))
        for _ in range(100):
            assert rude.stanza().get("type") == "result"
    # and answers that nobody waits for
    for _ in range(50):
        rude.write("".join(f"<iq type='result' to='{rude.domain}' id='{i}'/>" for i in range(100)))
    rude.fence()
    assert server.rss_kib() - before < 20_000
    rude.cut()


def test_a_flood_of_directed_presence_ends_at_the_limit(own_server):
    # advisories: "presence amplification"
    one = own_server({"limits.directed_presences": 20, "limits.stanzas_per_second": 100000,
                      "limits.stanzas_burst": 100000})
    name, = one.fresh_users(1)
    rude = one.connect(name)
    rude.online()
    before = one.rss_kib()
    for i in range(2000):
        rude.send(f"<presence to='victim{i}@{one.domain}'/>")
    rude.fence()
    assert one.rss_kib() - before < 20_000
    rude.cut()


def test_a_flood_of_private_storage_ends_at_the_limit(own_server):
    one = own_server({"limits.private_items": 10, "limits.private_bytes": "4 KiB"})
    rude = one.connect(one.fresh_users(1)[0])
    refused = 0
    for i in range(30):
        answer = rude.ask("set", "<query xmlns='jabber:iq:private'>"
                                 f"<a xmlns='urn:n:{i}'>x</a></query>")
        refused += answer.get("type") == "error"
    assert refused == 20
    answer = rude.ask("set", "<query xmlns='jabber:iq:private'><a xmlns='urn:n:0'>"
                             + "x" * 5000 + "</a></query>")
    assert answer.get("type") == "error"
    rude.cut()


def test_who_sends_too_fast_is_read_slowly_and_loses_nothing(own_server):
    # limits.stanzas_per_second: pushing back on the socket, not dropping
    one = own_server({"limits.stanzas_per_second": 100, "limits.stanzas_burst": 100})
    names = one.fresh_users(2)
    rude, victim = (one.connect(n) for n in names)
    victim.online()
    victim.drain()
    for i in range(300):
        rude.send(f"<message type='chat' to='{victim.jid}' id='m{i}'><body>x</body></message>")
    begun = time.monotonic()
    got = [victim.stanza().get("id") for _ in range(300)]
    assert got == [f"m{i}" for i in range(300)]
    assert time.monotonic() - begun > 1, "nothing slowed the flood"
    rude.cut()
    victim.cut()


def test_a_slow_reader_does_not_hurt_who_writes_to_him(own_server):
    # limits.outbox_bytes: the connection of who does not read is closed, his messages are kept
    one = own_server({"limits.outbox_bytes": "256 KiB", "limits.stanza_bytes": "64 KiB",
                      "limits.stanzas_per_second": 100000,
                      "limits.stanzas_burst": 100000, "limits.bytes_per_second": "100 MiB",
                      "limits.bytes_burst": "100 MiB", "limits.offline_messages": 100000,
                      "limits.offline_bytes": "1 GiB", "limits.unacked_stanzas": 100000})
    names = one.fresh_users(3)
    lazy, rude, friend = (one.connect(n) for n in names)
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for client in (lazy, friend):
        client.online()
        client.drain()
    before = one.rss_kib()
    n = 3000
    for i in range(n):
        rude.send(f"<message type='chat' to='{lazy.jid}' id='m{i}'><body>{'x' * 4000}</body>"
                  "</message>")
        if i % 500 == 0:
            rude.fence()
            friend.send(f"<message type='chat' to='{rude.jid}' id='f{i}'><body>y</body></message>")
            friend.fence()
    settle(rude)
    grown = one.rss_kib() - before
    # 64 MiB of it may be the store's page cache
    assert grown < 120_000, f"{grown} KiB for 12 MB that nobody reads"
    assert friend.fence().get("type") == "result"
    lazy.cut()
    # what he had not read is kept for him, or came back to the sender: none is lost
    bounced = {s.get("id") for s in rude.drain() if s.get("type") == "error"}
    later = one.connect(names[0])
    later.online()
    kept = {s.get("id") for s in later.drain() if local(s) == "message"}
    archived = set()
    after = ""
    while True:
        answer = later.ask("set", "<query xmlns='urn:xmpp:mam:2'><set xmlns="
                                  f"'http://jabber.org/protocol/rsm'><max>100</max>{after}</set>"
                                  "</query>")
        for got in later.drain():
            archived |= {m.get("id") for m in got.iter("{jabber:client}message")}
        fin = answer.find("{urn:xmpp:mam:2}fin")
        if fin is None or fin.get("complete") == "true":
            break
        last = fin.findtext(".//{http://jabber.org/protocol/rsm}last")
        after = f"<after>{last}</after>"
    missing = {f"m{i}" for i in range(n)} - bounced - kept - archived
    assert not missing, f"{len(missing)} messages are nowhere"
    for client in (later, rude, friend):
        client.cut()


def test_nobody_reads_what_is_anothers(people, witness):
    rude, victim, friend = people
    victim.ask("set", "<query xmlns='jabber:iq:private'><s xmlns='urn:s'>secret</s></query>")
    for payload in ("<query xmlns='jabber:iq:roster'/>",
                    "<query xmlns='jabber:iq:private'><s xmlns='urn:s'/></query>",
                    "<blocklist xmlns='urn:xmpp:blocking'/>",
                    "<prefs xmlns='urn:xmpp:mam:2'/>",
                    "<query xmlns='urn:xmpp:mam:2'/>",
                    "<query xmlns='jabber:iq:last'/>",
                    "<query xmlns='http://jabber.org/protocol/disco#items'/>"):
        for to in (victim.bare, victim.bare.upper()):
            answer = rude.ask("get", payload, to=to)
            assert answer.get("type") == "error" or len(answer[0]) == 0, xmpp.show(answer)
            assert "secret" not in xmpp.show(answer)


def test_nobody_changes_what_is_anothers(people, witness):
    rude, victim, friend = people
    for payload in (f"<query xmlns='jabber:iq:roster'><item jid='{rude.bare}'/></query>",
                    "<query xmlns='jabber:iq:private'><s xmlns='urn:s'>mine</s></query>",
                    f"<block xmlns='urn:xmpp:blocking'><item jid='{friend.bare}'/></block>",
                    "<unblock xmlns='urn:xmpp:blocking'/>",
                    "<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/></prefs>",
                    "<vCard xmlns='vcard-temp'><FN>x</FN></vCard>",
                    "<query xmlns='jabber:iq:register'><remove/></query>",
                    f"<query xmlns='jabber:iq:register'><username>{victim.user}</username>"
                    "<password>x</password></query>",
                    "<enable xmlns='urn:xmpp:carbons:2'/>"):
        for to in (victim.bare, rude.domain) if "register" in payload else (victim.bare,):
            answer = rude.ask("set", payload, to=to)
            assert answer.get("type") == "error", payload + xmpp.show(answer)
    victim.drain()
    assert len(victim.ask("get", "<query xmlns='jabber:iq:roster'/>")[0]) == 0


def test_cache_poisoning_a_caps_hash_is_verified_before_it_is_believed(people, witness):
    # advisories: ejabberd 26.07 (caps): the wrong answer of one must not describe another
    rude, victim, friend = people
    caps = ("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://n.example' "
            "ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>")
    rude.send(f"<presence>{caps}</presence>")
    for asked in rude.drain():
        if local(asked) == "iq" and asked.get("type") == "get":
            rude.send(f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'>"
                      "<query xmlns='http://jabber.org/protocol/disco#info'>"
                      "<feature var='urn:xmpp:message-retract:1'/></query></iq>")
    rude.fence()
    friend.send(f"<presence>{caps}</presence>")
    # what the server believes of friend shows only in what it sends: here, that all goes on
    assert friend.fence().get("type") == "result"


def test_sm_another_account_cannot_take_a_session(server, witness):
    # XEP-0198 §9
    names = server.fresh_users(2)
    victim = server.connect(names[0], sm=True)
    rude = server.connect(names[1], bind=False)
    rude.write(f"<resume xmlns='{xmpp.NS_SM}' previd='{victim.sm_id}' h='0'/>")
    answer = rude.read()
    assert local(answer) == "failed", xmpp.show(answer)
    assert victim.fence().get("type") == "result"
    rude.cut()
    victim.close()


@pytest.mark.parametrize("h", ["-1", "4294967296", "99999999999999999999", "x", "", "1.5", "0x1",
                               "4294967295", "1000"])
def test_sm_a_count_that_cannot_be_ends_the_stream(server, witness, h):
    # XEP-0198 §4: undefined-condition (handled-count-too-high), or bad-format for what is none
    client = server.connect(server.fresh_users(1)[0], sm=True)
    client.write(f"<a xmlns='{xmpp.NS_SM}' h='{h}'/>")
    closed = client.read_until_closed()
    assert closed.condition in ("undefined-condition", "bad-format", "invalid-xml",
                                "policy-violation"), closed
    client.cut()


def test_sm_is_enabled_once_and_only_when_bound(server, witness):
    # XEP-0198 §3: failed with unexpected-request
    client = server.connect(server.fresh_users(1)[0], sm=True)
    client.write(f"<enable xmlns='{xmpp.NS_SM}' resume='true'/>")
    try:
        assert local(client.stanza()) == "failed"
    except xmpp.Closed:
        pass
    client.cut()
    client = server.connect(server.fresh_users(1)[0], bind=False)
    client.write(f"<enable xmlns='{xmpp.NS_SM}'/>")
    try:
        assert local(client.read()) == "failed"
    except xmpp.Closed:
        pass
    client.cut()


def test_sm_requests_without_end_are_answered_without_end(server, witness):
    client = server.connect(server.fresh_users(1)[0], sm=True)
    before = server.rss_kib()
    for _ in range(20):
        client.write(f"<r xmlns='{xmpp.NS_SM}'/>" * 500)
        client.fence()
    assert server.rss_kib() - before < 20_000
    client.close()


def test_sm_a_client_that_never_acknowledges_does_not_grow_for_ever(own_server):
    # limits.unacked_stanzas
    one = own_server({"limits.unacked_stanzas": 50, "limits.stanzas_per_second": 100000,
                      "limits.stanzas_burst": 100000})
    names = one.fresh_users(2)
    lazy = one.connect(names[0], sm=True, acks=False)
    lazy.online()
    rude = one.connect(names[1])
    for i in range(500):
        rude.send(f"<message type='chat' to='{lazy.bare}' id='m{i}'><body>x</body></message>")
    rude.fence()
    got, closed = [], None
    try:
        while True:
            got.append(lazy.stanza(timeout=2))
    except xmpp.Closed as end:
        closed = end
    except TimeoutError:
        pass
    assert closed is not None or len(got) <= 100, "nothing bounds what is unacknowledged"
    # nothing is lost: what he did not take is in his archive or waits
    later = one.connect(names[0])
    later.online()
    ids = {s.get("id") for s in got + later.drain()}
    answer = later.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>")
    assert answer.get("type") == "result" or len(ids) >= 500
    for client in (lazy, rude, later):
        client.cut()


def test_deleting_and_making_an_account_again_gives_no_rights(server, witness):
    # advisories "rooms": a deleted and re-created account has no rights
    if server.name != "firedoord":
        pytest.fail("only for firedoord")
    one, other = server.fresh_users(2)
    import talk

    talk.befriend(server, one, other)
    old = server.connect(one, sm=True)
    server.ctl("user", "delete", f"{one}@{server.domain}")
    assert old.read_until_closed().condition in ("not-authorized", "conflict", "reset")
    server.add_users([one])
    new = server.connect(one)
    assert len(new.online()[0]) == 0
    witness_of = server.connect(other)
    witness_of.online()
    witness_of.drain()
    assert not [s for s in new.drain() if local(s) == "presence" and s.get("from") != new.jid]
    again, answer = xmpp.Client.resume(server, old)
    assert local(answer) == "failed"
    for client in (new, witness_of, again):
        client.cut()

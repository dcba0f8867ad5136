"""Ways in which messages could be lost, doubled or overtaken, and the server brought down.

Each test is a case that went wrong once.
"""

import datetime
import secrets
import time

import pytest

import xmpp

BODY = "{jabber:client}body"
DELAY = "{urn:xmpp:delay}delay"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
CARBONS = "urn:xmpp:carbons:2"
MAM = "urn:xmpp:mam:2"


def say(client, to, text, id=None, kind="chat"):
    client.send(f"<message type='{kind}' to='{to}' id='{id or text}'><body>{text}</body></message>")


def bodies(stanzas):
    return [s.findtext(BODY) for s in stanzas
            if xmpp.local(s) == "message" and s.find(BODY) is not None]


def wait_for_bodies(client, n):
    """The texts of the next n messages that have one."""
    got = []
    while len(got) < n:
        got += bodies([client.stanza()])
    return got


def read_all(client, resource=None):
    """What waits for the account of a client that is gone."""
    later = client.server_of.connect(client.user, resource)
    later.online()
    # not a fence: a store's read may be overtaken by another write, a message never passes those
    # that wait
    say(later, later.bare, "the last")
    got = []
    while bodies(got[-1:]) != ["the last"]:
        got.append(later.stanza())
    later.close()
    return got[:-1]


@pytest.fixture
def two(server, people):
    def make(**options):
        clients = []
        for name in people(2):
            client = server.connect(name, **options)
            client.server_of = server
            client.online()
            clients.append(client)
        for client in clients:
            client.drain()
        return clients

    return make


def wait_until_gone(server, client):
    until = time.monotonic() + xmpp.PATIENCE
    while server.ctl_json("session", "list", client.bare)["sessions"]:
        assert time.monotonic() < until, "the session does not end"
        time.sleep(0.05)


def test_carbons_and_archive_pages_never_become_offline_messages(server, two):
    # what a lost client had not acknowledged goes back to the spool, but not what was a copy
    sender, other = two()
    reader = server.connect(other.user, "second", sm=True, acks=False)
    reader.server_of = server
    reader.online()
    reader.ask("set", f"<enable xmlns='{CARBONS}'/>")
    say(sender, other.jid, "once")
    assert wait_for_bodies(other, 1) == ["once"]
    reader.fence()
    reader.send(f"<iq type='set' id='page'><query xmlns='{MAM}'/></iq>")
    reader.fence()
    assert any(e.find(f"{{{CARBONS}}}received") is not None for e in reader.inbox)
    assert any(e.find(f"{{{MAM}}}result") is not None for e in reader.inbox)
    other.fence()
    other.close()
    reader.write("</stream:stream>")
    reader.read_until_closed()
    reader.cut()
    wait_until_gone(server, reader)
    assert not [s for s in read_all(reader) if xmpp.local(s) == "message"]
    sender.close()


def test_a_message_that_a_lost_session_gives_back_has_the_time_at_which_it_came(own_server):
    # XEP-0198 section 4: the original time, not that at which the session was given up
    server = own_server({"limits.resume_time": "2 s"})
    names = server.fresh_users(2)
    sender = server.connect(names[0])
    sender.online()
    reader = server.connect(names[1], sm=True, acks=False)
    reader.online()
    # a row of the archive would have the time anyway
    reader.ask("set", f"<prefs xmlns='{MAM}' default='never'><always/><never/></prefs>")
    say(sender, reader.bare, "hark")
    assert wait_for_bodies(reader, 1) == ["hark"]
    sender.fence()
    seen = datetime.datetime.now(datetime.timezone.utc)
    reader.cut()
    wait_until_gone(server, reader)
    later = server.connect(names[1])
    later.online()
    got = later.wait_for(lambda e: e.findtext(BODY) == "hark")
    stamp = datetime.datetime.fromisoformat(got.find(DELAY).get("stamp").replace("Z", "+00:00"))
    assert stamp <= seen
    sender.close()
    later.close()


def test_a_message_for_a_stream_that_is_being_closed_is_kept(server, two):
    # it was believed written when the bytes before it had left
    sender, reader = two()
    reader.write("<nonsense/>")  # a stream error: closed by us, while TCP still stands
    say(sender, reader.bare, "hark")
    sender.fence()
    closed = reader.read_until_closed()
    reader.cut()
    wait_until_gone(server, reader)
    got = closed.got + read_all(reader)  # he may have had it before his own mistake was read
    bounced = [s for s in sender.drain() if s.get("type") == "error"]
    assert bodies(got) == ["hark"] or bounced
    sender.close()


def test_offline_messages_come_once_and_before_the_new_ones(server, people):
    name, sender_name = people(2)
    sender = server.connect(sender_name)
    sender.online()
    n = 95  # below limits.offline_messages, more than one page with what follows
    for i in range(n):
        say(sender, f"{name}@{server.domain}", f"old {i}")
    sender.fence()
    reader = server.connect(name, sm=True, acks=False)
    reader.send("<presence/>")
    for i in range(60):
        say(sender, f"{name}@{server.domain}", f"new {i}")
    sender.fence()
    got = wait_for_bodies(reader, n + 60)
    got += bodies(reader.drain())
    assert got == [f"old {i}" for i in range(n)] + [f"new {i}" for i in range(60)]
    sender.close()
    reader.close()


def test_a_spool_larger_than_the_outbox_is_read_in_parts(own_server):
    # once it ended the session, at every login anew
    server = own_server({"limits.outbox_bytes": "128 KiB", "limits.stanza_bytes": "64 KiB"})
    name, sender_name = server.fresh_users(2)
    sender = server.connect(sender_name)
    sender.online()
    for i in range(20):
        say(sender, f"{name}@{server.domain}", f"{i} " + "x" * 20000)
    sender.fence()
    reader = server.connect(name, sm=True)
    reader.send("<presence/>")
    got = wait_for_bodies_with_acks(reader, 20)
    assert [text.split()[0] for text in got] == [str(i) for i in range(20)]


def wait_for_bodies_with_acks(client, n):
    got = []
    while len(got) < n:
        got += bodies([client.stanza()])
        client.write(f"<a xmlns='{xmpp.NS_SM}' h='{client.handled}'/>")
    return got


def test_an_archive_page_larger_than_the_outbox_is_cut(own_server):
    server = own_server({"limits.outbox_bytes": "128 KiB", "limits.stanza_bytes": "64 KiB"})
    name, sender_name = server.fresh_users(2)
    sender, reader = server.connect(sender_name), server.connect(name)
    sender.online()
    reader.online()
    for i in range(12):
        say(sender, reader.bare, f"{i} " + "x" * 20000)
        wait_for_bodies(reader, 1)
    seen, after = [], ""
    for _ in range(12):
        answer = reader.ask("set", f"<query xmlns='{MAM}'>"
                            f"<set xmlns='http://jabber.org/protocol/rsm'>{after}</set></query>")
        assert answer.get("type") == "result", xmpp.show(answer)
        page = [e.find(f".//{BODY}").text.split()[0] for e in reader.inbox
                if e.find(f"{{{MAM}}}result") is not None]
        reader.inbox.clear()
        assert page
        seen += page
        fin = answer.find(f"{{{MAM}}}fin")
        if fin.get("complete") == "true":
            break
        last = fin.findtext(".//{http://jabber.org/protocol/rsm}last")
        after = f"<after>{last}</after>"
    assert seen == [str(i) for i in range(12)]


def test_who_is_told_of_his_own_refused_message_brings_nobody_down(server, people):
    # an error to oneself came back into the delivery that caused it
    name = people(1)[0]
    one, other = server.connect(name, "one"), server.connect(name, "other")
    one.online()
    other.online()
    for round in range(20):
        say(one, f"{one.bare}/other", f"a{round}")
        say(one, f"{one.bare}/other", f"b{round}", kind="groupchat")
        if round == 10:
            other.cut()
    one.fence()
    server.check_healthy()
    one.close()


@pytest.mark.threads
def test_a_connection_that_is_lost_while_much_is_judged_brings_nobody_down(own_server):
    # the window of stanzas that are not durable fills up with a stanza that pauses once more
    server = own_server({"limits.stanzas_per_second": 100000, "limits.stanzas_burst": 100000,
                         "limits.offline_messages": 100000})
    name, other = server.fresh_users(2)
    client = server.connect(name, sm=True)
    client.online()
    for _ in range(3):
        client.write("".join(
            f"<message type='chat' to='{other}@{server.domain}' id='{i}'><body>hello</body>"
            "</message>" for i in range(1023)) + "<iq type='get' id='r'>"
            "<query xmlns='jabber:iq:roster'/></iq>")
        client.cut()
        client, answer = xmpp.Client.resume(server, client)
        assert xmpp.local(answer) == "resumed", xmpp.show(answer) + server.log_tail()
        server.check_healthy()
        client.cut()
        client = server.connect(name, sm=True)
        client.online()


def test_stanzas_are_in_the_language_of_their_stream(server, people):
    # RFC 6120 section 8.1.5
    one, other = people(2)
    reader = server.connect(other)
    reader.online()
    sender = server.stream(direct=True)
    sender.open(attributes="xml:lang='de'")
    xmpp.authenticate(sender, one, "pencil, and a secret")
    sender.open(attributes="xml:lang='de'")
    sender.write(f"<iq type='set' id='b'><bind xmlns='{xmpp.NS_BIND}'/></iq>")
    sender.read()
    sender.write(f"<message type='chat' to='{reader.bare}'><body>eins</body></message>"
                 f"<message type='chat' to='{reader.bare}' xml:lang='fr'><body>deux</body></message>")
    while (first := reader.stanza()).find(BODY) is None:
        pass
    assert first.get(LANG) == "de"
    assert reader.stanza().get(LANG) == "fr"
    sender.close()
    reader.close()


def test_a_delay_in_the_servers_name_is_not_believed(server, two):
    sender, reader = two()
    sender.send(f"<message type='chat' to='{reader.bare}'><body>old</body>"
                f"<delay xmlns='urn:xmpp:delay' from='{server.domain}' stamp='2001-01-01T00:00:00Z'/>"
                "</message>")
    got = reader.stanza()
    assert got.findtext(BODY) == "old" and got.find(DELAY) is None
    sender.close()
    reader.close()


def test_who_was_told_directly_hears_that_a_hidden_user_went(server, two):
    # RFC 6121 section 4.6.3: also from who never sent presence to all
    one, reader = two()
    hidden = server.connect(one.user, "hidden")
    hidden.send(f"<presence to='{reader.jid}'/>")
    assert reader.stanza().get("type") is None
    hidden.send("<presence type='unavailable'/>")
    got = reader.stanza()
    assert got.get("type") == "unavailable" and got.get("from") == hidden.jid
    for client in (one, hidden, reader):
        client.close()


def test_a_closed_account_loses_its_sessions_while_it_is_read_anew(server, people):
    name = people(1)[0]
    client = server.connect(name)
    client.online()
    bare = client.bare
    server.ctl("user", "disable", bare)
    assert client.read_until_closed().condition in ("not-authorized", None)
    server.ctl("user", "enable", bare)
    again = server.connect(name)
    again.online()
    again.close()


def test_who_resumes_with_more_than_was_sent_is_told_and_disconnected(server, people):
    # XEP-0198 §6: <failed/> for what is wrong with <resume/>, and the end for an h that is too high
    name, other = people(2)
    old = server.connect(name, sm=True)
    old.online()
    old.cut()
    new, answer = xmpp.Client.resume(server, old, h=1000)
    assert xmpp.local(answer) == "failed" and xmpp.condition_of(answer) == "bad-request"
    assert answer.get("h") is not None
    closed = new.read_until_closed()
    assert closed.condition == "undefined-condition"
    too_high = closed.error.find("{urn:xmpp:sm:3}handled-count-too-high")
    assert too_high.get("h") == "1000" and int(too_high.get("send-count")) < 1000
    # fewer than it had acknowledged: only that, and it may bind; the right number still resumes
    sender = server.connect(other)
    once = server.connect(name, sm=True)
    once.online()
    say(sender, once.jid, "one")
    once.wait_for(lambda s: s.findtext(BODY) == "one")
    once.write(f"<a xmlns='urn:xmpp:sm:3' h='{once.handled}'/>")
    once.fence()
    once.cut()
    new, answer = xmpp.Client.resume(server, once, h=0)
    assert xmpp.local(answer) == "failed" and xmpp.condition_of(answer) == "bad-request"
    new.bind()
    new.close()
    again, answer = xmpp.Client.resume(server, once)
    assert xmpp.local(answer) == "resumed"
    again.close()
    sender.close()


def test_where_nothing_is_resumed_a_client_is_told_so(own_server):
    # XEP-0198 section 5: not offered, and feature-not-implemented for who asks anyway
    server = own_server({"limits.resume_time": "0 s"})
    client = server.connect(server.fresh_users(1)[0], bind=False)
    client.write(f"<resume xmlns='{xmpp.NS_SM}' previd='x' h='0'/>")
    answer = client.read()
    assert xmpp.local(answer) == "failed" and xmpp.condition_of(answer) == "feature-not-implemented"
    client.bind()
    client.write(f"<enable xmlns='{xmpp.NS_SM}' resume='true'/>")
    answer = client.read()
    assert xmpp.local(answer) == "enabled" and answer.get("resume") is None
    client.cut()


def test_two_who_resume_the_same_session_bring_nobody_down(server, two):
    one, _ = two(sm=True)
    one.cut()
    old = xmpp.Client(server, one.user, one.password, bind=False)
    new = xmpp.Client(server, one.user, one.password, bind=False)
    for client, h in ((new, one.handled), (old, 0)):
        client.write(f"<resume xmlns='{xmpp.NS_SM}' previd='{one.sm_id}' h='{h}'/>")
    assert xmpp.local(new.read()) in ("resumed", "failed")
    server.check_healthy()
    for client in (old, new):
        client.cut()


def test_later_messages_wait_behind_a_held_one(own_server):
    # semantics, holding: what was said is read in the order it was said
    server = own_server({"guard.mode": "on"})
    names = server.fresh_users(12)
    sender = server.connect(names[0])
    sender.online()
    readers = [server.connect(name) for name in names[1:]]
    for reader in readers:
        reader.online()
    link = f"http://{secrets.token_hex(6)}.example/a"
    for reader in readers:
        say(sender, reader.bare, f"look {link}", id="lure")
        say(sender, reader.bare, "plain", id="plain")
    bounced = {s.get("from") for s in sender.drain() if s.get("type") == "error"}
    for reader in readers:
        got = wait_for_bodies(reader, 1 if reader.bare in bounced else 2)
        texts = [t for t in got if link in t or t == "plain"]
        if link in " ".join(texts):
            assert texts == [f"look {link}", "plain"]


@pytest.mark.threads
def test_a_stop_with_sessions_of_all_kinds_leaves_nothing_behind(own_server):
    server = own_server()
    names = server.fresh_users(12)
    clients = [server.connect(name, sm=i % 2 == 0) for i, name in enumerate(names)]
    for client in clients:
        client.online()
    for i, client in enumerate(clients):
        for other in clients:
            say(client, other.bare, f"{i} see http://h{i}.example/")
        if i % 3 == 0:
            client.cut()
    assert server.stop() == 0
    assert not xmpp_trouble(server)


def xmpp_trouble(server):
    return [line for line in server.log().splitlines()
            if "stop-not-quiet" in line or "must failed" in line]

"""What an account, or nobody yet, may do too often, too large, or in two places at once.

Rows of the advisories: floods; unauthenticated connections; TLS renegotiation; stanza smuggling;
downgrade; forged carbons, archives, stanza ids, delays; names; console, HTTP.
"""

import select
import socket
import ssl
import threading
import time

import pytest

import server as servers
import xmpp
from xmpp import NS_BIND, condition_of, local, online

FAST = {"limits.stanzas_per_second": 100000, "limits.stanzas_burst": 100000,
        "limits.bytes_per_second": "100 MiB", "limits.bytes_burst": "100 MiB"}


def error_of(stanza):
    return condition_of(stanza.find("{jabber:client}error"))


# Connections and handshakes


def test_tls_renegotiation_handshakes_a_second_are_limited(own_server):
    # advisories: Prosody CVE-2021-32920, its other half; a connection shakes hands once
    one = own_server({"limits.accepts_per_second": 1})  # and ten at once
    name, = one.fresh_users(1)
    shaken = 0
    held = []
    for _ in range(100):
        try:
            raw = socket.create_connection(one.tls_address, source_address=("127.0.0.9", 0),
                                           timeout=xmpp.PATIENCE)
            held.append(xmpp.insecure_context().wrap_socket(raw))
            shaken += 1
        except (OSError, ssl.SSLError):
            pass
    assert 10 <= shaken < 100, shaken
    one.connect(name, source=("127.0.0.10", 0)).close()
    for raw in held:
        raw.close()


def test_unauthenticated_connections_in_the_middle_of_tls_leave_nothing(server, witness):
    # handshakes that were finished, and streams that were opened, and then cut
    def wave(n):
        for i in range(n):
            stream = server.stream(direct=True)
            if i % 2:
                stream.open()
            stream.cut()

    wave(300)
    server.connect(server.fresh_users(1)[0]).close()
    before = server.rss_kib()
    wave(200)
    server.connect(server.fresh_users(1)[0]).close()
    assert server.rss_kib() - before < 12_000


def test_floods_sessions_that_come_and_go_leave_nothing(server, witness):
    # logins, presence, a cut or a close; with and without a session to be resumed
    names = server.fresh_users(20)

    def wave():
        for i, name in enumerate(names * 3):
            client = server.connect(name, "same", sm=i % 3 == 0)
            client.online()
            client.send(f"<message type='chat' to='{client.bare}' id='m'><body>x</body></message>")
            client.fence()
            client.cut() if i % 2 else client.close()

    wave()
    before = server.rss_kib()
    for _ in range(2):
        wave()
    assert server.rss_kib() - before < 20_000


class OneByteAtATime(threading.Thread):
    """A network that delivers each byte of what the client says alone: TLS records are cut too."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = self.door.getsockname()
        self.to = address

    def run(self):
        near, _ = self.door.accept()
        far = socket.create_connection(self.to)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is far:
                        near.sendall(data)
                        continue
                    for i in range(len(data)):
                        far.send(data[i:i + 1])
        except OSError:
            pass
        finally:
            near.close()
            far.close()
            self.door.close()


def test_stanza_smuggling_records_cut_into_bytes_change_nothing(server, witness):
    # TLS records, UTF-8 and tags in pieces
    one, other = witness
    network = OneByteAtATime(server.tls_address)
    network.start()
    name, = server.fresh_users(1)

    class Detour:
        domain, tls_address = server.domain, network.address

    client = xmpp.Client(Detour, name, servers.PASSWORD)
    text = "h\u00e9llo \u20ac \U0001f6aa & <b>"
    client.send(f"<message type='chat' to='{other.jid}' id='cut'><body>{xmpp.escape(text)}</body>"
                "</message>")
    assert client.fence().get("type") == "result"
    got = other.wait_for(lambda e: e.get("id") == "cut")
    assert got.findtext("{jabber:client}body") == text
    client.cut()


def test_stanza_smuggling_many_stanzas_in_one_record_are_many(server, witness):
    one, other = witness
    rude, = online(server, 1)
    rude.write("".join(f"<message type='chat' to='{other.jid}' id='p{i}'><body>{i}</body></message>"
                       for i in range(200)))
    rude.fence()
    got = [m.get("id") for m in other.drain() if local(m) == "message"]
    assert got == [f"p{i}" for i in range(200)]
    rude.cut()


# Logging in, in one breath


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_downgrade_a_login_in_one_breath_is_a_login_or_none(server, witness, right):
    # everything pipelined: <auth/>, the new header, the binding; nothing may be taken for another's
    name, = server.fresh_users(1)
    stream = server.stream(direct=True)
    stream.open()
    header = ("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream="
              f"'http://etherx.jabber.org/streams' version='1.0' to='{server.domain}'>")
    bind = f"<iq type='set' id='b'><bind xmlns='{NS_BIND}'/></iq>"
    stream.write(xmpp.plain(name, servers.PASSWORD if right else "wrong") + header + bind)
    said = read_raw(stream, lambda said: b"</jid>" in said)
    if right:  # to answer all, or to close after <success/>, are both right
        assert b"<success" in said and b"<failure" not in said
        assert b"<jid>" not in said or f"<jid>{name}@".encode() in said
    else:  # what follows is no document of its own then
        assert b"<failure" in said and b"<stream:error>" in said and b"<jid>" not in said
    stream.cut()


def read_raw(stream, enough):
    """What comes, as bytes, until it is enough or the connection ends."""
    said = bytearray()
    stream.socket.settimeout(xmpp.PATIENCE)
    try:
        while not enough(said):
            data = stream.socket.recv(1 << 20)
            if not data:
                break
            said += data
    except (OSError, ssl.SSLError):
        pass
    return bytes(said)


@pytest.mark.parametrize("junk", [
    f"<iq type='get' id='j'><bind xmlns='{NS_BIND}'/></iq>",
    f"<iq type='set'><bind xmlns='{NS_BIND}'/></iq>",
    f"<iq type='set' id='j'><bind xmlns='{NS_BIND}'><resource>{'r' * 1024}</resource></bind></iq>",
    f"<iq type='set' id='j'><bind xmlns='{NS_BIND}'><resource>{'r' * 200_000}</resource></bind></iq>",
    f"<iq type='set' id='{'j' * 200_000}'><bind xmlns='{NS_BIND}'><resource>\u0378</resource></bind>"
    "</iq>",
    f"<iq type='set' id='{'&apos;' * 40_000}'><bind xmlns='{NS_BIND}'><resource>\u0378</resource>"
    "</bind></iq>",
], ids=["get", "no-id", "long", "huge", "huge-id", "huge-quoted-id"])
def test_names_a_binding_that_is_junk_is_refused_and_may_be_put_right(server, witness, junk):
    # RFC 6120 §7.7.2.1
    client = server.connect(server.fresh_users(1)[0], bind=False)
    client.write(junk)
    answer = client.read()
    assert local(answer) == "iq" and answer.get("type") == "error", xmpp.show(answer)[:300]
    assert error_of(answer) in ("bad-request", "jid-malformed")
    assert client.bind()
    client.cut()


def test_names_a_binding_with_more_in_it_is_one_binding(server, witness):
    client = server.connect(server.fresh_users(1)[0], bind=False)
    client.write(f"<iq type='set' id='{'j' * 100_000}'><bind xmlns='{NS_BIND}'><resource>one"
                 f"</resource><resource>two</resource></bind><bind xmlns='{NS_BIND}'/></iq>")
    answer = client.read()
    assert answer.get("type") in ("result", "error") and answer.get("id") == "j" * 100_000
    if answer.get("type") == "result":
        assert answer.findtext(f"{{{NS_BIND}}}bind/{{{NS_BIND}}}jid").count("/") == 1
    client.cut()


def test_names_that_are_one_are_blocked_as_one(server, witness):
    # case, width, and a dot behind the domain: RFC 7622 §3
    victim, rude = online(server, 2)
    spelt = rude.bare.upper().replace("U", "\uff35", 1) + "."
    answer = victim.ask("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{spelt}'/></block>")
    assert answer.get("type") == "result", xmpp.show(answer)
    rude.send(f"<message type='chat' to='{victim.jid}' id='b'><body>x</body></message>")
    assert error_of(rude.wait_for(lambda e: e.get("id") == "b")) == "service-unavailable"
    assert not [m for m in victim.drain() if local(m) == "message"]
    victim.cut()
    rude.cut()


# What only the server may say


@pytest.mark.parametrize("kind", ["message", "presence"])
def test_forged_ids_delays_and_occupants_are_taken_away_all_of_them(server, witness, kind):
    # ejabberd 25.04 replaced only the first; XEP-0359 §6, XEP-0203 §5, XEP-0421 §4
    rude, victim = online(server, 2)
    forged = "".join(
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='forged{n}'/>"
        f"<delay xmlns='urn:xmpp:delay' from='{by}' stamp='2001-01-0{n}T00:00:00Z'/>"
        f"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged{n}'/>"
        f"<hats xmlns='urn:xmpp:hats:0'><hat uri='forged{n}' title='Admin'/></hats>"
        for n in (1, 2, 3) for by in (victim.domain, victim.domain.upper(), victim.bare, victim.jid))
    kept = "<stanza-id xmlns='urn:xmpp:sid:0' by='room.elsewhere.example' id='kept'/>"
    body = "<body>x</body>" if kind == "message" else "<status>x</status>"
    rude.send(f"<{kind} to='{victim.jid}' id='f'>{forged}{body}{kept}{forged}</{kind}>")
    rude.fence()
    got = [xmpp.show(s) for s in victim.drain() if s.get("from") == rude.jid]
    assert len(got) == 1
    assert "forged" not in got[0] and "2001-01" not in got[0], got[0]
    assert "kept" in got[0]
    rude.cut()
    victim.cut()


def test_forged_lines_are_not_written_to_the_log(server, witness):
    # a resource may hold spaces and signs: they must not look like fields
    name, = server.fresh_users(1)
    client = server.connect(name, "x account=admin@forged.example level=0 \"y\"", sm=True)
    client.fence()
    client.cut()
    client = server.connect(name)
    client.fence()
    client.close()
    lines = [line for line in server.log().splitlines() if "forged.example" in line]
    assert lines
    for line in lines:
        unquoted = line.split('"', 1)[0]
        assert "account=admin@forged.example" not in unquoted, line


# Floods


def test_floods_of_removed_contacts_leave_no_marks_for_ever(own_server):
    # the marks of removed contacts (RFC 6121 §2.6) are bounded in memory as in the store
    one = own_server({**FAST, "limits.unacked_stanzas": 100000})
    rude, = online(one, 1)
    first = rude.ask("get", "<query xmlns='jabber:iq:roster' ver=''/>")[0].get("ver")

    def churn(n):
        for i in range(0, n, 50):
            rude.write("".join(
                f"<iq type='set' id='c{k}'><query xmlns='jabber:iq:roster'><item jid='c{k}@"
                f"elsewhere.example'{how}/></query></iq>" for k in range(i, i + 50)
                for how in ("", " subscription='remove'")))
            rude.fence()
            rude.inbox.clear()

    churn(400)
    # who has missed more than is known gets the whole roster (§2.6.3), not what is left of the news
    again = one.connect(rude.user)
    for ver, whole in ((first or "1", True), (None, True)):
        asked = f" ver='{ver}'" if ver is not None else ""
        answer = again.ask("get", f"<query xmlns='jabber:iq:roster'{asked}/>")
        assert (len(answer) == 1) == whole, xmpp.show(answer)
    newest = again.ask("get", "<query xmlns='jabber:iq:roster' ver='1'/>")[0].get("ver")
    assert len(again.ask("get", f"<query xmlns='jabber:iq:roster' ver='{newest}'/>")) == 0
    again.cut()
    rude.cut()


@pytest.mark.parametrize("sm", [False, True], ids=["plain", "xep-0198"])
@pytest.mark.parametrize("what", ["vcard", "disco", "r", "archive", "junk"])
def test_floods_of_answers_nobody_reads_cost_the_one_who_asked(own_server, what, sm):
    # limits.outbox_bytes also holds for what is no message: answers, acknowledgements, errors
    one = own_server({**FAST, "limits.outbox_bytes": "512 KiB", "limits.unacked_stanzas": 100000})
    lazy, friend = online(one, 2)
    lazy.cut()
    lazy = one.connect(lazy.user, sm=sm, acks=False)
    lazy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.ask("set", f"<vCard xmlns='vcard-temp'><NOTE>{'v' * 60_000}</NOTE></vCard>")
    for i in range(20):
        lazy.send(f"<message type='chat' to='{friend.bare}' id='{i}'><body>{'b' * 20_000}</body>"
                  "</message>")
    lazy.fence()
    request = {
        "vcard": "<iq type='get' id='1'><vCard xmlns='vcard-temp'/></iq>",
        "disco": "<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        "r": f"<r xmlns='{xmpp.NS_SM}'/>",
        "archive": "<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>",
        "junk": f"<iq type='get' id='{'i' * 2000}'/>",
    }[what] * 20
    before = one.rss_kib()
    lazy.socket.settimeout(2)
    try:
        for _ in range(1500):
            lazy.socket.sendall(request.encode())
    except OSError:
        pass  # closed, or not read any more: both end it
    assert one.rss_kib() - before < 40_000
    friend.drain()
    assert friend.fence().get("type") == "result"
    lazy.cut()
    friend.cut()


def test_floods_of_unavailable_words_are_remembered_once(own_server):
    # the last word of who leaves (XEP-0012) is kept: its size and number are the server's business
    one = own_server(FAST)
    rude, = online(one, 1)
    before = one.rss_kib()
    for i in range(200):
        rude.send("<presence/>")
        rude.send(f"<presence type='unavailable'><status>{'w' * 100_000}</status></presence>")
        if i % 20 == 0:
            rude.drain()
    rude.drain()
    assert one.rss_kib() - before < 40_000
    rude.cut()


def test_floods_to_oneself_do_not_go_round(server, witness):
    # several resources with carbons, receipts asked for: one copy each, and then it is quiet
    name, = server.fresh_users(1)
    own = [server.connect(name, sm=i == 0) for i in range(3)]
    for client in own:
        client.online()
        client.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    for client in own:
        client.drain()
    for to in (own[0].bare, own[0].jid, own[1].jid):
        for kind in ("chat", "normal", "error", "headline", "groupchat"):
            own[0].send(f"<message type='{kind}' to='{to}' id='self'><body>x</body>"
                        "<request xmlns='urn:xmpp:receipts'/></message>")
    for _ in range(3):
        for client in own:
            client.fence()
    copies = [len([m for m in client.drain() if local(m) == "message"]) for client in own]
    assert max(copies) <= 2 * 15, copies
    for client in own:
        client.send(f"<presence to='{own[0].bare}' type='unavailable'/>")
        client.send(f"<presence to='{own[0].bare}' type='subscribe'/>")
        client.send(f"<presence to='{own[0].bare}' type='probe'/>")
    for client in own:
        client.fence()
        client.cut()


def test_floods_to_the_servers_own_address_are_answered_and_forgotten(own_server):
    one = own_server(FAST)
    rude, friend = online(one, 2)
    before = one.rss_kib()
    for to in (one.domain, one.domain + "/x", "x@" + one.domain, one.domain.upper()):
        for i in range(20):
            rude.write("".join(
                f"<message type='{kind}' to='{to}' id='d'><body>{'x' * 100}</body></message>"
                for kind in ("chat", "error", "groupchat") for _ in range(10)) + "".join(
                f"<presence to='{to}' type='{kind}'/>" for kind in
                ("subscribe", "subscribed", "unsubscribe", "probe", "error", "unavailable")) +
                f"<iq type='result' to='{to}' id='d'/><iq type='get' to='{to}' id='d'><q xmlns='q'/>"
                "</iq>")
            rude.drain()
    assert one.rss_kib() - before < 20_000
    assert friend.fence().get("type") == "result"
    rude.cut()
    friend.cut()


def test_floods_of_names_nobody_has_are_forgotten(own_server):
    # accounts that do not exist: nothing of them stays
    one = own_server({**FAST, "archive.enabled": "false"})
    rude, = online(one, 1)

    def wave(start):
        for i in range(start, start + 3000, 100):
            rude.write("".join(f"<message to='{'n' * 900}{k}@{one.domain}' id='n'><body>x</body>"
                               "</message>" for k in range(i, i + 100)))
            rude.drain()

    wave(0)
    before = one.rss_kib()
    for start in (3000, 6000, 9000):
        wave(start)
    assert one.rss_kib() - before < 15_000
    rude.cut()


@pytest.mark.parametrize("text", [
    "http://" * 30_000, "a.b" * 60_000, "a:" * 100_000, "http://a.example/" + "%25" * 60_000,
    "@a.com " * 25_000, "hxxp[.]" * 25_000, "http://[" * 25_000, "." * 200_000, "xn--" * 50_000,
    "\u200b" * 60_000 + "http://x.example", "http://" + "\ufdfa" * 50_000, "www." * 50_000,
    "http://a.example/ " * 10_000, "http://" + "a." * 90_000 + "com", "(" * 100_000 + "http://a.b",
    "mailto:a@b.c " * 15_000, "http://a\\" * 20_000, "\u3002com" * 30_000, "1.1.1.1 " * 25_000,
    "http://0x" + "f" * 100_000, "dot com " * 25_000, "&#x202e;" * 20_000,
], ids=lambda t: ascii(t[:12]))
def test_floods_texts_that_look_like_links_cost_their_sender_only(server, witness, text):
    # quadratic algorithms would show here: one such message may not occupy a worker for long
    one, other = witness
    rude, victim = online(server, 2)
    before = server.cpu_seconds()
    rude.send(f"<message type='chat' to='{victim.jid}' id='l'><body>{text}</body></message>")
    rude.fence()
    victim.drain()
    used = server.cpu_seconds() - before
    # sanitized, and all that the server does meanwhile; quadratic would be minutes
    assert used < 10, f"{used} s"
    rude.cut()
    victim.cut()


def test_floods_stanzas_made_of_the_smallest_things_cost_their_sender_only(server, witness):
    # many elements, attributes, namespaces at their limits at once
    rude, victim = online(server, 2)
    spaces = " ".join(f"xmlns:p{i}='urn:p:{i}'" for i in range(40))
    attributes = " ".join(f"p{i}:a='1'" for i in range(40))
    for inside in (f"<x {spaces} xmlns='u'>" + f"<p39:y {attributes}/>" * 500 + "</x>",
                   "<x xmlns='u'>" + "a<b/>" * 1500 + "</x>",
                   "<x xmlns='u'>" + "<y a='1' b='2' c='3'/>" * 3000 + "</x>",
                   "<x xmlns='u'>" + "&lt;&amp;&gt;" * 15_000 + "</x>"):
        before = server.cpu_seconds()
        rude.send(f"<message type='chat' to='{victim.jid}' id='s'><body>x</body>{inside}</message>")
        rude.fence()
        assert [m for m in victim.drain() if m.get("id") == "s"]
        assert server.cpu_seconds() - before < 10
    rude.cut()
    victim.cut()


def test_floods_the_largest_stanza_that_can_be_configured_is_one_stanza(own_server):
    # what must be escaped grows on its way out; carbons and the archive repeat it
    one = own_server({**FAST, "limits.stanza_bytes": "4 MiB", "limits.elements": 1000000,
                      "limits.outbox_bytes": "128 MiB", "limits.bytes_burst": "512 MiB",
                      "limits.depth": 256})
    rude, victim = online(one, 2)
    again = one.connect(victim.user)
    again.online()
    again.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    victim.drain()
    for body in ("<body>" + ">" * 4_000_000 + "</body>",
                 '<x xmlns="u" a="' + "'" * 4_000_000 + '"/>',
                 "<x xmlns='u'>" + "<a/>" * 900_000 + "</x>",
                 "<x xmlns='u'>" + "<b>" * 200 + "</b>" * 200 + "</x>"):
        rude.send(f"<message type='chat' to='{victim.jid}'><body>x</body>{body}</message>")
        # raw: the tests' own parser takes minutes for an attribute of 24 MB
        for client in (victim, again):
            assert b"</message>" in read_raw(client, lambda said: said.endswith(b"</message>"))
    assert rude.fence().get("type") == "result"
    for client in (rude, victim, again):
        client.cut()


# HTTP


@pytest.mark.parametrize("request_line", [
    "GET / HTTP/1.1", "GET /setup HTTP/1.1", "GET /metrics/../etc/passwd HTTP/1.1",
    "GET /%2e%2e/etc/passwd HTTP/1.1", "GET /%u002e%u002e/metrics HTTP/1.1", "POST /metrics HTTP/1.1",
    "GET //metrics HTTP/1.1", "DELETE /metrics HTTP/1.1", "\0\xff\xfe", "GET", "GET /" + "a" * 50_000,
    "GET /metrics HTTP/1.1\r\nContent-Length: 99999999999999999999",
], ids=lambda r: ascii(r[:24]))
def test_console_http_says_metrics_and_nothing_else(server, witness, request_line):
    # advisories: Openfire CVE-2023-32315, CVE-2019-18394: default deny, decoded once
    with socket.create_connection(("127.0.0.1", server.metrics_port), timeout=2) as raw:
        raw.sendall(request_line.encode("latin-1") + b"\r\nHost: x\r\n\r\n")
        got = b""
        try:
            while data := raw.recv(65536):
                got += data
        except (TimeoutError, OSError):
            pass
    assert b"root:" not in got
    assert not got.startswith(b"HTTP/1.1 200") and b"firedoor_" not in got, got[:200]
    assert server.count("connections") >= 0

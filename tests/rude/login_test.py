"""Rude ways to log in.

Rows of the advisories: whose identity; downgrade; timing, enumeration; stream restarted for
another domain; unauthenticated connections; TLS renegotiation; compression bombs; weak random.
"""

import base64
import socket
import ssl
import subprocess
import time

import pytest

import server as servers
import xmpp
from xmpp import NS_SASL, NS_TLS, Scram, authenticate, b64, local, mechanisms


@pytest.fixture
def name(server):
    return server.fresh_users(1)[0]


def secured(server):
    stream = server.stream(direct=True)
    stream.open()
    return stream


def refused_login(stream, *conditions):
    """The attempt fails, by a <failure/> or by the end of the stream; never with success."""
    try:
        answer = stream.read()
    except xmpp.Closed as closed:
        return closed.condition
    assert local(answer) == "failure", xmpp.show(answer)
    assert not conditions or local(answer[0]) in conditions, xmpp.show(answer)
    return local(answer[0])


def test_downgrade_what_is_pipelined_after_starttls_is_discarded(server, witness, name):
    # advisories: "STARTTLS buffer injection", CVE-2011-0411 and its kin; RFC 6120 §5.4.3.3
    stream = server.stream()
    stream.open()
    injected = (f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>"
                + b64(f"\0{name}\0{servers.PASSWORD}".encode()) + "</auth>")
    stream.write(f"<starttls xmlns='{NS_TLS}'/>" + injected)
    try:
        assert local(stream.read()) == "proceed"
        stream.secure()
        stream.open()
    except (xmpp.Closed, ssl.SSLError, OSError, AssertionError):
        return  # to end the stream is as good
    assert "SCRAM-SHA-256" in mechanisms(stream.features), "the injected login was obeyed"
    authenticate(stream, name, servers.PASSWORD)
    stream.cut()


def test_downgrade_no_login_without_tls(server, witness, name):
    # RFC 6120 §13.8.2; RFC 7590: a server that requires TLS
    stream = server.stream()
    stream.open()
    stream.write(xmpp.plain(name, servers.PASSWORD))
    assert refused_login(stream, "encryption-required", "invalid-mechanism", "not-authorized") in (
        "encryption-required", "invalid-mechanism", "not-authorized", "policy-violation")
    stream.cut()


def test_downgrade_nothing_but_tls_before_tls(server, witness):
    for what in ("<message to='a@b'><body>x</body></message>", "<presence/>",
                 "<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
                 f"<iq type='set' id='b'><bind xmlns='{xmpp.NS_BIND}'/></iq>"):
        stream = server.stream()
        stream.open()
        stream.write(what)
        closed = stream.read_until_closed()
        assert closed.condition in ("not-authorized", "policy-violation",
                                    "unsupported-stanza-type"), closed
        stream.cut()


def test_downgrade_the_flag_y_while_plus_was_offered_fails(server, witness, name):
    # advisories: "SCRAM flag y while PLUS was offered fails"; RFC 5802 §6
    stream = secured(server)
    assert any(m.endswith("-PLUS") for m in mechanisms(stream.features))
    with pytest.raises(xmpp.LoginFailed):
        authenticate(stream, name, servers.PASSWORD, "SCRAM-SHA-256", flag="y")
    stream.cut()


def test_downgrade_a_wrong_channel_binding_fails(server, witness, name):
    # RFC 5802 §7: server-error channel-bindings-dont-match
    for binding, kind in ((b"x" * 32, "tls-server-end-point"), (b"x" * 32, "tls-exporter"),
                          (b"x" * 32, "tls-unique"), (b"", "tls-heard-of-never")):
        stream = secured(server)
        with pytest.raises((xmpp.LoginFailed, xmpp.Closed)):
            authenticate(stream, name, servers.PASSWORD, "SCRAM-SHA-256-PLUS", binding=binding,
                         binding_name=kind)
        stream.cut()


def test_downgrade_plus_without_a_binding_fails(server, witness, name):
    stream = secured(server)
    with pytest.raises((xmpp.LoginFailed, xmpp.Closed)):
        authenticate(stream, name, servers.PASSWORD, "SCRAM-SHA-256-PLUS", flag="n")
    stream.cut()


def test_whose_identity_another_authzid_is_refused(server, witness):
    # advisories: "PLAIN authenticates one, opens another"; RFC 6120 §6.3.8
    one, other = server.fresh_users(2)
    for attempt in (f"{other}@{server.domain}", other, f"{one}@elsewhere.example", "root"):
        stream = secured(server)
        stream.write(xmpp.plain(one, servers.PASSWORD, authzid=attempt))
        refused_login(stream, "invalid-authzid", "not-authorized")
        stream.cut()
        stream = secured(server)
        with pytest.raises((xmpp.LoginFailed, xmpp.Closed)):
            authenticate(stream, one, servers.PASSWORD, "SCRAM-SHA-256", authzid=attempt)
        stream.cut()


def test_whose_identity_the_own_authzid_is_accepted(server, witness, name):
    stream = secured(server)
    authenticate(stream, name, servers.PASSWORD, "SCRAM-SHA-256",
                 authzid=f"{name}@{server.domain}")
    stream.close()


def test_whose_identity_a_mechanism_not_offered_is_refused(server, witness, name):
    # advisories: jabberd2 CVE-2017-10807
    for mechanism in ("ANONYMOUS", "EXTERNAL", "DIGEST-MD5", "LOGIN", "CRAM-MD5", "SCRAM-SHA-512",
                      "OAUTHBEARER", "X-OAUTH2", "scram-sha-256", "PLAIN ", ""):
        stream = secured(server)
        stream.write(f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{b64(b'x')}</auth>")
        refused_login(stream, "invalid-mechanism", "malformed-request")
        stream.cut()


def test_whose_identity_names_that_look_alike_are_one(server, witness, name):
    # advisories: "names … case and width that must compare equal"; RFC 8265 §3.3
    for spelling in (name.upper(), name.replace("u", "\uff55", 1)):
        stream = secured(server)
        authenticate(stream, spelling, servers.PASSWORD, "PLAIN")
        stream.open()
        stream.cut()
    for spelling in (name + "\u200b", name + " ", " " + name, name + "@" + server.domain + "x",
                     name + "\0", "", "a" * 1024, name + "/x"):
        stream = secured(server)
        stream.write(xmpp.plain(spelling, servers.PASSWORD))
        refused_login(stream)
        stream.cut()


class Out:
    """SASL out of order: each is a list of what is sent after the features."""

    AUTH = f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>" + \
        b64(b"n,,n=x,r=clientnonce123") + "</auth>"
    RESPONSE = f"<response xmlns='{NS_SASL}'>" + b64(b"c=biws,r=x,p=AAAA") + "</response>"
    ABORT = f"<abort xmlns='{NS_SASL}'/>"
    SUCCESS = f"<success xmlns='{NS_SASL}'/>"
    CHALLENGE = f"<challenge xmlns='{NS_SASL}'/>"
    BIND = f"<iq type='set' id='b'><bind xmlns='{xmpp.NS_BIND}'/></iq>"
    STARTTLS = f"<starttls xmlns='{NS_TLS}'/>"
    RESUME = "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"
    ENABLE = "<enable xmlns='urn:xmpp:sm:3'/>"


@pytest.mark.parametrize("sequence", [
    [Out.RESPONSE], [Out.ABORT], [Out.SUCCESS], [Out.CHALLENGE], [Out.BIND], [Out.STARTTLS],
    [Out.RESUME], [Out.ENABLE], [Out.AUTH, Out.AUTH], [Out.AUTH, Out.BIND],
    [Out.AUTH, Out.STARTTLS], [Out.AUTH, Out.RESPONSE, Out.RESPONSE],
    [Out.AUTH, Out.SUCCESS, Out.BIND], [Out.AUTH, "<message to='a@b'/>"],
    [Out.AUTH, Out.RESUME],
], ids=str)
def test_sasl_out_of_order_logs_nobody_in(server, witness, sequence):
    # RFC 6120 §6.4; not-authorized, policy-violation, or a <failure/>, but never a session
    stream = secured(server)
    for what in sequence:
        if not stream.try_write(what):
            break
    names = set()
    try:
        while True:
            answer = stream.read(timeout=1)
            names.add(local(answer))
            assert local(answer) not in ("success", "enabled", "resumed"), xmpp.show(answer)
            assert answer.get("type") != "result", xmpp.show(answer)
    except xmpp.Closed as closed:
        assert closed.condition in (None, "not-authorized", "policy-violation",
                                    "unsupported-stanza-type", "invalid-xml", "bad-format"), closed
    except TimeoutError:
        assert names <= {"challenge", "failure", "failed", "iq"}, names
    stream.cut()


def test_sasl_the_same_login_is_not_accepted_twice(server, witness, name):
    # a proof that was seen on the wire is worth nothing on another stream
    first = secured(server)
    exchange = Scram(name, servers.PASSWORD)
    auth = f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>{b64(exchange.first())}</auth>"
    first.write(auth)
    final = exchange.final(base64.b64decode(first.read().text))
    response = f"<response xmlns='{NS_SASL}'>{b64(final)}</response>"
    second = secured(server)
    second.write(auth)
    assert local(second.read()) == "challenge"
    second.write(response)
    refused_login(second, "not-authorized", "malformed-request")
    first.write(response)
    assert local(first.read()) == "success"
    first.cut()
    second.cut()


def test_stream_restarted_for_another_domain_is_refused(own_server):
    # advisories: Prosody CVE-2018-10847
    one = own_server({}, domain="one.test", domains=["two.test"])
    name, = one.fresh_users(1)
    stream = one.stream()
    stream.open()
    stream.starttls()
    try:
        stream.open(to="two.test")
        refused = False
    except xmpp.Closed:
        refused = True
    stream.cut()
    assert refused, "the domain changed after STARTTLS"
    stream = one.stream(direct=True)
    stream.open()
    authenticate(stream, name, servers.PASSWORD)
    try:
        stream.open(to="two.test")
        refused = False
    except xmpp.Closed:
        refused = True
    stream.cut()
    assert refused, "the domain changed after SASL"


def test_timing_enumeration_an_unknown_account_looks_like_a_known_one(server, witness, name):
    # advisories: Prosody CVE-2021-32921.  The words must be the same; times only of the same order
    def challenge(user):
        stream = secured(server)
        exchange = Scram(user, "x")
        begun = time.perf_counter()
        stream.write(f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>"
                     f"{b64(exchange.first())}</auth>")
        answer = stream.read()
        took = time.perf_counter() - begun
        parts = dict(p.split("=", 1) for p in base64.b64decode(answer.text).decode().split(","))
        stream.cut()
        return parts, took

    known, unknown = challenge(name)[0], challenge("nobody-of-that-name")[0]
    assert known["i"] == unknown["i"]
    assert len(base64.b64decode(known["s"])) == len(base64.b64decode(unknown["s"]))
    assert len(known["r"]) == len(unknown["r"])


def test_failed_logins_are_slowed(own_server):
    # issue §2: per account; the good password is not asked to wait for ever
    one = own_server({"auth.failures_account": 3, "auth.slowdown": "2 s",
                      "auth.slowdown_most": "2 s", "auth.attempts": 100})
    name, = one.fresh_users(1)
    took = []
    for _ in range(5):
        stream = secured(one)
        begun = time.monotonic()
        stream.write(xmpp.plain(name, "wrong"))
        refused_login(stream)
        took.append(time.monotonic() - begun)
        stream.cut()
    # nothing is said of how fast the first were; the fifth had to wait
    assert took[-1] >= 1.9, took


def test_compression_bombs_compression_is_not_offered(server, witness):
    # advisories: CVE-2014-2741 to 2746
    stream = secured(server)
    assert not [f for f in stream.features if "compress" in f.tag]
    assert stream.socket.compression() is None
    stream.write("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method>"
                 "</compress>")
    try:
        assert local(stream.read()) != "compressed"
    except xmpp.Closed:
        pass
    stream.cut()


def test_tls_renegotiation_is_refused(server, witness):
    # advisories: Prosody CVE-2021-32920; openssl's client asks with R
    host, port = server.tls_address
    client = subprocess.Popen(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2",
                               "-servername", server.domain], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # the command letter must come alone on a line, after the handshake
    out = b""
    while b"---\nread" not in out and b"Verify return code" not in out:
        line = client.stdout.readline()
        assert line, out
        out += line
    try:
        for line in (b"R\n", b"<stream:stream\n"):
            client.stdin.write(line)
            client.stdin.flush()
            time.sleep(0.3)  # two lines in one read are not seen as a command
        out += client.communicate(timeout=xmpp.PATIENCE)[0]
    except BrokenPipeError:
        out += client.stdout.read()
    except subprocess.TimeoutExpired:
        client.kill()
        out += client.communicate()[0]
    text = out.decode(errors="replace")
    assert "RENEGOTIATING" in text, text[-500:]
    assert "no renegotiation" in text or "handshake failure" in text or "unexpected eof" in text \
        or "error" in text.split("RENEGOTIATING")[1], text[-800:]


def test_weak_random_no_id_comes_twice(server, witness):
    # advisories: "every id and token from the kernel, 128 bits or more"
    ids, resources, tokens = set(), set(), set()
    for name in server.fresh_users(20):
        client = server.connect(name, sm=True)
        ids.add(client.header.get("id"))
        resources.add(client.jid.split("/")[1])
        tokens.add(client.sm_id)
        client.close()
    assert len(ids) == len(resources) == len(tokens) == 20
    assert min(map(len, ids)) >= 20 and min(map(len, tokens)) >= 20


# Connections


def test_unauthenticated_connections_come_and_go_without_a_trace(server, witness):
    # advisories: "connects and closes, stalls in the middle of TLS: memory returns"
    def wave(n):
        for round_ in range(n // 100):
            some = []
            for i in range(100):
                one = socket.create_connection(server.tls_address if i % 2 else server.address)
                if i % 3 == 0:
                    one.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
                some.append(one)
            for one in some:
                one.close()

    # how many are there at once is the machine's mood, and the most of them sets how much memory
    # the process keeps: a wave may need more than the one before, but not each of them
    others = server.count("connections")
    grown = []
    for _ in range(6):
        before = server.rss_kib()
        wave(4000)
        settled(server, others)
        grown.append(server.rss_kib() - before)
        if len(grown) > 1 and grown[-1] < 10_000:
            break
    assert grown[-1] < 10_000, grown


def settled(server, n_connections):
    """Waits until the server has closed all other connections that came before."""
    client = server.connect(server.fresh_users(1)[0])
    client.fence()
    client.close()
    until = time.monotonic() + xmpp.PATIENCE
    while server.count("connections") > n_connections and time.monotonic() < until:
        time.sleep(0.02)


def test_unauthenticated_connections_have_their_time(own_server):
    # limits.unauthenticated_time; a stall at every stage
    one = own_server({"limits.unauthenticated_time": "2 s"})
    silent = socket.create_connection(one.address)
    halfway = socket.create_connection(one.tls_address)
    halfway.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    opened = one.stream()
    opened.open()
    secure = secured(one)
    for raw in (silent, halfway):
        raw.settimeout(xmpp.PATIENCE)
        try:
            while raw.recv(4096):
                pass
        except ConnectionError:
            pass
        raw.close()
    for stream in (opened, secure):
        closed = stream.read_until_closed()
        assert closed.condition in ("connection-timeout", "policy-violation", "not-authorized",
                                    None), closed
        stream.cut()


def test_an_address_has_a_most_of_connections(own_server):
    # limits.connections_per_address, which leaves other addresses alone; RFC 6120 §4.9.3.14
    one = own_server({"limits.connections_per_address": 10})
    held = [one.stream(source=("127.0.0.7", 0)) for _ in range(10)]
    for stream in held:
        stream.open()
    for said in [False, True] * 10:
        stream = one.stream(source=("127.0.0.7", 0))
        if said:  # it need not say a word to hear why
            stream.try_write("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                             f"xmlns:stream='{xmpp.NS_STREAM}' version='1.0' to='{one.domain}'>")
        closed = stream.read_until_closed()
        assert closed.condition == "policy-violation", closed
        assert "too many connections from your address" in xmpp.show(closed.error)
    # behind TLS nothing can be said
    raw = socket.create_connection(one.tls_address, source_address=("127.0.0.7", 0))
    raw.settimeout(xmpp.PATIENCE)
    assert raw.recv(4096) == b""
    name, = one.fresh_users(1)
    one.connect(name, source=("127.0.0.8", 0)).close()
    # counted each time, logged once
    assert one.count("connections_refused_address") == 21
    lines = [line for line in one.log().splitlines() if "event=connection-refused" in line]
    assert len(lines) == 1 and "key=limits.connections_per_address" in lines[0], lines
    assert "address=127.0.0.7:" in lines[0] and f"port={one.address[1]}" in lines[0]
    for stream in held:
        stream.cut()


def test_ten_thousand_half_open_connections_disturb_nobody(own_server, many_descriptors):
    # issue §8: from many addresses of loopback; each costs little, and somebody can still log in
    n = min(10_000, (many_descriptors - 500))
    one = own_server({"limits.unauthenticated_time": "5 min"})
    name, = one.fresh_users(1)
    before = one.rss_kib()
    held = []
    for i in range(n):
        source = f"127.1.{i // 200}.{i % 200 + 1}"
        raw = socket.socket()
        raw.bind((source, 0))
        raw.connect(one.address if i % 2 else one.tls_address)
        raw.sendall(b"<?xml version='1.0'?><stream:str" if i % 2 else b"\x16\x03\x01\x02\x00\x01")
        held.append(raw)
    client = one.connect(name)
    client.online()
    assert client.fence().get("type") == "result"
    each = (one.rss_kib() - before) / n
    print(f"{n} half-open connections cost {each:.1f} KiB each")
    assert each < 100
    client.close()
    for raw in held:
        raw.close()
    one.connect(name).close()

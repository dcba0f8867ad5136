"""Opening a stream, securing it, logging in: RFC 6120 §4 to §7, RFC 5802, 7677, 5929, 9266."""

import base64
import os
import secrets
import ssl

import pytest

import server as servers
import xmpp
from xmpp import NS_SASL, NS_TLS, Scram, authenticate, b64, local, mechanisms


def named(element, *names):
    assert local(element) in names, xmpp.show(element)
    return element


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct-tls"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_a_person_logs_in(server, people, mechanism, direct):
    name, = people(1)
    client = server.connect(name, "balcony", mechanism=mechanism, direct=direct)
    assert client.jid == f"{name}@{server.domain}/balcony"
    client.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_a_person_logs_in_bound_to_the_certificate(server, people, mechanism):
    # RFC 5929 tls-server-end-point
    name, = people(1)
    stream = server.stream()
    stream.open()
    stream.starttls()
    stream.open()
    assert mechanism in mechanisms(stream.features)
    authenticate(stream, name, servers.PASSWORD, mechanism,
                 binding=xmpp.server_end_point(stream), binding_name="tls-server-end-point")
    stream.close()


def test_channel_bindings_are_announced(server):
    # XEP-0440 §3
    stream = server.stream(direct=True)
    features = stream.open()
    found = features.find("{urn:xmpp:sasl-cb:0}sasl-channel-binding")
    assert found is not None
    kinds = {c.get("type") for c in found}
    assert "tls-server-end-point" in kinds
    if stream.socket.version() == "TLSv1.3":
        assert "tls-exporter" in kinds
    stream.close()


def exporter(stream):
    """RFC 9266 tls-exporter; Python's ssl cannot, so by pyOpenSSL on its own connection."""
    return stream.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")


def test_a_person_logs_in_bound_to_the_connection(server, people):
    # RFC 9266, over pyOpenSSL: the standard library does not export keying material
    name, = people(1)
    stream = OpenSSLStream(server)
    stream.open()
    assert "SCRAM-SHA-256-PLUS" in mechanisms(stream.features)
    authenticate(stream, name, servers.PASSWORD, "SCRAM-SHA-256-PLUS",
                 binding=exporter(stream.socket.connection), binding_name="tls-exporter")
    stream.cut()


class OpenSSLStream(xmpp.Stream):
    """A direct-TLS stream whose TLS is pyOpenSSL's."""

    def __init__(self, server):
        from OpenSSL import SSL

        super().__init__(server.tls_address, server.domain)
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_verify(SSL.VERIFY_NONE)
        context.set_alpn_protos([b"xmpp-client"])
        connection = SSL.Connection(context, None)
        connection.set_tlsext_host_name(self.domain.encode())
        connection.set_connect_state()
        self.socket = MemoryTls(self.socket, connection, SSL)
        self.socket.handshake()


class MemoryTls:
    """The face of a socket over pyOpenSSL's memory buffers."""

    def __init__(self, raw, connection, ssl_module):
        self.raw, self.connection, self.ssl = raw, connection, ssl_module

    def flush(self):
        try:
            while True:
                self.raw.sendall(self.connection.bio_read(65536))
        except self.ssl.WantReadError:
            pass

    def handshake(self):
        while True:
            try:
                self.connection.do_handshake()
                self.flush()
                return
            except self.ssl.WantReadError:
                self.flush()
                self.connection.bio_write(self.raw.recv(65536))

    def sendall(self, data):
        self.connection.sendall(data)
        self.flush()

    def recv(self, size):
        while True:
            try:
                return self.connection.recv(size)
            except self.ssl.WantReadError:
                data = self.raw.recv(65536)
                if not data:
                    return b""
                self.connection.bio_write(data)
            except self.ssl.ZeroReturnError:
                return b""

    def fileno(self):
        return self.raw.fileno()

    def settimeout(self, seconds):
        self.raw.settimeout(seconds)

    def close(self):
        self.raw.close()


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(server, maximum):
    stream = server.stream()
    stream.open()
    stream.starttls(xmpp.insecure_context(maximum))
    stream.open()
    assert "SCRAM-SHA-256" in mechanisms(stream.features)
    stream.close()


def test_old_tls_is_not_spoken(server):
    # RFC 7590 §3 with RFC 8996
    stream = server.stream()
    stream.open()
    context = xmpp.insecure_context(ssl.TLSVersion.TLSv1_1)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stream.starttls(context)


def test_each_domain_shows_its_certificate(own_server):
    # RFC 6066 §3: by SNI; before TLS is done nobody knows which domain is meant
    one = own_server({}, domain="one.test", domains=["two.test"])
    for domain in ("one.test", "two.test"):
        stream = one.stream()
        stream.domain = domain
        stream.open(to=domain)
        stream.starttls()
        stream.open(to=domain)
        assert stream.header.get("from") == domain
        stream.close()


def test_a_domain_outside_ascii_is_found_by_its_a_labels(own_server, tmp_path):
    # RFC 6066 §3: SNI is ASCII; RFC 7622 §3.2: an address has the U-labels
    tmp_path.chmod(0o755)
    one = own_server({}, start=False, domain="one.test", domains=["b\u00fccher.test"])
    with open(one.config_path, encoding="utf-8") as file:
        text = file.read()
    certificate, key = servers.make_certificate(tmp_path, ["xn--bcher-kva.test"])
    os.chmod(key, 0o644)
    first, second = text.rsplit("{", 1)
    second = second.replace(one.certificate, certificate).replace(one.key, key)
    with open(one.config_path, "w", encoding="utf-8") as file:
        file.write(first + "{" + second)
    one.start()
    with open(certificate, encoding="ascii") as file:
        der = ssl.PEM_cert_to_DER_cert(file.read())
    direct = xmpp.Stream(one.tls_address, "xn--bcher-kva.test")
    direct.secure()
    assert direct.socket.getpeercert(True) == der
    direct.open()
    assert direct.header.get("from") == "b\u00fccher.test"
    later = xmpp.Stream(one.address, "b\u00fccher.test")  # the certificate of the stream's domain
    later.open()
    later.write(f"<starttls xmlns='{xmpp.NS_TLS}'/>")
    later.read()
    later.socket = xmpp.insecure_context().wrap_socket(later.socket)  # without SNI
    assert later.socket.getpeercert(True) == der
    for stream in (direct, later):
        stream.close()


def test_another_domain_of_the_server_does_not_speak_for_ones_account(own_server):
    # XEP-0077 §3.3: the password is changed at one's own server
    one = own_server({}, domain="one.test", domains=["two.test"])
    client = one.connect(one.fresh_users(1)[0])
    change = (f"<query xmlns='jabber:iq:register'><username>{client.user}</username>"
              "<password>quite another</password></query>")
    answer = client.ask("set", change, to="two.test")
    assert answer.get("type") == "error", xmpp.show(answer)
    assert client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", to="two.test").get("type") == "result"
    client.close()
    one.connect(client.user).close()
    client = one.connect(client.user)
    assert client.ask("set", change, to="one.test").get("type") == "result"
    client.close()


def test_before_tls_only_tls_is_offered(server):
    # RFC 6120 §5.3.1, RFC 7590 §3.1: mandatory
    stream = server.stream()
    features = stream.open()
    assert features.find(f"{{{NS_TLS}}}starttls/{{{NS_TLS}}}required") is not None
    assert mechanisms(features) == []
    assert not [f for f in features if "compress" in f.tag]
    stream.close()


def test_the_stream_header_is_answered_as_the_rfc_says(server):
    # RFC 6120 §4.7: from, a fresh id, version; to when the client said who it is
    ids = set()
    for _ in range(3):
        stream = server.stream(direct=True)
        stream.open()
        assert stream.header.get("from") == server.domain
        assert stream.header.get("version") == "1.0"
        ids.add(stream.header.get("id"))
        stream.close()
    assert len(ids) == 3 and all(len(i) >= 16 for i in ids)


def test_a_wrong_password_is_told_apart_from_nothing(server, people):
    # RFC 6120 §6.5.10; the same for an account that does not exist
    name, = people(1)
    for user in (name, "nobody-at-all"):
        for mechanism in ("SCRAM-SHA-256", "PLAIN"):
            with pytest.raises(xmpp.LoginFailed) as failed:
                server.connect(user, password="wrong", mechanism=mechanism)
            assert failed.value.condition == "not-authorized"


def test_a_failed_login_may_be_tried_again_on_the_same_stream(server, people):
    # RFC 6120 §6.4.5
    name, = people(1)
    stream = server.stream(direct=True)
    stream.open()
    with pytest.raises(xmpp.LoginFailed):
        authenticate(stream, name, "wrong")
    authenticate(stream, name, servers.PASSWORD)
    stream.open()
    assert stream.features.find(f"{{{xmpp.NS_BIND}}}bind") is not None
    stream.close()


def test_too_many_failed_logins_end_the_stream(own_server):
    # RFC 6120 §6.4.5: policy-violation after a number of tries
    one = own_server({"auth.attempts": 2, "auth.slowdown": "0 s"})
    name, = one.fresh_users(1)
    stream = one.stream(direct=True)
    stream.open()
    for _ in range(2):
        stream.write(xmpp.plain(name, "wrong"))
        try:
            named(stream.read(), "failure")
        except xmpp.Closed as closed:
            assert closed.condition == "policy-violation"
            return
    closed = stream.read_until_closed()
    assert closed.condition in ("policy-violation", None)


def test_sasl_can_be_aborted(server, people):
    # RFC 6120 §6.4.4, §6.5.1
    name, = people(1)
    stream = server.stream(direct=True)
    stream.open()
    exchange = Scram(name, servers.PASSWORD)
    stream.write(f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>{b64(exchange.first())}"
                 "</auth>")
    named(stream.read(), "challenge")
    stream.write(f"<abort xmlns='{NS_SASL}'/>")
    failure = named(stream.read(), "failure")
    assert local(failure[0]) == "aborted"
    authenticate(stream, name, servers.PASSWORD)
    stream.close()


@pytest.mark.parametrize("what,condition", [
    (f"<auth xmlns='{NS_SASL}' mechanism='X-UNHEARD-OF'>AA==</auth>", "invalid-mechanism"),
    (f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>not*base64</auth>", "incorrect-encoding"),
    (f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>" + b64(b"hello") + "</auth>",
     "malformed-request"),
    (f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>" + b64(b"no separators") + "</auth>",
     "malformed-request"),
])
def test_a_broken_attempt_fails_with_its_condition(server, what, condition):
    # RFC 6120 §6.5
    stream = server.stream(direct=True)
    stream.open()
    stream.write(what)
    failure = named(stream.read(), "failure")
    assert local(failure[0]) == condition
    stream.close()


def test_plain_can_be_switched_off(own_server):
    one = own_server({"auth.plain": "false"})
    name, = one.fresh_users(1)
    stream = one.stream(direct=True)
    stream.open()
    assert "PLAIN" not in mechanisms(stream.features)
    stream.write(xmpp.plain(name, servers.PASSWORD))
    failure = named(stream.read(), "failure")
    assert local(failure[0]) == "invalid-mechanism"
    stream.close()


def test_a_resource_is_chosen_by_the_server_when_the_client_names_none(server, people):
    # RFC 6120 §7.6
    name, = people(1)
    one, other = server.connect(name), server.connect(name)
    assert one.jid != other.jid and one.bare == other.bare
    one.close()
    other.close()


def test_a_resource_that_is_taken_ends_the_older_session(server, people):
    # RFC 6120 §7.7.2.2, first choice of most servers: the older stream gets conflict
    name, = people(1)
    old = server.connect(name, "balcony")
    old.online()
    old.drain()
    new = server.connect(name, "balcony")
    assert new.jid == old.jid
    closed = old.read_until_closed()
    assert closed.condition == "conflict"
    assert new.fence().get("type") == "result"
    new.close()


def test_an_account_has_a_most_of_sessions(own_server):
    # limits.sessions_per_user; RFC 6120 §7.7.2.1: resource-constraint
    one = own_server({"limits.sessions_per_user": 2})
    name, = one.fresh_users(1)
    clients = [one.connect(name) for _ in range(2)]
    third = one.connect(name, bind=False)
    answer = third.ask("set", f"<bind xmlns='{xmpp.NS_BIND}'/>")
    assert answer.get("type") == "error"
    assert xmpp.condition_of(answer.find("{jabber:client}error")) == "resource-constraint"
    assert "too many sessions" in xmpp.show(answer)
    assert f"key=limits.sessions_per_user account={name}@{one.domain}" in one.log()
    for client in (*clients, third):
        client.close()


def test_the_old_session_request_is_answered(server, people):
    # RFC 3921 §3, which old clients still send: optional, does nothing
    name, = people(1)
    client = server.connect(name)
    answer = client.ask("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")
    assert answer.get("type") == "result"
    client.close()


def test_a_stream_is_closed_in_order(server, people):
    # RFC 6120 §4.4
    name, = people(1)
    client = server.connect(name)
    client.write("</stream:stream>")
    closed = client.read_until_closed()
    assert closed.error is None and client.ended
    assert client.wait_gone()


def test_strangers_cannot_register_unless_allowed(server):
    # XEP-0077 §3.1, off by default
    stream = server.stream(direct=True)
    features = stream.open()
    assert features.find("{http://jabber.org/features/iq-register}register") is None
    stream.write("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>x</username>"
                 "<password>y</password></query></iq>")
    answer = stream.read()
    assert answer.get("type") == "error" and answer.get("id") == "r"
    assert xmpp.condition_of(answer.find("{jabber:client}error")) == "service-unavailable"
    authenticate(stream, server.fresh_users(1)[0], servers.PASSWORD)
    stream.cut()


def test_strangers_register_where_it_is_allowed(own_server):
    # XEP-0077 §3.1.1
    one = own_server({"registration.enabled": "true"})
    stream = one.stream(direct=True)
    features = stream.open()
    assert features.find("{http://jabber.org/features/iq-register}register") is not None
    stream.write("<iq type='get' id='a'><query xmlns='jabber:iq:register'/></iq>")
    form = stream.read()
    query = form.find("{jabber:iq:register}query")
    assert query.find("{jabber:iq:register}username") is not None
    name = "n" + secrets.token_hex(4)
    stream.write(f"<iq type='set' id='b'><query xmlns='jabber:iq:register'><username>{name}"
                 f"</username><password>{servers.PASSWORD}</password></query></iq>")
    assert stream.read().get("type") == "result"
    stream.write(f"<iq type='set' id='c'><query xmlns='jabber:iq:register'><username>{name}"
                 f"</username><password>{servers.PASSWORD}</password></query></iq>")
    again = stream.read()
    assert xmpp.condition_of(again.find("{jabber:client}error")) == "conflict"
    stream.close()
    one.connect(name).close()


def test_an_unknown_user_gets_a_salt_that_does_not_change(server):
    # advisories "timing, enumeration": a challenge that looks the same every time
    salts = set()
    for _ in range(3):
        stream = server.stream(direct=True)
        stream.open()
        exchange = Scram("nobody-at-all", "x")
        stream.write(f"<auth xmlns='{NS_SASL}' mechanism='SCRAM-SHA-256'>"
                     f"{b64(exchange.first())}</auth>")
        challenge = base64.b64decode(named(stream.read(), "challenge").text).decode()
        parts = dict(p.split("=", 1) for p in challenge.split(","))
        salts.add((parts["s"], parts["i"]))
        stream.cut()
    assert len(salts) == 1

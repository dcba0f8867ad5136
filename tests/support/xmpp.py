"""A raw XMPP client: what is sent is exactly what the test says.

It knows how to open a stream, secure it and log in, and it hands over each
stanza as an element.  It never answers by itself, except an <r/> of stream
management when told so; so tests see everything, and can be as rude as they
like.  Spec: RFC 6120, 5802, 7677, 9266, XEP-0198.
"""

import base64
import collections
import hashlib
import hmac
import os
import secrets
import select
import socket
import ssl
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
NS_STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
NS_STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
NS_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
NS_SM = "urn:xmpp:sm:3"

# A machine under load is slow; only what never comes may fail a test.
PATIENCE = float(os.environ.get("FIREDOOR_TEST_PATIENCE", "20"))


class Closed(Exception):
    """The server ended the stream or the connection; .error is its <stream:error/> or None."""

    def __init__(self, error=None, how="closed"):
        super().__init__(f"{how}: {show(error) if error is not None else 'no stream error'}")
        self.error = error

    @property
    def condition(self):
        """Name of the stream error's condition, or None."""
        return condition_of(self.error)


class LoginFailed(Exception):
    def __init__(self, element):
        super().__init__(show(element))
        self.element = element
        self.condition = element[0].tag.split("}")[-1] if len(element) else None


def condition_of(error):
    if error is None:
        return None
    for child in error:
        if child.tag.split("}")[0] in ("{" + NS_STREAM_ERRORS, "{" + NS_STANZA_ERRORS):
            name = child.tag.split("}")[1]
            if name != "text":
                return name
    return None


def show(element):
    return ET.tostring(element, encoding="unicode") if element is not None else "nothing"


def local(element):
    return element.tag.split("}")[-1]


def space(element):
    return element.tag[1:].split("}")[0] if element.tag.startswith("{") else ""


def insecure_context(maximum=None):
    """TLS that trusts any certificate: the tests' own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if maximum is not None:
        context.maximum_version = maximum
    return context


class Stream:
    """One connection: bytes out, stream-level elements in."""

    def __init__(self, address, domain, source=None):
        self.domain = domain
        self.socket = socket.create_connection(address, timeout=PATIENCE, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.header = None
        self.features = None
        self.error = None
        self.ended = False
        self.log = []
        self.restart()

    def restart(self):
        """Forgets the old stream's XML: after STARTTLS and SASL all begins anew."""
        self.parser = ET.XMLPullParser(events=("start", "end"))
        self.unseen = 0  # bytes that the parser has, and has said nothing of
        self.depth = 0
        self.root = None
        self.inbox = []

    # bytes

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.log.append(b"> " + data[:2000])
        self.socket.sendall(data)

    def try_write(self, data):
        """Sends to a server that may close meanwhile; whether all was sent."""
        try:
            self.write(data)
            return True
        except (OSError, ssl.SSLError):
            return False

    def secure(self, context=None, alpn=None):
        context = context or insecure_context()
        if alpn:
            context.set_alpn_protocols([alpn])
        self.socket = context.wrap_socket(self.socket, server_hostname=self.domain)
        self.restart()

    def open(self, to=None, attributes="", wait=True):
        """Sends a stream header; waits for the server's features."""
        self.restart()
        to = self.domain if to is None else to
        self.write("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                   f"xmlns:stream='{NS_STREAM}' version='1.0' to={quoteattr(to)} {attributes}>")
        if wait:
            self.features = self.read()
            if local(self.features) != "features":
                raise AssertionError("features expected, got " + show(self.features))
        return self.features

    def starttls(self, context=None):
        self.write(f"<starttls xmlns='{NS_TLS}'/>")
        answer = self.read()
        assert local(answer) == "proceed", show(answer)
        self.secure(context)

    def _feed(self, data):
        self.log.append(b"< " + data[:2000])
        try:
            self.parser.feed(data)
            events = list(self.parser.read_events())
            self.unseen = 0 if events else self.unseen + len(data)
            if self.unseen > 0 and data.endswith(b">"):
                # expat since CVE-2023-52425 puts a long token off until as much again has come
                self.parser.feed(b" " * 4 * max(self.unseen, 65536))
                events = list(self.parser.read_events())
        except ET.ParseError as trouble:
            raise AssertionError(f"the server's XML is broken: {trouble}: {data!r}") from None
        for event, element in events:
            if event == "start":
                self.depth += 1
                if self.depth == 1:
                    self.root = self.header = element
            else:
                self.depth -= 1
                if self.depth == 0:
                    self.ended = True
                elif self.depth == 1:
                    self.root.remove(element)
                    if element.tag == f"{{{NS_STREAM}}}error":
                        self.error = element
                    else:
                        self.inbox.append(element)

    def _receive(self, until):
        """Reads once from the socket; False when until passed first."""
        if self.socket.fileno() < 0:
            raise Closed(self.error, "closed by us")
        pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0
        left = until - time.monotonic()
        if not pending:
            # not select(): descriptors beyond 1,023 are common here
            waiting = select.poll()
            waiting.register(self.socket.fileno(), select.POLLIN)
            if left < 0 or not waiting.poll(left * 1000):
                return False
        try:
            self.socket.settimeout(max(left, 0.05))
            data = self.socket.recv(65536)
        except (ssl.SSLWantReadError, socket.timeout, TimeoutError):
            return True
        except (ConnectionError, ssl.SSLError, OSError) as trouble:
            raise Closed(self.error, f"connection lost ({trouble})") from None
        finally:
            if self.socket.fileno() >= 0:
                self.socket.settimeout(PATIENCE)
        if not data:
            raise Closed(self.error, "connection closed")
        self._feed(data)
        return True

    def read(self, timeout=None):
        """The next element; Closed when the stream ends, TimeoutError when nothing comes."""
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while not self.inbox:
            if self.ended:
                raise Closed(self.error, "stream closed")
            if not self._receive(until):
                raise TimeoutError("nothing came; so far:\n" + self.transcript())
        return self.inbox.pop(0)

    def read_until_closed(self, timeout=None):
        """Reads everything until the server ends the stream; the Closed, elements in .got."""
        got = []
        try:
            while True:
                got.append(self.read(timeout))
        except Closed as closed:
            closed.got = got
            return closed

    def wait_gone(self, timeout=None):
        """Whether the server also closes the TCP connection."""
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        try:
            while self._receive(until):
                pass
        except Closed:
            return True
        except AssertionError:
            return False
        return False

    def transcript(self, most=12):
        return "\n".join(line.decode(errors="replace") for line in self.log[-most:])

    def cut(self):
        """Drops the connection as a lost network would: no </stream>, no close_notify."""
        self.socket.close()

    def close(self):
        try:
            self.write("</stream:stream>")
        except (OSError, ssl.SSLError):
            pass
        self.cut()


def mechanisms(features):
    found = features.find(f"{{{NS_SASL}}}mechanisms")
    return [] if found is None else [m.text for m in found]


def server_end_point(stream):
    """RFC 5929 tls-server-end-point; the tests' certificates are signed with SHA-256."""
    return hashlib.sha256(stream.socket.getpeercert(True)).digest()


class Scram:
    """The client's half of SCRAM (RFC 5802), every part replaceable by a rude test."""

    def __init__(self, user, password, mechanism="SCRAM-SHA-256", binding=None, binding_name=None,
                 flag=None, authzid=""):
        self.hash = hashlib.sha256 if "256" in mechanism else hashlib.sha1
        self.password = password
        self.nonce = secrets.token_urlsafe(18)
        if flag is None:
            flag = f"p={binding_name}" if binding_name else "n"
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},"
        self.binding = binding or b""
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={name},r={self.nonce}"
        self.server_signature = None

    def first(self):
        return (self.gs2 + self.first_bare).encode()

    def final(self, challenge):
        server_first = challenge.decode()
        parts = dict(p.split("=", 1) for p in server_first.split(","))
        if not parts["r"].startswith(self.nonce) or parts["r"] == self.nonce:
            raise AssertionError("the server's nonce does not extend ours")
        salted = hashlib.pbkdf2_hmac(self.hash().name, self.password.encode(),
                                     base64.b64decode(parts["s"]), int(parts["i"]))

        def mac(key, text):
            return hmac.new(key, text, self.hash).digest()

        client_key = mac(salted, b"Client Key")
        bound = base64.b64encode(self.gs2.encode() + self.binding).decode()
        without_proof = f"c={bound},r={parts['r']}"
        auth = ",".join((self.first_bare, server_first, without_proof)).encode()
        signature = mac(self.hash(client_key).digest(), auth)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_signature = mac(mac(salted, b"Server Key"), auth)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(self, final):
        parts = dict(p.split("=", 1) for p in final.decode().split(","))
        if base64.b64decode(parts.get("v", "")) != self.server_signature:
            raise AssertionError("the server does not know the password either")


def b64(data):
    return base64.b64encode(data).decode() or "="


def authenticate(stream, user, password, mechanism="SCRAM-SHA-256", **scram):
    """Runs one SASL exchange; LoginFailed with the server's <failure/>."""
    if mechanism == "PLAIN":
        stream.write(plain(user, password))
        answer = stream.read()
        if local(answer) != "success":
            raise LoginFailed(answer)
        return
    exchange = Scram(user, password, mechanism, **scram)
    stream.write(f"<auth xmlns='{NS_SASL}' mechanism='{mechanism}'>{b64(exchange.first())}</auth>")
    answer = stream.read()
    if local(answer) != "challenge":
        raise LoginFailed(answer)
    final = exchange.final(base64.b64decode(answer.text))
    stream.write(f"<response xmlns='{NS_SASL}'>{b64(final)}</response>")
    answer = stream.read()
    if local(answer) != "success":
        raise LoginFailed(answer)
    exchange.check(base64.b64decode(answer.text))


def plain(user, password, authzid=""):
    token = f"{authzid}\0{user}\0{password}".encode()
    return f"<auth xmlns='{NS_SASL}' mechanism='PLAIN'>{b64(token)}</auth>"


class Client(Stream):
    """A stream that is logged in and bound.

    sm: asks for stream management.  acks: answers each <r/>.  Acknowledgements are taken out of
    the inbox: .acked is the last h of the server, .handled our own count: of what came until the
    first stanza that the test has not looked at yet.
    """

    def __init__(self, server, user, password, resource=None, mechanism="SCRAM-SHA-256",
                 direct=True, sm=False, acks=True, bind=True, source=None, domain=None, lang=None,
                 **scram):
        address = server.tls_address if direct else server.address
        super().__init__(address, domain or server.domain, source=source)
        self.user, self.password, self.acks = user, password, acks
        self.sm_id = None
        self.sm_on = False
        self.acked = self.n_sent = 0
        self.start_counting(0)
        self.n_asked = 0
        self.questions = set()  # ids of our own, whose answers are nobody's business
        if direct:
            self.secure(alpn="xmpp-client")
        else:
            self.open()
            self.starttls()
        self.open()
        authenticate(self, user, password, mechanism, **scram)
        self.open(attributes=f"xml:lang={quoteattr(lang)}" if lang else "")
        if bind:
            self.bind(resource)
            if sm:
                self.enable_sm()

    def bind(self, resource=None):
        wish = f"<resource>{escape(resource)}</resource>" if resource else ""
        answer = self.ask("set", f"<bind xmlns='{NS_BIND}'>{wish}</bind>")
        assert answer.get("type") == "result", show(answer)
        self.jid = answer.findtext(f"{{{NS_BIND}}}bind/{{{NS_BIND}}}jid")
        self.bare = self.jid.split("/")[0]
        return self.jid

    def enable_sm(self, resume=True):
        wish = " resume='true'" if resume else ""
        self.write(f"<enable xmlns='{NS_SM}'{wish}/>")
        answer = self.read_only("enabled")
        self.sm_on, self.sm_id = True, answer.get("id")
        self.acked = self.n_sent = 0
        self.start_counting(0)
        return answer

    def start_counting(self, handled):
        self.n_handled = handled
        self.coming = collections.deque(e for e in self.inbox if space(e) == NS_CLIENT)
        self.aside = []  # taken out of the inbox for a moment

    def _feed(self, data):
        known = len(self.inbox)
        super()._feed(data)
        if known <= len(self.inbox) and hasattr(self, "coming"):
            self.coming.extend(e for e in self.inbox[known:] if space(e) == NS_CLIENT)

    @property
    def handled(self):
        unread = next((e for e in self.aside + self.inbox if space(e) == NS_CLIENT), None)
        while self.coming and self.coming[0] is not unread:
            self.coming.popleft()
            self.n_handled += 1
        return self.n_handled

    @classmethod
    def resume(cls, server, old, h=None, **login):
        """A new connection that takes over old's session; (client, answer)."""
        new = cls(server, old.user, old.password, bind=False, **login)
        new.start_counting(old.handled)
        new.questions |= old.questions
        new.write(f"<resume xmlns='{NS_SM}' previd={quoteattr(old.sm_id)} "
                  f"h='{old.handled if h is None else h}'/>")
        answer = new.read_only("resumed", "failed")
        if local(answer) == "resumed":
            new.jid, new.bare, new.sm_id = old.jid, old.bare, old.sm_id
            new.sm_on, new.n_sent = True, old.n_sent
            new.acked = int(answer.get("h"))
        return new, answer

    def read_only(self, *names):
        answer = self.read()
        assert local(answer) in names, show(answer)
        return answer

    def send(self, xml):
        """Sends; when it is a stanza and stream management is on, counts it."""
        self.write(xml)
        if xml.lstrip()[:3] in ("<me", "<pr", "<iq"):
            self.n_sent += 1

    def stanza(self, timeout=None):
        """The next stanza or other element; acknowledgements are dealt with on the way."""
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while True:
            element = self.read(max(until - time.monotonic(), 0))
            if not self.sm_on:
                return element
            if element.tag == f"{{{NS_SM}}}a":
                self.acked = int(element.get("h"))
            elif element.tag == f"{{{NS_SM}}}r":
                self.n_asked += 1
                if self.acks:
                    self.write(f"<a xmlns='{NS_SM}' h='{self.handled}'/>")
            else:
                return element

    def ask(self, kind, payload, to=None, id=None):
        """An IQ and its answer; whatever came in between stays in the inbox, in order."""
        id = id or "q" + secrets.token_hex(6)
        to = f" to={quoteattr(to)}" if to else ""
        self.questions.add(id)
        self.send(f"<iq type='{kind}' id='{id}'{to}>{payload}</iq>")
        return self.answer(id)

    def answer(self, id, timeout=None):
        try:
            while True:
                element = self.stanza(timeout)
                if local(element) == "iq" and element.get("id") == id \
                        and element.get("type") in ("result", "error"):
                    return element
                self.aside.append(element)
        finally:
            self.inbox[:0] = self.aside
            self.aside = []

    def fence(self):
        """Returns when the server is done with all that was sent here before.

        The IQ stores something: its result comes after the commit, and so after the commit and
        the delivery of what was sent before it.
        """
        return self.ask("set", "<query xmlns='jabber:iq:private'>"
                               "<fence xmlns='urn:firedoor:test'/></query>")

    def online(self, priority=0):
        """Asks for the roster and becomes available; (roster answer)."""
        roster = self.ask("get", "<query xmlns='jabber:iq:roster'/>")
        text = f"<priority>{priority}</priority>" if priority else ""
        self.send(f"<presence>{text}</presence>")
        return roster

    def wait_for(self, wanted, timeout=None):
        """The first stanza for which wanted() holds; those before it are dropped."""
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        while True:
            element = self.stanza(max(until - time.monotonic(), 0))
            if wanted(element):
                return element

    def drain(self):
        """Everything that has come once the server is done with what was sent here."""
        self.fence()
        got, self.inbox = self.inbox, []
        # a resumed session is sent old answers again: those to ask() are of no interest
        return [e for e in got if not (self.sm_on and space(e) == NS_SM)
                and not (local(e) == "iq" and e.get("type") == "result"
                         and e.get("id") in self.questions)]

    def wait_acked(self, h, timeout=None):
        """Asks for and waits for the server's acknowledgement of h stanzas."""
        until = time.monotonic() + (PATIENCE if timeout is None else timeout)
        self.write(f"<r xmlns='{NS_SM}'/>")
        while self.acked < h:
            if time.monotonic() > until:
                raise TimeoutError(f"acknowledged {self.acked} of {h}")
            element = self.read(max(until - time.monotonic(), 0))
            if element.tag == f"{{{NS_SM}}}a":
                self.acked = int(element.get("h"))
            else:
                self.aside.append(element)
        self.inbox[:0] = self.aside
        self.aside = []


def online(server, n, **options):
    """So many fresh people, available, with nothing unread."""
    clients = [server.connect(name, **options) for name in server.fresh_users(n)]
    for client in clients:
        client.online()
    for client in clients:
        client.drain()
    return clients

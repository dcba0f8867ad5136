"""The HTTPS service under people who do everything wrong (advisories.md, "console, HTTP").

Requests in two meanings, floods, slow ones, names and paths that are tricks; the service answers
the next honest request, gives its memory and descriptors back, and two people talk all the while.
"""

import contextlib
import os
import re
import secrets
import socket
import ssl
import stat
import threading
import time

import pytest

import https
import server as servers
import xmpp

SETTINGS = {"links.protect": "true", "guard.mode": "on", "http.head_time": "60 s",
            "http.idle_time": "60 s"}


@pytest.fixture(scope="module")
def shared():
    one = https.serve(lambda settings: servers.make(settings, domains=["two.test"]).start(),
                      SETTINGS)
    one.people = xmpp.online(one, 2)
    yield one
    for client in one.people:
        client.close()
    assert one.stop() == 0
    one.remove()


@pytest.fixture
def face(shared, talk):
    yield shared
    shared.check_healthy()
    assert shared.https.get("/nothing")[0] == 404
    talk(*shared.people)
    talk(*reversed(shared.people))


def protected(one, link, sender=0):
    """The path of the page that the reader of this link gets."""
    writer, reader = one.people[sender], one.people[1 - sender]
    id = secrets.token_hex(4)
    writer.send(f"<message type='chat' to='{reader.jid}' id='{id}'><body>{link}</body></message>")
    got = reader.wait_for(lambda e: xmpp.local(e) == "message" and e.get("id") == id)
    found = re.search(r"/open/[\w-]+", got.findtext("{jabber:client}body"))
    return found and found.group()


def head(one, line, *fields):
    return "\r\n".join([line, f"Host: {one.domain}", *fields, "", ""]).encode()


def descriptors(one):
    return len(os.listdir(f"/proc/{one.pid}/fd"))


def wait_until(condition):
    until = time.monotonic() + xmpp.PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


# Requests in two meanings


BODY = b"GET /inner HTTP/1.1\r\nHost: {h}\r\n\r\n"
TWO_MEANINGS = [
    # lengths
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4, 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: -1\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: +1\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 1 0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 0x4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4.0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 1e1\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length:\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: \xd9\xa4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 18446744073709551620\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 9223372036854775808\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length : 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length\t: 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length\x0b: 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\n Content-Length: 4\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\x00\r\n\r\n{b}",
    # other encodings of a body
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    b"0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\ntransfer-ENCODING:\tchunked\r\n\r\n0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding\r\n : chunked\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nX: y\n\tTransfer-Encoding: chunked\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n{b}",
    b"PUT / HTTP/1.0\r\nHost: {h}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{b}",
    # ends of lines, of heads
    b"GET / HTTP/1.1\nHost: {h}\n\n{b}\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: {h}\n\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\n\n\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nX: a\x00b\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nX\x00: b\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nno colon\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\n: no name\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nX: a\r\n b\r\n\r\n{b}",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    # the first line
    b"GET  / HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET\t/ HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/1.1 \r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/1.1 x\r\nHost: {h}\r\n\r\n{b}",
    b"GET /a b HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET / http/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/1.01\r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/0.9\r\nHost: {h}\r\n\r\n{b}",
    b"GET /\r\n\r\n{b}",
    b"get / HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b" GET / HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET http:/\r\n HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"CONNECT {h}:443 HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"TRACE / HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{b}",
    # whose it is
    b"GET / HTTP/1.1\r\nHost: {h}\r\nHost: {h}\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}, evil.test\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}/evil\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: x@{h}\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}:x\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost: {h}:99999\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nHost:\r\n\r\n{b}",
    b"GET / HTTP/1.1\r\nX: y\r\n\r\n{b}",
    b"GET https://x@{h}/ HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET https://{h}\\@evil.test/ HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    b"GET //{h}:evil HTTP/1.0 \r\nHost: {h}\r\n\r\n{b}",
    b"GET ftp://{h}/ HTTP/1.1\r\nHost: {h}\r\n\r\n{b}",
    # what is expected
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\nExpect: 200-ok\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
    b"Expect: 100-continue\r\n\r\n{b}",
    b"PUT / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 37\r\nExpect: 100-continue\r\n\r\n{b}",
]


@pytest.mark.parametrize("number", range(len(TWO_MEANINGS)))
def test_console_http_a_request_in_two_meanings_is_the_last(face, number):
    host = face.domain.encode()
    request = TWO_MEANINGS[number].replace(b"{b}", BODY + BODY).replace(b"{h}", host)
    whole = face.https.statuses(request)
    assert len(whole) == 1 and 400 <= whole[0] < 600, (request, whole)
    # and so it is in pieces of any size
    for size in (1, 7):
        with face.https.dial() as secure:
            with contextlib.suppress(OSError):
                for at in range(0, len(request), size):
                    secure.sendall(request[at:at + size])
            said = b""
            with contextlib.suppress(OSError):
                while more := secure.recv(65536):
                    said += more
        # what came after the refusal may have cut it short, but nothing more was answered
        assert said.count(b"HTTP/1.1 ") <= 1, (request, said)


def test_console_http_bodies_between_requests_stay_bodies(face):
    host = face.domain.encode()
    inner = b"GET /inner HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    for method in (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE", b"OPTIONS"):
        request = (method + b" / HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: %d\r\n\r\n"
                   % (2 * len(inner)) + inner * 2)
        last = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: x, Close\r\n\r\n"
        assert face.https.statuses(request * 3 + last + inner) == [404] * 4
    # HTTP/1.0 is over after one, whatever it says; and never gets a 100
    old = (b"PUT / HTTP/1.0\r\nHost: " + host + b"\r\nConnection: keep-alive\r\n"
           b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner * 2)
    said = face.https.raw(old)
    assert said.count(b"HTTP/1.1 ") == 1 and b"\r\nConnection: close\r\n" in said
    # no body comes with the answer to HEAD, and the next answer begins where it should
    path = protected(face, "http://evil.example/x").encode()
    said = face.https.raw(b"HEAD /open/x HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
                          b"HEAD " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
                          b"HEAD / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    heads = said.split(b"\r\n\r\n")
    assert len(heads) == 4 and heads[3] == b""
    assert [h.split(b"\r\n")[0] for h in heads[:3]] == [
        b"HTTP/1.1 404 Not Found", b"HTTP/1.1 303 See Other", b"HTTP/1.1 404 Not Found"]


# Paths


@pytest.mark.parametrize("path", [
    "/open/..", "/open/../etc/passwd", "/open/%2e%2e/x", "/open/%2E%2e", "/open/.%2e/x",
    "/./open/x", "/open/%2e/x", "/open/%2fetc", "/open/%5c..%5cx", "/open/..\\x", "/open/%00",
    "/open/x%00.css", "/open/%0d%0aSet-Cookie:%20a=b", "/open/%c0%ae%c0%ae/x", "/open/%e0%80%ae",
    "/open/%ff",
    "/open/%f4%90%80%80", "/open/%ed%a0%80", "/open/%u002e%u002e", "/open/%", "/open/%2",
    "/open/%zz", "/open/%252e%252e/x", "/open/%25%32%65", "//open/x", "/OPEN/x", "/open",
    "/open/x/../style.css",
    "/open/style.css/", "/open/style.css%20", "/open/;/style.css", "/open/style.css%3f",
    "/%6fpen/../open/x", "/open/<script>alert(1)</script>",
    "/open/%3Cscript%3Ealert(1)%3C/script%3E", "/open/%22onload=%22", "/open/x#y",
    "/open/" + "a" * 12000, "/" * 12000, "/open/" + "%41" * 4000, "*", "", "open/x", "?",
    "/?" + "&" * 12000,
], ids=range(45))
def test_console_http_paths_lead_nowhere(face, path):
    said = face.https.raw(f"GET {path} HTTP/1.1\r\nHost: {face.domain}\r\n"
                          "Connection: close\r\n\r\n".encode())
    assert re.match(rb"HTTP/1\.1 4(00|04|14|31) ", said), said[:200]
    lower = said.lower()
    assert b"\r\nlocation:" not in lower and b"set-cookie" not in lower
    assert b"<script" not in lower and b"onload" not in lower and b"root:" not in lower


# Names


def test_console_http_a_name_of_another_domain_gets_nothing_of_ours(face):
    """SNI says one name, Host another; none of them decides what a page says, the seal does."""
    def ask(sni, host, path="/"):
        context = ssl.create_default_context(cafile=face.certificate)
        context.check_hostname = False
        plain = socket.create_connection(("127.0.0.1", face.https.port), timeout=xmpp.PATIENCE)
        with context.wrap_socket(plain, server_hostname=sni) as secure:
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                           .encode())
            said = b""
            while more := secure.recv(65536):
                said += more
        return int(said[9:12])

    link = protected(face, "http://elsewhere.example/x")
    for sni in (None, face.domain, "two.test"):
        for host, status in ((face.domain, 303), ("two.test", 303), ("TWO.TEST:1", 303),
                             ("evil.test", 421), ("127.0.0.1", 421), ("[::1]", 421),
                             (face.domain + ".", 421), ("x." + face.domain, 421)):
            assert ask(sni, host, link) == status, (sni, host)
    # the address in the first line counts, not the field beside it (RFC 9112 3.2.2)
    assert face.https.statuses(f"GET https://evil.test/ HTTP/1.1\r\nHost: {face.domain}\r\n"
                               "Connection: close\r\n\r\n".encode()) == [421]
    assert face.https.statuses(f"GET https://{face.domain}{link} HTTP/1.1\r\nHost: evil.test\r\n"
                               "Connection: close\r\n\r\n".encode()) == [303]
    # a name that no certificate is for; and nobody finds XMPP here or HTTP there
    for sni in ("evil.test", "x." + face.domain):
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert ask(sni, "evil.test") == 421
    context = xmpp.insecure_context()
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        plain = socket.create_connection(face.tls_address, timeout=xmpp.PATIENCE)
        context.wrap_socket(plain, server_hostname=face.domain).recv(1)


# What pages and headers say


EVIL = ["http://{h}.example/\"><script>alert(1)</script>", "http://{h}.example/'onclick='alert(1)",
        "http://{h}.example/?a=\\\\\\\\&b=<img src=x onerror=alert(1)>",
        "http://{h}.example/%0d%0aSet-Cookie:%20a=b",
        "http://{h}.example/a&#13;&#10;Set-Cookie: a=b",
        "http://{h}.example/&#x2028;&#x85;x", "http://{h}.example/&#9;x&#10;y",
        "http://{h}.example\\@evil.example/", "http://a:b@{h}.example/", "http://{h}.example:80/",
        "http://{h}.example/?" + "\\" * 4100, "http://{h}.example/" + "\"" * 4100,
        "http://{h}.example/" + "&#xe4;" * 4100, "http://{h}.example/#" + "\\`&lt;" * 1000,
        "http://xn--{h}.example/", "http://{h}.ex&#xe4;mple/&lt;/title&gt;&lt;b&gt;"]


def check_page(one, path, lang="en"):
    """One answer, whose head and page say nothing that the link wanted them to; (status, page)."""
    said = one.https.raw(f"GET {path} HTTP/1.1\r\nHost: {one.domain}\r\nConnection: close\r\n"
                         f"Accept-Language: {lang}\r\n\r\n".encode())
    top, _, page = said.partition(b"\r\n\r\n")
    assert top.startswith((b"HTTP/1.1 303 ", b"HTTP/1.1 404 ", b"HTTP/1.1 200 ")), top[:200]
    names = [line.split(b":")[0].lower() for line in top.split(b"\r\n")[1:]]
    assert len(names) == len(set(names)) and b"set-cookie" not in names
    for line in top.split(b"\r\n"):
        assert all(0x20 <= c < 0x7f for c in line), line
        if line.lower().startswith(b"location:"):
            assert re.fullmatch(rb"Location: (https?|ftp)://[^\s\"<>\\]+", line), line
    tags = {tag.lower() for tag in re.findall(rb"<[^a-z]?([a-z0-9]+)", page, re.I)}
    assert tags <= {b"doctype", b"html", b"head", b"meta", b"link", b"title", b"body", b"h1", b"p",
                    b"a"}, tags
    for tag in re.findall(rb"<[^>]*>", page):
        assert not re.search(rb"\son\w+\s*=|javascript:", tag, re.I), tag
    return int(top[9:12]), page


@pytest.mark.parametrize("number", range(len(EVIL)))
def test_console_http_whatever_a_link_says_is_text_on_its_page(face, number):
    a, b = face.people
    link = EVIL[number].replace("{h}", "h" + secrets.token_hex(5))
    link = re.sub("<", "&lt;", re.sub("&(?![#lg])", "&amp;", link)).replace(">", "&gt;")
    path = protected(face, link)
    if path is None:
        return  # for the server it is no link
    assert check_page(face, path)[0] in (303, 404)
    # reported, it has a page that shows it, in each language
    b.ask("set", "<block xmlns='urn:xmpp:blocking'><item jid='" + a.bare + "'>"
          "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>")
    b.ask("set", "<unblock xmlns='urn:xmpp:blocking'><item jid='" + a.bare + "'/></unblock>")
    b.fence()
    said = {check_page(face, path, lang)[0] for lang in ("en", "de")}
    said |= {check_page(face, path + "?go=" + query)[0]
             for query in ("%22%3E%3Cscript%3E", "0-" + "0" * 32, "9999999999-", "a" * 1000)}
    assert said <= {200, 404}, said


@pytest.mark.parametrize("lang", ["xx", "\"><script>", "de;q=x\"<b>", "a" * 8000,
                                  "de;q=0.0000", ",,,;", ",".join(["de;q=0.1"] * 900), "\xe4",
                                  "*"], ids=range(9))
def test_console_http_languages_that_are_none_are_text_too(face, lang):
    assert check_page(face, "/open/forged", lang)[0] == 404


# Floods and slow ones


def test_floods_of_heads_are_refused_and_leave_nothing(face):
    before = face.rss_kib()
    for request in (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100000, b"GET /" + b"a" * 1000000,
                    b"A" * 1000000, b"\r\n" * 500000, b"GET / HTTP/1.1\r\nX: " + b"b" * 1000000,
                    b"\x00" * 1000000):
        for _ in range(20):
            with face.https.dial() as secure:
                with contextlib.suppress(OSError):
                    secure.sendall(request)
                with contextlib.suppress(OSError):
                    assert re.match(rb"HTTP/1.1 4(00|31) ", secure.recv(100))
    wait_until(lambda: face.count("http_connections") == 0)
    assert face.rss_kib() - before < 60000


def test_unauthenticated_connections_by_the_thousand_leave_nothing(face):
    """Opened and closed: at once, in the middle of TLS, of a head, of an answer."""
    request = head(face, "GET /open/x HTTP/1.1")
    address = ("127.0.0.1", face.https.port)

    def wave(n):
        for i in range(n):
            plain = socket.create_connection(address, timeout=xmpp.PATIENCE)
            if i % 10 == 1:
                plain.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            if i % 10 == 2:
                plain.sendall(request)  # not TLS at all
            if i % 40 == 3:
                secure = face.https.context.wrap_socket(plain, server_hostname=face.https.host)
                secure.sendall(request[:i % len(request)] if i % 80 == 3 else request * 5)
                plain = secure
            if i % 3 == 0:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 b"\x01\x00\x00\x00\x00\x00\x00\x00")  # a reset
            plain.close()
        wait_until(lambda: face.count("http_connections") == 0)

    wave(2000)
    rss, n = face.rss_kib(), descriptors(face)
    wave(8000)
    assert face.rss_kib() - rss < 12000
    wait_until(lambda: descriptors(face) <= n + 4)


def test_floods_many_slow_ones_hold_up_nobody(face):
    """A byte now and then, of a head, of TLS, of a body; answers that are not read."""
    # one that no other test has sent: the page warns of what goes from hand to hand
    link = protected(face, f"http://{secrets.token_hex(6)}.example/x")
    slow = []
    try:
        for i in range(300):
            if i % 3 == 0:
                slow.append(socket.create_connection(("127.0.0.1", face.https.port)))
                continue
            slow.append(face.https.dial())
            if i % 3 == 2:  # asks and asks, and reads nothing
                slow[-1].sendall(head(face, f"GET {link} HTTP/1.1") * 90)
        for _ in range(3):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(b"\x16" if not isinstance(one, ssl.SSLSocket) else b"G")
            for _ in range(10):
                assert face.https.get(link)[0] == 303
    finally:
        for one in slow:
            one.close()
    wait_until(lambda: face.count("http_connections") == 0)


def test_console_http_who_leaves_before_the_answer_harms_nobody(face):
    with face.https.dial() as secure:
        secure.sendall(head(face, "GET / HTTP/1.1") * 3)
        answers = b""
        while answers.count(b"404 Not Found\n") < 3:
            more = secure.recv(65536)
            assert more
            answers += more
    for cut in (socket.SHUT_WR, socket.SHUT_RDWR):
        for _ in range(50):
            secure = face.https.dial()
            secure.sendall(head(face, "GET /open/x HTTP/1.1"))
            secure.shutdown(cut)
            secure.close()
    wait_until(lambda: face.count("http_connections") == 0)


# Changes while requests run


def keep_asking(one, stop, seen, path):
    while not stop.is_set():
        try:
            seen.append(one.https.get(path)[0])
        except (OSError, ssl.SSLError, https.http.client.HTTPException) as trouble:
            seen.append(trouble)


def test_console_http_reloads_and_a_stop_while_requests_run(own_server):
    one = https.serve(own_server, SETTINGS)
    one.people = xmpp.online(one, 2)
    link = protected(one, "http://elsewhere.example/x")
    stop, seen = threading.Event(), []
    threads = [threading.Thread(target=keep_asking, args=(one, stop, seen, link))
               for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        one.ctl("reload")
    until = time.monotonic() + xmpp.PATIENCE
    while len(seen) < 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(seen) >= 50 and set(seen) == {303}, set(map(str, seen))
    assert one.stop() == 0  # the sanitizer too says that nothing is left
    stop.set()
    for thread in threads:
        thread.join()
    assert all(s == 303 or not isinstance(s, int) for s in seen)
    assert "ERROR: " not in one.log()


# On the disk


def test_console_http_keys_are_nobody_elses_to_read_or_to_place(own_server):
    one = https.serve(own_server, SETTINGS)
    keys = os.path.join(one.state, "links.keys")
    assert stat.S_IMODE(os.stat(keys).st_mode) == 0o600
    one.stop()
    # a link in its place leads to somebody else's file: it is not followed
    elsewhere = os.path.join(one.folder, "elsewhere")
    os.rename(keys, elsewhere)
    os.symlink(elsewhere, keys)
    with pytest.raises(AssertionError):
        one.start()
    os.unlink(keys)
    victim = os.path.join(one.folder, "victim")
    with open(victim, "w", encoding="ascii") as file:
        file.write("precious")
    os.symlink(victim, keys + ".new")
    one.start()
    with open(victim, encoding="ascii") as file:
        assert file.read() == "precious"
    assert stat.S_IMODE(os.lstat(keys).st_mode) == 0o600

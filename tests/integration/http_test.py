"""The HTTPS service: certificates, hosts, limits, and what a smuggler would try.

advisories.md, "console, HTTP": decode once, default deny, CSP; "XML size before login" and
"unauthenticated connections" as they apply here.
"""

import os
import shutil
import socket
import ssl
import time

import pytest

import https
import server as servers
import xmpp


def test_it_is_off_unless_it_has_a_port(server):
    assert server.count("http_requests") == 0
    assert "kind=https" not in server.log()


def test_nothing_is_served_that_was_not_named(own_server):
    one = https.serve(own_server, domains=["two.test"])
    for path in ("/", "/metrics", "/open", "/index.html", "/admin", "/.well-known/x"):
        status, headers, body = one.https.get(path)
        assert status == 404 and body == b"404 Not Found\n"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Strict-Transport-Security"] == f"max-age={180 * 86400}"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers
    # names: the other domain too, nobody else's
    assert one.https.get("/", Host="two.test")[0] == 404
    assert one.https.get("/", Host="TWO.test:99")[0] == 404
    assert one.https.get("/", Host="evil.test")[0] == 421
    assert one.https.get("/", Host=one.domain + ".evil.test")[0] == 421
    # a client that wants HTTP/2 alone, or XMPP, is in the wrong place
    for other in ("h2", "xmpp-client"):
        one.https.context.set_alpn_protocols([other])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            one.https.dial().close()
    assert one.count("http_requests") == 10


SMUGGLED = [
    # a front that believes the one and a back that believes the other
    b"POST / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nTransfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nContent-Length: 0, 0\r\n\r\n{next}",
    b"POST / HTTP/1.1\r\nHost: {h}\r\nContent-Length: +0\r\n\r\n{next}",
    b"GET / HTTP/1.1\nHost: {h}\n\n\r\n\r\n{next}",
    b"GET / HTTP/1.1\r\nHost: {h}\rX: y\r\n\r\n{next}",
    b"GET / HTTP/1.1\r\nHost: {h}\r\nHost: evil.test\r\n\r\n{next}",
    b"GET / HTTP/1.1\r\n\r\n{next}",
    b"GET /%2e%2e/ HTTP/1.1\r\nHost: {h}\r\n\r\n{next}",
    b"GET /%u002e%u002e/ HTTP/1.1\r\nHost: {h}\r\n\r\n{next}",
    b"GET /%00 HTTP/1.1\r\nHost: {h}\r\n\r\n{next}",
    b"GET /a%2fb HTTP/1.1\r\nHost: {h}\r\n\r\n{next}",
    b"GET / HTTP/2.0\r\nHost: {h}\r\n\r\n{next}",
    b"BREW / HTTP/1.1\r\nHost: {h}\r\n\r\n{next}",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n{next}",
]


def test_no_request_is_smuggled_in_another(own_server):
    one = https.serve(own_server)
    host = one.domain.encode()
    following = b"GET /next HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    for attempt in SMUGGLED:
        answers = one.https.statuses(attempt.replace(b"{h}", host).replace(b"{next}", following))
        # one refusal, then the connection is closed: what follows was never a request
        assert len(answers) == 1 and answers[0] in (400, 411, 501, 505), (attempt, answers)
    # a body that nobody takes does not become the next request
    body = b"GET /inner HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    asked = (b"GET / HTTP/1.1\r\nHost: " + host +
             b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body + following)
    assert one.https.statuses(asked) == [404, 404]
    one.check_healthy()


def test_sizes_and_numbers_have_limits(own_server):
    one = https.serve(own_server, {"http.head_bytes": "4 KiB", "http.fields": 16,
                                 "http.requests": 3})
    host = one.domain.encode()
    get = b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n"
    assert one.https.statuses(get + b"X: " + b"x" * 5000) == [431]
    assert one.https.statuses(b"GET /" + b"x" * 5000) == [431]
    assert one.https.statuses(get + b"X: x\r\n" * 16 + b"\r\n") == [431]
    assert one.https.statuses((get + b"\r\n") * 5) == [404] * 3  # then it closes
    assert one.https.statuses(b"PUT / HTTP/1.1\r\nHost: " + host +
                              b"\r\nContent-Length: 99999999999\r\n\r\n") == [404]
    # a byte at a time is as good as all at once
    with one.https.dial() as secure:
        for byte in get + b"Connection: close\r\n\r\n":
            secure.sendall(bytes([byte]))
        assert secure.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_who_says_nothing_is_let_go_and_one_address_has_its_share(own_server):
    one = https.serve(own_server, {"http.head_time": "1 s", "http.idle_time": "1 s",
                                 "http.connections_per_address": 5})
    # in the middle of TLS, in the middle of a head, after a request
    plain = socket.create_connection(("127.0.0.1", one.https.port), timeout=xmpp.PATIENCE)
    plain.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert plain.recv(100) == b""
    plain.close()
    assert one.https.statuses(b"GET / HT") == [408]
    assert one.https.statuses(b"GET / HTTP/1.1\r\nHost: " + one.domain.encode() + b"\r\n\r\n") == [404]
    held = [socket.create_connection(("127.0.0.1", one.https.port), timeout=xmpp.PATIENCE)
            for _ in range(8)]
    closed = 0
    for each in held:
        closed += each.recv(1) == b""  # the sixth at once, the others after their second
        each.close()
    assert closed == 8
    until = time.monotonic() + xmpp.PATIENCE
    while one.count("http_connections") > 0:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert one.https.get("/")[0] == 404


def test_a_new_certificate_is_shown_after_a_reload(own_server, tmp_path):
    one = https.serve(own_server)
    assert one.https.get("/")[0] == 404
    fresh, key = servers.make_certificate(str(tmp_path), one.domains)
    shutil.copy(fresh, one.certificate)
    shutil.copy(key, one.key)
    os.chmod(one.key, 0o644)
    one.ctl("reload")
    with pytest.raises(ssl.SSLError):  # it trusts the old one only
        for _ in range(8):
            one.https.dial().close()
    one.https = https.Https(one.https.port, one.domain, fresh)
    for _ in range(8):
        assert one.https.get("/")[0] == 404


def test_a_host_of_its_own_has_a_certificate_of_its_own(own_server):
    one = https.serve(own_server, {"http.url": "https://chat.other.test"}, start=False)
    folder = os.path.join(one.folder, "other")
    os.mkdir(folder)
    other, key = servers.make_certificate(folder, ["chat.other.test"])
    os.chmod(key, 0o644)
    one.settings.update({"http.certificate": other, "http.key": key})
    one.start()
    assert one.https.get("/")[0] == 404
    beside = https.Https(one.https.port, "chat.other.test", other)
    assert beside.get("/")[0] == 404


def test_who_names_no_language_is_answered_in_the_servers(own_server):
    one = https.serve(own_server, {"notices.language": "de", "links.protect": "true"})
    for accepted, said in ((None, b"404 Nicht gefunden\n"), ("fr", b"404 Nicht gefunden\n"),
                           ("en", b"404 Not Found\n")):
        headers = {"Accept-Language": accepted} if accepted else {}
        assert one.https.get("/nowhere", **headers)[2] == said
        page = one.https.get("/open/forged", **headers)[2].decode()
        assert f'<html lang="{"en" if accepted == "en" else "de"}">' in page

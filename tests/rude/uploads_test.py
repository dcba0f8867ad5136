"""Uploads: hostile bytes, hostile requests, and nobody else notices (advisories.md, "uploads")."""

import contextlib
import os
import pwd
import secrets
import socket
import ssl
import stat
import struct
import threading
import zlib

import pytest

import server as servers
import xmpp
from uploads import (ask_slot, get, id_of, path, put, slot, upload, with_uploads)


@pytest.fixture(scope="module")
def shop():
    one = with_uploads(lambda settings: servers.make(settings).start(),
                       {"upload.daily_files": 100000, "upload.daily": "10 GiB",
                        "upload.quota": "1 GiB", "upload.slots": 1000,
                        "upload.inspection_time": "2 s"})
    yield one
    one.check_healthy()
    assert one.stop() == 0
    one.remove()


@pytest.fixture
def client(shop):
    one = shop.connect(shop.fresh_users(1)[0])
    one.server_of = shop
    yield one
    one.fence()
    one.close()
    shop.check_healthy()


def zip_entry(name, size, compressed, crc=0, method=8):
    """One local header as its maker likes it."""
    return struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, method, 0, 0, crc, len(compressed), size,
                       len(name), 0) + name + compressed


def deflated(n):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(b"\0" * n) + packer.flush()


HOSTILE = {
    "zip that lies about sizes": zip_entry(b"a.txt", 5, deflated(1 << 20)),
    "zip with a name of 64 KiB": zip_entry(b"a" * 65535, 1, deflated(1)),
    "zip that leads out": zip_entry(b"../../../../etc/passwd", 1, deflated(1)),
    "zip with an absolute name": zip_entry(b"/etc/cron.d/x", 1, deflated(1)),
    "zip with a name that is none": zip_entry(b"\0\xff\xfe\n\r", 1, deflated(1)),
    "zip of many entries": b"".join(zip_entry(b"%d" % i, 0, b"", method=0) for i in range(20000)),
    "zip bomb": zip_entry(b"a", 1 << 30, deflated(64 << 20)) * 8,
    "gzip bomb": zlib.compress(b"\0" * (64 << 20), 9, 31),
    "tar that goes on": b"a" * 100 + b"0000644\0" * 3 + b"77777777777\0" + b"0" * 500,
    "rar5 of nothing": b"Rar!\x1a\x07\x01\0" + b"\xff" * 3000,
    "7z of nothing": b"7z\xbc\xaf\x27\x1c\0\4" + b"\xff" * 3000,
    "cab of nothing": b"MSCF\0\0\0\0" + b"\xff" * 3000,
    "iso of nothing": b"\0" * 32769 + b"CD001\1" + b"\xff" * 3000,
    "office document of nothing": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 3000,
    "elf of nothing": b"\x7fELF" + b"\xff" * 3000,
    "png of nothing": b"\x89PNG\r\n\x1a\n" + b"\xff" * 3000,
    "pdf of nothing": b"%PDF-1.4\n" + b"[" * 100000,
    "xml of entities": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b '" + b"c" * 1000 + b"'>]><a>"
                       + b"&b;" * 10000,
    "noise": secrets.token_bytes(300000),
    "zeros": b"\0" * 300000,
}


@pytest.mark.parametrize("what", HOSTILE, ids=lambda w: w.replace(" ", "-"))
def test_uploads_of_hostile_files_break_nothing(shop, client, what):
    content = HOSTILE[what]
    to, url = slot(client, "a.bin", len(content))
    status = put(shop, to, content)
    assert status in (201, 403, 415)
    got = get(shop, url)
    if status == 201:
        assert got[::2] == (200, content)
        assert got[1]["Content-Type"] in ("application/octet-stream", "text/plain; charset=utf-8",
                                          "image/png")
    else:
        assert got[0] == 404
    assert shop.rss_kib() < 1500000
    upload(shop, client, "b.txt", b"an honest file")


@pytest.mark.parametrize("name", [
    "../../etc/passwd", "a\0b", "a\"; filename=\"evil.exe", "a%2f..%2fb", "\u202egpj.exe", ".",
    "a" * 255, "ä" * 127, "a" * 256, "con", "a;b", "a\\b", "'--", "<script>", "%s%n", " ",
], ids=lambda n: ascii(n)[:20])
def test_uploads_names_go_nowhere_but_into_their_header(shop, client, name):
    if "\0" in name:
        return  # no XML
    answer = ask_slot(client, name, 5)
    if answer.get("type") == "error":
        return
    url = answer[0][1].get("url")
    wanted = 403 if "\u202e" in name else 201  # one that turns its end around is a disguise
    assert put(shop, answer[0][0].get("url"), b"hello") == wanted
    if wanted == 403:
        return
    status, headers, body = get(shop, url)
    assert (status, body) == (200, b"hello")
    said = headers["Content-Disposition"]
    assert said.startswith('attachment; filename="') and said.count('"') == 2
    assert "\n" not in said and "/" not in said.split("filename*")[0]
    assert os.path.isfile(os.path.join(shop.state, "uploads", id_of(url)))


@pytest.mark.parametrize("request_bytes", [
    b"PUT {p} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"PUT {p} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    b"PUT {p} HTTP/1.1\r\nHost: {h}\r\nContent-Length: -5\r\n\r\nhello",
    b"PUT {p} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 0x5\r\n\r\nhello",
    b"PUT {p} HTTP/1.1\r\nHost: {h}\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
    b"PUT {p} HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"POST {p} HTTP/1.1\r\nHost: {h}\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"DELETE {p} HTTP/1.1\r\nHost: {h}\r\nConnection: close\r\n\r\n",
], ids=range(8))
def test_uploads_requests_in_two_meanings_put_nothing(shop, client, request_bytes):
    to, url = slot(client, "a.txt", 5)
    request = request_bytes.replace(b"{p}", path(to).encode()).replace(b"{h}", shop.domain.encode())
    assert all(400 <= s < 600 for s in shop.https.statuses(request))
    assert get(shop, url)[0] == 404
    assert put(shop, to, b"hello") == 201  # the slot was not used up by nonsense


def test_uploads_many_at_once_and_many_broken_off(shop, client):
    """Fifteen connections put, half of them leave in the middle; all that stay are served."""
    wrong = []

    def work(number):
        try:
            one = shop.connect(client.user)
            one.server_of = shop
            for i in range(5):
                content = os.urandom(100000 + number)
                to, url = slot(one, "a.bin", len(content))
                if (number + i) % 2:
                    with shop.https.dial() as secure:
                        secure.sendall(f"PUT {path(to)} HTTP/1.1\r\nHost: {shop.domain}\r\n"
                                       f"Content-Length: {len(content)}\r\n\r\n".encode()
                                       + content[:50000])
                    continue
                if put(shop, to, content) != 201 or get(shop, url)[2] != content:
                    wrong.append((number, i))
            one.close()
        except Exception as trouble:  # noqa: B902  (a thread's trouble is the test's)
            wrong.append(trouble)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]


def test_uploads_one_slot_is_for_one_of_many(shop, client):
    to, url = slot(client, "a.bin", 1000)
    said = []
    threads = [threading.Thread(target=lambda i=i: said.append(
        (put(shop, to, bytes([i]) * 1000), i))) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (_, winner), = [s for s in said if s[0] == 201]
    assert all(status in (201, 404) for status, _ in said)
    assert get(shop, url)[2] == bytes([winner]) * 1000


def test_uploads_a_file_convicted_while_it_is_fetched_stops_there(shop, client):
    """Convicted, or deleted, in the middle of a slow fetch: the rest is given to nobody."""
    content = os.urandom(24 << 20)
    for end in (("incident", "convict"), ("upload", "delete")):
        url = upload(shop, client, "a.bin", content + end[1].encode())
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        plain.settimeout(xmpp.PATIENCE)
        plain.connect(("127.0.0.1", shop.https.port))
        with shop.https.context.wrap_socket(plain, server_hostname=shop.domain) as secure:
            secure.sendall(f"GET {path(url)} HTTP/1.1\r\nHost: {shop.domain}\r\n\r\n".encode())
            got = len(secure.recv(8192))
            shop.ctl(*end, url if end[1] == "convict" else id_of(url), "--reason", "test")
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                while more := secure.recv(65536):
                    got += len(more)
        assert got < len(content)
        assert get(shop, url)[0] in (404, 410)


def test_uploads_a_scanner_that_hangs_holds_up_nobody_who_fetches(own_server):
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = with_uploads(own_server, {"upload.threads": 2, "upload.scanner_time": "10 min"})
    one = server.connect(server.fresh_users(1)[0])
    one.server_of = server
    url = upload(server, one, "a.txt", b"an honest file")
    with open(server.config_path, "a", encoding="utf-8") as file:
        file.write('upload = { scanner = "127.0.0.1:%d"; };\n' % silent.getsockname()[1])
    server.ctl("reload")
    waiting = []
    try:
        for i in range(8):  # four times the threads that wait for the scanner
            to, _ = slot(one, "b.txt", 5)
            waiting.append(server.https.dial())
            waiting[-1].sendall(f"PUT {path(to)} HTTP/1.1\r\nHost: {server.domain}\r\n"
                                "Content-Length: 5\r\n\r\nhello".encode())
        peers = [silent.accept()[0] for _ in range(2)]
        for _ in range(5):
            assert get(server, url)[::2] == (200, b"an honest file")
        for peer in peers:
            peer.close()
    finally:
        silent.close()
        for each in waiting:
            each.close()


def test_uploads_a_link_in_place_of_their_directory_gives_nothing_away(own_server):
    """Who owns the state directory may put a link there; root makes its target nobody's."""
    server = with_uploads(own_server, {"server.run_as": "nobody"}, start=False)
    victim = os.path.join(server.folder, "victim")
    os.mkdir(victim)
    place = os.path.join(server.state, "uploads")
    os.symlink(victim, place)
    with pytest.raises(AssertionError):
        server.start()
    assert os.stat(victim).st_uid == os.getuid() and os.listdir(victim) == []
    os.unlink(place)
    server.start()
    found = os.stat(place)
    assert found.st_uid == pwd.getpwnam("nobody").pw_uid
    assert stat.S_IMODE(found.st_mode) & 0o027 == 0
    one = server.connect(server.fresh_users(1)[0])
    one.server_of = server
    url = upload(server, one, "a.txt", b"an honest file")
    assert stat.S_IMODE(os.stat(os.path.join(place, id_of(url))).st_mode) == 0o600


def test_uploads_conditions_are_what_the_specification_says(shop, client):
    # RFC 9110 §13: lists, weak tags, stars; and a condition never shows what is convicted
    content = b"0123456789"
    url = upload(shop, client, "a.txt", content)
    tag = get(shop, url)[1]["ETag"]
    for fields, wanted in (
            ({"If-None-Match": tag}, 304), ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": f'"x", {tag}'}, 304), ({"If-None-Match": "W/" + tag}, 304),
            ({"If-None-Match": '"x"'}, 200), ({"If-None-Match": tag.strip('"')}, 200),
            ({"If-None-Match": ""}, 200), ({"If-None-Match": "," * 500}, 200),
            ({"If-Match": tag}, 200), ({"If-Match": "*"}, 200), ({"If-Match": f'"x", {tag}'}, 200),
            ({"If-Match": '"x"'}, 412), ({"If-Match": "W/" + tag}, 412),
            ({"If-Match": '"x"', "If-None-Match": tag}, 412),
            ({"If-Match": '"x"', "Range": "bytes=0-1"}, 412),
            ({"If-None-Match": tag, "Range": "bytes=0-1"}, 304),
            ({"If-Range": tag, "Range": "bytes=0-1"}, 206),
            ({"If-Range": "W/" + tag, "Range": "bytes=0-1"}, 200),
            ({"If-Range": '"x"', "Range": "bytes=0-1"}, 200),
            ({"Range": "bytes=5-4"}, 200), ({"Range": "bytes=-0"}, 416),
            ({"Range": "bytes=10-"}, 416), ({"Range": "bytes=18446744073709551616-"}, 200),
            ({"Range": "bytes=0-0,2-3"}, 200), ({"Range": "octets=0-1"}, 200)):
        status, headers, body = get(shop, url, **fields)
        assert status == wanted, (fields, status)
        assert body == {200: content, 206: b"01"}.get(status, b""), fields
        status, headers, body = shop.https.ask("HEAD", path(url), headers=fields)
        assert (status, body) == ((200, b"") if wanted in (206, 416) else (wanted, b"")), fields
        if status == 200:
            assert headers["Content-Length"] == str(len(content))
    shop.ctl("incident", "convict", url, "--reason", "test")
    for fields in ({"If-None-Match": tag}, {"If-None-Match": "*"}, {"If-Match": '"x"'},
                   {"Range": "bytes=0-1", "If-Range": tag}):
        status, headers, body = get(shop, url, **fields)
        assert status == 410 and "ETag" not in headers and b"part of an attack" in body
    assert shop.https.ask("OPTIONS", path(url))[0] in (204, 405)


def test_uploads_what_a_name_promises_a_browser_is_not_kept(shop, client):
    # whatever name somebody appends to a link, it is the row's that is given out, and never a page
    url = upload(shop, client, "r\u00e9sum\u00e9 \u2028\ufeff.txt", b"<script>alert(1)</script>")
    base = path(url).rsplit("/", 1)[0]
    given = get(shop, url)[1]["Content-Disposition"]
    assert given.startswith("attachment;")
    for name in ("x.html", "x.svg", "x.js", "index.html", "..;", "%2e%2e%3b", "x.txt%0d%0aX:%20y", "?a"):
        status, headers, body = shop.https.get(f"{base}/{name}")
        if status != 200:
            assert status in (400, 404), name
            continue
        assert headers["Content-Type"] in ("text/plain; charset=utf-8", "application/octet-stream")
        assert headers["X-Content-Type-Options"] == "nosniff" and "X" not in headers
        assert headers["Content-Disposition"] == given
        assert "default-src 'none'" in headers["Content-Security-Policy"]

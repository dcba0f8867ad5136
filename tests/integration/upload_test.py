"""Files that people put here: what is taken, what is given out, what stops being given out.

advisories.md, "uploads": attachment, nosniff, CSP none, unguessable, limits while writing, ranges
checked.
"""

import glob
import hashlib
import io
import os
import re
import sqlite3
import time
import zipfile

import pytest

import clamd
import xmpp
from ctl_test import wait_until
from doors_test import is_message, online, settle
from uploads import (NS, ask_slot, get, id_of, path, put, slot, upload, with_uploads)

PNG = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc"
       b"\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82")
PROGRAM = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" + b"\0" * 200


@pytest.fixture(scope="module")
def shop():
    """One server for the tests that need no settings of their own."""
    import server as servers
    one = with_uploads(lambda settings: servers.make(settings).start(),
                       {"upload.daily_files": 10000})
    yield one
    one.check_healthy()
    assert one.stop() == 0
    one.remove()


@pytest.fixture
def scanner(tmp_path):
    one = clamd.Clamd(str(tmp_path))
    yield one
    one.stop()


def connect(server):
    client = server.connect(server.fresh_users(1)[0])
    client.server_of = server
    return client


def files_on_disk(server):
    return sorted(os.listdir(os.path.join(server.state, "uploads")))


# what the service says of itself

def test_it_is_off_by_default(server):
    client = server.connect(server.fresh_users(1)[0])
    client.server_of = server
    info = client.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                      to=server.domain)
    assert "urn:xmpp:http:upload:0" not in xmpp.show(info)
    answer = ask_slot(client, "a.txt", 5)
    assert xmpp.condition_of(answer.find("{jabber:client}error")) == "service-unavailable"
    assert server.ctl("upload", "list", check=False).returncode != 0
    client.close()


def test_it_is_announced_with_its_largest_size(shop):
    client = connect(shop)
    disco = "{http://jabber.org/protocol/disco#info}"
    info = client.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                      to=shop.domain).find(disco + "query")
    assert any(i.get("category") == "store" and i.get("type") == "file"
               for i in info.findall(disco + "identity"))
    assert any(f.get("var") == "urn:xmpp:http:upload:0" for f in info.findall(disco + "feature"))
    fields = {f.get("var"): f.findtext("{jabber:x:data}value")
              for x in info.findall("{jabber:x:data}x") for f in x
              if x[0].findtext("{jabber:x:data}value") == "urn:xmpp:http:upload:0"}
    assert fields["max-file-size"] == str(25 << 20)
    client.close()


# putting and fetching

def test_a_file_is_put_and_fetched_by_who_has_the_link(shop):
    client = connect(shop)
    content = os.urandom(300000)
    to, url = slot(client, "bytes & more ü.bin", len(content))
    assert to.startswith(f"https://{shop.domain}:{shop.https.port}/upload/") and to != url
    assert url.endswith("/bytes%20%26%20more%20%C3%BC.bin")
    assert get(shop, url)[0] == 404  # promised, not there
    assert put(shop, to, content) == 201
    status, headers, body = get(shop, url)
    assert status == 200 and body == content
    assert headers["Content-Length"] == str(len(content))
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''bytes%20%26%20more%20%C3%BC.bin" in headers["Content-Disposition"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "private, no-cache"
    status, head, body = shop.https.ask("HEAD", path(url))
    assert (status, head["Content-Length"], body) == (200, str(len(content)), b"")
    # it is in the state directory under its id, and nobody else's to read
    name = id_of(url)
    assert os.stat(os.path.join(shop.state, "uploads", name)).st_mode & 0o77 == 0
    client.close()


def test_a_slot_is_used_once_and_not_to_read(shop):
    client = connect(shop)
    to, url = slot(client, "a.txt", 5)
    assert get(shop, to)[0] == 404
    assert put(shop, to, b"hello") == 201
    assert put(shop, to, b"hullo") == 404
    assert put(shop, url, b"hullo") == 404
    assert get(shop, url)[2] == b"hello" and get(shop, to)[0] == 404
    client.close()


def test_links_cannot_be_guessed(shop):
    client = connect(shop)
    urls = [u for _ in range(5) for u in slot(client, "a.txt", 5)]
    ids = [id_of(u) for u in urls]
    assert len(set(ids)) == 10 and all(re.fullmatch("[a-z2-7]{26}", i) for i in ids)
    real = upload(shop, client, "a.txt", b"hello")
    for wrong in (id_of(real)[:-1], id_of(real) + "a", id_of(real).upper(), "a" * 26, "", "..",
                  "%2e%2e", id_of(real) + ".part"):
        assert shop.https.get(f"/upload/{wrong}/a.txt")[0] in (400, 404)
    assert shop.https.get(f"/upload/{id_of(real)}")[0] == 404
    assert shop.https.get(f"/upload/{id_of(real)}/a/b")[0] == 404
    assert shop.https.get(f"/upload/../upload/{id_of(real)}/a.txt")[0] in (400, 404)
    # for one slot at a time a client may keep twenty promises
    client.close()


@pytest.mark.parametrize("name, content, shown", [
    ("a.png", PNG, "image/png"),
    ("a.html", b"<!DOCTYPE html><html><script>alert(1)</script></html>", None),
    ("a.svg", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", None),
    ("a.png", b"<!DOCTYPE html><html><script>alert(1)</script></html>", None),
    ("a.pdf", b"%PDF-1.4\n1 0 obj\n", None),
    ("a.txt", b"plain words\n", "text/plain; charset=utf-8"),
], ids=["picture", "html", "svg", "html as a picture", "pdf", "text"])
def test_nothing_that_is_given_out_runs_in_a_browser(shop, name, content, shown):
    client = connect(shop)
    to, url = slot(client, name, len(content))
    # whatever type the client claims
    assert shop.https.ask("PUT", path(to), content, {"Content-Type": "text/html"})[0] == 201
    headers = get(shop, url)[1]
    assert headers["Content-Type"] == (shown or "application/octet-stream")
    assert headers["Content-Disposition"].startswith("attachment;")
    client.close()


def test_ranges(shop):
    client = connect(shop)
    content = bytes(range(256)) * 4
    url = upload(shop, client, "a.bin", content)
    tag = get(shop, url)[1]["ETag"]
    assert tag == '"' + hashlib.sha256(content).hexdigest() + '"'
    for field, first, last in [("bytes=0-0", 0, 0), ("bytes=0-", 0, 1023), ("bytes=1000-", 1000, 1023),
                               ("bytes=1000-5000", 1000, 1023), ("bytes=-24", 1000, 1023),
                               ("bytes=-5000", 0, 1023), ("bytes=10-19", 10, 19)]:
        status, headers, body = get(shop, url, Range=field)
        assert status == 206 and body == content[first:last + 1], field
        assert headers["Content-Range"] == f"bytes {first}-{last}/1024"
    for field in ("bytes=1024-", "bytes=5000-6000", "bytes=-0"):
        status, headers, body = get(shop, url, Range=field)
        assert status == 416 and headers["Content-Range"] == "bytes */1024" and body == b""
    for field in ("bytes=9-1", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes",
                  "bytes=99999999999999999999999-"):
        assert get(shop, url, Range=field)[::2] == (200, content), field
    assert get(shop, url, **{"Range": "bytes=0-0", "If-Range": tag})[0] == 206
    assert get(shop, url, **{"Range": "bytes=0-0", "If-Range": '"other"'})[0] == 200
    status, headers, body = get(shop, url, **{"If-None-Match": tag})
    assert (status, body) == (304, b"")
    client.close()


def test_a_large_file_comes_and_goes_in_pieces(shop):
    client = connect(shop)
    content = os.urandom(1 << 20) * 20
    url = upload(shop, client, "a.bin", content)
    assert get(shop, url)[2] == content
    client.close()


# limits

def test_the_size_is_the_one_that_was_promised(shop):
    client = connect(shop)
    to, url = slot(client, "a.txt", 10)
    assert put(shop, to, b"elevenbytes") == 413
    assert put(shop, to, b"nine byte") == 413
    chunked = (f"PUT {path(to)} HTTP/1.1\r\nHost: {shop.domain}\r\n"
               "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n")
    assert shop.https.statuses(chunked.encode())[0] in (400, 411, 501)
    nothing = f"PUT {path(to)} HTTP/1.1\r\nHost: {shop.domain}\r\nConnection: close\r\n\r\n"
    assert shop.https.statuses(nothing.encode())[0] == 411
    # more than it said is another request, and none that makes sense
    more = (f"PUT {path(to)} HTTP/1.1\r\nHost: {shop.domain}\r\nContent-Length: 10\r\n\r\n"
            "0123456789MORE BYTES\r\n\r\n")
    assert shop.https.statuses(more.encode())[0] == 201
    assert get(shop, url)[2] == b"0123456789"
    client.close()


def test_who_breaks_off_leaves_nothing(shop):
    client = connect(shop)
    before = files_on_disk(shop)
    to, url = slot(client, "a.bin", 1 << 20)
    secure = shop.https.dial()
    secure.sendall(f"PUT {path(to)} HTTP/1.1\r\nHost: {shop.domain}\r\n"
                   f"Content-Length: {1 << 20}\r\n\r\n".encode() + b"x" * 100000)
    wait_until(lambda: any(f.endswith(".part") for f in files_on_disk(shop)))
    secure.close()
    wait_until(lambda: files_on_disk(shop) == before)
    assert get(shop, url)[0] == 404 and put(shop, to, b"x" * (1 << 20)) == 404
    quota = shop.ctl_json("upload", "quota", client.bare)
    assert (quota["files"], quota["bytes"], quota["promised"]) == (0, 0, 0)
    client.close()


def error_of(answer):
    error = answer.find("{jabber:client}error")
    return error.get("type"), xmpp.condition_of(error), error


def test_limits_are_told_in_the_words_of_the_specification(own_server):
    server = with_uploads(own_server, {"upload.size": "10 KiB", "upload.quota": "25 KiB",
                                       "upload.daily": "40 KiB", "upload.slots": "2"})
    client = connect(server)
    kind, condition, error = error_of(ask_slot(client, "a.bin", 10241))
    assert (kind, condition) == ("modify", "not-acceptable")
    assert error.findtext(f"{NS}file-too-large/{NS}max-file-size") == "10240"
    for name, size in (("a/b", 5), ("..", 5), ("", 5), ("a", 0)):
        assert error_of(ask_slot(client, name, size))[:2] == ("modify", "not-acceptable")
    bad = client.ask("get", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='-1'/>",
                     to=server.domain)
    assert error_of(bad)[1] == "bad-request"
    urls = [upload(server, client, "a.bin", os.urandom(10240)) for _ in range(2)]
    kind, condition, error = error_of(ask_slot(client, "a.bin", 10240))
    assert (kind, condition) == ("wait", "resource-constraint")
    # what an operator deletes makes room, but a day is a day
    server.ctl("upload", "delete", id_of(urls[0]), "--reason", "room")
    assert get(server, urls[0])[0] == 404
    urls.append(upload(server, client, "a.bin", os.urandom(10240)))
    server.ctl("upload", "delete", id_of(urls[1]), "--reason", "room")
    urls.append(upload(server, client, "a.bin", os.urandom(10240)))
    server.ctl("upload", "delete", id_of(urls[2]), "--reason", "room")
    kind, condition, error = error_of(ask_slot(client, "a.bin", 10))
    assert (kind, condition) == ("wait", "resource-constraint")
    assert error.find(NS + "retry").get("stamp").endswith("T00:00:00.000000Z")
    other = connect(server)  # another's day is his own
    slot(other, "a", 10), slot(other, "b", 10)
    kind, condition, error = error_of(ask_slot(other, "c", 10))
    assert (kind, condition) == ("wait", "resource-constraint")
    assert error.find(NS + "retry") is not None
    assert server.count("upload_slots_refused") == 8
    client.close(), other.close()


STANZA_TEXT = "{urn:ietf:params:xml:ns:xmpp-stanzas}text"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def test_refusals_are_in_the_readers_language(own_server):
    server = with_uploads(own_server, {"upload.size": "10 KiB", "upload.slots": "1"})
    name, = server.fresh_users(1)
    german = server.connect(name, lang="de")
    german.server_of = server
    german.online()
    english = connect(server)
    for client, lang, large, many in (
            (german, "de", "Eine Datei darf 1 bis 10240 Bytes haben.",
             "Sie haben viele Dateien angekündigt und noch nicht hochgeladen."),
            (english, "en", "A file may have 1 to 10240 bytes.",
             "You have asked for many files and not put them yet.")):
        text = error_of(ask_slot(client, "a.bin", 10241))[2].find(STANZA_TEXT)
        assert (text.text, text.get(LANG)) == (large, lang)
        to, url = slot(client, "photo.jpg", len(PROGRAM))
        text = error_of(ask_slot(client, "a.bin", 1))[2].find(STANZA_TEXT)
        assert (text.text, text.get(LANG)) == (many, lang)
        got = server.https.ask("PUT", path(to), PROGRAM, {"Accept-Language": lang})
        assert got[0] == 403 and got[1]["Content-Language"] == lang
        assert got[2].decode() == {
            "de": "Programme werden hier nicht angenommen, oder nicht unter einem solchen Namen.\n",
            "en": "Programs are not taken here, or not behind such a name.\n"}[lang]
        client.close()
    # pages that anybody may see
    for accepted, lang, said in (("de-CH, en;q=0.5", "de", "404 Nicht gefunden\n"),
                                 ("fr, de;q=0.2, en;q=0.1", "de", "404 Nicht gefunden\n"),
                                 ("de;q=0, en", "en", "404 Not Found\n"),
                                 ("fr", "en", "404 Not Found\n"), ("", "en", "404 Not Found\n"),
                                 ("\xff" * 40, "en", "404 Not Found\n")):
        status, headers, body = server.https.get("/nowhere", **{"Accept-Language": accepted})
        assert (status, headers["Content-Language"], body.decode()) == (404, lang, said), accepted
    status, headers, body = server.https.ask("DELETE", path(url), headers={"Accept-Language": "de"})
    assert status == 405 and "GET" in headers["Allow"] and body.decode() == "405 So nicht erlaubt\n"


def test_a_promise_ends(own_server):
    server = with_uploads(own_server, {"upload.slot_time": "1 s", "upload.slots": "1"})
    client = connect(server)
    to, _ = slot(client, "a.txt", 5)
    wait_until(lambda: put(server, to, b"hellohello"[:6]) == 404)
    assert put(server, to, b"hello") == 404
    slot(client, "a.txt", 5)
    client.close()


def test_only_own_people_get_slots_and_only_from_the_domain(shop):
    client = connect(shop)
    answer = client.ask("get", "<request xmlns='urn:xmpp:http:upload:0' filename='a' size='5'/>")
    assert answer.get("type") == "error"
    client.close()


# what happens to files

def test_files_and_their_figures_survive_a_restart_and_go_with_their_time(own_server):
    server = with_uploads(own_server)
    client = connect(server)
    url = upload(server, client, "a b.txt", b"hello")
    quota = server.ctl_json("upload", "quota", client.bare)
    assert (quota["files"], quota["bytes"], quota["files_today"]) == (1, 5, 1)
    client.close()
    for end in (server.stop, server.kill):
        end()
        # a file that nobody acknowledged, and one on its way
        for name in ("a" * 26, "b" * 26 + ".part"):
            with open(os.path.join(server.state, "uploads", name), "wb") as file:
                file.write(b"x")
        server.start()
        assert get(server, url)[2] == b"hello"
        assert files_on_disk(server) == [id_of(url)]
        assert server.ctl_json("upload", "quota", client.bare) == quota
    # expired: not given out at once, and deleted a little later
    server.stop()
    with sqlite3.connect(os.path.join(server.state, "firedoor.sqlite")) as db:
        assert db.execute("UPDATE upload SET expires_us = 1").rowcount == 1
    server.start()
    assert get(server, url)[0] == 404
    wait_until(lambda: files_on_disk(server) == [])
    assert server.ctl_json("upload", "list")["uploads"] == []


def test_an_account_that_is_deleted_takes_its_files_along(own_server):
    server = with_uploads(own_server)
    client, other = connect(server), connect(server)
    urls = [upload(server, c, "a.txt", b"hello") for c in (client, other)]
    client.close()
    server.ctl("user", "delete", client.bare, "--reason", "left")
    wait_until(lambda: get(server, urls[0])[0] == 404)
    assert get(server, urls[1])[0] == 200
    wait_until(lambda: files_on_disk(server) == [id_of(urls[1])])
    other.close()


def test_a_full_disk_refuses_files_and_nothing_else(own_server):
    server = with_uploads(own_server, {"upload.size": "10 MiB"}, start=False)
    folder = os.path.join(server.folder, "small")
    os.mkdir(folder)
    assert os.system(f"mount -t tmpfs -o size=1m tmpfs {folder}") == 0
    try:
        server.settings["upload.directory"] = folder
        server.start()
        client = connect(server)
        to, url = slot(client, "a.bin", 4 << 20)
        assert put(server, to, b"x" * (4 << 20)) == 507
        assert get(server, url)[0] == 404 and os.listdir(folder) == []
        small = upload(server, client, "b.bin", b"x" * 1000)  # there is room for it
        assert get(server, small)[0] == 200
        assert server.ctl_json("upload", "quota", client.bare)["promised"] == 0
        client.fence()
        client.close()
        server.check_healthy()
        assert server.stop() == 0
    finally:
        os.system(f"umount {folder}")


def test_a_store_without_room_takes_no_file(own_server):
    server = with_uploads(own_server, start=False)
    flag = os.path.join(server.folder, "state", "disk-is-full")
    server.settings["test.faults"] = f"full?{flag}"
    server.start()
    client = connect(server)
    to, url = slot(client, "a.txt", 5)
    with open(flag, "w", encoding="ascii"):
        pass
    assert put(server, to, b"hello") == 507
    assert get(server, url)[0] == 404 and files_on_disk(server) == []
    os.unlink(flag)
    wait_until(lambda: put(server, slot(client, "a.txt", 5)[0], b"hello") == 201)
    client.close()


# what is looked for in files

def test_a_disguised_program_is_refused_and_a_program_is_not(shop):
    client = connect(shop)
    for name in ("photo.jpg", "photo.jpg.exe", "holiday.pdf", "ann\u202egpj.exe"):
        to, url = slot(client, name, len(PROGRAM))
        assert put(shop, to, PROGRAM) == 403
        assert get(shop, url)[0] == 404
    url = upload(shop, client, "setup.exe", PROGRAM)
    shown = shop.ctl_json("upload", "show", id_of(url))
    assert shown["marks"] == "program" and shown["account"] == client.bare
    assert shown["sha256"] == hashlib.sha256(PROGRAM).hexdigest()
    assert shop.count("upload_refused_program") >= 4
    client.close()


def archive(*entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return out.getvalue()


def test_an_archive_is_looked_into(shop):
    client = connect(shop)
    url = upload(shop, client, "a.zip", archive(("a.txt", "x"), ("b.png", PNG)))
    assert shop.ctl_json("upload", "show", id_of(url))["marks"] == ""
    url = upload(shop, client, "b.zip", archive(("a.txt", "x"), ("bin/setup.exe", PROGRAM)))
    shown = shop.ctl_json("upload", "show", id_of(url))
    assert shown["marks"] == "program" and shown["finding"] == "bin/setup.exe"
    upload(shop, client, "c.zip", archive(("photo.jpg", PROGRAM)), status=403)
    client.close()


def nest(content, depth):
    for i in range(depth):
        content = archive((f"{i}.zip", content))
    return content


def test_archives_in_an_archive_are_looked_into(shop):
    client = connect(shop)
    inner = archive(("photo.jpg", PROGRAM))
    upload(shop, client, "a.zip", nest(inner, 1), status=403)
    upload(shop, client, "a.zip", nest(inner, 3), status=403)
    upload(shop, client, "a.zip", archive(("notes.txt", inner)), status=403)
    url = upload(shop, client, "b.zip", nest(archive(("b.png", PNG)), 3))
    assert shop.ctl_json("upload", "show", id_of(url))["marks"] == ""
    # deeper than that nobody knows what is in it, and that is said
    deep = nest(inner, 4)
    to, url = slot(client, "c.zip", len(deep))
    got = shop.https.ask("PUT", path(to), deep, {"Accept-Language": "de"})
    assert got[0] == 201 and "in ein Archiv darin konnte nicht hineingesehen werden" in got[2].decode()
    shown = shop.ctl_json("upload", "show", id_of(url))
    assert shown["marks"] == "suspect,nested"
    assert shown["finding"] == "0.zip in 1.zip in 2.zip in 3.zip"
    assert "marks=suspect,nested" in shop.log()
    client.close()


def test_what_is_not_looked_into_within_an_archive_is_refused_where_that_is_configured(own_server):
    server = with_uploads(own_server, {"upload.nested": "refuse", "upload.depth": 1})
    client = connect(server)
    upload(server, client, "a.zip", nest(archive(("b.png", PNG)), 1))
    upload(server, client, "a.zip", nest(archive(("b.png", PNG)), 2), status=415)
    upload(server, client, "a.zip", archive(("b.arj", b"x")), status=415)
    client.close()
    server = with_uploads(own_server, {"upload.nested": "pass"})
    client = connect(server)
    url = upload(server, client, "a.zip", archive(("b.arj", b"x")))
    assert server.ctl_json("upload", "show", id_of(url))["marks"] == "nested"
    client.close()


def test_an_incident_says_what_was_found_in_what(own_server):
    server = with_uploads(own_server, {"upload.depth": 1}, domain="one.test", domains=["two.test"])
    server.add_users(["ada", "bob"])
    server.add_users(["eve"], domain="two.test")
    ada, bob = server.connect("ada"), server.connect("bob")
    eve = server.connect("eve", domain="two.test")
    for one in (ada, bob, eve):
        one.online()
        one.server_of = server
    file = nest(archive(("b.png", PNG)), 2)
    url = upload(server, ada, "photos.zip", file)
    ada.send(f"<message type='chat' to='{bob.bare}' id='m'><body>{url}</body></message>")
    ada.send(f"<message type='chat' to='{eve.bare}' id='n'><body>{url}</body></message>")
    bob.wait_for(lambda e: is_message(e) and e.get("id") == "m")
    eve.wait_for(lambda e: is_message(e) and e.get("id") == "n")
    number = server.ctl_json("incident", "convict", url, "--reason", "a worm")["incident"]
    shown, = server.ctl_json("incident", "show", str(number))["files"]
    assert (shown["upload"], shown["account"], shown["name"], shown["size"]) == \
        (id_of(url), ada.bare, "photos.zip", len(file))
    assert "nested" in shown["marks"] and shown["finding"] == "0.zip in 1.zip"
    text = server.ctl("incident", "show", str(number))
    assert "photos.zip" in text and "nested; in it: 0.zip in 1.zip" in text, text
    # whose file it is not does not see what is in it
    others = server.ctl_json("incident", "show", str(number), "--domain", "two.test")
    assert others["files"] == [] and "0.zip" not in str(others)
    # when it is over and its keys are gone, too
    server.ctl("incident", "release", str(number), "--reason", "it was none")
    assert len(server.ctl_json("incident", "show", str(number))["files"]) == 1
    ada.close(), bob.close(), eve.close()


def test_an_administrator_sees_his_files_behind_any_number_of_others(own_server):
    server = with_uploads(own_server, domain="one.test", domains=["two.test"])
    server.add_users(["ada"])
    server.add_users(["eve"], domain="two.test")
    ada, eve = server.connect("ada"), server.connect("eve", domain="two.test")
    ada.server_of = eve.server_of = server
    for i in range(33):  # one more than are shown
        url = upload(server, ada, f"{i}.png", PNG)
    upload(server, eve, "hers.png", PNG)
    eve.online()
    ada.send(f"<message type='chat' to='{eve.bare}' id='m'><body>{url}</body></message>")
    eve.wait_for(lambda e: is_message(e) and e.get("id") == "m")
    number = str(server.ctl_json("incident", "convict", url, "--reason", "a worm")["incident"])
    assert len(server.ctl_json("incident", "show", number)["files"]) == 32
    hers, = server.ctl_json("incident", "show", number, "--domain", "two.test")["files"]
    assert (hers["account"], hers["name"]) == (eve.bare, "hers.png")
    ada.close(), eve.close()


def test_a_bomb_costs_little(own_server):
    server = with_uploads(own_server, {"upload.unpacked": "1 MiB"})
    client = connect(server)
    bomb = archive(*[(f"{i}.txt", b"\0" * (8 << 20)) for i in range(4)])
    url = upload(server, client, "a.zip", bomb)
    assert server.ctl_json("upload", "show", id_of(url))["size"] == len(bomb)
    assert server.rss_kib() < 1 << 20
    client.close()


def test_what_cannot_be_looked_into_is_refused(own_server):
    # so little time that nothing fits
    server = with_uploads(own_server, {"upload.inspection_time": "1 s", "upload.rules": "slow.yar"},
                          start=False)
    with open(os.path.join(server.folder, "slow.yar"), "w", encoding="ascii") as file:
        file.write("rule slow { condition: for all i in (0..999999999) : (for all j in "
                   "(0..999999999) : (uint8(0) == 0x78 or i + j > 0)) }\n")
    server.start()
    client = connect(server)
    upload(server, client, "a.txt", b"x" * 100, status=415)
    assert server.count("upload_refused_unread") == 1
    client.close()


def test_rules_of_the_operators(own_server):
    server = with_uploads(own_server, {"upload.rules": "rules"}, start=False)
    rules = os.path.join(server.folder, "rules")
    os.mkdir(rules)
    with open(os.path.join(rules, "a.yar"), "w", encoding="ascii") as file:
        file.write('rule kelvir { strings: $a = "kelvir" condition: $a }\n')
    with open(os.path.join(rules, "b.yara"), "w", encoding="ascii") as file:
        file.write('rule odd : suspect { strings: $a = "odd thing" condition: $a }\n')
    server.start()
    client = connect(server)
    upload(server, client, "a.txt", b"this is kelvir", status=403)
    url = upload(server, client, "a.txt", b"an odd thing")
    shown = server.ctl_json("upload", "show", id_of(url))
    assert (shown["marks"], shown["finding"]) == ("suspect", "odd")
    upload(server, client, "a.txt", b"nothing special")
    client.close()


def test_a_rule_that_does_not_compile_is_named_before_it_is_used(own_server):
    import subprocess
    server = with_uploads(own_server, {"upload.rules": "bad.yar"}, start=False)
    with open(os.path.join(server.folder, "bad.yar"), "w", encoding="ascii") as file:
        file.write("rule good { condition: true }\nrule bad { condition: nothing }\n")
    for more in (["--check"], []):
        got = subprocess.run(server.command() + more, capture_output=True, text=True, timeout=60,
                             cwd=server.folder)
        assert got.returncode != 0 and "bad.yar:2:" in got.stderr


def test_the_process_that_inspects_is_fenced_in(shop):
    with open(f"/proc/{shop.pid}/task/{shop.pid}/children", encoding="ascii") as file:
        helpers = [int(pid) for pid in file.read().split()]
    names = {}
    for pid in helpers:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            names[pid] = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    helper, = [s for s in names.values() if s["Name"] == "firedoor-look"]
    assert helper["NoNewPrivs"] == "1" and helper["Seccomp"] == "2"
    assert int(helper["CapEff"], 16) == 0
    # of the server's descriptors it has its socket and the log, no more
    pid, = [p for p, s in names.items() if s["Name"] == "firedoor-look"]
    assert sorted(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")) == [0, 1, 2, 3]


# the scanner

def incident(server):
    line, = server.ctl_json("incident", "list")["incidents"]
    return server.ctl_json("incident", "show", str(line["id"]))


def test_a_virus_is_refused_before_anybody_can_fetch_it(own_server, scanner):
    server = with_uploads(own_server, {"upload.scanner": scanner.start().socket})
    client = connect(server)
    url = upload(server, client, "notes.txt", b"harmless")
    assert get(server, url)[0] == 200
    to, url = slot(client, "notes.txt", len(clamd.EICAR))
    assert put(server, to, clamd.EICAR) == 403
    assert get(server, url)[0] == 404 and len(files_on_disk(server)) == 1
    wait_until(lambda: server.ctl_json("incident", "list")["incidents"] != [])
    shown = incident(server)
    assert shown["state"] == "convicted" and shown["kind"] == "file"
    assert shown["actor"] == "scanner" and "Eicar-Test-Signature" in shown["why"]
    content, = [e for e in shown["evidence"] if e["kind"] == "content"]
    assert content["nats"] >= 5
    # the same file in another wrapping is announced by its digest: it goes nowhere
    reader = connect(server)
    client.send(f"<message type='chat' to='{reader.bare}' id='m'><file-sharing "
                "xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'><name>x.txt</name>"
                "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>"
                + xmpp.b64(hashlib.sha256(clamd.EICAR).digest()) +
                "</hash></file></file-sharing></message>")
    answer = client.wait_for(lambda e: is_message(e) and e.get("id") == "m")
    assert answer.get("type") == "error"
    assert server.count("upload_refused_found") == 1 and server.count("upload_scans") >= 2
    client.close(), reader.close()


def test_a_scanner_that_is_away_refuses_or_lets_pass_as_configured(own_server, scanner):
    server = with_uploads(own_server, {"upload.scanner": scanner.socket})
    client, reader = online(server, 2)
    client.server_of = server
    upload(server, client, "a.txt", b"hello", status=503)
    assert "event=scanner-away" in server.log() and server.count("upload_refused_scanner_away") == 1
    server.settings["upload.scanner_away"] = "pass"
    server.stop()
    server.start()
    client, reader = online(server, 2)
    client.server_of = server
    harmless = upload(server, client, "a.txt", b"hello")
    virus = upload(server, client, "b.txt", clamd.EICAR)
    assert server.ctl_json("upload", "show", id_of(virus))["marks"] == "unscanned"
    assert server.count("upload_unscanned") == 2
    client.send(f"<message type='chat' to='{reader.bare}' id='v'><body>{virus}</body></message>")
    assert reader.wait_for(lambda e: e.get("id") == "v").get("type") == "chat"
    assert get(server, virus)[0] == 200
    # it comes back, and its word is heard late
    scanner.start()
    wait_until(lambda: get(server, virus)[0] == 410)
    wait_until(lambda: server.count("upload_unscanned") == 0)
    assert get(server, harmless)[0] == 200
    # who has got the link already is told not to open it
    told = reader.wait_for(lambda e: is_message(e) and e.find("{jabber:client}body") is not None
                           and e.get("id") != "v")
    assert "withdrawn" in told.findtext("{jabber:client}body")
    client.send(f"<message type='chat' to='{reader.bare}' id='w'><body>{virus}</body></message>")
    assert client.wait_for(lambda e: e.get("id") == "w").get("type") == "error"
    # and all of it is so after a kill
    server.kill()
    server.start()
    assert get(server, virus)[0] == 410 and get(server, harmless)[0] == 200
    # what an operator releases is given out again
    shown = incident(server)
    server.ctl("incident", "release", str(shown["id"]), "--reason", "a false alarm")
    wait_until(lambda: get(server, virus)[0] == 200)


def test_a_file_larger_than_the_scanner_takes(own_server, tmp_path):
    scanner = clamd.Clamd(str(tmp_path), most="1M").start()
    try:
        server = with_uploads(own_server, {"upload.scanner": scanner.socket})
        client = connect(server)
        upload(server, client, "a.bin", os.urandom(3 << 20), status=413)
        upload(server, client, "b.bin", os.urandom(100000))
        assert "event=scanner-takes-less" in server.log()
        client.close()
    finally:
        scanner.stop()


def test_a_stop_does_not_wait_for_a_scanner(own_server):
    import socket
    import threading
    silent = socket.create_server(("127.0.0.1", 0))
    server = with_uploads(own_server, {"upload.scanner": "127.0.0.1:%d" % silent.getsockname()[1],
                                       "upload.scanner_time": "10 min"})
    client = connect(server)
    to, _ = slot(client, "a.txt", 5)
    answered = []
    thread = threading.Thread(target=lambda: answered.append(
        server.https.raw(f"PUT {path(to)} HTTP/1.1\r\nHost: {server.domain}\r\n"
                         "Content-Length: 5\r\n\r\nhello".encode())))
    thread.start()
    peer, _ = silent.accept()
    assert server.stop() == 0  # within the minute that stop() gives
    thread.join()
    assert b" 201 " not in answered[0]
    peer.close()
    silent.close()


# convictions

def test_an_operator_convicts_a_file_by_its_link_and_releases_it(own_server):
    server = with_uploads(own_server)
    client, reader = online(server, 2)
    client.server_of = server
    content = b"holiday pictures"
    urls = [upload(server, client, f"a{i}.txt", content) for i in range(2)]
    other = upload(server, client, "b.txt", b"something else")
    client.send(f"<message type='chat' to='{reader.bare}' id='1'><body>look {urls[0]}</body>"
                f"<x xmlns='jabber:x:oob'><url>{urls[0]}</url></x></message>")
    assert reader.wait_for(lambda e: e.get("id") == "1").get("type") == "chat"
    server.ctl("incident", "convict", urls[0], "--reason", "a worm")
    # everywhere: the same file under another link too
    for url in urls:
        status, headers, body = get(server, url)
        assert status == 410 and b"attack" in body and content not in body
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "Angriff" in get(server, urls[0], **{"Accept-Language": "de-AT,de;q=0.8"})[2].decode()
    assert shown_language(server, urls[0]) == "de"
    assert server.https.ask("HEAD", path(urls[0]))[0] == 410
    assert get(server, urls[0], Range="bytes=0-3")[0] == 410
    tag = '"' + hashlib.sha256(content).hexdigest() + '"'
    assert get(server, urls[0], **{"If-None-Match": tag})[0] == 410
    assert get(server, other)[0] == 200
    # put again: refused; told again: refused, under whichever link
    upload(server, client, "c.txt", content, status=403)
    for i, url in enumerate(urls):
        client.send(f"<message type='chat' to='{reader.bare}' id='r{i}'><body>{url}</body></message>")
        assert client.wait_for(lambda e: e.get("id") == f"r{i}").get("type") == "error"
    told = reader.wait_for(lambda e: is_message(e) and e.get("id") != "1")
    assert told is not None
    assert server.count("upload_withheld") >= 4 and server.count("upload_refused_convicted") == 1
    server.kill()
    server.start()
    assert get(server, urls[1])[0] == 410
    shown = incident(server)
    assert shown["kind"] == "file"
    server.ctl("incident", "release", str(shown["id"]), "--reason", "it was honest")
    wait_until(lambda: get(server, urls[0])[::2] == (200, content))
    assert get(server, urls[1])[0] == 200
    client = connect(server)
    upload(server, client, "c.txt", content)
    client.close()


def shown_language(server, url):
    return get(server, url, **{"Accept-Language": "de-AT,de;q=0.8"})[1]["Content-Language"]


def test_a_worm_that_puts_its_file_anew_for_each_victim_is_one_worm(own_server):
    server = with_uploads(own_server, {"guard.mode": "on", "upload.daily_files": 1000})
    people = online(server, 30)
    payload = b"a payload that is the same wherever it goes" * 10
    for person in people:
        person.server_of = server
    urls = []
    for worm, targets in ((people[0], people[1:14]), (people[1], people[14:28])):
        to, url = slot(worm, f"pictures{len(urls)}.txt", len(payload))
        if put(server, to, payload) != 201:
            break
        urls.append(url)
        for target in targets:
            worm.send(f"<message type='chat' to='{target.bare}'><body>haha {url}</body></message>")
        settle(*people)
    shown = next(server.ctl_json("incident", "show", str(i["id"]))
                 for i in server.ctl_json("incident", "list")["incidents"])
    assert shown["state"] == "convicted" and shown["kind"] == "file"
    for url in urls:
        wait_until(lambda: get(server, url)[0] == 410)
    upload(server, people[29], "x.txt", payload, status=403)
    # our own host is not what was convicted: honest files go on
    honest = upload(server, people[29], "y.txt", b"minutes of the meeting")
    people[29].send(f"<message type='chat' to='{people[28].bare}' id='h'><body>{honest}</body>"
                    "</message>")
    assert people[28].wait_for(lambda e: e.get("id") == "h").get("type") == "chat"


def test_what_a_file_is_weighs_with_the_guard(own_server):
    server = with_uploads(own_server, {"upload.disguised": "mark"})
    client, reader = online(server, 2)
    client.server_of = server
    url = upload(server, client, "photo.jpg", PROGRAM)
    assert server.ctl_json("upload", "show", id_of(url))["marks"] == "program,disguised"
    client.send(f"<message type='chat' to='{reader.bare}' id='1'><body>{url}</body></message>")
    assert reader.wait_for(lambda e: e.get("id") == "1").get("type") == "chat"
    settle(client, reader)
    # somebody complains: now it is an incident, and its record shows what weighed
    reader.ask("set", "<block xmlns='urn:xmpp:blocking'><item jid='{}'><report "
               "xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>"
               .format(client.bare))
    settle(reader)
    lines = [server.ctl_json("incident", "show", str(i["id"]))
             for i in server.ctl_json("incident", "list")["incidents"]]
    file, = [i for i in lines if i["kind"] == "file"]
    content, = [e for e in file["evidence"] if e["kind"] == "content"]
    assert content["nats"] == 3


def test_an_offline_reader_does_not_get_what_was_convicted_meanwhile(own_server):
    server = with_uploads(own_server)
    client, reader = online(server, 2)
    client.server_of = server
    reader.close()
    url = upload(server, client, "a.txt", b"for later")
    client.send(f"<message type='chat' to='{reader.bare}' id='1'><body>{url}</body></message>")
    client.fence()
    server.ctl("incident", "convict", url, "--reason", "a worm")
    settle(client)
    later = server.connect(reader.user)
    later.online()
    settle(later)
    assert url not in "".join(xmpp.show(e) for e in later.drain())
    later.close()


# operators

def test_operators_list_show_and_delete(own_server):
    server = with_uploads(own_server)
    client, other = connect(server), connect(server)
    urls = {id_of(upload(server, c, f"{i}.txt", b"hello %d" % i)): c.bare
            for i, c in enumerate((client, client, other))}
    listed = server.ctl_json("upload", "list")
    assert {u["id"]: u["account"] for u in listed["uploads"]} == urls and not listed["more"]
    assert all(u["served"] for u in listed["uploads"])
    assert len(server.ctl_json("upload", "list", "--account", client.bare)["uploads"]) == 2
    first = listed["uploads"][0]["id"]
    assert len(server.ctl_json("upload", "list", "--after", first)["uploads"]) == 2
    server.ctl("upload", "delete", first, "--reason", "asked for")
    assert server.ctl("upload", "delete", first, check=False).returncode == 4
    assert server.ctl("upload", "show", first, check=False).returncode == 4
    assert server.ctl("upload", "quota", "nobody@" + server.domain, check=False).returncode == 4
    assert "upload delete" in server.ctl("audit", "list")
    status = server.ctl_json("upload", "status")
    assert status["files"] == 2 and status["scanner"] == "none"
    assert server.count("upload_files") == 2 and server.count("upload_stored") == 3
    client.close(), other.close()


@pytest.mark.parametrize("settings, said", [
    ({"upload.scanner": "localhost:3310"}, "upload.scanner"),
    ({"http.port": 0}, "upload.enabled"),
    ({"upload.rules": "nowhere.yar"}, "upload.rules"),
    ({"upload.origins": "chat.example.org"}, "upload.origins"),
    ({"upload.origins": "https://Chat.example.org/"}, "upload.origins"),
])
def test_settings_that_make_no_sense_are_named(own_server, settings, said):
    import subprocess
    server = with_uploads(own_server, settings, start=False)
    got = subprocess.run(server.command() + ["--check"], capture_output=True, text=True, timeout=60)
    assert got.returncode == 78 and said in got.stderr


def test_suspended_files_are_refused_at_every_door_and_people_read_which_and_until_when(own_server):
    server = with_uploads(own_server, {"guard.mode": "on"})
    client = connect(server)
    german = server.connect(server.fresh_users(1)[0], lang="de")
    german.server_of = server
    for one in (client, german):
        one.online()
    url = upload(server, client, "before.txt", b"text")
    until = server.ctl_json("suspend", "files", "--for", "2h", "--reason", "test")["expires"][:16]

    def refused(body, id="m", of=client, more=""):
        of.send(f"<message type='chat' to='{german.bare}' id='{id}'><body>{body}</body>{more}"
                "</message>")
        error = of.wait_for(lambda e: e.get("type") == "error").find("{jabber:client}error")
        assert xmpp.condition_of(error) == "policy-violation" and error.get("type") == "wait"
        return error.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text")

    def offered(one):
        error = ask_slot(one, "a.txt", 5).find("{jabber:client}error")
        assert xmpp.condition_of(error) == "policy-violation" and error.get("type") == "wait"
        return error.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text")

    words = offered(client)
    assert words.startswith("Files are switched off") and f"until {until}" in words, words
    words = offered(german)
    assert words.startswith("Dateien sind hier") and f"bis {until}" in words, words
    shown = ("<media-sharing xmlns='urn:xmpp:sims:1'><file xmlns='urn:xmpp:jingle:apps:"
             "file-transfer:5'><name>a.pdf</name><size>5</size></file></media-sharing>")
    for words in (refused("look: " + url), refused("look", more=shown)):
        assert "files are switched off" in words and "links" not in words, words
        assert f"until {until}" in words, words
    # links pass, and what is here already is given out
    client.send(f"<message type='chat' to='{german.bare}' id='l'><body>http://a.example/</body>"
                "</message>")
    assert german.wait_for(is_message).get("id") == "l"
    assert get(server, url)[0] == 200
    # both; the one that ends last is named
    later = server.ctl_json("suspend", "links", "--for", "3h", "--reason", "test")["expires"][:16]
    words = refused("look: " + url)
    assert "links and files are switched off" in words and f"until {later}" in words, words
    words = refused("look: http://a.example/")
    assert "links are switched off" in words and "files" not in words, words
    assert "Links sind hier" in refused("look: http://a.example/", of=german)
    # over a restart, and until it is over
    client.close()
    german.close()
    server.stop()
    server.start()
    client = connect(server)
    assert offered(client).startswith("Files are switched off")
    server.ctl("resume", "files")
    slot(client, "a.txt", 5)


# web clients (CORS)

def crossing(headers):
    return {k: v for k, v in headers.items()
            if k.startswith("Access-Control-") or k in ("Vary", "Cross-Origin-Resource-Policy")}


def ask(server, method, url, body=None, **headers):
    status, got, _ = server.https.ask(method, path(url), body,
                                      {k.replace("_", "-"): v for k, v in headers.items()})
    return status, got


def test_a_page_of_another_origin_may_put_and_fetch(shop):
    client = connect(shop)
    origin = "https://chat.elsewhere.example"
    to, url = slot(client, "a.txt", 5)
    status, got = ask(shop, "OPTIONS", to, Origin=origin, Access_Control_Request_Method="PUT",
                      Access_Control_Request_Headers="authorization,content-type")
    assert status == 204 and got["Access-Control-Allow-Origin"] == "*"
    assert set(got["Access-Control-Allow-Methods"].split(", ")) == {"GET", "HEAD", "PUT", "OPTIONS"}
    assert {"Authorization", "Content-Type"} <= set(got["Access-Control-Allow-Headers"].split(", "))
    assert int(got["Access-Control-Max-Age"]) > 0
    assert set(got["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "OPTIONS"}
    assert "Access-Control-Allow-Credentials" not in got
    status, got = ask(shop, "PUT", to, b"hello", Origin=origin)
    assert status == 201 and got["Access-Control-Allow-Origin"] == "*"
    status, got = ask(shop, "GET", url, Origin=origin)
    assert status == 200 and got["Access-Control-Allow-Origin"] == "*"
    assert "Content-Disposition" in got["Access-Control-Expose-Headers"]
    assert got["Cross-Origin-Resource-Policy"] == "cross-origin"
    # it is told of what goes wrong as well
    status, got = ask(shop, "PUT", to, b"hello", Origin=origin)
    assert status == 404 and got["Access-Control-Allow-Origin"] == "*"
    status, got = ask(shop, "POST", to, b"hello", Origin=origin)
    assert status == 405 and got["Access-Control-Allow-Origin"] == "*"
    # who is no page hears of none of this
    assert "Access-Control-Allow-Origin" not in get(shop, url)[1]
    # other pages of this server are nobody's
    status, got = ask(shop, "OPTIONS", "https://x/open/abc", Origin=origin)
    assert status == 405 and "Access-Control-Allow-Origin" not in got
    assert got["Cross-Origin-Resource-Policy"] == "same-origin"
    client.close()


@pytest.mark.parametrize("origins, origin, allowed", [
    ("https://chat.example.org, https://b.example:8443", "https://chat.example.org", True),
    ("https://chat.example.org, https://b.example:8443", "https://b.example:8443", True),
    ("https://chat.example.org, https://b.example:8443", "https://b.example", False),
    ("https://chat.example.org", "https://chat.example.org.evil.example", False),
    ("https://chat.example.org", "http://chat.example.org", False),
    ("https://chat.example.org", "null", False),
])
def test_only_named_origins_may(own_server, origins, origin, allowed):
    server = with_uploads(own_server, {"upload.origins": origins})
    client = connect(server)
    to, url = slot(client, "a.txt", 5)
    status, got = ask(server, "OPTIONS", to, Origin=origin, Access_Control_Request_Method="PUT")
    assert status == 204 and got.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    assert got["Vary"] == "Origin"
    assert ("Access-Control-Allow-Methods" in got) == allowed
    status, got = ask(server, "PUT", to, b"hello", Origin=origin)  # the browser's rule, not ours
    assert status == 201 and got.get("Access-Control-Allow-Origin") == (origin if allowed else None)
    client.close()


def test_without_origins_no_page_may(own_server):
    server = with_uploads(own_server, {"upload.origins": ""})
    client = connect(server)
    to, url = slot(client, "a.txt", 5)
    status, got = ask(server, "OPTIONS", to, Origin="https://a.example",
                      Access_Control_Request_Method="PUT")
    assert status == 405 and list(crossing(got)) == ["Cross-Origin-Resource-Policy"]
    assert got["Cross-Origin-Resource-Policy"] == "same-origin"
    assert put(server, to, b"hello") == 201
    client.close()

"""Protected links: what readers get, where it leads, and what stays as it was."""

import base64
import contextlib
import ctypes
import html
import os
import re
import secrets
import sqlite3
import time

import pytest

import https
import xmpp
from caps_test import with_features

OOB = "jabber:x:oob"
XHTML = "http://www.w3.org/1999/xhtml"


@pytest.fixture
def guarded(own_server):
    """guarded({...}): a server that protects links."""

    def make(settings=None, **options):
        return https.serve(own_server, {"links.protect": "true", "guard.mode": "on",
                                        **(settings or {})}, **options)

    return make


def fresh(path="page/1?q=a"):
    return f"http://{'h' + secrets.token_hex(5)}.example/{path}"


def online(one, n, **options):
    return xmpp.online(one, n, **options)


def is_message(element):
    return xmpp.local(element) == "message"


def text_of(element, name="body", ns="jabber:client"):
    found = element.find(f".//{{{ns}}}{name}")
    return None if found is None else "".join(found.itertext())


def say(sender, reader, inside, type="chat", id=None):
    """What the reader gets of it."""
    id = id or secrets.token_hex(4)
    sender.send(f"<message type='{type}' to='{reader.jid}' id='{id}'>{inside}</message>")
    return reader.wait_for(lambda e: is_message(e) and e.get("id") == id)


def base_of(one):
    return f"https://{one.domain}:{one.https.port}/open/"


def tokens_in(one, text):
    return re.findall(re.escape(base_of(one)) + r"([A-Za-z0-9_-]+)", text)


def path_in(one, text):
    found = tokens_in(one, text)
    assert len(found) == 1, text
    return "/open/" + found[0]


def leads_on(one, path, link, **headers):
    status, answer, body = one.https.get(path, **headers)
    assert (status, answer["Location"], body) == (303, link, b"")
    assert answer["Referrer-Policy"] == "no-referrer" and answer["Cache-Control"] == "no-store"


def test_off_means_untouched(own_server):
    one = https.serve(own_server)
    a, b = online(one, 2)
    link = fresh()
    assert text_of(say(a, b, f"<body>{link}</body>")) == link
    for client in (a, b):
        client.close()


def test_a_link_leads_through_our_page_wherever_it_stands(guarded):
    one = guarded({"links.allowed": "intra.example, docs.example"})
    a, b = online(one, 2)
    link = fresh()
    inside = (f"<subject>{link}</subject><body>look ({link}), https://intra.example/x "
              f"and https://a.docs.example/ but not https://notdocs.example/</body>"
              f"<body xml:lang='de'>schau {link}!</body>"
              f"<x xmlns='{OOB}'><url>{link}</url><desc>at {link}</desc></x>"
              "<html xmlns='http://jabber.org/protocol/xhtml-im'>"
              f"<body xmlns='{XHTML}'><p>see <a href='{link}'>{link}</a> <em>now</em> at {link}"
              f"<img src='{link}' alt='x'/></p></body></html>")
    got = say(a, b, inside)
    shown = xmpp.show(got)
    assert link not in shown and "notdocs" not in shown
    # the same link is the same token in each place
    tokens = set(tokens_in(one, shown))
    assert len(tokens) == 2
    body = text_of(got)
    assert re.fullmatch(r"look \(https://[^ ]+/open/[\w-]+\), https://intra.example/x and "
                        r"https://a.docs.example/ but not https://[^ ]+/open/[\w-]+", body), body
    german = [e for e in got.findall("{jabber:client}body")
              if e.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"]
    assert re.fullmatch(r"schau https://[^ ]+/open/[\w-]+!", german[0].text)
    assert path_in(one, text_of(got, "url", OOB)) == path_in(one, text_of(got, "subject"))
    leads_on(one, path_in(one, text_of(got, "subject")), link)
    assert one.count("links_protected") >= 9 and one.count("links_opened") == 1
    for client in (a, b):
        client.close()


@pytest.mark.parametrize("written, opened", [
    ("www.{h}.example/A", "http://www.{h}.example/A"),
    ("HTTPS://{h}.EXAMPLE/a?b=c#d", "https://{h}.example/a?b=c#d"),
    ("{h}.example/x", "http://{h}.example/x"),
    ("http://{h}.exa\u200bmple/x", "http://{h}.example/x"),
    ("see:http://{h}.example/x.", "http://{h}.example/x"),
    ("http://{h}.example\\x", "http://{h}.example/x"),
    ("(http://{h}.example/a_(b))", "http://{h}.example/a_(b)"),
    ("http://{h}.example/\u00e9?\u00fc", "http://{h}.example/%C3%A9?%C3%BC"),
    ("ftp://{h}.example/f", "ftp://{h}.example/f"),
])
def test_odd_spellings_lead_through_our_page_too(guarded_once, written, opened):
    one, a, b = guarded_once
    host = "h" + secrets.token_hex(5)
    body = written.replace("{h}", host).replace("&", "&amp;")
    got = text_of(say(a, b, f"<body>{body}</body>"))
    assert host not in got.lower(), got
    leads_on(one, path_in(one, got), opened.replace("{h}", host))


@pytest.fixture(scope="module")
def guarded_once():
    import server as servers
    made = []

    def make(settings, **options):
        made.append(servers.make(settings, **options).start())
        return made[-1]

    one = https.serve(make, {"links.protect": "true", "guard.mode": "on"})
    a, b = online(one, 2)
    try:
        yield one, a, b
        one.check_healthy()
    finally:
        for client in (a, b):
            client.close()
        one.remove()


# an OpenPGP signature of a text: version 4, Ed25519, SHA-256
SIGNATURE = base64.b64encode(bytes.fromhex("885e040116080006050265000000000a0910") + bytes(78)).decode()
SIGNED = f"<x xmlns='jabber:x:signed'>\n{SIGNATURE[:64]}\n{SIGNATURE[64:]}\n=abcd\n</x>"


@pytest.mark.parametrize("mark", [
    "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
    "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/>"
    "<payload>c2VjcmV0</payload></encrypted>",
    "<encrypted xmlns='urn:xmpp:omemo:2'/>",
    "<encryption xmlns='urn:xmpp:eme:0'/>",
    "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:otr:0'/>",
    "<openpgp xmlns='urn:xmpp:openpgp:0'>c2lnbmVk</openpgp>",
    "<x xmlns='jabber:x:encrypted'>hQEMA6+cc2Vj</x>",
    "<envelope xmlns='urn:xmpp:sce:1'/>",
    "<x xmlns='jabber:x:signed'/>",
    SIGNED,  # for a client that does not look at signatures
])
def test_what_a_message_calls_itself_does_not_keep_its_links_bare(guarded_once, mark):
    one, a, b = guarded_once
    link = fresh()
    got = say(a, b, f"<body>look: {link}</body>{mark}")
    assert link not in xmpp.show(got)
    leads_on(one, path_in(one, text_of(got)), link)
    # what is encrypted in it is as it was
    assert re.sub(r"\s", "", xmpp.show(got)).count("c2VjcmV0") == mark.count("c2VjcmV0")
    assert xmpp.show(got).count("hQEMA6+cc2Vj") == mark.count("hQEMA6+cc2Vj")


def test_what_is_encrypted_in_the_body_is_left_alone(guarded_once):
    _, a, b = guarded_once
    for text in ("?OTR:AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA1g5IjD1ZGLDVQEyCgCyn9hb==.", "aGVsbG8gd29ybGQ="):
        mark = "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:otr:0'/>"
        assert text_of(say(a, b, f"<body>{text}</body>{mark}")) == text
    # and so are mail addresses and other programs' addresses
    for text in ("romeo@h.example", "xmpp:a@h.example", "magnet:?xt=a"):
        assert text_of(say(a, b, f"<body>{text}</body>")) == text


def test_a_signed_text_is_left_alone_for_who_looks_at_signatures(guarded_once):
    one, a, _ = guarded_once
    b = with_features(one, ["jabber:x:signed", "urn:xmpp:ping"])
    link = fresh()
    assert text_of(say(a, b, f"<body>{link}</body>{SIGNED}")) == link
    # what is empty, cut short, or something else signs nothing
    for bad in ("", "aa", SIGNATURE[:40], SIGNATURE + "AAAA", "=abcd", "x" * 50000,
                base64.b64encode(b"\x84" + base64.b64decode(SIGNATURE)[1:]).decode()):
        got = text_of(say(a, b, f"<body>{link}</body><x xmlns='jabber:x:signed'>{bad}</x>"))
        assert path_in(one, got), bad
    b.close()


def test_what_calls_itself_encrypted_is_judged_like_any(guarded):
    one = guarded()
    a, b = online(one, 2)
    link = fresh()
    one.ctl("incident", "convict", link, "--reason", "test")
    for mark in ("<encryption xmlns='urn:xmpp:eme:0'/>", SIGNED,
                 "<encrypted xmlns='urn:xmpp:omemo:2'><payload>c2VjcmV0</payload></encrypted>"):
        a.send(f"<message type='chat' to='{b.jid}' id='m'><body>{link}</body>{mark}</message>")
        error = a.wait_for(lambda e: is_message(e) and e.get("type") == "error")
        assert error.find(".//{urn:ietf:params:xml:ns:xmpp-stanzas}policy-violation") is not None
    b.fence()
    assert not [e for e in b.drain() if is_message(e) and text_of(e) and link in text_of(e)]
    for client in (a, b):
        client.close()


def test_what_counts_characters_of_the_body_is_moved(guarded_once):
    one, a, b = guarded_once
    link = fresh("x")
    quoted = f"at {link}\n"
    body = f"{quoted}\u00e9t\u00e9 @romeo"
    at = len(quoted) + 4
    got = say(a, b, f"<body>{body}</body>"
              f"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' "
              f"end='{len(quoted)}'/></fallback><reference xmlns='urn:xmpp:reference:0' "
              f"begin='{at}' end='{at + 6}' type='mention' uri='xmpp:romeo@x.example'/>")
    new = text_of(got)
    fallback = got.find(".//{urn:xmpp:fallback:0}body")
    assert fallback.get("start") == "0"
    assert new[int(fallback.get("end")):] == "\u00e9t\u00e9 @romeo"
    mention = got.find("{urn:xmpp:reference:0}reference")
    assert new[int(mention.get("begin")):int(mention.get("end"))] == "@romeo"


def test_archive_carbons_offline_and_corrections_show_the_protected_link(guarded):
    one = guarded()
    a, b = online(one, 2)
    second = one.connect(b.user, "second")
    second.online()
    second.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    mine = one.connect(a.user, "second")
    mine.online()
    mine.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    link, better = fresh(), fresh()
    first = text_of(say(a, b, f"<body>{link}</body>", id="m1"))
    assert path_in(one, first)
    carbon = second.wait_for(lambda e: e.find("{urn:xmpp:carbons:2}received") is not None)
    assert text_of(carbon) == first
    # the author reads what he wrote
    carbon = mine.wait_for(lambda e: e.find("{urn:xmpp:carbons:2}sent") is not None)
    assert text_of(carbon) == link
    corrected = say(a, b, f"<body>{better}</body><replace xmlns='urn:xmpp:message-correct:0' "
                    "id='m1'/>")
    leads_on(one, path_in(one, text_of(corrected)), better)

    def archive(client):
        client.drain()
        client.ask("set", "<query xmlns='urn:xmpp:mam:2'/>")
        return [text_of(e) for e in client.drain()
                if e.find("{urn:xmpp:mam:2}result") is not None]

    page = archive(b)
    assert [path_in(one, body) for body in page] == [path_in(one, first),
                                                      path_in(one, text_of(corrected))]
    assert archive(a) == [link, better]
    # the record keeps what was written
    with sqlite3.connect(os.path.join(one.state, "firedoor.sqlite")) as db:
        rows = [str(row) for row in db.execute("select * from message")]
    assert sum(link in row for row in rows) >= 2 and not any("/open/" in row for row in rows)

    second.close()
    b.close()
    late = fresh()
    a.send(f"<message type='chat' to='{b.bare}'><body>{late}</body></message>")
    a.fence()
    b = one.connect(b.user)
    b.online()
    got = b.wait_for(lambda e: is_message(e) and text_of(e))
    leads_on(one, path_in(one, text_of(got)), late)
    for client in (a, b, mine):
        client.close()


@pytest.mark.threads
def test_a_convicted_link_is_blocked_however_it_was_reached(guarded):
    one = guarded()
    a, b, c = online(one, 3)
    link = fresh("album.php")
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    named = fresh(f"for/{b.user}/x.php")  # a template with the victim's name in it
    host = named.split("/")[2]
    named_path = path_in(one, text_of(say(a, b, f"<body>{named}</body>")))
    leads_on(one, path, link)
    one.ctl("incident", "convict", link, "--reason", "test")
    one.ctl("incident", "convict", f"http://{host}/for/{c.user}/x.php", "--reason", "test")
    status, headers, body = one.https.get(path)
    assert status == 403 and "Location" not in headers and b"This link was stopped" in body
    assert link.encode() not in body
    status, headers, body = one.https.get(path, **{"Accept-Language": "fr;q=1, de;q=0.9, en;q=0.1"})
    assert status == 403 and "Dieser Link wurde gesperrt".encode() in body
    assert b'<html lang="de">' in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert one.https.ask("HEAD", path)[0] == 403
    assert one.https.get(named_path)[0] == 403
    assert one.count("links_blocked") == 4
    # released, it leads on again
    incidents = one.ctl_json("incident", "list")
    for incident in incidents["incidents"] if isinstance(incidents, dict) else incidents:
        one.ctl("incident", "release", str(incident.get("incident", incident.get("id"))),
                "--reason", "test")
    leads_on(one, path, link)
    for client in (a, b, c):
        client.close()


def test_a_suspected_link_wants_a_click(guarded):
    one = guarded()
    a, b, c = online(one, 3)
    link = fresh("pay?a=b&c=d")
    path = path_in(one, text_of(say(a, b, f"<body>{html.escape(link)}</body>")))
    leads_on(one, path, link)
    b.ask("set", "<block xmlns='urn:xmpp:blocking'><item jid='" + a.bare + "'>"
          "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>")
    b.fence()
    status, headers, body = one.https.get(path)
    page = body.decode()
    assert status == 200 and "Be careful with this link" in page
    assert html.escape(link) in page
    assert "Location" not in headers and "<script" not in page and "http-equiv" not in page
    go = re.search(r'href="(/open/[^"]+\?go=[^"]+)"', page).group(1)
    assert go.startswith(path)
    leads_on(one, go, link)
    # a permit is for its own link, and nobody makes one himself
    other = path_in(one, text_of(say(a, c, f"<body>{html.escape(link)}2</body>")))
    permit = go.split("?go=")[1]
    until, mac = permit.split("-")
    for bad in (f"{other}?go={permit}", f"{path}?go=1", f"{path}?go={int(until) + 9}-{mac}",
                f"{path}?go={until}-{'0' * 32}", f"{path}?go=0-{mac}", f"{path}?go="):
        assert one.https.get(bad)[0] == 200, bad
    # what is convicted meanwhile is not gone on to
    one.ctl("incident", "convict", link, "--reason", "test")
    assert one.https.get(go)[0] == 403
    assert one.count("links_warned") == 7
    for client in (a, b, c):
        client.close()


def test_nobody_else_makes_a_link_that_leads_anywhere(guarded_once):
    one, a, b = guarded_once
    link = fresh()
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    token = path.split("/")[-1]
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    forged = ["", "x", token[:-1], token + "A", token + "=", "A" * 200, "%41" + token,
              "..", token + "/", token + ".", link,
              base64.urlsafe_b64encode(b"\0" * 300).decode().rstrip("=")]
    for at in (0, 3, 4, 27, 28, 40, len(raw) - 1):
        changed = bytearray(raw)
        changed[at] ^= 1
        forged.append(base64.urlsafe_b64encode(changed).decode().rstrip("="))
    before = one.count("links_opened")
    for one_forged in forged:
        status, headers, _ = one.https.get("/open/" + one_forged)
        # "%41" is decoded: another spelling of "A", so of another token
        assert status in (400, 404) and "Location" not in headers, one_forged
    assert one.https.ask("POST", path, b"x")[0] == 405
    assert one.count("links_opened") == before
    leads_on(one, path, link)


def test_who_ends_his_side_behind_his_request_gets_the_late_answer(guarded_once):
    one, a, b = guarded_once
    link = fresh()
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    request = f"GET {path} HTTP/1.1\r\nHost: {one.domain}\r\n\r\n".encode()
    said = one.https.half_closed(request)
    assert said.startswith(b"HTTP/1.1 303 ") and said.count(b"HTTP/1.1 ") == 1
    assert f"\r\nLocation: {link}\r\n".encode() in said
    assert b"\r\nConnection: close\r\n" in said
    # half a request is none, and what came behind one is not answered
    assert one.https.half_closed(request[:-2]) == b""
    assert one.https.half_closed(request * 2).count(b"HTTP/1.1 ") == 1
    wait_until_closed(one)


def wait_until_closed(one):
    until = time.monotonic() + xmpp.PATIENCE
    while one.count("http_connections") > 0:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_some_people_alone_are_protected_or_spared(own_server):
    one = https.serve(own_server, {"guard.mode": "on", "links.people": "judy@firedoor.test, "
                                   "zoe@firedoor.test"}, start=False)
    one.start()
    one.add_users(["adam", "judy", "mike"])
    a, b, c = (one.connect(name) for name in ("adam", "judy", "mike"))
    for client in (a, b, c):
        client.send("<presence/>")
        client.fence()
    link = fresh()
    assert tokens_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    assert text_of(say(a, c, f"<body>{link}</body>")) == link
    # a reload moves people, here from the file of settings to none, and the other way round
    for client in (a, b, c):
        client.close()
    one.stop()
    one.settings.update({"links.protect": "true", "links.people": "",
                         "links.spared": "judy@firedoor.test"})
    one.start()
    a, b, c = (one.connect(name) for name in ("adam", "judy", "mike"))
    for client in (a, b, c):
        client.send("<presence/>")
        client.fence()
    assert text_of(say(a, b, f"<body>{link}</body>")) == link
    assert tokens_in(one, text_of(say(a, c, f"<body>{link}</body>")))
    for client in (a, b, c):
        client.close()


@pytest.mark.parametrize("key, value", [("links.people", "Judy@firedoor.test"),
                                        ("links.people", "judy@elsewhere.example"),
                                        ("links.spared", "judy")])
def test_people_that_are_no_accounts_are_named(own_server, key, value):
    import subprocess
    one = https.serve(own_server, {key: value}, start=False)
    got = subprocess.run(one.command() + ["--check"], capture_output=True, text=True, timeout=60,
                         cwd=one.folder)
    assert got.returncode != 0 and key in got.stderr


def test_an_opening_is_evidence(guarded):
    """Who opened what he was shown, and then sent it on, is a stronger relay."""
    one = guarded()
    weights = []
    for opens in (False, True):
        a, b, c = online(one, 3)
        link = fresh("album.php")
        shown = text_of(say(a, b, f"<body>{link}</body>"))
        one.https.ask("HEAD", path_in(one, shown))  # a look at the head is none
        if opens:
            leads_on(one, path_in(one, shown), link)
        say(b, c, f"<body>{shown}</body>")
        number = one.ctl_json("incident", "convict", link, "--reason", "test")["incident"]
        story = one.ctl_json("incident", "show", str(number))
        found = [e for e in story["evidence"] if e["kind"] == "opening"]
        assert [(e["nats"], e["who"]) for e in found] == ([(0.84, b.bare)] if opens else [])
        weights.append(story["sum"]["relays"])
        for client in (a, b, c):
            client.close()
    assert weights[1] - weights[0] == pytest.approx(0.84)
    # it is in the log: a killed server knows it
    one.kill()
    one.start()
    story = one.ctl_json("incident", "show", str(number))
    assert any(e["kind"] == "opening" for e in story["evidence"])


def test_a_protected_link_sent_on_is_judged_by_where_it_leads(guarded):
    one = guarded()
    a, b, c, d = online(one, 4)
    link = fresh("album.php")
    shown = text_of(say(a, b, f"<body>{link}</body>"))
    again = text_of(say(b, c, f"<body>look: {shown}</body>"))
    # protected once, not twice, and for the new reader
    leads_on(one, path_in(one, again), link)
    with sqlite3.connect(os.path.join(one.state, "firedoor.sqlite")) as db:
        rows = [str(row) for row in db.execute("select * from message")]
    assert not any("/open/" in row for row in rows)
    # who reports it shows what he sees
    assert one.ctl_json("link", "show", shown)["link"] == link
    assert one.ctl("link", "show", base_of(one) + "x", check=False).returncode != 0
    incident = str(one.ctl_json("incident", "convict", shown, "--reason", "test")["incident"])
    for spelling in (shown, shown.upper().replace(path_in(one, shown).upper(), path_in(one, shown)),
                     shown + "?go=1", shown + "#x", shown.replace("https://", "https://x@")):
        id = secrets.token_hex(4)
        c.send(f"<message type='chat' to='{d.jid}' id='{id}'><body>{spelling}</body></message>")
        got = c.wait_for(lambda e: e.get("id") == id)
        assert got.get("type") == "error", spelling
    tree = one.ctl("incident", "show", incident)
    assert b.bare in tree and c.bare in tree
    d.fence()
    for client in (a, b, c, d):
        client.close()


def test_tokens_outlive_a_restart_and_a_kill_but_not_their_time(guarded):
    one = guarded({"links.valid": "1 h"})
    a, b = online(one, 2)
    link = fresh()
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    keys = os.path.join(one.state, "links.keys")
    assert os.stat(keys).st_mode & 0o777 == 0o600
    for client in (a, b):
        client.close()
    one.stop()
    one.start()
    leads_on(one, path, link)
    one.kill()
    one.start()
    leads_on(one, path, link)
    # a key with a successor still opens what it sealed
    one.stop()
    with open(keys, encoding="ascii") as file:
        number, _, secret = file.read().split()
    with open(keys, "w", encoding="ascii") as file:
        file.write(f"{number} 1000000 {secret}\n")
    one.start()
    leads_on(one, path, link)
    with open(keys, encoding="ascii") as file:
        lines = file.read().splitlines()
    assert len(lines) == 2 and lines[1].split()[2] == secret
    # a file that was spoilt is not replaced in silence
    one.stop()
    with open(keys, "w", encoding="ascii") as file:
        file.write("nothing\n")
    with pytest.raises(AssertionError, match="no keys of protected links"):
        one.start()
    one.process = None
    os.remove(keys)
    one.start()
    assert one.https.get(path)[0] == 404


def test_it_needs_no_store(guarded):
    one = guarded()
    a, b = online(one, 2)
    link = fresh()
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    # somebody holds the database for himself: nothing can be written
    with sqlite3.connect(os.path.join(one.state, "firedoor.sqlite"), isolation_level=None) as db:
        db.execute("begin exclusive")
        for _ in range(5):
            leads_on(one, path, link)
        db.execute("rollback")
    for client in (a, b):
        client.close()


PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


@contextlib.contextmanager
def stopped(one, name):
    """One thread of the server stands still: ptrace stops a thread where a signal stops all."""
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    tasks = f"/proc/{one.pid}/task"
    [thread] = [int(t) for t in os.listdir(tasks)
                if open(f"{tasks}/{t}/comm", encoding="ascii").read().strip() == name]
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        assert ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH, thread, None, None)


@pytest.mark.parametrize("unsure, status", [("open", 303), ("closed", 503)])
def test_a_guard_that_does_not_answer_does_not_stop_the_work(guarded, unsure, status):
    one = guarded({"links.unsure": unsure, "links.answer_time": "200 ms"})
    a, b = online(one, 2)
    link, bad = fresh(), fresh()
    path = path_in(one, text_of(say(a, b, f"<body>{link}</body>")))
    bad_path = path_in(one, text_of(say(a, b, f"<body>{bad}</body>")))
    one.ctl("incident", "convict", bad, "--reason", "test")
    with stopped(one, "guard"):
        got, headers, body = one.https.get(path)
        assert got == status and headers["Location"] == (link if status == 303 else None)
        assert status == 303 or b"cannot be checked at the moment" in body
        # what is convicted is known without asking
        assert one.https.get(bad_path)[0] == 403
        # who leaves while the guard is asked harms nobody
        with one.https.dial() as secure:
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {one.domain}\r\n\r\n".encode())
    leads_on(one, path, link)
    assert one.count("links_unsure") >= 1
    for client in (a, b):
        client.close()


def test_what_is_too_long_for_a_token_is_no_way_around(guarded_once):
    one, a, b = guarded_once
    host = "h" + secrets.token_hex(5)
    got = text_of(say(a, b, f"<body>http://{host}.example/" + "\u20ac" * 1300 + "</body>"))
    assert host not in got
    assert one.https.get("/open/" + got.split("/open/")[1].split()[0])[0] == 404
    # the longest that fits opens
    long = f"http://{host}.example/" + "x" * 3900
    got = text_of(say(a, b, f"<body>{long}</body>"))
    leads_on(one, path_in(one, got), long)


def test_domains_have_their_own_say_and_a_reload_changes_it(own_server):
    one = https.serve(own_server, {"domains.two.test.links": "true"}, domains=["two.test"],
                      start=False)
    one.start()
    a, b = online(one, 2)
    link = fresh()
    assert text_of(say(a, b, f"<body>{link}</body>")) == link
    one.import_accounts(["juliet"], domain="two.test")
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write("links: { protect = true; };\n")
    one.ctl("reload")
    until = time.monotonic() + xmpp.PATIENCE
    while link in text_of(say(a, b, f"<body>{link}</body>")):
        assert time.monotonic() < until
    for client in (a, b):
        client.close()

"""Decoys: contacts that no human talks to, which nothing tells from people.

A worm's author has read our source.  So a decoy and a colleague are asked everything that one may
ask, side by side, and every answer must be the same.  Here people's clients answer by themselves,
as real ones do, each on a thread of its own.
"""

import base64
import hashlib
import re
import threading
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

import pytest
import xmpp
from ctl_test import FAILED, MISSING, USAGE
from notices_test import store

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
RECEIPTS = "urn:xmpp:receipts"
CAPS = ("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://chatter.example' "
        "ver='q07IKJEyjvHSyhy//CH0CxmKi8w='/>")
QUICK = {"decoys.look": "1 s", "guard.mode": "on"}


class Chatter(threading.Thread):
    """Somebody's client: it is there, and answers by itself what clients answer."""

    def __init__(self, server, name, resource, version="4.2", show=""):
        super().__init__(daemon=True)
        self.client = server.connect(name, resource)
        self.version, self.got, self.over = version, [], threading.Event()
        self.client.ask("get", "<query xmlns='jabber:iq:roster'/>")
        self.client.send(f"<presence>{show}<priority>5</priority>{CAPS}"
                         "<x xmlns='vcard-temp:x:update'><photo/></x>"
                         "<status>at my desk</status></presence>")
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                stanza = self.client.stanza(0.2)
            except (TimeoutError, xmpp.Closed, OSError, ValueError):
                continue
            self.got.append(stanza)
            try:
                self.react(stanza)
            except (OSError, xmpp.Closed):
                return

    def react(self, stanza):
        asker = quoteattr(stanza.get("from", ""))
        if xmpp.local(stanza) == "iq" and stanza.get("type") in ("get", "set"):
            kind, inner = self.answer(stanza)
            self.client.send(f"<iq to={asker} id={quoteattr(stanza.get('id'))} type='{kind}'>"
                             f"{inner}</iq>")
        elif xmpp.local(stanza) == "message" and stanza.get("type") != "error" and \
                stanza.find(f"{{{RECEIPTS}}}request") is not None:
            kind = stanza.get("type")
            kind = f"type='{kind}'" if kind else ""
            self.client.send(f"<message to={asker} id='r{len(self.got)}' {kind}><received "
                             f"xmlns='{RECEIPTS}' id={quoteattr(stanza.get('id'))}/></message>")

    def answer(self, stanza):
        asked = stanza[0]
        is_get = stanza.get("type") == "get"
        echo = ET.tostring(asked, encoding="unicode")
        node = asked.get("node")
        if is_get and asked.tag == f"{{{INFO}}}query":
            if node and node != "https://chatter.example#q07IKJEyjvHSyhy//CH0CxmKi8w=":
                return "error", echo + ("<error type='cancel'><item-not-found xmlns="
                                        f"'{xmpp.NS_STANZA_ERRORS}'/></error>")
            name = f" node={quoteattr(node)}" if node else ""
            return "result", (f"<query xmlns='{INFO}'{name}><identity category='client' type='pc' "
                              "name='Chatter'/>" + "".join(f"<feature var='{f}'/>" for f in (
                                  INFO, "jabber:iq:version", "urn:xmpp:ping", RECEIPTS)) +
                              "</query>")
        if is_get and asked.tag == "{jabber:iq:version}query":
            return "result", ("<query xmlns='jabber:iq:version'><name>Chatter</name><version>"
                              f"{self.version}</version><os>Windows 2000</os></query>")
        if is_get and asked.tag == "{urn:xmpp:ping}ping":
            return "result", ""
        if is_get and asked.tag == "{jabber:iq:last}query":
            return "result", f"<query xmlns='jabber:iq:last' seconds='{len(self.got) % 50}'/>"
        if is_get and asked.tag == "{urn:xmpp:time}time":
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            return "result", ("<time xmlns='urn:xmpp:time'><tzo>+01:00</tzo>"
                              f"<utc>{now}</utc></time>")
        condition = "feature-not-implemented" if is_get else "not-allowed"
        return "error", echo + (f"<error type='cancel'><{condition} "
                                f"xmlns='{xmpp.NS_STANZA_ERRORS}'/></error>")

    def close(self):
        self.over.set()
        self.join()
        self.client.close()


def befriend(server, *names):
    jids = [f"{n}@{server.domain}" for n in names]
    for one in jids:
        for other in jids:
            if one != other:
                server.ctl("roster", "add", one, other, "--subscription", "both")


def presence_of(client, bare, kind=None, timeout=120):
    return client.wait_for(lambda s: xmpp.local(s) == "presence" and s.get("type") == kind and
                           (s.get("from") or "").split("/")[0] == bare, timeout)


class Town:
    """A decoy, three people whose clients chat, and one whose client a worm has."""

    def __init__(self, server):
        self.server = server
        self.names = ["ann.bell", "carl.dorn", "eve.fox"]
        server.add_users([*self.names, "zero", "decoy", "gone", "stranger"])
        self.decoy, self.gone = f"decoy@{server.domain}", f"gone@{server.domain}"
        self.real = f"{self.names[0]}@{server.domain}"
        befriend(server, "zero", *self.names)
        for name in ("decoy", "gone"):
            befriend(server, "zero", name)
        server.ctl("decoy", "add", self.decoy)
        self.chatters = [Chatter(server, name, f"Chatter.{i}xK{i}9")
                         for i, name in enumerate(self.names)]
        self.zero = server.connect("zero", "worm")
        self.zero.online()

    def close(self):
        for chatter in self.chatters:
            chatter.close()
        self.zero.close()


@pytest.fixture
def town(own_server):
    made = []

    def make(settings=None):
        made.append(Town(own_server({**QUICK, **(settings or {})})))
        return made[-1]

    yield make
    for one in made:
        one.close()


# what differs by its nature: addresses, ids, times

def plain(stanza, bare, full):
    text = ET.tostring(stanza, encoding="unicode")
    for address, word in ((full, "FULL"), (bare, "BARE"), (bare.split("@")[0] + "@", "LOCAL@")):
        text = text.replace(address, word)
    text = re.sub(r"(\bid|\bstamp|\bqueryid)=\"[^\"]*\"", r"\1=''", text)
    text = re.sub(r"seconds=\"\d+\"", "seconds=''", text)
    text = re.sub(r"\bver=\"\d+\"", "ver=''", text)  # of the roster
    text = re.sub(r"<[^<]*status>[^<]*</[^>]*>", "", text)  # a person's own words
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)


PAYLOADS = [
    f"<query xmlns='{INFO}'/>", f"<query xmlns='{INFO}' node='what'/>",
    f"<query xmlns='{INFO}' node='https://chatter.example#q07IKJEyjvHSyhy//CH0CxmKi8w='/>",
    f"<query xmlns='{ITEMS}'/>", f"<query xmlns='{ITEMS}' node='what'/>",
    "<query xmlns='jabber:iq:version'/>", "<ping xmlns='urn:xmpp:ping'/>",
    "<query xmlns='jabber:iq:last'/>", "<time xmlns='urn:xmpp:time'/>", "<vCard xmlns='vcard-temp'/>",
    "<query xmlns='jabber:iq:roster'/>", "<query xmlns='jabber:iq:private'><a xmlns='b'/></query>",
    "<blocklist xmlns='urn:xmpp:blocking'/>", "<query xmlns='urn:xmpp:mam:2'/>",
    "<prefs xmlns='urn:xmpp:mam:2'/>", "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>",
    "<command xmlns='http://jabber.org/protocol/commands' node='x' action='execute'/>",
    "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='a'/>",
    "<open xmlns='http://jabber.org/protocol/ibb' sid='a' block-size='10'/>",
    "<query xmlns='jabber:iq:register'/>", "<query xmlns='urn:nobody:knows'><a>b</a></query>",
    "<enable xmlns='urn:xmpp:carbons:2'/>", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>",
    "<query xmlns='jabber:iq:oob'/>", "<data xmlns='urn:xmpp:bob' cid='sha1+1@bob.xmpp.org'/>",
]


def answers(client, bare, full):
    """Everything that somebody may ask of an address, and what comes back."""
    got = []
    for to in (bare, full, bare + "/nowhere"):
        for kind in ("get", "set"):
            for payload in PAYLOADS:
                got.append((to.replace(full, "FULL").replace(bare, "BARE"), kind, payload,
                            plain(client.ask(kind, payload, to), bare, full)))
    return got


def messages(client, bare, full):
    got = []
    body, request = "<body>hello there</body>", f"<request xmlns='{RECEIPTS}'/>"
    inner = [body, body + request, request,
             body + "<markable xmlns='urn:xmpp:chat-markers:0'/>" + request,
             "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
             body + "<no-store xmlns='urn:xmpp:hints'/>",
             "<attention xmlns='urn:xmpp:attention:0'/>",
             "<x xmlns='jabber:x:conference' jid='a@rooms.example'/>",
             f"<received xmlns='{RECEIPTS}' id='m'/>"]
    for to in (bare, full, bare + "/nowhere"):
        for kind in ("chat", "normal", "headline", "groupchat", ""):
            for text in inner:
                word = f"type='{kind}'" if kind else ""
                client.drain()
                client.send(f"<message id='m1' to={quoteattr(to)} {word}>{text}</message>")
                client.fence()
                client.ask("get", "<ping xmlns='urn:xmpp:ping'/>", full)  # answered in order
                got.append((to.replace(full, "FULL").replace(bare, "BARE"), kind, text,
                            [plain(s, bare, full) for s in client.drain()
                             if (s.get("from") or "").split("/")[0] == bare]))
    return got


def presences(client, bare, full):
    """What a probe, a request and an end of a subscription bring; the last changes something."""
    got = []
    for to in (bare, full):
        for kind in ("probe", "subscribe", "subscribed", "unavailable", "", "unsubscribe",
                     "unsubscribed"):
            if to == full and kind.startswith("unsub"):
                continue
            client.drain()
            word = f"type='{kind}'" if kind else ""
            client.send(f"<presence id='p' to={quoteattr(to)} {word}/>")
            client.fence()
            time.sleep(0.3)  # what comes is said by the other's home, after its own commit
            got.append((to.replace(full, "FULL").replace(bare, "BARE"), kind, sorted(
                plain(s, bare, full) for s in client.drain()
                if bare in ET.tostring(s, encoding="unicode"))))
    return got


def blocked(client, bare, full):
    item = f"<item jid={quoteattr(bare)}/>"
    got = [client.ask("set", f"<block xmlns='urn:xmpp:blocking'>{item}</block>"),
           client.ask("get", "<query xmlns='jabber:iq:version'/>", full),
           client.ask("set", f"<unblock xmlns='urn:xmpp:blocking'>{item}</unblock>"),
           client.ask("get", "<query xmlns='jabber:iq:version'/>", full)]
    return [plain(s, bare, full) for s in got]


def archived(client, bare, full):
    client.drain()
    end = client.ask("set", f"<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>"
                            "<field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
                            f"<field var='with'><value>{bare}</value></field></x>"
                            "<set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set></query>")
    return [plain(s, bare, full) for s in client.drain()] and xmpp.local(end)


def meet(town):
    """What the decoy shows and somebody real, once both are there."""
    theirs = presence_of(town.zero, town.real)
    shown = presence_of(town.zero, town.decoy)
    return shown, theirs


def met(town):
    """Their full addresses."""
    return tuple(presence.get("from") for presence in meet(town))


def test_a_decoy_comes_like_the_people_around_it(town):
    here = town()
    shown, theirs = meet(here)
    # the person's own words are his own; the rest is his client's
    assert [ET.tostring(child) for child in theirs if xmpp.local(child) != "status"] == \
        [ET.tostring(child) for child in shown]
    assert re.fullmatch(r"Chatter\.[0-9][a-z][A-Z][0-9]{2}", shown.get("from").split("/")[1])
    # where most have gone it goes too
    for chatter in here.chatters:
        chatter.close()
    here.chatters = []
    here.zero.send("<presence type='unavailable'/>")
    here.zero.close()
    # nobody is there any more, so that it goes; who comes next hears that it was
    until = time.monotonic() + 120
    while here.decoy in here.server.ctl("session", "list"):
        assert time.monotonic() < until, "the decoy stays alone"
        time.sleep(0.5)
    here.zero = here.server.connect("zero", "again")
    here.zero.online()
    assert presence_of(here.zero, here.decoy, "unavailable") is not None
    idle = here.zero.ask("get", "<query xmlns='jabber:iq:last'/>", here.decoy)
    assert idle[0].get("seconds") is not None


def photo_in(presence):
    return presence.findtext("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")


def test_a_decoys_picture_is_shown_as_a_clients_is(town, tmp_path):
    here = town()
    server = here.server
    picture, other = (b"\x89PNG\r\n\x1a\n" + bytes([i]) * 3000 for i in (1, 2))
    path = tmp_path / "anna.png"

    def give(content, jid=here.decoy):
        path.write_bytes(content)
        return server.ctl("decoy", "picture", jid, str(path), check=False)

    assert give(other).returncode == 0 and give(picture).returncode == 0  # no second one
    assert give(picture, here.real).returncode == MISSING
    assert give(b"words").returncode == USAGE and "no PNG" in give(b"words").stderr
    too_large = give(picture + bytes(300 << 10))
    assert too_large.returncode != 0 and "limits.vcard_bytes" in too_large.stderr
    card = here.zero.ask("get", "<vCard xmlns='vcard-temp'/>", here.decoy)[0]
    photo, = card.findall("{vcard-temp}PHOTO")
    assert photo.findtext("{vcard-temp}TYPE") == "image/png"
    assert base64.b64decode(photo.findtext("{vcard-temp}BINVAL")) == picture
    # XEP-0153: and its client says so when it comes, where people's clients speak of pictures
    shown, theirs = meet(here)
    assert photo_in(shown) == hashlib.sha1(picture).hexdigest() and photo_in(theirs) == ""
    assert [child.tag for child in theirs if xmpp.local(child) != "status"] == \
        [child.tag for child in shown]
    # an empty file takes it away
    assert give(b"").returncode == 0
    card = here.zero.ask("get", "<vCard xmlns='vcard-temp'/>", here.decoy)
    assert card.find(".//{vcard-temp}PHOTO") is None
    assert "decoy picture" in server.ctl("audit", "list")


@pytest.mark.parametrize("stored", [b"<vCard xmlns='vcard-temp'><FN>Anna</FN>", b"Anna"])
def test_a_vcard_that_cannot_be_read_is_not_replaced_by_a_picture(own_server, tmp_path, stored):
    server = own_server({"guard.mode": "on"})
    server.add_users(["decoy"])
    decoy = f"decoy@{server.domain}"
    server.ctl("decoy", "add", decoy)
    path = tmp_path / "anna.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    server.ctl("decoy", "picture", decoy, str(path))
    server.kill()
    with store(server) as db:
        assert db.execute("UPDATE document SET xml = ? WHERE key = 'vcard'",
                          (stored,)).rowcount == 1
    server.start()
    for content in (path.read_bytes(), b""):
        path.write_bytes(content)
        got = server.ctl("decoy", "picture", decoy, str(path), check=False)
        assert got.returncode == FAILED and "its vCard cannot be read" in got.stderr, got
    server.kill()
    with store(server) as db:
        assert db.execute("SELECT xml FROM document WHERE key = 'vcard'").fetchall() == [(stored,)]
    server.start()


def test_no_request_tells_a_decoy_from_people(town):
    here = town()
    decoy_full, real_full = met(here)
    mine = answers(here.zero, here.decoy, decoy_full)
    theirs = answers(here.zero, here.real, real_full)
    assert mine == theirs
    assert blocked(here.zero, here.decoy, decoy_full) == blocked(here.zero, here.real, real_full)
    stranger = here.server.connect("stranger", "worm")
    stranger.online()
    assert answers(stranger, here.decoy, decoy_full) == answers(stranger, here.real, real_full)
    stranger.close()


def test_no_message_tells_a_decoy_from_people(town):
    here = town()
    decoy_full, real_full = met(here)
    mine = messages(here.zero, here.decoy, decoy_full)
    assert mine == messages(here.zero, here.real, real_full)
    assert any(RECEIPTS in text for _, _, _, got in mine for text in got)
    assert archived(here.zero, here.decoy, decoy_full) == archived(here.zero, here.real, real_full)


def test_no_subscription_tells_a_decoy_from_people(town):
    here = town()
    decoy_full, real_full = met(here)
    mine = presences(here.zero, here.decoy, decoy_full)
    assert mine == presences(here.zero, here.real, real_full)


def test_an_absent_decoy_is_like_anybody_who_is_away(town):
    here = town({"decoys.presence": "false"})
    here.server.ctl("decoy", "add", here.gone)
    here.server.add_users(["absent"])
    absent = f"absent@{here.server.domain}"
    befriend(here.server, "zero", "absent")
    nowhere = here.decoy + "/Chatter.1aB23"
    mine = answers(here.zero, here.decoy, nowhere)
    assert mine == answers(here.zero, absent, absent + "/Chatter.1aB23")
    words = messages_away(here.zero, here.decoy)
    assert words == messages_away(here.zero, absent)


def messages_away(client, bare):
    got = []
    for kind in ("chat", "normal", "headline", "groupchat"):
        client.drain()
        client.send(f"<message id='m' to='{bare}' type='{kind}'><body>b</body>"
                    f"<request xmlns='{RECEIPTS}'/></message>")
        client.ask("get", "<query xmlns='jabber:iq:last'/>", bare)  # answered where that is, in order
        got.append([plain(s, bare, bare) for s in client.drain()])
    return got


def test_what_one_client_says_is_no_mark_on_decoys(own_server):
    server = own_server(QUICK)
    server.add_users(["zero", "one", "two", "decoy"])
    befriend(server, "zero", "one", "two", "decoy")
    server.ctl("decoy", "add", f"decoy@{server.domain}")
    marked = [Chatter(server, "one", "Chatter.1", version="worm's own mark"),
              Chatter(server, "two", "Chatter.2", version="worm's own mark")]
    zero = server.connect("zero", "worm")
    zero.online()
    until = time.monotonic() + 8
    while time.monotonic() < until:
        try:
            stanza = zero.stanza(1)
        except TimeoutError:
            continue
        is_theirs = (stanza.get("from") or "").startswith("decoy@")
        assert not is_theirs or stanza.get("type") == "unavailable", "two are not three"
    for one in marked:
        assert any(s.get("type") == "get" and s[0].tag == "{jabber:iq:version}query"
                   for s in one.got), "they were asked"
        one.close()
    zero.close()


def test_rude_requests_do_a_decoy_no_harm(town):
    here = town()
    decoy_full, _ = met(here)
    zero = here.zero
    deep = "<a>" * 28 + "</a>" * 28
    many = "<b/>" * 4000
    wide = " ".join(f"a{i}='{'x' * 50}'" for i in range(60))
    for payload in (f"<query xmlns='urn:x'>{deep}</query>", f"<query xmlns='urn:x'>{many}</query>",
                    f"<query xmlns='urn:x' {wide}/>", f"<query xmlns='urn:x'>{'y' * 200000}</query>",
                    f"<query xmlns='{INFO}' node='{'n' * 100000}'/>"):
        zero.send(f"<iq type='get' id='big' to='{decoy_full}'>{payload}</iq>")
    zero.send(f"<iq type='get' id='{'i' * 100000}' to='{decoy_full}'><ping xmlns='urn:xmpp:ping'/>"
              "</iq>")
    zero.send(f"<message type='chat' id='{'i' * 100000}' to='{decoy_full}'><body>b</body>"
              f"<request xmlns='{RECEIPTS}'/></message>")
    zero.send(f"<message type='{'t' * 9000}' id='i' to='{decoy_full}'><body>b</body>"
              f"<request xmlns='{RECEIPTS}'/></message>")
    for i in range(3000):
        zero.write(f"<iq type='get' id='f{i}' to='{decoy_full}'><query xmlns='{INFO}'/></iq>")
    assert zero.ask("get", "<ping xmlns='urn:xmpp:ping'/>", decoy_full).get("type") == "result"
    here.server.check_healthy()


# hits

def test_an_operator_sees_who_hit_a_decoy(town):
    here = town({"decoys.presence": "false"})
    server, zero = here.server, here.zero
    lure = "http://never-seen-7731.example/pics.php"
    zero.send(f"<message id='a' type='chat' to='{here.decoy}'><body>look: {lure}</body></message>")
    zero.fence()
    hits = server.ctl_json("decoy", "hits")["hits"]
    assert [(h["decoy"], h["sender"], h["nats"], h["discounted"], h["convicted"]) for h in hits] == \
        [(here.decoy, zero.bare, 5.0, False, False)]
    assert lure.split("//")[1] in hits[0]["lure"] and hits[0]["at"]
    # again, and with others: each sender of a lure once, the third for next to nothing
    zero.send(f"<message id='b' type='chat' to='{here.decoy}'><body>look: {lure}</body></message>")
    zero.fence()
    for name in ("stranger", "gone"):
        other = server.connect(name)
        other.online()
        other.send(f"<message id='c' type='chat' to='{here.decoy}'><body>{lure}</body></message>")
        other.fence()
        other.close()
    hits = server.ctl_json("decoy", "hits")["hits"]
    assert sorted((h["nats"], h["discounted"]) for h in hits) == \
        [(0.1, True), (5.0, False), (5.0, False)]
    assert [h["sender"].split("@")[0] for h in hits] == ["gone", "stranger", zero.bare.split("@")[0]]
    assert server.ctl_json("incident", "list")["incidents"] == []  # three convict nobody
    assert here.decoy in server.ctl("decoy", "hits")
    for end in (server.kill, server.stop):  # from the log of events, and from a snapshot
        end()
        server.start()
        assert server.ctl_json("decoy", "hits")["hits"] == hits
    lines = [line for line in server.log().splitlines() if "decoy-hit" in line]
    assert len(lines) == 3 and f"decoy={here.decoy}" in lines[0] and zero.bare in lines[0]


def test_who_writes_to_a_decoy_by_mistake_loses_nothing(town):
    here = town()
    meet(here)
    zero = here.zero
    zero.send(f"<message id='a' type='chat' to='{here.decoy}'><body>lunch at noon?</body></message>")
    zero.send(f"<message id='b' type='chat' to='{here.real}'><body>lunch at noon?</body></message>")
    zero.fence()
    assert here.server.ctl_json("decoy", "hits")["hits"] == []
    assert here.server.ctl_json("guard", "rules")["rules"] == [
        r for r in here.server.ctl_json("guard", "rules")["rules"] if r["rule"] == "decoy"]
    assert not [s for s in zero.drain() if s.get("type") == "error"]
    # and his link to somebody else goes as ever
    zero.send(f"<message id='c' type='chat' to='{here.real}'><body>menu: http://lunch.example/"
              "</body></message>")
    zero.fence()
    assert not [s for s in zero.drain() if s.get("type") == "error"]
    until = time.monotonic() + xmpp.PATIENCE
    got = here.chatters[0].got
    while not any("lunch.example" in ET.tostring(s, encoding="unicode") for s in list(got)):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_an_account_that_is_no_decoy_any_more_goes(town):
    here = town()
    meet(here)
    here.server.ctl("decoy", "remove", here.decoy)
    assert presence_of(here.zero, here.decoy, "unavailable") is not None
    here.server.ctl("user", "delete", here.decoy)


# refresh

def rosters(server, jids):
    return {jid: {c["contact"]: c for c in server.ctl_json("roster", "list", jid)["contacts"]}
            for jid in jids}


def settled(server, until=120):
    """Waits until nothing is left of a refresh."""
    end = time.monotonic() + until
    while True:
        got = server.ctl("decoy", "refresh", "--try", check=False)
        if got.returncode == 0:
            return
        assert "not over yet" in got.stderr and time.monotonic() < end, got.stderr
        time.sleep(0.2)


def village(server, people=24):
    """People in a ring, who all know five others, and three decoys."""
    names = [f"p{i}" for i in range(people)]
    decoys = ["anna.lang", "ben.roth", "cleo.stark"]
    server.add_users(names + decoys)
    for i, name in enumerate(names):
        for step in (1, 2, 3, people - 1, people - 2):
            server.ctl("roster", "add", f"{name}@{server.domain}",
                       f"{names[(i + step) % people]}@{server.domain}", "--subscription", "both")
    jids = [f"{d}@{server.domain}" for d in decoys]
    for jid in jids:
        server.ctl("decoy", "add", jid)
    return [f"{n}@{server.domain}" for n in names], jids


def holders(server, people, decoy):
    return {jid for jid, contacts in rosters(server, people).items() if decoy in contacts}


def test_some_decoys_go_and_others_come_elsewhere(own_server):
    server = own_server({"decoys.presence": "false", "decoys.pause": "100 ms"})
    people, (anna, ben, cleo) = village(server)
    server.ctl("decoy", "place", anna, "--holders", "3", "--name", "Anna Lang")
    before = holders(server, people, anna)
    assert len(before) == 3
    # somebody's own contact by that address, and one that was sorted into a group, stay
    own = next(jid for jid in people if jid not in before)
    server.ctl("roster", "add", own, anna)
    kept = sorted(before)[0]
    server.ctl("roster", "add", kept, anna, "--subscription", "both", "--group", "friends")
    names = rosters(server, people)

    would = server.ctl_json("decoy", "refresh", "--try")
    assert (would["go"], would["come"], would["removals"]) == ([anna], [ben], 3)
    assert rosters(server, people) == names
    done = server.ctl_json("decoy", "refresh", "--reason", "test")
    assert (done["go"], done["come"], done["additions"]) == ([anna], [ben], 3)
    settled(server)

    assert holders(server, people, anna) == {own, kept}
    now = holders(server, people, ben)
    assert len(now) == 3 and not now & before and not holders(server, people, cleo)
    assert {c["name"] for jid in now for c in [rosters(server, [jid])[jid][ben]]} == {"Ben Roth"}
    assert set(rosters(server, [ben])[ben]) == now
    # nothing else has changed in any roster
    for jid, contacts in rosters(server, people).items():
        assert {c: v for c, v in contacts.items() if c not in (anna, ben)} == \
            {c: v for c, v in names[jid].items() if c != anna}
    entry = next(e for e in server.ctl_json("audit", "list")["entries"]
                 if e["action"] == "decoy refresh")
    assert entry["reason"] == "test"
    assert len([1 for line in server.log().splitlines() if "decoy-moved" in line
                and "to=in" in line]) == 3


def test_a_refresh_outlives_a_restart(own_server):
    server = own_server({"decoys.presence": "false", "decoys.pause": "1 h"})
    people, (anna, ben, _) = village(server)
    server.ctl("decoy", "place", anna, "--holders", "4")
    before = holders(server, people, anna)
    server.ctl("decoy", "refresh")
    assert "not over yet" in server.ctl("decoy", "refresh", check=False).stderr
    assert holders(server, people, anna) == before  # nothing in the first hour
    server.settings["decoys.pause"] = "100 ms"
    server.stop()
    server.start()
    settled(server)
    assert holders(server, people, anna) == set() and len(holders(server, people, ben)) == 4
    server.ctl("decoy", "refresh")
    server.kill()
    server.start()
    settled(server)
    assert len(holders(server, people, anna) | holders(server, people, ben) |
               holders(server, people, f"cleo.stark@{server.domain}")) == 4


def test_the_schedule_refreshes_by_itself(own_server):
    server = own_server({"decoys.presence": "false", "decoys.pause": "100 ms",
                         "decoys.refresh": "2 s"})
    people, (anna, _, _) = village(server, people=12)
    server.ctl("decoy", "place", anna, "--holders", "2")
    until = time.monotonic() + 120
    while holders(server, people, anna):
        assert time.monotonic() < until
        time.sleep(0.3)
    assert any(e["action"] == "decoy refresh" and e["actor"] == "schedule"
               for e in server.ctl_json("audit", "list")["entries"])


def test_who_is_no_decoy_any_more_is_not_taken_from_anybody(own_server):
    server = own_server({"decoys.presence": "false", "decoys.pause": "100 ms"})
    people, (anna, ben, cleo) = village(server, people=12)
    server.ctl("decoy", "place", anna, "--holders", "2")
    server.ctl("decoy", "place", ben, "--holders", "2")
    before = holders(server, people, anna)
    server.ctl("decoy", "remove", anna)  # a new colleague gets that name
    server.ctl("decoy", "refresh")
    settled(server)
    assert holders(server, people, anna) == before
    assert not holders(server, people, ben) and len(holders(server, people, cleo)) == 2


# colleagues who do not exist

def vcard(server, name, number):
    given, family = (w.capitalize() for w in name.split("."))
    client = server.connect(name)
    got = client.ask("set", f"<vCard xmlns='vcard-temp'><FN>{given} {family}</FN><N><FAMILY>{family}"
                            f"</FAMILY><GIVEN>{given}</GIVEN></N><ORG><ORGNAME>Town Ltd</ORGNAME>"
                            f"</ORG><TEL><NUMBER>555-{number}</NUMBER></TEL></vCard>")
    assert got.get("type") == "result"
    client.close()


def test_decoys_are_made_that_look_like_colleagues(own_server):
    server = own_server({"decoys.presence": "false"})
    names = ["anna.lang", "ben.roth", "carl.dorn", "eve.fox", "ida.stark", "max.weiss"]
    server.add_users(names)
    for number, name in enumerate(names):
        vcard(server, name, number)
    made = server.ctl_json("decoy", "make", "4", "--reason", "test")["made"]
    assert len({m["jid"] for m in made}) == 4
    listed = server.ctl("decoy", "list")
    halves = [set(part) for part in zip(*(name.split(".") for name in names))]
    client = server.connect("anna.lang")
    for one in made:
        local = one["jid"].split("@")[0]
        given, family = local.split(".")
        assert local not in names and given in halves[0] and family in halves[1]
        assert one["name"] == f"{given.capitalize()} {family.capitalize()}"
        assert one["jid"] in listed
        card = client.ask("get", "<vCard xmlns='vcard-temp'/>", one["jid"])[0]
        assert [xmpp.local(field) for field in card] == ["FN", "N", "ORG"]
        assert card.findtext("{vcard-temp}FN") == one["name"]
        assert card.findtext("{vcard-temp}ORG/{vcard-temp}ORGNAME") == "Town Ltd"
        with pytest.raises(xmpp.LoginFailed):
            server.connect(local, password="")
    client.close()
    # none is made of a handful of names that people do not have
    other = own_server()
    got = other.ctl("decoy", "make", check=False)
    assert got.returncode != 0 and "decoys.names" in got.stderr


def test_decoys_get_an_operators_names(own_server):
    server = own_server({"decoys.names": "Zoe Zahn, Yan Yorck, Xaver Xanten, Willi Wald"})
    made = server.ctl_json("decoy", "make", "12")["made"]
    assert len({m["jid"] for m in made}) == 12
    assert {m["name"].split()[0] for m in made} <= {"Zoe", "Yan", "Xaver", "Willi"}
    got = server.ctl("decoy", "make", "5", check=False)  # 4 · 4, and no more
    assert got.returncode != 0
    assert len(server.ctl_json("decoy", "list")["rules"]) == 16

"""Many clients at once that do everything, right and wrong, in every order.

Rows of the advisories: floods; stanza smuggling; and whatever has no row because nobody has thought
of it: use after free at a session's end, a resumption that meets a deletion, a reload under way.

What is done is drawn from a seed, by several people at once and an operator; which of them is faster
is not, so that the same seed need not find the same again.  Longer:

    FIREDOOR_STRESS_SECONDS=600 FIREDOOR_STRESS_SEED=7 … -k stress
"""

import os
import random
import secrets
import threading
import time
from xml.sax.saxutils import quoteattr

import xmpp
from server import TROUBLE
from xmpp import NS_SM, b64

SECONDS = float(os.environ.get("FIREDOOR_STRESS_SECONDS", "15"))
SEED = int(os.environ.get("FIREDOOR_STRESS_SEED", "0")) or secrets.randbits(32)
ACTORS, ACCOUNTS = 8, 10

SETTINGS = {
    "server.workers": 3, "limits.sessions_per_user": 4, "limits.outbox_bytes": "128 KiB",
    "limits.stanza_bytes": "32 KiB", "limits.unacked_stanzas": 60, "limits.resume_time": "2 s",
    "limits.roster_items": 30, "limits.offline_messages": 60, "limits.directed_presences": 5,
    "limits.pending_subscriptions": 5, "limits.block_items": 10, "limits.archive_page": 20,
    "limits.stanzas_per_second": 3000, "limits.stanzas_burst": 3000, "limits.idle_time": "5 s",
    "limits.answer_time": "5 s", "limits.unauthenticated_time": "5 s",
    "auth.failures_account": 10000, "guard.hold": "1 s", "guard.window_first": 1,
    "registration.cancel": "true", "log.level": "warning",
}

ILLEGAL = [
    "<message", "</message>", "<a:b/>", "<message to='a' to='b'/>", "<!-- x -->", "\0", "<iq/>",
    "<iq type='get'/>", "<iq type='nonsense' id='x'/>", "<presence type='nonsense'/>",
    "<message type='nonsense' to='@'/>", "<message to='@@@'/>", "<unknown/>", "text",
    "<stream:features/>", "<stream:error/>", "</stream:stream>", "<presence><priority>x</priority>"
    "</presence>", "<iq type='set' id='b'><bind xmlns='" + xmpp.NS_BIND + "'/></iq>",
    f"<auth xmlns='{xmpp.NS_SASL}' mechanism='PLAIN'>{b64(b'x')}</auth>",
    f"<starttls xmlns='{xmpp.NS_TLS}'/>", f"<resume xmlns='{NS_SM}' previd='x' h='0'/>",
    f"<a xmlns='{NS_SM}' h='4294967295'/>", f"<a xmlns='{NS_SM}'/>", f"<enable xmlns='{NS_SM}'/>",
    f"<message><body>{'x' * 40_000}</body></message>", "<message>" + "<a>" * 60, b"\xff\xfe",
    "<iq type='get' id='1'><a xmlns='u'/><b xmlns='u'/></iq>",
]

# of requests, each to the server or to oneself
REQUESTS = [
    ("get", "<query xmlns='jabber:iq:roster'/>"), ("get", "<query xmlns='jabber:iq:last'/>"),
    ("get", "<blocklist xmlns='urn:xmpp:blocking'/>"), ("get", "<ping xmlns='urn:xmpp:ping'/>"),
    ("get", "<vCard xmlns='vcard-temp'/>"), ("get", "<time xmlns='urn:xmpp:time'/>"),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
    ("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>"),
    ("get", "<prefs xmlns='urn:xmpp:mam:2'/>"), ("get", "<metadata xmlns='urn:xmpp:mam:2'/>"),
    ("get", "<query xmlns='urn:xmpp:mam:2'/>"), ("set", "<query xmlns='urn:xmpp:mam:2'/>"),
    ("set", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>3</max>"
            "<before/></set></query>"),
    ("set", "<prefs xmlns='urn:xmpp:mam:2' default='roster'><always/><never/></prefs>"),
    ("set", "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never/></prefs>"),
    ("set", "<enable xmlns='urn:xmpp:carbons:2'/>"), ("set", "<disable xmlns='urn:xmpp:carbons:2'/>"),
    ("set", "<query xmlns='jabber:iq:private'><a xmlns='u:1'>x</a></query>"),
    ("get", "<query xmlns='jabber:iq:private'><a xmlns='u:1'/></query>"),
    ("set", "<vCard xmlns='vcard-temp'><FN>x</FN><URL>http://{word}.example/v</URL></vCard>"),
    ("set", "<block xmlns='urn:xmpp:blocking'><item jid='{bare}'/></block>"),
    ("set", "<block xmlns='urn:xmpp:blocking'><item jid='{bare}'><report xmlns='urn:xmpp:reporting:1'"
            " reason='urn:xmpp:reporting:spam'/></item></block>"),
    ("set", "<unblock xmlns='urn:xmpp:blocking'><item jid='{bare}'/></unblock>"),
    ("set", "<unblock xmlns='urn:xmpp:blocking'/>"), ("set", "<unheard xmlns='of'/>"),
    ("set", "<query xmlns='jabber:iq:roster'><item jid='{bare}' name='n'><group>g</group></item>"
            "</query>"),
    ("set", "<query xmlns='jabber:iq:roster'><item jid='{bare}' subscription='remove'/></query>"),
    ("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"),
]

LINKS = ["", "", "", "", " http://{word}.example/p.php?u={n}", " http://{n}.{word}.example/pic.exe",
         " https://www.google.com/{n}", " www.{word}.example",
         " http://{word}.example/" + "a" * 6000, " http://" + "x." * 500 + "{word}.example/<&>'"]


class Actor(threading.Thread):
    """One person after another, from whose client everything may come."""

    def __init__(self, server, names, seed, until):
        super().__init__()
        self.server, self.names, self.until = server, names, until
        self.random = random.Random(seed)
        self.client = None
        self.old = []  # sessions that may be resumed
        self.n_done = self.n_broken = 0
        self.trouble = None
        self.last = []  # what was done last, for who looks for the reason

    def run(self):
        try:
            while time.monotonic() < self.until:
                act = self.random.choice(self.ACTS)
                self.last = [*self.last[-20:], act.__name__]
                try:
                    act(self)
                    self.n_done += 1
                except (xmpp.Closed, xmpp.LoginFailed, TimeoutError, OSError):
                    self.n_broken += 1
                    self.drop()
                except AssertionError as refused:
                    # a refused bind and the like; but never XML that is none.  After <success/>
                    # a new document begins, which the client's parser does not expect unasked
                    if "XML is broken" in str(refused) and "<success" not in str(refused):
                        raise
                    self.n_broken += 1
                    self.drop()
        except BaseException as trouble:  # noqa: B902: told by the test's own thread
            self.trouble = trouble
        finally:
            self.drop()

    def drop(self):
        if self.client is not None:
            self.client.cut()
        self.client = None

    def on(self):
        if self.client is None:
            self.connect()
        return self.client

    def word(self):
        return f"w{self.random.randrange(6)}"

    def fill(self, text):
        return text.replace("{word}", self.word()).replace("{n}", str(self.random.randrange(99))) \
            .replace("{bare}", self.address(bare=True))

    def address(self, bare=False):
        kind = self.random.randrange(12)
        some = self.random.choice(self.names) + "@" + self.server.domain
        if kind == 0:
            return f"nobody{self.random.randrange(5)}@{self.server.domain}"
        if kind == 1 and not bare:
            return self.server.domain
        if kind == 2:
            return "x@elsewhere.example"
        if kind < 6 and not bare:
            return f"{some}/r{self.random.randrange(3)}"
        return some

    # acts

    def connect(self):
        self.drop()
        name = self.random.choice(self.names)
        resource = f"r{self.random.randrange(3)}" if self.random.random() < 0.7 else None
        self.client = self.server.connect(name, resource, sm=self.random.random() < 0.6,
                                          mechanism=self.random.choice(["PLAIN", "SCRAM-SHA-1"]),
                                          acks=self.random.random() < 0.7)
        if self.random.random() < 0.8:
            self.client.write("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
            self.client.write("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                              f"node='n' ver='{b64(self.word().encode())}'/></presence>")

    def cut(self):
        if self.client is not None and self.client.sm_on:
            self.old = [*self.old[-5:], self.client]
        self.drop()

    def leave(self):
        client = self.on()
        client.close()
        self.client = None

    def half_login(self):
        stream = self.server.stream(direct=True)
        stream.open(wait=self.random.random() < 0.7)
        stream.write(self.random.choice(ILLEGAL) if self.random.random() < 0.5
                     else xmpp.plain(self.random.choice(self.names), "wrong"))
        stream.cut()

    def resume(self):
        if not self.old:
            self.cut()
            return
        old = self.old[-1] if self.random.random() < 0.8 else self.random.choice(self.old)
        self.drop()
        wrong = self.random.random() < 0.2
        new, answer = xmpp.Client.resume(self.server, old, h=7 if wrong else None)
        if xmpp.local(answer) == "resumed":
            self.client = new
        elif self.random.random() < 0.5:
            new.bind()
            self.client = new
        else:
            new.cut()

    def steal(self):
        """Resumes while the old connection stands, and cuts either."""
        client = self.on()
        if not client.sm_on:
            return
        new, _ = xmpp.Client.resume(self.server, client)
        client.cut()
        self.client = new if new.sm_on else None
        if not new.sm_on:
            new.cut()

    def message(self):
        kind = self.random.choice(["chat", "chat", "chat", "normal", "headline", "error", "groupchat"])
        extra = self.random.choice([
            "", "", "<active xmlns='http://jabber.org/protocol/chatstates'/>",
            "<request xmlns='urn:xmpp:receipts'/>", "<private xmlns='urn:xmpp:carbons:2'/>",
            "<no-store xmlns='urn:xmpp:hints'/>", "<store xmlns='urn:xmpp:hints'/>",
            "<x xmlns='jabber:x:oob'><url>http://{word}.example/o</url></x>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>",
            "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>"])
        size = self.random.choice([1, 1, 1, 5, 500, 1500])
        body = "word " * size + self.random.choice(LINKS)
        self.on().send(self.fill(f"<message type='{kind}' to='{self.address()}' id='m{{n}}'>"
                                 f"<body>{xmpp.escape(body)}</body>{extra}</message>"))

    def broadcast(self):
        client, word = self.on(), self.word()
        for name in self.names:
            client.send(f"<message type='chat' to='{name}@{self.server.domain}' id='b'>"
                        f"<body>look http://{word}.example/b</body></message>")

    def burst(self):
        to = self.address()
        self.on().write("".join(f"<message type='chat' to='{to}' id='u{i}'><body>x</body></message>"
                                for i in range(self.random.randrange(300))))
        if self.random.random() < 0.3:
            self.cut()

    def request(self):
        kind, payload = self.random.choice(REQUESTS)
        to = self.random.choice(["", "", "", f" to='{self.address()}'"])
        if "fin" in payload:
            to = ""
        self.on().send(f"<iq type='{kind}' id='i{self.random.randrange(9)}'{to}>{self.fill(payload)}"
                       "</iq>")

    def answer(self):
        self.on().send(f"<iq type='{self.random.choice(['result', 'error'])}' id='i1' "
                       f"to='{self.address()}'/>")

    def presence(self):
        kind = self.random.choice(["", "", " type='unavailable'", " type='subscribe'",
                                   " type='subscribed'", " type='unsubscribe'",
                                   " type='unsubscribed'", " type='probe'", " type='error'"])
        to = f" to='{self.address()}'" if "ubscri" in kind or self.random.random() < 0.4 else ""
        status = self.random.choice(["", "<priority>-1</priority>", "<priority>5</priority>",
                                     "<status>see http://{word}.example/s</status>"])
        self.on().send(self.fill(f"<presence{kind}{to}>{status}</presence>"))

    def quiet(self):
        state = self.random.choice(["active", "inactive"])
        self.on().write(f"<{state} xmlns='urn:xmpp:csi:0'/>")

    def count(self):
        client = self.on()
        if client.sm_on:
            h = client.handled if self.random.random() < 0.9 else self.random.randrange(50)
            client.write(f"<r xmlns='{NS_SM}'/><a xmlns='{NS_SM}' h='{h}'/>")

    def read(self):
        """Reads what is there, answers what it is asked, with nonsense."""
        client = self.on()
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            got = client.stanza(timeout=0.01)
            if xmpp.local(got) == "iq" and got.get("type") in ("get", "set"):
                client.send(f"<iq type='result' id={quoteattr(got.get('id') or '')} "
                            f"to={quoteattr(got.get('from') or client.bare)}><query xmlns="
                            "'http://jabber.org/protocol/disco#info'><feature var='x'/></query></iq>")

    def illegal(self):
        self.on().write(self.random.choice(ILLEGAL))

    def cancel(self):
        """Deletes the account one is logged in with; the operator makes it anew."""
        if self.random.random() < 0.1:
            self.on().send("<iq type='set' id='x'><query xmlns='jabber:iq:register'><remove/></query>"
                           "</iq>")

    def fence(self):
        self.on().ask("set", "<query xmlns='jabber:iq:private'><a xmlns='u:2'/></query>")

    ACTS = [connect, cut, cut, leave, half_login, resume, resume, steal, message, message, message,
            message, broadcast, burst, request, request, request, request, answer, presence,
            presence, presence, quiet, count, count, read, read, read, illegal, cancel, fence]


def operate(server, names, seed, until, honest):
    """Everything an operator may do to people under way; no answer may be "no server".

    Between his acts two who have nothing to do with all this talk.
    """
    some = random.Random(seed)
    done = 0
    while time.monotonic() < until:
        honest()
        jid = f"{some.choice(names)}@{server.domain}"
        other = f"{some.choice(names)}@{server.domain}"
        words = some.choice([
            ("user", "disable", jid), ("user", "enable", jid), ("user", "enable", jid),
            ("user", "delete", jid), ("user", "show", jid), ("session", "close", jid),
            ("session", "close", jid + "/r1"), ("session", "list"), ("reload",), ("status",),
            ("suspend", "links", "--for", "2min"), ("resume", "links"), ("resume", "links"),
            ("suspend", "files", "--account", jid), ("resume", "files", "--account", jid),
            ("incident", "list"), ("guard", "rules"), ("guard", "state"), ("audit", "list"),
            ("incident", "convict", f"http://w{some.randrange(6)}.example/b"),
            ("incident", "convict", f"http://w{some.randrange(6)}.example/s"),
            ("incident", "release", str(some.randrange(1, 12))),
            ("incident", "release", str(some.randrange(1, 12)), "--account", jid),
            ("roster", "add", jid, other, "--subscription", "both"), ("roster", "remove", jid, other),
            ("roster", "list", jid), ("decoy", "add", jid), ("decoy", "remove", jid),
            ("entitle", "add", jid), ("entitle", "remove", jid), ("user", "admin", jid, "on"),
            ("user", "admin", jid, "off"), ("user", "list"), ("export",),
        ])
        got = server.ctl(*words, check=False)
        assert got.returncode != 3 and server.alive(), f"{words}: {got.stderr}"
        if words[1:2] in (("disable",), ("delete",)) or done % 10 == 0:
            server.ctl("user", "enable", jid, check=False)
            server.add_users(names)  # those that exist are left alone
        done += 1
    return done


def test_floods_stress_of_everything_at_once(own_server, talk):
    server = own_server(SETTINGS)
    names = [f"s{i}" for i in range(ACCOUNTS)]
    server.add_users(names)
    pair = [server.connect(n, "w", sm=True) for n in server.fresh_users(2, prefix="w")]
    for client in pair:
        client.online()
        client.drain()

    def honest():
        talk(*pair)
        talk(*reversed(pair))

    until = time.monotonic() + SECONDS
    actors = [Actor(server, names, SEED + i, until) for i in range(ACTORS)]
    for actor in actors:
        actor.start()
    try:
        n_operator = operate(server, names, SEED, until, honest)
    finally:
        for actor in actors:
            actor.join()
    reached = {name: int(server.count(name)) for name in
               ("messages_in", "messages_delivered", "presences_in", "iqs_in", "resumptions",
                "failed_resumptions", "guard_held", "guard_rejected", "guard_convicted",
                "messages_refused")}
    said = (f"seed {SEED}: {sum(a.n_done for a in actors)} acts, {n_operator} of the operator, "
            f"{sum(a.n_broken for a in actors)} broken off; {reached}")
    print(said)
    for actor in actors:
        if actor.trouble is not None:
            raise AssertionError(f"{said}; after {actor.last}") from actor.trouble
    server.check_healthy()
    # whoever is honest notices nothing, and nothing is left behind when all have gone
    for client in pair:
        client.drain()
    honest()
    for client in pair:
        client.close()
    await_nobody(server)


def test_floods_stress_of_stops_under_load(own_server):
    """A stop in the middle of everything is clean, and what it keeps is taken up again."""
    server = own_server(SETTINGS)
    names = [f"s{i}" for i in range(ACCOUNTS)]
    server.add_users(names)
    until = time.monotonic() + SECONDS
    actors = [Actor(server, names, SEED + i, until) for i in range(ACTORS)]
    for actor in actors:
        actor.start()
    n_stops = 0
    try:
        while time.monotonic() < until:
            time.sleep(random.Random(SEED + n_stops).uniform(0.5, 4))
            server.ctl("incident", "convict", f"http://w{n_stops % 6}.example/b", check=False)
            server.check_healthy()
            status = server.stop()
            assert status == 0 and not TROUBLE.search(server.log()), f"seed {SEED}: {status}\n" \
                + server.log_tail()
            server.start()
            n_stops += 1
    finally:
        for actor in actors:
            actor.join()
    print(f"seed {SEED}: {sum(a.n_done for a in actors)} acts, {n_stops} stops")
    for actor in actors:
        if actor.trouble is not None:
            raise AssertionError(f"seed {SEED}; after {actor.last}") from actor.trouble
    await_nobody(server)


def await_nobody(server):
    """All sessions end when their time to be resumed is over."""
    until = time.monotonic() + 10 + xmpp.PATIENCE
    while time.monotonic() < until:
        left = server.ctl_json("session", "list")
        if not (left["sessions"] if isinstance(left, dict) else left):
            return
        time.sleep(0.2)
    raise AssertionError(f"sessions that nobody has: {left}")

"""Dialogues: protocol tests as a script of who sends and who gets what.

    # XEP-0191 §3.3: a blocked contact gets an error, the blocker hears nothing.
    romeo  sends    <iq type='set' id='b'>…</iq>
    juliet gets     <message type='error' id='m'>…<service-unavailable/>…</message>
    romeo  is quiet
    server counts   blocked_messages == 1

People come into being when a dialogue names them: each is a fresh account, and is online (roster
asked for, priority 0) before the first line.  `romeo/phone` is romeo's session with the resource
phone; every session is somebody of his own, `romeo` is one with a resource the server chose.

    given romeo is offline              no session until he connects
    given romeo is bound                a session without roster and presence
    given romeo and juliet are friends  each has the other with subscription both
    given romeo speaks sm               stream management with resumption
    given romeo never acks              <r/> is left unanswered
    given romeo is administrator
    given server has KEY = VALUE        a server of its own with this setting

    romeo connects                      binds, nothing more      (comes online: as above)
    romeo goes offline                  unavailable, end of stream
    romeo is cut                        the connection is lost, without a word
    romeo resumes                       XEP-0198; `resumes with h=1`; fails if refused
    romeo cannot resume                 <failed/>; afterwards he is not bound (`cannot resume
                                        nonsense`: with an id that never was)
    romeo binds                         on the stream of a failed resumption, and becomes available
    romeo logs in with PASSWORD         on a new connection, which ends at once
    romeo fails to log in               with the password all test accounts have; `with CONDITION`:
                                        other than not-authorized
    romeo is acked up to 3              waits until the server's h is 3
    romeo acks | acks 5                 sends <a/>, with his count or this one
    romeo asks                          sends <r/>
    romeo sends XML
    romeo gets PATTERN                  his next stanza, nothing before it
    romeo gets all of                   indented patterns below, in any order; one that begins with
                                        `maybe` may come or not
    romeo is quiet                      when the server is done with all sent so far, he got nothing
    romeo drops what came               forgets it
    romeo is closed with CONDITION      stream error and end of the stream
    romeo is closed with PATTERN        the same, of the whole <stream:error>
    romeo is closed after PATTERN       gets this, then the stream ends
    romeo is disconnected               the stream ends, whatever it says
    server counts METRIC == N           how much it grew since the first line; also >=
    server restarts                     planned; sessions are cut
    server is killed                    SIGKILL and a new start
    any order                           indented lines below: the dialogue is run once for every
                                        interleaving that keeps each person's own order

A step goes on in indented lines.  In XML: {romeo} is his bare address, {romeo/} the full one of
the session `romeo`, {romeo/phone} that of romeo/phone, {domain} the server's, {now} the present.
In a pattern `…` stands for anything, also for the tags around what follows; an attribute's value
may hold `…` and may be {=name}, which keeps it for later as {name}; an attribute whose value is
`∅` must be absent.  Attributes a pattern does not name are not looked at, nor is the namespace of
an element that neither it nor an element around it declares.
"""

import datetime
import fnmatch
import itertools
import re
from xml.sax.saxutils import unescape

import xmpp

ANY = "…"


class Mismatch(AssertionError):
    pass


# Patterns


def flatten(element):
    """An element as a sequence of ("start", name, attributes), ("text", t), ("end", name)."""
    yield "start", element.tag, dict(element.attrib)
    if element.text and element.text.strip():
        yield "text", element.text.strip()
    for child in element:
        yield from flatten(child)
        if child.tail and child.tail.strip():
            yield "text", child.tail.strip()
    yield "end", element.tag


TAG = re.compile(r"<(?P<close>/)?(?P<name>[\w:.-]+)(?P<attributes>(?:\s+[\w:.-]+="
                 r"(?:'[^']*'|\"[^\"]*\"))*)\s*(?P<empty>/)?>|(?P<text>[^<]+)")
ATTRIBUTE = re.compile(r"([\w:.-]+)=(?:'([^']*)'|\"([^\"]*)\")")


def pattern_tokens(text):
    """The same of a pattern, with the wildcard a token of its own.

    Read by hand, for a wildcard may open a tag that the pattern closes, or the other way round.
    """
    at, open_tags, tokens = 0, [], []

    def full_name(name, spaces):
        prefix, _, local = name.rpartition(":")
        uri = xmpp.NS_STREAM if prefix == "stream" else spaces
        return f"{{{uri}}}{local}" if uri else local

    while at < len(text):
        found = TAG.match(text, at)
        if found is None:
            raise AssertionError(f"a pattern is broken at: {text[at:at + 40]}")
        at = found.end()
        spaces = open_tags[-1][1] if open_tags else ""
        if found["text"] is not None:
            content = found["text"].strip()
            if content:
                tokens.append(("any",) if content == ANY else ("text", unescape(content)))
        elif found["close"]:
            names = [name for name, _ in open_tags]
            if found["name"] in names:
                while open_tags.pop()[0] != found["name"]:
                    pass
            tokens.append(("end", found["name"].split(":")[-1]))
        else:
            attributes = {name: unescape(one or other, {"&apos;": "'", "&quot;": '"'})
                          for name, one, other in ATTRIBUTE.findall(found["attributes"])}
            spaces = attributes.pop("xmlns", spaces)
            attributes = {("{http://www.w3.org/XML/1998/namespace}lang" if k == "xml:lang" else k): v
                          for k, v in attributes.items()}
            tokens.append(("start", full_name(found["name"], spaces), attributes))
            if found["empty"]:
                tokens.append(("end", found["name"].split(":")[-1]))
            else:
                open_tags.append((found["name"], spaces))
    return tokens


def text_matches(wanted, got, caught):
    found = re.fullmatch(r"\{=(\w+)\}", wanted)
    if found:
        caught[found.group(1)] = got
        return got != ""
    if ANY in wanted:
        glob = "".join("*" if c == ANY else f"[{c}]" if c in "*?[" else c for c in wanted)
        return got != "" and fnmatch.fnmatchcase(got, glob)
    return wanted == got


def token_matches(wanted, got, caught):
    if wanted[0] != got[0]:
        return False
    if wanted[0] == "text":
        return text_matches(wanted[1], got[1], caught)
    if wanted[0] == "end":
        return wanted[1] == got[1].split("}")[-1]
    if wanted[0] == "start":
        name = got[1] if wanted[1].startswith("{") else got[1].split("}")[-1]
        if wanted[1] != name:
            return False
        for attribute, value in wanted[2].items():
            if value == "∅":
                if attribute in got[2]:
                    return False
            elif attribute not in got[2] or not text_matches(value, got[2][attribute], caught):
                return False
    return True


def tokens_match(wanted, got, caught):
    """Whether the sequences agree; the wildcard takes as little as it can."""
    reach = {0}  # how much of got the pattern so far may have taken
    for token in wanted:
        if token[0] == "any":
            reach = set(range(min(reach), len(got) + 1)) if reach else set()
        else:
            reach = {at + 1 for at in reach
                     if at < len(got) and token_matches(token, got[at], caught)}
        if not reach:
            return False
    return len(got) in reach


def matches(pattern, element, caught):
    """Compares an element with the text of a pattern.  What it catches is added to caught."""
    seen = {}
    if tokens_match(pattern_tokens(pattern), list(flatten(element)), seen):
        caught.update(seen)
        return True
    return False


# The script


class Step:
    def __init__(self, number, text, below):
        self.number, self.text, self.below = number, text, below

    def __repr__(self):
        return f"line {self.number}: {self.text}"


def read_steps(text):
    """The lines that are not comments; indented ones belong to the step above."""
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t":
            assert steps, f"line {number} is indented below nothing"
            if steps[-1].text.split()[-2:] in (["all", "of"], ["any", "order"]):
                steps[-1].below.append(Step(number, " ".join(line.split()), []))
            else:
                steps[-1].text += " " + line.strip()
        else:
            steps.append(Step(number, re.sub(r"\s+", " ", line.strip(), count=2), []))
    return steps


def interleavings(steps):
    """All orders of steps that keep the order of each actor's own."""
    queues = {}
    for step in steps:
        queues.setdefault(step.text.split()[0], []).append(step)

    def merge(queues):
        if not any(queues):
            yield []
        for at, queue in enumerate(queues):
            if queue:
                rest = queues[:at] + [queue[1:]] + queues[at + 1:]
                for tail in merge(rest):
                    yield [queue[0]] + tail

    return list(merge(list(queues.values())))


def orders(steps):
    """The step lists to run: one, or one for every interleaving of each `any order`."""
    choices = [interleavings(s.below) if s.text == "any order" else [[s]] for s in steps]
    return [list(itertools.chain(*choice)) for choice in itertools.product(*choices)]


def settings_of(steps):
    """What `given server has` asks for; None when the shared server will do."""
    wanted = {}
    own = False
    for step in steps:
        found = re.fullmatch(r"given server has ([\w.]+) = (.*)", step.text)
        if found:
            wanted[found.group(1)] = found.group(2)
        own = own or bool(found) or step.text.startswith(("server restarts", "server is killed"))
    return wanted if own else None


class Dialogue:
    """One run of one dialogue."""

    def __init__(self, server, steps):
        self.server, self.steps = server, steps
        self.sessions = {}
        self.accounts = {}
        self.caught = {}
        self.given = {}
        self.busy = set()
        self.pairs = []
        self.counted = {}

    ACTOR = re.compile(r"([a-z]+(?:/[\w-]+)?)")
    NOBODY = {"server", "given", "any"}

    def actors(self):
        """Every session the script names, in the order of their coming."""
        found = {}
        for step in self.steps:
            words = step.text.split()
            if words[0] == "given":
                if words[1] != "server":
                    found.setdefault(words[1])
                    if words[2] == "and":
                        found.setdefault(words[3])
            elif words[0] not in self.NOBODY:
                found.setdefault(words[0])
        # who is only spoken of has an account, and is online like everybody
        texts = [s.text for step in self.steps for s in [step, *step.below]]
        caught = {name for text in texts for name in re.findall(r"\{=(\w+)\}", text)}
        for text in texts:
            for name in re.findall(r"\{([a-z]+(?:/[\w-]*)?)\}", text):
                session = name.removesuffix("/")
                known = {f.split("/")[0] for f in found}
                if session.split("/")[0] not in known | caught | {"domain", "now"}:
                    found.setdefault(session)
        return list(found)

    # what a line may name

    def account(self, actor):
        return self.accounts[actor.split("/")[0]]

    def bare(self, actor):
        return f"{self.account(actor)}@{self.server.domain}"

    def fill(self, text):
        def value(match):
            name = match.group(1)
            if name.startswith("="):
                return match.group(0)
            if name == "domain":
                return self.server.domain
            if name == "now":
                now = datetime.datetime.now(datetime.timezone.utc)
                return now.strftime("%Y-%m-%dT%H:%M:%SZ")
            if name in self.caught:
                return self.caught[name]
            session = name.removesuffix("/")
            if "/" in name and session in self.sessions:
                return self.sessions[session].jid
            if "/" not in name and name in self.accounts:
                return self.bare(name)
            if name.startswith("user:") and name[5:] in self.accounts:
                return self.accounts[name[5:]]
            raise AssertionError(f"nobody is called {{{name}}}")

        return re.sub(r"\{(=?[a-z][\w:/-]*)\}", value, text)

    # sessions

    def open(self, actor, online):
        resource = actor.split("/")[1] if "/" in actor else None
        wishes = self.given.get(actor, set())
        session = self.server.connect(self.account(actor), resource, sm="speaks sm" in wishes,
                                      acks="never acks" not in wishes)
        self.sessions[actor] = session
        if online:
            session.online()

    def settle(self):
        """Waits until the server is done with what anybody sent.

        In rounds: what the first sets going (an account is read from the store, its owner's
        contacts are told) is done before the last.
        """
        for _ in range(3 if self.busy else 1):
            for session in self.sessions.values():
                if not session.ended:
                    session.fence()
        self.busy.clear()

    def prepare(self):
        actors = self.actors()
        for step in self.steps:
            words = step.text.split()
            if words[0] == "given" and words[1] != "server":
                if words[2:3] == ["and"]:
                    assert words[4:] == ["are", "friends"], step
                    self.pairs.append((words[1], words[3]))
                else:
                    self.given.setdefault(words[1], set()).add(" ".join(words[2:]))
        people = list(dict.fromkeys(a.split("/")[0] for a in actors))
        self.accounts.update(zip(people, self.server.fresh_users(len(people))))
        for actor, wishes in self.given.items():
            if "is administrator" in wishes:
                self.server.make_admin(self.account(actor))
        for one, other in self.pairs:
            befriend(self.server, self.account(one), self.account(other))
        for actor in actors:
            wishes = self.given.get(actor, set())
            if "is offline" not in wishes:
                self.open(actor, online="is bound" not in wishes)
                self.busy.add(actor)
        self.settle()
        for session in self.sessions.values():
            session.drain()
            session.n_before = session.n_sent

    # steps

    def run(self):
        try:
            self.prepare()
            metrics = {m for s in self.steps if (m := self.metric_of(s))}
            self.counted = {m: self.server.count(m) for m in metrics}
            for step in self.steps:
                if step.text.split()[0] == "given":
                    continue
                try:
                    self.step(step)
                except (AssertionError, xmpp.Closed, TimeoutError, OSError) as trouble:
                    raise Mismatch(f"{step}\n{trouble}\n{self.transcripts()}") from None
        finally:
            for session in self.sessions.values():
                session.close()

    def transcripts(self):
        return "\n".join(f"-- {actor} ({getattr(s, 'jid', '?')})\n{s.transcript(8)}"
                         for actor, s in self.sessions.items())

    def metric_of(self, step):
        found = re.fullmatch(r"server counts (\S+) (==|>=) (\d+)", step.text)
        return found.group(1) if found else None

    def step(self, step):
        actor, _, act = step.text.partition(" ")
        if actor == "server":
            return self.server_step(step, act)
        for pattern, do in self.ACTS:
            found = re.fullmatch(pattern, act, re.DOTALL)
            if found:
                return do(self, actor, step, *found.groups())
        raise AssertionError("no such step")

    def server_step(self, step, act):
        if act in ("restarts", "is killed"):
            if act == "restarts":
                self.settle()
                status = self.server.stop()
                assert status == 0, f"it ended with {status}:\n{self.server.log_tail(3000)}"
            else:
                self.server.kill()
            # whoever was connected is no more; who does not come back is not asked again
            self.busy.clear()
            for session in self.sessions.values():
                session.cut()
                session.ended = True
            self.server.start()
        else:
            found = re.fullmatch(r"counts (\S+) (==|>=) (\d+)", act)
            assert found, "no such step"
            self.settle()
            grown = self.server.count(found.group(1)) - self.counted[found.group(1)]
            wanted = int(found.group(3))
            good = grown == wanted if found.group(2) == "==" else grown >= wanted
            assert good, f"{found.group(1)} grew by {grown}"

    def sends(self, actor, step, xml):
        self.sessions[actor].send(self.fill(xml))
        self.busy.add(actor)

    def gets(self, actor, step, pattern):
        pattern = self.fill(pattern)
        element = self.sessions[actor].stanza()
        if not matches(pattern, element, self.caught):
            raise Mismatch(f"wanted {pattern}\ngot    {xmpp.show(element)}")

    def gets_all(self, actor, step):
        texts = [self.fill(s.text) for s in step.below]
        left = [t for t in texts if not t.startswith("maybe ")]
        free = [t.removeprefix("maybe ") for t in texts if t.startswith("maybe ")]
        assert texts, "nothing is listed"

        def take(element):
            for patterns in (left, free):
                for pattern in patterns:
                    if matches(pattern, element, self.caught):
                        patterns.remove(pattern)
                        return True
            return False

        session = self.sessions[actor]
        while left:
            element = session.stanza()
            if not take(element):
                raise Mismatch(f"got {xmpp.show(element)}\nwanted one of\n  "
                               + "\n  ".join(left + free))
        if free:
            # what may come is there when the server is done, or it does not come
            self.settle()
            session.fence()
            while session.inbox and any(matches(p, session.inbox[0], {}) for p in free):
                take(session.stanza())

    def is_quiet(self, actor, step):
        self.settle()
        session = self.sessions[actor]
        got = session.drain()
        assert not got, "he hears " + ", ".join(map(xmpp.show, got))

    def drops(self, actor, step):
        self.settle()
        self.sessions[actor].drain()

    def connects(self, actor, step):
        self.open(actor, online=False)

    def comes_online(self, actor, step):
        self.open(actor, online=True)
        self.busy.add(actor)

    def goes_offline(self, actor, step):
        session = self.sessions[actor]
        session.send("<presence type='unavailable'/>")
        session.write("</stream:stream>")
        session.read_until_closed()
        session.cut()
        session.ended = True
        self.busy.discard(actor)

    def is_cut(self, actor, step):
        self.settle()
        self.sessions[actor].cut()
        self.sessions[actor].ended = True

    def resume(self, actor, h):
        old = self.sessions[actor]
        new, answer = xmpp.Client.resume(self.server, old, h=None if h is None else int(h))
        new.acks = old.acks
        self.sessions[actor] = new
        return answer

    def resumes(self, actor, step, h):
        answer = self.resume(actor, h)
        assert xmpp.local(answer) == "resumed", xmpp.show(answer)

    def cannot_resume(self, actor, step, nonsense):
        if nonsense:
            self.sessions[actor].sm_id = "0123456789abcdefghijklmnop"
        answer = self.resume(actor, None)
        assert xmpp.local(answer) == "failed", xmpp.show(answer)
        assert xmpp.condition_of(answer) == "item-not-found", xmpp.show(answer)

    def binds(self, actor, step):
        session = self.sessions[actor]
        session.bind()
        session.online()
        session.drain()

    def logs_in(self, actor, step, password):
        self.server.connect(self.account(actor), password=password).close()

    def fails_to_log_in(self, actor, step, condition=None):
        try:
            self.server.connect(self.account(actor)).close()
        except xmpp.LoginFailed as failed:
            assert failed.condition == (condition or "not-authorized"), str(failed)
            return
        raise AssertionError("he is let in")

    def is_closed_after(self, actor, step, pattern):
        self.gets(actor, step, pattern)
        self.is_disconnected(actor, step)

    def is_disconnected(self, actor, step):
        session = self.sessions[actor]
        try:
            while True:
                session.read()
        except xmpp.Closed:
            session.ended = True

    def is_acked(self, actor, step, h):
        # counted from here on: what opening the session sent does not matter to the reader
        session = self.sessions[actor]
        session.wait_acked(session.n_before + int(h))

    def acks(self, actor, step, h):
        session = self.sessions[actor]
        h = session.handled if h is None else int(h)
        session.write(f"<a xmlns='{xmpp.NS_SM}' h='{h}'/>")
        self.busy.add(actor)

    def asks(self, actor, step):
        self.sessions[actor].write(f"<r xmlns='{xmpp.NS_SM}'/>")

    def is_closed(self, actor, step, condition):
        closed = self.sessions[actor].read_until_closed()
        if condition.startswith("<"):
            assert closed.error is not None and matches(
                self.fill(condition), closed.error, self.caught), f"closed with {closed}"
        else:
            assert closed.condition == condition, f"closed with {closed.condition}"
        self.sessions[actor].ended = True

    ACTS = [
        (r"sends (.+)", sends),
        (r"gets all of", gets_all),
        (r"gets (.+)", gets),
        (r"is quiet", is_quiet),
        (r"drops what came", drops),
        (r"connects", connects),
        (r"comes online", comes_online),
        (r"goes offline", goes_offline),
        (r"is cut", is_cut),
        (r"resumes(?: with h=(\d+))?", resumes),
        (r"cannot resume( nonsense)?", cannot_resume),
        (r"binds", binds),
        (r"logs in with (.+)", logs_in),
        (r"fails to log in(?: with ([\w-]+))?", fails_to_log_in),
        (r"is closed after (.+)", is_closed_after),
        (r"is disconnected", is_disconnected),
        (r"is acked up to (\d+)", is_acked),
        (r"acks(?: (\d+))?", acks),
        (r"asks", asks),
        (r"is closed with (<.+|[\w-]+)", is_closed),
    ]


def befriend(server, one, other):
    """Makes two accounts subscribe to each other, the long way, as people do."""
    first, second = server.connect(one), server.connect(other)
    first.online()
    second.online()
    for asking, asked in ((first, second), (second, first)):
        asking.send(f"<presence type='subscribe' to='{asked.bare}'/>")
        asked.wait_for(lambda e: e.get("type") == "subscribe")
        asked.send(f"<presence type='subscribed' to='{asking.bare}'/>")
        asking.wait_for(lambda e: e.get("type") == "subscribed")
    for session in (first, second):
        session.fence()
        session.send("<presence type='unavailable'/>")
        session.fence()
        session.write("</stream:stream>")
        session.read_until_closed()
        session.cut()


def variants(path):
    """The dialogues of a file: [(name, steps)], separated by lines of `== name`."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    parts = re.split(r"^== (.+)$", text, flags=re.MULTILINE)
    out = []
    for at in range(1, len(parts), 2):
        line = text[:text.index("== " + parts[at])].count("\n")
        steps = read_steps("\n" * line + parts[at + 1])
        for number, order in enumerate(orders(steps)):
            out.append((f"{parts[at]}" + (f" [{number + 1}]" if number else ""), order))
    assert out, f"{path} has no dialogue"
    return out

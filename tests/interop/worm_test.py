"""Each measure against a worm, as a stranger's client sees it.

The worm here is a raw client (worms bring their own); its victims use slixmpp and profanity.  In
the first half an operator convicts, so that each measure is seen by itself; in the second the
guard has to find out.
"""

import asyncio
import re
import secrets

import pytest

import xmpp
from profanity_test import Profanity
from strangers import Stranger
from xmpp import online

RETRACT_0 = "{urn:xmpp:message-retract:0}retract"
RETRACT_1 = "{urn:xmpp:message-retract:1}retract"


@pytest.fixture
def guarded(own_server):
    return own_server({"guard.mode": "on"})


def link():
    return f"http://photos-{secrets.token_hex(4)}.example/album.php?u=1"


def send(client, to, body, id=None):
    id = id or "w" + secrets.token_hex(4)
    client.send(f"<message type='chat' to='{to}' id='{id}'><body>{body}</body></message>")
    return id


def convict(server, lure):
    return server.ctl_json("incident", "convict", lure)


def is_message(element):
    return xmpp.local(element) == "message"


def text_of(element):
    return element.findtext("{jabber:client}body") or ""


def error_of(message):
    """(condition, words for a person) of a bounced message."""
    error = message.find("{jabber:client}error")
    return (xmpp.condition_of(error),
            error.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text") or "")


def has_policy_violation(error):
    # slixmpp 1.8 has no name for this condition of RFC 6120; the element is there all the same
    return error.xml.find(f".//{{{xmpp.NS_STANZA_ERRORS}}}policy-violation") is not None


# An operator convicts


def test_a_rejected_message_comes_back_with_an_explanation(guarded, run):
    async def story():
        one, other = guarded.fresh_users(2)
        sender = await Stranger(guarded, one).enter()
        receiver = await Stranger(guarded, other).enter()
        lure = link()
        guarded.ctl("incident", "convict", lure)
        errors = asyncio.Queue()
        sender.add_event_handler("message_error", errors.put_nowait)
        sender.chat(receiver.boundjid.bare, "look: " + lure)
        error = await errors.get()
        assert has_policy_violation(error)
        assert len(error["error"]["text"]) > 40 and "link" in error["error"]["text"]
        # and the person keeps talking
        sender.chat(receiver.boundjid.bare, "did you get my message?")
        assert (await receiver.next())["body"] == "did you get my message?"
        await sender.leave()
        await receiver.leave()

    run(story())


def test_a_delivered_copy_is_retracted_in_every_resource(guarded, run):
    async def story():
        worm, = online(guarded, 1)
        name, = guarded.fresh_users(1)
        desk = await Stranger(guarded, name, resource="desk").enter()
        phone = await Stranger(guarded, name, resource="phone").enter()
        await phone["xep_0280"].enable()
        await desk["xep_0280"].enable()
        lure = link()
        id = send(worm, f"{name}@{guarded.domain}/desk", "look: " + lure)
        assert lure in (await desk.next())["body"]
        await phone.carbons.get()
        guarded.ctl("incident", "convict", lure)
        seen = await desk.next(lambda m: m.xml.find(f".//{RETRACT_0}") is not None
                               or m.xml.find(RETRACT_1) is not None)
        # clients obey a retraction only from the author
        assert seen["from"].bare == worm.bare
        assert id in xmpp.show(seen.xml)
        # what a client shows that cannot retract must read well, and must not be clickable
        assert len(seen["body"]) > 40 and "http://" not in seen["body"]
        # the other resource: the message itself or a carbon of it
        carbon = asyncio.ensure_future(phone.carbons.get())
        direct = asyncio.ensure_future(phone.next(
            lambda m: m.xml.find(f".//{RETRACT_0}") is not None
            or m.xml.find(f".//{RETRACT_1}") is not None))
        done, _ = await asyncio.wait({carbon, direct}, return_when=asyncio.FIRST_COMPLETED,
                                     timeout=xmpp.PATIENCE)
        assert done
        carbon.cancel()
        direct.cancel()
        await desk.leave()
        await phone.leave()

    run(story())


def test_the_archive_keeps_a_tombstone_and_no_link(guarded):
    worm, victim = online(guarded, 2)
    lure = link()
    send(worm, victim.bare, "look: " + lure, id="bait")
    victim.wait_for(is_message)
    convict(guarded, lure)
    victim.wait_for(is_message)
    answer = victim.ask("set", "<query xmlns='urn:xmpp:mam:2'/>")
    assert answer.get("type") == "result"
    pages = "".join(xmpp.show(m) for m in victim.drain())
    host = re.match(r"http://([^/]+)/", lure).group(1)
    assert "http://" + host not in pages, pages
    assert "retracted" in pages


def test_a_copy_that_waits_is_withdrawn(guarded):
    worm, = online(guarded, 1)
    away, = guarded.fresh_users(1)
    lure = link()
    send(worm, f"{away}@{guarded.domain}", "look: " + lure)
    send(worm, f"{away}@{guarded.domain}", "and an honest word")
    for _ in range(3):
        worm.fence()
    convict(guarded, lure)
    victim = guarded.connect(away)
    victim.online()
    victim.fence()
    bodies = [text_of(m) for m in victim.drain() if is_message(m)]
    assert "and an honest word" in bodies
    assert not [b for b in bodies if lure in b]


def test_a_person_is_told_whom_it_came_from_and_what_to_do(guarded):
    worm, = online(guarded, 1)
    name, = guarded.fresh_users(1)
    person = Profanity(guarded, name)
    try:
        person.log_in()
        lure = link()
        person.types(f"/msg {worm.bare}")
        send(worm, person.jid, "look: " + lure)
        person.sees("album")
        convict(guarded, lure)
        screen = person.sees("(?i)withdrawn|do not open", "(?i)help")
        assert worm.bare in screen
    finally:
        person.close()


def test_suspended_links_are_refused_with_an_explanation_and_talk_goes_on(guarded, run):
    async def story():
        one, other = guarded.fresh_users(2)
        sender = await Stranger(guarded, one).enter()
        receiver = await Stranger(guarded, other).enter()
        guarded.ctl("suspend", "links", "--for", "2h", "--reason", "drill")
        errors = asyncio.Queue()
        sender.add_event_handler("message_error", errors.put_nowait)
        sender.chat(receiver.boundjid.bare, "see https://www.example.org/minutes")
        error = await errors.get()
        assert has_policy_violation(error)
        assert "switched off" in error["error"]["text"]
        sender.chat(receiver.boundjid.bare, "words")
        assert (await receiver.next())["body"] == "words"
        guarded.ctl("resume", "links")
        sender.chat(receiver.boundjid.bare, "see https://www.example.org/minutes")
        assert "minutes" in (await receiver.next())["body"]
        await sender.leave()
        await receiver.leave()

    run(story())


def test_a_release_brings_the_message_back(guarded):
    worm, victim = online(guarded, 2)
    lure = link()
    send(worm, victim.bare, "look: " + lure, id="honest")
    victim.wait_for(is_message)
    convict(guarded, lure)
    victim.wait_for(is_message)
    incident = guarded.ctl_json("incident", "list")
    rows = incident if isinstance(incident, list) else next(
        v for v in incident.values() if isinstance(v, list))
    number = str(rows[0].get("id", rows[0].get("incident")))
    guarded.ctl("incident", "release", number, "--reason", "it was ours")
    again = victim.wait_for(lambda e: is_message(e) and lure in text_of(e))
    # anew: another id, the original time
    assert again.get("id") != "honest"
    assert again.find("{urn:xmpp:delay}delay") is not None
    send(worm, victim.bare, "once more: " + lure)
    assert lure in text_of(victim.wait_for(lambda e: is_message(e) and "once more" in text_of(e)))


# The guard finds out


class Outbreak:
    """Patient zero sends a never-seen link to his contacts, and five of those send it on.

    zero, first and second are the generations; heard[person] the messages each has got so far.
    """

    def __init__(self, server, n_first=12, n_second=12):
        people = online(server, 1 + n_first + n_second)
        self.people = people
        self.zero, self.first, self.second = people[0], people[1:1 + n_first], people[1 + n_first:]
        self.lure = link()
        for worm, targets in [(self.zero, self.first)] + [(p, self.second) for p in self.first[:5]]:
            for target in targets:
                send(worm, target.bare, "haha is this you? " + self.lure)
            worm.fence()
        for _ in range(2):
            for client in people:
                client.fence()
        self.heard = {p: [m for m in p.drain() if is_message(m)] for p in people}

    def hears(self, person, wanted):
        """Waits until the person has got a message for which wanted holds; that message."""
        while True:
            for message in self.heard[person]:
                if wanted(message):
                    return message
            self.heard[person].append(person.wait_for(is_message))


def test_a_worm_is_convicted_and_its_relays_keep_talking(guarded):
    # P1: one text, one link, all contacts, at machine pace
    outbreak = Outbreak(guarded)
    first, second, lure = outbreak.first, outbreak.second, outbreak.lure
    for _ in range(50):
        incidents = guarded.ctl("incident", "list")
        if "convicted" in incidents:
            break
        outbreak.zero.fence()
    assert "convicted" in incidents, incidents
    # no more copies
    other = first[6]
    send(other, second[0].bare, "haha is this you? " + lure, id="late")
    late = other.wait_for(lambda e: is_message(e) and e.get("id") == "late")
    assert late.get("type") == "error" and error_of(late)[0] == "policy-violation"
    # a relay has lost links, any link, and keeps its voice
    relay = first[0]
    send(relay, second[1].bare, "see https://www.example.org/", id="any")
    refused = relay.wait_for(lambda e: is_message(e) and e.get("id") == "any")
    assert refused.get("type") == "error"
    condition, words = error_of(refused)
    assert condition == "policy-violation" and len(words) > 40
    send(relay, second[1].bare, "but I can talk", id="talk")
    assert text_of(second[1].wait_for(lambda e: e.get("id") == "talk")) == "but I can talk"
    # somebody who was only exposed has lost nothing
    send(second[5], second[6].bare, "see https://www.example.org/", id="free")
    assert second[6].wait_for(lambda e: e.get("id") == "free").get("type") == "chat"


def test_the_exposed_are_told_not_to_open_it(guarded):
    outbreak = Outbreak(guarded)
    exposed = [p for p in outbreak.first + outbreak.second
               if any(outbreak.lure in text_of(m) and m.get("type") != "error"
                      and m.get("from") != p.jid for m in outbreak.heard[p])]
    assert exposed
    for person in exposed:
        told = outbreak.hears(person, lambda m: re.search("(?i)do not open", text_of(m)))
        assert "http://" not in text_of(told)


def test_a_relay_is_told_how_to_get_clean(guarded):
    outbreak = Outbreak(guarded)
    relay = outbreak.first[0]
    send(relay, outbreak.second[0].bare, "see https://www.example.org/", id="x")
    refused = outbreak.hears(relay, lambda m: m.get("id") == "x")
    notices = [text_of(m) for m in outbreak.heard[relay]
               if m.get("from", "").split("/")[0] == guarded.domain]
    words = " ".join([error_of(refused)[1], *notices])
    assert re.search("(?i)infected|help desk", words), words


def test_honest_talk_is_untouched_by_all_this(guarded):
    outbreak = Outbreak(guarded)
    first, second = outbreak.first, outbreak.second
    for i, person in enumerate(second):
        send(person, first[i].bare, f"how are you, number {i}?", id=f"h{i}")
    for i in range(len(second)):
        got = first[i].wait_for(lambda e, i=i: e.get("id") == f"h{i}")
        assert got.get("type") == "chat" and got.find("{urn:xmpp:delay}delay") is None


def test_two_decoys_and_one_relay_are_enough(guarded):
    # decoys: nobody has a reason to send them anything; two senders and a passed-on copy convict
    zero, relay, victim, one, two = online(guarded, 5)
    for decoy in (one, two):
        guarded.ctl("decoy", "add", decoy.bare)
    lure = link()
    for worm, targets in [(zero, [relay, one]), (relay, [two, victim])]:
        for target in targets:
            send(worm, target.bare, "haha is this you? " + lure)
        worm.fence()
        target.fence()
    for _ in range(50):
        incidents = guarded.ctl("incident", "list")
        if "convicted" in incidents:
            break
        zero.fence()
    assert "convicted" in incidents, incidents
    send(victim, one.bare, "haha is this you? " + lure, id="late")
    late = victim.wait_for(lambda e: is_message(e) and e.get("id") == "late")
    assert error_of(late)[0] == "policy-violation"
    # whoever talks to a decoy without a lure is not even noticed
    send(victim, one.bare, "hello?", id="hello")
    assert text_of(one.wait_for(lambda e: e.get("id") == "hello")) == "hello?"


# The same through strangers' eyes: the guard convicts, and nobody there knows Firedoor


async def aside(act, *words):
    """Raw clients wait; slixmpp reads on meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(None, act, *words)


def convicted(server, fence):
    """The number of the incident, once the guard has convicted it."""
    for _ in range(100):
        rows = server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
        if rows:
            return str(rows[0]["id"])
        fence()
    raise AssertionError(server.ctl("incident", "list"))


def spread(crowd, targets, lure):
    """Each of the crowd sends it to all targets, bare JIDs, at machine pace."""
    for worm in crowd:
        for target in targets:
            send(worm, target, "haha is this you? " + lure)
        worm.fence()


def test_slixmpp_sees_the_guard_convict_restrict_and_release(guarded, run):
    async def story():
        people = await aside(online, guarded, 23)
        zero, first, second = people[0], people[1:12], people[12:]
        one, other = guarded.fresh_users(2)
        relay = await Stranger(guarded, one).enter()
        victim = await Stranger(guarded, other).enter()
        errors = asyncio.Queue()
        relay.add_event_handler("message_error", errors.put_nowait)
        lure = link()
        # the first few of a star arrive at once, what follows is held for a moment
        await aside(spread, [zero], [relay.boundjid.bare, victim.boundjid.bare]
                    + [p.bare for p in first], lure)
        assert lure in (await relay.next())["body"]
        assert lure in (await victim.next())["body"]
        for target in second:
            relay.chat(target.bare, "haha is this you? " + lure)
        await relay.fence()
        incident = await aside(convicted, guarded, zero.fence)

        # rejected: the relay reads why
        error = await errors.get()
        assert has_policy_violation(error) and "attack" in error["error"]["text"]
        # the exposed: from whom it came, that it was not he, and nothing to click
        told = await victim.next(lambda m: "do not open" in m["body"])
        assert told["from"].bare == zero.bare
        assert zero.bare in told["body"] and "malicious program" in told["body"]
        assert "http://" not in told["body"]
        # the relay: what happened and how to get clean, from the domain
        told = await relay.next(lambda m: "program seems to be sending" in m["body"])
        assert told["from"].bare == guarded.domain
        assert re.search("program.*your account.*help desk.*password", told["body"], re.S)
        assert "http://" not in told["body"]
        # it has lost links, any link, and keeps its voice
        while not errors.empty():
            errors.get_nowait()
        relay.chat(victim.boundjid.bare, "see https://www.example.org/minutes")
        error = await errors.get()
        assert has_policy_violation(error) and error["error"]["type"] == "wait"
        assert "may not send links" in error["error"]["text"]
        relay.chat(victim.boundjid.bare, "but I can talk")
        assert (await victim.next(lambda m: "talk" in m["body"]))["from"].bare == \
            relay.boundjid.bare

        # released: told so, links pass, and what was withdrawn comes again with its time
        await aside(guarded.ctl, "incident", "release", incident, "--reason", "it was ours")
        await relay.next(lambda m: m["from"].bare == guarded.domain
                         and "may send links and files again" in m["body"])
        again = await victim.next(lambda m: lure in m["body"])
        assert again["delay"]["stamp"] is not None and again["from"].bare == zero.bare
        relay.chat(victim.boundjid.bare, "see https://www.example.org/minutes")
        assert await victim.next(lambda m: m["body"].endswith("/minutes"))
        assert errors.empty()
        for stranger in (relay, victim):
            await stranger.leave()
        for client in people:
            client.close()

    run(story(), timeout=10 * xmpp.PATIENCE)


def test_profanity_shows_a_relay_what_happened_and_lets_it_talk(guarded):
    people = online(guarded, 24)
    zero, first, second = people[0], people[1:12], people[12:]
    name, = guarded.fresh_users(1)
    person = Profanity(guarded, name)
    try:
        person.log_in()
        lure = link()
        friend = second[0]
        spread([zero], [person.jid] + [p.bare for p in first], lure)
        person.types(f"/msg {zero.bare}")
        person.sees("album")
        spread(first[:1], [p.bare for p in second], lure)
        incident = convicted(guarded, zero.fence)
        # exposed: in the place of what zero sent
        person.types(f"/msg {zero.bare}")
        person.sees("do not open", "help desk")
        # a program in his place passes it on nevertheless
        for target in second[:4]:
            person.types(f"/msg {target.bare} haha is this you? {lure}")
        person.sees("(?i)error.*not delivered|part of an attack")
        # relay: from the domain
        person.types(f"/msg {guarded.domain}")
        person.sees("program seems to be sending", "change your password|password")
        # its links are refused, and it reads why; its words arrive
        person.types(f"/msg {friend.bare} see https://www.example.org/minutes")
        person.sees("(?i)error.*not delivered|may not send links")
        person.types(f"/msg {friend.bare} but-I-can-talk")
        assert friend.wait_for(lambda e: is_message(e) and text_of(e) == "but-I-can-talk")
        # released
        guarded.ctl("incident", "release", incident, "--reason", "it was ours")
        person.types(f"/msg {guarded.domain}")
        person.sees("may send links and files again")
        person.types(f"/msg {friend.bare} see https://www.example.org/agenda")
        assert friend.wait_for(lambda e: is_message(e) and "agenda" in text_of(e))
    finally:
        person.close()

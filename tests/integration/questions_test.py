"""Senders are asked whether they meant it: on another device, or with a puzzle; and decide."""

import re

import pytest

import xmpp
from caps_test import answer_caps, hash_of, show_caps
from ctl_test import wait_until
from doors_test import befriend, fresh, is_message, online, settle, status_of

DATA = "jabber:x:data"
DELAY = "{urn:xmpp:delay}delay"
BODY = "{jabber:client}body"
ANIMALS = "dog cat horse cow sheep goat duck mouse lion bear".split()
# somebody's first link to many, at once, is a star even where the guard knows nothing yet
ASKING = {"guard.mode": "on", "guard.convict_nats": "11", "guard.hold_nats": "11"}


def phone_of(server, user):
    phone = server.connect(user, "phone")
    phone.online()
    return [phone]


def nothing_of(_server, _user):
    return []


class Star:
    """Somebody who sends a link to everybody at machine pace until he is asked, and on."""

    def __init__(self, server, others=None, n=14):
        """others: makes his other devices, which are there before it happens; a phone."""
        self.server = server
        self.user = server.fresh_users(1)[0]
        self.others = (others or phone_of)(server, self.user)
        self.own = server.connect(self.user, "desk")
        self.own.online()
        self.friends = online(server, n)
        settle(self.own, *self.others)
        self.drain()
        self.word, self.link = fresh()
        for i, friend in enumerate(self.friends):
            self.say(friend, f"{i} look {self.link}")
        self.say(self.friends[-1], f"again {self.link}")
        settle(self.own)
        wait_until(lambda: self.pending() != [])

    def drain(self):
        return [e for c in [self.own, *self.others] for e in c.drain()]

    def say(self, friend, text):
        self.own.send(f"<message type='chat' to='{friend.bare}' id='{text[:5].strip()}'>"
                      f"<body>{text}</body></message>")

    def pending(self):
        return [q for q in self.server.ctl_json("guard", "questions")["questions"]
                if q["account"] == f"{self.user}@{self.server.domain}"]

    @property
    def number(self):
        return self.pending()[0]["question"]

    @property
    def incident(self):
        return self.pending()[0]["incident"]

    def got(self, friend):
        """What a friend can read now of it, in order: what was taken back is gone."""
        settle(friend)
        seen = []
        for e in friend.drain():
            body = e.findtext(BODY) or ""
            retract = e.find("{urn:xmpp:message-retract:1}retract")
            if retract is not None:
                seen = [s for s in seen if s.get("id") != retract.get("id")]
            elif is_message(e) and self.link in body:
                seen.append(e)
        return seen

    def close(self):
        for client in [self.own, *self.others, *self.friends]:
            client.close()


@pytest.fixture(scope="module")
def asking():
    import server as servers
    one = servers.make(dict(ASKING)).start()
    yield one
    one.check_healthy()
    one.remove()


def from_server(client):
    settle(client)
    return [e for e in client.drain() if is_message(e) and e.get("type") != "error"
            and e.get("from") == client.domain]


def question(client):
    """The question that has reached this device."""
    return client.wait_for(lambda e: is_message(e) and e.get("from") == client.domain
                           and "Did you mean to send" in (e.findtext(BODY) or ""))


def reply(client, text):
    client.send(f"<message type='chat' to='{client.domain}' id='answer'><body>{text}</body>"
                "</message>")


def errors(client):
    settle(client)
    return [e for e in client.drain() if is_message(e) and e.get("type") == "error"]


def said(element):
    return (element.findtext(BODY) or "") if element is not None else ""


def shown(text):
    """The six words of a puzzle."""
    words = re.search(r"name animals: ([^.]*)\.", text).group(1).split(", ")
    assert len(words) == 6
    return words


def solve(text):
    return [w for w in shown(text) if w in ANIMALS]


def test_the_other_device_is_asked_and_its_yes_delivers_all_in_order(asking):
    star = Star(asking)
    phone = star.others[0]
    asked = question(phone)
    assert star.word in said(asked) and star.link not in said(asked)  # nothing to open
    assert f"yes {star.number}" in said(asked)
    assert asked.get("type") == "chat" and phone.jid == asked.get("to")
    assert from_server(star.own) == []  # a program there hears nothing of it
    assert all(star.got(f) == [] for f in star.friends)  # what had arrived was taken back
    incident, number, held = star.incident, star.number, star.pending()[0]["held"]
    assert held >= 5
    story = asking.ctl_json("incident", "show", str(incident))
    assert story["state"] == "convicted" and story["questions"][0]["answer"] == "open"
    assert not any(node["restricted"] for node in story["tree"])
    wait_until(lambda: asking.count("guard_questions_waiting") >= 1)
    reply(phone, f"yes {number}")
    assert phone.wait_for(lambda e: "on its way" in said(e))
    for friend in star.friends:
        assert friend.wait_for(lambda e: is_message(e) and star.link in said(e)
                               and e.find(DELAY) is not None)
    last = star.friends[-1]
    wait_until(lambda: asking.ctl_json("incident", "show", str(incident))["effects"]
               ["held_delivered"] == held)
    story = asking.ctl_json("incident", "show", str(incident))
    assert story["state"] == "open" and story["questions"][0]["answer"] == "yes"
    assert story["questions"][0]["device"] == "other"
    assert errors(star.own) == []
    # nothing of his waits now
    star.say(last, f"more {star.link}")
    settle(star.own)
    assert last.wait_for(lambda e: said(e).startswith("more"))
    wait_until(lambda: asking.count("guard_questions_yes") >= 1)
    text = asking.ctl("incident", "show", str(incident))
    assert "questions" in text and "yes, on another device" in text
    assert '"undo ask"' in asking.ctl("--json", "audit", "list")
    star.close()


COMMANDS = "{http://jabber.org/protocol/commands}"
QUESTION = "urn:firedoor:question:0"


def command(client, inside="", **attributes):
    words = "".join(f" {k}='{v}'" for k, v in attributes.items())
    return client.ask("set", f"<command xmlns='http://jabber.org/protocol/commands' "
                      f"node='{QUESTION}'{words}>{inside}</command>", to=client.domain)


def submitted(**values):
    fields = "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in values.items())
    return f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"


def offered(client):
    answer = client.ask("get", "<query xmlns='http://jabber.org/protocol/disco#items' "
                        "node='http://jabber.org/protocol/commands'/>", to=client.domain)
    return [i.get("node") for i in answer.iter("{http://jabber.org/protocol/disco#items}item")]


def test_the_question_is_also_a_command(asking):
    star = Star(asking)
    phone, number = star.others[0], str(star.number)
    assert offered(phone) == [QUESTION] and offered(star.friends[0]) == []
    first = command(phone).find(COMMANDS + "command")
    assert (first.get("sessionid"), first.get("status")) == (number, "executing")
    fields = {f.get("var"): f for f in first.iter("{jabber:x:data}field")}
    assert set(fields) == {"FORM_TYPE", "question", "meant"}  # no puzzle on another device
    assert star.word in first.findtext(".//{jabber:x:data}instructions")
    # whose question it is not, or who names another, is told of none
    assert command(star.friends[0]).get("type") == "error"
    assert command(phone, submitted(meant="1"), sessionid="999999").get("type") == "error"
    over = command(phone, sessionid=number, action="cancel").find(COMMANDS + "command")
    assert over.get("status") == "canceled" and star.pending() != []
    # the device that sent hears of it through this door no more than through the other
    assert offered(star.own) == [] and command(star.own).get("type") == "error"
    own = command(star.own, submitted(meant="1"), sessionid=number, action="complete")
    assert own.get("type") == "error" and star.pending() != []
    done = command(phone, submitted(meant="1"), sessionid=number, action="complete")
    assert done.find(COMMANDS + "command").get("status") == "completed"
    wait_until(lambda: star.pending() == [])
    for friend in star.friends:
        assert friend.wait_for(lambda e: is_message(e) and star.link in said(e)
                               and e.find(DELAY) is not None)
    assert offered(phone) == [] and command(phone).get("type") == "error"
    star.close()


def test_what_was_held_arrives_in_order_and_with_its_time(asking):
    star = Star(asking)
    last = star.friends[-1]
    star.got(last)
    reply(star.others[0], "Yes.")
    first = last.wait_for(lambda e: is_message(e) and star.link in said(e))
    second = last.wait_for(lambda e: is_message(e) and star.link in said(e))
    assert said(first).startswith(f"{len(star.friends) - 1} ") and said(second).startswith("again")
    stamps = [e.find(DELAY).get("stamp") for e in (first, second)]
    assert stamps == sorted(stamps)
    # whose copies had been taken back gets them once more, as from him
    for friend in star.friends[:2]:
        assert friend.wait_for(lambda e: star.link in said(e)).get("from").startswith(star.own.bare)
    star.close()


def test_a_no_returns_them_and_the_account_loses_its_links(asking):
    star = Star(asking)
    phone = star.others[0]
    question(phone)
    incident = star.incident
    held = star.pending()[0]["held"]
    assert held >= 5
    reply(phone, "no, that was not me")
    assert phone.wait_for(lambda e: "is being taken back" in said(e))
    wait_until(lambda: asking.ctl_json("incident", "show", str(incident))["effects"]
               ["held_returned"] >= held)
    back = errors(star.own)
    assert len([e for e in back if "you said that you did not send it" in xmpp.show(e)]) == held
    assert all(star.got(f) == [] for f in star.friends)
    story = asking.ctl_json("incident", "show", str(incident))
    assert story["state"] == "convicted" and story["questions"][0]["answer"] == "no"
    assert [n["who"] for n in story["tree"] if n["restricted"]] == [star.own.bare]
    star.own.send(f"<message type='chat' to='{star.friends[0].bare}' id='z'>"
                  "<body>see http://fine.example/</body></message>")
    assert "may not send links" in xmpp.show(errors(star.own)[-1])
    wait_until(lambda: asking.count("guard_questions_no") >= 1)
    star.close()


def test_without_an_answer_they_return_and_say_why(own_server):
    server = own_server({**ASKING, "guard.ask": "3 s"})
    star = Star(server, others=nothing_of)
    incident = star.incident
    wait_until(lambda: server.count("guard_questions_expired") == 1)
    wait_until(lambda: server.ctl_json("incident", "show", str(incident))["effects"]
               ["held_returned"] >= 5)
    back = [e for e in errors(star.own) if "no answer in time" in xmpp.show(e)]
    assert len(back) >= 5
    assert {xmpp.condition_of(e.find("{jabber:client}error")) for e in back} == {"policy-violation"}
    story = server.ctl_json("incident", "show", str(incident))
    assert story["questions"][0]["answer"] == "expired"
    assert not any(node["restricted"] for node in story["tree"])
    assert [q["late"] for q in star.pending()] == [True]
    # he may go on with other things
    star.say(star.friends[0], "fine http://other.example/")
    assert star.friends[0].wait_for(lambda e: said(e).startswith("fine"))
    star.close()


def came_back(client):
    """Ids of what came back to its sender since the last look."""
    return sorted(e.get("id") for e in errors(client))


def silent_star(server):
    """One who was not there to answer: what had arrived, and what waited, came back to him."""
    star = Star(server)
    incident = star.incident
    before = server.ctl_json("incident", "show", str(incident))
    sent = sorted([f"{i} look"[:5].strip() for i in range(len(star.friends))] + ["again"])
    wait_until(lambda: server.ctl_json("incident", "show", str(incident))["effects"]
               ["copies_returned"] >= 2)
    story = server.ctl_json("incident", "show", str(incident))
    taken_back, held = story["effects"]["taken_back"], story["effects"]["held_returned"]
    assert before["state"] == story["state"] == "convicted"
    assert story["effects"]["copies_returned"] == taken_back and taken_back + held == len(sent)
    # each once, and each says why
    back = errors(star.own)
    assert sorted(e.get("id") for e in back) == sent
    taken = [e for e in back if "taken back again" in xmpp.show(e)]
    assert len(taken) == taken_back
    assert all(star.got(f) == [] for f in star.friends)
    return star, incident


def test_what_had_arrived_returns_too_and_a_late_yes_lets_it_be_sent_again(own_server):
    server = own_server({**ASKING, "guard.ask": "4 s"})
    star, incident = silent_star(server)
    phone = star.others[0]
    late = phone.wait_for(lambda e: "You can still answer here" in said(e))
    assert star.word in said(late) and star.link not in said(late)
    wait_until(lambda: [q["late"] for q in star.pending()] == [True])
    reply(phone, f"yes {star.number}")
    thanks = phone.wait_for(lambda e: "Please send it again" in said(e))
    assert f"to {len(star.friends)} people" in said(thanks)
    wait_until(lambda: star.pending() == [])
    story = server.ctl_json("incident", "show", str(incident))
    assert story["state"] == "open" and story["questions"][0]["answer"] == "yes"
    # nothing that had returned comes after all
    settle(star.own)
    assert all(star.got(f) == [] for f in star.friends) and came_back(star.own) == []
    star.say(star.friends[0], f"once more {star.link}")
    assert star.friends[0].wait_for(lambda e: said(e).startswith("once more"))
    assert server.ctl_json("incident", "show", str(incident))["effects"]["given_again"] == 0
    star.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_who_comes_back_after_a_restart_may_still_answer(own_server, end):
    server = own_server({**ASKING, "guard.ask": "4 s"})
    star, incident = silent_star(server)
    getattr(server, end)()
    server.start()
    own = server.connect(star.user, "desk")
    own.online()
    settle(own)
    asked = own.wait_for(lambda e: "You can still answer here" in said(e))
    # once is once: neither is it returned again nor given again
    assert came_back(own) == []
    reply(own, "yes " + " ".join(solve(said(asked))))
    assert own.wait_for(lambda e: "Please send it again" in said(e))
    wait_until(lambda: server.ctl_json("incident", "show", str(incident))["state"] == "open")
    friend = server.connect(star.friends[0].user)
    friend.online()
    own.send(f"<message type='chat' to='{star.friends[0].bare}' id='z'>"
             f"<body>anew {star.link}</body></message>")
    assert friend.wait_for(lambda e: is_message(e) and star.link in said(e)).get("id") == "z"
    assert came_back(own) == []
    own.close()
    friend.close()


def test_a_late_no_takes_his_links(own_server):
    server = own_server({**ASKING, "guard.ask": "4 s"})
    star, incident = silent_star(server)
    phone = star.others[0]
    reply(phone, f"no {star.number}")
    assert phone.wait_for(lambda e: "is being taken back" in said(e))
    wait_until(lambda: star.pending() == [])
    story = server.ctl_json("incident", "show", str(incident))
    assert story["state"] == "convicted" and story["questions"][0]["answer"] == "no"
    assert [n["who"] for n in story["tree"] if n["restricted"]] == [star.own.bare]
    star.close()


def test_others_who_send_what_is_on_trial_wait_for_the_answer(asking):
    star = Star(asking)
    stranger, = online(asking, 1)
    reader = star.friends[3]
    relay = star.friends[0]
    for who, words in ((stranger, "found"), (relay, "passed on")):
        who.send(f"<message type='chat' to='{reader.bare}' id='o'><body>{words} {star.link}</body>"
                 "</message>")
    assert errors(stranger) == []
    assert "nobody has said, or not in time" in xmpp.show(errors(relay)[0])
    pending = asking.ctl_json("guard", "questions")["questions"]
    asked = {q["account"] for q in pending if q["incident"] == star.incident}
    assert asked == {star.own.bare, stranger.bare}  # who was shown it is not asked
    assert star.got(reader) == []
    reply(star.others[0], f"yes {star.number}")
    assert reader.wait_for(lambda e: said(e).startswith("found"))
    stranger.close()
    star.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_question_survives_a_restart(own_server, end):
    server = own_server(dict(ASKING))
    star = Star(server)
    question(star.others[0])
    before = star.pending()
    getattr(server, end)()
    server.start()
    again = [(q["question"], q["incident"], q["until"]) for q in star.pending()]
    assert again == [(q["question"], q["incident"], q["until"]) for q in before]
    # who logs in after it was asked may be the worm: here too only a puzzle's word counts
    phone = server.connect(star.user, "phone")
    phone.online()
    asked = question(phone)
    reply(phone, "yes " + " ".join(solve(said(asked))))
    assert phone.wait_for(lambda e: "on its way" in said(e))
    friend = server.connect(star.friends[-1].user)
    friend.online()
    first = friend.wait_for(lambda e: is_message(e) and star.link in said(e))
    second = friend.wait_for(lambda e: is_message(e) and star.link in said(e))
    assert said(second).startswith("again") and first.find(DELAY) is not None
    story = server.ctl_json("incident", "show", str(before[0]["incident"]))
    assert story["questions"][0]["device"] == "puzzle"
    phone.close()
    friend.close()


def test_the_device_that_sent_cannot_answer_for_its_owner(asking):
    star = Star(asking)
    for words in (f"yes {star.number}", "yes", "yes dog cat"):
        reply(star.own, words)
        got = star.own.wait_for(lambda e: is_message(e) and e.get("from") == asking.domain)
        assert "Please answer on another of your devices" in said(got)
    assert star.got(star.friends[-1]) == [] and len(star.pending()) == 1
    # a no is believed whatever it comes from
    reply(star.own, "no")
    wait_until(lambda: star.pending() == [])
    star.close()


def test_who_has_one_device_solves_a_puzzle_and_has_two_tries(asking):
    star = Star(asking, others=nothing_of)
    asked = question(star.own)
    right = solve(said(asked))
    assert len(right) == 2
    wrong = [w for w in shown(said(asked)) if w not in right]
    reply(star.own, "yes")  # without the words: they are said again
    assert solve(said(star.own.wait_for(lambda e: "name animals" in said(e)))) == right
    # all six words are no answer
    reply(star.own, "yes " + " ".join(right + wrong))
    assert star.own.wait_for(lambda e: "not the two words" in said(e))
    reply(star.own, f"{right[1].upper()}, {right[0]}: yes!")
    assert star.own.wait_for(lambda e: "on its way" in said(e))
    assert star.friends[-1].wait_for(lambda e: star.link in said(e))
    star.close()
    star = Star(asking, others=nothing_of)
    words = shown(said(question(star.own)))
    right = [w for w in words if w in ANIMALS]
    wrong = [w for w in words if w not in ANIMALS]
    for words in (" ".join(wrong[:2]), f"{right[0]} {wrong[0]}", " ".join(right)):
        reply(star.own, "yes " + words)
    settle(star.own)
    assert len(star.pending()) == 1  # the third came too late
    star.close()


def phone_with_forms(server, user):
    phone, = phone_of(server, user)
    features = [DATA, "http://jabber.org/protocol/disco#info"]
    show_caps(phone, hash_of(features))
    answer_caps(phone, features)
    return [phone]


def test_a_client_that_knows_forms_gets_one_and_may_submit_it(asking):
    star = Star(asking, others=phone_with_forms)
    phone = star.others[0]
    form = question(phone).find(f"{{{DATA}}}x")
    fields = {f.get("var"): f for f in form.findall(f"{{{DATA}}}field")}
    assert form.get("type") == "form" and set(fields) == {"FORM_TYPE", "question", "meant"}
    number = fields["question"].findtext(f"{{{DATA}}}value")
    phone.send(f"<message to='{asking.domain}'><x xmlns='{DATA}' type='submit'>"
               "<field var='FORM_TYPE'><value>urn:firedoor:question:0</value></field>"
               f"<field var='question'><value>{number}</value></field>"
               "<field var='meant'><value>1</value></field></x></message>")
    assert phone.wait_for(lambda e: "on its way" in said(e))
    assert star.friends[-1].wait_for(lambda e: star.link in said(e))
    star.close()


def test_what_is_no_answer_is_said_to_be_none(asking):
    star = Star(asking)
    phone = star.others[0]
    reply(phone, "who are you?")
    assert phone.wait_for(lambda e: "not understood" in said(e))
    reply(phone, "")  # nor is this
    assert phone.wait_for(lambda e: "not understood" in said(e))
    phone.send(f"<message type='chat' to='{asking.domain}'>"
               "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
    settle(phone)
    assert [e for e in phone.drain() if e.get("type") == "error"] == []
    # who was not asked is told that nobody is there
    stranger = online(asking, 1)[0]
    reply(stranger, "yes")
    assert xmpp.condition_of(errors(stranger)[0].find("{jabber:client}error")) == \
        "service-unavailable"
    reply(phone, "no")
    wait_until(lambda: star.pending() == [])
    stranger.close()
    star.close()


def test_an_operators_word_ends_the_question(asking):
    star = Star(asking)
    phone = star.others[0]
    question(phone)
    asking.ctl("incident", "release", str(star.incident), "--reason", "it is our newsletter")
    assert phone.wait_for(lambda e: "needs no answer any more" in said(e))
    assert star.pending() == [] and star.friends[-1].wait_for(lambda e: star.link in said(e))
    star.close()


def german_phone(server, user):
    phone = server.connect(user, "phone", lang="de")
    phone.online()
    return [phone]


def test_the_question_is_in_the_language_of_the_device(asking):
    star = Star(asking, others=german_phone)
    phone = star.others[0]
    asked = phone.wait_for(lambda e: "Personen senden" in said(e))
    assert asked.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    reply(phone, "Ja")
    assert phone.wait_for(lambda e: "unterwegs" in said(e))
    star.close()


def pass_on(people, i, story):
    """One who was shown the story shows it to three more."""
    for k in range(1, 4):
        people[i].send(f"<message type='chat' to='{people[3 * i + k].bare}' id='s{i}-{k}'>"
                       f"<body>{story}</body></message>")
    settle(people[i], *people[3 * i + 1:3 * i + 4])


def test_the_relays_of_a_link_on_an_honest_host_are_asked(own_server):
    server = own_server({"guard.mode": "on"})
    people = online(server, 40)
    phones = {i: server.connect(people[i].user, "phone") for i in (1, 2, 3, 7)}
    for phone in phones.values():
        phone.online()
        settle(phone)
        phone.drain()
    # they have been there for longer than their other devices
    story = "https://www.youtube.com/watch?v=notaworm"
    for i in range(4):
        pass_on(people, i, story)
    pending = server.ctl_json("guard", "questions")["questions"]
    assert {q["account"] for q in pending} == {people[i].bare for i in range(4)}
    for i in (1, 2):
        question(phones[i])
        reply(phones[i], "no")
        assert phones[i].wait_for(lambda e: "is being taken back" in said(e))
    incident = str(pending[0]["incident"])
    wait_until(lambda: server.ctl_json("incident", "show", incident)["effects"]["taken_back"] == 6)
    shown = server.ctl_json("incident", "show", incident)
    assert shown["state"] == "open"  # the link itself is convicted by nobody
    assert {n["who"] for n in shown["tree"] if n["restricted"]} == {people[1].bare, people[2].bare}
    # their copies are gone, the others' stand
    settle(*people)
    gone = [e for e in people[4].drain() if e.find("{urn:xmpp:message-retract:1}retract")
            is not None]
    stands = [e for e in people[10].drain() if e.find("{urn:xmpp:message-retract:1}retract")
              is not None]
    assert len(gone) == 1 and stands == []
    # who was shown it is asked before his own copies go
    pass_on(people, 7, story)
    assert [e for e in people[22].drain() if story in said(e)] == []
    question(phones[7])
    reply(phones[7], "yes")
    assert people[22].wait_for(lambda e: story in said(e))
    # who came by it himself sends it as ever
    people[38].send(f"<message type='chat' to='{people[39].bare}'><body>{story}</body></message>")
    assert people[39].wait_for(lambda e: story in said(e))
    for client in (*people, *phones.values()):
        client.close()


def test_where_the_guard_only_watches_nobody_is_asked(own_server):
    server = own_server({**ASKING, "guard.mode": "observe"})
    zero, *friends = online(server, 15)
    _, link = fresh()
    for friend in friends:
        zero.send(f"<message type='chat' to='{friend.bare}'><body>look {link}</body></message>")
    settle(zero, *friends)
    assert server.ctl_json("guard", "questions")["questions"] == []
    assert server.count("guard_questions") == 0
    assert friends[-1].wait_for(lambda e: link in said(e))


def test_a_new_link_in_a_status_is_dead_until_its_sender_says_that_he_means_it(own_server):
    server = own_server({"guard.mode": "on", "guard.campaign_lessons": "0"})
    one, *friends = online(server, 7)
    phone = server.connect(one.user, "phone")
    phone.online()
    for friend in friends:
        befriend(one, friend)
    settle(one, phone, *friends)
    for client in (one, phone, *friends):
        client.drain()
    word, link = fresh()
    one.send(f"<presence><show>chat</show><status>new: {link}</status></presence>")
    for friend in friends:
        got = friend.wait_for(lambda e: e.find("{jabber:client}show") is not None)
        assert word in status_of(got) and link not in xmpp.show(got)
    question(phone)
    reply(phone, "yes")
    wait_until(lambda: server.ctl_json("guard", "questions")["questions"] == [])
    one.send(f"<presence><show>away</show><status>new: {link}</status></presence>")
    for friend in friends:
        friend.wait_for(lambda e: link in xmpp.show(e))
    for client in (one, phone, *friends):
        client.close()


def test_what_waits_for_its_senders_answer_is_overtaken(own_server):
    # semantics, holding: the quarter of a minute, the guard's, is half an hour here
    star = Star(own_server({**ASKING, "test.clock_rate": 0.01}))
    for friend in star.friends:
        star.say(friend, f"plain words to {friend.user}")
    for friend in star.friends:
        friend.wait_for(lambda e: "plain words" in (e.findtext(BODY) or ""))
    assert star.pending() != []
    star.close()

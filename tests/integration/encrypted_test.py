"""Encrypted messages: nobody sees what is in them, but who sends them how."""

import base64
import secrets

import pytest

from ctl_test import wait_until
from doors_test import is_message, online, settle
from questions_test import phone_of

OMEMO = "eu.siacs.conversations.axolotl"
RETRACT = "{urn:xmpp:message-retract:1}retract"
GUARDED = {"guard.mode": "on"}


def payload():
    return base64.b64encode(secrets.token_bytes(40)).decode()


def omemo():
    return (f"<encrypted xmlns='{OMEMO}'><header sid='27183'><key rid='31415'>{payload()}</key>"
            f"<iv>{payload()}</iv></header><payload>{payload()}</payload></encrypted>"
            "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>"
            "<store xmlns='urn:xmpp:hints'/>")


def with_words():
    return ("<body>I sent you an OMEMO encrypted message, see https://conversations.im/omemo</body>"
            + omemo())


def otr():
    return f"<body>?OTR:{payload()}.</body>"


def pgp():
    return f"<body>encrypted</body><x xmlns='jabber:x:encrypted'>{payload()}</x>"


def say(client, to, content, number):
    client.send(f"<message type='chat' to='{to}' id='{number}'>{content}</message>")


def behind_keys():
    """A message behind one that only sets up keys, in one stanza."""
    return f"<encrypted xmlns='{OMEMO}'><header sid='27183'/></encrypted>" + otr()


def spread(client, targets, make=omemo):
    """To one after the other, without a pause."""
    for i, target in enumerate(targets):
        say(client, target.bare, make(), f"copy{i}")


def wait_for_open(lag_s):
    """Nobody opens what he is sent as soon as it is there, and the guard knows."""
    import time
    time.sleep(lag_s)


def copies(client):
    """Ids of the encrypted messages that came and of those that were taken back."""
    came, back = [], []
    for e in client.drain():
        if not is_message(e):
            continue
        if e.find(RETRACT) is not None:
            back.append(e.find(RETRACT).get("id"))
        elif (e.get("id") or "").startswith("copy") and e.get("type") != "error":
            came.append(e.get("id"))
    return came, back


def convicted(server):
    return server.ctl_json("incident", "list", "--state", "convicted")["incidents"]


@pytest.fixture
def outbreak(own_server):
    """Somebody's client writes to twenty people, and then two of them do the same."""
    server = own_server(GUARDED)
    zero, *crowd = online(server, 21)
    spread(zero, crowd)
    settle(zero, *crowd)
    assert convicted(server) == []  # one alone may wish people a happy new year
    assert all(copies(c)[0] for c in crowd)
    return server, zero, crowd


@pytest.mark.parametrize("make", [omemo, with_words, otr, pgp, behind_keys])
def test_a_tree_of_runs_is_taken_back_message_by_message(outbreak, make):
    server, zero, crowd = outbreak
    others = online(server, 24)
    wait_for_open(2.1)
    spread(crowd[0], others[:12], make)
    settle(crowd[0], *others)
    spread(crowd[1], others[12:], make)
    settle(crowd[1], *others)
    wait_until(lambda: convicted(server) != [])
    incident = str(convicted(server)[0]["id"])

    def story():
        return server.ctl_json("incident", "show", incident)
    wait_until(lambda: story()["effects"]["taken_back"] >= 20)
    told = story()
    assert told["kind"] == "encrypted" and told["relays"] == 2
    assert "relay" in {e["kind"] for e in told["evidence"]}
    # the first of each run went before anybody could know, and is taken back too
    first = others[0]
    def is_back():
        came, back = copies(first)
        return back == ["copy0"]
    wait_until(is_back)
    # what came after waits for an answer, and reached nobody
    assert copies(others[11]) == ([], [])
    assert copies(others[23]) == ([], [])
    server.check_healthy()


def test_who_denies_it_loses_links_but_talks_on(outbreak):
    server, zero, crowd = outbreak
    [phone] = phone_of(server, crowd[0].bare.split("@")[0])
    others = online(server, 24)
    wait_for_open(2.1)
    spread(crowd[0], others[:12])
    settle(crowd[0], phone, *others)
    asked = [q for q in server.ctl_json("guard", "questions")["questions"]
             if q["account"] == crowd[0].bare]
    assert len(asked) == 1 and asked[0]["held"] >= 8
    question = asked[0]
    assert any("an encrypted message" in (e.findtext("{jabber:client}body") or "")
               for e in phone.drain() if is_message(e))
    phone.send(f"<message type='chat' to='{server.domain}'>"
               f"<body>no {question['question']}</body></message>")
    phone.fence()
    wait_until(lambda: [r for r in server.ctl_json("guard", "rules")["rules"]
                        if r.get("account") == crowd[0].bare] != []
               or server.ctl_json("incident", "show",
                                  str(question["incident"]))["state"] == "convicted")
    # what waited is his again, with a reason
    errors = [e for e in crowd[0].drain() if is_message(e) and e.get("type") == "error"]
    wait_until(lambda: errors.extend(e for e in crowd[0].drain()
                                     if is_message(e) and e.get("type") == "error")
               or len(errors) >= 8)
    # another run goes nowhere, after a restart too
    server.stop()
    server.start()
    worm, *friends = [server.connect(c.bare.split("@")[0]) for c in [crowd[0], *others[:5]]]
    for client in (worm, *friends):
        client.online()
        client.fence()
        client.drain()
    spread(worm, friends)
    settle(worm, *friends)
    assert sum(len(copies(f)[0]) for f in friends[1:]) == 0
    refused = [e for e in worm.drain() if is_message(e) and e.get("type") == "error"]
    assert len(refused) == 4
    assert "without a pause" in refused[0].findtext(".//{urn:ietf:params:xml:ns:xmpp-stanzas}text")
    # plain words to somebody arrive
    worm.send(f"<message type='chat' to='{friends[2].bare}' id='plain'><body>hello</body></message>")
    settle(worm, friends[2])
    assert any(e.get("id") == "plain" for e in friends[2].drain())
    server.check_healthy()


def test_release_gives_everything_again(outbreak):
    server, zero, crowd = outbreak
    others = online(server, 24)
    wait_for_open(2.1)
    spread(crowd[0], others[:12])
    settle(crowd[0], *others)
    spread(crowd[1], others[12:])
    settle(crowd[1], *others)
    wait_until(lambda: convicted(server) != [])
    incident = str(convicted(server)[0]["id"])
    server.ctl("incident", "release", incident, "--reason", "a test")
    def everybody_has_it():
        return all(c.wait_for(lambda e: is_message(e) and e.find(f"{{{OMEMO}}}encrypted")
                              is not None) is not None for c in others)
    assert everybody_has_it()
    assert convicted(server) == []
    server.check_healthy()


@pytest.mark.parametrize("make", [omemo, otr, pgp])
def test_honest_people_meet_nothing(own_server, make):
    server = own_server(GUARDED)
    one, *crowd = online(server, 8)
    # three in a row
    spread(one, crowd[:3], make)
    settle(one, *crowd)
    # one of those who got one writes to two, and to a third after a while
    spread(crowd[0], crowd[1:3], make)
    settle(crowd[0], *crowd)
    # and everybody wishes everybody a happy new year, all at once: each by himself
    people = online(server, 24)
    for i, person in enumerate(people):
        spread(person, [people[(i * 5 + k + 1) % len(people)] for k in range(4)], make)
    settle(*people)
    for person in people:
        assert len(copies(person)[0]) == 4
        assert not any(e.get("type") == "error" for e in person.drain())
    assert server.ctl_json("incident", "list")["incidents"] == []
    server.check_healthy()


# where it only watches, and what an operator is told

def runs_of_a_worm(server):
    """Somebody's client writes to twenty people, and then two of them do the same to twelve."""
    zero, *crowd = online(server, 21)
    spread(zero, crowd)
    settle(zero, *crowd)
    others = online(server, 24)
    wait_for_open(2.1)
    for relay, targets in ((crowd[0], others[:12]), (crowd[1], others[12:])):
        spread(relay, targets)
        settle(relay, *others)
    return zero, crowd, others


def test_runs_that_were_only_watched_are_counted_and_compared(own_server):
    server = own_server({"guard.mode": "observe"})
    zero, crowd, others = runs_of_a_worm(server)
    wait_until(lambda: convicted(server) != [])
    report = server.ctl_json("guard", "report")
    line, = report["incidents"]
    assert line["scope"] == "encrypted" and line["judgement"] == "unreported"
    assert line["convicted"] is not None and line["hold"] > 0
    # all of patient zero's, and of both relays what went before the third receiver was written to
    assert line["retract"] >= 20 and line["reject"] + line["hold"] + line["retract"] <= 44
    # it would have taken their own word to restrict somebody
    assert line["restrict"] == 0
    scopes = {scope["scope"]: scope for scope in report["scopes"]}
    assert scopes["encrypted"]["incidents"] == 1
    assert scopes["encrypted"]["would_hold"] == scopes["encrypted"]["honest_held"] == line["hold"]
    assert all(scopes[other]["incidents"] == 0 for other in ("link", "file", "words"))
    # nothing was done: everybody has got all, nobody was asked, nothing was taken back
    for client in crowd + others:
        came, back = copies(client)
        assert len(came) == 1 and back == []
    assert server.ctl_json("guard", "questions")["questions"] == []
    assert server.count("guard_questions") == 0
    wait_until(lambda: server.count("guard_encrypted_shown") == 44)  # told with its next event
    assert server.count("guard_encrypted_runs") == 3
    assert server.count("guard_encrypted_relays") == 2
    assert server.count("guard_encrypted_held") == line["hold"]
    # one of those who spread it says that it was a worm, which is nobody's word; then somebody else
    for reporter, judgement in ((crowd[0], "unreported"), (crowd[5], "agreed")):
        assert reporter.ask("set", "<block xmlns='urn:xmpp:blocking'><item jid='" + zero.bare + "'>"
                            "<report xmlns='urn:xmpp:reporting:1' "
                            "reason='urn:xmpp:reporting:spam'/></item></block>"
                            ).get("type") == "result"
        settle(reporter)
        line, = server.ctl_json("guard", "report")["incidents"]
        assert line["judgement"] == judgement
    assert line["reports"] == 1
    server.check_healthy()


def test_the_operator_sees_the_tree_with_its_weights_and_may_judge_again(own_server):
    server = own_server(GUARDED)
    zero, crowd, others = runs_of_a_worm(server)
    wait_until(lambda: convicted(server) != [])
    incident = str(convicted(server)[0]["id"])
    story = server.ctl_json("incident", "show", incident)
    nodes = {node["who"]: node for node in story["tree"]}
    assert nodes[zero.bare]["from"] == "" and nodes[zero.bare]["receivers"] == 20
    for relay in crowd[:2]:
        node = nodes[relay.bare]
        assert node["relay"] and node["from"] == zero.bare and node["nats"] > 0
    assert nodes[others[0].bare]["from"] == crowd[0].bare
    weights = {e["who"]: e["nats"] for e in story["evidence"] if e["kind"] == "relay"}
    assert weights.keys() == {crowd[0].bare, crowd[1].bare}
    assert abs(sum(weights.values()) - story["sum"]["relays"]) < 1e-6
    assert abs(sum(story["sum"].values()) - story["nats"]) < 1e-6
    assert story["nats"] >= 5.5  # guard.sealed_nats
    assert {q["who"] for q in story["questions"]} >= {crowd[0].bare, crowd[1].bare}
    shown = server.ctl("incident", "show", incident)
    assert zero.bare in shown and "relay" in shown and "encrypted" in shown
    dot = server.ctl("incident", "show", incident, "--tree", "dot")
    assert crowd[1].bare in dot and dot.count("->") >= 20
    # metrics say so
    wait_until(lambda: server.count("guard_encrypted_runs") == 3)
    assert server.count("guard_encrypted_held") > 0
    assert server.count("guard_encrypted_taken_back") >= 20
    assert server.count("guard_encrypted_rejected") == 0  # they wait for their answers

    def judged(*sets):
        words = [word for one in sets for word in ("--set", one)]
        told = server.ctl_json("incident", "replay", incident, *words)
        assert told["complete"]
        return told["judgements"]
    really, again = judged()
    assert really["verdict"] == again["verdict"] == "convicted"
    assert {**really, "which": ""} == {**again, "which": ""}
    really, again = judged("guard.sealed_nats=500")
    assert really["verdict"] == "convicted" and again["verdict"] == "not convicted"
    assert again["held"] > 0
    really, again = judged("guard.sealed_nats=500", "guard.sealed_hold_nats=400")
    assert again["held"] == 0 and again["verdict"] == "not convicted"
    # more people in a run, and theirs are none
    really, again = judged("guard.sealed_first=15")
    assert again["verdict"] == "not convicted"
    server.check_healthy()

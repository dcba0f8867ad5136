"""A worm whose copies share nothing: another host and other words each, or a shortener's link."""

import secrets
import time

import pytest

from ctl_test import wait_until
from doors_test import is_message, online, settle
from questions_test import from_server, question, reply, said

WORDS = ["look at this", "haha", "is that you?", "from friday", "the plan", "what anna meant",
         "for you", "as promised", "no hurry", "you will laugh", "the map", "tell me later"]


def new_host():
    return f"http://www.pics-{secrets.token_hex(5)}.com/v"


def short_link():
    return f"https://bit.ly/{secrets.token_hex(4)}"


def say(client, to, words, link):
    client.send(f"<message type='chat' to='{to}'><body>{words} {link}</body></message>")



def got(client, link):
    return any(is_message(e) and link in (e.findtext("{jabber:client}body") or "")
               for e in client.drain())


@pytest.mark.parametrize("make", [new_host, short_link])
def test_copies_that_share_nothing_are_one_campaign_and_all_of_them_taken_back(own_server, make):
    server = own_server({"guard.mode": "on"})
    zero, friend, *crowd = online(server, 14)
    links = [make() for _ in crowd]
    for target, words, link in zip(crowd, WORDS, links):
        say(zero, target.bare, words, link)
    settle(zero, *crowd)
    convicted = server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
    assert len(convicted) == 1
    incident = str(convicted[0]["id"])

    # whoever got a copy sees it taken back, though each had his own link
    def story():
        return server.ctl_json("incident", "show", incident)
    wait_until(lambda: story()["effects"]["taken_back"] >= 2)
    told = story()
    assert told["lures"] >= 3 and told["width"] == "link"
    reached = [link for target, link in zip(crowd, links) if got(target, link)]
    assert reached == links[:len(reached)] and 2 <= len(reached) < told["lures"] + told["held"]
    kinds = {e["kind"] for e in told["evidence"]}
    assert {"novelty", "fan-out", "pace"} <= kinds
    assert f"{'lures':22} {told['lures']}" in server.ctl("incident", "show", incident)
    stopped = [o for o in told["orders"] if o["order"] == "stop"]
    assert len(reached) <= len(stopped) <= told["lures"]  # later ones wait for an answer

    # judged again it is what it was, as one
    really, again = server.ctl_json("incident", "replay", incident)["judgements"]
    assert {**really, "which": ""} == {**again, "which": ""} and again["verdict"] == "convicted"

    # the hosts are nobody's: a friend's other link there arrives
    other = links[0].rsplit("/", 1)[0] + "/other"
    crowd[5].drain()
    say(friend, crowd[5].bare, "mine", other)
    settle(friend, crowd[5])
    assert got(crowd[5], other)

    # and the sender's next new one goes nowhere, after a restart either
    server.stop()
    server.start()
    sender, receiver = server.connect(zero.bare.split("@")[0]), server.connect(
        crowd[11].bare.split("@")[0])
    for client in (sender, receiver):
        client.online()
        client.fence()
        client.drain()
    late = make()
    say(sender, receiver.bare, "one more", late)
    settle(sender, receiver)
    assert not got(receiver, late)
    server.check_healthy()


def test_whoever_sent_them_is_asked_on_another_device_and_not_on_the_one_that_did(own_server):
    server = own_server({"guard.mode": "on"})
    zero, *crowd = online(server, 13)
    phone = server.connect(zero.user, "phone")
    phone.online()
    settle(zero, phone)
    phone.drain()
    for target, words in zip(crowd, WORDS):
        say(zero, target.bare, words, new_host())
    settle(zero)
    asked = said(question(phone))
    assert "name animals" not in asked  # a puzzle is for who has no other device
    assert not any("Did you mean to send" in said(e) for e in from_server(zero))
    reply(phone, "no")
    assert phone.wait_for(lambda e: "is being taken back" in said(e))
    convicted = server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
    shown = server.ctl_json("incident", "show", str(convicted[0]["id"]))
    assert [node["who"] for node in shown["tree"] if node["restricted"]] == [zero.bare]
    for client in (zero, phone, *crowd):
        client.close()


def spread(client, friends, link):
    """One link of his own to each, at a hand's pace: half a minute of the guard's apart."""
    for friend in friends:
        say(client, friend.bare, "see", link)
        settle(client, friend)
        time.sleep(0.1)


def test_while_a_worm_is_about_a_new_link_reaches_three_before_its_sender_is_asked(own_server):
    server = own_server({"guard.mode": "on", "guard.campaign_lessons": "0", "guard.ask_nats": "4",
                         "guard.ask": "20 h", "test.clock_rate": "300"})
    zero, second, early, late, *crowd = online(server, 30)
    phones = [server.connect(one.user, "phone") for one in (zero, second, late)]
    for phone in phones:
        phone.online()
        settle(phone)
        phone.drain()
    # before anybody has denied anything, five people are reached without a question
    spread(early, crowd[:5], new_host())
    assert server.ctl_json("guard", "questions")["questions"] == []
    assert server.ctl_json("guard", "state")["outbreak"] == "none"
    # a worm: zero's victim goes on like him; both say that it was not they
    spread(zero, [second, *crowd[5:8]], new_host())
    spread(second, crowd[8:12], new_host())
    for phone in phones[:2]:
        question(phone)
        reply(phone, "no")
        assert phone.wait_for(lambda e: "is being taken back" in said(e))
    assert server.ctl_json("guard", "state")["outbreak"] == "sure"
    # nobody has shown him anything, and still
    link = new_host()
    spread(late, crowd[12:17], link)
    reached = [got(friend, link) for friend in crowd[12:17]]
    assert reached == [True, True, True, False, False]
    question(phones[2])
    reply(phones[2], "yes")
    for friend in crowd[15:17]:
        assert friend.wait_for(lambda e: link in said(e))
    spread(late, crowd[17:19], link)
    assert all(got(friend, link) for friend in crowd[17:19])
    for client in (zero, second, early, late, *crowd, *phones):
        client.close()

"""A worm that sends no link: its words say where to go."""

import secrets

from ctl_test import wait_until
from doors_test import condition, is_message, online, settle


def fresh_place():
    word = "q" + secrets.token_hex(5)
    return word, f"omg go to {word} dot com and sign in"


def say(client, to, text, id):
    client.send(f"<message type='chat' id='{id}' to='{to}'><body>{text}</body></message>")


def convicted(server, word):
    found = server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
    return [one for one in found if word in one["lure"]]


def outbreak(server, text):
    """Patient zero writes to all, somebody believes it and does so too."""
    zero, first, *crowd = online(server, 20)
    for worm, targets in ((zero, [first] + crowd[:9]), (first, crowd[9:])):
        for i, target in enumerate(targets):
            say(worm, target.bare, text, f"w{i}")
        settle(zero, first, *crowd)
    return zero, first, crowd


def test_a_worm_in_plain_words_is_convicted_and_taken_back(own_server):
    server = own_server({"guard.mode": "on"})
    word, text = fresh_place()
    zero, first, crowd = outbreak(server, text)
    wait_until(lambda: convicted(server, word))
    story = server.ctl_json("incident", "show", str(convicted(server, word)[0]["id"]))
    assert story["effects"]["taken_back"] >= 2 and story["effects"]["refused"] > 0
    # what was read is taken back in the worm's name, and nobody else gets it
    settle(zero, first, *crowd)
    seen = 0
    for client in crowd[:3]:
        stanzas = [e for e in client.drain() if is_message(e)]
        if any(word in (e.findtext("{jabber:client}body") or "") for e in stanzas):
            seen += 1
            assert any(e.find("{urn:xmpp:message-retract:1}retract") is not None for e in stanzas)
    assert seen > 0
    friend, = online(server, 1)
    say(zero, friend.bare, text, "again")
    assert condition(zero.wait_for(lambda e: e.get("id") == "again")) == "policy-violation"
    say(zero, friend.bare, "i can talk", "talk")
    assert friend.wait_for(is_message).get("id") == "talk"
    # a warning arrives, and names nothing that could be typed
    warner, = online(server, 1)
    say(warner, friend.bare, f"do not open {word} dot com, it is a virus", "warning")
    got = friend.wait_for(lambda e: e.get("id") == "warning").findtext("{jabber:client}body")
    assert "do not open" in got and word not in got and word[:2] + "\u2026 dot com" in got
    for client in (zero, first, friend, warner, *crowd):
        client.close()


def test_words_of_warning_hide_no_worm(own_server):
    server = own_server({"guard.mode": "on"})
    word, _ = fresh_place()
    zero, first, crowd = outbreak(server, f"not from me! do not open {word} dot com")
    wait_until(lambda: convicted(server, word))
    # who began it is asked, and loses his links when it was not he
    wait_until(lambda: server.ctl_json("guard", "questions")["questions"] != [])
    say(zero, server.domain, "no", "answer")
    wait_until(lambda: [r for r in server.ctl_json("guard", "rules")["rules"]
                        if r["rule"] == "restrict"])
    say(zero, crowd[0].bare, "http://fine.example/", "x")
    assert condition(zero.wait_for(lambda e: e.get("id") == "x")) == "policy-violation"
    for client in (zero, first, *crowd):
        client.close()

"""What one program makes a tree of is convicted on trial: its word undoes it, or makes it final."""

import secrets

import pytest

from ctl_test import wait_until
from doors_test import is_message, online, settle
from questions_test import BODY, question, reply, said


def say(client, to, text):
    client.send(f"<message type='chat' to='{to.bare}' id='{secrets.token_hex(4)}'>"
                f"<body>{text}</body></message>")


def readable(client, link):
    """Whether he can read a copy now: what was taken back is gone."""
    settle(client)
    for e in client.drain():
        retract = e.find("{urn:xmpp:message-retract:1}retract")
        if retract is not None:
            client.copies.discard(retract.get("id"))
        elif is_message(e) and link in (e.findtext(BODY) or ""):
            client.copies.add(e.get("id"))
    return bool(client.copies)


class Story:
    """Somebody shows it to one, who passes it on to a dozen like a program."""

    def __init__(self, server):
        self.server, self.link = server, f"http://story-{secrets.token_hex(5)}.com/v"
        self.zero, self.relay, *self.crowd = online(server, 16)
        for client in (self.relay, *self.crowd):
            client.copies = set()
        self.phone = server.connect(self.relay.user, "phone")
        self.phone.online()
        settle(self.phone, self.relay)
        self.phone.drain()
        say(self.zero, self.relay, f"look {self.link}")
        assert self.relay.wait_for(lambda e: self.link in said(e))
        for i, friend in enumerate(self.crowd):
            say(self.relay, friend, f"{i} look {self.link}")
        settle(self.relay)
        self.asked = question(self.phone)

    def incident(self):
        convicted = self.server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
        return str(next(i["id"] for i in convicted if self.link[7:] in i["lure"]))

    def shown(self, incident):
        return self.server.ctl_json("incident", "show", incident)

    def close(self):
        for client in (self.zero, self.relay, self.phone, *self.crowd):
            client.close()


@pytest.fixture(scope="module")
def watched():
    import server as servers
    one = servers.make({"guard.mode": "on"}).start()
    yield one
    one.check_healthy()
    one.remove()


def test_his_yes_gives_all_of_it_back(watched):
    story = Story(watched)
    incident = story.incident()
    wait_until(lambda: story.shown(incident)["effects"]["taken_back"] >= 1)
    told = story.shown(incident)
    asked = {q["who"] for q in told["questions"]}
    assert story.relay.bare in asked and not any(node["restricted"] for node in told["tree"])
    assert not any(readable(friend, story.link) for friend in story.crowd)
    reply(story.phone, "yes")
    for friend in story.crowd:
        wait_until(lambda friend=friend: readable(friend, story.link))
    assert story.shown(incident)["state"] == "open"
    say(story.relay, story.crowd[0], f"once more {story.link}")
    assert story.crowd[0].wait_for(lambda e: said(e).startswith("once more"))
    story.close()


def test_his_no_makes_it_final_and_takes_his_links(watched):
    story = Story(watched)
    incident = story.incident()
    reply(story.phone, "no")
    assert story.phone.wait_for(lambda e: "is being taken back" in said(e))
    told = story.shown(incident)
    assert told["state"] == "convicted"
    assert [node["who"] for node in told["tree"] if node["restricted"]] == [story.relay.bare]
    assert not any(readable(friend, story.link) for friend in story.crowd)
    story.crowd[1].drain()
    say(story.zero, story.crowd[1], f"and I say {story.link}")
    settle(story.zero, story.crowd[1])
    assert not readable(story.crowd[1], story.link)
    story.close()

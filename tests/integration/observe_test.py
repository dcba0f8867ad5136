"""A guard that only watches: what it would have done is counted, and compared with people's word."""

import base64
import os

import pytest

from ctl_test import wait_until
from doors_test import convict, fresh, is_message, online, settle
from encrypted_test import runs_of_a_worm
from notices_test import outbreak

REPORT = ("<block xmlns='urn:xmpp:blocking'><item jid='{}'>"
          "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>")


def complain(reporter, sender):
    assert reporter.ask("set", REPORT.format(sender.bare)).get("type") == "result"
    settle(reporter)


def report(server, *words):
    return server.ctl_json("guard", "report", *words)


def say(client, to, link):
    client.send(f"<message type='chat' to='{to}'><body>haha {link}</body></message>")


def judgements(server, *words):
    return {line["incident"]: line["judgement"] for line in report(server, *words)["incidents"]}


def one_line(server):
    line, = report(server)["incidents"]
    return line


def test_an_outbreak_that_was_only_watched_is_counted_and_compared(own_server):
    server = own_server({"guard.mode": "observe"})
    people, link = outbreak(server)
    before = report(server)
    line, = before["incidents"]
    assert line["judgement"] == "unreported" and before["unreported"] == 1
    assert line["reject"] > 0 and line["retract"] > 0 and line["convicted"] is not None
    # each copy was held, or refused, or had gone out: nobody sent more than he did
    sent = server.ctl_json("incident", "show", str(line["incident"]))["sendings"]
    assert line["reject"] + line["hold"] + line["retract"] <= sent == before["messages"]
    restricted = [n for n in server.ctl_json("incident", "show", str(line["incident"]))["tree"]
                  if n["restricted"]]
    assert line["restrict"] == len(restricted) == before["would_restrict"] > 0
    assert (before["honest_rejected"], before["honest_held"]) == (line["reject"], line["hold"])
    # and nothing was done: everybody has got his copy, alive
    got = [m for p in people for m in p.drain() if is_message(m)]
    assert len(got) == sent and all(link in str(m.findtext("{jabber:client}body")) for m in got)

    # a person's word makes it no false alarm
    complain(people[5], people[0])
    assert one_line(server)["judgement"] == "agreed"
    assert one_line(server)["reports"] == 1
    assert report(server)["honest_rejected"] == 0

    # it is all there after a kill and after a stop
    before = report(server)
    for end in (server.kill, server.stop):
        end()
        server.start()
        assert report(server) == before
        assert server.count("guard_would_reject") == line["reject"]

    # an operator says that it was none
    server.ctl("incident", "release", str(line["incident"]), "--reason", "a script")
    assert one_line(server)["judgement"] == "released"
    assert report(server)["honest_rejected"] == line["reject"]


def test_what_the_guard_would_have_missed_is_named(own_server):
    server = own_server({"guard.mode": "observe"})
    sender, reader, other = online(server, 3)
    _, link = fresh()
    say(sender, reader.bare, link)
    settle(sender, reader)
    assert report(server)["incidents"] == []
    complain(reader, sender)
    assert one_line(server)["judgement"] == "missed" and report(server)["missed"] == 1
    # words that nobody can open are nothing to the guard
    other.send(f"<message type='chat' to='{reader.bare}'><body>buy my things</body></message>")
    settle(other, reader)
    complain(reader, other)
    assert report(server)["reports_of_nothing_known"] == 1
    # an operator's conviction of something that the guard had let pass
    _, second = fresh()
    say(sender, other.bare, second)
    settle(sender, other)
    incident = convict(server, second)["incident"]
    assert judgements(server)[incident] == "missed"
    assert report(server)["missed"] == 2
    text = server.ctl("guard", "report")
    assert second.split("/")[2] in text and "missed" in text, text


def test_an_operator_who_convicts_the_same_agrees(own_server):
    server = own_server({"guard.mode": "observe"})
    _, link = outbreak(server)
    incident = one_line(server)["incident"]
    assert convict(server, link)["incident"] == incident
    line = one_line(server)
    assert line["judgement"] == "agreed" and line["by_hand"] is not None


def test_only_domains_that_observe_are_in_the_report(own_server):
    server = own_server({"guard.mode": "observe"}, domain="one.test", domains=["two.test"],
                        start=False)
    with open(server.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(server.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace('{ name = "two.test";', '{ name = "two.test"; guard = "on";'))
    server.start()
    server.add_users(["ada", "bob"])
    server.add_users(["eve", "dan"], domain="two.test")
    ada, bob = server.connect("ada"), server.connect("bob")
    eve, dan = (server.connect(name, domain="two.test") for name in ("eve", "dan"))
    for client in (ada, bob, eve, dan):
        client.online()
    for sender, reader in ((ada, bob), (eve, dan)):
        say(sender, reader.bare, fresh()[1])
        settle(sender, reader)
        complain(reader, sender)
    assert [line["domain"] for line in report(server)["incidents"]] == ["one.test"]
    assert len(report(server, "--domain", "one.test")["incidents"]) == 1
    nothing = report(server, "--domain", "two.test")
    assert nothing["incidents"] == [] and nothing["messages"] == 0


@pytest.mark.parametrize("since", ["1 d", "1 s"])
def test_what_is_older_than_asked_for_is_left_out(own_server, since):
    server = own_server({"guard.mode": "observe", "test.clock_rate": "1000"})
    sender, reader = online(server, 2)
    say(sender, reader.bare, fresh()[1])
    settle(sender, reader)
    complain(reader, sender)
    if since == "1 d":
        assert len(report(server, "--since", since)["incidents"]) == 1
    else:  # the guard's clock is fast
        wait_until(lambda: report(server, "--since", since)["incidents"] == [])
    assert len(report(server)["incidents"]) == 1


def test_the_end_of_a_restriction_that_never_was_is_not_told(own_server):
    server = own_server({"guard.mode": "observe", "guard.restriction": "1 min",
                         "test.clock_rate": "10"})
    people, _ = outbreak(server)
    zero = people[0]
    before = server.log().count("guard-would")
    # the guard's clock is fast: the restriction ends, and with it what nobody was told of
    wait_until(lambda: not [r for r in server.ctl_json("guard", "rules")["rules"]
                            if r["rule"] == "restrict"])
    wait_until(lambda: server.log().count("guard-would") > before)
    settle(*people)
    assert not [m for m in zero.drain() if is_message(m)]


GIFT_CARDS = 'rule gift_card { strings: $a = /buy \\w{2,12} gift cards/ nocase condition: $a }\n'


def file_worm(server):
    """The same program from hand to hand."""
    offer = ("<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>"
             "<name>holiday.jpg.scr</name><size>6144</size><hash xmlns='urn:xmpp:hashes:2' "
             "algo='sha-256'>" + base64.b64encode(b"p" * 32).decode() + "</hash></file>"
             "</file-sharing>")
    people = online(server, 24)
    for worm, targets in ((people[0], people[1:12]), (people[1], people[12:])):
        for target in targets:
            worm.send(f"<message type='chat' to='{target.bare}'>{offer}</message>")
        settle(*people)
    return people, 23


def link_worm(server):
    return outbreak(server)[0], 23


def encrypted_worm(server):
    zero, crowd, others = runs_of_a_worm(server)
    return [zero, *crowd, *others], 44


def forbidden_words(server):
    people = online(server, 3)
    for i in (1, 2):
        people[0].send(f"<message type='chat' to='{people[i].bare}'>"
                       "<body>could you buy steam gift cards for me</body></message>")
    settle(*people)
    return people, 2


@pytest.mark.parametrize("scope, acts", [("link", link_worm), ("file", file_worm),
                                         ("encrypted", encrypted_worm),
                                         ("words", forbidden_words)])
def test_each_scope_is_told_apart_and_in_none_is_anything_done(own_server, scope, acts):
    server = own_server({"guard.mode": "observe", "texts.rules": "texts.yar"}, start=False)
    with open(os.path.join(server.folder, "texts.yar"), "w", encoding="utf-8") as file:
        file.write(GIFT_CARDS)
    server.start()
    people, n_sent = acts(server)
    wait_until(lambda: [one for one in report(server)["scopes"] if one["incidents"]])
    told = report(server)
    would = {one["scope"]: one for one in told["scopes"]}
    assert list(would) == ["link", "file", "words", "encrypted"]
    assert [name for name, one in would.items() if one["incidents"]] == [scope]
    lines = [line for line in told["incidents"] if line["scope"] == scope]
    assert len(lines) == len(told["incidents"]) == would[scope]["incidents"] == 1
    for what in ("reject", "hold", "retract", "restrict"):
        assert would[scope]["would_" + what] == lines[0][what] == told["would_" + what]
    assert lines[0]["reject"] + lines[0]["hold"] > 0
    # everybody has got what was sent to him, nothing is taken back, nobody is told or asked
    settle(*people)
    got = [e for person in people for e in person.drain() if is_message(e)]
    assert len(got) == n_sent
    assert all(e.get("type") == "chat" and e.get("from") != server.domain for e in got)
    assert not any(e.find("{urn:xmpp:message-retract:1}retract") is not None for e in got)
    assert server.ctl_json("guard", "questions")["questions"] == []
    server.check_healthy()

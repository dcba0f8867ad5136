"""A guard that only watches: what it would have done is counted, and compared with people's word."""

import pytest

from ctl_test import wait_until
from doors_test import convict, fresh, is_message, online, settle
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

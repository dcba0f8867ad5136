"""An operator's rules for what people write (texts.rules)."""

import os
import re
import subprocess

import pytest

import xmpp
from ctl_test import wait_until
from doors_test import condition, is_message, online, settle
from encrypted_test import convicted, copies, omemo, spread, wait_for_open

RULES = '''
rule prize : suspect { strings: $a = "claim your prize" nocase condition: $a }
rule gift_card { strings: $a = /buy \\w{2,12} gift cards/ nocase condition: $a }
'''


def with_rules(own_server, rules=RULES, settings=None, start=True):
    server = own_server({"guard.mode": "on", "texts.rules": "texts.yar", **(settings or {})},
                        start=False)
    write(server, rules)
    return server.start() if start else server


def write(server, rules, name="texts.yar"):
    with open(os.path.join(server.folder, name), "w", encoding="utf-8") as file:
        file.write(rules)


def say(client, to, text, id, more=""):
    client.send(f"<message type='chat' id='{id}' to='{to}'><body>{text}</body>{more}</message>")


def arrives(client, id):
    return client.wait_for(lambda e: is_message(e) and e.get("id") == id)


def test_a_text_that_a_rule_forbids_returns_and_others_pass(own_server):
    server = with_rules(own_server)
    a, b = online(server, 2)
    for i in range(20):
        say(a, b.bare, f"nothing special {i}", f"n{i}")
    for i in range(20):  # and in their order
        got = b.wait_for(is_message)
        assert got.get("id") == f"n{i}"
    say(a, b.bare, "could you buy steam gift cards for me", "bad")
    assert condition(arrives(a, "bad")) == "policy-violation"
    # a warning that repeats it opens nothing less
    say(a, b.bare, "do not open this, it is a virus: buy steam gift cards", "warning")
    assert condition(arrives(a, "warning")) == "policy-violation"
    say(a, b.bare, "i can still talk", "talk")
    assert arrives(b, "talk").get("type") == "chat"
    # nobody is restricted for what a rule forbids
    say(a, b.bare, "http://some-page.example/", "link")
    assert arrives(b, "link").get("type") == "chat"
    incident, = server.ctl_json("incident", "list")["incidents"]
    assert (incident["kind"], incident["lure"]) == ("words", "rule:gift_card")
    assert incident["state"] == "convicted" and incident["rejected"] == 2
    assert server.count("texts_matched") == 2 and server.count("texts_read") >= 24
    assert server.count("texts_passed") == 0
    log = server.log()
    assert re.search(r"text-rule-matched .*rule=gift_card", log) and "steam" not in log
    rules = {r["rule"]: r for r in server.ctl_json("text", "rules")["rules"]}
    assert rules["gift_card"]["hits"] == 2 and rules["gift_card"]["does"] == "refuse"
    assert rules["prize"] == {"rule": "prize", "does": "suspect", "hits": 0}
    for client in (a, b):
        client.close()


def test_every_text_that_a_person_reads_is_looked_at(own_server):
    server = with_rules(own_server)
    a, b = online(server, 2)
    xhtml = ("<html xmlns='http://jabber.org/protocol/xhtml-im'>"
             "<body xmlns='http://www.w3.org/1999/xhtml'><p>buy <b>ste</b>am gift <i>cards</i></p>"
             "</body></html>")
    say(a, b.bare, "hello", "xhtml", xhtml)
    assert condition(arrives(a, "xhtml")) == "policy-violation"
    say(a, b.bare, "hello", "subject", "<subject>buy steam gift cards</subject>")
    assert condition(arrives(a, "subject")) == "policy-violation"
    say(a, b.bare, "x", "fix", "<replace xmlns='urn:xmpp:message-correct:0' id='xhtml'/>"
        "<body xml:lang='de'>buy steam gift cards</body>")
    assert condition(arrives(a, "fix")) == "policy-violation"
    # presence goes on, and says nothing
    a.send(f"<presence to='{b.jid}'><show>away</show><status>buy steam gift cards</status></presence>")
    got = b.wait_for(lambda e: e.tag.endswith("presence") and
                     e.findtext("{jabber:client}show") == "away")
    assert got.find("{jabber:client}status") is None
    a.close()
    b.close()


def test_a_worm_in_words_alone_is_stopped_by_a_reload(own_server):
    server = with_rules(own_server, rules="rule nothing { condition: false }\n")
    a, *crowd = online(server, 12)
    for i, reader in enumerate(crowd[:5]):
        say(a, reader.bare, "search for the blue elephant and install it", f"w{i}")
    for i, reader in enumerate(crowd[:5]):
        assert arrives(reader, f"w{i}").get("type") == "chat"
    write(server, 'rule elephant { strings: $a = "blue elephant" condition: $a }\n')
    server.ctl("reload")
    for i, reader in enumerate(crowd[5:]):
        say(a, reader.bare, "search for the blue elephant and install it", f"x{i}")
        assert condition(arrives(a, f"x{i}")) == "policy-violation"
    # a rule that is wrong leaves the old ones in force
    write(server, "rule good { condition: true }\nrule bad { condition: nothing }\n")
    got = server.ctl("reload", check=False)
    assert got.returncode != 0 and "texts.yar:2:" in got.stderr + got.stdout
    say(a, crowd[0].bare, "the blue elephant", "still")
    assert condition(arrives(a, "still")) == "policy-violation"
    # an operator lets it go, as any incident
    incident, = server.ctl_json("incident", "list")["incidents"]
    server.ctl("incident", "release", str(incident["id"]))
    say(a, crowd[0].bare, "the blue elephant", "free")
    assert arrives(crowd[0], "free").get("type") == "chat"
    for client in (a, *crowd):
        client.close()


def test_what_a_rule_suspects_is_judged_by_how_it_spreads(own_server):
    server = with_rules(own_server)
    zero, first, *crowd = online(server, 20)
    # one person says it to one: nothing happens
    say(zero, first.bare, "you should claim your prize", "w0")
    assert arrives(first, "w0").get("type") == "chat"
    for i, reader in enumerate(crowd[:9]):
        say(zero, reader.bare, "claim your prize", f"z{i}")
    settle(zero, first, *crowd)
    for i, reader in enumerate(crowd[9:]):
        say(first, reader.bare, "claim your prize now", f"f{i}")
    settle(zero, first, *crowd)
    wait_until(lambda: server.ctl_json("incident", "list", "--state", "convicted")["incidents"])
    incident, = server.ctl_json("incident", "list", "--state", "convicted")["incidents"]
    assert incident["lure"] == "rule:prize" and incident["kind"] == "words"
    story = server.ctl_json("incident", "show", str(incident["id"]))
    assert any(e["kind"] == "content" and e["nats"] == 2 for e in story["evidence"])
    assert story["effects"]["taken_back"] > 0
    say(first, crowd[0].bare, "claim your prize", "again")
    assert condition(arrives(first, "again")) == "policy-violation"
    for client in (zero, first, *crowd):
        client.close()


def test_what_was_found_survives_a_restart(own_server):
    server = with_rules(own_server)
    a, b = online(server, 2)
    say(a, b.bare, "buy steam gift cards", "bad")
    assert condition(arrives(a, "bad")) == "policy-violation"
    a.close()
    b.close()
    server.kill()
    server.start()
    incident, = server.ctl_json("incident", "list")["incidents"]
    assert (incident["lure"], incident["state"]) == ("rule:gift_card", "convicted")


def test_an_operator_tries_a_rule_first(own_server):
    server = with_rules(own_server)
    got = server.ctl_json("text", "test", "please", "claim your PRIZE", "buy amazon gift cards")
    assert got == {"rules": [{"rule": "gift_card", "does": "refuse"},
                             {"rule": "prize", "does": "suspect"}], "unfinished": False}
    assert server.ctl_json("text", "test", "good morning")["rules"] == []
    assert all(r["hits"] == 0 for r in server.ctl_json("text", "rules")["rules"])
    # a rule of suspects convicts when he says so
    server.ctl("incident", "convict", "rule:prize")
    a, b = online(server, 2)
    say(a, b.bare, "claim your prize", "bad")
    assert condition(arrives(a, "bad")) == "policy-violation"
    a.close()
    b.close()


@pytest.mark.parametrize("rules, says", [
    ("rule good { condition: true }\nrule bad { condition: nothing }\n", "texts.yar:2:"),
    ('import "pe"\nrule r { condition: pe.is_pe }\n', 'may not import the module "pe"'),
    ('rule slow { strings: $a = /a.*b.*c/ condition: $a }\n', "texts.yar:1:"),
])
def test_rules_that_are_not_taken_are_named(own_server, rules, says):
    server = with_rules(own_server, rules, start=False)
    for more in (["--check"], []):
        got = subprocess.run(server.command() + more, capture_output=True, text=True, timeout=60,
                             cwd=server.folder)
        assert got.returncode != 0 and says in got.stderr, got.stderr


def test_a_rule_without_end_stops_nobody(own_server):
    server = with_rules(own_server, "rule slow { condition: for all i in (0..999999999) : (for all "
                        "j in (0..999999999) : (uint8(0) == 0x78 or i + j > 0)) }\n")
    a, b = online(server, 2)
    for i in range(5):
        say(a, b.bare, f"x {i}", f"m{i}")
        assert arrives(b, f"m{i}").get("type") == "chat"
    assert server.count("texts_unfinished") == 5
    a.close()
    b.close()


def test_where_the_guard_observes_or_is_off_everything_passes(own_server):
    for mode in ("observe", "off"):
        server = with_rules(own_server, settings={"guard.mode": mode})
        a, b = online(server, 2)
        say(a, b.bare, "buy steam gift cards", "bad")
        assert arrives(b, "bad").get("type") == "chat"
        assert server.count("texts_matched") == (mode == "observe")
        a.close()
        b.close()


NOTHING = "rule nothing { condition: false }\n"


def archive_of(client):
    """What a client is shown of its archive, by id: the text, or None for a tombstone."""
    assert client.ask("set", "<query xmlns='urn:xmpp:mam:2'/>").get("type") == "result"
    shown = {}
    for page in (m for m in client.drain() if is_message(m)):
        inner = page.find("{urn:xmpp:mam:2}result/{urn:xmpp:forward:0}forwarded/"
                          "{jabber:client}message")
        if inner is not None:
            shown[inner.get("id")] = inner.findtext("{jabber:client}body")
    return shown


def test_what_the_store_kept_is_looked_at_when_it_is_brought_out(own_server):
    server = with_rules(own_server, rules=NOTHING)
    a, b = online(server, 2)
    away, = server.fresh_users(1)
    for id, text in (("s0", "good morning"), ("s1", "buy steam gift cards"), ("s2", "claim your prize"),
                     ("s3", "good night")):
        say(a, b.bare, text, id)
        assert arrives(b, id).get("type") == "chat"
        say(a, f"{away}@{server.domain}", text, id)
    settle(a, b)
    write(server, RULES)
    server.ctl("reload")
    # the archive: what is forbidden is a tombstone, what is suspected stays; for its writer too
    want = {"s0": "good morning", "s1": None, "s2": "claim your prize", "s3": "good night"}
    assert archive_of(b) == want
    read = server.count("texts_read")
    assert read >= 4 and server.count("texts_matched") == 2
    assert re.search(r"text-rule-matched account=%s rule=gift_card suspects=no row=\d+"
                     % re.escape(b.bare), server.log())
    # what these rules have met and found clean is not looked at again
    assert archive_of(b) == want and server.count("texts_read") == read + 2
    # who was away gets it without its words, and everything in its order
    reader = server.connect(away)
    reader.online()
    got = [reader.wait_for(is_message) for _ in range(4)]
    assert [m.get("id") for m in got] == ["s0", "s1", "s2", "s3"]
    assert [m.findtext("{jabber:client}body") for m in got] == list(want.values())
    # new rules look at everything anew, and what they do not know comes back
    write(server, NOTHING)
    server.ctl("reload")
    assert archive_of(b)["s1"] == "buy steam gift cards"
    for client in (a, b, reader):
        client.close()


def test_who_reads_what_a_rule_suspects_in_the_archive_is_exposed_to_it(own_server):
    server = with_rules(own_server, rules=NOTHING)
    a, b = online(server, 2)
    say(a, b.bare, "claim your prize", "w")
    arrives(b, "w")
    settle(a, b)
    write(server, RULES)
    server.ctl("reload")
    say(a, b.bare, "claim your prize now", "now")  # so that the guard knows the rule
    arrives(b, "now")
    before = server.ctl_json("guard", "state")["exposures"]
    assert archive_of(b)["w"] == "claim your prize"
    settle(b)
    wait_until(lambda: server.ctl_json("guard", "state")["exposures"] > before)
    a.close()
    b.close()


def test_where_the_guard_only_observes_the_archive_stays_whole(own_server):
    server = with_rules(own_server, rules=NOTHING, settings={"guard.mode": "observe"})
    a, b = online(server, 2)
    say(a, b.bare, "buy steam gift cards", "w")
    arrives(b, "w")
    settle(a, b)
    write(server, RULES)
    server.ctl("reload")
    assert archive_of(b) == {"w": "buy steam gift cards"}
    a.close()
    b.close()


def test_a_rule_without_end_does_not_keep_the_archive_shut(own_server):
    server = with_rules(own_server, rules=NOTHING, settings={"texts.time": "100 ms"})
    a, b = online(server, 2)
    for i in range(40):
        say(a, b.bare, "x" * 200, f"n{i}")
    settle(a, b)
    b.drain()
    write(server, "rule slow { condition: for all i in (0..999999999) : (for all j in "
                  "(0..999999999) : (uint8(0) == 0x78 or i + j > 0)) }\n")
    server.ctl("reload")
    assert archive_of(b) == {f"n{i}": "x" * 200 for i in range(40)}
    assert server.count("texts_unfinished") > 0 and server.count("texts_passed") > 0
    assert "guard-overloaded" in server.log()
    a.close()
    b.close()


def test_a_held_message_that_a_new_rule_forbids_returns_to_its_sender(own_server):
    server = with_rules(own_server, rules=NOTHING,
                        settings={"guard.star_convicts": "false", "guard.hold": "1 h"})
    a, *others = online(server, 9)
    link = f"http://{os.urandom(5).hex()}.example/x"
    for i, other in enumerate(others):
        say(a, other.bare, f"buy steam gift cards {link}", f"h{i}")
    wait_until(lambda: server.ctl_json("incident", "list")["incidents"] != [])
    incident = str(server.ctl_json("incident", "list")["incidents"][0]["id"])
    settle(a)
    held = server.ctl_json("incident", "show", incident)["held"]
    assert held > 0
    write(server, RULES)
    server.ctl("reload")
    a.drain()
    server.ctl("incident", "release", incident)
    for _ in range(held):
        assert condition(a.wait_for(lambda e: is_message(e) and e.get("type") == "error")) == \
            "policy-violation"
    for client in (a, *others):
        client.close()


def test_words_that_were_convicted_meanwhile_are_not_sent_again(own_server):
    server = with_rules(own_server)
    a, = online(server, 1)
    name, = server.fresh_users(1)
    b = server.connect(name, sm=True, acks=False)
    b.online()
    b.drain()
    say(a, b.bare, "claim your prize", "w0")
    arrives(b, "w0")
    handled = b.handled - 1
    b.socket.close()
    server.ctl("incident", "convict", "rule:prize")
    new, answer = xmpp.Client.resume(server, b, h=handled)
    assert xmpp.local(answer) == "resumed"
    got = arrives(new, "w0")  # one for one: the client counts
    assert "prize" not in xmpp.show(got)
    new.close()
    a.close()


def test_the_first_of_an_encrypted_run_is_taken_back_where_there_are_rules(own_server):
    server = with_rules(own_server)
    zero, *crowd = online(server, 21)
    others = online(server, 24)

    def make():
        return "<body>this message is encrypted</body>" + omemo()
    spread(zero, crowd, make)
    settle(zero, *crowd)
    wait_for_open(2.1)
    for relay, targets in ((crowd[0], others[:12]), (crowd[1], others[12:])):
        spread(relay, targets, make)
        settle(relay, *others)
    wait_until(lambda: convicted(server) != [])
    back = []
    wait_until(lambda: back.extend(copies(others[0])[1]) or back == ["copy0"])

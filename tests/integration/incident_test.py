"""What an operator is told of an incident: tree, timeline, weights, and what each order did."""

import base64
import hashlib
import re
import xml.etree.ElementTree as ElementTree

import pytest

import xmpp
from ctl_test import MISSING, USAGE, status_of, wait_until
from doors_test import convict, fresh, is_message, online, settle


def say(client, to, link):
    client.send(f"<message type='chat' to='{to}'><body>haha {link}</body></message>")


def seen(person):
    settle(person)
    return [e for e in person.drain() if is_message(e)]


def first_incident(server, *words):
    found = server.ctl_json("incident", "list", *words)["incidents"]
    return str(found[0]["id"]) if found else None


def effects(server, incident):
    return server.ctl_json("incident", "show", incident)["effects"]


def test_an_outbreak_is_shown_with_its_tree_timeline_weights_and_effects(own_server, tmp_path):
    server = own_server({"guard.mode": "on", "guard.window_first": 3})
    away, = server.fresh_users(1)
    zero, first = online(server, 2)
    word, link = fresh()
    say(zero, f"{away}@{server.domain}", link)  # waits for him
    say(zero, first.bare, link)
    settle(zero, first)
    # the same lure goes on, and is convicted
    crowd = online(server, 24)
    for worm, targets in ((zero, crowd[:11]), (crowd[0], crowd[11:])):
        for target in targets:
            say(worm, target.bare, link)
        settle(zero, *crowd)
    incident = first_incident(server, "--state", "convicted")
    wait_until(lambda: effects(server, incident)["withdrawn_waiting"] == 1)

    story = server.ctl_json("incident", "show", incident)
    assert story["state"] == "convicted" and story["convicted_by_evidence"] == story["convicted"]
    nodes = {node["who"]: node for node in story["tree"]}
    assert nodes[first.bare]["from"] == zero.bare and not nodes[first.bare]["relay"]
    assert abs(sum(story["sum"].values()) - story["nats"]) < 1e-6
    whats = [moment["what"] for moment in story["timeline"]]
    assert whats[0] == "first seen" and "convicted" in whats and "stop" in whats
    times = [moment["time"] for moment in story["timeline"]]
    assert times == sorted(times)
    # the figures of the orders are those of the whole
    retracts = [o for o in story["orders"] if o["order"] == "retract"]
    assert sum(o["done"] for o in retracts) == story["effects"]["taken_back"] > 2
    assert sum(o["waiting"] for o in retracts) == 1
    # copies of receivers: what the senders' own archives show of them is none
    told = [p for p in crowd + [first] if any("was withdrawn" in xmpp.show(e) for e in seen(p))]
    assert story["effects"]["taken_back"] == len(told) + 1  # and that of who is away
    wait_until(lambda: server.count("guard_taken_back") == story["effects"]["taken_back"])
    assert server.count("guard_stops") >= 1 and server.count("guard_restricted") >= 1
    stops = [o for o in story["orders"] if o["order"] == "stop"]
    assert sum(o["done"] for o in stops) == story["effects"]["refused"] > 0
    assert all(word in o["lure"] for o in stops + retracts)
    assert "text" not in story

    # and as text: indented below who showed it to him
    text = server.ctl("incident", "show", incident)
    at_zero = re.search(rf"^( *){re.escape(zero.bare)}: came with it", text, re.M)
    below = re.search(rf"^( *){re.escape(first.bare)}: met it", text, re.M)
    assert len(below.group(1)) == len(at_zero.group(1)) + 2
    assert "copies taken back, 1 of them before they were delivered" in text
    for kind in {e["kind"] for e in story["evidence"]}:
        assert kind in text
    path = tmp_path / "story.txt"
    assert server.ctl("incident", "show", incident, "--output", str(path)) == ""
    assert path.read_text() == text

    # pictures, on standard output or in a file, whole
    picture = server.ctl("incident", "show", incident, "--tree", "svg")
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg") and "http" not in picture.replace(
        "http://www.w3.org/2000/svg", "").replace(link[:20], "")
    assert zero.bare in picture
    assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) == sum(
        node["from"] in nodes for node in story["tree"])
    path = tmp_path / "tree.dot"
    server.ctl("incident", "show", incident, "--tree", "dot", "--output", str(path))
    dot = path.read_text()
    assert dot.startswith("digraph") and dot.count(" -> ") == sum(
        node["from"] in nodes for node in story["tree"])
    assert status_of(server, "incident", "show", "999", "--tree", "dot") == MISSING
    assert status_of(server, "incident", "show", incident, "--tree", "png") == USAGE

    # all of it is there after a stop, and after a kill
    for end in (server.stop, server.kill):
        before = server.ctl_json("incident", "show", incident)
        end()
        server.start()
        settled = server.ctl_json("incident", "show", incident)
        assert settled == before

    # a release gives the copies back, and says how many
    server.ctl("incident", "release", incident, "--reason", "it was a test")
    taken = before["effects"]["taken_back"]
    wait_until(lambda: effects(server, incident)["given_again"] == taken)
    text = server.ctl("incident", "show", incident)
    assert f"{taken} copies given again" in text and "it was a test" in text
    whats = [m["what"] for m in server.ctl_json("incident", "show", incident)["timeline"]]
    assert whats.index("convicted") < whats.index("released")

    # again there is nothing to undo, and it is still known who did it, when and why
    story = server.ctl_json("incident", "show", incident)
    again = server.ctl("incident", "release", incident, "--reason", "once more", check=False)
    assert again.returncode == MISSING
    assert f"incident {incident} was released already, at {story['ended']}, by {story['actor']}" \
        in again.stderr
    assert server.ctl_json("incident", "show", incident) == story
    never = server.ctl("incident", "release", "999", check=False)
    assert never.returncode == MISSING and "there is no incident 999" in never.stderr
    nobody = server.ctl("incident", "release", incident, "--account", "nobody@" + server.domain,
                        check=False)
    assert nobody.returncode == MISSING and "is not restricted by this incident" in nobody.stderr


@pytest.mark.parametrize("end", ["delivered", "returned"])
def test_what_became_of_held_messages_is_counted(own_server, end):
    server = own_server({"guard.mode": "on", "guard.star_convicts": "false",
                         "guard.hold": "1 s" if end == "delivered" else "1 h"})
    people = online(server, 9)
    zero, others = people[0], people[1:]
    _, link = fresh()
    for other in others:
        say(zero, other.bare, link)
    wait_until(lambda: first_incident(server) is not None)
    incident = first_incident(server)
    settle(zero)
    held = server.ctl_json("incident", "show", incident)["held"]
    assert held > 0
    if end == "returned":
        convict(server, link)
        name = "reject held"
    else:
        name = "deliver held"
    wait_until(lambda: effects(server, incident)["held_" + end] == held)
    # what had been delivered goes back as well, and takes longer
    taken_back = len(others) - held if end == "returned" else 0
    wait_until(lambda: effects(server, incident)["taken_back"] == taken_back)
    story = server.ctl_json("incident", "show", incident)
    orders = [o for o in story["orders"] if o["order"] == name]
    assert sum(o["done"] for o in orders) == sum(o["count"] for o in orders) == held
    assert "first held" in [m["what"] for m in story["timeline"]]
    got = sum(len([e for e in other.drain() if is_message(e) and link in str(
        e.findtext("{jabber:client}body"))]) for other in others)
    assert got == len(others) if end == "delivered" else got < len(others)
    server.kill()
    server.start()
    assert effects(server, incident) == story["effects"]


def file_offer(name):
    return ("<file-sharing xmlns='urn:xmpp:sfs:0'><file xmlns='urn:xmpp:file:metadata:0'>"
            f"<name>{name}</name><size>6144</size></file></file-sharing>")


def refused(server, *words):
    got = server.ctl("incident", "convict", *words, check=False)
    return got.returncode, got.stderr


def bounced(client, to, payload, id):
    client.send(f"<message type='chat' to='{to}' id='{id}'>{payload}</message>")
    client.fence()
    return any(is_message(e) and e.get("id") == id and e.get("type") == "error"
               for e in client.drain())


def test_an_operator_convicts_what_the_list_shows(own_server):
    server = own_server({"guard.mode": "on", "guard.star_convicts": "false", "guard.hold": "1 h"})
    people = online(server, 12)
    zero, others, last = people[0], people[1:10], people[11]
    # an incident that is only held: by its number
    _, link = fresh()
    for other in others:
        say(zero, other.bare, link)
    wait_until(lambda: first_incident(server) is not None)
    incident = first_incident(server)
    got = server.ctl_json("incident", "convict", incident, "--reason", "it is one")
    assert str(got["incident"]) == incident
    story = server.ctl_json("incident", "show", incident)
    assert (story["state"], story["why"], story["width"]) == ("convicted", "it is one", "link")
    wait_until(lambda: effects(server, incident)["held_returned"] == story["held"])
    assert bounced(last, others[0].bare, f"<body>{link}</body>", "m1")
    # wider: the same incident
    other_link = link.replace("album", "other")
    assert not bounced(last, others[0].bare, f"<body>{other_link}</body>", "m2")
    server.ctl("incident", "convict", incident, "--width", "host")
    assert bounced(last, others[0].bare, f"<body>{other_link}</body>", "m3")
    # it is nobody's new incident, and a restart remembers it
    assert len(server.ctl_json("incident", "list")["incidents"]) == 1
    server.kill()
    server.start()
    assert effects(server, incident)["held_returned"] == story["held"]
    assert server.ctl_json("incident", "show", incident)["why"] == ""


def test_files_are_convicted_by_name_by_digest_and_as_listed(own_server):
    server = own_server({"guard.mode": "on", "guard.star_convicts": "false", "guard.hold": "1 h"})
    people = online(server, 12)
    zero, others, last = people[0], people[1:10], people[11]
    for other in others:
        zero.send(f"<message type='chat' to='{other.bare}'>{file_offer('photo7.jpg.exe')}</message>")
    wait_until(lambda: first_incident(server) is not None)
    shown, = server.ctl_json("incident", "list")["incidents"]
    assert (shown["kind"], shown["lure"]) == ("file", "photo{n}.jpg.exe")
    got = server.ctl_json("incident", "convict", shown["lure"])
    assert got["incident"] == shown["id"]
    assert server.ctl_json("incident", "show", str(shown["id"]))["state"] == "convicted"
    # another one by its name, before anybody sent it
    named = server.ctl_json("incident", "convict", "holiday12.jpg.scr")["incident"]
    assert server.ctl_json("incident", "show", str(named))["kind"] == "file"
    assert bounced(last, others[0].bare, file_offer("holiday44.jpg.scr"), "m1")
    assert not bounced(last, others[0].bare, file_offer("notes.txt"), "m2")
    # and by its digest, under whatever name
    digest = hashlib.sha256(b"a worm").digest()
    server.ctl("incident", "convict", f"sha-256:{digest.hex()}")
    offer = file_offer("report.pdf").replace(
        "<size>", "<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>"
        f"{base64.b64encode(digest).decode()}</hash><size>")
    assert bounced(last, others[0].bare, offer, "m3")
    assert not bounced(last, others[0].bare, file_offer("report.pdf"), "m4")


def test_what_names_nothing_convicts_nothing(own_server):
    server = own_server({"guard.mode": "on"})
    for words, status, said in (
            (["5"], MISSING, "no incident 5"),
            (["files.example/u{n}/x"], MISSING, "no incident is about"),
            (["sha256:abc"], USAGE, "64 hexadecimal digits"),
            (["xmpp:romeo@example.org"], USAGE, "no link of the web"),
            (["readme.zip"], USAGE, "--width name"),
            (["nonsense"], USAGE, "is no link")):
        got = refused(server, *words)
        assert got[0] == status and said in got[1], words
    assert server.ctl_json("incident", "list")["incidents"] == []


def test_an_administrator_s_view_names_nobody_of_another_domain(own_server):
    server = own_server({"guard.mode": "on"}, domain="one.test", domains=["two.test"])
    server.add_users(["ada", "bob"])
    server.add_users(["eve"], domain="two.test")
    ada, bob = server.connect("ada"), server.connect("bob")
    eve = server.connect("eve", domain="two.test")
    for client in (ada, bob, eve):
        client.online()
    _, link = fresh()
    say(ada, bob.bare, link)
    say(ada, "eve@two.test", link)
    settle(ada, bob, eve)
    incident = str(convict(server, link)["incident"])
    full = server.ctl("incident", "show", incident)
    assert "ada@one.test" in full
    for tree in ("text", "svg", "dot"):
        theirs = server.ctl("incident", "show", incident, "--domain", "two.test", "--tree", tree)
        assert "one.test" not in theirs and "eve@two.test" in theirs and "other-1" in theirs
    mine = server.ctl_json("incident", "show", incident, "--domain", "two.test")
    assert "one.test" not in str(mine)
    assert status_of(server, "incident", "show", incident, "--domain", "three.test") == MISSING
    ours = server.ctl("incident", "show", incident, "--domain", "one.test")
    assert "ada@one.test" in ours and "eve@two.test" not in ours
    assert first_incident(server, "--domain", "one.test") == incident
    assert first_incident(server, "--domain", "three.test") is None


def test_a_name_that_is_too_long_convicts_nothing(own_server):
    server = own_server({"guard.mode": "on"})
    for words in (["\u00e9" * 3000 + ".exe"], ["x" * 9000 + ".exe"],
                  ["--width", "name", "\u00e9" * 9000]):
        server.ctl("incident", "convict", *words, check=False)
    got = server.ctl("incident", "convict", "\u00e9" * 3000 + ".exe", check=False)
    assert got.returncode != 0 and "too long" in got.stderr, got.stderr
    got = server.ctl("incident", "convict", "--width", "name", "20261128.jpg", check=False)
    assert "every file whose name has the shape {n}.jpg" in got.stderr
    got = server.ctl("incident", "convict", "--width", "name", "folder/", check=False)
    assert got.returncode != 0 and "no name" in got.stderr, got.stderr

"""What was ordered before a kill is told and carried out after it, and nothing else is."""

import glob
import os
import sqlite3
import time

import pytest

import xmpp
from doors_test import fresh, is_message, online, settle


def outbreak(server, n=24):
    """A worm that is convicted: patient zero and a relay; (people, link)."""
    people = online(server, n)
    word, link = fresh()
    for worm, targets in ((people[0], people[1:12]), (people[1], people[12:])):
        for target in targets:
            worm.send(f"<message type='chat' to='{target.bare}'><body>haha {link}</body></message>")
        settle(*people)
    return people, link


def notices(client, server):
    settle(client)
    return [e for e in client.drain() if is_message(e) and e.get("from") == server.domain]


def store(server):
    for path in glob.glob(os.path.join(server.state, "*")):
        with open(path, "rb") as file:
            if file.read(15) == b"SQLite format 3":
                return sqlite3.connect(path)
    raise AssertionError("no store in " + server.state)


@pytest.mark.parametrize("lost", [False, True], ids=["told", "not told"])
def test_a_notice_that_a_kill_may_have_lost_is_told_again(own_server, lost):
    # a question to zero would be another notice: questions_test.py
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"})
    people, _ = outbreak(server)
    zero = people[0]
    assert "convicted" in server.ctl("incident", "list")
    assert len(notices(zero, server)) == 1
    for _ in range(3):
        settle(*people)
    server.kill()
    if lost:  # as if the crash had come before the notice was durable
        with store(server) as db:
            assert db.execute("DELETE FROM record WHERE key = 'told'").rowcount == 1
    server.start()
    again = server.connect(zero.user)
    again.online()
    again.fence()
    assert len(notices(again, server)) == (1 if lost else 0)
    again.close()


def test_who_only_watches_takes_nothing_back_after_a_kill_either(own_server):
    server = own_server({"guard.mode": "observe"})
    people, link = outbreak(server)
    assert "convicted" in server.ctl("incident", "list")
    server.kill()
    server.start()
    reader = server.connect(people[2].user)
    reader.online()
    settle(reader)
    reader.drain()
    assert reader.ask("set", "<query xmlns='urn:xmpp:mam:2'/>").get("type") == "result"
    pages = "".join(xmpp.show(m) for m in reader.drain())
    assert link in pages and "retract" not in pages
    assert "guard-would" in server.log()
    reader.close()


def test_a_notice_waits_for_a_store_that_fails(own_server):
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"}, start=False)
    flag = os.path.join(server.folder, "state", "disk-is-full")
    server.settings["test.faults"] = f"full?{flag}"
    server.start()
    people, _ = outbreak(server)
    zero = people[0]
    assert len(notices(zero, server)) == 1
    with open(flag, "w", encoding="ascii"):
        pass
    # its audit record finds no room either: done all the same, and said
    server.ctl("incident", "release", "0", "--account", zero.bare, check=False)
    end = time.monotonic() + xmpp.PATIENCE
    while "event=message-not-kept" not in server.log() and time.monotonic() < end:
        time.sleep(0.05)
    assert "event=message-not-kept" in server.log()
    os.unlink(flag)
    assert zero.wait_for(lambda e: is_message(e) and e.get("from") == server.domain)

"""A kill between the taking back of copies and the word to who has them.

The store takes back all copies in one commit, and what their owners are told of it later.  Here it
takes no such word as long as a trigger in it says so: then the kill falls between the two for
certain.
"""

import os
import sqlite3

import pytest

from guard_disk_test import until
from xmpp import local

RETRACT = "{urn:xmpp:message-retract:1}retract"
LINK = "http://party.retract.example/pictures.php"
FORGED = "retract-1"


def is_message(stanza):
    return local(stanza) == "message"


def store(server):
    return sqlite3.connect(os.path.join(server.state, "firedoor.sqlite"))


def retractions(client):
    """The ids of the server's that have come, until now."""
    for _ in range(3):
        client.fence()
    return [e.get("id") for e in client.drain()
            if is_message(e) and e.find(RETRACT) is not None and e.get("id") != FORGED]


def restart(server, *statements, end=None):
    (end or server.kill)()
    with store(server) as db:
        for statement in statements:
            db.execute(statement)
    server.start()


def n_untold(server):
    with store(server) as db:
        return db.execute("SELECT count(*) FROM untold").fetchone()[0]


def spread(server, archives):
    """Eight people, four of whom got the link from the other four."""
    people = [server.connect(name) for name in server.fresh_users(8)]
    for one in people:
        one.online()
        if not archives:
            assert one.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/>"
                           "</prefs>").get("type") == "result"
    pairs = list(zip(people[:4], people[4:]))
    for sender, reader in pairs:
        sender.send(f"<message type='chat' id='m' to='{reader.bare}'><body>{LINK}</body></message>")
        reader.wait_for(lambda e: is_message(e) and e.get("id") == "m")
    return pairs


def come_back(server, pairs):
    readers = [server.connect(reader.user) for _, reader in pairs]
    for reader in readers:
        reader.online()
    return readers


@pytest.fixture(params=[True, False], ids=["archive", "no archive"])
def archives(request):
    return request.param


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_who_was_not_told_before_the_end_is_told_after_it_once(own_server, archives, end):
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"})
    pairs = spread(server, archives)
    restart(server, "CREATE TRIGGER deaf BEFORE INSERT ON message WHEN NEW.message_id LIKE "
            "'retract-%' BEGIN SELECT RAISE(FAIL, 'deaf'); END")
    readers = come_back(server, pairs)
    server.ctl("incident", "convict", LINK, "--reason", "a worm")
    until(lambda: n_untold(server) >= len(readers))  # taken back, and that is durable
    until(lambda: "event=message-not-kept" in server.log())
    for reader in readers:
        assert retractions(reader) == []
    restart(server, "DROP TRIGGER deaf", end=getattr(server, end))
    readers = come_back(server, pairs)
    for reader in readers:
        reader.wait_for(lambda e: is_message(e) and e.find(RETRACT) is not None)
    until(lambda: n_untold(server) == 0)
    until(lambda: "event=retracted" in server.log())
    for reader in readers:
        assert retractions(reader) == []
    # and it is through: another start tells nobody anything
    restart(server)
    for reader in come_back(server, pairs):
        assert retractions(reader) == []
        reader.close()


def test_who_was_told_before_a_kill_is_not_told_again(own_server, archives):
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"})
    pairs = spread(server, archives)
    # a worm may give what it sends any id, and take it back: that is no word of ours
    for sender, reader in pairs:
        sender.send(f"<message type='chat' id='{FORGED}' to='{reader.bare}'><body>x</body>"
                    "<retract xmlns='urn:xmpp:message-retract:1' id='m'/></message>")
        reader.wait_for(lambda e: is_message(e) and e.get("id") == FORGED)
    server.ctl("incident", "convict", LINK, "--reason", "a worm")
    for _, reader in pairs:
        reader.wait_for(lambda e: is_message(e) and e.find(RETRACT) is not None)
    for _, reader in pairs:  # has it, as far as the server can know
        assert retractions(reader) == []
    until(lambda: n_untold(server) == 0)
    server.add_users(["last"])  # a commit behind those by which what was read leaves the spool
    restart(server)  # for some seconds after the walk the order is kept: copies may come late
    readers = come_back(server, pairs)
    until(lambda: "event=retracted" in server.log())
    for reader in readers:
        assert retractions(reader) == []
        reader.close()

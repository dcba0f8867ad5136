"""Limits of the section `limits`, each from the wire: the error that it gets, and that it ends."""

import time

import xmpp
from xmpp import condition_of, local


def body(to, id, size):
    return (f"<message type='chat' to='{to}' id='{id}'><body>{'x' * size}</body></message>")


def until(what):
    end = time.monotonic() + xmpp.PATIENCE
    while not what():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.05)


def refusals(client, ids):
    """The ids of those that came back: the error is there before the acknowledgement."""
    client.wait_acked(client.n_sent)
    back = {}
    for stanza in client.drain():
        if local(stanza) == "message" and stanza.get("type") == "error":
            error = stanza.find("{jabber:client}error")
            back[stanza.get("id")] = condition_of(error)
    assert set(back.values()) <= {"service-unavailable"}, back
    assert set(back) <= set(ids)
    return set(back)


def read_all(server, name):
    """The ids of what waits for name; the account is away again afterwards."""
    client = server.connect(name)
    client.online()
    got = [s.get("id") for s in client.drain() if local(s) == "message"]
    client.fence()
    client.close()
    return got


def test_what_waits_is_bounded_by_its_size_over_delivery_and_restart(own_server):
    # limits.offline_bytes; RFC 6121 §8.5.2.2.1 with XEP-0160 §2, as limits.offline_messages
    server = own_server({"limits.offline_bytes": "64 KiB", "archive.enabled": "false"})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m1", 30000))
    sender.send(body(to, "m2", 30000))
    sender.send(body(to, "m3", 30000))
    sender.send(body(to, "m4", 100))
    assert refusals(sender, {"m1", "m2", "m3", "m4"}) == {"m3"}
    # the count comes back with the store
    sender.close()
    server.stop()
    server.start()
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m5", 30000))
    assert refusals(sender, {"m5"}) == {"m5"}
    # delivery makes room, all of it
    assert read_all(server, juliet) == ["m1", "m2", "m4"]
    for round in range(3):
        ids = [f"r{round}a", f"r{round}b", f"r{round}c"]
        for id in ids:
            sender.send(body(to, id, 30000))
        assert refusals(sender, set(ids)) == {ids[2]}
        assert read_all(server, juliet) == ids[:2]
    sender.close()


def test_a_deleted_accounts_messages_count_for_nobody(own_server):
    server = own_server({"limits.offline_bytes": "64 KiB"})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    sender.send(body(to, "m1", 50000))
    assert refusals(sender, {"m1"}) == set()
    server.ctl("user", "delete", to)
    server.add_users([juliet])
    sender.send(body(to, "m2", 50000))
    sender.send(body(to, "m3", 50000))
    assert refusals(sender, {"m2", "m3"}) == {"m3"}
    assert read_all(server, juliet) == ["m2"]
    sender.close()


def test_messages_taken_back_make_room(own_server):
    # a conviction takes them out of the spool; the account is in memory since the first of them
    server = own_server({"limits.offline_bytes": "64 KiB", "limits.offline_messages": 3})
    juliet, romeo = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    for i in range(3):
        sender.send(f"<message type='chat' to='{to}' id='m{i}'><body>http://bad.example/worm "
                    f"{'x' * 15000}</body></message>")
    assert refusals(sender, {"m0", "m1", "m2"}) == set()
    sender.send(body(to, "m3", 10))
    assert refusals(sender, {"m3"}) == {"m3"}
    server.ctl("incident", "convict", "http://bad.example/worm", "--reason", "test")

    def has_room():
        sender.send(body(to, "again", 30000))
        return refusals(sender, {"again"}) == set()

    until(has_room)
    sender.close()

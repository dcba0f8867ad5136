"""The guard's measures while the disk is full: they wait for room, they are not given up."""

import os
import secrets
import time

import xmpp
from xmpp import local


def full_disk(own_server, settings=None):
    server = own_server(settings or {}, start=False)
    flag = os.path.join(server.folder, "state", "disk-is-full")
    server.settings["test.faults"] = f"full?{flag}"
    return server.start(), flag


def until(what):
    end = time.monotonic() + xmpp.PATIENCE
    while not what():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.05)


def bodies(server, name):
    client = server.connect(name)
    client.online()
    got = [s.findtext("{jabber:client}body") or "" for s in client.drain() if local(s) == "message"]
    client.close()
    return got


def test_what_waits_is_taken_back_as_soon_as_there_is_room(own_server):
    server, flag = full_disk(own_server)
    romeo, *readers = server.fresh_users(3)
    link = f"http://{secrets.token_hex(6)}.example/a"
    sender = server.connect(romeo, sm=True)
    for name in readers:
        sender.send(f"<message type='chat' to='{name}@{server.domain}' id='m'>"
                    f"<body>see {link}</body></message>")
    sender.wait_acked(len(readers))
    open(flag, "w", encoding="ascii").close()
    server.ctl("incident", "convict", link, "--reason", "test", check=False)
    until(lambda: "event=copies-not-withdrawn" in server.log())
    os.unlink(flag)
    until(lambda: "event=retracted" in server.log())
    for name in readers:
        assert not [b for b in bodies(server, name) if link in b]
    sender.close()


def test_a_held_message_waits_for_room_when_its_time_has_come(own_server):
    # semantics, holding: a held message is durable, so it is acknowledged
    server, flag = full_disk(own_server, {"guard.hold": "12 s", "guard.mode": "on"})
    romeo, *readers = server.fresh_users(8)
    link = f"http://{secrets.token_hex(6)}.example/a"
    sender = server.connect(romeo, sm=True)
    for name in readers:
        sender.send(f"<message type='chat' to='{name}@{server.domain}' id='{name}'>"
                    f"<body>see {link}</body></message>")
    sender.wait_acked(len(readers))
    held = server.ctl_json("guard", "state")["held"]
    assert held > 0
    open(flag, "w", encoding="ascii").close()
    until(lambda: "event=held-message-waits" in server.log())
    os.unlink(flag)
    refused = set()

    def has_gone(name):
        refused.update(s.get("id") for s in sender.drain() if s.get("type") == "error")
        return name in refused or [b for b in bodies(server, name) if link in b]

    for name in readers:
        until(lambda: has_gone(name))
    sender.close()


def test_events_that_found_no_room_leave_the_log_in_order(own_server):
    # what comes after a hole is taken again under its own number, and new events have new ones
    server, flag = full_disk(own_server, {"guard.mode": "on"})
    romeo, juliet = server.fresh_users(2)

    def send(sender):
        sender.send(f"<message type='chat' to='{juliet}@{server.domain}'>"
                    f"<body>http://{secrets.token_hex(6)}.example/a</body></message>")
        sender.fence()

    sender = server.connect(romeo)
    send(sender)
    open(flag, "w", encoding="ascii").close()
    for _ in range(3):
        send(sender)
    until(lambda: "event=guard-event-lost" in server.log())
    os.unlink(flag)
    for _ in range(3):
        send(sender)
    server.kill()
    sender.cut()
    server.start()
    sender = server.connect(romeo)
    for _ in range(3):
        send(sender)
    sender.close()
    assert "error=exists" not in server.log()

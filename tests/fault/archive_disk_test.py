"""A sender's own archive while the disk is full: what was sent on gets there when there is room."""

import os

import xmpp
from guard_disk_test import full_disk, until

MAM = "urn:xmpp:mam:2"


def archived(client):
    """The bodies that its archive has."""
    client.drain()
    if client.ask("set", f"<query xmlns='{MAM}'/>").get("type") != "result":
        return None
    return [body.text for s in client.drain() for body in s.iter("{jabber:client}body")]


def fill(flag):
    open(flag, "w", encoding="ascii").close()


def pair(server, sm):
    """A sender, and a reader who archives nothing: what he is there to read needs no disk."""
    one, other = server.fresh_users(2)
    sender, reader = server.connect(one, sm=sm), server.connect(other)
    sender.online(), reader.online()
    assert reader.ask("set", f"<prefs xmlns='{MAM}' default='never'><always/><never/></prefs>"
                      ).get("type") == "result"
    sender.drain()
    return sender, reader


def say(sender, to, body):
    sender.send(f"<message type='chat' to='{to}' id='{body}'><body>{body}</body></message>")


def acked(client):
    """What the server says that it has, now."""
    client.write("<r xmlns='urn:xmpp:sm:3'/>")
    client.ask("get", "<ping xmlns='urn:xmpp:ping'/>")
    return client.acked


def test_what_was_delivered_is_in_the_senders_archive_when_there_is_room(own_server):
    server, flag = full_disk(own_server)
    sender, reader = pair(server, sm=False)
    fill(flag)
    for body in ("first", "second"):
        say(sender, reader.bare, body)
        assert reader.wait_for(lambda e: e.get("id") == body).get("type") == "chat"
    until(lambda: "event=sent-archive-waits" in server.log())
    assert archived(sender) == []
    os.unlink(flag)
    until(lambda: archived(sender) == ["first", "second"])
    assert "event=sent-not-archived" not in server.log()
    sender.close(), reader.close()


def test_nothing_is_acknowledged_before_the_senders_archive_has_it(own_server):
    server, flag = full_disk(own_server)
    sender, _ = pair(server, sm=True)
    before = sender.n_sent
    fill(flag)
    # nobody keeps it: only the sender's archive needs the disk
    say(sender, f"nobody-{os.getpid()}@{server.domain}", "alone")
    assert sender.wait_for(lambda e: e.get("id") == "alone").get("type") == "error"
    until(lambda: "event=sent-archive-waits" in server.log())
    assert acked(sender) == before  # and nothing that came later
    os.unlink(flag)
    sender.wait_acked(before + 1)
    assert archived(sender) == ["alone"]
    sender.close()


def test_what_others_have_in_their_windows_takes_no_room_of_who_has_none(own_server):
    server, flag = full_disk(own_server, {"server.workers": 1, "limits.unacked_stanzas": 5000})
    plain, reader = pair(server, sm=False)
    senders = [server.connect(user, sm=True) for user in server.fresh_users(4)]
    for sender in senders:
        sender.online()
        sender.wait_acked(sender.n_sent)
    fill(flag)
    for sender in senders:  # as many as wait of all who have no window: UNARCHIVED_MOST
        for i in range(1024):
            say(sender, f"nobody-{os.getpid()}@{server.domain}", i)
    for sender in senders:
        sender.wait_for(lambda e: e.get("id") == "1023" and e.get("type") == "error")
    say(plain, reader.bare, "kept")
    assert reader.wait_for(lambda e: e.get("id") == "kept").get("type") == "chat"
    until(lambda: f"event=sent-archive-waits account={plain.bare}" in server.log())
    os.unlink(flag)
    until(lambda: archived(plain) == ["kept"])
    for sender in senders:
        sender.wait_acked(sender.n_sent)
        sender.close()
    assert "event=sent-not-archived" not in server.log()
    plain.close(), reader.close()


def test_what_was_refused_is_in_no_archive(own_server):
    server, flag = full_disk(own_server)
    one, other = server.fresh_users(2)
    sender, reader = server.connect(one, sm=True), server.connect(other)
    sender.online(), reader.online()
    before = sender.n_sent
    fill(flag)
    say(sender, reader.bare, "refused")
    assert sender.wait_for(lambda e: e.get("id") == "refused").get("type") == "error"
    until(lambda: "event=sent-archive-waits" in server.log())
    until(lambda: acked(sender) > before)  # its sender knows
    os.unlink(flag)
    until(lambda: archived(sender) is not None)
    assert archived(sender) == [] == archived(reader)
    sender.close(), reader.close()


def test_a_stop_does_not_acknowledge_what_found_no_room(own_server):
    server, flag = full_disk(own_server)
    sender, _ = pair(server, sm=True)
    before = sender.n_sent
    fill(flag)
    say(sender, f"nobody-{os.getpid()}@{server.domain}", "lost")
    assert sender.wait_for(lambda e: e.get("id") == "lost").get("type") == "error"
    until(lambda: "event=sent-archive-waits" in server.log())
    server.stop()
    while True:
        try:
            sender.stanza()
        except xmpp.Closed:
            break
    assert sender.acked <= before
    assert "stop-not-quiet" not in server.log()
    os.unlink(flag)
    server.start()
    again = server.connect(sender.user)
    again.online()
    assert archived(again) == []
    again.close()

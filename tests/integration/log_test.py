"""Logs: one line an event, with connection, account and stanza id; never bodies (issue §3)."""

import json

import xmpp
from ctl_test import wait_until
from doors_test import fresh, is_message, online, settle
from questions_test import ASKING, Star, question, reply

JSON = {"log.json": "true"}


def lines(server, event=None):
    """The log's objects, in order; what a sanitizer writes is none."""
    found = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    return [one for one in found if event in (None, one["event"])]


def test_a_refused_message_leaves_a_line_with_connection_account_and_id(own_server):
    server = own_server({**JSON, "guard.mode": "on"})
    sender, reader = online(server, 2)
    word, link = fresh()
    conn = [one["conn"] for one in lines(server, "session-began")
            if one["session"] == sender.jid][0]
    server.ctl("suspend", "links", "--account", sender.bare, "--for", "1h", "--reason", "test")
    sender.send(f"<message type='chat' to='{reader.bare}' id='a &quot;strange&quot; id'>"
                f"<body>what-I-say {link}?q=a-query</body></message>")
    sender.wait_for(lambda e: e.get("type") == "error")
    said, = lines(server, "message-refused")
    assert said.pop("time") and said.pop("level") == 6
    assert said == {"event": "message-refused", "conn": conn, "account": sender.bare,
                    "stanza": "message", "id": 'a "strange" id', "reason": "suspended",
                    "incident": 0}
    # a conviction, and a message that is too large for its line
    server.ctl("resume", "links", "--account", sender.bare)
    incident = json.loads(server.ctl("--json", "incident", "convict", link))["incident"]
    sender.send(f"<message type='chat' to='{reader.bare}' id='{'i' * 5000}'>"
                f"<body>what-I-say {link}</body></message>")
    sender.wait_for(lambda e: e.get("type") == "error")
    said = lines(server, "message-refused")[-1]
    assert (said["reason"], said["incident"], said["id"]) == ("convicted", incident, "i" * 256)
    # an answer that is not passed on, and its asker
    reader.send(f"<iq type='get' id='asked' to='{sender.jid}'><query xmlns='jabber:iq:oob'/></iq>")
    asked = sender.wait_for(lambda e: e.get("id") == "asked")
    sender.send(f"<iq type='result' id='asked' to='{asked.get('from')}'><query xmlns='jabber:iq:oob'>"
                f"<url>{link}</url></query></iq>")
    assert reader.wait_for(lambda e: e.get("id") == "asked").get("type") == "error"
    said = lines(server, "message-refused")[-1]
    assert (said["stanza"], said["id"], said["reason"]) == ("iq", "asked", "convicted")
    for secret in ("what-I-say", "a-query"):
        assert secret not in server.log()
    assert reader.bare not in json.dumps(lines(server, "message-refused"))
    for client in (sender, reader):
        client.close()


def test_what_is_held_has_a_line_then_and_when_it_goes(own_server):
    server = own_server({**JSON, **ASKING})
    star = Star(server)
    held = {one["id"] for one in lines(server, "message-held")}
    assert len(held) >= 5
    assert {one["reason"] for one in lines(server, "message-held")} in ({"asked"},
                                                                        {"asked", "window"})
    question(star.others[0])
    reply(star.others[0], "yes")
    star.friends[-1].wait_for(lambda e: is_message(e) and star.link in xmpp.show(e))
    wait_until(lambda: {one["id"] for one in lines(server, "message-released")} == held)
    star.close()
    star = Star(server)
    held = [one["id"] for one in lines(server, "message-held") if
            one["account"] == star.own.bare]
    question(star.others[0])
    reply(star.others[0], "no")
    wait_until(lambda: sorted(one["id"] for one in lines(server, "message-returned"))
               == sorted(held))
    assert {(one["account"], one["reason"]) for one in lines(server, "message-returned")} == {
        (star.own.bare, "denied")}
    star.close()


def test_a_stream_error_names_connection_and_account_and_numbers_are_numbers(own_server):
    server = own_server(JSON)
    client, = online(server, 1)
    conn = lines(server, "session-began")[-1]["conn"]
    assert isinstance(conn, int) and conn == lines(server, "login")[-1]["conn"]
    client.send("<message from='somebody@else.example'/>")
    assert client.read_until_closed().condition == "invalid-from"
    said, = lines(server, "stream-error")
    assert (said["conn"], said["account"], said["condition"]) == (conn, client.bare, "invalid-from")
    # nobody yet, and the words that the client reads
    stream = server.stream()
    stream.restart()
    stream.write("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                 "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>")
    stream.read_until_closed()
    said = lines(server, "stream-error")[-1]
    assert said["account"] == "" and said["why"] == "the stream header needs a to"
    for one in lines(server, "listening"):
        assert isinstance(one["port"], int)


def test_a_name_with_a_backslash_stays_json(own_server):
    server = own_server(JSON)
    names = ["d\\27artagnan", "x\\y"]  # the first as in XEP-0106
    server.add_users(names)
    for name in names:
        client = server.connect(name)
        client.close()
    wait_until(lambda: [one["account"] for one in lines(server, "login")]
               == [f"{name}@{server.domain}" for name in names])

"""Somebody else locks the database: a tool left open, a backup that went wrong."""

import os
import sqlite3

import xmpp


def test_a_lock_of_somebody_else_refuses_for_its_time_and_loses_nothing(own_server):
    server = own_server()
    romeo, juliet = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    sender = server.connect(romeo, sm=True)
    sender.send(f"<message type='chat' to='{to}' id='before'><body>x</body></message>")
    sender.wait_acked(1)
    other = sqlite3.connect(os.path.join(server.state, "firedoor.sqlite"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sender.send(f"<message type='chat' to='{to}' id='during'><body>x</body></message>")
    # SQLite waits five seconds; what needs no commit goes on meanwhile
    answer = sender.ask("get", "<query xmlns='jabber:iq:roster'/>")
    assert answer.get("type") == "result"
    refused = sender.wait_for(lambda s: s.get("id") == "during")
    assert refused.get("type") == "error"
    assert xmpp.condition_of(refused.find("{jabber:client}error")) == "resource-constraint"
    other.execute("ROLLBACK")
    other.close()
    sender.send(f"<message type='chat' to='{to}' id='after'><body>x</body></message>")
    sender.wait_acked(sender.n_sent)
    reader = server.connect(juliet)
    reader.online()
    got = [reader.wait_for(lambda s: xmpp.local(s) == "message").get("id") for _ in range(2)]
    assert got == ["before", "after"]
    for client in (sender, reader):
        client.close()

"""What was in hand at two deaths of the process is put aside: no crash loop (docs/architecture.md).

test.crash_at makes whoever notes something that contains its text die, as a mistake of ours would.
"""



from xmpp import condition_of, local


def wait_dead(server):
    assert server.process.wait(60) != 0
    server.process = None


def start_and_die(server):
    """A start that dies before it listens, or soon after."""
    try:
        server.start()
    except AssertionError:
        server.process = None
    else:
        wait_dead(server)


def send_poison(server, name, to):
    sender = server.connect(name, sm=True)
    sender.send(f"<message type='chat' to='{to}' id='poison'><body>x</body></message>")
    return sender


def aside(server):
    return [row["what"] for row in server.ctl_json("aside", "list")["aside"] if row["aside"]]


def test_a_stanza_that_kills_twice_is_refused_and_the_rest_goes_on(own_server):
    server = own_server({"test.crash_at": " poison 1 "})
    romeo, juliet = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    for _ in range(2):  # the second time as a client does that repeats what was not acknowledged
        send_poison(server, romeo, to).cut()
        wait_dead(server)
        server.start()
    assert server.ctl_json("status")["put_aside"] == 1
    listed, = aside(server)
    assert listed == f"message {romeo}@{server.domain} {to} poison 1"
    reader = server.connect(juliet)
    reader.online()
    sender = server.connect(romeo, sm=True)
    sender.send(f"<message type='chat' to='{to}' id='fine'><body>y</body></message>")
    assert reader.wait_for(lambda s: s.get("id") == "fine").get("type") == "chat"
    for client in (sender, reader):
        client.close()


def test_a_repeated_stanza_is_told_and_acknowledged_once_it_is_aside(own_server):
    server = own_server({"test.crash_at": " poison 1 "})
    romeo, juliet = server.fresh_users(2)
    to = f"{juliet}@{server.domain}"
    for _ in range(2):
        sender = server.connect(romeo, "balcony", sm=True)
        sender.send(f"<message type='chat' to='{to}' id='poison'><body>x</body></message>")
        wait_dead(server)
        sender.cut()
        server.start()
    sender = server.connect(romeo, "balcony", sm=True)
    sender.send(f"<message type='chat' to='{to}' id='poison'><body>x</body></message>")
    sender.wait_acked(1)
    back = sender.wait_for(lambda s: local(s) == "message")
    assert back.get("type") == "error" and back.get("id") == "poison"
    assert condition_of(back.find("{jabber:client}error")) == "internal-server-error"
    # an operator lets it go: from the next start on it is tried again
    key = server.ctl_json("aside", "list")["aside"][0]["key"]
    server.ctl("aside", "release", key)
    assert server.ctl("aside", "release", key, check=False).returncode == 4
    sender.close()
    server.stop()
    server.settings["test.crash_at"] = ""
    server.start()
    assert server.ctl_json("status")["put_aside"] == 0
    sender = server.connect(romeo, "balcony", sm=True)
    sender.send(f"<message type='chat' to='{to}' id='poison'><body>x</body></message>")
    sender.wait_acked(1)
    reader = server.connect(juliet)
    reader.online()
    assert reader.wait_for(lambda s: s.get("id") == "poison").get("type") == "chat"
    for client in (sender, reader):
        client.close()


def test_a_waiting_message_that_kills_twice_stays_where_it_is(own_server):
    server = own_server()
    romeo, juliet = server.fresh_users(2)
    send_poison(server, romeo, f"{juliet}@{server.domain}").wait_acked(1)
    server.stop()
    server.settings["test.crash_at"] = "row "
    server.start()
    for _ in range(2):
        reader = server.connect(juliet)
        reader.send("<presence/>")
        wait_dead(server)
        reader.cut()
        server.start()
    assert len(aside(server)) == 1
    reader = server.connect(juliet)
    reader.online()
    assert [s for s in reader.drain() if local(s) == "message"] == []
    reader.close()
    # it is not lost
    server.ctl("aside", "release", server.ctl_json("aside", "list")["aside"][0]["key"])
    server.stop()
    server.settings["test.crash_at"] = ""
    server.start()
    reader = server.connect(juliet)
    reader.online()
    assert reader.wait_for(lambda s: s.get("id") == "poison").get("type") == "chat"
    reader.close()


def test_an_event_of_the_guards_log_that_kills_twice_is_passed_over(own_server):
    server = own_server()
    romeo, juliet = server.fresh_users(2)
    sender = server.connect(romeo, sm=True)
    for i in range(3):
        sender.send(f"<message type='chat' to='{juliet}@{server.domain}' id='m{i}'>"
                    f"<body>see http://new{i}.example/x</body></message>")
    sender.wait_acked(3)
    sender.fence()
    events = server.ctl_json("guard", "state")["events"]
    assert events >= 3
    server.kill()  # no snapshot: the log is taken anew
    server.settings["test.crash_at"] = "event 2 "
    for _ in range(2):
        start_and_die(server)
    server.start()
    assert len(aside(server)) == 1 and aside(server)[0].startswith("event 2 ")
    assert server.ctl_json("guard", "state")["events"] >= events
    # and it goes on counting where it was
    sender = server.connect(romeo, sm=True)
    sender.send(f"<message type='chat' to='{juliet}@{server.domain}' id='after'>"
                "<body>see http://other.example/x</body></message>")
    sender.wait_acked(1)
    sender.close()


def test_a_death_without_a_cause_puts_nothing_aside(own_server):
    server = own_server()
    romeo, juliet = server.fresh_users(2)
    for i in range(3):
        sender = server.connect(romeo, "balcony", sm=True)
        sender.send(f"<message type='chat' to='{juliet}@{server.domain}' id='same'>"
                    "<body>x</body></message>")
        sender.wait_acked(1)
        server.kill()
        sender.cut()
        server.start()
    assert server.ctl_json("status")["put_aside"] == 0

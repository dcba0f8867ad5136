"""What a planned restart does to sessions nobody comes back for."""

import time

import doors_test
import xmpp


def until(what):
    end = time.monotonic() + xmpp.PATIENCE
    while not what():
        assert time.monotonic() < end, "it does not come to pass"
        time.sleep(0.05)


def test_a_session_nobody_resumes_ends_and_its_messages_wait(own_server):
    # XEP-0198 section 5: the time the server was down counts
    server = own_server({"limits.resume_time": "1 s"})
    romeo, juliet = server.fresh_users(2)
    away = server.connect(romeo, sm=True, acks=False)
    away.online()
    friend = server.connect(juliet)
    friend.online()
    friend.send(f"<message type='chat' to='{away.jid}' id='m1'><body>later</body></message>")
    away.wait_for(lambda e: e.get("id") == "m1")
    friend.fence()
    server.stop()
    server.start()
    until(lambda: not server.ctl_json("session", "list")["sessions"])
    back = server.connect(romeo)
    back.online()
    got = back.wait_for(lambda e: e.get("id") == "m1")
    assert got.find("{urn:xmpp:delay}delay") is not None
    back.close()


def test_many_sessions_come_back(own_server):
    server = own_server()
    names = server.fresh_users(40)
    clients = [server.connect(name, sm=True) for name in names]
    for client in clients:
        client.online()
        client.fence()
    for _ in range(2):
        server.stop()
        server.start()
        again = []
        for old in clients:
            new, answer = xmpp.Client.resume(server, old)
            assert xmpp.local(answer) == "resumed", xmpp.show(answer)
            again.append(new)
        clients = again
    for one, other in zip(clients, clients[1:]):
        one.send(f"<message type='chat' to='{other.jid}' id='x'><body>hello</body></message>")
        assert other.wait_for(lambda e: e.get("id") == "x") is not None


def test_a_carbon_that_comes_after_a_restart_says_who_sent_its_link(own_server):
    # its own sender is the reader's account: of the guard's people nobody would have been shown it
    server = own_server({"guard.mode": "on"})
    worm, = doors_test.online(server, 1)
    name, = server.fresh_users(1)
    addressed, other = (server.connect(name, sm=True, acks=False) for _ in range(2))
    for device in (addressed, other):
        device.online()
        device.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
        device.cut()
    link = doors_test.fresh()[1]
    worm.send(f"<message type='chat' id='m1' to='{addressed.jid}'><body>see {link}</body></message>")
    worm.fence()
    worm.close()
    server.stop()
    server.start()
    other.acks = True
    back, answer = xmpp.Client.resume(server, other)
    assert xmpp.local(answer) == "resumed", xmpp.show(answer)
    back.wait_for(lambda e: link in xmpp.show(e))
    back.fence()
    incident = doors_test.convict(server, link)["incident"]

    def is_shown():
        return server.ctl_json("incident", "show", str(incident))["exposed"] == 1
    until(is_shown)

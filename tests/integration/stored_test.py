"""What the store kept, or what waits to be sent again, obeys a conviction that came later.

Where a retraction walks through the store it changes rows; these tests look at what it cannot have
reached: what was stored while the guard was off, and so has no keys by which it is found.
"""

import pytest

import xmpp
from doors_test import befriend, convict, fresh, is_message, online, settle

MAM = "urn:xmpp:mam:2"
VCARD = "<vCard xmlns='vcard-temp'/>"


def say(client, to, body, id, kind="chat"):
    client.send(f"<message type='{kind}' id='{id}' to='{to}'><body>{body}</body></message>")


def archive(client):
    """The messages of the archive, as text."""
    assert client.ask("set", f"<query xmlns='{MAM}'/>").get("type") == "result"
    return [xmpp.show(m) for m in client.drain()
            if is_message(m) and m.find(f"{{{MAM}}}result") is not None]


@pytest.fixture
def awake(own_server):
    """A server whose guard wakes up when the test says so."""
    server = own_server({"guard.mode": "off"})

    def wake():
        server.stop()
        server.settings["guard.mode"] = "on"
        server.start()

    server.wake = wake
    return server


def test_the_archive_shows_no_convicted_link_that_no_retraction_finds(awake):
    worm, reader = online(awake, 2)
    word, link = fresh()
    say(worm, reader.bare, f"look {link}", "bait")
    say(worm, reader.bare, "an honest word", "word")
    settle(worm, reader)
    awake.wake()
    convict(awake, link)
    for name in (worm.user, reader.user):
        client = awake.connect(name)
        pages = archive(client)
        assert len(pages) == 2
        assert word not in "".join(pages) and "retracted" in pages[0]
        assert "an honest word" in pages[1]
        client.close()


def test_a_waiting_message_arrives_with_its_convicted_link_dead(awake):
    worm, = online(awake, 1)
    name, = awake.fresh_users(1)
    word, link = fresh()
    say(worm, f"{name}@{awake.domain}", f"look {link}", "bait")
    worm.fence()
    awake.wake()
    convict(awake, link)
    reader = awake.connect(name)
    reader.online()
    got = reader.wait_for(is_message)
    assert got.get("id") == "bait" and word in got.findtext("{jabber:client}body")
    assert link not in xmpp.show(got)
    reader.close()
    # and it has arrived: it does not come again
    again = awake.connect(name)
    again.online()
    again.fence()
    assert not [m for m in again.drain() if is_message(m)]
    again.close()


def test_a_stored_vcard_is_served_without_its_convicted_link(awake):
    worm, reader = online(awake, 2)
    word, link = fresh()
    worm.ask("set", f"<vCard xmlns='vcard-temp'><FN>Me</FN><URL>{link}</URL></vCard>")
    awake.wake()
    reader = awake.connect(reader.user)
    assert link in xmpp.show(reader.ask("get", VCARD, to=worm.bare))
    convict(awake, link)
    answer = reader.ask("get", VCARD, to=worm.bare)
    assert answer.get("type") == "result" and word not in xmpp.show(answer)
    assert "Me" in xmpp.show(answer)
    reader.close()


@pytest.fixture(scope="module")
def guarded():
    import server as servers
    one = servers.make({"guard.mode": "on"}).start()
    yield one
    one.check_healthy()
    one.remove()


def test_what_is_sent_again_after_a_resumption_is_dead(guarded):
    worm, = online(guarded, 1)
    name, = guarded.fresh_users(1)
    reader = guarded.connect(name, sm=True, acks=False)
    reader.online()
    word, link = fresh()
    say(worm, reader.bare, f"look {link}", "bait")
    reader.wait_for(lambda e: e.get("id") == "bait")
    reader.cut()
    reader.acks = True
    worm.fence()
    convict(guarded, link)
    worm.fence()
    again, answer = xmpp.Client.resume(guarded, reader, h=0)
    assert xmpp.local(answer) == "resumed"
    got = again.wait_for(lambda e: e.get("id") == "bait")
    assert link not in xmpp.show(got) and word in xmpp.show(got)
    again.close()


def test_who_reads_it_in_the_archive_is_exposed(guarded):
    worm, = online(guarded, 1)
    name, = guarded.fresh_users(1)
    word, link = fresh()
    say(worm, f"{name}@{guarded.domain}", f"look {link}", "bait")
    worm.fence()
    reader = guarded.connect(name)  # not available: nothing is delivered
    assert link in "".join(archive(reader))
    reader.fence()
    incident = convict(guarded, link)
    assert reader.bare in guarded.ctl("incident", "show", str(incident["incident"]))
    reader.close()
    worm.close()


def test_a_carbon_copy_exposes_too(guarded):
    worm, = online(guarded, 1)
    name, = guarded.fresh_users(1)
    away = guarded.connect(name, "away", sm=True, acks=False)
    away.online()
    away.cut()  # its session waits; what is sent there has not been seen
    desk = guarded.connect(name, "desk")
    desk.ask("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    word, link = fresh()
    say(worm, away.jid, f"look {link}", "bait")
    desk.wait_for(lambda e: link in xmpp.show(e))
    desk.fence()
    incident = convict(guarded, link)
    assert desk.bare in guarded.ctl("incident", "show", str(incident["incident"]))
    desk.close()


@pytest.mark.parametrize("presence", [
    "<presence to='{jid}'><status>{link}</status></presence>",
    "<presence type='unavailable' to='{jid}'><status>{link}</status></presence>",
    "<presence type='unavailable'><status>{link}</status></presence>",
    "<presence type='subscribe' to='{bare}'><status>{link}</status></presence>"],
    ids=["directed", "directed-unavailable", "unavailable", "subscribe"])
def test_presence_that_could_not_be_taken_back_has_nothing_to_open(guarded, presence):
    worm, other = online(guarded, 2)
    if "subscribe" not in presence:
        befriend(worm, other)
        settle(worm, other)
        other.drain()
    word, link = fresh()
    worm.send(presence.format(jid=other.jid, bare=other.bare, link=link))
    got = other.wait_for(lambda e: word in xmpp.show(e))
    assert xmpp.local(got) == "presence" and link not in xmpp.show(got)
    other.close()


RETRACT = "{urn:xmpp:message-retract:1}retract"


def retracted_ids(client, n):
    """The ids that the next n withdrawals name; None where one has only words."""
    ids = []
    while len(ids) < n:
        got = client.wait_for(lambda e: is_message(e) and (
            e.find(RETRACT) is not None or "withdrawn" in xmpp.show(e)))
        retract = got.find(RETRACT)
        ids.append(None if retract is None else retract.get("id"))
    return ids


def test_an_id_that_an_honest_message_has_too_is_not_retracted(guarded):
    worm, reader = online(guarded, 2)
    word, link = fresh()
    say(worm, reader.bare, "an honest word", "same")
    say(worm, reader.bare, f"look {link}", "same")
    reader.wait_for(lambda e: link in xmpp.show(e))
    reader.fence()
    convict(guarded, link)
    assert retracted_ids(reader, 1) == [None]
    reader.close()
    worm.close()


def test_a_correction_is_taken_back_where_clients_show_it(guarded):
    worm, reader = online(guarded, 2)
    word, link = fresh()
    say(worm, reader.bare, "an honest word", "first")
    worm.send(f"<message type='chat' id='second' to='{reader.bare}'><body>look {link}</body>"
              "<replace xmlns='urn:xmpp:message-correct:0' id='first'/></message>")
    reader.wait_for(lambda e: link in xmpp.show(e))
    reader.fence()
    convict(guarded, link)
    assert retracted_ids(reader, 2) == ["first", "second"]
    reader.close()
    worm.close()


def test_a_worm_s_own_retraction_erases_no_evidence(guarded):
    worm, reader = online(guarded, 2)
    word, link = fresh()
    say(worm, reader.bare, f"look {link}", "bait")
    worm.send(f"<message type='chat' id='undo' to='{reader.bare}'><body>sorry</body>"
              "<retract xmlns='urn:xmpp:message-retract:1' id='bait'/></message>")
    reader.wait_for(lambda e: e.get("id") == "undo")
    reader.fence()
    incident = str(convict(guarded, link)["incident"])
    assert retracted_ids(reader, 1) == ["bait"]
    shown = guarded.ctl("incident", "show", incident)
    assert reader.bare in shown and worm.bare in shown
    reader.close()
    worm.close()


def test_a_release_leaves_dead_what_another_incident_convicts(guarded):
    sender, reader = online(guarded, 2)
    (_, good), (_, bad) = fresh(), fresh()
    say(sender, reader.bare, f"see {good} and {bad}", "two")
    reader.wait_for(lambda e: e.get("id") == "two")
    reader.fence()
    incident = convict(guarded, good)
    reader.wait_for(lambda e: is_message(e) and "withdrawn" in xmpp.show(e))
    convict(guarded, bad)
    guarded.ctl("incident", "release", str(incident["incident"]), "--reason", "test")
    again = reader.wait_for(lambda e: is_message(e) and "see " in xmpp.show(e))
    assert bad not in xmpp.show(again)
    assert bad not in "".join(archive(reader))
    for client in (sender, reader):
        client.close()

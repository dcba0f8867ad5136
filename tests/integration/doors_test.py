"""Every door: whatever shows a person something to open passes the guard, message or not."""

import secrets

import pytest

import xmpp

OOB = "jabber:iq:oob"
JINGLE = ("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content "
          "creator='initiator' name='f'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'>"
          "<file><name>{0}.jpg.exe</name><size>6144</size><desc>{1}</desc></file></description>"
          "</content></jingle>")
SI = ("<si xmlns='http://jabber.org/protocol/si' id='a' "
      "profile='http://jabber.org/protocol/si/profile/file-transfer'><file "
      "xmlns='http://jabber.org/protocol/si/profile/file-transfer' name='{0}.jpg.exe' size='6144'>"
      "<desc>{1}</desc></file></si>")


@pytest.fixture(scope="module")
def guarded():
    import server as servers
    one = servers.make({"guard.mode": "on"}).start()
    yield one
    one.check_healthy()
    one.remove()


def fresh():
    word = "p" + secrets.token_hex(5)
    return word, f"http://{word}.example/album.php"


def online(server, n):
    clients = [server.connect(name) for name in server.fresh_users(n)]
    for client in clients:
        client.online()
    for client in clients:
        client.fence()
        client.drain()
    return clients


def befriend(one, other):
    """The second sees the first."""
    other.send(f"<presence type='subscribe' to='{one.bare}'/>")
    one.wait_for(lambda e: e.get("type") == "subscribe")
    one.send(f"<presence type='subscribed' to='{other.bare}'/>")
    other.wait_for(lambda e: e.get("type") is None and xmpp.local(e) == "presence")


def is_message(element):
    return xmpp.local(element) == "message"


def settle(*clients):
    for _ in range(3):
        for client in clients:
            client.fence()


def convict(server, link):
    return server.ctl_json("incident", "convict", link, "--reason", "test")


def status_of(presence):
    return presence.findtext("{jabber:client}status")


def condition(stanza):
    assert stanza.get("type") == "error", xmpp.show(stanza)
    return xmpp.condition_of(stanza.find("{jabber:client}error"))


def test_a_convicted_link_in_a_status_is_dead_and_the_presence_arrives(guarded):
    worm, friend = online(guarded, 2)
    befriend(worm, friend)
    word, link = fresh()
    convict(guarded, link)
    worm.send(f"<presence><show>away</show><status>me: {link}</status></presence>")
    got = friend.wait_for(lambda e: e.find("{jabber:client}show") is not None)
    assert link not in xmpp.show(got) and word in status_of(got)
    worm.send(f"<presence type='unavailable' to='{friend.jid}'><status>bye {link}</status>"
              "</presence>")
    got = friend.wait_for(lambda e: e.get("type") == "unavailable")
    assert link not in xmpp.show(got)
    worm.close()
    friend.close()


def test_a_status_shown_already_is_taken_back_at_the_conviction(guarded):
    worm, friend, later = online(guarded, 3)
    befriend(worm, friend)
    befriend(worm, later)
    word, link = fresh()
    worm.send(f"<presence><status>me: {link}</status></presence>")
    friend.wait_for(lambda e: link in xmpp.show(e))
    later.wait_for(lambda e: link in xmpp.show(e))
    friend.fence()
    convict(guarded, link)
    got = friend.wait_for(lambda e: word in xmpp.show(e))
    assert link not in xmpp.show(got)
    later.close()
    again = guarded.connect(later.user)
    again.online()
    got = again.wait_for(lambda e: e.get("from") == worm.jid)
    assert link not in xmpp.show(got)
    for client in (worm, friend, again):
        client.close()


def test_who_saw_a_status_is_exposed(guarded):
    worm, friend = online(guarded, 2)
    befriend(worm, friend)
    word, link = fresh()
    worm.send(f"<presence><status>me: {link}</status></presence>")
    friend.wait_for(lambda e: link in xmpp.show(e))
    friend.fence()
    incident = convict(guarded, link)
    shown = guarded.ctl("incident", "show", str(incident["incident"]))
    assert friend.bare in shown, shown
    worm.close()
    friend.close()


def test_a_subscription_request_with_a_convicted_link_is_refused(guarded):
    worm, other = online(guarded, 2)
    word, link = fresh()
    convict(guarded, link)
    worm.send(f"<presence type='subscribe' id='s' to='{other.bare}'><status>{link}</status>"
              "</presence>")
    assert condition(worm.wait_for(lambda e: e.get("id") == "s")) == "policy-violation"
    settle(worm, other)
    assert not other.drain()
    # without it he may ask
    worm.send(f"<presence type='subscribe' to='{other.bare}'><status>it is me</status></presence>")
    assert other.wait_for(lambda e: e.get("type") == "subscribe") is not None
    worm.close()
    other.close()


def test_a_request_that_waits_shows_nothing_to_open(guarded):
    one, = online(guarded, 1)
    name, = guarded.fresh_users(1)
    word, link = fresh()
    one.send(f"<presence type='subscribe' to='{name}@{guarded.domain}'><status>I am on {link}"
             "</status></presence>")
    one.fence()
    other = guarded.connect(name)
    other.online()
    got = other.wait_for(lambda e: e.get("type") == "subscribe")
    assert word in status_of(got) and link not in xmpp.show(got)
    one.close()
    other.close()


@pytest.mark.parametrize("offer", [f"<query xmlns='{OOB}'><url>{{1}}</url></query>", JINGLE, SI],
                         ids=["oob", "jingle", "si"])
def test_an_offer_of_something_convicted_comes_back(guarded, offer):
    worm, other = online(guarded, 2)
    word, link = fresh()
    payload = offer.format(word, link)
    worm.send(f"<iq type='set' id='first' to='{other.jid}'>{payload}</iq>")
    got = other.wait_for(lambda e: e.get("id") == "first")
    assert link in xmpp.show(got)
    convict(guarded, link)
    answer = worm.ask("set", payload, to=other.jid)
    assert condition(answer) == "policy-violation"
    text = answer.findtext(".//{urn:ietf:params:xml:ns:xmpp-stanzas}text")
    assert len(text) > 40
    settle(worm, other)
    assert not other.drain()
    worm.close()
    other.close()


def test_an_answer_with_a_convicted_link_becomes_an_error(guarded):
    worm, other = online(guarded, 2)
    word, link = fresh()
    convict(guarded, link)
    other.send(f"<iq type='get' id='q' to='{worm.jid}'><query xmlns='urn:example:q'/></iq>")
    worm.wait_for(lambda e: e.get("id") == "q")
    worm.send(f"<iq type='result' id='q' to='{other.jid}'><query xmlns='{OOB}'><url>{link}</url>"
              "</query></iq>")
    assert condition(other.wait_for(lambda e: e.get("id") == "q")) == "policy-violation"
    worm.close()
    other.close()


def test_a_vcard_is_judged_and_who_reads_it_is_exposed(guarded):
    worm, reader = online(guarded, 2)
    word, link = fresh()
    card = f"<vCard xmlns='vcard-temp'><FN>Me</FN><URL>{link}</URL></vCard>"
    assert worm.ask("set", card).get("type") == "result"
    assert link in xmpp.show(reader.ask("get", "<vCard xmlns='vcard-temp'/>", to=worm.bare))
    reader.fence()
    incident = convict(guarded, link)
    assert reader.bare in guarded.ctl("incident", "show", str(incident["incident"]))
    assert condition(worm.ask("set", card)) == "policy-violation"
    worm.close()
    reader.close()


@pytest.mark.parametrize("kind", ["message", "presence", "iq"])
def test_an_error_carries_no_link(guarded, kind):
    worm, other = online(guarded, 2)
    word, link = fresh()
    worm.send(f"<{kind} type='error' id='e' to='{other.jid}'><body>see {link}</body>"
              f"<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
              f"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>try {link}</text></error></{kind}>")
    got = other.wait_for(lambda e: e.get("id") == "e")
    assert word not in xmpp.show(got) and condition(got) == "gone"
    worm.close()
    other.close()


def test_suspended_links_are_suspended_at_every_door(guarded):
    one, friend = online(guarded, 2)
    befriend(one, friend)
    word, link = fresh()
    guarded.ctl("suspend", "links", "--account", one.bare, "--for", "1h", "--reason", "test")
    one.send(f"<presence><status>{link}</status></presence>")
    got = friend.wait_for(lambda e: word in xmpp.show(e))
    assert link not in xmpp.show(got)
    answer = one.ask("set", f"<query xmlns='{OOB}'><url>{link}</url></query>", to=friend.jid)
    assert condition(answer) == "policy-violation"
    one.send("<presence><status>hello</status></presence>")
    assert status_of(friend.wait_for(lambda e: xmpp.local(e) == "presence")) == "hello"
    one.close()
    friend.close()


def announce(client, domain, words):
    node = "http://jabber.org/protocol/admin#announce"
    command = f"<command xmlns='http://jabber.org/protocol/commands' node='{node}'"
    sid = client.ask("set", f"{command}/>", to=domain)[0].get("sessionid")
    return client.ask("set", f"{command} sessionid='{sid}'><x xmlns='jabber:x:data' type='submit'>"
                      f"<field var='announcement'><value>{words}</value></field></x></command>",
                      to=domain)


def test_an_announcement_is_judged_and_who_reads_it_is_exposed(guarded):
    # an administrator's client may be infected as well, and his word goes to everybody
    admin, reader = online(guarded, 2)
    guarded.make_admin(admin.user)
    word, link = fresh()
    assert announce(admin, guarded.domain, f"read {link}").get("type") == "result"
    reader.wait_for(lambda e: link in xmpp.show(e))
    reader.fence()
    incident = convict(guarded, link)
    assert reader.bare in guarded.ctl("incident", "show", str(incident["incident"]))
    settle(admin, reader)
    reader.drain()
    assert condition(announce(admin, guarded.domain, f"again {link}")) == "policy-violation"
    guarded.ctl("suspend", "links", "--account", admin.bare, "--for", "1h", "--reason", "test")
    assert condition(announce(admin, guarded.domain, f"read {fresh()[1]}")) == "policy-violation"
    assert announce(admin, guarded.domain, "no link at all").get("type") == "result"
    assert "no link at all" in xmpp.show(reader.wait_for(is_message))
    for client in (admin, reader):
        client.close()


def test_a_withdrawal_reaches_who_has_blocked_the_author(guarded):
    # docs/decisions/0008: the copy is there all the same; nothing else of him passes
    author, reader = online(guarded, 2)
    word, link = fresh()
    author.send(f"<message type='chat' to='{reader.bare}' id='b'><body>{link}</body></message>")
    assert reader.wait_for(is_message).get("id") == "b"
    answer = reader.ask("set", f"<block xmlns='urn:xmpp:blocking'><item jid='{author.bare}'/></block>")
    assert answer.get("type") == "result"
    convict(guarded, link)
    gone = reader.wait_for(is_message)
    assert gone.find("{urn:xmpp:message-retract:1}retract").get("id") == "b"
    assert gone.get("from").split("/")[0] == author.bare
    author.send(f"<message type='chat' to='{reader.bare}' id='c'><body>let me in</body></message>")
    refused = author.wait_for(lambda e: e.get("id") == "c")
    assert condition(refused) == "service-unavailable"
    assert not [e for e in reader.drain() if is_message(e)]
    author.close()
    reader.close()


def test_a_warning_that_quotes_a_convicted_link_arrives_with_the_link_dead(guarded):
    warner, reader = online(guarded, 2)
    word, link = fresh()
    convict(guarded, link)
    words = f"Warning! Do not open {link} - it is a virus"
    warner.send(
        f"<message type='chat' id='w' to='{reader.bare}'><body>{words}</body>"
        f"<html xmlns='http://jabber.org/protocol/xhtml-im'><body "
        f"xmlns='http://www.w3.org/1999/xhtml'><a href='{link}'>{words}</a></body></html>"
        f"<x xmlns='jabber:x:oob'><url>{link}</url></x>"
        f"<file-sharing xmlns='urn:xmpp:sfs:0'><sources><url-data "
        f"xmlns='http://jabber.org/protocol/url-data' target='{link}'/></sources></file-sharing>"
        f"<reference xmlns='urn:xmpp:reference:0' type='data' uri='{link}'/></message>")
    got = reader.wait_for(lambda e: e.get("id") == "w")
    assert "Do not open" in got.findtext("{jabber:client}body")
    assert word in got.findtext("{jabber:client}body")
    assert link not in xmpp.show(got), xmpp.show(got)
    # and nobody is restricted for it
    other = fresh()[1]
    warner.send(f"<message type='chat' id='o' to='{reader.bare}'><body>see {other}</body></message>")
    assert other in xmpp.show(reader.wait_for(lambda e: e.get("id") == "o"))
    warner.close()
    reader.close()


def test_a_release_says_so_before_it_delivers_anew(guarded):
    sender, reader = online(guarded, 2)
    word, link = fresh()
    sender.send(f"<message type='chat' id='r' to='{reader.bare}'><body>see {link}</body></message>")
    reader.wait_for(lambda e: e.get("id") == "r")
    reader.fence()
    incident = convict(guarded, link)
    reader.wait_for(lambda e: is_message(e) and "withdrawn" in xmpp.show(e))
    guarded.ctl("incident", "release", str(incident["incident"]), "--reason", "test")
    said = reader.wait_for(is_message)
    assert said.get("from") == guarded.domain and sender.bare in xmpp.show(said)
    assert "delivered again" in said.findtext("{jabber:client}body")
    again = reader.wait_for(is_message)
    assert link in xmpp.show(again) and again.get("id") != "r"
    assert again.find("{urn:xmpp:delay}delay") is not None
    sender.close()
    reader.close()

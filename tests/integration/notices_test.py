"""What was ordered before a kill is told and carried out after it, and nothing else is."""

import glob
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest

import xmpp
from doors_test import fresh, is_message, online, settle


def outbreak(server, n=24):
    """A worm that is convicted: patient zero and a relay; (people, link)."""
    people = online(server, n)
    word, link = fresh()
    for worm, targets in ((people[0], people[1:12]), (people[1], people[12:])):
        for target in targets:
            worm.send(f"<message type='chat' to='{target.bare}'><body>haha {link}</body></message>")
        settle(*people)
    return people, link


def notices(client, server):
    settle(client)
    return [e for e in client.drain() if is_message(e) and e.get("from") == server.domain]


def store(server):
    for path in glob.glob(os.path.join(server.state, "*")):
        with open(path, "rb") as file:
            if file.read(15) == b"SQLite format 3":
                return sqlite3.connect(path)
    raise AssertionError("no store in " + server.state)


@pytest.mark.parametrize("lost", [False, True], ids=["told", "not told"])
def test_a_notice_that_a_kill_may_have_lost_is_told_again(own_server, lost):
    # a question to zero would be another notice: questions_test.py
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"})
    people, _ = outbreak(server)
    zero = people[0]
    assert "convicted" in server.ctl("incident", "list")
    assert len(notices(zero, server)) == 1
    for _ in range(3):
        settle(*people)
    server.kill()
    if lost:  # as if the crash had come before the notice was durable
        with store(server) as db:
            assert db.execute("DELETE FROM record WHERE key = 'told'").rowcount == 1
    server.start()
    again = server.connect(zero.user)
    again.online()
    again.fence()
    assert len(notices(again, server)) == (1 if lost else 0)
    again.close()


def test_who_only_watches_takes_nothing_back_after_a_kill_either(own_server):
    server = own_server({"guard.mode": "observe"})
    people, link = outbreak(server)
    assert "convicted" in server.ctl("incident", "list")
    server.kill()
    server.start()
    reader = server.connect(people[2].user)
    reader.online()
    settle(reader)
    reader.drain()
    assert reader.ask("set", "<query xmlns='urn:xmpp:mam:2'/>").get("type") == "result"
    pages = "".join(xmpp.show(m) for m in reader.drain())
    assert link in pages and "retract" not in pages
    assert "guard-would" in server.log()
    reader.close()


def test_a_notice_waits_for_a_store_that_fails(own_server):
    server = own_server({"guard.mode": "on", "guard.ask": "0 s"}, start=False)
    flag = os.path.join(server.folder, "state", "disk-is-full")
    server.settings["test.faults"] = f"full?{flag}"
    server.start()
    people, _ = outbreak(server)
    zero = people[0]
    assert len(notices(zero, server)) == 1
    with open(flag, "w", encoding="ascii"):
        pass
    # its audit record finds no room either: done all the same, and said
    server.ctl("incident", "release", "0", "--account", zero.bare, check=False)
    end = time.monotonic() + xmpp.PATIENCE
    while "event=message-not-kept" not in server.log() and time.monotonic() < end:
        time.sleep(0.05)
    assert "event=message-not-kept" in server.log()
    os.unlink(flag)
    assert zero.wait_for(lambda e: is_message(e) and e.get("from") == server.domain)


TEXT = "{urn:ietf:params:xml:ns:xmpp-stanzas}text"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
MO_OF = {"the roster is full": "Basta: no more contacts.", "This name is taken.": "Taken, sorry."}


def catalogue(folder, lang, sentences):
    """A catalogue of an operator's own."""
    path = os.path.join(folder, lang, "LC_MESSAGES")
    os.makedirs(path)
    po = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n' + "".join(
        f'\nmsgid "{a}"\nmsgstr "{b}"\n' for a, b in sentences.items())
    subprocess.run(["msgfmt", "-o", os.path.join(path, "firedoor.mo"), "-"], input=po, text=True,
                   check=True)


def add_contact(client, jid):
    return client.ask("set", f"<query xmlns='jabber:iq:roster'><item jid='{jid}'/></query>")


def test_errors_and_forms_are_in_the_persons_language_and_an_operators_words(own_server):
    # issue §4: what people read comes from message catalogues; an operator can change every sentence
    folder = tempfile.mkdtemp(prefix="firedoor-notices-", dir="/tmp")
    os.chmod(folder, 0o755)
    catalogue(folder, "en", MO_OF)
    server = own_server({"limits.roster_items": 1, "registration.enabled": "true",
                         "notices.catalogues": folder})
    names = server.fresh_users(3)
    english = server.connect(names[0])
    german = server.connect(names[1], lang="de-AT")
    for client in (english, german):
        assert add_contact(client, "a@example.org").get("type") == "result"
    error = add_contact(english, "b@example.org").find(f".//{TEXT}")
    assert error.text == MO_OF["the roster is full"] and error.get(LANG) == "en"
    error = add_contact(german, "b@example.org").find(f".//{TEXT}")
    assert error.text == "Die Kontaktliste ist voll." and error.get(LANG) == "de"

    # a stranger who registers (XEP-0077 §3.1)
    def apply(lang):
        stream = server.stream(direct=True)
        stream.open(attributes=f"xml:lang='{lang}'")
        stream.write("<iq type='get' id='f'><query xmlns='jabber:iq:register'/></iq>")
        words = stream.read().findtext(".//{jabber:iq:register}instructions")
        stream.write("<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
                     f"<username>{names[0]}</username><password>secret words</password></query></iq>")
        error = stream.read().findtext(f".//{TEXT}")
        stream.close()
        return words, error

    assert apply("de") == ("Wählen Sie einen Benutzernamen und ein Passwort.",
                           "Dieser Name ist vergeben.")
    assert apply("fr") == ("Choose a user name and a password.", MO_OF["This name is taken."])

    # an administrator's form (XEP-0133)
    server.make_admin(names[1])
    node = "http://jabber.org/protocol/admin#delete-user"
    answer = german.ask("set", "<command xmlns='http://jabber.org/protocol/commands' "
                        f"node='{node}'/>", to=server.domain)
    form = answer.find(".//{jabber:x:data}x")
    assert form.findtext("{jabber:x:data}title") == "Benutzer löschen"
    sid = answer[0].get("sessionid")
    answer = german.ask("set", "<command xmlns='http://jabber.org/protocol/commands' "
                        f"node='{node}' sessionid='{sid}'><x xmlns='jabber:x:data' type='submit'>"
                        f"<field var='accountjids'><value>nobody-at-all@{server.domain}</value>"
                        "</field></x></command>", to=server.domain)
    note = answer.find(".//{http://jabber.org/protocol/commands}note")
    assert note.get("type") == "error"
    assert note.text == (f"0 von 1 erledigt. nobody-at-all@{server.domain}: "
                         "Dieses Konto gibt es nicht.")
    for client in (english, german):
        client.close()
    shutil.rmtree(folder)


STREAM_TEXT = "{urn:ietf:params:xml:ns:xmpp-streams}text"


@pytest.mark.parametrize("lang, said_in, header, conflict", [
    ("de-AT", "de", "Dem Anfang des Streams fehlt to", "Dieses Gerät hat sich neu angemeldet"),
    ("fr", "en", "the stream header needs a to", "this resource has logged in anew"),
    (None, "en", "the stream header needs a to", "this resource has logged in anew"),
])
def test_why_a_stream_ends_is_said_in_its_language(own_server, lang, said_in, header, conflict):
    server = own_server()
    stream = server.stream(direct=True)
    more = f" xml:lang='{lang}'" if lang else ""
    stream.write("<stream:stream xmlns='jabber:client' version='1.0' "
                 f"xmlns:stream='http://etherx.jabber.org/streams'{more}>")
    error = stream.read_until_closed().error.find(STREAM_TEXT)
    assert (error.text, error.get(LANG)) == (header, said_in)
    name, = server.fresh_users(1)
    old = server.connect(name, "here", lang=lang)
    new = server.connect(name, "here", lang=lang)
    error = old.read_until_closed().error.find(STREAM_TEXT)
    assert (error.text, error.get(LANG)) == (conflict, said_in)
    new.close()
    assert conflict not in server.log() or said_in == "en"  # the log is the operator's


def test_who_names_no_language_hears_that_of_the_server(own_server):
    # notices.language: for errors, notices and questions alike, whoever is on line
    server = own_server({"limits.roster_items": 1, "notices.language": "de"})
    silent, english = (server.connect(name, lang=lang)
                       for name, lang in zip(server.fresh_users(2), (None, "en")))
    for client, words in ((silent, "Die Kontaktliste ist voll."),
                          (english, "the roster is full")):
        client.online()
        add_contact(client, "a@example.org")
        assert add_contact(client, "b@example.org").findtext(f".//{TEXT}") == words
    server.ctl("suspend", "links")
    for client, lang in ((silent, "de"), (english, "en")):
        client.send(f"<message to='{silent.bare}' type='chat' id='m'>"
                    "<body>http://anywhere.example/</body></message>")
        error = client.wait_for(lambda e: e.get("type") == "error").find(f".//{TEXT}")
        assert error.get(LANG) == lang, xmpp.show(error)
    for client in (silent, english):
        client.close()

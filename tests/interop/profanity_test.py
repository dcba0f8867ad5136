"""profanity: a program for people, driven in a terminal by tmux, as a person would.

Debian's version has no XEP-0424, so it shows what a person sees whose client cannot obey a
retraction: the fallback text, which must read well.
"""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time

import pytest

import server as servers
import xmpp


class Profanity:
    """A profanity in a terminal of its own, with an empty home."""

    def __init__(self, server, name):
        self.server, self.jid = server, f"{name}@{server.domain}"
        self.home = tempfile.mkdtemp(prefix="firedoor-profanity-")
        self.socket = os.path.join(self.home, "tmux")
        config = os.path.join(self.home, ".config", "profanity")
        os.makedirs(config)
        with open(os.path.join(config, "profrc"), "w", encoding="utf-8") as file:
            file.write("[ui]\nsplash=false\nroster=true\n[chatstates]\nenabled=true\noutgoing=true\n"
                       "[notifications]\nmessage=false\n[logging]\nchlog=true\n")
        # -u: in UTF-8 whatever the environment of the test says
        self.tmux("new-session", "-d", "-x", "160", "-y", "50", "-s", "p",
                  f"env HOME={self.home} XDG_CONFIG_HOME={self.home}/.config "
                  f"XDG_DATA_HOME={self.home}/.local/share LC_ALL=C.UTF-8 TERM=screen-256color "
                  "profanity")
        self.sees("Type '/help'")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *words], capture_output=True,
                              text=True, check=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "p", "-S", "-200")

    def types(self, line):
        self.tmux("send-keys", "-t", "p", "-l", line)
        self.tmux("send-keys", "-t", "p", "Enter")

    def sees(self, *patterns, patience=None):
        """Waits until the screen shows all; the screen."""
        until = time.monotonic() + (patience or 2 * xmpp.PATIENCE)
        while True:
            screen = self.screen()
            if all(re.search(p, screen) for p in patterns):
                return screen
            if time.monotonic() > until:
                raise AssertionError(f"no {patterns} on the screen:\n{screen}")
            time.sleep(0.1)

    def log_in(self, password=servers.PASSWORD):
        # the tests' certificate is self-signed: a person would be asked, and says yes once
        self.types(f"/connect {self.jid} server 127.0.0.1 port {self.server.address[1]} "
                   "tls force")
        self.sees("Enter password")
        self.types(password)
        screen = self.sees(r"logged in successfully|Login failed|/tls allow|tls always|failed")
        if "logged in successfully" not in screen and "/tls" in screen:
            self.types("/tls allow")
        return self.sees(r"logged in successfully|Login failed")

    def close(self):
        try:
            self.types("/quit")
            time.sleep(0.3)
            self.tmux("kill-server")
        except subprocess.CalledProcessError:
            pass  # it ended, and the terminal with it
        if not os.environ.get("FIREDOOR_TEST_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def profanity(server, people):
    made = []

    def make(name=None):
        made.append(Profanity(server, name or people(1)[0]))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_login_contact_and_chat(profanity, server, people):
    person = profanity()
    person.log_in()
    friend = server.connect(people(1)[0])
    friend.online()
    friend.drain()

    person.types(f"/sub request {friend.bare}")
    asked = friend.wait_for(lambda e: e.get("type") == "subscribe")
    assert asked.get("from") == person.jid
    friend.send(f"<presence type='subscribed' to='{person.jid}'/>")
    friend.send(f"<presence type='subscribe' to='{person.jid}'/>")
    person.sees("subscription|Subscription|accepted|authori")
    person.types(f"/sub allow {friend.bare}")
    friend.wait_for(lambda e: e.get("type") == "subscribed")

    word = "hark-" + secrets.token_hex(4)
    person.types(f"/msg {friend.bare} {word}")
    got = friend.wait_for(lambda e: xmpp.local(e) == "message"
                          and e.findtext("{jabber:client}body"))
    assert got.findtext("{jabber:client}body") == word

    answer = "speak-" + secrets.token_hex(4)
    friend.send(f"<message type='chat' to='{got.get('from')}' id='a1'><body>{answer} è €</body>"
                "</message>")
    person.sees(answer + " è €")
    friend.close()


def test_a_wrong_password_is_refused(profanity):
    person = profanity()
    assert "Login failed" in person.log_in("wrong")


def test_messages_wait_for_a_person(profanity, server, people):
    name, other = people(2)
    friend = server.connect(other)
    word = "while-away-" + secrets.token_hex(4)
    friend.send(f"<message type='chat' to='{name}@{server.domain}' id='o1'><body>{word}</body>"
                "</message>")
    friend.fence()
    person = profanity(name)
    person.log_in()
    person.types(f"/msg {friend.bare}")
    person.sees(word)
    friend.close()


def test_a_refused_message_is_shown_as_refused(profanity, server, people):
    person = profanity()
    person.log_in()
    person.types(f"/msg nobody-at-all@{server.domain} hello")
    person.sees("(?i)error|unavailable|not-found|undelivered")

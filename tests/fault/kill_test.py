"""Kills the server at random moments under load, and looks for every message it acknowledged.

Senders use stream management; an id counts as acknowledged when the server's h covers it.  The
receivers are one online with stream management, one online without, one who is away, and one who
is away and keeps no archive.  After each death the server starts again and every acknowledged
message must have been delivered, wait offline, or stand in the receiver's archive.  A message that
arrives twice must carry the same ids both times.

Three kinds of death: SIGKILL; the same with the disk's unsynced writes lost, as in a power cut
(test.faults=volatile); and that with writes and fsyncs that fail now and then.

    FIREDOOR_KILLS=200      cycles in all
    FIREDOOR_KILL_SEED=…    to repeat a run (its random choices; not the kernel's)
"""

import os
import random
import threading
import time

import pytest

import xmpp
from xmpp import local

KILLS = int(os.environ.get("FIREDOOR_KILLS", "201"))
SEED = int(os.environ.get("FIREDOOR_KILL_SEED", str(random.randrange(1 << 30))))
DEATHS = ["kill", "power-cut", "failing-disk"]
RSM = "http://jabber.org/protocol/rsm"

SETTINGS = {
    "limits.stanzas_per_second": 1000000, "limits.stanzas_burst": 1000000,
    "limits.bytes_per_second": "100 MiB", "limits.bytes_burst": "100 MiB",
    "limits.unacked_stanzas": 100000, "limits.offline_messages": 1000000,
    "limits.offline_bytes": "1 GiB", "limits.archive_page": 1000, "store.check": "quick",
    "limits.outbox_bytes": "64 MiB",
}


class Ledger:
    """What was sent, acknowledged, and seen, over all cycles."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = {}  # id -> receiver
        self.seen = {}          # (receiver, id) -> stanza id it came with, or None
        self.bounced = set()
        self.delivered = set()  # what came to a client, not only from the archive
        self.n_duplicates = 0
        self.wrong = []

    def arrived(self, receiver, message):
        id = message.get("id")
        if message.get("type") == "error":
            with self.lock:
                self.bounced.add(id)
            return
        stamp = None
        for child in message.findall("{urn:xmpp:sid:0}stanza-id"):
            if child.get("by") == message.get("to", "").split("/")[0]:
                stamp = child.get("id")
        with self.lock:
            before = self.seen.setdefault((receiver, id), stamp)
            if (receiver, id) in self.delivered:
                self.n_duplicates += 1
            if before is not None and stamp is not None and before != stamp:
                self.wrong.append(f"{id} came to {receiver} as {before} and as {stamp}")
            self.delivered.add((receiver, id))


class Sender(threading.Thread):
    """Sends bursts and reads acknowledgements until the server dies."""

    def __init__(self, server, name, targets, ledger, cycle):
        super().__init__(daemon=True)
        self.client = server.connect(name, sm=True)
        self.targets, self.ledger, self.cycle = targets, ledger, cycle
        self.sent = []
        self.n = 0

    def run(self):
        client = self.client
        try:
            while True:
                burst = ""
                for _ in range(random.randint(1, 20)):
                    target = random.choice(self.targets)
                    id = f"{client.user}-{self.cycle}-{self.n}"
                    self.n += 1
                    self.sent.append((id, target))
                    burst += (f"<message type='chat' to='{target}@{client.domain}' id='{id}'>"
                              f"<body>{id}</body></message>")
                client.write(burst + f"<r xmlns='{xmpp.NS_SM}'/>")
                wanted = max(0, len(self.sent) - 200)
                while True:
                    try:
                        self.take(client.read(timeout=5 if client.acked < wanted else 0))
                    except TimeoutError:
                        if client.acked >= wanted:
                            break
        except (xmpp.Closed, OSError, AssertionError):
            pass

    def take(self, element):
        if element.tag == f"{{{xmpp.NS_SM}}}a":
            h = int(element.get("h"))
            with self.ledger.lock:
                for id, target in self.sent[self.client.acked:h]:
                    self.ledger.acknowledged[id] = target
            self.client.acked = h
        elif local(element) == "message":
            self.ledger.arrived(self.client.user, element)


class Receiver(threading.Thread):
    def __init__(self, server, name, ledger, sm):
        super().__init__(daemon=True)
        self.client = server.connect(name, sm=sm)
        self.ledger = ledger
        self.client.online()

    def run(self):
        try:
            while True:
                element = self.client.stanza(timeout=60)
                if local(element) == "message":
                    self.ledger.arrived(self.client.user, element)
        except (xmpp.Closed, OSError, AssertionError, TimeoutError):
            pass


def collect(server, name, ledger, place):
    """Logs in and takes what waited; then reads what is new in the archive."""
    client = server.connect(name, sm=True)
    client.online()
    # A message to oneself passes nothing that waits, which comes in portions, each after the last
    # was acknowledged.  No fence would do: a read of the store may be overtaken by a change.
    last, got = f"last-{time.monotonic_ns()}", None
    client.send(f"<message type='chat' to='{client.bare}' id='{last}'><body>last</body></message>")
    while got is None or got.get("id") != last:
        got = client.stanza()
        client.write(f"<a xmlns='{xmpp.NS_SM}' h='{client.handled}'/>")
        if local(got) == "message" and got.get("id") != last:
            ledger.arrived(name, got)
    while True:
        after = f"<after>{place[name]}</after>" if name in place else ""
        answer = client.ask("set", "<query xmlns='urn:xmpp:mam:2'>"
                                   f"<set xmlns='{RSM}'><max>1000</max>{after}</set></query>")
        assert answer.get("type") == "result", xmpp.show(answer)
        kept, client.inbox = client.inbox, []
        for stanza in kept:
            result = stanza.find("{urn:xmpp:mam:2}result")
            if result is not None:
                place[name] = result.get("id")
                inner = result.find(".//{jabber:client}message")
                with ledger.lock:
                    before = ledger.seen.setdefault((name, inner.get("id")), result.get("id"))
                    if before is not None and before != result.get("id"):
                        ledger.wrong.append(f"{inner.get('id')} came to {name} as {before} and is "
                                            f"in the archive as {result.get('id')}")
            elif local(stanza) == "message":
                ledger.arrived(name, stanza)
        if answer[0].get("complete") == "true":
            break
    client.write(f"<a xmlns='{xmpp.NS_SM}' h='{client.handled}'/>")
    client.fence()
    client.send("<presence type='unavailable'/>")
    client.fence()
    client.close()


def test_no_acknowledged_message_is_lost_when_the_server_is_killed(own_server):
    random.seed(SEED)
    print(f"\nseed {SEED}")
    one = own_server(SETTINGS)
    senders = one.fresh_users(3)
    with_sm, without_sm, away, unarchived = receivers = one.fresh_users(4)
    client = one.connect(unarchived)
    answer = client.ask("set", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always/><never/>"
                               "</prefs>")
    assert answer.get("type") == "result"
    client.close()
    ledger, place, begun = Ledger(), {}, time.monotonic()
    counts = dict.fromkeys(DEATHS, 0)
    checked = set()
    for cycle in range(KILLS):
        death = DEATHS[cycle % len(DEATHS)]
        one.stop() if cycle == 0 else None
        faults = {"kill": "", "power-cut": "volatile",
                  "failing-disk": f"volatile,random@{random.randrange(1, 1 << 30)}/60"}[death]
        one.settings["test.faults"] = faults
        one.start()
        crowd = [Receiver(one, with_sm, ledger, True), Receiver(one, without_sm, ledger, False)]
        crowd += [Sender(one, name, receivers, ledger, cycle) for name in senders]
        for thread in crowd:
            thread.start()
        time.sleep(random.uniform(0.01, 0.15))
        assert one.alive(), f"it died by itself (cycle {cycle}, {death}):\n" + one.log_tail()
        one.kill()
        for thread in crowd:
            thread.join(60)
            thread.client.cut()
        counts[death] += 1

        one.settings["test.faults"] = ""
        one.start()
        for name in receivers:
            collect(one, name, ledger, place)
        missing = [f"{id} to {target}" for id, target in ledger.acknowledged.items()
                   if id not in checked and (target, id) not in ledger.seen
                   and id not in ledger.bounced]
        assert not missing, (f"cycle {cycle} ({death}, seed {SEED}): {len(missing)} acknowledged "
                             f"messages are nowhere: {missing[:5]}\n{one.log_tail(3000)}")
        assert not ledger.wrong, f"cycle {cycle} ({death}): {ledger.wrong[:5]}"
        checked.update(ledger.acknowledged)
        one.stop()
    one.start()
    print(f"{KILLS} deaths ({', '.join(f'{n} {d}' for d, n in counts.items())}) in "
          f"{time.monotonic() - begun:.0f} s: {len(ledger.acknowledged)} messages acknowledged, "
          f"0 lost, {ledger.n_duplicates} delivered twice with the same id, "
          f"{len(ledger.bounced)} returned to their sender")
    assert len(ledger.acknowledged) > KILLS


@pytest.mark.parametrize("fault", ["write@1+50", "sync@1+50", "full@1+50"])
def test_a_disk_that_fails_for_a_while_loses_nothing_that_was_acknowledged(own_server, fault):
    # issue §2: refuse with an error that says so, keep serving, recover by itself
    one = own_server(SETTINGS)
    names = one.fresh_users(2)
    one.stop()
    one.settings["test.faults"] = fault
    one.start()
    sender = one.connect(names[0], sm=True)
    other = one.connect(names[1])
    other.online()
    ids = [f"m{i}" for i in range(100)]
    answered, until = set(), time.monotonic() + 60
    for id in ids:
        sender.send(f"<message type='chat' to='{other.bare}' id='{id}'><body>x</body></message>")
        # a pause after each: the failures are met one by one, not by one commit
        sender.write(f"<r xmlns='{xmpp.NS_SM}'/>")
        sender.ask("get", "<query xmlns='jabber:iq:roster'/>")
    while time.monotonic() < until and len(answered) < len(ids):
        for client in (sender, other):
            try:
                got = client.stanza(timeout=0.2)
            except TimeoutError:
                continue
            if local(got) == "message":
                answered.add(got.get("id"))
    missing = set(ids) - answered
    assert not missing, f"neither delivered nor refused: {sorted(missing)[:10]}"
    # and afterwards everything is as if nothing had been
    sender.send(f"<message type='chat' to='{other.bare}' id='after'><body>x</body></message>")
    got = other.wait_for(lambda e: e.get("id") == "after")
    assert got.get("type") == "chat"
    sender.close()
    other.close()


def test_a_full_disk_refuses_and_recovers_by_itself(own_server):
    # the fault stands as long as a file does: the test decides when the disk has room again
    one = own_server(SETTINGS)
    names = one.fresh_users(2)
    one.stop()
    flag = os.path.join(one.folder, "state", "disk-is-full")
    one.settings["test.faults"] = f"full?{flag}"
    one.start()
    sender, other = one.connect(names[0], sm=True), one.connect(names[1])
    other.online()
    other.drain()
    open(flag, "w", encoding="ascii").close()
    sender.send(f"<message type='chat' to='{other.bare}' id='m1'><body>x</body></message>")
    refused = sender.stanza()
    assert refused.get("type") == "error" and refused.get("id") == "m1"
    assert xmpp.condition_of(refused.find("{jabber:client}error")) in (
        "resource-constraint", "internal-server-error", "service-unavailable")
    # what needs no disk goes on
    assert sender.ask("get", "<query xmlns='jabber:iq:roster'/>").get("type") == "result"
    os.unlink(flag)
    until = time.monotonic() + xmpp.PATIENCE
    while True:
        sender.send(f"<message type='chat' to='{other.bare}' id='m2'><body>x</body></message>")
        if sender.fence().get("type") == "result" or time.monotonic() > until:
            break
    assert other.wait_for(lambda e: e.get("id") == "m2").get("type") == "chat"
    sender.close()
    other.close()

"""Files and SIGKILL: what was answered with 201 is there after it, whole; nothing else is."""

import os
import random
import threading

import pytest

import uploads
import xmpp

KILLS = int(os.environ.get("FIREDOOR_UPLOAD_KILLS", "12"))


class Putter:
    """Puts files until the server is gone; what was acknowledged."""

    def __init__(self, server, name, seed):
        self.server, self.name = server, name
        self.random = random.Random(seed)
        self.acknowledged = {}  # URL: content
        self.promised = set()   # URLs that were given
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            client = self.server.connect(self.name)
            client.server_of = self.server
            while True:
                content = self.random.randbytes(self.random.choice((10, 5000, 200000)))
                to, url = uploads.slot(client, "a.bin", len(content))
                self.promised.add(url)
                if uploads.put(self.server, to, content) == 201:
                    self.acknowledged[url] = content
        except (OSError, xmpp.Closed, AssertionError, TimeoutError, ValueError,
                uploads.Broken):
            pass


def test_a_file_that_was_acknowledged_outlives_a_kill(own_server):
    seed = int(os.environ.get("FIREDOOR_KILL_SEED", "1"))
    dice = random.Random(seed)
    server = uploads.with_uploads(own_server, {
        "upload.daily_files": 1000000, "upload.daily": "10 GiB", "upload.quota": "10 GiB",
        "upload.slots": 10000})
    acknowledged, promised = {}, set()
    n_broken = 0
    for kill in range(KILLS):
        putters = [Putter(server, name, seed * 1000 + kill * 10 + i)
                   for i, name in enumerate(server.fresh_users(3))]
        for putter in putters:
            putter.thread.start()
        # at a random moment of the work, not of the clock alone
        enough = dice.randrange(1, 25)
        while sum(len(p.acknowledged) for p in putters) < enough and \
                any(p.thread.is_alive() for p in putters):
            threading.Event().wait(0.002)
        server.kill()
        for putter in putters:
            putter.thread.join()
            acknowledged |= putter.acknowledged
            promised |= putter.promised
        server.start()
        for url, content in acknowledged.items():
            assert uploads.get(server, url)[::2] == (200, content), url
        # what nobody was told of may be there, whole, or not at all
        kept = set(os.listdir(os.path.join(server.state, "uploads")))
        assert not any(name.endswith(".part") for name in kept)
        there = {uploads.id_of(u) for u in promised if uploads.get(server, u)[0] == 200}
        assert kept == there
        n_broken += len(promised) - len(there)
    print(f"\n{KILLS} kills: {len(acknowledged)} files acknowledged, all there; "
          f"{n_broken} more were promised and broken off")
    assert acknowledged


@pytest.mark.parametrize("fault", ["write@1+50", "sync@1+50", "full@1+50"])
def test_a_store_that_fails_takes_no_file_and_loses_none(own_server, fault):
    server = uploads.with_uploads(own_server, {"upload.daily_files": 100000}, start=False)
    server.start()
    client = server.connect(server.fresh_users(1)[0])
    client.server_of = server
    before = uploads.upload(server, client, "a.bin", b"before")
    client.close()
    server.stop()
    server.settings["test.faults"] = fault
    server.start()
    client = server.connect(client.user)
    client.server_of = server
    said = []
    for i in range(40):
        to, url = uploads.slot(client, "a.bin", 10)
        said.append((uploads.put(server, to, b"%010d" % i), url))
    assert {status for status, _ in said} <= {201, 500, 507}
    server.kill()
    del server.settings["test.faults"]
    server.start()
    assert uploads.get(server, before)[2] == b"before"
    for i, (status, url) in enumerate(said):
        got = uploads.get(server, url)
        assert got[0] == 404 if status != 201 else got[::2] == (200, b"%010d" % i)

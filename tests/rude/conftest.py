"""What rude tests need: a strict server, and a witness who must not notice anything."""

import resource

import pytest

import xmpp


@pytest.fixture(scope="session", autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


PAIRS = {}


@pytest.fixture
def witness(server):
    """Two people who talk; after the test their conversation still works, both ways."""
    pair = PAIRS.get(server)
    if pair is None:
        pair = PAIRS[server] = [server.connect(n) for n in server.fresh_users(2)]
        for client in pair:
            client.online()
            client.drain()
    yield pair
    PAIRS.pop(server)  # only a pair that still talks is used again
    for client in pair:
        client.drain()
    say_something(*pair)
    say_something(*reversed(pair))
    PAIRS[server] = pair


@pytest.fixture
def talk():
    """talk(one, other): one writes and the other reads it."""
    return say_something


def say_something(one, other):
    one.send(f"<message type='chat' to='{other.jid}' id='w'><body>still here</body></message>")
    got = other.wait_for(lambda e: xmpp.local(e) == "message" and e.get("id") == "w")
    assert got.findtext("{jabber:client}body") == "still here"

"""Fixtures for every suite that runs a server.

server: one for all tests of the run, with the default settings.  own_server:
a function that makes one with other settings, gone after the test.  After each
test every server in use must be alive and its log without a sanitizer's report.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "support"))

import server as servers  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: short, and crosses threads: runs under TSan too")


@pytest.fixture(scope="session")
def shared_server():
    one = servers.make()
    try:
        one.start()
        yield one
        status = one.stop()
        one.process = None
        report = servers.TROUBLE.search(one.log())
        assert status == 0 and not report, f"ended with {status}:\n" + one.log_tail()
    finally:
        one.remove()


@pytest.fixture
def server(shared_server):
    shared_server.check_healthy()
    yield shared_server
    shared_server.check_healthy()


@pytest.fixture
def own_server():
    made = []

    def make(settings=None, start=True, **options):
        one = servers.make(settings, **options)
        made.append(one)
        return one.start() if start else one

    yield make
    try:
        for one in made:
            if one.process is not None:
                one.check_healthy()
                status = one.stop()
                report = servers.TROUBLE.search(one.log())
                assert status == 0 and not report, f"ended with {status}:\n" + one.log_tail()
    finally:
        for one in made:
            one.remove()


@pytest.fixture
def people(server):
    """people(n): n fresh accounts' names."""
    return server.fresh_users


@pytest.fixture
def online(server):
    """online("name", …): clients of fresh accounts, available, with no stanza waiting."""
    made = []

    def make(n=1, **options):
        clients = []
        for name in server.fresh_users(n):
            client = server.connect(name, **options)
            made.append(client)
            client.online()
            client.drain()
            clients.append(client)
        return clients

    yield make
    for client in made:
        client.close()

"""Settings that show only from outside: TLS, the kernel's queue, the check of the store at start."""

import os
import re
import signal
import socket
import ssl
import sqlite3
import subprocess

import pytest

import server as servers
import xmpp


def hello(one, version=None, ciphers=None):
    """A handshake of that version only; (version, cipher), or the error."""
    context = xmpp.insecure_context(version)
    if version is not None:
        context.minimum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    with socket.create_connection(one.tls_address, timeout=xmpp.PATIENCE) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=one.domain) as secure:
                return secure.version(), secure.cipher()[0]
        except (ssl.SSLError, ConnectionError) as error:
            return error


def test_the_oldest_version_of_tls_can_be_raised_and_lowered(own_server):
    # tls.minimum; LIVE: connections made after the reload
    one = own_server(domains=["two.test"], start=False)
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write('tls: { minimum = "1.3"; };\n')
    one.start()
    for _ in range(8):  # whichever worker it reaches
        assert isinstance(hello(one, ssl.TLSVersion.TLSv1_2), Exception)
        assert hello(one, ssl.TLSVersion.TLSv1_3)[0] == "TLSv1.3"
    stream = one.stream()  # by STARTTLS as well
    stream.open()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        stream.starttls(xmpp.insecure_context(ssl.TLSVersion.TLSv1_2))
    rewrite(one, '"1.3"', '"1.2"')
    one.ctl("reload")
    assert hello(one, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"


def rewrite(one, old, new):
    with open(one.config_path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(one.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def test_the_ciphers_are_those_that_are_named(own_server):
    one = own_server({"tls.ciphers": "ECDHE+CHACHA20"})
    old = ssl.TLSVersion.TLSv1_2
    for _ in range(8):
        assert "CHACHA20" in hello(one, old)[1]
        assert isinstance(hello(one, old, "ECDHE+AESGCM"), Exception)
    assert hello(one, ssl.TLSVersion.TLSv1_3)[0] == "TLSv1.3", "the list is for TLS 1.2"


@pytest.mark.parametrize("ciphers, said", [
    ("ECDHE+AESGCM:ECDHE+CHACHA21", '"ECDHE+CHACHA21" names no cipher of TLS 1.2'),
    ("ECDHE+AESGCM:!ECDHE", "it leaves no cipher of TLS 1.2"),
    ("ECDHE+AESGCM:eNULL:@SECLEVEL=0", "does not encrypt"),
    ("ECDHE+AESGCM:aNULL:@SECLEVEL=0", "does not say who the server is"),
    ("TLS_AES_128_GCM_SHA256", '"TLS_AES_128_GCM_SHA256" names no cipher of TLS 1.2'),
])
def test_ciphers_that_are_none_are_refused_with_file_line_and_key(own_server, ciphers, said):
    one = own_server(start=False)
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write("tls: {\n  ciphers = \"%s\";\n};\n" % ciphers)
    with open(one.config_path, encoding="utf-8") as file:
        line = next(n for n, text in enumerate(file, 1) if "ciphers =" in text)
    daemon = os.path.join(servers.build_directory(), "firedoord")
    got = subprocess.run([daemon, "--config", one.config_path, "--check"], capture_output=True,
                         text=True, check=False)
    assert got.returncode == 78
    assert got.stderr.startswith(f"{one.config_path}:{line}: tls.ciphers: "), got.stderr
    assert said in got.stderr and "allowed:" in got.stderr


def test_a_reload_with_ciphers_that_are_none_changes_nothing(own_server):
    one = own_server()
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write('tls: { ciphers = "NONSENSE"; };\n')
    got = one.ctl("--json", "reload", check=False).stdout
    assert "tls.ciphers" in got and "NONSENSE" in got
    assert hello(one, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"


def test_the_kernel_keeps_as_many_connections_as_the_backlog_says(own_server):
    one = own_server({"listen.backlog": 7})
    os.kill(one.pid, signal.SIGSTOP)  # it accepts nobody meanwhile
    try:
        held = []
        for _ in range(32):
            dialling = socket.socket()
            dialling.setblocking(False)
            held.append(dialling)
            dialling.connect_ex(one.address)
        states = [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] for s in held]
    finally:
        os.kill(one.pid, signal.SIGCONT)
    for dialling in held:
        dialling.close()
    assert states.count(1) == 8, states  # TCP_ESTABLISHED; Linux: one more than the backlog


def damage_index(path):
    """An index that lacks a row of its table: quick_check does not look, integrity_check does."""
    def run(*statements):
        db = sqlite3.connect(path)
        db.execute("PRAGMA writable_schema = ON")
        for sql, *values in statements:
            rows = db.execute(sql, *values).fetchall()
        db.commit()
        db.close()
        return rows

    where = "FROM sqlite_schema WHERE name = 'account_jid'"
    entry, = run(["SELECT * " + where])
    run(["DELETE " + where])
    run(["INSERT INTO account (domain, local, created_us) VALUES ('firedoor.test', 'x', 1)"],
        ["INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", entry])


@pytest.mark.parametrize("check, starts", [("off", True), ("quick", True), ("full", False)])
def test_the_store_is_checked_at_start_as_deeply_as_is_asked(own_server, check, starts):
    # store.check
    one = own_server({"store.check": check})
    one.fresh_users(4)
    one.stop()
    damage_index(os.path.join(one.state, "firedoor.sqlite"))
    if starts:
        one.start()
        return
    with pytest.raises(AssertionError, match="is damaged"):
        one.start()
    one.process = None


def test_a_damaged_page_is_found_by_the_quick_check_and_not_without_one(own_server):
    one = own_server({"store.check": "off"})
    one.fresh_users(4)
    one.stop()
    path = os.path.join(one.state, "firedoor.sqlite")
    db = sqlite3.connect(path)
    # the table of the audit record: nobody reads it at a start
    root, = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'audit'").fetchone()
    size, = db.execute("PRAGMA page_size").fetchone()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)
    one.start()
    one.stop()
    one.settings["store.check"] = "quick"
    with pytest.raises(AssertionError, match=re.escape("firedoor.sqlite is damaged")):
        one.start()
    one.process = None


def test_a_database_of_a_newer_server_is_refused_and_left_as_it_is(own_server):
    one = own_server()
    one.stop()
    path = os.path.join(one.state, "firedoor.sqlite")
    db = sqlite3.connect(path)
    newest, = db.execute("SELECT max(version) FROM schema_version").fetchone()
    db.execute("INSERT INTO schema_version VALUES (?, 'future', 1)", [newest + 1])
    db.commit()
    db.close()
    with pytest.raises(AssertionError, match="was written by a newer Firedoor"):
        one.start()
    one.process = None
    db = sqlite3.connect(path)
    db.execute("DELETE FROM schema_version WHERE version = ?", [newest + 1])
    db.commit()
    db.close()
    one.start()


def test_an_archive_that_is_turned_off_is_not_announced(own_server):
    # archive.enabled; XEP-0313 §6
    one = own_server({"archive.enabled": "false"})
    name, = one.fresh_users(1)
    client = one.connect(name)

    def announced():
        answer = client.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
                            to=client.bare)
        return {f.get("var") for f in answer.iter("{http://jabber.org/protocol/disco#info}feature")}

    of_archive = {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:message-retract:1",
                  "urn:xmpp:message-retract:1#tombstone"}
    assert not announced() & of_archive
    # forged stanza ids are taken away all the same (XEP-0359 §5)
    assert {"urn:xmpp:sid:0", "urn:xmpp:carbons:2"} <= announced()
    client.close()
    one.settings["archive.enabled"] = "true"
    one.stop()
    one.start()
    client = one.connect(name)
    assert announced() >= of_archive
    client.close()

"""The running process can neither open what it should not nor execute a program."""

import errno
import os
import re
import subprocess

import pytest
import server as servers


def process_status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def tasks(pid):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task")]


def has_landlock():
    """Asked of the kernel itself, not of the server: landlock_create_ruleset for its version."""
    import ctypes
    return ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1) >= 1


def test_an_escape_fails_at_every_fence(own_server):
    one = own_server({"test.probe": "true"})
    tried = one.ctl_json("test", "probe")
    # nothing may be 0, which is success
    assert tried["execute"] in (errno.EPERM, errno.EACCES)
    assert tried["make_process"] == errno.EPERM
    assert tried["map_executable"] == errno.EPERM
    assert tried["regain"] == errno.EPERM
    status = one.ctl_json("status")
    assert status["calls_confined"] is True
    assert status["files_confined"] is has_landlock()
    if has_landlock():
        for attempt in ("open_secret", "open_public", "open_write"):
            assert tried[attempt] == errno.EACCES, attempt
    assert not os.path.exists("/tmp/firedoor-probe")


def test_the_probe_is_refused_unless_it_is_asked_for(server):
    assert server.ctl("test", "probe", check=False).returncode == 6


def test_every_thread_is_fenced_and_without_capabilities(server):
    for task in tasks(server.pid):
        status = process_status(f"{server.pid}/task/{task}")
        assert status["NoNewPrivs"] == "1", task
        assert status["Seccomp"] == "2", task  # a filter
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[kind], 16) == 0, (task, kind)


def test_root_becomes_another_user(own_server, monkeypatch):
    if os.geteuid() != 0:
        pytest.fail("this test must be started as root")
    monkeypatch.setenv("FIREDOOR_TEST_RUN_AS", "nobody")
    one = own_server({"test.probe": "true"})
    status = process_status(one.pid)
    for kind in ("Uid", "Gid"):
        assert "0" not in status[kind].split()
    assert status.get("Groups", "").strip() in ("", "65534")
    assert int(status["CapBnd"], 16) == 0
    tried = one.ctl_json("test", "probe")
    assert tried["open_secret"] == errno.EACCES  # with or without Landlock
    assert tried["regain"] == errno.EPERM
    # and it works: an account is made, in a database that is its own
    one.add_users(["mallory"])
    one.connect("mallory").close()
    database = os.path.join(one.state, "firedoor.sqlite")
    assert os.stat(database).st_uid == 65534 and os.stat(database).st_mode & 0o077 == 0


def test_a_user_that_does_not_exist_is_named(own_server, monkeypatch):
    if os.geteuid() != 0:
        pytest.fail("this test must be started as root")
    monkeypatch.setenv("FIREDOOR_TEST_RUN_AS", "nosuchuser")
    one = own_server(start=False)
    got = subprocess.run(one.command(), capture_output=True, text=True, timeout=60)
    assert got.returncode == 78 and 'no user "nosuchuser"' in got.stderr


def test_an_ordinary_user_can_run_it(own_server):
    if os.geteuid() != 0:
        pytest.fail("this test must be able to become another user")
    one = own_server({"test.probe": "true"}, start=False)
    for folder, _, files in os.walk(one.folder):
        for path in [folder, *(os.path.join(folder, f) for f in files)]:
            os.chown(path, 65534, 65534)
    command = one.command
    one.command = lambda: ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                           *command()]
    one.start()
    one.add_users(["anybody"])
    one.connect("anybody").close()
    assert process_status(one.pid)["Seccomp"] == "2"
    tried = one.ctl_json("test", "probe")
    assert tried["execute"] in (errno.EPERM, errno.EACCES) and tried["make_process"] == errno.EPERM
    assert tried["open_secret"] == errno.EACCES and tried["map_executable"] == errno.EPERM
    if has_landlock():
        assert tried["open_public"] == tried["open_write"] == errno.EACCES


def test_certificates_can_be_replaced_while_confined(own_server):
    one = own_server()
    with open(one.certificate, encoding="ascii") as file:
        before = file.read()
    replaced = os.path.join(one.folder, "new")
    os.mkdir(replaced)
    certificate, key = servers.make_certificate(replaced, one.domains)
    # by renaming, as certificate tools do
    os.replace(certificate, one.certificate)
    os.replace(key, one.key)
    one.ctl("reload")

    def shown():
        got = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % one.tls_address[1],
                              "-servername", one.domain, "-showcerts"], input=b"",
                             capture_output=True, timeout=60)
        return re.search(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", got.stdout,
                         re.DOTALL).group(0).decode()

    with open(one.certificate, encoding="ascii") as file:
        after = file.read()
    assert after != before and shown().split() == after.strip().split()

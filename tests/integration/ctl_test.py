"""firedoorctl and the daemon around the service: commands, exit codes, configuration, imports."""

import fcntl
import grp
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import server as servers

DONE, FAILED, USAGE, UNREACHABLE, MISSING, EXISTS, DENIED, BUSY, PARTLY = range(9)


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


def status_of(server, *words, input=None):
    return server.ctl(*words, input=input, check=False).returncode


def program(name):
    return os.path.join(servers.build_directory(), name)


# accounts

def test_an_account_from_birth_to_death(server):
    jid = f"ctl.born@{server.domain}"
    assert status_of(server, "user", "show", jid) == MISSING
    assert status_of(server, "user", "add", jid, "--password-stdin", input="first\n") == DONE
    assert status_of(server, "user", "add", jid, "--password-stdin", input="first\n") == EXISTS
    server.connect("ctl.born", password="first").close()

    assert status_of(server, "user", "passwd", jid, "--password-stdin", input="second\n") == DONE
    server.connect("ctl.born", password="second").close()
    with pytest.raises(Exception):
        server.connect("ctl.born", password="first")

    assert status_of(server, "user", "disable", jid, "--reason", "left us") == DONE
    shown = server.ctl_json("user", "show", jid)
    assert (shown["state"], shown["reason"]) == ("disabled", "left us")
    assert (shown["contacts"], shown["waiting"], shown["sessions"]) == (0, 0, [])
    with pytest.raises(Exception):
        server.connect("ctl.born", password="second")
    assert status_of(server, "user", "enable", jid) == DONE
    client = server.connect("ctl.born", password="second")
    client.online()
    assert status_of(server, "roster", "add", jid, f"friend@{server.domain}") == DONE
    shown = server.ctl_json("user", "show", jid)
    session, = shown["sessions"]
    assert session["session"] == client.jid and "127.0.0.1" in session["address"]
    # the store hears of a login later
    assert shown["contacts"] == 1 and shown["last_login"] >= session["since"] > shown["created"]
    assert client.jid in server.ctl("user", "show", jid)
    client.close()

    assert status_of(server, "user", "delete", jid) == DONE
    assert status_of(server, "user", "delete", jid) == MISSING
    with pytest.raises(Exception):
        server.connect("ctl.born", password="second")


def test_what_makes_no_sense_is_refused_with_its_own_exit_code(server):
    assert status_of(server, "user", "add", "romeo", "--password-stdin", input="x\n") == USAGE
    assert status_of(server, "user", "add") == USAGE
    assert status_of(server, "user", "show", f"x@{server.domain}", "and", "more") == USAGE
    assert status_of(server, "frobnicate") == USAGE
    assert status_of(server, "user", "list", "--sideways", "1") == USAGE
    assert status_of(server, "user", "add", "x@elsewhere.example", "--password-stdin",
                     input="x\n") == MISSING
    # a password in the list of processes is no secret
    refused = server.ctl("user", "add", f"x@{server.domain}", "--password", "secret", check=False)
    assert refused.returncode == USAGE and "--password-stdin" in refused.stderr
    # nobody there
    got = subprocess.run([program("firedoorctl"), "--socket", "/nonexistent/s", "status"],
                         capture_output=True, text=True)
    assert got.returncode == UNREACHABLE and "no server answers" in got.stderr
    assert subprocess.run([program("firedoorctl")], capture_output=True).returncode == USAGE
    assert subprocess.run([program("firedoorctl"), "--help"],
                          capture_output=True).returncode == DONE


def test_failures_are_json_where_json_is_asked_for(server):
    got = server.ctl("--json", "user", "show", f"nobody.here@{server.domain}", check=False)
    answer = json.loads(got.stdout)
    assert got.returncode == MISSING
    assert answer["ok"] is False and answer["error"] == "missing" and answer["message"]
    for words in (("incident", "show", "999999"), ("export", "nowhere.example")):
        got = server.ctl("--json", *words, check=False)  # what would have written a file too
        assert (got.returncode, json.loads(got.stdout)["error"]) == (MISSING, "missing")


def test_failures_before_the_server_answers_are_json_too(server):
    def failed(*words, socket_path=None):
        got = subprocess.run([program("firedoorctl"), "--socket", socket_path or server.socket_path,
                              "--json", *words], capture_output=True, text=True)
        answer = json.loads(got.stdout)
        assert answer["ok"] is False and answer["message"] and got.stderr == ""
        return got.returncode, answer["error"]

    assert failed("status", socket_path="/nonexistent/s") == (UNREACHABLE, "closed")
    assert failed() == (USAGE, "malformed")
    assert failed("--what") == (USAGE, "malformed")
    assert failed("user") == (USAGE, "malformed")
    assert failed("user", "add") == (USAGE, "malformed")
    assert failed("user", "list", "--sideways", "1") == (USAGE, "malformed")
    assert failed("import", "/nonexistent/file") == (FAILED, "io")
    assert failed("import", "/tmp") == (FAILED, "io")
    assert failed("export", "--output", "/nonexistent/file") == (FAILED, "io")


def test_help_is_json_where_json_is_asked_for(server):
    def names(*words):
        return [c["name"] for c in json.loads(server.ctl("--json", *words))["commands"]]

    everything = [c["name"] for c in server.ctl_json("commands")["commands"]]
    assert names("help") == everything
    assert names("help", "user") == [name for name in everything if name.startswith("user ")]
    assert names("help", "user", "add") == names("user", "add", "--help") == ["user add"]
    got = server.ctl("--json", "help", "frobnicate", check=False)
    assert got.returncode == USAGE and json.loads(got.stdout)["error"] == "malformed"


def test_uploads_that_are_off_are_no_server_that_is_away(own_server):
    server = own_server({"upload.enabled": "false"})
    jid = f"x@{server.domain}"
    for words in (["list"], ["show", "x"], ["delete", "x"], ["quota", jid], ["status"]):
        got = server.ctl("upload", *words, check=False)
        assert got.returncode == DENIED and "upload.enabled" in got.stderr, words


def test_half_a_command_is_answered_with_its_wholes(server):
    got = server.ctl("roster", check=False)
    assert got.returncode == USAGE and "roster add jid contact" in got.stderr
    assert "roster remove jid contact" in server.ctl("help", "roster")
    assert "Puts a contact" in server.ctl("roster", "add", "--help")
    assert server.ctl("--", "version").startswith("version")


def test_a_password_that_is_too_long_is_no_shorter_one(server):
    jid = f"long.word@{server.domain}"
    got = server.ctl("user", "add", jid, "--password-stdin", input="x" * 5000 + "\n", check=False)
    assert got.returncode == USAGE and "too long" in got.stderr
    assert status_of(server, "user", "show", jid) == MISSING


def test_a_password_is_asked_on_the_terminal_twice_and_not_shown(server):
    def typed(first, second):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(program("firedoorctl"), ["firedoorctl", "--socket", server.socket_path, "user",
                                              "add", f"typed@{server.domain}"])
        seen = b""
        for question, word in ((b"Password: ", first), (b"Again: ", second)):
            while question not in seen:
                seen += os.read(terminal, 1000)
            os.write(terminal, word + b"\n")
        try:
            while chunk := os.read(terminal, 1000):
                seen += chunk
        except OSError:
            pass  # how Linux says that the other side of a terminal is closed
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen

    status, seen = typed(b"hidden-word", b"other-word")
    assert status == USAGE and b"differ" in seen
    status, seen = typed(b"hidden-word", b"hidden-word")
    assert status == DONE and b"hidden-word" not in seen
    server.connect("typed", password="hidden-word").close()


def test_a_key_that_does_not_exist_has_no_value(server):
    assert status_of(server, "config", "limits.dpeth") == MISSING
    assert server.ctl("config", "limits.depth") == "limits.depth=32\n"


def test_lists_come_in_pages(server, people):
    people(5)
    first = server.ctl_json("user", "list", server.domain, "--limit", "2")
    assert len(first["accounts"]) == 2 and first["total"] >= 5
    second = server.ctl_json("user", "list", server.domain, "--limit", "2", "--after",
                             first["accounts"][-1]["jid"])
    names = [a["jid"].split("@")[0] for a in first["accounts"] + second["accounts"]]
    assert len(set(names)) == 4 and names == sorted(names)
    assert server.ctl_json("user", "list", "--contains", "no such name")["accounts"] == []
    assert server.ctl_json("user", "list", "--contains", names[0].upper())["accounts"]
    assert status_of(server, "user", "list", "elsewhere.example") == MISSING


def test_acts_are_in_the_audit_record_without_passwords(server):
    jid = f"audited@{server.domain}"
    server.ctl("user", "add", jid, "--password-stdin", "--reason", "new here",
               input="very-secret-word\n")
    text = server.ctl("--json", "audit", "list", "--scope", jid)
    entry = json.loads(text)["entries"][0]
    assert (entry["action"], entry["scope"], entry["reason"]) == ("user add", jid, "new here")
    assert entry["actor"] and entry["time"]
    assert "very-secret-word" not in text and "very-secret-word" not in server.log()


def test_what_was_done_to_an_account_is_found_under_its_name(server, people):
    name, = people(1)
    jid = f"{name}@{server.domain}"
    done = [("suspend", "links", "--account", jid), ("resume", "links", "--account", jid),
            ("entitle", "add", jid), ("entitle", "remove", jid), ("decoy", "add", jid),
            ("decoy", "remove", jid), ("roster", "add", jid, f"a.contact@{server.domain}")]
    for words in done:
        server.ctl(*words)
    client = server.connect(name)
    server.ctl("session", "close", client.jid)
    client.cut()
    entries = server.ctl_json("audit", "list", "--scope", jid)["entries"]
    operator = [e["action"] for e in entries if e["actor"] == "root"]
    assert operator[::-1] == [" ".join(w for w in words[:2] if w != "links") for words in done] + [
        "session close"]


def test_a_roster_can_be_set_by_the_operator(server, people):
    romeo, juliet = people(2)
    me, contact = f"{romeo}@{server.domain}", f"{juliet}@{server.domain}"
    server.ctl("roster", "add", me, contact, "--name", "Juliet", "--group", "Family")
    rows = server.ctl_json("roster", "list", me)["contacts"]
    assert [(r["contact"], r["name"], r["subscription"], r["groups"]) for r in rows] == [
        (contact, "Juliet", "both", ["Family"])]
    server.ctl("roster", "add", me, contact, "--group", "Verona")  # what is not said stays
    server.ctl("roster", "add", me, contact, "--subscription", "to")
    server.ctl("roster", "add", me, contact, "--group", "Balcony", "--group=Verona")
    rows = server.ctl_json("roster", "list", me)["contacts"]
    assert [(r["contact"], r["name"], r["subscription"], sorted(r["groups"])) for r in rows] == [
        (contact, "Juliet", "to", ["Balcony", "Family", "Verona"])]
    server.ctl("roster", "remove", me, contact)
    assert server.ctl_json("roster", "list", me)["contacts"] == []
    assert status_of(server, "roster", "remove", me, contact) == MISSING


def test_who_is_online_sees_what_the_operator_changes_in_his_roster(server, online, people):
    romeo, = online()
    me, contact = romeo.jid.split("/")[0], f"{people(1)[0]}@{server.domain}"
    server.ctl("roster", "add", me, contact, "--name", "Juliet", "--subscription", "none")
    item = romeo.wait_for(lambda stanza: stanza.get("type") == "set")[0][0]
    assert (item.get("jid"), item.get("name")) == (contact, "Juliet")
    server.ctl("roster", "remove", me, contact)
    item = romeo.wait_for(lambda stanza: stanza.get("type") == "set")[0][0]
    assert (item.get("jid"), item.get("subscription")) == (contact, "remove")


def test_a_contact_is_a_bare_address(server, people):
    romeo, juliet = people(2)
    me, contact = f"{romeo}@{server.domain}", f"{juliet}@{server.domain}/phone"
    got = server.ctl("roster", "add", me, contact, check=False)
    assert got.returncode == USAGE and "without /phone" in got.stderr
    assert server.ctl_json("roster", "list", me)["contacts"] == []


def test_who_administers_by_the_file_is_not_dismissed_by_a_command(own_server):
    one = own_server()
    one.add_users(["boss"])
    jid = f"boss@{one.domain}"
    one.settings[f"domains.{one.domain}.administrators"] = jid
    one.stop()
    one.start()
    assert one.ctl_json("user", "show", jid)["administrator"] is True
    got = one.ctl("user", "admin", jid, "off", check=False)
    assert got.returncode == DENIED and "domains.administrators" in got.stderr


# switches that must not look turned when they are not

def test_an_option_that_is_given_twice_is_refused(server):
    # of two domains the first would stay as it was, unsaid
    for words in (("suspend", "links", "--domain", server.domain, "--domain=other.example"),
                  ("user", "list", server.domain, "--domain", server.domain)):
        got = server.ctl(*words, check=False)
        assert got.returncode == USAGE and "--domain is given twice" in got.stderr
    assert not [r for r in server.ctl_json("guard", "rules")["rules"] if r["rule"] == "suspend"]


def test_a_suspension_of_what_does_not_exist_is_refused(server, people):
    name = f"{people(1)[0]}@{server.domain}"
    assert status_of(server, "suspend", "links", "--domain", "elsewhere.example") == MISSING
    assert status_of(server, "suspend", "links", "--account", f"no.one@{server.domain}") == MISSING
    assert status_of(server, "suspend", "links", "--account", name, "--for", "0s") == USAGE
    assert status_of(server, "suspend", "links", "--account", name, "--for", "9999d") == DENIED
    assert server.ctl_json("suspend", "links", "--account", name, "--for", "1h")["expires"]
    # another scope, another suspension
    assert status_of(server, "resume", "links", "--account", f"no.one@{server.domain}") == MISSING
    assert status_of(server, "resume", "files", "--account", name) == MISSING
    assert status_of(server, "resume", "links", "--account", name) == DONE
    assert status_of(server, "resume", "links", "--account", name) == MISSING


def test_an_entitlement_names_an_account_and_a_host_as_links_do(server, people):
    name = f"{people(1)[0]}@{server.domain}"
    assert status_of(server, "entitle", "add", f"no.one@{server.domain}") == MISSING
    assert status_of(server, "entitle", "add", name, "--receivers", str(1 << 32)) == USAGE
    for host in ("what host?", "https://news.example/", "*.news.example", "news.example:443"):
        assert status_of(server, "entitle", "add", name, "--host", host) == USAGE, host
    server.ctl("entitle", "add", name, "--host", "News.B\u00fccher.Example")
    given = [r for r in server.ctl_json("entitle", "list")["rules"] if r["account"] == name]
    assert [r["host"] for r in given] == ["news.xn--bcher-kva.example"]
    assert given[0]["domain"] == "" and given[0]["receivers"] is None
    assert status_of(server, "entitle", "remove", name) == MISSING  # not of all hosts
    assert status_of(server, "entitle", "remove", name, "--host", "news.b\u00fccher.example") == DONE


def test_an_account_made_anew_is_neither_entitled_nor_bait(server, people):
    # a deleted one's rights must not wait for whoever gets its name; what restrains the name does
    name, = people(1)
    jid = f"{name}@{server.domain}"
    server.ctl("entitle", "add", jid)
    server.ctl("entitle", "add", jid, "--host", "news.example")
    server.ctl("decoy", "add", jid)
    server.ctl("suspend", "links", "--account", jid)
    server.ctl("user", "delete", jid)
    server.ctl("user", "add", jid, "--password-stdin", input="a new person\n")
    assert [r["rule"] for r in server.ctl_json("guard", "rules")["rules"]
            if r["account"] == jid] == ["suspend"]
    server.ctl("resume", "links", "--account", jid)


def test_every_change_takes_a_reason(server):
    commands = server.ctl_json("commands")["commands"]
    changing = [c for c in commands if c["changes"]]
    assert len(changing) > 20
    assert not [c["name"] for c in changing
                if "reason" not in [a["name"] for a in c["arguments"]]]


# what the documents say

def test_a_decoy_is_an_account_that_exists(server, people):
    name = f"{people(1)[0]}@{server.domain}"
    got = server.ctl("decoy", "add", f"nobody-at-all@{server.domain}", check=False)
    assert got.returncode != 0 and "there is no account nobody-at-all" in got.stderr
    server.ctl("decoy", "add", name)
    assert name in server.ctl("decoy", "list")
    server.ctl("decoy", "remove", name)
    assert name not in server.ctl("decoy", "list")
    assert status_of(server, "decoy", "remove", name) == MISSING


def test_a_decoy_is_placed_where_a_worm_would_come_by(own_server):
    server = own_server()
    decoy = f"anna.lang@{server.domain}"
    star = [f"star{i}@{server.domain}" for i in range(7)]
    for jid in [decoy, *star]:
        server.ctl("user", "add", jid, "--password-stdin", input="secret\n")
    for jid in star[1:]:
        server.ctl("roster", "add", star[0], jid)
        server.ctl("roster", "add", jid, star[0])
    server.ctl("roster", "add", star[3], decoy)  # by hand, long ago

    assert status_of(server, "decoy", "place", decoy) == MISSING  # it is none yet
    server.ctl("decoy", "add", decoy)
    would = server.ctl_json("decoy", "place", decoy, "--holders", "1", "--try")
    assert would["would_hold"] == [star[0]] and would["near_share"] == pytest.approx(7 / 8)

    holder = server.connect("star0", password="secret")
    holder.online()
    done = server.ctl_json("decoy", "place", decoy, "--holders", "1", "--name", "Anna Lang")
    assert (done["holders"], done["added"], done["removed"]) == (1, 1, 1)
    push = holder.wait_for(lambda stanza: stanza.get("type") == "set" and
                           stanza[0][0].get("jid") == decoy)
    assert push[0][0].get("name") == "Anna Lang"
    holder.close()

    def contacts(jid):
        return [c["contact"] for c in server.ctl_json("roster", "list", jid)["contacts"]]
    assert decoy in contacts(star[0]) and decoy not in contacts(star[3])
    assert contacts(decoy) == [star[0]]
    again = server.ctl_json("decoy", "place", decoy, "--holders", "1")
    assert (again["added"], again["removed"]) == (0, 0)
    assert server.ctl_json("decoy", "place", decoy, "--holders", "0")["removed"] == 1
    assert contacts(decoy) == [] and decoy not in contacts(star[0])


def test_every_command_is_in_the_manual(server):
    with open(os.path.join(servers.ROOT, "man", "firedoorctl.1"), encoding="utf-8") as file:
        manual = file.read()
    commands = server.ctl_json("commands")["commands"]
    assert len(commands) > 15
    missing = [c["name"] for c in commands if not re.search(rf"\b{re.escape(c['name'])}\b", manual)]
    assert not missing
    for command in commands:
        assert command["doc"].endswith(".")
        assert all(a["doc"].endswith(".") for a in command["arguments"]), command["name"]
        assert command["name"] in server.ctl("help", *command["name"].split())


@pytest.mark.parametrize("name, page", [("firedoor-drill", "firedoor-drill.1"),
                                        ("firedoorctl", "firedoorctl.1"),
                                        ("firedoord", "firedoord.8")])
def test_every_option_is_in_the_manual(name, page):
    with open(os.path.join(servers.ROOT, "man", page), encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    said = subprocess.run([program(name), "--help"], capture_output=True, text=True,
                          check=True).stdout
    options = set(re.findall(r"--[a-z-]+", said))
    assert len(options) > 4
    assert not [o for o in options if not re.search(re.escape(o) + r"(?![a-z-])", manual)]


@pytest.mark.parametrize("page", ["firedoorctl.1", "firedoord.8", "firedoor-drill.1",
                                  "firedoor.conf.5"])
def test_manuals_are_sound(page):
    path = os.path.join(servers.ROOT, "man", page)
    if page.endswith(".5"):
        path = os.path.join(servers.build_directory(), "man", page)
    got = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", path], capture_output=True,
                         text=True)
    assert got.returncode == 0 and got.stderr == ""


def test_the_shell_completes_commands_and_options(server):
    script = os.path.join(servers.ROOT, "etc", "firedoorctl.bash")

    def completed(*words):
        line = f"""
            source {script}
            COMP_WORDS=({program('firedoorctl')} --socket {server.socket_path} {' '.join(words)})
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _firedoorctl
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        got = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert got.stderr == ""
        return got.stdout.split()

    assert "user" in completed("us")
    assert {"add", "list", "delete"} <= set(completed("user", "''"))
    assert "--contains" in completed("user", "list", "--co")
    assert "warning" in completed("log", "w")
    assert "--output" in completed("export", "--o") and "--output" in completed("--o")
    assert completed("user", "list", "--o") == ["--output"]  # it may stand anywhere
    assert "--password-stdin" in completed("user", "passwd", "--pa")
    assert "--password-stdin" in completed("--pa")


# configuration

def test_a_wrong_configuration_is_explained_and_has_its_own_exit_code(tmp_path):
    path = tmp_path / "firedoor.conf"
    path.write_text('domains = ( { name = "a.example"; } );\nlimits: {\n  dept = 9;\n};\n')
    for extra in ([], ["--check"]):
        got = subprocess.run([program("firedoord"), "--config", path, *extra], capture_output=True,
                             text=True)
        assert got.returncode == 78
        assert got.stderr == (f"{path}:3: limits.dept: no such key; did you mean limits.depth?\n")
    got = subprocess.run([program("firedoord"), "--config", tmp_path / "none", "--check"],
                         capture_output=True, text=True)
    assert got.returncode == 78 and "No such file" in got.stderr
    assert subprocess.run([program("firedoord"), "--nonsense"],
                          capture_output=True).returncode == 2
    printed = subprocess.run([program("firedoord"), "--print-defaults"], capture_output=True,
                             text=True, check=True).stdout
    with open(os.path.join(servers.ROOT, "etc", "firedoor.conf.example"), encoding="utf-8") as file:
        assert printed == file.read()


def test_the_example_names_every_key_of_a_domain(server):
    with open(os.path.join(servers.ROOT, "etc", "firedoor.conf.example"), encoding="utf-8") as file:
        domains = file.read().split("\n);\n")[0]
    for line in server.ctl("config", "domains.").splitlines():
        key = line.split("=")[0].rsplit(".", 1)[-1] if line else "name"
        assert re.search(rf"^ *(# )?{key}( =|:)", domains, re.M), key


def check(path, text, *words):
    path.write_text(text)
    got = subprocess.run([program("firedoord"), "--config", path, "--check", *words],
                         capture_output=True, text=True)
    assert got.returncode == (0 if got.stderr == "" else 78)
    return got.stderr


def test_a_number_that_the_parser_would_cut_is_refused(own_server, tmp_path):
    one = own_server(start=False)
    path = tmp_path / "firedoor.conf"
    with open(one.config_path, encoding="utf-8") as file:
        good = file.read()
    line = good.count("\n")
    for number in ("4294967328", "-4294967264", "0x100000020"):  # all are 32 in their last 32 bits
        said = check(path, good + "limits: {\n  depth = " + number + ";\n};\n")
        assert said == (f"{path}:{line + 2}: a number of more than 32 bits: write it with a unit, "
                        "such as \"4 GiB\", or between quotes\n")
    # elsewhere such numbers are no numbers; with an L libconfig reads them whole
    assert check(path, good + "# 4294967328\n/* 4294967328\n*/ // 4294967328\nlog: { file = "
                 "\"u4294967328 \\\" 4294967328\"; };\nlimits: { depth = 32; offline_bytes = "
                 "4294967328L; };\n") == ""
    included = tmp_path / "more.conf"
    included.write_text("limits: {\n  depth = 4294967328;\n};\n")
    assert check(path, good + '@include "more.conf"\n').startswith("more.conf:2: a number")


def test_administrators_are_accounts_of_their_domain(own_server, tmp_path):
    one = own_server(start=False)
    path = tmp_path / "firedoor.conf"
    with open(one.config_path, encoding="utf-8") as file:
        good = file.read()
    key = f"domains.{one.domain}.administrators="
    for wrong in ("nobody", "Admin@" + one.domain, "admin@elsewhere.example", "@" + one.domain,
                  f"admin@{one.domain}/x"):
        assert "domains.administrators: " in check(path, good, "--set", key + wrong), wrong
    assert check(path, good, "--set", f"{key}admin@{one.domain}, b@{one.domain}") == ""


def test_every_kind_of_key_can_be_set_on_the_command_line(own_server):
    sets = {"server.pid_file": "pid here", "limits.depth": "31", "limits.stanza_bytes": "128 KiB",
            "limits.resume_time": "90 s", "guard.window_growth": "1.5", "guard.mode": "observe",
            "log.level": "debug", "log.json": "no", "notices.language": "de",
            "listen.addresses": "127.0.0.1,::1",
            "domains.other.example.certificate": None, "domains.other.example.key": None,
            "domains.other.example.plain": "off"}
    one = own_server(start=False)
    sets["domains.other.example.certificate"] = one.certificate
    sets["domains.other.example.key"] = one.key
    one.settings.update(sets)
    one.start()
    values = dict(v.split("=", 1) for v in one.ctl_json("config")["values"])
    assert values["server.pid_file"] == os.path.join(one.state, "pid here")
    assert (values["limits.depth"], values["limits.stanza_bytes"]) == ("31", "128 KiB")
    assert values["limits.resume_time"] == "90 s" and values["guard.window_growth"] == "1.5"
    assert values["domains.other.example.plain"] == "false"
    assert values["domains.other.example.guard"] == "observe"  # of the section guard
    assert values["listen.addresses"] == "127.0.0.1, ::1"
    assert "other.example" in one.ctl_json("status")["domains"]
    for wrong in ("limits.dept=1", "limits=1", "domains.x=1", "domains.x.plain",
                  f"domains.{one.domain}.name=x", "limits.resume_time=9 fortnights"):
        got = subprocess.run(one.command() + ["--set", wrong, "--check"], capture_output=True,
                             text=True)
        assert got.returncode == 78 and got.stderr.startswith("--set: "), wrong


@pytest.mark.parametrize("text, line, said", [
    ("guard: {\n  convict_nats = 10.0;\n  hold_nats = 11.0;\n};", 2,
     "guard.hold_nats: 11 is more than guard.convict_nats (10)"),
    ('server: { run_as = "nobody.here"; };', 0, 'server.run_as: there is no user "nobody.here"'),
    ('control: { group = "nobody.here"; };', 0, 'control.group: there is no group "nobody.here"'),
    ('notices: { language = "xx"; };', 0,
     'notices.language: there is no catalogue for "xx"; allowed: en, de'),
    ('test: {\n  faults = "write@1,bogus";\n};', 1,
     'test.faults: fault "bogus" is not understood; allowed: write@N[+M]'),
])
def test_what_only_the_machine_knows_is_checked_too(own_server, tmp_path, text, line, said):
    if "run_as" in text and os.geteuid() != 0:
        return  # it is for root alone
    one = own_server(start=False)
    path = tmp_path / "firedoor.conf"
    with open(one.config_path, encoding="utf-8") as file:
        good = file.read()
    wrong = check(path, good + text + "\n")
    assert wrong.startswith(f"{path}:{good.count(chr(10)) + 1 + line}: {said}")
    assert wrong.count("\n") == 1
    # and a start says the same
    got = subprocess.run([program("firedoord"), "--config", path], capture_output=True, text=True)
    assert (got.returncode, got.stderr) == (78, wrong)


def test_a_key_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "firedoor.conf"
    for text, said in (('limits: {\n  depth = 9;\n  depth = 10;\n};', "3: depth: given before"),
                       ('log: { level = "info"; level = "debug"; };', "1: level: given before"),
                       ('log: {};\nlog: {};', "2: log: given before")):
        assert f"{path}:{said}" in check(path, text + "\n")


def test_a_certificate_for_another_host_is_warned_of(own_server, tmp_path):
    one = own_server(start=False)
    words = one.command() + ["--check", "--set", f"domains.elsewhere.test.certificate={one.certificate}",
                             "--set", f"domains.elsewhere.test.key={one.key}"]
    got = subprocess.run(words, capture_output=True, text=True)
    assert got.returncode == 0 and "good" in got.stdout
    assert "warning: domain elsewhere.test: the certificate " in got.stderr
    assert f"is for {one.domain}" in got.stderr or one.domain in got.stderr
    assert got.stderr.count("\n") == 1


def test_a_good_configuration_is_said_to_be_good(own_server):
    one = own_server(start=False)
    words = one.command() + ["--check"]
    got = subprocess.run(words, capture_output=True, text=True)
    assert got.returncode == 0, got.stderr
    with open(one.key, "w", encoding="ascii") as file:
        file.write("no key\n")
    got = subprocess.run(words, capture_output=True, text=True)
    assert got.returncode == 78 and one.key in got.stderr


def test_a_reload_is_all_or_nothing(own_server):
    one = own_server()
    with open(one.config_path, encoding="utf-8") as file:
        good = file.read()

    def write(more):
        with open(one.config_path, "w", encoding="utf-8") as file:
            file.write(good + more)

    def value(key):
        return one.ctl_json("config", key)["values"][0].split("=", 1)[1]

    before = value("limits.roster_items")
    write('limits: { roster_items = 77; depht = 3; };\n')
    got = one.ctl("--json", "reload", check=False)
    assert got.returncode != 0
    troubles = json.loads(got.stdout)["result"]["troubles"]
    assert len(troubles) == 1 and "did you mean limits.depth?" in troubles[0]
    assert value("limits.roster_items") == before

    write('limits: { roster_items = 77; };\nnotices: { language = "xx"; };\n')
    got = one.ctl("--json", "reload", check=False)
    assert got.returncode != 0
    assert "no catalogue" in json.loads(got.stdout)["result"]["troubles"][0]
    assert value("limits.roster_items") == before

    write('limits: { roster_items = 77; };\nstore: { queue = 500; };\n')
    got = one.ctl("--json", "reload", check=False)
    assert got.returncode == DENIED
    assert "store.queue" in json.loads(got.stdout)["result"]["troubles"][0]
    assert value("limits.roster_items") == before

    write('limits: { roster_items = 77; };\nlog: { file = "/nonexistent/log"; };\n')
    got = one.ctl("--json", "reload", check=False)
    assert got.returncode == FAILED
    assert "log file /nonexistent/log" in json.loads(got.stdout)["result"]["troubles"][0]
    assert value("limits.roster_items") == before and value("log.file") == ""

    # a key that does not belong to its certificate
    with open(one.key, encoding="ascii") as file:
        key = file.read()
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", one.key], check=True, capture_output=True)
    write('limits: { roster_items = 77; };\n')
    got = one.ctl("--json", "reload", check=False)
    assert got.returncode != 0 and one.key in json.loads(got.stdout)["result"]["troubles"][0]
    assert value("limits.roster_items") == before
    one.stream(direct=True).close()  # with the certificate that it had
    with open(one.key, "w", encoding="ascii") as file:
        file.write(key)

    # what is read at the start only
    for more in ('control: { group = "root"; };', 'auth: { queue = 7; };'):
        write(more + "\n")
        assert status_of(one, "reload") == DENIED, more

    write('limits: { roster_items = 77; };\n')
    assert status_of(one, "reload") == DONE
    assert value("limits.roster_items") == "77"

    write('limits: { roster_items = 78; };\n')
    one.process.send_signal(signal.SIGHUP)
    wait_until(lambda: value("limits.roster_items") == "78")


def test_a_log_that_has_no_place_any_more_holds_up_no_reload(own_server, tmp_path):
    # a certificate has to be renewed all the same; where it is logged, and how much, is said
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o777)
    one = own_server({"log.file": folder / "log"})
    shutil.rmtree(folder)
    with open(one.config_path, "a", encoding="utf-8") as file:
        file.write("limits: { roster_items = 77; };\n")
    got = one.ctl_json("reload")
    assert len(got["troubles"]) == 1 and str(folder / "log") in got["troubles"][0]
    assert one.ctl_json("config", "limits.roster_items")["values"] == ["limits.roster_items=77"]


def test_the_log_level_changes_without_a_reload(own_server):
    one = own_server()
    assert one.ctl_json("log")["level"] == "info"
    assert one.ctl_json("log", "debug")["level"] == "debug"
    assert one.ctl_json("log", "error")["level"] == "error"
    assert status_of(one, "log", "loud") == USAGE


def test_who_only_looks_leaves_no_audit_record(server):
    def entries():
        return [e for e in server.ctl_json("audit", "list")["entries"] if e["action"] == "log"]

    before = len(entries())
    now = server.ctl_json("log")["level"]
    assert len(entries()) == before
    server.ctl("log", now)
    assert len(entries()) == before + 1


def test_a_second_server_does_not_take_the_first_ones_socket(own_server):
    one = own_server()
    other = own_server(start=False)
    other.socket_path = one.socket_path
    got = subprocess.run(other.command(), capture_output=True, text=True, timeout=60)
    assert got.returncode == 1 and "another server answers" in got.stderr
    assert status_of(one, "status") == DONE


# imports and exports

def test_what_is_exported_can_be_imported(server, own_server, people):
    from xml.etree import ElementTree
    name, = people(1)
    server.ctl("roster", "add", f"{name}@{server.domain}", f"friend@{server.domain}", "--name",
               "A & <B>")
    text = server.ctl("--quiet", "export", server.domain)
    root = ElementTree.fromstring(text)
    ns = "{urn:xmpp:pie:0}"
    assert root.tag == ns + "server-data"
    assert name in [u.get("name") for u in root.iter(ns + "user")]

    other = own_server()
    other.ctl("--quiet", "import", "-", input=text)
    rows = other.ctl_json("roster", "list", f"{name}@{server.domain}")["contacts"]
    assert rows[0]["name"] == "A & <B>"
    other.connect(name).close()  # the same password, from its keys
    again = other.ctl("--quiet", "export")
    assert ElementTree.fromstring(again) is not None


def test_an_export_that_fails_leaves_the_one_before(server, tmp_path):
    path = tmp_path / "accounts.xml"
    path.write_text("the one before", encoding="utf-8")
    path.chmod(0o644)
    assert status_of(server, "export", "nowhere.example", "--output", str(path)) == MISSING
    assert path.read_text(encoding="utf-8") == "the one before"
    link = tmp_path / "latest"
    link.symlink_to(path)
    server.ctl("--quiet", "export", server.domain, "--output", str(link))
    assert path.read_text(encoding="utf-8").startswith("<?xml")
    assert path.stat().st_mode & 0o777 == 0o600  # it holds credentials
    assert sorted(p.name for p in tmp_path.iterdir()) == ["accounts.xml", "latest"]
    assert status_of(server, "export", "--output", "/dev/null") == DONE


def test_an_import_takes_block_lists_in_either_form(server):
    lists = {
        "blocks.new": "<blocklist xmlns='urn:xmpp:blocking'><item jid='worm@bad.example'/></blocklist>",
        "blocks.old": "<query xmlns='jabber:iq:privacy'><default name='b'/><list name='b'><item "
                      "type='jid' value='worm@bad.example' action='deny' order='1'/></list></query>",
    }
    users = "".join(f"<user name='{name}' password='a word'>{inside}</user>"
                    for name, inside in lists.items())
    result = json.loads(server.ctl("--json", "--quiet", "import", "-", input=(
        "<server-data xmlns='urn:xmpp:pie:0'>"
        f"<host jid='{server.domain}'>{users}</host></server-data>")))
    assert (result["made"], result["parts_ignored"]) == (2, 0)
    for name in lists:
        client = server.connect(name, password="a word")
        blocked = client.ask("get", "<blocklist xmlns='urn:xmpp:blocking'/>")[0]
        assert [item.get("jid") for item in blocked] == ["worm@bad.example"], name
        client.close()


def test_an_import_takes_passwords_and_waiting_messages(server):
    path = os.path.join(server.folder, "with-passwords.xml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""<?xml version='1.0'?>
<server-data xmlns='urn:xmpp:pie:0'><host jid='{server.domain}'>
  <user name='imported' password='p&#228;ss'>
    <offline-messages>
      <message xmlns='jabber:client' from='old@friend.example/x' type='chat' id='was-waiting'>
        <body>from before</body>
        <delay xmlns='urn:xmpp:delay' from='{server.domain}' stamp='2020-01-02T03:04:05Z'/>
      </message>
    </offline-messages>
  </user>
  <user name='imported'/>
  <user name='no good'/>
</host><host jid='elsewhere.example'><user name='x'/></host></server-data>""")
    got = server.ctl("--json", "--quiet", "import", path, check=False)
    result = json.loads(got.stdout)
    assert got.returncode == PARTLY and result["partly"] is True
    assert result["read"] == 4 and result["made"] == 1 and result["existing"] == 1
    assert result["skipped"] == 2 and result["messages"] == 1
    assert any("not served here" in p for p in result["problems"])
    client = server.connect("imported", password="p\u00e4ss")
    client.send("<presence/>")
    while True:
        stanza = client.read()
        if stanza.get("id") == "was-waiting":
            break
    delay = stanza.find("{urn:xmpp:delay}delay")
    assert delay.get("stamp").startswith("2020-01-02T03:04:05")
    client.close()


@pytest.mark.parametrize("text, said", [
    ("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><server-data xmlns='urn:xmpp:pie:0'/>", "line 1: document"),
    ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='{d}'>\n<user name='x'>&lol;</user>",
     "line 3: "),
    ("<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>"
     "<xi:include href='/etc/passwd'/>", "XInclude"),
    ("<server-data xmlns='urn:xmpp:pie:0'><host jid='{d}'>", "ends too early"),
    ("not XML at all", "no XML"),
    ("", "ends too early"),
])
def test_a_bad_file_is_refused_with_its_line(server, text, said):
    got = server.ctl("--quiet", "import", "-", input=text.replace("{d}", server.domain),
                     check=False)
    assert got.returncode == USAGE and said in got.stderr
    assert server.alive()


def test_an_import_that_is_broken_off_harms_nobody(server):
    names = [f"cut{i}" for i in range(3000)]
    text = servers.portable_accounts(server.domain, names)
    one = subprocess.Popen([program("firedoorctl"), "--socket", server.socket_path, "--quiet",
                            "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    one.stdin.write(text[:len(text) // 2].encode())
    one.stdin.flush()
    one.kill()
    one.wait()
    assert status_of(server, "status") == DONE
    # and may be repeated
    result = json.loads(server.ctl("--json", "--quiet", "import", "-", input=text))
    assert result["made"] + result["existing"] == 3000


def with_messages(domain, names, n, stamp="2020-01-02T03:04:05Z"):
    """An XEP-0227 document: n messages of one stamp wait for each; their bodies count."""
    inside = {name: "<offline-messages>" + "".join(
        f"<message xmlns='jabber:client' from='old@friend.example/x' type='chat' id='{name}-{i}'>"
        f"<body>{i}</body><delay xmlns='urn:xmpp:delay' from='{domain}' stamp='{stamp}'/></message>"
        for i in range(n)) + "</offline-messages>" for name in names}
    return servers.portable_accounts(domain, names, inside)


def waiting(document):
    """Ids of the messages that wait, of each account, in their order."""
    from xml.etree import ElementTree
    ns = "{urn:xmpp:pie:0}"
    return {user.get("name"): [m.get("id") for m in user.iter("{jabber:client}message")]
            for user in ElementTree.fromstring(document).iter(ns + "user")}


def test_what_was_sent_to_everybody_at_once_is_imported_in_its_order(own_server):
    one = own_server()
    names = [f"crowd{i}" for i in range(1200)]
    result = json.loads(one.ctl("--json", "--quiet", "import", "-",
                                input=with_messages(one.domain, names, 5)))
    assert (result["made"], result["messages"]) == (1200, 6000)
    assert waiting(one.ctl("--quiet", "export")) == {
        name: [f"{name}-{i}" for i in range(5)] for name in names}


def test_an_account_that_an_import_made_has_all_that_was_in_the_file(own_server):
    one = own_server()
    names = [f"whole{i}" for i in range(1500)]
    text = with_messages(one.domain, names, 3)
    broken = subprocess.Popen([program("firedoorctl"), "--socket", one.socket_path, "--quiet",
                               "import", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    broken.stdin.write(text[:len(text) // 2].encode())
    broken.stdin.flush()
    wait_until(lambda: one.ctl_json("user", "list", "--limit", "1")["total"] > 0)
    one.kill()  # in the middle
    broken.kill()
    broken.wait()
    broken.stdin.close()
    one.start()
    result = json.loads(one.ctl("--json", "--quiet", "import", "-", input=text))
    assert result["existing"] > 0 and result["made"] + result["existing"] == 1500
    assert waiting(one.ctl("--quiet", "export")) == {
        name: [f"{name}-{i}" for i in range(3)] for name in names}


def test_an_account_of_many_large_messages_is_exported(own_server):
    one = own_server()
    body = "x" * 150000
    inside = "<offline-messages>" + "".join(
        "<message xmlns='jabber:client' from='old@friend.example/x' type='chat' id='m%d'>"
        "<body>%s</body></message>" % (i, body) for i in range(200)) + "</offline-messages>"
    one.ctl("--quiet", "import", "-",
            input=servers.portable_accounts(one.domain, ["large"], {"large": inside}))
    text = one.ctl("--quiet", "export", one.domain)
    assert waiting(text) == {"large": [f"m{i}" for i in range(200)]}
    assert status_of(one, "export", "elsewhere.example") == MISSING


# the socket itself

def test_nonsense_on_the_control_socket_is_answered_or_ends(server):
    def talk(data):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(60)
        one.connect(server.socket_path)
        try:
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            said = b""
            while chunk := one.recv(65536):
                said += chunk
            return said
        except (ConnectionError, BrokenPipeError):
            return b""
        finally:
            one.close()

    assert b"malformed" in talk(b"hello\n")
    assert b"malformed" in talk(b"[]\n")
    assert b"malformed" in talk(b'{"command": 7}\n')
    assert b"missing" in talk(b'{"command": "nothing"}\n')
    assert b"malformed" in talk(b'{"command": "user list", "arguments": []}\n')
    assert talk(b"x" * (3 << 20)) == b""  # a line without an end
    assert talk(b'{"command": "import"}\n{"data": "%%%"}\n') == b""
    two = talk(b'{"command": "version"}\n{"command": "version"}\n')
    assert two.count(b'"ok":true') >= 1
    assert status_of(server, "status") == DONE


def test_strangers_are_refused_by_the_kernels_word(own_server):
    if os.geteuid() != 0:
        pytest.fail("this test must be able to become another user")
    one = own_server()
    os.chmod(one.socket_path, 0o666)  # as if the file's mode had failed us
    got = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                          program("firedoorctl"), "--socket", one.socket_path, "status"],
                         capture_output=True, text=True)
    assert got.returncode == UNREACHABLE
    assert "control-refused" in one.log()


# what it says of itself

def test_the_log_is_json_and_holds_neither_passwords_nor_bodies(own_server):
    one = own_server({"log.level": "debug", "log.json": "true"})
    words = ["s3cret-of-juliet", "wr0ng-secret", "body-of-a-message", "status-of-a-presence",
             "subject-of-one", "secret-path", "value-of-a-query", "archived-word"]
    one.ctl("user", "add", f"juliet@{one.domain}", "--password-stdin", input=words[0] + "\n")
    one.ctl("user", "add", f"romeo@{one.domain}", "--password-stdin", "--reason",
            "a \"quoted\" \\ reason\nwith two lines, \u202e and \u00e4" + "\\\"" * 300,
            input=words[0] + "\n")
    with pytest.raises(Exception):
        one.connect("juliet", password=words[1], mechanism="PLAIN")
    juliet = one.connect("juliet", password=words[0], mechanism="PLAIN",
                         resource='a "hostile" \\ r\u00e9source ' + "\\\"" * 300)
    romeo = one.connect("romeo", password=words[0])
    romeo.send("<presence><status>status-of-a-presence</status></presence>")
    juliet.send(f"<message to='romeo@{one.domain}' type='chat' id='m'><subject>subject-of-one"
                "</subject><body>body-of-a-message https://lure.example/secret-path?q=value-of-a-query"
                "</body></message>")
    while romeo.read().get("id") != "m":
        pass
    juliet.send("<iq type='set' id='p'><query xmlns='jabber:iq:private'><x xmlns='y'>archived-word"
                "</x></query></iq><broken")
    juliet.close()
    romeo.close()
    one.stop()
    lines = one.log().splitlines()
    events = {json.loads(line)["event"] for line in lines}
    assert {"login", "login-failed", "command", "started", "stopped"} <= events
    for word in words:
        assert word not in one.log(), word


def test_metrics_are_prometheus_text_on_loopback_only(server):
    import http.client
    import urllib.request
    url = f"http://127.0.0.1:{server.metrics_port}/metrics"
    with urllib.request.urlopen(url) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = answer.read().decode().splitlines()
    with open(os.path.join(servers.ROOT, "docs", "operators-guide.md"), encoding="utf-8") as file:
        guide = file.read()
    seen = set()
    while lines:
        said, kind, sample = lines[:3]
        del lines[:3]
        name = said.split(" ", 3)[2]
        assert re.fullmatch(r"# HELP firedoor_[a-z0-9_]+ [^\\]+", said)
        assert re.fullmatch(rf"# TYPE {name} (counter|gauge)", kind)
        assert re.fullmatch(rf"{name} [0-9]+(\.[0-9]+)?", sample)
        assert name not in seen
        seen.add(name)
        assert f"`{name.removeprefix('firedoor_')}`" in guide, name  # an operator can look it up
    assert len(seen) > 30
    with open("/proc/net/tcp", encoding="ascii") as file:
        mine = [line.split()[1] for line in file if line.split()[3] == "0A"
                and line.split()[1].endswith(f":{server.metrics_port:04X}")]
    assert mine == [f"0100007F:{server.metrics_port:04X}"]
    plain = http.client.HTTPConnection("127.0.0.1", server.metrics_port)
    for method, path, status in (("POST", "/metrics", 405), ("GET", "/", 404), ("GET", "/..", 404)):
        plain.request(method, path)
        answer = plain.getresponse()
        answer.read()
        assert answer.status == status


def test_members_of_the_group_may_use_the_socket(own_server):
    if os.geteuid() != 0:
        pytest.fail("this test must be able to become another user")
    one = own_server({"control.group": "daemon"})
    found = os.stat(one.socket_path)
    assert found.st_mode & 0o777 == 0o660 and found.st_gid == grp.getgrnam("daemon").gr_gid

    def asked_in(*groups):
        return subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", *groups,
                               program("firedoorctl"), "--socket", one.socket_path, "reload"],
                              capture_output=True).returncode

    assert asked_in("--groups", str(found.st_gid)) == DONE
    assert asked_in("--clear-groups") == DENIED
    assert one.ctl_json("audit", "list", "--limit", "1")["entries"][0]["actor"] == "uid:65534"


# the service manager

def test_a_service_manager_hears_when_it_is_ready_reloads_and_stops(own_server):
    folder = tempfile.mkdtemp(prefix="fd-notify-")
    path = os.path.join(folder, "notify")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    os.chmod(folder, 0o755)
    os.chmod(path, 0o777)
    manager.settimeout(60)
    one = own_server(start=False)
    environment = one.environment
    one.environment = lambda: {**environment(), "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
    try:
        one.start()

        def heard(word):
            while word not in manager.recv(4096).decode():
                pass

        heard("READY=1")
        heard("WATCHDOG=1")
        one.ctl("reload")
        heard("RELOADING=1")
        heard("READY=1")
        one.process.terminate()
        heard("STOPPING=1")
    finally:
        manager.close()
        os.unlink(path)
        os.rmdir(folder)


def test_sockets_that_are_open_already_are_taken_over(own_server):
    one = own_server({"listen.starttls": 0, "listen.direct_tls": 0}, start=False)
    held = []
    for _ in range(2):
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held.append(listening)
    one.address, one.tls_address = (each.getsockname() for each in held)
    high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 100) for each in held]

    def hand_over():
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)

    with open(one.log_path, "ab") as log:
        one.process = subprocess.Popen(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *one.command()], stdout=log, stderr=log,
            env={**one.environment(), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "starttls:direct-tls"},
            close_fds=False, preexec_fn=hand_over)
    for fd in high:
        os.close(fd)
    for each in held:
        each.close()
    wait_until(lambda: status_of(one, "status") == DONE)
    one.add_users(["handed"])
    one.connect("handed").close()
    one.stream(direct=True).close()

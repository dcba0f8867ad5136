"""The checks themselves: each finds its sin, and only its sin."""

import glob
import importlib.util
import os
import re
import shutil
import subprocess

import pytest

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "check.py")
spec = importlib.util.spec_from_file_location("check", SCRIPT)
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

GOOD = {
    "src/base/str.h": "/* Text. */\n#ifndef BASE_STR_H\n#define BASE_STR_H\nstruct str {\n"
                      "    int n;\n};\n#endif\n",
    "src/net/loop.h": "/* A loop. */\n#ifndef NET_LOOP_H\n#define NET_LOOP_H\n"
                      "#include \"base/str.h\"\n#endif\n",
    "src/net/loop.c": "#include \"net/loop.h\"\n/* strcpy( in words is no call */\n"
                      "static const char *t = \"sprintf(\";\n",
}


def tree(tmp_path, **changes):
    for path, text in {**GOOD, **changes.pop("files", {})}.items():
        full = tmp_path / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return str(tmp_path)


def test_a_good_tree_passes_every_check(tmp_path):
    root = tree(tmp_path)
    files = check.files_of(root)
    assert len(files) == len(GOOD)
    for one in check.CHECKS:
        assert list(one(root, files)) == [], one.__name__


GUARD = "/* Why. */\n#ifndef {0}\n#define {0}\n{1}\n#endif\n"


@pytest.mark.parametrize("name,path,text", [
    ("direction", "src/base/up.c", "/* Why. */\n#include \"net/loop.h\"\n"),
    ("direction", "src/guard/x.c", "/* Why. */\n  #  include \"net/loop.h\"\n"),
    ("direction", "src/cellar/x.c", "/* Why. */\n"),
    ("private", "src/im/x.c", "/* Why. */\n#include \"net/y_internal.h\"\n"),
    ("circles", "src/net/a.h", GUARD.format("NET_A_H", '#include "net/a.h"')),
    ("banned", "src/net/x.c", "/* Why. */\nvoid f(char *a, char *b)\n{\n    strcpy (a, b);\n}\n"),
    ("banned", "src/net/x.c", "/* Why. */\nint n(char *a)\n{\n    return atoi(a);\n}\n"),
    ("unfinished", "docs/x.md", "One day. TO" + "DO: write it\n"),
    ("reason", "src/net/x.c", "int x;\n"),
    ("guards", "src/net/x.h", GUARD.format("X_H", "")),
    ("names", "src/net/x.c", "/* Why. */\ntypedef struct thing thing_t;\n"),
    ("names", "src/net/x.c", "/* Why. */\nstruct thing_t {\n    int n;\n};\n"),
    ("headers_alone", "src/net/x.h", GUARD.format("NET_X_H", "size_t n_things(void);")),
])
def test_a_sin_is_found(tmp_path, name, path, text):
    files = {path: text}
    if name == "private":
        files["src/net/y_internal.h"] = GUARD.format("NET_Y_INTERNAL_H", "")
    root = tree(tmp_path, files=files)
    one = getattr(check, "check_" + name)
    assert len(list(one(root, check.files_of(root)))) == 1


def test_a_room_reads_its_own_private_header_and_so_does_its_unit_test(tmp_path):
    root = tree(tmp_path, files={
        "src/net/y_internal.h": GUARD.format("NET_Y_INTERNAL_H", ""),
        "src/net/x.c": "/* Why. */\n#include \"net/y_internal.h\"\n",
        "tests/unit/net_x_test.c": "#include \"net/y_internal.h\"\n",
    })
    assert list(check.check_private(root, check.files_of(root))) == []


def test_one_header_of_a_room_can_be_allowed_without_the_room(tmp_path):
    jid = GUARD.format("XMPP_JID_H", "")
    root = tree(tmp_path, files={
        "src/xmpp/jid.h": jid,
        "src/xmpp/sasl.h": jid.replace("JID", "SASL"),
        "src/guard/good.c": "/* Why. */\n#include \"xmpp/jid.h\"\n",
        "src/guard/bad.c": "/* Why. */\n#include \"xmpp/sasl.h\"\n",
    })
    found = list(check.check_direction(root, check.files_of(root)))
    assert found == ["src/guard/bad.c:2: guard may not include xmpp/sasl.h"]


def test_every_sentence_for_people_is_in_the_german_catalogue_and_no_other():
    # what is missing there would come in English to everybody
    literal = r'"((?:[^"\\]|\\.)*)"'
    root = os.path.join(os.path.dirname(SCRIPT), "..")
    sources = ""
    for path in sorted(f for room in ("im", "http", "xmpp")
                       for f in glob.glob(os.path.join(root, f"src/{room}/*.c"))):
        with open(path, encoding="utf-8") as file:
            sources += re.sub(r'(?<!\\)"\s*\n\s*"', "", file.read())  # pieces of one literal
    said = set(re.findall(rf"\[NOTICE_[A-Z_]+\] =\s*{literal}", sources))
    said |= set(re.findall(rf"case GRANT_[A-Z]+:\s*return {literal}", sources))
    said |= set(re.findall(rf"case [45]\d\d:\s*return {literal}", sources))
    for call in ("asked_error", "send_refusal", "adhoc_wrong", "adhoc_note", "adhoc_words", "http_say",
                 "stream_fail", "client_end", "session_end_with"):
        said |= set(re.findall(rf"\b{call}\([^;{{\"]*{literal}", sources))
    with open(os.path.join(root, "po/de.po"), encoding="utf-8") as file:
        known = set(re.findall(rf"^msgid {literal}$", file.read(), re.M)) - {""}
    assert len(said) > 50 and said - known == set()
    assert {one for one in known if f'"{one}"' not in sources} == set()


def test_a_test_that_passes_only_at_its_second_try_is_named(tmp_path):
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("test.sh", "tally.py"):
        shutil.copy(os.path.join(os.path.dirname(SCRIPT), name), scripts)
    (scripts / "check.py").write_text("#!/bin/sh\necho ok nothing\n")
    (scripts / "check.py").chmod(0o755)
    tests = tmp_path / "tests" / "checks"
    tests.mkdir(parents=True)
    (tests / "some_test.py").write_text(
        "import pathlib\n"
        "SEEN = pathlib.Path(__file__).with_name('seen')\n"
        "def test_steady():\n    pass\n"
        "def test_unsteady():\n"
        "    seen = SEEN.exists()\n"
        "    SEEN.touch()\n"
        "    assert seen\n"
        "def test_broken():\n    assert False\n")
    got = subprocess.run(["scripts/test.sh", "checks"], cwd=tmp_path, capture_output=True,
                         text=True, env={**os.environ, "PACKAGES": "no"})
    lines = got.stdout.splitlines()
    assert got.returncode == 1 and lines[-1] == "3 passed, 1 failed"
    second = [line for line in lines if line.startswith("    only at the second try: ")]
    assert len(second) == 1 and second[0].endswith(" test_unsteady")
    assert "only at the second try: 1" in lines
    assert any(line.endswith(" test_broken") and "not ok" in line for line in lines)


@pytest.mark.parametrize("goal", ["build", "fuzz", "format", "lab", "install"])
def test_what_a_goal_needs_is_installed_before_it_is_used(goal):
    root = os.path.join(os.path.dirname(SCRIPT), "..")
    said = subprocess.run(["make", "--no-print-directory", "-n", goal], cwd=root, check=True,
                          capture_output=True, text=True).stdout
    assert said.startswith("scripts/packages.sh"), said
    wanted = {"fuzz": "scripts/packages.sh fuzz", "format": "scripts/packages.sh format"}
    assert said.splitlines()[0] == wanted.get(goal, "scripts/packages.sh")


def test_a_drill_is_one_seed_of_each_worm(tmp_path):
    root = os.path.join(os.path.dirname(SCRIPT), "..")
    program = tmp_path / "build" / "firedoor-drill"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho \"$@\"\n[ $2 != P2 ]\n")
    program.chmod(0o755)
    got = subprocess.run(["make", "-f", os.path.join(root, "Makefile"), "-o", "build", "drill"],
                         cwd=tmp_path, capture_output=True, text=True)
    assert got.returncode != 0  # one failed, and the others ran all the same
    assert [line.split()[:2] for line in got.stdout.splitlines() if line.startswith("--worm")] == [
        ["--worm", worm] for worm in ("P1", "P2", "P4", "P5", "P6")]

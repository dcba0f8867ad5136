#!/usr/bin/python3
"""firedoor-lab as people start it: formats, statuses, the same figures for the same seed.

    lab_cli_test.py PROGRAM

The trace and the texts are small ones of our own.
"""

import json
import os
import random
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
SPREAD = {"mean", "p5", "p95", "max"}
HONEST = {"messages", "lost", "rejected_per_million", "held_over_2s_per_million", "longest_hold_s",
          "accounts_restricted"}
COST = {"ns_per_message", "ns_per_lure", "bytes_per_user", "bytes_per_cluster"}
KEYS = {"open", "defence", "people", "seeds", "infected", "exposed", "copies_until_conviction",
        "seconds_until_conviction", "honest", "cost", "questions_per_million", "questions",
        "reproduction", "warnings"}


def make_files(directory):
    dice = random.Random(1)
    trace = os.path.join(directory, "trace")
    texts = os.path.join(directory, "texts")
    with open(trace, "w") as file:
        file.write("from to unix_time\n")
        at = 1000000
        for _ in range(3000):
            at += dice.randrange(1, 200)
            a = dice.randrange(80)
            b = (a + dice.choice([1, 2, 3, 5, 8, 13, 21])) % 80
            if dice.random() < 0.5:
                a, b = b, a
            file.write(f"p{a}  p{b}\t{at}\n")
    with open(texts, "w") as file:
        for i in range(400):
            file.write(f"text {i}" + (f" https://github.com/a/b/{i}" if i % 7 == 0 else "") + "\n")
    return ["--trace", trace, "--texts", texts]


def run(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True)


def results(*words):
    got = run(*words, "--format", "json")
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


def number_or_null(value):
    return value is None or isinstance(value, (int, float)) and not isinstance(value, bool)


def check_schema(result, name):
    assert set(result) == KEYS | {name}, result
    assert isinstance(result[name], str) and isinstance(result["defence"], str)
    for key in ("infected", "exposed", "copies_until_conviction", "seconds_until_conviction"):
        assert set(result[key]) == SPREAD and all(map(number_or_null, result[key].values()))
    assert set(result["honest"]) == HONEST and None not in result["honest"].values()
    assert set(result["cost"]) == COST and all(map(number_or_null, result["cost"].values()))
    assert isinstance(result["people"], int) and isinstance(result["seeds"], int)


def without_cost(found):
    return [{k: v for k, v in result.items() if k != "cost"} for result in found]


def check_runs(files):
    command = [*files, "--worm", "P1,P4", "--open", "0.2,0.9", "--seeds", "3", "--defence",
               "firedoor,none,url5", "--traps", "B3,B10"]
    found = results(*command)
    assert len(found) == 2 * 2 * 3
    for result in found:
        check_schema(result, "worm")
        assert result["people"] == 80 and result["seeds"] == 3
        assert 1 <= result["infected"]["mean"] <= 80
    assert without_cost(found) == without_cost(results(*command))
    assert without_cost(found) != without_cost(results(*command, "--seed", "9"))
    none = [r for r in found if r["defence"] == "none" and r["open"] == 0.9]
    assert all(r["infected"]["mean"] > 40 for r in none)
    # settings arrive
    held = results(*files, "--worm", "P1", "--seeds", "2", "--open", "1", "--people-set", "obey=0",
                   "--worm-set", "most=2", "--defence", "none", "--worm-set", "aim=random")
    assert held[0]["infected"]["mean"] > 1

    found = results("honest", *files, "--seeds", "2", "--traps", "all", "--density", "10")
    assert found[0]["trap"] == "trace" and found[0]["honest"]["messages"] >= 6000
    assert [r["trap"] for r in found][1] == "B1" and len(found) > 10
    for result in found:
        check_schema(result, "trap")
        assert result["honest"]["lost"] == 0, result

    found = results("model", "--people", "300", "--contacts", "8", "--graph-kind", "ws", "--worm",
                    "P1", "--seeds", "1", "--hours", "1", "--learn-hours", "1")
    assert len(found) == 1 and found[0]["people"] == 300

    family = os.path.join(os.path.dirname(files[1]), "family")
    with open(family, "w") as file:
        file.write("base P13\npause 0.1..60\nmost 1 5 20\n")
    found = results("search", *files, "--family", family, "--budget", "6", "--seeds", "1", "--open",
                    "0.9", "--keep", os.path.dirname(family))
    infected = [result["infected"]["mean"] for result in found]
    assert infected == sorted(infected, reverse=True) and infected[0] > 2
    assert set(found[0].pop("settings")) == {"pause", "most"}
    check_schema(found[0], "worm")
    again = results("search", *files, "--family", family + "-1", "--budget", "1", "--seeds",
                    str(found[0]["seeds"]), "--open", "0.9")
    assert again[0]["infected"] == found[0]["infected"]
    check_confirmed(files, family)
    check_jobs(files, family)

    table = run(*files, "--worm", "P1", "--seeds", "1")
    assert table.returncode == 0 and len(table.stdout.splitlines()) == 2


def check_confirmed(files, family):
    search = ["search", *files, "--family", family, "--budget", "12", "--seeds", "1", "--open",
              "0.9"]
    noisy = results(*search)
    assert all("searched" not in result for result in noisy)
    found = results(*search, "--confirm", "4", "--keep", os.path.dirname(family))
    infected = [result["infected"]["mean"] for result in found]
    assert infected == sorted(infected, reverse=True)
    # the same worms with other seeds, beside what the search thought of each
    thought = {str(result["settings"]): result["infected"]["mean"] for result in noisy}
    assert len(found) == len(thought) > 6
    for result in found:
        assert result["seeds"] == 4
        assert result.pop("searched") == thought[str(result.pop("settings"))]
        check_schema(result, "worm")
    assert [result["infected"]["mean"] for result in noisy] != infected
    # what is kept is the confirmed worst, and says how it can be run again
    with open(family + "-1") as file:
        kept = file.read()
    assert f"infected {infected[0]:.1f} of 80 at 0.9" in kept and "4 seeds from 1000001 on" in kept
    again = results("search", *files, "--family", family + "-1", "--budget", "1", "--seeds", "4",
                    "--seed", "1000001", "--open", "0.9")
    assert again[0]["infected"] == found[0]["infected"]
    table = run(*search, "--confirm", "4")
    assert table.returncode == 0 and "from seed 1000001 on" in table.stdout
    assert len(table.stdout.splitlines()) == 1 + len(found)


def check_jobs(files, family):
    search = ["search", *files, "--family", family, "--budget", "70", "--seeds", "2", "--open",
              "0.9", "--confirm", "2"]
    found = results(*search)
    assert len(found) == 24
    assert found == results(*search, "--jobs", "2") == results(*search, "--jobs", "5")
    assert found != results(*search, "--seed", "7")
    # those at the top had further runs, whoever was given up is not among the rest
    tops = results(*search, "--confirm", "0", "--jobs", "2")
    assert 2 < max(result["seeds"] for result in tops[:8]) <= 8
    assert min(result["seeds"] for result in tops) == 2


def check_refusals(files, directory):
    bad = os.path.join(directory, "bad")
    with open(bad, "w") as file:
        file.write("ann bob soon\n")
    for words, status in (
            ([], 2),
            (["--worm", "P1"], 2),
            ([*files], 2),
            ([*files, "--worm", "P99"], 2),
            ([*files, "--worm", "P1", "--open", "2"], 2),
            ([*files, "--worm", "P1", "--seeds", "0"], 2),
            ([*files, "--worm", "P1", "--worm-set", "pause"], 2),
            ([*files, "--worm", "P1", "--worm-set", "mood=1"], 2),
            ([*files, "--worm", "P1", "--people-set", "obey=7"], 2),
            ([*files, "--worm", "P1", "--guard", "mercy=1"], 2),
            ([*files, "--worm", "P1", "--defence", "prayer"], 2),
            ([*files, "--worm", "P1", "--format", "xml"], 2),
            ([*files, "--worm", "P1", "--traps", "B99"], 2),
            (["honest", *files, "--worm", "P1"], 2),
            (["model", *files], 2),
            (["search", *files], 2),
            (["search", *files, "--family", bad, "--confirm", "some"], 2),
            (["search", *files, "--family", bad, "--jobs", "0"], 2),
            (["search", *files, "--family", "/nowhere"], 1),
            (["search", *files, "--family", bad], 1),
            (["what"], 2),
            (["--nothing"], 2),
            (["--trace", bad, *files[2:], "--worm", "P1"], 1),
            (["--trace", "/nowhere", *files[2:], "--worm", "P1"], 1),
            ([*files[:2], "--texts", "/nowhere", "--worm", "P1"], 1),
            ([*files, "--graph", bad + "x", "--worm", "P1"], 1)):
        got = run(*words)
        assert got.returncode == status, (words, got.returncode, got.stderr)
        assert got.stderr and not got.stdout, words
    with open("/dev/full", "w") as full:
        got = subprocess.run([PROGRAM, *files, "--worm", "P1", "--seeds", "1"], stdout=full,
                             stderr=subprocess.PIPE)
    assert got.returncode == 1
    assert run("--help").returncode == 0 and "P16" in run("--help").stdout
    assert run("--version").returncode == 0


def main():
    with tempfile.TemporaryDirectory() as directory:
        files = make_files(directory)
        check_runs(files)
        check_refusals(files, directory)


main()

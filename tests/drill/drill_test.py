"""One seed of a small town: the worm wins without the guard and loses with it."""

import json
import os
import subprocess

BUILD = os.path.abspath(os.environ.get("FIREDOOR_BUILD", "build"))


def drill(*options):
    """Runs firedoor-drill; what it found, by side."""
    got = subprocess.run([os.path.join(BUILD, "firedoor-drill"), "--json", "--quiet", *options],
                         capture_output=True, text=True, timeout=600)
    assert got.returncode == 0, got.stderr
    return {side["side"]: side for side in json.loads(got.stdout)["sides"]}


def test_a_town_of_a_few_dozen(tmp_path):
    people = 48
    sides = drill("--people", str(people), "--worm", "P1", "--open", "0.7", "--seed", "1",
                  "--warmup", "1", "--minutes", "4", "--speed", "20", "--report", str(tmp_path))
    off, on = sides["guard off"], sides["guard on"]
    assert off["infected"] > people / 2
    assert on["infected"] <= 2
    assert on["restricted_rightly"] >= 1
    assert on["restricted_wrongly"] == 0
    assert on["honest_convicted"] == 0
    for side in (off, on):
        assert side["honest_sent"] > 100
        assert side["honest_lost"] == 0
        assert side["honest_twice"] == 0
        assert side["honest_rejected"] == side["honest_rejected_infected"]
    page = (tmp_path / "index.html").read_text()
    assert page.count("<svg") >= 3 and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert (tmp_path / "infected.svg").exists()


def test_a_command_line_that_makes_no_sense_is_refused():
    for options in (["--worm", "P99"], ["--people", "1"], ["--connect", "127.0.0.1:1"], ["what"]):
        got = subprocess.run([os.path.join(BUILD, "firedoor-drill"), *options],
                             capture_output=True, text=True, timeout=60)
        assert got.returncode == 2 and got.stderr.startswith("firedoor-drill: ")


def test_nothing_is_lost_when_networks_fail():
    side = drill("--people", "40", "--guard", "on", "--seed", "2", "--warmup", "1", "--minutes",
                 "3", "--speed", "20", "--cuts", "40")["guard on"]
    assert side["cuts"] > 50
    assert side["lost_connections"] == 0
    assert side["honest_lost"] == 0
    assert side["honest_twice"] == 0

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


def lab(people, seed, seeds):
    """The same town in virtual time: firedoor-lab's infected and honest figures, by defence."""
    got = subprocess.run([os.path.join(BUILD, "firedoor-lab"), "model", "--people", str(people),
                          "--contacts", "10", "--worm", "P1", "--open", "0.7", "--seed", str(seed),
                          "--seeds", str(seeds), "--defence", "none,firedoor", "--learn-hours",
                          "0.02", "--hours", "0.07", "--messages", "700", "--format", "json"],
                         capture_output=True, text=True, timeout=600)
    assert got.returncode == 0, got.stderr
    return {result["defence"]: result for result in json.loads(got.stdout)}


def compare_with_lab(people, seed, sides):
    """Real sockets and virtual time agree within what one seed differs from another."""
    same, others = lab(people, seed, 1), lab(people, 1, 40)
    for defence, side in (("none", "guard off"), ("firedoor", "guard on")):
        spread = others[defence]["infected"]
        here, there = same[defence]["infected"]["mean"], sides[side]["infected"]
        print(f"{defence}, seed {seed}: the laboratory infects {here:.0f}, the drill {there}; "
              f"40 seeds: {spread['p5']:.0f} to {spread['p95']:.0f}")
        assert spread["p5"] - 1 <= there <= spread["p95"] + 1
        assert abs(here - there) <= max(2, spread["p95"] - spread["p5"])
        assert same[defence]["honest"]["lost"] == 0


def test_a_town_of_a_few_dozen(tmp_path):
    people = 48
    sides = drill("--people", str(people), "--worm", "P1", "--open", "0.7", "--seed", "1",
                  "--warmup", "1", "--minutes", "4", "--speed", "20", "--report", str(tmp_path))
    compare_with_lab(people, 1, sides)
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


def test_a_worm_that_sends_no_link_at_all():
    people = 40
    sides = drill("--people", str(people), "--worm", "P8", "--open", "0.7", "--seed", "3",
                  "--warmup", "1", "--minutes", "3", "--speed", "20")
    off, on = sides["guard off"], sides["guard on"]
    assert off["infected"] > people / 2
    assert on["infected"] <= 2
    assert on["restricted_rightly"] >= 1
    assert on["restricted_wrongly"] == 0
    assert on["honest_lost"] == 0


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

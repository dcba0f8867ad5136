"""One seed of a small town: the worm wins without the guard and loses with it."""

import json
import os
import subprocess

import pytest

TOO_SLOW = 3  # exit status: the machine, not the guard
BUILD = os.path.abspath(os.environ.get("FIREDOOR_BUILD", "build"))


def run(*options, speed=20):
    """Runs firedoor-drill, slower where the machine lags behind it; what it printed as JSON."""
    while True:
        got = subprocess.run([os.path.join(BUILD, "firedoor-drill"), "--json", "--quiet", "--speed",
                              str(speed), *options], capture_output=True, text=True, timeout=900)
        if got.returncode != TOO_SLOW or speed <= 2:
            break
        print(f"too slow a machine for speed {speed}: {got.stderr.strip()}")
        speed /= 2
    assert got.returncode == 0, got.stderr
    return json.loads(got.stdout)


def drill(*options, speed=20):
    """What was found, by side."""
    return {side["side"]: side for side in run(*options, speed=speed)["sides"]}


def lab(people, seed, seeds, worm, minutes, chat, more=()):
    """The same town in virtual time: firedoor-lab's infected and honest figures, by defence."""
    got = subprocess.run([os.path.join(BUILD, "firedoor-lab"), "model", "--people", str(people),
                          "--contacts", "10", "--worm", worm, "--open", "0.7", "--seed", str(seed),
                          "--seeds", str(seeds), "--defence", "none,firedoor", "--learn-hours",
                          "0.02", "--hours", str(minutes / 60), "--messages", str(chat * 480),
                          "--format", "json", *more], capture_output=True, text=True, timeout=900)
    assert got.returncode == 0, got.stderr
    return {result["defence"]: result for result in json.loads(got.stdout)}


def compare_with_lab(people, seed, sides, worm="P1", minutes=4, chat=1.5, more=()):
    """Real sockets and virtual time agree within what one seed differs from another."""
    same = lab(people, seed, 1, worm, minutes, chat, more)
    others = lab(people, 1, 40, worm, minutes, chat, more)
    for defence, side in (("none", "guard off"), ("firedoor", "guard on")):
        spread = others[defence]["infected"]
        here, there = same[defence]["infected"]["mean"], sides[side]["infected"]
        print(f"{worm}, {defence}, seed {seed}: the laboratory infects {here:.0f}, the drill "
              f"{there}; 40 seeds: {spread['p5']:.0f} to {spread['p95']:.0f}")
        assert spread["p5"] - 1 <= there <= spread["p95"] + 1
        assert abs(here - there) <= max(2, spread["p95"] - spread["p5"])
        if worm == "P1":  # of P14 with seed 2 it loses two of 473
            assert same[defence]["honest"]["lost"] == 0


def test_a_town_of_a_few_dozen(tmp_path):
    people = 48
    sides = drill("--people", str(people), "--worm", "P1", "--open", "0.7", "--seed", "1",
                  "--warmup", "1", "--minutes", "4", "--phones", "1", "--report", str(tmp_path))
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
                  "--warmup", "1", "--minutes", "3", "--answer", "0")
    off, on = sides["guard off"], sides["guard on"]
    assert off["infected"] > people / 2
    assert on["infected"] <= 2
    # nobody answers questions: without a relay, patient zero is still on trial
    assert on["answers_yes"] == on["answers_no"] == 0
    assert on["restricted_wrongly"] == 0
    assert on["honest_lost"] == 0


def test_the_people_of_a_file_are_those_who_are_counted(tmp_path):
    graph = tmp_path / "graph"
    graph.write_text("anna bert\nbert carl\ncarl dora\ndora anna\nanna carl\n")
    assert run("--graph", graph, "--worm", "P1", "--minutes", "1", "--warmup", "0.2",
               speed=5)["people"] == 4


def test_a_command_line_that_makes_no_sense_is_refused():
    for options in (["--worm", "P99"], ["--worm", "P10"], ["--people", "1"], ["what"],
                    ["--connect", "127.0.0.1:1"], ["--traps", "B99"], ["--traps", "B1", "--full"],
                    ["--answer", "2"], ["--worm-set", "aim=rooms"], ["--worm-set", "x"]):
        got = subprocess.run([os.path.join(BUILD, "firedoor-drill"), *options],
                             capture_output=True, text=True, timeout=60)
        assert got.returncode == 2 and got.stderr.startswith("firedoor-drill: ")


def test_nothing_is_lost_when_networks_fail():
    side = drill("--people", "40", "--guard", "on", "--seed", "2", "--warmup", "1", "--minutes",
                 "3", "--cuts", "40")["guard on"]
    assert side["cuts"] > 50
    assert side["lost_connections"] == 0
    assert side["honest_lost"] == 0
    assert side["honest_twice"] == 0


# P4 in no order: the laboratory gives everybody a roster in an order of his own, the server sorts
# it by address, and a slow worm that goes through that meets the same few from everywhere
@pytest.mark.parametrize("worm, minutes, speed, more",
                         [("P4", 60, 60, ["--worm-set", "aim=random"]), ("P14", 20, 40, [])])
def test_slow_worms_among_people_who_answer_are_those_of_the_laboratory(worm, minutes, speed, more):
    sides = drill("--people", "48", "--worm", worm, *more, "--open", "0.7", "--seed", "2",
                  "--warmup", "1", "--minutes", str(minutes), "--chat", "0.5", "--phones", "1",
                  speed=speed)
    compare_with_lab(48, 2, sides, worm, minutes, 0.5, more)
    assert sides["guard on"]["honest_lost"] == 0
    assert sides["guard on"]["restricted_wrongly"] == 0


def test_whoever_did_not_send_it_says_no_and_the_worm_says_yes_in_vain():
    """Half of the people have another device; the others get the puzzle, which the worm cannot do."""
    on = drill("--people", "40", "--worm", "P8", "--open", "0.7", "--seed", "3", "--guard", "on",
               "--warmup", "1", "--minutes", "8", "--answer", "1", speed=20)["guard on"]
    assert on["answers_no"] >= 1
    assert on["infected"] <= 2
    assert on["restricted_rightly"] >= 1
    assert on["restricted_wrongly"] == 0


def test_worms_among_the_lately_heard_of_and_from_twenty_clients():
    found = drill("--people", "60", "--worm", "P12", "--open", "0.2", "--seed", "1", "--guard", "on",
                  "--warmup", "1", "--minutes", "2")["guard on"]
    assert found["infected"] >= 20
    assert [node["by"] for node in found["runs"][0]["outbreak"]].count(None) == 20
    found = drill("--people", "40", "--worm", "P9", "--open", "0.7", "--seed", "1", "--guard", "off",
                  "--warmup", "4", "--minutes", "3")["guard off"]
    assert found["copies_sent"] >= 1 and found["infected"] >= 2


def test_an_encrypted_worm_is_carried_and_read_by_nobody_between():
    sides = drill("--people", "40", "--worm", "P13", "--open", "0.7", "--seed", "1", "--warmup", "1",
                  "--minutes", "2", "--guard", "off")
    assert sides["guard off"]["infected"] > 10


def test_clients_that_do_not_obey_still_show_what_was_taken_back():
    on = drill("--people", "48", "--worm", "P1", "--open", "1", "--seed", "1", "--guard", "on",
               "--warmup", "1", "--minutes", "3", "--obey", "0")["guard on"]
    assert on["infected"] >= 2 and on["restricted_rightly"] >= 1
    assert on["honest_lost"] == 0 and on["restricted_wrongly"] == 0


def test_honest_habits_that_look_like_a_worm_pass():
    """An entitled desk and bot, a meeting, warnings that quote a worm at work."""
    found = run("--people", "48", "--traps", "B1,B3,B6", "--seed", "1", "--warmup", "1",
                "--minutes", "2", speed=10)["traps"]
    found += run("--people", "48", "--traps", "B4", "--seed", "1", "--warmup", "1", "--minutes", "4",
                 "--open", "0.2", speed=15)["traps"]
    assert [trap["trap"] for trap in found] == ["B1", "B3", "B6", "B4"]
    for trap in found:
        print({key: trap[key] for key in trap if key != "tells"})
        assert trap["kept"] and not trap["too_slow"]
        assert trap["messages"] >= 12
        assert trap["lost"] == trap["rejected"] == trap["restricted"] == 0
        assert trap["asked"] == 0

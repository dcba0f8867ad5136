"""One seed of a small town: the worm wins without the guard and loses with it."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "drill"))

import compare  # noqa: E402


def drill(*options, speed=20):
    """What was found, by side."""
    return {side["side"]: side for side in compare.run_drill(*options, speed=speed)["sides"]}


def agrees_with_lab(people, worm, seed, sides, how):
    """Real sockets and virtual time agree within what one seed differs from another."""
    lines = compare.compare_worm(people, worm, seed, compare.SEEDS, sides, how)
    for line in lines:
        compare.show_worm(line)
    return len(lines) == len(sides) and all(line["agrees"] for line in lines)


def test_a_town_of_a_few_dozen(tmp_path):
    people, how = 48, {"minutes": 4, "warmup": 1, "chat": 1.5}
    sides = compare.drill_worm(people, "P1", 1, how, ["--meetings", 1, "--report", tmp_path],
                               speed=20)
    assert agrees_with_lab(people, "P1", 1, sides, how)
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
    assert compare.run_drill("--graph", graph, "--worm", "P1", "--minutes", "1", "--warmup", "0.2",
                             speed=5)["people"] == 4


def test_a_command_line_that_makes_no_sense_is_refused():
    for options in (["--worm", "P99"], ["--worm", "P10"], ["--people", "1"], ["what"],
                    ["--connect", "127.0.0.1:1"], ["--traps", "B99"], ["--traps", "B1", "--full"],
                    ["--answer", "2"], ["--composing", "2"], ["--worm-set", "aim=rooms"],
                    ["--worm-set", "x"]):
        got = subprocess.run([os.path.join(compare.programs(), "firedoor-drill"), *options],
                             capture_output=True, text=True, timeout=60)
        assert got.returncode == 2 and got.stderr.startswith("firedoor-drill: ")


def test_nothing_is_lost_when_networks_fail():
    side = drill("--people", "40", "--guard", "on", "--seed", "2", "--warmup", "1", "--minutes",
                 "3", "--cuts", "40")["guard on"]
    assert side["cuts"] > 50
    assert side["lost_connections"] == 0
    assert side["honest_lost"] == 0
    assert side["honest_twice"] == 0


@pytest.mark.parametrize("worm, minutes, chat, speed", [
    ("P4", 60, 0.5, 60), ("P5", 20, 1.5, 40), ("P13", 3, 1.5, 20), ("P14", 20, 0.5, 40)])
def test_worms_among_people_who_answer_are_those_of_the_laboratory(worm, minutes, chat, speed):
    how = {"minutes": minutes, "warmup": 1, "chat": chat}
    sides = compare.drill_worm(48, worm, 2, how, speed=speed)
    assert agrees_with_lab(48, worm, 2, sides, how)
    assert sides["guard off"]["honest_lost"] == 0
    assert sides["guard on"]["restricted_wrongly"] == 0
    if worm != "P14":  # in so small a town a mimic's campaign takes honest links with it, there too
        assert sides["guard on"]["honest_lost"] == 0


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


def test_clients_that_do_not_obey_still_show_what_was_taken_back():
    on = drill("--people", "48", "--worm", "P1", "--open", "1", "--seed", "1", "--guard", "on",
               "--warmup", "1", "--minutes", "3", "--obey", "0")["guard on"]
    assert on["infected"] >= 2 and on["restricted_rightly"] >= 1
    assert on["honest_lost"] == 0 and on["restricted_wrongly"] == 0


def test_honest_habits_that_look_like_a_worm_pass():
    """An entitled desk and bot, a meeting, warnings that quote a worm at work."""
    found = compare.run_drill("--people", "48", "--traps", "B1,B3,B6", "--seed", "1", "--warmup",
                              "1", "--minutes", "2", speed=10)["traps"]
    found += compare.run_drill("--people", "48", "--traps", "B4", "--seed", "1", "--warmup", "1",
                               "--minutes", "4", "--open", "0.2", speed=15)["traps"]
    assert [trap["trap"] for trap in found] == ["B1", "B3", "B6", "B4"]
    for trap in found:
        print({key: trap[key] for key in trap if key != "tells"})
        assert trap["kept"] and not trap["too_slow"]
        assert trap["messages"] >= 12
        assert trap["lost"] == trap["rejected"] == trap["restricted"] == 0
        assert trap["asked"] == 0


# what seed 5 does is no good news: in so small a town, where everybody writes to everybody, half of
# the encrypted greetings wait; but they do so in both
@pytest.mark.parametrize("trap, seed, minutes", [("B7enc", 5, 11), ("B10fast", 1, 6)])
def test_what_waits_in_a_trap_is_what_waits_in_the_laboratory(trap, seed, minutes):
    labs = {one: compare.lab_traps(48, one, [trap]) for one in range(1, compare.SEEDS + 1)}
    found = compare.drill_trap(48, trap, seed, more=["--minutes", minutes], speed=30)
    line = compare.compare_trap(trap, seed, labs, found)
    compare.show_trap(line)
    assert line["agrees"]
    assert (found["waited"] > 0) == (labs[seed][trap]["waited"] > 0)

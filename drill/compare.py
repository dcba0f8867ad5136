#!/usr/bin/python3
"""The drill beside the laboratory: the same seed over real sockets and in virtual time.

    drill/compare.py [--build DIR] [--people N] [--seed N] [--seeds N] [NAME …]

NAME: a worm that needs only chat between two (P1 … P9, P12 … P16) or a trap (B1 … B10fast); all
of them otherwise, which takes an hour.  Both sides draw the same graph, people, worm
and trap from the seed; what differs is the server with its clients on one side, and the engine of
virtual time on the other.  Printed is what each found, and what the laboratory finds over so many
seeds: the drill must lie within that, give or take what is said at `agree`.

Exit status: 0 all agree, 1 something does not, 3 the machine was too slow for the drill.
"""

import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
TOO_SLOW = 3  # exit status of firedoor-drill: the machine, not the guard
CONTACTS = 10
OPEN, OPEN_IN_TRAPS = 0.7, 0.2
SEEDS = 40

# Minutes watched, and those of chat before; how much of it.  The slow ones are cut where the town
# is nearly through.
USUAL = {"minutes": 10, "warmup": 2, "chat": 1.5}
WORMS = {name: USUAL for name in ("P1", "P2", "P3", "P6", "P7", "P8", "P12", "P13")} | {
    "P4": {"minutes": 120, "warmup": 2, "chat": 0.5},
    "P5": {"minutes": 45, "warmup": 2, "chat": 1.5},
    "P9": {"minutes": 10, "warmup": 20, "chat": 1.5},
    "P14": {"minutes": 120, "warmup": 2, "chat": 1.5},
    "P15": {"minutes": 120, "warmup": 2, "chat": 1.5},
    "P16": {"minutes": 360, "warmup": 2, "chat": 0.2},
}
TRAPS = ["B1", "B2", "B3", "B3new", "B4", "B5", "B6", "B7", "B7enc", "B8", "B9", "B10", "B10fast"]
# Of a trap: the laboratory's counts by the drill's names.
FIGURES = ["messages", "lost", "rejected", "waited", "asked", "withdrawn", "dead", "restricted"]
SIDES = {"none": "guard off", "firedoor": "guard on"}


class TooSlow(Exception):
    """The machine did not follow the drill."""


def programs():
    return os.path.abspath(os.environ.get("FIREDOOR_BUILD", os.path.join(ROOT, "build")))


def run(program, *words, misses=()):
    """What it printed as JSON; misses: exit statuses that come with figures all the same."""
    got = subprocess.run([os.path.join(programs(), program), *map(str, words)], capture_output=True,
                         text=True, timeout=7200)
    if program == "firedoor-drill" and got.returncode == TOO_SLOW:
        raise TooSlow(got.stderr.strip())
    if got.returncode != 0 and got.returncode not in misses:
        raise RuntimeError(f"{program} {' '.join(map(str, words))}: {got.stderr.strip()}")
    return json.loads(got.stdout)


def run_drill(*words, speed=None):
    """firedoor-drill, slower where the machine lags behind it (of itself, where speed is None)."""
    while True:
        pace = ["--speed", speed] if speed is not None else []
        try:
            return run("firedoor-drill", "--json", "--quiet", *pace, *words, misses=(1,))
        except TooSlow as why:
            if speed is None or speed <= 2:
                raise
            print(f"too slow a machine for speed {speed}: {why}")
            speed /= 2


def run_lab(people, *words):
    """firedoor-lab's results for a town like the drill's: its server sorts rosters by address."""
    return run("firedoor-lab", "model", "--people", people, "--contacts", CONTACTS, "--roster",
               "address", "--format", "json", *words)


def agree(there, least, most):
    """Within the seeds, but for one person or message, or one in fifty."""
    room = max(1, 0.02 * most)
    return least - room <= there <= most + room


# ---- Worms ----


def lab_worm(people, worm, seed, seeds, how, more=()):
    """Results by defence."""
    found = run_lab(people, "--worm", worm, "--open", OPEN, "--seed", seed, "--seeds", seeds,
                    "--defence", "none,firedoor", "--learn-hours", how["warmup"] / 60, "--hours",
                    how["minutes"] / 60, "--messages", how["chat"] * 480, *more)
    return {result["defence"]: result for result in found}


def drill_worm(people, worm, seed, how, more=(), speed=None):
    """Figures by side.  The laboratory's people all have another device, and plan no meetings."""
    found = run_drill("--people", people, "--contacts", CONTACTS, "--worm", worm, "--open", OPEN,
                      "--seed", seed, "--warmup", how["warmup"], "--minutes", how["minutes"],
                      "--chat", how["chat"], "--phones", 1, "--meetings", 0, *more, speed=speed)
    return {side["side"]: side for side in found["sides"]}


def compare_worm(people, worm, seed, seeds, sides, how, more=()):
    """One line for each side of the drill that there is."""
    same = lab_worm(people, worm, seed, 1, how, more)
    others = lab_worm(people, worm, 1, seeds, how, more)
    lines = []
    for defence, name in SIDES.items():
        if name not in sides:
            continue
        spread, there = others[defence]["infected"], sides[name]["infected"]
        here = same[defence]["infected"]["mean"]
        lines.append({"name": worm, "side": name, "drill": there, "lab": here,
                      "least": spread["p5"], "most": spread["p95"], "mean": spread["mean"],
                      "agrees": agree(there, spread["p5"], spread["p95"]) and
                      abs(here - there) <= max(2, spread["p95"] - spread["p5"]),
                      "found": sides[name]})
    return lines


def show_worm(line):
    found = line["found"]
    rejected = (found["honest_rejected"] - found["honest_rejected_infected"] -
                found["honest_returned"])
    honest = (f"{found['honest_sent']} honest, {found['honest_lost']} lost, {rejected} rejected, "
              f"{found['honest_returned']} returned, {found['restricted_wrongly'] or 0} restricted")
    print(f"{line['name']:8} {line['side']:10} {line['drill']:6.0f} {line['lab']:6.0f}   "
          f"{line['mean']:6.1f} ({line['least']:.0f} to {line['most']:.0f})  "
          f"{'agrees' if line['agrees'] else 'DIFFERS'}   {honest}", flush=True)


# ---- Traps ----


def lab_traps(people, seed, names, how=USUAL):
    """Counts of one seed, by trap."""
    found = run_lab(people, "--traps", ",".join(names), "--open", OPEN_IN_TRAPS, "--seed", seed,
                    "--seeds", 1, "--defence", "firedoor", "--learn-hours", how["warmup"] / 60,
                    "--messages", how["chat"] * 480)
    counts = {}
    for result in found:
        honest = result["honest"]

        def count(per_million, honest=honest):
            return round(per_million * honest["messages"] / 1e6)

        counts[result["trap"]] = {
            "messages": honest["messages"], "lost": honest["lost"],
            "rejected": count(honest["rejected_per_million"]),
            "waited": count(honest["held_over_2s_per_million"]),
            "asked": result["questions"]["needless"],
            **result["warnings"],
            "restricted": honest["accounts_restricted"]}
    return counts


def drill_trap(people, trap, seed, how=USUAL, more=(), speed=None):
    found = run_drill("--people", people, "--contacts", CONTACTS, "--traps", trap, "--open",
                      OPEN_IN_TRAPS, "--seed", seed, "--warmup", how["warmup"], "--chat",
                      how["chat"], "--phones", 1, *more, speed=speed)["traps"][0]
    # what waits at the end, or returned, has not arrived late
    found["waited"] = max(found["held_over_2s"], found["for_answer"])
    return found


def compare_trap(trap, seed, labs, found):
    """labs: counts of each seed, that of the drill among them."""
    line = {"name": trap, "figures": {}, "agrees": True, "found": found}
    for figure in FIGURES:
        all_seeds = [counts[trap][figure] for counts in labs.values()]
        here, there = labs[seed][trap][figure], found[figure]
        good = agree(there, min(all_seeds), max(all_seeds))
        line["figures"][figure] = (there, here, min(all_seeds), max(all_seeds), good)
        line["agrees"] &= good
    return line


def show_trap(line):
    def cell(figure):
        there, here, least, most, good = line["figures"][figure]
        return f"{there:.0f}/{here} ({least}–{most}){'' if good else '!'}"

    print(f"{line['name']:8} " + "  ".join(f"{cell(figure):>17}" for figure in FIGURES) +
          ("  agrees" if line["agrees"] else "  DIFFERS"), flush=True)


# ---- All ----


def compare_all(options):
    worms = [name for name in options.names if name in WORMS]
    traps = [name for name in options.names if name in TRAPS]
    agrees, slow = True, []
    if worms:
        print(f"Infected of {options.people} people, opening with probability {OPEN}, seed "
              f"{options.seed}; the laboratory over {options.seeds} seeds: mean (5 to 95 %).\n\n"
              f"{'worm':8} {'side':10} {'drill':>6} {'lab':>6}   {'lab, all seeds':20}")
    for worm in worms:
        how = WORMS[worm]
        try:
            sides = drill_worm(options.people, worm, options.seed, how)
        except TooSlow as why:
            slow.append(worm)
            print(f"{worm:8} {why}")
            continue
        for line in compare_worm(options.people, worm, options.seed, options.seeds, sides, how):
            show_worm(line)
            agrees &= line["agrees"]
    if traps:
        print(f"\nHonest habits among {options.people} people, seed {options.seed}: "
              f"drill/laboratory (over {options.seeds} seeds).\n\n{'trap':8} " +
              "  ".join(f"{figure:>17}" for figure in FIGURES))
        labs = {seed: lab_traps(options.people, seed, traps)
                for seed in {options.seed, *range(1, options.seeds + 1)}}
    for trap in traps:
        try:
            found = drill_trap(options.people, trap, options.seed)
        except TooSlow as why:
            slow.append(trap)
            print(f"{trap:8} {why}")
            continue
        line = compare_trap(trap, options.seed, labs, found)
        show_trap(line)
        agrees &= line["agrees"]
    if slow:
        print(f"\nToo slow a machine for {', '.join(slow)}.")
    return 1 if not agrees else TOO_SLOW if slow else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="worms and traps (all)")
    parser.add_argument("--build", help="where the programs are (build)")
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the laboratory")
    options = parser.parse_args()
    if options.build:
        os.environ["FIREDOOR_BUILD"] = os.path.abspath(options.build)
    unknown = [name for name in options.names if name not in WORMS and name not in TRAPS]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such worm or trap between two people")
    options.names = options.names or list(WORMS) + TRAPS
    sys.exit(compare_all(options))


if __name__ == "__main__":
    main()

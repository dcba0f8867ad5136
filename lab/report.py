#!/usr/bin/python3
"""Measures the guard in the laboratory and writes docs/containment.md.

    lab/report.py [--data DIR] [--seeds N] [--fresh] [--keep DIR]

DIR holds benign-trace.tsv and benign-messages.txt (../shared/data, or FIREDOOR_DATA).  Each
command's JSON is kept in DIR of --keep (build/lab-results) and not run again unless --fresh, so that a
text can be changed without a day's measuring.  Figures in the page are what the commands said;
nothing is typed by hand but the targets, which are the design's.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
LAB = os.environ.get("FIREDOOR_LAB", os.path.join(ROOT, "build", "firedoor-lab"))
DOCS = os.path.join(ROOT, "docs")
PLOTS = os.path.join(DOCS, "containment")

# mean infected at opening probability 0.20 and 0.72 that the guard is to reach
TARGETS = {
    "P1": (1.2, 1.5), "P2": (1.2, 1.5), "P3": (1.2, 1.3), "P4": (2.5, 3.5), "P5": (3, 7),
    "P6": (1.2, 1.5), "P7": (1.3, 1.5), "P8": (1.5, 2), "P9": (1.4, 1.8), "P10": (3, 6),
    "P11": (2, 4), "P12": (20.5, 21), "P13": (4, 12), "P14": (2, 4), "P15": (8, 40), "P16": (4, 40),
}
TELLS = {
    "P1": "kelvir: one text, one link, all contacts", "P2": "the victim's name in the link",
    "P3": "another host and text with every copy", "P4": "slow: one contact in ten minutes",
    "P5": "answers in live conversations", "P6": "a file", "P7": "unique shortener links",
    "P8": "plain words with an instruction", "P9": "recent contacts only", "P10": "rooms first",
    "P11": "twenty infected of a partner's", "P12": "twenty zeros at once",
    "P13": "end-to-end encrypted", "P14": "mimic: types, human pace, all new",
    "P15": "one document on an honest host", "P16": "never-seen hosts, hours apart, six at most",
}


class Lab:
    def __init__(self, options):
        self.options = options
        self.trace = ["--trace", os.path.join(options.data, "benign-trace.tsv"), "--texts",
                      os.path.join(options.data, "benign-messages.txt")]

    def run(self, name, *words, trace=True):
        """The results of a command and how a reader would give it."""
        kept = os.path.join(self.options.keep, name + ".json")
        command = list(words[:1]) if words and not words[0].startswith("-") else []
        rest = list(words[len(command):])
        files = self.trace if trace else []
        shown = " ".join(["build/firedoor-lab"] + command +
                         (["--trace TRACE --texts TEXTS"] if trace else []) + rest)
        if self.options.fresh or not os.path.exists(kept):
            print(shown, file=sys.stderr, flush=True)
            got = subprocess.run([LAB] + command + files + rest + ["--format", "json"],
                                 capture_output=True, text=True)
            if got.returncode != 0:
                sys.exit(f"{shown}: status {got.returncode}: {got.stderr}")
            with open(kept, "w") as file:
                json.dump({"command": shown, "results": json.loads(got.stdout)}, file)
        with open(kept) as file:
            found = json.load(file)
        if found["command"] != shown:
            os.unlink(kept)
            return self.run(name, *words, trace=trace)
        return found["results"], shown


def number(value, digits=1):
    if value is None:
        return "–"
    if abs(value) >= 100:
        digits = 0
    return f"{value:,.{digits}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def command_note(*commands):
    return "\n" + "\n".join("    " + c for c in commands) + "\n"


def pick(results, **wanted):
    for result in results:
        if all(result.get(k) == v for k, v in wanted.items()):
            return result
    raise KeyError(wanted)


def gnuplot(name, script, data):
    """Writes docs/containment/NAME.svg; data: {block: lines}."""
    blocks = "".join(f"${block} << EOD\n" + "\n".join(lines) + "\nEOD\n"
                     for block, lines in data.items())
    path = os.path.join(PLOTS, name + ".svg")
    text = (f"set terminal svg size 800,420 font 'sans,12' background rgb 'white'\n"
            f"set output '{path}'\n" + blocks + script)
    subprocess.run(["gnuplot"], input=text, text=True, check=True)
    return f"![{name}](containment/{name}.svg)\n"


def honest_row(name, result):
    h = result["honest"]
    return [name, f"{h['messages']:,}", str(h["lost"]), number(h["rejected_per_million"]),
            number(h["held_over_2s_per_million"]), number(h["longest_hold_s"]),
            str(h["accounts_restricted"]), number(result["questions_per_million"]),
            number(result["questions"]["returned_unanswered_per_million"])]


HONEST_HEAD = ["", "messages", "lost", "rejected per million", "held over 2 s per million",
               "longest hold without a question, s", "accounts restricted",
               "questions per million", "returned unanswered per million"]


def honest_meanwhile(results):
    """What the outbreaks and their containment did to the honest people around."""
    rows = []
    for worm in TARGETS:
        cells = [worm]
        for chance in (0.2, 0.72):
            on = pick(results, worm=worm, open=chance, defence="firedoor")
            h = on["honest"]
            cells += [f"{h['lost']} of {h['messages']:,}", number(h["rejected_per_million"]),
                      number(h["held_over_2s_per_million"]),
                      number(on["questions"]["returned_unanswered_per_million"]),
                      str(h["accounts_restricted"])]
        rows.append(cells)
    head = [f"{what}, {chance}" for chance in ("0.20", "0.72")
            for what in ("lost", "rejected per million", "held", "returned unanswered",
                         "restricted")]
    return ("Honest messages and people of the same runs, around the outbreak and until two weeks "
            "after it (what the infected themselves send is not among them):\n\n" +
            table([""] + head, rows) + "\n")


def profiles(lab):
    results, command = lab.run("profiles", "--worm", "all", "--open", "0.2,0.72", "--seeds",
                               str(lab.options.seeds), "--defence", "firedoor,none")
    rows, bars = [], []
    for worm, (low, high) in TARGETS.items():
        cells = [f"{worm} {TELLS[worm]}"]
        for chance, target in ((0.2, low), (0.72, high)):
            on = pick(results, worm=worm, open=chance, defence="firedoor")["infected"]
            off = pick(results, worm=worm, open=chance, defence="none")["infected"]
            mark = "" if on["mean"] <= target else " ✗"
            cells += [number(off["mean"]), f"{number(on['mean'], 2)} ({number(on['p95'], 0)})",
                      f"{target}{mark}"]
        on = pick(results, worm=worm, open=0.2, defence="firedoor")
        cells += [number(on["copies_until_conviction"]["mean"]),
                  number(on["seconds_until_conviction"]["mean"])]
        rows.append(cells)
        bars.append(f"{worm} " + " ".join(
            str(pick(results, worm=worm, open=0.72, defence=d)["infected"]["mean"])
            for d in ("none", "firedoor")) + f" {high}")
    text = table(["", "none, 0.20", "guard, 0.20 (95 %)", "target", "none, 0.72",
                  "guard, 0.72 (95 %)", "target", "copies until conviction", "seconds"], rows)
    text += "\nMean people infected, patient zero counted (of ours, for P11); ✗: target missed.\n"
    text += command_note(command) + "\n"
    text += honest_meanwhile(results)
    text += gnuplot("profiles", """
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set logscale y
set yrange [0.5:3000]
set ylabel 'mean infected'
set title 'Infected at opening probability 0.72, by worm'
plot $bars using 2:xtic(1) title 'no defence' lc rgb '#bbbbbb', '' using 3 title 'the guard' \
lc rgb '#2060a0', '' using 4 title 'target' lc rgb '#e0a030'
""", {"bars": bars})
    return text


def baselines(lab):
    results, command = lab.run("baselines", "--worm", "P1", "--open", "0.2,0.72", "--seeds",
                               str(lab.options.seeds), "--defence",
                               "firedoor,none,throttle,stop5,decoy5,decoy20,placed5,url5")
    rows = []
    for defence in ("none", "throttle", "stop5", "decoy5", "decoy20", "placed5", "url5",
                    "firedoor"):
        low = pick(results, open=0.2, defence=defence)
        high = pick(results, open=0.72, defence=defence)
        rows.append([defence, number(low["infected"]["mean"]), number(high["infected"]["mean"]),
                     number(low["honest"]["rejected_per_million"]),
                     number(low["honest"]["held_over_2s_per_million"])])
    return table(["defence", "infected, 0.20", "infected, 0.72", "honest rejected per million",
                  "honest held per million"], rows) + command_note(command)


def disobedience(lab):
    results, command = lab.run("obey0", "--worm", "P1,P8", "--open", "0.2,0.72", "--seeds",
                               str(lab.options.seeds), "--people-set", "obey=0")
    targets = {"P1": (1.5, 2.5), "P8": (2, 4)}
    rows = [[w] + [f"{number(pick(results, worm=w, open=o)['infected']['mean'], 2)} (target {t})"
                   for o, t in zip((0.2, 0.72), targets[w])] for w in targets]
    return table(["no client obeys a retraction", "0.20", "0.72"], rows) + command_note(command)


def honest(lab):
    seeds = lab.options.seeds
    rows, commands = [], []
    whole, command = lab.run("honest", "honest", "--seeds", str(5 * seeds))
    commands.append(command)
    rows.append(honest_row("the trace", whole[0]))
    for density in (10, 50):
        # what goes wrong once in a hundred runs is not seen in twenty
        got, command = lab.run(f"density{density}", "honest", "--seeds", str(6 * seeds), "--density",
                               str(density))
        commands.append(command)
        rows.append(honest_row(f"{density} times as dense", got[0]))
    got, command = lab.run("honest-model", "model", "--people", "5000", "--seeds", "3", trace=False)
    commands.append(command)
    rows.append(honest_row("a model of 5,000 people, two working days", got[0]))
    text = table(HONEST_HEAD, rows) + command_note(*commands)
    rows, commands = [], []
    for name, learn in (("traps", []), ("traps-empty", ["--learn", "0"])):
        got, command = lab.run(name, "honest", "--traps", "all", "--seeds", str(2 * seeds), *learn)
        commands.append(command)
        for result in got[1:]:
            rows.append(honest_row(result["trap"] + (", empty store" if learn else ""), result))
    text += ("\nEach trap's own messages (where the receivers pass links on with probability 0.02, "
             "those too):\n\n")
    text += table(HONEST_HEAD, rows) + command_note(*commands)
    cost = whole[0]["cost"]
    text += ("\nCost on the machine that wrote this page: "
             f"{number(cost['ns_per_message'], 0)} ns a message without a lure, "
             f"{number(cost['ns_per_lure'] / 1000)} µs with one (extraction, keys, judgement and "
             f"exposure), {number(cost['bytes_per_user'], 0)} bytes a user, "
             f"{number(cost['bytes_per_cluster'], 0)} bytes a cluster.\n")
    return text


def trade_off(lab):
    seeds = str(max(2, lab.options.seeds // 2))
    rows, curve, commands = [], [], []
    for nats in (6, 8, 10, 12, 14, 16, 20):
        settings = ["--guard", f"convict_nats={nats}", "--guard", f"hold_nats={max(1, nats - 2)}"]
        slow, c1 = lab.run(f"trade-worm-{nats}", "--worm", "P4,P5,P14", "--open", "0.72", "--seeds",
                           seeds, "--defence", "firedoor", *settings)
        calm, c2 = lab.run(f"trade-honest-{nats}", "honest", "--seeds", seeds, *settings)
        if nats == 14:
            commands = [c1, c2]
        h = calm[0]["honest"]
        rows.append([str(nats)] + [number(pick(slow, worm=w)["infected"]["mean"], 2)
                                   for w in ("P4", "P5", "P14")] +
                    [number(h["held_over_2s_per_million"]), number(h["rejected_per_million"]),
                     str(h["accounts_restricted"])])
        curve.append(f"{nats} {slow[0]['infected']['mean']} {h['held_over_2s_per_million']} "
                     f"{h['rejected_per_million']}")
    text = table(["convict at, nats (hold at two less)", "P4 infected, 0.72", "P5", "P14",
                  "held per million", "rejected per million", "accounts restricted"], rows)
    text += command_note(*commands)
    text += "\n" + gnuplot("trade-off", """
set xlabel 'honest messages held or rejected per million'
set ylabel 'P4: mean infected'
set yrange [0:*]
set title 'Strictness: what a threshold costs and what it buys'
plot $curve using ($3+$4):2 with linespoints pt 7 lc rgb '#2060a0' notitle, \
'' using ($3+$4):2:1 with labels offset 1.5,0.6 notitle
""", {"curve": curve})
    return text


def ablation(lab):
    seeds = str(max(2, lab.options.seeds // 2))
    cases = [
        ("everything as shipped", []),
        ("a star never convicts", ["--guard", "star_convicts=0"]),
        ("no exposure window", ["--guard", "window_first=1000000"]),
        ("nothing is held on evidence", ["--guard", "hold_nats=1000"]),
        ("no client obeys", ["--people-set", "obey=0"]),
        ("half of the clients obey", ["--people-set", "obey=0.5"]),
        ("nobody's client sends chat states", ["--people-set", "composing=0"]),
        ("one person in twenty has a decoy", ["--decoys", "0.05"]),
        ("one person in twenty reports", ["--people-set", "report=0.05"]),
        ("nobody is asked", ["--guard", "ask=0"]),
        ("lures that share no key are no campaign", ["--guard", "campaigns=0"]),
    ]
    worms = ("P1", "P4", "P5", "P14")
    rows, commands = [], []
    for at, (name, settings) in enumerate(cases):
        got, command = lab.run(f"ablation-{at}", "--worm", ",".join(worms), "--open", "0.72",
                               "--seeds", seeds, "--defence", "firedoor", *settings)
        if at in (0, 1):
            commands.append(command)
        rows.append([name] + [number(pick(got, worm=w)["infected"]["mean"], 2) for w in worms])
    return table([""] + [f"{w}, 0.72" for w in worms], rows) + command_note(*commands)


EVIDENCE = ("novelty", "content", "fan-out", "pace", "roster", "silence", "streak", "dormant", "relay",
            "words", "origin", "absence", "answer")
EVIDENCE_WORMS = ("P1", "P4", "P5", "P14", "P16")


def evidence_left_out(lab):
    """What each kind of evidence buys, on both sides."""
    seeds = str(max(2, lab.options.seeds // 2))
    rows, commands = [], []
    for kind in ("",) + EVIDENCE:
        settings = ["--guard", f"without={kind}"] if kind else []
        got, command = lab.run(f"without-{kind}", "--worm", ",".join(EVIDENCE_WORMS), "--open", "0.2",
                               "--seeds", seeds, "--defence", "firedoor", *settings)
        honest_got, honest_command = lab.run(f"without-{kind}-honest", "honest", "--seeds", seeds,
                                             *settings)
        if kind == "relay":
            commands += [command, honest_command]
        honest_side = honest_got[0]["honest"]
        rows.append([kind or "nothing"] +
                    [number(pick(got, worm=w)["infected"]["mean"], 2) for w in EVIDENCE_WORMS] +
                    [number(honest_side["held_over_2s_per_million"]),
                     number(honest_got[0]["questions_per_million"])])
    return table(["left out"] + [f"{w}, 0.20" for w in EVIDENCE_WORMS] +
                 ["held per million", "questions per million"], rows) + command_note(*commands)


def inseparable(lab):
    """What each measure buys where behaviour alone cannot part worm and person."""
    seeds = str(lab.options.seeds)
    families = [
        ("one document on a large honest host, human pace (P15)", ["--worm", "P15"], True),
        ("words without an address, human pace",
         ["--worm", "P8", "--worm-set", "bait=talk", "--worm-set", "pause=40", "--worm-set",
          "jitter=1.8", "--worm-set", "composes=1"], False),
        ("encrypted, a minute apart",
         ["--worm", "P13", "--worm-set", "pause=60", "--worm-set", "jitter=1.8"], False),
    ]
    measures = [
        ("nothing", ["--defence", "none"], False),
        ("evidence", ["--guard", "ask=0"], False),
        ("questions", [], False),
        ("page", ["--guard", "ask=0", "--protect", "8"], True),
        ("reports", ["--guard", "ask=0", "--people-set", "report=0.05"], False),
        ("all", ["--protect", "8", "--people-set", "report=0.05"], False),
    ]
    rows, commands = [], []
    for at, (tells, worm, has_link) in enumerate(families):
        cells = [tells]
        for name, settings, needs_link in measures:
            if needs_link and not has_link:
                cells.append("–")
                continue
            got, command = lab.run(f"hard-{at}-{name}", *worm, "--open", "0.2", "--seeds", seeds,
                                   *settings)
            cells.append(f"{number(got[0]['reproduction'], 2)} "
                         f"({number(got[0]['infected']['mean'])})")
            if name == "nothing":
                # arithmetic: what the scanner knows reaches nobody, what not spreads as if unseen
                cells.append(f"{number(got[0]['reproduction'] / 2, 2)} "
                             f"({number((1 + got[0]['infected']['mean']) / 2)})"
                             if has_link else "–")
            if at == 0 or name == "nothing":
                commands.append(command)
        # the columns in the order in which they are measured, the scan's behind the page's
        cells.insert(5, cells.pop(2))
        rows.append(cells)
    return table(["0.20", "nothing", "evidence alone", "and questions",
                  "evidence and link protection", "a file scan alone",
                  "evidence and reports by one in twenty", "all but the scan"],
                 rows) + command_note(*commands)


def worms_on_graphs(lab):
    """All worms, and all traps, on the three kinds of graph."""
    people, seeds = "2000", str(max(2, lab.options.seeds // 4))
    found, commands, traps = {}, [], {}
    for kind in ("ba", "ws", "er"):
        found[kind], command = lab.run(f"worms-{kind}", "model", "--graph-kind", kind, "--people",
                                       people, "--worm", "all", "--open", "0.2,0.72", "--seeds",
                                       seeds, "--defence", "firedoor", trace=False)
        commands.append(command)
        traps[kind], command = lab.run(f"traps-{kind}", "model", "--graph-kind", kind, "--people",
                                       people, "--traps", "all", "--seeds", seeds, trace=False)
        commands.append(command)
    rows = []
    for worm, targets in TARGETS.items():
        cells = [worm]
        for chance, target in zip((0.2, 0.72), targets):
            for kind in ("ba", "ws", "er"):
                mean = pick(found[kind], worm=worm, open=chance)["infected"]["mean"]
                cells.append(number(mean, 2) + ("" if mean <= target else " ✗"))
        rows.append(cells)
    text = table(["infected"] + [f"{kind}, {chance}" for chance in ("0.20", "0.72")
                                 for kind in ("BA", "WS", "ER")], rows)
    rows = []
    for at, trap in enumerate(result["trap"] for result in traps["ba"]):
        cells = [trap]
        for kind in ("ba", "ws", "er"):
            h = traps[kind][at]["honest"]
            cells += [str(h["lost"]), number(h["rejected_per_million"]),
                      number(h["held_over_2s_per_million"]), str(h["accounts_restricted"])]
        rows.append(cells)
    text += ("\n✗: beyond the target that the trace has.  The traps there (each one's own messages; "
             "*model*: everybody's):\n\n")
    text += table([""] + [f"{kind}: {what}" for kind in ("BA", "WS", "ER")
                          for what in ("lost", "rejected per million", "held", "restricted")], rows)
    return text + command_note(*commands)


def graphs(lab):
    rows, commands = [], []
    for kind, name in (("ba", "Barabási–Albert"), ("ws", "Watts–Strogatz"), ("er", "Erdős–Rényi")):
        got, command = lab.run(f"graph-{kind}", "model", "--graph-kind", kind, "--people", "5000",
                               "--worm", "P1,P4", "--seeds", "3", "--defence", "firedoor,none",
                               trace=False)
        commands.append(command)
        cells = [name]
        for worm in ("P1", "P4"):
            for defence in ("none", "firedoor"):
                cells.append(number(pick(got, worm=worm, defence=defence)["infected"]["mean"]))
        rows.append(cells)
    big, command = lab.run("model-60000", "model", "--people", "60000", "--worm", "P1", "--seeds",
                           "1", trace=False)
    commands.append(command)
    text = table(["5,000 people, 20 contacts, 0.20", "P1, none", "P1, guard", "P4, none",
                  "P4, guard"], rows)
    h = big[0]["honest"]
    text += (f"\n60,000 people, a working day of learning, an outbreak of P1 and a working day: "
             f"{number(big[0]['infected']['mean'], 0)} infected, {h['messages']:,} honest messages, "
             f"{h['lost']} lost, {number(h['rejected_per_million'])} rejected and "
             f"{number(h['held_over_2s_per_million'])} held per million, "
             f"{h['accounts_restricted']} accounts restricted.\n")
    return text + command_note(*commands)


PAGE = """# Containment: what the laboratory measured

Generated by `make lab` (`lab/report.py`): do not edit.  `firedoor-lab` runs the guard that the
server links in virtual time, on a trace of real traffic and on synthetic populations, beside
what else could be done.  TRACE and TEXTS in the commands are `benign-trace.tsv` (CollegeMsg,
1,899 people, 59,835 messages) and `benign-messages.txt` (Ubuntu IRC); any in the same form will do.

## The model

Everybody is online.  A person decides once whether he opens this lure, and opens it after a
log-normal delay with a median of 21 s (sigma 1) unless the copy is gone by then; opening infects.
Patient zero has five contacts or more and begins after the guard has learnt from the first 40 % of
the trace; the trace then goes on for two weeks at most.  A link that arrived, a worm's too, is
honestly passed on with probability 0.02 to one to three contacts, a log-normal time later (median
two minutes).  Every client obeys a retraction, half of the people answer a question (median 60 s),
four people in five have clients that send chat states, and nobody reports or warns, where a table
does not say otherwise.  Rosters are in an order of each person's own.  Throttle: five receivers
free, one further a day.  What one person decides does not depend on the defence, so a seed compares
defences on the same people.

What the model leaves out: people offline, several devices, honest traffic in rooms, and what a
receiver learns from being told that a message was taken back.  Of encrypted copies (P13) the
guard sees only who sends them to whom, and when; words that name no host (P8) are seen where they
spell one out ("example dot com").

## Worms

{profiles}
## Beside other defences

{baselines}
## Clients that do not obey

{disobedience}
## Honest people

{honest}
## Strictness

As shipped: 14.  The sum is a log-likelihood ratio, so 14 nats is one wrong conviction in about a
million such sums; below it honest people wait more often, above it slow worms infect more, and what
rules ask for besides the sum (machine pace, relays, denials) makes the curve flat between.

{trade_off}
## One thing changed at a time

{ablation}
One kind of evidence left out at a time (decoys and reports are none of these people's; the table
above adds them):

{evidence_left_out}
## What behaviour cannot part

Three families look like people: one link on a large honest host, words that name no address,
encrypted text, each at a human pace.  The reproduction number is how many people one infected
person of the first three generations infects; below one an outbreak dies by itself.  In
brackets: infected in the end.  The file scan is arithmetic: of a document that is put here
(XEP-0363), and that the scanner knows in one outbreak of two; one that it knows reaches nobody, one
that it does not know spreads as if there were none, and it sees neither words nor links nor what
is encrypted.

{inseparable}
## Synthetic populations

{graphs}
Every worm and every trap among 2,000 people:

{worms_on_graphs}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("FIREDOOR_DATA",
                                                         os.path.join(ROOT, "../shared/data")))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--keep", default=os.path.join(ROOT, "build", "lab-results"))
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.keep, exist_ok=True)
    os.makedirs(PLOTS, exist_ok=True)
    lab = Lab(options)
    parts = (profiles, inseparable, evidence_left_out, honest, graphs, worms_on_graphs, ablation, baselines,
             disobedience, trade_off)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = pool.map(lambda part: part(lab), parts)
        parts = dict(zip((part.__name__ for part in parts), texts))
    with open(os.path.join(DOCS, "containment.md"), "w", encoding="utf-8") as page:
        page.write(PAGE.format(**parts))


if __name__ == "__main__":
    main()

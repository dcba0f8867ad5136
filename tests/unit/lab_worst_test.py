#!/usr/bin/python3
"""The worst worms that a search or a hand has found stay as weak as they are.

    lab_worst_test.py PROGRAM DIRECTORY

Each file of the directory is a family of one worm.  Its line `# bound N` says how many people (mean)
it may infect in the model below; whoever finds a worse worm, or mends one, writes that line anew.
A worm that prepares itself for long says `# hours N`, so that it has half a day left.
The model is small, and its guard has learnt from one working day only: the bounds say what must not
get worse, docs/containment.md what such worms reach.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys

PROGRAM, DIRECTORY = sys.argv[1:]
MODEL = ["--people", "400", "--contacts", "20", "--learn-hours", "8", "--seeds", "3",
         "--open", "0.2"]


def said(path, what):
    with open(path) as file:
        found = re.search(rf"^# {what} ([0-9.]+)$", file.read(), re.MULTILINE)
    return found and found[1]


def infected(path):
    got = subprocess.run([PROGRAM, "search", "--family", path, "--budget", "1", *MODEL, "--hours",
                          said(path, "hours") or "12", "--format", "json"],
                         capture_output=True, text=True, check=True)
    found = json.loads(got.stdout)
    assert len(found) == 1, path
    return found[0]["infected"]["mean"]


def main():
    worse = []
    paths = sorted(os.path.join(DIRECTORY, name) for name in os.listdir(DIRECTORY))
    assert paths
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        means = list(pool.map(infected, paths))
    for path, mean in zip(paths, means):
        bound = said(path, "bound")
        print(f"{os.path.basename(path)}: {mean:.1f} infected, bound {bound}")
        if bound is None or mean > float(bound):
            worse.append(path)
    assert not worse, worse


main()

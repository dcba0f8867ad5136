#!/usr/bin/python3
"""The worst worms that a search or a hand has found stay as weak as they are.

    lab_worst_test.py PROGRAM DIRECTORY

Each file of the directory is a family of one worm.  Its line `# bound N` says how many people (mean)
it may infect in the model below; whoever finds a worse worm, or mends one, writes that line anew.
"""

import json
import os
import re
import subprocess
import sys

PROGRAM, DIRECTORY = sys.argv[1:]
MODEL = ["--people", "800", "--contacts", "20", "--hours", "12", "--seeds", "2", "--open", "0.2"]


def infected(path):
    got = subprocess.run([PROGRAM, "search", "--family", path, "--budget", "1", *MODEL, "--format",
                          "json"], capture_output=True, text=True, check=True)
    found = json.loads(got.stdout)
    assert len(found) == 1, path
    return found[0]["infected"]["mean"]


def main():
    worse = []
    names = sorted(os.listdir(DIRECTORY))
    assert names
    for name in names:
        path = os.path.join(DIRECTORY, name)
        with open(path) as file:
            bound = re.search(r"^# bound ([0-9.]+)$", file.read(), re.MULTILINE)
        mean = infected(path)
        print(f"{name}: {mean} infected, bound {bound and bound[1]}")
        if bound is None or mean > float(bound[1]):
            worse.append(name)
    assert not worse, worse


main()

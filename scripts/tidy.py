#!/usr/bin/python3
"""Runs clang-tidy on every C file of a build directory, in parallel.

    scripts/tidy.py BUILD_DIR [FILE…]

The analyzer needs seconds for a file, so a clean result is remembered in
BUILD_DIR/tidy, by the hash of the preprocessed file, the options and the rules:
what has not changed in any header is not analyzed again.
"""

import concurrent.futures
import hashlib
import json
import os
import shlex
import re
import subprocess
import sys

COMPLAINT = re.compile(r"^\S+:\d+:\d+: (error|warning): ")


def command_without_output(entry):
    words, skip = [], False
    for word in shlex.split(entry["command"]):
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MQ"):
            skip = True
        elif word not in ("-c", "-MD", "ccache"):
            words.append(word)
    return words


def without_known(said):
    """What was said, without complaints that do not hold with glibc.

    strerror(): its text is the thread's own since glibc 2.32; the rule is of an older manual.
    """
    kept, dropping = [], False
    lines = said.splitlines()
    for number, line in enumerate(lines):
        if COMPLAINT.match(line):
            below = lines[number + 1] if number + 1 < len(lines) else ""
            dropping = "[concurrency-mt-unsafe" in line and "strerror(" in below
        if not dropping:
            kept.append(line)
    return "\n".join(kept)


def main():
    build = os.path.abspath(sys.argv[1])
    wanted = {os.path.abspath(f) for f in sys.argv[2:]}
    root = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
    cache = os.path.join(build, "tidy")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(root, ".clang-tidy"), "rb") as file:
        rules = file.read()

    jobs = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            name = os.path.relpath(path, root)
            # unit tests are left out: cmocka's macros trip the analyzer in each of them
            if name.startswith(("..", "build", "tests/")) or not name.endswith(".c"):
                continue
            if not wanted or path in wanted:
                jobs[path] = entry

    def run(item):
        path, entry = item
        words = command_without_output(entry)
        pre = subprocess.run(words + ["-E"], cwd=entry["directory"], capture_output=True)
        key = hashlib.sha256(rules + " ".join(words).encode() + pre.stdout).hexdigest()
        mark = os.path.join(cache, key)
        if pre.returncode == 0 and os.path.exists(mark):
            return path, 0, ""
        got = subprocess.run(["clang-tidy", "-quiet", "-p", build, path], capture_output=True,
                             text=True)
        said = without_known(got.stdout)
        # a crash or a file that does not parse says nothing on standard output
        failed = got.returncode != 0 and (not got.stdout or
                                          any(map(COMPLAINT.match, said.splitlines())))
        if not failed:
            open(mark, "w", encoding="utf-8").close()
        return path, int(bool(failed)), said or got.stderr

    n_failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for path, status, said in pool.map(run, sorted(jobs.items())):
            name = os.path.relpath(path, root)
            print(f"{'ok' if status == 0 else 'not ok'} tidy {name}", flush=True)
            if status != 0:
                n_failed += 1
                print(said, flush=True)
    if not jobs:
        print("not ok tidy: no file to look at")
        return 1
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())

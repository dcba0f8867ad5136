#!/usr/bin/python3
"""Turns what a test tool reports into lines "ok NAME" and "not ok NAME".

    scripts/tally.py meson BUILD_DIR/meson-logs/testlog.json
    scripts/tally.py junit FILE.xml

Skipped counts as failed: what did not run proves nothing.
"""

import json
import re
import sys
import xml.etree.ElementTree

CASE = re.compile(r"^\[\s+(OK|FAILED)\s+\] (\w+)(?!.*tests?\.|.*test\(s\))\s*$", re.MULTILINE)


def meson(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            run = json.loads(line)
            program = run["name"].split(" / ")[-1]
            good = run["result"] == "OK"
            # cmocka prints to standard error; a failed case is printed twice, so by name
            said = run.get("stdout", "") + "\n" + run.get("stderr", "")
            cases = {name: word == "OK" for word, name in CASE.findall(said)}
            for name, passed in cases.items():
                yield passed, f"{program} {name}"
            if not cases or (not good and all(cases.values())):
                yield good, program + ("" if good else f" ({run['result']}, {run['returncode']})")


def junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        trouble = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        name = f"{case.get('classname', '').removeprefix('tests.')} {case.get('name', '')}"
        yield not trouble, name + (" (skipped)" if "skipped" in trouble else "")


def main():
    for passed, name in {"meson": meson, "junit": junit}[sys.argv[1]](sys.argv[2]):
        print("ok" if passed else "not ok", name.replace("\n", " "))


if __name__ == "__main__":
    main()

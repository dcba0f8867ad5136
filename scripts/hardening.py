#!/usr/bin/python3
"""Checks that binaries carry the hardening the build asks for.

    scripts/hardening.py BINARY…

Compiler options can be lost without anybody noticing; the binary cannot lie.
"""

import subprocess
import sys


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True,
                          check=True).stdout


def checks(path):
    header, segments = readelf("-h", path), readelf("-l", path)
    dynamic, symbols = readelf("-d", path), readelf("--dyn-syms", path)
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    yield "position independent", "DYN (" in header
    yield "read-only relocations", "GNU_RELRO" in segments
    yield "bound at start", "BIND_NOW" in dynamic or "NOW" in dynamic.split("FLAGS_1", 1)[-1]
    yield "no executable stack", bool(stack) and "RWE" not in stack[0]
    yield "stack protector", "__stack_chk_fail" in symbols
    yield "fortified calls", "_chk@" in symbols.replace("__stack_chk", "")
    yield "no run path", "RPATH" not in dynamic and "RUNPATH" not in dynamic


def main():
    n_failed = 0
    for path in sys.argv[1:]:
        for name, good in checks(path):
            print("ok" if good else "not ok", f"hardening {path}: {name}")
            n_failed += not good
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())

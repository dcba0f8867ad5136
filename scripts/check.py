#!/usr/bin/python3
"""Our own checks of the source: what no compiler tells.

    scripts/check.py [ROOT]      all checks; one line each, exit status 1 if any failed

The rules are the tables below; docs/testing.md says what each proves.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

# Who may include whom: a room may include itself, what stands in its row, and nothing else.
# An entry is a room or one header of it.
BELOW = {
    "base": [],
    "net": ["base"],
    "xml": ["base"],
    "xmpp": ["base", "xml"],
    "guard": ["base", "xmpp/jid.h"],
    "store": ["base", "net", "xmpp/jid.h"],
    "files": ["base", "net", "guard", "store"],
    "route": ["base", "net", "xml", "xmpp", "guard", "store"],
    "im": ["base", "net", "xml", "xmpp", "guard", "store", "files", "route"],
    "federation": ["base", "net", "xml", "xmpp", "guard", "store", "route"],
    "intel": ["base", "net", "xml", "xmpp", "guard", "store", "route"],
    "cluster": ["base", "net", "xml", "xmpp", "guard", "store", "route"],
    "http": ["base", "net", "xml", "xmpp", "guard", "store", "files", "route"],
    "daemon": ["base", "net", "xml", "xmpp", "guard", "store", "files", "route", "im", "federation",
               "intel", "cluster", "http"],
    # programs of their own: they speak to the server through sockets, never through its rooms
    "ctl": ["base", "net", "xml", "xmpp/jid.h"],
    "drill": ["base", "net", "xml", "xmpp", "town"],
    "bench": ["base", "net", "xml", "xmpp", "guard", "drill", "store", "town"],
    # models of people, their graph, their texts and worms: no sockets, no clock
    "town": ["base"],
    # the guard in virtual time: no sockets either
    "lab": ["base", "guard", "xmpp/jid.h", "town"],
}

# Folders that hold rooms.  A room below src/ is its folder; outside, the folder itself is the room.
ROOM_FOLDERS = ["ctl", "drill", "bench", "town", "lab"]

# Calls that are refused, and what to use.
BANNED = {
    "strcpy": "struct str, or str_to_z()",
    "strcat": "struct buf",
    "strncpy": "str_to_z()",
    "strncat": "struct buf",
    "stpcpy": "struct buf",
    "sprintf": "arena_printf() or buf_printf()",
    "vsprintf": "arena_vprintf()",
    "gets": "nothing: it cannot be used safely",
    "strtok": "str_cut()",
    "strtok_r": "str_cut()",
    "atoi": "str_to_u64()",
    "atol": "str_to_u64()",
    "atoll": "str_to_u64()",
    "atof": "strtod() with its end checked",
    "scanf": "str_to_u64()",
    "sscanf": "str_to_u64(), str_cut()",
    "fscanf": "str_to_u64(), str_cut()",
    "localtime": "localtime_r()",
    "gmtime": "gmtime_r()",
    "ctime": "clock_format()",
    "asctime": "clock_format()",
    "rand": "random_u64() or struct prng",
    "srand": "random_u64() or struct prng",
    "random": "random_u64() or struct prng",
    "drand48": "struct prng",
    "tmpnam": "mkstemp()",
    "tempnam": "mkstemp()",
    "mktemp": "mkstemp()",
    "alloca": "an arena",
    "system": "posix_spawn(), and only outside the server",
    "popen": "posix_spawn(), and only outside the server",
    "signal": "sigaction()",
    "assert": "must()",
    "setjmp": "enum err",
    "longjmp": "enum err",
}

# Where all input is our own, reading numbers the short way harms nobody.
OWN_INPUT = ("bench/", "tests/")
READING = {"atoi", "atol", "atoll", "atof", "scanf", "sscanf", "fscanf"}

# Words that mean "not finished"; what is not finished is not committed.
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|TBD)\b|not implemented yet|lorem ipsum", re.ASCII)
TEXT = (".c", ".h", ".py", ".sh", ".md", ".build", ".talk", ".conf", ".service", ".txt", ".in",
        ".po", ".1", ".5", ".8", ".sql")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def files_of(root):
    """The files git knows or would add; so a forgotten `git add` does not hide anything."""
    got = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True).stdout
    return sorted(f for f in got.splitlines() if os.path.isfile(os.path.join(root, f)))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def code_only(text):
    """C without its comments, strings and character constants, line numbers kept."""
    pattern = re.compile(
        r'//(?:[^\n\\]|\\.|\\\n)*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def blank(match):
        token = match.group(0)
        keep = token[0] if token[0] in "\"'" else " "
        return keep + "\n" * token.count("\n") + (keep if keep != " " else "")

    return pattern.sub(blank, text)


def includes(text):
    """(line, name) of each #include "name"; an include inside a comment does not count."""
    # only comments are blanked here: the name of an include is a string
    bare = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.DOTALL)
    for match in INCLUDE.finditer(bare):
        yield bare.count("\n", 0, match.start()) + 1, match.group(1)


def room_of(path):
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[0] in ROOM_FOLDERS and len(parts) > 1:
        return parts[0]
    return None


def is_c(path):
    return path.endswith((".c", ".h"))


def resolve(root, path, name):
    """The repository path an include means: beside the file, below src/, or from the root."""
    for base in (os.path.dirname(path), "src", ""):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate
    return None


def check_direction(root, files):
    """Includes go downwards only, as the table says."""
    for path in filter(is_c, files):
        room = room_of(path)
        if room is None:
            continue
        if room not in BELOW:
            yield f"{path}: room {room} has no row in the table of scripts/check.py"
            continue
        for line, name in includes(read(root, path)):
            target = resolve(root, path, name)
            if target is None:
                continue  # made by the build, or a compiler error already
            other = room_of(target)
            header = target.removeprefix("src/")
            if other in (room, None) or other in BELOW[room] or header in BELOW[room]:
                continue
            yield f"{path}:{line}: {room} may not include {header}"


def check_private(root, files):
    """Nobody outside a room includes its private headers; its own unit tests may."""
    for path in filter(is_c, files):
        for line, name in includes(read(root, path)):
            if not name.endswith("_internal.h"):
                continue
            target = resolve(root, path, name)
            owner = room_of(target) if target else None
            if owner is None or owner == room_of(path):
                continue
            if re.match(rf"tests/(unit|fuzz|bench)/{owner}_", path):
                continue
            yield f"{path}:{line}: {name} is private to {owner}"


def check_circles(root, files):
    """No header includes itself by a detour."""
    graph = {}
    for path in files:
        if path.endswith(".h"):
            graph[path] = [t for _, n in includes(read(root, path))
                           if (t := resolve(root, path, n)) is not None]
    done = set()

    def walk(path, above):
        if path in above:
            yield " -> ".join(above[above.index(path):] + [path])
            return
        if path in done:
            return
        for below in graph.get(path, []):
            yield from walk(below, above + [path])
        done.add(path)

    for path in graph:
        yield from walk(path, [])


def check_banned(root, files):
    """No call that the C library regrets."""
    call = re.compile(r"(?<![\w.>])(" + "|".join(sorted(BANNED)) + r")[ \t]*\(")
    for path in filter(is_c, files):
        if path.startswith("tests/unit/") and path.endswith("test.h"):
            continue  # cmocka wants <setjmp.h>
        text = code_only(read(root, path))
        for match in call.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = match.group(1)
            if name in READING and path.startswith(OWN_INPUT):
                continue
            yield f"{path}:{line}: {name}() is banned: use {BANNED[name]}"


def check_unfinished(root, files):
    """Nothing is marked as left for later."""
    for path in files:
        if path == "scripts/check.py" or path.startswith("tests/checks/"):
            continue
        if not path.endswith(TEXT) and os.path.basename(path) != "Makefile":
            continue
        for number, line in enumerate(read(root, path).splitlines(), 1):
            if UNFINISHED.search(line):
                yield f"{path}:{number}: {line.strip()[:100]}"


def check_reason(root, files):
    """A file of C begins with its reason; a .c whose header tells it need not repeat it."""
    for path in filter(is_c, files):
        if path.startswith("tests/") and path.endswith("_test.c"):
            continue  # its name says which file it mirrors
        if path.endswith(".c") and any(os.path.isfile(os.path.join(root, path[:-2] + end))
                                       for end in (".h", "_internal.h")):
            continue
        if not read(root, path).lstrip().startswith("/*"):
            yield f"{path}: no comment at the top says why the file exists"


def check_guards(root, files):
    """Each header has one include guard, named after its path."""
    for path in files:
        if not path.endswith(".h"):
            continue
        wanted = re.sub(r"\W", "_", path.removeprefix("src/")).upper()
        if not re.search(rf"^#ifndef {wanted}\n#define {wanted}$", read(root, path), re.MULTILINE):
            yield f"{path}: no include guard {wanted}"


def check_names(root, files):
    """_t belongs to POSIX: none of our types takes it."""
    own = re.compile(r"\b(?:struct|enum|union)\s+(\w+_t)\s*\{|\btypedef\b[^;{]*?\b(\w+_t)\s*;")
    for path in filter(is_c, files):
        text = code_only(read(root, path))
        for match in own.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(1) or match.group(2)} ends in _t"


def header_flags(root):
    """The include directories that any build directory here uses, for generated headers."""
    flags = ["-I" + os.path.join(root, "src"), "-I" + root]
    for name in sorted(os.listdir(root)):
        generated = os.path.join(root, name, "src")
        if name.startswith("build") and os.path.isdir(generated):
            flags += ["-I" + generated]
            break
    packages = ["libuv", "openssl", "icu-uc", "sqlite3", "libsodium", "libconfig", "jansson",
                "libpsl", "libseccomp", "libcap-ng", "libmicrohttpd", "expat", "cmocka"]
    for package in packages:
        got = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True)
        if got.returncode == 0:
            flags += [f for f in got.stdout.split() if f not in flags]
    return flags


def check_headers_alone(root, files):
    """Each header compiles by itself."""
    compiler = os.environ.get("CHECK_CC", "gcc").split()
    flags = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
             "-fsyntax-only", "-x", "c"] + header_flags(root)

    def compile_one(path):
        # through a file of one line: compiled directly, a header's static functions look unused
        got = subprocess.run(compiler + flags + ["-"], cwd=root, capture_output=True, text=True,
                             input=f'#include "{path}"\n')
        return path, got.returncode, got.stderr

    headers = [f for f in files if f.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for path, status, said in pool.map(compile_one, headers):
            if status != 0:
                yield f"{path} does not compile alone:\n{said}"


CHECKS = [check_direction, check_private, check_circles, check_banned, check_unfinished,
          check_reason, check_guards, check_names, check_headers_alone]


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1
                           else os.path.join(os.path.dirname(__file__), ".."))
    files = files_of(root)
    n_failed = 0
    for check in CHECKS:
        found = list(check(root, files))
        name = check.__name__.removeprefix("check_")
        print(f"{'not ok' if found else 'ok'} check {name}: {check.__doc__.splitlines()[0]}")
        for text in found:
            print("    " + text)
        n_failed += bool(found)
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Writes a file as a C array: embed.py INPUT OUTPUT NAME."""

import sys

with open(sys.argv[1], "rb") as file:
    data = file.read()
name = sys.argv[3]
with open(sys.argv[2], "w") as out:
    out.write(f"#include <stddef.h>\n\nextern const char {name}[];\nextern const size_t {name}_size;\n"
              f"const char {name}[] = {{")
    for at, byte in enumerate(data):
        out.write("\n    " if at % 16 == 0 else " ")
        out.write(f"{byte if byte < 128 else byte - 256},")
    out.write(f"\n}};\nconst size_t {name}_size = sizeof {name};\n")

"""Makes a C table of the numbered migrations: embed.py OUT 0001-x.sql 0002-y.sql ..."""

import json
import pathlib
import sys

out, *files = sys.argv[1:]
rows = []
for number, file in enumerate(files, 1):
    path = pathlib.Path(file)
    if int(path.name.split("-")[0]) != number:
        sys.exit(f"{file}: migrations are numbered without a gap")
    lines = path.read_text(encoding="ascii").splitlines()
    text = "\n        ".join(json.dumps(line + "\n") for line in lines)
    rows.append(f"    {{{number}, {json.dumps(path.name)},\n        {text}}},\n")
pathlib.Path(out).write_text(
    "// Made from src/store/schema by embed.py.\n"
    '#include "store/sqlite/sqlite_internal.h"\n\n'
    "const struct migration migrations[] = {\n" + "".join(rows) + "};\n"
    f"const size_t n_migrations = {len(rows)};\n"
)

#!/usr/bin/python3
"""Turns compiled catalogues into C: embed.py OUT.c LANG=FILE.mo..."""

import sys


def main():
    out, *catalogues = sys.argv[1:]
    with open(out, "w", encoding="ascii") as c:
        c.write('#include "im/notices_shipped.h"\n\n')
        for item in catalogues:
            lang, path = item.split("=", 1)
            with open(path, "rb") as mo:
                data = mo.read()
            # aligned for nobody: the reader copies its words out
            c.write("static const unsigned char mo_%s[] = {%s};\n" % (lang, ",".join(map(str, data))))
        c.write("\nconst struct notices_shipped notices_shipped[] = {\n")
        for item in catalogues:
            lang = item.split("=", 1)[0]
            c.write('    {"%s", mo_%s, sizeof mo_%s},\n' % (lang.replace("_", "-"), lang, lang))
        c.write("};\nconst size_t notices_n_shipped = %d;\n" % len(catalogues))


main()

#!/usr/bin/env python3
"""Writes src/McpAuth.Protocol/Text/nfc.txt from the Unicode Character Database.

usage: nfc_table.py VERSION UnicodeData.txt [CompositionExclusions.txt] > src/McpAuth.Protocol/Text/nfc.txt
Without the exclusions file they are taken from the interpreter's own tables; Unicode has fixed that list (UAX #15 §5.1).
"""
import sys
import unicodedata

version, data = sys.argv[1:3]
excluded = None
if len(sys.argv) > 3:
    with open(sys.argv[3], encoding="utf-8") as lines:
        excluded = {int(line.split("#")[0], 16) for line in lines if line.split("#")[0].strip()}

classes, mappings = [], {}
with open(data, encoding="utf-8") as lines:
    for line in lines:
        field = line.split(";")
        point, ccc, mapping = int(field[0], 16), int(field[3]), field[5]
        if ccc:
            classes.append((point, ccc))
        if mapping and not mapping.startswith("<"):
            mappings[point] = [int(part, 16) for part in mapping.split()]

ccc_of = dict(classes)


def is_excluded(point, to):
    if excluded is not None and point in excluded:
        return True
    if ccc_of.get(point) or ccc_of.get(to[0]):
        return True  # a decomposition that starts with, or stands for, a non-starter
    if excluded is None and unicodedata.decomposition(chr(point)):
        return unicodedata.normalize("NFC", "".join(map(chr, to))) != chr(point)
    return False


print(f"# Canonical combining classes and decompositions of Unicode {version}, for Normalization Form C; made by tools/nfc_table.py.")
print("# c FIRST LAST CLASS | d POINT TO TO, composed again | x POINT TO [TO], never composed. Hangul syllables are arithmetic.")
ranges = []
for point, ccc in classes:
    if ranges and ranges[-1][1] == point - 1 and ranges[-1][2] == ccc:
        ranges[-1][1] = point
    else:
        ranges.append([point, point, ccc])
for first, last, ccc in ranges:
    print(f"c {first:04X} {last:04X} {ccc}")
for point, to in sorted(mappings.items()):
    kind = "x" if len(to) == 1 or is_excluded(point, to) else "d"
    print(kind, f"{point:04X}", *(f"{part:04X}" for part in to))

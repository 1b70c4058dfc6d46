#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes src/models/clip/unicode_table.c from Python's unicodedata, because the reference
tokenizer is Python: what it lowers, composes and drops is what its own tables say.

    tools/unicode_table.py > src/models/clip/unicode_table.c

Unicode 14.0.0, as Python 3.11 has it, so that the file is the same wherever it is made. A later
version would change nothing for prompts that this one knows: what is unassigned is dropped.
"""
import sys
import unicodedata

LAST = 0x110000
KINDS = ["OTHER", "LETTER", "NUMBER", "SPACE", "DROP", "SKIP"]
PLAIN, CASED, IGNORABLE = range(3)


def kind(c):
    char, category = chr(c), unicodedata.category(chr(c))
    if category[0] == "Z" or char in "\t\n\r":
        return "SPACE"
    if category[0] == "C" or c == 0xFFFD:
        return "DROP"
    if category[0] in "LN":
        return "LETTER" if category[0] == "L" else "NUMBER"
    # A mark whose capital is a letter (U+0345) is in no class of a pattern that ignores case.
    if any(unicodedata.category(v)[0] in "LN" for v in (char.upper(), char.lower()) if len(v) == 1):
        return "SKIP"
    return "OTHER"


def casing(c):
    """Cased and Case_Ignorable are not in unicodedata: the final sigma tells."""
    at_end = ("a\u03a3" + chr(c)).lower()[1] == "\u03c2"
    before_letter = ("a\u03a3" + chr(c) + "a").lower()[1] == "\u03c2"
    if not at_end:
        return CASED
    return PLAIN if before_letter else IGNORABLE


def canonical(c):
    text = unicodedata.decomposition(chr(c))
    return [int(x, 16) for x in text.split()] if text and text[0] != "<" else []


def compositions():
    pairs = {}
    for c in range(LAST):
        parts = canonical(c)
        if len(parts) == 2 and unicodedata.normalize("NFC", chr(c)) == chr(c):
            pairs[tuple(parts)] = c
    return pairs


def blocks_of(values, size):
    seen, index, flat = {}, [], []
    for at in range(0, LAST, size):
        block = tuple(values[at:at + size])
        if block not in seen:
            seen[block] = len(seen)
            flat.extend(block)
        index.append(seen[block])
    return index, flat


def table(ctype, name, values):
    print(f"const {ctype} {name}[] = {{")
    line = ""
    for v in values:
        piece = v if isinstance(v, str) else str(v)
        if len(line) + len(piece) + 2 > 94:
            print("    " + line.rstrip())
            line = ""
        line += piece + ", "
    print("    " + line.rstrip())
    print("};\n")


def main():
    if unicodedata.unidata_version != "14.0.0":
        sys.exit(f"needs Unicode 14.0.0 (Python 3.11), this Python has {unicodedata.unidata_version}")
    pairs = compositions()
    seconds = {b for _, b in pairs}
    decomposed = [(c, *canonical(c), 0)[:3] for c in range(LAST) if canonical(c)]
    properties, values = {}, []
    for c in range(LAST):
        lower = chr(c).lower()
        # The only one of two characters (U+0130) is written out in unicode.c.
        delta = ord(lower) - c if len(lower) == 1 and not 0xD800 <= c < 0xE000 else 0
        p = (KINDS.index(kind(c)), unicodedata.combining(chr(c)), casing(c), int(bool(canonical(c))),
             int(c in seconds), delta)
        values.append(properties.setdefault(p, len(properties)))
    assert [c for c in range(LAST) if len(chr(c).lower()) != 1] == [0x130]
    index, flat = blocks_of(values, 128)
    assert len(properties) <= 256 and max(index) < 256

    print("// SPDX-License-Identifier: MIT")
    print("// Made by tools/unicode_table.py from Python's unicodedata 14.0.0: change it there.")
    print('#include "models/clip/unicode.h"\n')
    print("// clang-format off")
    table("struct ph_unicode", "ph_unicode_records", ["{ " + ", ".join(map(str, p)) + " }" for p in properties])
    table("uint8_t", "ph_unicode_index", index)
    table("uint8_t", "ph_unicode_blocks", flat)
    table("struct ph_unicode_triple", "ph_unicode_decomposed",
          [f"{{ {a:#x}, {b:#x}, {c:#x} }}" for a, b, c in decomposed])
    print(f"const size_t ph_unicode_decomposed_count = {len(decomposed)};\n")
    table("struct ph_unicode_triple", "ph_unicode_composed",
          [f"{{ {a:#x}, {b:#x}, {c:#x} }}" for (a, b), c in sorted(pairs.items())])
    print(f"const size_t ph_unicode_composed_count = {len(pairs)};")
    print(len(properties), "records,", len(index), "blocks of which", len(flat) // 128, "differ", file=sys.stderr)


main()

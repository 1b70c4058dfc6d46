# SPDX-License-Identifier: MIT
"""Contact sheets of the generator, for the docs and for a person's eye.

  python3 tools/spark/sheet.py forms OUT.jpg        every form in several palettes
  python3 tools/spark/sheet.py palettes OUT.jpg     every palette on several forms
  python3 tools/spark/sheet.py treatments OUT.jpg   every treatment on several forms
  python3 tools/spark/sheet.py pairs OUT.jpg        two forms combined
"""
import argparse

import numpy
import torch
from PIL import Image, ImageDraw

import paint
import words


def rows_of(kind, wide, seed, only=None):
    """(labels, rows): a row is (form, second, palette, treatment)."""
    forms, palettes = len(words.FORM_NAMES), len(words.PALETTE_NAMES)
    plain = words.PLAIN
    if kind == "forms":
        names = only or words.FORM_NAMES
        return names, [(words.FORM_NAMES.index(n), -1, (5 * k + words.FORM_NAMES.index(n)) % palettes,
                        plain) for n in names for k in range(wide)]
    show = [0, 8, 12, 16, 3, 24, 15, 6, 18, 20]
    if kind == "palettes":
        names = words.PALETTE_NAMES
        return names, [(show[k], -1, i, plain) for i in range(palettes) for k in range(wide)]
    if kind == "treatments":
        names = words.TREATMENT_NAMES
        return names, [(show[k], -1, (3 * k + 1) % palettes, i)
                       for i in range(len(names)) for k in range(wide)]
    rows = [((7 * i + 3) % forms, (11 * i + 5 * k + 1) % forms, (3 * i + k) % palettes, plain)
            for i in range(6) for k in range(wide)]
    return [""] * 6, [(a, b if a != b else (b + 1) % forms, p, t) for a, b, p, t in rows]


def sheet(kind, wide, size, seed, columns=1, only=None):
    labels, rows = rows_of(kind, wide, seed, only)
    t = torch.tensor(rows)
    if kind in ("forms", "pairs"):
        seeds = torch.arange(len(rows)) + seed
    else:
        seeds = torch.arange(len(rows)) % wide + seed
    pictures = []
    for i in range(0, len(rows), 32):
        s = slice(i, i + 32)
        pictures.append(paint.render(t[s, 0], t[s, 1], t[s, 2], t[s, 3], seeds[s]))
    pictures = torch.cat(pictures)
    small = torch.nn.functional.interpolate(pictures, size=(size, size), mode="area")
    small = (small * 255).round().byte().permute(0, 2, 3, 1).numpy()
    high = -(-len(labels) // columns)
    left = 74 if any(labels) else 0
    page = Image.new("RGB", ((left + wide * size) * columns, high * size), "white")
    draw = ImageDraw.Draw(page)
    for i, label in enumerate(labels):
        x, y = i // high * (left + wide * size), i % high * size
        draw.text((x + 4, y + size // 2 - 6), label, fill="black")
        for k in range(wide):
            page.paste(Image.fromarray(numpy.ascontiguousarray(small[i * wide + k])),
                       (x + left + k * size, y))
    return page


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("kind", choices=["forms", "palettes", "treatments", "pairs"])
    p.add_argument("out")
    p.add_argument("--wide", type=int, default=5, help="pictures a line [5]")
    p.add_argument("--size", type=int, default=96, help="pixels of each [96]")
    p.add_argument("--columns", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", help="forms, with commas between")
    a = p.parse_args()
    only = a.only.split(",") if a.only else None
    page = sheet(a.kind, a.wide, a.size, a.seed, a.columns, only)
    page.save(a.out, quality=76)


if __name__ == "__main__":
    main()

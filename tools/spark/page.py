# SPDX-License-Identifier: MIT
"""Tables of figures beside their bars, between marks of a page."""
import os

BEGIN, END = "<!-- measured: quality.py -->", "<!-- end -->"


def table(figures, note, begin=BEGIN):
    lines = [begin, note, "", "| | measured | bar | |", "|---|---|---|---|"]
    for name, value, sign, bar in figures:
        met = "" if bar is None else ("met" if (value >= bar if sign == ">=" else value <= bar) else "missed")
        lines.append(f"| {name} | {value:.3g} | {f'{sign} {bar:g}' if bar is not None else ''} | {met} |")
    return "\n".join(lines + [END])


def put(path, text, begin=BEGIN):
    """Between the marks of the page, or as a page of its own."""
    old = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            old = f.read()
    if begin in old:
        at = old.index(begin)
        text = old[:at] + text + old[old.index(END, at) + len(END):]
    with open(path, "w", encoding="utf-8") as f:
        f.write(text if text.endswith("\n") else text + "\n")

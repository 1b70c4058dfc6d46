#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""floor.py [TFLOP/s [GB/s]]: what one picture of SD-Turbo at 512x512 costs at the least, by class of layer.

Operations over the rate of the matrix units, bytes over the memory's bandwidth (weights once, values read
and written once, bf16), and how many blocks of 128x128 and 64x64 results a product has for 132
multiprocessors. The defaults are of an H200; measure your own. Shapes only: no model is needed.
"""
import sys

RATE = float(sys.argv[1]) if len(sys.argv) > 1 else 790.0
BANDWIDTH = float(sys.argv[2]) if len(sys.argv) > 2 else 4300.0
CHANNELS, TEXT, TOKENS, SIDE = (320, 640, 1280, 1280), 1024, 77, 64
products = []  # (class, side, m, n, k, taps)
attention = []  # (side, queries, keys, heads)
norms = []  # elements


def conv(side, into, out, taps=9):
    products.append(("3x3 convolutions" if taps == 9 else "1x1, linear", side, side * side, out, into, taps))


def linear(side, rows, into, out):
    products.append(("1x1, linear", side, rows, out, into, 1))


def residual(side, into, out):
    norms.extend([side * side * into, side * side * out])
    conv(side, into, out)
    conv(side, out, out)
    if into != out:
        conv(side, into, out, 1)


def transformer(side, c):
    rows = side * side
    norms.extend([rows * c] * 4)
    linear(side, rows, c, c)
    for keys in (rows, TOKENS):
        linear(side, rows, c, c if keys == TOKENS else 3 * c)  # keys and values of the text are kept
        attention.append((side, rows, keys, c // 64))
        linear(side, rows, c, c)
    linear(side, rows, c, 8 * c)
    linear(side, rows, 4 * c, c)
    linear(side, rows, c, c)


def unet():
    side, at, skips = SIDE, CHANNELS[0], [CHANNELS[0]]
    conv(side, 4, at)
    for i, c in enumerate(CHANNELS):
        for _ in range(2):
            residual(side, at, c)
            if i < 3:
                transformer(side, c)
            at = c
            skips.append(at)
        if i < 3:
            side //= 2
            conv(side, at, at)
            skips.append(at)
    residual(side, at, at)
    transformer(side, at)
    residual(side, at, at)
    for i, c in enumerate(reversed(CHANNELS)):
        for _ in range(3):
            residual(side, at + skips.pop(), c)
            if i > 0:
                transformer(side, c)
            at = c
        if i < 3:
            side *= 2
            conv(side, at, at)
    norms.append(side * side * at)
    conv(side, at, 4)


def up(n, to):
    return -(-n // to)


def row(name, layers, flops, size, blocks=""):
    by_rate, by_bytes = flops / RATE / 1e9, size / BANDWIDTH / 1e6
    print("%-24s %4d %9.1f %9.1f %8.3f %8.3f  %s" % (name, layers, flops / 1e9, size / 1e6, by_rate, by_bytes, blocks))
    return max(by_rate, by_bytes)


def main():
    unet()
    print("%-24s %4s %9s %9s %8s %8s  %s" % ("class", "n", "GFLOP", "MB", "ms rate", "ms bytes", "blocks of 128, of 64 (least, most)"))
    total = layers = flops = 0
    for kind in ("3x3 convolutions", "1x1, linear"):
        for side in (64, 32, 16, 8):
            these = [p for p in products if p[0] == kind and p[1] == side]
            f = sum(2 * m * n * k * taps for _, _, m, n, k, taps in these)
            size = sum(2 * (n * k * taps + m * n + m * k) for _, _, m, n, k, taps in these)
            count = [sorted(up(m, t) * up(n, t) for _, _, m, n, _, _ in these) for t in (128, 64)]
            total += row("%s, %dx%d" % (kind, side, side), len(these), f, size,
                         "%d..%d, %d..%d" % (count[0][0], count[0][-1], count[1][0], count[1][-1]))
            layers, flops = layers + len(these), flops + f
    f = sum(4 * q * keys * heads * 64 for _, q, keys, heads in attention)
    size = sum(2 * 64 * heads * (2 * q + 2 * keys) for _, q, keys, heads in attention)
    total += row("attention", len(attention), f, size)
    total += row("norms", len(norms), 0, sum(4 * n + 2 * n for n in norms), "f32 read, bf16 written")
    layers, flops = layers + len(attention) + len(norms), flops + f
    for name, f, n, size in (("TAESD encoder", 122e9, 30, 420e6), ("TAESD decoder", 141e9, 40, 480e6)):
        total += row(name, n, f, size)
        layers, flops = layers + n, flops + f
    print("%-24s %4d %9.1f %27.3f ms, %.0f pictures a second at %.0f TFLOP/s and %.0f GB/s" %
          ("all", layers, flops / 1e9, total, 1e3 / total, RATE, BANDWIDTH))


main()

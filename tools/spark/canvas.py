# SPDX-License-Identifier: MIT
"""What forms are drawn with: coordinates, random numbers and noise for a group of rows at once.

A row's picture depends on its seed alone, not on the batch it is drawn in: all random numbers are
hashes of (seed, what for). Value noise comes from a lattice of 64 x 64 such numbers a row."""
import math

import torch
from torch.nn import functional as F

LATTICE, CHANNELS = 64, 4
M1, M2, M3 = -7046029254386353131, -4658895280553007687, -7723592293110705685  # splitmix64


def mix(x):
    """int64 -> int64: splitmix64's finish, with logical shifts."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * M2
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * M3
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def unit(x):
    """int64 hashes -> [0, 1)."""
    return ((x >> 20) & 0xFFFFFF).float() * (1.0 / (1 << 24))


def uniform(seed, what):
    """seed: int64 tensor; what: a small integer or an int64 tensor that broadcasts."""
    step = what * M1 if torch.is_tensor(what) else (what * M1 + (1 << 63)) % (1 << 64) - (1 << 63)
    return unit(mix(mix(seed * M1 + 1) + step))


def sstep(low, high, x):
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def fract(x):
    return x - torch.floor(x)


def lerp(a, b, t):
    return a + (b - a) * t


class Canvas:
    """x, y [b, h, w]: the middle is 0, the nearer edge 1, y downwards; px [b, 1, 1]: a pixel."""

    def __init__(self, seed, x, y, px):
        self.seed, self.x, self.y, self.px = seed, x, y, px
        self.tex = None

    def u(self, what):
        return uniform(self.seed, what)[:, None, None]

    def between(self, what, low, high):
        return low + (high - low) * self.u(what)

    def whole(self, what, low, high):
        return torch.floor(self.between(what, low, high + 0.999))

    def sign(self, what):
        return torch.where(self.u(what) < 0.5, -1.0, 1.0)

    def angle(self, what):
        return self.u(what) * (2 * math.pi)

    def turned(self, angle, x=None, y=None):
        x, y = (self.x, self.y) if x is None else (x, y)
        c, s = torch.cos(angle), torch.sin(angle)
        return x * c - y * s, x * s + y * c

    def polar(self, x=None, y=None):
        x, y = (self.x, self.y) if x is None else (x, y)
        return torch.sqrt(x * x + y * y + 1e-8), torch.atan2(y, x)

    # -------------------------------------------------------------------------- noise
    def lattice(self):
        if self.tex is None:
            n = LATTICE * LATTICE * CHANNELS
            cell = torch.arange(n, device=self.seed.device) + 1000
            t = uniform(self.seed[:, None], cell[None]) * 2 - 1
            t = t.view(-1, CHANNELS, LATTICE, LATTICE)
            self.flat = t.flatten(2)
            t = torch.cat([t, t[:, :, :1]], 2)
            self.tex = torch.cat([t, t[:, :, :, :1]], 3)  # wraps
        return self.tex

    def noise(self, x, y, channel=0):
        """Value noise in [-1, 1] with a period of 64."""
        tex = self.lattice()[:, channel:channel + 1]
        grid = torch.stack([x, y], -1)
        cell = torch.floor(grid)
        f = grid - cell
        f = f * f * f * (f * (f * 6 - 15) + 10)
        grid = (torch.remainder(cell, LATTICE) + f) * (2.0 / LATTICE) - 1
        return F.grid_sample(tex, grid, mode="bilinear", padding_mode="border",
                             align_corners=True)[:, 0]

    def fbm(self, x, y, octaves=4, channel=0, gain=0.5):
        """Sum of octaves, about [-1, 1]; each turned, so that no lattice shows."""
        total, amplitude, whole = 0, 1.0, 0.0
        for i in range(octaves):
            total = total + amplitude * self.noise(x + 7.3 * i, y + 3.1 * i, channel)
            whole += amplitude
            amplitude *= gain
            x, y = 1.6 * x + 1.2 * y, -1.2 * x + 1.6 * y
        return total * (1.5 / whole)

    def at(self, ix, iy, channel=0):
        """The lattice's number of whole coordinates, in [0, 1)."""
        self.lattice()
        ix, iy = torch.remainder(ix, LATTICE), torch.remainder(iy, LATTICE)
        index = (iy * LATTICE + ix).long().expand(len(self.seed), -1, -1)
        got = torch.gather(self.flat[:, channel], 1, index.flatten(1)).view(index.shape)
        return got * 0.5 + 0.5

    def voronoi(self, x, y, jitter=0.85):
        """(nearest, second nearest, number of the cell in [0, 1), dx, dy to its centre)."""
        ix, iy = torch.floor(x), torch.floor(y)
        first = second = torch.full_like(x, 9.0)
        number, vx, vy = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
        for j in (-1, 0, 1):
            for i in (-1, 0, 1):
                cx, cy = ix + i, iy + j
                dx = cx + 0.5 + (self.at(cx, cy, 0) - 0.5) * jitter - x
                dy = cy + 0.5 + (self.at(cx, cy, 1) - 0.5) * jitter - y
                d = torch.sqrt(dx * dx + dy * dy + 1e-9)
                nearer = d < first
                second = torch.where(nearer, first, torch.minimum(second, d))
                first = torch.where(nearer, d, first)
                number = torch.where(nearer, self.at(cx, cy, 2), number)
                vx, vy = torch.where(nearer, dx, vx), torch.where(nearer, dy, vy)
        return first, second, number, vx, vy

    def stars(self, density=14.0, channel=3):
        """A field of stars, 0 .. 1."""
        x, y = self.x * density + 31, self.y * density + 17
        ix, iy = torch.floor(x), torch.floor(y)
        bright = self.at(ix, iy, channel)
        dx = x - ix - 0.2 - 0.6 * self.at(ix + 5, iy, 1)
        dy = y - iy - 0.2 - 0.6 * self.at(ix, iy + 9, 0)
        size = torch.clamp(self.px * density * 0.75, min=0.05)
        spot = torch.exp(-(dx * dx + dy * dy) / (size * size))
        return spot * torch.clamp(bright - 0.55, min=0) * 2.2

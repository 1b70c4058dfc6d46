# SPDX-License-Identifier: MIT
"""Forms, first half. Each draws a group of rows: form(canvas) -> (value, shade, light), [b, h, w]:
value in [0, 1] is the place in the palette from dark to bright, shade multiplies the colour,
light is added as the palette's brightest colour. Every edge is as wide as a pixel (canvas.px)."""
import math

import torch

from canvas import fract, lerp, sstep

TAU = 2 * math.pi


def waves(c):
    x, y = c.turned(c.between(1, -0.12, 0.12))
    v = 0.86 - 0.28 * (y + 1) + 0.05 * c.fbm(x * 1.5, y * 3, 3)
    light = torch.zeros_like(x)
    k0, speed = c.between(2, 2.2, 4.0), c.between(3, 0.6, 1.4)
    for i in range(7):
        depth = i / 6
        base = -0.62 + 1.45 * depth
        k = k0 * (1.5 - 0.75 * depth)
        phase = c.angle(10 + i) + speed * i
        lean = 0.35 * torch.sin(k * x + phase + 0.7)
        h = torch.sin(k * x + phase + lean) * 0.5 + 0.5
        h = h ** 1.6 + 0.12 * c.noise(x * 3 + 9 * i, x * 0 + i, 1)
        d = y - base + (0.13 + 0.13 * depth) * h
        inside = sstep(-c.px, c.px, d)
        body = 0.62 - 0.42 * depth + 0.34 * torch.exp(-d.clamp(min=0) * 5)
        body = body + 0.06 * torch.sin(d * (46 - 22 * depth) + 4 * h + phase) * torch.exp(-d * 3)
        v = lerp(v, body, inside)
        foam = torch.exp(-((d - 0.008) / (0.012 + 0.008 * depth)) ** 2) * inside
        light = light * (1 - inside) + foam * (0.25 + 0.6 * h)
    return v, 1, light


def rings(c):
    x = c.x - c.between(1, -0.35, 0.35)
    y = c.y - c.between(2, -0.35, 0.35)
    r, a = c.polar(x, y)
    r = r * (1 + c.between(3, 0, 0.05) * torch.sin(a * c.whole(4, 2, 5) + c.angle(5)))
    n = c.between(6, 4.5, 9)
    t = r * n + c.u(7)
    part = fract(t)
    number = torch.floor(t)
    tone = c.at(number, torch.zeros_like(number), 2)
    edge = c.px * n * 1.2
    width = c.between(8, 0.55, 0.85)
    ring = sstep(0, edge, part) * (1 - sstep(width, width + edge, part))
    round_ = torch.sin(part / width * math.pi).clamp(0, 1)
    v = lerp(0.06 + 0 * r, 0.3 + 0.62 * tone, ring)
    return v, lerp(torch.ones_like(r), 0.6 + 0.5 * round_, ring), 0.28 * ring * round_ ** 6


def spiral(c):
    x = c.x - c.between(1, -0.2, 0.2)
    y = c.y - c.between(2, -0.2, 0.2)
    r, a = c.polar(x, y)
    arms, twist = c.whole(3, 2, 6), c.between(4, 2.5, 5.0) * c.sign(5)
    t = arms * a + twist * arms * 0.75 * torch.log(r + 0.04) + c.angle(6)
    s = torch.sin(t)
    edge = (c.px * 1.2 * arms * (1 + twist.abs()) / (r + 0.04)).clamp(0.02, 0.9)
    band = sstep(-edge, edge, s)
    rim = s.clamp(min=0)
    v = lerp(0.10 + 0.22 * r, 0.92 - 0.42 * r.clamp(max=1.3), band)
    shade = lerp(0.75 + 0.25 * s, 0.72 + 0.33 * rim, band)
    return v, shade, 0.55 * torch.exp(-r * r * 30) + 0.12 * band * rim ** 8


def tunnel(c):
    x = c.x - c.between(1, -0.3, 0.3)
    y = c.y - c.between(2, -0.3, 0.3)
    sides = c.whole(3, 4, 8)
    a = torch.atan2(y, x) + c.angle(4)
    wedge = TAU / sides
    near = (fract(a / wedge) - 0.5) * wedge
    r = torch.sqrt(x * x + y * y + 1e-8) * torch.cos(near) / torch.cos(wedge / 2)
    r = r.clamp(min=0.012)
    z = 0.95 / r + c.between(5, 0, 3)
    twist = z * c.between(6, -0.12, 0.12)
    side = torch.floor(torch.remainder(a / wedge + twist, sides))
    part = fract(z)
    slow = 1 / (1 + (c.px / (r * r)) * 1.8)  # panels melt before they would flicker
    tone = c.at(torch.floor(z), side, 2)
    frame_z = sstep(0.0, 0.09, part) * (1 - sstep(0.91, 1.0, part))
    strip = fract(a / wedge + twist)
    frame_a = sstep(0, 0.06, strip) * (1 - sstep(0.94, 1, strip))
    panel = frame_z * frame_a
    v = lerp(0.42 + 0 * r, lerp(0.75 + 0 * r, 0.18 + 0.62 * tone, panel), slow)
    fog = torch.exp(-r * c.between(7, 5.0, 8.0))
    grain = 0.10 * torch.sin(z * 4 * TAU) * slow * slow + 0.16 * (strip - 0.5)
    v = v + grain * panel
    shade = 0.35 + 0.75 * r.clamp(max=1) ** 0.6 * (1 - fog)
    return lerp(v, torch.ones_like(v), fog), lerp(shade, torch.ones_like(v), fog), 0.35 * fog


def flames(c):
    x, y = c.x * c.between(1, 1.6, 2.6), c.y
    up = (1 - y) * 0.5  # 0 at the bottom, 1 at the top
    wob = c.fbm(x * 1.1 + 3, y * 1.4 + 9, 3, 1)
    n = c.fbm(x + 0.55 * wob, y * 0.85 + 0.9 * wob + c.u(2) * 40, 5, 0, 0.55)
    tongues = c.noise(x * 1.5 + 0.5 * wob, y * 0.35 + 20, 2)
    heat = 1.35 - 1.75 * up + 0.75 * n * (0.35 + up) + 0.55 * tongues * (0.2 + up)
    heat = sstep(-0.05, 1.25, heat)
    lick = sstep(0.25, 0.0, n.abs()) * sstep(0.05, 0.5, heat) * (1 - heat)
    spark = c.stars(11.0) * sstep(0.75, 0.1, heat) * sstep(1.0, 0.3, up)
    return heat * 0.95 + 0.25 * lick, 1, 0.9 * spark + 0.15 * heat ** 6


def smoke(c):
    x, y = c.turned(c.between(1, -0.3, 0.3))
    up = ((1 - y) * 0.5).clamp(min=0)
    wob = c.fbm(x * 1.2, y * 1.2 + 5, 4, 1)
    sway = 0.25 * c.sign(2) * torch.sin(y * c.between(3, 1.5, 3.0) + c.angle(4)) * up + 0.5 * wob * up
    d = x - sway - c.between(5, -0.25, 0.25)
    width = 0.10 + 0.62 * up ** 1.2
    q = d / width
    n = c.fbm(q * 1.2 + 1.5 * wob, y * 1.6 + 1.2 * wob + 20, 5, 0, 0.55)
    fold = 1 - (c.fbm(q * 0.9 + 1.9 * wob, y * 1.3 + 40, 4, 2)).abs() * 1.7
    body = torch.exp(-q * q * 1.1)
    density = (body * (0.50 + 0.55 * n + 0.45 * fold.clamp(0, 1) ** 3)).clamp(0, 1.2)
    density = density * (0.55 + 0.45 * sstep(1.15, 0.1, up))
    return 0.05 + 0.85 * density, 0.85 + 0.15 * fold.clamp(0, 1), 0.18 * body * fold.clamp(0, 1) ** 6


def nebula(c):
    s = c.between(1, 0.9, 1.5)
    x, y = c.turned(c.angle(2), c.x * s, c.y * s)
    wx, wy = c.fbm(x + 5, y, 4, 1), c.fbm(x, y + 9, 4, 2)
    n = c.fbm(x * 1.1 + 1.1 * wx, y * 1.1 + 1.1 * wy, 6, 0, 0.55)
    dust = sstep(0.0, 0.55, c.fbm(x * 1.3 + 0.8 * wy + 30, y * 1.3 - 0.8 * wx, 5, 3, 0.55))
    gas = sstep(-0.55, 0.8, n + 0.35 * wx)
    v = gas ** 1.4 * 0.95 * (1 - 0.75 * dust) + 0.03
    core = torch.exp(-((c.x - c.between(3, -0.4, 0.4)) ** 2 +
                       (c.y - c.between(4, -0.4, 0.4)) ** 2) * 5)
    light = 0.9 * c.stars(13.0) + 0.6 * c.stars(23.0, 2) + 0.3 * core * gas
    return v + 0.25 * core * gas, 1 - 0.35 * dust, light


def aurora(c):
    x, y = c.x, c.y
    glow = torch.zeros_like(x)
    tone = torch.zeros_like(x)
    for i in range(3):
        bend = c.between(10 + i, 0.18, 0.42)
        base = -0.05 + 0.24 * i + c.between(20 + i, -0.12, 0.12)
        edge = base + bend * torch.sin(x * c.between(30 + i, 1.2, 2.8) + c.angle(40 + i)) \
            + 0.16 * c.noise(x * 1.7 + 9 * i, x * 0 + 3 * i, 1)
        above = edge - y
        ray = 0.5 + 0.5 * c.noise(x * 9 + above * 0.6 + 11 * i, above * 0.3 + 7 * i, 0)
        ray = 0.45 + 0.75 * ray * ray + 0.2 * c.noise(x * 22 + 3 * i, above * 0.2 + 5, 2)
        height = c.between(50 + i, 0.35, 0.65)
        curtain = sstep(-0.05, 0.03, above) * torch.exp(-above.clamp(min=0) / height * 1.6)
        glow = glow + curtain * ray * (0.85 - 0.18 * i)
        tone = torch.maximum(tone, curtain * (1 - (above / height).clamp(0, 1) * 0.45))
    sky = 0.05 + 0.10 * (y + 1) * 0.5
    v = sky + 0.92 * glow.clamp(0, 1.05) * (0.55 + 0.45 * tone)
    hill = 0.80 + 0.10 * c.fbm(x * 1.5, x * 0 + 9, 4, 2) - y
    land = sstep(c.px, -c.px, hill)
    light = 0.8 * c.stars(15.0) * (1 - glow.clamp(0, 1))
    return lerp(v, torch.full_like(v, 0.02), land), 1 - 0.6 * land, light * (1 - land)


def crystals(c):
    ox, oy = c.between(1, -0.35, 0.35), c.between(2, 0.3, 1.0)
    r, a = c.polar(c.x - ox, c.y - oy)
    k = c.between(3, 2.3, 3.2)
    first, second, number, dx, dy = c.voronoi(a * k + 20, r * 1.35 + 20 + c.u(4) * 9, 1.0)
    edge = (second - first)
    tilt = (number * 17) % 1.0 * TAU
    facet = (dx * torch.cos(tilt) + dy * torch.sin(tilt))
    split = torch.where(dx + 0.25 * facet > 0, 0.26, 0.0)
    v = 0.10 + 0.62 * number + split + 0.16 * facet
    width = 0.02 + c.px * 1.3
    line = sstep(width * 1.8, width * 0.4, edge)
    ridge = sstep(width * 1.6, 0, (dx + 0.25 * facet).abs()) * 0.5
    shine = sstep(0.55, 0.95, (number * 29) % 1.0) * sstep(0.5, 0.0, first)
    return v, 0.68 + 0.32 * sstep(0, 0.25, edge), 0.42 * line + 0.3 * ridge + 0.3 * shine


def cells(c):
    s = c.between(1, 2.2, 3.6)
    x, y = c.turned(c.angle(2), c.x * s + 20, c.y * s + 20)
    x, y = x + 0.18 * c.noise(x * 1.3, y * 1.3, 3), y + 0.18 * c.noise(x * 1.3 + 9, y * 1.3, 3)
    first, second, number, dx, dy = c.voronoi(x, y)
    wall = sstep(0.02, 0.16, second - first)
    body = 0.42 + 0.26 * (1 - first) + 0.12 * (number - 0.5)
    grain = 0.06 * c.noise(x * 7, y * 7, 2)
    px, py = dx + 0.12 * (number - 0.5), dy + 0.12 * ((number * 13) % 1.0 - 0.5)
    core = torch.sqrt(px * px + py * py + 1e-9)
    size = 0.13 + 0.07 * ((number * 7) % 1.0)
    nucleus = sstep(size + 0.03, size - 0.03, core)
    spot = sstep(size * 0.5, size * 0.3, core)
    v = lerp(torch.full_like(x, 0.05), body + grain, wall)
    v = lerp(v, 0.22 + 0.5 * (1 - core / size).clamp(0, 1), nucleus)
    rim = torch.exp(-((second - first - 0.20) / 0.05) ** 2)
    return v, 1, 0.16 * rim * wall + 0.4 * spot


def marble(c):
    s = c.between(1, 0.9, 1.5)
    x, y = c.turned(c.angle(2), c.x * s, c.y * s)
    w = c.fbm(x * 1.1, y * 1.1, 5, 0, 0.55)
    w2 = c.fbm(x * 1.7 + 9, y * 1.7, 5, 1, 0.55)
    t = torch.sin(x * c.between(3, 1.5, 2.6) + 2.6 * w)
    t2 = torch.sin(y * c.between(4, 2.2, 4.0) - x + 2.8 * w2 + 2)
    vein = torch.exp(-t.abs() * 13) + 0.45 * torch.exp(-t2.abs() * 22)
    cloud = 0.76 + 0.16 * w2 + 0.10 * w
    v = (cloud - 0.68 * vein.clamp(0, 1) - 0.18 * torch.exp(-t.abs() * 3)).clamp(0.02, 1)
    gold = torch.exp(-((t.abs() - 0.10) / 0.02) ** 2) * sstep(0.1, 0.5, w2)
    return v, 1, 0.25 * gold


def julia(c):
    turn = c.angle(1)
    s = c.between(2, 0.95, 1.25)
    zx, zy = c.turned(turn, c.x * s, c.y * s)
    pick = c.whole(3, 0, 6).long()
    spots = torch.tensor([[-0.8, 0.156], [-0.7269, 0.1889], [0.285, 0.01], [-0.4, 0.6],
                          [-0.835, -0.2321], [-0.70176, -0.3842], [-0.75, 0.11]],
                         device=zx.device)
    cx = spots[pick, 0] + c.between(4, -0.012, 0.012)
    cy = spots[pick, 1] + c.between(5, -0.012, 0.012)
    count = torch.zeros_like(zx)
    trap = torch.full_like(zx, 4.0)
    alive = torch.ones_like(zx)
    last = torch.zeros_like(zx)
    for _ in range(48):
        zx, zy = zx * zx - zy * zy + cx, 2 * zx * zy + cy
        m = zx * zx + zy * zy
        alive = alive * (m < 64)
        count = count + alive
        last = torch.where(alive > 0, m, last)
        trap = torch.minimum(trap, torch.where(alive > 0, m, trap))
        zx, zy = zx.clamp(-9, 9), zy.clamp(-9, 9)
    smooth = count - torch.log2(torch.log2(last.clamp(min=1.2)) + 1) * 0.7
    inside = (count > 47.5).float()
    v = 1 - torch.exp(-smooth * 0.072)
    v = lerp(v, 0.05 + 0.9 * (1 - trap.sqrt().clamp(0, 1)), inside)
    return v, 1, 0.14 * sstep(0.75, 0.98, v)


FIRST = {"waves": waves, "rings": rings, "spiral": spiral, "tunnel": tunnel, "flames": flames,
         "smoke": smoke, "nebula": nebula, "aurora": aurora, "crystals": crystals, "cells": cells,
         "marble": marble, "julia": julia}

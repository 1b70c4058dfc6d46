# SPDX-License-Identifier: MIT
"""Forms, second half: see forms.py."""
import math

import torch

from canvas import fract, lerp, sstep

TAU = 2 * math.pi


def lattice(c):
    n = c.between(1, 2.6, 4.4)
    x, y = c.turned(c.between(2, -0.5, 0.5) + 0.25 * math.pi * c.whole(3, 0, 1), c.x * n, c.y * n)
    x, y = x + 20.5, y + 20.5
    half = c.between(4, 0.22, 0.33)
    ix, iy = torch.floor(x), torch.floor(y)
    dx, dy = fract(x) - 0.5, fract(y) - 0.5
    edge = c.px * n
    bar_v = sstep(half + edge, half - edge, dx.abs())  # runs along y
    bar_h = sstep(half + edge, half - edge, dy.abs())
    over = (torch.remainder(ix + iy, 2) < 0.5).float()
    round_v = torch.sqrt((1 - (dx / half) ** 2).clamp(0, 1))
    round_h = torch.sqrt((1 - (dy / half) ** 2).clamp(0, 1))
    dip_v = 0.62 + 0.38 * torch.where(over > 0.5, torch.ones_like(dy), (dy.abs() * 2).clamp(0, 1))
    dip_h = 0.62 + 0.38 * torch.where(over > 0.5, (dx.abs() * 2).clamp(0, 1), torch.ones_like(dx))
    tone_v, tone_h = 0.62 + 0.25 * (c.at(ix, ix * 0, 2) - 0.5), 0.40 + 0.25 * (c.at(iy, iy * 0, 3) - 0.5)
    top_v = torch.where(over > 0.5, bar_v, bar_v * (1 - bar_h))
    v, shade = torch.full_like(x, 0.04), torch.ones_like(x)
    v = lerp(v, tone_h, bar_h)
    shade = lerp(shade, (0.45 + 0.6 * round_h) * dip_h, bar_h)
    light = 0.25 * bar_h * round_h ** 8
    v = lerp(v, tone_v, top_v)
    shade = lerp(shade, (0.45 + 0.6 * round_v) * dip_v, top_v)
    light = lerp(light, 0.3 * round_v ** 8, top_v)
    return v, shade, light


def ink(c):
    x, y = c.turned(c.between(1, -0.5, 0.5))
    w1, w2 = c.fbm(x * 1.3, y * 1.3 + 5, 5, 0, 0.5), c.fbm(x * 1.3 + 7, y * 1.3, 5, 1, 0.5)
    u, w = x + 0.55 * w1, y + 0.55 * w2
    fold = c.fbm(u * 1.2 + 9 + 0.7 * w2, w * 1.2 + 0.7 * w1, 5, 2, 0.55)
    stem = torch.exp(-((u - c.between(2, -0.2, 0.2)) / (0.16 + 0.14 * (y + 1))) ** 2) * sstep(0.7, 0.0, y)
    head = torch.exp(-((u - c.between(3, -0.25, 0.25)) ** 2 * 1.3 + (w - c.between(4, -0.1, 0.35)) ** 2 * 1.9))
    density = (1.25 * head + 0.55 * stem) * (0.65 + 0.6 * fold) - 0.08
    curl = (1 - (fold * 2.4).abs()).clamp(0, 1) ** 2
    dense = sstep(0.0, 0.85, density + 0.18 * curl * sstep(0.05, 0.3, density))
    v = 0.97 - 0.92 * dense + 0.16 * curl * dense
    return v.clamp(0.02, 1), 1, 0.22 * (1 - dense)


def metal(c):
    s = c.between(1, 0.8, 1.3)
    x, y = c.turned(c.angle(2), c.x * s, c.y * s)

    def height(x, y):
        wx, wy = c.noise(x * 1.1 + 3, y * 1.1, 1), c.noise(x * 1.1, y * 1.1 + 7, 2)
        return c.noise(x * 1.5 + 0.9 * wx, y * 1.5 + 0.9 * wy, 0) + 0.35 * c.noise(x * 3 + wy, y * 3 + wx, 3)

    e = 0.02
    h = height(x, y)
    nx, ny = (height(x + e, y) - h) / e * 0.42, (height(x, y + e) - h) / e * 0.42
    inv = torch.rsqrt(nx * nx + ny * ny + 1)
    mx, my = nx * inv, ny * inv
    sky = torch.sin(my * 5.2 + mx * 1.7 + 0.8 * h + c.angle(3))
    v = 0.5 + 0.47 * torch.tanh(2.4 * sky)
    band = torch.sin(mx * 9 - my * 3 + 2 * h)
    v = v * (0.82 + 0.18 * band)
    spec = torch.exp(-((mx + 0.28) ** 2 + (my + 0.34) ** 2) * 34)
    return v, 0.72 + 0.28 * inv, 0.85 * spec + 0.12 * sstep(0.9, 1.0, sky)


def petals(c):
    x = c.x - c.between(1, -0.15, 0.15)
    y = c.y - c.between(2, -0.15, 0.15)
    r, a = c.polar(x, y)
    n = c.whole(3, 5, 9)
    v = 0.06 + 0.08 * c.fbm(x * 1.3, y * 1.3, 3)
    shade, light = torch.ones_like(r), torch.zeros_like(r)
    sharp = c.between(4, 0.45, 0.85)
    turn = c.angle(5)
    for i in range(5):
        size = 1.12 - 0.20 * i
        t = (a + turn + i * math.pi / n) * n / 2
        wide = torch.cos(t).abs() ** sharp
        reach = size * (0.42 + 0.58 * wide)
        d = reach - r
        inside = sstep(-c.px, c.px, d)
        q = (r / reach).clamp(0, 1)
        body = 0.28 + 0.10 * i + 0.42 * q ** 1.5
        rib = 0.05 * torch.cos(t * 9) * (1 - q) + 0.04 * torch.cos(torch.sin(t) * 26)
        v = lerp(v, body + rib, inside)
        dark = 0.45 + 0.55 * sstep(0.0, 0.55, q) * (0.55 + 0.45 * wide)
        shade = lerp(shade * (1 - 0.4 * sstep(-0.10, 0, d)), dark, inside)
        light = lerp(light, 0.25 * torch.exp(-(d / 0.025) ** 2), inside)
    core = sstep(0.17 + c.px, 0.17 - c.px, r)
    dots = 0.5 + 0.5 * torch.cos(r * 90) * torch.cos(a * 14)
    v = lerp(v, 0.72 + 0.25 * dots, core)
    return v, lerp(shade, 1.0 - r * 2, core), lerp(light, 0.15 * dots, core)


def mountains(c):
    x, y = c.x, c.y
    v = 0.95 - 0.42 * (1 - y) * 0.5 - 0.12 * c.u(1)
    sx, sy = c.between(2, -0.6, 0.6), c.between(3, -0.75, -0.35)
    r = torch.sqrt((x - sx) ** 2 + (y - sy) ** 2)
    size = c.between(4, 0.09, 0.17)
    disc = sstep(size + c.px, size - c.px, r)
    light = disc + 0.4 * torch.exp(-(r - size).clamp(min=0) * 5)
    shade = torch.ones_like(x)
    for i in range(5):
        depth = i / 4
        k = 1.1 + 0.9 * (1 - depth)
        ridge = 0
        amplitude, f = 1.0, k
        for o in range(6):
            n = c.noise(x * f + 13 * i + 5 * o + c.u(10) * 20, x * 0 + 3 * i + o, o % 3)
            ridge = ridge + amplitude * (1 - 1.6 * n.abs() if o < 2 else n)
            amplitude, f = amplitude * 0.48, f * 2.03
        top = -0.20 + 0.27 * i - (0.30 + 0.06 * i) * (ridge - 0.6)
        d = y - top
        inside = sstep(-c.px, c.px, d)
        fog = (1 - torch.exp(-d.clamp(min=0) * (3.2 - 1.6 * depth))) * (0.42 - 0.30 * depth)
        tone = 0.66 - 0.60 * depth + fog
        rock = c.fbm(x * 5 + 3 * i, (y + 0.6 * x) * 5, 3, 3) * 0.07 * (1 - 0.4 * depth)
        snow = torch.exp(-(d.clamp(min=0) / 0.10)) * 0.16 * (1 - depth)
        v = lerp(v, tone + rock + snow, inside)
        light = light * (1 - inside)
        shade = lerp(shade, torch.ones_like(x), inside)
    return v, shade, light


def planet(c):
    size = c.between(1, 0.52, 0.78)
    x = (c.x - c.between(2, -0.2, 0.2)) / size
    y = (c.y - c.between(3, -0.2, 0.2)) / size
    r2 = x * x + y * y
    r = torch.sqrt(r2 + 1e-8)
    z = torch.sqrt((1 - r2).clamp(min=0.0))
    edge = c.px / size
    ball = sstep(1 + edge, 1 - edge, r)
    tx, ty = c.turned(c.between(4, -0.6, 0.6), x, y)
    lon = torch.atan2(tx, z + 1e-3)
    warp = c.fbm(lon * 1.5 + 5, ty * 3, 4, 0)
    bands = torch.sin(ty * c.between(5, 5.0, 11.0) + 1.3 * warp + c.angle(6))
    land = c.fbm(lon * 2.2 + 20, ty * 2.6, 6, 1, 0.55)
    gas = (c.u(7) < 0.5).float()
    surface = lerp(0.30 + 0.55 * sstep(-0.05, 0.12, land) + 0.15 * land, 0.52 + 0.26 * bands + 0.16 * warp, gas)
    sun = c.angle(8)
    sx, sy = torch.cos(sun) * 0.75, torch.sin(sun) * 0.75
    lit = sstep(-0.12, 0.75, x * sx + y * sy + z * 0.55)
    rim = torch.exp(-((r - 1) / 0.05) ** 2) * sstep(-0.6, 0.8, x * sx + y * sy)
    halo = torch.exp(-(r - 1).clamp(min=0) * 7) * (1 - ball) * sstep(-0.5, 1, (x * sx + y * sy) / r)
    space = 0.03 + 0.05 * (c.fbm(c.x, c.y, 3, 2)).clamp(min=0)
    v = lerp(space + 0.40 * halo, surface, ball)
    shade = lerp(torch.ones_like(v), 0.04 + 1.05 * lit, ball)
    light = 0.9 * c.stars(13.0) * (1 - ball) + 0.35 * rim
    has = (c.u(9) < 0.45).float()
    qx, qy = c.turned(c.between(10, -0.5, 0.5), x, y)
    q = torch.sqrt(qx * qx + (qy * 4.2) ** 2)
    front = torch.maximum(1 - ball, (qy > 0).float())
    belt = sstep(1.30, 1.38, q) * sstep(1.98, 1.90, q) * (0.45 + 0.4 * torch.sin(q * 38) ** 2) * front * has
    return lerp(v, 0.55 + 0.35 * torch.sin(q * 21) ** 2, belt), lerp(shade, torch.ones_like(v), belt), light * (1 - belt)


def city(c):
    x, y = c.x, c.y
    v = 0.05 + 0.34 * ((y + 1) * 0.5) ** 2
    light = 0.5 * c.stars(13.0) * sstep(0.1, -0.9, y)
    for i in range(3):
        n = 4.2 - 0.75 * i + c.between(10 + i, 0, 1.2)
        u = x * n + 20 + 7 * i
        ix = torch.floor(u)
        f = u - ix
        tall = c.at(ix, ix * 0 + 3 * i, 2)
        top = 0.10 + 0.22 * i - 0.95 * tall * (1 - 0.18 * i) + 0.12
        narrow = 0.04 + 0.16 * c.at(ix, ix * 0 + 3 * i + 1, 1)
        step = torch.where((f - 0.5).abs() < 0.22, -0.10 * c.at(ix, ix * 0 + 9, 0), 0.0)
        edge = c.px * n
        inside = sstep(-c.px, c.px, y - top - step) * sstep(narrow - edge, narrow + edge, f) * \
            sstep(1 - narrow + edge, 1 - narrow - edge, f)
        v = lerp(v, 0.20 - 0.07 * i + 0.06 * (f - 0.5), inside)
        cols = 5.0
        wx, wy = (f - narrow) / (1 - 2 * narrow) * cols, (y - top) * (17.0 - 2.5 * i)
        wi, wj = torch.floor(wx) + ix * 7, torch.floor(wy)
        lamp = sstep(0.50, 0.55, c.at(wi, wj + 11 * i, 3)) * (0.35 + 0.65 * c.at(wi + 3, wj, 0))
        soft = 0.06 + edge * cols
        pane = sstep(0.22 - soft, 0.22 + soft, fract(wx)) * sstep(0.82 + soft, 0.82 - soft, fract(wx)) * \
            sstep(0.25 - soft, 0.25 + soft, fract(wy)) * sstep(0.80 + soft, 0.80 - soft, fract(wy))
        pane = pane * inside * sstep(0.0, 0.03, y - top)
        v = lerp(v, 0.50 + 0.45 * lamp, pane * (lamp > 0.05))
        light = light * (1 - inside) + 0.55 * lamp * pane
    haze = torch.exp(-(1 - y) * 2.6)
    return v + 0.18 * haze, 1, light


def bubbles(c):
    v = 0.16 + 0.22 * (1 - c.y) * 0.5 + 0.07 * c.fbm(c.x * 1.2, c.y * 1.2, 3)
    light = torch.zeros_like(c.x)
    for i, n in enumerate((3.6, 2.2, 1.35)):
        x, y = c.turned(c.angle(3 + i), c.x * n, c.y * n)
        x, y = x + 20 + 9 * i + c.u(8 + i) * 8, y + 20 + c.u(12 + i) * 8
        ix, iy = torch.floor(x), torch.floor(y)
        size = 0.22 + 0.24 * c.at(ix, iy, 0)
        room = 0.5 - size
        dx = x - ix - 0.5 + (c.at(ix, iy, 1) - 0.5) * 2 * room
        dy = y - iy - 0.5 + (c.at(ix, iy, 2) - 0.5) * 2 * room
        there = (c.at(ix, iy, 3) > 0.30).float()
        turn = -c.angle(3 + i)
        dx, dy = c.turned(turn, dx, dy)
        r = torch.sqrt(dx * dx + dy * dy + 1e-9) / size
        edge = c.px * n / size
        inside = sstep(1 + edge, 1 - edge, r) * there
        rim = r.clamp(0, 1) ** 6
        film = 0.5 + 0.5 * torch.sin(r * r * 5 + dx / size * 2.2 + 6 * c.at(ix, iy, 2))
        v = lerp(v, 0.22 + 0.22 * film + 0.50 * rim, inside * (0.35 + 0.6 * rim))
        glint = torch.exp(-((dx / size + 0.38) ** 2 + (dy / size + 0.42) ** 2) * 48)
        back = torch.exp(-((dx / size - 0.42) ** 2 + (dy / size - 0.45) ** 2) * 60)
        light = light * (1 - 0.5 * inside) + inside * (0.95 * glint + 0.35 * back + 0.30 * rim ** 2)
    return v, 1, light


def silk(c):
    s = c.between(1, 0.8, 1.25)
    x, y = c.turned(c.angle(2), c.x * s, c.y * s)
    w = c.noise(x * 0.7 + 3, y * 0.8, 0) + 0.4 * c.noise(x * 1.3, y * 1.1 + 9, 1)
    t = y * c.between(3, 2.2, 3.4) + 2.1 * w + 0.5 * torch.sin(x * 1.6 + c.angle(4))
    fold = torch.sin(t * 2.2)
    fine = torch.sin(t * 6.1 + 2.5 * c.noise(x * 0.9, y * 0.9, 2))
    slope = torch.cos(t * 2.2) + 0.4 * torch.cos(t * 6.1)
    v = 0.44 + 0.26 * fold + 0.09 * fine
    sheen = torch.exp(-((slope - 0.55) / 0.32) ** 2)
    thread = 0.012 * torch.sin((x + 0.3 * y) * 170 * (0.012 / c.px).clamp(max=1))
    return v + thread, 0.62 + 0.38 * sstep(-1.2, 0.7, slope), 0.36 * sheen * (0.4 + 0.6 * (fold * 0.5 + 0.5))


def caustics(c):
    s = c.between(1, 1.5, 2.3)
    x, y = c.turned(c.angle(2), c.x * s, c.y * s * 1.25)
    net = torch.zeros_like(x)
    for i in range(2):
        wx = x + 0.38 * c.noise(x * 1.3 + 9 * i, y * 1.3, 3) + 20 + 6.5 * i
        wy = y + 0.38 * c.noise(x * 1.3, y * 1.3 + 9 * i, 2) + 20
        first, second, _, _, _ = c.voronoi(wx * (1 + 0.45 * i), wy * (1 + 0.45 * i), 0.95)
        gap = second - first
        net = net + (0.62 - 0.22 * i) * (torch.exp(-gap * 9) + 0.55 * torch.exp(-gap * 26))
    swell = c.noise(c.x * 1.1, c.y * 1.1, 1)
    net = net * (0.85 + 0.35 * swell)
    v = 0.20 + 0.08 * swell + 0.72 * net.clamp(0, 1.1)
    return v, 1, 0.65 * sstep(0.55, 1.15, net)


def lightning(c):
    x, y = c.turned(c.between(1, -0.25, 0.25))
    cloud = c.fbm(x * 1.2, y * 1.6 + 4, 5, 3, 0.55)
    glow, core = torch.zeros_like(x), torch.zeros_like(x)
    x0 = c.between(2, -0.4, 0.4)
    lean = c.between(3, -0.35, 0.35)

    def path(t, key):
        return 0.34 * c.noise(t * 1.3 + key, t * 0 + key, 0) + 0.17 * c.noise(t * 3.4 + key, t * 0 + 5, 1) + \
            0.085 * c.noise(t * 8 + key, t * 0 + 9, 2) + 0.04 * c.noise(t * 17 + key, t * 0 + 2, 0)

    main = x0 + lean * (y + 1) + path(y, 3.0)
    for i in range(5):
        if i == 0:
            d, on, weight = x - main, torch.ones_like(x), 1.0
        else:
            start = c.between(10 + i, -0.85, 0.45)
            run = (y - start).clamp(min=0)
            at = x0 + lean * (start + 1) + path(start.expand_as(y), 3.0)
            side = c.sign(20 + i) * c.between(30 + i, 0.45, 1.1)
            d = x - at - side * run - (path(y, 11.0 * i) - path(start.expand_as(y), 11.0 * i)) * 0.8
            long = c.between(40 + i, 0.45, 1.0)
            on = sstep(0, 0.02, y - start) * sstep(long, long * 0.6, run)
            weight = 0.62
        width = 0.010 * weight + c.px * 0.7
        core = torch.maximum(core, torch.exp(-(d / width) ** 2) * on)
        glow = glow + on * weight * 0.034 / (d.abs() + 0.034)
    v = 0.05 + 0.16 * (cloud * 0.5 + 0.5) * (1 - 0.4 * (y + 1) * 0.5) + 0.52 * glow.clamp(0, 1.2) * (0.8 + 0.3 * cloud)
    return lerp(v, torch.ones_like(v), core), 1, 0.95 * core + 0.10 * glow.clamp(0, 1) ** 3


def dunes(c):
    x, y = c.x, c.y
    v = 0.93 - 0.22 * (1 - y) * 0.5
    shade, light = torch.ones_like(x), 0.10 * torch.exp(-(y + 0.55).abs() * 4)
    side = c.sign(1)
    for i in range(5):
        depth = i / 4
        f = 1.7 - 1.0 * depth
        phase = c.angle(10 + i)
        crest = -0.52 + 0.33 * i + (0.06 + 0.10 * depth) * torch.sin(x * f * 1.9 + phase) + \
            (0.03 + 0.06 * depth) * torch.sin(x * f * 3.7 + 1.7 * phase)
        d = y - crest
        inside = sstep(-c.px, c.px, d)
        # the edge between the lit and the shaded flank winds down from the highest places
        spine = torch.sin(x * f * 1.9 + phase - side * d * (3.2 - depth) + 0.4 * c.noise(x * 2, y * 2 + i, 1))
        lit = sstep(-0.25, 0.12, spine * side)
        k = 34 - 17 * depth
        bend = c.noise(x * 2.2 + i, y * 2.2, 0)
        ripple = torch.sin(d * k + x * (6 + 5 * depth) * side + 3.4 * bend)
        melt = (1.1 - k * c.px * 0.5).clamp(0, 1)
        body = 0.36 + 0.36 * lit + 0.09 * ripple * melt * (0.4 + 0.6 * lit) - 0.10 * depth
        v = lerp(v, body, inside)
        light = lerp(light, 0.32 * torch.exp(-(d / 0.012) ** 2) * lit, inside)
    return v, shade, light


def galaxy(c):
    tilt = c.between(1, 0.45, 0.95)
    x, y = c.turned(c.angle(2), c.x - c.between(3, -0.15, 0.15), c.y - c.between(4, -0.15, 0.15))
    y = y / tilt
    r, a = c.polar(x, y)
    arms, twist = c.whole(5, 2, 3), c.between(6, 2.6, 4.0) * c.sign(7)
    swirl = a + twist * torch.log(r + 0.08)
    sx, sy = r * torch.cos(swirl), r * torch.sin(swirl)
    clump = c.fbm(sx * 2.6 + 9, sy * 2.6, 5, 0, 0.6)
    arm = 0.5 + 0.5 * torch.cos(arms * swirl + 0.9 * clump + c.angle(8))
    disc = torch.exp(-r * r * 2.1)
    dust = arm ** 1.8 * (0.62 + 0.5 * clump) * disc
    core = torch.exp(-r * r * 26)
    v = 0.03 + 0.95 * dust.clamp(0, 1) + 0.30 * torch.exp(-r * 4.0) + 0.6 * core
    knots = c.stars(26.0, 2) * arm * disc * 2.2 + c.stars(15.0) * 0.7 + c.stars(36.0, 1) * arm * disc * 1.5
    return v, 1, knots + 0.7 * core


def scales(c):
    n = c.between(1, 3.0, 4.8)
    x, y = c.turned(c.between(2, -0.45, 0.45), c.x * n + 20, c.y * n * 1.15 + 20)
    x = x + 0.15 * c.noise(x * 0.4, y * 0.4, 0)
    best_v, best_s, best_l = torch.zeros_like(x), torch.ones_like(x), torch.zeros_like(x)
    edge = c.px * n * 1.5
    row = torch.floor(y * 2)
    done = torch.zeros_like(x)
    for k in (2, 1, 0, -1, -2):  # a scale hangs over the row below it, so the upper ones come last
        j = row - 1 - k
        shift = torch.remainder(j, 2) * 0.5
        ix = torch.floor(x - shift)
        dx = x - shift - ix - 0.5
        dy = y - j * 0.5
        q = torch.sqrt(dx * dx / 0.29 + dy * dy / 0.74 + 1e-9)
        inside = sstep(1 + edge, 1 - edge, q) * (dy > 0)
        tone = c.at(ix, j, 2)
        value = 0.20 + 0.40 * tone + 0.30 * q
        ray = 0.05 * torch.cos(torch.atan2(dx, dy + 0.05) * 16) * q
        new = inside * (1 - done)
        best_v = best_v + new * (value + ray)
        best_s = best_s * (1 - new) + new * (0.34 + 0.74 * sstep(0.15, 0.80, dy) - 0.22 * dx)
        best_l = best_l + new * 0.34 * torch.exp(-((q - 0.92) / 0.06) ** 2)
        done = done + new
    return best_v + 0.05 * (1 - done), best_s, best_l


SECOND = {"lattice": lattice, "ink": ink, "metal": metal, "petals": petals,
          "mountains": mountains, "planet": planet, "city": city, "bubbles": bubbles, "silk": silk,
          "caustics": caustics, "lightning": lightning, "dunes": dunes, "galaxy": galaxy,
          "scales": scales}

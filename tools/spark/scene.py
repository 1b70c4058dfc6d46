# SPDX-License-Identifier: MIT
"""Random scenes with exact depth: the kinds of things, light and camera that the `scene` source has
(src/nodes/source/scene_render.c), for a batch at once. Distances: Quilez, Distance functions."""
import math

import torch

from canvas import uniform

SUN = (0.507, 0.676, 0.535)
# blob, ring, box, pill, pearl, then two more of any place: albedo and gloss of the source's things
ALBEDO = torch.tensor([[0.90, 0.17, 0.06], [0.90, 0.55, 0.13], [0.04, 0.20, 0.55],
                       [0.05, 0.45, 0.32], [0.85, 0.83, 0.80], [0.60, 0.10, 0.40],
                       [0.25, 0.50, 0.75]])
GLOSS = (0.7, 1.4, 0.5, 0.5, 1.0, 0.6, 0.5)
# Of the source's things: x, z and, where it floats, y of the middle.
THINGS, MARCH, SHADOW = 7, 64, 20


class World:
    """Numbers of a batch of scenes; every one [b, 1]. exact: the source's own scene at rest."""

    def __init__(self, seed, exact=False):
        self.seed = seed
        self.key = 2000
        b, device = len(seed), seed.device

        def draw(low, high, own):
            self.key += 1
            value = low + (high - low) * uniform(seed, self.key)[:, None]
            return torch.full_like(value, own) if exact else value

        tau = 2 * math.pi
        self.place, self.size, self.turn = [], [], []
        own = [(0, 0), (0, 0), (-1.45, 0.60), (1.35, -0.75), (0.95, 1.25), (0, 0), (0, 0)]
        size = [(0.35, 0.70, 0.58), (0.6, 1.15, 1.02), (0.18, 0.45, 0.32), (0.18, 0.38, 0.30),
                (0.12, 0.40, 0.24), (0.2, 0.5, 0.3), (0.15, 0.4, 0.3)]
        for i in range(THINGS):
            r, a = draw(0, 1.0 if i < 2 else 2.1, 0), draw(0, tau, 0)
            x, z = r * torch.cos(a), r * torch.sin(a)
            if exact:
                x, z = torch.full_like(x, own[i][0]), torch.full_like(z, own[i][1])
            self.place.append((x, z))
            self.size.append(draw(*size[i]))
            self.turn.append(draw(0, tau, 0))
        self.blob_y, self.ring_y = draw(0.5, 1.1, 0.90), draw(0.6, 1.3, 1.02)
        self.tilt = draw(0, tau, 0.19 * tau)
        self.moon = draw(0.3, 0.9, 0.62), draw(0.6, 1.4, 1.02), draw(-0.6, 0.6, 0.0)
        self.thick = draw(0.04, 0.13, 0.075)
        self.tall = draw(0.2, 1.1, 0.75)
        shown = torch.cat([draw(0, 1, 0.5 if i < 5 else 0) for i in range(THINGS)], 1)
        limit = torch.tensor([0.15] * 5 + [0.45] * 2, device=device)
        self.gone = torch.where(shown < limit, 1e3, 0.0)  # added to a distance
        mix = torch.stack([draw(0, 1, 0) for _ in range(THINGS * 3)], 2).view(b, THINGS, 3)
        keep = (draw(0, 1, 0) < 0.5)[:, :, None]
        albedo = ALBEDO.to(device)[None]
        self.albedo = torch.where(keep, albedo.expand(b, -1, -1), (mix ** 2) * 0.9)
        up, round_ = draw(0.35, 0.85, SUN[1]), draw(0, tau, math.atan2(SUN[2], SUN[0]))
        old = draw(0, 1, 0) < 0.4
        up = torch.where(old, torch.full_like(up, SUN[1]), up)
        round_ = torch.where(old, torch.full_like(up, math.atan2(SUN[2], SUN[0])), round_)
        flat = torch.sqrt(1 - up * up)
        self.sun = (flat * torch.cos(round_), up, flat * torch.sin(round_))
        self.floor, self.tint = draw(0.03, 0.14, 0.060), draw(-0.4, 0.4, 0)
        self.haze = draw(0.7, 1.5, 1)
        # camera
        distance, turn = draw(4.2, 8.5, 6.2), draw(0, tau, 0.16 * tau)
        self.eye = (distance * torch.cos(turn), draw(0.8, 3.2, 1.75), distance * torch.sin(turn))
        self.aim = (draw(-0.7, 0.7, 0), draw(0.3, 1.1, 0.72), draw(-0.7, 0.7, 0))
        self.fov = draw(38, 68, 50) * (math.pi / 180)

    def distances(self, x, y, z):
        """Of every thing: a list of [b, n]."""
        out = []

        def ball(px, py, pz, r):
            return torch.sqrt((x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2 + 1e-12) - r

        px, pz = self.place[0]
        a, b = ball(px, self.blob_y, pz, self.size[0]), \
            ball(px + self.moon[0], self.moon[1], pz + self.moon[2], 0.41 * self.size[0])
        h = (0.5 + (b - a) * (0.5 / 0.30)).clamp(0, 1)
        out.append(b + (a - b) * h - 0.30 * h * (1 - h))
        for i, turned in ((1, 1), (2, 1), (6, 1)):
            px, pz = self.place[i]
            c, s = torch.cos(self.turn[i]), torch.sin(self.turn[i])
            qx, qz = (x - px) * c - (z - pz) * s, (x - px) * s + (z - pz) * c
            if i == 1:
                qy = y - self.ring_y
                tc, ts = torch.cos(self.tilt), torch.sin(self.tilt)
                ry, rz = qy * tc - qz * ts, qy * ts + qz * tc
                far = torch.sqrt(qx * qx + rz * rz + 1e-12) - self.size[1]
                ring = torch.sqrt(far * far + ry * ry + 1e-12) - self.thick
            else:
                r = self.size[i]
                dx, dy, dz = qx.abs() - r, (y - r - 0.08).abs() - r, qz.abs() - r
                outside = torch.sqrt(dx.clamp(min=0) ** 2 + dy.clamp(min=0) ** 2 + dz.clamp(min=0) ** 2 + 1e-12)
                box = outside + torch.maximum(dx, torch.maximum(dy, dz)).clamp(max=0) - 0.08
            if i == 1:
                out.append(ring)
            elif i == 2:
                out.append(box)
            else:
                last = box
        px, pz = self.place[3]
        qy = y - self.size[3]
        qy = qy - torch.minimum(qy.clamp(min=0), self.tall)
        out.append(torch.sqrt((x - px) ** 2 + qy * qy + (z - pz) ** 2 + 1e-12) - self.size[3])
        for i in (4, 5):
            px, pz = self.place[i]
            out.append(ball(px, self.size[i], pz, self.size[i]))
        out.append(last)
        return [d + self.gone[:, i:i + 1] for i, d in enumerate(out)]

    def nearest(self, x, y, z):
        d = self.distances(x, y, z)
        best = d[0]
        for other in d[1:]:
            best = torch.minimum(best, other)
        return best

    def rays(self, h, w):
        eye = torch.cat(self.eye, 1)
        ahead = torch.nn.functional.normalize(torch.cat(self.aim, 1) - eye, dim=1)
        up = torch.tensor([0.0, 1.0, 0.0], device=eye.device).expand_as(ahead)
        right = torch.nn.functional.normalize(torch.cross(ahead, up, dim=1), dim=1)
        down = torch.cross(ahead, right, dim=1)
        f = w / (2 * torch.tan(self.fov / 2))
        y = (torch.arange(h, device=eye.device) + 0.5 - h / 2).repeat_interleave(w)[None] / f
        x = (torch.arange(w, device=eye.device) + 0.5 - w / 2).repeat(h)[None] / f
        d = [ahead[:, i:i + 1] + right[:, i:i + 1] * x + down[:, i:i + 1] * y for i in range(3)]
        along = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)  # of a unit ray, forwards
        return [a * along for a in d], along, 1 / f

    def sky(self, dx, dy, dz):
        low = 1 - dy.clamp(0, 1)
        glow = low ** 6 * self.haze
        halo = (dx * self.sun[0] + dy * self.sun[1] + dz * self.sun[2]).clamp(0, 1) ** 6 * 0.22
        t = self.tint
        return [0.012 + glow * (0.31 + 0.2 * t) + halo, 0.022 + glow * 0.155 + halo * 0.7,
                0.075 + glow * (0.17 - 0.15 * t) + halo * 0.45]


@torch.no_grad()
def render(seed, height=168, width=224, exact=False):
    """seed [b] int64 -> (picture [b, 3, h, w] in 0 .. 1, depth along the camera's axis in metres
    [b, 1, h, w], inf for the sky)."""
    w = World(seed, exact)
    (dx, dy, dz), along, pixel = w.rays(height, width)
    ex, ey, ez = w.eye
    falls = dy < -1e-6
    t_ground = torch.where(falls, -ey / torch.where(falls, dy, -torch.ones_like(dy)), torch.full_like(dy, 1e30))
    t = torch.full_like(dx, 0.5)
    hit = torch.zeros_like(dx, dtype=torch.bool)
    end = t_ground.clamp(max=14.0)
    for _ in range(MARCH):
        d = w.nearest(ex + dx * t, ey + dy * t, ez + dz * t)
        hit = hit | ((d < 0.0015 * t) & (t < end))
        t = torch.where(hit, t, t + d.clamp(max=2.0))
    hit = hit & (t < end)
    ground = ~hit & (t_ground < 1e6)
    t = torch.where(hit, t, t_ground.clamp(max=1e5))
    px, py, pz = ex + dx * t, ey + dy * t, ez + dz * t
    e = 0.0015
    nx, ny, nz = torch.zeros_like(px), torch.zeros_like(px), torch.zeros_like(px)
    for sx, sy, sz in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        d = w.nearest(px + sx * e, py + sy * e, pz + sz * e)
        nx, ny, nz = nx + sx * d, ny + sy * d, nz + sz * d
    inv = torch.rsqrt(nx * nx + ny * ny + nz * nz + 1e-20)
    nx, ny, nz = torch.where(hit, nx * inv, 0.0), torch.where(hit, ny * inv, 1.0), torch.where(hit, nz * inv, 0.0)
    face = (nx * w.sun[0] + ny * w.sun[1] + nz * w.sun[2]).clamp(min=0)
    # soft shadow: the nearest miss decides
    qx, qy, qz = px + nx * 0.004, py + ny * 0.004, pz + nz * 0.004
    near = px * px + pz * pz < 36
    s, seen = torch.full_like(px, 0.03), torch.ones_like(px)
    for _ in range(SHADOW):
        d = w.nearest(qx + w.sun[0] * s, qy + w.sun[1] * s, qz + w.sun[2] * s)
        seen = torch.minimum(seen, 9 * d / s)
        s = s + d.clamp(0.03, 0.6)
    seen = torch.where(near, seen.clamp(0, 1), 1.0)
    seen = seen * seen * (3 - 2 * seen)
    closed = torch.zeros_like(px)
    for step, weight in ((0.08, 2.2), (0.24, 0.9), (0.52, 0.42)):
        ax, ay, az = px + nx * step, py + ny * step, pz + nz * step
        closed = closed + (step - torch.minimum(w.nearest(ax, ay, az), ay)).clamp(min=0) * weight
    open_ = torch.where(near, (1 - closed).clamp(0.12, 1), 1.0)
    # colours
    d = torch.stack(w.distances(px, py, pz), 2)
    what = d.argmin(2)
    base = torch.gather(w.albedo, 1, what[:, :, None].expand(-1, -1, 3))
    gloss = torch.tensor(GLOSS, device=seed.device)[what]
    cell = 0.5
    lx = ((px / cell) - torch.round(px / cell)).abs() * cell
    lz = ((pz / cell) - torch.round(pz / cell)).abs() * cell
    size = (t * pixel / ny.abs().clamp(min=0.02)).clamp(min=1e-4)
    wide = 0.010 + size
    cover = ((wide - torch.minimum(lx, lz)) / size).clamp(0, 1) * 0.010 / wide
    floor = w.floor + cover * 0.20
    direct = face * seen * 1.55
    up, low = 0.5 + 0.5 * ny, 0.5 - 0.5 * ny
    light = [direct + open_ * (up * 0.20 + low * 0.10), direct * 0.87 + open_ * (up * 0.27 + low * 0.07),
             direct * 0.68 + open_ * (up * 0.46 + low * 0.07)]
    facing = dx * nx + dy * ny + dz * nz
    mx, my, mz = dx - 2 * facing * nx, dy - 2 * facing * ny, dz - 2 * facing * nz
    spot = (mx * w.sun[0] + my * w.sun[1] + mz * w.sun[2]).clamp(0, 1) ** 32
    shine = torch.where(hit, gloss, torch.full_like(gloss, 0.8))
    fresnel = (0.05 + 0.5 * (1 + facing).clamp(0, 1) ** 4) * shine * open_
    mirror, behind = w.sky(mx, my, mz), w.sky(dx, dy, dz)
    flat = torch.rsqrt(dx * dx + dz * dz + 1e-9)
    rim = w.sky(dx * flat, torch.zeros_like(dy), dz * flat)
    mist = (t * 0.045) ** 2
    mist = mist / (1 + mist)
    channels = []
    for i, (tone, warm) in enumerate(((0.95, 1.0), (1.0, 0.92), (1.2, 0.78))):
        c = torch.where(hit, base[:, :, i], floor * tone) * light[i]
        c = c + mirror[i] * fresnel + spot * shine * seen * 1.3 * warm
        c = c + (rim[i] - c) * mist
        c = torch.where(hit | ground, c, behind[i]) * 0.66
        c = (c * (2.51 * c + 0.03)) / (c * (2.43 * c + 0.59) + 0.14)
        channels.append(c.clamp(0, 1).sqrt())
    depth = torch.where(hit | ground, t * along, float("inf"))
    return torch.stack(channels, 1).view(-1, 3, height, width), depth.view(-1, 1, height, width)

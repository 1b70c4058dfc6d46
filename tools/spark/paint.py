# SPDX-License-Identifier: MIT
"""The generator: rows of (form, second form, palette, treatment, seed) -> pictures, on any device."""
import math

import torch
from torch.nn import functional as F

import words
from canvas import Canvas, lerp, sstep, uniform
from forms import FIRST
from forms2 import SECOND

FORMS = [{**FIRST, **SECOND}[name] for name in words.FORM_NAMES]
# Dark to bright, sRGB.
PALETTES = {
    "fire": "0a0203 6a1002 d8400a ff9a1f fff0a8",
    "ice": "22384c 5f8fb0 9ccbe6 d2eefb ffffff",
    "forest": "0e0a05 33301a 4d6b26 93ab48 ece6b4",
    "ocean": "01081f 052f72 0a6fc0 19b9d8 cdf8ff",
    "sunset": "1c0b36 6b1e6b d8446a ff9460 ffe39a",
    "neon": "07001c 4a06c8 ff1fb0 1fe4ff f4ffff",
    "gold": "0d0802 4f3406 b07c12 f2c53a fff7cc",
    "silver": "060607 34363a 7d8085 c6c9cc ffffff",
    "rose": "2a0718 8a2350 e8618f ffabc4 fff1f4",
    "violet": "0d0424 3f1c86 8452d8 bd9ff4 f5edff",
    "emerald": "00130d 00583a 00a862 52e6a0 e4fff1",
    "copper": "120704 4d2415 985030 d29670 f5dfcf",
    "pastel": "7d83c9 b9a3e8 f6b7d6 fddcb4 fbfbe6",
    "toxic": "160028 44106a 5fa800 c6ff00 fbffd0",
    "rainbow": "4a10a8 1080ff 16d070 ffd21c ff4030",
    "crimson": "0a0003 54000d aa0a1e ee4254 ffd9d4",
}


def palette_table():
    """[16, 256, 3]: the stops joined in linear light's square root."""
    rows = []
    for name in words.PALETTE_NAMES:
        stops = [[int(s[i:i + 2], 16) / 255 for i in (0, 2, 4)] for s in PALETTES[name].split()]
        t = torch.tensor(stops).T[None]
        rows.append(F.interpolate(t, 256, mode="linear", align_corners=True)[0].T)
    return torch.stack(rows)


TABLE = palette_table()


def blur(x, sigma):
    """x [n, c, h, w], sigma in pixels: a separable Gaussian."""
    radius = max(1, int(math.ceil(2.5 * sigma)))
    k = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device) / sigma) ** 2)
    k = (k / k.sum()).to(x.dtype)
    c = x.shape[1]
    x = F.pad(x, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, k.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    return F.conv2d(x, k.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)


def wide_blur(x, sigma):
    """The same for wide ones, at a quarter of the size."""
    if x.shape[-1] < 64:
        return blur(x, sigma)
    small = blur(F.avg_pool2d(x, 4), sigma / 4)
    return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)


def view(seed, treatment, h, w):
    """Where the pixels of each row lie: (x, y, px)."""
    px = 2.0 / min(h, w)
    y = (torch.arange(h, device=seed.device, dtype=torch.float32) + 0.5 - h / 2) * px
    x = (torch.arange(w, device=seed.device, dtype=torch.float32) + 0.5 - w / 2) * px
    y, x = y[None, :, None].expand(len(seed), h, w), x[None, None].expand(len(seed), h, w)

    def u(what):
        return uniform(seed, what)[:, None, None]

    names = words.TREATMENT_NAMES
    mirror = (treatment == names.index("symmetrical"))[:, None, None]
    # An axis, or six wedges around the middle.
    wedge = math.pi / 3
    r, a = torch.sqrt(x * x + y * y + 1e-9), torch.atan2(y, x) + u(901) * 6.3
    folded = (torch.remainder(a, 2 * wedge) - wedge).abs()
    kx, ky = r * torch.cos(folded) - 0.4, r * torch.sin(folded) - 0.3
    plain = u(902) < 0.6
    sx, sy = torch.where(plain, x.abs() - 0.25, kx), torch.where(plain, y, ky)
    x, y = torch.where(mirror, sx, x), torch.where(mirror, sy, y)
    zoom = (treatment == names.index("zoomed"))[:, None, None]
    scale = torch.where(zoom, 0.34 + 0.08 * u(903), torch.ones_like(u(903)))
    x = torch.where(zoom, x * scale + (u(904) - 0.5) * 0.5, x)
    y = torch.where(zoom, y * scale + (u(905) - 0.5) * 0.5, y)
    return x, y, px * scale


def fields(form, seed, x, y, px):
    """(value, shade, light) of every row, each form's rows at once. [n, 3, h, w]"""
    out = torch.empty(len(seed), 3, *x.shape[1:], device=seed.device)
    for number in torch.unique(form).tolist():
        rows = torch.nonzero(form == number)[:, 0]
        c = Canvas(seed[rows], x[rows], y[rows], px[rows])
        value, shade, light = FORMS[number](c)
        for i, part in enumerate((value, shade, light)):
            out[rows, i] = part if torch.is_tensor(part) else torch.full_like(c.x, part)
    return out


def colour(f, palette, jitter):
    """fields and palette -> [n, 3, h, w] in 0 .. 1; jitter [n] in 0 .. 1 moves the tones a little."""
    table = TABLE.to(f.device)
    gamma = torch.exp2((jitter - 0.5) * 0.5)[:, None, None]
    v = f[:, 0].clamp(1e-4, 1) ** gamma * 255
    low = v.long().clamp(0, 254)
    index = (palette[:, None, None] * 256 + low)
    flat = table.view(-1, 3)
    c = lerp(flat[index], flat[index + 1], (v - low)[..., None])
    top = table[palette, 255][:, None, None]
    c = c * f[:, 1].clamp(0, 1.4)[..., None]
    c = c + (top - c).clamp(min=0) * f[:, 2].clamp(0, 1)[..., None]
    return c.permute(0, 3, 1, 2).clamp(0, 1)


def finish(c, treatment, seed):
    """The treatments that work on the finished picture."""
    names, scale = words.TREATMENT_NAMES, c.shape[-1] / 256

    def part(name):
        return torch.nonzero(treatment == names.index(name))[:, 0]

    rows = part("soft")
    if len(rows):
        c[rows] = lerp(blur(c[rows], 4.0 * scale), wide_blur(c[rows], 9.0 * scale), 0.35)
    rows = part("sharp")
    if len(rows):
        p = c[rows]
        p = p + 1.1 * (p - blur(p, 1.3 * scale)) + 0.35 * (p - wide_blur(p, 12 * scale))
        c[rows] = (0.5 + (p - 0.5) * 1.22).clamp(0, 1)
    rows = part("glowing")
    if len(rows):
        p = c[rows]
        bright = p * sstep(0.30, 0.85, p.amax(1, keepdim=True))
        halo = 0.75 * wide_blur(bright, 7 * scale) + 0.85 * wide_blur(bright, 20 * scale)
        lit = p.mean((1, 2, 3), keepdim=True)  # a bright picture glows on a darker ground
        halo = halo * (1.15 - 1.1 * lit).clamp(0.25, 1)
        p = p ** (1 + 0.8 * lit) * (0.9 - 0.25 * lit)
        c[rows] = 1 - (1 - p) * (1 - halo.clamp(0, 1))
    rows = part("grainy")
    if len(rows):
        p = c[rows]
        h, w = p.shape[2:]
        pixel = torch.arange(h * w, device=c.device) + 5000000
        n = uniform(seed[rows][:, None], pixel[None]).view(-1, 1, h, w) - 0.5
        n = blur(n, 0.8) * 0.52
        c[rows] = (0.92 * p + 0.04 + n).clamp(0, 1)
    rows = part("dark")
    if len(rows):
        p = c[rows]
        h, w = p.shape[2:]
        y = torch.linspace(-1, 1, h, device=c.device)[:, None]
        x = torch.linspace(-1, 1, w, device=c.device)[None]
        fall = 1 - 0.55 * ((x * x + y * y) * 0.6).clamp(0, 1)
        c[rows] = (p ** 1.35 * 0.52) * fall
    return c


@torch.no_grad()
def shapes(form, second, treatment, seed, height=256, width=256):
    """What a picture shows before it has colours: fields, and those of the second exposure of the
    rows that are layered. All [n] int64 on one device; second is -1 for a single form."""
    seed = seed.long()
    x, y, px = view(seed, treatment, height, width)
    f = fields(form, seed, x, y, px)
    both = torch.nonzero(second >= 0)[:, 0]
    if len(both):
        # The second form beyond an uneven border.
        c = Canvas(seed[both], x[both], y[both], px[both])
        g = fields(second[both], seed[both] + 77, c.x, c.y, c.px)
        turn = c.angle(910)
        d = c.x * torch.cos(turn) + c.y * torch.sin(turn) + 0.35 * c.fbm(c.x * 1.2, c.y * 1.2, 3, 3)
        f[both] = lerp(f[both], g, sstep(-0.16, 0.16, d)[:, None])
    twice = torch.nonzero(treatment == words.TREATMENT_NAMES.index("layered"))[:, 0]
    other = None
    if len(twice):
        s, turn = seed[twice] + 991, uniform(seed[twice], 912)[:, None, None] * 6.3
        q = 1.5 * x[twice], 1.5 * y[twice]
        x2 = q[0] * torch.cos(turn) - q[1] * torch.sin(turn)
        y2 = q[0] * torch.sin(turn) + q[1] * torch.cos(turn)
        other = fields(form[twice], s, x2, y2, 1.5 * px[twice])
    return f, twice, other


@torch.no_grad()
def dress(shape, palette, treatment, seed):
    """Colours, and the treatments that work on the finished picture. -> [n, 3, h, w] in 0 .. 1.
    A treatment that shapes() saw to must be the same here."""
    f, twice, other = shape
    seed = seed.long()
    c = colour(f, palette, uniform(seed, 911))
    if len(twice):
        o = colour(other, palette[twice], uniform(seed[twice] + 991, 911))
        c[twice] = 1 - (1 - 0.78 * c[twice]) * (1 - 0.62 * o)
    return finish(c, treatment, seed)


def render(form, second, palette, treatment, seed, height=256, width=256):
    """The pictures of rows. -> [n, 3, h, w] in 0 .. 1."""
    return dress(shapes(form, second, treatment, seed, height, width), palette, treatment, seed)

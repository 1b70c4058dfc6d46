# SPDX-License-Identifier: MIT
"""A classifier of the generator's pictures: form, palette and treatment. Two of them are trained,
from different seeds and widths: `features` is read by losses, `judge` by quality.py alone, so that
nothing was ever trained against what it is judged by."""
import torch
from torch import nn
from torch.nn import functional as F

import words

WIDTHS = {"features": [32, 64, 128, 192, 256], "judge": [40, 72, 144, 208, 256]}


class Stage(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.down = nn.Conv2d(cin, cout, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(cout)
        self.one, self.two = nn.Conv2d(cout, cout, 3, padding=1), nn.Conv2d(cout, cout, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(cout), nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.silu(self.norm(self.down(x)))
        y = F.silu(self.norm1(self.one(x)))
        return F.silu(x + self.norm2(self.two(y)))


class Judge(nn.Module):
    """side: of the pictures it looks at; larger ones are made smaller first. 0: as they come."""

    def __init__(self, kind="judge", scale=1.0, side=0):
        super().__init__()
        self.side = side
        widths = [max(8, int(w * scale) // 8 * 8) for w in WIDTHS[kind]]
        self.stages = nn.ModuleList()
        c = 3
        for w in widths:
            self.stages.append(Stage(c, w))
            c = w
        self.mix = nn.Linear(2 * c, 256)
        self.form = nn.Linear(256, len(words.FORM_NAMES))
        self.palette = nn.Linear(256, len(words.PALETTE_NAMES))
        self.treatment = nn.Linear(256, len(words.TREATMENT_NAMES))

    def maps(self, x):
        out = []
        if self.side and x.shape[-1] > self.side:
            x = F.avg_pool2d(x, x.shape[-1] // self.side)
        x = x * 2 - 1
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out

    def embed(self, x):
        """x [n, 3, h, w] in 0 .. 1 -> [n, 256]: what the Frechet distance is taken in."""
        last = self.maps(x)[-1]
        return self.mix(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1))

    def heads(self, e):
        e = F.silu(e)
        return self.form(e), self.palette(e), self.treatment(e)

    def forward(self, x):
        return self.heads(self.embed(x))


def form_target(form, second):
    """[n, forms]: one, or a half on each of two."""
    t = F.one_hot(form, len(words.FORM_NAMES)).float()
    two = F.one_hot(second.clamp(min=0), len(words.FORM_NAMES)).float()
    both = (second >= 0).float()[:, None]
    return t * (1 - 0.5 * both) + two * 0.5 * both


def loss(heads, rows, each=False):
    """rows: dict of form, second, palette, treatment. Mean, or a number a row."""
    form, palette, treatment = (h.float() for h in heads)
    a = -(form_target(rows["form"], rows["second"]) * form.log_softmax(1)).sum(1)
    b = F.cross_entropy(palette, rows["palette"], reduction="none")
    c = F.cross_entropy(treatment, rows["treatment"], reduction="none")
    total = a + b + 0.5 * c
    return total if each else total.mean()


def right(heads, rows):
    """(form, palette, treatment) right or not, [n] bool each. Of two forms: among the first two,
    one of them."""
    form, palette, treatment = heads
    single = form.argmax(1) == rows["form"]
    top = form.topk(2, 1).indices
    either = (top == rows["form"][:, None]).any(1) & (top == rows["second"][:, None]).any(1)
    return (torch.where(rows["second"] >= 0, either, single),
            palette.argmax(1) == rows["palette"], treatment.argmax(1) == rows["treatment"])

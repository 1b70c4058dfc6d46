# SPDX-License-Identifier: MIT
"""Trains the depth model on scenes that are drawn as it goes: metres, by the logarithm of their ratio
to the true ones."""
import os
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.nn import functional as F

import depth_model
import scene
from harness import Average, Stage, autocast, clip, compiled
from stages import adam

# Height and width, how often while the first 55 % of the time last, and how often after it. What
# is asked of the model is the last but one; the small ones are quicker.
SHAPES = [(112, 112, 2, 0), (112, 154, 5, 1), (112, 196, 1, 0), (126, 168, 2, 1),
          (168, 224, 0, 4), (168, 294, 0, 1)]
EARLY, PIXELS = 0.55, 32 * 112 * 112


class Seeds:
    """Counts, and goes on where a kept state was."""

    def __init__(self, first):
        self.next = first

    def __next__(self):
        self.next += 1
        return self.next

    def state_dict(self):
        return {"next": self.next}

    def load_state_dict(self, state):
        self.next = state["next"]


class Ring:
    """Scenes of one size: the newest take the place of the oldest."""

    def __init__(self, high, wide, room, seeds, workers):
        self.size, self.room, self.seeds, self.workers = (high, wide), room, seeds, workers
        self.rgb = torch.empty(room, high, wide, 3, dtype=torch.uint8)
        self.depth = torch.empty(room, high, wide, dtype=torch.float16)
        self.made = 0

    def make(self, count):
        n = max(1, count // len(self.workers))
        jobs = [[next(self.seeds) for _ in range(n)] for _ in self.workers]
        for rgb, depth in self.workers[0].map(lambda part: scene.draw(part, *self.size), jobs):
            at = torch.arange(self.made, self.made + n) % self.room
            self.rgb[at], self.depth[at] = rgb, depth.clamp(max=1e4).half()
            self.made += n

    def take(self, n, device):
        while self.made < min(2 * n, self.room):
            self.make(n)
        self.make(n // 2)
        pick = torch.randint(0, min(self.made, self.room), (n,))
        x = self.rgb[pick].to(device).permute(0, 3, 1, 2).float() / 255
        return x, self.depth[pick].to(device).float()[:, None]


class Workers(list):
    """As many threads as draw: the drawing is outside of Python."""

    def __init__(self, count):
        super().__init__([ThreadPoolExecutor(count)] * count)


def vary(x, y):
    """What a camera may do to a picture, and the mirror."""
    n, device = len(x), x.device

    def each(low, high, channels=1):
        return low + (high - low) * torch.rand(n, channels, 1, 1, device=device)

    flip = each(0, 1) < 0.5
    x, y = torch.where(flip, x.flip(3), x), torch.where(flip, y.flip(3), y)
    soft = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    x = soft + (x - soft) * each(0.2, 1.3)
    x = x.clamp(0, 1) ** each(0.8, 1.25) * each(0.75, 1.25) * each(0.93, 1.07, 3)
    return (x + 0.02 * each(0, 1) * torch.randn_like(x)).clamp(0, 1), y


def loss_of(log_metres, y, far):
    """L1 of the logarithms, with and without their mean; edges, also coarse ones. The sky is far."""
    true = y.clamp(max=far).log()
    d = log_metres - true
    weight = torch.where(y < far, 1.0, 0.3)
    total = weight.sum((1, 2, 3), keepdim=True)
    mean = (d * weight).sum((1, 2, 3), keepdim=True) / total
    loss = ((d.abs() + 0.5 * (d - mean).abs()) * weight / total).sum() / len(y)
    for _ in range(3):
        loss = loss + 0.7 * (torch.diff(d, dim=3).abs().mean() + torch.diff(d, dim=2).abs().mean())
        d = F.avg_pool2d(d, 2)
    return loss


def errors(metres, y, far):
    """AbsRel and delta1 over what is nearer than far, no alignment."""
    solid = y < far
    ratio = metres[solid] / y[solid]
    return {"absrel": (ratio - 1).abs().mean(), "delta1": ((ratio < 1.25) & (ratio > 0.8)).float().mean()}


def depth(s):
    net = depth_model.Depth(s.args.size).to(s.device)
    far = net.size["max_depth"]
    seeds = Seeds(s.args.seed * 100000007)
    workers = Workers(os.cpu_count() if s.device.type == "cuda" else 1)
    room = 16 if s.tiny else 512 if s.device.type == "cpu" else 4096
    shapes = [(56, 84, 1, 1)] if s.tiny else SHAPES
    rings = [Ring(h, w, room, seeds, workers) for h, w, _, _ in shapes]
    for ring in rings[:1] if s.tiny else ():
        ring.make(room)
    average = Average([net])
    optimizer = adam(net.parameters(), 8e-4, 0.02)
    fast = compiled(net, s.args)
    more = 4 if s.device.type == "cuda" else 1

    def step(p):
        late = p > EARLY
        weights = torch.tensor([float(shape[3] if late else shape[2]) for shape in shapes])
        ring = rings[int(torch.multinomial(weights, 1))]
        n = 4 if s.tiny else max(4, more * PIXELS // (ring.size[0] * ring.size[1]))
        x, y = ring.take(n, s.device)
        x, y = vary(x, y)
        with autocast(s.device):
            out = fast.log_metres(x)
        loss = loss_of(out.float(), y, far)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(net.parameters())
        optimizer.step()
        average.update()
        return {"loss": loss, **errors(out.detach().float().exp(), y, far), "samples": n}

    tested = [n for n in range(scene.UNSEEN + 10**6, scene.UNSEEN + 10**6 + (2 if s.tiny else 24))]

    @torch.no_grad()
    def report():
        x, y = scene.render(tested, *(shapes[0][:2] if s.tiny else (168, 224)))
        got = torch.cat([average.kept[0](part.to(s.device)).cpu() for part in x.split(8)])
        return {"unseen_" + k: v for k, v in errors(got, y, far).items()}

    # minutes of the large GPU; docs/spark.md has those of two cores
    Stage(s.args, "depth", {"net": net, "average": average, "seeds": seeds}, [optimizer], step, report, minutes=1.4).run()
    s.write("depth", average.kept[0])

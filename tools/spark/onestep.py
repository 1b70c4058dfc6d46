# SPDX-License-Identifier: MIT
"""One step without a teacher, for the size "small" that two CPU cores train: there is no time for a
diffusion model first and its distillation after.

A network that turns noise into a clean latent in one step is a sampler. What teaches it:

A sketch in the noise. For every picture a few numbers say where it is bright, whitened for each form, and
the noise is given these as block means of its first channel. It stays white, so fresh noise is a fresh
layout, but in training there is an answer for this noise, and plain regression follows it.

A proper scoring rule, the energy score (Gneiting and Raftery 2007): of two samples a, b for one caption
and a real latent x, |a - x| + |b - x| - |a - b|. It is least where samples are distributed as the real
ones are: near them, and as far from each other as they are. It is taken of patches of several sizes and
of the maps of a classifier of latents, `reader`.

A critic on that classifier's maps (as in Projected GANs, arXiv 2111.01007) adds what both miss, and its
verdict that the words are heard. The gradients are brought to one size before they are added.

All other timesteps are learnt beside it by denoising: real latents, and latents of the same picture
in another palette, whose answer is known: keep the shapes, take the asked colours."""
import math
import os
import time

import torch
from torch import nn
from torch.nn import functional as F

import judge
import paint
import pool
from harness import Average, Stage, autocast, clip, read_result
from stages import adam

PLACES = 8  # a side: where a noise says something about a picture
LABELS = ("form", "second", "palette", "treatment")


# ------------------------------------------------------------------------------ latents
class Latents:
    """Latents in groups of pool.VARIANTS of one picture, on the device; those of an earlier run are kept in
    the state and more are added."""

    def __init__(self, s, seconds, seed=0, part=96):
        self.s, self.generator = s, torch.Generator().manual_seed(seed)
        self.maker = pool.Pool.__new__(pool.Pool)
        import random
        self.maker.tokenizer, self.maker.rng = s.words, random.Random(seed)
        parts, start = [], time.time()
        path = os.path.join(s.args.state, "latents.pt")
        if os.path.exists(path) and not s.args.fresh:
            parts.append(torch.load(path))
        count = had = len(parts[0]["form"]) if parts else 0
        self.generator.manual_seed(seed + had)
        limit = 24 if s.tiny else 10 ** 9
        while count < limit and (time.time() - start < seconds or not parts):
            parts.append(self.make(12 if s.tiny else part))
            count += len(parts[-1]["form"])
        self.store = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
        if count > had:
            os.makedirs(s.args.state, exist_ok=True)
            torch.save(self.store, path)
        print(f"  latents: {count}, of these {count - had} new in {time.time() - start:.0f} s", flush=True)
        self.index()
        self.sketch()

    def sketch(self):
        """For every row PLACES x PLACES numbers of mean 0 and covariance 1 that say where it is bright: the
        shapes' tones in small, whitened (ZCA, which keeps each number at its place) for each form.
        Two forms in one picture count as a form of their own."""
        st, tones = self.store, []
        for i in range(0, self.count, 3072):
            part = {k: st[k][i:i + 3072:pool.VARIANTS] for k in ("form", "second", "treatment", "seed")}
            f, twice, other = paint.shapes(*part.values(), 4 * PLACES, 4 * PLACES)
            tone = f[:, 0] * f[:, 1] + f[:, 2]
            if len(twice):
                tone[twice] += other[:, 0] * other[:, 1]
            tones.append(F.avg_pool2d(tone, 4).flatten(1))
        tones = torch.cat(tones)
        group = torch.where(st["second"] >= 0, pool.FORMS, st["form"])[::pool.VARIANTS]
        out = torch.randn_like(tones)
        for g in range(pool.FORMS + 1):
            rows = torch.nonzero(group == g)[:, 0]
            if len(rows) < 2:
                continue
            x = tones[rows] - tones[rows].mean(0)
            values, vectors = torch.linalg.eigh(x.T @ x / len(x))
            least = 0.01 * values.mean()
            w = x @ vectors / values.clamp(min=least).sqrt()
            few = values < least  # directions that nothing says anything about stay noise
            w = torch.where(few, torch.randn_like(w), w)
            out[rows] = (w @ vectors.T).clamp(-3.5, 3.5)
        self.sketches = out.repeat_interleave(pool.VARIANTS, 0)[:self.count].view(-1, PLACES, PLACES)

    def make(self, count):
        out = []
        for on, x in pool.variants(pool.draw_rows(count, self.generator), self.s.picture, self.s.device, self.generator):
            on["latent"] = self.s.encode(x.contiguous(memory_format=torch.channels_last)).bfloat16()
            on["ids"] = self.maker.captions(on)
            out.append(on)
        return {k: torch.stack([o[k] for o in out], 1).flatten(0, 1) for k in out[0]}

    def index(self):
        """For every row another of the same words, where there is one."""
        st = self.store
        self.count = len(st["form"])
        key = ((st["form"] * pool.PALETTES + st["palette"]) * pool.TREATMENTS + st["treatment"]) * (pool.FORMS + 1) + st["second"] + 1
        self.order = torch.argsort(key)
        sorted_key = key[self.order]
        _, inverse, counts = torch.unique_consecutive(sorted_key, return_inverse=True, return_counts=True)
        first = torch.cumsum(counts, 0) - counts
        self.first, self.counts = torch.empty_like(key), torch.empty_like(key)
        self.first[self.order], self.counts[self.order] = first[inverse], counts[inverse]

    def take(self, n):
        pick = torch.randint(0, self.count, (n,), generator=self.generator)
        rows = self.rows(pick)
        which = torch.randint(0, pool.Pool.PHRASINGS, (n,), generator=self.generator)
        rows["ids"] = rows["ids"][torch.arange(n), which].long()
        u = torch.rand(n, generator=self.generator)
        other = self.order[self.first[pick] + (u * self.counts[pick]).long()]
        rows["another"] = self.store["latent"][other].float()
        twin = pick // pool.VARIANTS * pool.VARIANTS + torch.randint(0, pool.VARIANTS, (n,), generator=self.generator)
        rows["twin"] = self.store["latent"][twin].float()
        return rows

    def rows(self, pick):
        rows = {k: v[pick] for k, v in self.store.items()}
        rows["sketch"] = self.sketches[pick]
        rows["latent"] = rows["latent"].float()
        return rows


# ------------------------------------------------------------------------------ reader
class Reader(nn.Module):
    """A classifier of latents, and the maps in which critic and score look."""

    def __init__(self, latent, scale=1.0):
        super().__init__()
        widths = [max(8, int(w * scale)) for w in (64, 96, 128)]
        self.widths = widths
        self.first = nn.Conv2d(latent, widths[0], 3, padding=1)
        self.second = nn.Conv2d(widths[0], widths[0], 3, padding=1)
        self.norm = nn.BatchNorm2d(widths[0])
        self.stages = nn.ModuleList([judge.Stage(widths[0], widths[1]), judge.Stage(widths[1], widths[2])])
        self.mix = nn.Linear(2 * widths[2], 256)
        self.form, self.palette, self.treatment = (nn.Linear(256, n) for n in (pool.FORMS, pool.PALETTES, pool.TREATMENTS))

    def maps(self, z):
        x = F.silu(self.norm(self.second(F.silu(self.first(z)))))
        out = [x]
        for stage in self.stages:
            x = stage(x)
            out.append(x)
        return out

    def heads(self, last):
        e = F.silu(self.mix(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1)))
        return self.form(e), self.palette(e), self.treatment(e)

    def forward(self, z):
        return self.heads(self.maps(z)[-1])


def data_of(s):
    if not isinstance(s.pool, Latents):
        s.read("autoencoder", s.lay_out(s.vae))
        s.pool = Latents(s, s.args.fill, s.args.seed + 31)
    return s.pool


def fresh_reader(s):
    return s.lay_out(Reader(s.sizes["vae"]["latent"], 0.25 if s.tiny else 1.0).to(s.device))


def reader(s):
    """The classifier of latents, before onestep."""
    data, net = data_of(s), fresh_reader(s)
    average = Average([net], 0.99)
    optimizer = adam(net.parameters(), 2e-3, 0.05)
    n = 4 if s.tiny else 96

    def step(p):
        rows = data.take(n)
        z = rows["latent"]
        z = z + torch.randn_like(z) * (0.3 * torch.rand(n, 1, 1, 1))
        with autocast(s.device):
            heads = net(z)
        loss = judge.loss(heads, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(net.parameters())
        optimizer.step()
        average.update()
        form, palette, treatment = judge.right(heads, rows)
        return {"loss": loss, "form": form.float().mean(), "palette": palette.float().mean(),
                "treatment": treatment.float().mean()}

    Stage(s.args, "reader", {"net": net, "average": average}, [optimizer], step, minutes=2.0).run()
    s.write("reader", average.kept[0])


# ------------------------------------------------------------------------------ onestep
class Critic(nn.Module):
    """Real or made, at each place of the reader's maps and of the latent itself, given the words."""

    def __init__(self, widths, c=48):
        super().__init__()
        self.nets, self.words = nn.ModuleList(), nn.ModuleList()
        for w in widths:
            self.nets.append(nn.Sequential(nn.Conv2d(w, c, 3, padding=1), nn.LeakyReLU(0.2),
                                           nn.Conv2d(c, c, 3, padding=1), nn.LeakyReLU(0.2)))
            self.words.append(nn.ModuleList([nn.Embedding(n, c) for n in (pool.FORMS, pool.PALETTES, pool.TREATMENTS)] + [nn.Linear(c, 1)]))

    def forward(self, maps, rows):
        """-> list of [n, h, w]"""
        out = []
        for net, (form, palette, treatment, plain), m in zip(self.nets, self.words, maps):
            h = net(m).float()
            second = form(rows["second"].clamp(min=0)) * (rows["second"] >= 0).float()[:, None]
            e = form(rows["form"]) + second + palette(rows["palette"]) + treatment(rows["treatment"])
            out.append((h * e[:, :, None, None]).sum(1) / math.sqrt(h.shape[1]) + plain(h.permute(0, 2, 3, 1))[..., 0])
        return out


WEIGHTS = [1, 1, 0.5, 1, 1, 1, 1, 1]  # of patches and looks, below


def patches(z):
    """A latent as lists of vectors [n, places, size], each brought to length about one."""
    n, c, h, w = z.shape
    out = []
    small = z
    for _ in range(2):
        p = F.unfold(small, 3, padding=0)
        out.append(p.transpose(1, 2) / math.sqrt(p.shape[1]))
        small = F.avg_pool2d(small, 2)
    out.append(small.flatten(1)[:, None] / math.sqrt(small[0].numel()) * 2)
    out.append(z.flatten(1)[:, None] / math.sqrt(c * h * w))
    return out


def looks(reader_maps):
    out = []
    for m in reader_maps:
        m = m.float()
        out.append(m.flatten(2).transpose(1, 2) / math.sqrt(m.shape[1]))
    out.append(reader_maps[-1].float().mean((2, 3))[:, None] / math.sqrt(reader_maps[-1].shape[1]) * 2)
    return out


def length(a, b):
    """Mean distance of vectors [n, places, size]."""
    return ((a - b).square().sum(2) + 1e-4).sqrt().mean()


class OneStep:
    def __init__(self, s):
        self.s, self.data = s, data_of(s)
        read_result(s.args.results, "text", s.text)
        if not s.args.fresh:
            read_result(s.args.results, "student", s.unet, required=False)
        self.net, self.words = s.unet.train().requires_grad_(True), s.text.train().requires_grad_(True)
        self.reader = fresh_reader(s)
        s.read("reader", self.reader)
        self.critic = s.lay_out(Critic([s.sizes["vae"]["latent"]] + self.reader.widths).to(s.device))
        self.average = Average([self.net, self.words], 0.99 if s.tiny else 0.997)
        self.optimizer = adam([{"params": list(self.net.parameters())},
                               {"params": list(self.words.parameters()), "lr": 3e-4}], 1.2e-3, betas=(0.8, 0.99))
        self.critic_adam = adam(self.critic.parameters(), 1e-3, 0.01, betas=(0.0, 0.99))
        self.n = 2 if s.tiny else 16  # captions a step
        self.critic_from = 0.15

    def denoising(self, rows, n):
        """Inputs of the steps in between: (x, t, target, row numbers)."""
        s = self.s
        pick = torch.arange(n)
        z, twin = rows["latent"][:n], rows["twin"][:n]
        half = torch.rand(n) < 0.5  # 499: two steps' second, and painting over at one half
        t = torch.where(half, torch.full((n,), 499), torch.randint(0, 49, (n,)) * 20 + 19)
        source = torch.where((torch.rand(n) < 0.6)[:, None, None, None] & (t >= 199)[:, None, None, None], twin, z)
        return s.schedule.noised(source, torch.randn_like(z), t), t, z, pick

    def coupled(self, noise, sketch):
        """Noise whose means over blocks of the first channel are those of a sketch, times the block's
        side: as white as before."""
        n, _, h, w = noise.shape
        side = h // PLACES
        want = sketch[:, None] / side
        have = F.avg_pool2d(noise[:, :1], side)
        noise = noise.clone()
        noise[:, :1] += F.interpolate(want - have, scale_factor=side)
        return noise

    def score(self, a, b, reals, reader_maps):
        """The energy score of two samples of each caption against real ones of the same words."""
        n = len(a)
        total = 0
        with torch.no_grad():
            seen = [patches(r) + looks(self.reader.maps(r)) for r in reals]
        both = patches(torch.cat([a, b])) + looks(reader_maps)
        for i, (m, w) in enumerate(zip(both, WEIGHTS)):
            x, y = m[:n], m[n:]
            near = sum(length(x, r[i]) + length(y, r[i]) for r in seen) / len(seen)
            total = total + w * (near - length(x, y))
        return total

    def step(self, p):
        s, n = self.s, self.n
        rows = self.data.take(n)
        x2, t2, z2, pick = self.denoising(rows, n)
        noise = torch.randn(2 * n, *z2.shape[1:])
        noise[:n] = self.coupled(noise[:n], rows["sketch"])
        x = torch.cat([noise, x2])
        t = torch.cat([torch.full((2 * n,), 999), t2])
        with autocast(s.device):
            text = self.words(rows["ids"])
            v = self.net(x, t, torch.cat([text, text, text[pick]])).float()
        z = s.schedule.clean(x, v, t)
        made, rest = z[:2 * n], z[2 * n:]
        leaf = made.detach().requires_grad_(True)
        twice = {k: torch.cat([rows[k], rows[k]]) for k in LABELS}
        reals = [rows["another"]]
        with autocast(s.device):
            maps = self.reader.maps(s.lay(leaf))
            heads = self.reader.heads(maps[-1])
        score = self.score(leaf[:n], leaf[n:], reals, maps)
        heard = judge.loss(heads, twice)
        with torch.no_grad():
            target = patches(rows["latent"]) + looks(self.reader.maps(rows["latent"]))
        mine = patches(leaf[:n]) + looks([m[:n] for m in maps])
        follow = sum(w * length(x, y) for w, x, y in zip(WEIGHTS, mine, target))
        parts = [(score, 0.7), (follow, 1.2), (heard, 0.4)]
        numbers = {"score": score.detach(), "follow": follow.detach(), "heard": heard.detach()}
        if p >= self.critic_from:
            with autocast(s.device):
                verdicts = self.critic([leaf] + maps, twice)
            fool = sum(-v.mean() for v in verdicts)
            parts.append((fool, 0.6 * min(1, (p - self.critic_from) / 0.1)))
        grad = 0
        for loss, weight in parts:
            g, = torch.autograd.grad(loss, leaf, retain_graph=True)
            grad = grad + weight * g / g.square().mean().sqrt().clamp(min=1e-12)
        grad = grad / (len(leaf) * leaf[0].numel()) * 0.5
        b = s.schedule.at(t2)[1]
        error = (rest - z2).square().mean((1, 2, 3), keepdim=True)
        denoise = (error / b ** 2).clamp(max=50).mean()
        total = (made * grad).sum() * 1.0 + denoise
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        clip([q for g in self.optimizer.param_groups for q in g["params"]])
        self.optimizer.step()
        self.average.update()
        numbers["denoise"] = denoise.detach()
        if p >= self.critic_from - 0.03:
            numbers["critic"] = self.critic_step(rows, made.detach(), twice)
        return numbers

    def critic_step(self, rows, made, twice):
        s = self.s
        real = torch.cat([rows["latent"], rows["another"]])
        with torch.no_grad(), autocast(s.device):
            both = torch.cat([real, made])
            both = s.lay(both + 0.05 * torch.randn_like(both))
            maps = [both] + self.reader.maps(both)
        with autocast(s.device):
            verdicts = self.critic(maps, {k: torch.cat([v, v]) for k, v in twice.items()})
        n = len(real)
        loss = sum(F.relu(1 - v[:n]).mean() + F.relu(1 + v[n:]).mean() for v in verdicts) / len(verdicts)
        self.critic_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_adam.step()
        return loss.detach()


def onestep(s):
    """text and student at once."""
    one = OneStep(s)

    def write():
        s.write("student", one.average.kept[0])
        s.write("text", one.average.kept[1])
        return {}

    parts = {"net": one.net, "text": one.words, "critic": one.critic, "average": one.average}
    Stage(s.args, "onestep", parts, [one.optimizer, one.critic_adam], one.step, write, minutes=35).run()
    write()

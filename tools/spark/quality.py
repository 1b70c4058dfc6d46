# SPDX-License-Identifier: MIT
"""Measures spark on captions, combinations and seeds that were never trained on, and writes the table
of docs/spark.md.

  python3 tools/spark/quality.py --results spark-results --write docs/spark.md --pictures spark-pictures

Everything is read by `judge`, a classifier that no loss ever saw. Pictures are painted as the engine
paints them: LCM, the f16 weights of the results."""
import argparse
import os
import random
import time

import torch
from torch.nn import functional as F

import depth_model
import judge
import model
import pool
import quality_depth
import words
from harness import autocast, read_result
from page import put, table
from stages import Setup


class Measure:
    def __init__(self, s, args):
        self.s, self.args, self.count = s, args, args.count
        for name, module in (("autoencoder", s.vae), ("text", s.text)):
            s.read(name, module)
        name = "student" if read_result(s.args.results, "student", s.unet, required=False) else "unet"
        s.read(name, s.unet)
        self.judge = s.read_judge("judge")
        self.generator = torch.Generator().manual_seed(args.seed + 99991)
        self.rng = random.Random(args.seed + 99991)
        self.noise = torch.Generator().manual_seed(args.seed + 5)
        self.part = 8 if s.tiny else 64 if s.small else 256

    def rows(self, count, testing=False, pairs=0.0):
        return pool.to_device(pool.draw_rows(count, self.generator, testing, pairs), self.s.device)

    def by_parts(self, f, rows):
        n = len(rows["form"])
        return torch.cat([f({k: v[i:i + self.part] for k, v in rows.items()}) for i in range(0, n, self.part)])

    def real(self, rows):
        return self.by_parts(lambda r: (pool.pictures(r, self.s.picture) * 255).round().byte(), rows)

    def text(self, rows):
        f, sec, p, t = (rows[k].tolist() for k in ("form", "second", "palette", "treatment"))
        ids = [self.s.words.encode(words.caption(f[i], p[i], t[i], sec[i], self.rng)) for i in range(len(f))]
        return self.s.text(torch.tensor(ids, device=self.s.device))

    def draw_noise(self, n):
        side = self.s.picture // 8
        return torch.randn(n, self.s.sizes["vae"]["latent"], side, side, generator=self.noise).to(self.s.device)

    def decode(self, z):
        x = (self.s.vae.decode(z) * 0.5 + 0.5).clamp(0, 1)
        return (x.float() * 255).round().byte()

    def paint(self, rows, steps=1):
        def one(r):
            with autocast(self.s.device):
                z = model.paint(self.s.unet, self.s.schedule, self.text(r), self.draw_noise(len(r["form"])), steps)
                return self.decode(z)
        return self.by_parts(one, rows)

    def over(self, pictures, text, strength=0.5):
        """One step over a picture, as the engine does at this strength."""
        s = self.s
        t = torch.full((len(pictures),), int(strength * 1000) - 1, dtype=torch.long, device=s.device)
        with autocast(s.device):
            z = s.vae.encode(pictures.float() / 127.5 - 1).float()
            x = s.schedule.noised(z, self.draw_noise(len(z)), t)
            return self.decode(s.schedule.clean(x, s.unet(x, t, text).float(), t))

    def seen_as(self, pictures, rows):
        """(form, palette, treatment, form and palette), shares."""
        got = [self.judge(x.float() / 255) for x in pictures.split(self.part)]
        heads = [torch.cat(h) for h in zip(*got)]
        form, palette, treatment = judge.right(heads, rows)
        return [v.float().mean().item() for v in (form, palette, treatment, form & palette)]

    def embeddings(self, pictures):
        return torch.cat([self.judge.embed(x.float() / 255) for x in pictures.split(self.part)])


def frechet(a, b):
    """Distance of two Gaussians fitted to [n, d] features."""
    a, b = a.double(), b.double()
    d = a.mean(0) - b.mean(0)
    ca, cb = (torch.cov(x.T) for x in (a, b))
    values, vectors = torch.linalg.eigh(ca)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cb @ root).clamp(min=0).sqrt().sum()
    return (d @ d + ca.trace() + cb.trace() - 2 * cross).item()


def edges(x):
    """bytes [n, 3, h, w] -> size of the gradient of the lightness, [n, h w]."""
    grey = (x.float() / 255).mean(1, keepdim=True)
    k = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=x.device).view(1, 1, 3, 3)
    grey = F.avg_pool2d(grey, 3, 1, 1)
    gx, gy = F.conv2d(grey, k), F.conv2d(grey, k.transpose(2, 3))
    return torch.sqrt(gx * gx + gy * gy).flatten(1)


def correlation(a, b):
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp(min=1e-9)).mean().item()


# ------------------------------------------------------------------------------ the figures
def adherence(m, out):
    rows = m.rows(m.count)
    form, palette, _, _ = m.seen_as(m.real(rows), rows)
    out += [("Judge on real pictures: form", form, ">=", 0.97), ("Judge on real pictures: palette", palette, ">=", 0.97)]
    for steps in (1, 2):
        form, palette, treatment, both = m.seen_as(m.paint(rows, steps), rows)
        bar = (">=", 0.90), (">=", 0.95)
        out += [(f"Form as asked, {steps} step{'s' * (steps > 1)}", form, *bar[0]),
                (f"Palette as asked, {steps} step{'s' * (steps > 1)}", palette, *bar[1]),
                (f"Treatment as asked, {steps} step{'s' * (steps > 1)}", treatment, "", None)]
    rows = m.rows(m.count, testing=True)
    _, _, _, both = m.seen_as(m.paint(rows), rows)
    out.append(("Form and palette of unseen combinations, 1 step", both, ">=", 0.75))


def distances(m, out):
    a, b, c = (m.rows(m.count, pairs=0.12) for _ in range(3))
    real, other = m.embeddings(m.real(a)), m.embeddings(m.real(b))
    made = m.embeddings(m.paint(c))
    halves, gap = frechet(real, other), frechet(real, made)
    out.append(("Fréchet distance to real pictures, in times that of two real halves", gap / halves, "<=", 4))
    # pictures of one caption: how far apart, real and made
    groups = max(2, m.count // 16)
    base = m.rows(groups)
    rows = {k: v.repeat_interleave(8) for k, v in base.items()}
    rows["seed"] = torch.randint(0, 1 << 40, rows["seed"].shape, generator=m.generator).to(m.s.device)

    def spread(pictures):
        e = m.embeddings(pictures).view(groups, 8, -1)
        return torch.cdist(e, e).sum().item() / (groups * 56)

    out.append(("Spread within a caption (diversity), of real", spread(m.paint(rows)) / spread(m.real(rows)), ">=", 0.80))


def autoencoder(m, out):
    rows = m.rows(m.count, testing=None, pairs=0.12)
    total = []
    for x in m.real(rows).split(m.part):
        with autocast(m.s.device):
            z = m.s.vae.encode(x.float() / 127.5 - 1)
            y = m.decode(z)
        mse = ((x.float() - y.float()) / 255).pow(2).mean((1, 2, 3)).clamp(min=1e-8)
        total.append(-10 * torch.log10(mse))
    out.append(("Autoencoder, PSNR in dB", torch.cat(total).mean().item(), ">=", 28))


def painting_over(m, out):
    rows = m.rows(min(m.count, 512))
    source = m.real(rows)
    recoloured = dict(rows, palette=(rows["palette"] + 5) % len(words.PALETTE_NAMES))
    anything = m.rows(len(rows["form"]))
    for name, target, bar in (("another palette", recoloured, (">=", 0.5)), ("any caption", anything, (">=", 0.5))):
        done = torch.cat([m.over(source[i:i + m.part], m.text({k: v[i:i + m.part] for k, v in target.items()}))
                          for i in range(0, len(source), m.part)])
        out.append((f"img2img at 0.5 to {name}: edge correlation", correlation(edges(source), edges(done)), *bar))
        if target is recoloured:
            out.append(("img2img at 0.5: palette as asked", m.seen_as(done, target)[1], "", None))


def walks(m, out, frames=48):
    worst = []
    for _ in range(4 if m.s.tiny else 16):
        ends = m.text(m.rows(2))
        noise = m.draw_noise(1).expand(frames, -1, -1, -1)
        u = torch.linspace(0, 1, frames, device=m.s.device)[:, None, None]
        text = ends[:1] * (1 - u) + ends[1:] * u
        with autocast(m.s.device):
            x = torch.cat([m.decode(model.paint(m.s.unet, m.s.schedule, text[i:i + 16], noise[i:i + 16]))
                           for i in range(0, frames, 16)]).float()
        jump = (x[1:] - x[:-1]).abs().mean((1, 2, 3))
        worst.append((jump.max() / jump.median().clamp(min=1e-6)).item())
    worst.sort()
    out.append(("Largest jump of a walk between two prompts, in times the median", worst[len(worst) // 2], "<=", 3))
    out.append(("The same, of the worst walk", worst[-1], "", None))


def depth(m, out):
    net = depth_model.Depth(m.s.args.size)
    if read_result(m.s.args.results, "depth", net, required=False):
        size = (56, 84) if m.s.tiny else (168, 224)
        out += quality_depth.figures(net.to(m.s.device).eval(), min(m.count, 512), size, m.s.device)[:2]


# ------------------------------------------------------------------------------ what is written
def pictures(m, folder):
    """Sheets for a person's eye: real above, made below; through the autoencoder; painted over."""
    from PIL import Image
    os.makedirs(folder, exist_ok=True)

    def sheet(name, rows_of_pictures):
        page = torch.cat([torch.cat(list(r), 2) for r in rows_of_pictures], 1)
        Image.fromarray(page.permute(1, 2, 0).cpu().numpy()).save(os.path.join(folder, name), quality=85)

    lines = []
    for i in range(4):
        rows = m.rows(8, testing=i == 3)
        lines += [m.real(rows), m.paint(rows)]
    sheet("made.jpg", lines)
    rows = m.rows(8)
    real = m.real(rows)
    with autocast(m.s.device):
        again = m.decode(m.s.vae.encode(real.float() / 127.5 - 1))
    sheet("autoencoder.jpg", [real, again])
    sheet("over.jpg", [real, m.over(real, m.text(dict(rows, palette=(rows["palette"] + 5) % 16)))])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--results", default="spark-results")
    p.add_argument("--size", choices=["full", "small", "tiny"], default="full")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--count", type=int, default=4096, help="pictures of each figure [4096]")
    p.add_argument("--picture", type=int, help="side in pixels [256; small: 128]")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--write", help="page whose table is replaced, or that is written")
    p.add_argument("--pictures", help="folder for sheets of pictures")
    args = p.parse_args()
    args.picture = args.picture or (128 if args.size == "small" else 256)
    args.scale, args.render, args.fill, args.fresh = 1.0, 512, 60, False
    start = time.time()
    m, figures = Measure(Setup(args), args), []
    with torch.no_grad():
        for measure in (adherence, distances, autoencoder, painting_over, walks, depth):
            before = len(figures)
            measure(m, figures)
            for name, value, sign, bar in figures[before:]:
                print(f"{time.time() - start:6.1f} s  {name}: {value:.4g}" + (f" ({sign} {bar:g})" if bar else ""), flush=True)
        if args.pictures:
            pictures(m, args.pictures)
    if args.write:
        note = f"{args.count} pictures a figure, {args.picture}x{args.picture}, seed {args.seed}."
        put(args.write, table(figures, note))


if __name__ == "__main__":
    main()

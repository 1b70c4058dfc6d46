# SPDX-License-Identifier: MIT
"""The stages of training; train.py is their command."""
import copy

import torch
from torch import nn
from torch.nn import functional as F

import judge
import model
import pool
import words
from harness import HALF_ON_CPU, Average, Stage, autocast, clip, compiled, read_result, write_result
from tokenizer import Tokenizer, learn

CLASSIFIER_RATE = 6e-4
TINY = {"pool": 24, "batch": 4, "picture": 64, "render": 8}


class Setup:
    """The modules and sizes of a run."""

    def __init__(self, args):
        self.args, self.device = args, torch.device(args.device)
        torch.manual_seed(args.seed)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        self.tiny, self.small = args.size == "tiny", args.size == "small"
        self.picture = TINY["picture"] if self.tiny else args.picture
        self.sizes = model.SIZES[args.size]
        self.words = Tokenizer(learn(words.corpus(), self.sizes["vocabulary"]), self.sizes["text"]["tokens"])
        self.text, self.unet, self.vae = (m.to(self.device) for m in model.build(self.sizes, args.seed))
        self.schedule = model.Schedule(self.device)
        self.judge_scale = {"tiny": 0.25, "small": 0.5, "full": 1.0}[args.size]
        empty = torch.tensor([self.words.encode("")], device=self.device)
        self.empty = empty
        self.pool = None

    def lay_out(self, net):
        """Channels last where that is quicker."""
        quick = self.device.type == "cuda" or HALF_ON_CPU[0]
        return net.to(memory_format=torch.channels_last) if quick else net

    def lay(self, x):
        """The same for what goes into one."""
        quick = self.device.type == "cuda" or HALF_ON_CPU[0]
        return x.contiguous(memory_format=torch.channels_last) if quick else x

    def batch(self, full):
        return TINY["batch"] if self.tiny else max(1, int(full * self.args.scale))

    def make_pool(self, count, encode=None, tokens=False, twins=False, half=False):
        count = TINY["pool"] if self.tiny else max(64, int(count * self.args.scale))
        self.pool = None  # the old one's memory first
        self.pool = pool.Pool(count, self.picture, self.device, self.words if tokens else None,
                              encode, twins, self.args.seed + 17,
                              TINY["render"] if self.tiny else self.args.render, self.args.fill, half)
        return self.pool

    def every(self, steps):
        """How often a pool is renewed: by steps where these are counted, so that a run can be
        repeated; else by time."""
        return steps if self.args.steps else 0

    def read(self, name, module):
        read_result(self.args.results, name, module)
        return module.to(self.device).eval().requires_grad_(False)

    def new_judge(self, kind):
        """Of the small size the judge looks at half the side, which is four times as quick."""
        side = self.picture // 2 if self.small and kind == "judge" else 0
        return judge.Judge(kind, self.judge_scale, side).to(self.device)

    def read_judge(self, kind):
        return self.read(kind, self.new_judge(kind))

    def write(self, name, module):
        write_result(self.args.results, name, module)

    def encode(self, x):
        """Pictures in 0 .. 1 to latents as they are kept; by parts, f16 on a GPU."""
        with torch.no_grad(), autocast(self.device):
            z = torch.cat([self.vae.encode(part * 2 - 1) for part in x.split(128)])
        return z.half() if self.device.type == "cuda" else z.float()


def adam(groups, rate, decay=0.01, betas=(0.9, 0.99)):
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, betas=betas)


# ------------------------------------------------------------------------------ classifier
def classifier(s, kind):
    """kind `features` (for losses) or `judge` (for quality.py)."""
    torch.manual_seed(s.args.seed + (101 if kind == "judge" else 11))
    net = s.lay_out(s.new_judge(kind))
    have = s.pool and "picture" in s.pool.store and s.pool.half == (net.side > 0)
    data = s.pool if have else s.make_pool(40000 if not net.side else 100000, half=net.side > 0)
    average = Average([net], 0.999 if not s.small else 0.99)
    optimizer = adam(net.parameters(), CLASSIFIER_RATE * (2 if s.small else 1), 0.02)
    n, count = s.batch(256), [0]
    fast = compiled(net, s.args)

    def step(p):
        count[0] += 1
        data.renew(count[0], s.every(4))
        rows = data.take(n)
        x = rows["picture"]
        with torch.no_grad():  # a little noise: pictures that a decoder made have other pixels
            x = (x + torch.randn_like(x) * (0.03 * torch.rand(n, 1, 1, 1, device=x.device))).clamp(0, 1)
        with autocast(s.device):
            heads = fast(x)
            loss = judge.loss(heads, rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(net.parameters())
        optimizer.step()
        average.update()
        form, palette, treatment = judge.right(heads, rows)
        return {"loss": loss, "form": form.float().mean(), "palette": palette.float().mean(),
                "treatment": treatment.float().mean()}

    Stage(s.args, kind, {"net": net, "average": average}, [optimizer], step, minutes=0.6 if kind == "features" else 0.8).run()
    s.write(kind, average.kept[0])


# ------------------------------------------------------------------------------ autoencoder
def perceptual(features, x, y):
    """Distance of two pictures in the classifier's first maps."""
    total = 0
    for a, b in zip(features.maps(x)[:3], features.maps(y)[:3]):
        total = total + (a - b).abs().mean() / (b.abs().mean() + 1e-3)
    return total / 3


def autoencoder(s):
    features = s.read_judge("features")
    have = s.pool and "picture" in s.pool.store and not s.pool.half
    data = s.pool if have else s.make_pool(40000)
    net = s.lay_out(s.vae.train().requires_grad_(True))
    average = Average([net], 0.999 if not s.small else 0.995)
    optimizer = adam(net.parameters(), 1.5e-3, 0.0)
    n, side, count = s.batch(64), s.picture // 2, [0]

    def crop(x):
        i, j = (int(v) * 8 for v in torch.randint(0, (s.picture - side) // 8 + 1, (2,)))
        return x[:, :, i:i + side, j:j + side]

    def step(p):
        count[0] += 1
        data.renew(count[0], s.every(8))
        x = crop(data.take(n)["picture"])
        with autocast(s.device):
            z = net.encode(x * 2 - 1)
            # Latents of mean 0 and deviation 1, which the noise schedule is made for.
            mean, var = z.float().mean((0, 2, 3)), z.float().var((0, 2, 3))
            even = (mean ** 2).mean() + (torch.log(var + 1e-4) ** 2).mean()
            y = net.decode(z + 0.03 * torch.randn_like(z)) * 0.5 + 0.5
            mse = F.mse_loss(y.float(), x)
            seen = perceptual(features, y, x)
            loss = (y - x).abs().mean() + 4 * mse + 0.06 * seen + 0.02 * even
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(net.parameters())
        optimizer.step()
        average.update()
        return {"loss": loss, "psnr": -10 * torch.log10(mse.detach() + 1e-9), "seen": seen, "even": even}

    Stage(s.args, "autoencoder", {"net": net, "average": average}, [optimizer], step, minutes=4.2).run()
    s.write("autoencoder", average.kept[0])


# ------------------------------------------------------------------------------ text
def text(s):
    """The text encoder learns first what words mean: form, palette, treatment from the caption."""
    net = s.text.train().requires_grad_(True)
    c = s.sizes["text"]["channels"]
    heads = nn.ModuleList(nn.Linear(c, n) for n in (pool.FORMS, pool.PALETTES, pool.TREATMENTS)).to(s.device)
    optimizer = adam(list(net.parameters()) + list(heads.parameters()), 1e-3)
    generator = torch.Generator().manual_seed(s.args.seed)
    maker = pool.Pool.__new__(pool.Pool)  # its captions alone: no picture is wanted
    import random
    maker.tokenizer, maker.rng = s.words, random.Random(s.args.seed)
    count = 64 if s.tiny else 30000
    rows = pool.draw_rows(count, generator)
    rows["ids"] = maker.captions(rows)
    rows = pool.to_device(rows, s.device)
    n = s.batch(512)

    def step(p):
        pick = torch.randint(0, count, (n,), generator=generator).to(s.device)
        batch = {k: v[pick] for k, v in rows.items()}
        ids = batch["ids"][:, int(torch.randint(0, pool.Pool.PHRASINGS, (1,), generator=generator))].long()
        with autocast(s.device):
            pooled = net(ids).mean(1)
            out = [h(pooled) for h in heads]
            loss = judge.loss(out, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(net.parameters())
        optimizer.step()
        return {"loss": loss, "form": judge.right(out, batch)[0].float().mean()}

    Stage(s.args, "text", {"net": net, "heads": heads}, [optimizer], step, minutes=0.3).run()
    s.write("text", net)


# ------------------------------------------------------------------------------ unet
def latents(s, count, twins=False):
    s.read("autoencoder", s.vae)
    have = isinstance(s.pool, pool.Pool) and "latent" in s.pool.store and (not twins or "twin" in s.pool.store)
    return s.pool if have else s.make_pool(count, s.encode, tokens=True, twins=twins)


def unet(s):
    """Diffusion: v from noised latents and words, every timestep; a tenth without words."""
    read_result(s.args.results, "text", s.text)
    data = latents(s, 160000)
    net, words_net = s.unet.train().requires_grad_(True), s.text.train().requires_grad_(True)
    if s.device.type == "cuda":
        net.to(memory_format=torch.channels_last)
    if not s.args.fresh and read_result(s.args.results, "unet", net, required=False):
        print("unet: begins with the weights in " + s.args.results, flush=True)
    average = Average([net, words_net], 0.9995 if not s.tiny else 0.9)
    optimizer = adam([{"params": list(net.parameters())}, {"params": list(words_net.parameters()), "lr": 2e-4}], 6e-4)
    n, count = s.batch(384), [0]
    fast = compiled(net, s.args)
    parameters = list(net.parameters()) + list(words_net.parameters())

    def step(p):
        count[0] += 1
        data.renew(count[0], s.every(10))
        rows = data.take(n)
        z = rows["latent"].float()
        # half of all timesteps among the noisier ones, where the words decide
        u = torch.rand(n, device=s.device)
        u = torch.where(torch.rand(n, device=s.device) < 0.5, u, u.sqrt())
        t = (u * 1000).long().clamp(max=999)
        noise = torch.randn_like(z)
        drop = torch.rand(n, 1, device=s.device) < 0.1
        ids = torch.where(drop, s.empty, rows["ids"])
        with autocast(s.device):
            v = fast(s.schedule.noised(z, noise, t), t, words_net(ids))
            loss = F.mse_loss(v.float(), s.schedule.v(z, noise, t))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip(parameters)
        optimizer.step()
        average.update()
        return {"loss": loss}

    def write():
        s.write("unet", average.kept[0])
        s.write("text", average.kept[1])
        return {}

    parts = {"net": net, "text": words_net, "average": average}
    Stage(s.args, "unet", parts, [optimizer], step, write, minutes=7.6).run()
    write()

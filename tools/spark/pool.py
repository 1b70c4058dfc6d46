# SPDX-License-Identifier: MIT
"""Pictures, or their latents, that training draws from: made on the device, never on a disk. A part
is made anew all the time, so no picture is seen often."""
import random
import time

import torch
from torch.nn import functional as F

import paint
import words

FORMS, PALETTES, TREATMENTS = (len(n) for n in (words.FORM_NAMES, words.PALETTE_NAMES, words.TREATMENT_NAMES))


def kept_tables():
    """[forms, palettes, treatments] and [forms, forms], true: for testing only."""
    single = torch.tensor([[[words.held_out(f, p, t) for t in range(TREATMENTS)]
                            for p in range(PALETTES)] for f in range(FORMS)])
    pair = torch.tensor([[words.pair_held_out(a, b) for b in range(FORMS)] for a in range(FORMS)])
    return single, pair


SINGLE, PAIR = kept_tables()


def draw_rows(count, generator, testing=False, pairs=0.12):
    """Vectorised words.draw: dict of int64 [count] on the CPU. testing None: both sides."""
    kept = []
    while sum(len(k[0]) for k in kept) < count:
        n = 2 * count if testing is False else 12 * count

        def whole(high):
            return torch.randint(0, high, (n,), generator=generator)

        f, p, t, s = whole(FORMS), whole(PALETTES), whole(TREATMENTS), whole(FORMS)
        two = torch.rand(n, generator=generator) < pairs
        fine = ~two | (s != f)
        if testing is not None:
            fine &= SINGLE[f, p, t] == testing
            fine &= ~two | (PAIR[f, s] == testing)
        s = torch.where(two, s, -1)
        kept.append([a[fine] for a in (f, s, p, t)])
    f, s, p, t = (torch.cat(a)[:count] for a in zip(*kept))
    seed = torch.randint(0, 1 << 40, (count,), generator=generator)
    return {"form": f, "second": s, "palette": p, "treatment": t, "seed": seed}


def pictures(rows, size):
    return paint.render(rows["form"], rows["second"], rows["palette"], rows["treatment"], rows["seed"],
                        size, size)


def to_device(rows, device):
    return {k: v.to(device) for k, v in rows.items()}


VARIANTS = 3  # of a drawn picture: other palette, other treatment where that does not move anything
MOVING = [words.TREATMENT_NAMES.index(n) for n in ("symmetrical", "zoomed", "layered")]
RESTING = [i for i in range(len(words.TREATMENT_NAMES)) if i not in MOVING]


def redressed(rows, generator):
    """The same shapes under another palette and treatment that training may see."""
    n = len(rows["form"])
    moving = torch.tensor(MOVING)
    keep = (rows["treatment"][:, None] == moving).any(1)
    out = dict(rows)
    todo = torch.ones(n, dtype=torch.bool)
    palette, treatment = rows["palette"].clone(), rows["treatment"].clone()
    while todo.any():
        p = torch.randint(0, PALETTES, (n,), generator=generator)
        t = torch.tensor(RESTING)[torch.randint(0, len(RESTING), (n,), generator=generator)]
        t = torch.where(keep, rows["treatment"], t)
        palette, treatment = torch.where(todo, p, palette), torch.where(todo, t, treatment)
        todo = SINGLE[rows["form"], palette, treatment]
    out["palette"], out["treatment"] = palette, treatment
    return out


def variants(rows, size, device, generator):
    """The pictures of rows, and the same shapes redressed: VARIANTS times (rows, pictures), for little
    more than the time of one, which goes into the shapes."""
    on = to_device(rows, device)
    shape = paint.shapes(on["form"], on["second"], on["treatment"], on["seed"], size, size)
    for i in range(VARIANTS):
        on = to_device(redressed(rows, generator) if i else rows, device)
        yield on, paint.dress(shape, on["palette"], on["treatment"], on["seed"])


class Pool:
    """encode: None keeps pictures (bytes); else pictures in 0 .. 1 -> latents, which are kept.
    twins: beside each latent one of the same picture in another palette. half: pictures are kept at
    half the side, and are drawn as variants()."""
    PHRASINGS = 3

    def __init__(self, count, size, device, tokenizer=None, encode=None, twins=False, seed=0,
                 batch=512, seconds=60, half=False):
        self.size, self.device, self.tokenizer, self.encode, self.twins = size, device, tokenizer, encode, twins
        self.generator = torch.Generator().manual_seed(seed)
        self.rng, self.half = random.Random(seed), half
        self.batch, self.next, self.store, self.due = min(batch, count), 0, None, 0.0
        start = time.time()
        filled = 0
        while filled < count:
            rows = self.make(min(self.batch, count - filled))
            if self.store is None:
                self.store = {k: torch.empty((count,) + v.shape[1:], dtype=v.dtype, device=device)
                              for k, v in rows.items()}
            self.put(filled, rows)
            filled += len(rows["form"])
            if time.time() - start > seconds:
                break
        self.count = filled
        took = time.time() - start
        print(f"  pool: {filled} pictures of {size}x{size} in {took:.1f} s, {filled / took:.0f}/s", flush=True)

    def make_half(self, count):
        parts = []
        for rows, x in variants(draw_rows(-(-count // VARIANTS), self.generator), self.size, self.device, self.generator):
            rows["picture"] = (F.avg_pool2d(x, 2) * 255).round().byte()
            parts.append(rows)
        return {k: torch.cat([p[k] for p in parts])[:count] for k in parts[0]}

    def make(self, count):
        if self.half:
            return self.make_half(count)
        rows = to_device(draw_rows(count, self.generator), self.device)
        x = pictures(rows, self.size)
        if self.encode:
            rows["latent"] = self.encode(x)
            if self.twins:
                other = dict(rows, palette=(rows["palette"] + 1 + rows["seed"] % (PALETTES - 1)) % PALETTES)
                rows["twin"] = self.encode(pictures(other, self.size))
        else:
            rows["picture"] = (x * 255).round().byte()
        if self.tokenizer:
            rows["ids"] = self.captions(rows).to(self.device)
        return rows

    def captions(self, rows):
        f, s, p, t = (rows[k].tolist() for k in ("form", "second", "palette", "treatment"))
        ids = [self.tokenizer.encode(words.caption(f[i], p[i], t[i], s[i], self.rng))
               for i in range(len(f)) for _ in range(self.PHRASINGS)]
        return torch.tensor(ids, dtype=torch.int16).view(len(f), self.PHRASINGS, -1)

    def put(self, at, rows):
        for k, v in rows.items():
            self.store[k][at:at + len(v)] = v

    def renew(self, step, every):
        """Once in `every` steps; with `every` 0 as often as takes a fifth of the time."""
        if every:
            if step % every == 0:
                self.make_anew()
        elif time.time() > self.due:
            self.settle()
            began = time.time()
            self.make_anew()
            self.settle()
            now = time.time()
            self.due = now + 4 * (now - began)

    def settle(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def make_anew(self):
        rows = self.make(min(self.batch, self.count))
        if self.next + len(rows["form"]) > self.count:
            self.next = 0
        self.put(self.next, rows)
        self.next += len(rows["form"])

    def take(self, count):
        """A random batch; ids is one of the phrasings."""
        pick = torch.randint(0, self.count, (count,), generator=self.generator).to(self.device)
        out = {k: v[pick] for k, v in self.store.items()}
        if "picture" in out:
            out["picture"] = out["picture"].float() / 255
        if "ids" in out:
            which = torch.randint(0, self.PHRASINGS, (count,), generator=self.generator).to(self.device)
            out["ids"] = out["ids"][torch.arange(count, device=self.device), which].long()
        return out

# SPDX-License-Identifier: MIT
"""Measures the depth model on scenes whose seeds training never reaches, and makes sheets to look at.

  python3 tools/spark/quality_depth.py --write docs/spark.md --pictures docs/spark [--photos FILE...]

It reads the folder that the engine reads. AbsRel and delta1 are means over pictures of what is
nearer than the model's limit (20 m; the sky does not count), in metres, nothing fitted. The
fitted ones are for those who use depth up to a scale."""
import argparse
import os

import torch
from torch.nn import functional as F

import depth_model
import scene
from page import put, table

MARK = "<!-- measured: quality_depth.py -->"


def aligned(got, true):
    """Scale and shift of inverse depth by least squares, as for relative models."""
    a = torch.stack([1 / got, torch.ones_like(got)], 1).double()
    fit = torch.linalg.lstsq(a, 1 / true[:, None].double()).solution
    return (1 / (a @ fit)[:, 0].clamp(min=1 / 80)).float()


def errors(got, true):
    """AbsRel, delta1."""
    return torch.stack([((got - true).abs() / true).mean(), (torch.maximum(got / true, true / got) < 1.25).float().mean()])


@torch.no_grad()
def figures(net, count, size=(168, 224), device="cpu"):
    far, rows, sorts = net.size["max_depth"], [], []
    for i in range(0, count, 16):
        seeds = range(scene.UNSEEN + i, scene.UNSEEN + min(i + 16, count))
        sorts += [scene.sort(seed) for seed in seeds]
        x, z = scene.render(seeds, *size)
        for got, true in zip(net(x.to(device)).float().cpu(), z):
            near = true < far
            got, true = got[near].clamp(min=0.05), true[near]
            rows.append(torch.stack([errors(got, true), errors(got * (true / got).median(), true),
                                     errors(aligned(got, true), true)]))
    rows, sorts = torch.stack(rows), torch.tensor(sorts)
    (off, close), scaled, fitted = rows.mean(0).tolist()
    out = [("Depth of unseen scenes: AbsRel", off, "<=", 0.10), ("Depth of unseen scenes: δ1", close, ">=", 0.92)]
    for i, name in enumerate(("the source's own scene", "other scenes", "scenes in a room")):
        if (sorts == i).any():
            off, close = rows[sorts == i][:, 0].mean(0).tolist()
            out += [(f"of these, {name}: AbsRel", off, "", None), (f"of these, {name}: δ1", close, "", None)]
    return out + [("AbsRel of the worst 5 % of scenes, from", rows[:, 0, 0].quantile(0.95).item(), "", None),
                  ("One scale fitted to each picture: AbsRel", scaled[0], "", None), ("the same: δ1", scaled[1], "", None),
                  ("Scale and shift of 1/z fitted to each picture, as relative depth is measured: AbsRel", fitted[0], "<=", 0.10),
                  ("the same: δ1", fitted[1], ">=", 0.92)]


def shaded(z, low, high):
    """[1, h, w] metres -> bytes [3, h, w]: near is white."""
    v = (1 / z.clamp(min=1e-3) - 1 / high) / (1 / low - 1 / high)
    return (v.clamp(0, 1).sqrt() * 255).round().byte().expand(3, -1, -1)


def save(path, rows):
    from PIL import Image
    page = torch.cat([torch.cat(list(r), 2) for r in rows], 1)
    Image.fromarray(page.permute(1, 2, 0).contiguous().numpy()).save(path, quality=85)


@torch.no_grad()
def scenes_sheet(net, path, count=6):
    """Picture, true depth, depth as seen: unseen scenes."""
    x, z = scene.render(range(scene.UNSEEN, scene.UNSEEN + 2 * count), 168, 224)
    got, rows = net(x), []
    for start in (0, count):
        part = range(start, start + count)
        limits = [(z[i].min().item(), net.size["max_depth"]) for i in part]
        rows += [[(x[i] * 255).round().byte() for i in part], [shaded(z[i], *l) for i, l in zip(part, limits)],
                 [shaded(got[i], *l) for i, l in zip(part, limits)]]
    save(path, rows)


@torch.no_grad()
def photos_sheet(net, path, files):
    """Photographs and what the model makes of them, from its own nearest to its own farthest."""
    from PIL import Image
    import numpy
    pictures, depths = [], []
    for name in files:
        x = torch.from_numpy(numpy.array(Image.open(name).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        high, wide = x.shape[2:]
        if 3 * wide > 4 * high:  # the middle, 4:3
            x = x[:, :, :, (wide - high * 4 // 3) // 2:][:, :, :, :high * 4 // 3]
        else:
            x = x[:, :, (high - wide * 3 // 4) // 2:][:, :, :wide * 3 // 4]
        x = F.interpolate(x, size=(168, 224), mode="bicubic", antialias=True).clamp(0, 1)
        z = net(x)[0]
        pictures.append((x[0] * 255).round().byte())
        depths.append(shaded(z, z.min().item(), z.max().item()))
        print(f"{os.path.basename(name)}: {z.min():.1f} to {z.max():.1f} m", flush=True)
    save(path, [pictures, depths])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="share/models/spark-depth", help="folder [share/models/spark-depth]")
    p.add_argument("--count", type=int, default=512, help="scenes [512]")
    p.add_argument("--write", help="page whose table is replaced, or that is written")
    p.add_argument("--pictures", help="folder for depth.jpg and, with --photos, photos.jpg")
    p.add_argument("--photos", nargs="*", default=[], help="photographs for the second sheet")
    args = p.parse_args()
    net = depth_model.read_folder(args.model)
    got = figures(net, args.count)
    for name, value, sign, bar in got:
        print(f"{name}: {value:.4g}" + (f" ({sign} {bar:g})" if bar else ""), flush=True)
    if args.write:
        put(args.write, table(got, f"{args.count} unseen scenes, 168×224, f32, weights as shipped.", MARK), MARK)
    if args.pictures:
        scenes_sheet(net, os.path.join(args.pictures, "depth.jpg"))
        if args.photos:
            photos_sheet(net, os.path.join(args.pictures, "photos.jpg"), args.photos)


if __name__ == "__main__":
    main()

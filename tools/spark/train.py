# SPDX-License-Identifier: MIT
"""Trains spark. Every stage is one command; several in one command share what they can.

  python3 tools/spark/train.py features judge       the two classifiers: for losses, for judging
  python3 tools/spark/train.py autoencoder          needs features
  python3 tools/spark/train.py text                 words alone, seconds
  python3 tools/spark/train.py unet                 needs autoencoder, text
  python3 tools/spark/train.py distill              needs unet, features
  python3 tools/spark/train.py depth                by itself
  python3 tools/spark/train.py export               share/models/spark and spark-depth from results

STAGE=MINUTES gives a stage its own budget. A stage says how long it will take, saves its state once
a minute, and goes on from there when it is called again. --results keeps small f16 files that may travel between machines; --state the whole
state, with the optimizers'. docs/spark.md has the plan for 30 minutes of one GPU."""
import argparse
import os
import time

import torch

import depth_model
import model
from depth_stage import depth
from distill import distill
from onestep import onestep, reader
from stages import Setup, autoencoder, classifier, text, unet
from harness import HALF_ON_CPU, read_result

STAGES = {"features": lambda s: classifier(s, "features"), "judge": lambda s: classifier(s, "judge"),
          "autoencoder": autoencoder, "text": text, "unet": unet, "distill": distill, "depth": depth,
          "reader": reader, "onestep": onestep}


def export(s):
    """The folders that the engine reads, of what there is. Without a student the many-step network is
    written."""
    results, made = s.args.results, []
    if read_result(results, "student", s.unet, required=False) or read_result(results, "unet", s.unet, required=False):
        read_result(results, "text", s.text)
        read_result(results, "autoencoder", s.vae)
        model.write_folder(s.args.out, s.text, s.unet, s.vae, s.words, sample_size=s.picture // 8)
        made.append(s.args.out)
    net = depth_model.Depth(s.args.size)
    if read_result(results, "depth", net, required=False):
        depth_model.write_folder(s.args.out + "-depth", net)
        made.append(s.args.out + "-depth")
    if not made:
        raise SystemExit(f"{results} holds neither unet nor depth: run `train.py unet` or `train.py depth` first")
    print("wrote " + ", ".join(made))


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stages", nargs="+", metavar="STAGE[=MINUTES]")
    p.add_argument("--minutes", type=float, help="of each stage, its pictures not counted [the stage's own]")
    p.add_argument("--steps", type=int, help="instead of minutes")
    p.add_argument("--until", type=float, help="seconds after which all is saved and left, done or not")
    p.add_argument("--size", choices=["full", "small", "tiny"], default="full", help="small: for two CPU cores; tiny: of the smoke runs")
    p.add_argument("--bf16", action="store_true", help="on a CPU that has it (AVX512-BF16)")
    p.add_argument("--results", default="spark-results", help="folder of small files [spark-results]")
    p.add_argument("--state", default="/tmp/spark-state", help="folder of whole states and logs")
    p.add_argument("--out", default="share/models/spark", help="folder of the export")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--picture", type=int, default=256, help="side in pixels [256]")
    p.add_argument("--scale", type=float, default=1.0, help="of batches and pools; less for less memory")
    p.add_argument("--render", type=int, default=1024, help="pictures that are drawn at once [1024]")
    p.add_argument("--fill", type=float, default=45, help="seconds at most to fill a pool [45]")
    p.add_argument("--guidance", type=float, default=1.5, help="of the teacher in distillation [1.5]")
    p.add_argument("--say", type=float, default=10, help="seconds between lines of progress [10]")
    p.add_argument("--compile", action="store_true", help="torch.compile: a minute at first, then faster")
    p.add_argument("--fresh", action="store_true", help="do not go on from a saved state")
    args = p.parse_args(argv)
    args.budget = {}
    for i, word in enumerate(args.stages):
        name, _, minutes = word.partition("=")
        if name not in STAGES and name != "export":
            p.error(f"there is no stage {name}: {', '.join(STAGES)}, export")
        try:
            if minutes:
                args.budget[name] = float(minutes)
        except ValueError:
            p.error(f"{word}: minutes are a number, as in unet=8")
        args.stages[i] = name
    return args


def main(argv=None):
    args = parse(argv)
    if args.size == "tiny":
        args.say = min(args.say, 2)
    if args.size == "small":  # what two cores hold and finish; see docs/spark.md
        args.picture, args.scale, args.render = min(args.picture, 128), 0.25 * args.scale, 128
    HALF_ON_CPU[0] = args.bf16
    start = args.start = time.time()
    os.makedirs(args.results, exist_ok=True)
    s = Setup(args)
    for name in args.stages:
        began = time.time()
        (export if name == "export" else STAGES[name])(s)
        print(f"{name}: {time.time() - began:.0f} s; {time.time() - start:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()

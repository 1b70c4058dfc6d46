# SPDX-License-Identifier: MIT
"""What all stages of training share: a budget of minutes or steps that the learning rate follows,
moving averages, checkpoints once a minute from which a stage goes on, a log, and progress."""
import contextlib
import copy
import csv
import glob
import math
import os
import time

import torch

import tensors

PART = 15 << 20  # bytes of a file that must travel


class Average:
    """Exponential moving average of modules' weights."""

    def __init__(self, modules, decay=0.999):
        self.modules, self.decay, self.steps = modules, decay, 0
        self.kept = [copy.deepcopy(m).eval().requires_grad_(False) for m in modules]

    @torch.no_grad()
    def update(self):
        self.steps += 1
        weight = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for kept, module in zip(self.kept, self.modules):
            old, new = list(kept.parameters()), [p.detach() for p in module.parameters()]
            torch._foreach_mul_(old, 1 - weight)
            torch._foreach_add_(old, new, alpha=weight)
            for mine, other in zip(kept.buffers(), module.buffers()):
                mine.copy_(other)  # statistics of batches are averages already

    def state_dict(self):
        return {"steps": self.steps, "kept": [k.state_dict() for k in self.kept]}

    def load_state_dict(self, state):
        self.steps = state["steps"]
        for kept, s in zip(self.kept, state["kept"]):
            kept.load_state_dict(s)


class Stage:
    """One stage of training. parts: name -> anything with state_dict. step(progress) does one step
    and returns numbers for the log; report() may add some once a minute."""

    def __init__(self, args, name, parts, optimizers, step, report=None, minutes=1.0):
        self.args, self.name, self.parts, self.step, self.report = args, name, parts, step, report
        self.optimizers = optimizers
        self.rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
        self.minutes = args.budget.get(name, minutes if args.minutes is None else args.minutes)
        self.path = os.path.join(args.state, name + ".pt")
        self.done, self.spent = 0, 0.0

    def save(self):
        os.makedirs(self.args.state, exist_ok=True)
        state = {"done": self.done, "spent": self.spent,
                 "parts": {k: v.state_dict() for k, v in self.parts.items()},
                 "optimizers": [o.state_dict() for o in self.optimizers]}
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def resume(self):
        if self.args.fresh or not os.path.exists(self.path):
            return
        state = torch.load(self.path, map_location=self.args.device)
        for k, v in self.parts.items():
            v.load_state_dict(state["parts"][k])
        for o, s in zip(self.optimizers, state["optimizers"]):
            o.load_state_dict(s)
        self.done, self.spent = state["done"], state["spent"]
        print(f"{self.name}: goes on at step {self.done}, {self.spent:.0f} s spent", flush=True)

    def progress(self):
        if self.args.steps:
            return self.done / self.args.steps
        return self.spent / (60 * self.minutes)

    def set_rate(self, p):
        # the first step may take long (compilation), so the rise is by steps too
        factor = min(1.0, p / 0.02 + 0.02, (self.done + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(p, 1))))
        for o, rates in zip(self.optimizers, self.rates):
            for group, rate in zip(o.param_groups, rates):
                group["lr"] = rate * factor

    def line(self, p, numbers, rate):
        left = (1 - p) * self.spent / max(p, 1e-6)
        text = " ".join(f"{k} {v:.4g}" for k, v in numbers.items())
        print(f"{self.name}: {100 * p:5.1f} % step {self.done} {rate:.2f}/s left {left:.0f} s  {text}", flush=True)

    def run(self):
        self.resume()
        plan = f"{self.args.steps} steps" if self.args.steps else \
            f"{self.minutes:g} minutes, until {time.strftime('%H:%M:%S', time.localtime(time.time() + 60 * self.minutes - self.spent))}"
        print(f"{self.name}: {plan} on {self.args.device}", flush=True)
        os.makedirs(self.args.state, exist_ok=True)
        log_path = os.path.join(self.args.state, self.name + ".csv")
        fresh = not os.path.exists(log_path)
        last = said = saved = time.time()
        since, sums = self.done, {}
        with open(log_path, "a", newline="", encoding="utf-8") as f:
            log = csv.writer(f)
            while (p := self.progress()) < 1:
                self.set_rate(p)
                numbers = self.step(p)
                self.done += 1
                for k, v in numbers.items():
                    sums[k] = sums.get(k, 0) + (v.detach() if torch.is_tensor(v) else v)
                now = time.time()
                self.spent += now - last
                last = now
                late = self.args.until and now - self.args.start > self.args.until
                if now - said < self.args.say and self.progress() < 1 and not late:
                    continue
                n = self.done - since
                means = {k: float(v) / n for k, v in sums.items()}
                if any(math.isnan(v) for v in means.values()):
                    raise SystemExit(f"{self.name}: not a number at step {self.done}: {means}")
                if self.report and (now - saved > 60 or self.progress() >= 1 or late):
                    means.update(self.report())
                if fresh:
                    log.writerow(["step", "seconds"] + list(means))
                    fresh = False
                log.writerow([self.done, f"{self.spent:.1f}"] + [f"{v:.5g}" for v in means.values()])
                f.flush()
                self.line(min(self.progress(), 1), means, n / max(now - said, 1e-6))
                said, since, sums = now, self.done, {}
                if now - saved > 60:
                    self.save()
                    saved = now
                if late:
                    self.save()
                    raise SystemExit(f"{self.name}: time is up; the same command goes on from here")
        self.save()


HALF_ON_CPU = [False]  # train.py --bf16: twice the speed where the cores have AVX512-BF16, else slower


def autocast(device):
    if str(device).startswith("cuda"):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    if HALF_ON_CPU[0]:
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def compiled(module, args):
    """torch.compile where there is one and it is wanted; the module itself where that fails."""
    if not args.compile or not hasattr(torch, "compile"):
        return module
    from torch import _dynamo
    _dynamo.config.suppress_errors = True
    return torch.compile(module)


def clip(parameters, limit=1.0):
    return torch.nn.utils.clip_grad_norm_(parameters, limit)


# ------------------------------------------------------------------------------ results
def write_result(folder, name, module):
    """f16 weights in files of at most 15 MiB: NAME.0.safetensors, NAME.1.safetensors, ..."""
    os.makedirs(folder, exist_ok=True)
    for old in glob.glob(os.path.join(folder, name + ".*.safetensors")):
        os.remove(old)
    files, room = [{}], PART
    for k, v in module.state_dict().items():
        size = v.numel() * 2
        if size > room:
            files.append({})
            room = PART
        files[-1][k] = v
        room -= size
    for i, part in enumerate(files):
        tensors.save(os.path.join(folder, f"{name}.{i}.safetensors"), part, torch.float16)


def read_result(folder, name, module, required=True):
    paths = sorted(glob.glob(os.path.join(folder, name + ".*.safetensors")))
    if not paths:
        if required:
            raise SystemExit(f"{folder} holds no {name}: run `train.py {name}` first")
        return False
    state = {}
    for path in paths:
        state.update(tensors.load(path))
    module.load_state_dict({k: v.float() for k, v in state.items()})
    return True

# SPDX-License-Identifier: MIT
"""From many steps to one and two: distribution matching (DMD2, arXiv 2405.14867).

Three copies of the trained UNet. The teacher stays as it is. The student turns noise into a clean
latent in one step. The fake one learns, all the time, to denoise what the student makes. Where the
two denoisers disagree about a noised latent of the student, the difference points to where real
pictures lie, and the student follows. A critic on the fake one's inner maps sees what both
miss, and the classifier on decoded pictures that the words are heard.

Why this and not consistency distillation: the latter needs tens of thousands of steps until one
step is sharp; distribution matching gives the student a gradient at pure noise from the start. The
gradients are brought to the same size before they are added, so no weight needs tuning.

The steps in the middle are learnt beside it: from noised latents of real pictures, and, for a
picture painted over, from those of the same picture in another palette (`twins`), whose answer is
known: keep the shapes, take the asked colours."""
import copy

import torch
from torch import nn
from torch.nn import functional as F

import judge
from harness import Average, Stage, autocast, clip, compiled, read_result
from stages import adam, latents


CLEAR = 600  # noisier latents than of this timestep tell the critic nothing


class Critic(nn.Module):
    """Real or made, for each place of the middle maps (what is where) and of the last (texture)."""

    def __init__(self, widths):
        super().__init__()
        self.nets = nn.ModuleList(nn.Sequential(
            nn.GroupNorm(8, c), nn.Conv2d(c, c, 3, padding=1), nn.SiLU(),
            nn.GroupNorm(8, c), nn.Conv2d(c, 1, 1)) for c in widths)

    def loss(self, maps, t, sign):
        """How far each row is from being taken for real (sign -1) or for made (1): one number."""
        each = sum(F.softplus(sign * net(m).float()).mean((1, 2, 3)) for net, m in zip(self.nets, maps)) / 2
        clear = (t < CLEAR).float()
        return (each * clear).sum() / clear.sum().clamp(min=1)


def table_steps(n, device):
    """Timesteps of the LCM table: 19, 39, ... 979."""
    return torch.randint(0, 49, (n,), device=device) * 20 + 19


class Distiller:
    def __init__(self, s, data):
        self.s, self.data = s, data
        self.n, self.steps = s.batch(256), 0
        self.teacher = s.unet.eval().requires_grad_(False)
        self.student, self.fake = (copy.deepcopy(s.unet).train().requires_grad_(True) for _ in range(2))
        self.critic = Critic([s.sizes["unet"]["channels"][i] for i in (-1, 0)]).to(s.device)
        self.features = s.read_judge("features")
        self.average = Average([self.student], 0.998 if not s.tiny else 0.9)
        rate = 1.0 if not s.tiny else 10.0
        self.student_adam = adam(self.student.parameters(), 6e-5 * rate, betas=(0.0, 0.99))
        self.fake_adam = adam([{"params": list(self.fake.parameters())},
                               {"params": list(self.critic.parameters()), "lr": 5e-4}], 1.2e-4 * rate,
                              betas=(0.0, 0.99))
        self.cfg = s.args.guidance
        with torch.no_grad():
            self.nothing = s.text(s.empty)

    # ------------------------------------------------------------------ what the student is given
    def batch(self):
        """(x, t, text, target, has_target, rows): half pure noise, a quarter real, a quarter twins."""
        s, n = self.s, self.n
        rows = self.data.take(n)
        z, twin = rows["latent"].float(), rows["twin"].float()
        with torch.no_grad(), autocast(s.device):
            text = s.text(rows["ids"])
        kind = torch.rand(n, device=s.device)
        real, over = (kind >= 0.5) & (kind < 0.75), kind >= 0.75
        t = torch.full((n,), 999, dtype=torch.long, device=s.device)
        second = torch.rand(n, device=s.device) < 0.4  # 499 is two steps' second and img2img's half
        middle = torch.where(second, torch.full_like(t, 499), table_steps(n, s.device))
        t = torch.where(real, middle, t)
        t = torch.where(over, torch.where(second, middle, 199 + middle // 2), t)
        source = torch.where(over[:, None, None, None], twin, z)
        x = s.schedule.noised(source, torch.randn_like(z), t)
        return x, t, text, z, ((t < 700) & (real | over)), rows

    # ------------------------------------------------------------------ gradients at the clean latent
    def match(self, z, noised, t, text, real_v, fake_v):
        """DMD's gradient: the fake one's clean estimate less the teacher's, per size of the error."""
        real = self.s.schedule.clean(noised, real_v, t)
        fake = self.s.schedule.clean(noised, fake_v, t)
        scale = (z - real).abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-3)
        return ((fake - real) / scale).nan_to_num()

    def words_loss(self, z, rows):
        """The classifier's loss on some decoded pictures."""
        k = min(len(z), max(1, self.n // 4))
        with autocast(self.s.device):
            x = (self.s.vae.decode(z[:k]) * 0.5 + 0.5).clamp(0, 1)
            heads = self.features(x)
        return judge.loss(heads, {key: rows[key][:k] for key in ("form", "second", "palette", "treatment")}) * k / self.n

    def student_step(self):
        s = self.s
        x, t, text, target, known, rows = self.batch()
        with autocast(s.device):
            v = self.student(x, t, text)
        z = s.schedule.clean(x, v.float(), t)
        leaf = z.detach().requires_grad_(True)
        at = torch.randint(20, 980, (len(z),), device=s.device)
        noised = s.schedule.noised(leaf, torch.randn_like(leaf), at)
        with torch.no_grad(), autocast(s.device):
            real_v = self.teacher(noised, at, text).float()
            if self.cfg != 1:
                bare = self.teacher(noised, at, self.nothing.expand_as(text)).float()
                real_v = bare + self.cfg * (real_v - bare)
        with autocast(s.device):
            fake_v, maps = self.fake(noised, at, text, inner=True)
            fool = self.critic.loss(maps, at, -1)
        with torch.no_grad():
            total = self.match(leaf.detach(), noised.detach(), at, text, real_v, fake_v.detach().float())
        size = total.norm()
        # Sharpness and words: as long as a part of the first.
        for loss, share in ((fool, 0.6), (self.words_loss(leaf, rows), 0.25)):
            (g,) = torch.autograd.grad(loss, leaf)
            total = total + g * (share * size / g.norm().clamp(min=1e-8))
        off = (leaf.detach() - target) * known[:, None, None, None]
        total = total + off * (0.8 * size / off.norm().clamp(min=1e-8)) * off.abs().mean().clamp(max=1).sqrt()
        self.student_adam.zero_grad(set_to_none=True)
        z.backward(total / total.numel())
        clip(self.student.parameters(), 10.0)
        self.student_adam.step()
        self.average.update()
        return z.detach(), target, text, {"match": size / total.numel() ** 0.5, "fool": fool,
                                          "off": off.abs().mean()}

    def fake_step(self, z, real, text):
        """The fake one follows the student; the critic tells the student's latents from real ones."""
        s = self.s
        t = torch.randint(0, 1000, (len(z),), device=s.device)
        noise = torch.randn_like(z)
        both = torch.cat([s.schedule.noised(z, noise, t), s.schedule.noised(real, torch.randn_like(real), t)])
        with autocast(s.device):
            v, maps = self.fake(both, t.repeat(2), text.repeat(2, 1, 1), inner=True)
            made, true = zip(*(m.chunk(2) for m in maps))
            follow = F.mse_loss(v[:len(z)].float(), s.schedule.v(z, noise, t))
            tell = self.critic.loss(made, t, 1) + self.critic.loss(true, t, -1)
        self.fake_adam.zero_grad(set_to_none=True)
        (follow + 0.03 * tell).backward()
        clip(list(self.fake.parameters()) + list(self.critic.parameters()), 10.0)
        self.fake_adam.step()
        return {"follow": follow, "tell": tell}

    def step(self, p):
        self.steps += 1
        self.data.renew(self.steps, self.s.every(16))
        z, real, text, numbers = self.student_step()
        numbers.update(self.fake_step(z, real, text))
        if self.steps % 2:  # the fake one must keep up: three updates to two
            with torch.no_grad():
                x, t, text, real, _, _ = self.batch()
                with autocast(self.s.device):
                    z = self.s.schedule.clean(x, self.student(x, t, text).float(), t)
            self.fake_step(z, real, text)
        return numbers

    @torch.no_grad()
    def report(self):
        """How many one-step pictures the classifier of the losses reads as asked."""
        s = self.s
        s.write("student", self.average.kept[0])
        rows = self.data.take(self.n)
        with autocast(s.device):
            text = s.text(rows["ids"])
            t = torch.full((self.n,), 999, dtype=torch.long, device=s.device)
            x = torch.randn_like(rows["latent"].float())
            z = s.schedule.clean(x, self.average.kept[0](x, t, text).float(), t)
            heads = self.features((s.vae.decode(z) * 0.5 + 0.5).clamp(0, 1))
        form, palette, treatment = judge.right(heads, rows)
        return {"form": form.float().mean().item(), "palette": palette.float().mean().item(),
                "treatment": treatment.float().mean().item()}


def distill(s):
    s.read("text", s.text)
    s.read("unet", s.unet)
    data = latents(s, 100000, twins=True)
    if s.device.type == "cuda":
        s.unet.to(memory_format=torch.channels_last)
    d = Distiller(s, data)
    if not s.args.fresh and read_result(s.args.results, "student", d.student, required=False):
        print("distill: begins with the weights in " + s.args.results, flush=True)
        d.average.kept[0].load_state_dict(d.student.state_dict())
    parts = {"student": d.student, "fake": d.fake, "critic": d.critic, "average": d.average}
    Stage(s.args, "distill", parts, [d.student_adam, d.fake_adam], d.step, d.report, minutes=6.2).run()
    s.write("student", d.average.kept[0])

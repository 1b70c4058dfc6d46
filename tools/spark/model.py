# SPDX-License-Identifier: MIT
"""The networks of spark with the names and layouts of diffusers and transformers, so that a folder
of them is an ordinary model. Written from the papers and from src/models/, which reads the result:
latent diffusion arXiv 2112.10752, CLIP arXiv 2103.00020."""
import json
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

import tensors

# The sizes that a GPU trains ("full"), those that two CPU cores train in an hour ("small"), and those
# of the smoke runs ("tiny").
SIZES = {
    "full": {
        "text": {"channels": 192, "layers": 4, "heads": 4, "inner": 576, "tokens": 32},
        "unet": {"channels": [128, 160, 192], "layers": [1, 1, 1], "attention": [0, 1, 0],
                 "mid": True, "head_width": 32, "groups": 32},
        "vae": {"channels": 32, "latent": 8, "encoder": [1, 1, 2, 2], "decoder": [3, 2, 1, 1]},
        "vocabulary": 1024,
    },
    "small": {
        "text": {"channels": 128, "layers": 3, "heads": 4, "inner": 256, "tokens": 32},
        "unet": {"channels": [96, 112], "layers": [1, 1], "attention": [0, 1],
                 "mid": False, "head_width": 28, "groups": 16},
        "vae": {"channels": 32, "latent": 8, "encoder": [0, 1, 1, 1], "decoder": [2, 2, 1, 1]},
        "vocabulary": 1024,
    },
    "tiny": {
        "text": {"channels": 32, "layers": 2, "heads": 2, "inner": 64, "tokens": 32},
        "unet": {"channels": [16, 32], "layers": [1, 1], "attention": [0, 1],
                 "mid": True, "head_width": 16, "groups": 8},
        "vae": {"channels": 8, "latent": 4, "encoder": [1, 1, 1, 1], "decoder": [1, 1, 1, 1]},
        "vocabulary": 1024,
    },
}


def attend(q, k, v, heads, causal=False):
    """q, k, v [n, t, c] -> [n, t, c]."""
    n, t, c = q.shape
    q, k, v = (a.view(n, a.shape[1], heads, c // heads).transpose(1, 2) for a in (q, k, v))
    if hasattr(F, "scaled_dot_product_attention"):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    else:  # before PyTorch 2
        w = q @ k.transpose(2, 3) / math.sqrt(c // heads)
        if causal:
            w = w + torch.full((t, t), -1e9, device=w.device, dtype=w.dtype).triu(1)
        y = w.softmax(-1) @ v
    return y.transpose(1, 2).reshape(n, t, c)


def half_width(norm, x, f):
    """A norm under autocast without the detour by f32: the sums inside are f32 all the same."""
    if not x.is_cuda:  # on a CPU f32 is the quicker one
        return f(x.float().contiguous(), norm.weight, norm.bias)
    if not torch.is_autocast_enabled():
        return f(x, norm.weight, norm.bias)
    with torch.autocast("cuda", enabled=False):
        return f(x.bfloat16(), norm.weight.bfloat16(), norm.bias.bfloat16())


class GroupNorm(nn.GroupNorm):
    def forward(self, x):
        return half_width(self, x, lambda x, w, b: F.group_norm(x, self.num_groups, w, b, self.eps))


class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return half_width(self, x, lambda x, w, b: F.layer_norm(x, self.normalized_shape, w, b, self.eps))


# ------------------------------------------------------------------------------ text encoder
class ClipAttention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(c, c) for _ in range(4))

    def forward(self, x):
        x = attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, causal=True)
        return self.out_proj(x)


class ClipLayer(nn.Module):
    def __init__(self, c, heads, inner):
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.self_attn = ClipAttention(c, heads)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(c, inner), "fc2": nn.Linear(inner, c)})

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        y = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](y * torch.sigmoid(1.702 * y))  # quick_gelu


class TextEncoder(nn.Module):
    def __init__(self, size, vocabulary):
        super().__init__()
        c = size["channels"]
        self.size, self.vocabulary = size, vocabulary
        self.text_model = nn.ModuleDict({
            "embeddings": nn.ModuleDict({
                "token_embedding": nn.Embedding(vocabulary, c),
                "position_embedding": nn.Embedding(size["tokens"], c)}),
            "encoder": nn.ModuleDict({"layers": nn.ModuleList(
                ClipLayer(c, size["heads"], size["inner"]) for _ in range(size["layers"]))}),
            "final_layer_norm": nn.LayerNorm(c)})
        for e in self.text_model["embeddings"].values():
            nn.init.normal_(e.weight, std=0.02)

    def forward(self, ids):
        """ids [n, t] -> [n, t, c]."""
        e = self.text_model["embeddings"]
        x = e["token_embedding"](ids) + e["position_embedding"].weight[:ids.shape[1]]
        for layer in self.text_model["encoder"]["layers"]:
            x = layer(x)
        return self.text_model["final_layer_norm"](x)

    def config(self):
        s = self.size
        return {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model",
                "vocab_size": self.vocabulary, "hidden_size": s["channels"],
                "intermediate_size": s["inner"], "num_hidden_layers": s["layers"],
                "num_attention_heads": s["heads"], "max_position_embeddings": s["tokens"],
                "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
                "bos_token_id": self.vocabulary - 2, "eos_token_id": self.vocabulary - 1,
                "pad_token_id": self.vocabulary - 1, "projection_dim": s["channels"],
                "torch_dtype": "float16"}


# ------------------------------------------------------------------------------ autoencoder
class TinyBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
                                  nn.Conv2d(c, c, 3, padding=1), nn.ReLU(),
                                  nn.Conv2d(c, c, 3, padding=1))

    def forward(self, x):
        return F.relu(self.conv(x) + x)


class TinyHalf(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)


class Autoencoder(nn.Module):
    """AutoencoderTiny (TAESD). Every level has one width: the layout knows no other."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        c, latent = size["channels"], size["latent"]
        down, up = [], [nn.Conv2d(latent, c, 3, padding=1), nn.ReLU()]
        for i, count in enumerate(size["encoder"]):
            down.append(nn.Conv2d(c if i else 3, c, 3, stride=2 if i else 1, padding=1, bias=not i))
            down += [TinyBlock(c) for _ in range(count)]
        for i, count in enumerate(size["decoder"]):
            last = i == len(size["decoder"]) - 1
            up += [TinyBlock(c) for _ in range(count)]
            if not last:
                up.append(nn.Upsample(scale_factor=2))
            up.append(nn.Conv2d(c, 3 if last else c, 3, padding=1, bias=last))
        down.append(nn.Conv2d(c, latent, 3, padding=1))
        self.encoder, self.decoder = TinyHalf(down), TinyHalf(up)

    def encode(self, x):
        """x [n, 3, h, w] in [-1, 1] -> [n, latent, h/8, w/8]."""
        return self.encoder.layers(x * 0.5 + 0.5)

    def decode(self, z):
        """-> about [-1, 1], not clamped."""
        return self.decoder.layers(torch.tanh(z / 3) * 3) * 2 - 1

    def config(self):
        s = self.size
        widths = [s["channels"]] * len(s["encoder"])
        return {"_class_name": "AutoencoderTiny", "act_fn": "relu", "in_channels": 3,
                "out_channels": 3, "latent_channels": s["latent"], "block_out_channels": widths,
                "encoder_block_out_channels": widths, "decoder_block_out_channels": widths,
                "num_encoder_blocks": s["encoder"], "num_decoder_blocks": s["decoder"],
                "latent_magnitude": 3, "latent_shift": 0.5, "scaling_factor": 1.0,
                "force_upcast": False, "upsampling_scaling_factor": 2}


# ------------------------------------------------------------------------------ unet
class Resnet(nn.Module):
    def __init__(self, cin, cout, time, groups):
        super().__init__()
        self.norm1, self.norm2 = GroupNorm(groups, cin), GroupNorm(groups, cout)
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, cout)
        if cin != cout:
            self.conv_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x, time):
        y = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(time)[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    def __init__(self, c, text, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(c, c, bias=False)
        self.to_k, self.to_v = nn.Linear(text, c, bias=False), nn.Linear(text, c, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x, other):
        return self.to_out[0](attend(self.to_q(x), self.to_k(other), self.to_v(other), self.heads))


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Linear(c, 8 * c)

    def forward(self, x):
        x, gate = self.proj(x).chunk(2, -1)
        return x * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.net = nn.ModuleList([Gate(c), nn.Identity(), nn.Linear(4 * c, c)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    def __init__(self, c, text, heads):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (LayerNorm(c) for _ in range(3))
        self.attn1, self.attn2 = Attention(c, c, heads), Attention(c, text, heads)
        self.ff = FeedForward(c)

    def forward(self, x, text):
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), text)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, c, text, heads, groups):
        super().__init__()
        self.norm = GroupNorm(groups, c, eps=1e-6)
        self.proj_in, self.proj_out = nn.Linear(c, c), nn.Linear(c, c)
        self.transformer_blocks = nn.ModuleList([Block(c, text, heads)])

    def forward(self, x, text):
        n, c, h, w = x.shape
        t = self.proj_in(self.norm(x).flatten(2).transpose(1, 2))
        t = self.proj_out(self.transformer_blocks[0](t, text))
        return x + t.transpose(1, 2).reshape(n, c, h, w)


class Level(nn.Module):
    """Residual blocks, each with attention where the level has it, and a change of size."""

    def __init__(self, widths, cout, time, text, heads, groups, attention):
        super().__init__()
        self.resnets = nn.ModuleList(Resnet(c, cout, time, groups) for c in widths)
        if attention:
            self.attentions = nn.ModuleList(Transformer(cout, text, heads, groups) for _ in widths)

    def layer(self, i, x, time, text):
        x = self.resnets[i](x, time)
        return self.attentions[i](x, text) if hasattr(self, "attentions") else x


class UNet(nn.Module):
    def __init__(self, size, latent, text):
        super().__init__()
        self.size, self.latent, self.text = size, latent, text
        widths, layers, groups = size["channels"], size["layers"], size["groups"]
        heads = self.heads = [max(1, c // size["head_width"]) for c in widths]
        time = 4 * widths[0]
        self.conv_in = nn.Conv2d(latent, widths[0], 3, padding=1)
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(widths[0], time),
                                             "linear_2": nn.Linear(time, time)})
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, c = [widths[0]], widths[0]
        for i, width in enumerate(widths):
            level = Level([c] + [width] * (layers[i] - 1), width, time, text, heads[i], groups,
                          size["attention"][i])
            skips += [width] * layers[i]
            if i < len(widths) - 1:
                level.downsamplers = nn.ModuleList([nn.ModuleDict(
                    {"conv": nn.Conv2d(width, width, 3, stride=2, padding=1)})])
                skips.append(width)
            self.down_blocks.append(level)
            c = width
        if size["mid"]:
            self.mid_block = Level([c, c], c, time, text, heads[-1], groups, False)
            self.mid_block.attentions = nn.ModuleList([Transformer(c, text, heads[-1], groups)])
        for i in reversed(range(len(widths))):
            inputs = []
            for _ in range(layers[i] + 1):
                inputs.append(c + skips.pop())
                c = widths[i]
            level = Level(inputs, c, time, text, heads[i], groups, size["attention"][i])
            if i:
                level.upsamplers = nn.ModuleList([nn.ModuleDict(
                    {"conv": nn.Conv2d(c, c, 3, padding=1)})])
            self.up_blocks.append(level)
        self.conv_norm_out = GroupNorm(groups, c)
        self.conv_out = nn.Conv2d(c, latent, 3, padding=1)

    def embed_time(self, t):
        half = self.size["channels"][0] // 2
        rate = torch.exp(-math.log(10000.0) / half * torch.arange(half, device=t.device))
        angle = t.float()[:, None] * rate
        x = torch.cat([angle.cos(), angle.sin()], 1)
        x = self.time_embedding["linear_2"](F.silu(self.time_embedding["linear_1"](x)))
        return F.silu(x)

    def forward(self, x, t, text, inner=False):
        """x [n, latent, h, w], t [n], text [n, tokens, c] -> [n, latent, h, w]; with inner also
        the maps of the middle and before the end, which the critic of distillation reads."""
        time = self.embed_time(t)
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            for i in range(len(level.resnets)):
                x = level.layer(i, x, time, text)
                skips.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0]["conv"](x)
                skips.append(x)
        if hasattr(self, "mid_block"):
            mid = self.mid_block
            x = mid.attentions[0](mid.resnets[0](x, time), text)
            x = mid.resnets[1](x, time)
        middle = x
        for level in self.up_blocks:
            for i in range(len(level.resnets)):
                x = level.layer(i, torch.cat([x, skips.pop()], 1), time, text)
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0]["conv"](F.interpolate(x, size=skips[-1].shape[2:]))
        last = x
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return (x, (middle, last)) if inner else x

    def config(self, sample_size=32):
        s = self.size
        down = ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in s["attention"]]
        up = ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(s["attention"])]
        return {"_class_name": "UNet2DConditionModel", "act_fn": "silu",
                "attention_head_dim": self.heads, "block_out_channels": s["channels"],
                "center_input_sample": False, "cross_attention_dim": self.text,
                "down_block_types": down, "up_block_types": up,
                "mid_block_type": "UNetMidBlock2DCrossAttn" if s["mid"] else None,
                "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0,
                "in_channels": self.latent, "out_channels": self.latent,
                "layers_per_block": s["layers"], "mid_block_scale_factor": 1,
                "norm_eps": 1e-5, "norm_num_groups": s["groups"], "sample_size": sample_size,
                "use_linear_projection": True}


# ------------------------------------------------------------------------------ schedule
class Schedule:
    """How noise is added: cosine (arXiv 2102.09672), the network predicts v (arXiv 2202.00512).
    At the last step a picture is gone altogether, so that painting from pure noise is what was
    trained; the half-way step keeps half of the power, which img2img at 0.5 lives on."""
    COUNT = 1000
    TABLE = 50  # the distillation's own steps: 19, 39, ... 999

    def __init__(self, device="cpu"):
        u = torch.arange(self.COUNT + 1, dtype=torch.float64) / self.COUNT
        f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
        beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
        abar = torch.cumprod(1 - beta, 0)
        self.a, self.b = (x.sqrt().float().to(device) for x in (abar, 1 - abar))

    def at(self, t):
        return self.a[t][:, None, None, None], self.b[t][:, None, None, None]

    def noised(self, z, noise, t):
        a, b = self.at(t)
        return a * z + b * noise

    def v(self, z, noise, t):
        a, b = self.at(t)
        return a * noise - b * z

    def clean(self, x, v, t):
        a, b = self.at(t)
        return a * x - b * v

    def config(self):
        return {"_class_name": "LCMScheduler", "num_train_timesteps": self.COUNT,
                "beta_schedule": "squaredcos_cap_v2", "beta_start": 0.00085, "beta_end": 0.012,
                "prediction_type": "v_prediction", "timestep_spacing": "leading",
                "original_inference_steps": self.TABLE, "set_alpha_to_one": True,
                "rescale_betas_zero_snr": False, "clip_sample": False, "thresholding": False,
                "timestep_scaling": 10.0, "trained_betas": None}

    def steps(self, count):
        """LCM's timesteps of `count` steps from noise."""
        table = list(range(self.COUNT // self.TABLE - 1, self.COUNT, self.COUNT // self.TABLE))
        table.reverse()
        return [table[i * self.TABLE // count] for i in range(count)]


def boundary(t, scaling=10.0):
    """c_skip and c_out of LCM (arXiv 2310.04378, 4.1), sigma_data 1/2."""
    s = t * scaling
    return 0.25 / (s * s + 0.25), s / math.sqrt(s * s + 0.25)


@torch.no_grad()
def paint(unet, schedule, text, noise, steps=1, seed_noise=None):
    """LCM sampling as src/models/sampler does it. noise [n, c, h, w]; seed_noise[i] is drawn
    before step i + 1."""
    x, ts = noise, schedule.steps(steps)
    for i, step in enumerate(ts):
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        skip, out = boundary(step)
        z = out * schedule.clean(x, unet(x, t, text), t) + skip * x
        if i + 1 < len(ts):
            again = seed_noise[i] if seed_noise is not None else torch.randn_like(z)
            x = schedule.noised(z, again, torch.full_like(t, ts[i + 1]))
    return z


# ------------------------------------------------------------------------------ folders
def build(size, seed=0):
    """(text, unet, vae) with fresh weights."""
    s = SIZES[size] if isinstance(size, str) else size
    torch.manual_seed(seed)
    text = TextEncoder(s["text"], s["vocabulary"])
    return (text, UNet(s["unet"], s["vae"]["latent"], s["text"]["channels"]),
            Autoencoder(s["vae"]))


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def write_folder(folder, text, unet, vae, words, dtype=torch.float16, sample_size=32):
    """An ordinary diffusers folder."""
    parts = (("text_encoder", text, text.config(), "model.safetensors"),
             ("unet", unet, unet.config(sample_size), "diffusion_pytorch_model.safetensors"),
             ("vae", vae, vae.config(), "diffusion_pytorch_model.safetensors"))
    for name, module, config, file in parts:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        write_json(os.path.join(folder, name, "config.json"), config)
        tensors.save(os.path.join(folder, name, file), module.state_dict(), dtype)
    os.makedirs(os.path.join(folder, "scheduler"), exist_ok=True)
    write_json(os.path.join(folder, "scheduler", "scheduler_config.json"), Schedule().config())
    words.save(os.path.join(folder, "tokenizer"))
    write_json(os.path.join(folder, "model_index.json"), {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.27.0",
        "feature_extractor": [None, None], "requires_safety_checker": False,
        "safety_checker": [None, None], "image_encoder": [None, None],
        "scheduler": ["diffusers", "LCMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderTiny"]})


def read_folder(folder, text, unet, vae):
    """The weights of a written folder into modules of its sizes."""
    for name, module, file in (("text_encoder", text, "model.safetensors"),
                               ("unet", unet, "diffusion_pytorch_model.safetensors"),
                               ("vae", vae, "diffusion_pytorch_model.safetensors")):
        state = tensors.load(os.path.join(folder, name, file))
        module.load_state_dict({k: v.float() for k, v in state.items()})

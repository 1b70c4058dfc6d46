# SPDX-License-Identifier: MIT
"""Depth-Anything-V2's layout (DINOv2 and a DPT head) with the tensor names of transformers, small.
Sources: arXiv 2406.09414, arXiv 2103.13413; src/models/depth reads the result."""
import json
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

import model
import tensors

# max_depth: metres, as Depth-Anything-V2-Metric has them; without it, relative disparity
SIZES = {
    "full": {"channels": 160, "layers": 6, "heads": 5, "taps": [2, 3, 5, 6], "grid": 12,
             "stages": [24, 48, 80, 128], "features": 40, "mid": 24, "max_depth": 20},
    "small": {"channels": 160, "layers": 5, "heads": 5, "taps": [2, 3, 4, 5], "grid": 12,
              "stages": [32, 40, 64, 96], "features": 32, "mid": 16, "max_depth": 20},
    "tiny": {"channels": 32, "layers": 4, "heads": 2, "taps": [1, 2, 3, 4], "grid": 6,
             "stages": [8, 8, 16, 16], "features": 8, "mid": 8, "max_depth": 20},
}
PATCH = 14
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Attention(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict({"attention": nn.ModuleDict(
            {n: nn.Linear(c, c) for n in ("query", "key", "value")}),
            "output": nn.ModuleDict({"dense": nn.Linear(c, c)})})

    def forward(self, x):
        a = self.attention["attention"]
        x = model.attend(a["query"](x), a["key"](x), a["value"](x), self.heads)
        return self.attention["output"]["dense"](x)


class Scale(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.lambda1 = nn.Parameter(torch.full((c,), 0.5))

    def forward(self, x):
        return x * self.lambda1


class Layer(Attention):
    def __init__(self, c, heads):
        super().__init__(c, heads)
        self.norm1, self.norm2 = nn.LayerNorm(c, eps=1e-6), nn.LayerNorm(c, eps=1e-6)
        self.layer_scale1, self.layer_scale2 = Scale(c), Scale(c)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(c, 4 * c), "fc2": nn.Linear(4 * c, c)})

    def forward(self, x):
        x = x + self.layer_scale1(super().forward(self.norm1(x)))
        return x + self.layer_scale2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.convolution1 = nn.Conv2d(c, c, 3, padding=1)
        self.convolution2 = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return x + self.convolution2(F.relu(self.convolution1(F.relu(x))))


class Fusion(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.projection = nn.Conv2d(c, c, 1)
        self.residual_layer1, self.residual_layer2 = Residual(c), Residual(c)


class Depth(nn.Module):
    def __init__(self, size):
        super().__init__()
        s = self.size = SIZES[size] if isinstance(size, str) else size
        c, f = s["channels"], s["features"]
        embeddings = nn.Module()
        embeddings.cls_token = nn.Parameter(torch.randn(1, 1, c) * 0.02)
        embeddings.mask_token = nn.Parameter(torch.zeros(1, c), requires_grad=False)  # never used
        embeddings.position_embeddings = nn.Parameter(torch.randn(1, 1 + s["grid"] ** 2, c) * 0.02)
        embeddings.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, c, PATCH, stride=PATCH)})
        self.backbone = nn.ModuleDict({
            "embeddings": embeddings, "layernorm": nn.LayerNorm(c, eps=1e-6),
            "encoder": nn.ModuleDict({"layer": nn.ModuleList(
                Layer(c, s["heads"]) for _ in range(s["layers"]))})})
        stages = nn.ModuleList()
        resize = (lambda n: nn.ConvTranspose2d(n, n, 4, stride=4),
                  lambda n: nn.ConvTranspose2d(n, n, 2, stride=2), None,
                  lambda n: nn.Conv2d(n, n, 3, stride=2, padding=1))
        for n, r in zip(s["stages"], resize):
            parts = {"projection": nn.Conv2d(c, n, 1)}
            if r:
                parts["resize"] = r(n)
            stages.append(nn.ModuleDict(parts))
        self.neck = nn.ModuleDict({
            "reassemble_stage": nn.ModuleDict({"layers": stages}),
            "convs": nn.ModuleList(nn.Conv2d(n, f, 3, padding=1, bias=False) for n in s["stages"]),
            "fusion_stage": nn.ModuleDict({"layers": nn.ModuleList(Fusion(f) for _ in range(4))})})
        self.head = nn.ModuleDict({"conv1": nn.Conv2d(f, f // 2, 3, padding=1),
                                   "conv2": nn.Conv2d(f // 2, s["mid"], 3, padding=1),
                                   "conv3": nn.Conv2d(s["mid"], 1, 1)})
        # the last ReLU starts open, the sigmoid at some 5 of 20 m
        nn.init.constant_(self.head["conv3"].bias, -1.1 if "max_depth" in s else 0.2)

    def places(self, h, w):
        e, grid = self.backbone["embeddings"].position_embeddings, self.size["grid"]
        if h == grid and w == grid:
            return e[:, 1:]
        t = e[:, 1:].transpose(1, 2).reshape(1, -1, grid, grid)
        t = F.interpolate(t, scale_factor=((h + 0.1) / grid, (w + 0.1) / grid), mode="bicubic")
        return t.flatten(2).transpose(1, 2)

    def forward(self, picture):
        """picture [n, 3, h, w] in 0 .. 1, sides in fourteens -> metres [n, 1, h, w], or disparity."""
        mean, deviation = (torch.tensor(v, device=picture.device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        return self.predict((picture - mean) / deviation)

    def predict(self, x):
        y, far = self.logit(x), self.size.get("max_depth")
        return torch.sigmoid(y) * far if far else F.relu(y)

    def log_metres(self, picture):
        """The logarithm of metres, where it is exact also far off."""
        mean, deviation = (torch.tensor(v, device=picture.device).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
        return F.logsigmoid(self.logit((picture - mean) / deviation).float()) + math.log(self.size["max_depth"])

    def logit(self, x):
        high, wide = x.shape[2:]
        e = self.backbone["embeddings"]
        x = e.patch_embeddings["projection"](x)
        n, c, h, w = x.shape
        x = x.flatten(2).transpose(1, 2) + self.places(h, w)
        x = torch.cat([(e.cls_token + e.position_embeddings[:, :1]).expand(n, -1, -1), x], 1)
        maps = []
        for i, layer in enumerate(self.backbone["encoder"]["layer"]):
            x = layer(x)
            if i + 1 in self.size["taps"]:
                t = self.backbone["layernorm"](x)[:, 1:].transpose(1, 2).reshape(n, c, h, w)
                stage = self.neck["reassemble_stage"]["layers"][len(maps)]
                t = stage["projection"](t)
                if "resize" in stage:
                    t = stage["resize"](t)
                maps.append(self.neck["convs"][len(maps)](t))
        y = None
        for i, fusion in enumerate(self.neck["fusion_stage"]["layers"]):
            lateral = maps[3 - i]
            y = lateral if y is None else y + fusion.residual_layer1(lateral)
            y = fusion.residual_layer2(y)
            size = maps[2 - i].shape[2:] if i < 3 else (2 * y.shape[2], 2 * y.shape[3])
            y = fusion.projection(F.interpolate(y, size=size, mode="bilinear", align_corners=True))
        y = self.head["conv1"](y)
        y = F.interpolate(y, size=(high, wide), mode="bilinear", align_corners=True)
        return self.head["conv3"](F.relu(self.head["conv2"](y)))

    def config(self):
        s = self.size
        side = s["grid"] * PATCH
        return {"architectures": ["DepthAnythingForDepthEstimation"], "model_type": "depth_anything",
                "backbone": None, "backbone_config": {
                    "model_type": "dinov2", "hidden_size": s["channels"], "image_size": side,
                    "num_attention_heads": s["heads"], "num_hidden_layers": s["layers"],
                    "patch_size": PATCH, "reshape_hidden_states": False,
                    "out_features": [f"stage{t}" for t in s["taps"]], "out_indices": s["taps"]},
                "depth_estimation_type": "metric" if "max_depth" in s else "relative", "fusion_hidden_size": s["features"],
                "head_hidden_size": s["mid"], "head_in_index": -1, "max_depth": s.get("max_depth", 1),
                "neck_hidden_sizes": s["stages"], "patch_size": PATCH,
                "reassemble_factors": [4, 2, 1, 0.5], "reassemble_hidden_size": s["channels"],
                "torch_dtype": "float16"}


def write_folder(folder, depth, dtype=torch.float16):
    os.makedirs(folder, exist_ok=True)
    model.write_json(os.path.join(folder, "config.json"), depth.config())
    tensors.save(os.path.join(folder, "model.safetensors"), depth.state_dict(), dtype)
    side = depth.size["grid"] * PATCH
    model.write_json(os.path.join(folder, "preprocessor_config.json"), {
        "do_normalize": True, "do_pad": False, "do_rescale": True, "do_resize": True,
        "ensure_multiple_of": PATCH, "image_mean": MEAN, "image_processor_type": "DPTImageProcessor",
        "image_std": DEVIATION, "keep_aspect_ratio": True, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"height": side, "width": side}})


def read_folder(folder):
    """The network of a folder, with the numbers that the engine reads there."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    b = config["backbone_config"]
    size = {"channels": b["hidden_size"], "layers": b["num_hidden_layers"], "heads": b["num_attention_heads"],
            "taps": b["out_indices"], "grid": b["image_size"] // PATCH, "stages": config["neck_hidden_sizes"],
            "features": config["fusion_hidden_size"], "mid": config["head_hidden_size"]}
    if config["depth_estimation_type"] == "metric":
        size["max_depth"] = config["max_depth"]
    net = Depth(size)
    state = tensors.load(os.path.join(folder, "model.safetensors"))
    net.load_state_dict({k: v.float() for k, v in state.items()})
    return net.eval()

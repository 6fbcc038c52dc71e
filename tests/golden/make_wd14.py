"""Goldens of the WD14 tagger: what timm says of a small random one, and what becomes of pictures before it sees them.

    python3 tests/golden/make_wd14.py        (rewrites tests/golden/wd14; torch, timm and pillow, PyPI)

As in make_models.py: double precision from weights that are exact in f32.
"""
import json
import os

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

SEED = 20261121
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "wd14")
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

ARGS = {"act_layer": "gelu_tanh", "class_token": False, "depth": 2, "embed_dim": 24, "fc_norm": False, "global_pool": "avg", "img_size": 32, "num_heads": 3,
        "patch_size": 8}
TAGS = [("general", 9), ("sensitive", 9), ("questionable", 9), ("explicit", 9), ("1girl", 0), ("solo", 0), ("long_hair", 0), ("^_^", 0), ("blue_eyes", 0),
        ("poster_(object)", 0), ('"quoted"', 0), ("a,_b", 0), ("hatsune_miku", 4), ("saber_(fate)", 4), ("outdoors", 0), ("sky", 0), ("red_hair", 0),
        ("smile", 0), ("no_humans", 0), ("tree", 0)]


def quoted(name):
    return '"' + name.replace('"', '""') + '"' if '"' in name or "," in name else name


def to_model(picture, side):
    """As wdv3-timm: transparent is white, a white border makes it square, bicubic, BGR, -1 to 1."""
    if picture.mode != "RGB":
        rgba = picture.convert("RGBA")
        picture = Image.new("RGBA", rgba.size, (255, 255, 255))
        picture.alpha_composite(rgba)
        picture = picture.convert("RGB")
    w, h = picture.size
    most = max(w, h)
    square = Image.new("RGB", (most, most), (255, 255, 255))
    square.paste(picture, ((most - w) // 2, (most - h) // 2))
    small = square.resize((side, side), Image.BICUBIC)
    return torch.from_numpy(np.asarray(small).astype(np.float64) / 127.5 - 1)[:, :, [2, 1, 0]].permute(2, 0, 1)


def main():
    os.makedirs(OUT, exist_ok=True)
    model = timm.create_model("vit_base_patch16_224", num_classes=len(TAGS), **ARGS)
    g = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * torch.randn(p.shape, generator=g))
            elif name == "pos_embed":
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(1.5 * torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    model = model.double().eval()
    save_file({k: v.float().contiguous() for k, v in model.state_dict().items()}, os.path.join(OUT, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(OUT, "config.json"), "w") as f:
        json.dump({"architecture": "vit_base_patch16_224", "num_classes": len(TAGS), "num_features": ARGS["embed_dim"], "global_pool": "avg", "model_args": ARGS,
                   "pretrained_cfg": {"input_size": [3, 32, 32], "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 1.0,
                                      "num_classes": len(TAGS)}}, f, indent=1, sort_keys=True)
        f.write("\n")
    with open(os.path.join(OUT, "selected_tags.csv"), "w") as f:
        f.write("tag_id,name,category,count\n" + "".join(f"{100 + i},{quoted(n)},{c},{9000 - i}\n" for i, (n, c) in enumerate(TAGS)))
    with torch.no_grad():
        # Pictures that are there already, of three shapes, one with alpha.
        names = ["../image/photo-0.jpg", "../image/photo-5.jpg", "../image/resize-alpha.png"]
        pixels = torch.stack([to_model(Image.open(os.path.join(OUT, n)), 32) for n in names])
        save_file({"pixels": pixels.float().contiguous(), "probabilities": model(pixels).sigmoid().float().contiguous()}, os.path.join(OUT, "golden.safetensors"))
        print(model(pixels).sigmoid())


if __name__ == "__main__":
    main()

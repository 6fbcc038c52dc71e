"""What the benchmark of looking at pictures looks with and at: models of the real size with random weights, and pictures that are drawn.

    python3 models.py make KIND FOLDER        (blip-base, blip-large, blip-itm, wd14; KIND-small: a toy of the same build, to try the scripts with)
    python3 models.py copy FOLDER DTYPE       (FOLDER-bf16 or -f16: the same weights, held so, for a peer that needs no f32 on its way)
    python3 models.py draw FOLDER             (16 pictures of 1024 x 768 with a text each, 6 of them as PNG too)

torch, transformers, timm, safetensors and pillow from PyPI. What such models say means nothing; it can be compared.
"""
import json
import os
import shutil
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
TEXT = dict(num_attention_heads=12, vocab_size=30524, encoder_hidden_size=768, bos_token_id=30522, sep_token_id=102, pad_token_id=0)
VISION = dict(image_size=384, patch_size=16, layer_norm_eps=1e-5, hidden_act="gelu")
LARGE = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16)
LITTLE = dict(hidden_size=96, intermediate_size=192, num_hidden_layers=2, num_attention_heads=3)
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
TAGS = 10861  # as wd-vit-tagger-v3 has


def words():
    """A vocabulary as large as BERT's, with its special tokens in their places and made-up words."""
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    letters = "abcdefghijklmnopqrstuvwxyz"
    out = []
    for i in range(30522):
        if i in special:
            out.append(special[i])
        elif 999 <= i < 1999:
            out.append(letters[i - 999] if i - 999 < 26 else "##" + letters[(i - 999) % 26] if i - 999 < 52 else f"sign{i}")
        else:
            n, word = i, ""
            while n:
                word, n = word + letters[n % 26], n // 26
            out.append(word + "x")
    return out


# How much a layer of random weights makes of what it gets; what is not named here 1.3. BERT's blocks add less than came in, its looks at the picture least:
# with 1.3 there too each text would be the same words in an order that hardly matters, and the best of them within rounding.
GAIN = {"crossattention.output.dense": 0.3, "output.dense": 0.6}


def fill(model):
    """Random weights with which each layer hands on numbers of about the size that it got."""
    g = torch.Generator().manual_seed(20261121)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * torch.randn(p.shape, generator=g))
            elif name == "pos_embed" or "embedding" in name and p.ndim <= 3:
                p.copy_(0.1 * torch.randn(p.shape, generator=g))
            else:
                gain = next((GAIN[end] for end in GAIN if name.endswith(end + ".weight")), 1.3)
                p.copy_(gain * torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    return model


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=1)


def make_blip(kind, folder, little):
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipForImageTextRetrieval

    vision, text = dict(VISION), dict(TEXT)
    if kind == "blip-large":
        vision.update(LARGE)
    if little:
        vision.update(LITTLE, image_size=64)
        text.update(LITTLE)
    text["encoder_hidden_size"] = vision.get("hidden_size", 768)
    config = BlipConfig(text_config=text, vision_config=vision)
    fill((BlipForImageTextRetrieval if kind == "blip-itm" else BlipForConditionalGeneration)(config)).save_pretrained(folder)
    write_json(os.path.join(folder, "preprocessor_config.json"),
               {"do_normalize": True, "do_resize": True, "image_processor_type": "BlipImageProcessor", "resample": 3, "rescale_factor": 1 / 255,
                "size": {"height": vision["image_size"], "width": vision["image_size"]}, **CLIP})
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(words()) + "\n")


def make_wd14(folder, little):
    import timm

    args = {"class_token": False, "fc_norm": False, "global_pool": "avg", "img_size": 64 if little else 448}
    if little:
        args.update(depth=2, embed_dim=96, num_heads=3)
    model = fill(timm.create_model("vit_base_patch16_224", num_classes=TAGS, **args))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    write_json(os.path.join(folder, "config.json"),
               {"architecture": "vit_base_patch16_224", "num_classes": TAGS, "num_features": model.num_features, "global_pool": "avg", "model_args": args,
                "pretrained_cfg": {"input_size": [3, args["img_size"], args["img_size"]], "mean": [0.5] * 3, "std": [0.5] * 3, "num_classes": TAGS}})
    with open(os.path.join(folder, "selected_tags.csv"), "w") as f:
        f.write("tag_id,name,category,count\n")
        for i in range(TAGS):
            f.write(f"{i},tag_{i},{9 if i < 4 else 0 if i < 8110 else 4},9000\n")


def make(kind, folder):
    part = folder + ".part"
    os.makedirs(part, exist_ok=True)
    size = kind.endswith("-small")
    kind = kind.removesuffix("-small")
    if kind == "wd14":
        make_wd14(part, size)
    else:
        make_blip(kind, part, size)
    os.rename(part, folder)


def copy(folder, dtype):
    to = f"{folder}-{dtype}"
    os.makedirs(to + ".part", exist_ok=True)
    for name in os.listdir(folder):
        if not name.endswith(".safetensors"):
            shutil.copy(os.path.join(folder, name), to + ".part")
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as f:
        save_file({k: f.get_tensor(k).to(DTYPES[dtype]) for k in f.keys()}, os.path.join(to + ".part", "model.safetensors"), metadata={"format": "pt"})
    os.rename(to + ".part", to)


def draw(folder):
    """Soft coloured patches and lines, as detailed as photographs are to a decoder, and texts of eight words."""
    import numpy as np
    from PIL import Image

    part, known = folder + ".part", words()
    os.makedirs(part, exist_ok=True)
    for k in range(16):
        r = np.random.default_rng(k)
        base = Image.fromarray(r.integers(0, 256, (8, 11, 3), dtype=np.uint8)).resize((1024, 768), Image.BICUBIC)
        noise = Image.fromarray(r.integers(0, 256, (192, 256, 3), dtype=np.uint8)).resize((1024, 768), Image.BICUBIC)
        picture = Image.blend(base, noise, 0.3)
        picture.save(os.path.join(part, f"{k:02d}.jpg"), quality=92)
        if k < 6:
            picture.save(os.path.join(part, f"{k:02d}.png"))
        with open(os.path.join(part, f"{k:02d}.txt"), "w") as f:
            f.write(" ".join(known[i] for i in r.integers(2000, 30000, 8)) + "\n")
    os.rename(part, folder)


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[:1] == ["make"] and len(given) == 3:
        make(*given[1:])
    elif given[:1] == ["copy"] and len(given) == 3:
        copy(*given[1:])
    elif given[:1] == ["draw"] and len(given) == 2:
        draw(given[1])
    else:
        sys.exit(__doc__)

"""A BLIP of the real size with random weights, and what transformers makes of pictures with it: the peer of tests/bench/blip.sh.

    python3 tests/bench/blip.py make FOLDER                  (base: ViT-B/16 at 384 and a 12-layer decoder; 900 MB)
    python3 tests/bench/blip.py draw FOLDER                  (16 pictures of 1024 x 768, and 6 of them as PNG too)
    python3 tests/bench/blip.py same OURS THEIRS             (are the tokens the same?)
    python3 tests/bench/blip.py caption FOLDER PICTURES...   (--batch 4 --beams 3 --length 20 --penalty 1 --threads 2 --dtype f32 --out texts.json)

torch, transformers and pillow from PyPI. The captions mean nothing; their tokens are compared with calotype's.
"""
import argparse
import json
import os
import resource
import time


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


def make(folder):
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration

    os.makedirs(folder, exist_ok=True)
    config = BlipConfig(text_config=dict(num_attention_heads=12, vocab_size=30524, encoder_hidden_size=768, bos_token_id=30522, sep_token_id=102, pad_token_id=0),
                        vision_config=dict(image_size=384, patch_size=16, layer_norm_eps=1e-5, hidden_act="gelu"))
    model = BlipForConditionalGeneration(config)
    g = torch.Generator().manual_seed(20261121)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * torch.randn(p.shape, generator=g))
            elif "word_embeddings" in name:
                p.copy_(0.05 * torch.randn(p.shape, generator=g))
            elif "embedding" in name and p.ndim <= 3:
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(1.3 * torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    model.save_pretrained(folder)
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(words()) + "\n")
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
        json.dump({"do_normalize": True, "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
                   "image_processor_type": "BlipImageProcessor", "resample": 3, "rescale_factor": 1 / 255, "size": {"height": 384, "width": 384}}, f, indent=1)


def draw(folder):
    """Soft coloured patches and lines, as detailed as photographs are to a decoder."""
    import numpy as np
    from PIL import Image

    for k in range(16):
        r = np.random.default_rng(k)
        base = Image.fromarray(r.integers(0, 256, (8, 11, 3), dtype=np.uint8)).resize((1024, 768), Image.BICUBIC)
        noise = Image.fromarray(r.integers(0, 256, (192, 256, 3), dtype=np.uint8)).resize((1024, 768), Image.BICUBIC)
        picture = Image.blend(base, noise, 0.3)
        picture.save(os.path.join(folder, f"{k:02d}.jpg"), quality=92)
        if k < 6:
            picture.save(os.path.join(folder, f"{k:02d}.png"))


def same(ours, theirs):
    """How many texts have the same tokens up to their end; where they part, how far both went together."""
    with open(ours) as a, open(theirs) as b:
        pairs = list(zip(json.load(a), json.load(b)))
    def ended(row):
        return row[: row.index(102, 1) + 1] if 102 in row[1:] else row
    equal = [ended(a) == ended(b) for a, b in pairs]
    apart = [next((i for i, (x, y) in enumerate(zip(ended(a), ended(b))) if x != y), 0) for (a, b), e in zip(pairs, equal) if not e]
    print(f"{sum(equal)} of {len(equal)} texts the same" + (f", others part at token {min(apart)} or later" if apart else ""))


def caption(args):
    import torch
    from PIL import Image
    from transformers import BlipForConditionalGeneration, BlipImageProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    torch.set_num_threads(args.threads)
    model = BlipForConditionalGeneration.from_pretrained(args.folder).eval()
    if args.dtype == "bf16":
        model = model.bfloat16()
    processor = (BlipImageProcessorPil if args.pil else BlipImageProcessor).from_pretrained(args.folder)
    texts, began = [], None
    for turn in (0, 1):  # the first batch warms up
        began = time.perf_counter()
        for at in range(0, len(args.pictures) if turn else min(args.batch, len(args.pictures)), args.batch):
            pictures = [Image.open(p).convert("RGB") for p in args.pictures[at : at + args.batch]]
            pixels = processor(images=pictures, return_tensors="pt").pixel_values.to(model.dtype)
            made = model.generate(pixel_values=pixels, num_beams=args.beams, max_length=args.length, min_length=0, repetition_penalty=args.penalty, do_sample=False,
                                  length_penalty=1.0, early_stopping=False)
            if turn:
                texts += [[t for t in row] for row in made.tolist()]
    seconds = time.perf_counter() - began
    print(json.dumps({"pictures": len(args.pictures), "seconds": round(seconds, 3), "per_second": round(len(args.pictures) / seconds, 3),
                      "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}))
    if args.out:
        with open(args.out, "w") as f:
            json.dump(texts, f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "draw", "same", "caption"])
    parser.add_argument("folder")
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--penalty", type=float, default=1.0)
    parser.add_argument("--pil", action="store_true", help="resize with Pillow, as the model was trained; otherwise with torchvision")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--out")
    given = parser.parse_args()
    if given.what == "make":
        make(given.folder)
    elif given.what == "draw":
        draw(given.folder)
    elif given.what == "same":
        same(given.folder, given.pictures[0])
    else:
        caption(given)

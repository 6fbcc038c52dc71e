"""A matcher of the real size with random weights, and what transformers says of pictures and the .txt beside them: the peer of `:score`.

    python3 tests/bench/score.py make FOLDER                (ViT-B/16 at 384 and a 12-layer BERT; 900 MB)
    python3 tests/bench/score.py score FOLDER PICTURES...   (a line each: name, probability)

torch, transformers and pillow from PyPI. The same in calotype, in the folder of the pictures:

    images ".":score { model = "FOLDER" }:edit(function(p) print(p.name, p.match) end):sheet { to = "sheet.png" }

On 2026-11-21 (transformers 5, 5 photographs of 1.7 to 4.9 megapixels, f32) the two were apart by at most 1.7e-4: the decoders of JPEG differ by that.
"""
import json
import os
import sys

import torch
from PIL import Image
from transformers import BertTokenizer, BlipConfig, BlipForImageTextRetrieval, BlipImageProcessor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from blip import words  # noqa: E402

TEXT = dict(num_attention_heads=12, vocab_size=30524, encoder_hidden_size=768, bos_token_id=30522, sep_token_id=102, pad_token_id=0)
LOOKS = {"size": {"height": 384, "width": 384}, "resample": 3, "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}


def make(folder):
    model = BlipForImageTextRetrieval(BlipConfig(text_config=TEXT, vision_config=dict(image_size=384, patch_size=16, layer_norm_eps=1e-5, hidden_act="gelu")))
    g = torch.Generator().manual_seed(20261121)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                p.copy_((1.0 if name.endswith("weight") else 0.0) + 0.1 * torch.randn(p.shape, generator=g))
            elif "embedding" in name and p.ndim <= 3:
                p.copy_(0.1 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(1.3 * torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    model.save_pretrained(folder)
    with open(os.path.join(folder, "vocab.txt"), "w") as f:
        f.write("\n".join(words()) + "\n")
    with open(os.path.join(folder, "preprocessor_config.json"), "w") as f:
        json.dump(LOOKS, f)


def score(folder, pictures):
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    tokenizer = BertTokenizer(vocab={w: i for i, w in enumerate(words())}, do_lower_case=True)
    processor = BlipImageProcessor(size=LOOKS["size"])
    for path in pictures:
        with open(os.path.splitext(path)[0] + ".txt") as f:
            text = tokenizer(f.read().strip(), padding="max_length", truncation=True, max_length=35, return_tensors="pt")
        pixels = processor(Image.open(path).convert("RGB"), return_tensors="pt").pixel_values
        with torch.no_grad():
            both = model(input_ids=text.input_ids, attention_mask=text.attention_mask, pixel_values=pixels).itm_score
        print(os.path.basename(path), "%.6f" % both.softmax(-1)[0, 1].item())


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] in ("make", "score"):
        make(sys.argv[2]) if sys.argv[1] == "make" else score(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__)

"""Goldens of BLIP: what transformers says of a small random captioner and a small random matcher of captions and pictures.

    python3 tests/golden/make_blip.py        (rewrites tests/golden/blip; torch, transformers and pillow, PyPI)

As in make_models.py: double precision from weights that are exact in f32. The logits of every step of a caption come with the
tokens, so that a decoder which carries its keys and values from token to token can be compared step by step.
"""
import json
import os

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import BertTokenizer, BlipConfig, BlipImageProcessor, BlipForConditionalGeneration, BlipForImageTextRetrieval

SEED = 20261121
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "blip")
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

BOS, SEP, PAD, VOCABULARY = 94, 92, 0, 96
CLS, DOT = 90, 93
TEXT = dict(vocab_size=VOCABULARY, hidden_size=24, encoder_hidden_size=36, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
            max_position_embeddings=16, layer_norm_eps=1e-12, hidden_act="gelu", bos_token_id=BOS, sep_token_id=SEP, pad_token_id=PAD, eos_token_id=2,
            projection_dim=16, is_decoder=True)
VISION = dict(hidden_size=36, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, layer_norm_eps=1e-5,
              hidden_act="gelu", projection_dim=16)


def randomize(model, seed):
    """No tensor may be zero, one or shared, and no token may win always: a swapped or forgotten tensor must show."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                base = 1.0 if name.endswith("weight") else 0.0  # norms
                p.copy_(base + 0.1 * torch.randn(p.shape, generator=g))
            elif "embedding" in name and p.ndim <= 3:
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(1.3 * torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    return model.double().eval()


def save(name, tensors, metadata=None):
    save_file({k: (v.float() if v.is_floating_point() else v.int()).contiguous() for k, v in tensors.items()}, os.path.join(OUT, name), metadata=metadata)


def keep(folder, model, drop=()):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    config = model.config.to_dict()
    plain = {"architectures": [type(model).__name__], "model_type": "blip", "image_text_hidden_size": config["image_text_hidden_size"],
             "text_config": {k: config["text_config"][k] for k in TEXT}, "vision_config": {k: config["vision_config"][k] for k in VISION}}
    with open(os.path.join(OUT, folder, "config.json"), "w") as f:
        json.dump(plain, f, indent=1, sort_keys=True)
        f.write("\n")
    save(os.path.join(folder, "model.safetensors"), {k: v for k, v in model.state_dict().items() if k not in drop}, {"format": "pt"})


def captioner():
    model = randomize(BlipForConditionalGeneration(BlipConfig(text_config=dict(TEXT), vision_config=dict(VISION), image_text_hidden_size=16)), SEED)
    with torch.no_grad():
        model.text_decoder.cls.predictions.bias[SEP] += 4.2  # some captions end, some do not
    tied = ("text_decoder.cls.predictions.decoder.weight", "text_decoder.cls.predictions.decoder.bias")
    keep("captioner", model, tied)
    g = torch.Generator().manual_seed(SEED + 1)
    pixels = torch.randn(3, 3, 32, 32, generator=g).double()
    out = {"pixels": pixels, "states": model.vision_model(pixel_values=pixels).last_hidden_state}
    prompt = torch.tensor([[101 % VOCABULARY, 7, 8, 9, SEP]])  # the first becomes BOS, the last goes
    tokens = {}
    ways = {
        "greedy": dict(num_beams=1, max_length=12), "greedy_least": dict(num_beams=1, max_length=12, min_length=9),
        "greedy_penalty": dict(num_beams=1, max_length=14, repetition_penalty=1.7),
        "beams": dict(num_beams=3, max_length=12), "beams_least": dict(num_beams=3, max_length=14, min_length=8),
        "beams_penalty": dict(num_beams=3, max_length=14, repetition_penalty=1.7), "beams_long": dict(num_beams=4, max_length=14, length_penalty=2.0),
        "beams_two": dict(num_beams=2, max_length=6),
    }
    for prefix, ids in (("", None), ("prompt_", prompt)):
        for name, how in ways.items():
            given = {} if ids is None else {"input_ids": ids.repeat(3, 1)}
            how = dict(do_sample=False, repetition_penalty=1.0, min_length=0, length_penalty=1.0, early_stopping=False) | how
            made = model.generate(pixel_values=pixels, return_dict_in_generate=True, output_scores=True, output_logits=True,
                                  num_return_sequences=how["num_beams"], **given, **how)
            rows = [[t for t in row.tolist()] for row in made.sequences]
            n = how["num_beams"]
            tokens[prefix + name] = {"options": how, "prompt": [] if ids is None else ids[0, 1:-1].tolist(),
                                     "pictures": [rows[i * n : (i + 1) * n] for i in range(3)]}
            if n > 1:
                tokens[prefix + name]["scores"] = made.sequences_scores.double().reshape(3, n).tolist()
            else:
                out[prefix + name] = torch.stack(made.logits, 1)
    with open(os.path.join(OUT, "captions.json"), "w") as f:
        json.dump(tokens, f, indent=None, sort_keys=True)
        f.write("\n")
    save("captioner.safetensors", out)
    print("different captions:", len({tuple(r) for t in tokens.values() for p in t["pictures"] for r in p}),
          "that end:", sum(SEP in r for t in tokens.values() for p in t["pictures"] for r in p))


def matcher():
    model = randomize(BlipForImageTextRetrieval(BlipConfig(text_config=dict(TEXT), vision_config=dict(VISION), image_text_hidden_size=16)), SEED + 2)
    keep("matcher", model)
    g = torch.Generator().manual_seed(SEED + 3)
    pixels = torch.randn(3, 3, 32, 32, generator=g).double()
    ids = torch.randint(3, 90, (3, 9), generator=g)
    mask = torch.ones_like(ids)
    for row, length in enumerate((9, 5, 3)):
        ids[row, length:], mask[row, length:] = PAD, 0
    match = model(input_ids=ids, pixel_values=pixels, attention_mask=mask).itm_score
    # As :score asks: [CLS] text [SEP], cut at the model's places and padded; numbers of words as tests/test_score.lua writes them.
    texts, length = [[5, 6, 7], [40, DOT], [1 + i % 80 for i in range(3, 33)]], TEXT["max_position_embeddings"]
    asked, seen = torch.full((3, length), PAD), torch.zeros(3, length, dtype=torch.long)
    for row, text in enumerate(texts):
        whole = [CLS] + text[: length - 2] + [SEP]
        asked[row, : len(whole)], seen[row, : len(whole)] = torch.tensor(whole), 1
    belongs = model(input_ids=asked, pixel_values=pixels, attention_mask=seen).itm_score.softmax(-1)[:, 1]
    # And on the whole road, photographs made ready by transformers.
    photos = [Image.open(os.path.join(HERE, "image", name)).convert("RGB") for name in ("photo-0.jpg", "photo-5.jpg")]
    ready = BlipImageProcessor(size={"height": 32, "width": 32})(photos, return_tensors="pt").pixel_values.double()
    photographed = model(input_ids=asked[:2], pixel_values=ready, attention_mask=seen[:2]).itm_score.softmax(-1)[:, 1]
    save("matcher.safetensors", {"pixels": pixels, "ids": ids, "mask": mask, "match": match, "belongs": belongs, "photos": photographed})
    print("belongs:", belongs.tolist(), "photos:", photographed.tolist())


# ---- the tokenizer ---------------------------------------------------------------------------------------------------
WORDS = """a picture of the photo woman man sitting on beach with her his dog and in front white black red blue t shirt s ' - , . ! ? house lake light
##s ##ing ##ed ##er ##house light sun ##set sea naive cafe resume angstrom 20 ##24 19 ##9 1 2 3 ##0 ##1 ##2 ##3 東 京 写 真 мо ##сква i ##̇ ß straße ## # ( ) / @ _ “ ”""".split()


def tokenizer():
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    vocab = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for w in letters + ["##" + c for c in letters] + WORDS:
        if w not in vocab:
            vocab.append(w)
    with open(os.path.join(OUT, "vocab.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(vocab) + "\n")
    bert = BertTokenizer(vocab={w: i for i, w in enumerate(vocab)}, do_lower_case=True)
    texts = [
        "", " ", "a picture of ", "a woman sitting on the beach with her dog", "A Lighthouse, at Sunset!", "the man's t-shirt", "houses houseing xyzzy 2024 1990",
        "NAÏVE café résumé Ångström A\u030angstrom", "東京写真 in 20世紀", "Москва МОСКВА", "İstanbul", "straße STRASSE ẞ", "[SEP] in [MASK] text [CLS]", "[sep] [Mask]",
        "tab\there\r\nline\x0bvt\x0cff", "zero\u200bwidth\ufeffjoin\u00adsoft", "nbsp\u00a0em\u2003space\u3000wide\u2028line", "“quotes” (round) a/b me@x.org under_score #tag ##tag",
        "😀 emoji 👩‍👩‍👧 🖼️", "x" * 100, "x" * 101, "y" * 3000, "\u0301 lone", "한국어 각", "\ue000 private \ufffd broken \x7f del", "ⅷ ½ ² № ﬁ ǅ", "सुंदर चित्र", "ภาพถ่าย",
        "… – — ¿¡ § ¶ † ‡ ° ± € £ $ ^ ` ~ | < > = +", "\U0001d400\U00010400 \U0002a6df \u4dff\u9fff",
    ]
    rows = [{"text": t, "tokens": bert.encode(t, add_special_tokens=False),
             "padded": bert.encode(t, padding="max_length", max_length=16, truncation=True)} for t in texts]
    with open(os.path.join(OUT, "tokens.json"), "w") as f:
        json.dump(rows, f)
        f.write("\n")


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    tokenizer()
    captioner()
    matcher()

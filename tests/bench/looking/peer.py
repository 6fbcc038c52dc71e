"""What PyTorch makes of pictures with the same models: the peer of ours.lua.

    python3 peer.py caption FOLDER PICTURES...      transformers' BlipForConditionalGeneration
    python3 peer.py match FOLDER PICTURES...        transformers' BlipForImageTextRetrieval, the text of a.jpg in a.txt
    python3 peer.py tag FOLDER PICTURES...          timm's VisionTransformer
    python3 peer.py device                          is there a GPU that it can use?

One line of JSON: pictures, seconds, per_second, peak_mb (of a GPU where that is the device). --out writes what was said: tokens, probabilities.
As lean as it can be asked for: weights lie in the file as they are computed with, and are mapped, not copied; inference_mode; decoding and resizing
count, as they do for us. BLIP's pictures are resized by torchvision; with --pil by Pillow, as the models were trained.
"""
import argparse
import json
import os
import resource
import sys
import time

import torch
from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from models import DTYPES, words  # noqa: E402


def processor_of(args):
    from transformers import BlipImageProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    processor = (BlipImageProcessorPil if args.pil else BlipImageProcessor).from_pretrained(args.folder)
    return lambda paths: processor(images=[Image.open(p).convert("RGB") for p in paths], return_tensors="pt").pixel_values.to(args.device, args.dtype)


def captioner(args):
    from transformers import BlipForConditionalGeneration

    model = BlipForConditionalGeneration.from_pretrained(args.folder, dtype=args.dtype).eval().to(args.device)
    look = processor_of(args)
    return lambda paths: model.generate(pixel_values=look(paths), num_beams=args.beams, max_length=args.length, min_length=0, repetition_penalty=args.penalty,
                                        do_sample=False, length_penalty=1.0, early_stopping=False).tolist()


def matcher(args):
    from transformers import BertTokenizer, BlipForImageTextRetrieval

    model = BlipForImageTextRetrieval.from_pretrained(args.folder, dtype=args.dtype).eval().to(args.device)
    tokenizer = BertTokenizer(vocab={w: i for i, w in enumerate(words())}, do_lower_case=True)
    look = processor_of(args)

    def read(path):
        with open(os.path.splitext(path)[0] + ".txt") as f:
            return f.read().strip()

    def match(paths):
        text = tokenizer([read(p) for p in paths], padding="max_length", truncation=True, max_length=35, return_tensors="pt").to(args.device)
        said = model(input_ids=text.input_ids, attention_mask=text.attention_mask, pixel_values=look(paths)).itm_score
        return said.float().softmax(-1)[:, 1:].tolist()

    return match


def tagger(args):
    import numpy as np
    import timm
    from safetensors.torch import load_file

    with open(os.path.join(args.folder, "config.json")) as f:
        config = json.load(f)
    with torch.device("meta"):
        model = timm.create_model(config["architecture"], num_classes=config["num_classes"], **config["model_args"]).eval()
    model.load_state_dict(load_file(os.path.join(args.folder, "model.safetensors")), assign=True)
    model = model.to(args.device)
    side = config["model_args"]["img_size"]

    def look(path):
        """As wdv3-timm: a white border makes it square, bicubic, BGR, -1 to 1."""
        picture = Image.open(path).convert("RGB")
        w, h = picture.size
        square = Image.new("RGB", (max(w, h), max(w, h)), (255, 255, 255))
        square.paste(picture, ((max(w, h) - w) // 2, (max(w, h) - h) // 2))
        small = square.resize((side, side), Image.BICUBIC)
        return torch.from_numpy(np.asarray(small).astype(np.float32) / 127.5 - 1)[:, :, [2, 1, 0]].permute(2, 0, 1)

    return lambda paths: model(torch.stack([look(p) for p in paths]).to(args.device, args.dtype)).float().sigmoid().tolist()


def measure(args):
    torch.set_num_threads(args.threads)
    args.device = "cuda" if args.gpu else "cpu"
    args.dtype = DTYPES[args.dtype]
    work = {"caption": captioner, "match": matcher, "tag": tagger}[args.what](args)
    with torch.inference_mode():
        for turn in (0, 1):  # the first batch warms up
            said, began = [], time.perf_counter()
            for at in range(0, len(args.pictures) if turn else min(args.batch, len(args.pictures)), args.batch):
                said += work(args.pictures[at : at + args.batch])
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() / 2**20 if args.gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"pictures": len(args.pictures), "seconds": round(seconds, 3), "per_second": round(len(args.pictures) / seconds, 3), "peak_mb": round(peak)}))
    if args.out:
        with open(args.out, "w") as f:
            json.dump(said, f)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["caption", "match", "tag", "device"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--penalty", type=float, default=1.0)
    parser.add_argument("--pil", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=list(DTYPES), default="f32")
    parser.add_argument("--out")
    given = parser.parse_args()
    if given.what == "device":
        print("gpu" if torch.cuda.is_available() else "cpu")
    else:
        measure(given)

"""A model folder of calotype train_tiny_base in diffusers: draws the prompts it is scored with. draw_tiny.py FOLDER [COUNT]

Reads FOLDER/state/prompts.json, writes FOLDER/state/diffusers/SET-NUMBER.png; then `only=foreign` of the script measures them.
The noise is PyTorch's for the same seeds, so the pictures differ from ours and the scores are compared, not the pixels.
"""
import json
import os
import sys

import torch
from diffusers import StableDiffusionPipeline

folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000
asked = json.load(open(f"{folder}/state/prompts.json"))
pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
print("tokens", pipe.tokenizer.model_max_length, "vae scale", pipe.vae_scale_factor, "scaling", pipe.vae.config.scaling_factor)
os.makedirs(f"{folder}/state/diffusers", exist_ok=True)
for name, rows in asked["sets"].items():
    rows = rows[:count]
    for at in range(0, len(rows), 16):
        part = rows[at:at + 16]
        noise = [torch.Generator().manual_seed(row["seed"]) for row in part]
        pictures = pipe([row["prompt"] for row in part], num_inference_steps=asked["steps"], guidance_scale=asked["guidance"], generator=noise).images
        for i, picture in enumerate(pictures):
            picture.save(f"{folder}/state/diffusers/{name}-{at + i + 1}.png")
    print(name, len(rows), "pictures")

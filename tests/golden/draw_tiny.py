"""Does a model folder of ours load in diffusers and draw? load_tiny.py FOLDER [PROMPT [PICTURE.png]]"""
import sys

import torch
from diffusers import StableDiffusionPipeline

folder = sys.argv[1]
pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
print("tokens", pipe.tokenizer.model_max_length, "vae scale", pipe.vae_scale_factor, "scaling", pipe.vae.config.scaling_factor)
prompt = sys.argv[2] if len(sys.argv) > 2 else "two small striped red crosses at the left on a white background"
print(pipe.tokenizer.convert_ids_to_tokens(pipe.tokenizer(prompt)["input_ids"]))
image = pipe(prompt, num_inference_steps=20, guidance_scale=4.0, generator=torch.Generator().manual_seed(0)).images[0]
if len(sys.argv) > 3:
    image.save(sys.argv[3])
print(image.size)

"""Does a LoRA of calotype load elsewhere? diffusers, with every key matched and nothing left over.

    python tests/golden/check_lora.py noise NOISE.safetensors COUNT HEIGHT WIDTH      makes the noise (of latents)
    python tests/golden/check_lora.py BASE LORA.safetensors [NOISE.safetensors PICTURES PROMPT]

Prints how many layers got the LoRA and fails when a tensor found no place, or when a layer's change is not alpha / rank * up @ down. With
NOISE and PICTURES (the folder that :samples { strength = { 0, 1 }, noise =, pictures = } wrote) diffusers draws the same pictures from the
same noise; the PSNR of each pair is printed, below 40 dB it fails. STEPS and CFG in the environment: 20 and 7.5.
"""
import os
import sys

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)


def main():
    if sys.argv[1] == "noise":
        count, height, width = map(int, sys.argv[3:6])
        os.makedirs(os.path.dirname(sys.argv[2]) or ".", exist_ok=True)
        save_file({"noise": torch.randn(count, 4, height, width, generator=torch.Generator().manual_seed(0))}, sys.argv[2])
        return
    base, path = sys.argv[1:3]
    pipe = StableDiffusionPipeline.from_pretrained(base, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
                                                   torch_dtype=torch.float32) if os.path.exists(base + "/model_index.json") else assemble(base)
    tensors = load_file(path)
    with safe_open(path, "pt") as f:
        metadata = f.metadata()
    stems = {k.split(".")[0] for k in tensors}
    assert len(tensors) == 3 * len(stems), "not three tensors a layer"
    before = {f"{n}.{k}": v.clone() for n in ("unet", "text_encoder") for k, v in getattr(pipe, n).state_dict().items()}
    pipe.load_lora_weights(os.path.dirname(path) or ".", weight_name=os.path.basename(path))  # raises on keys that are left over
    loaded = 0
    for part, prefix in (("unet", "lora_unet_"), ("text_encoder", "lora_te_")):
        for name, module in getattr(pipe, part).named_modules():
            if not hasattr(module, "lora_A") or not module.lora_A:
                continue
            adapter = next(iter(module.lora_A))
            stem = prefix + name.replace(".", "_")
            if stem not in stems and part == "text_encoder":
                stem = prefix + "text_model_" + name.replace("text_model.", "").replace(".", "_")
            assert stem in stems, f"{part}.{name} has a LoRA that is not in the file"
            down, up, alpha = (tensors[f"{stem}.{k}"].float() for k in ("lora_down.weight", "lora_up.weight", "alpha"))
            ours = (up.flatten(1) @ down.flatten(1)) * alpha / down.shape[0]
            theirs = module.get_delta_weight(adapter).flatten(1)
            assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-3), f"{stem}: the change is another"
            stems.discard(stem)
            loaded += 1
    assert not stems, f"no place for {sorted(stems)[:3]} and {len(stems) - 3} more" if len(stems) > 3 else f"no place for {sorted(stems)}"
    assert metadata["ss_network_dim"] and metadata["sshs_model_hash"] and metadata["modelspec.architecture"].endswith("/lora")
    print(f"{loaded} layers, every key matched, {len(before)} tensors of the base, made by calotype {metadata.get('calotype.version')}")
    if len(sys.argv) > 3:
        compare(pipe, *sys.argv[3:6])


def assemble(base):
    """A base without model_index.json: its parts one by one."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(base, subfolder="vae"), text_encoder=CLIPTextModel.from_pretrained(base, subfolder="text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(base, subfolder="tokenizer"), unet=UNet2DConditionModel.from_pretrained(base, subfolder="unet"),
        scheduler=DDIMScheduler.from_pretrained(base, subfolder="scheduler"), safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def compare(pipe, noise, folder, prompt):
    latents = load_file(noise)["noise"]
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    worst, pairs = 1e9, 0
    for strength in (1, 2):
        for i in range(latents.shape[0]):
            path = os.path.join(folder, f"1-{strength}-{i + 1}.png")
            if not os.path.exists(path):
                continue
            ours = np.asarray(Image.open(path).convert("RGB")).astype(float)
            (pipe.disable_lora if strength == 1 else pipe.enable_lora)()
            theirs = pipe(prompt, num_inference_steps=int(os.environ.get("STEPS", "20")), guidance_scale=float(os.environ.get("CFG", "7.5")),
                          latents=latents[i : i + 1], height=ours.shape[0], width=ours.shape[1], output_type="np").images[0]
            error = np.mean((ours - np.round(theirs * 255)) ** 2)
            psnr = 10 * np.log10(255 ** 2 / max(error, 1e-9))
            worst, pairs = min(worst, psnr), pairs + 1
            print(f"{'with' if strength == 2 else 'without'} LoRA, noise {i + 1}: PSNR {psnr:.1f} dB")
    first = [np.asarray(Image.open(os.path.join(folder, f"1-{s}-1.png"))).astype(float) for s in (1, 2)]
    assert np.abs(first[0] - first[1]).max() > 8, "the LoRA changes nothing that is seen"
    assert pairs, f"no pictures in {folder}"
    assert worst >= 40, f"the worst PSNR is {worst:.1f} dB"


if __name__ == "__main__":
    main()

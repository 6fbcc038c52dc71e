"""Goldens of the models: what PyTorch, diffusers, transformers and peft say of small random models.

    python3 tests/golden/make_models.py        (rewrites tests/golden/tiny and prints what README.md quotes)

Everything is computed in double precision from weights that are exact in f32 and stored in f32: the golden is the truth to
about 1e-7, and what f32 adds belongs to whoever is compared with it. The script also runs PyTorch in f32 and prints how far
that is from the truth. Tensors keep PyTorch's names and layouts (pictures [B, C, H, W], kernels [out, in, kh, kw]).
"""
import collections
import copy
import json
import math
import os
import shutil

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SEED = 20261121
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "tiny")
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)


def randomize(model, seed):
    """No tensor may be zero, one or shared: a swapped or forgotten one must show."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.ndim == 1:
                base = 1.0 if name.endswith("weight") else 0.0  # norms
                p.copy_(base + 0.1 * torch.randn(p.shape, generator=g))
            elif "embedding" in name and p.ndim == 2 and "time" not in name:
                p.copy_(0.5 * torch.randn(p.shape, generator=g))
            else:
                fan_in = p[0].numel()
                p.copy_(torch.randn(p.shape, generator=g) / math.sqrt(fan_in))


def randn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def f32(tensors):
    def one(k, v):
        return v.detach().to(torch.float32) if v.is_floating_point() else v if k.endswith("position_ids") else v.to(torch.int32)
    return {k: one(k, v).contiguous() for k, v in tensors.items()}


def relative(a, b):
    a, b = a.detach().double(), b.detach().double()
    return ((a - b).norm() / (b.norm() + 1e-300)).item()


def worst(a, b):
    """The largest relative error over tensors. Those whose truth is zero (a key's bias under softmax) are measured against 1/100 of the largest."""
    size = {k: v.detach().double().norm().item() for k, v in b.items()}
    largest = max(size.values())
    scale = {k: v if v > 1e-9 * largest else 1e-2 * largest for k, v in size.items()}
    return max((a[k].detach().double() - b[k].detach().double()).norm().item() / scale[k] for k in b)


def save(folder, name, tensors, metadata=None):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    save_file(f32(tensors), os.path.join(OUT, folder, name), metadata=metadata or {"format": "pt"})


def config(folder, values):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    with open(os.path.join(OUT, folder, "config.json"), "w") as f:
        json.dump(values, f, indent=1, sort_keys=True)
        f.write("\n")


def keep_config(model, folder, keys):
    config(folder, {k: v for k, v in model.config.to_dict().items() if k in keys} if hasattr(model.config, "to_dict")
           else {k: model.config[k] for k in keys if k in model.config} | {"_class_name": type(model).__name__})


def gradients(model, loss, only=None):
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None and (only is None or only in n)}


# ---- the tokenizer ---------------------------------------------------------------------------------------------------
CORPUS = """a red circle on a white background. two blue squares, left of a large green triangle! the small yellow star is
above the striped rectangle; three dots and a ring: photo, painting, drawing of a lighthouse by the sea at night. It's the
artist's house, they've seen what we'll draw, I'm sure you'd like what they're doing, don't you? An old photograph of a wide
hall with windows in the morning light, style of watercolour, detailed, 4k, 35mm, 1999 and 2024, 100% (very) [nice] "quoted".
texture of wood, stone, water, grass; the quick brown fox jumps over the lazy dog. cafe naive facade resume uber strasse.
café naïve façade résumé über straße ñandú żółć Київ Москва 東京 写真 사진 صورة 😀 🎨 🖼️ — – … “quotes” ‘single’ €5 £3 ½ ² ³ №""".replace("\n", " ")


def learn_merges(words, count):
    """Byte-pair merges, most frequent pair first, ties by spelling: the same list every time, which tokenizers' trainer does not promise."""
    words = {w: list(w[:-1]) + [w[-1] + "</w>"] for w in words} , collections.Counter(words)
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for w, symbols in words[0].items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[1][w]
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        for w, symbols in words[0].items():
            i = 0
            while i + 1 < len(symbols):
                if (symbols[i], symbols[i + 1]) == best:
                    symbols[i : i + 2] = ["".join(best)]
                i += 1
    return merges


def tokenizer():
    backend = CLIPTokenizer(vocab=None)._tokenizer
    pieces = [w for w, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(CORPUS))]
    merges = learn_merges(pieces, 300)
    # CLIP's order of ids: bytes, bytes with </w>, merges, the two specials.
    order = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters = [chr(b) for b in order] + [chr(256 + i) for i in range(256 - len(order))]
    vocab = letters + [c + "</w>" for c in letters] + ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(vocab)) == len(vocab)
    kept = merges
    folder = os.path.join(OUT, "tokenizer")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump({v: i for i, v in enumerate(vocab)}, f, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in kept))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    for name, values in (("special_tokens_map.json", special), ("tokenizer_config.json", special | {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})):
        with open(os.path.join(folder, name), "w") as f:
            json.dump(values, f, indent=1)
            f.write("\n")
    clip = CLIPTokenizer.from_pretrained(folder)
    texts = [
        "", " ", "a red circle on a white background", "A RED Circle", "  two   blue\tsquares \n left ", "it's the artist's house, they've",
        "I'M SURE YOU'D DON'T We'll", "100% (very) [nice] \"quoted\"", "4k 35mm 1999", "café naïve ÉCOLE Straße", "cafe\u0301 (combining)", "ÅNGSTRÖM A\u030a",
        "東京 写真 2024年", "Москва Київ", "صورة جميلة", "सुंदर चित्र", "ภาพถ่าย", "😀🎨 emoji 👩‍👩‍👧 🖼️", "İstanbul DİYARBAKIR ΣΊΣΥΦΟΣ", "½ ² ³ № Ⅷ ٣٤", "“quotes” ‘single’ — – …",
        "a\u00a0b\u2003c\u3000d\u2028e\u0085f", "zero\u200bwidth\ufeffjoin\u00adsoft", "tab\x0bvt\x0cff\x1cfs", "<|startoftext|> in <|endoftext|> text", "<|ENDOFTEXT|> <|StartOfText|>",
        "a<|endoftext|>b", "don''t ''s '' 's's", "!?!?...,,;;::", "under_score snake_case-dash", "http://example.org/a?b=c&d=e#f", "photo, photo, photo, " * 20, "x" * 300,
        "aaaaaaaaaaaaaaaaaaaa", "ǅ ǈ ß ẞ ﬁ ﬂ", "𝐀𝐁 𝟙𝟚 Ａｂｃ１２", "한국어 사진 각", "\u1100\u1161\u11a8 jamo", "ₐ ⁿ ª º", "\u0301 lone mark",
        "the quick brown fox jumps over the lazy dog", "a lighthouse, [trigger]", "ide_main_hall wtrclr", "\U0001f1e9\U0001f1ea flag", "\U00010400 deseret", "\U0010ffff last",
    ]
    rows = []
    for text in texts:
        plain = clip(text, add_special_tokens=False)["input_ids"]
        padded = clip(text, padding="max_length", max_length=77, truncation=True)["input_ids"]
        rows.append({"text": text, "tokens": plain, "padded": padded, "decoded": clip.decode(plain)})
    with open(os.path.join(OUT, "tokens.json"), "w") as f:
        json.dump(rows, f, ensure_ascii=True, indent=None, separators=(",", ":"))
        f.write("\n")
    print(f"tokenizer: {len(vocab)} tokens, {len(kept)} merges, {len(rows)} texts")
    return clip, len(vocab)


# ---- the text encoder ------------------------------------------------------------------------------------------------
def text_encoder(clip, vocab):
    c = CLIPTextConfig(vocab_size=vocab, hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3,
                       max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5,
                       bos_token_id=vocab - 2, eos_token_id=vocab - 1, pad_token_id=vocab - 1, projection_dim=24)
    model = CLIPTextModel(c).eval()
    randomize(model, SEED + 1)
    state = {k if k.startswith("text_model.") else "text_model." + k: v for k, v in model.state_dict().items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # old files carry it
    save("text_encoder", "model.safetensors", state)
    config("text_encoder", {k: getattr(c, k) for k in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                            "max_position_embeddings", "hidden_act", "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id", "projection_dim")}
           | {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"})
    ids = torch.tensor(clip(["a red circle on a white background", "two blue squares, left of a large green triangle! 😀"],
                            padding="max_length", max_length=77, truncation=True)["input_ids"])
    target = randn(SEED + 2, 2, 77, 24)

    def run(m, dtype):
        out = m(input_ids=ids, output_hidden_states=True)
        return out, ((out.last_hidden_state - target.to(dtype)) ** 2).mean()

    single, _ = run(model, torch.float32)
    grads32 = gradients(model, run(model, torch.float32)[1])
    exact = copy.deepcopy(model).double()
    out, loss = run(exact, torch.float64)
    grads = gradients(exact, loss)
    name = lambda n: n if n.startswith("text_model.") else "text_model." + n
    save("text_encoder", "golden.safetensors", {
        "ids": ids, "target": target, "hidden": out.last_hidden_state, "pooled": out.pooler_output, "penultimate": out.hidden_states[-2], "loss": loss,
        **{"grad." + name(k): v for k, v in grads.items()}})
    print(f"text encoder: f32 forward {relative(single.last_hidden_state, out.last_hidden_state):.1e}, gradients {worst(grads32, grads):.1e}, loss {loss.item():.4f}")
    lora = LoraConfig(r=4, lora_alpha=2, init_lora_weights=True, target_modules=["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"])
    exact = copy.deepcopy(model)
    lora_golden(exact, lora, "text_encoder", lambda m: run(m, torch.float64)[1], SEED + 3)
    return model, ids


def lora_golden(model, lora, folder, loss_of, seed):
    prefix = "text_model." if folder == "text_encoder" and not any(n.startswith("text_model.") for n, _ in model.named_modules()) else ""
    model.requires_grad_(False)
    model.add_adapter(lora)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for n, p in sorted(model.named_parameters()):
            if "lora_" in n:
                p.copy_(torch.randn(p.shape, generator=g) / math.sqrt(p[0].numel()) * (0.5 if "lora_B" in n else 1.0))
    model = model.double()
    short = lambda n: prefix + n.replace(".default", "")
    values = {short(n): p.detach().clone() for n, p in model.named_parameters() if "lora_" in n}
    loss = loss_of(model)
    grads = {short(n): v for n, v in gradients(model, loss, "lora_").items()}
    assert all(v.norm() > 0 for v in grads.values()) and len(grads) == len(values)
    save(folder, "lora.safetensors", {**values, "loss": loss, **{"grad." + k: v for k, v in grads.items()}}, {"recipe": json.dumps({"rank": 4, "alpha": 2})})
    print(f"{folder}: {len(values) // 2} LoRA modules, loss {loss.item():.4f}")
    return model


# ---- the autoencoder -------------------------------------------------------------------------------------------------
def autoencoder():
    model = AutoencoderKL(in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
                          down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, sample_size=16, scaling_factor=0.18215).eval()
    randomize(model, SEED + 11)
    save("vae", "diffusion_pytorch_model.safetensors", model.state_dict())
    keep_config(model, "vae", ("in_channels", "out_channels", "latent_channels", "block_out_channels", "layers_per_block", "norm_num_groups",
                               "down_block_types", "up_block_types", "sample_size", "scaling_factor", "act_fn", "mid_block_add_attention"))
    picture, noise = randn(SEED + 12, 2, 3, 12, 20).clamp(-1, 1), randn(SEED + 13, 2, 4, 6, 10)

    def run(m, dtype):
        p, n = picture.to(dtype), noise.to(dtype)
        d = m.encode(p).latent_dist
        z = d.mean + d.std * n
        r = m.decode(z).sample
        kl = 0.5 * (d.mean**2 + d.var - 1.0 - d.logvar).mean()
        return d, z, r, ((r - p) ** 2).mean() + 0.1 * kl

    _, _, single, loss = run(model, torch.float32)
    grads32 = gradients(model, loss)
    exact = copy.deepcopy(model).double()
    d, z, r, loss = run(exact, torch.float64)
    grads = gradients(exact, loss)
    save("vae", "golden.safetensors", {"picture": picture, "noise": noise, "mean": d.mean, "logvar": d.logvar, "latent": z, "decoded": r, "loss": loss,
                                       **{"grad." + k: v for k, v in grads.items()}})
    assert set(grads) == {n for n, _ in model.named_parameters()}
    print(f"autoencoder: f32 forward {relative(single, r):.1e}, gradients {worst(grads32, grads):.1e}, loss {loss.item():.4f}, {sum(p.numel() for p in model.parameters())} parameters")


# ---- the UNet --------------------------------------------------------------------------------------------------------
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]


def unet():
    # attention_head_dim is SD1.5's trap: it is the number of heads there. 2 heads of 4 and of 8 here.
    model = UNet2DConditionModel(sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16, 16), layers_per_block=1, norm_num_groups=4,
                                 cross_attention_dim=24, attention_head_dim=2, norm_eps=1e-5, flip_sin_to_cos=True, freq_shift=0,
                                 down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
                                 up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D")).eval()
    randomize(model, SEED + 21)
    save("unet", "diffusion_pytorch_model.safetensors", model.state_dict())
    keep_config(model, "unet", ("sample_size", "in_channels", "out_channels", "block_out_channels", "layers_per_block", "norm_num_groups", "cross_attention_dim",
                                "attention_head_dim", "norm_eps", "flip_sin_to_cos", "freq_shift", "down_block_types", "up_block_types", "mid_block_type",
                                "act_fn", "downsample_padding", "mid_block_scale_factor", "center_input_sample", "use_linear_projection"))
    sample, context, noise = randn(SEED + 22, 2, 4, 8, 12), randn(SEED + 23, 2, 11, 24), randn(SEED + 24, 2, 4, 8, 12)
    timestep = torch.tensor([801, 17])

    def run(m, dtype):
        r = m(sample.to(dtype), timestep, context.to(dtype)).sample
        return r, ((r - noise.to(dtype)) ** 2).mean()

    single, loss = run(model, torch.float32)
    grads32 = gradients(model, loss)
    exact = copy.deepcopy(model).double()
    r, loss = run(exact, torch.float64)
    grads = gradients(exact, loss)
    assert set(grads) == {n for n, _ in model.named_parameters()}
    save("unet", "golden.safetensors", {"sample": sample, "context": context, "timestep": timestep, "noise": noise, "predicted": r, "loss": loss})
    save("unet", "gradients.safetensors", {"grad." + k: v for k, v in grads.items()})
    print(f"unet: f32 forward {relative(single, r):.1e}, gradients {worst(grads32, grads):.1e}, loss {loss.item():.4f}, {sum(p.numel() for p in model.parameters())} parameters")
    lora = LoraConfig(r=4, lora_alpha=2, init_lora_weights=True, target_modules=TARGETS)
    tuned = lora_golden(copy.deepcopy(model), lora, "unet", lambda m: run(m, torch.float64)[1], SEED + 25)
    training(tuned, context)


def training(model, context):
    """20 steps of AdamW on the LoRA of lora.safetensors: one batch with fixed noise and timesteps, DDPM epsilon loss. At twice this rate the
    steps overshoot from the 13th on and f32 errors grow tenfold every few steps: the comparison would be of noise."""
    schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
    latents, noise = randn(SEED + 31, 2, 4, 8, 12).double(), randn(SEED + 32, 2, 4, 8, 12).double()
    timestep = torch.tensor([650, 120])
    context = context.double()
    parameters = [p for n, p in model.named_parameters() if "lora_" in n]
    recipe = {"lr": 0.005, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01, "clip": 0.2}
    optimizer = torch.optim.AdamW(parameters, lr=recipe["lr"], betas=(recipe["beta1"], recipe["beta2"]), eps=recipe["epsilon"], weight_decay=recipe["weight_decay"])
    schedule.alphas_cumprod = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
    losses, norms = [], []
    for _ in range(20):
        noisy = schedule.add_noise(latents, noise, timestep)
        loss = ((model(noisy, timestep, context).sample - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, recipe["clip"]))
        optimizer.step()
        losses.append(loss.detach())
    short = lambda n: n.replace(".default", "")
    save("unet", "training.safetensors", {"latents": latents, "noise": noise, "timestep": timestep, "losses": torch.stack(losses), "norms": torch.stack(norms),
                                          **{"final." + short(n): p for n, p in model.named_parameters() if "lora_" in n}},
         {"recipe": json.dumps(recipe)})
    fall = 1 - losses[-1].item() / losses[0].item()
    print(f"training: loss {losses[0].item():.4f} to {losses[-1].item():.4f}, a fall of {100 * fall:.0f} %; gradient norms {norms[0].item():.3f} to {norms[-1].item():.3f}")
    assert fall >= 0.3


# ---- schedules and samplers ------------------------------------------------------------------------------------------
def schedules():
    sd15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
    x = randn(SEED + 41, 1, 1, 2, 4).double() * 1.5
    eps = randn(SEED + 42, 1, 1, 2, 4).double()
    base = DDPMScheduler(**sd15)
    zero = DDPMScheduler(**sd15, rescale_betas_zero_snr=True)
    linear = DDPMScheduler(beta_start=0.0001, beta_end=0.02, beta_schedule="linear", num_train_timesteps=200)
    t = torch.tensor([400])
    out = {"x": x.flatten().tolist(), "noise": eps.flatten().tolist(), "t": 400, "added": base.add_noise(x, eps, t).flatten().tolist(), "velocity": base.get_velocity(x, eps, t).flatten().tolist()}
    out["alphas_cumprod"] = {"scaled_linear": base.alphas_cumprod[::37].tolist(), "linear_200": linear.alphas_cumprod[::7].tolist(), "zero_snr": zero.alphas_cumprod[::37].tolist()}

    def model(v, t, prompt):  # stands for a network: smooth, different at each t, and it sees the prompt
        return torch.tanh(0.6 * v + 0.3 * math.sin(0.01 * float(t))) * 0.9 + 0.2 * prompt

    runs = []
    cases = []
    for spacing in ("leading", "trailing", "linspace"):
        for offset in (0, 1):
            cases.append(("ddim", {"timestep_spacing": spacing, "steps_offset": offset, "clip_sample": False, "set_alpha_to_one": False}, {}))
            cases.append(("euler", {"timestep_spacing": spacing, "steps_offset": offset}, {}))
    cases += [
        ("ddim", {"clip_sample": True, "clip_sample_range": 0.8, "set_alpha_to_one": True}, {}),
        ("ddim", {"clip_sample": True, "set_alpha_to_one": True}, {"use_clipped_model_output": True}),
        ("ddim", {"prediction_type": "v_prediction", "clip_sample": False, "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, {}),
        ("ddim", {"prediction_type": "v_prediction", "clip_sample": False}, {"eta": 0.7}),
        ("ddim", {"prediction_type": "sample", "clip_sample": True}, {}),
        ("ddim", {"clip_sample": False}, {"eta": 1.0}),
        ("euler", {"prediction_type": "v_prediction"}, {}),
        ("euler", {"prediction_type": "sample"}, {}),
        ("euler", {"use_karras_sigmas": True}, {}),
        ("euler", {"interpolation_type": "log_linear"}, {}),
        ("euler", {"final_sigmas_type": "sigma_min", "timestep_spacing": "trailing"}, {}),
        ("euler", {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, {}),
    ]
    z = randn(SEED + 43, 40, 8).double()
    for kind, options, step_options in cases:
        for steps in (7, 20):
            s = (DDIMScheduler if kind == "ddim" else EulerDiscreteScheduler)(**sd15, **options)
            s.set_timesteps(steps)
            v = x * float(s.init_noise_sigma)
            path = []
            for i, t in enumerate(s.timesteps):
                seen = s.scale_model_input(v, t)
                without, given = model(seen, t, 0.0), model(seen, t, 1.0)
                predicted = without + 3.0 * (given - without)
                extra = dict(step_options)
                if extra.get("eta"):
                    extra["variance_noise"] = z[i].reshape(v.shape)
                v = s.step(predicted, t, v, **extra).prev_sample
                path.append(v.flatten().tolist())
            row = {"sampler": kind, "steps": steps, "options": options, "step": step_options, "timesteps": [float(t) for t in s.timesteps],
                   "init_noise_sigma": float(s.init_noise_sigma), "path": [path[0], path[len(path) // 2], path[-1]]}
            if kind == "euler":
                row["sigmas"] = s.sigmas.tolist()
            runs.append(row)
    out["z"] = z[:20].tolist()
    out["runs"] = runs
    with open(os.path.join(OUT, "schedules.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":"), default=float))
        f.write("\n")
    print(f"schedules: {len(runs)} runs")


# ---- a picture, from the prompt to the pixels -----------------------------------------------------------------------
def picture():
    """diffusers' whole pipeline on the tiny models: 6 steps with guidance, DDIM and Euler, from the noise that is stored."""
    unet = UNet2DConditionModel.from_pretrained(os.path.join(OUT, "unet"))
    vae = AutoencoderKL.from_pretrained(os.path.join(OUT, "vae"))
    text = CLIPTextModel.from_pretrained(os.path.join(OUT, "text_encoder"))
    clip = CLIPTokenizer.from_pretrained(os.path.join(OUT, "tokenizer"))
    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "clip_sample": False,
                "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading", "prediction_type": "epsilon"}
    os.makedirs(os.path.join(OUT, "scheduler"), exist_ok=True)
    with open(os.path.join(OUT, "scheduler", "scheduler_config.json"), "w") as f:
        json.dump({"_class_name": "DDIMScheduler", **settings}, f, indent=1, sort_keys=True)
        f.write("\n")
    noise = randn(SEED + 51, 1, 4, 8, 12)
    out = {"noise": noise}
    for name, kind in (("ddim", DDIMScheduler), ("euler", EulerDiscreteScheduler)):
        keys = settings if name == "ddim" else {k: v for k, v in settings.items() if k not in ("clip_sample", "set_alpha_to_one")}
        pipe = StableDiffusionPipeline(vae=vae, text_encoder=text, tokenizer=clip, unet=unet, scheduler=kind(**keys), safety_checker=None,
                                       feature_extractor=None, requires_safety_checker=False)
        pipe.set_progress_bar_config(disable=True)
        latents = pipe(prompt="a red circle on a white background", negative_prompt="", height=16, width=24, num_inference_steps=6, guidance_scale=3.0,
                       latents=noise.clone(), output_type="latent").images
        out[name] = latents
        out[name + "_picture"] = vae.decode(latents / vae.config.scaling_factor).sample
    save(".", "picture.safetensors", out)
    print(f"picture: latents to {out['ddim'].abs().max().item():.2f}")


# ---- the real SD1.5: names and shapes only ---------------------------------------------------------------------------
def sd15():
    """Every tensor name and shape of the real architecture, and kohya's names of its LoRA modules with [in, out]."""
    with torch.device("meta"):
        net = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(block_out_channels=(128, 256, 512, 512), layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 4,
                            up_block_types=("UpDecoderBlock2D",) * 4, sample_size=512)
        text = CLIPTextModel(CLIPTextConfig(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12))
    out = {"unet": {"config": {"sample_size": 64, "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
                               "cross_attention_dim": 768, "attention_head_dim": 8, "norm_num_groups": 32, "norm_eps": 1e-5, "flip_sin_to_cos": True, "freq_shift": 0,
                               "down_block_types": list(net.config.down_block_types), "up_block_types": list(net.config.up_block_types)}},
           "vae": {"config": {"in_channels": 3, "out_channels": 3, "latent_channels": 4, "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "norm_num_groups": 32,
                              "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}},
           "text_encoder": {"config": {"vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
                                       "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}}}
    lora = {}
    for name, model in (("unet", net), ("vae", vae), ("text_encoder", text)):
        prefix = "text_model." if name == "text_encoder" and not any(n.startswith("text_model.") for n, _ in model.named_parameters()) else ""
        out[name]["tensors"] = {prefix + k: list(v.shape) for k, v in model.state_dict().items()}
    for name, module in net.named_modules():
        if type(module).__name__ == "Transformer2DModel":
            for inner, m in module.named_modules():
                if isinstance(m, torch.nn.Linear) or isinstance(m, torch.nn.Conv2d) and m.kernel_size == (1, 1):
                    lora["lora_unet_" + f"{name}.{inner}".replace(".", "_")] = [m.weight.shape[1], m.weight.shape[0]]
    for name in out["text_encoder"]["tensors"]:
        part = name.split(".")
        if name.endswith("weight") and (part[-2] in ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")):
            lora["lora_te_" + "_".join(part[:-1])] = list(reversed(out["text_encoder"]["tensors"][name]))
    out["lora"] = lora
    units = {p: sum(sum(v) for k, v in lora.items() if k.startswith(p)) for p in ("lora_unet", "lora_te")}
    with open(os.path.join(HERE, "sd15.json"), "w") as f:
        f.write(json.dumps(out, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"sd15: {[len(out[k]['tensors']) for k in ('unet', 'vae', 'text_encoder')]} tensors, {len(lora)} LoRA modules, {units} parameters per rank unit")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    clip, vocab = tokenizer()
    text_encoder(clip, vocab)
    autoencoder()
    unet()
    schedules()
    picture()
    sd15()
    import diffusers, peft, tokenizers, transformers
    print("versions:", ", ".join(f"{m.__name__} {m.__version__}" for m in (torch, diffusers, transformers, tokenizers, peft, np)))
    total = 0
    for folder, _, files in sorted(os.walk(OUT)):
        for f in sorted(files):
            size = os.path.getsize(os.path.join(folder, f))
            total += size
            print(f"  {size:8d} {os.path.relpath(os.path.join(folder, f), OUT)}")
    print(f"  {total:8d} in all")


main()

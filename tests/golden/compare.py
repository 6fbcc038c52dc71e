"""compare.py OLD NEW: are the goldens made just now those that are committed?

Tables of numbers (.safetensors, .json) may differ by 1e-5 of a tensor's norm (another PyTorch adds in another order);
everything else must be the same bytes. Not compared are pictures (another libjpeg may stand behind Pillow) and what torch.save
writes (another PyTorch says more of itself; its tensors stand beside it).
"""
import json
import pathlib
import sys

from safetensors.torch import load_file
import numpy

old, new = map(pathlib.Path, sys.argv[1:3])
wrong = 0


def say(path, what):
    global wrong
    wrong += 1
    print(f"goldens: {path}: {what}")


def numbers(value):
    if isinstance(value, dict):
        return [(f"{key}.{name}", number) for key in sorted(value) for name, number in numbers(value[key])]
    if isinstance(value, list):
        return [(f"{key}.{name}", number) for key, item in enumerate(value) for name, number in numbers(item)]
    return [("", value)]


for path in sorted(p.relative_to(old) for p in old.rglob("*") if p.is_file()):
    if path.parts[0] == "image" or path.suffix in (".py", ".md", ".sh", ".txt", ".bin"):
        continue
    if not (new / path).exists():
        say(path, "was not made")
    elif path.suffix == ".safetensors":
        a, b = load_file(old / path), load_file(new / path)
        if a.keys() != b.keys():
            say(path, f"other tensors: {sorted(a.keys() ^ b.keys())[:5]}")
            continue
        for name in a:
            x, y = a[name].double().numpy(), b[name].double().numpy()
            scale = max(numpy.linalg.norm(x), 1e-12)
            if x.shape != y.shape or numpy.linalg.norm(x - y) > 1e-5 * scale:
                say(path, f"{name} differs by {numpy.linalg.norm(x - y) / scale:.1e}")
    elif path.suffix == ".json":
        a, b = (numbers(json.loads((root / path).read_text())) for root in (old, new))
        if [k for k, _ in a] != [k for k, _ in b]:
            say(path, "another structure")
        for (name, x), (_, y) in zip(a, b):
            close = x == y
            if not close and isinstance(x, (int, float)) and isinstance(y, (int, float)):
                close = abs(x - y) <= 1e-5 * max(1.0, abs(x))
            if not close and "version" not in name:
                say(path, f"{name}: {x!r} was, {y!r} is")
                break
    elif (old / path).read_bytes() != (new / path).read_bytes():
        say(path, "other bytes")

print("goldens: as committed" if not wrong else f"goldens: {wrong} differences")
sys.exit(wrong != 0)

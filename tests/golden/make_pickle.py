# make_pickle.py - files of torch.save, each with what is in it as safetensors. See README.md.
#
#   python tests/golden/make_pickle.py
import os, warnings, zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

warnings.simplefilter("ignore")
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pickle")
os.makedirs(here, exist_ok=True)
torch.manual_seed(20261121)


def path(name):
    return os.path.join(here, name)


def expect(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path(name + ".safetensors"))


# Every dtype, no dimensions, none of a dimension, one storage twice and in part.
base = torch.randn(3, 4)
kinds = OrderedDict(
    f32=base,
    alias=base,
    row=base[1],
    rows=base[1:],
    f16=torch.randn(5).half(),
    bf16=torch.randn(2, 2).bfloat16(),
    f64=torch.randn(3).double(),
    i64=torch.tensor(1 << 40),
    i32=torch.arange(-2, 2, dtype=torch.int32),
    i16=torch.arange(3, dtype=torch.int16),
    i8=torch.arange(-1, 2, dtype=torch.int8),
    u8=torch.arange(250, 256, dtype=torch.uint8),
    truth=torch.tensor([True, False, True]),
    none=torch.zeros(2, 0, 3),
    one=torch.randn(4, 1).t(),
)
torch.save(kinds, path("kinds.bin"))
expect("kinds", kinds)

# What a module keeps (OrderedDict with _metadata), its parameters themselves, and both a level below, as training scripts write them.
net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
torch.save(net.state_dict(), path("module.bin"))
torch.save({"epoch": 7, "lr": 1e-4, "name": "net", "best": None, "sizes": [3, 2], "steps": 1 << 40, "model": dict(net.named_parameters())}, path("model.bin"))
expect("module", net.state_dict())

# Newer ways to write the same program, which torch.save takes when asked.
torch.save(net.state_dict(), path("protocol4.bin"), pickle_protocol=4)
torch.save(net.state_dict(), path("protocol5.bin"), pickle_protocol=5)

# The same archive compressed by another program.
with zipfile.ZipFile(path("module.bin")) as old, zipfile.ZipFile(path("compressed.bin"), "w", zipfile.ZIP_DEFLATED) as new:
    for info in old.infolist():
        new.writestr(zipfile.ZipInfo(info.filename, (1980, 1, 1, 12, 0, 0)), old.read(info), zipfile.ZIP_DEFLATED)

# What is refused.
torch.save({"cut": torch.randn(3, 4).t()}, path("transposed.bin"))
torch.save({"w": torch.randn(2)}, path("legacy.bin"), _use_new_zipfile_serialization=False)


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


torch.save({"w": torch.randn(2), "x": Runs()}, path("runs.bin"))
torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2)), path("whole.bin"))
torch.save({"w": torch.zeros(2, dtype=torch.float8_e4m3fn)}, path("float8.bin"))

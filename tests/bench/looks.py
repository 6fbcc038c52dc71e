"""What becomes of real photographs before the models see them, against transformers' BlipImageProcessor and timm's transform: size, mean, padding, order
of colours.

    python3 tests/bench/looks.py PICTURES...            (torch, transformers, timm, pillow, numpy from PyPI; build/release/tests/host is built)

A line each: how far the numbers are apart at most, and by how much they would be with red and blue changed.
On 2026-11-21 (transformers 5.23, timm 1.0.31, Pillow 13): 12 photographs of 0.3 to 17.9 megapixels, JPEG and PNG: BLIP 2.7e-7, WD14 0.
Pictures with transparency differ for BLIP on purpose: white lies behind them, where the processor drops the alpha.
"""
import os
import subprocess
import sys
import tempfile

import numpy
from PIL import Image
from timm.data import create_transform
from transformers import BlipImageProcessorPil

MEAN = numpy.array([0.48145466, 0.4578275, 0.40821073])
SPREAD = numpy.array([0.26862954, 0.26130258, 0.27577711])


def squared(picture):
    """As wdv3-timm: transparent is white, a white border makes it square, bicubic."""
    rgba = picture.convert("RGBA")
    behind = Image.new("RGBA", rgba.size, (255, 255, 255))
    behind.alpha_composite(rgba)
    most = max(rgba.size)
    square = Image.new("RGB", (most, most), (255, 255, 255))
    square.paste(behind.convert("RGB"), ((most - rgba.size[0]) // 2, (most - rgba.size[1]) // 2))
    return square.resize((448, 448), Image.BICUBIC)


def main(paths):
    processor = BlipImageProcessorPil(size={"height": 384, "width": 384})
    tagger = create_transform(input_size=(3, 448, 448), interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=1.0, is_training=False)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["build/release/tests/host", "tests/bench/looks.lua"], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, LOOKS_PICTURES=" ".join(paths), LOOKS_TO=folder, CALOTYPE_TEST_TMP=folder))

        def ours(n, side):
            return numpy.fromfile("%s/%d.%d" % (folder, n, side), dtype="<f4").reshape(side, side, 3)

        for n, path in enumerate(paths, 1):
            picture = Image.open(path)
            theirs = processor(picture.convert("RGB"), return_tensors="np").pixel_values[0].transpose(1, 2, 0)
            blip = numpy.abs(((ours(n, 384) + 1) / 2 - MEAN) / SPREAD - theirs).max()
            theirs = tagger(squared(picture)).numpy().transpose(1, 2, 0)
            got = ours(n, 448)
            print("%s: BLIP %.1e, WD14 %.1e (red for blue: %.2f)" % (os.path.basename(path), blip, numpy.abs(got - theirs).max(), numpy.abs(got[..., ::-1] - theirs).max()))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1:])
    else:
        sys.exit(__doc__)

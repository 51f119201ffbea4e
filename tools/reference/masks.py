"""What Pillow and diffusers make of masks, as SHA-256 of RGBA bytes, and the regions.

    python tools/reference/masks.py tests/goldens

Reads OUTPUT/resize/input_131x117.png, writes OUTPUT/masks.json. `fill` is what
AUTOMATIC1111 does with Pillow for `Masked content: fill`.

Run with Pillow 13.0.0, diffusers 0.42.1.
"""

import argparse
import hashlib
import json
from pathlib import Path

from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageFilter, ImageOps

RADII = (0.5, 1, 2, 4, 16, 64, 256)
SIZES = ((64, 48), (50, 100), (200, 30), (40, 41))
PADDINGS = (0, 5, 40)
FILLS = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))


def digest(image):
    return hashlib.sha256(image.convert("RGBA").tobytes()).hexdigest()


def filled(image, mask):
    """The blurred colours around a hole, the sharpest on top."""
    rest = Image.new("RGBa", image.size)
    rest.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask))
    whole = Image.new("RGBA", image.size)
    for radius, times in FILLS:
        blurred = rest.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            whole.alpha_composite(blurred)
    return whole.convert("RGB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    folder = parser.parse_args().output
    image = Image.open(folder / "resize/input_131x117.png").convert("RGB")
    mask = Image.new("L", image.size)
    mask.paste(255, (30, 40, 90, 80))
    mask = mask.filter(ImageFilter.GaussianBlur(3))
    processor = VaeImageProcessor(vae_scale_factor=8)
    found = {
        "blur": {
            str(radius): digest(image.filter(ImageFilter.GaussianBlur(radius)))
            for radius in RADII
        },
        "filled": digest(filled(image, mask)),
        "overlay": digest(
            processor.apply_overlay(mask, image, ImageOps.mirror(image))
        ),
        "sizes": [
            {
                "size": size,
                "fill": digest(processor.resize(image, size[1], size[0], "fill")),
                "crop": digest(processor.resize(image, size[1], size[0], "crop")),
                "regions": [
                    processor.get_crop_region(mask, *size, padding)
                    for padding in PADDINGS
                ],
            }
            for size in SIZES
        ],
    }
    (folder / "masks.json").write_text(json.dumps(found, indent=1) + "\n")


main()

"""CLIP's preprocessing by two others: the recipe of the mini model, with Pillow
and NumPy, and transformers' image processor.

    python tools/reference/clip_preprocess.py tests/goldens

Writes clip_preprocess.safetensors.gz there, (H, W, 3) by
`recipe/IMAGE/SIZE/CROP` and `transformers/FOLDER/IMAGE/SIZE/CROP`.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def recipe(image, size):
    """Of square images, as golden.py of the mini model."""
    image = image.resize((size, size), Image.BICUBIC)
    return (np.array(image).astype(np.float32) / 255 - MEAN) / STD


def transformers(image, size, crop):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": size},
        crop_size={"height": crop, "width": crop},
        resample=Image.BICUBIC,
        image_mean=MEAN.tolist(),
        image_std=STD.tolist(),
    )
    pixels = processor(image, return_tensors="np")["pixel_values"][0]
    return pixels.transpose(1, 2, 0)


def main():
    folder = Path(sys.argv[1])
    found = {}
    for name in ("smiling-red-hair.reference-0", "snow.reference-0"):
        image = Image.open(folder / f"pictures/{name}.png").convert("RGB")
        found[f"recipe/{name}/28/28"] = recipe(image, 28)
    for name in ("resize/input_131x117", "resize/bicubic_131x40", "pictures/tall"):
        image = Image.open(folder / f"{name}.png").convert("RGB")
        for size, crop in ((24, 24), (32, 19)):
            key = f"transformers/{name}/{size}/{crop}"
            found[key] = transformers(image, size, crop)
    found = {
        name: np.ascontiguousarray(pixels, np.float32) for name, pixels in found.items()
    }
    content = gzip.compress(save(found), 9, mtime=0)
    (folder / "clip_preprocess.safetensors.gz").write_bytes(content)


if __name__ == "__main__":
    main()

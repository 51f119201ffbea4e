"""What diffusers makes of a first pass that is made larger and denoised again.

    python tools/reference/hires.py CHECKPOINT tests/goldens/pictures

CHECKPOINT is a folder as networks.py reads it. The first pass is
StableDiffusionPipeline's, its latents are interpolated bilinearly, the second is
StableDiffusionImg2ImgPipeline's, with a generator of the same seed. Writes
NAME-0.png of each case in OUTPUT/hires.json, which has its settings by the
library's names. The noise is that of PyTorch's CPU generator.

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionImg2ImgPipeline
from torch.nn import functional as F

from plain import pipeline_of


@torch.no_grad()
def images_of(pipe, case):
    shared = dict(
        prompt=case["prompt"],
        negative_prompt=case["negativePrompt"],
        guidance_scale=case["guidanceScale"],
    )
    generator = torch.Generator("cpu").manual_seed(case["seed"])
    latents = pipe(
        **shared,
        num_inference_steps=case["steps"],
        width=case["width"],
        height=case["height"],
        generator=generator,
        output_type="latent",
    ).images
    latents = F.interpolate(
        latents, scale_factor=case["hiresScale"], mode="bilinear"
    )
    again = StableDiffusionImg2ImgPipeline(
        **pipe.components, requires_safety_checker=False
    )
    again.set_progress_bar_config(disable=True)
    return again(
        **shared,
        image=latents,
        strength=case["hiresStrength"],
        num_inference_steps=case["hiresSteps"],
        generator=torch.Generator("cpu").manual_seed(case["seed"]),
    ).images


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    pipe = pipeline_of(options.checkpoint)
    pipe.set_progress_bar_config(disable=True)
    for case in json.loads((options.output / "hires.json").read_text()):
        for i, image in enumerate(images_of(pipe, case)):
            image.save(options.output / f"{case['name']}-{i}.png", optimize=True)


main()

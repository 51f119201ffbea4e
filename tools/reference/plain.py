"""What diffusers' StableDiffusionPipeline makes of a checkpoint, without an identity.

    python tools/reference/plain.py CHECKPOINT tests/goldens/pictures

CHECKPOINT is a folder as networks.py reads it. Writes NAME-0.png, NAME-1.png of
each case in OUTPUT/plain.json, which has its settings by the library's names.
The noise is that of PyTorch's CPU generator.

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from transformers import CLIPTokenizer

from networks import text_module, unet_module, vae_module


def pipeline_of(folder):
    return StableDiffusionPipeline(
        vae=vae_module(folder),
        text_encoder=text_module(folder),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        unet=unet_module(folder),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    pipe = pipeline_of(options.checkpoint)
    pipe.set_progress_bar_config(disable=True)
    for case in json.loads((options.output / "plain.json").read_text()):
        images = pipe(
            case["prompt"],
            negative_prompt=case["negativePrompt"],
            num_inference_steps=case["steps"],
            guidance_scale=case["guidanceScale"],
            num_images_per_prompt=case["numImages"],
            width=case["width"],
            height=case["height"],
            generator=torch.Generator("cpu").manual_seed(case["seed"]),
        ).images
        for i, image in enumerate(images):
            image.save(options.output / f"{case['name']}-{i}.png", optimize=True)


if __name__ == "__main__":
    main()

"""What diffusers' img2img and inpainting pipelines make of a checkpoint.

    python tools/reference/from_image.py CHECKPOINT tests/goldens/pictures

CHECKPOINT is a folder as networks.py reads it. Writes NAME-0.png, NAME-1.png of
each case in OUTPUT/from_image.json, which has its settings by the library's names,
an initial image in OUTPUT/../portraits and a mask, black but for a rectangle (left,
top, right, bottom). `inpaintingUnet` is the seed of five more input channels of
conv_in: 0.05 times normal numbers (C0, 5, 3, 3). The noise is that of PyTorch's CPU
generator.

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0.
"""

import argparse
import json
from pathlib import Path

import diffusers
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    UNet2DConditionModel,
)
from PIL import Image

from plain import pipeline_of


def inpainting(unet, seed):
    """A UNet of 9 input channels."""
    config = {**unet.config, "in_channels": 9}
    wide = UNet2DConditionModel.from_config(config)
    tensors = unet.state_dict()
    weight = tensors["conv_in.weight"]
    more = torch.randn(
        len(weight), 5, 3, 3, generator=torch.Generator().manual_seed(seed)
    )
    tensors["conv_in.weight"] = torch.cat([weight, 0.05 * more], dim=1)
    wide.load_state_dict(tensors)
    return wide.eval()


def mask_of(mask, init):
    size = init.size if mask["size"] == "init" else tuple(mask["size"])
    image = Image.new("L", size)
    image.paste(255, tuple(mask["white"]))
    return image


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", help="the start of the names of the cases to make")
    options = parser.parse_args()
    plain = pipeline_of(options.checkpoint)
    for case in json.loads((options.output / "from_image.json").read_text()):
        if not case["name"].startswith(options.only or ""):
            continue
        settings = case["settings"]
        init = Image.open(options.output / "../portraits" / case["init"]).convert("RGB")
        components = {**plain.components}
        if "inpaintingUnet" in case:
            components["unet"] = inpainting(plain.unet, case["inpaintingUnet"])
        size = (settings["width"], settings["height"])
        if "mask" in case:
            pipe = StableDiffusionInpaintPipeline(
                **components, requires_safety_checker=False
            )
            own = dict(
                image=init,
                mask_image=mask_of(case["mask"], init),
                width=size[0],
                height=size[1],
                padding_mask_crop=settings.get("maskPadding"),
            )
        else:
            pipe = StableDiffusionImg2ImgPipeline(
                **components, requires_safety_checker=False
            )
            own = dict(image=init.resize(size, Image.Resampling.LANCZOS))
        if "sampler" in settings:
            sampler = getattr(diffusers, settings["sampler"])
            pipe.scheduler = sampler.from_config(plain.scheduler.config)
        pipe.set_progress_bar_config(disable=True)
        images = pipe(
            settings["prompt"],
            negative_prompt=settings["negativePrompt"],
            num_inference_steps=settings["steps"],
            strength=settings["strength"],
            guidance_scale=settings["guidanceScale"],
            num_images_per_prompt=settings["numImages"],
            generator=torch.Generator("cpu").manual_seed(settings["seed"]),
            **own,
        ).images
        for i, image in enumerate(images):
            image.save(options.output / f"{case['name']}-{i}.png", optimize=True)


main()

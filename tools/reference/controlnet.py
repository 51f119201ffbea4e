"""What diffusers' ControlNetModel and StableDiffusionControlNetPipeline give.

    python tools/reference/controlnet.py CHECKPOINT tests/goldens/controlnet

CHECKPOINT is a folder as networks.py reads it, of the mini model. The ControlNets
have its UNet's topology and weights drawn as tools/random_checkpoint draws them, so
that tests/support/control_nets.ts makes the same ones and no weights are kept.
Writes residuals.safetensors (inputs whole, outputs folded as tests/support/fold.ts
folds) and NAME.png of each case in OUTPUT/cases.json. The noise is that of PyTorch's
CPU generator.

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0.
"""

import argparse
import json
from pathlib import Path

import numpy
import torch
from diffusers import (
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionControlNetPipeline,
)
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from networks import read_json, text_module, unet_module, vae_module

CONFIG = {
    "conditioning_embedding_out_channels": (8, 16, 32),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "block_out_channels": (48, 96, 128),
    "layers_per_block": 1,
    "cross_attention_dim": 128,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
PORTRAITS = Path(__file__).parents[2] / "tests/goldens/portraits"


def fractions(text, count):
    """Numbers in 0..1: mulberry32 from the FNV-1a hash of a text."""
    state = 0x811C9DC5
    for byte in text.encode():
        state = (state ^ byte) * 0x01000193 % 2**32
    steps = numpy.arange(1, count + 1, dtype=numpy.uint64) * 0x6D2B79F5
    s = ((state + steps) % 2**32).astype(numpy.uint32)
    t = (s ^ s >> 15) * (s | 1)
    t = t + (t ^ t >> 7) * (t | 61) ^ t
    return (t ^ t >> 14) / 2**32


def normal(name, count, seed, mean, std):
    first, second = fractions(f"{seed} {name}", 2 * count).reshape(-1, 2).T
    radius = numpy.sqrt(-2 * numpy.log(1 - first))
    return mean + std * radius * numpy.cos(2 * numpy.pi * second)


def drawn(name, shapes, seed):
    """A tensor, as distributions.ts says that it starts."""
    shape = shapes[name]
    count = int(numpy.prod(shape))
    weight = shapes.get(name.removesuffix("bias") + "weight", shape)
    if name.endswith(".bias") is False:
        weight = shape
    if len(weight) >= 2:
        limit = 1 / numpy.sqrt(numpy.prod(weight[1:]))
        values = -limit + 2 * limit * fractions(f"{seed} {name}", count)
    else:
        mean = 1 if name.endswith(".weight") else 0
        values = normal(name, count, seed, mean, 0.1)
    return torch.from_numpy(values.astype(numpy.float32).reshape(shape))


def control_net(seed, **changes):
    module = ControlNetModel(**{**CONFIG, **changes})
    shapes = {name: tuple(t.shape) for name, t in module.state_dict().items()}
    module.load_state_dict({name: drawn(name, shapes, seed) for name in shapes})
    return module.eval()


def folded(tensor, count=256):
    """fold.ts in NumPy: sums of every 256th value, each with a sign of its own."""
    values = tensor.permute(0, 2, 3, 1).flatten().double().numpy()
    h = numpy.arange(len(values), dtype=numpy.uint32)
    h = (h ^ h >> 16) * numpy.uint32(0x85EBCA6B)
    h = (h ^ h >> 13) * numpy.uint32(0xC2B2AE35)
    h ^= h >> 16
    signed = numpy.where(h & 1, values, -values)
    padded = numpy.zeros(-(-len(signed) // count) * count)
    padded[: len(signed)] = signed
    return torch.from_numpy(padded.reshape(-1, count).sum(0).astype(numpy.float32))


def residuals(output):
    """One pass of a batch of two, of latents of which no level is even."""
    random = torch.Generator().manual_seed(3)
    found = {
        "sample": torch.randn(2, 4, 9, 7, generator=random),
        "timesteps": torch.tensor([981.0, 21.0]),
        "text": torch.randn(2, 11, 128, generator=random),
        "image": torch.rand(1, 3, 36, 28, generator=random),
    }
    for order, guess in (("rgb", False), ("bgr", True)):
        net = control_net(1, controlnet_conditioning_channel_order=order)
        down, middle = net(
            found["sample"],
            found["timesteps"],
            found["text"],
            found["image"].repeat(2, 1, 1, 1),
            conditioning_scale=0.75,
            guess_mode=guess,
            return_dict=False,
        )
        for i, tensor in enumerate([*down, middle]):
            found[f"{order}.residual_{i}.folded"] = folded(tensor)
    save_file(found, output / "residuals.safetensors")


def images(folder, output):
    nets = {name: control_net(seed).float() for name, seed in (("one", 1), ("two", 2))}
    for case in json.loads((output / "cases.json").read_text()):
        controls = case["controls"]
        pipe = StableDiffusionControlNetPipeline(
            vae=vae_module(folder),
            text_encoder=text_module(folder),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            unet=unet_module(folder),
            controlnet=[nets[control["net"]] for control in controls],
            scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipe.set_progress_bar_config(disable=True)
        made = pipe(
            case["prompt"],
            [Image.open(PORTRAITS / control["image"]) for control in controls],
            negative_prompt=case["negativePrompt"],
            num_inference_steps=case["steps"],
            guidance_scale=case["guidanceScale"],
            width=case["width"],
            height=case["height"],
            controlnet_conditioning_scale=[c["scale"] for c in controls],
            control_guidance_start=[c["start"] for c in controls],
            control_guidance_end=[c["end"] for c in controls],
            guess_mode=case["guessMode"],
            num_images_per_prompt=case["numImages"],
            generator=torch.Generator("cpu").manual_seed(case["seed"]),
        ).images
        for i, image in enumerate(made):
            image.save(output / f"{case['name']}-{i}.png", optimize=True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    residuals(options.output)
    images(options.checkpoint, options.output)


main()

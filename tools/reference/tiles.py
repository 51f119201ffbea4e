"""PyTorch's numbers for what makes images larger and decodes them sooner.

    python tools/reference/tiles.py tests/goldens/tiles.safetensors

Writes, f32 and in PyTorch's layouts, the outputs of diffusers' AutoencoderTiny
(`taesd`: small; `taesd_full`: TAESD's own sizes), of basicsr's RRDBNet
(`upscaler_x4`, and `upscaler_x2`, whose pixels are unshuffled first) and of
diffusers' AutoencoderKL with enable_tiling (`vae`). Weights and inputs are drawn
by drawn_weights.py: inputs from the seeds below.

Run with torch 2.15.0, diffusers 0.42.1.
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from safetensors.torch import save_file

from drawn_weights import drawn_tensor, fill
from rrdbnet import RRDBNet

LATENTS, IMAGE = 101, 102


def latents(*shape):
    return 2 * drawn_tensor(shape, LATENTS)


def image(*shape):
    """In -1..1."""
    return drawn_tensor(shape, IMAGE)


def tiny(levels, channels, encoder, decoder):
    return fill(
        AutoencoderTiny(
            encoder_block_out_channels=(channels,) * levels,
            decoder_block_out_channels=(channels,) * levels,
            num_encoder_blocks=encoder,
            num_decoder_blocks=decoder,
        ),
        gain=0.7,
    )


def of_tiny(name, model, size, pixels):
    return {
        f"{name}.decoded": model.decode(latents(1, 4, *size)).sample,
        f"{name}.encoded": model.encode(image(1, 3, *pixels)).latents,
    }


def of_upscaler(name, scale, size):
    model = fill(RRDBNet(scale=scale, features=8, blocks=2, growth=4))
    return {f"{name}.output": model(image(1, 3, *size) / 2 + 0.5)}


def of_vae():
    model = fill(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            sample_size=16,
        )
    )
    model.enable_tiling()
    moments = model.encode(image(1, 3, 26, 42)).latent_dist.parameters
    return {
        "vae.decoded": model.decode(latents(1, 4, 13, 21)).sample,
        "vae.moments": moments,
    }


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    outputs = {
        **of_tiny("taesd", tiny(3, 8, (1, 2, 1), (2, 1, 1)), (5, 7), (20, 28)),
        **of_tiny(
            "taesd_full", tiny(4, 64, (1, 3, 3, 3), (3, 3, 3, 1)), (4, 3), (32, 24)
        ),
        **of_upscaler("upscaler_x4", 4, (6, 7)),
        **of_upscaler("upscaler_x2", 2, (10, 8)),
        **of_vae(),
    }
    for name, values in outputs.items():
        print(name, tuple(values.shape), float(values.std()))
    save_file({k: v.contiguous() for k, v in outputs.items()}, parser.parse_args().output)


main()

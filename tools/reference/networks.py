"""PyTorch's numbers for a checkpoint: every network once, at its true size.

    python tools/reference/networks.py FOLDER OUTPUT.safetensors

FOLDER is what tools/random_checkpoint.ts writes, or a real model in the same
layout. OUTPUT gets the inputs and the outputs of every network, f32, in
PyTorch's layouts, under the names listed in README.md. Never needed to run or
to test the project.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from identity import IDResampler, attach_identity
from parser import BiSeNet

# Tokens every prompt is padded to.
PROMPT_TOKENS = 77
REFERENCES = 3
# What diffusers calls a network's tensors.
DIFFUSERS_NAME = "diffusion_pytorch_model"


def sides(text):
    """`64` or `64x48`: rows and columns."""
    rows, _, columns = text.partition("x")
    return int(rows), int(columns or rows)


def read_json(path):
    """A config without the keys that only say who wrote it."""
    content = json.loads(Path(path).read_text())
    return {k: v for k, v in content.items() if not k.startswith("_")}


def tensors_of(folder, name):
    """A network's tensors in f32, from whichever file of it there is."""
    # transformers calls its older files by another name.
    older = "pytorch_model" if name == "model" else name
    files = (f"{name}.safetensors", f"{name}.fp16.safetensors", f"{older}.bin")
    for path in (folder / file for file in files):
        if path.exists():
            read = torch.load if path.suffix == ".bin" else load_file
            return {k: v.float() for k, v in read(path).items()}
    raise SystemExit(f"No {name} in {folder}")


def load(module, tensors):
    """Fills a module; buffers that a checkpoint need not have are left alone."""
    missing, unused = module.load_state_dict(tensors, strict=False)
    missing = [n for n in missing if not n.endswith(("position_ids", "num_batches_tracked"))]
    if missing or unused:
        raise SystemExit(f"Missing: {missing[:5]}, unused: {unused[:5]}")
    return module.eval()


def clip_tensors(folder, name, module):
    """Some versions of transformers name CLIP's tensors without the tower's prefix;
    some folders hold both towers."""
    tensors = tensors_of(folder, name)
    prefix = "text_model." if isinstance(module, CLIPTextModel) else "vision_model."
    return {
        name: tensors.get(name, tensors.get(prefix + name))
        for name in module.state_dict()
        if name in tensors or prefix + name in tensors
    }


def vae_tensors(folder):
    """Published autoencoders call the attention's projections by their old names."""
    old = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
    renamed = {}
    for name, tensor in tensors_of(folder, DIFFUSERS_NAME).items():
        for before, after in old.items():
            name = name.replace(f".attentions.0.{before}.", f".attentions.0.{after}.")
        renamed[name] = tensor
    return renamed


def text_module(folder):
    config = read_json(folder / "text_encoder/config.json")
    module = CLIPTextModel(CLIPTextConfig(**config))
    return load(module, clip_tensors(folder / "text_encoder", "model", module))


def vision_module(folder):
    config = read_json(folder / "image_encoder/config.json")
    config = config.get("vision_config", config)
    module = CLIPVisionModel(CLIPVisionConfig(**config))
    return load(module, clip_tensors(folder / "image_encoder", "model", module))


def unet_module(folder):
    module = UNet2DConditionModel(**read_json(folder / "unet/config.json"))
    return load(module, tensors_of(folder / "unet", DIFFUSERS_NAME))


def vae_module(folder):
    module = AutoencoderKL(**read_json(folder / "vae/config.json"))
    return load(module, vae_tensors(folder / "vae"))


def text_encoder(folder, random, found):
    module = text_module(folder)
    vocabulary = module.config.vocab_size
    ids = torch.randint(0, vocabulary, (2, PROMPT_TOKENS), generator=random)
    # The last token marks the end, as a tokenizer pads.
    ids[0, 8:] = vocabulary - 1
    found["text.input_ids"] = ids.int()
    found["text.last_hidden_state"] = module(input_ids=ids).last_hidden_state


def image_encoder(folder, random, found):
    module = vision_module(folder)
    size = module.config.image_size
    pixels = torch.randn(1, 3, size, size, generator=random)
    states = module(pixels, output_hidden_states=True).hidden_states
    found["vision.pixel_values"] = pixels
    found["vision.penultimate"] = states[-2]


def identity_encoder(folder, random, found):
    config = read_json(folder / "adapter_config.json")
    tensors = torch.load(folder / "adapter_final.pt", weights_only=True)["id_encoder"]
    width, inputs = tensors["proj_in.weight"].shape
    module = IDResampler(config, width, inputs)
    load(module, tensors)
    features = found.get("vision.penultimate")
    if features is None:
        features = torch.randn(1, 257, inputs, generator=random)
    found["id_encoder.input"] = features
    found["id_encoder.output"] = module(features)


def unet(folder, random, found, latent):
    module = unet_module(folder)
    width = module.config.cross_attention_dim
    tokens = REFERENCES * read_json(folder / "adapter_config.json")["num_tokens"]
    sample = torch.randn(1, 4, *latent, generator=random)
    text = torch.randn(1, PROMPT_TOKENS, width, generator=random)
    identity = torch.randn(1, tokens, width, generator=random)
    timesteps = torch.tensor([501])
    found["unet.sample"] = sample
    found["unet.timesteps"] = timesteps.float()
    found["unet.text"] = text
    found["unet.id"] = identity
    found["unet.eps_text_only"] = module(sample, timesteps, text).sample
    adapter = torch.load(folder / "adapter_final.pt", weights_only=True)
    attach_identity(module, adapter["adapter_modules"], identity)
    found["unet.eps"] = module(sample, timesteps, text).sample


def pixels_per_latent(vae):
    """Rows of an image for one row of its latents."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def vae(folder, random, found, latent):
    module = vae_module(folder)
    latents = torch.randn(1, 4, *latent, generator=random)
    found["vae.latents"] = latents
    found["vae.decoded"] = module.decode(latents).sample
    factor = pixels_per_latent(module)
    image = torch.rand(1, 3, *(factor * n for n in latent), generator=random) * 2 - 1
    moments = module.encode(image).latent_dist
    found["vae.image"] = image
    found["vae.mean"] = moments.mean
    found["vae.logvar"] = moments.logvar


def face_parser(folder, random, found):
    config = read_json(folder / "face_parser_config.json")
    tensors = torch.load(folder / "face_parser.pth", weights_only=True)
    tensors = tensors.get("state_dict", tensors)
    module = BiSeNet(config["n_classes"], config["width"])
    # Two heads are for training alone; a checkpoint may have them.
    heads = ("conv_out16.", "conv_out32.")
    load(module, {k: v for k, v in tensors.items() if not k.startswith(heads)})
    size = config["input_size"]
    pixels = torch.randn(1, 3, size, size, generator=random)
    found["face_parser.input"] = pixels
    found["face_parser.logits"] = module(pixels)


NETWORKS = {
    "text_encoder": text_encoder,
    "image_encoder": image_encoder,
    "identity_encoder": identity_encoder,
    "unet": unet,
    "vae": vae,
    "face_parser": face_parser,
}


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--network", action="append", choices=NETWORKS, help="only this one; repeatable"
    )
    parser.add_argument(
        "--latent", type=sides, default=(64, 64), help="rows and columns of the latents, as 64 (512 pixels) or 64x48"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all inputs")
    options = parser.parse_args()
    found = {}
    for name, run in NETWORKS.items():
        if options.network and name not in options.network:
            continue
        random = torch.Generator().manual_seed(options.seed)
        latent = [options.latent] if name in ("unet", "vae") else []
        run(options.folder, random, found, *latent)
        print(f"{name}: done", flush=True)
    versions = {"torch": torch.__version__}
    save_file({k: v.contiguous().clone() for k, v in found.items()}, options.output, versions)


if __name__ == "__main__":
    main()

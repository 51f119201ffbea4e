"""peft's LoRA of the UNet: gradients of the first step, and what AdamW makes of it.

    python tools/reference/lora.py CHECKPOINT lora.safetensors.gz --alpha 2

On `to_q`, `to_k`, `to_v` and `to_out.0` of every attention; the UNet has its text
and no identity. The loss is the mean squared error of the predicted noise. Each
layer adds alpha / rank · lora_B · lora_A to its weight. The file holds

| `latents`             | (B, 4, h, w), scaled                                   |
| `noise`, `timesteps`  | (steps, B, 4, h, w), (steps, B)                        |
| `input_ids`           | (B, 77)                                                |
| `losses`, `grad_norms`| (steps), norms before clipping to 1                    |
| `init.LAYER.lora_A`   | (rank, inputs), where it starts                        |
| `init.LAYER.lora_B`   | (outputs, rank): not zeros, which give lora_A no gradient |
| `grad.LAYER.lora_A`   | of the first step, before clipping; lora_B too         |
| `after4.LAYER.lora_A` | after four steps of AdamW, weight decay 1e-2; lora_B too |

LAYER is its name in the UNet. `--fold 32` keeps 32 sums of each gradient and
result, as tests/support/fold.ts, under NAME.folded. The header's metadata has
rank, alpha, learning rate, and `names`: for each LAYER what diffusers and kohya
call its tensors, as their own code gives them. For
`up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0` in short:

diffusers, `pytorch_lora_weights.safetensors`: `unet.LAYER.lora_A.weight` (rank,
inputs) and `unet.LAYER.lora_B.weight` (outputs, rank). There is no tensor for
alpha: it is the rank, unless the file's metadata `lora_adapter_metadata`, JSON,
has another `unet.lora_alpha`.

    unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0.lora_A.weight
    unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0.lora_B.weight

kohya: `lora_unet_`, LAYER with `_` for each dot, then `.lora_down.weight` (rank,
inputs), `.lora_up.weight` (outputs, rank) and `.alpha`, one value.

    lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0.lora_down.weight
    lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0.lora_up.weight
    lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0.alpha

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0, peft 0.21.2.
"""

import argparse
import gzip
import json
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_kohya
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save

from networks import text_module, unet_module
from recording import EDITS, tokenizer_of
from training import MAX_NORM, WEIGHT_DECAY, alphas_of

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
BATCH, STEPS, SIDE = 2, 4, 16
# Values before the initial ones repeat, so that a file packs well.
PERIOD = 1009


def trained(unet):
    """Factors by LAYER.lora_A and LAYER.lora_B."""
    return {
        name.removesuffix(".default.weight"): parameter
        for name, parameter in unet.named_parameters()
        if parameter.requires_grad
    }


def start(factors, random):
    """Starts every factor from its own part of one list of values."""
    values = torch.randn(PERIOD, generator=random) * 0.05
    at = 0
    for factor in factors.values():
        places = (torch.arange(factor.numel()) + at) % PERIOD
        factor.data.copy_(values[places].view_as(factor))
        at += factor.numel()


def coarse(*shape, generator):
    """Normal values rounded to 1/32."""
    return torch.round(torch.randn(shape, generator=generator) * 32) / 32


def train(options, unet, text, alphas, recorded, found):
    """Runs the steps; adds to what is found."""
    factors = trained(unet)
    optimiser = torch.optim.AdamW(
        factors.values(), lr=options.lr, weight_decay=WEIGHT_DECAY
    )
    losses, norms = [], []
    states = text(input_ids=recorded["input_ids"].long()).last_hidden_state.detach()
    for step in range(STEPS):
        times = recorded["timesteps"][step].long()
        noise = recorded["noise"][step]
        alpha = alphas[times].view(-1, 1, 1, 1)
        sample = alpha.sqrt() * recorded["latents"] + (1 - alpha).sqrt() * noise
        loss = F.mse_loss(unet(sample, times, states).sample, noise)
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            for name, factor in factors.items():
                found[f"grad.{name}"] = factor.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(factors.values(), MAX_NORM)
        optimiser.step()
        losses.append(loss.item())
        norms.append(norm.item())
    found |= {"losses": torch.tensor(losses), "grad_norms": torch.tensor(norms)}
    for name, factor in factors.items():
        found[f"after{STEPS}.{name}"] = factor.detach().clone()


def saved_names(unet, layers):
    """What diffusers and kohya call each layer's tensors, from diffusers' code."""
    state = get_peft_model_state_dict(unet)
    with tempfile.TemporaryDirectory() as folder:
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=state)
        file = Path(folder) / "pytorch_lora_weights.safetensors"
        with safe_open(file, "pt") as saved:
            diffusers = sorted(saved.keys())
    kohya = convert_state_dict_to_kohya({f"unet.{k}": v for k, v in state.items()})
    names = {
        layer: {
            "diffusers": [n for n in diffusers if n.startswith(f"unet.{layer}.")],
            "kohya": sorted(
                n for n in kohya if n.split(".")[0] == kohya_name(layer)
            ),
        }
        for layer in layers
    }
    assert all(len(n["diffusers"]) == 2 and len(n["kohya"]) == 3 for n in names.values())
    return names


def kohya_name(layer):
    return "lora_unet_" + layer.replace(".", "_")


def fold(values, count):
    """As tests/support/fold.ts."""
    values = values.flatten().double()
    mask = 0xFFFFFFFF
    h = torch.arange(len(values))
    h = h ^ (h >> 16)
    h = (h * 0x85EBCA6B) & mask
    h = h ^ (h >> 13)
    h = (h * 0xC2B2AE35) & mask
    h = h ^ (h >> 16)
    signed = torch.where(h % 2 == 1, values, -values)
    places = torch.arange(len(values)) % count
    return torch.zeros(count, dtype=torch.float64).index_add(0, places, signed).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--alpha", type=float, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fold", type=int, help="keep so many sums of long results")
    options = parser.parse_args()
    random = torch.Generator().manual_seed(options.seed)
    unet = unet_module(options.checkpoints).requires_grad_(False)
    text = text_module(options.checkpoints)
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules=TARGETS
    )
    unet.add_adapter(config)
    factors = trained(unet)
    start(factors, random)
    tokenize = tokenizer_of(options.checkpoints, text.config.vocab_size)
    prompts = [form.format(edit) for form, _, edit in EDITS[:BATCH]]
    found = {
        "latents": coarse(BATCH, 4, SIDE, SIDE, generator=random),
        "noise": coarse(STEPS, BATCH, 4, SIDE, SIDE, generator=random),
        "timesteps": torch.randint(0, 1000, (STEPS, BATCH), generator=random).int(),
        "input_ids": tokenize(prompts),
    }
    recorded = dict(found)
    found |= {f"init.{k}": v.detach().clone() for k, v in factors.items()}
    train(options, unet, text, alphas_of(options.checkpoints), recorded, found)
    layers = sorted({name.rsplit(".", 1)[0] for name in factors})
    metadata = {
        "rank": str(options.rank),
        "alpha": str(options.alpha),
        "learning_rate": str(options.lr),
        "names": json.dumps(saved_names(unet, layers)),
        "torch": torch.__version__,
    }
    if options.fold:
        for name in [n for n in found if n.startswith(("grad.", "after"))]:
            found[f"{name}.folded"] = fold(found.pop(name), options.fold)
    content = save({k: v.contiguous() for k, v in found.items()}, metadata)
    if options.output.suffix == ".gz":
        content = gzip.compress(content, 9, mtime=0)
    options.output.write_bytes(content)
    print(f"{len(layers)} layers, {len(content)} bytes, losses {found['losses'].tolist()}")


if __name__ == "__main__":
    main()

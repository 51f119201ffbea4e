"""Training handed over to PyTorch with accelerate, and back.

    python tools/reference/handover.py replay CHECKPOINTS --stage 1 \\
        --adapter adapter.pt --inputs INPUTS.safetensors \\
        --load DIR --first 5 --steps 5 --save OUT --losses LOSSES.json

loads what `tools/train.ts --to-pytorch` wrote, replays recorded steps from
there, and saves with accelerate's `save_state`; without `--load` it starts from
the adapter. CHECKPOINTS and INPUTS are as in train.py. `handover.ts` compares.

    python tools/reference/handover.py toy tests/goldens/handover

writes what accelerate saves of an adapter of a few numbers after three steps:
one module (`one/`), two modules (`two/`), AdamW's state in bf16
(`bf16/optimizer.bin`), a GradScaler's state (`one/scaler.pt`), and all values
that must be read from them (`expected.safetensors`).

Run with torch 2.15.0, diffusers 0.42.1, accelerate 1.15.0, on the CPU.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from safetensors.torch import load_file, save_file
from torch import nn

TOY_STEPS, TOY_WIDTH = 3, 4
# Saved beside the state, and of no use to others.
OWN = ("random_states_0.pkl",)


def prepared(accelerator, modules, optimiser, name="constant", steps=100):
    """As the reference's script: the modules, the optimiser, diffusers' scheduler."""
    scheduler = get_scheduler(
        name, optimiser, num_warmup_steps=2, num_training_steps=steps
    )
    return accelerator.prepare(*modules, optimiser, scheduler)


def replay(options):
    from training import LEARNING_RATE, Trainer

    trainer = Trainer(
        options.checkpoints, options.adapter, options.stage, torch.float32, 0.02
    )
    accelerator = Accelerator(cpu=True)
    optimiser = trainer.optimiser(LEARNING_RATE[options.stage])
    adapter, optimiser, scheduler = prepared(
        accelerator, [trainer.adapter], optimiser
    )
    trainer.adapter = adapter
    if options.load:
        accelerator.load_state(options.load)
    recorded = load_file(options.inputs)
    lines = []
    for step in range(options.first, options.first + options.steps):
        losses, _, _ = trainer.losses(recorded, step)
        optimiser.zero_grad()
        accelerator.backward(sum(losses.values()))
        norm = accelerator.clip_grad_norm_(trainer.trained().values(), 1.0)
        optimiser.step()
        scheduler.step()
        line = {name: loss.item() for name, loss in losses.items()}
        lines.append(line | {"grad_norm": norm.item()})
    if options.save:
        accelerator.save_state(options.save)
    text = json.dumps(
        {"scheduler": scheduler.state_dict()["last_epoch"], "losses": lines}
    )
    if options.losses:
        options.losses.write_text(text)
    else:
        print(text)


def toy_modules():
    """Both modules of an adapter with a few of their names."""
    encoder = nn.Module()
    encoder.latents = nn.Parameter(torch.randn(1, 2, TOY_WIDTH))
    encoder.proj_in = nn.Linear(3, TOY_WIDTH)
    encoder.proj_out = nn.Linear(TOY_WIDTH, TOY_WIDTH)
    pairs = nn.ModuleList()
    for _ in range(2):
        pair = nn.Module()
        pair.to_k_img = nn.Linear(TOY_WIDTH, 5, bias=False)
        pair.to_v_img = nn.Linear(TOY_WIDTH, 5, bias=False)
        # attn1 holds nothing.
        pairs.extend([nn.Module(), pair])
    return encoder, pairs


class Joined(nn.Module):
    """As the reference's MasterWeaver."""

    def __init__(self, id_encoder, adapter_modules):
        super().__init__()
        self.id_encoder = id_encoder
        self.adapter_modules = adapter_modules


def toy(folder):
    expected = {}
    for name in ("one", "two"):
        torch.manual_seed(14)
        encoder, pairs = toy_modules()
        joined = Joined(encoder, pairs)
        parameters = dict(joined.named_parameters())
        optimiser = torch.optim.AdamW(parameters.values(), lr=1e-2)
        # A new one of its own: accelerate saves all that was ever prepared.
        accelerator = Accelerator(cpu=True)
        modules = [joined] if name == "one" else [encoder, pairs]
        *_, optimiser, scheduler = prepared(
            accelerator, modules, optimiser, "cosine"
        )
        for _ in range(TOY_STEPS):
            for parameter in parameters.values():
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()
            scheduler.step()
        accelerator.save_state(folder / name)
        for other in OWN:
            (folder / name / other).unlink()
        state = optimiser.state_dict()
        for i, (key, parameter) in enumerate(parameters.items()):
            expected[f"parameters/{key}"] = parameter.detach()
            expected[f"first/{key}"] = state["state"][i]["exp_avg"]
            expected[f"second/{key}"] = state["state"][i]["exp_avg_sq"]
    half = {
        i: {k: v.bfloat16() if v.dim() else v for k, v in moments.items()}
        for i, moments in state["state"].items()
    }
    (folder / "bf16").mkdir()
    torch.save(state | {"state": half}, folder / "bf16/optimizer.bin")
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(torch.ones(()))
    scaler._growth_tracker.fill_(7)
    torch.save(scaler.state_dict(), folder / "one/scaler.pt")
    save_file(
        {name: value.contiguous() for name, value in expected.items()},
        folder / "expected.safetensors",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    written = commands.add_parser("toy")
    written.add_argument("folder", type=Path)
    steps = commands.add_parser("replay")
    steps.add_argument("checkpoints", type=Path)
    steps.add_argument("--stage", type=int, choices=(1, 2), required=True)
    steps.add_argument("--adapter", type=Path, required=True)
    steps.add_argument("--inputs", type=Path, required=True)
    steps.add_argument("--load", type=Path)
    steps.add_argument("--first", type=int, default=0)
    steps.add_argument("--steps", type=int, required=True)
    steps.add_argument("--save", type=Path)
    steps.add_argument("--losses", type=Path)
    options = parser.parse_args()
    if options.command == "replay":
        return replay(options)
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    toy(options.folder)


if __name__ == "__main__":
    main()

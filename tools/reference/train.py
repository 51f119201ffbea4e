"""PyTorch's numbers of training: recorded steps of stage 1 or 2, replayed.

    python tools/reference/train.py CHECKPOINTS --stage 1 --adapter adapter.pt \\
        --inputs INPUTS.safetensors --outputs OUTPUTS.safetensors --losses LOSSES.json

CHECKPOINTS is a model folder in diffusers' layout with `image_encoder` and
`adapter_config.json`, as networks.py reads. INPUTS holds every random draw of
the steps; `--make-inputs` draws and writes it first. Where it has no latents,
they are drawn from its `images` and `vae_noise`.

| input                               | shape                                           |
| `clip_images`                       | (B, 3 references, 3, H, W), zeros: no reference |
| `images`, `vae_noise` or `latents`  | (B, 3, H, W), (B, 4, h, w), (B, 4, h, w) scaled |
| `noise`, `noise_edit`               | (steps, B, 4, h, w)                             |
| `timesteps`, `timesteps_edit`       | (steps, B), i32                                 |
| `lambda`                            | (steps, B)                                      |
| `face_box`                          | (B, 1, H, W), zeros and ones                    |
| `input_ids`, `rec_ids`, `edit_ids`  | (B, 77), i32                                    |

Those of the editing loss are read in stage 2 alone. OUTPUTS gets, in f32,
`eps_pred` and `eps_aug` of the first step, `grad.NAME` of its gradients before
clipping, and `afterN.NAME`, every trained parameter after the N steps. LOSSES
gets the losses, weights included, and the gradients' norm before clipping.

`--time` prints the seconds of a step, as JSON: the median after a warm-up, by
parts. Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0, on the CPU.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from networks import sides
from recording import make_inputs, tokenizer_of
from training import LEARNING_RATE, Trainer

# Steps that are not timed.
WARM_UP = 2


class Stopwatch:
    """Seconds since the last lap, by its name."""

    def __init__(self):
        self.last = time.perf_counter()
        self.laps = {}

    def lap(self, name):
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0) + now - self.last
        self.last = now


def replay(trainer, recorded, learning_rate, on_step=lambda laps: None):
    """All recorded steps: the outputs by name, and the losses of each step."""
    optimiser = trainer.optimiser(learning_rate)
    steps = len(recorded["noise"])
    outputs, lines = {}, []
    for step in range(steps):
        watch = Stopwatch()
        losses, predicted, other = trainer.losses(recorded, step, watch.lap)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        if step == 0:
            outputs |= {"eps_pred": predicted.detach(), "eps_aug": other}
            for name, parameter in trainer.trained().items():
                outputs[f"grad.{name}"] = parameter.grad.clone()
        watch.lap("backward")
        norm = trainer.clip()
        optimiser.step()
        line = {name: loss.item() for name, loss in losses.items()}
        lines.append(line | {"grad_norm": norm.item()})
        watch.lap("optimiser")
        on_step(watch.laps)
    for name, parameter in trainer.trained().items():
        outputs[f"after{steps}.{name}"] = parameter.detach()
    return outputs, lines


def timed(trainer, recorded, learning_rate):
    """Median seconds of a step and of its parts."""
    laps = []
    replay(trainer, recorded, learning_rate, laps.append)
    laps = laps[WARM_UP:]
    if not laps:
        raise SystemExit(f"Cannot time: give more than {WARM_UP} steps")
    parts = {
        name: statistics.median(lap.get(name, 0) for lap in laps) for name in laps[0]
    }
    return {
        "seconds_per_step": statistics.median(sum(lap.values()) for lap in laps),
        "parts": parts,
        "steps": len(laps),
        "batch": len(recorded["clip_images"]),
        "latents": list(recorded["noise"].shape[3:]),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def options_of_command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("--stage", type=int, choices=(1, 2), required=True)
    parser.add_argument("--adapter", type=Path, required=True, help="where it starts")
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--outputs", type=Path)
    parser.add_argument("--losses", type=Path)
    parser.add_argument("--lr", type=float, help="1e-4, in stage 2 2e-6")
    parser.add_argument("--lambda-edit", type=float, default=0.02)
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f32")
    parser.add_argument("--threads", type=int, help="of the CPU (all)")
    parser.add_argument("--time", action="store_true", help="print seconds a step")
    drawn = parser.add_argument_group("inputs of their own")
    drawn.add_argument("--make-inputs", action="store_true", help="write INPUTS first")
    drawn.add_argument("--seed", type=int, default=0)
    drawn.add_argument("--batch", type=int, default=2)
    drawn.add_argument("--steps", type=int, default=10)
    drawn.add_argument(
        "--size", type=sides, default=(128, 128), help="pixels: 128, or 96x128 (rows first)"
    )
    drawn.add_argument(
        "--drop-identity", type=int, action="append", default=[], metavar="SAMPLE"
    )
    drawn.add_argument(
        "--no-face", type=int, action="append", default=[], metavar="SAMPLE"
    )
    return parser.parse_args()


def main():
    options = options_of_command()
    if options.threads:
        torch.set_num_threads(options.threads)
    dtype = {"f32": torch.float32, "f64": torch.float64}[options.dtype]
    stage = options.stage
    trainer = Trainer(
        options.checkpoints, options.adapter, stage, dtype, options.lambda_edit
    )
    if options.make_inputs:
        tokenize = tokenizer_of(options.checkpoints, trainer.text.config.vocab_size)
        made = make_inputs(
            trainer,
            tokenize,
            options.seed,
            options.batch,
            options.steps,
            options.size,
            options.drop_identity,
            options.no_face,
        )
        save_file(made, options.inputs)
    recorded = load_file(options.inputs)
    learning_rate = options.lr or LEARNING_RATE[stage]
    if options.time:
        print(json.dumps(timed(trainer, recorded, learning_rate)))
        return
    outputs, lines = replay(trainer, recorded, learning_rate)
    if options.outputs:
        outputs = {k: v.float().contiguous() for k, v in outputs.items()}
        save_file(outputs, options.outputs, {"torch": torch.__version__})
    losses = json.dumps({"lr": learning_rate, "losses": lines}, indent=1)
    if options.losses:
        options.losses.write_text(losses)
    else:
        print(losses)


if __name__ == "__main__":
    main()

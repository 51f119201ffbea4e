"""PyTorch's AdamW, clipping and loss scaling, and diffusers' learning rates.

    python tools/reference/optimiser.py tests/goldens

Writes optimiser.safetensors and schedules.json there. Never needed to run or to
test the project.

optimiser.safetensors has, f32:
  start/NAME                 parameters before the first step
  gradients/STEP/NAME        what is added to `.grad`, not scaled
  plain/…, scaled/…          runs without and with loss scaling:
    parameters/STEP/NAME     after each step
    first/NAME, second/NAME  moments after the last
    norms                    gradient norms of the steps before clipping
  scaled/scales, …/clean     GradScaler's scale and growth tracker after each step
  scaled/overflows           1 for the steps whose gradient is made infinite
  average/NAME               running mean of the plain run, decay 0.9
"""

import json
import sys
from pathlib import Path

import torch
from diffusers.optimization import get_scheduler
from safetensors.torch import save_file

STEPS = 10
SHAPES = {"weight": (9, 7), "bias": (33,), "kernel": (4, 3, 2, 2), "slow": (65,)}
# Without weight decay; at a tenth of the learning rate.
NO_DECAY, SLOW = ("bias",), ("slow",)
LEARNING_RATE, MAX_NORM, AVERAGE_DECAY = 1e-2, 1.0, 0.9
OVERFLOWS = (3, 4, 8)


def make_optimizer(parameters):
    def group(names, decay, factor):
        tensors = [parameters[name] for name in names]
        return {"params": tensors, "weight_decay": decay, "lr": LEARNING_RATE * factor}

    others = [name for name in SHAPES if name not in NO_DECAY + SLOW]
    groups = [group(others, 1e-2, 1), group(NO_DECAY, 0, 1), group(SLOW, 1e-2, 0.1)]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8)


def train(start, gradients, overflows, scaler):
    """What the run leaves, by name without the run's."""
    parameters = {k: torch.nn.Parameter(v.clone()) for k, v in start.items()}
    average = {k: v.clone() for k, v in start.items()}
    optimizer = make_optimizer(parameters)
    found = {}
    norms, scales, clean = [], [], []
    for step in range(STEPS):
        scale = scaler.scale(torch.ones(())).item()
        for name, parameter in parameters.items():
            parameter.grad = gradients[step][name] * scale
        if step in overflows:
            parameters["kernel"].grad[1, 2, 0, 1] = float("inf")
        scaler.unscale_(optimizer)
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM))
        scaler.step(optimizer)
        scaler.update()
        for name, parameter in parameters.items():
            value = parameter.detach()
            average[name].sub_((1 - AVERAGE_DECAY) * (average[name] - value))
            found[f"parameters/{step}/{name}"] = value.clone()
        if scaler.is_enabled():
            scales.append(scaler.get_scale())
            clean.append(scaler._growth_tracker.item())
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        found[f"first/{name}"] = state["exp_avg"]
        found[f"second/{name}"] = state["exp_avg_sq"]
    found["norms"] = torch.stack(norms)
    if scaler.is_enabled():
        found["scales"] = torch.tensor(scales)
        found["clean"] = torch.tensor(clean, dtype=torch.float32)
    return found, average


def steps():
    generator = torch.Generator().manual_seed(14)

    def normal(shape, scale):
        return scale * torch.randn(shape, generator=generator)

    start = {name: normal(shape, 1) for name, shape in SHAPES.items()}
    # Norms on both sides of the limit.
    gradients = [
        {name: normal(shape, (0.02, 0.3)[step % 2]) for name, shape in SHAPES.items()}
        for step in range(STEPS)
    ]
    found = {f"start/{k}": v for k, v in start.items()}
    for step, values in enumerate(gradients):
        found |= {f"gradients/{step}/{k}": v for k, v in values.items()}
    off = torch.amp.GradScaler("cpu", enabled=False)
    plain, average = train(start, gradients, (), off)
    # An interval that ten steps reach, twice.
    scaler = torch.amp.GradScaler("cpu", init_scale=1024, growth_interval=3)
    scaled, _ = train(start, gradients, OVERFLOWS, scaler)
    found |= {f"plain/{k}": v for k, v in plain.items()}
    found |= {f"scaled/{k}": v for k, v in scaled.items()}
    found |= {f"average/{k}": v for k, v in average.items()}
    overflows = [float(step in OVERFLOWS) for step in range(STEPS)]
    found["scaled/overflows"] = torch.tensor(overflows)
    return {name: value.contiguous() for name, value in found.items()}


def learning_rates(name, learning_rate, warmup, total, **more):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=learning_rate)
    scheduler = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=total,
        **{"num_cycles" if k == "cycles" else k: v for k, v in more.items()},
    )
    rates = []
    for _ in range(total + 4):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    settings = {
        "name": name,
        "learningRate": learning_rate,
        "warmupSteps": warmup,
        "maxSteps": total,
    }
    return {"schedule": settings | more, "rates": rates}


def schedules():
    names = ("linear", "cosine", "cosine_with_restarts", "polynomial")
    found = [
        learning_rates(name, rate, warmup, total)
        for name in (*names, "constant", "constant_with_warmup")
        for rate, warmup, total in ((1e-4, 0, 12), (6.4e-5, 5, 23))
    ]
    found.append(learning_rates("cosine_with_restarts", 1e-3, 3, 31, cycles=3))
    found.append(learning_rates("polynomial", 1e-3, 4, 20, power=2.5))
    return found


def main():
    folder = Path(sys.argv[1])
    save_file(steps(), folder / "optimiser.safetensors")
    lines = ",\n".join(json.dumps(case) for case in schedules())
    (folder / "schedules.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()

"""Steps diffusers' schedulers through made-up outputs of a UNet, for tests/goldens/samplers.json.

    python tools/reference/samplers.py tests/goldens/samplers.json

Needs torch, diffusers 0.42, scipy, torchsde, and k-diffusion's `sampling.py` for DPM++ 2S a,
which diffusers does not have. Latents and outputs are successive draws of PyTorch's CPU
generator with seed 3, noise those with seed 7. Of some steps two numbers of the latents are
kept, their root mean square, the timestep and the factor of the UNet's input.
"""

import json
import sys

import diffusers as d
import torch
from diffusers.schedulers import AysSchedules

SHAPE = (1, 1, 16, 16)
KEPT = [0, 170]
STEPS = 6
SD15 = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}
KARRAS, EXPONENTIAL = {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}
SPACINGS = {name: {"timestep_spacing": name} for name in ("leading", "trailing", "linspace")}
SCHEDULES = {
    **SPACINGS,
    "Karras": KARRAS,
    "Exponential": EXPONENTIAL,
    "SGM Uniform": {"timestep_spacing": "trailing"},
    "Align Your Steps": {},
}
PLUS, SDE = {"algorithm_type": "dpmsolver++"}, {"algorithm_type": "sde-dpmsolver++"}
SAMPLERS = {
    "DDIM": (d.DDIMScheduler, {}, [*SPACINGS, "SGM Uniform"]),
    "PLMS": (d.PNDMScheduler, {"skip_prk_steps": True}, [*SPACINGS, "SGM Uniform"]),
    "Euler": (d.EulerDiscreteScheduler, {}, list(SCHEDULES)),
    "Euler a": (d.EulerAncestralDiscreteScheduler, {}, [*SPACINGS, "SGM Uniform"]),
    "Heun": (d.HeunDiscreteScheduler, {}, list(SCHEDULES)),
    "DPM2": (d.KDPM2DiscreteScheduler, {}, list(SCHEDULES)[:6]),
    "DPM2 a": (d.KDPM2AncestralDiscreteScheduler, {}, list(SCHEDULES)[:6]),
    "DPM++ 2M": (d.DPMSolverMultistepScheduler, {**PLUS, "solver_order": 2}, list(SCHEDULES)),
    "DPM++ 2M SDE": (d.DPMSolverMultistepScheduler, {**SDE, "solver_order": 2}, list(SCHEDULES)),
    "DPM++ 3M SDE": (d.DPMSolverMultistepScheduler, {**SDE, "solver_order": 3}, list(SCHEDULES)),
    "DPM++ SDE": (d.DPMSolverSDEScheduler, {"noise_sampler_seed": 7}, list(SCHEDULES)[:6]),
    "UniPC": (d.UniPCMultistepScheduler, {}, list(SCHEDULES)[:6]),
    "DEIS": (d.DEISMultistepScheduler, {}, list(SCHEDULES)[:6]),
    "LCM": (d.LCMScheduler, {}, ["Align Your Steps"]),
    "TCD": (d.TCDScheduler, {}, ["Align Your Steps"]),
}


def run(scheduler, steps, timesteps=None, first=0, eta=None):
    """The latents after each step, and what the golden says of it."""
    if timesteps is None:
        scheduler.set_timesteps(steps)
    else:
        scheduler.set_timesteps(timesteps=timesteps)
    outputs = torch.Generator().manual_seed(3)
    generator = torch.Generator().manual_seed(7)
    draws = scheduler.step.__code__.co_varnames
    extra = {"generator": generator} if "generator" in draws else {}
    if eta is not None:
        extra["eta"] = eta
    if first:
        scheduler.set_begin_index(first) if hasattr(scheduler, "set_begin_index") else None
    latents = torch.randn(SHAPE, generator=outputs) * scheduler.init_noise_sigma
    entries = []
    for t in scheduler.timesteps[first:]:
        scaled = scheduler.scale_model_input(latents, t)
        output = torch.randn(SHAPE, generator=outputs)
        after = scheduler.step(output, t, latents, return_dict=False, **extra)[0]
        entries.append((float(t), float(scaled.norm() / latents.norm()), after))
        latents = after
    return float(scheduler.init_noise_sigma), entries


def run_2s(scheduler, steps):
    """DPM++ 2S a by k-diffusion, whose model is asked for the clean image."""
    from k_diffusion import sampling

    scheduler.set_timesteps(steps)
    sigmas = scheduler.sigmas
    outputs = torch.Generator().manual_seed(3)
    generator = torch.Generator().manual_seed(7)
    entries, calls = [], []

    def model(x, sigma):
        calls.append((x, float(sigma[0])))
        return x - sigma[0] * torch.randn(SHAPE, generator=outputs)

    start = torch.randn(SHAPE, generator=outputs) * scheduler.init_noise_sigma
    noise = lambda *_: torch.randn(SHAPE, generator=generator)
    end = sampling.sample_dpmpp_2s_ancestral(model, start, sigmas, disable=True, noise_sampler=noise)
    log_sigmas = (((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod) ** 0.5).log().numpy()
    euler = d.EulerDiscreteScheduler()
    after = [x for x, _ in calls[1:]] + [end]
    for (_, sigma), x in zip(calls, after):
        t = float(euler._sigma_to_t(torch.tensor(sigma).numpy(), log_sigmas))
        entries.append((t, (sigma**2 + 1) ** -0.5, x))
    return float(scheduler.init_noise_sigma), entries


def golden(case, start, entries, whole):
    count = len(entries)
    # Of a long run, some steps are enough.
    picked = sorted({round(i * (count - 1) / min(count - 1 or 1, 6)) for i in range(min(count, 7))})
    if whole is not None:
        whole.append([x.flatten().tolist() for _, _, x in entries])
    short = lambda x: float(f"{x:.8g}")
    rows = [
        [i, short(t), short(scale), short(x.double().square().mean().sqrt().item()),
         *[short(x.flatten()[k].item()) for k in KEPT]]
        for i, (t, scale, x) in enumerate(entries) if i in picked
    ]
    return {**case, "start": short(start), "runs": count, "rows": rows}


def main(path, whole_path=None):
    cases, whole = [], [] if whole_path else None

    def add(case, cls, flags, **options):
        config = {**SD15, **case.get("config", {})}
        scheduler = cls.from_config(config, **flags)
        if case.get("schedule") == "Align Your Steps":
            options["timesteps"] = AysSchedules["StableDiffusionTimesteps"]
        steps = case["steps"]
        start, entries = run(scheduler, steps, **options)
        cases.append(golden(case, start, entries, whole))

    for name, (cls, flags, schedules) in SAMPLERS.items():
        add({"sampler": name, "steps": STEPS}, cls, flags)
        for schedule in schedules:
            steps = 10 if schedule == "Align Your Steps" else STEPS
            case = {"sampler": name, "schedule": schedule, "steps": steps}
            add(case, cls, {**flags, **SCHEDULES[schedule]})
        velocity = {"prediction_type": "v_prediction"}
        add({"sampler": name, "steps": STEPS, "config": velocity}, cls, flags)
    for name in ("DDIM", "Euler", "Euler a", "DPM++ 2M", "DPM++ 3M SDE", "UniPC", "LCM", "TCD"):
        cls, flags, _ = SAMPLERS[name]
        config = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
        spaced = {} if name in ("LCM", "TCD") else SPACINGS["trailing"]
        case = {"sampler": name, "steps": STEPS, "config": config}
        add({**case, **({"schedule": "trailing"} if spaced else {})}, cls, {**flags, **spaced})
    for name in ("DDIM", "PLMS", "Euler", "Heun", "DPM2 a", "DPM++ 2M", "DPM++ 3M SDE", "UniPC", "DEIS"):
        cls, flags, _ = SAMPLERS[name]
        add({"sampler": name, "steps": 50}, cls, flags)
        order = cls.order
        add({"sampler": name, "steps": 8, "first": 3 * order}, cls, flags, first=3 * order)
    for eta in (0.3, 1.0):
        add({"sampler": "DDIM", "steps": STEPS, "eta": eta}, d.DDIMScheduler, {}, eta=eta)
    for eta in (0.0, 1.0):
        add({"sampler": "TCD", "steps": 4, "eta": eta}, d.TCDScheduler, {}, eta=eta)
    # By class, settings are the config's.
    by_class = [
        (d.DPMSolverMultistepScheduler, {"solver_order": 3}, 20),
        (d.DPMSolverMultistepScheduler, {"solver_type": "heun", "use_karras_sigmas": True}, 20),
        (d.DPMSolverMultistepScheduler, {**SDE, "solver_type": "heun"}, 16),
        (d.DPMSolverMultistepScheduler, {"euler_at_final": True, "final_sigmas_type": "sigma_min"}, 16),
        (d.DPMSolverMultistepScheduler, {"lower_order_final": False, "final_sigmas_type": "sigma_min"}, 6),
        (d.DPMSolverSinglestepScheduler, {}, 6),
        (d.DPMSolverSinglestepScheduler, {}, 7),
        (d.DPMSolverSinglestepScheduler, {**KARRAS}, 8),
        (d.DPMSolverSinglestepScheduler, {"solver_order": 3}, 9),
        (d.DPMSolverSinglestepScheduler, {"solver_order": 3, "solver_type": "heun"}, 10),
        (d.DPMSolverSinglestepScheduler, {"solver_order": 3, "solver_type": "heun", **SDE}, 11),
        (d.DPMSolverSinglestepScheduler, {**SDE}, 8),
        (d.DPMSolverSinglestepScheduler, {"final_sigmas_type": "sigma_min"}, 8),
        (d.UniPCMultistepScheduler, {"solver_order": 3}, 20),
        (d.UniPCMultistepScheduler, {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}, 6),
        (d.UniPCMultistepScheduler, {"predict_x0": False, "final_sigmas_type": "sigma_min"}, 6),
        (d.UniPCMultistepScheduler, {"disable_corrector": [0, 2], **KARRAS}, 6),
        (d.DEISMultistepScheduler, {"solver_order": 3}, 8),
        (d.DEISMultistepScheduler, {"solver_order": 3}, 20),
        (d.EulerDiscreteScheduler, {"final_sigmas_type": "sigma_min", **SPACINGS["leading"]}, 6),
        (d.HeunDiscreteScheduler, {**KARRAS}, 6),
        (d.LCMScheduler, {"original_inference_steps": 100, "timestep_scaling": 5.0}, 7),
    ]
    for cls, config, steps in by_class:
        config = {"_class_name": cls.__name__, **config}
        add({"sampler": "model", "config": config, "steps": steps}, cls, {})
    for schedule in (None, "Karras"):
        flags = SCHEDULES.get(schedule, {})
        scheduler = d.EulerDiscreteScheduler.from_config(SD15, **flags)
        case = {"sampler": "DPM++ 2S a", "steps": STEPS, **({"schedule": schedule} if schedule else {})}
        start, entries = run_2s(scheduler, STEPS)
        cases.append(golden(case, start, entries, whole))
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    with open(path, "w") as file:
        file.write(f'{{"config":{json.dumps(SD15, separators=(",", ":"))},"kept":{KEPT},"cases":[\n{lines}\n]}}\n')
    if whole_path:
        with open(whole_path, "w") as file:
            json.dump(whole, file)


main(*sys.argv[1:])

"""LoRAs of every naming and kind on random adapters, and what they make of the
text encoder and the UNet.

    pip install peft==0.21.2 accelerate==1.15.0 lycoris-lora==4.1.3
    python tools/reference/lora_kinds.py CHECKPOINT tests/goldens/lora_kinds.safetensors.gz

| `CASE/NAME`   | the tensor NAME of the LoRA file of a case                   |
| `ids`         | (1, 77)                                                      |
| `sample`, `text` | (1, 4, 8, 8), (1, 6, C): with timestep 501, what the UNet gets |
| `CASE.eps`    | what it predicts with that LoRA at the case's scale          |
| `CASE.hidden` | the text encoder's last hidden state, folded into 256 sums   |

The header's metadata has `cases`: for each its scale, and the metadata or the
`adapter_config.json` of its file. diffusers loads `kohya`, `diffusers` and
`attn_procs` into the UNet itself, peft its own kinds; what LyCORIS's modules say is
added to the weights. `both` is `kohya` at 0.8 with `loha` at -0.5.

Run with torch 2.15.0, diffusers 0.42.1, transformers 5.24.0, peft 0.21.2,
lycoris-lora 4.1.3.
"""

import argparse
import copy
import gzip
import json
import tempfile
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from peft import IA3Config, LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save, save_file

from lora import coarse, fold
from networks import text_module, unet_module

MID = "mid_block.attentions.0.transformer_blocks.0"
LINEAR = f"{MID}.attn1.to_q"
OUT = f"{MID}.attn2.to_out.0"
VALUE = "up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_v"
FEED = "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2"
POINT = "down_blocks.2.attentions.0.proj_in"
CONV = "down_blocks.0.resnets.0.conv1"
STRIDE = "down_blocks.0.downsamplers.0.conv"
UP = "up_blocks.0.upsamplers.0.conv"
NORM = "conv_norm_out"
LAYERS = [LINEAR, OUT, VALUE, FEED, POINT, CONV, STRIDE, UP]
QUERY = "text_model.encoder.layers.0.self_attn.q_proj"
# Products of products are small.
PRODUCTS = 4
TEXT_LAYERS = [QUERY, "text_model.encoder.layers.1.mlp.fc1"]


def flat(network, path):
    prefix = "lora_unet_" if network == "unet" else "lora_te_"
    return prefix + path.replace(".", "_")


class Bench:
    """The networks, and what they predict with changed weights."""

    def __init__(self, folder):
        self.folder = folder
        self.random = torch.Generator().manual_seed(17)
        self.unet, self.text = unet_module(folder), text_module(folder)
        width = self.unet.config.cross_attention_dim
        self.found = {
            "sample": coarse(1, 4, 8, 8, generator=self.random),
            "text": coarse(1, 6, width, generator=self.random),
            "ids": torch.randint(
                0, self.text.config.vocab_size, (1, 77), generator=self.random
            ).int(),
        }
        self.cases = {}

    def values(self, *shape):
        return torch.round(torch.randn(shape, generator=self.random) * 4) / 32

    def layer(self, network, path):
        # transformers 5 has no `text_model` of its own.
        root = self.unet if network == "unet" else self.text
        for name in (path, path.removeprefix("text_model.")):
            try:
                return root.get_submodule(name)
            except AttributeError:
                continue
        raise KeyError(path)

    @torch.no_grad()
    def record(self, case, state, scale, unet, text=None, **extra):
        for name, tensor in state.items():
            self.found[f"{case}/{name}"] = tensor.float().contiguous().clone()
        self.cases[case] = {"scale": scale, **extra}
        self.predict(case, unet, text)

    @torch.no_grad()
    def predict(self, case, unet, text=None):
        eps = unet(self.found["sample"], torch.tensor([501]), self.found["text"]).sample
        self.found[f"{case}.eps"] = eps.clone()
        if text is not None:
            hidden = text(input_ids=self.found["ids"].long()).last_hidden_state
            self.found[f"{case}.hidden"] = fold(hidden, 256)

    def pipeline(self):
        return StableDiffusionPipeline(
            vae=None,
            text_encoder=copy.deepcopy(self.text),
            tokenizer=None,
            unet=copy.deepcopy(self.unet),
            scheduler=None,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    def by_diffusers(self, case, state, scale, metadata=None, text=()):
        """`text` has path, alpha / rank, down and up of the text encoder's layers."""
        pipe = self.pipeline()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "pytorch_lora_weights.safetensors"
            save_file(state, file, {"format": "pt", **(metadata or {})})
            pipe.load_lora_weights(folder, weight_name=file.name, adapter_name="a")
        pipe.set_adapters(["a"], [scale])
        # transformers 5 fills anew what diffusers loads into a text encoder.
        changed = Bench.__new__(Bench)
        changed.text = copy.deepcopy(self.text)
        for path, factor, down, up in text:
            changed.layer("text", path).weight.data += scale * factor * up @ down
        self.record(
            case, state, scale, pipe.unet, changed.text, metadata=metadata or {}
        )

    def factors(self, network, path, rank):
        layer = self.layer(network, path)
        if hasattr(layer, "kernel_size"):
            down = self.values(rank, layer.in_channels, *layer.kernel_size)
            up = self.values(layer.out_channels, rank, 1, 1)
        else:
            down = self.values(rank, layer.in_features)
            up = self.values(layer.out_features, rank)
        return down, up


def kohya(bench):
    state, text = {}, []
    for network, paths in (("unet", LAYERS), ("text", TEXT_LAYERS)):
        for i, path in enumerate(paths):
            down, up = bench.factors(network, path, 2 + i % 3)
            name = flat(network, path)
            state[f"{name}.lora_down.weight"] = down
            state[f"{name}.lora_up.weight"] = up
            # diffusers overlooks the alphas of attention where they are not all one.
            alpha = 3.0 if network == "unet" else 1.0 + i
            state[f"{name}.alpha"] = torch.tensor(alpha)
            if network == "text":
                text.append((path, alpha / (2 + i % 3), down, up))
    bench.by_diffusers("kohya", state, 0.75, text=text)
    return state


def diffusers(bench):
    state, text = {}, []
    for network, paths in (("unet", LAYERS[:4]), ("text_encoder", TEXT_LAYERS)):
        for path in paths:
            down, up = bench.factors(network, path, 2)
            state[f"{network}.{path}.lora_A.weight"] = down
            state[f"{network}.{path}.lora_B.weight"] = up
            if network == "text_encoder":
                text.append((path, 1 / 2, down, up))
    config = {
        "unet.r": 2,
        "unet.lora_alpha": 3,
        "unet.alpha_pattern": {LINEAR: 5},
        "unet.target_modules": LAYERS[:4],
        "text_encoder.r": 2,
        "text_encoder.lora_alpha": 1,
        "text_encoder.target_modules": ["q_proj", "fc1"],
    }
    bench.by_diffusers(
        "diffusers", state, -0.5, {"lora_adapter_metadata": json.dumps(config)}, text
    )


def attn_procs(bench):
    state = {}
    for path in (f"{MID}.attn1.to_k", f"{MID}.attn2.to_out.0"):
        down, up = bench.factors("unet", path, 2)
        layer, name = path.removesuffix(".0").rsplit(".", 1)
        old = f"unet.{layer}.processor.{name}_lora"
        state[f"{old}.down.weight"], state[f"{old}.up.weight"] = down, up
    down, up = bench.factors("text", QUERY, 2)
    old = f"text_encoder.{QUERY}.lora_linear_layer"
    state[f"{old}.down.weight"], state[f"{old}.up.weight"] = down, up
    bench.by_diffusers("attn_procs", state, 1.0, text=[(QUERY, 1, down, up)])


def by_peft(bench, case, config, scale):
    model = get_peft_model(copy.deepcopy(bench.unet), config)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            own = bench.values(*parameter.shape)
            if "hada" in name or "lokr" in name:
                own *= PRODUCTS
            # (IA)3 multiplies: values around one.
            parameter.data.copy_(1 + own if "ia3" in name else own)
    state = get_peft_model_state_dict(model)
    adapters = json.loads(json.dumps(config.to_dict(), default=lambda v: sorted(v)))
    kept = ("r", "lora_alpha", "alpha", "alpha_pattern", "rank_pattern", "use_rslora")
    bench.record(
        case, state, scale, model.eval(),
        config={k: adapters[k] for k in kept if k in adapters},
    )


def by_lycoris(bench, case, modules, scale):
    """Each module's own weight, at the scale, in the place of the layer's."""
    state, unet, text = {}, copy.deepcopy(bench.unet), copy.deepcopy(bench.text)
    changed = Bench.__new__(Bench)
    changed.unet, changed.text = unet, text
    for kind, network, path, options in modules:
        layer = changed.layer(network, path)
        module = kind(flat(network, path), layer, **options)
        larger = PRODUCTS if kind in (LohaModule, LokrModule) else 1
        for parameter in module.parameters():
            parameter.data.copy_(larger * bench.values(*parameter.shape))
        saved = module.custom_state_dict() or module.state_dict()
        for name, tensor in saved.items():
            state[f"{module.lora_name}.{name}"] = tensor.detach()
        layer.weight.data += difference(module, layer, scale)
    has_text = any(network == "text" for _, network, _, _ in modules)
    bench.record(case, state, scale, unet, text if has_text else None)
    return state


def difference(module, layer, scale):
    """What a module of LyCORIS adds to its layer's weight."""
    shape = layer.weight.shape
    if isinstance(module, (LohaModule, LokrModule)):
        # Its `get_diff_weight` multiplies by alpha / rank a second time.
        return scale * module.get_weight(shape).detach().view(shape)
    return module.get_diff_weight(multiplier=scale)[0].detach().view(shape)


def differences(bench):
    """LyCORIS's `full` and `norm`: differences of weights and biases."""
    unet, scale = copy.deepcopy(bench.unet), 0.5
    state = {}
    for path, ends in ((CONV, ("diff", "diff_b")), (NORM, ("w_norm", "b_norm"))):
        layer = unet.get_submodule(path)
        for end, parameter in zip(ends, (layer.weight, layer.bias)):
            # Few values, so that the file packs well.
            difference = torch.zeros_like(parameter)
            difference.view(-1)[::7] = bench.values(len(difference.view(-1)[::7]))
            state[f"{flat('unet', path)}.{end}"] = difference.detach()
            parameter.data += scale * difference.detach()
    bench.record("full", state, scale, unet)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    bench = Bench(options.checkpoints)
    first = kohya(bench)
    diffusers(bench)
    attn_procs(bench)
    targets = [LINEAR, FEED, CONV]
    by_peft(bench, "peft", LoraConfig(
        r=2, lora_alpha=3, target_modules=targets, use_rslora=True,
        rank_pattern={"ff.net.2": 3}, alpha_pattern={"attn1.to_q": 7},
    ), 1.0)
    by_peft(bench, "peft_loha", LoHaConfig(
        r=2, alpha=3, target_modules=[*targets, STRIDE], use_effective_conv2d=True,
    ), 1.0)
    by_peft(bench, "peft_lokr", LoKrConfig(
        r=2, alpha=3, target_modules=targets, decompose_both=True,
        use_effective_conv2d=True,
    ), 1.0)
    by_peft(bench, "peft_ia3", IA3Config(
        target_modules=[LINEAR, OUT, FEED], feedforward_modules=[FEED],
    ), 1.0)
    alpha = {"lora_dim": 3, "alpha": 2}
    tucker = {**alpha, "use_tucker": True}
    by_lycoris(bench, "locon", [
        (LoConModule, "unet", LINEAR, {**alpha, "rs_lora": True}),
        (LoConModule, "unet", POINT, alpha),
        (LoConModule, "unet", STRIDE, alpha),
        (LoConModule, "unet", CONV, tucker),
        (LoConModule, "text", QUERY, {**alpha, "use_scalar": True}),
    ], 0.75)
    second = by_lycoris(bench, "loha", [
        (LohaModule, "unet", VALUE, alpha),
        (LohaModule, "unet", STRIDE, alpha),
        (LohaModule, "unet", CONV, tucker),
        (LohaModule, "text", QUERY, alpha),
    ], 0.75)
    by_lycoris(bench, "lokr", [
        (LokrModule, "unet", LINEAR, alpha),
        (LokrModule, "unet", FEED, {**alpha, "full_matrix": True, "factor": 8}),
        (LokrModule, "unet", OUT, {**alpha, "decompose_both": True, "lora_dim": 2}),
        (LokrModule, "unet", STRIDE, {**alpha, "factor": 4}),
        (LokrModule, "unet", CONV, {**tucker, "factor": 4}),
        (LokrModule, "text", QUERY, alpha),
    ], 0.75)
    by_lycoris(bench, "ia3", [
        (IA3Module, "unet", VALUE, {}),
        (IA3Module, "unet", FEED, {"train_on_input": True}),
        (IA3Module, "unet", CONV, {}),
        (IA3Module, "text", QUERY, {}),
    ], 0.75)
    differences(bench)
    both = Bench.__new__(Bench)
    pipe = bench.pipeline()
    both.unet, both.text = pipe.unet, pipe.text_encoder
    with torch.no_grad():
        for state, scale, kind in ((first, 0.8, "lora"), (second, -0.5, "loha")):
            add_to(both, bench, state, scale, kind)
    bench.predict("both", both.unet, both.text)
    metadata = {"cases": json.dumps(bench.cases), "torch": torch.__version__}
    content = save({k: v.detach().contiguous() for k, v in bench.found.items()}, metadata)
    if options.output.suffix == ".gz":
        content = gzip.compress(content, 9, mtime=0)
    options.output.write_bytes(content)
    print(f"{len(bench.cases)} cases, {len(content)} bytes")


def add_to(changed, bench, state, scale, kind):
    """Adds what LyCORIS reads from a file to the weights of both networks."""
    for network, paths in (("unet", LAYERS), ("text", TEXT_LAYERS)):
        for path in paths:
            name = flat(network, path)
            own = {
                k[len(name) + 1:]: v for k, v in state.items() if k.startswith(f"{name}.")
            }
            if not own:
                continue
            kinds = {"lora": LoConModule, "loha": LohaModule}
            layer = bench.layer(network, path)
            params = [own.get(k) for k in kinds[kind].weight_list]
            module = kinds[kind].make_module_from_state_dict(name, layer, *params)
            changed.layer(network, path).weight.data += difference(
                module, layer, scale
            )


if __name__ == "__main__":
    main()

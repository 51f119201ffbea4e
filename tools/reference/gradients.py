"""PyTorch's gradients of single ops, for tests of every gradient rule.

    python tools/reference/gradients.py tests/goldens/gradients.safetensors.gz

For each case, in the project's layouts (images (B, H, W, C), convolution weights
(O, KH, KW, I), linear weights (N, K), attention (B, T, heads · width)):

| `CASE.INPUT`   | an input, by the op's own name; i32 for `ids`       |
| `CASE.dy`      | gradient of the output: the output has its shape    |
| `CASE.d_INPUT` | gradient of that input: the sum of dy · dy/dinput   |

The header's `__metadata__.cases` is JSON by case: `op`, the name of an op of
src/ops; `attributes`, as that op takes them; `inputs`, in the op's order. Three
are no ops there yet: `mean_squared_error` (a and b, one value), the op
`cosine_similarity` (a and b over their last axis, eps for each norm), and
`resize` with `alignCorners: false`.

Computed in f64 and rounded to f32. Inputs and dy are multiples of 1/64, so that
they pack well and are exact; none of them meets a kink of ReLU, and no maximum
is found twice. An output path that ends in .gz is packed. Run with torch 2.15.0.
"""

import gzip
import json
import sys
from math import prod
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save

from identity import join_heads, split_heads

random = torch.Generator().manual_seed(14)
SAME = [1, 1, 1, 1]


def normal(*shape, scale=1.0):
    """Odd multiples of 1/64: never 0."""
    values = torch.randn(shape, generator=random, dtype=torch.float64) * scale
    return (torch.floor(values * 32) * 2 + 1) / 64


def distinct(*shape):
    """No value twice."""
    order = torch.randperm(prod(shape), generator=random)
    return (order.double() - prod(shape) / 2).reshape(shape) / 64


def ids(*shape, below):
    return torch.randint(0, below, shape, generator=random)


ACTIVATIONS = {
    None: lambda x: x,
    "none": lambda x: x,
    "silu": F.silu,
    "gelu": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
}


def linear(x, weight, bias=None, residual=None, *, activation=None):
    y = F.linear(x, weight, bias)
    return ACTIVATIONS[activation](y if residual is None else y + residual)


def conv2d(
    x,
    weight,
    bias=None,
    channelBias=None,
    residual=None,
    *,
    stride=1,
    padding=(0, 0, 0, 0),
    upsampleTo=None,
    activation=None,
):
    x = x.permute(0, 3, 1, 2)
    if upsampleTo:
        x = F.interpolate(x, tuple(upsampleTo))
    top, right, bottom, left = padding
    x = F.pad(x, (left, right, top, bottom))
    y = F.conv2d(x, weight.permute(0, 3, 1, 2), bias, stride).permute(0, 2, 3, 1)
    if channelBias is not None:
        y = y + channelBias[:, None, None]
    return ACTIVATIONS[activation](y if residual is None else y + residual)


def attention(q, k, v, identityScale=None, *, heads, textKeys=None, causal=False):
    def part(keys):
        parts = (split_heads(x, heads) for x in (q, k[:, keys], v[:, keys]))
        return join_heads(F.scaled_dot_product_attention(*parts, is_causal=causal))

    text = part(slice(0, textKeys))
    if identityScale is None:
        return text
    return text + identityScale * part(slice(textKeys, None))


def group_norm(x, weight, bias, *, groups, eps, activation=None):
    y = F.group_norm(x.movedim(-1, 1), groups, weight, bias, eps)
    return ACTIVATIONS[activation](y.movedim(1, -1))


def layer_norm(x, weight, bias, *, eps):
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def geglu(x):
    hidden, gate = x.chunk(2, -1)
    return hidden * F.gelu(gate)


def softmax(x):
    return F.softmax(x, -1)


def embedding(ids, table, positions=None):
    y = F.embedding(ids, table)
    return y if positions is None else y + positions[: ids.shape[1]]


def resize(x, *, height, width, mode, alignCorners=True):
    corners = alignCorners if mode == "bilinear" else None
    x = x.permute(0, 3, 1, 2)
    y = F.interpolate(x, (height, width), mode=mode, align_corners=corners)
    return y.permute(0, 2, 3, 1)


def pool2d(x, *, mode, kernel, stride=1, padding=0):
    pool = F.max_pool2d if mode == "max" else F.avg_pool2d
    y = pool(x.permute(0, 3, 1, 2), tuple(kernel), stride, padding)
    return y.permute(0, 2, 3, 1)


def concat(a, b, *, axis):
    return torch.cat([a, b], axis)


def view(x, *, shape, strides, offset=0):
    return torch.as_strided(x.contiguous(), shape, strides, offset)


def binary(a, b, *, operation):
    return getattr(torch, operation)(a, b)


def map(x, *, activation=None, scale=1, offset=0):
    return scale * ACTIVATIONS[activation](x) + offset


def matmul(a, b, *, transposeA=False, transposeB=False):
    return (a.mT if transposeA else a) @ (b.mT if transposeB else b)


def mean_squared_error(a, b):
    return F.mse_loss(a, b).reshape(1)


def cosine_similarity(a, b, *, eps):
    return F.cosine_similarity(a, b, -1, eps)


def cases():
    """Name, op, attributes, inputs."""
    yield "linear", linear, {}, {"x": normal(2, 3, 8), "weight": normal(5, 8)}
    for activation in ACTIVATIONS:
        if activation in (None, "none"):
            continue
        inputs = {
            "x": normal(2, 5, 12),
            "weight": normal(7, 12, scale=0.3),
            "bias": normal(7),
            "residual": normal(2, 5, 7),
        }
        yield f"linear_{activation}", linear, {"activation": activation}, inputs
        attributes = {"activation": activation, "scale": -1.75, "offset": 0.5}
        yield f"map_{activation}", map, attributes, {"x": normal(3, 5, 7, scale=2)}
    # Rows and columns beyond any tile of a kernel.
    inputs = {"x": normal(66, 20), "weight": normal(67, 20, scale=0.2)}
    yield "linear_tiles", linear, {}, inputs | {"bias": normal(67)}

    for name, x, weight, more, attributes in [
        ("3x3", (2, 5, 7, 8), (6, 3, 3), {}, {"padding": SAME}),
        ("1x1", (2, 5, 6, 12), (10, 1, 1), {}, {}),
        ("stride_2", (2, 6, 7, 8), (4, 3, 3), {}, {"stride": 2, "padding": SAME}),
        (
            "stride_2_uneven",
            (1, 8, 9, 8),
            (7, 3, 3),
            {},
            {"stride": 2, "padding": [0, 1, 1, 0]},
        ),
        ("uneven", (1, 6, 5, 4), (3, 3, 3), {}, {"padding": [2, 0, 1, 3]}),
        (
            "upsampled",
            (2, 4, 3, 8),
            (8, 3, 3),
            {"channelBias": (2, 8), "residual": (2, 8, 6, 8)},
            {"padding": SAME, "upsampleTo": [8, 6]},
        ),
        (
            "upsampled_odd",
            (1, 4, 5, 4),
            (5, 3, 3),
            {"residual": (1, 7, 9, 5)},
            {"padding": SAME, "upsampleTo": [7, 9]},
        ),
        (
            "all",
            (2, 5, 4, 8),
            (12, 3, 3),
            {"channelBias": (2, 12), "residual": (2, 5, 4, 12)},
            {"padding": SAME, "activation": "silu"},
        ),
        ("patches", (1, 12, 8, 4), (6, 4, 4), {}, {"stride": 4}),
        ("more_tiles", (1, 9, 10, 12), (8, 3, 3), {}, {"padding": SAME}),
    ]:
        out, rows, columns = weight
        scale = (rows * columns * x[-1]) ** -0.5
        inputs = {
            "x": normal(*x),
            "weight": normal(*weight, x[-1], scale=scale),
            "bias": normal(out),
        }
        inputs |= {key: normal(*shape) for key, shape in more.items()}
        yield f"conv2d_{name}", conv2d, attributes, inputs

    for name, batch, queries, keys, channels, attributes in [
        ("self", 2, 9, 9, 16, {"heads": 2}),
        ("cross", 2, 7, 13, 24, {"heads": 3}),
        ("causal", 1, 11, 11, 16, {"heads": 4, "causal": True}),
        ("identity", 2, 10, 21, 16, {"heads": 2, "textKeys": 15}),
        ("ignored_identity", 1, 5, 9, 8, {"heads": 2, "textKeys": 6}),
        ("wide", 1, 5, 6, 40, {"heads": 1}),
        ("long", 1, 35, 70, 8, {"heads": 1}),
    ]:
        inputs = {
            "q": normal(batch, queries, channels),
            "k": normal(batch, keys, channels),
            "v": normal(batch, keys, channels),
        }
        if name == "identity":
            inputs["identityScale"] = torch.tensor([0.75], dtype=torch.float64)
        yield f"attention_{name}", attention, attributes, inputs

    for name, shape, attributes in [
        ("plain", (2, 5, 3, 12), {"groups": 3, "eps": 1e-5}),
        ("silu", (2, 4, 5, 16), {"groups": 4, "eps": 1e-6, "activation": "silu"}),
        ("rows", (1, 70, 8), {"groups": 2, "eps": 1e-5}),
    ]:
        weight, bias = normal(shape[-1]), normal(shape[-1])
        inputs = {"x": normal(*shape) + 0.5, "weight": weight, "bias": bias}
        yield f"group_norm_{name}", group_norm, attributes, inputs
    inputs = {"x": normal(2, 7, 12), "weight": normal(12), "bias": normal(12)}
    yield "layer_norm", layer_norm, {"eps": 1e-5}, inputs
    inputs = {"x": normal(3, 136), "weight": normal(136), "bias": normal(136)}
    yield "layer_norm_wide", layer_norm, {"eps": 1e-5}, inputs
    yield "geglu", geglu, {}, {"x": normal(2, 5, 24, scale=2)}
    yield "softmax", softmax, {}, {"x": normal(3, 5, 7, scale=2)}
    inputs = {"ids": ids(2, 5, below=9), "table": normal(9, 8)}
    yield "embedding_positions", embedding, {}, inputs | {"positions": normal(6, 8)}
    # One row many times, one never.
    inputs = {"ids": ids(2, 9, below=3), "table": normal(4, 4)}
    yield "embedding", embedding, {}, inputs

    for name, mode, height, width, more in [
        ("nearest_up", "nearest", 10, 7, {}),
        ("nearest_down", "nearest", 3, 2, {}),
        ("bilinear_up", "bilinear", 9, 11, {}),
        ("bilinear_down", "bilinear", 3, 2, {}),
        ("bilinear_one_row", "bilinear", 1, 8, {}),
        ("bilinear_centres_up", "bilinear", 9, 8, {"alignCorners": False}),
        ("bilinear_centres_down", "bilinear", 2, 3, {"alignCorners": False}),
    ]:
        attributes = {"height": height, "width": width, "mode": mode, **more}
        yield f"resize_{name}", resize, attributes, {"x": normal(2, 5, 4, 4)}
    for mode in ("max", "mean"):
        attributes = {"mode": mode, "kernel": [3, 3], "stride": 2, "padding": 1}
        yield f"pool2d_{mode}", pool2d, attributes, {"x": distinct(2, 7, 6, 4)}
        attributes = {"mode": mode, "kernel": [4, 3]}
        yield f"pool2d_{mode}_whole", pool2d, attributes, {"x": distinct(1, 4, 3, 8)}

    inputs = {"a": normal(2, 3, 4), "b": normal(2, 5, 4)}
    yield "concat", concat, {"axis": 1}, inputs
    inputs = {"a": normal(2, 3, 2, 4), "b": normal(2, 3, 2, 8)}
    yield "concat_channels", concat, {"axis": 3}, inputs
    for name, x, shape, strides, offset in [
        ("slice", (5, 6), [3, 4], [6, 1], 7),
        ("transposed", (4, 7), [7, 4], [1, 7], 0),
        ("repeated", (3, 4), [2, 3, 4], [0, 4, 1], 0),
        ("reordered", (2, 3, 4, 5), [5, 3, 2, 4], [1, 20, 60, 5], 0),
        ("steps", (30,), [3, 4], [9, 2], 1),
        ("overlapping", (12,), [5, 4], [2, 1], 0),
    ]:
        attributes = {"shape": shape, "strides": strides, "offset": offset}
        yield f"view_{name}", view, attributes, {"x": normal(*x)}
    for operation, a, b in [
        ("add", (2, 3, 5), (2, 3, 5)),
        ("add", (1,), (2, 2, 3, 4)),
        ("sub", (4, 7), (7,)),
        ("mul", (2, 3, 1, 5), (3, 4, 1)),
        ("div", (1, 1, 6), (2, 5, 1)),
    ]:
        name = f"binary_{operation}" + ("_one" if a == (1,) else "")
        inputs = {"a": normal(*a), "b": normal(*b)}
        if operation == "div":
            # Away from 0.
            inputs["b"] = inputs["b"].abs() + 0.5
        yield name, binary, {"operation": operation}, inputs
    yield "matmul", matmul, {}, {"a": normal(2, 5, 7), "b": normal(2, 7, 6)}
    attributes = {"transposeA": True, "transposeB": True}
    inputs = {"a": normal(3, 7, 5), "b": normal(1, 6, 7)}
    yield "matmul_transposed", matmul, attributes, inputs
    inputs = {"a": normal(2, 3, 5, 4), "b": normal(2, 3, 5, 4)}
    yield "mean_squared_error", mean_squared_error, {}, inputs
    inputs = {"a": normal(2, 9, 12), "b": normal(2, 9, 12)}
    # What the face's mask makes of tokens outside it.
    inputs["a"][0, :3] = 0
    inputs["b"][0, 2:5] = 0
    yield "cosine_similarity", cosine_similarity, {"eps": 1e-8}, inputs


def main():
    path = Path(sys.argv[1])
    found, described = {}, {}
    for name, op, attributes, inputs in cases():
        assert name not in described
        leaves = {k: x.requires_grad_() for k, x in inputs.items() if k != "ids"}
        y = op(**inputs, **attributes)
        dy = normal(*y.shape)
        gradients = torch.autograd.grad(y, list(leaves.values()), dy, allow_unused=True)
        for key, gradient in zip(leaves, gradients):
            if gradient is None:
                gradient = torch.zeros_like(leaves[key])
            found[f"{name}.d_{key}"] = gradient.float().contiguous()
        for key, value in inputs.items():
            kept = value.int() if key == "ids" else value.detach().float()
            found[f"{name}.{key}"] = kept.contiguous()
        found[f"{name}.dy"] = dy.float()
        described[name] = {
            "op": op.__name__,
            "attributes": attributes,
            "inputs": list(inputs),
        }
    assert all(torch.isfinite(x).all() for x in found.values())
    metadata = {"cases": json.dumps(described), "torch": torch.__version__}
    content = save(found, metadata)
    if path.suffix == ".gz":
        content = gzip.compress(content, 9, mtime=0)
    path.write_bytes(content)
    print(f"{len(described)} cases, {len(content)} bytes")


if __name__ == "__main__":
    main()

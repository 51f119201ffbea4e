"""Weights and inputs that tests draw again, so that no file needs to hold them.

`drawn(count, seed)` are numbers in -1..1; `tests/support/drawn_weights.ts` makes
the same. `fill` gives every tensor of a module its own, by its name's place in
the alphabet.
"""

import numpy as np
import torch


def drawn(count, seed):
    """(count) f32 in -1..1, from a hash of seed and index."""
    x = (np.arange(count, dtype=np.uint64) + np.uint64(seed * 1000003)) & 0xFFFFFFFF
    for _ in range(2):
        x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x45D9F3B)) & 0xFFFFFFFF
    x = x ^ (x >> np.uint64(16))
    return (x.astype(np.float64) / 2**31 - 1).astype(np.float32)


def drawn_tensor(shape, seed):
    count = int(np.prod(shape))
    return torch.from_numpy(drawn(count, seed)).reshape(shape)


def fill(module, gain=1.0):
    """Fills a module: weights of variance gain² / inputs, norms about 1, biases small."""
    state = module.state_dict()
    filled = {}
    for seed, name in enumerate(sorted(state)):
        shape = state[name].shape
        values = drawn_tensor(shape, seed + 1)
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            values = values * np.float32(gain * (3 / fan_in) ** 0.5)
        elif name.endswith("weight"):
            values = 1 + values * np.float32(0.25)
        else:
            values = values * np.float32(0.125)
        filled[name] = values
    module.load_state_dict(filled)
    return module.eval()

"""The identity adapter as training sees it: parameters under the checkpoint's
names, an identity that changes from pass to pass, and the features that the
editing loss compares."""

import torch
import torch.nn.functional as F
from torch import nn

from identity import IDResampler, join_heads, split_heads
from networks import load, read_json


class Adapter(nn.Module):
    """`id_encoder` and `adapter_modules`; the latter's keys are positions in
    UNet2DConditionModel.attn_processors, of which only attn2's hold something."""

    def __init__(self, folder, checkpoint, unet):
        super().__init__()
        tensors = torch.load(checkpoint, weights_only=True)
        self.id_encoder = encoder_of(folder, tensors["id_encoder"])
        self.adapter_modules = nn.ModuleDict()
        self.condition = Condition()
        processors = {}
        for position, (name, processor) in enumerate(unet.attn_processors.items()):
            if ".attn2." in name:
                pair = nn.ModuleDict()
                for kind in ("to_k_img", "to_v_img"):
                    weight = tensors["adapter_modules"][f"{position}.{kind}.weight"]
                    pair[kind] = nn.Linear(*reversed(weight.shape), bias=False)
                    pair[kind].weight.data.copy_(weight)
                self.adapter_modules[str(position)] = pair
                is_edited = name.startswith("up_blocks.1.")
                processor = IdentityAttention(pair, self.condition, is_edited)
            processors[name] = processor
        unet.set_attn_processor(processors)


class Condition:
    """What the next pass of the UNet depends on beside its arguments."""

    identity = None  # (B, tokens of all references, C)
    features = None  # a list to which the edited layers append, or None


class IdentityAttention:
    """Text attention plus attention to the identity, with the same queries and a
    softmax of its own."""

    def __init__(self, pair, condition, is_edited):
        self.pair = pair
        self.condition = condition
        self.is_edited = is_edited

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        q = split_heads(attn.to_q(hidden_states), attn.heads)

        def attend(keys, values):
            k, v = (split_heads(x, attn.heads) for x in (keys, values))
            return join_heads(F.scaled_dot_product_attention(q, k, v))

        text, identity = encoder_hidden_states, self.condition.identity
        hidden = attend(attn.to_k(text), attn.to_v(text))
        if self.is_edited and self.condition.features is not None:
            # (B, rows · columns, C): before the identity, before to_out.
            self.condition.features.append(hidden)
        hidden = hidden + attend(
            self.pair["to_k_img"](identity), self.pair["to_v_img"](identity)
        )
        return attn.to_out[0](hidden)


def encoder_of(folder, tensors):
    """An identity encoder with these tensors."""
    config = read_json(folder / "adapter_config.json")
    width, inputs = tensors["proj_in.weight"].shape
    return load(IDResampler(config, width, inputs), tensors)

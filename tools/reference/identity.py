"""The identity encoder and the identity part of cross-attention, as MasterWeaver
defines them."""

import torch
import torch.nn.functional as F
from torch import nn


class PerceiverAttention(nn.Module):
    """Latents ask; keys and values are of the image, and of the latents too."""

    def __init__(self, width, heads, head_width):
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, image, latents, with_latents=True):
        image, latents = self.norm1(image), self.norm2(latents)
        asked = torch.cat([image, latents], 1) if with_latents else image
        q = split_heads(self.to_q(latents), self.heads)
        k, v = (split_heads(x, self.heads) for x in self.to_kv(asked).chunk(2, -1))
        return self.to_out(join_heads(F.scaled_dot_product_attention(q, k, v)))


class IDResampler(nn.Module):
    """(B, tokens, inputs) of the image encoder to (B, num_tokens, width)."""

    def __init__(self, config, width, inputs):
        super().__init__()
        heads, head_width = config["heads"], config["dim_head"]
        wide = config["ff_mult"] * width
        self.latents = nn.Parameter(torch.zeros(1, config["num_tokens"], width))
        self.proj_in = nn.Linear(inputs, width)
        self.proj_out = nn.Linear(width, width)
        self.norm_out = nn.LayerNorm(width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(width, heads, head_width),
                    nn.Sequential(
                        nn.LayerNorm(width),
                        nn.Linear(width, wide, bias=False),
                        nn.GELU(),
                        nn.Linear(wide, width, bias=False),
                    ),
                ]
            )
            for _ in range(config["depth"])
        )
        self.final_attn = PerceiverAttention(width, heads, head_width)

    def forward(self, features):
        x = self.proj_in(features)
        latents = self.latents.expand(len(x), -1, -1)
        for attention, feed_forward in self.layers:
            # One residual around both, not the usual two.
            latents = feed_forward(attention(x, latents)) + latents
        latents = self.norm_out(self.proj_out(latents))
        return self.final_attn(latents, latents, with_latents=False) + latents


class IdentityProcessor(nn.Module):
    """Text attention, and beside it the same queries on the identity's tokens."""

    def __init__(self, tensors, identity, scale):
        super().__init__()
        self.key, self.value = tensors
        self.identity = identity
        self.scale = scale

    def forward(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        heads = attn.heads
        q = split_heads(attn.to_q(hidden_states), heads)
        k, v = (split_heads(to(context), heads) for to in (attn.to_k, attn.to_v))
        hidden = join_heads(F.scaled_dot_product_attention(q, k, v))
        k, v = (
            split_heads(F.linear(self.identity, w), heads) for w in (self.key, self.value)
        )
        hidden = hidden + self.scale * join_heads(
            F.scaled_dot_product_attention(q, k, v)
        )
        return attn.to_out[0](hidden)


def attach_identity(unet, tensors, identity, scale=1.0):
    """Gives every attn2 its identity part; positions are those of attn_processors."""
    processors = {}
    for position, (name, processor) in enumerate(unet.attn_processors.items()):
        names = [f"{position}.{kind}_img.weight" for kind in ("to_k", "to_v")]
        if ".attn2." in name:
            pair = [tensors[n] for n in names]
            processor = IdentityProcessor(pair, identity, scale)
        processors[name] = processor
    unet.set_attn_processor(processors)


def split_heads(x, heads):
    """(B, N, C) to (B, heads, N, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x):
    """(B, heads, N, D) to (B, N, heads · D)."""
    return x.transpose(1, 2).flatten(2)

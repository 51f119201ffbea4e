"""Embeddings of textual inversion as the programs that train them save them.

    pip install torch
    python tools/reference/embeddings.py tests/fixtures/torch

writes, with vectors of 8 numbers, value i of all being i / 4:

- embedding_webui.pt: AUTOMATIC1111's, two vectors;
- embedding_parameters.pt: an older one, in PyTorch's ParameterDict, two vectors;
- embedding_concept.bin: diffusers' learned_embeds, one vector without an axis for it.
"""

import sys
from pathlib import Path

import torch

folder = Path(sys.argv[1])
two = torch.arange(16, dtype=torch.float32).reshape(2, 8) / 4


def web_ui(parameters):
    return {
        "string_to_token": {"*": 265},
        "string_to_param": parameters,
        "name": "style",
        "step": 499,
        "sd_checkpoint": "6ce0161689",
        "sd_checkpoint_name": "v1-5-pruned-emaonly",
    }


torch.save(web_ui({"*": two.clone().requires_grad_()}), folder / "embedding_webui.pt")
dictionary = torch.nn.ParameterDict({"*": torch.nn.Parameter(two.clone())})
torch.save(web_ui(dictionary), folder / "embedding_parameters.pt")
torch.save({"<style>": two[0].half()}, folder / "embedding_concept.bin")

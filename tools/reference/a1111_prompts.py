"""What AUTOMATIC1111's web UI makes of prompts, in its own code.

    pip install torch transformers safetensors lark
    python tools/reference/a1111_prompts.py WEBUI CHECKPOINT tests/goldens

WEBUI is a checkout of the web UI, of which only prompt_parser.py,
sd_emphasis.py and sd_hijack_clip.py in modules/ are run; CHECKPOINT is the
folder that weights/mini was converted from. Writes

- prompts.json: the texts of scheduled prompts (`schedules`), of weights
  (`attention`), and the chunks of token ids and weights (`chunks`);
- prompts.safetensors: of each of `chunks`, its features after weighting, f32
  (chunks * 77, C) of all variants one after the other, folded into 128 sums as
  tests/support/fold.ts does.

An embedding of textual inversion with N vectors is made up: value i of it is
((37 i) mod 101 - 50) / 500.
"""

import json
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SUMS = 128
STEPS = 10

SCHEDULES = [
    "test", "a [b:3]", "a [b: 3]", "a [[[b]]:2]", "[(a:2):3]", "a [b : c : 1] d",
    "a[b:[c:d:2]:1]e", "a [unbalanced", "a [b:.5] c", "a [{b|d{:.5] c", "((a][:b:c [d:3]",
    "[a|(b:1.1)]", "[fe|]male", "[fe|||]male", "[[a:3]:b]", "[a:b:c:3]", "[a:[b:3]",
    "a | b [c:3]", "[a:b:1.0]", "[a:b:5.0]", "[a:5e-1]", "[[a:b:3]|c]", "[a:b:-1]", "[a:b:0]",
    "(a:[b:3])", "[a(b:3]", "[:3]", "[::3]", "[a::3]", "[:a:3]", "[a:b:99]", "\\[a:b:3]",
    "[a\\:b:c:3]", "[a:b:3]\\", "a (b [c:d:0.3]:1.2) e", "a [cat:dog:5]) x", "(a [cat:dog:5]",
    "a [b [cat:dog:5]] c", "a: [b:c:3]", "a [b:c:3]: d", "[a:b:3][c:d:0.7]", "", "[|]", "[]",
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75]"
    "[ in foreground::0.6][ in background:0.25] [shoddy:masterful:0.5]",
]

ATTENTION = [
    "normal text", "an (important) word", "(unbalanced", "\\(literal\\]", "(unnecessary)(parens)",
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "", "()", "[]", "a)b]c", "a:b", "(a:b)",
    "(a:1.2", "(a: 1.2 )", "(a:-0.5)", "(a:+.5)", "[a:1.2]", "a\\\\b", "a\\b", "((a)[b](c:2))",
    "a BREAK b", "aBREAK b", "a BREAKb", "a\nBREAK\nb", "BREAK", "BREAK BREAK", "(a BREAK b)",
    "(a:0)", "[[[a]]]", "(a (b:1.5):0.5)", "((((", "]]]]", "a (b\\)c:1.4) d",
]

WORDS = "a photo of the man with red hair and a hat in the snow near a lake at night ".split()
LONG = " ".join(WORDS * 5)

# Prompt, vectors of the embeddings by name, clip skip.
CHUNKS = [
    ("", {}, 1),
    ("a man in the snow", {}, 1),
    ("a (man:1.3) in the [snow]", {}, 1),
    ("a (man:1.3) in the [snow]", {}, 2),
    (LONG, {}, 1),
    (LONG[:290] + ", a (smiling woman:1.4) in a garden with flowers and trees, painted", {}, 1),
    ("a man BREAK in the (snow:0.7) BREAK at night", {}, 1),
    ("a [man:woman:0.3] in (snow:1.5)", {}, 1),
    ("a [man|(woman:1.3)] in the snow, " + "[hat:" + LONG + ":4]", {}, 1),
    ("a photo of (Style One:1.2), zed", {"style one": 3, "zed": 1, "style": 2}, 1),
    (" ".join(WORDS * 4) + " big big", {"big": 8}, 2),
]


class Opts:
    emphasis = "Original"
    comma_padding_backtrack = 20
    use_old_emphasis_implementation = False
    textual_inversion_add_hashes_to_infotext = False
    CLIP_stop_at_last_layers = 1


def web_ui(folder):
    """The web UI's two modules, with what they import of it made up."""
    modules = types.ModuleType("modules")
    modules.__path__ = [str(Path(folder) / "modules")]
    made_up = {
        "shared": {"opts": Opts},
        "devices": {"device": "cpu", "torch_npu_set_device": lambda: None},
        "sd_hijack": {"StableDiffusionModelHijack": object},
    }
    sys.modules["modules"] = modules
    for name, content in made_up.items():
        module = types.ModuleType(f"modules.{name}")
        vars(module).update(content)
        sys.modules[f"modules.{name}"] = module
        setattr(modules, name, module)
    from modules import prompt_parser, sd_hijack_clip
    return prompt_parser, sd_hijack_clip


class Embedding:
    def __init__(self, name, vectors, channels):
        self.name = name
        self.vectors = vectors
        values = [((37 * i) % 101 - 50) / 500 for i in range(vectors * channels)]
        self.vec = torch.tensor(values).reshape(vectors, channels)


class Hijack:
    """The web UI's table of embeddings, and where they are put in."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.embedding_db = self
        self.extra_generation_params = {}
        self.named = []
        self.fixes = []

    def use(self, embeddings, channels):
        self.named = [
            (self.tokenizer([name], add_special_tokens=False)["input_ids"][0],
             Embedding(name, vectors, channels))
            for name, vectors in embeddings.items()
        ]
        self.named.sort(key=lambda named: len(named[0]), reverse=True)

    def find_embedding_at_position(self, tokens, position):
        for ids, embedding in self.named:
            if tokens[position:position + len(ids)] == ids:
                return embedding, len(ids)
        return None, None

    def put_in(self, module, inputs, output):
        output = output.clone()
        for row, fixes in zip(output, self.fixes):
            for offset, embedding in fixes:
                row[offset + 1:offset + 1 + embedding.vectors] = embedding.vec
        return output


def text_tower(folder):
    folder = Path(folder) / "text_encoder"
    config = json.loads((folder / "config.json").read_text())
    model = CLIPTextModel(CLIPTextConfig(**config)).eval()
    tensors = load_file(folder / "model.safetensors")
    # Some versions of transformers name the tensors without the tower's prefix.
    state = {
        name: tensors.get(name, tensors.get(f"text_model.{name}")).float()
        for name in model.state_dict() if not name.endswith("position_ids")
    }
    model.load_state_dict(state, strict=False)
    if not hasattr(model, "text_model"):
        model.__dict__["text_model"] = model
    return model


def fold(values):
    """As tests/support/fold.ts."""
    sums = [0.0] * SUMS
    mask = 0xFFFFFFFF
    for i, value in enumerate(values.flatten().tolist()):
        h = (i ^ (i >> 16)) & mask
        h = (h * 0x85EBCA6B) & mask
        h ^= h >> 13
        h = (h * 0xC2B2AE35) & mask
        h ^= h >> 16
        sums[i % SUMS] += -value if not h & 1 else value
    return torch.tensor(sums, dtype=torch.float32)


def pairs(values, neutral):
    """A chunk without its padding: its values up to the last that is not neutral."""
    values = list(values)
    while len(values) > 1 and values[-1] == neutral and values[-2] == neutral:
        values.pop()
    return values


@torch.no_grad()
def main(webui, checkpoint, goldens):
    parser, clip = web_ui(webui)
    tokenizer = CLIPTokenizer.from_pretrained(str(Path(checkpoint) / "tokenizer"))
    tower = text_tower(checkpoint)
    hijack = Hijack(tokenizer)
    wrapped = types.SimpleNamespace(tokenizer=tokenizer, transformer=tower)
    encoder = clip.FrozenCLIPEmbedderWithCustomWords(wrapped, hijack)
    table = tower.text_model.embeddings.token_embedding
    table.register_forward_hook(hijack.put_in)
    schedule = lambda prompt: parser.get_learned_conditioning_prompt_schedules([prompt], STEPS)[0]

    chunks, features = [], {}
    for number, (prompt, embeddings, skip) in enumerate(CHUNKS):
        Opts.CLIP_stop_at_last_layers = skip
        hijack.use(embeddings, table.weight.shape[1])
        texts = [text for _, text in schedule(prompt)]
        encoded = encoder(texts)
        different = list(dict.fromkeys(texts))
        features[str(number)] = fold(torch.cat([encoded[texts.index(t)] for t in different]))
        chunks.append({
            "prompt": prompt,
            "embeddings": embeddings,
            "clipSkip": skip,
            "variants": [[{
                "ids": pairs(chunk.tokens, encoder.id_end),
                "weights": pairs(chunk.multipliers, 1),
            } for chunk in encoder.tokenize_line(text)[0]] for text in different],
        })
    goldens = Path(goldens)
    save_file(features, goldens / "prompts.safetensors")
    content = {
        "steps": STEPS,
        "schedules": [[prompt, schedule(prompt)] for prompt in SCHEDULES],
        "attention": [[text, parser.parse_prompt_attention(text)] for text in ATTENTION],
        "chunks": chunks,
    }
    lines = [
        f'  {json.dumps(key)}: ' + (json.dumps(value) if key == "steps" else "[\n    "
        + ",\n    ".join(json.dumps(one) for one in value) + "\n  ]")
        for key, value in content.items()
    ]
    (goldens / "prompts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Random draws of training steps, in the layout that train.py replays."""

import torch
from transformers import CLIPTokenizer

from networks import PROMPT_TOKENS, REFERENCES

# A word, the same edited, a template: what the editing loss compares.
EDITS = [
    ("a photo of a {}", "woman", "woman with curly hair"),
    ("the photo of a {}", "man", "smiling man"),
    ("a good photo of the {}", "girl", "girl wearing sunglasses"),
    ("a photo of the cool {}", "boy", "boy with red hair"),
]

# Pixels of an image that are alike in rows and columns: files pack well.
CELL = 8


def make_inputs(trainer, tokenize, seed, batch, steps, size, dropped=(), faceless=()):
    """All that `steps` steps draw.

    size: rows and columns of the images. dropped: samples whose identity is all
    zeros. faceless: samples with an empty face box."""
    # Noise has a generator of its own, so that whoever knows the seed can draw it.
    random, noise = (torch.Generator().manual_seed(seed + i) for i in (1000, 0))

    def normal(*shape, generator=noise):
        return torch.randn(shape, generator=generator)

    def normal_mosaics(count, sides):
        cells = [-(-n // CELL) for n in sides]
        return mosaic(normal(count, 3, *cells, generator=random), sides)

    def below(low, high):
        return torch.randint(low, high, (steps, batch), generator=random).int()

    side = trainer.vision.config.image_size
    latent = [n // trainer.pixels_per_latent for n in size]
    # Every sample has one reference more than the one before, up to three.
    clip_images = normal_mosaics(batch * REFERENCES, [side, side])
    clip_images = clip_images.unflatten(0, (batch, REFERENCES))
    for sample in range(batch):
        clip_images[sample, sample % REFERENCES + 1 :] = 0
    clip_images[list(dropped)] = 0
    words = [EDITS[i % len(EDITS)] for i in range(batch)]
    inputs = {
        "vae_noise": normal(batch, 4, *latent),
        "noise": normal(steps, batch, 4, *latent),
        "noise_edit": normal(steps, batch, 4, *latent),
        "timesteps": below(0, 1000),
        "timesteps_edit": below(100, 350),
        "lambda": torch.rand(steps, batch, generator=random) * 0.6 + 0.2,
        "clip_images": clip_images,
        "images": normal_mosaics(batch, size).mul(0.5).clamp(-1, 1),
        "face_box": face_boxes(batch, size, faceless),
        "input_ids": tokenize([form.format(edit) for form, _, edit in words]),
        "rec_ids": tokenize([form.format(word) for form, word, _ in words]),
        "edit_ids": tokenize([form.format(edit) for form, _, edit in words]),
    }
    inputs["latents"] = trainer.latents(inputs).float().contiguous()
    return inputs


def mosaic(cells, size):
    """(N, C, h, w) to images of a size, each value over a square of pixels."""
    images = cells.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)
    return images[:, :, : size[0], : size[1]]


def face_boxes(batch, size, faceless):
    """(B, 1, H, W) of zeros and ones, no two alike."""
    boxes = torch.zeros(batch, 1, *size)
    rows, columns = size
    for sample in set(range(batch)) - set(faceless):
        shift = sample / batch / 4
        top, left = int(rows * (0.1 + shift)), int(columns * (0.2 + shift))
        boxes[sample, :, top : top + rows // 2, left : left + columns // 2] = 1
    return boxes


def tokenizer_of(folder, vocabulary):
    """Prompts to (B, 77) ids; a stand-in where a folder has no tokenizer."""
    if (folder / "tokenizer/vocab.json").exists():
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        return lambda prompts: tokenizer(
            prompts,
            padding="max_length",
            max_length=PROMPT_TOKENS,
            truncation=True,
            return_tensors="pt",
        ).input_ids.int()
    return lambda prompts: torch.tensor(
        [stand_in(prompt, vocabulary) for prompt in prompts], dtype=torch.int32
    )


def stand_in(prompt, vocabulary):
    """A number for a word, between the marks of beginning and end."""
    words = [sum(word.encode()) % (vocabulary - 2) for word in prompt.split()]
    ids = [vocabulary - 2, *words]
    return ids + [vocabulary - 1] * (PROMPT_TOKENS - len(ids))

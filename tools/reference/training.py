"""A step of both training stages, as the method defines it."""

import torch
import torch.nn.functional as F
from torch import nn

from adapter import Adapter, encoder_of
from networks import (
    pixels_per_latent,
    read_json,
    text_module,
    unet_module,
    vae_module,
    vision_module,
)

# Of the whole loss, by stage.
NOISE_WEIGHT = {1: 0.6, 2: 0.8}
LEARNING_RATE = {1: 1e-4, 2: 2e-6}
WEIGHT_DECAY = 1e-2
MAX_NORM = 1.0
# Added to the mask's sum of the editing loss.
NO_FACE = 1e-13


class Trainer:
    """The frozen networks of a folder, and the adapter in training.

    Recorded draws are those of a file of inputs, in PyTorch's layouts."""

    def __init__(self, folder, adapter, stage, dtype, lambda_edit):
        self.stage = stage
        self.lambda_edit = lambda_edit
        self.unet = unet_module(folder)
        self.vae = vae_module(folder)
        self.text = text_module(folder)
        self.vision = vision_module(folder)
        self.adapter = Adapter(folder, adapter, self.unet)
        # The edit's direction is asked of the encoder that stage 2 started from.
        start = torch.load(adapter, weights_only=True)["id_encoder"]
        self.first_encoder = encoder_of(folder, start)
        frozen = (self.unet, self.vae, self.text, self.vision, self.first_encoder)
        for module in frozen:
            module.requires_grad_(False)
        if stage == 2:
            self.adapter.adapter_modules.requires_grad_(False)
        for module in (*frozen, self.adapter):
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
            module.eval()
        self.dtype = dtype
        self.alphas = alphas_of(folder).to(dtype)
        self.pixels_per_latent = pixels_per_latent(self.vae)

    def trained(self):
        """Parameters in training, by the checkpoint's names."""
        return {n: p for n, p in self.adapter.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def latents(self, recorded):
        """(B, 4, h, w), scaled; drawn from the autoencoder if not recorded."""
        if "latents" in recorded:
            return recorded["latents"].to(self.dtype)
        moments = self.vae.encode(recorded["images"].to(self.dtype)).latent_dist
        drawn = moments.mean + moments.std * recorded["vae_noise"].to(self.dtype)
        return drawn * self.vae.config.scaling_factor

    @torch.no_grad()
    def image_features(self, images):
        """(N, 3, H, W) to the image encoder's penultimate state."""
        return self.vision(
            images.to(self.dtype), output_hidden_states=True
        ).hidden_states[-2]

    @torch.no_grad()
    def text_states(self, ids):
        return self.text(input_ids=ids.long()).last_hidden_state

    def identity(self, encoder, features, batch):
        """Tokens of a sample's references, one after the other."""
        tokens = encoder(features)
        return tokens.reshape(batch, -1, tokens.shape[-1])

    def noisy(self, latents, noise, timesteps):
        alpha = self.alphas[timesteps.long()].view(-1, 1, 1, 1)
        return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise.to(self.dtype)

    def predict(self, sample, timesteps, text, identity):
        self.adapter.condition.identity = identity
        return self.unet(sample, timesteps.long(), text).sample

    def edited_features(self, sample, timesteps, text, identity):
        """Of every attn2 in up_blocks.1, the text's part."""
        self.adapter.condition.features = found = []
        self.predict(sample, timesteps, text, identity)
        self.adapter.condition.features = None
        return found

    def losses(self, recorded, step, lap=lambda name: None):
        """The step's losses by name, and the two predictions.

        @param lap told the name of each part that is done"""
        batch, references = recorded["clip_images"].shape[:2]
        latents = self.latents(recorded)
        images = recorded["clip_images"].flatten(0, 1)
        features = self.image_features(images)
        text = self.text_states(recorded["input_ids"])
        lap("frozen_encoders")
        identity = self.identity(self.adapter.id_encoder, features, batch)
        timesteps, noise = recorded["timesteps"][step], recorded["noise"][step]
        sample = self.noisy(latents, noise, timesteps)
        predicted = self.predict(sample, timesteps, text, identity)
        lap("forward")
        with torch.no_grad():
            share = recorded["lambda"][step].to(self.dtype).view(-1, 1, 1)
            mixed = share * identity + (1 - share) * identity.flip(0)
            other = self.predict(sample, timesteps, text, mixed)
        face = F.interpolate(recorded["face_box"].to(self.dtype), latents.shape[2:])
        lap("background")
        losses = {
            "loss_mle": NOISE_WEIGHT[self.stage]
            * F.mse_loss(predicted, noise.to(self.dtype)),
            "loss_bg": (((other - predicted) * (1 - face)) ** 2).mean(),
            "loss_edit": torch.zeros((), dtype=self.dtype),
        }
        if self.stage == 2 and step % 2 == 0:
            zeros = self.image_features(torch.zeros_like(images[:1]))
            zeros = zeros.expand(batch * references, -1, -1)
            losses["loss_edit"] = self.editing_loss(
                recorded, step, latents, identity, zeros, face
            )
            lap("editing")
        return losses, predicted, other

    def editing_loss(self, recorded, step, latents, identity, zeros, face):
        timesteps = recorded["timesteps_edit"][step]
        sample = self.noisy(latents, recorded["noise_edit"][step], timesteps)
        plain = self.text_states(recorded["rec_ids"])
        edit = self.text_states(recorded["edit_ids"])

        def directions(identity):
            ends = (
                self.edited_features(sample, timesteps, text, identity)
                for text in (plain, edit)
            )
            return [after - before for before, after in zip(*ends)]

        own = directions(identity)
        with torch.no_grad():
            nobody = self.identity(self.first_encoder, zeros, len(identity))
            wanted = directions(nobody)
        total = 0
        for ours, theirs in zip(own, wanted):
            size = size_of(ours.shape[1], latents.shape[2:])
            # Of the box at the size of the latents, not of the image's.
            mask = F.interpolate(face, size, mode="bilinear").flatten(2).mT
            # A token outside the face adds 1: the cosine of zeros is 0.
            apart = 1 - F.cosine_similarity(ours * mask, theirs * mask, dim=-1)
            total = total + apart.sum() / (mask.sum() + NO_FACE)
        return self.lambda_edit * total

    def optimiser(self, learning_rate):
        return torch.optim.AdamW(
            self.trained().values(),
            lr=learning_rate,
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=WEIGHT_DECAY,
        )

    def clip(self):
        """Clips the gradients; the norm they had."""
        return nn.utils.clip_grad_norm_(self.trained().values(), MAX_NORM)


def alphas_of(folder):
    """Cumulative products of DDPM's alphas, in f32 as diffusers computes them."""
    path = folder / "scheduler/scheduler_config.json"
    config = read_json(path) if path.exists() else {}
    first = config.get("beta_start", 0.00085)
    last = config.get("beta_end", 0.012)
    steps = config.get("num_train_timesteps", 1000)
    roots = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float32)
    return torch.cumprod(1 - roots**2, 0)


def size_of(tokens, latents):
    """Rows and columns of a level with so many tokens: halved, rounded up."""
    rows, columns = latents
    while rows * columns > tokens:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    assert rows * columns == tokens
    return rows, columns

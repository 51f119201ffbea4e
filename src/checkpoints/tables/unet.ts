/**
 * The table of `UNet2DConditionModel`, in diffusers' names, and the order of
 * its attention layers.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import { type Table, TableRows } from "./table.ts";

const DOWN_TYPES = ["CrossAttnDownBlock2D", "DownBlock2D"];
const UP_TYPES = ["CrossAttnUpBlock2D", "UpBlock2D"];

/** What a UNet's config says of its parts. */
export interface UNetParts {
  /** Channels by level, from the highest resolution. */
  readonly channels: readonly number[];
  /** Residual blocks of a down block; up blocks have one more. */
  readonly layers: number;
  /** Whether a down block has attention, from the first. */
  readonly down: readonly boolean[];
  /** Whether an up block has attention, from the first. */
  readonly up: readonly boolean[];
  /** Width of the text's states, and of the identity's tokens. */
  readonly context: number;
}

/**
 * Reads what a UNet's config says of its parts.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function unetParts(config: CheckpointConfig): UNetParts {
  const channels = config.sizes("block_out_channels");
  const down = config.names("down_block_types", DOWN_TYPES, channels.length);
  const up = config.names("up_block_types", UP_TYPES, channels.length);
  return {
    channels,
    layers: config.layers("layers_per_block"),
    down: down.map((type) => type === DOWN_TYPES[0]),
    up: up.map((type) => type === UP_TYPES[0]),
    context: config.size("cross_attention_dim"),
  };
}

/**
 * The table of a UNet.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint` where it is another kind of UNet
 */
export function unetTable(config: CheckpointConfig): Table {
  config.only("in_channels", 4, "an inpainting or depth UNet has more");
  config.only("out_channels", 4, "a UNet of Stable Diffusion 1");
  config.only("use_linear_projection", false, "Stable Diffusion 2 has true");
  config.only("addition_embed_type", null, "Stable Diffusion XL has one");
  const { channels, layers, down, up, context } = unetParts(config);
  const t = new TableRows();
  const time = 4 * channels[0];
  t.conv("conv_in", channels[0], 4, 3);
  t.linear("time_embedding.linear_1", time, channels[0]);
  t.linear("time_embedding.linear_2", time, time);
  for (const [i, out] of channels.entries()) {
    const path = `down_blocks.${i}`;
    for (let j = 0; j < layers; j++) {
      const inner = j > 0 ? out : channels[Math.max(i - 1, 0)];
      resnet(t, `${path}.resnets.${j}`, inner, out, time);
      if (down[i]) transformer(t, `${path}.attentions.${j}`, out, context);
    }
    if (i < channels.length - 1) {
      t.conv(`${path}.downsamplers.0.conv`, out, out, 3);
    }
  }
  const middle = channels.at(-1)!;
  resnet(t, "mid_block.resnets.0", middle, middle, time);
  transformer(t, "mid_block.attentions.0", middle, context);
  resnet(t, "mid_block.resnets.1", middle, middle, time);
  const upwards = channels.toReversed();
  for (const [i, out] of upwards.entries()) {
    const path = `up_blocks.${i}`;
    const below = upwards[Math.max(i - 1, 0)];
    const above = upwards[Math.min(i + 1, upwards.length - 1)];
    for (let j = 0; j <= layers; j++) {
      const skip = j === layers ? above : out;
      const inner = (j === 0 ? below : out) + skip;
      resnet(t, `${path}.resnets.${j}`, inner, out, time);
      if (up[i]) transformer(t, `${path}.attentions.${j}`, out, context);
    }
    if (i < upwards.length - 1) {
      t.conv(`${path}.upsamplers.0.conv`, out, out, 3);
    }
  }
  t.norm("conv_norm_out", channels[0]);
  t.conv("conv_out", 4, channels[0], 3);
  return { component: "unet", rows: t.rows, dropped: [] };
}

function resnet(
  t: TableRows,
  path: string,
  inner: number,
  out: number,
  time: number,
): void {
  t.norm(`${path}.norm1`, inner);
  t.conv(`${path}.conv1`, out, inner, 3);
  t.linear(`${path}.time_emb_proj`, out, time);
  t.norm(`${path}.norm2`, out);
  t.conv(`${path}.conv2`, out, out, 3);
  if (inner !== out) t.conv(`${path}.conv_shortcut`, out, inner, 1);
}

function transformer(
  t: TableRows,
  path: string,
  size: number,
  context: number,
): void {
  t.norm(`${path}.norm`, size);
  t.conv(`${path}.proj_in`, size, size, 1);
  const block = `${path}.transformer_blocks.0`;
  t.norm(`${block}.norm1`, size);
  attention(t, `${block}.attn1`, size, size);
  t.norm(`${block}.norm2`, size);
  attention(t, `${block}.attn2`, size, context);
  t.norm(`${block}.norm3`, size);
  // GEGLU: value and gate, each four times as wide.
  t.linear(`${block}.ff.net.0.proj`, 8 * size, size);
  t.linear(`${block}.ff.net.2`, size, 4 * size);
  t.conv(`${path}.proj_out`, size, size, 1);
}

function attention(
  t: TableRows,
  path: string,
  size: number,
  context: number,
): void {
  t.linear(`${path}.to_q`, size, size, false);
  t.linear(`${path}.to_k`, size, context, false);
  t.linear(`${path}.to_v`, size, context, false);
  t.linear(`${path}.to_out.0`, size, size);
}

/** An attention layer of a UNet. */
export interface AttentionLayer {
  /** Its path, as `mid_block.attentions.0.transformer_blocks.0.attn2`. */
  readonly path: string;
  /** Its channels. */
  readonly channels: number;
}

/**
 * A UNet's attention layers in the order of diffusers' `attn_processors`, that
 * in which modules are registered: down blocks, up blocks, middle block; in
 * each, attn1 before attn2. An adapter's `adapter_modules` are numbered by it.
 *
 * @param config diffusers' `unet/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function attentionLayers(
  config: CheckpointConfig,
): readonly AttentionLayer[] {
  const { channels, layers, down, up } = unetParts(config);
  const found: AttentionLayer[] = [];
  const block = (path: string, count: number, channels: number) => {
    for (let j = 0; j < count; j++) {
      for (const name of ["attn1", "attn2"]) {
        found.push({
          path: `${path}.attentions.${j}.transformer_blocks.0.${name}`,
          channels,
        });
      }
    }
  };
  for (const [i, out] of channels.entries()) {
    if (down[i]) block(`down_blocks.${i}`, layers, out);
  }
  for (const [i, out] of channels.toReversed().entries()) {
    if (up[i]) block(`up_blocks.${i}`, layers + 1, out);
  }
  block("mid_block", 1, channels.at(-1)!);
  return found;
}

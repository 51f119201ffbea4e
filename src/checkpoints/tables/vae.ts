/**
 * The table of `AutoencoderKL`, in diffusers' names, old ones included.
 *
 * @module
 */
import type { CheckpointConfig } from "./config.ts";
import { type Table, TableRows } from "./table.ts";

/** New names of the attention's projections, and those before diffusers 0.15. */
const PROJECTIONS = [
  ["to_q", "query"],
  ["to_k", "key"],
  ["to_v", "value"],
  ["to_out.0", "proj_attn"],
];

/**
 * The table of a variational autoencoder.
 *
 * @param config diffusers' `vae/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function vaeTable(config: CheckpointConfig): Table {
  config.only("in_channels", 3, "an image's");
  config.only("out_channels", 3, "an image's");
  const channels = config.sizes("block_out_channels");
  const layers = config.layers("layers_per_block");
  const latent = config.size("latent_channels");
  const t = new TableRows();
  const deepest = channels.at(-1)!;

  t.conv("encoder.conv_in", channels[0], 3, 3);
  blocks(t, "encoder.down_blocks", channels, layers, "downsamplers");
  middle(t, "encoder.mid_block", deepest);
  t.norm("encoder.conv_norm_out", deepest);
  t.conv("encoder.conv_out", 2 * latent, deepest, 3);
  t.conv("quant_conv", 2 * latent, 2 * latent, 1);

  t.conv("post_quant_conv", latent, latent, 1);
  t.conv("decoder.conv_in", deepest, latent, 3);
  middle(t, "decoder.mid_block", deepest);
  const upwards = channels.toReversed();
  blocks(t, "decoder.up_blocks", upwards, layers + 1, "upsamplers");
  t.norm("decoder.conv_norm_out", channels[0]);
  t.conv("decoder.conv_out", 3, channels[0], 3);
  return { component: "vae", rows: t.rows, dropped: [] };
}

/** One block a level, each from the channels of the level before. */
function blocks(
  t: TableRows,
  path: string,
  channels: readonly number[],
  resnets: number,
  sampler: "downsamplers" | "upsamplers",
): void {
  for (const [i, out] of channels.entries()) {
    for (let j = 0; j < resnets; j++) {
      const inner = j > 0 ? out : channels[Math.max(i - 1, 0)];
      resnet(t, `${path}.${i}.resnets.${j}`, inner, out);
    }
    if (i < channels.length - 1) {
      t.conv(`${path}.${i}.${sampler}.0.conv`, out, out, 3);
    }
  }
}

function middle(t: TableRows, path: string, size: number): void {
  resnet(t, `${path}.resnets.0`, size, size);
  const attention = `${path}.attentions.0`;
  t.norm(`${attention}.group_norm`, size);
  for (const [name, old] of PROJECTIONS) {
    for (const [part, shape] of Object.entries(linearShapes(size))) {
      const names = [name, old].map((name) => `${attention}.${name}.${part}`);
      t.tensor(names[0], shape, names);
    }
  }
  resnet(t, `${path}.resnets.1`, size, size);
}

function linearShapes(size: number): Record<string, number[]> {
  return { weight: [size, size], bias: [size] };
}

function resnet(t: TableRows, path: string, inner: number, out: number): void {
  t.norm(`${path}.norm1`, inner);
  t.conv(`${path}.conv1`, out, inner, 3);
  t.norm(`${path}.norm2`, out);
  t.conv(`${path}.conv2`, out, out, 3);
  if (inner !== out) t.conv(`${path}.conv_shortcut`, out, inner, 1);
}

/**
 * The table of `AutoencoderKL`, in diffusers' names, old ones included.
 *
 * @module
 */
import { vaeDecode, vaeEncode } from "../../models/vae.ts";
import { requestedWeights } from "./requested_weights.ts";
import type { CheckpointConfig } from "./config.ts";
import { DIFFUSERS_ORDER } from "./diffusers_order.ts";
import { plainRow, type Table } from "./table.ts";

/** The attention's projections, and their names before diffusers 0.15. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  to_q: "query",
  to_k: "key",
  to_v: "value",
  "to_out.0": "proj_attn",
};

/**
 * The table of a variational autoencoder: the decoder, and the encoder, which
 * training needs.
 *
 * @param config diffusers' `vae/config.json`
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function vaeTable(config: CheckpointConfig): Table {
  config.only("in_channels", 3, "an image's");
  config.only("out_channels", 3, "an image's");
  const blockOutChannels = config.sizes("block_out_channels");
  const factor = 2 ** (blockOutChannels.length - 1);
  const sizes = {
    blockOutChannels,
    layersPerBlock: config.layers("layers_per_block"),
    latentChannels: config.size("latent_channels"),
    groups: 1,
    scalingFactor: 1,
    factor,
    sampleSize: factor,
  };
  const weights = requestedWeights({
    component: "vae",
    config,
    order: DIFFUSERS_ORDER,
    overImages: ["encoder.conv_in"],
    build: (g, w) => {
      vaeEncode(g.input("image", [1, factor, factor, 4], "f32"), w, sizes);
      const { latentChannels } = sizes;
      vaeDecode(g.input("latents", [1, 1, 1, latentChannels], "f32"), w, sizes);
    },
  });
  const rows = weights.map((weight) => plainRow(weight, namesOf(weight.name)));
  return { component: "vae", rows, dropped: [] };
}

/** The names a tensor may have, the usual one first. */
function namesOf(name: string): string[] {
  const old = name.replace(
    /(\.attentions\.0)\.(to_[qkv]|to_out\.0)\./,
    (_, path, projection) => `${path}.${OLD_NAMES[projection]}.`,
  );
  return old === name ? [name] : [name, old];
}

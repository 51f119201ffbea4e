/**
 * The tables of a ControlNet: in diffusers' names, and in those of the original code
 * (`control_v11p_sd15_canny.pth`).
 *
 * @module
 */
import { controlEmbedding, controlNet } from "../../models/controlnet.ts";
import { crossKeys } from "../../models/cross_attentions.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { CheckpointConfig } from "./config.ts";
import { DIFFUSERS_ORDER } from "./diffusers_order.ts";
import { setLdmDownNames } from "./ldm_unet.ts";
import { ModuleNames } from "./module_names.ts";
import { requestedWeights } from "./requested_weights.ts";
import { plainRow, type Table } from "./table.ts";
import { levelSizes } from "./unet.ts";

/** What the names of the original code start with, where it is not left out. */
export const LDM_CONTROL = "control_model.";
/** Side of the latents that the graph is built for; no weight depends on it. */
const SIDE = 8;
/** The layers that read the control image, in all ControlNets of Stable Diffusion 1. */
const EMBEDDING_CHANNELS = [16, 32, 96, 256];

/**
 * The table of a ControlNet.
 *
 * @param config diffusers' `config.json`
 * @throws {MasterWeaverError} `bad-checkpoint` where it is of another kind
 */
export function controlNetTable(config: CheckpointConfig): Table {
  config.only("in_channels", 4, "a ControlNet of Stable Diffusion 1");
  config.only("conditioning_channels", 3, "an image's");
  config.only("use_linear_projection", false, "Stable Diffusion 2 has true");
  config.only("addition_embed_type", null, "Stable Diffusion XL has one");
  const sizes = controlNetSizes(config);
  const weights = requestedWeights({
    component: "controlnet",
    config,
    order: DIFFUSERS_ORDER,
    overImages: ["controlnet_cond_embedding.conv_in"],
    build: (g, w) => {
      const side = SIDE * sizes.factor;
      const text = g.input("text", [1, 1, sizes.crossAttentionDim], "f32");
      const image = g.input("image", [1, side, side, 4], "f32");
      controlNet(
        {
          sample: g.input("sample", [1, SIDE, SIDE, sizes.channels], "f32"),
          t: g.input("t", [1], "f32"),
          embedding: controlEmbedding(image, w, sizes),
          cross: (attention) => crossKeys(attention, text, w),
        },
        w,
        sizes,
      );
    },
  });
  const rows = weights.map((weight) => plainRow(weight));
  return { component: "controlnet", rows, dropped: [] };
}

/**
 * The table of a ControlNet in the original code's names.
 *
 * @param config diffusers' `config.json` of the same network
 * @param prefix what its names start with
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ldmControlNetTable(
  config: CheckpointConfig,
  prefix: "" | typeof LDM_CONTROL,
): Table {
  const table = controlNetTable(config);
  const names = ldmControlNetNames(config);
  const rows = table.rows.map((row) => ({
    ...row,
    from: row.from.map(({ shape }) => ({
      names: [prefix + names.of(row.name)],
      shape,
    })),
  }));
  // The first files hold the whole model that the network was trained with.
  const rest = {
    names: /^(model\.diffusion_model|first_stage_model|cond_stage_model)\./,
    reason: "another network of the file",
  };
  return { ...table, rows, dropped: prefix === "" ? [] : [rest] };
}

function controlNetSizes(config: CheckpointConfig) {
  const key = "conditioning_embedding_out_channels";
  const embeddingChannels = config.json[key] == null
    ? EMBEDDING_CHANNELS
    : config.sizes(key);
  return {
    ...levelSizes(config),
    channels: 4,
    embeddingChannels,
    channelOrder: "rgb" as const,
    factor: 2 ** (embeddingChannels.length - 1),
  };
}

/** What the names of a file in the original code's names start with. */
export function ldmControlPrefix(
  { tensors }: Pick<Checkpoint, "tensors">,
): "" | typeof LDM_CONTROL {
  return tensors.has("zero_convs.0.0.weight") ? "" : LDM_CONTROL;
}

/** Names below `control_model.`, by diffusers' names. */
function ldmControlNetNames(config: CheckpointConfig): ModuleNames {
  const { blockOutChannels, layersPerBlock, embeddingChannels } =
    controlNetSizes(config);
  const names = new ModuleNames();
  setLdmDownNames(names, levelSizes(config));
  // Between two layers that read the image there is an activation.
  const layers = [
    "conv_in",
    ...embeddingChannels.slice(1).flatMap((_, i) => [
      `blocks.${2 * i}`,
      `blocks.${2 * i + 1}`,
    ]),
    "conv_out",
  ];
  layers.forEach((layer, i) =>
    names.set(`controlnet_cond_embedding.${layer}`, `input_hint_block.${2 * i}`)
  );
  for (let i = 0; i < blockOutChannels.length * (layersPerBlock + 1); i++) {
    names.set(`controlnet_down_blocks.${i}`, `zero_convs.${i}.0`);
  }
  names.set("controlnet_mid_block", "middle_block_out.0");
  return names;
}

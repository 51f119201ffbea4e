/**
 * The networks of a model at their true sizes, as PyTorch names their tensors.
 *
 * @module
 */
import {
  imageEncoderTable,
  textEncoderTable,
} from "../../src/checkpoints/tables/clip.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  faceParserTable,
  STANDARD_FACE_PARSER_CONFIG,
} from "../../src/checkpoints/tables/face_parser.ts";
import {
  identityAdapterTable,
  STANDARD_ADAPTER_CONFIG,
} from "../../src/checkpoints/tables/identity_adapter.ts";
import {
  ldmTextTable,
  ldmUnetTable,
  ldmVaeTable,
} from "../../src/checkpoints/tables/ldm.ts";
import {
  SD15_TEXT_CONFIG,
  SD15_UNET_CONFIG,
  SD15_VAE_CONFIG,
  VIT_L14_CONFIG,
} from "../../src/checkpoints/tables/stable_diffusion.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import { unetTable } from "../../src/checkpoints/tables/unet.ts";
import { vaeTable } from "../../src/checkpoints/tables/vae.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { TensorShape } from "./distributions.ts";

/** Networks of a model, by the names of their parts. */
export const PARTS = [
  "unet",
  "vae",
  "text_encoder",
  "image_encoder",
  "identity_adapter",
  "face_parser",
] as const;

/** A part. */
export type Part = typeof PARTS[number];

/** Configs of the parts. */
export type Configs = Readonly<Record<Part, JsonObject>>;

/** Stable Diffusion 1.5, CLIP ViT-L/14, the reference's adapter and parser. */
export const FULL_SIZE: Configs = {
  unet: SD15_UNET_CONFIG,
  vae: SD15_VAE_CONFIG,
  text_encoder: SD15_TEXT_CONFIG,
  image_encoder: VIT_L14_CONFIG,
  identity_adapter: STANDARD_ADAPTER_CONFIG,
  face_parser: STANDARD_FACE_PARSER_CONFIG,
};

/** A tensor of a checkpoint. */
export interface CheckpointShape extends TensorShape {
  /** The name it has in diffusers' layout, by which its values are made. */
  readonly ownName: string;
}

/** A part's tensors, in diffusers' and the reference's names. */
export function tensorsOf(part: Part, configs: Configs): CheckpointShape[] {
  return shapes(tableOf(part, configs));
}

/** Those of a single file's three networks, under its names. */
export function singleFileTensors(configs: Configs): CheckpointShape[][] {
  const config = (part: Part) => new CheckpointConfig(configs[part], part);
  const parts: [Part, Table][] = [
    ["unet", ldmUnetTable(config("unet"), "last")],
    ["vae", ldmVaeTable(config("vae"), "first_stage_model.")],
    ["text_encoder", ldmTextTable(config("text_encoder"))],
  ];
  return parts.map(([part, table]) => {
    const own = tensorsOf(part, configs);
    return shapes(table).map((tensor, i) => ({
      ...tensor,
      ownName: own[i].name,
    }));
  });
}

/** How a part becomes a component. */
export function tableOf(part: Part, configs: Configs): Table {
  const config = (part: Part) => new CheckpointConfig(configs[part], part);
  switch (part) {
    case "unet":
      return unetTable(config(part));
    case "vae":
      return vaeTable(config(part));
    case "text_encoder":
      return textEncoderTable(config(part));
    case "image_encoder":
      return imageEncoderTable(config(part));
    case "identity_adapter":
      return identityAdapterTable(
        config(part),
        config("unet"),
        config("image_encoder").size("hidden_size"),
      );
    case "face_parser":
      return faceParserTable(config(part));
  }
}

/** What a table reads, each tensor once. */
function shapes({ rows }: Table): CheckpointShape[] {
  const found = new Map<string, CheckpointShape>();
  for (const { names: [name], shape } of rows.flatMap(({ from }) => from)) {
    found.set(name, { name, shape, ownName: name });
  }
  return [...found.values()];
}

/**
 * The networks of a model at their true sizes, as PyTorch names their tensors.
 *
 * @module
 */
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  STANDARD_FACE_PARSER_CONFIG,
} from "../../src/checkpoints/tables/face_parser.ts";
import {
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
import { networkTable } from "../../src/checkpoints/tables/networks.ts";
import type { NetworkComponent } from "../../src/weights/components.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { TensorShape } from "./distributions.ts";

/** Networks of a model. */
export const NETWORKS = [
  "unet",
  "vae",
  "text_encoder",
  "image_encoder",
  "identity_adapter",
  "face_parser",
] as const satisfies readonly NetworkComponent[];

/** Configs of the networks. */
export type Configs = Readonly<Record<NetworkComponent, JsonObject>>;

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

/** A network's tensors, in diffusers' and the reference's names. */
export function tensorsOf(
  network: NetworkComponent,
  configs: Configs,
): CheckpointShape[] {
  return shapes(tableOf(network, configs));
}

/** Those of a single file's three networks, under its names. */
export function singleFileTensors(configs: Configs): CheckpointShape[][] {
  const config = (name: NetworkComponent) =>
    new CheckpointConfig(configs[name], name);
  const tables: [NetworkComponent, Table][] = [
    ["unet", ldmUnetTable(config("unet"), "last")],
    ["vae", ldmVaeTable(config("vae"), "first_stage_model.")],
    ["text_encoder", ldmTextTable(config("text_encoder"))],
  ];
  return tables.map(([network, table]) => {
    const own = tensorsOf(network, configs);
    return shapes(table).map((tensor, i) => ({
      ...tensor,
      ownName: own[i].name,
    }));
  });
}

/** How a network becomes a component. */
export function tableOf(network: NetworkComponent, configs: Configs): Table {
  const config = (name: NetworkComponent) =>
    new CheckpointConfig(configs[name], name);
  return networkTable(network, config(network), {
    unet: () => config("unet"),
    imageWidth: () => config("image_encoder").size("hidden_size"),
  });
}

/** What a table reads, each tensor once. */
function shapes({ rows }: Table): CheckpointShape[] {
  const found = new Map<string, CheckpointShape>();
  for (const { names: [name], shape } of rows.flatMap(({ from }) => from)) {
    found.set(name, { name, shape, ownName: name });
  }
  return [...found.values()];
}

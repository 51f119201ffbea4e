/**
 * How a component's tensors are called, shaped and quantised in a GGUF file that
 * stable-diffusion.cpp loads: a single file's names, PyTorch's shapes.
 *
 * @module
 */
import type { ModelDtype } from "../../weights/quantisation_policy.ts";
import type { SharedBlockDtype } from "../ggml_blocks.ts";
import type { CheckpointConfig } from "./config.ts";
import { ldmTextTable, ldmUnetTable, ldmVaeTable } from "./ldm.ts";
import { LDM_VAE } from "./ldm_prefixes.ts";
import type { Table } from "./table.ts";

/** The components that the file can hold. */
export const GGUF_COMPONENTS = ["unet", "vae", "text_encoder"] as const;
/** One of them. */
export type GgufComponent = typeof GGUF_COMPONENTS[number];

/** Whether a component can be in the file. */
export function isGgufComponent(name: string): name is GgufComponent {
  return (GGUF_COMPONENTS as readonly string[]).includes(name);
}

/** The key of a component's config, as JSON, which other programs ignore. */
export function configKey(component: GgufComponent): string {
  return `masterweaver.config.${component}`;
}

/** A tensor of the file. */
export interface GgufRow {
  /** Its name there. */
  readonly name: string;
  /** Its dimensions there, outermost first. */
  readonly shape: readonly number[];
}

/**
 * The tensors of a component, by their names in `*.weave`.
 *
 * @param config the component's
 * @throws {MasterWeaverError} `bad-checkpoint`
 */
export function ggufRows(
  component: GgufComponent,
  config: CheckpointConfig,
): ReadonlyMap<string, GgufRow> {
  const { rows } = tableOf(component, config);
  return new Map(rows.map(({ name, from: [{ names: [other], shape }] }) => [
    name,
    { name: other, shape: asThere(other, shape) },
  ]));
}

function tableOf(component: GgufComponent, config: CheckpointConfig): Table {
  switch (component) {
    case "unet":
      return ldmUnetTable(config, "last");
    case "vae":
      return ldmVaeTable(config, LDM_VAE);
    case "text_encoder":
      return ldmTextTable(config);
  }
}

/** The autoencoder's attention is made of convolutions there. */
function asThere(name: string, shape: readonly number[]): readonly number[] {
  const isAttention = /\.mid\.attn_1\.(q|k|v|proj_out)\.weight$/.test(name);
  return isAttention ? [...shape, 1, 1] : shape;
}

/** The type of blocks that a dtype stands for. */
const BLOCKS: Readonly<Partial<Record<ModelDtype, SharedBlockDtype>>> = {
  q8: "Q8_0",
  q4: "Q4_0",
};

/**
 * The type a tensor is stored as. Quantised is what stable-diffusion.cpp
 * quantises and multiplies by: weights of linear layers, without embeddings.
 * Convolutions have the width of their kernel innermost, so that no block fits.
 */
export function ggufDtype(
  { name, shape }: GgufRow,
  wanted: ModelDtype,
): "F32" | "F16" | SharedBlockDtype {
  const isLinear = shape.length === 2 && shape[1] % 32 === 0;
  const isKept = name.includes("time_embed.") || name.includes("embedding");
  const blocks = isLinear && !isKept ? BLOCKS[wanted] : undefined;
  return blocks ?? (wanted === "f32" ? "F32" : "F16");
}

/**
 * The sizes that decide the shapes of plans and of the tensors that stages hand on.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import { crossAttentions } from "../models/unet.ts";
import type { TensorSpec } from "../ops/op.ts";
import type { Sampler } from "../samplers/sampler.ts";
import type { DenoiserComponents } from "./context.ts";
import { healthSpec } from "./health.ts";

/** The sizes that decide the shapes of plans. */
export interface RunShape {
  /** Images that are denoised together. */
  readonly images: number;
  /** Rows of the latents. */
  readonly height: number;
  /** Columns of the latents. */
  readonly width: number;
  /** Whether at least one step computes both halves of guidance. */
  readonly guided: boolean;
  /** Whether cross-attention has an identity's keys beside the text's; true by default. */
  readonly identity?: boolean;
  /** Whether some steps use features that others have cached. */
  readonly cachesFeatures?: boolean;
  /** Share of the tokens that self-attention merges; 0 by default. */
  readonly mergeTokens?: number;
  /** Tokens of text that are attended to, T; by default as many as the text tower reads at once. */
  readonly textTokens?: number;
  /**
   * How many conditions there are, of both halves of guidance, for each step to
   * choose from; by default one of each half, for all steps.
   */
  readonly conditions?: number;
  /** Whether guidance is rescaled; not by default. */
  readonly rescalesGuidance?: boolean;
  /** Whether the original is put back outside a mask at every step; not by default. */
  readonly repaints?: boolean;
}

/** Keys and values of one cross-attention. */
export interface Keys<T> {
  /** Path in the checkpoint, such as `mid_block.attentions.0.transformer_blocks.0.attn2`. */
  readonly path: string;
  /** (B, T + S, C), the text's keys, then the identity's; S is 0 without one */
  readonly k: T;
  /** (B, T + S, C) */
  readonly v: T;
}

/** The tensors that one stage hands to the next, or their specs. */
export interface HandoverTensors<T> {
  /** (images, h, w, C) f32, updated in place by every step */
  readonly latents: T;
  /** u32, one number per stage: see {@linkcode FiniteChecks} */
  readonly health: T;
  /**
   * Keys and values with B = halves of guidance · images, the conditional half first;
   * where steps choose, B counts the conditions.
   */
  readonly keys: readonly Keys<T>[];
  /** (B, h, w, C0), if some steps use cached features */
  readonly cachedFeatures?: T;
  /** The sampler's state, by its own names. */
  readonly samplerState: Readonly<Record<string, T>>;
}

/** Specs of the tensors that stages hand on in a run shape. */
export function handoverSpecs(
  storage: StorageType,
  components: DenoiserComponents,
  runShape: RunShape,
  sampler: Pick<Sampler, "state">,
): HandoverTensors<TensorSpec> {
  const { text, unet } = components;
  const { images, height, width, guided, cachesFeatures } = runShape;
  const { channels, blockOutChannels } = unet.config;
  const batch = (guided ? 2 : 1) * images;
  const { textTokens = text.config.positions, conditions } = runShape;
  const tokens = textTokens + identityTokens(components, runShape);
  const latents: TensorSpec = {
    shape: [images, height, width, channels],
    dtype: "f32",
  };
  return {
    latents,
    health: healthSpec,
    keys: crossAttentions(unet.config).map(({ path, channels }) => {
      const rows = conditions ?? batch;
      const spec = { shape: [rows, tokens, channels], dtype: storage };
      return { path, k: spec, v: spec };
    }),
    ...(cachesFeatures && {
      cachedFeatures: {
        shape: [batch, height, width, blockOutChannels[0]],
        dtype: storage,
      },
    }),
    samplerState: sampler.state?.(latents) ?? {},
  };
}

/** Tokens of the identity in a run shape; 0 without one. */
function identityTokens(
  components: DenoiserComponents,
  runShape: RunShape,
): number {
  const adapter = usedAdapter(components, runShape);
  return adapter ? adapter.config.maxReferences * adapter.config.tokens : 0;
}

/**
 * The identity adapter in a run shape; undefined without an identity.
 *
 * @throws {MasterWeaverError} `bad-model` where there is an identity and no adapter
 */
export function usedAdapter(
  { adapter }: Pick<DenoiserComponents, "adapter">,
  { identity = true }: Pick<RunShape, "identity">,
): DenoiserComponents["adapter"] {
  if (!identity) return undefined;
  if (adapter) return adapter;
  throw new MasterWeaverError(
    "bad-model",
    "An identity needs the component identity_adapter, which the model lacks",
  );
}

/** Name in graphs of a cross-attention's keys. */
export function keysName(path: string): string {
  return `${path}.k`;
}

/** Name in graphs of a cross-attention's values. */
export function valuesName(path: string): string {
  return `${path}.v`;
}

/** Name in graphs of a tensor of the sampler's state. */
export function stateName(name: string): string {
  return `sampler.${name}`;
}

/** The tensors that stages hand on, by their names in graphs. */
export function handoverByName<T>(
  handed: HandoverTensors<T>,
): Record<string, T> {
  const { latents, health, keys, cachedFeatures, samplerState } = handed;
  return Object.fromEntries<T>([
    ["latents", latents],
    ["health", health],
    ...keys.flatMap(({ path, k, v }): [string, T][] => [
      [keysName(path), k],
      [valuesName(path), v],
    ]),
    ...(cachedFeatures === undefined ? [] : [
      ["cached_features", cachedFeatures] as [string, T],
    ]),
    ...Object.entries(samplerState).map(
      ([name, tensor]): [string, T] => [stateName(name), tensor],
    ),
  ]);
}

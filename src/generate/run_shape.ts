/**
 * The sizes that decide the shapes of plans and of the tensors that stages hand on.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import type { StorageType } from "../gpu/gpu.ts";
import { downAttentions } from "../models/cross_attentions.ts";
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
  /** The ControlNets, where there are any. */
  readonly controls?: ControlShape;
}

/** What of a call's ControlNets decides graphs. */
export interface ControlShape {
  /** Of each control image, the number of its ControlNet. */
  readonly nets: readonly number[];
  /** Hashes of the ControlNets, each once. */
  readonly hashes: readonly string[];
  /** Whether they see the conditional half of guidance alone. */
  readonly guess: boolean;
}

/** What stages hand to ControlNets. */
export interface ControlTensors<T> {
  /** (1, h, w, C0) of each control image */
  readonly embeddings: readonly T[];
  /** Keys and values (B, T, C) of the text, of each ControlNet. */
  readonly keys: readonly (readonly Keys<T>[])[];
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
  /** What ControlNets are given, where there are any. */
  readonly controls?: ControlTensors<T>;
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
    ...controlSpecs(storage, components, runShape),
    samplerState: sampler.state?.(latents) ?? {},
  };
}

function controlSpecs(
  storage: StorageType,
  { text, controls: nets = [] }: DenoiserComponents,
  runShape: RunShape,
): Pick<HandoverTensors<TensorSpec>, "controls"> {
  const { images, height, width, guided, controls } = runShape;
  if (!controls) return {};
  const { conditions, textTokens = text.config.positions } = runShape;
  const rows = conditions ?? (guided ? 2 : 1) * images;
  return {
    controls: {
      embeddings: controls.nets.map((net) => ({
        shape: [1, height, width, nets[net].config.blockOutChannels[0]],
        dtype: storage,
      })),
      keys: nets.map(({ config }) =>
        downAttentions(config).map(({ path, channels }) => {
          const spec = { shape: [rows, textTokens, channels], dtype: storage };
          return { path, k: spec, v: spec };
        })
      ),
    },
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

/** Path in graphs of a cross-attention of a ControlNet. */
export function controlPath(net: number, path: string): string {
  return `control_net.${net}.${path}`;
}

/** Name in graphs of what a ControlNet sees of a control image. */
export function embeddingName(control: number): string {
  return `control.${control}.embedding`;
}

/** Name in graphs of what a ControlNet's residuals are multiplied by. */
export function scalesName(control: number): string {
  return `control.${control}.scales`;
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
  const { controls } = handed;
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
    ...controls ? controlsByName(controls) : [],
    ...Object.entries(samplerState).map(
      ([name, tensor]): [string, T] => [stateName(name), tensor],
    ),
  ]);
}

function controlsByName<T>(
  { embeddings, keys }: ControlTensors<T>,
): [string, T][] {
  return [
    ...embeddings.map((tensor, i): [string, T] => [embeddingName(i), tensor]),
    ...keys.flatMap((all, net) =>
      all.flatMap(({ path, k, v }): [string, T][] => [
        [keysName(controlPath(net, path)), k],
        [valuesName(controlPath(net, path)), v],
      ])
    ),
  ];
}

/**
 * What stages hand to ControlNets, with other tensors in the places of these.
 *
 * @param embedding gives the tensor of a control image, by its number
 * @param key gives that of keys or values, by their name in graphs
 */
export function mapControls<T, U>(
  { embeddings, keys }: ControlTensors<T>,
  embedding: (tensor: T, control: number) => U,
  key: (tensor: T, name: string) => U,
): ControlTensors<U> {
  return {
    embeddings: embeddings.map(embedding),
    keys: keys.map((all, net) =>
      all.map(({ path, k, v }) => ({
        path,
        k: key(k, keysName(controlPath(net, path))),
        v: key(v, valuesName(controlPath(net, path))),
      }))
    ),
  };
}

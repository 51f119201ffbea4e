/**
 * The graph of a denoising step.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { StorageType } from "../../gpu/gpu.ts";
import { Graph, type Tensor } from "../../graph/graph.ts";
import { rootOf } from "../../graph/schedule.ts";
import { concat } from "../../models/layers.ts";
import { unet } from "../../models/unet.ts";
import { embedding } from "../../ops/embedding.ts";
import { guidance } from "../../ops/guidance.ts";
import { repaint } from "../../ops/repaint.ts";
import {
  describe,
  type DType,
  elementCount,
  type TensorSpec,
} from "../../ops/op.ts";
import { rescaledGuidance } from "../../ops/rescaled_guidance.ts";
import { view } from "../../ops/view.ts";
import { ddimSampler } from "../../samplers/ddim.ts";
import type { Sampler } from "../../samplers/sampler.ts";
import type { DenoiserComponents } from "../context.ts";
import { FiniteChecks } from "../health.ts";
import { stepControls } from "./controls.ts";
import { conditionChannels } from "../repainting.ts";
import {
  controlPath,
  embeddingName,
  handoverSpecs,
  type HandoverTensors,
  type Keys,
  keysName,
  type RunShape,
  stateName,
  valuesName,
} from "../run_shape.ts";
import type { StepKind } from "../step_kinds.ts";

/**
 * One step: denoises `latents` f32 (images, h, w, C) in place. If they are not finite,
 * `health` records the first such `step`, u32 (1).
 *
 * Latents and state that the sampler does not update in place are outputs with the
 * names of their inputs; both must be bound to the same tensor.
 *
 * A run shape that repaints has the inputs of {@linkcode repaint}, all f32: `mask`
 * (h, w), `original` (1, h, w, C), `original_noise` (images, h, w, C) and
 * `original_level` (2). An inpainting UNet has `masked_image`, f32 (1, h, w, C').
 *
 * @param kind the kind of step; as guided as the run shape by default
 * @param sampler computes the next latents; DDIM by default
 * @throws {MasterWeaverError} `gpu` if the sampler's update omits a state
 */
export function stepGraph(
  storage: StorageType,
  components: DenoiserComponents,
  runShape: RunShape,
  kind: StepKind = { guided: runShape.guided, cached: false },
  sampler: Sampler = ddimSampler(components.unet.config.scheduler),
): Graph {
  const specs = handoverSpecs(
    storage,
    components,
    {
      ...runShape,
      guided: kind.guided,
      cachesFeatures: runShape.cachesFeatures || kind.cached,
    },
    sampler,
  );
  const g = new Graph(storage);
  const latents = input(g, "latents", specs.latents);
  const coefficients = g.input("coefficients", [sampler.coefficients], "f32");

  // (images, h, w, C) f32 → (halves · images, h, w, C)
  const scaled = sampler.scaleInput?.(latents, coefficients) ?? latents;
  const output = runUnet(scaled, components, runShape, kind, specs);

  // (halves · images, h, w, C) → (images, h, w, C) f32
  const modelOutput = kind.guided
    ? guide(output, runShape)
    : copy(output, "f32");

  const state = Object.fromEntries(
    Object.entries(specs.samplerState)
      .map(([name, spec]) => [name, input(g, stateName(name), spec)]),
  );
  const next = sampler.update({
    latents,
    modelOutput,
    coefficients,
    noise: sampler.drawsNoise ? input(g, "noise", specs.latents) : undefined,
    state,
  });
  checkLatents(sampler, next.latents, latents);
  const finished = runShape.repaints
    ? putOriginalBack(next.latents)
    : next.latents;
  new FiniteChecks(g).mark("latents", finished, g.input("step", [1], "u32"));
  writeBack([
    ["latents", latents, finished],
    ...Object.entries(state).map(([name, before]): Change => [
      stateName(name),
      before,
      next.state?.[name] ?? noState(sampler, name),
    ]),
  ]);
  return g;
}

/** Both halves of guidance (2 · images, h, w, C) → (images, h, w, C) f32. */
function guide(x: Tensor, { rescalesGuidance }: RunShape): Tensor {
  const g = x.graph;
  const scale = g.input("guidance_scale", [1], "f32");
  if (!rescalesGuidance) return g.apply(guidance, { x, scale }, {});
  const rescale = g.input("guidance_rescale", [1], "f32");
  return g.apply(rescaledGuidance, { x, scale, rescale }, {});
}

/** An input; the same one each time, as two control images may have one ControlNet. */
function input(g: Graph, name: string, { shape, dtype }: TensorSpec): Tensor {
  return g.inputs.get(name) ?? g.input(name, shape, dtype);
}

/** Latents (images, h, w, C) f32 → the UNet's output (halves · images, h, w, C). */
function runUnet(
  latents: Tensor,
  { text, unet: { weights, config }, controls: nets = [] }: DenoiserComponents,
  runShape: RunShape,
  kind: StepKind,
  specs: HandoverTensors<TensorSpec>,
): Tensor {
  const { guided, cached } = kind;
  const g = latents.graph;
  const { cachesFeatures, mergeTokens, conditions, identity = true } = runShape;
  const { textTokens = text.config.positions } = runShape;
  const halves = guided ? 2 : 1;
  const [images] = latents.shape;
  const batch = halves * images;
  // Both halves of guidance have the same latents.
  const noisy = repeat(latents, halves);
  const sample = config.inputChannels > config.channels
    ? concat(noisy, repeat(maskedImageInput(latents), batch), 3)
    : noisy;
  const t = g.input("t", [batch], "f32");
  const keysOf = new Map(specs.keys.map((keys) => [keys.path, keys]));
  const condition = conditions === undefined
    ? undefined
    : g.input("condition", [batch, 1], "u32");
  const keys = (name: string, spec: TensorSpec) => {
    const all = input(g, name, spec);
    return condition ? chosen(all, condition) : all;
  };
  const keysAt = (path: string, { k, v }: Keys<TensorSpec>) => ({
    k: keys(keysName(path), k),
    v: keys(valuesName(path), v),
    textKeys: textTokens,
  });
  const { controls } = specs;
  const control = controls && stepControls(
    {
      sample: noisy,
      t,
      cross: (net, { path }) =>
        keysAt(
          controlPath(net, path),
          controls.keys[net].find((keys) => keys.path === path)!,
        ),
      embedding: (i) => input(g, embeddingName(i), controls.embeddings[i]),
    },
    nets,
    runShape,
    kind,
  );
  const output = unet(
    {
      sample,
      t,
      // Inputs are made on request: a step with cached features needs fewer.
      cross: ({ path }) => keysAt(path, keysOf.get(path)!),
      control,
      identityScale: identity
        ? g.input("identity_scale", [1], "f32")
        : undefined,
      cachedFeatures: cached
        ? input(g, "cached_features", specs.cachedFeatures!)
        : undefined,
      mergeTokens,
    },
    weights,
    config,
  );
  if (cachesFeatures && !cached) {
    g.output("cached_features", g.named.get("cached_features")!);
  }
  return output;
}

/** What an inpainting UNet reads beside the latents: f32 (1, h, w, C'). */
function maskedImageInput({ graph, shape }: Tensor): Tensor {
  const [, height, width, channels] = shape;
  const more = conditionChannels(channels);
  return graph.input("masked_image", [1, height, width, more], "f32");
}

/** f32 (B, h, w, C) → (times · B, h, w, C) in the storage type. */
function repeat(x: Tensor, times: number): Tensor {
  const g = x.graph;
  const [batch, ...pixels] = x.shape;
  return g.apply(view, { x }, {
    shape: [times, elementCount(x.shape)],
    strides: [0, 1],
    dtype: g.storage,
  }).reshape(times * batch, ...pixels);
}

/** Puts the original, at the noise of the next step, in place of the latents outside the mask. */
function putOriginalBack(latents: Tensor): Tensor {
  const g = latents.graph;
  const [, ...image] = latents.shape;
  return g.apply(repaint, {
    latents,
    mask: g.input("mask", image.slice(0, 2), "f32"),
    original: g.input("original", [1, ...image], "f32"),
    noise: g.input("original_noise", latents.shape, "f32"),
    level: g.input("original_level", [2], "f32"),
  }, {});
}

/** The conditions (B, 1) of keys (conditions, T, C): → (B, T, C). */
function chosen(keys: Tensor, condition: Tensor): Tensor {
  const [count, tokens, channels] = keys.shape;
  const table = keys.reshape(count, tokens * channels);
  return keys.graph.apply(embedding, {
    ids: condition,
    table,
    positions: undefined,
  }, {}).reshape(condition.shape[0], tokens, channels);
}

/** An input and its value for the next run. */
type Change = [name: string, input: Tensor, next: Tensor];

/** Writes new values that were not computed in place to outputs with their inputs' names. */
function writeBack(changes: readonly Change[]): void {
  const pending = changes.filter(([, input, next]) => rootOf(next) !== input);
  // A new value may lie in the memory of another input, as when a history shifts
  // by one: it is copied before any input is overwritten.
  const values = pending.map(([, , next]) =>
    rootOf(next).source.kind === "input" ? copy(next, next.dtype) : next
  );
  // These are the last nodes, so every reader of the old values has run.
  pending.forEach(([name, input], i) =>
    input.graph.output(name, copy(values[i], input.dtype))
  );
}

function checkLatents(
  { name }: Sampler,
  next: Tensor | undefined,
  before: Tensor,
): void {
  if (next && describe(next) === describe(before)) return;
  throw new MasterWeaverError(
    "gpu",
    `Sampler ${name} returned ${describe(next)} as latents, expected ${
      describe(before)
    }`,
  );
}

function noState({ name }: Sampler, state: string): never {
  throw new MasterWeaverError(
    "gpu",
    `Sampler ${name} keeps ${state} from step to step, but its update makes none`,
  );
}

/** A copy, which may have another element type. */
function copy(x: Tensor, dtype: DType): Tensor {
  return x.graph.apply(view, { x }, {
    shape: [elementCount(x.shape)],
    strides: [1],
    dtype,
  }).reshape(...x.shape);
}

/**
 * The graph of one training step: forward, losses, backward.
 *
 * @module
 */
import type { Components } from "../../components/networks.ts";
import type { StorageType } from "../../gpu/gpu.ts";
import { type Block, Graph, type Tensor } from "../../graph/graph.ts";
import { idResampler } from "../../models/id_resampler.ts";
import { add, concat, multiply, repeat } from "../../models/layers.ts";
import { crossKeys, unet } from "../../models/unet.ts";
import { elementCount } from "../../ops/op.ts";
import { view } from "../../ops/view.ts";
import { differentiate } from "../gradients/differentiate.ts";
import { cast } from "../gradients/shapes.ts";
import {
  backgroundLoss,
  type EditFeatures,
  editLoss,
  noiseLoss,
  subtract,
} from "./losses.ts";
import { attachMasters, type Trainable } from "./trainable.ts";

/** The components that a step runs. */
export type StepComponents = Pick<
  Components,
  "text" | "vision" | "unet" | "adapter"
>;

/** What decides the graph of a step. */
export interface StepShape {
  /** Samples B. */
  readonly batch: number;
  /** Rows and columns of the latents. */
  readonly size: readonly [number, number];
  /** Weight of the error in the predicted noise: 0.6 in stage 1, 0.8 in stage 2. */
  readonly lambdaNoise: number;
  /** Whether the step has the background loss, and predicts with mixed identities; `true` by default. */
  readonly background?: boolean;
  /** Weight of the editing-direction loss, if the step has it. */
  readonly lambdaEdit?: number;
  /** The blocks that are computed again in the backward pass; none by default. */
  readonly recompute?: (blocks: readonly Block[]) => readonly Block[];
}

/** A step's graph with what comes out of it. */
export interface StepGraph {
  /** The graph; nothing of it is an output yet. */
  readonly graph: Graph;
  /** How many of its ops, the first ones, are the forward pass. */
  readonly forwardOps: number;
  /** f32 (1) each: the error in the predicted noise, the background's, the edit's. */
  readonly losses: readonly [Tensor, Tensor, Tensor];
  /** Gradients of the losses' sum times `loss_scale`, in f32, in the order of the parameters. */
  readonly gradients: readonly Tensor[];
  /** f32 (B, h, w, C): predicted with the samples' own identities, and with mixed ones; the same without a background loss. */
  readonly predicted: { readonly own: Tensor; readonly mixed: Tensor };
}

/**
 * Inputs, all written before a step; B samples, latents of h × w × C:
 *
 * - `latents`, `noise`: f32 (B, h, w, C); `signal_level`, `noise_level`: f32
 *   (B, 1, 1, 1), the square roots of ᾱ and 1 − ᾱ at timestep `t`, f32 (B)
 * - `text`: (B, T, D); `features`: (B · references, tokens, E), of the vision tower
 * - `mix`: f32 (B, 1, 1), the share of a sample's own identity in the mixed one
 * - `outside`: f32 (B, h, w, 1), 0 in the face box
 * - `sample_weights`: f32 (B, 1, 1, 1); `loss_scale`: f32 (1)
 * - with an edit: `edit_latents_noise` and its levels and timestep, named likewise;
 *   `plain_text`, `edited_text`: (B, T, D); `no_identity`: (1, S, D), tokens of empty
 *   references by the adapter that training started from; `box_<rows>x<columns>`: f32 (B, tokens, 1),
 *   and its sum over the batch, `area_<rows>x<columns>`: f32 (1)
 * - `parameter …`: the f32 masters
 */
export function stepGraph(
  storage: StorageType,
  components: StepComponents,
  trainable: Trainable,
  shape: StepShape,
): StepGraph {
  const g = new Graph(storage);
  const masters = attachMasters(g, trainable);
  const inputs = new StepInputs(g, components, shape);

  // z_t = √ᾱ z + √(1 − ᾱ) ε: (B, h, w, C)
  const latents = inputs.latents("latents");
  const noise = inputs.latents("noise");
  const noisy = inputs.noisy(latents, noise, "");

  // Features of three references → identity (B, S, D), and mixed with another's.
  const identity = identityTokens(g, components, shape);
  const mixed = mixOverBatch(
    identity,
    g.input("mix", [shape.batch, 1, 1], "f32"),
  );

  // Both predictions: f32 (B, h, w, C)
  const text = inputs.text("text");
  const run = (identity: Tensor) =>
    cast(
      predict(components, { noisy, t: inputs.timesteps(""), text, identity }),
      "f32",
    );
  const own = run(identity);
  const { background = true } = shape;
  const other = background ? run(mixed) : own;

  const noiseTerm = noiseLoss(
    own,
    noise,
    g.input("sample_weights", [shape.batch, 1, 1, 1], "f32"),
    shape.lambdaNoise,
  );
  const outside = g.input("outside", [shape.batch, ...shape.size, 1], "f32");
  const none = g.constant(Float32Array.of(0), [1]);
  const backgroundTerm = background
    ? backgroundLoss(other, own, outside)
    : none;
  const constants = background ? [other] : [];
  let loss = background ? add(noiseTerm, backgroundTerm) : noiseTerm;
  let editTerm: Tensor = none;
  if (shape.lambdaEdit !== undefined) {
    const layers = editFeatures(inputs, components, latents, identity);
    for (const { none } of layers) constants.push(none.plain, none.edited);
    editTerm = editLoss(layers, shape.lambdaEdit);
    loss = add(loss, editTerm);
  }

  const scale = g.input("loss_scale", [1], "f32");
  const forwardOps = g.ops.length;
  const gradients = differentiate(loss, masters, {
    constants,
    scale,
    recompute: shape.recompute?.(g.blocks),
  });
  return {
    graph: g,
    forwardOps,
    losses: [noiseTerm, backgroundTerm, editTerm],
    gradients: gradients.map((gradient, i) =>
      gradient ?? zeros(g, masters[i].shape)
    ),
    predicted: { own, mixed: other },
  };
}

/**
 * The forward pass of a step with the samples' own identities, whose inputs have
 * the same names. Its output `loss` is the error in the predicted noise, f32 (1).
 */
export function probeGraph(
  storage: StorageType,
  components: StepComponents,
  trainable: Trainable,
  shape: StepShape,
): Graph {
  const g = new Graph(storage);
  attachMasters(g, trainable);
  const inputs = new StepInputs(g, components, shape);
  const noise = inputs.latents("noise");
  const predicted = predict(components, {
    noisy: inputs.noisy(inputs.latents("latents"), noise, ""),
    t: inputs.timesteps(""),
    text: inputs.text("text"),
    identity: identityTokens(g, components, shape),
  });
  const weights = g.input("sample_weights", [shape.batch, 1, 1, 1], "f32");
  g.output("loss", noiseLoss(cast(predicted, "f32"), noise, weights, 1));
  return g;
}

/** Makes a step's inputs on request, each once. */
class StepInputs {
  readonly #graph: Graph;
  readonly #components: StepComponents;
  readonly #shape: StepShape;

  constructor(g: Graph, components: StepComponents, shape: StepShape) {
    this.#graph = g;
    this.#components = components;
    this.#shape = shape;
  }

  get batch(): number {
    return this.#shape.batch;
  }

  #input(name: string, shape: readonly number[], dtype: "f32" | StorageType) {
    return this.#graph.inputs.get(name) ??
      this.#graph.input(name, shape, dtype);
  }

  /** f32 (B, h, w, C) */
  latents(name: string): Tensor {
    const { batch, size } = this.#shape;
    const { channels } = this.#components.unet.config;
    return this.#input(name, [batch, ...size, channels], "f32");
  }

  /** f32 (B) */
  timesteps(prefix: string): Tensor {
    return this.#input(`${prefix}t`, [this.batch], "f32");
  }

  /** (B, T, D) */
  text(name: string): Tensor {
    const { text: { config } } = this.#components;
    const { storage } = this.#graph;
    const shape = [this.batch, config.positions, config.hiddenSize];
    return this.#input(name, shape, storage);
  }

  /** (1, S, D) */
  noIdentity(): Tensor {
    const { adapter: { config }, unet } = this.#components;
    const tokens = config.tokens * config.maxReferences;
    const shape = [1, tokens, unet.config.crossAttentionDim];
    return this.#input("no_identity", shape, this.#graph.storage);
  }

  /** f32 (B, tokens, 1), for layers of so many rows and columns of tokens. */
  box(rows: number, columns: number): Tensor {
    const name = `box_${rows}x${columns}`;
    return this.#input(name, [this.batch, rows * columns, 1], "f32");
  }

  /** f32 (1), the sum of that box over the batch. */
  area(rows: number, columns: number): Tensor {
    return this.#input(`area_${rows}x${columns}`, [1], "f32");
  }

  /** f32 latents and noise (B, h, w, C) → noisy latents of the storage type. */
  noisy(latents: Tensor, noise: Tensor, prefix: string): Tensor {
    const level = (name: string) =>
      this.#input(`${prefix}${name}`, [this.batch, 1, 1, 1], "f32");
    const sum = add(
      multiply(latents, level("signal_level")),
      multiply(noise, level("noise_level")),
    );
    return cast(sum, this.#graph.storage);
  }
}

/** `features` (B · references, tokens, E) → identities (B, S, D). */
function identityTokens(
  g: Graph,
  { vision, adapter, unet }: StepComponents,
  { batch }: StepShape,
): Tensor {
  const { tokens, maxReferences } = adapter.config;
  const { imageSize, patchSize, hiddenSize } = vision.config;
  const patches = (imageSize / patchSize) ** 2 + 1;
  const features = g.input(
    "features",
    [batch * maxReferences, patches, hiddenSize],
    g.storage,
  );
  const width = unet.config.crossAttentionDim;
  const encoder = adapter.weights.at("id_encoder");
  return g.block(
    "id_encoder",
    () => idResampler(features, encoder, adapter.config, width),
  )
    .reshape(batch, maxReferences * tokens, width);
}

/** λ · id + (1 − λ) · id of the sample at the other end of the batch: (B, S, D). */
function mixOverBatch(identity: Tensor, share: Tensor): Tensor {
  const g = identity.graph;
  const [batch, ...rest] = identity.shape;
  const length = elementCount(rest);
  const flipped = g.apply(view, { x: identity }, {
    shape: [batch, length],
    strides: [-length, 1],
    offset: (batch - 1) * length,
  }).reshape(batch, ...rest);
  const change = subtract(cast(identity, "f32"), cast(flipped, "f32"));
  const mixed = add(cast(flipped, "f32"), multiply(change, share));
  return cast(mixed, identity.dtype);
}

/** What the UNet is given. */
interface Conditions {
  readonly noisy: Tensor;
  readonly t: Tensor;
  readonly text: Tensor;
  readonly identity: Tensor;
}

/** Predicts the noise with text and identity: (B, h, w, C). */
function predict(
  { unet: { weights, config }, adapter }: StepComponents,
  { noisy, t, text, identity }: Conditions,
): Tensor {
  return unet(
    {
      sample: noisy,
      t,
      cross: (attention) =>
        crossKeys(attention, text, weights, identity, adapter.weights),
      identityScale: noisy.graph.constant(Float32Array.of(1), [1]),
    },
    weights,
    config,
  );
}

/** The text part of every cross-attention in `up_blocks.1`. */
const EDIT_FEATURES =
  /^up_blocks\.1\.attentions\.\d+\.transformer_blocks\.\d+\.attn2\.text$/;

/** Features of the edit loss: those of the prompt and of the edited prompt, with and without the identity. */
function editFeatures(
  inputs: StepInputs,
  components: StepComponents,
  latents: Tensor,
  identity: Tensor,
): EditFeatures[] {
  const g = latents.graph;
  const noisy = inputs.noisy(latents, inputs.latents("edit_noise"), "edit_");
  const t = inputs.timesteps("edit_");
  const nobody = repeat(inputs.noIdentity(), inputs.batch);
  const features = (text: string, identity: Tensor): Tensor[] => {
    predict(components, { noisy, t, text: inputs.text(text), identity });
    return [...g.named].filter(([name]) => EDIT_FEATURES.test(name))
      .map(([, tensor]) => cast(tensor, "f32"));
  };
  const own = {
    plain: features("plain_text", identity),
    edited: features("edited_text", identity),
  };
  const none = {
    plain: features("plain_text", nobody),
    edited: features("edited_text", nobody),
  };
  const [, height, width] = latents.shape;
  return own.plain.map((plain, i) => {
    const size = sizeOf(plain.shape[1], height, width);
    return {
      own: { plain, edited: own.edited[i] },
      none: { plain: none.plain[i], edited: none.edited[i] },
      box: inputs.box(...size),
      area: inputs.area(...size),
    };
  });
}

/** Rows and columns of a layer's tokens: the latents', halved and rounded up level by level. */
function sizeOf(
  tokens: number,
  rows: number,
  columns: number,
): [number, number] {
  while (rows * columns > tokens) {
    rows = Math.ceil(rows / 2);
    columns = Math.ceil(columns / 2);
  }
  return [rows, columns];
}

function zeros(g: Graph, shape: readonly number[]): Tensor {
  return g.apply(view, { x: g.constant(Float32Array.of(0), [1]) }, {
    shape: [elementCount(shape)],
    strides: [0],
  }).reshape(...shape);
}

/** All losses of a step as one tensor: f32 (3). */
export function joinLosses(
  [noise, background, edit]: StepGraph["losses"],
): Tensor {
  return concat(concat(noise, background, 0), edit, 0);
}

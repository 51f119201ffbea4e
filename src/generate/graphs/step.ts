/**
 * What painting computes, as graphs: conditions, a denoising step, decoding.
 *
 * @module
 */
import type { Component } from "../weights/components.ts";
import type { DdimConfig } from "../samplers/ddim.ts";
import type { StepKind } from "./step_kinds.ts";
import type { StorageType } from "../gpu/gpu.ts";
import { Graph, type Tensor } from "../graph/graph.ts";
import { Health } from "./health.ts";
import { clipText, type ClipTextConfig } from "../models/clip.ts";
import type { IdentityConfig } from "../models/id_resampler.ts";
import {
  crossAttentions,
  type CrossKeys,
  crossKeys,
  unet,
  type UNetConfig,
} from "../models/unet.ts";
import { type VaeConfig, vaeDecode } from "../models/vae.ts";
import { ddimStep, guidance } from "../ops/diffusion.ts";
import { map } from "../ops/elementwise.ts";
import { elementCount } from "../ops/op.ts";
import { imageOutput } from "../ops/outputs.ts";
import { view } from "../ops/views.ts";

/** The parts of a model that paint. */
export interface GeneratorComponents {
  /** CLIP's text tower. */
  readonly text: Component<ClipTextConfig>;
  /** The UNet and its noise schedule. */
  readonly unet: Component<UNetConfig & { readonly scheduler: DdimConfig }>;
  /** The identity's keys and values, among the adapter's weights. */
  readonly adapter: Component<IdentityConfig>;
  /** The autoencoder. */
  readonly vae: Component<VaeConfig>;
}

/** What decides the shapes of the plans. */
export interface Layout {
  /** Images at once. */
  readonly images: number;
  /** Rows of the latents. */
  readonly height: number;
  /** Columns of the latents. */
  readonly width: number;
  /** Whether both halves of guidance are computed, in some step at least. */
  readonly guided: boolean;
  /** Whether some steps use deep features of others. */
  readonly reuse?: boolean;
  /** Share of the tokens that self-attention merges; none where not given. */
  readonly mergeTokens?: number;
}

/**
 * `ids` u32 (B, T) and `identity` (B, S, C), B the halves of guidance, the
 * conditional one first, to `….attn2.k` and `….attn2.v` of every
 * cross-attention, one for every image, and marks in `health`.
 */
export function conditionGraph(
  storage: StorageType,
  { text, unet: component, adapter }: GeneratorComponents,
  { images, guided }: Layout,
): Graph {
  const g = new Graph(storage);
  const halves = guided ? 2 : 1;
  const { tokens, maxReferences } = adapter.config;
  const { crossAttentionDim } = component.config;
  const ids = g.input("ids", [halves, text.config.positions], "u32");
  const identity = g.input(
    "identity",
    [halves, maxReferences * tokens, crossAttentionDim],
    storage,
  );
  const embedding = clipText(ids, text.weights.at("text_model"), text.config);
  g.name("text", embedding);
  const health = new Health(g);
  health.mark("text", embedding);
  health.mark("identity", identity);
  for (const attention of crossAttentions(component.config)) {
    const { k, v } = crossKeys(
      attention,
      embedding,
      component.weights,
      identity,
      adapter.weights,
    );
    for (const kind of ["k", "v"]) {
      const of = (name: string) => g.named.get(`${attention.path}.${name}`)!;
      health.mark("text keys", of(`to_${kind}`));
      health.mark("identity keys", of(`to_${kind}_img`));
    }
    g.output(`${attention.path}.k`, repeatEach(k, images));
    g.output(`${attention.path}.v`, repeatEach(v, images));
  }
  return g;
}

/** Each of B tensors `times` times, one after the other: (B · times, T, C). */
function repeatEach(x: Tensor, times: number): Tensor {
  if (times === 1) return x;
  const [batch, tokens, channels] = x.shape;
  const one = tokens * channels;
  return x.graph.apply(view, { x }, {
    shape: [batch, times, one],
    strides: [one, 0, 1],
  }).reshape(batch * times, tokens, channels);
}

/**
 * One step: `latents` f32 (B, h, w, C) becomes less noisy, in place; where it
 * is not finite `health` says since which `step`, u32 (1).
 *
 * @param kind its work; as the layout says where not given
 */
export function stepGraph(
  storage: StorageType,
  { text, unet: component, adapter }: GeneratorComponents,
  layout: Layout,
  { guided, reused }: StepKind = { guided: layout.guided, reused: false },
): Graph {
  const { images, height, width, reuse, mergeTokens } = layout;
  const g = new Graph(storage);
  const { channels, blockOutChannels } = component.config;
  const halves = guided ? 2 : 1;
  const batch = halves * images;
  const shape = [images, height, width, channels];
  const latents = g.input("latents", shape, "f32");
  const textKeys = text.config.positions;
  const keys = textKeys +
    adapter.config.maxReferences * adapter.config.tokens;

  // The same latents for both halves of guidance.
  const sample = g.apply(view, { x: latents }, {
    shape: [halves, elementCount(shape)],
    strides: [0, 1],
    dtype: storage,
  }).reshape(batch, height, width, channels);
  const cross = (path: string, width: number): CrossKeys => ({
    k: g.input(`${path}.k`, [batch, keys, width], storage),
    v: g.input(`${path}.v`, [batch, keys, width], storage),
    textKeys,
  });
  const predicted = unet(
    {
      sample,
      t: g.input("t", [batch], "f32"),
      cross: ({ path, channels }) => cross(path, channels),
      identityScale: g.input("identity_scale", [1], "f32"),
      deep: reused
        ? g.input("deep", [batch, height, width, blockOutChannels[0]], storage)
        : undefined,
      mergeTokens,
    },
    component.weights,
    component.config,
  );
  if (reuse && !reused) g.output("deep", g.named.get("deep")!);
  const eps = guided
    ? g.apply(guidance, {
      x: predicted,
      scale: g.input("guidance_scale", [1], "f32"),
    }, {})
    : toF32(predicted);
  const coefficients = g.input("coefficients", [2], "f32");
  const next = g.apply(ddimStep, { latents, eps, coefficients }, {});
  new Health(g).mark("latents", next, g.input("step", [1], "u32"));
  return g;
}

function toF32(x: Tensor): Tensor {
  const total = elementCount(x.shape);
  return x.graph.apply(view, { x }, {
    shape: [total],
    strides: [1],
    dtype: "f32",
  }).reshape(...x.shape);
}

/** `latents` f32 (1, h, w, C) → `pixels` u32 (1, H, W), and marks in `health`. */
export function decodeGraph(
  storage: StorageType,
  { vae }: Pick<GeneratorComponents, "vae">,
  { height, width }: Layout,
): Graph {
  const g = new Graph(storage);
  const { latentChannels, scalingFactor } = vae.config;
  const latents = g.input("latents", [1, height, width, latentChannels], "f32");
  const typed = g.apply(view, { x: latents }, {
    shape: [elementCount(latents.shape)],
    strides: [1],
    dtype: storage,
  }).reshape(...latents.shape);
  const scaled = g.apply(map, { x: typed }, { scale: 1 / scalingFactor });
  const decoded = vaeDecode(scaled, vae.weights, vae.config);
  g.name("decoded", decoded);
  new Health(g).mark("decoded", decoded);
  g.output("pixels", g.apply(imageOutput, { x: decoded }, {}));
  return g;
}

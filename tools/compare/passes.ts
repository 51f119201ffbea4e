/**
 * One pass through each network, its inputs and outputs named as
 * `tools/reference/networks.py` names them.
 *
 * @module
 */
import type { Graph } from "../../src/graph/graph.ts";
import { bisenet } from "../../src/models/bisenet.ts";
import { clipText, clipVision } from "../../src/models/clip.ts";
import { idResampler } from "../../src/models/id_resampler.ts";
import { crossKeys, unet } from "../../src/models/unet.ts";
import { vaeDecode, vaeEncode } from "../../src/models/vae.ts";
import type { Components } from "../../src/components/networks.ts";

/** Networks, as `tools/reference/networks.py` calls them. */
export const NETWORKS = [
  "text_encoder",
  "image_encoder",
  "identity_encoder",
  "unet",
  "vae",
  "face_parser",
] as const;

/** One of the networks. */
export type ComparedNetwork = typeof NETWORKS[number];

/** The shape of a pass's input, which must have so many dimensions. */
export type ShapeOf = (input: string, dimensions: number) => readonly number[];

/** A pass through a network. */
export interface Pass {
  /** The network. */
  readonly network: ComparedNetwork;
  /** What goes in, by name. */
  readonly inputs: readonly string[];
  /** What comes out, by name. */
  readonly outputs: readonly string[];
  /**
   * Builds the graph: batch and image sizes are those of the inputs, all
   * other sizes the model's.
   */
  readonly build: (g: Graph, parts: Components, shape: ShapeOf) => void;
}

/** `text.input_ids` u32 (B, T) → `text.last_hidden_state` (B, T, C) */
const textEncoder: Pass = {
  network: "text_encoder",
  inputs: ["text.input_ids"],
  outputs: ["text.last_hidden_state"],
  build(g, { text: { weights, config } }, shape) {
    const [batch] = shape("text.input_ids", 2);
    const ids = g.input("text.input_ids", [batch, config.positions], "u32");
    const hidden = clipText(ids, weights.at("text_model"), config);
    g.output("text.last_hidden_state", hidden);
  },
};

/** `vision.pixel_values` (B, S, S, 4) → `vision.penultimate` (B, T, E) */
const imageEncoder: Pass = {
  network: "image_encoder",
  inputs: ["vision.pixel_values"],
  outputs: ["vision.penultimate"],
  build(g, { vision: { weights, config } }, shape) {
    const [batch] = shape("vision.pixel_values", 4);
    const { imageSize } = config;
    const sizes = [batch, imageSize, imageSize, 4];
    const pixels = g.input("vision.pixel_values", sizes, g.storage);
    const features = clipVision(pixels, weights.at("vision_model"), config);
    g.output("vision.penultimate", features);
  },
};

/** `id_encoder.input` (B, T, E) → `id_encoder.output` (B, tokens, C) */
const identityEncoder: Pass = {
  network: "identity_encoder",
  inputs: ["id_encoder.input"],
  outputs: ["id_encoder.output"],
  build(g, { vision, adapter, unet }, shape) {
    const [batch, tokens] = shape("id_encoder.input", 3);
    const sizes = [batch, tokens, vision.config.hiddenSize];
    const features = g.input("id_encoder.input", sizes, g.storage);
    const w = adapter.weights.at("id_encoder");
    const width = unet.config.crossAttentionDim;
    g.output(
      "id_encoder.output",
      idResampler(features, w, adapter.config, width),
    );
  },
};

/**
 * `unet.sample` (B, H, W, 4), `unet.timesteps` (B), `unet.text` (B, T, C) and,
 * with a scale, `unet.id` (B, S, C) → (B, H, W, 4)
 *
 * @param scale of the identity; null leaves it out
 * @param output what the predicted noise is called
 */
export function unetPass(scale: number | null, output: string): Pass {
  const inputs = ["unet.sample", "unet.timesteps", "unet.text"];
  return {
    network: "unet",
    inputs: scale === null ? inputs : [...inputs, "unet.id"],
    outputs: [output],
    build(g, { unet: { weights, config }, adapter }, shape) {
      const { channels, crossAttentionDim } = config;
      const [batch, height, width] = shape("unet.sample", 4);
      const tokens = (name: string) => {
        const sizes = [batch, shape(name, 3)[1], crossAttentionDim];
        return g.input(name, sizes, g.storage);
      };
      const text = tokens("unet.text");
      const identity = scale === null ? undefined : tokens("unet.id");
      const sample = [batch, height, width, channels];
      const eps = unet(
        {
          sample: g.input("unet.sample", sample, g.storage),
          t: g.input("unet.timesteps", [batch], "f32"),
          cross: (attention) =>
            crossKeys(attention, text, weights, identity, adapter.weights),
          identityScale: scale === null
            ? undefined
            : g.constant(Float32Array.of(scale), [1]),
        },
        weights,
        config,
      );
      g.output(output, eps);
    },
  };
}

/** `vae.latents` (B, h, w, 4), not scaled → `vae.decoded` (B, H, W, 3) */
const vaeDecoder: Pass = {
  network: "vae",
  inputs: ["vae.latents"],
  outputs: ["vae.decoded"],
  build(g, { vae: { weights, config } }, shape) {
    const [batch, height, width] = shape("vae.latents", 4);
    const sizes = [batch, height, width, config.latentChannels];
    const latents = g.input("vae.latents", sizes, g.storage);
    g.output("vae.decoded", vaeDecode(latents, weights, config));
  },
};

/** `vae.image` (B, H, W, 4) in −1..1 → `vae.mean`, `vae.logvar` (B, h, w, 4) */
const vaeEncoder: Pass = {
  network: "vae",
  inputs: ["vae.image"],
  outputs: ["vae.mean", "vae.logvar"],
  build(g, { vae: { weights, config } }, shape) {
    const [batch, height, width] = shape("vae.image", 4);
    const image = g.input("vae.image", [batch, height, width, 4], g.storage);
    const { mean, logvar } = vaeEncode(image, weights, config);
    g.output("vae.mean", mean);
    g.output("vae.logvar", logvar);
  },
};

/** `face_parser.input` (B, S, S, 4) → `face_parser.logits` (B, S, S, classes) */
const faceParser: Pass = {
  network: "face_parser",
  inputs: ["face_parser.input"],
  outputs: ["face_parser.logits"],
  build(g, { parser: { weights, config } }, shape) {
    const [batch] = shape("face_parser.input", 4);
    const { inputSize } = config;
    const sizes = [batch, inputSize, inputSize, 4];
    const pixels = g.input("face_parser.input", sizes, g.storage);
    g.output("face_parser.logits", bisenet(pixels, weights, config));
  },
};

/** Every pass, in the order in which an image needs them. */
export const PASSES: readonly Pass[] = [
  textEncoder,
  imageEncoder,
  identityEncoder,
  unetPass(null, "unet.eps_text_only"),
  unetPass(1, "unet.eps"),
  vaeDecoder,
  vaeEncoder,
  faceParser,
];

/** The pass that gives an output, or nothing. */
export function passOf(output: string): Pass | undefined {
  return PASSES.find(({ outputs }) => outputs.includes(output));
}

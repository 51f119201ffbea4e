/**
 * Images made with a model in training, on its device: the grid that shows how far
 * it has come.
 *
 * @module
 */
import type { CallOptions } from "../base/progress.ts";
import type { Components } from "../components/networks.ts";
import { ImageGenerator } from "../generate/generator.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import { Network } from "../graph/network.ts";
import type { Tuner } from "../graph/tuner.ts";
import { IdentityEncoder } from "../identity/identity.ts";
import type { Image } from "../image/image.ts";
import { checkSettings } from "../options/options.ts";
import type { ClipTokenizer } from "../text/tokenizer.ts";
import { type Component, component } from "../weights/components.ts";
import type { WeaveFile, WeaveTensor } from "../weights/weave.ts";

/** Prompts of the grids, in turn. */
export const PREVIEW_PROMPTS: readonly string[] = [
  "a person smiling",
  "a bald person swimming",
  "a person with curly hair",
  "Manga drawing of a person",
  "a baby",
  "a person wearing a spacesuit",
  "photo of a person in the snow",
  "a person is playing the guitar",
];

/** What previews are made with. */
export interface PreviewOptions {
  /** The device. */
  readonly gpu: Gpu;
  /** Storage type of activations and weights. */
  readonly storage: StorageType;
  /** Chooses kernels. */
  readonly tuner: Tuner;
  /** The model, with the trained values. */
  readonly components: Components;
  /** Turns prompts into ids. */
  readonly tokenizer: ClipTokenizer;
  /** Rows and columns in pixels. */
  readonly size: { readonly width: number; readonly height: number };
}

/** One image to make. */
export interface PreviewRequest {
  /** References as the encoder sees them; none: an empty one. */
  readonly references: readonly Image[];
  /** The prompt. */
  readonly prompt: string;
  /** Seed of its noise. */
  readonly seed: number;
}

/**
 * Makes images, by 30 steps with guidance 5. Weights are loaded for it and freed
 * afterwards.
 *
 * @throws {MasterWeaverError} `aborted`, `non-finite`, `out-of-memory`, `gpu`
 */
export async function makePreviews(
  { gpu, storage, tuner, components, tokenizer, size }: PreviewOptions,
  requests: readonly PreviewRequest[],
  options: CallOptions = {},
): Promise<Image[]> {
  using stack = new DisposableStack();
  const network = () => stack.use(new Network(gpu, true, tuner));
  const channels = components.unet.config.crossAttentionDim;
  const encoder = new IdentityEncoder(
    gpu,
    storage,
    { ...components, channels },
    { parser: network(), encoder: network() },
    { modelHash: "", adapterHash: "" },
  );
  const generator = stack.use(
    new ImageGenerator({
      gpu,
      storage,
      components,
      networks: {
        condition: network(),
        control: network(),
        step: network(),
        decode: network(),
        decodeF32: network(),
        encode: network(),
        encodeF32: network(),
      },
    }),
  );
  const images: Image[] = [];
  for (const { references, prompt, seed } of requests) {
    const identity = await encoder.encode(references, {
      ...options,
      parse: false,
    });
    const settings = checkSettings({ prompt, seed, ...size }, {
      own: size.width,
      multiple: components.vae.config.factor,
    });
    const ids = {
      prompt: tokenizer.encode(prompt).ids,
      negative: tokenizer.encode("").ids,
    };
    images.push(
      ...await generator.generate({ text: ids, identity, settings }, options),
    );
  }
  await gpu.idle();
  return images;
}

/**
 * A component whose file's tensors have other values.
 *
 * @param values by name, row-major; tensors without are as in the file
 */
export function withValues<C>(
  { file, config }: { readonly file: WeaveFile; readonly config: C },
  values: ReadonlyMap<string, Float32Array>,
): Component<C> {
  const tensors = new Map<string, WeaveTensor>(file.tensors);
  for (const [name, data] of values) {
    const known = file.tensors.get(name);
    if (!known) continue;
    const { shape } = known;
    tensors.set(name, {
      name,
      shape,
      dtype: "f32",
      bytes: data.byteLength,
      async *chunks(most = CHUNK_BYTES) {
        const step = Math.max(64, Math.floor(most / 256) * 64);
        for (let at = 0; at < data.length; at += step) {
          // A copy: readers may keep what they get.
          const { buffer } = data.slice(at, at + step);
          yield await Promise.resolve(new Uint8Array(buffer));
        }
      },
    });
  }
  return component({ ...file, tensors }, () => config);
}

const CHUNK_BYTES = 4 * 2 ** 20;

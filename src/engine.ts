/**
 * What a model has on one device: its networks, and what they hand to each
 * other. When the device is lost, all of it is made anew.
 *
 * @module
 */
import { stepKinds } from "./generate/step_kinds.ts";
import { chooseDtype, type Gpu, type StorageType } from "./gpu/gpu.ts";
import { Network } from "./graph/network.ts";
import type { Tuner } from "./graph/tuner.ts";
import {
  type Identity,
  IdentityEncoder,
  type IdentityHashes,
  type IdentityNetworks,
  type IdentityTokens,
  type LookOptions,
} from "./identity/identity.ts";
import type { Image } from "./image/image.ts";
import type { Settings } from "./options/options.ts";
import {
  type GeneratorNetworks,
  ImageGenerator,
  type Layout,
  type PromptIds,
} from "./generate/generator.ts";
import type { Components } from "./components/networks.ts";
import type { CallOptions } from "./base/progress.ts";

/** A model on a device. */
export class Engine implements Disposable {
  /** The device. */
  readonly gpu: Gpu;
  /** Decides which way ops are computed there. */
  readonly tuner: Tuner;
  readonly #dtype: StorageType;
  readonly #parts: Components;
  readonly #networks: IdentityNetworks & GeneratorNetworks;
  readonly #encoder: IdentityEncoder;
  #generator: ImageGenerator | null = null;

  /**
   * Nothing is loaded yet.
   *
   * @param gpu the device; freed with the engine
   * @param dtype storage of activations and weights
   * @param parts the model
   * @param keepLoaded whether a network stays on the GPU when it is done
   * @param tuner of the same device
   * @param hashes what identities are marked with
   * @throws {MasterWeaverError} `bad-option` where the device cannot store the type
   */
  constructor(
    gpu: Gpu,
    dtype: StorageType,
    parts: Components,
    keepLoaded: boolean,
    tuner: Tuner,
    hashes: IdentityHashes,
  ) {
    this.gpu = gpu;
    this.tuner = tuner;
    this.#dtype = chooseDtype(gpu, dtype);
    this.#parts = parts;
    const network = () => new Network(gpu, keepLoaded, tuner);
    this.#networks = {
      parser: network(),
      encoder: network(),
      condition: network(),
      step: network(),
      decode: network(),
      decodeF32: network(),
    };
    this.#encoder = new IdentityEncoder(
      gpu,
      dtype,
      { ...parts, channels: parts.unet.config.crossAttentionDim },
      this.#networks,
      hashes,
    );
  }

  /** Faces to an identity. */
  encode(faces: readonly Image[], options: LookOptions): Promise<Identity> {
    return this.#encoder.encode(faces, options);
  }

  /** Text and identity to images. */
  async paint(
    ids: PromptIds,
    identity: IdentityTokens,
    settings: Settings,
    options: CallOptions,
  ): Promise<Image[]> {
    const generator = await this.#generatorFor(settings);
    return await generator.paint(ids, identity, settings, options);
  }

  /** The generator of a layout: the one at hand, or a new one in its place. */
  async #generatorFor(settings: Settings): Promise<ImageGenerator> {
    const { factor } = this.#parts.vae.config;
    const kinds = stepKinds(settings);
    const layout: Layout = {
      images: settings.numImages,
      height: settings.height / factor,
      width: settings.width / factor,
      guided: kinds.some(({ guided }) => guided),
      reuse: kinds.some(({ reused }) => reused),
      mergeTokens: settings.mergeTokens,
    };
    const same = this.#generator &&
      JSON.stringify(this.#generator.layout) === JSON.stringify(layout);
    if (!same) {
      this.#generator?.[Symbol.dispose]();
      this.#generator = null;
      this.#generator = await ImageGenerator.make(
        this.gpu,
        this.#dtype,
        this.#parts,
        this.#networks,
        layout,
      );
    }
    return this.#generator!;
  }

  /** Frees everything on the device, and the device. */
  [Symbol.dispose](): void {
    this.#generator?.[Symbol.dispose]();
    this.#generator = null;
    for (const network of Object.values(this.#networks)) {
      network[Symbol.dispose]();
    }
    this.gpu[Symbol.dispose]();
  }
}

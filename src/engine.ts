/**
 * A model on one device: its networks, and what makes identities and images
 * with them. When the device is lost, a new engine replaces this one.
 *
 * @module
 */
import {
  followsIdentities,
  type ModelComponents,
} from "./components/networks.ts";
import {
  type GenerateCallOptions,
  ImageGenerator,
  type ImageRequest,
} from "./generate/generator.ts";
import { chooseDtype, type Gpu, type StorageType } from "./gpu/gpu.ts";
import { Network } from "./graph/network.ts";
import type { Tuner } from "./graph/tuner.ts";
import {
  type EncodeOptions,
  type Identity,
  IdentityEncoder,
} from "./identity/identity.ts";
import type { Image } from "./image/image.ts";
import { withoutIdentity } from "./weights/components.ts";

/** A model on a device. */
export class Engine implements Disposable {
  /** The device. */
  readonly gpu: Gpu;
  /** Chooses the kernel of each op. */
  readonly tuner: Tuner;
  /** Null where the model follows no identities. */
  readonly #encoder: IdentityEncoder | null;
  readonly #generator: ImageGenerator;
  /** Freed in reverse, the device last. */
  readonly #owned: Disposable[] = [];

  /**
   * Sets the networks up; their weights are loaded when first needed.
   *
   * @param gpu the device; freed with the engine
   * @param dtype storage type of activations and weights
   * @param components the model
   * @param keepLoaded whether a network's weights stay on the GPU after use
   * @param tuner for the same device
   * @param modelHash of all files, recorded in every identity
   * @throws {MasterWeaverError} `bad-option` where the device cannot store the type
   */
  constructor(
    gpu: Gpu,
    dtype: StorageType,
    components: ModelComponents,
    keepLoaded: boolean,
    tuner: Tuner,
    modelHash: string,
  ) {
    const storage = chooseDtype(gpu, dtype);
    this.gpu = this.#own(gpu);
    this.tuner = tuner;
    const network = () => this.#own(new Network(gpu, keepLoaded, tuner));
    this.#encoder = followsIdentities(components)
      ? new IdentityEncoder(
        gpu,
        storage,
        { ...components, channels: components.unet.config.crossAttentionDim },
        { parser: network(), encoder: network() },
        { modelHash, adapterHash: components.adapter.file.hash },
      )
      : null;
    const networks = {
      condition: network(),
      control: network(),
      step: network(),
      decode: network(),
      decodeF32: network(),
      encode: network(),
      encodeF32: network(),
    };
    this.#generator = this.#own(
      new ImageGenerator({ gpu, storage, components, networks }),
    );
  }

  /**
   * Encodes faces as an identity.
   *
   * @throws {MasterWeaverError} `bad-model` where the model follows no identities
   */
  async encode(
    faces: readonly Image[],
    options: EncodeOptions,
  ): Promise<Identity> {
    if (!this.#encoder) throw withoutIdentity({});
    return await this.#encoder.encode(faces, options);
  }

  /** Makes images from text and, where there is one, an identity. */
  generate(
    request: ImageRequest,
    options: GenerateCallOptions,
  ): Promise<Image[]> {
    return this.#generator.generate(request, options);
  }

  /** Frees everything on the device, and the device. */
  [Symbol.dispose](): void {
    for (const one of this.#owned.splice(0).reverse()) one[Symbol.dispose]();
  }

  #own<T extends Disposable>(one: T): T {
    this.#owned.push(one);
    return one;
  }
}

/**
 * The frozen networks around the UNet: text, images and references to what a
 * training step is given.
 *
 * @module
 */
import type { Components } from "../components/networks.ts";
import type { BufferSlice } from "../gpu/buffers.ts";
import { copyBuffers } from "../gpu/copies.ts";
import type { Gpu, StorageType } from "../gpu/gpu.ts";
import type { Pace } from "../gpu/pace.ts";
import { Graph } from "../graph/graph.ts";
import { KernelChoice } from "../graph/kernel_choice.ts";
import { type GpuTensor, Plan } from "../graph/plan.ts";
import type { Tuner } from "../graph/tuner.ts";
import { WeightStore } from "../graph/weight_store.ts";
import { clipText, clipVision } from "../models/clip.ts";
import { vaeEncode } from "../models/vae.ts";

/** The components of the frozen networks. */
export type TowerComponents = Pick<Components, "text" | "vision" | "vae">;

/** A frozen network. */
export type TowerName = "text" | "vision" | "vae";

/** References that are encoded at once, where there are so many. */
export const REFERENCES_TOGETHER = 4;

/** What decides the graphs of the towers. */
export interface TowerShape {
  /** Storage type of activations and weights. */
  readonly storage: StorageType;
  /** Prompts that are encoded together. */
  readonly batch: number;
  /** Rows and columns of an image in pixels. */
  readonly imageSize: readonly [number, number];
}

/** What the towers run on. */
export interface TowerOptions extends TowerShape {
  /** The device. */
  readonly gpu: Gpu;
  /** Chooses kernels. */
  readonly tuner: Tuner;
}

/** A network with its weights and its plans, by how many they encode at once. */
interface Tower {
  readonly store: WeightStore;
  readonly plans: Map<number, Plan>;
}

/** A reference to encode, and where its features go. */
export interface ReferencePlace {
  /** (S, S, 4), normalised; all zero for an empty reference. */
  readonly pixels: Float32Array;
  /** (tokens, E), of the storage type. */
  readonly to: BufferSlice;
}

/** Mean and log-variance of an image's latents, (h, w, C) each. */
export interface Moments {
  /** Means. */
  readonly mean: Float32Array;
  /** Logarithms of variances. */
  readonly logvar: Float32Array;
}

/** Frozen networks, each loaded when it is first needed. */
export class FrozenTowers implements Disposable {
  readonly #components: TowerComponents;
  readonly #options: TowerOptions;
  readonly #towers = new Map<TowerName, Tower>();

  /** Nothing is loaded yet. */
  constructor(components: TowerComponents, options: TowerOptions) {
    this.#components = components;
    this.#options = options;
  }

  /**
   * Encodes prompts on the GPU.
   *
   * @param ids (B, T)
   * @param to (B, T, D), of the storage type
   */
  async encodeText(
    ids: Uint32Array,
    to: GpuTensor,
    pace: Pace,
  ): Promise<void> {
    const plan = await this.#plan("text", this.#options.batch);
    plan.write("ids", ids);
    // In the order of the queue: the copy comes after the run, the next run after it.
    await plan.runPaced(pace);
    copyBuffers(this.#options.gpu, [[plan.tensor("text").slice, to.slice]]);
  }

  /** Encodes references on the GPU, some of them together. */
  async encodeReferences(
    references: readonly ReferencePlace[],
    pace: Pace,
  ): Promise<void> {
    for (let at = 0; at < references.length;) {
      const rest = references.length - at;
      const count = rest < REFERENCES_TOGETHER ? 1 : REFERENCES_TOGETHER;
      await this.#encodeTogether(references.slice(at, at + count), pace);
      at += count;
    }
  }

  async #encodeTogether(
    references: readonly ReferencePlace[],
    pace: Pace,
  ): Promise<void> {
    const plan = await this.#plan("vision", references.length);
    const { length } = references[0].pixels;
    const pixels = new Float32Array(references.length * length);
    references.forEach((one, i) => pixels.set(one.pixels, i * length));
    plan.write("pixels", pixels);
    await plan.runPaced(pace);
    const { slice: { buffer, offset } } = plan.tensor("features");
    copyBuffers(
      this.#options.gpu,
      references.map(({ to }, i) => {
        const from = { buffer, offset: offset + i * to.size, size: to.size };
        return [from, to] as const;
      }),
    );
  }

  /**
   * Encodes a reference and reads its features back, to be kept.
   *
   * @param pixels (S, S, 4), normalised
   * @returns (tokens, E)
   */
  async readReference(
    pixels: Float32Array,
    pace: Pace,
  ): Promise<Float32Array<ArrayBuffer>> {
    const plan = await this.#plan("vision", 1);
    plan.write("pixels", pixels);
    await plan.runPaced(pace);
    await pace.finish();
    const { features } = await plan.read("features");
    return Float32Array.from(features);
  }

  /**
   * Encodes an image and reads the moments of its latents back, to be kept: an image
   * is the same every time it comes.
   *
   * @param pixels (H, W, 4) in −1..1, the fourth channel 0
   */
  async encodeImage(pixels: Float32Array, pace: Pace): Promise<Moments> {
    const plan = await this.#plan("vae", 1);
    plan.write("pixels", pixels);
    await plan.runPaced(pace);
    await pace.finish();
    const { mean, logvar } = await plan.read("mean", "logvar");
    return {
      mean: Float32Array.from(mean),
      logvar: Float32Array.from(logvar),
    };
  }

  /** The plan of a network that encodes so many at once. */
  async #plan(name: TowerName, count: number): Promise<Plan> {
    const known = this.#towers.get(name)?.plans.get(count);
    if (known) return known;
    const { gpu, tuner } = this.#options;
    const graph = towerGraph(name, this.#components, this.#options, count);
    await tuner.prepare(graph);
    const kernels = new KernelChoice(graph, tuner.choose);
    let tower = this.#towers.get(name);
    if (!tower) {
      tower = { store: new WeightStore(gpu), plans: new Map() };
      this.#towers.set(name, tower);
    }
    const { store, plans } = tower;
    await store.load(kernels.parameters);
    const plan = await Plan.make(gpu, graph, {
      weights: [store],
      kernels,
      shares: plans.values().next().value,
    });
    plans.set(count, plan);
    return plan;
  }

  /** Frees a network, which is loaded again when it is needed: the VAE once all latents are cached. */
  release(name: TowerName): void {
    const tower = this.#towers.get(name);
    this.#towers.delete(name);
    for (const plan of [...tower?.plans.values() ?? []].reverse()) {
      plan[Symbol.dispose]();
    }
    tower?.store[Symbol.dispose]();
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    for (const name of [...this.#towers.keys()]) this.release(name);
  }
}

/**
 * The graph of a frozen network, with its outputs.
 *
 * @param count how many it encodes at once; what a step mostly does, by default
 */
export function towerGraph(
  name: TowerName,
  components: TowerComponents,
  shape: TowerShape,
  count: number =
    { text: shape.batch, vision: REFERENCES_TOGETHER, vae: 1 }[name],
): Graph {
  return builders[name](components, shape, count);
}

type Builder = (
  components: TowerComponents,
  shape: TowerShape,
  count: number,
) => Graph;

const builders: Readonly<Record<TowerName, Builder>> = {
  text({ text }, { storage }, count) {
    const g = new Graph(storage);
    const ids = g.input("ids", [count, text.config.positions], "u32");
    const w = text.weights.at("text_model");
    g.output("text", clipText(ids, w, text.config));
    return g;
  },

  vision({ vision }, { storage }, count) {
    const g = new Graph(storage);
    const { imageSize } = vision.config;
    const pixels = g.input("pixels", [count, imageSize, imageSize, 4], storage);
    const w = vision.weights.at("vision_model");
    g.output("features", clipVision(pixels, w, vision.config));
    return g;
  },

  /** Always in f32: the VAE's activations can pass f16's range. */
  vae({ vae }, { imageSize }, count) {
    const g = new Graph("f32");
    const pixels = g.input("pixels", [count, ...imageSize, 4], "f32");
    const { mean, logvar } = vaeEncode(pixels, vae.weights, vae.config);
    g.output("mean", mean);
    g.output("logvar", logvar);
    return g;
  },
};

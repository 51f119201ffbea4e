/**
 * What a model gives for a photo and a prompt, network by network, each on what
 * the one before gave: what other conversions of it are compared with.
 *
 * @module
 */
import { alphasCumprod } from "../../src/samplers/noise_levels.ts";
import { torchCpuNormal } from "../../src/samplers/noise.ts";
import { clipPreprocess } from "../../src/image/clip_preprocess.ts";
import type { Image } from "../../src/image/image.ts";
import {
  IMAGENET_MEAN,
  IMAGENET_STD,
  type Rgb,
  toChannels4,
} from "../../src/image/normalize.ts";
import { resizeImage } from "../../src/image/resize.ts";
import {
  type Components,
  readTokenizer,
} from "../../src/components/networks.ts";
import { type ComparedNetwork, type Pass, PASSES, passOf } from "./passes.ts";
import { runPass, type Where } from "./run.ts";
import { rows, type Values, zeros } from "./values.ts";

/** What images and passes are made from. */
export interface Scene {
  /** The reference photo. */
  readonly photo: Image;
  /** What the image shows. */
  readonly prompt: string;
  /** Seed of all noise. */
  readonly seed: number;
  /** Side of the image in pixels. */
  readonly size: number;
}

/** A pass, and what it gave. */
export interface RecordedPass {
  /** The pass. */
  readonly pass: Pass;
  /** Its inputs by name. */
  readonly inputs: ReadonlyMap<string, Values>;
  /** Its outputs by name. */
  readonly outputs: ReadonlyMap<string, Values>;
}

/** Noise level of the UNet's input: half way, where both image and noise count. */
const TIMESTEP = 501;
/** From 0..1 to −1..1. */
const HALF: Rgb = [0.5, 0.5, 0.5];

/** Runs a model's networks and keeps what goes in and comes out. */
export class Recorder {
  readonly #where: Where;
  readonly #parts: Components;
  readonly #scene: Scene;
  readonly #onRun: (pass: Pass, seconds: number) => void;
  readonly #values = new Map<string, Values>();

  /**
   * Nothing is run yet.
   *
   * @param onRun called with each pass and the seconds it took
   */
  constructor(
    where: Where,
    parts: Components,
    scene: Scene,
    onRun: (pass: Pass, seconds: number) => void = () => {},
  ) {
    this.#where = where;
    this.#parts = parts;
    this.#scene = scene;
    this.#onRun = onRun;
  }

  /**
   * Runs every pass of some networks, and what their inputs need.
   *
   * @param networks which passes
   * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `out-of-memory`, `gpu`
   */
  async record(networks: readonly ComparedNetwork[]): Promise<RecordedPass[]> {
    const recorded: RecordedPass[] = [];
    for (const pass of PASSES) {
      if (!networks.includes(pass.network)) continue;
      const inputs = await this.#all(pass.inputs);
      const outputs = await this.#all(pass.outputs);
      recorded.push({ pass, inputs, outputs });
    }
    return recorded;
  }

  async #all(names: readonly string[]): Promise<Map<string, Values>> {
    const found = new Map<string, Values>();
    for (const name of names) found.set(name, await this.#value(name));
    return found;
  }

  /** An input or output by name, made on first use. */
  async #value(name: string): Promise<Values> {
    if (!this.#values.has(name)) {
      const pass = passOf(name);
      if (pass) await this.#run(pass);
      else this.#values.set(name, await this.#input(name));
    }
    return this.#values.get(name)!;
  }

  async #run(pass: Pass): Promise<void> {
    const inputs = await this.#all(pass.inputs);
    const ran = await runPass(this.#where, pass, this.#parts, inputs);
    this.#onRun(pass, ran.seconds);
    for (const [name, values] of ran.outputs) this.#values.set(name, values);
  }

  /** What a network is given. */
  async #input(name: string): Promise<Values> {
    const { photo, size } = this.#scene;
    switch (name) {
      case "text.input_ids":
        return this.#prompt();
      case "vision.pixel_values":
        return this.#seen();
      case "id_encoder.input":
        return await this.#value("vision.penultimate");
      case "unet.sample":
        return this.#noisy(await this.#value("vae.mean"));
      case "unet.timesteps":
        return { shape: [1], data: Float32Array.of(TIMESTEP) };
      case "unet.text":
        return await this.#value("text.last_hidden_state");
      case "unet.id":
        return this.#identity(await this.#value("id_encoder.output"));
      case "vae.latents":
        return await this.#value("vae.mean");
      case "vae.image":
        return pixels(photo, size, HALF, HALF);
      case "face_parser.input": {
        const { inputSize } = this.#parts.parser.config;
        return pixels(photo, inputSize, IMAGENET_MEAN, IMAGENET_STD);
      }
    }
    throw new RangeError(`No input is named ${name}`);
  }

  /** Tokens of the prompt: (1, T) */
  #prompt(): Values {
    const { ids } = readTokenizer(this.#parts).encode(this.#scene.prompt);
    return { shape: [1, ids.length], data: Uint32Array.from(ids) };
  }

  /** The photo, and the zeros that missing references are: (2, S, S, 4) */
  async #seen(): Promise<Values> {
    const { imageSize, preprocess } = this.#parts.vision.config;
    const both = zeros(2, imageSize, imageSize, 4);
    both.data.set(await clipPreprocess(this.#scene.photo, preprocess));
    return both;
  }

  /** Tokens of one photo, filled up with those of zeros: (1, references · tokens, C) */
  #identity(tokens: Values): Values {
    const { maxReferences } = this.#parts.adapter.config;
    const picked = Array.from({ length: maxReferences }, (_, i) => i ? 1 : 0);
    const { shape: [, count, width], data } = rows(tokens, picked);
    return { shape: [1, maxReferences * count, width], data };
  }

  /** Latents with noise of level {@linkcode TIMESTEP}: (1, h, w, 4) */
  #noisy({ shape, data: mean }: Values): Values {
    const { unet, vae } = this.#parts;
    const alpha = alphasCumprod(unet.config.scheduler)[TIMESTEP];
    const noise = torchCpuNormal(this.#scene.seed, mean.length);
    const signal = Math.sqrt(alpha) * vae.config.scalingFactor;
    const data = noise.map((value, i) =>
      signal * mean[i] + Math.sqrt(1 - alpha) * value
    );
    return { shape, data };
  }
}

/** A photo as a network is given it: (1, side, side, 4) */
async function pixels(
  photo: Image,
  side: number,
  mean: Rgb,
  std: Rgb,
): Promise<Values> {
  const resized = await resizeImage(photo, side, side, "bilinear");
  return { shape: [1, side, side, 4], data: toChannels4(resized, mean, std) };
}

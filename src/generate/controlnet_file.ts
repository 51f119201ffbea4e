/**
 * A ControlNet's file, opened and checked.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { Graph } from "../graph/graph.ts";
import {
  controlEmbedding,
  controlNet,
  type ControlNetConfig,
  controlNetConfig,
} from "../models/controlnet.ts";
import { crossKeys } from "../models/cross_attentions.ts";
import { brief } from "../weights/brief.ts";
import { type Component, componentBeside } from "../weights/components.ts";
import { openWeave, type WeaveFile } from "../weights/weave.ts";

/** A ControlNet, from {@linkcode readControlNet}; many images can use it. */
export interface ControlNet {
  /** What messages call its file. */
  readonly name: string;
  /** Hexadecimal SHA-256 of its file's header, which covers all its weights. */
  readonly hash: string;
}

/** An opened ControlNet, whose names and shapes are checked. */
export class ControlNetFile implements ControlNet {
  readonly name: string;
  readonly hash: string;
  /** Its file, config and weights, which are read when it is used. */
  readonly component: Component<ControlNetConfig>;

  /**
   * Checks an opened file.
   *
   * @throws {MasterWeaverError} `bad-model` where the file holds something else
   */
  constructor(file: WeaveFile) {
    if (file.component !== "controlnet") {
      throw new MasterWeaverError(
        "bad-model",
        `Cannot use ${file.name}: it holds the component ${
          brief(file.component)
        }, expected controlnet`,
      );
    }
    this.name = file.name;
    this.hash = file.hash;
    this.component = componentBeside(file, controlNetConfig);
    checkWeights(this.component);
  }
}

/**
 * Opens a ControlNet: reads its header and checks every name and shape. Its weights
 * are read when it is first used, so the source must stay open.
 *
 * @param source a converted ControlNet, a `.weave` file
 * @throws {MasterWeaverError} `bad-model`, `cannot-read`
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, MemorySource, readControlNet } from "./core.ts";
 * import type { Image, ModelFiles } from "./core.ts";
 *
 * async function drawn(files: ModelFiles, canny: Uint8Array<ArrayBuffer>, edges: Image) {
 *   await using weaver = await MasterWeaver.load(files);
 *   const net = await readControlNet(new MemorySource(canny, "canny.weave"));
 *   return await weaver.generate({
 *     prompt: "a man in the snow",
 *     controls: [{ net, image: edges, scale: 0.8, end: 0.6 }],
 *   });
 * }
 * ```
 */
export async function readControlNet(source: ByteSource): Promise<ControlNet> {
  return new ControlNetFile(await openWeave(source));
}

/** Builds the network once, which asks for every weight by name and shape. */
function checkWeights(
  { file, weights, config }: Component<ControlNetConfig>,
): void {
  const g = new Graph("f32");
  const { channels, factor, crossAttentionDim, blockOutChannels } = config;
  // Each level but the last halves the latents' side.
  const side = 2 ** blockOutChannels.length;
  const text = g.input("text", [1, 1, crossAttentionDim], "f32");
  const image = g.input("image", [1, side * factor, side * factor, 4], "f32");
  try {
    controlNet(
      {
        sample: g.input("sample", [1, side, side, channels], "f32"),
        t: g.input("t", [1], "f32"),
        embedding: controlEmbedding(image, weights, config),
        cross: (attention) => crossKeys(attention, text, weights),
      },
      weights,
      config,
    );
  } catch (error) {
    if (!(error instanceof MasterWeaverError) || error.code !== "gpu") {
      throw error;
    }
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: the sizes in its config do not make a network (${error.message})`,
      { cause: error },
    );
  }
  weights.finish();
}

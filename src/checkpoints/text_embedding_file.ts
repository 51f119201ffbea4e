/**
 * Reads embeddings of textual inversion: AUTOMATIC1111's `.pt`, kohya's
 * `.safetensors`, and diffusers' `learned_embeds`.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { brief } from "../weights/brief.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  expectedFloats,
  holdsFloats,
  readFloats,
} from "./checkpoint.ts";
import { openCheckpoint } from "./open.ts";

/** What a file of textual inversion holds. */
export interface LearntVectors {
  /** How many vectors there are, N. */
  readonly tokens: number;
  /** f32 (N, C) */
  readonly vectors: Float32Array;
}

/** AUTOMATIC1111's dictionary, as it is or inside PyTorch's `ParameterDict`. */
const WEB_UI = /^string_to_param\.(_parameters\.)?[^.]*$/;
/** Beside what is learnt, A1111's files may have the optimiser's state. */
const KOHYA = "emb_params";
/** Names of the two tensors of an embedding for SDXL. */
const SDXL = ["clip_l", "clip_g"];
/** More vectors than any prompt has room for. */
const MOST_TOKENS = 1000;

/** Models by the channels of their text encoders. */
const MADE_FOR: Readonly<Record<number, string>> = {
  768: "Stable Diffusion 1",
  1024: "Stable Diffusion 2",
  1280: "Stable Diffusion XL",
};

/**
 * Reads an embedding.
 *
 * @param channels of the text encoder that it is for, C
 * @throws {MasterWeaverError} `bad-checkpoint` where it is for another model, or no embedding; `cannot-read`
 */
export async function readTextEmbedding(
  source: ByteSource,
  channels: number,
): Promise<LearntVectors> {
  const file = await openCheckpoint(source);
  const tensor = learntTensor(file);
  if (!holdsFloats(tensor)) {
    throw badCheckpoint(
      file.name,
      expectedFloats(tensor, `tensor ${brief(tensor.name)}`),
    );
  }
  const [tokens, found] = tensor.shape.length === 1
    ? [1, tensor.shape[0]]
    : tensor.shape;
  if (tensor.shape.length < 1 || tensor.shape.length > 2 || tokens < 1) {
    throw badCheckpoint(
      file.name,
      `its tensor ${brief(tensor.name)} is (${
        tensor.shape.join(", ")
      }), expected an embedding of one or several vectors`,
    );
  }
  if (found !== channels) {
    const made = MADE_FOR[found];
    throw badCheckpoint(
      file.name,
      `its vectors have ${found} numbers${
        made === undefined ? "" : ` (${made})`
      }, this model's text encoder takes ${channels}; give an embedding that was made for this kind of model`,
    );
  }
  if (tokens > MOST_TOKENS) {
    throw badCheckpoint(
      file.name,
      `it has ${tokens} vectors, expected at most ${MOST_TOKENS}`,
    );
  }
  const vectors = await readFloats(tensor);
  if (!vectors.every(Number.isFinite)) {
    throw badCheckpoint(file.name, "its vectors hold NaN or infinity");
  }
  return { tokens, vectors };
}

/** The tensor that was learnt. */
function learntTensor(file: Checkpoint): CheckpointTensor {
  const all = [...file.tensors.values()];
  const named = file.tensors.get(KOHYA) ??
    only(all.filter(({ name }) => WEB_UI.test(name))) ?? only(all);
  if (named) return named;
  if (SDXL.every((name) => file.tensors.has(name))) {
    throw badCheckpoint(
      file.name,
      "it is an embedding for Stable Diffusion XL, which has two text encoders; give one that was made for this kind of model",
    );
  }
  const names = all.slice(0, 3).map(({ name }) => brief(name)).join(", ");
  throw badCheckpoint(
    file.name,
    `it has ${all.length} tensors${
      names && ` (${names}${all.length > 3 ? ", …" : ""})`
    }, expected the one of an embedding of textual inversion`,
  );
}

function only<T>(all: readonly T[]): T | undefined {
  return all.length === 1 ? all[0] : undefined;
}

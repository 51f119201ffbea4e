/**
 * Reads what is in a folder: its JSON files and weight files.
 *
 * @module
 */
import { extname } from "node:path";
import { MasterWeaverError } from "../../src/base/errors.ts";
import { readShortFile } from "../../src/host/files.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { jsonFault, parsePythonJson } from "../../src/weights/json.ts";
import type { JsonObject } from "../../src/weights/weave.ts";

/** Endings of files that hold weights. */
const WEIGHT_EXTENSIONS = [
  ".safetensors",
  ".ckpt",
  ".gguf",
  ".bin",
  ".pt",
  ".pth",
  ".weave",
  ".svm",
  ".dat",
];

/**
 * Names of a network's weight files, in order of preference: full precision
 * before half, then safetensors before PyTorch's own. The variant comes before
 * the ending, and before `.json` in an index.
 */
const WEIGHT_NAMES = ["", ".fp16", ".bf16"].flatMap((variant) =>
  ["safetensors", "bin"].flatMap((ending) =>
    ["diffusion_pytorch_model", "model", "pytorch_model"].flatMap((stem) => [
      `${stem}${variant}.${ending}`,
      `${stem}.${ending}.index${variant}.json`,
    ])
  )
);

/** The most bytes of a JSON or text file: ten times the longest tokenizer seen. */
const MAX_TEXT_BYTES = 32 * 2 ** 20;

/** Names in a folder, sorted. */
export async function list(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder)))
      .map(({ name }) => name).sort();
  } catch (cause) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot read the folder ${folder}: it is missing or may not be read`,
      { cause },
    );
  }
}

/** Whether a path is that of a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, () => false);
}

/** Whether there is anything at a path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/**
 * Reads the bytes of a config or tokenizer's file.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readText(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await readShortFile(path, MAX_TEXT_BYTES);
}

/** Reads a JSON object from a file. */
export async function readJson(path: string): Promise<JsonObject> {
  let value: unknown;
  try {
    value = parsePythonJson(await readText(path));
  } catch (cause) {
    if (cause instanceof MasterWeaverError) throw cause;
    throw badCheckpoint(path, `it is ${jsonFault(cause)}`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as JsonObject;
  }
  throw badCheckpoint(path, "it is not a JSON object");
}

/** Reads a JSON object from a file; undefined where there is none. */
export async function optionalJson(
  path: string,
): Promise<JsonObject | undefined> {
  return await exists(path) ? await readJson(path) : undefined;
}

/**
 * The weight files of one network's folder.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where there are none, or an index names others
 */
export async function weightFiles(folder: string): Promise<string[]> {
  const names = await list(folder);
  const name = WEIGHT_NAMES.find((name) => names.includes(name));
  if (name === undefined) {
    throw badCheckpoint(
      folder,
      "it has no weights, expected diffusion_pytorch_model, model or " +
        "pytorch_model .safetensors or .bin, or an index of their shards",
    );
  }
  if (!name.endsWith(".json")) return [`${folder}/${name}`];
  const index = `${folder}/${name}`;
  const { weight_map: map } = await readJson(index);
  const isMap = typeof map === "object" && map !== null && !Array.isArray(map);
  const shards = isMap ? [...new Set<unknown>(Object.values(map))] : [];
  if (shards.length === 0) throw badCheckpoint(index, "it names no files");
  for (const shard of shards) {
    if (typeof shard !== "string" || !names.includes(shard)) {
      throw badCheckpoint(
        index,
        `it names the file ${shard}, which is not beside it`,
      );
    }
  }
  return shards.map((shard) => `${folder}/${shard}`);
}

/** Endings of files that a GGUF file beside them was made from. */
const ORIGINAL_EXTENSIONS = [".safetensors", ".ckpt", ".weave"];

/** Names of files in a folder that hold weights; GGUF's where there are no others. */
export async function looseFiles(folder: string): Promise<string[]> {
  const ending = (name: string) => extname(name).toLowerCase();
  const found = (await list(folder)).filter((name) =>
    WEIGHT_EXTENSIONS.includes(ending(name))
  );
  // What a file was quantised from is better.
  const hasOriginal = found.some((name) =>
    ORIGINAL_EXTENSIONS.includes(ending(name))
  );
  return found.filter((name) => ending(name) !== ".gguf" || !hasOriginal);
}

/**
 * Files on disk: read whole or by byte range, images read and written, model
 * folders opened.
 *
 * @module
 */
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type ByteSource, checkRange } from "../base/bytes.ts";
import {
  type ComponentName,
  identityComponents,
  type ModelFiles,
  optionalComponents,
  requiredComponents,
  TAESD,
} from "../weights/components.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { decodeImage, encodePng, readPngText } from "./codecs/codec.ts";
import { joinBytes } from "./codecs/bytes.ts";
import { formatValue } from "../base/format_value.ts";
import { checkAdapterFile } from "./adapter_file.ts";
import { cannotRead } from "./reasons.ts";
import { toolName } from "./place.ts";
import { type HostFile, hostFileSystem } from "./system.ts";
import { writeFileAtomic } from "./write.ts";
import type { Image } from "../image/image.ts";
import { type ImageText, parseImageText } from "./codecs/image_text.ts";
import { PREVIEW_NAME } from "../generate/preview_map.ts";
import { MANIFEST_NAME } from "../weights/manifest.ts";

export { checkWritable, writeFileAtomic } from "./write.ts";

/** A file opened for random access. */
export class FileSource implements ByteSource, AsyncDisposable {
  readonly name: string;
  readonly size: number;
  readonly #file: HostFile;
  // Deno may read at a position by moving the file's own: reads take turns.
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(name: string, size: number, file: HostFile) {
    this.name = name;
    this.size = size;
    this.#file = file;
  }

  /**
   * Opens a file for reading.
   *
   * @param name what messages call it; its path where not given
   * @throws {MasterWeaverError} `cannot-read` where it is missing, a folder or not permitted
   */
  static async open(path: string, name: string = path): Promise<FileSource> {
    try {
      // Opening a pipe would wait for whoever writes to it.
      const { isFile } = await hostFileSystem.stat(path);
      if (!isFile) throw new Error("it is not a file");
      const file = await hostFileSystem.openToRead(path);
      const { size } = await file.stat();
      return new FileSource(name, size, file);
    } catch (error) {
      throw cannotRead(name, error);
    }
  }

  /** Reads `length` bytes at `offset`; calls may overlap. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const next = this.#turn.then(() => this.#readNow(offset, length));
    this.#turn = next.catch(() => {});
    return next;
  }

  async #readNow(
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    try {
      for (let filled = 0; filled < length;) {
        const rest = bytes.subarray(filled);
        const count = await this.#file.read(rest, offset + filled);
        if (count === null) throw new Error("it ended early");
        filled += count;
      }
    } catch (error) {
      throw cannotRead(this.name, error);
    }
    return bytes;
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file.close();
  }
}

/** More bytes than any photo takes that can be decoded. */
const MAX_BYTES = 512 * 2 ** 20;

/**
 * Reads a whole file or pipe. An endless one is read no further than the limit.
 *
 * @param limit the most bytes it may have
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readFile(
  path: string,
  limit: number = MAX_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    await using file = await hostFileSystem.openToRead(path);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let length = 0;
    const { size } = await file.stat();
    // First as much as the file's size says, then whatever follows.
    for (let room = size; Math.max(size, length) <= limit; room = 2 ** 16) {
      const chunk = new Uint8Array(room + 1);
      const count = await file.read(chunk);
      if (count === null) return joinBytes(chunks);
      chunks.push(chunk.subarray(0, count));
      length += count;
    }
    throw new Error(`it is larger than ${limit} bytes`);
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/**
 * Reads a file that cannot be long, such as a config.
 *
 * @param limit the most bytes it may have
 * @throws {MasterWeaverError} `cannot-read` where it is longer, or not an ordinary file
 */
export async function readShortFile(
  path: string,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  await using source = await FileSource.open(path);
  if (source.size > limit) {
    throw cannotRead(
      path,
      new Error(`it has ${source.size} bytes, expected at most ${limit}`),
    );
  }
  return await source.read(0, source.size);
}

/**
 * Reads a PNG or JPEG file.
 *
 * @param path where it is; a URL must be a `file:` URL
 * @returns the image upright, transparency over white
 * @throws {MasterWeaverError} `cannot-read`, `bad-image`
 */
export async function readImage(path: string | URL): Promise<Image> {
  const file = pathOf(path);
  return await decodeImage(await readFile(file), file);
}

/** A file that is open, until it is disposed of. */
export interface OpenFile extends ByteSource, AsyncDisposable {}

/**
 * Opens a LoRA, an embedding, a ControlNet or an upscaler. It is read where it is
 * used, and never whole into memory, so it must stay open as long.
 *
 * @param path where it is; a URL must be a `file:` URL
 * @throws {MasterWeaverError} `cannot-read`
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, openFile, readControlNet, readImage, readLora } from "./mod.ts";
 *
 * await using weaver = await MasterWeaver.load("weights/sd15");
 * await using ink = await openFile("ink.safetensors");
 * await using canny = await openFile("canny.weave");
 * await using larger = await openFile("RealESRGAN_x4plus.weave");
 * await using style = await openFile("style.pt");
 * const net = await readControlNet(canny);
 * await weaver.generate({
 *   prompt: "a (castle:1.2) in snowy",
 *   promptSyntax: "a1111",
 *   loras: [{ lora: await readLora(ink), scale: 0.8 }],
 *   embeddings: { snowy: style },
 *   controls: [{ net, image: await readImage("b.png"), preprocess: "canny" }],
 *   upscale: "larger",
 *   upscalers: { larger },
 * });
 * ```
 */
export async function openFile(path: string | URL): Promise<OpenFile> {
  return await FileSource.open(pathOf(path));
}

/**
 * The path of a file that may be given as a URL.
 *
 * @throws {MasterWeaverError} `bad-option` where it is anything else, or a URL of another kind
 */
function pathOf(given: string | URL): string {
  if (given instanceof URL && given.protocol === "file:") {
    return fileURLToPath(given);
  }
  if (typeof given === "string") return given;
  throw new MasterWeaverError(
    "bad-option",
    `A file must be given as its path or a file: URL, got ${
      (given as unknown) instanceof URL
        ? formatValue(given.href)
        : formatValue(given)
    }`,
  );
}

/**
 * Writes an image as a PNG file, whole or not at all.
 *
 * @param path where it ends up; a URL must be a `file:` URL
 * @param image the image
 * @param text what its text chunks say, by keyword
 * @throws {MasterWeaverError} `cannot-write`, `bad-image` where it is not an image, `bad-option` for a text that is no string
 */
export async function writePng(
  path: string | URL,
  image: Image,
  text: Readonly<Record<string, string>> = {},
): Promise<void> {
  const bytes = encodePng(image, text);
  await writeFileAtomic(pathOf(path), (append) => append(bytes));
}

/**
 * Reads the text chunks of a PNG file.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function readPngSettings(
  path: string | URL,
): Promise<Record<string, string>> {
  return await readPngText(await readFile(pathOf(path)));
}

/**
 * Reads how an image file says it was made: from a PNG's text chunks or a
 * JPEG's comment, in the same form.
 *
 * @throws {MasterWeaverError} `cannot-read`, `bad-image` where it is no PNG or JPEG, or cut off
 */
export async function readImageText(path: string | URL): Promise<ImageText> {
  const file = pathOf(path);
  return parseImageText(await readFile(file), file);
}

/** A model folder's files, opened; `await using` closes them. */
export interface ModelFolder extends AsyncDisposable {
  /** The files by component. */
  readonly files: ModelFiles;
}

/** This project's own `weights/`, where it runs from files. */
const ownWeights = import.meta.url.startsWith("file:")
  ? fileURLToPath(new URL("../../weights", import.meta.url))
  : null;

/** Folders where optional components of a model may be, in order of preference. */
function foldersOf(folder: string): string[] {
  const own = ownWeights === null ? [] : [ownWeights, `${ownWeights}/mini`];
  return [folder, `${folder}/..`, ...own];
}

/**
 * Opens the component files of a model folder. Those that only an identity needs
 * may be missing.
 *
 * Face detector and landmarks belong to no one model: they may also be in the
 * folder above, in this project's `weights/` or in `weights/mini`.
 *
 * @param model the folder, such as `weights/mini`, or its `file:` URL
 * @param adapter a file to use in place of the folder's identity adapter
 * @param taesd a file to use as the tiny autoencoder, in place of the folder's
 * @throws {MasterWeaverError} `cannot-read`, `bad-model` naming what is missing
 */
export async function openModelFolder(
  model: string | URL,
  adapter?: string,
  taesd?: string,
): Promise<ModelFolder> {
  const folder = model instanceof URL ? fileURLToPath(model) : model;
  const info = await hostFileSystem.stat(folder).catch((error) => {
    throw cannotRead(
      folder,
      error,
      `give the folder of a model that ${
        toolName("tools/convert.ts")
      } has written`,
    );
  });
  if (!info.isDirectory) {
    throw new MasterWeaverError(
      "cannot-read",
      `Cannot read ${folder}: it is not a folder; give the folder of a model that ${
        toolName("tools/convert.ts")
      } has made of it`,
    );
  }
  await using stack = new AsyncDisposableStack();
  const files: Partial<Record<ComponentName, FileSource>> = {};
  const use = async (name: ComponentName, path: string) => {
    files[name] = stack.use(await FileSource.open(path));
  };
  const missing: string[] = [];
  for (const name of requiredComponents) {
    const path = `${folder}/${name}.weave`;
    if (await isFile(path)) await use(name, path);
    else missing.push(`${name}.weave`);
  }
  for (const name of identityComponents) {
    const path = `${folder}/${name}.weave`;
    if (name === "identity_adapter" && adapter !== undefined) {
      await use(name, adapter);
    } else if (await isFile(path)) await use(name, path);
  }
  if (adapter !== undefined) await checkAdapterFile(files.identity_adapter!);
  if (missing.length > 0) {
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${folder}: ${missing.join(", ")} missing${await leftOver(
        folder,
        missing,
      )}; convert the model with ${toolName("tools/convert.ts")}`,
    );
  }
  for (const name of optionalComponents) {
    for (const place of foldersOf(folder)) {
      const path = `${place}/${name}.weave`;
      if (files[name] === undefined && await isFile(path)) {
        await use(name, path);
      }
    }
  }
  const tiny = taesd ?? `${folder}/${TAESD}.weave`;
  if (taesd !== undefined || await isFile(tiny)) await use(TAESD, tiny);
  const manifest = `${folder}/${MANIFEST_NAME}`;
  const elsewhere: ComponentName[] = [
    ...adapter === undefined ? [] : ["identity_adapter" as const],
    ...taesd === undefined ? [] : [TAESD] as const,
  ];
  const listed = await isFile(manifest)
    ? { manifest: stack.use(await FileSource.open(manifest)), elsewhere }
    : {};
  const map = `${folder}/${PREVIEW_NAME}`;
  const preview = await isFile(map)
    ? { preview: stack.use(await FileSource.open(map)) }
    : {};
  const opened = stack.move();
  return {
    files: { ...files, ...listed, ...preview },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** Says where an interrupted conversion left a component under another name. */
async function leftOver(
  folder: string,
  missing: readonly string[],
): Promise<string> {
  const found: string[] = [];
  for (const name of await readdir(folder)) {
    const isOld = missing.some((file) => name.endsWith(`-${file}.old`));
    if (isOld && name.startsWith(".masterweaver-model-")) found.push(name);
  }
  return found.length === 0
    ? ""
    : ` (an interrupted conversion left ${
      found.join(", ")
    }, which the next one puts back)`;
}

async function isFile(path: string): Promise<boolean> {
  const info = await hostFileSystem.stat(path).catch(() => null);
  return info?.isFile ?? false;
}

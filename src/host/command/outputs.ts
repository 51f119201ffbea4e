/**
 * Where images go, and in which format: judged and tried before any work, and
 * written so that none is lost after it.
 *
 * @module
 */
import { basename } from "node:path";
import { MasterWeaverError } from "../../base/errors.ts";
import { UsageError } from "../exit.ts";
import { keepElsewhere } from "../keep.ts";
import { reason } from "../reasons.ts";
import { printBytes } from "../streams.ts";
import { checkWritable, writeFileAtomic } from "../write.ts";
import { encodeJpeg, encodePng } from "../codecs/codec.ts";
import type { Image } from "../../image/image.ts";
import { toParameters } from "../../options/parameters_text.ts";
import type { Flags } from "./flags.ts";

/** Where everything goes. */
export interface Outputs {
  /** A path an image; `-` is standard output. */
  readonly images: readonly string[];
  /** A path a reference, where they are written. */
  readonly references: readonly string[];
  /** What all are written as. */
  readonly format: "png" | "jpeg";
  /** Whether the image goes to standard output. */
  readonly toStdout: boolean;
}

/** Endings of image formats that are not written here. */
const OTHER_FORMATS = new Set(
  ("webp gif bmp dib tif tiff avif heic heif jxl jp2 j2k jpf jpx jxr wdp tga " +
    "ico icns svg psd xcf exr hdr qoi dds pbm pgm ppm pnm pam pcx ras sgi apng " +
    "mng eps ps pdf raw dng cr2 nef arw mp4 webm mov avi mkv").split(" "),
);

/** Standard output's other names. */
const STDOUT = new Set(["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]);

/**
 * Says where everything goes.
 *
 * @param flags the command line
 * @param count how many images there will be
 * @throws {UsageError} where they cannot go there
 */
export async function planOutputs(
  { output, ref, saveReferences, json, settings, fromImage }: Flags,
  count: number,
): Promise<Outputs> {
  const ending = /\.([^./\\]+)$/.exec(output)?.[1].toLowerCase() ?? "";
  if (OTHER_FORMATS.has(ending)) {
    throw new UsageError(
      `Option --output takes a .png or .jpg file, got ${output}: .${ending} is not written`,
    );
  }
  const isJpeg = ["jpg", "jpeg", "jpe", "jfif"].includes(ending);
  const format = isJpeg ? "jpeg" : "png";
  const toStdout = STDOUT.has(output);
  if (toStdout && json) {
    throw new UsageError(
      "Give --output - or --json, not both: both use standard output",
    );
  }
  if (toStdout && Deno.stdout.isTerminal()) {
    throw new UsageError(
      "Option --output - writes an image file to standard output, which is a terminal; redirect it, or give --output FILE",
    );
  }
  if (toStdout || await isStream(output)) {
    if (count > 1) {
      const many = settings.numImages === undefined
        ? `${fromImage} was made with`
        : "got";
      throw new UsageError(
        `Option --output ${output} takes one image, ${many} --num-images ${count}; give a file's name`,
      );
    }
    if (saveReferences) {
      throw new UsageError(
        `Option --save-references writes files beside the output, got --output ${output}; give a file's name`,
      );
    }
  }
  return {
    images: toStdout
      ? ["-"]
      : count === 1
      ? [output]
      : Array.from({ length: count }, (_, i) => numbered(output, `-${i}`)),
    references: saveReferences
      ? ref.map((_, i) => numbered(output, `.reference-${i}`))
      : [],
    format,
    toStdout,
  };
}

/**
 * Every output can be written, and none would replace a photo.
 *
 * @throws {MasterWeaverError} `cannot-write`, `bad-option`
 */
export async function checkOutputs(
  { images, references, toStdout }: Outputs,
  refs: readonly string[],
): Promise<void> {
  if (toStdout) return;
  const photos = await Promise.all(refs.map(fileId));
  for (const path of [...images, ...references]) {
    const id = await fileId(path);
    if (id !== null && photos.includes(id)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${path}: it is a reference photo; give another --output`,
      );
    }
    await checkWritable(path);
  }
}

/**
 * There is room for all images, and their settings fit the format.
 *
 * @param sides of an image, in pixels
 * @param text the settings
 * @throws {MasterWeaverError} `cannot-write`, `bad-option`
 */
export async function checkRoom(
  { images, references, format, toStdout }: Outputs,
  { width, height }: { readonly width: number; readonly height: number },
  text: Readonly<Record<string, string>>,
): Promise<void> {
  const side = 16;
  const data = new Uint8ClampedArray(side * side * 4);
  const empty = { width: side, height: side, data };
  const { length } = encodeImage(format, empty, { ...text, image_index: "15" });
  if (toStdout) return;
  // Noise as large as it gets, and the largest references there are.
  const bytes = images.length * (3 * width * height + length) +
    references.length * 3 * 512 * 512;
  await checkWritable(images[0], bytes);
}

/** An image file with its settings: for us, and as other programs show them. */
export function encodeImage(
  format: Outputs["format"],
  image: Image,
  text: Record<string, string> | null,
): Uint8Array {
  const parameters = text ? toParameters(text) : "";
  return format === "jpeg"
    ? encodeJpeg(image, parameters)
    : encodePng(image, text ? { ...text, parameters } : {});
}

/** Writes what was worked for; what cannot be written is kept elsewhere. */
export class Delivery {
  readonly #format: Outputs["format"];
  readonly #faults: string[] = [];
  #cause: unknown;

  /** Nothing is written yet. */
  constructor({ format }: Outputs) {
    this.#format = format;
  }

  /**
   * Writes one file; where that fails it is kept in a temporary folder.
   *
   * @param path where it should be; `-` is standard output
   * @param what what messages call it
   */
  async write(path: string, bytes: Uint8Array, what: string): Promise<void> {
    try {
      if (path === "-") await printBytes(bytes);
      else await writeFileAtomic(path, (append) => append(bytes));
    } catch (error) {
      const message = error instanceof MasterWeaverError
        ? error.message
        : `Cannot write ${path}: ${reason(error)}`;
      // A device or a short name has no ending.
      const ending = this.#format === "jpeg" ? ".jpg" : ".png";
      const own = path === "-" ? "output" : basename(path);
      const name = own.includes(".") ? own : `${own}${ending}`;
      const kept = await keepElsewhere(name, bytes);
      const where = kept === null
        ? `the ${what} is lost: no other place takes it`
        : `the ${what} is kept in ${kept}`;
      this.#faults.push(`${message}; ${where}`);
      this.#cause ??= error;
    }
  }

  /**
   * Tells of what could not be written.
   *
   * @throws {MasterWeaverError} `cannot-write`
   */
  finish(): void {
    if (this.#faults.length === 0) return;
    throw new MasterWeaverError("cannot-write", this.#faults.join(". "), {
      cause: this.#cause,
    });
  }
}

/** Whether bytes go through it, to a device or another process. */
async function isStream(path: string): Promise<boolean> {
  const info = await Deno.stat(path).catch(() => null);
  return info !== null && !info.isFile && !info.isDirectory;
}

/** The same for two names of one file; null where there is none. */
async function fileId(path: string): Promise<string | null> {
  try {
    const { dev, ino, isFile } = await Deno.stat(path);
    if (!isFile) return null;
    return ino ? `${dev} ${ino}` : await Deno.realPath(path);
  } catch {
    return null;
  }
}

/** `a/b.png` and `-0` → `a/b-0.png`. */
function numbered(path: string, suffix: string): string {
  const match = /^(.*?)(\.[^./\\]+)?$/s.exec(path)!;
  return `${match[1]}${suffix}${match[2] ?? ".png"}`;
}

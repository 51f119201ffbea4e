/**
 * Where images go, and in which format: checked before any work, and written so
 * that no image is lost.
 *
 * @module
 */
import { realpath, stat } from "node:fs/promises";
import { basename } from "node:path";
import { isatty } from "node:tty";
import { MasterWeaverError } from "../../base/errors.ts";
import { UsageError } from "../exit.ts";
import { keepElsewhere } from "../keep.ts";
import { reason } from "../reasons.ts";
import { printBytes, STDOUT } from "../streams.ts";
import { checkWritable, writeFileAtomic } from "../write.ts";
import {
  checkText,
  encodeImage,
  type ImageFormat,
  textOf,
} from "../image_file.ts";
import type { Image } from "../../image/image.ts";
import type { Texts } from "../../options/settings_text.ts";
import type { Flags } from "./flags.ts";

/** Where everything goes. */
export interface Outputs {
  /** One path for each image; `-` is standard output. */
  readonly images: readonly string[];
  /** One path for each reference, where they are written. */
  readonly references: readonly string[];
  /** The format of all of them. */
  readonly format: ImageFormat;
  /** Whether the image goes to standard output. */
  readonly toStdout: boolean;
}

/** File endings of formats that we do not write. */
const OTHER_FORMATS = new Set(
  ("webp gif bmp dib tif tiff avif heic heif jxl jp2 j2k jpf jpx jxr wdp tga " +
    "ico icns svg psd xcf exr hdr qoi dds pbm pgm ppm pnm pam pcx ras sgi apng " +
    "mng eps ps pdf raw dng cr2 nef arw mp4 webm mov avi mkv").split(" "),
);

/** Standard output's other names. */
const STDOUT_NAMES = new Set([
  "-",
  "/dev/stdout",
  "/dev/fd/1",
  "/proc/self/fd/1",
]);

/**
 * Decides where everything goes.
 *
 * @param flags the command line
 * @param count how many images there will be
 * @throws {UsageError} where the flags rule each other out
 */
export async function planOutputs(
  { output, ref, saveReferences, json, settings, fromImage }: Flags,
  count: number,
): Promise<Outputs> {
  const ending = /\.([^./\\]+)$/.exec(output)?.[1].toLowerCase() ?? "";
  if (OTHER_FORMATS.has(ending)) {
    throw new UsageError(
      `Option --output takes a .png or .jpg file, got ${output}: .${ending} is not supported`,
    );
  }
  const isJpeg = ["jpg", "jpeg", "jpe", "jfif"].includes(ending);
  const format = isJpeg ? "jpeg" : "png";
  const toStdout = STDOUT_NAMES.has(output);
  if (toStdout && json) {
    throw new UsageError(
      "Give --output - or --json, not both: both use standard output",
    );
  }
  if (toStdout && isatty(STDOUT)) {
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
 * Checks that every output can be written and none would replace an image that is read.
 *
 * @param refs the reference photos
 * @param sources the image to start from, its mask, and control images
 * @throws {MasterWeaverError} `cannot-write`, `bad-option`
 */
export async function checkOutputs(
  { images, references, toStdout }: Outputs,
  refs: readonly string[],
  sources: readonly string[],
): Promise<void> {
  if (toStdout) return;
  const photos = await Promise.all(refs.map(fileId));
  const others = await Promise.all(sources.map(fileId));
  for (const path of [...images, ...references]) {
    const id = await fileId(path);
    if (id !== null && photos.includes(id)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${path}: it is a reference photo; give another --output`,
      );
    }
    if (id !== null && others.includes(id)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${path}: it is the image to start from, its mask or a control image; give another --output`,
      );
    }
    await checkWritable(path);
  }
}

/**
 * Checks that there is room for all images, and that the format can hold their
 * settings.
 *
 * @param size of an image, in pixels
 * @param text the settings
 * @throws {MasterWeaverError} `cannot-write`, `bad-option`
 */
export async function checkRoom(
  { images, references, format, toStdout }: Outputs,
  { width, height }: { readonly width: number; readonly height: number },
  text: Readonly<Record<string, string>>,
): Promise<void> {
  const length = checkText(format, text);
  if (toStdout) return;
  // Images that cannot be compressed, and references of the largest size.
  const bytes = images.length * (3 * width * height + length) +
    references.length * 3 * 512 * 512;
  await checkWritable(images[0], bytes);
}

/**
 * Writes images with their settings, and the references where they are asked for.
 *
 * @param references as the encoder saw them
 * @throws {MasterWeaverError} `cannot-write`, when all others are written
 */
export async function deliver(
  outputs: Outputs,
  images: readonly Image[],
  references: readonly Image[],
  text: Texts,
): Promise<void> {
  const { format } = outputs;
  const delivery = new Delivery(outputs);
  for (const [i, image] of images.entries()) {
    const bytes = encodeImage(format, image, textOf(text, i));
    await delivery.write(outputs.images[i], bytes, "image");
  }
  for (const [i, path] of outputs.references.entries()) {
    const bytes = encodeImage(format, references[i], null);
    await delivery.write(path, bytes, "reference");
  }
  delivery.finish();
}

/** Writes the results; one that cannot be written to its place is kept elsewhere. */
class Delivery {
  readonly #format: Outputs["format"];
  readonly #faults: string[] = [];
  #cause: unknown;

  /** Starts with nothing written. */
  constructor({ format }: Outputs) {
    this.#format = format;
  }

  /**
   * Writes one file, or keeps it in a temporary folder where that fails.
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
   * Reports what could not be written.
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

/** Whether a path leads to a device or to another process. */
async function isStream(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => null);
  return info !== null && !info.isFile() && !info.isDirectory();
}

/** An id that all names of a file share; null where there is no file. */
async function fileId(path: string): Promise<string | null> {
  try {
    const info = await stat(path);
    if (!info.isFile()) return null;
    const { dev, ino } = info;
    return ino ? `${dev} ${ino}` : await realpath(path);
  } catch {
    return null;
  }
}

/** `a/b.png` and `-0` → `a/b-0.png`. */
function numbered(path: string, suffix: string): string {
  const match = /^(.*?)(\.[^./\\]+)?$/s.exec(path)!;
  return `${match[1]}${suffix}${match[2] ?? ".png"}`;
}

/**
 * Extra files beside a model, found by path or by name: in folders of the model's
 * folder, and in those of another that the command was given.
 *
 * @module
 */
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { MasterWeaverError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest.ts";
import { brief, printable } from "../weights/brief.ts";
import { FileSource } from "./files.ts";
import { toolName } from "./place.ts";
import { isHostError } from "./reasons.ts";
import { hostFileSystem } from "./system.ts";

/** A kind of extra files, as its folder is called. */
export type ExtraKind = "loras" | "embeddings" | "controlnets" | "upscalers";

/** Extra files of a kind. */
interface Kind {
  /** What messages call one. */
  readonly called: string;
  /** The endings that such files have. */
  readonly endings: readonly string[];
}

const KINDS: Readonly<Record<ExtraKind, Kind>> = {
  loras: {
    called: "LoRA",
    endings: [".safetensors", ".pt", ".ckpt", ".bin"],
  },
  embeddings: {
    called: "embedding",
    endings: [".safetensors", ".pt", ".bin"],
  },
  controlnets: { called: "ControlNet", endings: [".weave"] },
  upscalers: { called: "upscaler", endings: [".weave"] },
};

/** The endings of checkpoints; a folder has none. */
const CHECKPOINTS = ["", ".safetensors", ".pth", ".pt", ".ckpt", ".bin"];

/** The most names that a message suggests. */
const MOST_NAMES = 5;

/** Where extra files are looked up by name. */
export interface ExtraPlaces {
  /** The model's folder. */
  readonly model: string;
  /** Another folder with folders of the same names, which counts as much. */
  readonly extras?: string;
  /** Whether messages are for others, who are not told where the folders are. */
  readonly hidden?: boolean;
}

/**
 * Opens an extra file that was found.
 *
 * @param path as {@linkcode findExtra} and {@linkcode findNamedExtra} give it
 * @returns a source that messages call by its path, or by its file's name alone where places are hidden
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function openFound(
  path: string,
  places: ExtraPlaces,
): Promise<FileSource> {
  return await FileSource.open(path, shown(path, places));
}

/**
 * Finds an extra file. What has a slash is a path. What has a file's ending is a
 * path where there is such a file, else a file's name.
 *
 * @param given its path, or its name without the ending
 * @returns its path
 * @throws {MasterWeaverError} `bad-option` where no file or several have the name
 */
export async function findExtra(
  kind: ExtraKind,
  given: string,
  places: ExtraPlaces,
): Promise<string> {
  if (/[/\\]/.test(given)) return given;
  const { endings } = KINDS[kind];
  const ending = endings.find((ending) => given.endsWith(ending));
  if (ending === undefined) return await findNamedExtra(kind, given, places);
  if (await isFile(given)) return given;
  const name = given.slice(0, -ending.length);
  return await only(kind, name, [ending], places);
}

/**
 * Finds an extra file by its name alone, as a prompt gives it: never by a path.
 *
 * @param name its file's name without the ending; small and capital letters are
 *   told apart where the file system does
 * @returns its path
 * @throws {MasterWeaverError} `bad-option` where no file or several have the name
 */
export async function findNamedExtra(
  kind: ExtraKind,
  name: string,
  places: ExtraPlaces,
): Promise<string> {
  return await only(kind, name, KINDS[kind].endings, places);
}

/**
 * The names of all extra files of a kind, sorted.
 *
 * @throws {MasterWeaverError} `cannot-read`
 */
export async function extraNames(
  kind: ExtraKind,
  places: ExtraPlaces,
): Promise<string[]> {
  const names = new Set<string>();
  for (const folder of foldersOf(kind, places)) {
    for (const file of await filesIn(folder)) {
      const ending = KINDS[kind].endings.find((one) => file.endsWith(one));
      const stem = ending && file.slice(0, -ending.length);
      if (stem) names.add(stem);
    }
  }
  return [...names].sort();
}

/** The only file of that name. */
async function only(
  kind: ExtraKind,
  name: string,
  endings: readonly string[],
  places: ExtraPlaces,
): Promise<string> {
  const found: string[] = [];
  // A slash would lead out of the folders.
  if (name !== "" && !/[/\\\0]/.test(name)) {
    for (const folder of foldersOf(kind, places)) {
      for (const ending of endings) {
        const path = join(folder, `${name}${ending}`);
        if (await isFile(path)) found.push(path);
      }
    }
  }
  if (found.length === 1) return found[0];
  const { called } = KINDS[kind];
  if (found.length > 1) {
    throw new MasterWeaverError(
      "bad-option",
      `Several files are the ${called} ${brief(name)}: ${
        found.map((path) => printable(shown(path, places))).join(" and ")
      }; ${
        places.hidden || kind === "embeddings"
          ? "rename one"
          : "give the path of one"
      }`,
    );
  }
  throw new MasterWeaverError(
    "bad-option",
    `Found no ${called} ${brief(name)} in ${
      [...new Set(foldersOf(kind, places).map((path) => shown(path, places)))]
        .map(printable).join(" or ")
    }; ${await suggestion(kind, name, places)}`,
  );
}

async function suggestion(
  kind: ExtraKind,
  name: string,
  places: ExtraPlaces,
): Promise<string> {
  const unconverted = await findUnconverted(kind, name, places);
  if (unconverted !== undefined) {
    return `${printable(shown(unconverted, places))} has to be converted first${
      places.hidden ? "" : `, with ${toolName("tools/convert.ts")}`
    }`;
  }
  const names = await extraNames(kind, places);
  const [, scaled, scale] = /^(.+):(-?[\d.]+)$/.exec(name) ?? [];
  if (kind === "loras" && names.includes(scaled)) {
    return `did you mean ${brief(scaled)}=${scale}?`;
  }
  const near = nearestNames(name.slice(0, 100), names, MOST_NAMES);
  if (near.length > 0) return `did you mean ${inWords(near)}?`;
  if (names.length === 0) {
    return places.hidden
      ? "put its file there"
      : "put its file there, or give its path";
  }
  const left = names.length - MOST_NAMES;
  const first = names.slice(0, MOST_NAMES).map(brief).join(", ");
  return `there ${names.length === 1 ? "is" : "are"} ${first}${
    left > 0 ? ` and ${left} more` : ""
  }`;
}

/** A checkpoint of that name, which only its conversion can be used of. */
async function findUnconverted(
  kind: ExtraKind,
  name: string,
  places: ExtraPlaces,
): Promise<string | undefined> {
  for (const folder of foldersOf(kind, places)) {
    for (const file of await filesIn(folder)) {
      const ending = CHECKPOINTS.find((one) => file === `${name}${one}`);
      if (ending && !KINDS[kind].endings.includes(ending)) {
        return join(folder, file);
      }
    }
  }
}

/** A path as a message has it: its last name alone, where places are hidden. */
function shown(path: string, { hidden }: ExtraPlaces): string {
  return hidden ? basename(path) : path;
}

/** `a, b or c` */
function inWords(names: readonly string[]): string {
  const shown = names.map(brief);
  return shown.length === 1
    ? shown[0]
    : `${shown.slice(0, -1).join(", ")} or ${shown.at(-1)}`;
}

function foldersOf(
  kind: ExtraKind,
  { model, extras }: ExtraPlaces,
): string[] {
  const own = join(model, kind);
  if (extras === undefined || resolve(extras) === resolve(model)) return [own];
  return [own, join(extras, kind)];
}

/** The names in a folder; none where there is no such folder. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}

async function isFile(path: string): Promise<boolean> {
  const info = await hostFileSystem.stat(path).catch(() => null);
  return info?.isFile ?? false;
}

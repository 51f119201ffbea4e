/**
 * What made one of our own images, as its texts say.
 *
 * @module
 */
import {
  controlChoices,
  type ControlLists,
} from "../../../options/control_choices.ts";
import { optionsOf, table } from "../../../options/table.ts";
import type { SourceTexts } from "./source_texts.ts";

/** What made an image. */
export interface PngSettings {
  /** Settings, and how photos were looked at, by the library's names. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Hashes of the photos, in order. */
  readonly photos: readonly string[];
  /** What else it was made from; a hash is empty where the image does not say it. */
  readonly sources: SourceTexts;
}

/** The texts of an image by keyword. */
export type Texts = Readonly<Record<string, string>>;

/**
 * What an image's texts say.
 *
 * @returns null where it is no image of ours
 */
export function pngSettings(texts: Texts): PngSettings | null {
  if (texts.prompt === undefined || texts.steps === undefined) return null;
  const settings: Record<string, unknown> = {};
  for (const { name } of optionsOf("image", "identity")) {
    const value = valueOf(name, texts);
    if (value !== undefined) {
      settings[name] = typeof value === "bigint" ? String(value) : value;
    }
  }
  return {
    settings,
    photos: texts.reference_hashes?.split(",") ?? [],
    sources: {
      initImage: hashOf(texts.init_image_hash ?? texts.init_image),
      mask: hashOf(texts.mask_hash ?? texts.mask),
      controls: controlsOf(texts),
    },
  };
}

/** The value of an option; undefined where the texts have none that is valid. */
function valueOf<N extends keyof typeof table>(name: N, texts: Texts): unknown {
  const { key, type } = table[name];
  const text = key === undefined ? undefined : texts[key];
  if (text === undefined) return undefined;
  const value: unknown = type.parse(text);
  return value === undefined || type.fault(value) !== undefined
    ? undefined
    : value;
}

function hashOf(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

/** The ControlNets; none where the lists do not go together. */
function controlsOf(texts: Texts): SourceTexts["controls"] {
  const lists = Object.fromEntries(
    ([
      "controlnet",
      "controlScale",
      "controlRange",
      "controlPreprocess",
    ] as const)
      .map((name) => [name, valueOf(name, texts)]),
  ) as ControlLists;
  const hashes = texts.control_image_hashes?.split(",") ?? [];
  try {
    return controlChoices(lists).map((choice, i) => ({
      // Where it was typed as a path, the name is its file's.
      name: choice.name.replace(/^.*[/\\]/, "").replace(/\.weave$/, ""),
      image: hashes[i] || "",
      scale: String(choice.scale ?? 1),
      start: String(choice.start ?? 0),
      end: String(choice.end ?? 1),
      preprocess: choice.preprocess ?? "none",
    }));
  } catch {
    return [];
  }
}

/**
 * What images are made from besides a person, as it is remembered: files by the
 * hash of their content, numbers as they were typed.
 *
 * @module
 */
import {
  CONTROL_PREPROCESSORS,
  type ControlPreprocess,
} from "../../../options/control_types.ts";
import type { RequestSources } from "../engine/engine.ts";

/** A ControlNet as it is typed. */
export interface ControlTexts {
  /** Its name. */
  readonly name: string;
  /** The hash of its image; null where there is none, or the first photo is used. */
  readonly image: string | null;
  /** What it says is multiplied by this. */
  readonly scale: string;
  /** The fraction of the steps from which it runs. */
  readonly start: string;
  /** The fraction of the steps up to which it runs. */
  readonly end: string;
  /** What is made of its image first. */
  readonly preprocess: ControlPreprocess;
}

/** What images are made from. */
export interface SourceTexts {
  /** The hash of the image to start from. */
  readonly initImage: string | null;
  /** The hash of the mask. */
  readonly mask: string | null;
  /** The ControlNets, in order. */
  readonly controls: readonly ControlTexts[];
}

/** Nothing. */
export const noSourceTexts: SourceTexts = {
  initImage: null,
  mask: null,
  controls: [],
};

/** Reads what was remembered, whatever it is. */
export function sourceTextsIn(value: unknown): SourceTexts {
  const { initImage, mask, controls } = Object(value);
  return {
    initImage: hashIn(initImage),
    mask: hashIn(mask),
    controls: Array.isArray(controls) ? controls.map(controlIn) : [],
  };
}

function hashIn(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function controlIn(value: unknown): ControlTexts {
  const { name = "", image, scale = "1", start = "0", end = "1", preprocess } =
    Object(value);
  return {
    name: String(name),
    image: hashIn(image),
    scale: String(scale),
    start: String(start),
    end: String(end),
    preprocess: CONTROL_PREPROCESSORS.find((one) => one === preprocess) ??
      "none",
  };
}

/** The hashes of all files. */
export function sourceHashes(
  { initImage, mask, controls }: SourceTexts,
): string[] {
  return [initImage, mask, ...controls.map(({ image }) => image)]
    .filter((hash) => hash !== null);
}

/**
 * What a request carries of it.
 *
 * @param files by hash; all of them must be there
 */
export function requestSources(
  { initImage, mask, controls }: SourceTexts,
  files: ReadonlyMap<string, Blob>,
): RequestSources {
  const fileOf = (hash: string | null) => files.get(hash ?? "") ?? null;
  return {
    initImage: fileOf(initImage),
    mask: fileOf(mask),
    controls: controls.map((
      { name, image, scale, start, end, preprocess },
    ) => ({
      name,
      image: fileOf(image),
      scale: Number(scale),
      range: [Number(start), Number(end)],
      preprocess,
    })),
  };
}

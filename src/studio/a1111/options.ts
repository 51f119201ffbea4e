/**
 * AUTOMATIC1111's options, as far as they matter to an image: what they are
 * here, and what a request may set them to.
 *
 * @module
 */
import type { Rng, Settings } from "../../options/settings.ts";
import { ApiError, badField } from "../errors.ts";
import type { ModelResource } from "../wire/resources.ts";
import type { EtaOptions } from "./samplers.ts";

/** What a request's options change. */
export interface UsedOptions extends EtaOptions {
  /** Whose noise a seed reproduces. */
  readonly rng?: Rng;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
  /** Settings of the images. */
  readonly settings: Partial<Pick<Settings, "decoder" | "clipSkip">>;
  /** Names of options that nothing is known of. */
  readonly unknown: readonly string[];
}

/** Noise generators by the names that they have there. */
const generators: Readonly<Record<string, Rng>> = {
  GPU: "torch-cuda",
  NV: "torch-cuda",
  CPU: "torch-cpu",
};
/** File formats by the names that they have there. */
const formats: Readonly<Record<string, "png" | "jpeg">> = {
  png: "png",
  jpg: "jpeg",
  jpeg: "jpeg",
};

/** What decodes, by the names that it has there. */
const decoders: Readonly<Record<string, "vae" | "taesd">> = {
  Full: "vae",
  TAESD: "taesd",
};

/** Options that a request may set for itself, and what they are otherwise. */
const own = {
  samples_format: "png",
  randn_source: "NV",
  CLIP_stop_at_last_layers: 1,
  sd_vae_decode_method: "Full",
  eta_ddim: 0,
  eta_ancestral: 1,
} as const;

/** Options that would change the image, and the values at which they do not. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  sd_vae: ["Automatic", "None", "automatic", "none", ""],
  sd_vae_encode_method: ["Full"],
  sd_hypernetwork: ["None", ""],
  eta_noise_seed_delta: [0],
  token_merging_ratio: [0],
  token_merging_ratio_img2img: [0],
  token_merging_ratio_hr: [0],
  s_min_uncond: [0],
  s_churn: [0],
  s_noise: [1],
  initial_noise_multiplier: [1],
  img2img_extra_noise: [0],
  img2img_fix_steps: [false],
  img2img_color_correction: [false],
  always_discard_next_to_last_sigma: [false],
  sgm_noise_multiplier: [false],
  emphasis: ["Original"],
  use_old_emphasis_implementation: [false],
  face_restoration: [false],
  tiling: [false],
};

/** The options as they are. */
export function optionsOfServer(
  model: ModelResource,
): Readonly<Record<string, unknown>> {
  return {
    sd_model_checkpoint: titleOf(model),
    sd_checkpoint_hash: model.hash,
    ...own,
    ...Object.fromEntries(
      Object.entries(neutral).map(([name, [value]]) => [name, value]),
    ),
    show_progress_type: "Approx NN",
    show_progress_every_n_steps: 1,
    live_previews_enable: model.previews,
    samples_save: false,
    grid_save: false,
  };
}

/**
 * Reads options of a request.
 *
 * @param at where they are in the request, for messages
 * @throws {ApiError} 400 `bad-request` for one that would change the image, 404 `not-found` for another model
 */
export function readOptions(
  given: Readonly<Record<string, unknown>>,
  model: ModelResource,
  at = "",
): UsedOptions {
  const unknown: string[] = [];
  const used: Record<string, unknown> = {};
  const server = optionsOfServer(model);
  for (const [name, value] of Object.entries(given)) {
    if (value === null) continue;
    if (name === "sd_model_checkpoint") checkModel(value, model);
    else if (Object.hasOwn(own, name)) used[name] = value;
    else if (Object.hasOwn(neutral, name)) {
      if (neutral[name].includes(value)) continue;
      throw badField(
        at + name,
        `is not supported here, except as ${JSON.stringify(neutral[name][0])}`,
      );
    } else if (!Object.hasOwn(server, name)) unknown.push(name.slice(0, 60));
  }
  const { samples_format = "png", sd_vae_decode_method = "Full" } = used;
  const decoder = oneOf(
    decoders,
    sd_vae_decode_method,
    `${at}sd_vae_decode_method`,
  );
  const clipSkip = numberOf(used, "CLIP_stop_at_last_layers", at);
  return {
    rng: used.randn_source === undefined
      ? undefined
      : oneOf(generators, used.randn_source, `${at}randn_source`),
    format: oneOf(formats, samples_format, `${at}samples_format`),
    settings: {
      ...decoder === "taesd" && { decoder },
      ...clipSkip !== undefined && { clipSkip },
    },
    eta_ddim: numberOf(used, "eta_ddim", at),
    eta_ancestral: numberOf(used, "eta_ancestral", at),
    unknown,
  };
}

/**
 * Checks options that are to be kept from now on: none is, so they must be as they
 * are.
 *
 * @throws {ApiError} 400 `bad-request`, 404 `not-found` for another model
 */
export function checkKept(
  given: Readonly<Record<string, unknown>>,
  model: ModelResource,
): void {
  readOptions(given, model);
  for (const [name, value] of Object.entries(own)) {
    const wanted = given[name] ?? value;
    // A GPU's noise has two names.
    if (wanted === value || name === "randn_source" && wanted === "GPU") {
      continue;
    }
    throw badField(
      name,
      "is set for a request alone here: give it in override_settings",
    );
  }
}

/** A model's title there: its name and the start of its hash. */
export function titleOf({ name, hash }: ModelResource): string {
  return `${name} [${hash.slice(0, 10)}]`;
}

/**
 * Refuses a model that is not this one, by name, title or hash.
 *
 * @throws {ApiError} 404 `not-found`
 */
export function checkModel(value: unknown, model: ModelResource): void {
  const { name, hash } = model;
  const wanted = typeof value === "string" ? value : "(no name)";
  const isHash = /^[0-9a-f]{8,}$/.test(wanted) && hash.startsWith(wanted);
  if (isHash || ["", name, titleOf(model)].includes(wanted)) return;
  throw new ApiError(
    404,
    "not-found",
    `Model not found: ${wanted.slice(0, 60)}; this server has ${
      titleOf(model)
    }`,
  );
}

function numberOf(
  given: Readonly<Record<string, unknown>>,
  name: string,
  at: string,
): number | undefined {
  const value = given[name];
  if (value === undefined || typeof value === "number") return value;
  throw badField(at + name, "must be a number");
}

function oneOf<T>(
  values: Readonly<Record<string, T>>,
  value: unknown,
  field: string,
): T {
  if (typeof value === "string" && Object.hasOwn(values, value)) {
    return values[value];
  }
  throw badField(field, `must be one of ${Object.keys(values).join(", ")}`);
}

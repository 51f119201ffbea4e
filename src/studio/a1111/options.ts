/**
 * AUTOMATIC1111's options, as far as they matter to an image: what they are
 * here, and what a request may set them to.
 *
 * @module
 */
import type { Rng } from "../../options/settings.ts";
import { badField } from "../compatible/own_fields.ts";
import { ApiError } from "../errors.ts";
import type { ModelResource } from "../wire/resources.ts";
import { titleOf } from "./listings.ts";

/** What a request's options change. */
export interface UsedOptions {
  /** Whose noise a seed reproduces. */
  readonly rng?: Rng;
  /** The format of the images' files. */
  readonly format: "png" | "jpeg";
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

/** Options that would change the image, and the values at which they do not. */
const neutral: Readonly<Record<string, readonly unknown[]>> = {
  CLIP_stop_at_last_layers: [1],
  sd_vae: ["Automatic", "None", "automatic", "none", ""],
  eta_noise_seed_delta: [0],
  eta_ddim: [0],
  token_merging_ratio: [0],
  s_min_uncond: [0],
  face_restoration: [false],
};

/** The options as they are. */
export function optionsOfServer(
  model: ModelResource,
): Readonly<Record<string, unknown>> {
  return {
    sd_model_checkpoint: titleOf(model),
    sd_checkpoint_hash: model.hash,
    samples_format: "png",
    randn_source: "NV",
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
  let rng: Rng | undefined;
  let format: "png" | "jpeg" = "png";
  const unknown: string[] = [];
  const server = optionsOfServer(model);
  for (const [name, value] of Object.entries(given)) {
    if (value === null) continue;
    if (name === "sd_model_checkpoint") checkModel(value, model);
    else if (name === "randn_source") {
      rng = oneOf(generators, value, at + name);
    } else if (name === "samples_format") {
      format = oneOf(formats, value, at + name);
    } else if (Object.hasOwn(neutral, name)) {
      if (neutral[name].includes(value)) continue;
      throw badField(
        at + name,
        `is not supported here, except as ${JSON.stringify(neutral[name][0])}`,
      );
    } else if (!Object.hasOwn(server, name)) unknown.push(name.slice(0, 60));
  }
  return { rng, format, unknown };
}

/** Refuses a model that is not this one, by name, title or hash. */
function checkModel(value: unknown, model: ModelResource): void {
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

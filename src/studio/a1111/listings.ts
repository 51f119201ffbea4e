/**
 * What AUTOMATIC1111's web UI says of itself, as this server would: what it
 * lacks is an empty list.
 *
 * @module
 */
import { SAMPLER } from "../../options/parameters_text.ts";
import type { ModelResource } from "../wire/resources.ts";

/** The name of the script whose arguments are reference photos. */
export const SCRIPT = "masterweaver";

/** A model's title there: its name and the start of its hash. */
export function titleOf({ name, hash }: ModelResource): string {
  return `${name} [${hash.slice(0, 10)}]`;
}

/** The answers by path below `/sdapi/v1/`, and what each is. */
export function listings(
  model: ModelResource,
): Readonly<Record<string, readonly [summary: string, answer: () => unknown]>> {
  const none = () => [];
  return {
    "sd-models": ["List the models: the one that is loaded", () => [{
      title: titleOf(model),
      model_name: model.name,
      hash: model.hash.slice(0, 10),
      sha256: model.hash,
      filename: model.name,
      config: null,
    }]],
    samplers: ["List the samplers", () => [{
      name: SAMPLER,
      aliases: [SAMPLER.toLowerCase()],
      options: {},
    }]],
    schedulers: ["List the schedules of steps", () => [{
      name: "automatic",
      label: "Automatic",
      aliases: null,
      default_rho: -1,
      need_inner_model: false,
    }]],
    upscalers: ["List the upscalers: none", () => [{
      name: "None",
      model_name: null,
      model_path: null,
      model_url: null,
      scale: 4,
    }]],
    "latent-upscale-modes": ["List upscalers of latents: none", none],
    "sd-vae": ["List other VAEs: none", none],
    loras: ["List LoRAs: none", none],
    hypernetworks: ["List hypernetworks: none", none],
    "face-restorers": ["List face restorers: none", none],
    "realesrgan-models": ["List Real-ESRGAN models: none", none],
    "prompt-styles": ["List styles: none", none],
    extensions: ["List extensions: none", none],
    embeddings: ["List embeddings: none", () => ({ loaded: {}, skipped: {} })],
    scripts: ["List scripts: the one that takes reference photos", () => ({
      txt2img: [SCRIPT],
      img2img: [],
    })],
    "script-info": ["Describe the scripts", () => [{
      name: SCRIPT,
      is_alwayson: true,
      is_img2img: false,
      args: [{
        label: "Reference photos in base64, or objects with options",
        value: null,
        minimum: null,
        maximum: null,
        step: null,
        choices: null,
      }],
    }]],
    "cmd-flags": ["Say how the server was started", () => ({ api: true })],
    memory: ["Say how much memory there is", () => ({
      ram: memory(),
      cuda: { error: "unavailable" },
    })],
  };
}

/** This machine's memory in bytes; an error where Deno may not ask for it. */
function memory(): Readonly<Record<string, number | string>> {
  try {
    const { total, available } = Deno.systemMemoryInfo();
    return { free: available, used: total - available, total };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      return { error: "unavailable" };
    }
    throw error;
  }
}

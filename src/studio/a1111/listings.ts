/**
 * What AUTOMATIC1111's web UI says of itself, as this server would: what it
 * lacks is an empty list.
 *
 * @module
 */
import type { ExtrasResource, ModelResource } from "../wire/resources.ts";
import { CONTROLNET } from "./controlnet.ts";
import { titleOf } from "./options.ts";
import { listedSamplers, listedSchedules } from "./samplers.ts";
import { LATENT_MODES } from "../../options/other_second_pass.ts";
import { listedUpscalers } from "./upscalers.ts";

/** The name of the script whose arguments are reference photos. */
export const SCRIPT = "masterweaver";

/** What a list is, and what it says. */
export type Listing = readonly [
  summary: string,
  answer: (extras: ExtrasResource) => unknown,
];

/** The answers by path below `/sdapi/v1/`. */
export function listings(
  model: ModelResource,
): Readonly<Record<string, Listing>> {
  const none = () => [];
  const scripts = [SCRIPT, CONTROLNET];
  return {
    "sd-models": ["List the models: the one that is loaded", () => [{
      title: titleOf(model),
      model_name: model.name,
      hash: model.hash.slice(0, 10),
      sha256: model.hash,
      filename: model.name,
      config: null,
    }]],
    samplers: ["List the samplers", () => listedSamplers],
    schedulers: ["List the schedules of steps", () => listedSchedules],
    upscalers: [
      "List the upscalers",
      ({ upscalers }) => listedUpscalers(upscalers),
    ],
    "latent-upscale-modes": [
      "List upscalers of latents",
      () => LATENT_MODES.map((name) => ({ name })),
    ],
    "sd-vae": ["List other VAEs: none", none],
    loras: ["List LoRAs", ({ loras }) => loras.map(listedLora)],
    hypernetworks: ["List hypernetworks: none", none],
    "face-restorers": ["List face restorers: none", none],
    "realesrgan-models": [
      "List Real-ESRGAN models: the upscalers that are files",
      ({ upscalers }) =>
        upscalers.map((name) => ({ name, path: null, scale: 4 })),
    ],
    "prompt-styles": ["List styles: none", none],
    extensions: ["List extensions: none", none],
    embeddings: ["List embeddings", ({ embeddings }) => ({
      loaded: Object.fromEntries(
        embeddings.map((name) => [name, listedEmbedding]),
      ),
      skipped: {},
    })],
    scripts: [
      "List scripts: those that take reference photos and ControlNets",
      () => ({ txt2img: scripts, img2img: scripts }),
    ],
    "script-info": [
      "Describe the scripts",
      () => [false, true].flatMap(scriptInfo),
    ],
    "cmd-flags": ["Say how the server was started", () => ({ api: true })],
    memory: ["Say how much memory there is", () => ({
      ram: memory(),
      cuda: { error: "unavailable" },
    })],
  };
}

/** Names are all that is known before a file is used. */
function listedLora(name: string) {
  return { name, alias: name, path: name, metadata: {} };
}

/** Numbers have to be numbers there; what they are shows when a prompt names it. */
const listedEmbedding = {
  step: null,
  sd_checkpoint: null,
  sd_checkpoint_name: null,
  shape: 0,
  vectors: 0,
};

function scriptInfo(is_img2img: boolean) {
  const argument = (label: string) => ({
    label,
    value: null,
    minimum: null,
    maximum: null,
    step: null,
    choices: null,
  });
  return [{
    name: SCRIPT,
    is_alwayson: true,
    is_img2img,
    args: [argument("Reference photos in base64, or objects with options")],
  }, {
    name: CONTROLNET,
    is_alwayson: true,
    is_img2img,
    args: [argument("Units, which are objects")],
  }];
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

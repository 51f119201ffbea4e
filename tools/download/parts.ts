/**
 * The parts of MasterWeaver for Stable Diffusion 1.5, and where each is public.
 *
 * @module
 */

/** A network that is on the hub. */
export interface HubPart {
  /** The component it becomes. */
  readonly component: string;
  /** Repositories that have it, the preferred first. */
  readonly repos: readonly string[];
  /** Its files of full precision. */
  readonly files: readonly string[];
  /** Those of half precision, where the hub has them. */
  readonly halfFiles?: readonly string[];
  /** The folder among them that is converted. */
  readonly folder: string;
}

const STABLE_DIFFUSION = [
  "stable-diffusion-v1-5/stable-diffusion-v1-5",
  // Its first home; mirrors still have it under this name.
  "runwayml/stable-diffusion-v1-5",
];
const UNET_FILES = ["unet/config.json", "scheduler/scheduler_config.json"];
const TEXT_FILES = [
  "text_encoder/config.json",
  "tokenizer/vocab.json",
  "tokenizer/merges.txt",
];

/** Networks on the hub. */
export const HUB_PARTS: readonly HubPart[] = [
  {
    component: "text_encoder",
    repos: STABLE_DIFFUSION,
    files: [...TEXT_FILES, "text_encoder/model.safetensors"],
    halfFiles: [...TEXT_FILES, "text_encoder/model.fp16.safetensors"],
    folder: "text_encoder",
  },
  {
    component: "unet",
    repos: STABLE_DIFFUSION,
    files: [...UNET_FILES, "unet/diffusion_pytorch_model.safetensors"],
    halfFiles: [...UNET_FILES, "unet/diffusion_pytorch_model.fp16.safetensors"],
    folder: "unet",
  },
  {
    component: "vae",
    repos: ["stabilityai/sd-vae-ft-mse"],
    files: ["config.json", "diffusion_pytorch_model.safetensors"],
    folder: "",
  },
  {
    component: "image_encoder",
    repos: ["openai/clip-vit-large-patch14"],
    files: ["config.json", "preprocessor_config.json", "model.safetensors"],
    folder: "",
  },
];

/** A file that is on no hub, and must be fetched by hand. */
export interface LinkedPart {
  /** The component it becomes. */
  readonly component: string;
  /** The file's name. */
  readonly file: string;
  /** What it is. */
  readonly what: string;
  /** Where the reference links to. */
  readonly link: string;
}

/** Files the reference keeps on Google Drive. */
export const LINKED_PARTS: readonly LinkedPart[] = [
  {
    component: "identity_adapter",
    file: "adapter_final.pt",
    what: "MasterWeaver's identity adapter",
    link:
      "https://drive.google.com/file/d/1pzZfRIeaaEcfeiV9-wxWQ_BOiBZmSM9_/view",
  },
  {
    component: "face_parser",
    file: "79999_iter.pth",
    what: "the face parser, a BiSeNet",
    link: "https://drive.google.com/open?id=154JgKpzCPW82qINcVieuPH3fZ2e0P812",
  },
];

/**
 * Names of GGUF files that were put together from single networks: the same
 * layers as in a single file of Stable Diffusion under other prefixes.
 *
 * @module
 */
import type { Checkpoint } from "../checkpoint.ts";
import { LDM_TEXT, LDM_UNET, LDM_VAE } from "./ldm_prefixes.ts";

/** A UNet's modules, where a file holds it without a prefix. */
const BARE_UNET = /^(input_blocks|middle_block|output_blocks|time_embed|out)\./;

/** Prefixes of programs that write GGUF, and the single file's. */
const PREFIXES: readonly (readonly [from: RegExp, to: string])[] = [
  [/^diffusion_model\./, LDM_UNET],
  [/^vae\./, LDM_VAE],
  [/^text_encoders\.clip_l\.transformer\./, LDM_TEXT],
];

/**
 * How a GGUF file's tensors are renamed to those of a single file; undefined
 * where nothing is.
 */
export function ggufNames(
  { kind, tensors }: Checkpoint,
): ((name: string) => string) | undefined {
  if (kind !== "gguf") return;
  const rename = (name: string) => {
    if (BARE_UNET.test(name)) return LDM_UNET + name;
    const found = PREFIXES.find(([from]) => from.test(name));
    return found ? name.replace(found[0], found[1]) : name;
  };
  const names = [...tensors.keys()];
  const others = names.map(rename);
  const isSame = others.every((name, i) => name === names[i]);
  // Two names for one tensor are the file's fault, and are reported as unused.
  if (isSame || new Set(others).size < others.length) return;
  return rename;
}

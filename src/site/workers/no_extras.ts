/**
 * A page's extra files: there are none, for it has no folders.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { AskedExtras, CallExtras } from "../../host/call_extras.ts";
import { upscalerNames } from "../../options/hires_settings.ts";
import { parseLoras } from "../../options/lora_text.ts";

/**
 * Refuses a call that names extra files.
 *
 * @throws {MasterWeaverError} `bad-option` naming them
 */
export function withoutExtras(
  { settings, controls }: AskedExtras,
): CallExtras {
  const named = [
    ...(parseLoras(settings.lora ?? "") ?? []).map(({ name }) => name),
    ...controls.map(({ name }) => name),
    ...upscalerNames(settings),
  ];
  if (named.length > 0) {
    throw new MasterWeaverError(
      "bad-option",
      `This page has no extra files, such as ${
        named.join(", ")
      }; leave them out, or start the studio on a computer that has them`,
    );
  }
  return {
    settings,
    loras: [],
    promptLoras: {},
    embeddings: {},
    upscalers: {},
    controls: [],
    hashes: {},
    warnings: [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

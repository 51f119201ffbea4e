/**
 * LoRAs as the library takes them.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { formatValue } from "../base/format_value.ts";
import { type Lora, LoraFile } from "../checkpoints/lora_reader.ts";
import {
  formatLoras,
  MAX_LORA_SCALE,
  parseLoras,
  promptLoras,
  type PromptNetwork,
} from "../options/lora_text.ts";
import { printable } from "../weights/brief.ts";
import type { AppliedLora } from "./loras.ts";

/** A LoRA of an image. */
export interface LoraUse {
  /** The LoRA, of `readLora`. */
  readonly lora: Lora;
  /** What its changes are multiplied by, −100..100; 1 where not given. */
  readonly scale?: number;
  /** The same of the text encoder alone; `scale` where not given. */
  readonly textScale?: number;
  /**
   * What each block is multiplied by besides, as AUTOMATIC1111's users give it:
   * `BASE` (the text encoder), `IN00` to `IN11`, `M00`, `OUT00` to `OUT11`; or 17
   * numbers for the blocks with attention.
   */
  readonly blocks?: readonly number[];
}

/**
 * Checks the LoRAs of a call, and that those that its settings name are among them.
 *
 * @param given whatever stands in the option `loras`
 * @param named the setting `lora`
 * @returns the LoRAs, and the setting that names them
 * @throws {MasterWeaverError} `bad-option`
 */
export function checkLoras(
  given: unknown,
  named: string,
): { readonly loras: readonly AppliedLora[]; readonly lora: string } {
  const uses: readonly unknown[] = given === undefined
    ? []
    : Array.isArray(given)
    ? given
    : refuse("must be a list of { lora, scale }", given);
  const loras = uses.map(checkUse);
  const names = parseLoras(named) ?? [];
  if (names.length > loras.length) {
    throw new MasterWeaverError(
      "bad-option",
      `Option lora names ${
        formatValue(names.map(({ name }) => name).join(", "))
      }, but ${loras.length} are loaded; give each among loras: [{ lora: await readLora(source), scale }]`,
    );
  }
  const own = loras.map(({ lora: { name }, scale, textScale, blocks }) => ({
    name,
    scale,
    textScale,
    blocks,
  }));
  return { loras, lora: named === "" ? formatLoras(own) : named };
}

/**
 * The LoRAs that a prompt asks for.
 *
 * @param networks the prompt's tags
 * @param given whatever stands in the option `promptLoras`
 * @param onWarning takes the names of those that are not given
 * @throws {MasterWeaverError} `bad-option` for a LoRA that is none, or a wrong tag
 */
export function lorasOfPrompt(
  networks: readonly PromptNetwork[],
  given: unknown = {},
  onWarning?: (warning: string) => void,
): AppliedLora[] {
  if (typeof given !== "object" || given === null) {
    throw new MasterWeaverError(
      "bad-option",
      `Option promptLoras must be an object of LoRAs by name, got ${
        formatValue(given)
      }`,
    );
  }
  const byName = new Map<string, unknown>(Object.entries(given));
  const missing = new Set<string>();
  const found: AppliedLora[] = [];
  for (const { name, ...strength } of promptLoras(networks)) {
    if (byName.has(name)) {
      found.push(checkUse({ ...strength, lora: byName.get(name) }));
    } else missing.add(name);
  }
  if (missing.size > 0) {
    const names = [...missing].slice(0, 10).map((name) =>
      printable(name.slice(0, 60))
    );
    onWarning?.(
      `The prompt asks for LoRAs that are not there: ${names.join(", ")}`,
    );
  }
  return found;
}

function checkUse(use: unknown): AppliedLora {
  const { lora, scale = 1, textScale = scale, blocks } = Object(use);
  if (!(lora instanceof LoraFile)) {
    refuse("must hold { lora: await readLora(source), scale }", use);
  }
  for (const [name, value] of Object.entries({ scale, textScale })) {
    if (!isScale(value)) refuse(`has a wrong ${name}, ${LIMITS}`, value);
  }
  const isList = blocks === undefined ||
    (Array.isArray(blocks) && blocks.every(isScale));
  if (!isList) refuse(`has wrong blocks, each ${LIMITS}`, blocks);
  return { lora, scale, textScale, ...blocks && { blocks: [...blocks] } };
}

const LIMITS = `a number in -${MAX_LORA_SCALE}..${MAX_LORA_SCALE}`;

function isScale(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= MAX_LORA_SCALE;
}

function refuse(what: string, given: unknown): never {
  throw new MasterWeaverError(
    "bad-option",
    `Option loras ${what}, got ${formatValue(given)}`,
  );
}

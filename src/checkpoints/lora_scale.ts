/**
 * What a LoRA's matrices are multiplied by where no tensor says it: the configs
 * of peft, which diffusers writes into a file's metadata.
 *
 * @module
 */
import { jsonFault, parseJson } from "../weights/json.ts";
import { badCheckpoint } from "./checkpoint.ts";
import { ADAPTER_METADATA } from "./lora_file.ts";
import type { LoraNetwork } from "./lora_names.ts";

/** The scale of a layer, by its path and the rank of its matrices; undefined where nothing says it. */
export type ScaleRule = (
  path: string,
  rank: number | undefined,
) => number | undefined;

/**
 * The rule of a network by diffusers' metadata, where a file has it.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where it is no JSON object, or says that the file is a DoRA
 */
export function metadataRule(
  file: string,
  metadata: Readonly<Record<string, string>>,
  network: LoraNetwork,
): ScaleRule {
  const text = metadata[ADAPTER_METADATA];
  if (text === undefined) return () => undefined;
  let value: unknown;
  try {
    value = parseJson(new TextEncoder().encode(text));
  } catch (cause) {
    throw badCheckpoint(file, `its ${ADAPTER_METADATA} is ${jsonFault(cause)}`);
  }
  const prefix = `${network}.`;
  const own = Object.entries(Object(value))
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, value]) => [key.slice(prefix.length), value]);
  return configRule(file, Object.fromEntries(own));
}

/**
 * The rule of a config of peft, `adapter_config.json`.
 *
 * @param file what messages call the LoRA
 * @param config of a LoRA, LoHa or LoKr; anything else says nothing
 * @throws {MasterWeaverError} `bad-checkpoint` where it is that of a DoRA
 */
export function configRule(file: string, config: unknown): ScaleRule {
  const { r, lora_alpha, alpha = lora_alpha, ...more } = Object(config);
  const { alpha_pattern, rank_pattern, use_rslora, use_dora } = more;
  if (use_dora === true) throw isDora(file);
  return (path, rank) => {
    const own = patternOf(alpha_pattern, path) ?? alpha;
    const ownRank = rank ?? patternOf(rank_pattern, path) ?? r;
    const isGiven = Number.isFinite(own) && Number(ownRank) > 0;
    if (!isGiven) return undefined;
    return own / (use_rslora === true ? Math.sqrt(ownRank) : ownRank);
  };
}

/** The number that a pattern has for a layer: its keys are the ends of paths. */
function patternOf(pattern: unknown, path: string): number | undefined {
  const found = Object.entries(Object(pattern))
    .find(([end]) => path === end || path.endsWith(`.${end}`));
  return typeof found?.[1] === "number" ? found[1] : undefined;
}

/** The refusal of a DoRA. */
export function isDora(file: string): Error {
  return badCheckpoint(
    file,
    "it is a DoRA, whose weights are normalised again after the sum; expected a LoRA, LoCon, LoHa, LoKr or (IA)³: merge it into a checkpoint and convert that",
  );
}

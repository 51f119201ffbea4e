/**
 * Opens the LoRAs that an image's settings name.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { ByteSource } from "../base/bytes.ts";
import { type Lora, readLora } from "../checkpoints/lora_reader.ts";
import type { LoraUse } from "../generate/lora_input.ts";
import { type LoraChoice, promptLoras } from "../options/lora_text.ts";
import { splitExtraNetworks, withoutComments } from "../text/extra_networks.ts";
import { parseJson } from "../weights/json.ts";
import { type ExtraLookup, leaveOut, readFound } from "./extra_lookup.ts";
import {
  extraNames,
  type ExtraPlaces,
  findExtra,
  findNamedExtra,
  openFound,
} from "./extras.ts";
import { type FileSource, readFile } from "./files.ts";
import { recordedName, shortHash } from "./recorded_hashes.ts";

/** LoRAs whose files are open. */
export interface OpenedLoras extends AsyncDisposable {
  /** As the library takes them, in the order of the choices. */
  readonly uses: readonly LoraUse[];
  /** Their names and scales. */
  readonly choices: readonly LoraChoice[];
  /** `name: hash, name: hash`, as AUTOMATIC1111 writes them; empty without any. */
  readonly hashes: string;
}

/** The config that peft writes beside its files; larger ones are none. */
const CONFIG_NAME = "adapter_config.json";
const MAX_CONFIG_BYTES = 2 ** 20;

/**
 * Finds and opens LoRAs.
 *
 * @param choices their names and scales
 * @param places where they are looked up by name
 * @param lookup how they are looked up, by path or name where not given
 * @throws {MasterWeaverError} `bad-option`, `cannot-read`, `bad-checkpoint`
 */
export async function openLoras(
  choices: readonly LoraChoice[],
  places: ExtraPlaces,
  lookup: ExtraLookup = {},
): Promise<OpenedLoras> {
  const { find = findExtra } = lookup;
  await using stack = new AsyncDisposableStack();
  const opened = new Map<string, ReadLora>();
  const uses: LoraUse[] = [];
  const used: LoraChoice[] = [];
  for (const choice of choices) {
    const { name, ...strength } = choice;
    const path = await find("loras", name, places)
      .catch((error: unknown) => leaveOut(error, lookup));
    if (path === undefined) continue;
    let known = opened.get(path);
    if (!known) {
      known = await readFound(
        path,
        lookup,
        stack,
        () => openFound(path, places),
        (source) => readAt(path, source),
      )
        .catch((error: unknown) => leaveOut(error, lookup));
      if (known === undefined) continue;
      opened.set(path, known);
    }
    uses.push({ lora: known.lora, ...strength });
    used.push(choice);
  }
  const hashes = [...opened.values()]
    .map(({ lora, hash }) => `${recordedName(lora.name)}: ${hash}`)
    .join(", ");
  const owned = stack.move();
  return {
    uses,
    choices: used,
    hashes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A LoRA that was read. */
interface ReadLora {
  readonly lora: Lora;
  readonly hash: string;
}

/** Reads a LoRA, with what peft's config beside its file says. */
async function readAt(path: string, source: FileSource): Promise<ReadLora> {
  const config = await peftConfig(path);
  const lora = await readLora(source, { config });
  return { lora, hash: await loraHash(source) };
}

/** LoRAs that a prompt names, whose files are open. */
export interface PromptLoras extends AsyncDisposable {
  /** By the names in the prompt; those that are not found are missing. */
  readonly byName: Readonly<Record<string, Lora>>;
  /** As of {@linkcode OpenedLoras}. */
  readonly hashes: string;
}

/**
 * Finds and opens the LoRAs that a prompt of A1111 names, never by a path.
 *
 * @param lookup which files stay open between calls
 * @throws {MasterWeaverError} `bad-option` for a wrong tag, or where several files have a name; `cannot-read`, `bad-checkpoint`
 */
export async function openPromptLoras(
  prompt: string,
  places: ExtraPlaces,
  { kept }: Pick<ExtraLookup, "kept"> = {},
): Promise<PromptLoras> {
  const { extraNetworks } = splitExtraNetworks(withoutComments(prompt));
  const there = await extraNames("loras", places);
  const named = new Set(promptLoras(extraNetworks).map(({ name }) => name));
  const paths = new Map<string, string>();
  for (const name of named) {
    if (!there.includes(name)) continue;
    paths.set(name, await findNamedExtra("loras", name, places));
  }
  const choices = [...paths.values()].map((name) => ({ name, scale: 1 }));
  const { uses, hashes, ...owned } = await openLoras(choices, places, { kept });
  const names = [...paths.keys()];
  return {
    ...owned,
    byName: Object.fromEntries(uses.map(({ lora }, i) => [names[i], lora])),
    hashes,
  };
}

/** peft's config beside a file of its; undefined where there is none. */
async function peftConfig(path: string): Promise<unknown> {
  if (!/adapter_model\.\w+$/.test(path)) return undefined;
  try {
    const beside = join(dirname(path), CONFIG_NAME);
    return parseJson(await readFile(beside, MAX_CONFIG_BYTES));
  } catch {
    return undefined;
  }
}

/**
 * The hash by which AUTOMATIC1111 and Civitai know a LoRA: SHA-256 of what
 * follows a safetensors file's header, of the whole of any other; its first 12
 * digits.
 */
async function loraHash(source: ByteSource): Promise<string> {
  const start = await source.read(0, Math.min(9, source.size));
  let from = 0;
  if (start[8] === 0x7b) {
    const { buffer, byteOffset } = start;
    const length = new DataView(buffer, byteOffset).getBigUint64(0, true);
    if (length + 8n <= BigInt(source.size)) from = 8 + Number(length);
  }
  return await shortHash(source, from);
}

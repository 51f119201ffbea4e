/**
 * Opens the LoRAs that an image's settings name.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { MasterWeaverError } from "../base/errors.ts";
import { type Lora, readLora } from "../checkpoints/lora_reader.ts";
import type { LoraUse } from "../generate/lora_input.ts";
import type { LoraChoice } from "../options/lora_text.ts";
import { parseJson } from "../weights/json.ts";
import { extraHash, findExtra, loraFiles } from "./extras.ts";
import { FileSource, readFile } from "./files.ts";

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
 * @param parents folders that have a folder `loras`
 * @param onMissing takes the message of one that is not found, which is left out;
 *   without it that is an error
 * @throws {MasterWeaverError} `cannot-read`, `bad-checkpoint`
 */
export async function openLoras(
  choices: readonly LoraChoice[],
  parents: readonly string[],
  onMissing?: (message: string) => void,
): Promise<OpenedLoras> {
  await using stack = new AsyncDisposableStack();
  const opened = new Map<string, { lora: Lora; hash: string }>();
  const uses: LoraUse[] = [];
  const used: LoraChoice[] = [];
  for (const choice of choices) {
    const { name, ...strength } = choice;
    const path = await findExtra(name, loraFiles, parents)
      .catch((error: unknown) => leftOut(error, onMissing));
    if (path === undefined) continue;
    let known = opened.get(path);
    if (!known) {
      const source = stack.use(await FileSource.open(path));
      const config = await peftConfig(path);
      const lora = await readLora(source, { config });
      known = { lora, hash: await extraHash(source) };
      opened.set(path, known);
    }
    uses.push({ lora: known.lora, ...strength });
    used.push(choice);
  }
  const hashes = [...opened.values()]
    .map(({ lora, hash }) => `${lora.name.replace(/[:,]/g, "_")}: ${hash}`)
    .join(", ");
  const owned = stack.move();
  return {
    uses,
    choices: used,
    hashes,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Reports a LoRA that is not found, where it may be left out. */
function leftOut(
  error: unknown,
  onMissing: ((message: string) => void) | undefined,
): undefined {
  if (!onMissing || !(error instanceof MasterWeaverError)) throw error;
  onMissing(error.message);
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
 * Warns of LoRAs that are not those of the image to repeat.
 *
 * @param recorded what the image says
 * @param used what is used instead
 */
export function loraWarnings(
  recorded: string | undefined,
  used: string,
): string[] {
  const before = new Map(pairs(recorded ?? ""));
  return pairs(used).flatMap(([name, hash]) => {
    const was = before.get(name);
    return was === undefined || hash.startsWith(was) || was.startsWith(hash)
      ? []
      : [
        `The image will differ: its LoRA ${name} has the hash ${was}, the one here ${hash}`,
      ];
  });
}

function pairs(text: string): [string, string][] {
  return text.split(",").flatMap((pair): [string, string][] => {
    const [name, hash] = pair.split(":").map((word) => word.trim());
    return name && hash ? [[name, hash]] : [];
  });
}

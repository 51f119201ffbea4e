/**
 * Recognises files that are given as an identity adapter and are something else.
 *
 * @module
 */
import type { ByteSource } from "../base/bytes.ts";
import { MasterWeaverError } from "../base/errors.ts";
import { toolName } from "./place.ts";

/** Most of a safetensors file's header that is looked at. */
const LOOKED_AT = 2 ** 20;
/** Names of a LoRA's tensors, as kohya's tools and as diffusers write them. */
const LORA = /"[^"]*(?:lora_unet_|[._]lora[._A-Z])/;

/** Files that are no `*.weave`, and may be taken for an adapter. */
export type OtherAdapterFile = "a LoRA" | "a PyTorch file";

/**
 * What a file is, by its first bytes.
 *
 * @returns undefined for anything else, such as a `*.weave`
 */
export async function otherAdapterFile(
  source: ByteSource,
): Promise<OtherAdapterFile | undefined> {
  const start = await source.read(0, Math.min(16, source.size));
  const startsWith = (...bytes: number[]) =>
    bytes.every((byte, i) => start[i] === byte);
  // A zip archive, or a pickle of the older form.
  if (startsWith(0x50, 0x4b, 3, 4) || startsWith(0x80, 2)) {
    return "a PyTorch file";
  }
  // safetensors: the length of its header, then the header, which is JSON.
  if (start[8] !== 0x7b || start.length < 16) return;
  const end = Math.min(LOOKED_AT, source.size);
  const header = new TextDecoder().decode(await source.read(8, end - 8));
  return LORA.test(header) ? "a LoRA" : undefined;
}

/**
 * Refuses what is no adapter of this project, and says what to do with it.
 *
 * @throws {MasterWeaverError} `bad-model`
 */
export async function checkAdapterFile(source: ByteSource): Promise<void> {
  const { name } = source;
  switch (await otherAdapterFile(source)) {
    case "a LoRA":
      throw isLora(
        name,
        "give it with --lora",
      );
    case "a PyTorch file":
      throw new MasterWeaverError(
        "bad-model",
        `Cannot use ${name} as the adapter: it is a PyTorch file; ` +
          "use the .weave that training wrote beside it, or convert it with " +
          toolName("tools/convert.ts"),
      );
  }
}

/**
 * Refuses a LoRA that is given as an adapter.
 *
 * @throws {MasterWeaverError} `bad-model`
 */
export async function refuseLora(source: ByteSource): Promise<void> {
  if (await otherAdapterFile(source) !== "a LoRA") return;
  throw isLora(source.name, "expected adapter_….weave or .pt");
}

function isLora(name: string, advice: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-model",
    `Cannot use ${name} as the adapter: it is a LoRA, not an adapter; ${advice}`,
  );
}

/**
 * The command's outputs that are one file of another program's.
 *
 * @module
 */
import { Interrupt } from "../../src/host/command/interrupt.ts";
import { UsageError } from "../../src/host/exit.ts";
import { checkWritable } from "../../src/host/files.ts";
import { writeStderr } from "../../src/host/streams.ts";
import { printJson, talk } from "../tool.ts";
import { extractLora } from "./extract_lora.ts";
import type { ReadInputs } from "./merge.ts";
import type { ConvertValues } from "./options.ts";
import { toGguf } from "./to_gguf.ts";

/**
 * Writes a GGUF file.
 *
 * @param gguf the file
 * @throws {UsageError}
 */
export async function runGguf(
  gguf: string,
  values: ConvertValues,
  read: ReadInputs,
): Promise<void> {
  if (values.output !== undefined || values["to-pytorch"] !== undefined) {
    throw new UsageError("Give --gguf FILE.gguf without --output");
  }
  await checkWritable(gguf);
  await using interrupt = new Interrupt((text) => writeStderr(`${text}\n`));
  const { report, progress } = talk(values.quiet);
  const written = await toGguf({
    ...read,
    output: gguf,
    dtype: values.dtype,
    ldmWeights: values["no-ema"] ? "last" : "ema",
    allowUnused: values["allow-unused"],
    signal: interrupt.signal,
    report,
    progress,
  });
  report(
    `${written.components.join(", ")}: ${written.tensors} tensors, ` +
      `${written.quantised} quantised → ${gguf}`,
  );
  if (values.json) printJson(written);
}

/**
 * Extracts a LoRA.
 *
 * @param words the two models
 * @throws {UsageError}
 */
export async function runExtraction(
  values: ConvertValues,
  words: readonly string[],
): Promise<void> {
  const { output, rank = 32, dtype, gguf, merge } = values;
  const [base, tuned] = words;
  if (words.length !== 2 || !output || gguf !== undefined || merge) {
    throw new UsageError(
      "Give --extract-lora BASE TUNED --output FILE.safetensors",
    );
  }
  if (dtype !== "f16" && dtype !== "f32") {
    throw new UsageError(
      `--dtype is ${dtype}, expected f16 or f32: a LoRA is not quantised`,
    );
  }
  await checkWritable(output);
  await using interrupt = new Interrupt((text) => writeStderr(`${text}\n`));
  const { report, progress } = talk(values.quiet);
  const made = await extractLora({
    base,
    tuned,
    output,
    rank,
    dtype,
    ldmWeights: values["no-ema"] ? "last" : "ema",
    allowUnused: values["allow-unused"],
    signal: interrupt.signal,
    report,
    progress,
  });
  report(
    `${made.layers} layers of rank ${rank}, which lack ` +
      `${
        (100 * made.missing).toPrecision(2)
      } % of the difference's squares → ${output}`,
  );
  if (made.otherChanges > 0) {
    report(
      `${made.otherChanges} other tensors differ, such as norms and biases, ` +
        "which no LoRA changes",
    );
  }
  if (values.json) printJson(made);
}

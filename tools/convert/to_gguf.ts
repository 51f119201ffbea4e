/**
 * Writes a model as the GGUF file that stable-diffusion.cpp loads.
 *
 * @module
 */
import { dirname } from "node:path";
import { throwIfAborted } from "../../src/base/progress.ts";
import { badCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { ARCHITECTURE } from "../../src/checkpoints/gguf.ts";
import {
  type GgufContent,
  writeGguf,
} from "../../src/checkpoints/gguf_writer.ts";
import { CheckpointConfig } from "../../src/checkpoints/tables/config.ts";
import {
  configKey,
  type GgufComponent,
  ggufDtype,
  ggufRows,
  isGgufComponent,
} from "../../src/checkpoints/tables/gguf_output.ts";
import { elementCount } from "../../src/ops/tensor_spec.ts";
import { FileSource, writeFileAtomic } from "../../src/host/files.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { checkNotInput, checkPlanned, openSources } from "./checks.ts";
import type { Component } from "./component.ts";
import { ggufBlocks, ggufFloats } from "./gguf_values.ts";
import { readComponents, type ReadOptions } from "./merge.ts";
import { ProgressLine } from "./progress.ts";

/** What to write. */
export interface GgufOptions extends ReadOptions {
  /** The file to write. */
  readonly output: string;
  /** How weights are stored. */
  readonly dtype: ModelDtype;
  /** Stops between two chunks; nothing is written then. */
  readonly signal?: AbortSignal;
  /** Whether to draw a progress bar. */
  readonly progress?: boolean;
}

/** What was written. */
export interface WrittenGguf {
  /** The file. */
  readonly file: string;
  /** The components that are in it. */
  readonly components: readonly string[];
  /** Number of tensors. */
  readonly tensors: number;
  /** How many of them are quantised. */
  readonly quantised: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** `general.file_type` of llama.cpp, which others share. */
const FILE_TYPES = { f32: 0, f16: 1, q4: 2, q8: 7 } as const;

/**
 * Writes a model's UNet, autoencoder and text encoder as one file.
 *
 * @throws {MasterWeaverError} `bad-checkpoint`, `cannot-read`, `cannot-write`, `aborted`
 */
export async function toGguf(options: GgufOptions): Promise<WrittenGguf> {
  const { inputs, output, dtype, signal, report = () => {} } = options;
  const found = await readComponents(options, dirname(output));
  await using stack = new AsyncDisposableStack();
  const metadata: Record<string, string | number> = {
    [ARCHITECTURE]: "sd1",
    "general.quantization_version": 2,
    "general.file_type": FILE_TYPES[dtype],
  };
  const tensors: GgufContent[] = [];
  const components: string[] = [];
  for (const component of found) {
    const { output: name } = component;
    await checkNotInput(component.files, output, "--gguf");
    if (!isGgufComponent(name)) {
      report(`${name}: left out, stable-diffusion.cpp has no place for it`);
      continue;
    }
    const made = await contentOf(name, component, options, stack);
    metadata[configKey(name)] = JSON.stringify(made.config);
    tensors.push(...made.tensors);
    components.push(name);
    for (const warning of made.warnings) report(warning);
  }
  if (components.length === 0) {
    throw badCheckpoint(
      inputs.join(", "),
      "it has no UNet, autoencoder or text encoder to write as GGUF",
    );
  }
  using bar = new ProgressLine(
    output,
    sizeOf(tensors),
    options.progress === true,
  );
  await writeFileAtomic(output, (append) =>
    writeGguf(
      (bytes) => {
        throwIfAborted(signal);
        bar.advance(bytes.length);
        return append(bytes);
      },
      metadata,
      tensors,
    ));
  await using written = await FileSource.open(output);
  return {
    file: output,
    components,
    tensors: tensors.length,
    quantised: tensors.filter(({ dtype }) => dtype.startsWith("Q")).length,
    bytes: written.size,
  };
}

/** About the bytes of the file, for the progress bar. */
function sizeOf(tensors: readonly GgufContent[]): number {
  const bytes = { F32: 4, F16: 2, Q8_0: 34 / 32, Q4_0: 18 / 32 };
  return tensors.reduce(
    (sum, { dtype, shape }) => sum + bytes[dtype] * elementCount(shape),
    0,
  );
}

/** A component's tensors as the file has them. */
async function contentOf(
  name: GgufComponent,
  component: Component,
  { dtype, allowUnused = false }: GgufOptions,
  stack: AsyncDisposableStack,
) {
  const [file] = component.files;
  const sources = await openSources(component, stack);
  const planned = (dtype: ModelDtype) =>
    component.plan(sources, { dtype, allowUnused });
  // The same tensors twice: as values, and as blocks where those can be kept.
  const { content, warnings } = await planned("f32");
  const blocks = new Map(
    (await planned(dtype)).content.tensors.map((t) => [t.name, t]),
  );
  checkPlanned(file, content);
  const config = new CheckpointConfig(content.config, "its config");
  const rows = ggufRows(name, config);
  const tensors = content.tensors.map((tensor): GgufContent => {
    const row = rows.get(tensor.name)!;
    const stored = ggufDtype(row, dtype);
    const quantised = blocks.get(tensor.name)!;
    if (stored === "Q8_0" || stored === "Q4_0") {
      if (quantised.dtype.startsWith("q")) {
        return {
          ...row,
          dtype: stored,
          data: () => ggufBlocks(quantised, stored),
        };
      }
    }
    const kept = stored === "F32" ? "F32" : "F16";
    return {
      ...row,
      dtype: kept,
      data: () => ggufFloats(file, tensor, row, kept),
    };
  });
  return { config: content.config, tensors, warnings };
}

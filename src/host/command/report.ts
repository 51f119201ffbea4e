/**
 * What the command prints when the images are written.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import type { Generated } from "../../call_options.ts";
import type { Provenance } from "../../options/settings_text.ts";
import { printable } from "../../weights/brief.ts";
import type { MasterWeaver } from "../masterweaver.ts";
import { print, writeStderr } from "../streams.ts";
import type { Outputs } from "./outputs.ts";

/** When a run's stages ended, in milliseconds of `performance.now()`. */
export interface Times {
  /** When it started. */
  readonly started: number;
  /** When everything was read, opened and checked. */
  readonly loaded: number;
  /** When the identity was encoded. */
  readonly encoded: number;
  /** When the images were made. */
  readonly generated: number;
}

/** What a run has done. */
export interface Run {
  /** Where everything went. */
  readonly outputs: Outputs;
  /** The model that ran. */
  readonly weaver: MasterWeaver;
  /** What it made. */
  readonly made: Generated;
  /** What made it besides the settings. */
  readonly provenance: Provenance;
  /** What was said about the run before it began. */
  readonly warnings: readonly string[];
  /** How long it took. */
  readonly times: Times;
}

/** Prints the run as one line of JSON. */
export function printReport(
  { outputs, weaver, made, provenance, warnings, times }: Run,
): void {
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000;
  const report = {
    outputs: outputs.images,
    references: outputs.references,
    settings: { ...made.settings, seed: String(made.settings.seed) },
    truncatedPrompt: made.truncatedPrompt,
    ...reported(provenance),
    warnings,
    seconds: {
      load: seconds(times.started, times.loaded),
      identity: seconds(times.loaded, times.encoded),
      image: seconds(times.encoded, times.generated),
    },
    peakGpuBytes: weaver.gpu.buffers.peakBytes,
    tuneSeconds: seconds(0, weaver.tuneMilliseconds),
    kernels: weaver.kernels.map(({ kind, kernel, milliseconds }) => ({
      kind,
      kernel,
      milliseconds,
    })),
  };
  print(`${printable(JSON.stringify(report))}\n`);
}

/** What made the images, as `--json` reports it. */
function reported({ model, modelHash, dtype, ...provenance }: Provenance) {
  const { adapter, adapterHash, tune, referenceHashes } = provenance;
  const { loraHashes, embeddingHashes } = provenance;
  const { align, parse, face, requireFace, fit } = provenance;
  const { initImage, initImageHash, mask, maskHash } = provenance;
  return {
    model,
    modelHash,
    adapter,
    adapterHash,
    dtype,
    tune,
    looks: { align, parse, face, requireFace, fit },
    referenceHashes,
    initImage,
    initImageHash,
    mask,
    maskHash,
    ...loraHashes !== undefined && { loraHashes },
    ...embeddingHashes !== undefined && { embeddingHashes },
    ...provenance.controlnet && {
      controls: {
        controlnet: provenance.controlnet,
        controlnetHashes: provenance.controlnetHashes,
        imageHashes: provenance.controlImageHashes,
        scale: provenance.controlScale,
        range: provenance.controlRange,
        preprocess: provenance.controlPreprocess,
      },
    },
  };
}

/** Prints where images are. They are written: that their paths cannot be printed is no failure. */
export function printPaths(paths: readonly string[]): void {
  try {
    print(paths.map((path) => `${path}\n`).join(""));
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    writeStderr(`${error.message}\n`);
  }
}

/**
 * The command: flags in, images out.
 *
 * @module
 */
import { version } from "../../base/version.ts";
import { type Flags, readFlags, typedKeys } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { chooseModel } from "./model_choice.ts";
import {
  checkOutputs,
  checkRoom,
  Delivery,
  encodeImage,
  type Outputs,
  planOutputs,
} from "./outputs.ts";
import { readPhotos, referenceWarnings } from "./photos.ts";
import { usage } from "./usage.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import { readImageText } from "../files.ts";
import { asUsage, exitCode, UsageError, wrongOption } from "../exit.ts";
import { print, tell } from "../streams.ts";
import type { ImageText } from "../codecs/image_text.ts";
import {
  checkSettings,
  type Settings,
  type SizeRule,
} from "../../options/options.ts";
import { type LoadOptions, MasterWeaver } from "../masterweaver.ts";
import { ProgressLines } from "../progress_lines.ts";
import {
  fromText,
  missingWarnings,
  type Provenance,
  type Recorded,
  toText,
} from "../../options/settings_text.ts";

/**
 * Runs the command.
 *
 * @param args the arguments after the script's name
 * @param defaultModel the model folder where none is given
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function main(
  args: readonly string[],
  defaultModel: string,
): Promise<number> {
  return await exitCode(async () => {
    const flags = readFlags(args);
    if (flags.only === "help") print(usage);
    else if (flags.only === "version") print(`masterweaver ${version}\n`);
    else await run(flags, defaultModel);
  });
}

/** What the images are made from, before a model is loaded. */
interface Task {
  readonly flags: Flags;
  /** What is repeated; empty where nothing is. */
  readonly recorded: Recorded;
  /** Its words, where something is repeated. */
  readonly said?: ImageText;
  /** The flags over what is repeated. */
  readonly settings: Partial<Settings> & { prompt: string };
  readonly outputs: Outputs;
}

async function readTask(flags: Flags): Promise<Task> {
  const from = flags.fromImage;
  const said = from === undefined ? undefined : await readImageText(from);
  const recorded = from === undefined || said === undefined
    ? { settings: {}, provenance: {} }
    : fromText(said.text, from);
  const settings = { prompt: "", ...recorded.settings, ...flags.settings };
  const outputs = await planOutputs(flags, settings.numImages ?? 1);
  await checkOutputs(outputs, flags.refs);
  return { flags, recorded, said, settings, outputs };
}

async function run(flags: Flags, defaultModel: string): Promise<void> {
  const started = performance.now();
  const task = await readTask(flags);
  const { recorded, outputs } = task;
  // Until here nothing is begun: Ctrl-C ends the process by itself.
  const photos = await readPhotos(flags.refs);
  const chosen = await chooseModel({
    ...flags,
    defaultModel,
    recorded: recorded.provenance,
  });

  using lines = new ProgressLines(tell, Deno.stderr.isTerminal());
  await using interrupt = new Interrupt(lines.warning);
  const call = {
    onProgress: flags.quiet ? undefined : lines.progress,
    onWarning: lines.warning,
    signal: interrupt.signal,
  };
  const looks = chosenLooks(task);
  const tune = flags.tune ?? recorded.provenance.tune ?? "auto";
  await using weaver = await load(
    task,
    chosen.model,
    { ...call, tune, adapter: chosen.adapter },
  );
  const settings = checkedSettings(task, weaver.size);
  if (flags.refs.length > weaver.maxReferences) {
    throw new UsageError(
      `Option --ref takes 1 to ${weaver.maxReferences} photos, got ${flags.refs.length}; give the clearest`,
    );
  }
  const referenceHashes = photos.map(({ hash }) => hash);
  const provenance: Provenance = {
    ...chosen,
    ...looks,
    tune,
    dtype: weaver.dtype,
    referenceHashes,
  };
  // Not where this project lies on the user's disk: images are passed on.
  const model = chosen.model === defaultModel ? "weights/mini" : chosen.model;
  const text = toText(settings, { ...provenance, model });
  await checkRoom(outputs, settings, text);
  const { said } = task;
  const warnings = [
    ...said?.warnings ?? [],
    ...said ? missingWarnings(said.text, text, typedKeys(flags)) : [],
    ...chosen.warnings,
    ...referenceWarnings(recorded.provenance.referenceHashes, referenceHashes),
  ];
  for (const warning of warnings) lines.warning(warning);

  const loaded = performance.now();
  const identity = await weaver.encodeIdentity(
    photos.map(({ image }) => image),
    { ...call, ...looks },
  ).catch((error) => {
    const isTyped = flags.face !== undefined || looks.face === undefined;
    throw isTyped ? error : notTyped(error, flags);
  });
  const encoded = performance.now();
  const made = await weaver.generate({ ...settings, identity, ...call });
  const painted = performance.now();
  lines.end();

  const delivery = new Delivery(outputs);
  for (const [i, image] of made.images.entries()) {
    const words = { ...text, image_index: String(i) };
    const bytes = encodeImage(outputs.format, image, words);
    await delivery.write(outputs.images[i], bytes, "image");
  }
  for (const [i, path] of outputs.references.entries()) {
    const bytes = encodeImage(outputs.format, identity.references[i], null);
    await delivery.write(path, bytes, "reference");
  }
  delivery.finish();
  if (outputs.toStdout) return;
  if (!flags.json) return printPaths(outputs.images);
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000;
  const report = {
    outputs: outputs.images,
    references: outputs.references,
    settings: { ...made.settings, seed: String(made.settings.seed) },
    truncatedPrompt: made.truncatedPrompt,
    ...reported(provenance),
    warnings,
    seconds: {
      load: seconds(started, loaded),
      identity: seconds(loaded, encoded),
      picture: seconds(encoded, painted),
    },
    peakGpuBytes: weaver.gpu.buffers.peakBytes,
    tuneSeconds: seconds(0, weaver.tuneMilliseconds),
    kernels: weaver.kernels.map(({ kind, kernel, milliseconds }) => ({
      kind,
      kernel,
      milliseconds,
    })),
  };
  print(`${JSON.stringify(report)}\n`);
}

/**
 * All settings, as the model takes them.
 *
 * @throws {UsageError} about what was typed
 * @throws {MasterWeaverError} `bad-image` about what comes from the image
 */
function checkedSettings(
  { flags, recorded, settings }: Task,
  size: SizeRule,
): Settings {
  try {
    return checkSettings(settings, size);
  } catch (error) {
    const name = wrongOption(error) ?? "";
    const isTyped = Object.hasOwn(flags.settings, name);
    if (!isTyped && Object.hasOwn(recorded.settings, name)) {
      throw notTyped(error, flags);
    }
    return asUsage<never>(() => {
      throw error;
    }, flags);
  }
}

/** A wrong option that an image gave is no wrong usage. */
function notTyped(error: unknown, { fromImage }: Flags): unknown {
  if (!(error instanceof MasterWeaverError) || error.code !== "bad-option") {
    return error;
  }
  return new MasterWeaverError(
    "bad-image",
    `The settings in ${fromImage} cannot be used here: ${error.message}`,
    { cause: error },
  );
}

/** How faces are looked at: what is typed goes over what is repeated. */
function chosenLooks({ flags, recorded: { provenance } }: Task) {
  // A face that is chosen is cut out, and none is where nothing is aligned.
  const isChosen = flags.face !== undefined;
  const isLeft = flags.align === false;
  return {
    parse: flags.parse ?? provenance.parse ?? true,
    requireFace: flags.requireFace ?? provenance.requireFace ?? false,
    align: flags.align ?? (isChosen ? undefined : provenance.align),
    face: flags.face ?? (isLeft ? undefined : provenance.face),
    fit: flags.fit ?? provenance.fit,
  };
}

/** Loads the model; storage that is only repeated need not be possible here. */
async function load(
  { flags, recorded }: Task,
  model: string,
  options: LoadOptions,
): Promise<MasterWeaver> {
  const dtype = flags.dtype ?? recorded.provenance.dtype;
  try {
    return await MasterWeaver.load(model, { ...options, dtype });
  } catch (error) {
    const isRepeated = flags.dtype === undefined && dtype !== undefined;
    if (
      !isRepeated || !(error instanceof MasterWeaverError) ||
      error.code !== "bad-option"
    ) throw error;
    const weaver = await MasterWeaver.load(model, options);
    options.onWarning?.(
      `The image will differ: it was made with --dtype ${dtype}, this adapter has ${weaver.dtype}`,
    );
    return weaver;
  }
}

/** What made the images, as `--json` reports it. */
function reported({ model, modelHash, dtype, ...provenance }: Provenance) {
  const { adapter, adapterHash, tune, referenceHashes } = provenance;
  const { align, parse, face, requireFace, fit } = provenance;
  return {
    model,
    modelHash,
    adapter,
    adapterHash,
    dtype,
    tune,
    looks: { align, parse, face, requireFace, fit },
    referenceHashes,
  };
}

/** The images are there: that their names cannot be told fails nothing. */
function printPaths(paths: readonly string[]): void {
  try {
    print(paths.map((path) => `${path}\n`).join(""));
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    tell(`${error.message}\n`);
  }
}

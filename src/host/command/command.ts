/**
 * The command: flags in, images out.
 *
 * @module
 */
import { basename } from "node:path";
import { isatty } from "node:tty";
import { version } from "../../base/version.ts";
import { openControls } from "./controls.ts";
import { type Flags, readFlags } from "./flags.ts";
import { Interrupt } from "./interrupt.ts";
import { chooseModel } from "./model_choice.ts";
import { checkRoom, Delivery } from "./outputs.ts";
import {
  fileWarnings,
  type Photo,
  readOptionalPhoto,
  readPhotos,
  referenceWarnings,
} from "./photos.ts";
import {
  asImageFault,
  checkedSettings,
  identityChoices,
  readTask,
  repeatWarnings,
  type Task,
} from "./task.ts";
import { usage } from "./usage.ts";
import { MasterWeaverError } from "../../base/errors.ts";
import type { CallOptions } from "../../base/progress.ts";
import type { Identity } from "../../identity/identity.ts";
import { exitCode, UsageError } from "../exit.ts";
import { encodeImage, textOf } from "../image_file.ts";
import { openUpscalers } from "../upscalers.ts";
import { finishedSize } from "../../options/hires_settings.ts";
import { sizeOfMade } from "../../options/source_settings.ts";
import { loraWarnings, openLoras, openPromptLoras } from "../loras.ts";
import { print, STDERR, writeStderr } from "../streams.ts";
import { type OpenEmbeddings, openNamedEmbeddings } from "../embeddings.ts";
import { type LoadOptions, MasterWeaver } from "../masterweaver.ts";
import { ProgressLines } from "../progress_lines.ts";
import { type Provenance, toText } from "../../options/settings_text.ts";
import { formatLoras, parseLoras } from "../../options/lora_text.ts";
import type { Settings } from "../../options/settings.ts";
import { table } from "../../options/table.ts";
import { printable } from "../../weights/brief.ts";

/**
 * Runs the command.
 *
 * @param args the arguments after the script's name
 * @param defaultModel the model folder where none is given
 * @param program how `--help` says that the command is started
 * @returns the exit code: 0 done, 1 failed, 2 wrong usage
 */
export async function main(
  args: readonly string[],
  defaultModel: string,
  program = "deno run -A mod.ts",
): Promise<number> {
  return await exitCode(async () => {
    const flags = readFlags(args);
    if (flags.help) print(usage(program));
    else if (flags.version) print(`masterweaver ${version}\n`);
    else await run(flags, defaultModel);
  });
}

async function run(flags: Flags, defaultModel: string): Promise<void> {
  const started = performance.now();
  const task = await readTask(flags);
  const { recorded, outputs } = task;
  // Nothing needs cleaning up so far: Ctrl-C just ends the process.
  const photos = await readPhotos(flags.ref);
  const initImage = await readOptionalPhoto(flags.initImage);
  const mask = await readOptionalPhoto(flags.mask);
  const chosen = await chooseModel({
    ...flags,
    defaultModel,
    recorded: recorded.provenance,
    identity: photos.length > 0,
  });

  const places = { model: chosen.model, extras: flags.extras };
  await using opened = await openControls(task, places, photos);
  const { controls } = opened;

  using lines = new ProgressLines(writeStderr, isatty(STDERR));
  await using interrupt = new Interrupt(lines.warning);
  const call = {
    onProgress: flags.quiet ? undefined : lines.progress,
    onWarning: lines.warning,
    signal: interrupt.signal,
  };
  const choices = identityChoices(task);
  const taesd = flags.taesd ?? recorded.provenance.taesd;
  const tune = flags.tune ?? recorded.provenance.tune ?? table.tune.default;
  await using weaver = await load(
    task,
    chosen.model,
    { ...call, tune, adapter: chosen.adapter, taesd },
  );
  const asked = checkedSettings(task, weaver.size, initImage?.image);
  // Without any, the error of encodeIdentity says what the model lacks.
  if (weaver.maxReferences > 0 && flags.ref.length > weaver.maxReferences) {
    throw new UsageError(
      `Option --ref takes 1 to ${weaver.maxReferences} photos, got ${flags.ref.length}; give the clearest`,
    );
  }
  const missing: string[] = [];
  const isTyped = flags.settings.upscale !== undefined ||
    flags.settings.hiresUpscaler !== undefined;
  await using upscalers = await openUpscalers(
    asked,
    places,
    // An image is repeated without those that are gone, and a warning says so.
    isTyped
      ? undefined
      : (why) => missing.push(`The image will differ: ${why}`),
  );
  await using loras = await openLoras(
    parseLoras(asked.lora ?? "") ?? [],
    places,
    flags.settings.lora === undefined
      ? (why) => missing.push(`The image will differ: ${why}`)
      : undefined,
  );
  await using inPrompt = await openPromptLoras(
    asked.promptSyntax === "a1111" ? asked.prompt : "",
    places,
  );
  const loraHashes = [loras.hashes, inPrompt.hashes]
    .filter((hashes) => hashes !== "").join(", ");
  const settings = {
    ...upscalers.settings,
    // A mode that is only repeated goes with its ControlNets.
    guessMode: asked.guessMode && controls.length > 0,
    ...missing.length > 0 &&
      { lora: formatLoras(loras.choices) || undefined },
  };
  const referenceHashes = photos.map(({ hash }) => hash);
  const { model: folder, modelHash, adapter, adapterHash } = chosen;
  const provenance: Provenance = {
    model: folder,
    modelHash,
    ...photos.length > 0 &&
      { adapter, adapterHash, ...choices, referenceHashes },
    ...opened.provenance,
    tune,
    dtype: weaver.dtype,
    ...taesd !== undefined && settings.decoder === "taesd" && { taesd },
    initImage: flags.initImage && basename(flags.initImage),
    initImageHash: initImage?.hash,
    mask: flags.mask && basename(flags.mask),
    maskHash: mask?.hash,
    ...loraHashes !== "" && { loraHashes },
  };
  // Not the project's path on the user's disk: images are passed on to others.
  const model = chosen.model === defaultModel ? "weights/mini" : chosen.model;
  const text = toText(settings, { ...provenance, model });
  const size = { ...settings, ...sizeOfMade(settings, initImage?.image) };
  await checkRoom(outputs, finishedSize(size, weaver.size), text);
  const warnings = [
    ...repeatWarnings(task, text),
    ...chosen.warnings,
    ...new Set(missing),
    ...loraWarnings(recorded.provenance.loraHashes, loraHashes),
    ...opened.warnings,
    ...referenceWarnings(recorded.provenance.referenceHashes, referenceHashes),
    ...startWarnings(recorded.provenance, provenance),
  ];
  for (const warning of warnings) lines.warning(warning);

  const loaded = performance.now();
  const identity = await encode(weaver, photos, task, call);
  const encoded = performance.now();
  await using embeddings = await openEmbeddings(task, settings, chosen.model);
  const made = await weaver.generate({
    ...settings,
    loras: loras.uses,
    promptLoras: inPrompt.byName,
    identity,
    initImage: initImage?.image,
    mask: mask?.image,
    embeddings: embeddings?.files,
    upscalers: upscalers.files,
    ...controls.length > 0 && { controls },
    ...call,
  });
  const generated = performance.now();
  lines.end();

  const delivery = new Delivery(outputs);
  for (const [i, image] of made.images.entries()) {
    const bytes = encodeImage(outputs.format, image, textOf(text, i));
    await delivery.write(outputs.images[i], bytes, "image");
  }
  for (const [i, path] of outputs.references.entries()) {
    const reference = identity!.references[i];
    const bytes = encodeImage(outputs.format, reference, null);
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
      image: seconds(encoded, generated),
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

/** Says how initial image and mask differ from those of the image to repeat. */
function startWarnings(
  before: Partial<Provenance>,
  now: Provenance,
): string[] {
  return [
    ...fileWarnings({
      what: "initial image",
      flag: "--init-image",
      name: before.initImage,
      hash: before.initImageHash,
    }, now.initImageHash),
    ...fileWarnings({
      what: "mask",
      flag: "--mask",
      name: before.mask,
      hash: before.maskHash,
    }, now.maskHash),
  ];
}

/** The identity of the reference photos; undefined without any. */
async function encode(
  weaver: MasterWeaver,
  photos: readonly Photo[],
  task: Task,
  call: CallOptions,
): Promise<Identity | undefined> {
  if (photos.length === 0) return undefined;
  const choices = identityChoices(task);
  try {
    return await weaver.encodeIdentity(
      photos.map(({ image }) => image),
      { ...call, ...choices },
    );
  } catch (error) {
    const isTyped = task.flags.face !== undefined || choices.face === undefined;
    throw isTyped ? error : asImageFault(error, task.flags);
  }
}

/** Opens the embeddings that the prompts may name; none where prompts are plain. */
async function openEmbeddings(
  { flags: { extras } }: Task,
  { prompt, negativePrompt, promptSyntax }: Settings,
  model: string,
): Promise<OpenEmbeddings | undefined> {
  if (promptSyntax === "plain") return undefined;
  return await openNamedEmbeddings([prompt, negativePrompt], { model, extras });
}

/** Loads the model. A storage type that is only repeated is dropped where the adapter lacks it. */
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
  const { adapter, adapterHash, tune, referenceHashes, loraHashes } =
    provenance;
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

/** The images are written: that their paths cannot be printed is no failure. */
function printPaths(paths: readonly string[]): void {
  try {
    print(paths.map((path) => `${path}\n`).join(""));
  } catch (error) {
    if (!(error instanceof MasterWeaverError)) throw error;
    writeStderr(`${error.message}\n`);
  }
}

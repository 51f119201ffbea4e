/**
 * The command: flags in, images out.
 *
 * @module
 */
import { isatty } from "node:tty";
import type { CallOptions } from "../../base/progress.ts";
import { version } from "../../base/version.ts";
import type { Identity } from "../../identity/identity.ts";
import { finishedSize } from "../../options/hires_settings.ts";
import { sizeOfMade } from "../../options/source_settings.ts";
import type { Settings, SizeRule } from "../../options/options.ts";
import { toText } from "../../options/settings_text.ts";
import { exitCode, UsageError } from "../exit.ts";
import type { MasterWeaver } from "../masterweaver.ts";
import { ProgressLines } from "../progress_lines.ts";
import { print, STDERR, writeStderr } from "../streams.ts";
import { openExtras } from "./extras.ts";
import { type Flags, readFlags } from "./flags.ts";
import { type Inputs, readInputs } from "./inputs.ts";
import { Interrupt } from "./interrupt.ts";
import { loadModel } from "./load_model.ts";
import { chooseModel } from "./model_choice.ts";
import { checkRoom, deliver } from "./outputs.ts";
import type { Photo } from "./photos.ts";
import { provenanceOf, provenanceWarnings } from "./provenance.ts";
import { printPaths, printReport } from "./report.ts";
import {
  asImageFault,
  checkedSettings,
  identityChoices,
  readTask,
  repeatWarnings,
  type Task,
} from "./task.ts";
import { usage } from "./usage.ts";

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
  const { outputs } = task;
  // Nothing needs cleaning up so far: Ctrl-C just ends the process.
  const inputs = await readInputs(task);
  const { photos, initImage, mask } = inputs;
  const chosen = await chooseModel({
    ...flags,
    defaultModel,
    recorded: task.recorded.provenance,
    identity: photos.length > 0,
  });

  using lines = new ProgressLines(writeStderr, isatty(STDERR));
  await using interrupt = new Interrupt(lines.warning);
  const call = {
    onProgress: flags.quiet ? undefined : lines.progress,
    onWarning: lines.warning,
    signal: interrupt.signal,
  };
  await using weaver = await loadModel(task, chosen, call);
  const asked = checkedSettings(task, weaver.size, initImage?.image);
  checkReferenceCount(photos.length, weaver.maxReferences);
  await using extras = await openExtras(
    task,
    asked,
    inputs.controls,
    chosen.model,
  );
  const { settings, files } = extras;

  const opened = { inputs, chosen, extras };
  const provenance = provenanceOf(task, opened, weaver.dtype);
  // Not the project's path on the user's disk: images are passed on to others.
  const model = chosen.model === defaultModel ? "weights/mini" : chosen.model;
  const text = toText(settings, { ...provenance, model });
  await checkRoom(outputs, writtenSize(settings, inputs, weaver.size), text);
  const warnings = [
    ...repeatWarnings(task, text),
    ...provenanceWarnings(task, opened, provenance),
  ];
  for (const warning of warnings) lines.warning(warning);

  const loaded = performance.now();
  const identity = await encode(weaver, photos, task, call);
  const encoded = performance.now();
  const made = await weaver.generate({
    ...settings,
    ...files,
    identity,
    initImage: initImage?.image,
    mask: mask?.image,
    ...call,
  });
  const generated = performance.now();
  lines.end();

  await deliver(outputs, made.images, identity?.references ?? [], text);
  if (outputs.toStdout) return;
  if (!flags.json) return printPaths(outputs.images);
  const times = { started, loaded, encoded, generated };
  printReport({ outputs, weaver, made, provenance, warnings, times });
}

/** @param most 0 where the model lacks what follows an identity: encoding says so */
function checkReferenceCount(given: number, most: number): void {
  if (most === 0 || given <= most) return;
  throw new UsageError(
    `Option --ref takes 1 to ${most} photos, got ${given}; give the clearest`,
  );
}

/** Columns and rows of the images that are written. */
function writtenSize(
  settings: Settings,
  { initImage }: Inputs,
  size: SizeRule,
): ReturnType<typeof finishedSize> {
  const made = sizeOfMade(settings, initImage?.image);
  return finishedSize({ ...settings, ...made }, size);
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

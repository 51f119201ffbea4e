/**
 * What a training run was started with: kept in its folder, and compared when
 * it goes on.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { brief } from "../../../src/weights/brief.ts";
import { parseJson } from "../../../src/weights/json.ts";

/** A value of an option, as JSON holds it. */
export type OptionValue =
  | string
  | number
  | boolean
  | null
  | readonly (string | number)[];

/** What a run is started with. */
export interface RunSettings {
  /** Every option by its name on the command line, without dashes, and its value. */
  readonly options: Readonly<Record<string, OptionValue>>;
  /** The model's folder and the hash of its files. */
  readonly model: { readonly path: string; readonly hash: string };
  /** The folder of the training data. */
  readonly data: string;
  /** What it held; not known of a run that PyTorch began. */
  readonly dataset?: DatasetMark;
  /** Versions of what computes: this project, Deno, the adapter's driver. */
  readonly versions: Readonly<Record<string, string>>;
}

/** What tells a data set from one to which something was added. */
export interface DatasetMark {
  /** How many ids it has. */
  readonly ids: number;
  /** Hash of the ids in their order. */
  readonly hash: string;
}

/** Marks a data set by its ids. */
export function datasetMark(ids: readonly string[]): DatasetMark {
  const text = ids.toSorted().join("\n");
  const hash = createHash("sha256").update(text).digest("hex");
  return { ids: ids.length, hash };
}

/** A setting that is not as it was. */
export interface SettingChange {
  /** The option's name, or `model`, `model hash`, `data`, `version of …`. */
  readonly name: string;
  /** What it was; undefined where there was none. */
  readonly before: OptionValue | undefined;
  /** What it is; undefined where there is none. */
  readonly now: OptionValue | undefined;
}

/**
 * Options without which a run does not go on as it began: another value makes
 * the state of optimiser and data meaningless, or the result another experiment.
 */
export const FIXED_OPTIONS: readonly string[] = [
  "stage",
  "train",
  "adapter-path",
  "resolution",
  "seed",
  "train-batch-size",
  "gradient-accumulation-steps",
  "num-processes",
  "mixed-precision",
  "timesteps",
  "snr-gamma",
  "rank",
  "alpha",
  "target-layers",
];

/** What begins `settings.json`, so that no other file is taken for one. */
const FORMAT = "masterweaver-training-run";

/** `settings.json`, read. */
export interface StoredSettings {
  /** The settings. */
  readonly settings: RunSettings;
  /** When the run was started, ISO 8601. */
  readonly created: string;
  /** When it went on with other settings, and with which. */
  readonly resumed: readonly Resumption[];
}

/** A time at which a run went on with other settings. */
export interface Resumption {
  /** ISO 8601. */
  readonly time: string;
  /** One line a change. */
  readonly changes: readonly string[];
}

/** The text of `settings.json`. */
export function settingsText(stored: StoredSettings): string {
  const { settings, created, resumed } = stored;
  return JSON.stringify(
    { format: FORMAT, ...settings, created, resumed },
    null,
    2,
  ) + "\n";
}

/**
 * Reads `settings.json`.
 *
 * @param name the file, for messages
 * @throws {MasterWeaverError} `bad-option` where it is not that of a training run
 */
export function parseSettings(bytes: Uint8Array, name: string): StoredSettings {
  let value: unknown;
  try {
    value = parseJson(bytes);
  } catch {
    throw notOurs(name, "it is not JSON");
  }
  if (!isRecord(value) || value.format !== FORMAT) {
    throw notOurs(name, `it does not say "format": "${FORMAT}"`);
  }
  const { options, model, data, dataset, versions, created, resumed } = value;
  const isWhole = isRecord(options) && isRecord(model) && isRecord(versions) &&
    typeof model.path === "string" && typeof model.hash === "string" &&
    typeof data === "string" && typeof created === "string" &&
    Array.isArray(resumed);
  if (!isWhole) {
    throw notOurs(name, "options, model, data, versions or dates are missing");
  }
  return {
    settings: {
      options,
      model,
      data,
      ...isRecord(dataset) ? { dataset } : {},
      versions,
    } as unknown as RunSettings,
    created,
    resumed: resumed as Resumption[],
  };
}

/** The settings that are not as they were, in the order of the command line. */
export function settingChanges(
  before: RunSettings,
  now: RunSettings,
): SettingChange[] {
  const was = flat(before), is = flat(now);
  const names = new Set([...was.keys(), ...is.keys()]);
  return [...names]
    .map((name) => ({ name, before: was.get(name), now: is.get(name) }))
    .filter(({ before, now }) =>
      JSON.stringify(before) !== JSON.stringify(now)
    );
}

/**
 * What a user is told of a data set that is not what it was; undefined where it is,
 * or where that is not known.
 */
export function datasetChange(
  { dataset: before }: RunSettings,
  { dataset: now }: RunSettings,
): string | undefined {
  if (!before || !now || before.hash === now.hash) return;
  const differs = before.ids === now.ids
    ? `other ids than when the run began`
    : `${now.ids} ids, ${before.ids} when the run began`;
  return `The data set has ${differs}: it goes on, but not as it would have`;
}

/** A change as people read it: `learning-rate: 0.000001 → 0.000002`. */
export function describeChange({ name, before, now }: SettingChange): string {
  const shown = (value: OptionValue | undefined) =>
    value === undefined ? "not given" : brief(value);
  return `${brief(name)}: ${shown(before)} → ${shown(now)}`;
}

/**
 * Checks that a run goes on with what it began with.
 *
 * @param folder the run's, for messages
 * @param fixed names of options that must not differ; the model's hash never may
 * @throws {MasterWeaverError} `bad-option` naming all that differ and must not
 */
export function checkFixed(
  folder: string,
  changes: readonly SettingChange[],
  fixed: readonly string[],
): void {
  const mean = changes.find(({ name }) => name === MEAN);
  // Its value may change; but a checkpoint has a running mean, or has none.
  if (
    mean && (mean.before ?? null) === null !== ((mean.now ?? null) === null)
  ) {
    const state = (mean.before ?? null) === null ? "without" : "with";
    throw new MasterWeaverError(
      "bad-option",
      `Cannot go on with the run in ${folder}: it began ${state} --${MEAN}; give the same options, or another folder`,
    );
  }
  const wrong = changes.filter(({ name }) =>
    name === MODEL_HASH || fixed.includes(name)
  );
  if (wrong.length === 0) return;
  throw new MasterWeaverError(
    "bad-option",
    `Cannot go on with the run in ${folder}: it began with other settings (${
      wrong.map(describeChange).join("; ")
    }); give those it began with, or another folder`,
  );
}

/**
 * A hash of everything that must not differ within a run; each checkpoint holds
 * it, so that one from another run is not mistaken for its own.
 *
 * @param fixed names of options that must not differ
 */
export function fixedHash(
  settings: RunSettings,
  fixed: readonly string[],
): string {
  const all = flat(settings);
  const text = [MODEL_HASH, ...fixed.toSorted()]
    .filter((name) => all.has(name))
    .map((name) => JSON.stringify([name, all.get(name)]))
    .join("\n");
  return createHash("sha256").update(text).digest("hex");
}

const MODEL_HASH = "model hash";
/** The option of the running mean. */
const MEAN = "ema-decay";

function flat(settings: RunSettings): Map<string, OptionValue> {
  const { options, model, data, versions } = settings;
  return new Map<string, OptionValue>([
    ...Object.entries(options),
    ["model", model.path],
    [MODEL_HASH, model.hash],
    ["data", data],
    ...Object.entries(versions).map(([name, version]) =>
      [`version of ${name}`, version] as const
    ),
  ]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function notOurs(name: string, why: string): MasterWeaverError {
  return new MasterWeaverError(
    "bad-option",
    `Cannot use ${name} as the settings of a training run: ${why}; give the folder of a run, or an empty one`,
  );
}

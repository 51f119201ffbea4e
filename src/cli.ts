/**
 * The command: flags in, pictures out.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { version } from "./version.ts";
import { MasterWeaverError } from "./errors.ts";
import {
  checkWritable,
  readImage,
  readPngSettings,
  writePng,
} from "./files.ts";
import type { FaceChoice } from "./face/finder.ts";
import { checkFit, type Fit } from "./fit.ts";
import type { Real } from "./gpu/gpu.ts";
import { checkTuneMode, type TuneMode } from "./graph/tuner.ts";
import {
  anySize,
  checkLessWork,
  checkSettings,
  defaultSettings,
  type LessWork,
  type Rng,
  type Settings,
} from "./options.ts";
import { MasterWeaver } from "./pipeline.ts";
import { ProgressLines } from "./progress_lines.ts";
import { fromText, toText } from "./settings_text.ts";

const usage = `MasterWeaver on Deno WebGPU: pictures of a person from one photo.

  deno run -A mod.ts --ref a.png --prompt "a smiling woman with red hair"

  --ref FILE               reference photo, PNG or JPEG; up to three times
  --prompt TEXT            what the picture shows ("")
  --negative-prompt TEXT   what it should not show ("")
  --model DIR              a converted model (weights/mini beside mod.ts)
  --adapter FILE           another identity adapter for that model
  --steps N                denoising steps, 1..1000 (${defaultSettings.steps})
  --guidance-scale X       how strongly the prompt is followed (${defaultSettings.guidanceScale})
  --id-scale X             how strongly the identity is followed (${defaultSettings.idScale})
  --seed N                 (${defaultSettings.seed})
  --num-images N           pictures at once (${defaultSettings.numImages})
  --width N, --height N    in pixels (the model's own)
  --rng torch-cuda|torch-cpu   whose noise a seed reproduces (${defaultSettings.rng})
  --dtype f16|f32          storage of activations (f16 where the adapter has it)
  --tune auto|off|force    time ops to choose the fastest shaders: once on an
                           adapter, never, or now (auto)
  --output FILE            (output.png; several: output-0.png, ...)
  --save-references        also write what the encoder saw, beside the output
  --align, --no-align      align faces first, or not (as the model says)
  --no-parse               do not blacken what is not face
  --face N|largest         of several faces, the Nth (from 0, best first) or the
                           largest (the best-scoring one)
  --require-face           fail where no face is found
  --fit crop|pad           what is not square: cut to its middle, or padded with
                           black (as the reference: squeezed; --no-parse: cut)
  --reuse-features N       the whole UNet only every N steps, in between its outer
                           layers alone: faster, changes the picture (${defaultSettings.reuseFeatures})
  --guidance-range FROM,TO from which fraction of the steps to which the prompt
                           is followed so strongly; the others take half the
                           time and change the picture (${defaultSettings.guidanceRange})
  --merge-tokens R         share of similar tokens merged in self-attention,
                           0..0.75: faster, changes the picture (${defaultSettings.mergeTokens})
  --from-image FILE.png    repeat the settings of a picture made before
  --json                   one JSON object on stdout, all else on stderr
  --quiet                  no progress; notes and errors only
  --help, --version
`;

/** Where the command writes; a terminal or not. */
interface Streams {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly terminal: boolean;
}

const flags = {
  ref: { type: "string", multiple: true },
  prompt: { type: "string" },
  "negative-prompt": { type: "string" },
  model: { type: "string" },
  adapter: { type: "string" },
  steps: { type: "string" },
  "guidance-scale": { type: "string" },
  "id-scale": { type: "string" },
  seed: { type: "string" },
  "num-images": { type: "string" },
  width: { type: "string" },
  height: { type: "string" },
  rng: { type: "string" },
  dtype: { type: "string" },
  tune: { type: "string" },
  output: { type: "string" },
  "save-references": { type: "boolean" },
  align: { type: "boolean" },
  "no-align": { type: "boolean" },
  "no-parse": { type: "boolean" },
  face: { type: "string" },
  "require-face": { type: "boolean" },
  fit: { type: "string" },
  "reuse-features": { type: "string" },
  "guidance-range": { type: "string" },
  "merge-tokens": { type: "string" },
  "from-image": { type: "string" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean" },
  version: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseFlags>;

/** Wrong usage: told with a hint, exit code 2. */
class UsageError extends Error {}

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
  const encoder = new TextEncoder();
  const streams: Streams = {
    out: (text) => Deno.stdout.writeSync(encoder.encode(text)),
    err: (text) => Deno.stderr.writeSync(encoder.encode(text)),
    terminal: Deno.stderr.isTerminal(),
  };
  try {
    const values = parseFlags(args);
    if (values.help) streams.out(usage);
    else if (values.version) streams.out(`masterweaver ${version}\n`);
    else await run(values, defaultModel, streams);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      streams.err(`${oneLine(error.message)}; see --help\n`);
      return 2;
    }
    if (error instanceof MasterWeaverError) {
      streams.err(`${oneLine(error.message)}\n`);
      return 1;
    }
    throw error;
  }
}

async function run(
  values: Values,
  defaultModel: string,
  streams: Streams,
): Promise<void> {
  const started = performance.now();
  const settings = await readSettings(values);
  checkSettings(settings, anySize);
  const refs = values.ref ?? [];
  checkFlags(values, refs);
  const output = values.output ?? "output.png";
  const paths = outputPaths(output, settings.numImages ?? 1);
  const referencePaths = values["save-references"]
    ? refs.map((_, i) => numbered(output, `.reference-${i}`))
    : [];
  await checkOutputs([...paths, ...referencePaths], refs);
  const photos = await Promise.all(refs.map(readImage));
  const model = values.model ?? defaultModel;

  using lines = new ProgressLines(streams.err, streams.terminal);
  using interrupt = new Interrupt();
  const call = {
    onProgress: values.quiet ? undefined : lines.progress,
    onNotice: lines.notice,
    signal: interrupt.signal,
  };
  await using weaver = await MasterWeaver.load(model, {
    ...call,
    dtype: values.dtype as Real | undefined,
    tune: values.tune as TuneMode | undefined,
    adapter: values.adapter,
  });
  checkSettings(settings, weaver.size);
  const loaded = performance.now();
  const identity = await weaver.encodeIdentity(photos, {
    ...call,
    parse: !values["no-parse"],
    align: values.align ? true : values["no-align"] ? false : undefined,
    face: faceChoice(values.face),
    requireFace: values["require-face"],
    fit: values.fit as Fit | undefined,
  });
  const encoded = performance.now();
  const made = await weaver.generate({ ...settings, identity, ...call });
  const painted = performance.now();
  lines.end();

  const { hash: modelHash, dtype } = weaver;
  const text = toText(made.settings, { model, modelHash, dtype });
  for (const [i, image] of made.images.entries()) {
    await writePng(paths[i], image, { ...text, image_index: String(i) });
  }
  for (const [i, path] of referencePaths.entries()) {
    await writePng(path, identity.references[i]);
  }
  if (!values.json) {
    streams.out(paths.map((path) => `${path}\n`).join(""));
    return;
  }
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000;
  const report = {
    outputs: paths,
    references: referencePaths,
    settings: { ...made.settings, seed: String(made.settings.seed) },
    cut: made.cut,
    model,
    modelHash,
    dtype,
    seconds: {
      load: seconds(started, loaded),
      identity: seconds(loaded, encoded),
      picture: seconds(encoded, painted),
    },
    peakGpuBytes: weaver.gpu.buffers.peakBytes,
    tuneSeconds: seconds(0, weaver.tuneMilliseconds),
    variants: weaver.variants.map(({ kind, variant, milliseconds }) => ({
      kind,
      variant,
      milliseconds,
    })),
  };
  streams.out(`${JSON.stringify(report)}\n`);
}

/** Ctrl-C asks the run to stop between two steps. */
class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #stop = () => this.#controller.abort();

  constructor() {
    Deno.addSignalListener("SIGINT", this.#stop);
  }

  /** Aborted by Ctrl-C. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGINT", this.#stop);
  }
}

function checkFlags(values: Values, refs: readonly string[]): void {
  if (refs.length === 0) throw new UsageError("Give a photo with --ref FILE");
  if (values.align && values["no-align"]) {
    throw new UsageError("Give --align or --no-align, not both");
  }
  if (values.face !== undefined && values["no-align"]) {
    throw new UsageError("Give --face or --no-align, not both");
  }
  faceChoice(values.face);
  asUsage(() => checkTuneMode(values.tune));
  asUsage(() => checkFit(values.fit));
}

/** A wrong option is wrong usage where the command itself is asked. */
function asUsage(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (error instanceof MasterWeaverError) throw new UsageError(error.message);
    throw error;
  }
}

/** Every output can be written, and none would replace a photo. */
async function checkOutputs(
  outputs: readonly string[],
  refs: readonly string[],
): Promise<void> {
  const real = (path: string) => Deno.realPath(path).catch(() => null);
  const photos = await Promise.all(refs.map(real));
  for (const path of outputs) {
    const place = await real(path);
    if (place !== null && photos.includes(place)) {
      throw new MasterWeaverError(
        "bad-option",
        `Cannot write ${path}: it is a reference photo; give another --output`,
      );
    }
    await checkWritable(path);
  }
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : `${error}`);
  }
}

/** Settings of an earlier picture, then the flags, over them. */
async function readSettings(
  values: Values,
): Promise<Partial<Settings> & { prompt: string }> {
  const from = values["from-image"];
  const earlier = from === undefined
    ? {}
    : fromText(await readPngSettings(from), from);
  const given: Partial<Settings> = {
    prompt: values.prompt,
    negativePrompt: values["negative-prompt"],
    steps: number(values, "steps"),
    guidanceScale: number(values, "guidance-scale"),
    idScale: number(values, "id-scale"),
    seed: seed(values.seed),
    numImages: number(values, "num-images"),
    width: number(values, "width"),
    height: number(values, "height"),
    rng: values.rng as Rng | undefined,
    ...lessWork(values),
  };
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) delete given[key as keyof Settings];
  }
  return { prompt: "", ...earlier, ...given };
}

type NumberFlag =
  | "steps"
  | "guidance-scale"
  | "id-scale"
  | "num-images"
  | "width"
  | "height"
  | "reuse-features"
  | "merge-tokens";

function number(values: Values, name: NumberFlag): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isNaN(value)) {
    throw new UsageError(`Option --${name} takes a number, got ${text}`);
  }
  return value;
}

/** The options that leave work out; a wrong value is wrong usage. */
function lessWork(values: Values): Partial<LessWork> {
  const given: Partial<LessWork> = {};
  const every = number(values, "reuse-features");
  if (every !== undefined) given.reuseFeatures = every;
  const share = number(values, "merge-tokens");
  if (share !== undefined) given.mergeTokens = share;
  const range = fractions(values["guidance-range"]);
  if (range) given.guidanceRange = range;
  asUsage(() => checkLessWork({ ...defaultSettings, ...given }));
  return given;
}

function fractions(
  text: string | undefined,
): LessWork["guidanceRange"] | undefined {
  if (text === undefined) return undefined;
  const [from, to, ...more] = text.split(",")
    .map((part) => part.trim() === "" ? NaN : Number(part));
  if (Number.isNaN(from + (to ?? NaN)) || more.length > 0) {
    throw new UsageError(
      `Option --guidance-range takes two numbers, such as 0,0.5, got ${text}`,
    );
  }
  return [from, to];
}

function seed(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,20}$/.test(text)) {
    throw new UsageError(`Option --seed takes a whole number, got ${text}`);
  }
  return BigInt(text);
}

function faceChoice(text: string | undefined): FaceChoice | undefined {
  if (text === undefined || text === "best" || text === "largest") return text;
  if (!/^\d{1,3}$/.test(text)) {
    throw new UsageError(
      `Option --face takes a number from 0, best or largest, got ${text}`,
    );
  }
  return Number(text);
}

function outputPaths(output: string, count: number): string[] {
  if (count === 1) return [output];
  return Array.from(
    { length: Math.min(Math.max(0, count), 1000) },
    (_, i) => numbered(output, `-${i}`),
  );
}

/** `a/b.png` and `-0` → `a/b-0.png`. */
function numbered(path: string, suffix: string): string {
  const match = /^(.*?)(\.[^./\\]+)?$/s.exec(path)!;
  return `${match[1]}${suffix}${match[2] ?? ".png"}`;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}

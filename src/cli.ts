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
import type { Real } from "./gpu/gpu.ts";
import { defaultSettings, type Rng, type Settings } from "./options.ts";
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
  --output FILE            (output.png; several: output-0.png, ...)
  --save-references        also write what the encoder saw, beside the output
  --align, --no-align      align faces first, or not (as the model says)
  --no-parse               do not blacken what is not face
  --require-face           fail where no face is found
  --from-image FILE.png    repeat the settings of a picture made before
  --json                   one JSON object on stdout, all else on stderr
  --quiet                  no progress
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
  output: { type: "string" },
  "save-references": { type: "boolean" },
  align: { type: "boolean" },
  "no-align": { type: "boolean" },
  "no-parse": { type: "boolean" },
  "require-face": { type: "boolean" },
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
  const refs = values.ref ?? [];
  if (refs.length === 0) throw new UsageError("Give a photo with --ref FILE");
  if (values.align && values["no-align"]) {
    throw new UsageError("Give --align or --no-align, not both");
  }
  const output = values.output ?? "output.png";
  const paths = outputPaths(output, settings.numImages ?? 1);
  await Promise.all(paths.map(checkWritable));
  const photos = await Promise.all(refs.map(readImage));

  const controller = new AbortController();
  const stop = () => controller.abort();
  Deno.addSignalListener("SIGINT", stop);
  const lines = new ProgressLines(
    values.quiet ? () => {} : streams.err,
    streams.terminal && !values.quiet,
  );
  const call = {
    onProgress: lines.progress,
    onNotice: (notice: string) => lines.notice(notice),
    signal: controller.signal,
  };
  try {
    const model = values.model ?? defaultModel;
    await using weaver = await MasterWeaver.load(model, {
      ...call,
      dtype: values.dtype as Real | undefined,
      adapter: values.adapter,
    });
    const loaded = performance.now();
    const identity = await weaver.encodeIdentity(photos, {
      ...call,
      parse: !values["no-parse"],
      align: values.align ? true : values["no-align"] ? false : undefined,
      requireFace: values["require-face"],
    });
    const encoded = performance.now();
    const made = await weaver.generate({
      ...settings,
      prompt: settings.prompt ?? "",
      identity,
      ...call,
    });
    const painted = performance.now();
    lines.end();

    const text = toText(made.settings, {
      model,
      modelHash: weaver.hash,
      dtype: weaver.dtype,
    });
    for (const [i, image] of made.images.entries()) {
      await writePng(paths[i], image, { ...text, image_index: String(i) });
    }
    const references = values["save-references"]
      ? referencePaths(output, identity.references.length)
      : [];
    for (const [i, path] of references.entries()) {
      await writePng(path, identity.references[i]);
    }
    if (values.json) {
      const seconds = (from: number, to: number) =>
        Math.round(to - from) / 1000;
      streams.out(
        JSON.stringify({
          outputs: paths,
          references,
          settings: { ...made.settings, seed: String(made.settings.seed) },
          cut: made.cut,
          model,
          modelHash: weaver.hash,
          dtype: weaver.dtype,
          seconds: {
            load: seconds(started, loaded),
            identity: seconds(loaded, encoded),
            picture: seconds(encoded, painted),
          },
          peakGpuBytes: weaver.gpu.buffers.peakBytes,
        }) + "\n",
      );
    } else {
      streams.out(paths.map((path) => `${path}\n`).join(""));
    }
  } finally {
    lines.end();
    Deno.removeSignalListener("SIGINT", stop);
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
async function readSettings(values: Values): Promise<Partial<Settings>> {
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
  };
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) delete given[key as keyof Settings];
  }
  return { ...earlier, ...given };
}

type NumberFlag =
  | "steps"
  | "guidance-scale"
  | "id-scale"
  | "num-images"
  | "width"
  | "height";

function number(values: Values, name: NumberFlag): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isNaN(value)) {
    throw new UsageError(`Option --${name} takes a number, got ${text}`);
  }
  return value;
}

function seed(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,20}$/.test(text)) {
    throw new UsageError(`Option --seed takes a whole number, got ${text}`);
  }
  return BigInt(text);
}

function outputPaths(output: string, count: number): string[] {
  if (count === 1) return [output];
  return Array.from(
    { length: Math.min(Math.max(0, count), 1000) },
    (_, i) => numbered(output, `-${i}`),
  );
}

function referencePaths(output: string, count: number): string[] {
  return Array.from(
    { length: count },
    (_, i) => numbered(output, `.reference-${i}`),
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

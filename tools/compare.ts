/**
 * Compares a model's networks with PyTorch's outputs, or other conversions of a
 * model with it.
 *
 *     deno run -A tools/compare.ts weights/mini --with reference.safetensors
 *     deno run -A tools/compare.ts weights/q8 weights/q4 --with weights/f16
 *
 * @module
 */
import { FileSource, openModelFolder, readImage } from "../src/host/files.ts";
import { chooseDtype, Gpu } from "../src/gpu/gpu.ts";
import { asUsage } from "../src/host/exit.ts";
import { print } from "../src/host/streams.ts";
import { checkSettings } from "../src/options/options.ts";
import { type Components, openComponents } from "../src/components/networks.ts";
import { openCheckpoint } from "../src/checkpoints/open.ts";
import {
  compareImages,
  compareNetworks,
  generateImages,
} from "./compare/conversions.ts";
import { Recorder, type Scene } from "./compare/recorded.ts";
import {
  compareWithReference,
  LIMITS,
  type OutputError,
  passesIn,
} from "./compare/reference.ts";
import {
  checkForReference,
  OPTIONS,
  type Request,
  requestOf,
  USAGE,
} from "./compare/request.ts";
import {
  conversionTable,
  type ModelErrors,
  referenceTable,
  type Table,
  toMarkdown,
  toText,
} from "./compare/report.ts";
import { printJson, toolMain } from "./tool.ts";

/** What was found, for people and for programs. */
interface Result {
  readonly table: Table;
  readonly json: Readonly<Record<string, unknown>>;
  /** Whether every limit is kept. */
  readonly isOk: boolean;
}

/** Models' networks, open until the stack is disposed of. */
async function openAll(
  folders: readonly string[],
  stack: AsyncDisposableStack,
): Promise<Components[]> {
  const opened: Components[] = [];
  for (const folder of folders) {
    const { files } = stack.use(await openModelFolder(folder));
    opened.push(await openComponents(files));
  }
  return opened;
}

/** A model against PyTorch. */
async function withReference(gpu: Gpu, request: Request): Promise<Result> {
  const { dtype: storage, report } = request;
  await using stack = new AsyncDisposableStack();
  const file = stack.use(await FileSource.open(request.with));
  const reference = await openCheckpoint(file);
  const passes = passesIn(reference, request.networks);
  const found = new Set(passes.map(({ network }) => network));
  for (const network of request.networks) {
    if (!found.has(network)) report(`${network}: not in ${file.name}`);
  }
  const [folder] = request.models;
  const [parts] = await openAll([folder], stack);
  const errors = await compareWithReference(
    { gpu, storage },
    parts,
    reference,
    passes,
    (error) => report(line(folder, error)),
  );
  const limit = LIMITS[storage];
  return {
    table: referenceTable(errors, storage),
    json: { model: folder, with: file.name, dtype: storage, limit, errors },
    isOk: errors.every(({ nmse }) => nmse <= limit),
  };
}

/** Conversions of a model against it. */
async function withModel(gpu: Gpu, request: Request): Promise<Result> {
  const { models, dtype } = request;
  await using stack = new AsyncDisposableStack();
  // All at once, so that a wrong folder is found before work is spent.
  const [base, ...others] = await openAll([request.with, ...models], stack);
  const scene = await makeScene(request, base);
  const networks = await networksOfAll(gpu, request, base, others, scene);
  const images = await imagesOfAll(request, scene);
  const compared: ModelErrors[] = models.map((model, i) => ({
    model,
    networks: networks[i],
    images: images[i],
  }));
  const { prompt, seed, size } = scene;
  const { ref, steps } = request;
  return {
    table: conversionTable(compared),
    json: {
      with: request.with,
      dtype,
      ref,
      prompt,
      seed,
      size,
      steps,
      models: compared,
    },
    isOk: true,
  };
}

/** What passes and images are made from; checked before work is spent. */
async function makeScene(
  { ref, prompt, seed, steps, size }: Request,
  { unet, vae }: Components,
): Promise<Scene> {
  const { factor } = vae.config;
  const rule = { own: unet.config.sampleSize * factor, multiple: factor };
  const sides = { width: size, height: size };
  const given = { prompt, steps, ...sides };
  asUsage(() => checkSettings(given, rule), {
    flags: { width: "size", height: "size" },
  });
  const photo = await readImage(ref);
  return { photo, prompt, seed, size: size ?? rule.own };
}

/** Errors of every model's networks, of one model after the other. */
async function networksOfAll(
  gpu: Gpu,
  { models, networks, dtype: storage, report, ...request }: Request,
  base: Components,
  others: readonly Components[],
  scene: Scene,
): Promise<OutputError[][]> {
  if (networks.length === 0) return models.map(() => []);
  const where = { gpu, storage };
  const recorder = new Recorder(
    where,
    base,
    scene,
    ({ outputs }, seconds) =>
      report(
        `${request.with}: ${outputs.join(", ")} (${seconds.toFixed(1)} s)`,
      ),
  );
  const recorded = await recorder.record(networks);
  const errors: OutputError[][] = [];
  for (const [i, folder] of models.entries()) {
    const onError = (error: OutputError) => report(line(folder, error));
    errors.push(
      await compareNetworks(where, folder, others[i], recorded, onError),
    );
  }
  return errors;
}

/** Errors of every model's images; none where none were asked for. */
async function imagesOfAll(
  { models, images: count, steps, dtype, report, ...request }: Request,
  scene: Scene,
) {
  if (count === 0) return models.map(() => []);
  const make = (folder: string) =>
    generateImages(
      folder,
      { ...scene, count, steps, dtype },
      (done) => report(`${folder}: image ${done} of ${count}`),
    );
  const expected = await make(request.with);
  const errors = [];
  for (const folder of models) {
    errors.push(compareImages(await make(folder), expected, scene.seed));
  }
  return errors;
}

function line(model: string, { output, nmse, seconds }: OutputError): string {
  return `${model}: ${output} ${nmse.toExponential(1)} (${
    seconds.toFixed(1)
  } s)`;
}

async function compare(request: Request): Promise<Result> {
  const info = await Deno.stat(request.with).catch(() => null);
  if (info?.isFile) checkForReference(request);
  using gpu = await Gpu.open();
  chooseDtype(gpu, request.dtype);
  return await (info?.isDirectory ? withModel : withReference)(gpu, request);
}

function show(how: Request["print"], { table, json }: Result): void {
  if (how === "json") printJson(json);
  else print(`${(how === "markdown" ? toMarkdown : toText)(table)}\n`);
}

/** Runs the command; exit code 1 where a limit is missed, too. */
export const main = toolMain({
  usage: USAGE,
  options: OPTIONS,
  words: true,
  async run(values, models) {
    const request = requestOf(values, models);
    const result = await compare(request);
    show(request.print, result);
    return result.isOk ? 0 : 1;
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);

/**
 * Downloads the public weights and converts them to a model folder.
 *
 *     deno run -A tools/download.ts weights/sd15
 *
 * @module
 */
import { MasterWeaverError } from "../src/base/errors.ts";
import { FileSource } from "../src/host/files.ts";
import { UsageError } from "../src/host/exit.ts";
import { writeStderr } from "../src/host/streams.ts";
import {
  MODEL_DTYPES,
  type ModelDtype,
} from "../src/weights/quantisation_policy.ts";
import { openWeave } from "../src/weights/weave.ts";
import { convert } from "./convert.ts";
import { ProgressLine } from "./convert/progress.ts";
import { downloadFile } from "./download/file.ts";
import {
  findFiles,
  type Hub,
  HubError,
  type HubFile,
  hubFromEnvironment,
} from "./download/hub.ts";
import {
  HUB_PARTS,
  type HubPart,
  LINKED_PARTS,
  type LinkedPart,
} from "./download/parts.ts";
import { flag, oneOf, option, printJson, talk, toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -A tools/download.ts DIR

Downloads Stable Diffusion 1.5, its autoencoder (sd-vae-ft-mse) and CLIP
ViT-L/14 from the Hugging Face hub, and converts them to a model in DIR, one
network after the other: about 4 GB to download, 2.8 GB on disk in the end. What
is interrupted resumes. Two files are on no hub: this tells
where they are, and takes them from DIR once they are there.

  --dtype f16|f32|q8|q4  how weights are stored (f16), as in tools/convert.ts
  --keep                 keep the downloaded files, in DIR/download
  --json                 one JSON object on stdout
  --quiet                no report, no progress
  -h, --help             this text

HF_ENDPOINT names another hub, HF_TOKEN is sent to it.
Exit code: 0, 1 = it failed or a file is missing, 2 = wrong usage.`;

/** How to download. */
export interface DownloadModel {
  /** The model's folder. */
  readonly output: string;
  /** The hub. */
  readonly hub: Hub;
  /** How weights are stored. */
  readonly dtype: ModelDtype;
  /** Whether the downloaded files stay. */
  readonly keep?: boolean;
  /** Networks on the hub (those of Stable Diffusion 1.5). */
  readonly hubParts?: readonly HubPart[];
  /** Told of what happens, line by line. */
  readonly report?: (line: string) => void;
  /** Whether to draw progress bars. */
  readonly progress?: boolean;
  /** Pause before an attempt is repeated, in milliseconds. */
  readonly pause?: number;
}

/** What a model folder has after a download. */
export interface DownloadedModel {
  /** Components that are there. */
  readonly components: readonly string[];
  /** Files that must be fetched by hand first. */
  readonly missing: readonly LinkedPart[];
}

/**
 * Completes a model folder: downloads and converts what is not in it.
 *
 * @throws {MasterWeaverError} `cannot-read`, `cannot-write`, `bad-checkpoint`
 */
export async function downloadModel(
  options: DownloadModel,
): Promise<DownloadedModel> {
  const { output, hubParts = HUB_PARTS, report = () => {} } = options;
  await makeFolder(`${output}/download`);
  for (const { component, file, link } of LINKED_PARTS) {
    const isThere = await exists(`${output}/${file}`) ||
      await isConverted(output, component);
    if (!isThere) report(`${file} is on no hub; save it in ${output}: ${link}`);
  }
  const components: string[] = [];
  for (const part of hubParts) {
    if (await isConverted(output, part.component)) {
      report(`${part.component}: already there`);
    } else await fromHub(part, options);
    components.push(part.component);
  }
  const missing: LinkedPart[] = [];
  for (const part of LINKED_PARTS) {
    if (await isConverted(output, part.component)) {
      report(`${part.component}: already there`);
    } else if (!await fromFolder(part, options)) {
      missing.push(part);
      continue;
    }
    components.push(part.component);
  }
  if (await addDetector(output)) report("face_detector: copied");
  // Not where files are kept in it, or an unfinished one waits there.
  await Deno.remove(`${output}/download`).catch(() => {});
  return { components, missing };
}

async function isConverted(folder: string, part: string): Promise<boolean> {
  const path = `${folder}/${part}.weave`;
  if (!await exists(path)) return false;
  await using file = await FileSource.open(path);
  return (await openWeave(file)).component === part;
}

async function fromHub(part: HubPart, options: DownloadModel): Promise<void> {
  const { output, dtype, keep, report = () => {} } = options;
  const folder = `${output}/download/${part.component}`;
  const files = await findPart(part, options);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  report(
    `${part.component}: ${files.length} files, ${
      (total / 1e6).toFixed(0)
    } MB from ${files[0].repo}`,
  );
  {
    using bar = new ProgressLine(
      part.component,
      total,
      options.progress === true,
    );
    for (const file of files) {
      const path = `${folder}/${file.path}`;
      await makeFolder(path.slice(0, path.lastIndexOf("/")));
      await downloadFile(options.hub, file, path, {
        onBytes: (bytes) => bar.advance(bytes),
        pause: options.pause,
      });
    }
  }
  await convert({
    inputs: [`${folder}/${part.folder}`.replace(/\/$/, "")],
    output,
    dtype,
    report,
    progress: options.progress,
  });
  if (!keep) await Deno.remove(folder, { recursive: true });
}

/** Half precision is enough where no more is stored; not every repository has it. */
async function findPart(
  { repos, files, halfFiles }: HubPart,
  { hub, dtype }: DownloadModel,
): Promise<HubFile[]> {
  const wanted = dtype !== "f32" && halfFiles ? [halfFiles, files] : [files];
  let first: HubError | undefined;
  for (const repo of repos) {
    for (const paths of wanted) {
      try {
        return await findFiles(hub, repo, paths);
      } catch (error) {
        if (!(error instanceof HubError)) throw error;
        first ??= error;
        // Without an answer, another repository has none either.
        if (error.status === undefined && error.cause !== undefined) {
          throw error;
        }
      }
    }
  }
  throw first;
}

/** Converts a file that was fetched by hand. */
async function fromFolder(
  { component, file }: LinkedPart,
  { output, dtype, report, progress }: DownloadModel,
): Promise<boolean> {
  const path = `${output}/${file}`;
  if (!await exists(path)) return false;
  const [{ file: written }] = await convert({
    inputs: [path],
    output,
    dtype,
    report,
    progress,
  });
  return written === `${output}/${component}.weave`;
}

/**
 * Puts the face detector, which comes with this project, into a model's folder
 * that has none, with its licence, which wants to travel with it.
 */
export async function addDetector(output: string): Promise<boolean> {
  const [name, licence] = ["face_detector.weave", "LICENSE-dlib-Boost.txt"];
  const own = (file: string) =>
    new URL(`../weights/mini/${file}`, import.meta.url);
  if (await exists(`${output}/${name}`) || !await exists(own(name))) {
    return false;
  }
  await Deno.copyFile(own(licence), `${output}/${licence}`);
  await Deno.copyFile(own(name), `${output}/${name}`);
  return true;
}

async function exists(path: string | URL): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (cause) {
    throw new MasterWeaverError(
      "cannot-write",
      `Cannot make the folder ${path}; give one that you may write to`,
      { cause },
    );
  }
}

/** What the user must do before the model follows reference photos. */
function instructions(
  missing: readonly LinkedPart[],
  output: string,
): string {
  const lines = missing.map(({ file, what, link }) =>
    `  ${file}, ${what}: ${link}`
  );
  return [
    `Still missing for images from reference photos; download by hand, save in ${output}, and run this again:`,
    ...lines,
  ].join("\n");
}

/** Runs the command; exit code 1 where a file is missing, too. */
export const main = toolMain({
  usage: USAGE,
  options: {
    dtype: option(oneOf(MODEL_DTYPES), "f16"),
    keep: flag,
    json: flag,
    quiet: flag,
  },
  words: true,
  async run({ dtype, keep, json, quiet }, words) {
    const [output] = words;
    if (words.length !== 1 || output === "") {
      throw new UsageError("Give one folder");
    }
    const hub = hubFromEnvironment();
    const task = { output, hub, dtype, keep };
    const done = await downloadModel({ ...task, ...talk(quiet) });
    const { missing } = done;
    if (missing.length > 0) writeStderr(`${instructions(missing, output)}\n`);
    if (json) printJson({ output, ...done });
    return missing.length > 0 ? 1 : 0;
  },
});

if (import.meta.main) Deno.exitCode = await main(Deno.args);

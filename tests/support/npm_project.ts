/**
 * A project that has the npm package installed, from its tarball, and files that
 * use it.
 *
 * @module
 */
import { DAWN } from "../dawn/package.ts";
import { QUIET } from "./npm_environment.ts";
import { repositoryPath } from "./paths.ts";
import { runProgram } from "./program.ts";

/** What the script and Deno make, in few steps. */
export const request = {
  prompt: "a photo of a smiling woman with red hair",
  seed: 4,
  steps: 2,
} as const;

/** A script for Node and Bun that makes an image at the path it is given. */
const script = `
import { MasterWeaver, readImage, writePng } from "masterweaver-webgpu";

const model = new URL(
  ".",
  import.meta.resolve("masterweaver-webgpu/weights/mini/model.json"),
);
await using weaver = await MasterWeaver.load(model, { dtype: "f32", tune: "off" });
const photo = await readImage(new URL("demo.png", model));
const identity = await weaver.encodeIdentity([photo]);
const { images } = await weaver.generate({ identity, ...${
  JSON.stringify(request)
} });
await writePng(process.argv[2], images[0]);
`;

/** A program that the compiler checks against the package's declarations. */
const consumer = `
import { type Image, MasterWeaver, MasterWeaverError, readImage, writePng } from "masterweaver-webgpu";
import { MasterWeaver as Core, MemorySource, type ModelFiles } from "masterweaver-webgpu/core";

export async function portrait(signal: AbortSignal): Promise<Image> {
  await using weaver = await MasterWeaver.load("model", { dtype: "f32", signal });
  const identity = await weaver.encodeIdentity([await readImage("a.png")]);
  const { images, settings } = await weaver.generate({ identity, prompt: "a man" });
  const steps: number = settings.steps;
  const [image] = images;
  if (!image) throw new MasterWeaverError("bad-option", \`No image in \${steps} steps\`);
  await writePng("b.png", image);
  // @ts-expect-error: there is no such option
  await weaver.generate({ identity, prompt: "a man", stepz: 4 });
  // @ts-expect-error: the core knows no folders
  await Core.load("model");
  return image;
}

export async function page(files: ModelFiles): Promise<GPUDevice> {
  const unet = new MemorySource(new Uint8Array(8), "unet");
  await using weaver = await Core.load({ ...files, unet });
  return weaver.gpu.device;
}
`;

const tsconfig = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noFallthroughCasesInSwitch: true,
    noImplicitOverride: true,
    noImplicitReturns: true,
    noPropertyAccessFromIndexSignature: true,
    noUncheckedIndexedAccess: true,
    noUncheckedSideEffectImports: true,
    verbatimModuleSyntax: true,
    noEmit: true,
    target: "ES2022",
    module: "NodeNext",
    lib: ["ESNext", "DOM"],
    types: [],
  },
  include: ["*.ts"],
};

/** A page that Vite bundles: the package's own name leads to the core there. */
const page = `<!doctype html>
<title>starting</title>
<script type="module" src="./page.js"></script>
`;
const pageScript = `
import { MasterWeaver, version } from "masterweaver-webgpu";

try {
  await MasterWeaver.load({});
} catch (error) {
  document.title = \`\${version} \${error.name} \${error.code}\`;
}
`;

/**
 * Makes such a project in an empty folder: builds the package, packs it, and
 * installs the tarball and Dawn.
 *
 * @returns the tarball's bytes
 * @throws where a step fails, with what it said
 */
export async function makeProject(folder: string): Promise<number> {
  const built = `${folder}/built`;
  const config = `--config=${repositoryPath("deno.json")}`;
  await must(Deno.execPath(), ["task", config, "npm", built], folder);
  const packed = await must("npm", ["pack", "--silent", built], folder);
  const tarball = `${folder}/${packed.trim()}`;
  await write(`${folder}/package.json`, { private: true, type: "module" });
  const dawn = DAWN.replace(/^npm:/, "");
  await must("npm", ["install", ...QUIET, tarball, dawn], folder);
  await write(`${folder}/make.js`, script);
  await write(`${folder}/consumer.ts`, consumer);
  for (const [i, example] of (await readmeExamples(built)).entries()) {
    await write(`${folder}/readme-${i}.ts`, example);
  }
  await write(`${folder}/tsconfig.json`, tsconfig);
  await write(`${folder}/index.html`, page);
  await write(`${folder}/page.js`, pageScript);
  return (await Deno.stat(tarball)).size;
}

/**
 * Runs a program in a folder, for a minute at most.
 *
 * @returns its standard output
 * @throws what it wrote, where it fails
 */
export async function must(
  program: string,
  args: readonly string[],
  folder: string,
): Promise<string> {
  const { code, out, err } = await runProgram(program, args, 60_000, folder);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${code}: ${err}${out}`);
  return out;
}

/** The examples in a package's README. */
async function readmeExamples(folder: string): Promise<string[]> {
  const readme = await Deno.readTextFile(`${folder}/README.md`);
  const found = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)];
  if (found.length !== 2) throw new Error(`${found.length} examples`);
  return found.map(([, example]) => example);
}

async function write(path: string, content: unknown): Promise<void> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await Deno.writeTextFile(path, text);
}

/**
 * MasterWeaver on Deno's native WebGPU: one reference photo and a prompt in, an
 * image of that person out.
 *
 * Run directly, this is the command; imported, it is the library.
 *
 * @example
 * ```ts no-eval
 * import { MasterWeaver, readImage, writePng } from "./mod.ts";
 *
 * await using weaver = await MasterWeaver.load("weights/mini");
 * const identity = await weaver.encodeIdentity([await readImage("a.png")]);
 * const { images } = await weaver.generate({
 *   identity,
 *   prompt: "a man in the snow",
 *   seed: 42,
 * });
 * const [image] = images;
 * if (image) await writePng("out.png", image);
 * ```
 *
 * @module
 */
export * from "./src/host/library.ts";

if (import.meta.main) {
  const { fileURLToPath } = await import("node:url");
  const model = fileURLToPath(new URL("./weights/mini", import.meta.url));
  const [word, ...rest] = Deno.args;
  if (word === "serve" || word === "work") {
    // A computed URL: whoever imports the library does not load the studio.
    const url = new URL(`./src/studio/command/${word}.ts`, import.meta.url);
    const { main } = await import(url.href);
    Deno.exitCode = await main(rest, model);
  } else {
    const { main } = await import("./src/host/command/command.ts");
    Deno.exitCode = await main(Deno.args, model);
  }
}

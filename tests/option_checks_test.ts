/**
 * Options of the library's calls: a wrong name, type or value is `bad-option`,
 * never a TypeError, and never counts as true.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { readImage } from "../src/host/files.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { MasterWeaver as CoreMasterWeaver } from "../src/pipeline.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const mini = repositoryPath("weights/mini");

/** Calls as a script without types makes them. */
type Untyped = (...args: unknown[]) => Promise<unknown>;

async function refuses(
  call: Untyped,
  rows: readonly (readonly [args: unknown[], says: RegExp])[],
): Promise<void> {
  for (const [args, says] of rows) {
    const error = await assertRejects(
      () => call(...args),
      MasterWeaverError,
      undefined,
      String(says),
    );
    assertEquals(error.code, "bad-option", error.message);
    assertMatch(error.message, says);
  }
}

Deno.test("options: invalid models are refused", async () => {
  const load: Untyped = (...args) =>
    (MasterWeaver.load as unknown as Untyped)(...args);
  await refuses(load, [
    [[], /model must be a folder's path or its files, got undefined$/],
    [[null], /model must be .*, got null$/],
    [[5], /model must be .*, got 5$/],
    [[""], /model must be .*, got ""$/],
    [[[mini]], /model must be .*, got \[/],
    [[new URL("https://a.example/m")], /file: URL .*, got https:\/\/a\.exam/],
    [[{}, { adapter: "a.weave" }], /adapter belongs to a model's folder/],
    [[mini, null], /^Options of load must be an object, got null$/],
    [[mini, "f16"], /^Options of load must be an object, got "f16"$/],
    [[mini, { dtype: "" }], /dtype must be f16 or f32, got ""$/],
    [[mini, { dtype: "f64" }], /dtype must be f16 or f32, got f64$/],
    [[mini, { tune: 1 }], /tune must be auto, off or force, got 1$/],
    [
      [mini, { keepLoaded: "no" }],
      /keepLoaded must be true or false, got "no"/,
    ],
    [[mini, { keepLoaded: 0 }], /keepLoaded must be true or false, got 0$/],
    [[mini, { signal: 5 }], /signal must be an AbortSignal, got 5$/],
    [[mini, { onWarning: "x" }], /onWarning must be a function, got "x"$/],
    [[mini, { tuneStore: {} }], /tuneStore must be an object with the func/],
    [[mini, { adapter: 3 }], /adapter must be a file's path, got 3$/],
    [[mini, { keeploaded: true }], /keeploaded of load .* mean keepLoaded\?$/],
  ]);
});

Deno.test("options: the core only accepts a model's files", async () => {
  const load: Untyped = (...args) =>
    (CoreMasterWeaver.load as unknown as Untyped)(...args);
  await refuses(load, [
    [[mini], /model must be the model's files by component, got "/],
    [[new URL(`file://${mini}`)], /model must be the model's files/],
    [[[]], /model must be the model's files by component, got \[\]/],
    [[{}, { adapter: "a.weave" }], /adapter belongs to a model's folder/],
    [[{}, { dtype: "f64" }], /dtype must be f16 or f32, got f64$/],
  ]);
});

gpuTest("options: of calls on a model", async () => {
  const folder = new URL(`file://${mini}`);
  await using weaver = await MasterWeaver.load(folder, { tune: "off" });
  const photo = await readImage(`${mini}/demo.png`);
  const encode: Untyped = (options) =>
    (weaver.encodeIdentity as Untyped).call(weaver, [photo], options);
  await refuses(encode, [
    [[null], /^Options of encodeIdentity must be an object, got null$/],
    [[{ parse: "no" }], /parse must be true or false, got "no"$/],
    [[{ align: 1 }], /align must be true or false, got 1$/],
    [[{ requireFace: "y" }], /requireFace must be true or false, got "y"$/],
    [[{ requireFace: null }], /requireFace must be true or false, got null$/],
    [[{ face: "2" }], /face must be best, largest or a whole .*, got "2"$/],
    [[{ face: 1n }], /face must be best, largest or a whole .*, got 1n$/],
    [[{ face: [] }], /face must be .* or a list of these .*, got \[\]$/],
    [[{ face: Array(17).fill(0) }], /face must be .* or a list of these/],
    [[{ face: [0, "x"] }], /face must be .* or a list .*, got \[0, "x"\]$/],
    [[{ face: [0, 0] }], /face must be .* each of the 1 reference, got 2$/],
    [[{ fit: "" }], /fit must be crop or pad, got ""$/],
    [
      [{ require_face: true }],
      /require_face of .* did you mean requireFace\?$/,
    ],
    [[{ whenBusy: true }], /whenBusy must be wait or refuse, got true$/],
  ]);
  const identity = await weaver.encodeIdentity([photo]);
  const bare: Untyped = (...args) =>
    (weaver.generate as unknown as Untyped).call(weaver, ...args);
  await refuses(bare, [
    [[], /^Options of generate must be an object, got undefined$/],
    [[null], /^Options of generate must be an object, got null$/],
  ]);
  const generate: Untyped = (options) =>
    bare({ identity, prompt: "", steps: 1, ...options as object });
  await refuses(generate, [
    [[{ Steps: 3 }], /^Option Steps of generate .* did you mean steps\?$/],
    [[{ wdith: 64 }], /wdith of .* did you mean width\?$/],
    [[{ negative_prompt: "" }], /_prompt of .* did you mean negativePrompt\?$/],
    [[{ steps: "2" }], /steps must be a whole number in 1\.\.1000, got "2"$/],
    [[{ steps: 2n }], /steps must be .*, got 2n$/],
    [[{ width: "64" }], /width must be .*, got "64"$/],
    [[{ prompt: ["a"] }], /prompt must be a string, got \["a"\]$/],
    [[{ prompt: undefined }], /prompt must be a string, got undefined$/],
    [[{ rng: "" }], /rng must be torch-cuda or torch-cpu, got ""$/],
    [[{ cudaThreads: "256" }], /cudaThreads .*, got "256"$/],
    [[{ guidanceRange: "0,1" }], /guidanceRange .*, got "0,1"$/],
    [
      [{ seed: 2 ** 60 }],
      /seed must be .* a bigint.*, got 1152921504606847000$/,
    ],
    [[{ seed: 2n ** 64n }], /seed .* 2\^64 - 1, got 18446744073709551616n$/],
    [[{ seed: "5" }], /seed .* 2\^64 - 1, got "5"$/],
    [[{ signal: 5 }], /signal must be an AbortSignal, got 5$/],
    [[{ onProgress: 5 }], /onProgress must be a function, got 5$/],
  ]);
  const detect: Untyped = (options) =>
    (weaver.detectFaces as Untyped).call(weaver, photo, options);
  await refuses(detect, [
    [[null], /^Options of detectFaces must be an object, got null$/],
    [[{ signal: {} }], /signal must be an AbortSignal, got an object$/],
  ]);
  // What a script keeps beside its settings gives a warning and does no harm.
  const told: string[] = [];
  await weaver.generate({
    ...{ identity, prompt: "", steps: 1, width: 64, height: 64, trace: true },
    onWarning: (text) => told.push(text),
  });
  assertEquals(told, ["Option trace of generate is unknown and does nothing"]);
  // What is undefined is not given.
  const again = await weaver.encodeIdentity([photo], {
    parse: undefined,
    onWarning: undefined,
  });
  assert(again.tokens.every((value, i) => value === identity.tokens[i]));
});

/**
 * Advice in messages: the core's is for scripts, the command's names flags and
 * tools.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { errorWithTools, withFlags, withTools } from "../src/host/advice.ts";
import { MasterWeaver } from "../src/host/masterweaver.ts";
import { ProgressLines } from "../src/host/progress_lines.ts";
import { cannotAlign } from "../src/identity/references.ts";
import { MasterWeaver as CoreMasterWeaver } from "../src/pipeline.ts";
import { adviseFlags, withTrainFlags } from "../tools/train/advice.ts";
import { deno, finished } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";

Deno.test("advice: options are named as flags in the command's messages", () => {
  const rows: readonly (readonly [core: string, command: string])[] = [
    [
      'use dtype: "f16", a smaller image or fewer images at once',
      "use --dtype f16, a smaller image or fewer images at once",
    ],
    [
      'try dtype: "f32", or a lower guidanceScale or idScale; if',
      "try --dtype f32, or a lower --guidance-scale or --id-scale; if",
    ],
    [
      'face: N or face: "largest" takes another',
      "--face N or --face largest takes another",
    ],
    [
      'fit: "pad" or fit: "crop" keeps the proportions',
      "--fit pad or --fit crop keeps the proportions",
    ],
    ["give cudaThreads to repeat", "give --cuda-threads to repeat"],
    [
      "best or largest; give another face",
      "best or largest; give another --face",
    ],
  ];
  for (const [core, command] of rows) {
    assertEquals(withFlags(core), command);
    // What is a flag already is unchanged.
    assertEquals(withFlags(command), command);
  }
});

Deno.test("advice: who trains is told the flags of training", async () => {
  const rows: readonly (readonly [core: string, training: string])[] = [
    [
      'use dtype: "f16", a smaller image or fewer images at once',
      "use --mixed-precision fp16, a smaller --resolution or --train-batch-size",
    ],
    [
      "use a smaller image or fewer images at once",
      "use a smaller --resolution or --train-batch-size",
    ],
    [
      'start again, and if it recurs, with a smaller image or dtype: "f16"',
      "start again, and if it recurs, with a smaller --resolution or --mixed-precision fp16",
    ],
    [
      "use fewer samples a step, smaller images or f16",
      "use a smaller --train-batch-size or --resolution, or --mixed-precision fp16",
    ],
    ["Cannot read dtype.png", "Cannot read dtype.png"],
  ];
  for (const [core, training] of rows) {
    assertEquals(withTrainFlags(core), training);
    // What the command makes of it leaves it as it is.
    assertEquals(withFlags(training), training);
    await assertRejects(
      () =>
        adviseFlags(() => {
          throw new MasterWeaverError("out-of-memory", core);
        }),
      MasterWeaverError,
      training,
    );
  }
});

Deno.test("advice: text that only looks like an option is unchanged", () => {
  for (
    const text of [
      "Cannot read photos/idScale/a.png: no such file or folder",
      "Cannot read idScale.png: no such file or folder",
      "Option cudaThreads must be a multiple of 256",
      "Model has 3 steps and a width of 5",
    ]
  ) assertEquals(withFlags(text), text);
});

Deno.test("advice: the host names the tool to run", () => {
  assertEquals(
    withTools(
      "Found no WebGPU adapter: a Vulkan, Metal or Direct3D 12 driver is needed",
    ),
    "Found no WebGPU adapter: a Vulkan, Metal or Direct3D 12 driver is needed; on Debian and Ubuntu mesa-vulkan-drivers, which `sh tools/setup.sh` installs, is a software driver where there is no GPU",
  );
  const { message } = cannotAlign(null);
  assertEquals(
    withTools(message),
    "Cannot look for faces: the model has no face_detector.weave; copy it from weights/mini into the model's folder",
  );
  assertEquals(
    withTools(
      "Cannot align faces without the landmark model: give landmarks.weave among the model's files",
    ),
    "Cannot align faces without the landmark model: run `sh tools/setup.sh --with-landmarks`, or put landmarks.weave into the model's folder",
  );
  assertEquals(
    withTools("the model has no preview.json; give one among its files"),
    "the model has no preview.json; make one with tools/preview.ts",
  );
  assertEquals(
    withTools("its version is 2, expected 1; fit it again, or delete it"),
    "its version is 2, expected 1; fit it again with tools/preview.ts, or delete it",
  );
  const other = new MasterWeaverError("gpu", "The GPU refused a command");
  assertEquals(errorWithTools(other), other);
  assertEquals(errorWithTools(7), 7);
});

gpuTest("advice: a component that is missing", async () => {
  const message = async (load: () => Promise<unknown>) =>
    (await assertRejects(load, MasterWeaverError)).message;
  assertEquals(
    await message(() => CoreMasterWeaver.load({})),
    "The model has no text_encoder.weave: convert the model, or give another",
  );
  assertEquals(
    await message(() => MasterWeaver.load({})),
    "The model has no text_encoder.weave: convert the model with tools/convert.ts, or give another",
  );
});

Deno.test("advice: warnings and errors of a command name flags", async () => {
  let written = "";
  const lines = new ProgressLines((text) => written += text, false);
  lines.warning('its pixels are squeezed; fit: "pad" keeps the proportions');
  assertEquals(
    written,
    "Note: its pixels are squeezed; --fit pad keeps the proportions\n",
  );
  const exit = new URL("../src/host/exit.ts", import.meta.url);
  const errors = new URL("../src/base/errors.ts", import.meta.url);
  const { code, err } = await finished(deno([
    "eval",
    `import { exitCode } from "${exit}";
    import { MasterWeaverError } from "${errors}";
    Deno.exitCode = await exitCode(() => {
      throw new MasterWeaverError("out-of-memory", 'No room; use dtype: "f16"');
    });`,
  ]));
  assertEquals([code, ...err], [1, "No room; use --dtype f16"]);
});

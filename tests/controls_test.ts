/**
 * ControlNets of a call: which steps they run at, what decides plans, and what is
 * refused.
 */
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { checkControls } from "../src/generate/control_input.ts";
import { readControlNet } from "../src/generate/controlnet_file.ts";
import {
  type AppliedControl,
  controlScales,
  usedControls,
} from "../src/generate/controls.ts";
import type { LoraUse } from "../src/generate/lora_input.ts";
import { planKey } from "../src/generate/plan_key.ts";
import type { RunShape } from "../src/generate/run_shape.ts";
import { stepKinds, stepName } from "../src/generate/step_kinds.ts";
import type { Image } from "../src/image/image.ts";
import {
  controlNetBytes,
  miniControlNet,
  openControlNet,
} from "./support/control_nets.ts";
import { gpuTest } from "./support/gpu.ts";
import { caseLora } from "./support/loras.ts";
import { miniComponents, miniWeaver } from "./support/model.ts";

const rules = {
  steps: 4,
  guidanceScale: 5,
  guidanceRange: [0, 1],
  reuseFeatures: 1,
} as const;

function gray(side: number): Image {
  const data = new Uint8ClampedArray(4 * side * side).fill(90);
  return { width: side, height: side, data };
}

async function control(
  seed: number,
  change: Partial<AppliedControl> = {},
): Promise<AppliedControl> {
  const net = await miniControlNet(seed);
  return { net, image: gray(32), scale: 1, start: 0, end: 1, ...change };
}

Deno.test("controls: a net runs where diffusers keeps it", () => {
  // [1.0 - float(i / 5 < start or (i + 1) / 5 > end) for i in range(5)]
  const cases: [start: number, end: number, runs: string][] = [
    [0, 1, "11111"],
    [0, 0.5, "11000"],
    [0.2, 0.6, "01100"],
    [0.21, 1, "00111"],
    [0.5, 0.55, "00000"],
  ];
  for (const [start, end, runs] of cases) {
    const kinds = stepKinds({ ...rules, steps: 5, controls: [{ start, end }] });
    assertEquals(kinds.map((kind) => kind.controls ? 1 : 0).join(""), runs);
  }
});

Deno.test("controls: features are computed anew where other nets run", () => {
  const controls = [{ start: 0, end: 0.5 }, { start: 0, end: 1 }];
  const kinds = stepKinds({ ...rules, reuseFeatures: 4, controls });
  assertEquals(kinds.map(stepName), [
    "guided, controls 0 1",
    "guided, cached, controls 0 1",
    "guided, controls 1",
    "guided, cached, controls 1",
  ]);
  assertEquals(stepKinds(rules)[0], { guided: true, cached: false });
});

Deno.test("controls: what has no effect is left out, and a net is loaded once", async () => {
  const none = [
    await control(1, { scale: 0 }),
    await control(1, { start: 0.5, end: 0.6 }),
  ];
  assertEquals(usedControls(none, 4, false), undefined);
  const used = usedControls(
    [await control(1), ...none, await control(2), await control(1)],
    4,
    false,
  )!;
  assertEquals(used.shape.nets, [0, 1, 0]);
  assertEquals([used.nets.length, used.shape.hashes.length], [2, 2]);
  assertNotEquals(used.shape.hashes[0], used.shape.hashes[1]);
});

Deno.test("controls: scales of guess mode are torch.logspace(-1, 0, 7), without a prompt 0", async () => {
  const kind = { guided: true, cached: false, controls: [0] };
  const given = [await control(1, { scale: 2 })];
  const plain = controlScales(usedControls(given, 1, false)!, 0, 1, kind);
  assertEquals(plain, new Float32Array(14).fill(2));
  const guess = controlScales(usedControls(given, 1, true)!, 0, 1, kind);
  const expected = [
    0.1,
    0.14677993,
    0.21544347,
    0.31622776,
    0.46415889,
    0.68129206,
    1,
  ];
  // f32's step below 2 is 1.2e-7, and torch prints eight digits.
  expected.forEach((scale, row) => {
    assert(Math.abs(guess[2 * row] - 2 * scale) < 1e-6);
    assertEquals(guess[2 * row + 1], 0);
  });
});

Deno.test("controls: plans differ by nets and mode, and plain ones have the keys they had", () => {
  const shape = { images: 1, height: 8, width: 8, guided: true };
  const key = (runShape: RunShape, controls?: readonly number[]) =>
    planKey({
      graph: "step",
      storage: "f16",
      details: {
        runShape,
        kind: { guided: true, cached: false, ...controls && { controls } },
        sampler: "ddim",
      },
    });
  const with_ = (hashes: string[], guess: boolean): RunShape => ({
    ...shape,
    controls: { nets: hashes.map((_, i) => i), hashes, guess },
  });
  assertEquals(key(shape), '["step","f16",1,8,8,true,false,0,"guided","ddim"]');
  const keys = [
    key(shape),
    key(with_(["a"], false), [0]),
    key(with_(["a"], false)),
    key(with_(["b"], false), [0]),
    key(with_(["a"], true), [0]),
    key(with_(["a", "b"], false), [0]),
  ];
  assertEquals(new Set(keys).size, keys.length);
});

Deno.test("controls: what is wrong is refused in one line", async () => {
  const net = await miniControlNet(1);
  const image = gray(32);
  const model = await miniComponents;
  const wide = await openControlNet(1, { block_out_channels: [48, 96, 160] });
  const text = await openControlNet(1, { cross_attention_dim: 64 });
  const deep = await openControlNet(1, {
    conditioning_embedding_out_channels: [8, 16, 32, 32],
  });
  const cases: [given: unknown, code: string, says: string][] = [
    [
      {},
      "bad-option",
      "Option controls must be a list of { net, image, scale }",
    ],
    [
      [{ image }],
      "bad-option",
      "must hold { net: await readControlNet(source)",
    ],
    [[{ net: { ...net }, image }], "bad-option", "must hold { net"],
    [[{ net }], "bad-image", "Image controls[0].image is undefined"],
    [
      [{ net, image, scale: 11 }],
      "bad-option",
      "scale, a number in -10..10, got 11",
    ],
    [[{ net, image, scale: NaN }], "bad-option", "got NaN"],
    [[{ net, image, start: 0.5, end: 0.5 }], "bad-option", "got 0.5,0.5"],
    [[{ net, image, end: 1.5 }], "bad-option", "got 0,1.5"],
    [
      [{ net, image, preprocess: "hed" }],
      "bad-option",
      "none, canny, face, got hed",
    ],
    [new Array(17).fill({ net, image }), "bad-option", "at most 16, got 17"],
    [
      [{ net: wide, image }],
      "bad-model",
      "its block_out_channels is 48, 96, 160, the UNet's 48, 96, 128; give one",
    ],
    [
      [{ net: text, image }],
      "bad-model",
      "its cross_attention_dim is 64, the UNet's 128",
    ],
    [
      [{ net: deep, image }],
      "bad-model",
      "it reduces images by 8, the autoencoder by 4",
    ],
  ];
  for (const [given, code, says] of cases) {
    const error = assertThrows(
      () => checkControls(given, false, model),
      MasterWeaverError,
      says,
    );
    assertEquals(error.code, code);
    assert(!error.message.includes("\n"));
  }
  assertThrows(
    () => checkControls([], true, model),
    MasterWeaverError,
    "Option guessMode needs a ControlNet",
  );
  assertEquals(checkControls(undefined, false, model), []);
});

gpuTest(
  "controls: with an identity, a LoRA, cached features and changing prompts",
  async () => {
    const weaver = await miniWeaver("f32");
    const identity = await weaver.encodeIdentity([gray(64)], { parse: false });
    const settings = {
      prompt: "a [man:woman:0.5] in the snow",
      promptSyntax: "a1111",
      identity,
      steps: 4,
      width: 32,
      height: 32,
      seed: 7,
      reuseFeatures: 2,
      guidanceRange: [0, 0.5],
    } as const;
    const paint = async (
      controls?: readonly AppliedControl[],
      guessMode = false,
      loras?: readonly LoraUse[],
    ) => {
      const all = { ...settings, controls, guessMode, loras };
      const made = await weaver.generate(all);
      return made.images[0].data;
    };
    const plain = await paint();
    assertEquals(await paint([await control(1, { scale: 0 })]), plain);
    const used = [
      await control(1, { scale: 0.5, end: 0.75 }),
      await control(2, { start: 0.25 }),
    ];
    const first = await paint(used);
    assertNotEquals(first, plain);
    const guessed = await paint(used, true);
    assertNotEquals(guessed, first);
    const lora = [{ lora: await caseLora("kohya") }];
    const both = await paint(used, false, lora);
    assertNotEquals(both, first);
    assertNotEquals(await paint([], false, lora), both);
    assertEquals(await paint(used), first);
    assertEquals(await paint(), plain);
  },
);

gpuTest(
  "controls: a net that is opened for each image leaves no weights behind",
  async () => {
    const weaver = await miniWeaver("f32");
    const file = await controlNetBytes(1);
    const sizes: number[] = [];
    for (const height of [32, 40, 32, 40]) {
      const net = await readControlNet(new MemorySource(file, "net.weave"));
      await weaver.generate({
        prompt: "a man",
        steps: 1,
        width: 32,
        height,
        controls: [{ net, image: gray(32) }],
      });
      sizes.push(weaver.gpu.buffers.bytes);
    }
    assertEquals(sizes.slice(2), sizes.slice(0, 2));
  },
);

/** LoRAs as text, in prompts, and block by block. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { crossAttentions } from "../src/models/unet.ts";
import { blockStrength } from "../src/generate/block_weights.ts";
import { checkLoras } from "../src/generate/lora_input.ts";
import {
  formatLoras,
  type LoraChoice,
  loras,
  parseLoras,
  promptLoras,
} from "../src/options/lora_text.ts";
import { readFlags } from "../src/host/command/flags.ts";
import { applied, caseLora } from "./support/loras.ts";

const SD15 = { blockOutChannels: [320, 640, 1280, 1280], layersPerBlock: 2 };

Deno.test("lora text: names, scales and blocks are read, and written back", () => {
  const cases: [string, LoraChoice[]][] = [
    ["", []],
    ["style", [{ name: "style", scale: 1 }]],
    ["style=0.8", [{ name: "style", scale: 0.8 }]],
    ["a=-1; b=2.5e-1 ;", [{ name: "a", scale: -1 }, {
      name: "b",
      scale: 0.25,
    }]],
    ["a=0.5/0", [{ name: "a", scale: 0.5, textScale: 0 }]],
    ["a=0.5:1,0,.5", [{ name: "a", scale: 0.5, blocks: [1, 0, 0.5] }]],
    ["a:1,-1", [{ name: "a", scale: 1, blocks: [1, -1] }]],
    ["C:\\loras\\a=b.pt=0.5", [{ name: "C:\\loras\\a=b.pt", scale: 0.5 }]],
    ["./a b.safetensors", [{ name: "./a b.safetensors", scale: 1 }]],
  ];
  for (const [text, choices] of cases) {
    assertEquals(parseLoras(text), choices, text);
    assertEquals(parseLoras(formatLoras(choices)), choices, text);
  }
  const many = (count: number) => Array(count).fill("a").join(";");
  assertEquals(parseLoras(many(32))?.length, 32);
  for (const wrong of ["a=101", "=1:", many(33), "a".repeat(20_000)]) {
    const read = parseLoras(wrong);
    assert(read === undefined || read[0].name === wrong, wrong.slice(0, 20));
  }
  assertEquals(loras.fault("a=1e9")?.startsWith("names with scales"), true);
  assertEquals(loras.fault(3)?.startsWith("names with scales"), true);
});

Deno.test("lora text: the command's flag is typed once for each", () => {
  const flags = readFlags(["--prompt=a", "--lora=a=0.5", "--lora", "b"]);
  assertEquals(flags.settings.lora, "a=0.5;b");
  assertThrows(
    () => readFlags(["--prompt=a", "--lora=a=200"]),
    Error,
    "Option --lora must be names with scales in -100..100",
  );
});

Deno.test("lora text: tags of A1111's prompts", () => {
  const tag = (name: string, ...args: string[]) =>
    promptLoras([{ kind: "lora", name, args }])[0];
  assertEquals(tag("a"), { name: "a", scale: 1 });
  assertEquals(tag("a", "0.8"), { name: "a", scale: 0.8 });
  assertEquals(tag("a", "0.5", "-0.25"), {
    name: "a",
    scale: -0.25,
    textScale: 0.5,
  });
  assertEquals(tag("a", "te=0.5", "unet=1"), {
    name: "a",
    scale: 1,
    textScale: 0.5,
  });
  assertEquals(tag("a", "1", "lbw=1,0,0"), {
    name: "a",
    scale: 1,
    blocks: [1, 0, 0],
  });
  assertEquals(tag("a", "1", "1,0, 0"), {
    name: "a",
    scale: 1,
    blocks: [1, 0, 0],
  });
  assertEquals(promptLoras([{ kind: "hypernet", name: "a", args: [] }]), []);
  const many = Array(33).fill({ kind: "lora", name: "a", args: [] });
  assertEquals(promptLoras(many.slice(1)).length, 32);
  assertThrows(
    () => promptLoras(many),
    MasterWeaverError,
    "The prompt asks for 33 LoRAs, at most 32 are possible",
  );
  for (const wrong of ["x", "1e9", "lbw=ALL", ""]) {
    const error = assertThrows(() => tag("a", wrong), MasterWeaverError);
    assertEquals(error.code, "bad-option");
    assert(error.message.includes("The prompt's <lora:a:…> has"));
  }
});

Deno.test("lora blocks: 26 weights of Stable Diffusion 1.5, and 17 of those with attention", () => {
  const all = Array.from({ length: 26 }, (_, i) => i);
  const of26 = blockStrength("a", all, SD15);
  assertEquals(of26(), 0);
  const expected: Record<string, number> = {
    "conv_in.weight": 1,
    "down_blocks.0.resnets.0.conv1.weight": 2,
    "down_blocks.0.attentions.1.proj_in.weight": 3,
    "down_blocks.0.downsamplers.0.conv.weight": 4,
    "down_blocks.1.resnets.0.conv1.weight": 5,
    "down_blocks.3.resnets.1.conv2.weight": 12,
    "mid_block.attentions.0.proj_in.weight": 13,
    "up_blocks.0.resnets.0.conv1.weight": 14,
    "up_blocks.0.upsamplers.0.conv.weight": 16,
    "up_blocks.1.attentions.0.proj_in.weight": 17,
    "up_blocks.3.attentions.2.proj_out.weight": 25,
    "time_embedding.linear_1.weight": 0,
    "conv_out.weight": 0,
  };
  for (const [path, place] of Object.entries(expected)) {
    assertEquals(of26(path), place, path);
  }
  // In the order of the extension: BASE, IN01, IN02, IN04, IN05, IN07, IN08, M00, OUT03 to OUT11.
  const of17 = blockStrength("a", all.slice(0, 17), SD15);
  const attentions = crossAttentions(
    {
      ...SD15,
      downAttention: [true, true, true, false],
      upAttention: [false, true, true, true],
    } as unknown as Parameters<typeof crossAttentions>[0],
  );
  assertEquals(
    attentions.map(({ path }) => of17(`${path}.to_q.weight`)),
    all.slice(1, 17),
  );
  assertEquals(of17("conv_in.weight"), 0);
  assertEquals(of17("down_blocks.3.resnets.0.conv1.weight"), 0);
  for (
    const [count, levels, message] of [
      [12, SD15, "gives 12 block weights for a, expected 17 or 26: BASE,"],
      [17, { blockOutChannels: [1, 2, 3], layersPerBlock: 1 }, "expected 14"],
    ] as const
  ) {
    assertThrows(
      () => blockStrength("a", all.slice(0, count), levels),
      MasterWeaverError,
      message,
    );
  }
});

Deno.test("lora input: what is no LoRA, or names one that is not loaded, is refused", async () => {
  const lora = await caseLora("kohya");
  assertEquals(checkLoras(undefined, ""), { loras: [], lora: "" });
  assertEquals(checkLoras([{ lora, scale: 0.5 }], ""), {
    loras: [applied(lora, 0.5)],
    lora: "kohya=0.5",
  });
  for (
    const [given, named, message] of [
      [lora, "", "Option loras must be a list of { lora, scale }"],
      [[lora], "", "Option loras must hold { lora: await readLora(source)"],
      [[{ lora: "kohya" }], "", "Option loras must hold"],
      [[{ lora, scale: NaN }], "", "has a wrong scale, a number in -100..100"],
      [[{ lora, textScale: "1" }], "", "has a wrong textScale"],
      [[{ lora, blocks: [1, "2"] }], "", "has wrong blocks"],
      [undefined, "film=0.5", 'Option lora names "film", but 0 are loaded'],
    ] as const
  ) {
    const error = assertThrows(
      () => checkLoras(given, named),
      MasterWeaverError,
    );
    assertEquals(error.code, "bad-option");
    assert(error.message.includes(message), error.message);
  }
});

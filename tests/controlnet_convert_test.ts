/**
 * Files of ControlNets, in diffusers' layout and the original code's.
 */
import { dirname } from "node:path";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { CheckpointConfig } from "../src/checkpoints/tables/config.ts";
import { ldmControlNetTable } from "../src/checkpoints/tables/controlnet.ts";
import { readControlNet } from "../src/generate/controlnet_file.ts";
import { FileSource } from "../src/host/files.ts";
import { openWeave, type WeaveFile } from "../src/weights/weave.ts";
import { convert } from "../tools/convert.ts";
import { controlNetBytes, controlNetTensors } from "./support/control_nets.ts";
import { inFolder } from "./support/file_systems.ts";
import { type GoldenTensor, safetensorsFile } from "./support/safetensors.ts";
import { weaveBytes } from "./support/weights.ts";

/** A tiny ControlNet. */
const TINY = {
  _class_name: "ControlNetModel",
  conditioning_embedding_out_channels: [4, 8],
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D"],
  block_out_channels: [4, 32],
  layers_per_block: 1,
  cross_attention_dim: 32,
  attention_head_dim: 2,
  norm_num_groups: 2,
};

/** The hash of a file's header, which covers all values. */
async function contentOf(path: string): Promise<WeaveFile> {
  await using source = await FileSource.open(path);
  return await openWeave(source);
}

/** The tensors in the names of the original code. */
function inLdmNames(
  tensors: ReadonlyMap<string, GoldenTensor>,
  prefix: "" | "control_model.",
): Map<string, GoldenTensor> {
  const table = ldmControlNetTable(new CheckpointConfig(TINY, "TINY"), prefix);
  return new Map(table.rows.map(({ name, from: [{ names: [ldm] }] }) => [
    ldm,
    tensors.get(name)!,
  ]));
}

Deno.test("ControlNet: all layouts give the same component, under their own names", () =>
  inFolder(async (folder) => {
    const tensors = controlNetTensors(TINY, 1);
    const write = async (
      path: string,
      tensors: ReadonlyMap<string, GoldenTensor>,
    ) => {
      await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
      await Deno.writeFile(`${folder}/${path}`, safetensorsFile(tensors));
      const config = JSON.stringify(TINY);
      await Deno.writeTextFile(
        `${dirname(`${folder}/${path}`)}/config.json`,
        config,
      );
      return `${folder}/${path}`;
    };
    await write("tiny_canny/diffusion_pytorch_model.safetensors", tensors);
    const whole = new Map([
      ...inLdmNames(tensors, "control_model."),
      ...inLdmNames(tensors, "model.diffusion_model." as "control_model."),
    ]);
    const inputs = [
      `${folder}/tiny_canny`,
      await write("a/tiny_depth.safetensors", tensors),
      await write("b/tiny_pose.safetensors", inLdmNames(tensors, "")),
      await write("c/tiny_whole.safetensors", whole),
    ];
    const output = `${folder}/controlnets`;
    const converted = await convert({ inputs, output, dtype: "f32" });
    const hashes: string[] = [];
    for (const name of ["canny", "depth", "pose", "whole"]) {
      const { component, tensors, config } = await contentOf(
        `${output}/tiny_${name}.weave`,
      );
      assertEquals([component, config], ["controlnet", TINY]);
      hashes.push(
        [...tensors.values()].map(({ name, dtype, shape }) =>
          `${name} ${dtype} ${shape}`
        ).join(),
      );
    }
    assertEquals(new Set(hashes).size, 1);
    assertEquals(
      Object.values(converted[3].dropped),
      [tensors.size],
    );
    const files = await Array.fromAsync(Deno.readDir(output));
    assertEquals(files.some(({ name }) => name === "model.json"), false);
    await using source = await FileSource.open(`${output}/tiny_pose.weave`);
    const { name, hash } = await readControlNet(source);
    assert(name.endsWith("tiny_pose.weave"));
    assertEquals(hash.length, 64);
    // Stored once more, as another type.
    for (const dtype of ["f16", "q8", "q4"] as const) {
      await convert({
        inputs: [`${output}/tiny_pose.weave`],
        output: `${folder}/${dtype}`,
        dtype,
      });
      const { tensors } = await contentOf(`${folder}/${dtype}/tiny_pose.weave`);
      const dtypeOf = (name: string) => tensors.get(name)!.dtype;
      assertEquals(
        [
          dtypeOf("mid_block.resnets.0.conv1.weight"),
          dtypeOf("controlnet_mid_block.weight"),
        ],
        [dtype, "f16"],
      );
    }
  }));

Deno.test("ControlNet: what is none is refused in one line", async () => {
  const cases: [Uint8Array<ArrayBuffer>, string][] = [
    [
      await weaveBytes({ component: "unet" }),
      "Cannot use net.weave: it holds the component unet, expected controlnet",
    ],
    [
      await weaveBytes({
        component: "controlnet",
        config: { ...TINY, norm_num_groups: 3 },
      }),
      "Cannot use net.weave: the sizes in its config do not make a network (",
    ],
    [
      await weaveBytes({
        component: "controlnet",
        config: { ...TINY, global_pool_conditions: true },
      }),
      "The config of controlnet is not supported: global_pool_conditions is true, expected false",
    ],
    [
      await weaveBytes({ component: "controlnet", config: TINY }),
      "Cannot use net.weave: its tensors do not fit its config: ",
    ],
    [
      (await controlNetBytes(1)).subarray(0, 5000) as Uint8Array<ArrayBuffer>,
      "net.weave",
    ],
  ];
  for (const [bytes, message] of cases) {
    const error = await assertRejects(
      () => readControlNet(new MemorySource(bytes, "net.weave")),
      MasterWeaverError,
      message,
    );
    assertEquals(error.code, "bad-model");
    assert(!error.message.includes("\n"));
  }
});

Deno.test("ControlNet: one for Stable Diffusion 2 or XL is refused", () =>
  inFolder(async (folder) => {
    const tensors = controlNetTensors(
      { ...TINY, cross_attention_dim: 1024 },
      1,
    );
    const two = `${folder}/two.safetensors`;
    await Deno.writeFile(two, safetensorsFile(tensors));
    await assertRejects(
      () => convert({ inputs: [two], output: `${folder}/out`, dtype: "f16" }),
      MasterWeaverError,
      "it is Stable Diffusion 2 (its text is 1024 wide, expected 768)",
    );
    const xl = `${folder}/xl.safetensors`;
    tensors.set("add_embedding.linear_1.bias", {
      shape: [1],
      data: new Float32Array(1),
    });
    await Deno.writeFile(xl, safetensorsFile(tensors));
    await assertRejects(
      () => convert({ inputs: [xl], output: `${folder}/out`, dtype: "f16" }),
      MasterWeaverError,
      "it is Stable Diffusion XL",
    );
    await assertRejects(() => Deno.stat(`${folder}/out`));
  }));

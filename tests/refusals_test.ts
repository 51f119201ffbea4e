/**
 * Unsupported models are named and refused.
 */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { convert } from "../tools/convert.ts";
import { makeFolder, type Tensors, UNET } from "./support/checkpoint_folder.ts";
import { safetensorsBytes } from "./support/weights.ts";

/** Tensors by name and shape; their values do not matter. */
function tensors(shapes: Record<string, number[]>): Uint8Array {
  const content: Tensors = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const count = shape.reduce((a, b) => a * b, 1);
    content[name] = { shape, data: new Array(count).fill(0) };
  }
  return safetensorsBytes(content);
}

const text = (content: string) => new TextEncoder().encode(content);

const IN = "model.diffusion_model.input_blocks.0.0.weight";
const KEY =
  "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
const whole = tensors({ "conv_in.weight": [4, 4, 3, 3] });

/** Files: what they are called, what is in them, what the message says. */
const FILES: [string, Uint8Array, string][] = [
  [
    "lora.safetensors",
    tensors({ "lora_unet_down_blocks_0.lora_down.weight": [1] }),
    "it is a LoRA",
  ],
  [
    "peft.safetensors",
    tensors({ "unet.mid.lora_A.weight": [1] }),
    "it is a LoRA",
  ],
  [
    "sdxl.safetensors",
    tensors({ [IN]: [8, 4, 3, 3], "conditioner.embedders.0.weight": [1] }),
    "it is Stable Diffusion XL",
  ],
  [
    "sdxl-unet.safetensors",
    tensors({
      "conv_in.weight": [8, 4, 3, 3],
      "add_embedding.linear_1.weight": [1],
    }),
    "it is Stable Diffusion XL",
  ],
  [
    "sd2.ckpt",
    tensors({
      [IN]: [8, 4, 3, 3],
      "cond_stage_model.model.ln_final.weight": [1],
    }),
    "it is Stable Diffusion 2",
  ],
  [
    "sd2-unet.safetensors",
    tensors({ [KEY]: [1, 1024] }),
    "it is Stable Diffusion 2 (its text is 1024 wide, expected 768)",
  ],
  [
    "sd3.safetensors",
    tensors({ "model.diffusion_model.joint_blocks.0.weight": [1] }),
    "it is Stable Diffusion 3",
  ],
  [
    "flux.safetensors",
    tensors({ "double_blocks.0.img_attn.weight": [1] }),
    "it is FLUX",
  ],
  [
    "inpainting.ckpt",
    tensors({ [IN]: [8, 9, 3, 3] }),
    "it is an inpainting UNet (its first convolution has 9 input channels, expected 4)",
  ],
  [
    "inpainting-unet.safetensors",
    tensors({ "conv_in.weight": [8, 9, 3, 3] }),
    "it is an inpainting UNet",
  ],
  [
    "pix2pix.safetensors",
    tensors({ [IN]: [8, 8, 3, 3] }),
    "it is a UNet for editing by instruction",
  ],
  [
    "controlnet.pth",
    tensors({ "control_model.zero_convs.0.0.weight": [1] }),
    "its tensors are not those of the controlnet its config describes: ",
  ],
  [
    "ip-adapter.bin",
    tensors({ "image_proj.proj.weight": [1] }),
    "it is an IP-Adapter",
  ],
  [
    "embedding.pt",
    tensors({ emb_params: [1, 768] }),
    "it is a textual inversion, which is used as it is, from the folder embeddings of a model",
  ],
  [
    "resnet.pth",
    tensors({ "fc.weight": [2, 2] }),
    "its tensors are of no network known here (the first of 1 is fc.weight)",
  ],
  ["none.safetensors", tensors({}), "it holds no tensors"],
  [
    "cut.safetensors",
    whole.subarray(0, whole.length - 100),
    "tensor conv_in.weight ends at byte",
  ],
  [
    "cut-early.safetensors",
    whole.subarray(0, 40),
    "its header would be 75 bytes long, the file is 40; it is no safetensors file, or cut short",
  ],
  [
    "page.safetensors",
    text("<!DOCTYPE html>\n<title>404</title>"),
    "it is a web page (a failed download?)",
  ],
  [
    "error.safetensors",
    text('{"error":"Repository not found"}'),
    "it is JSON text (an error message, or an index?)",
  ],
  [
    "pointer.safetensors",
    text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    "it is a Git LFS pointer",
  ],
  ["empty.safetensors", new Uint8Array(0), "it is empty"],
];

Deno.test("refusals: files", async (t) => {
  const folder = await Deno.makeTempDir();
  const output = `${folder}/out`;
  for (const [name, bytes, message] of FILES) {
    await t.step(name, async () => {
      const path = `${folder}/${name}`;
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(
        () => convert({ inputs: [path], output, dtype: "f16" }),
        MasterWeaverError,
      );
      assertEquals(error.code, "bad-checkpoint");
      assertStringIncludes(error.message, `Cannot use ${path}: ${message}`);
      assertStringIncludes(
        error.message,
        /cut/.test(name) ? "download" : "expected",
      );
    });
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("refusals: a torch zip whose download was interrupted", async () => {
  const folder = await Deno.makeTempDir();
  const fixture = await Deno.readFile(
    new URL("./fixtures/torch/values.pt", import.meta.url),
  );
  const path = `${folder}/half.ckpt`;
  await Deno.writeFile(path, fixture.subarray(0, fixture.length / 2));
  await assertRejects(
    () => convert({ inputs: [path], output: `${folder}/out`, dtype: "f16" }),
    MasterWeaverError,
    "the file is damaged or cut short: download it again",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("refusals: folders with nothing in them", async () => {
  const folder = await Deno.makeTempDir();
  const attempt = () =>
    convert({ inputs: [folder], output: `${folder}-out`, dtype: "f16" });
  for (const file of [null, "notes.txt", "model_index.json"]) {
    if (file !== null) await Deno.writeTextFile(`${folder}/${file}`, "{}");
    const error = await assertRejects(
      attempt,
      MasterWeaverError,
      `Cannot use ${folder}: nothing in it can be converted`,
    );
    assertEquals(error.code, "bad-checkpoint");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("refusals: folders of other models", async (t) => {
  const folder = await makeFolder();
  const attempt = () =>
    convert({
      inputs: [folder.path],
      output: `${folder.path}/out`,
      dtype: "f16",
    });
  for (
    const pipeline of [
      "StableDiffusionXLPipeline",
      "StableDiffusionDepth2ImgPipeline",
    ]
  ) {
    await t.step(pipeline, async () => {
      await folder.write("model_index.json", { _class_name: pipeline });
      await assertRejects(
        attempt,
        MasterWeaverError,
        `it is a ${pipeline}, expected a StableDiffusionPipeline`,
      );
    });
  }
  await folder.write("model_index.json", {});
  const configs: [object, string][] = [
    [{ in_channels: 5 }, "its in_channels is 5, expected 4"],
    [{ use_linear_projection: true }, "Stable Diffusion 2 has true"],
    [{ addition_embed_type: "text_time" }, "Stable Diffusion XL has one"],
  ];
  for (const [change, message] of configs) {
    await t.step(message, async () => {
      await folder.write("unet/config.json", { ...UNET, ...change });
      await assertRejects(attempt, MasterWeaverError, message);
    });
  }
  await Deno.remove(folder.path, { recursive: true });
});

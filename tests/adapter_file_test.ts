/**
 * Files that are given as an adapter and are something else.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import { diffusersLora, kohyaLora } from "../src/checkpoints/lora_file.ts";
import { writeSafetensors } from "../src/checkpoints/safetensors_writer.ts";
import { otherAdapterFile } from "../src/host/adapter_file.ts";
import { openModelFolder } from "../src/host/files.ts";
import { openModel } from "../tools/train/model.ts";
import { filesWithAdapter } from "../tools/convert/adapter_files.ts";
import { inFolder } from "./support/file_systems.ts";
import { repositoryPath } from "./support/paths.ts";

const MODEL = repositoryPath("weights/mini");

const layer = {
  path: "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
  shape: [4, 4],
  rank: 1,
  alpha: 1,
  down: new Float32Array(4),
  up: new Float32Array(4),
};

async function safetensors(
  path: string,
  { tensors, metadata }: ReturnType<typeof kohyaLora>,
): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  await writeSafetensors(
    async (bytes) => {
      await file.write(bytes);
    },
    tensors,
    "F32",
    metadata,
  );
}

Deno.test("adapter file: a LoRA and a PyTorch file are recognised, and nothing else is", async () => {
  const is = (...bytes: number[]) =>
    otherAdapterFile(new MemorySource(Uint8Array.from(bytes), "a"));
  assertEquals(await is(0x50, 0x4b, 3, 4, 0), "a PyTorch file");
  assertEquals(await is(0x80, 2, 0x8a), "a PyTorch file");
  assertEquals(await is(), undefined);
  assertEquals(await is(...new Array(8).fill(0), 0x7b), undefined);
  const weave = await Deno.readFile(`${MODEL}/identity_adapter.weave`);
  const source = new MemorySource(weave, "a.weave");
  assertEquals(await otherAdapterFile(source), undefined);
});

Deno.test("adapter file: who gives one is told what it is and what takes it", () =>
  inFolder(async (folder) => {
    const torch = `${folder}/adapter_final.pt`;
    await Deno.writeFile(torch, Uint8Array.of(0x50, 0x4b, 3, 4, 0));
    const refused = (work: () => Promise<unknown>, says: string) =>
      assertRejects(work, MasterWeaverError, says);
    await refused(
      () => openModelFolder(MODEL, torch),
      "it is a PyTorch file; use the .weave that training wrote beside it, or convert it with tools/convert.ts",
    );
    const forms = {
      kohya: kohyaLora([layer]),
      diffusers: diffusersLora([layer]),
    };
    for (const [name, content] of Object.entries(forms)) {
      const lora = `${folder}/${name}.safetensors`;
      await safetensors(lora, content);
      await refused(
        () => openModelFolder(MODEL, lora),
        "it is a LoRA, not an adapter; give it with --lora",
      );
      const says =
        "it is a LoRA, not an adapter; expected adapter_….weave or .pt";
      await refused(() => openModel(MODEL, lora, "f32"), says);
      await refused(async () => {
        await using stack = new AsyncDisposableStack();
        const model = stack.use(await openModelFolder(MODEL));
        await filesWithAdapter(model, lora, stack);
      }, says);
    }
  }));

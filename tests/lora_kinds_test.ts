/**
 * LoRAs of every naming and kind: what diffusers, peft and LyCORIS make of the
 * text encoder and the UNet, one after the other on networks that stay loaded.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { planReconversion } from "../src/checkpoints/reconversion.ts";
import { type Components, componentsOf } from "../src/components/networks.ts";
import { MemorySource } from "../src/base/bytes.ts";
import { adaptComponents, type AppliedLora } from "../src/generate/loras.ts";
import { changed } from "../src/weights/deltas.ts";
import type { ModelDtype } from "../src/weights/quantisation_policy.ts";
import { openWeave, type WeaveFile } from "../src/weights/weave.ts";
import { nmse } from "./support/compare.ts";
import { fold } from "./support/fold.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  applied,
  caseFile,
  caseLora,
  goldenPixels,
  LoraBench,
  loraCases,
  loraGoldens,
  openLora,
} from "./support/loras.ts";
import { miniComponents } from "./support/model.ts";
import { weaveBytes } from "./support/weights.ts";

const BLOCK = "mid_block.attentions.0.transformer_blocks.0";

/** A component's file, stored as another type. */
async function stored(file: WeaveFile, dtype: ModelDtype): Promise<WeaveFile> {
  const { config, component } = file;
  const { tensors } = planReconversion(file, dtype);
  const bytes = await weaveBytes({ component, config, tensors });
  return await openWeave(new MemorySource(bytes, `${component}-${dtype}`));
}

/** The mini model with its UNet and text encoder as q8, for both to have branches. */
async function quantised(dtype: ModelDtype): Promise<Components> {
  const parts = await miniComponents;
  const files = new Map(
    Object.values(parts).map(({ file }) => [file.component, file]),
  );
  for (const { file } of [parts.unet, parts.text]) {
    files.set(file.component, await stored(file, dtype));
  }
  return componentsOf((name) => files.get(name)!);
}

/** The same values as f32: what a network of quantised weights computes without a branch. */
function asFloats(parts: Components): Components {
  const files = new Map(
    Object.values(parts).map(({ file }) => [file.component, file]),
  );
  for (const { file } of [parts.unet, parts.text]) {
    const tensors = new Map(
      [...file.tensors].map(([name, tensor]) => [name, changed(tensor, [])]),
    );
    files.set(file.component, { ...file, tensors });
  }
  return componentsOf((name) => files.get(name)!);
}

async function lorasOf(name: string): Promise<AppliedLora[]> {
  if (name === "both") {
    return [
      applied(await caseLora("kohya"), 0.8),
      applied(await caseLora("loha"), -0.5),
    ];
  }
  return [applied(await caseLora(name), loraCases[name].scale)];
}

for (const [storage, limit] of [["f32", 1e-8], ["f16", 1e-4]] as const) {
  gpuTest(
    `loras, ${storage}: as PyTorch, all kinds one after the other`,
    async () => {
      using bench = await LoraBench.make(
        storage,
        await miniComponents,
      );
      const plain = await bench.eps([]);
      for (const name of [...Object.keys(loraCases), "both"]) {
        const loras = await lorasOf(name);
        const expected = goldenPixels(`${name}.eps`);
        const error = nmse(await bench.eps(loras), expected);
        assert(error <= limit, `${name}: NMSE ${error}`);
        const effect = nmse(plain, expected);
        assert(effect > 10 * error, `${name} changes nothing: ${effect}`);

        const hidden = loraGoldens.get(`${name}.hidden`);
        if (!hidden) continue;
        const found = fold(await bench.hidden(loras), 256);
        const textError = nmse(found, hidden.data);
        assert(textError <= limit, `${name}: NMSE ${textError} of the text`);
      }
      // Without a LoRA again, it is the file's own network, to the bit.
      assertEquals(await bench.eps([]), plain);
    },
  );
}

for (const dtype of ["q8", "q4"] as const) {
  gpuTest(
    `loras on ${dtype}: as the sum with what is stored, in f32`,
    async () => {
      const components = await quantised(dtype);
      using plain = await LoraBench.make("f32", asFloats(components));
      using branched = await LoraBench.make("f32", components);
      using half = await LoraBench.make("f16", components);
      for (
        const name of dtype === "q8" ? ["loha", "lokr", "both"] : ["kohya"]
      ) {
        const loras = await lorasOf(name);
        const merged = await plain.eps(loras);
        const error = nmse(await branched.eps(loras), merged);
        assert(error <= 1e-8, `${name}: NMSE ${error}`);
        const inHalf = nmse(await half.eps(loras), merged);
        assert(inHalf <= 1e-4, `${name}: NMSE ${inHalf} in f16`);
        const effect = nmse(await plain.eps([]), merged);
        assert(effect > 10 * inHalf, `${name} changes nothing: ${effect}`);
      }
      const loras = await lorasOf("kohya");
      const text = nmse(await half.hidden(loras), await plain.hidden(loras));
      assert(text <= 1e-4, `NMSE ${text} of the text`);
    },
  );
}

Deno.test("loras on q8: a branch where it takes less memory, else the weight as floats", async () => {
  const components = await quantised("q8");
  const adapted = (loras: AppliedLora[]) => {
    const { unet } = adaptComponents(components, loras).components;
    const names = [...unet.file.tensors.keys()];
    const floats = names.filter((name) =>
      unet.file.tensors.get(name) !== components.unet.file.tensors.get(name)
    );
    const branches = names.filter((name) => unet.weights.branch(name));
    return { unet, floats, branches };
  };
  // Stored as q8, a LoRA's layers have branches.
  const linear = `${BLOCK}.attn1.to_q.weight`;
  const both = adapted(await lorasOf("both"));
  assert(both.branches.includes(linear), both.branches.join());
  assertEquals(both.unet.weights.branch(linear)?.rank, 4);
  assertEquals(both.floats, []);
  // A LoHa's rank is a product, and Kronecker products have none.
  const lokr = await lorasOf("lokr");
  const { unet } = adapted(lokr);
  assertEquals(unet.weights.branch(linear), undefined);
  assertEquals(unet.file.tensors.get(linear)?.dtype, "f32");
  // Together each layer is one or the other.
  const all = adapted([...await lorasOf("both"), ...lokr]);
  assert(all.floats.includes(linear), all.floats.join());
  assert(all.branches.length > 0);
  assertEquals(
    all.floats.filter((name) => all.branches.includes(name)),
    [],
  );
});

for (const storage of ["f32", "f16"] as const) {
  gpuTest(
    `loras, ${storage}: switched to the bit, and only what changes is streamed`,
    async () => {
      const components = await miniComponents;
      using bench = await LoraBench.make(storage, components);
      const bytes: number[] = [];
      const run = async (loras: AppliedLora[]) => {
        let total = 0;
        const eps = await bench.eps(loras, (_, all) => total = all);
        bytes.push(total);
        return eps;
      };
      const [one, two] = [await lorasOf("kohya"), await lorasOf("both")];
      const plain = await run([]);
      const found = [await run(one), await run(two), await run(one)];
      assertEquals(await run(one), found[2], "again the same");
      assertEquals(await run([]), plain);
      assertEquals(found[0], found[2]);
      const [whole, ...switches] = bytes;
      // The same LoRA again streams nothing, and others a part of the network.
      assertEquals(switches[3], 0);
      for (const part of switches.toSpliced(3, 1)) {
        assert(part > 0 && part < whole, `${part} of ${whole} bytes`);
      }
      for (const [i, loras] of [one, two].entries()) {
        using fresh = await LoraBench.make(storage, components);
        assertEquals(await fresh.eps(loras), found[i]);
      }
    },
  );
}

gpuTest("loras: what a stop left unwritten is written again", async () => {
  using bench = await LoraBench.make("f32", await miniComponents);
  const stop = new MasterWeaverError("aborted", "Stopped");
  const bytes = new MemorySource(caseFile("kohya"), "kohya.safetensors");
  let left = Infinity;
  const lora = await openLora({
    name: bytes.name,
    size: bytes.size,
    read(offset, length) {
      if (--left < 0) throw stop;
      return bytes.read(offset, length);
    },
  }, loraCases.kohya.config);
  const loras = [applied(lora)];
  const plain = await bench.eps([]);
  const changed = await bench.eps(loras);
  // In the first weight, and between weights: a layer is read in two parts.
  for (const reads of [1, 2, 4]) {
    assertEquals(await bench.eps([]), plain);
    left = reads;
    await assertRejects(() => bench.eps(loras), MasterWeaverError, "Stopped");
    left = Infinity;
    assertEquals(await bench.eps(loras), changed, `after ${reads} reads`);
  }
});

gpuTest(
  "loras: a scale of zero, and a LoRA taken away again, change nothing",
  async () => {
    using bench = await LoraBench.make("f32", await miniComponents);
    const plain = await bench.eps([]);
    const [{ lora }] = await lorasOf("kohya");
    assertEquals(await bench.eps([applied(lora, 0)]), plain);
    // Added and taken away, all but rounding is gone.
    const both = await bench.eps([applied(lora, 2), applied(lora, -2)]);
    assert(nmse(both, plain) < 1e-12);
  },
);

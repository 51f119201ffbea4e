/**
 * Tensors that no network has: known leftovers, and unknown ones.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { convert, main } from "../tools/convert.ts";
import { makeFolder } from "./support/checkpoint_folder.ts";
import { rawSafetensors } from "./support/weights.ts";

const one = { shape: [1], data: [1] };

/** Leftovers seen in checkpoints, and the reason reported for each. */
const leftovers: [string, RegExp][] = [
  ["v_pred", /predicts velocity/],
  ["global_step", /counters/],
  ["epoch", /counters/],
  ["iteration", /counters/],
  ["denoiser.sigmas", /noise schedule/],
  ["betas", /noise schedule/],
  ["alphas_cumprod_prev", /noise schedule/],
  ["sqrt_one_minus_alphas_cumprod", /noise schedule/],
  ["logvar", /noise schedule/],
  ["embedding_manager.string_to_param_dict.*", /new word/],
  ["model_ema.decay", /running mean/],
  ["model_ema.num_updates", /running mean/],
  ["model_ema.diffusion_modelinput_blocks11norm", /running mean/],
  ["lora_unet_mid_block.lora_down.weight", /LoRA/],
  ["mid_block.attentions.0.to_q.lora_layer.up.weight", /LoRA/],
  ["text_model.embeddings.position_ids", /in order/],
  ["optimizer_states.0.exp_avg", /training/],
];

Deno.test("leftovers: each is left out and reported, without any flag", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  for (const [name, reason] of leftovers) {
    await folder.write("unet/model.safetensors", {
      ...folder.tensors.unet,
      [name]: one,
    });
    const lines: string[] = [];
    const [{ dropped }] = await convert({
      inputs: [`${folder.path}/unet`],
      output,
      dtype: "f16",
      report: (line) => lines.push(line),
    });
    assertEquals(Object.values(dropped), [1], name);
    assert(reason.test(Object.keys(dropped)[0]), Object.keys(dropped)[0]);
    const isWarned = lines.some((line) => line.startsWith("Warning: "));
    assertEquals(isWarned, /v_pred|lora/.test(name), name);
  }
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("leftovers: a network's file is recognised by its own tensors first", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await folder.write("unet/all.safetensors", {
    ...folder.tensors.unet,
    ...Object.fromEntries(leftovers.map(([name]) => [name, one])),
    emb_params: one,
  });
  const attempt = (allowUnused: boolean) =>
    convert({
      inputs: [`${folder.path}/unet/all.safetensors`],
      output,
      dtype: "f16",
      allowUnused,
    });
  await assertRejects(
    () => attempt(false),
    MasterWeaverError,
    "1 unused: emb_params; --allow-unused leaves them out",
  );
  const [{ tensors, dropped }] = await attempt(true);
  assertEquals(tensors, Object.keys(folder.tensors.unet).length);
  assertEquals(dropped["as asked for, 1 not known here: emb_params"], 1);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("leftovers: unknown tensors are refused, or left out with --allow-unused", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  await folder.write("vae/model.safetensors", {
    ...folder.tensors.vae,
    "decoder.extra.weight": one,
    "decoder.extra.bias": one,
  });
  const command = [`${folder.path}/vae`, "--output", output, "--quiet"];
  assertEquals(await main(command), 1);
  assertEquals(await main([...command, "--allow-unused"]), 0);
  // It leaves nothing out that is needed.
  const { "decoder.conv_in.bias": _, ...rest } = folder.tensors.vae;
  await folder.write("vae/model.safetensors", { ...rest, extra: one });
  const error = await assertRejects(
    () =>
      convert({
        inputs: [`${folder.path}/vae`],
        output,
        dtype: "f16",
        allowUnused: true,
      }),
    MasterWeaverError,
    "1 missing: decoder.conv_in.bias",
  );
  assert(!error.message.includes("--allow-unused"));
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("leftovers: weights that another tensor scales are refused", async () => {
  const folder = await makeFolder();
  for (const name of ["scaled_fp8", "conv_in.scale_weight"]) {
    await folder.write("unet/model.safetensors", {
      ...folder.tensors.unet,
      [name]: one,
    });
    await assertRejects(
      () =>
        convert({
          inputs: [`${folder.path}/unet`],
          output: `${folder.path}/out`,
          dtype: "f16",
          allowUnused: true,
        }),
      MasterWeaverError,
      `its weights are scaled (it has ${name})`,
    );
  }
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("leftovers: a network in 8-bit floats is converted", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  let end = 0;
  const header: Record<string, unknown> = {};
  const codes: number[] = [];
  for (const [name, { shape, data }] of Object.entries(folder.tensors.vae)) {
    header[name] = {
      dtype: "F8_E4M3",
      shape,
      data_offsets: [end, end += data.length],
    };
    // From 2⁻⁶ to 448, of both signs.
    codes.push(...data.map((_, i) => (i % 2) << 7 | 8 + i % 119));
  }
  await Deno.writeFile(
    `${folder.path}/vae/model.safetensors`,
    rawSafetensors(header, Uint8Array.from(codes)),
  );
  const [{ maxRoundingError, tensors }] = await convert({
    inputs: [`${folder.path}/vae`],
    output,
    dtype: "f16",
  });
  assertEquals(tensors, Object.keys(folder.tensors.vae).length);
  assertEquals(maxRoundingError, 0); // every one of them is an f16
  await Deno.remove(folder.path, { recursive: true });
});

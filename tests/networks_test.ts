/**
 * Every network against PyTorch, on the mini model: f32 within NMSE 1e-8, f16
 * within 1e-4 (DESIGN: rounding of storage, not of arithmetic).
 */
import { assert, assertEquals } from "@std/assert";
import { MemorySource } from "../src/base/bytes.ts";
import type { StorageType } from "../src/gpu/gpu.ts";
import { argmax } from "../src/ops/argmax.ts";
import { openSafetensors } from "../src/checkpoints/safetensors.ts";
import { nmse } from "../tools/compare/measures.ts";
import {
  NETWORKS,
  type Pass,
  passOf,
  unetPass,
} from "../tools/compare/passes.ts";
import {
  compareWithReference,
  LIMITS,
  passesIn,
} from "../tools/compare/reference.ts";
import { runPass } from "../tools/compare/run.ts";
import { channelsLast, type Values, zeros } from "../tools/compare/values.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { fold, FOLDED } from "./support/fold.ts";
import { miniComponents } from "./support/model.ts";
import { networkGoldens, oddGoldens } from "./support/network_goldens.ts";
import { safetensorsFile } from "./support/safetensors.ts";

const goldens = await networkGoldens();

/** What an output should be. */
interface Expected extends Values {
  /** Whether these are the sums of its values (`fold.ts`), not the values. */
  readonly folded?: boolean;
}

/** A golden as it is. */
function plain(name: string): Values {
  const found = goldens.get(name);
  assert(found, `goldens have no ${name}`);
  const { shape, data } = found;
  return {
    shape,
    data: data instanceof Float32Array ? data : Uint32Array.from(data),
  };
}

/** A golden image (B, C, H, W) as (B, H, W, C). */
function output(name: string): Values {
  return channelsLast(plain(name));
}

/** The same, its channels filled up to four. */
function input(name: string): Values {
  return channelsLast(plain(name), 4);
}

/** Runs a pass on inputs and compares every expected output; folded ones are folded. */
async function check(
  storage: StorageType,
  pass: Pass,
  inputs: Readonly<Record<string, Values>>,
  expected: Readonly<Record<string, Expected>>,
): Promise<void> {
  const { outputs } = await runPass(
    { gpu: await sharedGpu(), storage },
    pass,
    await miniComponents,
    new Map(Object.entries(inputs)),
  );
  for (const [name, want] of Object.entries(expected)) {
    const { data } = outputs.get(name)!;
    const error = nmse(want.folded ? fold(data) : data, want.data);
    assert(
      error <= LIMITS[storage],
      `${name}: NMSE ${error}, at most ${LIMITS[storage]}`,
    );
  }
}

for (const storage of ["f32", "f16"] as const) {
  gpuTest(
    `text tower, ${storage}: last hidden state of three prompts`,
    () =>
      check(storage, passOf("text.last_hidden_state")!, {
        "text.input_ids": plain("text.input_ids"),
      }, {
        "text.last_hidden_state": plain("text.last_hidden_state"),
      }),
  );

  gpuTest(`vision tower, ${storage}: penultimate features`, async () => {
    const pass = passOf("vision.penultimate")!;
    await check(storage, pass, {
      "vision.pixel_values": input("vision.pixel_values"),
    }, {
      "vision.penultimate": plain("vision.penultimate"),
    });
    await check(storage, pass, {
      "vision.pixel_values": zeros(1, 112, 112, 4),
    }, {
      "vision.penultimate": plain("vision.penultimate_of_zeros"),
    });
  });

  gpuTest(
    `IDResampler, ${storage}: tokens of two faces`,
    () =>
      check(storage, passOf("id_encoder.output")!, {
        "id_encoder.input": plain("vision.penultimate"),
      }, {
        "id_encoder.output": plain("id_encoder.output"),
      }),
  );

  for (const image of ["unet", "unet_wide"]) {
    const scales = [
      ["text only", null, "eps_text_only"],
      ["identity 1", 1, "eps"],
      ["identity 0.6", 0.6, "eps_id_scale_0.6"],
    ] as const;
    for (const [title, scale, name] of scales) {
      gpuTest(
        `${image}, ${storage}: ${title}`,
        () => checkUnet(storage, image, scale, name),
      );
    }
  }

  gpuTest(`VAE decoder, ${storage}: square and odd latents`, async () => {
    for (const suffix of ["", "_wide"]) {
      await check(storage, passOf("vae.decoded")!, {
        "vae.latents": input(`vae.latents${suffix}`),
      }, {
        "vae.decoded": output(`vae.decoded${suffix}`),
      });
    }
  });

  gpuTest(
    `VAE encoder, ${storage}: mean and log-variance`,
    () =>
      check(storage, passOf("vae.mean")!, {
        "vae.image": input("vae.image"),
      }, {
        "vae.mean": output("vae.mean"),
        "vae.logvar": output("vae.logvar"),
      }),
  );

  gpuTest(
    `BiSeNet, ${storage}: scores of 19 classes`,
    () =>
      check(storage, passOf("face_parser.logits")!, {
        "face_parser.input": input("face_parser.input"),
      }, {
        "face_parser.logits": output("face_parser.logits"),
      }),
  );
}

for (const storage of ["f32", "f16"] as const) {
  // From tools/reference/networks.py --latent 9x14: no level is even.
  gpuTest(
    `odd sizes, ${storage}: UNet and VAE of a 56×36 picture`,
    async () => {
      const file = safetensorsFile(await oddGoldens());
      const reference = await openSafetensors(
        new MemorySource(file, "odd_sizes"),
      );
      const errors = await compareWithReference(
        { gpu: await sharedGpu(), storage },
        await miniComponents,
        reference,
        passesIn(reference, NETWORKS),
        () => {},
      );
      assertEquals(errors.map(({ output }) => output), [
        "unet.eps_text_only",
        "unet.eps",
        "vae.decoded",
        "vae.mean",
        "vae.logvar",
      ]);
      for (const { output, nmse } of errors) {
        assert(nmse <= LIMITS[storage], `${output}: NMSE ${nmse}`);
      }
    },
  );
}

gpuTest("BiSeNet: every pixel's class is PyTorch's", async () => {
  const scores = passOf("face_parser.logits")!;
  const pass: Pass = {
    ...scores,
    build(g, ...rest) {
      scores.build(g, ...rest);
      const x = g.outputs.get("face_parser.logits")!;
      g.output("classes", g.apply(argmax, { x }, {}));
    },
  };
  const { outputs } = await runPass(
    { gpu: await sharedGpu(), storage: "f32" },
    pass,
    await miniComponents,
    new Map([["face_parser.input", input("face_parser.input")]]),
  );
  const classes = outputs.get("classes")!.data;
  const expected = plain("face_parser.classes").data;
  const wrong = Array.from(classes).reduce(
    (count, found, i) => count + Number(found !== expected[i]),
    0,
  );
  assert(wrong === 0, `${wrong} of ${classes.length} classes differ`);
});

async function checkUnet(
  storage: StorageType,
  image: string,
  scale: number | null,
  name: string,
): Promise<void> {
  // Results of blocks, and the features of the editing loss, once.
  const withLayers = image === "unet" && scale === 1;
  const named = withLayers ? { ...layers(), ...features() } : {};
  await check(storage, withNamed(unetPass(scale, "eps"), Object.keys(named)), {
    "unet.text": plain(`${image}.text`),
    "unet.id": plain(`${image}.id`),
    "unet.sample": input(`${image}.sample`),
    "unet.timesteps": plain(`${image}.timesteps`),
  }, { eps: output(`${image}.${name}`), ...named });
}

/** A pass that also gives tensors that its network names. */
function withNamed(pass: Pass, names: readonly string[]): Pass {
  return {
    ...pass,
    build(g, ...rest) {
      pass.build(g, ...rest);
      for (const name of names) g.output(name, g.named.get(name)!);
    },
  };
}

/** Features of the editing loss, by path. */
function features(): Record<string, Expected> {
  return Object.fromEntries([0, 1].map((i) => [
    `up_blocks.1.attentions.${i}.transformer_blocks.0.attn2.text`,
    folded(`unet.edit_feature_${i}${FOLDED}`),
  ]));
}

/** Results of blocks, by path. */
function layers(): Record<string, Expected> {
  const prefix = "unet.layer.";
  const found = [...goldens.keys()].filter((name) => name.startsWith(prefix));
  assertEquals(found.length, 8);
  return Object.fromEntries(
    found.map((name) => [name.slice(prefix.length, -FOLDED.length), name])
      .map(([path, name]) => [path, folded(name)]),
  );
}

function folded(name: string): Expected {
  return { ...plain(name), folded: true };
}

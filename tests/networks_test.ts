/**
 * Every network against PyTorch, on the mini model: f32 within NMSE 1e-8, f16
 * within 1e-4 (DESIGN: rounding of storage, not of arithmetic).
 */
import { assert } from "@std/assert";
import type { Real } from "../src/gpu/gpu.ts";
import { Graph, type Tensor } from "../src/graph/graph.ts";
import { Plan } from "../src/graph/plan.ts";
import { WeightStore } from "../src/graph/weight_store.ts";
import { bisenet, faceParserConfig } from "../src/models/bisenet.ts";
import {
  clipText,
  clipTextConfig,
  clipVision,
  clipVisionConfig,
} from "../src/models/clip.ts";
import { identityConfig, idResampler } from "../src/models/id_resampler.ts";
import { crossKeys, unet, unetConfig } from "../src/models/unet.ts";
import { vaeConfig, vaeDecode, vaeEncode } from "../src/models/vae.ts";
import { argmax } from "../src/ops/outputs.ts";
import { WeightScope } from "../src/weights/scope.ts";
import type { ComponentName } from "../src/components.ts";
import { nmse } from "./support/compare.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponent, repositoryPath } from "./support/model.ts";
import { readSafetensors } from "./support/safetensors.ts";

const goldens = await readSafetensors(
  repositoryPath("tests/goldens/networks.safetensors"),
);

function golden(name: string) {
  const found = goldens.get(name);
  assert(found, `goldens have no ${name}`);
  return found;
}

/** (B, C, H, W) to (B, H, W, C + extra), the extra channels zero. */
function channelsLast(name: string, extra = 0): Float32Array {
  const { shape: [batch, channels, height, width], data } = golden(name);
  const pixels = height * width;
  const wide = channels + extra;
  const out = new Float32Array(batch * pixels * wide);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < pixels; i++) {
        out[(b * pixels + i) * wide + c] =
          data[(b * channels + c) * pixels + i];
      }
    }
  }
  return out;
}

function plain(name: string): Float32Array {
  return Float32Array.from(golden(name).data);
}

const tolerance: Readonly<Record<Real, number>> = { f32: 1e-8, f16: 1e-4 };

interface Run {
  readonly inputs: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly expected: Readonly<Record<string, Float32Array>>;
}

/** Builds a graph, runs it on the inputs and compares every expected output. */
async function check(
  real: Real,
  build: (g: Graph) => void,
  { inputs, expected }: Run,
): Promise<void> {
  const gpu = await sharedGpu();
  const g = new Graph(real);
  build(g);
  using store = new WeightStore(gpu, real);
  await store.load(g.weights);
  using plan = await Plan.make(gpu, g, { weights: [store] });
  for (const [name, data] of Object.entries(inputs)) plan.write(name, data);
  plan.run();
  const found = await plan.read(...Object.keys(expected));
  for (const [name, want] of Object.entries(expected)) {
    const error = nmse(found[name], want);
    assert(
      error <= tolerance[real],
      `${name}: NMSE ${error}, at most ${tolerance[real]}`,
    );
  }
}

async function scope(name: ComponentName) {
  const file = await miniComponent(name);
  return { w: new WeightScope(file), config: file.config };
}

for (const real of ["f32", "f16"] as const) {
  gpuTest(
    `text tower, ${real}: last hidden state of three prompts`,
    async () => {
      const { w, config } = await scope("text_encoder");
      await check(real, (g) => {
        const ids = g.input("ids", [3, 77], "u32");
        g.output(
          "y",
          clipText(ids, w.at("text_model"), clipTextConfig(config)),
        );
      }, {
        inputs: { ids: Uint32Array.from(golden("text.input_ids").data) },
        expected: { y: plain("text.last_hidden_state") },
      });
    },
  );

  gpuTest(`vision tower, ${real}: penultimate features`, async () => {
    const { w, config } = await scope("image_encoder");
    const build = (batch: number) => (g: Graph) => {
      const pixels = g.input("pixels", [batch, 112, 112, 4], real);
      g.output(
        "y",
        clipVision(pixels, w.at("vision_model"), clipVisionConfig(config)),
      );
    };
    await check(real, build(2), {
      inputs: { pixels: channelsLast("vision.pixel_values", 1) },
      expected: { y: plain("vision.penultimate") },
    });
    await check(real, build(1), {
      inputs: { pixels: new Float32Array(112 * 112 * 4) },
      expected: { y: plain("vision.penultimate_of_zeros") },
    });
  });

  gpuTest(`IDResampler, ${real}: tokens of two faces`, async () => {
    const { w, config } = await scope("identity_adapter");
    await check(real, (g) => {
      const features = g.input("features", [2, 65, 128], real);
      const sizes = identityConfig(config);
      g.output("y", idResampler(features, w.at("id_encoder"), sizes, 128));
    }, {
      inputs: { features: plain("vision.penultimate") },
      expected: { y: plain("id_encoder.output") },
    });
  });

  for (const picture of ["unet", "unet_wide"]) {
    const scales = [
      ["text only", null, "eps_text_only"],
      ["identity 1", 1, "eps"],
      ["identity 0.6", 0.6, "eps_id_scale_0.6"],
    ] as const;
    for (const [title, scale, name] of scales) {
      gpuTest(
        `${picture}, ${real}: ${title}`,
        () => checkUnet(real, picture, scale, name),
      );
    }
  }

  gpuTest(`VAE decoder, ${real}: square and odd latents`, async () => {
    const { w, config } = await scope("vae");
    for (const suffix of ["", "_wide"]) {
      const { shape: [, , h, width] } = golden(`vae.latents${suffix}`);
      await check(real, (g) => {
        const latents = g.input("latents", [1, h, width, 4], real);
        g.output("y", vaeDecode(latents, w, vaeConfig(config)));
      }, {
        inputs: { latents: channelsLast(`vae.latents${suffix}`) },
        expected: { y: channelsLast(`vae.decoded${suffix}`) },
      });
    }
  });

  gpuTest(`VAE encoder, ${real}: mean and log-variance`, async () => {
    const { w, config } = await scope("vae");
    await check(real, (g) => {
      const picture = g.input("picture", [1, 128, 128, 4], real);
      const { mean, logvar } = vaeEncode(picture, w, vaeConfig(config));
      g.output("mean", mean);
      g.output("logvar", logvar);
    }, {
      inputs: { picture: channelsLast("vae.image", 1) },
      expected: {
        mean: channelsLast("vae.mean"),
        logvar: channelsLast("vae.logvar"),
      },
    });
  });

  gpuTest(`BiSeNet, ${real}: scores of 19 classes`, async () => {
    const { w, config } = await scope("face_parser");
    await check(real, (g) => {
      const pixels = g.input("pixels", [1, 256, 256, 4], real);
      g.output("y", bisenet(pixels, w, faceParserConfig(config)));
    }, {
      inputs: { pixels: channelsLast("face_parser.input", 1) },
      expected: { y: channelsLast("face_parser.logits") },
    });
  });
}

gpuTest("BiSeNet: every pixel's class is PyTorch's", async () => {
  const { w, config } = await scope("face_parser");
  const gpu = await sharedGpu();
  const g = new Graph("f32");
  const pixels = g.input("pixels", [1, 256, 256, 4], "f32");
  const scores = bisenet(pixels, w, faceParserConfig(config));
  g.output("classes", g.apply(argmax, { x: scores }, {}));
  using store = new WeightStore(gpu, "f32");
  await store.load(g.weights);
  using plan = await Plan.make(gpu, g, { weights: [store] });
  plan.write("pixels", channelsLast("face_parser.input", 1));
  plan.run();
  const { classes } = await plan.read("classes");
  const expected = golden("face_parser.classes").data;
  const wrong = Array.from(classes).reduce(
    (count, found, i) => count + Number(found !== expected[i]),
    0,
  );
  assert(wrong === 0, `${wrong} of ${classes.length} classes differ`);
});

async function checkUnet(
  real: Real,
  picture: string,
  scale: number | null,
  name: string,
): Promise<void> {
  const { w, config } = await scope("unet");
  const adapter = await scope("identity_adapter");
  const sizes = unetConfig(config);
  const [batch, , height, width] = golden(`${picture}.sample`).shape;
  // Results of blocks, and the features of the editing loss, once.
  const withLayers = picture === "unet" && scale === 1;
  const layers = withLayers ? layerNames() : [];
  const features = withLayers
    ? [0, 1].map((i) =>
      [
        `up_blocks.1.attentions.${i}.transformer_blocks.0.attn2.text`,
        plain(`unet.edit_feature_${i}`),
      ] as const
    )
    : [];
  await check(real, (g) => {
    const text = g.input("text", [batch, 77, 128], real);
    const identity = g.input("identity", [batch, 48, 128], real);
    const cross = (attention: Parameters<typeof crossKeys>[0]) =>
      scale === null
        ? crossKeys(attention, text, w)
        : crossKeys(attention, text, w, identity, adapter.w);
    const eps = unet(
      {
        sample: g.input("sample", [batch, height, width, 4], real),
        t: g.input("t", [batch], "f32"),
        cross,
        identityScale: scale === null ? undefined : g.input("s", [1], "f32"),
      },
      w,
      sizes,
    );
    g.output("eps", eps);
    const named = (key: string): Tensor => g.named.get(key)!;
    for (const layer of layers) g.output(layer, named(layer));
    for (const [path] of features) g.output(path, named(path));
  }, {
    inputs: {
      text: plain(`${picture}.text`),
      identity: plain(`${picture}.id`),
      sample: channelsLast(`${picture}.sample`),
      t: plain(`${picture}.timesteps`),
      ...(scale === null ? {} : { s: Float32Array.of(scale) }),
    },
    expected: {
      eps: channelsLast(`${picture}.${name}`),
      ...Object.fromEntries(
        layers.map((layer) => [layer, channelsLast(`unet.layer.${layer}`)]),
      ),
      ...Object.fromEntries(features),
    },
  });
}

/** Blocks the goldens hold; two are named there before their activation. */
function layerNames(): string[] {
  const prefix = "unet.layer.";
  return [...goldens.keys()].filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((name) => name !== "time_embedding" && name !== "conv_norm_out");
}

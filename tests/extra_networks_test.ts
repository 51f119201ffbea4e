/**
 * The tiny autoencoder, upscalers and the autoencoder's tiles against PyTorch: f32
 * within NMSE 1e-8, f16 within 1e-4. `tools/reference/tiles.py` made the goldens.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { STANDARD_TAESD_CONFIG } from "../src/checkpoints/tables/taesd.ts";
import { upscalerSizes } from "../src/checkpoints/tables/upscaler.ts";
import { recognise } from "../src/checkpoints/recognise.ts";
import { openUpscaler } from "../src/components/networks.ts";
import { encodeTileValues } from "../src/generate/encode_tiles.ts";
import {
  cutTile,
  decodingTiles,
  encodingTiles,
  TileBlender,
  tilePlaces,
} from "../src/generate/tiles.ts";
import type { StorageType } from "../src/gpu/limits.ts";
import { Graph } from "../src/graph/graph.ts";
import { Network } from "../src/graph/network.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { inputChannels, rrdbNet } from "../src/models/rrdbnet.ts";
import { taesdConfig, taesdDecode, taesdEncode } from "../src/models/taesd.ts";
import { vaeConfig, vaeDecode, vaeEncode } from "../src/models/vae.ts";
import { openComponent } from "../src/weights/components.ts";
import { LIMITS } from "../tools/compare/reference.ts";
import { channelsLast, type Values } from "../tools/compare/values.ts";
import { nmse } from "./support/compare.ts";
import { drawnValues } from "./support/drawn_weights.ts";
import {
  convertFiles,
  convertTiledVae,
  namesOnly,
  SMALL_TAESD,
  smallUpscaler,
  taesdTensors,
  upscalerTensors,
} from "./support/extra_networks.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";
import { readSafetensors } from "./support/safetensors.ts";

const goldens = await readSafetensors(
  repositoryPath("tests/goldens/tiles.safetensors"),
);

/** PyTorch's output (B, C, H, W) as (B, H, W, C). */
function golden(name: string): Values {
  const { shape, data } = goldens.get(name)!;
  return channelsLast({ shape, data: data as Float32Array });
}

/** Inputs that `tools/reference/tiles.py` draws, channels last. */
const LATENTS = 101, IMAGE = 102;
const latents = (height: number, width: number) =>
  channelsLast(drawnValues([1, 4, height, width], LATENTS, (x) => 2 * x));
const image = (height: number, width: number) =>
  channelsLast(drawnValues([1, 3, height, width], IMAGE), 4);

/** Runs a graph with one input. */
async function run(
  storage: StorageType,
  input: Values,
  build: (g: Graph, x: ReturnType<Graph["input"]>) => void,
  kept?: Network,
) {
  const gpu = await sharedGpu();
  const g = new Graph(storage);
  build(g, g.input("x", input.shape, storage));
  using own = new Network(gpu, false, new Tuner(gpu, "off"));
  const key = `${[...g.outputs.keys()]} ${input.shape}`;
  const plans = { plan: { key, graph: () => g } };
  return await (kept ?? own).use({ plans }, ({ plan }) => {
    plan.write("x", input.data);
    plan.run();
    return plan.read(...g.outputs.keys());
  });
}

function close(storage: StorageType, found: ArrayLike<number>, name: string) {
  const { data } = golden(name);
  assertEquals(found.length, data.length, name);
  const error = nmse(found, data);
  assert(error <= LIMITS[storage], `${name}, ${storage}: NMSE ${error}`);
}

const folderOf = (json: Record<string, unknown>) => ({
  "config.json": { _class_name: "AutoencoderTiny", ...json },
  "diffusion_pytorch_model.safetensors": taesdTensors(json),
});

const sizes = [
  ["taesd", SMALL_TAESD, [5, 7], [20, 28]],
  ["taesd_full", STANDARD_TAESD_CONFIG, [4, 3], [32, 24]],
] as const;
for (const [name, json, [h, w], [height, width]] of sizes) {
  gpuTest(
    `${name}: decodes and encodes as diffusers' AutoencoderTiny`,
    async () => {
      await using converted = await convertFiles(folderOf(json));
      const files = { taesd: converted.sources.get("taesd")! };
      const { weights, config } = await openComponent(
        files,
        "taesd",
        taesdConfig,
      );
      for (const storage of ["f32", "f16"] as const) {
        const { decoded } = await run(storage, latents(h, w), (g, x) => {
          g.output("decoded", taesdDecode(x, weights, config));
        });
        close(storage, decoded, `${name}.decoded`);
        const { encoded } = await run(storage, image(height, width), (g, x) => {
          g.output("encoded", taesdEncode(x, weights, config));
        });
        close(storage, encoded, `${name}.encoded`);
      }
      weights.finish();
    },
  );
}

for (const scale of [4, 2] as const) {
  gpuTest(`upscaler ×${scale}: as basicsr's RRDBNet`, async () => {
    await using converted = await convertFiles({
      "small.safetensors": upscalerTensors(scale),
    });
    const { weights, config } = await openUpscaler(
      converted.sources.get("upscaler")!,
    );
    assertEquals(config.scale, scale);
    const [height, width] = scale === 4 ? [6, 7] : [10, 8];
    const input = unshuffled(
      drawnValues([1, 3, height, width], IMAGE, (x) => x / 2 + 0.5),
      config.unshuffle,
    );
    assertEquals(input.shape[3], inputChannels(config));
    for (const storage of ["f32", "f16"] as const) {
      const { output } = await run(storage, input, (g, x) => {
        g.output("output", rrdbNet(x, weights, config));
      });
      close(storage, output, `upscaler_x${scale}.output`);
    }
  });
}

/** torch.nn.functional.pixel_unshuffle of (1, 3, H, W), channels last. */
function unshuffled({ shape, data }: Values, n: number): Values {
  const [, , height, width] = shape;
  const made = new Float32Array(data.length);
  const channels = 3 * n * n;
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const to = c * n * n + (y % n) * n + x % n;
        made[
          (to * (height / n) + Math.floor(y / n)) * (width / n) +
          Math.floor(x / n)
        ] = data[(c * height + y) * width + x];
      }
    }
  }
  const planes = { shape: [1, channels, height / n, width / n], data: made };
  return channelsLast(planes, 4);
}

gpuTest("VAE: tiles are blended as diffusers' enable_tiling does", async () => {
  await using converted = await convertTiledVae();
  const files = { vae: converted.sources.get("vae")! };
  const { weights, config } = await openComponent(files, "vae", vaeConfig);
  const gpu = await sharedGpu();
  // Tiles of one size have one plan.
  using decoder = new Network(gpu, true, new Tuner(gpu, "off"));
  using encoder = new Network(gpu, true, new Tuner(gpu, "off"));
  const tiles = decodingTiles(config.sampleSize, config.factor);
  const whole = { height: 13, width: 21 };
  const input = latents(13, 21).data as Float32Array;
  const found = new Float32Array(26 * 42 * 3);
  const blender = new TileBlender(
    tiles,
    { height: 26, width: 42 },
    3,
    (index, values) => found.set(values, index * 3),
  );

  for (const place of tilePlaces(whole, tiles)) {
    const { height, width } = place;
    const data = cutTile({ ...whole, data: input }, 4, place);
    const { decoded } = await run(
      "f32",
      { shape: [1, height, width, 4], data },
      (g, x) => g.output("decoded", vaeDecode(x, weights, config)),
      decoder,
    );
    blender.add(place, {
      height: 2 * height,
      width: 2 * width,
      data: Float32Array.from(decoded),
    });
  }
  close("f32", found, "vae.decoded");

  const rule = encodingTiles(config.sampleSize, config.factor);
  const pixels = { height: 26, width: 42, data: image(26, 42).data };
  const moments = await encodeTileValues(
    { ...pixels, data: pixels.data as Float32Array },
    rule,
    config,
    async (place, data) => {
      const { height, width } = place;
      const read = await run(
        "f32",
        { shape: [1, height, width, 4], data },
        (g, x) => {
          const { mean, logvar } = vaeEncode(x, weights, config);
          g.output("mean", mean);
          g.output("logvar", logvar);
        },
        encoder,
      );
      return {
        mean: Float32Array.from(read.mean),
        logvar: Float32Array.from(read.logvar),
      };
    },
  );
  const expected = golden("vae.moments").data;
  const both = new Float32Array(expected.length);
  for (let i = 0; i < expected.length / 8; i++) {
    both.set(moments.mean.subarray(i * 4, i * 4 + 4), i * 8);
    both.set(moments.logvar.subarray(i * 4, i * 4 + 4), i * 8 + 4);
  }
  close("f32", both, "vae.moments");
});

Deno.test("tiles: those of 1024 pixels lie as in diffusers", () => {
  const rule = decodingTiles(512, 8);
  assertEquals(rule, { size: 64, step: 48, blend: 128, kept: 384 });
  assertEquals(encodingTiles(512, 8), {
    size: 512,
    step: 384,
    blend: 16,
    kept: 48,
  });
  assertEquals(
    tilePlaces({ height: 64, width: 128 }, rule)
      .map(({ top, left, height, width }) => [top, left, height, width]),
    [
      [0, 0, 64, 64],
      [0, 48, 64, 64],
      [0, 96, 64, 32],
      [48, 0, 16, 64],
      [48, 48, 16, 64],
      [48, 96, 16, 32],
    ],
  );
});

Deno.test("convert: TAESD's first release has a file for each half", async () => {
  const all = taesdTensors(SMALL_TAESD);
  const half = (name: "encoder" | "decoder") =>
    Object.fromEntries(
      Object.entries(all).filter(([path]) => path.startsWith(name))
        .map(([path, tensor]) => [
          path.replace(
            /^\w+\.layers\.(\d+)/,
            (_, n) => String(Number(n) + (name === "decoder" ? 1 : 0)),
          ),
          tensor,
        ]),
    );
  const config = { "config.json": SMALL_TAESD };
  await using whole = await convertFiles(
    {
      ...config,
      "taesd_decoder.safetensors": half("decoder"),
      "taesd_encoder.safetensors": half("encoder"),
    },
    ["taesd_decoder.safetensors"],
  );
  await using decoder = await convertFiles(
    { ...config, "taesd_decoder.safetensors": half("decoder") },
    ["taesd_decoder.safetensors"],
  );
  const tensorsOf = async ({ sources }: typeof whole) => {
    const files = { taesd: sources.get("taesd")! };
    const { file } = await openComponent(files, "taesd", taesdConfig);
    return [...file.tensors.keys()];
  };
  assertEquals(new Set(await tensorsOf(whole)), new Set(Object.keys(all)));
  assertEquals(
    new Set(await tensorsOf(decoder)),
    new Set(Object.keys(all).filter((name) => name.startsWith("decoder"))),
  );
});

Deno.test("convert: an upscaler has the same weights in all its names", async () => {
  const contents: Uint8Array[] = [];
  for (const pick of [0, 1, 2]) {
    const tensors = upscalerTensors(
      4,
      (names) => names[Math.min(pick, names.length - 1)],
    );
    const prefix = pick === 0 ? "params_ema." : "";
    const named = Object.fromEntries(
      Object.entries(tensors).map(([name, value]) => [prefix + name, value]),
    );
    await using converted = await convertFiles({ "4x.safetensors": named });
    assertEquals([...converted.sources.keys()], ["upscaler"]);
    const { file } = await openUpscaler(converted.sources.get("upscaler")!);
    assertEquals(file.config, smallUpscaler(4));
    const first: Uint8Array[] = [];
    for await (const chunk of file.tensors.get("conv_hr.weight")!.chunks()) {
      first.push(Uint8Array.from(chunk));
    }
    assert(first[0].length > 0);
    contents.push(first[0]);
  }
  assertEquals(contents[1], contents[0]);
  assertEquals(contents[2], contents[0]);
});

Deno.test("convert: other upscalers are refused by name", () => {
  const of = (shapes: Record<string, readonly number[]>) =>
    assertThrows(() => recognise(namesOnly(shapes)), MasterWeaverError).message;
  assert(of({ "body.0.weight": [64, 3, 3, 3] }).includes("SRVGGNetCompact"));
  const gray = namesOnly({
    "conv_first.weight": [64, 1, 3, 3],
    "body.0.rdb1.conv1.weight": [32, 64, 3, 3],
  });
  const { message } = assertThrows(
    () => upscalerSizes(gray),
    MasterWeaverError,
  );
  assert(message.includes("has 1 channels, expected 3, 12 or 48"), message);
});

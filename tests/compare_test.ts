/**
 * The command that compares: against PyTorch's numbers, and conversions of one
 * model with each other.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FileSource } from "../src/host/files.ts";
import { openSafetensors } from "../src/checkpoints/safetensors.ts";
import { convert } from "../tools/convert.ts";
import { channelsLast, rows, type Values } from "../tools/compare/values.ts";
import {
  conversionTable,
  referenceTable,
  toText,
} from "../tools/compare/report.ts";
import { deno, finished } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import {
  changedModel,
  type WeaveHeader,
  withHeader,
} from "./support/model_folder.ts";
import { writeNetworkGoldens } from "./support/network_goldens.ts";
import { repositoryPath } from "./support/paths.ts";
import { safetensorsBytes } from "./support/weights.ts";

const mini = repositoryPath("weights/mini");
const goldens = await writeNetworkGoldens();
const conversions = await Deno.makeTempDir();
Deno.test.afterAll(async () => {
  await Deno.remove(goldens);
  await Deno.remove(conversions, { recursive: true });
});

const converted = new Map<string, Promise<string>>();

/** The mini model in another storage type, converted once for all tests. */
function conversion(dtype: "q8" | "q4"): Promise<string> {
  const made = converted.get(dtype) ?? (async () => {
    const output = `${conversions}/${dtype}`;
    await convert({ inputs: [mini], output, dtype });
    return output;
  })();
  converted.set(dtype, made);
  return made;
}

async function compare(...args: string[]) {
  const script = repositoryPath("tools/compare.ts");
  const { code, out, err } = await finished(
    deno(["run", "-A", script, ...args]),
  );
  return { code, out, err: err.join("\n") };
}

async function inFolder(work: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** An output of a network, as `--json` gives it. */
interface Compared {
  readonly network: string;
  readonly output: string;
  readonly nmse: number | null;
  readonly peakGpuBytes: number;
}

/** The resampler's input and output, one value of the output changed. */
async function resamplerReference(
  path: string,
  change: (output: number[]) => void,
): Promise<void> {
  await using file = await FileSource.open(goldens);
  const { tensors } = await openSafetensors(file);
  const read = async (name: string) => {
    const { shape, read } = tensors.get(name)!;
    const { buffer } = await read();
    return { shape: [...shape], data: [...new Float32Array(buffer)] };
  };
  const input = await read("vision.penultimate");
  const output = await read("id_encoder.output");
  change(output.data);
  const bytes = safetensorsBytes({
    "id_encoder.input": input,
    "id_encoder.output": output,
  });
  await Deno.writeFile(path, bytes);
}

gpuTest("compare: every network of the mini model is PyTorch's", async () => {
  const { code, out, err } = await compare(mini, "--with", goldens, "--json");
  assertEquals(code, 0, err);
  const { dtype, limit, errors } = JSON.parse(out);
  assertEquals([dtype, limit], ["f32", 1e-8]);
  assertEquals(errors.map(({ output }: Compared) => output), [
    "text.last_hidden_state",
    "vision.penultimate",
    "id_encoder.output",
    "unet.eps_text_only",
    "unet.eps",
    "vae.decoded",
    "vae.mean",
    "vae.logvar",
    "face_parser.logits",
  ]);
  for (const { output, nmse, peakGpuBytes } of errors as Compared[]) {
    // Sums in another order: never equal to the last bit.
    assert(nmse! > 0 && nmse! <= 1e-8, `${output}: ${nmse}`);
    assert(peakGpuBytes > 2 ** 20);
    assertStringIncludes(err, `${mini}: ${output} `);
  }
});

gpuTest("compare: a missed limit is an exit code", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/reference.safetensors`;
    const run = async (...more: string[]) => {
      const network = ["--network", "identity_encoder"];
      return await compare(mini, "--with", file, ...network, ...more);
    };
    await resamplerReference(file, (values) => {
      for (let i = 0; i < values.length; i++) values[i] *= 1.001;
    });
    const off = await run("--json");
    assertEquals(off.code, 1);
    const [{ nmse }] = JSON.parse(off.out).errors;
    // A thousandth off is (0.001 / 1.001)², whatever the values.
    assert(Math.abs(nmse / (0.001 / 1.001) ** 2 - 1) < 1e-3, `NMSE ${nmse}`);
    const text = await run("--quiet");
    assertEquals([text.code, text.err], [1, ""]);
    const [head, row] = text.out.split("\n");
    assert(/^network +output +NMSE +at most/.test(head), head);
    assert(
      /^identity_encoder +id_encoder.output +1.0e-6 +1.0e-8 +missed /.test(row),
      row,
    );

    await resamplerReference(file, (values) => values[7] = NaN);
    const broken = await run("--json");
    assertEquals(broken.code, 1);
    assertEquals(JSON.parse(broken.out).errors[0].nmse, null);
  });
});

gpuTest("compare: files that do not fit are refused", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/reference.safetensors`;
    await resamplerReference(file, () => {});
    const some = await compare(mini, "--with", file);
    assertEquals(some.code, 0);
    assertStringIncludes(some.err, `text_encoder: not in ${file}`);
    assertEquals(some.out.trim().split("\n").length, 2);

    const zeros = (...shape: number[]) => ({
      shape,
      data: new Array(shape.reduce((a, b) => a * b)).fill(0),
    });
    const cases: [string, Record<string, ReturnType<typeof zeros>>][] = [
      [
        "it has no inputs and outputs of identity_encoder",
        { "vae.latents": zeros(1, 4, 8, 8) },
      ],
      [
        "id_encoder.input is (2, 65, 64), the model takes (2, 65, 128)",
        {
          "id_encoder.input": zeros(2, 65, 64),
          "id_encoder.output": zeros(2, 16, 128),
        },
      ],
      [
        "id_encoder.input is (65, 128), the model takes 3 dimensions",
        {
          "id_encoder.input": zeros(65, 128),
          "id_encoder.output": zeros(2, 16, 128),
        },
      ],
      [
        "its id_encoder.output is (2, 8, 128), the model gives (2, 16, 128)",
        {
          "id_encoder.input": zeros(2, 65, 128),
          "id_encoder.output": zeros(2, 8, 128),
        },
      ],
    ];
    for (const [message, tensors] of cases) {
      await Deno.writeFile(file, safetensorsBytes(tensors));
      const { code, out, err } = await compare(
        mini,
        "--with",
        file,
        "--network",
        "identity_encoder",
      );
      assertEquals([code, out], [1, ""], err);
      assertStringIncludes(err, message);
    }
    const absent = await compare(mini, "--with", `${folder}/absent`);
    assertEquals(absent.code, 1);
    assertStringIncludes(absent.err, "no such file");
  });
});

gpuTest("compare: q8 is nearer than q4", async () => {
  const { code, out, err } = await compare(
    await conversion("q8"),
    await conversion("q4"),
    ...["--with", mini, "--pictures", "1", "--steps", "2", "--size", "64"],
    "--json",
  );
  assertEquals(code, 0, err);
  const { size, models: [q8, q4] } = JSON.parse(out);
  assertEquals(size, 64);
  const outputs: string[] = q8.networks.map(({ output }: Compared) => output);
  assertEquals(outputs.length, 9);
  for (const [i, output] of outputs.entries()) {
    const error = ({ networks }: { networks: Compared[] }) => networks[i].nmse!;
    if (/^id_encoder|^face_parser/.test(output)) {
      // Stored as f16 in every conversion.
      assertEquals([error(q8), error(q4)], [0, 0], output);
    } else if (output.startsWith("vae")) {
      // q8 in both.
      assert(error(q8) > 0 && error(q8) < 1e-4, output);
      assertEquals(error(q4), error(q8), output);
    } else {
      // About what the weights lose: 2.9e-5 and 6.6e-3.
      assert(error(q8) > 1e-7 && error(q8) < 1e-4, `${output} ${error(q8)}`);
      assert(error(q4) > 1e-4 && error(q4) < 3e-2, `${output} ${error(q4)}`);
    }
  }
  const [coarse, fine] = [q4.images[0], q8.images[0]];
  // Of eight seeds 37.3 to 40.9 dB: two steps of a size not trained on leave
  // much of the noise, and what q8 loses shows most there.
  assert(fine.psnr > 35 && fine.psnr > coarse.psnr + 10, `${fine.psnr} dB`);
  assert(coarse.psnr > 10, `${coarse.psnr} dB`);
  assert(fine.largestDifference > 0);
  assert(fine.largestDifference < coarse.largestDifference);
});

gpuTest(
  "compare: what q4 loses is in its weights, not in its kernels",
  async () => {
    await inFolder(async (folder) => {
      const quantised = await conversion("q4");
      const output = `${folder}/dequantised`;
      await convert({ inputs: [quantised], output, dtype: "f32" });
      const { code, out, err } = await compare(
        ...[output, "--with", quantised, "--json"],
        ...[
          "--network",
          "unet",
          "--network",
          "vae",
          "--network",
          "text_encoder",
        ],
      );
      assertEquals(code, 0, err);
      const { networks } = JSON.parse(out).models[0];
      assertEquals(networks.length, 6);
      for (const { output, nmse } of networks as Compared[]) {
        // Sums of the same values, at most in another order.
        assert(nmse! <= 1e-11, `${output}: NMSE ${nmse}`);
      }
    });
  },
);

gpuTest("compare: only conversions of one model, as Markdown", async () => {
  await inFolder(async (folder) => {
    const network = ["--network", "image_encoder"];
    const cases: [(header: WeaveHeader) => void, string][] = [
      [
        ({ config }) => {
          config.image_size = 56;
          config.preprocessor = {
            ...config.preprocessor as object,
            crop_size: 56,
            size: 56,
          };
        },
        "pixel_values is (2, 112, 112, 4), the model takes (2, 56, 56, 4)",
      ],
      [
        ({ config }) => config.intermediate_size = 64,
        "layers.0.mlp.fc1.weight is (512, 128), expected (64, 128)",
      ],
      [({ config }) => config.num_hidden_layers = 9, "does not have it"],
    ];
    for (const [change, message] of cases) {
      const other = await changedModel(
        folder,
        "image_encoder.weave",
        (bytes) => withHeader(bytes, change),
      );
      const wrong = await compare(other, "--with", mini, ...network);
      assertEquals([wrong.code, wrong.out], [1, ""]);
      assertStringIncludes(wrong.err, message);
    }
  });
  const image = ["--pictures", "1", "--steps", "1", "--size", "64"];
  const same = await compare(
    ...[mini, "--with", mini, "--network", "text_encoder"],
    ...[...image, "--markdown"],
  );
  assertEquals(same.code, 0);
  assertEquals(same.out.split("\n"), [
    "|  | mini |",
    "| --- | --- |",
    "| text.last_hidden_state, NMSE | 0 |",
    "| images, median PSNR | equal |",
    "| images, worst PSNR | equal |",
    "| images, largest difference | 0/255 |",
    "",
  ]);
  const size = await compare(mini, "--with", mini, "--size", "66");
  assertEquals(size.code, 2);
  assertStringIncludes(size.err, "--size must be a multiple of 4, got 66");
});

Deno.test("compare: wrong usage", async (t) => {
  const folder = ["--with", mini];
  const file = ["--with", goldens];
  const cases: [string[], string][] = [
    [[], "Give a model's folder"],
    [[mini], "Give --with"],
    [[mini, ...folder, "--what"], "Option --what is unknown"],
    [[mini, ...folder, "--dtype", "q8"], "--dtype is q8, expected f32 or f16"],
    [
      [mini, ...folder, "--network", "clip"],
      "--network is clip, expected text_encoder, image_encoder",
    ],
    [
      [mini, ...folder, "--pictures", "-1"],
      "--pictures is -1, expected a whole number",
    ],
    [
      [mini, ...folder, "--steps", "1.5"],
      "--steps is 1.5, expected a whole number",
    ],
    [[mini, ...folder, "--no-networks"], "Give --pictures N"],
    [
      [mini, ...folder, "--no-networks", "--pictures", "1", "--network", "vae"],
      "Give --network or --no-networks, not both",
    ],
    [[mini, mini, ...file], "Give one model with a reference file, got 2"],
    [
      [mini, ...file, "--pictures", "1"],
      "--pictures needs --with a model's folder",
    ],
  ];
  for (const [args, message] of cases) {
    await t.step(message, async () => {
      const { code, out, err } = await compare(...args);
      assertEquals([code, out], [2, ""]);
      assertStringIncludes(err, message);
      assertStringIncludes(err, "; see --help");
    });
  }
  const help = await compare("--help");
  assertEquals([help.code, help.err], [0, ""]);
  assertStringIncludes(help.out, "--network NAME");
});

Deno.test("compare: tables say what is missed, what is equal, which model", () => {
  const numbers = { network: "vae", output: "vae.mean", seconds: 1 } as const;
  const error = { ...numbers, peakGpuBytes: 2 ** 21 };
  const verdicts = referenceTable([
    { ...error, nmse: 1e-4 },
    { ...error, nmse: 1.01e-4 },
    { ...error, nmse: Infinity },
  ], "f16").slice(1).map((row) => row[4]);
  assertEquals(verdicts, ["ok", "missed", "missed"]);

  const networks = [{ ...error, nmse: 0.00123 }];
  const images = (...psnrs: number[]) =>
    psnrs.map((psnr, seed) => ({ seed, psnr, largestDifference: seed }));
  const text = toText(conversionTable([
    { model: "a/q4", networks, images: images(50, 20, Infinity, 40) },
    { model: "b/q4", networks, images: images(Infinity) },
  ]));
  assertEquals(text.split("\n"), [
    "                            a/q4     b/q4",
    "vae.mean, NMSE              1.2e-3   1.2e-3",
    "images, median PSNR         40.0 dB  equal",
    "images, worst PSNR          20.0 dB  equal",
    "images, largest difference  3/255    0/255",
  ]);
});

Deno.test("compare: layouts", () => {
  const plain = (values: Values) => [values.shape, [...values.data]];
  // Two channels of a 1 × 3 image.
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  const image = { shape: [1, 2, 1, 3], data };
  assertEquals(plain(channelsLast(image)), [
    [1, 1, 3, 2],
    [1, 4, 2, 5, 3, 6],
  ]);
  assertEquals(plain(channelsLast(image, 4)), [
    [1, 1, 3, 4],
    [1, 4, 0, 0, 2, 5, 0, 0, 3, 6, 0, 0],
  ]);
  assertEquals(plain(rows({ shape: [2, 3], data }, [1, 0, 1])), [
    [3, 3],
    [4, 5, 6, 1, 2, 3, 4, 5, 6],
  ]);
});

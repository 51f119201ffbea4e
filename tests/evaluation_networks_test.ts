/**
 * What measures images, against PyTorch on the mini model: CLIP's embeddings of
 * images and texts, and the identity head.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { openSafetensors } from "../src/checkpoints/safetensors.ts";
import { readFloats } from "../src/checkpoints/checkpoint.ts";
import { readTokenizer } from "../src/components/networks.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import type { Graph } from "../src/graph/graph.ts";
import { Network } from "../src/graph/network.ts";
import { Tuner } from "../src/graph/tuner.ts";
import { FileSource, readImage } from "../src/host/files.ts";
import { clipPreprocess } from "../src/image/clip_preprocess.ts";
import { evaluationConfig } from "../src/models/evaluation.ts";
import {
  Embedder,
  type EmbedderComponents,
  imageGraph,
  textGraph,
} from "../src/train/evaluation/embedder.ts";
import { openComponent } from "../src/weights/components.ts";
import { channelsLast } from "../tools/compare/values.ts";
import { nmse } from "./support/compare.ts";
import { flat } from "./support/faces.ts";
import { gpuTest, sharedGpu } from "./support/gpu.ts";
import { miniComponents, miniWeaver, repositoryPath } from "./support/model.ts";
import { networkGoldens } from "./support/network_goldens.ts";

const networks = await networkGoldens();
const file = await FileSource.open(
  repositoryPath("tests/goldens/evaluation.safetensors"),
);
const goldens = await openSafetensors(file);
const evaluationFile = await FileSource.open(
  repositoryPath("weights/mini/evaluation.weave"),
);

/** PyTorch's numbers. */
function golden(name: string): Promise<Float32Array> {
  return readFloats(goldens.tensors.get(`evaluation.${name}`)!);
}

async function components(): Promise<EmbedderComponents> {
  const files = { evaluation: evaluationFile };
  return {
    ...await miniComponents,
    evaluation: await openComponent(files, "evaluation", evaluationConfig),
  };
}

async function run(
  graph: Graph,
  name: string,
  data: Float32Array | Uint32Array,
) {
  const gpu = await sharedGpu();
  using network = new Network(gpu, false, new Tuner(gpu, "off"));
  const plans = { plan: { key: "plan", graph: () => graph } };
  return await network.use({ plans }, ({ plan }) => {
    plan.write(name, data);
    plan.run();
    return plan.read(...graph.outputs.keys());
  });
}

function close(found: ArrayLike<number>, expected: ArrayLike<number>) {
  assertEquals(found.length, expected.length);
  const error = nmse(found, expected);
  assert(error <= 1e-8, `NMSE ${error}`);
}

gpuTest("evaluation: image and identity embeddings of two faces", async () => {
  const found = networks.get("vision.pixel_values")!;
  const { data } = channelsLast({
    shape: found.shape,
    data: found.data as Float32Array,
  }, 4);
  const graph = imageGraph(await components(), 2);
  const read = await run(graph, "pixels", data);
  close(read.clip, await golden("image_embeds"));
  close(read.features, await golden("mean_patch"));
  close(read.identity, await golden("id_embeds"));
});

gpuTest("evaluation: text embeddings of three prompts", async () => {
  const { shape: [batch, length], data } = networks.get("text.input_ids")!;
  const ids = Uint32Array.from(data);
  const graph = textGraph(await components(), batch);
  const { clip } = await run(graph, "ids", ids);
  const width = clip.length / ids.length;
  const found = Array.from({ length: batch }, (_, b) => {
    const row = ids.subarray(b * length, (b + 1) * length);
    const at = b * length + row.indexOf(row.at(-1)!);
    return [...clip.subarray(at * width, (at + 1) * width)];
  }).flat();
  close(found, await golden("text_embeds"));
});

gpuTest("evaluation: the embedder gives what its graphs give", async () => {
  const parts = await components();
  const tokenizer = readTokenizer(await miniComponents);
  using embedder = new Embedder(await sharedGpu(), parts, tokenizer);
  assert(embedder.comparesTexts);
  const image = flat(30, 40);
  const { preprocess } = parts.vision.config;
  const pixels = await clipPreprocess(image, preprocess);
  const { clip } = await run(imageGraph(parts), "pixels", pixels);
  const found = await embedder.embedImage(image);
  close(found.clip!, clip);
  // Of the face alone, as the identity encoder saw it.
  const weaver = await miniWeaver("f32");
  const portrait = await readImage(
    repositoryPath("tests/goldens/portraits/portrait-1.png"),
  );
  const { references: [face] } = await weaver.encodeIdentity([portrait]);
  const read = await run(
    imageGraph(parts),
    "pixels",
    await clipPreprocess(face, preprocess),
  );
  const embedded = await embedder.embedImage(portrait);
  close(embedded.identity!, read.identity);
  close(embedded.features, read.features);
  const text = await embedder.embedText("a man in the snow");
  assertEquals(text.length, found.clip!.length);
});

gpuTest("evaluation: a model without it compares features alone", async () => {
  const { text, vision, parser } = await miniComponents;
  const tokenizer = readTokenizer(await miniComponents);
  using embedder = new Embedder(
    await sharedGpu(),
    { text, vision, parser },
    tokenizer,
  );
  assert(!embedder.comparesTexts);
  const found = await embedder.embedImage(flat(16, 16));
  assertEquals(Object.keys(found), ["features"]);
});

gpuTest(
  "evaluation: what does not fit the model is refused by name",
  async () => {
    const parts = await components();
    const { evaluation } = parts;
    const gpu = await sharedGpu();
    const tokenizer = readTokenizer(await miniComponents);
    const config = { ...evaluation!.config, imageEmbedding: 64 };
    assertThrows(
      () =>
        new Embedder(
          gpu,
          { ...parts, evaluation: { ...evaluation!, config } },
          tokenizer,
        ),
      MasterWeaverError,
      "1 misshapen: visual_projection.weight is (128, 128), expected (64, 128)",
    );
  },
);

Deno.test.afterAll(async () => {
  await file[Symbol.asyncDispose]();
  await evaluationFile[Symbol.asyncDispose]();
});

/**
 * What measures images is converted where a checkpoint has it, and missed by
 * nobody where it has not.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { FileSource } from "../src/host/files.ts";
import { readManifest } from "../src/weights/manifest.ts";
import { openWeave } from "../src/weights/weave.ts";
import { convert } from "../tools/convert.ts";
import {
  type Folder,
  makeFolder,
  VISION,
} from "./support/checkpoint_folder.ts";

/** A matrix of one value. */
const matrix = (rows: number, columns: number, value = 0.5) => ({
  shape: [rows, columns],
  data: new Array<number>(rows * columns).fill(value),
});
const vector = (length: number) => ({
  shape: [length],
  data: new Array<number>(length).fill(0.25),
});

const PROJECTIONS = {
  "visual_projection.weight": matrix(6, 8),
  "text_projection.weight": matrix(6, 8),
};
const HEAD = {
  "0.weight": matrix(12, 8),
  "0.bias": vector(12),
  "2.weight": matrix(3, 12),
  "2.bias": vector(3),
};

/** A folder whose image encoder is that of a CLIP with projections. */
async function folderWith(projections: object): Promise<Folder> {
  const folder = await makeFolder();
  await folder.write("image_encoder/model.safetensors", {
    ...folder.tensors.image_encoder,
    ...projections,
  });
  return folder;
}

/** The tensors and the config of the evaluation in a model folder. */
async function evaluationIn(output: string) {
  await using source = await FileSource.open(`${output}/evaluation.weave`);
  const { tensors, config } = await openWeave(source);
  return {
    config,
    tensors: [...tensors.values()].map(({ name, dtype, shape }) =>
      `${name} ${dtype} ${shape}`
    ),
  };
}

const ALL = [
  "visual_projection.weight f16 6,8",
  "text_projection.weight f16 6,8",
  "id_head.0.weight f16 12,8",
  "id_head.0.bias f16 12",
  "id_head.2.weight f16 3,12",
  "id_head.2.bias f16 3",
];

Deno.test("convert: a whole CLIP and an identity head become the evaluation", async () => {
  const folder = await folderWith(PROJECTIONS);
  await folder.write("id_head.safetensors", HEAD);
  const output = `${folder.path}/out`;
  await convert({ inputs: [folder.path], output, dtype: "f16" });
  assertEquals(await evaluationIn(output), {
    tensors: ALL,
    config: {
      image_width: 8,
      text_width: 8,
      image_projection_dim: 6,
      text_projection_dim: 6,
      id_head_hidden: 12,
      id_head_dim: 3,
    },
  });
  await using source = await FileSource.open(`${output}/model.json`);
  const { components } = await readManifest(source);
  assert(components.has("evaluation"));
  // Stored as another type, like any component.
  const coarse = `${folder.path}/q4`;
  await convert({ inputs: [output], output: coarse, dtype: "q4" });
  assertEquals((await evaluationIn(coarse)).tensors, ALL);
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("convert: one tower alone makes no evaluation, a CLIP's own folder does", async () => {
  const folder = await makeFolder();
  const output = `${folder.path}/out`;
  const plain = await convert({ inputs: [folder.path], output, dtype: "f16" });
  assert(!plain.some(({ component }) => component === "evaluation"));
  const clip = await folderWith({
    "visual_projection.weight": PROJECTIONS["visual_projection.weight"],
  });
  for (const input of ["image_encoder", "image_encoder/model.safetensors"]) {
    await clip.write("image_encoder/config.json", {
      model_type: "clip_vision_model",
      ...VISION,
    });
    const into = `${clip.path}/${input.replace(/\W/g, "-")}`;
    const inputs = [`${clip.path}/${input}`];
    const done = await convert({ inputs, output: into, dtype: "f16" });
    assertEquals(
      done.map(({ component }) => component),
      ["image_encoder", "evaluation"],
    );
    assertEquals((await evaluationIn(into)).tensors, [
      "visual_projection.weight f16 6,8",
    ]);
  }
  await Deno.remove(folder.path, { recursive: true });
  await Deno.remove(clip.path, { recursive: true });
});

Deno.test("convert: a head that does not fit the CLIP is refused", async () => {
  const folder = await folderWith(PROJECTIONS);
  await folder.write("id_head.safetensors", {
    ...HEAD,
    "0.weight": matrix(12, 4),
  });
  const error = await assertRejects(
    () =>
      convert({
        inputs: [folder.path],
        output: `${folder.path}/out`,
        dtype: "f16",
      }),
    MasterWeaverError,
    "0.weight is (12, 4), expected (12, 8)",
  );
  assertEquals(error.code, "bad-checkpoint");
  await Deno.remove(folder.path, { recursive: true });
});

/**
 * Extra files are found by path or by name, and never by accident.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { nearestNames } from "../src/base/nearest.ts";
import { MasterWeaverError } from "../src/base/errors.ts";
import {
  extraNames,
  findExtra,
  findNamedExtra,
  openFound,
} from "../src/host/extras.ts";
import { inFolder } from "./support/file_systems.ts";

/** Files by path, each with its path as content. */
async function fill(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const file = `${folder}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, path);
  }
}

async function refuses(work: () => Promise<unknown>, says: string) {
  const error = await assertRejects(work, MasterWeaverError);
  assertEquals(error.code, "bad-option");
  assertEquals(error.message, says);
}

Deno.test("extras: found by name in the model's folder and in another", () =>
  inFolder(async (root) => {
    await fill(root, [
      "model/loras/snow.safetensors",
      "model/loras/detail v1.5.pt",
      "model/loras/notes.txt",
      "model/embeddings/snow.pt",
      "more/loras/rain.bin",
      "more/controlnets/canny.weave",
    ]);
    const model = `${root}/model`;
    const places = { model, extras: `${root}/more` };
    assertEquals(await extraNames("loras", places), [
      "detail v1.5",
      "rain",
      "snow",
    ]);
    assertEquals(await extraNames("upscalers", places), []);
    const found: [string, string][] = [
      ["snow", "model/loras/snow.safetensors"],
      ["snow.safetensors", "model/loras/snow.safetensors"],
      ["detail v1.5", "model/loras/detail v1.5.pt"],
      ["rain", "more/loras/rain.bin"],
      [`${root}/more/loras/rain.bin`, "more/loras/rain.bin"],
    ];
    for (const [given, path] of found) {
      const whole = await findExtra("loras", given, places);
      assertEquals(whole, `${root}/${path}`);
      await using source = await openFound(whole, places);
      const bytes = await source.read(0, source.size);
      assertEquals(new TextDecoder().decode(bytes), path);
    }
    assertEquals(
      await findNamedExtra("embeddings", "snow", places),
      `${root}/model/embeddings/snow.pt`,
    );
    assertEquals(
      await findExtra("controlnets", "canny", places),
      `${root}/more/controlnets/canny.weave`,
    );
    // One folder given twice is one.
    const twice = { model, extras: `${model}/` };
    assert(
      (await findExtra("loras", "snow", twice)).endsWith("snow.safetensors"),
    );
  }));

Deno.test("extras: unknown and ambiguous names are refused", () =>
  inFolder(async (root) => {
    await fill(root, [
      "model/loras/snow.safetensors",
      "model/loras/snap.pt",
      "model/secret.pt",
      "more/loras/snow.pt",
    ]);
    const model = `${root}/model`;
    const own = `${model}/loras`, other = `${root}/more/loras`;
    const places = { model, extras: `${root}/more` };
    await refuses(
      () => findExtra("loras", "snwo", places),
      `Found no LoRA snwo in ${own} or ${other}; did you mean snap or snow?`,
    );
    await refuses(
      () => findExtra("loras", "watercolour", { model }),
      `Found no LoRA watercolour in ${own}; there are snap, snow`,
    );
    await refuses(
      () => findExtra("upscalers", "x", { model }),
      `Found no upscaler x in ${model}/upscalers; put its file there, or give its path`,
    );
    await refuses(
      () => findExtra("loras", "snow", places),
      `Several files are the LoRA snow: ${own}/snow.safetensors and ${other}/snow.pt; give the path of one`,
    );
    await refuses(
      () => findExtra("loras", "snow:0.8", { model }),
      `Found no LoRA snow:0.8 in ${own}; did you mean snow=0.8?`,
    );
    await fill(root, ["model/controlnets/canny.safetensors"]);
    await refuses(
      () => findExtra("controlnets", "canny", { model }),
      `Found no ControlNet canny in ${model}/controlnets; ${model}/controlnets/canny.safetensors has to be converted first, with tools/convert.ts`,
    );
    await refuses(
      () => findExtra("controlnets", "canny", { model, hidden: true }),
      "Found no ControlNet canny in controlnets; canny.safetensors has to be converted first",
    );
    // A prompt names embeddings, and cannot give a path.
    await fill(root, ["model/embeddings/a.pt", "more/embeddings/a.pt"]);
    await refuses(
      () => findNamedExtra("embeddings", "a", places),
      `Several files are the embedding a: ${model}/embeddings/a.pt and ${root}/more/embeddings/a.pt; rename one`,
    );
    // The ending tells which.
    assertEquals(
      await findExtra("loras", "snow.pt", places),
      `${other}/snow.pt`,
    );
    // A prompt's name never leads anywhere else.
    for (
      const name of ["../secret", "..\\secret", `${model}/secret`, "", "\0"]
    ) {
      const error = await assertRejects(
        () => findNamedExtra("loras", name, places),
        MasterWeaverError,
        "Found no LoRA",
      );
      assertEquals(error.code, "bad-option");
    }
    const missing = await assertRejects(
      () => openFound(`${root}/none.pt`, places),
      MasterWeaverError,
      `Cannot read ${root}/none.pt`,
    );
    assertEquals(missing.code, "cannot-read");
  }));

Deno.test("nearest names: the closest first, none that is far", () => {
  const names = ["rain", "sand", "snow", "snowfall"];
  assertEquals(nearestNames("snow", names, 2), ["snow", "snowfall"]);
  assertEquals(nearestNames("SNOW_", names, 1), ["snow"]);
  assertEquals(nearestNames("watercolour", names, 5), []);
});

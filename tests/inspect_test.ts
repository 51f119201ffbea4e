import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  floatTensor,
  safetensorsBytes,
  weaveBytes,
} from "./support/weights.ts";

async function inspect(...args: string[]) {
  const script = new URL("../tools/inspect.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-R", script, ...args],
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

Deno.test("inspect: many files of all kinds, one line each", async () => {
  const folder = await Deno.makeTempDir();
  const tensors = [floatTensor("conv.weight", [2, 3], [1, 2, 3, 4, 5, 6])];
  const weave = await weaveBytes({ component: "vae", tensors });
  const flipped = new Uint8Array(weave);
  flipped[flipped.length - 1] ^= 1;
  const padded = await weaveBytes({
    tensors: [floatTensor("a", [1], [1]), floatTensor("b", [1], [2])],
  });
  padded[padded.length - 200] = 1;
  const files: Record<string, Uint8Array> = {
    "good.weave": weave,
    "flipped.weave": flipped,
    "infinite.weave": await weaveBytes({
      tensors: [floatTensor("a", [2], [1, Infinity])],
    }),
    "cut.weave": weave.subarray(0, weave.length - 1),
    "good.safetensors": safetensorsBytes({ a: { shape: [2], data: [1, 2] } }),
    "page.safetensors": new TextEncoder().encode("<html>not found</html>"),
    "empty.pt": new Uint8Array(0),
    "padding.weave": padded,
  };
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
  const fixtures = new URL("./fixtures/torch/", import.meta.url).pathname;
  const paths = [
    ...Object.keys(files).map((name) => `${folder}/${name}`),
    `${fixtures}values.pt`,
    `${fixtures}values_legacy.pth`,
    `${fixtures}forbidden.pt`,
    `${folder}/absent.pt`,
    folder,
  ];
  const { code, stdout } = await inspect("--json", "--verify", ...paths);
  assertEquals(code, 1);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ file }) => file), paths);
  assertEquals(
    lines.map(({ kind, tensors }) => kind && `${kind} ${tensors.length}`),
    [
      "weave 1",
      undefined,
      undefined,
      undefined,
      "safetensors 1",
      undefined,
      undefined,
      undefined,
      "torch-zip 15",
      "torch-legacy 15",
      undefined,
      undefined,
      undefined,
    ],
  );
  const errors = lines.filter(({ error }) => error).map(({ error }) => error);
  for (
    const [i, part] of [
      "tensor conv.weight is damaged",
      "Tensor a holds values that are infinite",
      "tensor conv.weight: it ends at byte",
      "it is a web page",
      "it is empty",
      "expected the zeros between header and tensors",
      "it asks for posix.system",
      "no such file",
      `it is a folder; give its files, such as ${folder}/*.weave`,
    ].entries()
  ) assertStringIncludes(errors[i], part);
  assertEquals(lines[0].component, "vae");
  assertEquals(lines[0].verified, true);
  assertEquals(lines[0].tensors, [
    { name: "conv.weight", dtype: "f32", shape: [2, 3], bytes: 24 },
  ]);
  // Without --verify the data is not read.
  const quick = await inspect("--json", paths[1], paths[8]);
  assertEquals(quick.code, 0);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("inspect: text for people, exit codes", async () => {
  const fixture =
    new URL("./fixtures/torch/values.pt", import.meta.url).pathname;
  const { code, stdout } = await inspect(fixture);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "torch-zip, 15 tensors");
  assertStringIncludes(stdout, "  state_dict.lin.weight  F32 (2, 3)  24");
  const none = await inspect();
  assertEquals([none.code, none.stdout], [2, ""]);
  assertStringIncludes(none.stderr, "Give a file");
  const wrong = await inspect("--what");
  assertEquals(wrong.code, 2);
});

Deno.test("inspect: one of a kind, and a file that is named once", async () => {
  const folder = await Deno.makeTempDir();
  const [good, bad] = [`${folder}/good.weave`, `${folder}/bad.weave`];
  const tensors = [floatTensor("a", [1], [Infinity])];
  await Deno.writeFile(good, await weaveBytes({ tensors }));
  await Deno.writeFile(bad, new Uint8Array(9));
  const { stdout } = await inspect(good);
  assertStringIncludes(stdout, ", 1 tensor, 1 value, ");
  const { stderr } = await inspect("--verify", bad, folder, good);
  const lines = stderr.trim().split("\n");
  assertEquals(lines.map((line) => line.split(folder).length), [2, 3, 2]);
  assertEquals(lines.map((line) => line.split(": ")[0]), [
    `Cannot use ${bad}`,
    `Cannot read ${folder}`,
    good,
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("inspect: text from a file commands no terminal", async () => {
  const folder = await Deno.makeTempDir();
  const evil = "a\x1b[2J\x07\x9b\u202eb\u2066";
  const shown = "a\\u001b[2J\\u0007\\u009b\\u202eb\\u2066";
  const tensors = [floatTensor(evil, [1], [1])];
  const weave = `${folder}/good\u202e.weave`;
  await Deno.writeFile(weave, await weaveBytes({ component: evil, tensors }));
  const bad = `${folder}/bad\x1b.weave`;
  await Deno.writeFile(bad, new Uint8Array(9));
  const entry = { file: evil, hash: "0".repeat(64), bytes: 1 };
  const manifest = `${folder}/model.json`;
  const components = { [evil]: entry };
  await Deno.writeTextFile(
    manifest,
    JSON.stringify({ format: "masterweaver-model", version: 1, components }),
  );
  const people = await inspect(weave, bad, manifest);
  assertStringIncludes(people.stdout, `weave (${shown})`);
  assertStringIncludes(people.stdout, `  ${shown}  f32 (1)  4`);
  assertStringIncludes(people.stdout, `  ${shown}  ${shown}  1  0000`);
  assertStringIncludes(people.stdout, "good\\u202e.weave: ");
  assertStringIncludes(people.stderr, "bad\\u001b.weave: ");
  const machines = await inspect("--json", weave, bad, manifest);
  const [found, failed, list] = machines.stdout.trim().split("\n")
    .map((line) => JSON.parse(line));
  assertEquals([found.file, failed.file], [weave, bad]);
  assertEquals([found.component, found.tensors[0].name], [evil, evil]);
  assertEquals(list.components[0].component, evil);
  for (const { stdout, stderr } of [people, machines]) {
    // deno-lint-ignore no-control-regex
    const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2066]/;
    assertEquals(unsafe.exec(stdout + stderr), null);
  }
  await Deno.remove(folder, { recursive: true });
});

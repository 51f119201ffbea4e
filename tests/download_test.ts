import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { downloadModel } from "../tools/download.ts";
import { downloadFile } from "../tools/download/file.ts";
import { findFiles, type HubFile } from "../tools/download/hub.ts";
import { HUB_PARTS, type HubPart } from "../tools/download/parts.ts";
import { makeFolder } from "./support/checkpoint_folder.ts";
import { type FakeHub, type HubContent, startHub } from "./support/fake_hub.ts";
import { random } from "./support/weights.ts";

const REPO = "someone/model";
/** No test waits. */
const pause = 1;

function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  return Uint8Array.from({ length }, () => next(256));
}

const CONTENT: HubContent = {
  [REPO]: { "big.bin": noise(300_000, 1), "small.json": noise(200, 2) },
};

interface Attempt {
  readonly hub: FakeHub;
  readonly folder: string;
  readonly file: HubFile;
  readonly path: string;
  readonly bytes: () => number;
  readonly run: () => Promise<void>;
}

/** One file of a running hub, not downloaded yet. */
async function withFile(
  name: string,
  test: (attempt: Attempt) => Promise<void>,
  token?: string,
): Promise<void> {
  await using hub = startHub(CONTENT, token);
  const folder = await Deno.makeTempDir();
  const access = { url: hub.url, token };
  const [file] = await findFiles(access, REPO, [name]);
  const path = `${folder}/${name}`;
  let bytes = 0;
  const onBytes = (count: number) => bytes += count;
  const run = () => downloadFile(access, file, path, { pause, onBytes });
  await test({ hub, folder, file, path, bytes: () => bytes, run });
  await Deno.remove(folder, { recursive: true });
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
}

Deno.test("download: small and large files, verified by either hash", async () => {
  for (const name of ["big.bin", "small.json"]) {
    await withFile(name, async ({ folder, path, run, bytes, file, hub }) => {
      assertEquals(file.hash.kind, name === "big.bin" ? "sha256" : "git");
      await run();
      assertEquals(await Deno.readFile(path), CONTENT[REPO][name]);
      assertEquals(await names(folder), [name]);
      assertEquals(bytes(), file.size);
      // What is there is not asked for again.
      const asked = hub.seen.length;
      await run();
      assertEquals(hub.seen.length, asked);
    });
  }
});

Deno.test("download: goes on after breaks, where it was", async () => {
  await withFile("big.bin", async ({ hub, path, run, bytes }) => {
    hub.faults.set("big.bin", [{ breakAfter: 100_000 }, {
      breakAfter: 50_000,
    }]);
    await run();
    assertEquals(await Deno.readFile(path), CONTENT[REPO]["big.bin"]);
    assertEquals(bytes(), 300_000);
    const ranges = hub.seen.filter(({ host }) => host === "storage")
      .map(({ range }) => range);
    assertEquals(ranges.length, 3);
    assertEquals(ranges[0], null);
    const starts = ranges.slice(1).map((range) =>
      Number(/\d+/.exec(range!)![0])
    );
    // The last bytes before a break may be lost on the way, never more.
    assert(starts[0] > 0 && starts[0] <= 100_000, `${starts}`);
    assert(
      starts[1] > starts[0] && starts[1] <= starts[0] + 50_000,
      `${starts}`,
    );
  });
});

Deno.test("download: a connection that gives nothing more is left", async () => {
  await withFile("big.bin", async ({ hub, path, file }) => {
    hub.faults.set("big.bin", [{ stallAfter: 100_000 }]);
    const started = performance.now();
    await downloadFile({ url: hub.url }, file, path, { pause, idle: 100 });
    assert(performance.now() - started < 900, "waited for the server");
    assertEquals(await Deno.readFile(path), CONTENT[REPO]["big.bin"]);
  });
});

Deno.test("download: a second run goes on from the first's bytes", async () => {
  await withFile("big.bin", async ({ hub, folder, path, run }) => {
    // Five breaks with no new byte in between end the first run.
    hub.faults.set("big.bin", [
      { breakAfter: 100_000 },
      ...Array.from({ length: 5 }, () => ({ status: 503 })),
    ]);
    await assertRejects(run, MasterWeaverError, "HTTP 503");
    const [partial] = await names(folder);
    assert(/^big\.bin\.[0-9a-f]{16}\.partial$/.test(partial), partial);
    const { size } = await Deno.stat(`${folder}/${partial}`);
    assert(size > 0);
    await run();
    assertEquals(hub.seen.at(-1)!.range, `bytes=${size}-`);
    assertEquals(await Deno.readFile(path), CONTENT[REPO]["big.bin"]);
    assertEquals(await names(folder), ["big.bin"]);
  });
});

Deno.test("download: a server without ranges starts again", async () => {
  await withFile("big.bin", async ({ hub, path, run, bytes }) => {
    hub.faults.set("big.bin", [{ breakAfter: 100_000 }, {
      ignoresRange: true,
    }]);
    await run();
    assertEquals(await Deno.readFile(path), CONTENT[REPO]["big.bin"]);
    assertEquals(bytes(), 300_000);
  });
});

Deno.test("download: a wrong hash is refused, and the bytes forgotten", async () => {
  for (const name of ["big.bin", "small.json"]) {
    await withFile(name, async ({ hub, folder, path, run }) => {
      hub.faults.set(name, [{ corrupt: true }]);
      const error = await assertRejects(run, MasterWeaverError);
      assertEquals(error.code, "cannot-read");
      assertStringIncludes(error.message, `Cannot use ${name} of ${REPO}: its`);
      assertStringIncludes(error.message, "expected");
      assertEquals(await names(folder), []);
      await run();
      assertEquals(await Deno.readFile(path), CONTENT[REPO][name]);
    });
  }
});

Deno.test("download: a partial file that is longer, or of another version", async () => {
  await withFile("small.json", async ({ folder, file, path, run }) => {
    const own = `${path}.${file.hash.value.slice(0, 16)}.partial`;
    await Deno.writeFile(own, noise(500, 9));
    await Deno.writeFile(`${path}.0123456789abcdef.partial`, noise(100, 9));
    await run();
    assertEquals(await Deno.readFile(path), CONTENT[REPO]["small.json"]);
    assertEquals((await names(folder)).length, 2);
  });
});

Deno.test("download: without the token it is asked for, and given to the hub alone", async () => {
  await using hub = startHub(CONTENT, "hf_secret");
  const error = await assertRejects(
    () => findFiles({ url: hub.url }, REPO, ["big.bin"]),
    MasterWeaverError,
    "it asks for an access token (HTTP 401)",
  );
  assertStringIncludes(error.message, "HF_TOKEN");
  await withFile("big.bin", async ({ hub, run }) => {
    await run();
    const given = hub.seen.map((
      { host, authorization },
    ) => [host, authorization]);
    assertEquals(given, [
      ["hub", "Bearer hf_secret"],
      ["hub", "Bearer hf_secret"],
      ["storage", null],
    ]);
  }, "hf_secret");
});

Deno.test("download: refusals are not repeated, and say what to do", async () => {
  await withFile("small.json", async ({ hub, run }) => {
    for (
      const [status, message] of [[403, "HF_TOKEN"], [
        404,
        "not there",
      ]] as const
    ) {
      hub.faults.set("small.json", [{ status }]);
      const asked = hub.seen.length;
      await assertRejects(run, MasterWeaverError, message);
      assertEquals(hub.seen.length, asked + 1);
    }
    // A busy server is asked again.
    hub.faults.set("small.json", [{ status: 429 }, { status: 500 }]);
    await run();
  });
  await using hub = startHub(CONTENT);
  const access = { url: hub.url };
  await assertRejects(
    () => findFiles(access, "no/such", ["a"]),
    MasterWeaverError,
    "Cannot download no/such from",
  );
  await assertRejects(
    () => findFiles(access, REPO, ["small.json", "absent"]),
    MasterWeaverError,
    "it has no file absent",
  );
});

Deno.test("download: a hub out of reach", async () => {
  const { url } = await (async () => {
    await using hub = startHub({});
    return { url: hub.url };
  })();
  await assertRejects(
    () => findFiles({ url }, REPO, ["a"]),
    MasterWeaverError,
    "check the network, or set HF_ENDPOINT to a mirror",
  );
});

/** A tiny model on a hub, in the repositories of the real one. */
async function modelHub() {
  const folder = await makeFolder();
  const repos: Record<string, Record<string, Uint8Array>> = {};
  const put = async (repo: string, path: string, from: string) => {
    (repos[repo] ??= {})[path] = await Deno.readFile(`${folder.path}/${from}`);
  };
  const [text, unet, vae, clip] = HUB_PARTS;
  for (const path of [...text.files, ...unet.files]) {
    // Only its first home has it: the preferred one is tried before.
    const from = path.replace(/diffusion_pytorch_model(?=\.)/, "model");
    await put(text.repos[1], path, from);
  }
  for (const [part, at] of [[vae, "vae"], [clip, "image_encoder"]] as const) {
    for (const path of part.files) {
      const from = path.replace(/diffusion_pytorch_model(?=\.)/, "model");
      await put(part.repos[0], path, `${at}/${from}`);
    }
  }
  return { folder, hub: startHub(repos) };
}

Deno.test("download: a model is downloaded, converted, and what is missing asked for", async () => {
  const { folder, hub } = await modelHub();
  await using _ = hub;
  const output = `${folder.path}/weights/sd15`;
  const lines: string[] = [];
  const run = (hubParts?: readonly HubPart[]) =>
    downloadModel({
      output,
      hub: { url: hub.url },
      dtype: "f16",
      hubParts,
      pause,
      report: (line) => lines.push(line),
    });
  hub.faults.set("model.safetensors", [{ breakAfter: 500 }]);
  const first = await run();
  // Said before the long part, too.
  assertStringIncludes(lines[0], "adapter_final.pt is on no hub; save it in");
  assertEquals(first.components, [
    "text_encoder",
    "unet",
    "vae",
    "image_encoder",
  ]);
  assertEquals(
    first.missing.map(({ file, link }) => [file, new URL(link).host]),
    [
      ["adapter_final.pt", "drive.google.com"],
      ["79999_iter.pth", "drive.google.com"],
    ],
  );
  assertEquals((await names(output)).sort(), [
    "LICENSE-dlib-Boost.txt",
    "face_detector.weave",
    "image_encoder.weave",
    "model.json",
    "text_encoder.weave",
    "unet.weave",
    "vae.weave",
  ]);
  // The files by hand; nothing is asked of the hub again.
  await Deno.copyFile(
    `${folder.path}/adapter_final.pt`,
    `${output}/adapter_final.pt`,
  );
  await Deno.copyFile(
    `${folder.path}/face_parser.pth`,
    `${output}/79999_iter.pth`,
  );
  for (const name of ["adapter_config.json", "face_parser_config.json"]) {
    await Deno.copyFile(`${folder.path}/${name}`, `${output}/${name}`);
  }
  const asked = hub.seen.length;
  lines.length = 0;
  const second = await run();
  assertEquals(second.missing, []);
  assertEquals(hub.seen.length, asked);
  assertEquals(lines.slice(0, 4), [
    "text_encoder: already there",
    "unet: already there",
    "vae: already there",
    "image_encoder: already there",
  ]);
  const found = await names(output);
  for (const name of ["identity_adapter.weave", "face_parser.weave"]) {
    assert(found.includes(name), name);
  }
  await Deno.remove(folder.path, { recursive: true });
});

Deno.test("download: the command, with the hub of the environment", async () => {
  const { folder, hub } = await modelHub();
  await using _ = hub;
  const script = new URL("../tools/download.ts", import.meta.url).pathname;
  const run = async (env: Record<string, string>, ...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, ...args],
      env: { ...env, NO_PROXY: "127.0.0.1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  };
  const output = `${folder.path}/sd15`;
  const env = { HF_ENDPOINT: `${hub.url}/` };
  const done = await run(env, output, "--json", "--quiet", "--keep");
  assertEquals(done.code, 1, done.stderr);
  assertStringIncludes(done.stderr, "Still missing");
  assertStringIncludes(done.stderr, "https://drive.google.com/open?id=");
  assertEquals(JSON.parse(done.stdout).components.length, 4);
  const kept = `${output}/download/vae/diffusion_pytorch_model.safetensors`;
  assert((await Deno.stat(kept)).isFile);
  const bad = await run({ HF_ENDPOINT: "huggingface" }, output);
  assertEquals([bad.code, bad.stdout], [2, ""]);
  assertStringIncludes(bad.stderr, "HF_ENDPOINT is huggingface");
  const token = await run({ ...env, HF_TOKEN: "secret" }, output);
  assertStringIncludes(token.stderr, "HF_TOKEN is no access token");
  assert(!token.stderr.includes("secret"));
  assertEquals((await run(env)).code, 2);
  await Deno.remove(folder.path, { recursive: true });
});

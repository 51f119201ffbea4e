/**
 * `serve --queue` and `work` as their users start them: with a model and a GPU,
 * a password, and what they say where something is missing.
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { decodeImage } from "../src/host/codecs/codec.ts";
import { command } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import { LineProcess } from "./support/line_process.ts";
import { repositoryPath } from "./support/paths.ts";
import { hasRedis, RedisServer } from "./support/redis_server.ts";
import { dataUrl, postJson } from "./support/studio_server.ts";

const SECRET = "not-to-be-shown";

Deno.test("work: what is missing or wrong is told, never the password", async () => {
  const address = `//someone:${SECRET}@127.0.0.1:1`;
  const cases: [string[], number, string][] = [
    [[], 2, "Option --queue is missing: say where Redis is; see --help"],
    [["--queue", `http:${address}`], 2, "Option --queue must be an address"],
    [
      ["--queue", `redis:${address}`],
      1,
      "Redis at redis://127.0.0.1:1 cannot be used: connect ECONNREFUSED",
    ],
  ];
  const ended = await Promise.all(
    cases.map(([args]) =>
      command(["work", ...args], { env: { MASTERWEAVER_QUEUE: "" } })
    ),
  );
  for (const [i, { code, out, err }] of ended.entries()) {
    const [, expected, message] = cases[i];
    assertEquals([code, out, err.length], [expected, "", 1]);
    assertStringIncludes(err[0], message);
    assert(!err[0].includes(SECRET));
  }
});

Deno.test("work: --help lists its options", async () => {
  const { code, out } = await command(["work", "--help"]);
  assertEquals(code, 0);
  assertMatch(out, /work --queue redis:\/\/host\n/);
  assertMatch(out, /--idle-release SECONDS .*\n +0 for never \(600\)\n/);
});

gpuTest("redis: serve and work make an image in two processes", async () => {
  await using redis = await RedisServer.start(false, ["--requirepass", SECRET]);
  const address = redis.url.replace("//", `//:${SECRET}@`);
  const start = { env: { MASTERWEAVER_QUEUE: address } };
  const run = (...args: string[]) =>
    new LineProcess(["run", "-A", repositoryPath("mod.ts"), ...args], start);
  await using server = run("serve", "--port", "0");
  await using worker = run("work", "--name", "attic", "--tune", "off");
  const [line] = await Promise.all([
    server.line(/^Studio: /),
    worker.line(/^Worker attic: model mini /),
  ]);
  const url = line.replace(/^Studio: (.*)\/$/, "$1");
  const photo = await Deno.readFile(repositoryPath("weights/mini/demo.png"));
  const job = await postJson(`${url}/api/generate`, {
    references: [dataUrl(photo)],
    prompt: "a man in the snow",
    steps: 2,
    seed: 42,
    preview: true,
  });
  const { id } = await job.json();
  const events = await (await fetch(`${url}/api/jobs/${id}/events`)).text();
  const types = [...events.matchAll(/^event: (.*)$/gm)]
    .map(([, type]) => type)
    // Whether these two come depends on the machine's pace.
    .filter((type) => type !== "queued" && type !== "preview");
  assertEquals([...new Set(types)], [
    ...["started", "progress", "references", "image", "done"],
  ]);
  const image = await fetch(`${url}/api/jobs/${id}/images/0`);
  assertEquals(decodeImage(await image.bytes(), "the image").width, 128);
  // The server itself has no GPU.
  const model = await (await fetch(`${url}/api/model`)).json();
  assert(typeof model.gpu === "string");
  assertEquals(
    await Promise.all([worker.end("SIGTERM"), server.end("SIGTERM")]),
    [0, 0],
  );
  const said = [...server.lines, ...worker.lines].join("\n");
  assert(!said.includes(SECRET) && !said.includes("snow"), said);
  assertMatch(said, /Job .* ended/);
}, !hasRedis);

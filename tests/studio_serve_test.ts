/**
 * The command `serve`: its options, how it starts and how it ends.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { command } from "./support/command.ts";
import { DrawingServer } from "./support/drawing_server.ts";
import { inFolder } from "./support/file_systems.ts";
import { LineProcess } from "./support/line_process.ts";
import { repositoryPath } from "./support/paths.ts";
import {
  good as usual,
  postJson,
  withStudio,
} from "./support/studio_server.ts";

const isUnix = Deno.build.os !== "windows";
const unixTest = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, ignore: !isUnix });

const good = { ...usual, prompt: "a secret prompt" };

Deno.test("serve: wrong usage is told in a line, with exit code 2", async () => {
  const cases: [args: string[], message: RegExp][] = [
    [["--prot", "1"], /--prot.*--port/],
    [["--port", "70000"], /Option --port must be .*65535, got 70000/],
    [["--port", "x"], /Option --port .*got x/],
    [["--job-timeout", "0"], /Option --job-timeout must be/],
    [["--token", "short"], /Option --token must be 8 to 200/],
    [["--cert", "a.pem"], /Give --cert and --key together/],
    [["--host", ""], /Option --host needs an address/],
    [["a.png"], /a\.png/],
  ];
  for (const [args, message] of cases) {
    const { code, out, err } = await command(["serve", ...args]);
    assertEquals([code, out, err.length], [2, "", 1], err.join("\n"));
    assertMatch(err[0], message);
  }
});

Deno.test("serve: --help lists the options", async () => {
  const { code, out } = await command(["serve", "--help"]);
  assertEquals(code, 0);
  assertMatch(out, /--port N? .*\n[^]*--cancel-unwatched SECONDS/);
  assert(out.split("\n").every((line) => line.length <= 80));
});

Deno.test("serve: a port that is taken is told, and what to do", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const { code, out, err } = await command(["serve", "--port", String(port)]);
  assertEquals([code, out], [1, ""]);
  assertMatch(err.join("\n"), new RegExp(`^Port ${port} is taken, .*--port 0`));
});

unixTest(
  "serve: the address that is printed is the one that answers",
  async () => {
    // Only Linux has all of 127.0.0.0/8 without being told.
    const hosts = Deno.build.os === "linux"
      ? ["localhost", "127.0.0.1", "127.0.0.2"]
      : ["localhost", "127.0.0.1"];
    for (const hostname of hosts) {
      await withStudio({ hostname }, async (url) => {
        assertEquals(new URL(url).hostname, hostname);
        assertEquals(await (await fetch(`${url}/api/jobs`)).json(), []);
      });
    }
  },
);

Deno.test("serve: files of TLS that are none are told by name", async () => {
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a.pem`, "no certificate");
    const args = ["serve", "--port", "0", "--key", `${folder}/a.pem`];
    const none = await command([...args, "--cert", `${folder}/none.pem`]);
    assertEquals(none.code, 1);
    assertMatch(none.err[0], /^Cannot read the certificate .*none\.pem/);
    const wrong = await command([...args, "--cert", `${folder}/a.pem`]);
    assertEquals(wrong.code, 1);
    assertMatch(wrong.err[0], /a\.pem is not PEM/);
  });
});

/** Starts the command. */
function serve(
  args: readonly string[],
  env: Record<string, string> = {},
): LineProcess {
  const script = repositoryPath("mod.ts");
  return new LineProcess(["run", "-A", script, "serve", ...args], { env });
}

/** Waits until it says where it is. */
async function urlOf(serving: LineProcess): Promise<string> {
  const line = await serving.line(/^API: /);
  return line.replace(/^API: (.*)\/docs$/, "$1");
}

Deno.test("serve: another host has a token made and printed, and no prompt logged", async () => {
  await using serving = serve(["--host", "0.0.0.0", "--port", "0"]);
  const { port } = new URL(await urlOf(serving));
  const url = `http://127.0.0.1:${port}`;
  const link = await serving.line(/^Studio: /);
  const [, token] = /\/login\?token=([\w-]{32})$/.exec(link) ?? [];
  assert(token, link);
  const status = async (headers: Record<string, string>) => {
    const response = await fetch(`${url}/api/model`, { headers });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status({}), 401);
  assertEquals(await status({ authorization: `Bearer ${token}` }), 200);
  // AUTOMATIC1111's clients have a user and a password.
  assertEquals(
    await status({ authorization: `Basic ${btoa(`x:${token}`)}` }),
    200,
  );
  assertEquals(await status({ authorization: `Basic ${btoa("x:y")}` }), 401);
  const paths = [
    "/api/generate",
    "/v1/images/generations",
    "/sdapi/v1/txt2img",
  ];
  for (const path of paths) {
    const response = await fetch(url + path, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ prompt: "a secret prompt", steps: "many" }),
    });
    await response.body?.cancel();
    assert(response.status >= 400 && response.status < 500);
  }
  assertEquals(await serving.end("SIGTERM"), 0);
  const err = serving.errors.join("\n");
  assertMatch(err, /--cert and --key/);
  assert(!err.includes("secret"), err);
  assert(!err.includes(token));
});

Deno.test("serve: a token that was given is not printed", async () => {
  await using serving = serve(["--port", "0"], {
    MASTERWEAVER_TOKEN: "correct-horse",
  });
  const url = await urlOf(serving);
  assertMatch(await serving.line(/^Studio: /), /\/login\?token=…$/);
  const response = await fetch(`${url}/api/model`);
  await response.body?.cancel();
  assertEquals(response.status, 401);
  assertEquals(await serving.end("SIGINT"), 0);
  assert(!serving.lines.join("\n").includes("correct-horse"));
});

/** Whether there is a program that makes certificates. */
async function hasOpenssl(): Promise<boolean> {
  try {
    return (await new Deno.Command("openssl", { args: ["version"] }).output())
      .success;
  } catch {
    return false;
  }
}

const inCi = Boolean(Deno.env.get("CI"));
/** Makes a certificate and its key; returns where they are. */
async function certificate(folder: string): Promise<[string, string]> {
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt"],
      ...["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
      ...["-subj", "/CN=localhost", "-addext", "basicConstraints=CA:FALSE"],
      "-addext",
      ...["subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
    ],
    stderr: "null",
  }).output();
  assert(success);
  return [cert, key];
}

const ignore = !inCi && !await hasOpenssl();
Deno.test({
  name: "serve: TLS with --cert and --key",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const [cert, key] = await certificate(folder);
      await using serving = serve([
        ...["--port", "0", "--cert", cert, "--key", key],
        ...["--token", "correct-horse"],
      ]);
      const url = await urlOf(serving);
      assertMatch(url, /^https:/);
      using client = Deno.createHttpClient({
        caCerts: [await Deno.readTextFile(cert)],
      });
      const health = await fetch(`${url}/api/health`, { client });
      assertEquals((await health.json()).status, "ok");
      const login = await fetch(`${url}/login?token=correct-horse`, {
        client,
        redirect: "manual",
      });
      await login.body?.cancel();
      assertMatch(login.headers.get("set-cookie") ?? "", /; Secure$/);
      assertEquals(await serving.end("SIGTERM"), 0);
    }),
});

Deno.test({
  name: "serve: with TLS, silent connections end and URLs are https",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const [cert, key] = await Promise.all(
        (await certificate(folder)).map((path) => Deno.readTextFile(path)),
      );
      const connections = { head: 300 };
      await withStudio({ tls: { cert, key }, connections }, async (url) => {
        const port = Number(new URL(url).port);
        using silent = await Deno.connect({ hostname: "127.0.0.1", port });
        assertEquals(await silent.read(new Uint8Array(1)), null);
        using client = Deno.createHttpClient({ caCerts: [cert] });
        const { data } = await (await fetch(`${url}/v1/images/generations`, {
          client,
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ prompt: "a man", response_format: "url" }),
        })).json();
        assert(data[0].url.startsWith(`${url}/api/jobs/`), data[0].url);
      });
    }),
});

/** Starts a job of some steps; returns its id once it runs. */
async function runningJob(url: string, steps: number): Promise<string> {
  const { id } =
    await (await postJson(`${url}/api/generate`, { ...good, steps }))
      .json();
  for (let i = 0; i < 500; i++) {
    const { progress } = await (await fetch(`${url}/api/jobs/${id}`)).json();
    if (progress?.done > 0) return id;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("It does not run");
}

unixTest(
  "serve: SIGTERM lets the running job end, and its images be fetched",
  async () => {
    await using server = await DrawingServer.start({ stepTime: 20 });
    const id = await runningJob(server.url, 20);
    const waiting = await postJson(`${server.url}/api/generate`, good);
    const { id: waitingId } = await waiting.json();
    const events = await fetch(`${server.url}/api/jobs/${id}/events`);
    server.kill("SIGTERM");
    await server.wrote("Ending after the running job, within 30 s");
    const refused = await postJson(`${server.url}/api/generate`, good);
    assertEquals(refused.status, 503);
    assertEquals((await refused.json()).error.code, "shutting-down");
    assertMatch(refused.headers.get("retry-after") ?? "", /^\d+$/);
    assertMatch(await events.text(), /event: done\n/);
    const image = await fetch(`${server.url}/api/jobs/${id}/images/0`);
    assertEquals(image.status, 200);
    await image.body?.cancel();
    assertEquals((await server.ended()).code, 0);
    const ends = (end: string) => server.err.split(end).length - 1;
    assertEquals(ends(`job ${id}: done after`), 1);
    assertEquals(ends(`job ${waitingId}: cancelled after`), 1);
    assert(!server.err.includes("secret"), "a prompt is logged");
  },
);

unixTest("serve: a job that takes too long to end is reported", async () => {
  await using server = await DrawingServer.start({
    stepTime: 20,
    patience: 100,
  });
  const id = await runningJob(server.url, 1000);
  const events = await fetch(`${server.url}/api/jobs/${id}/events`);
  server.kill("SIGTERM");
  assertMatch(
    await events.text(),
    /event: cancelled\ndata: {"message":"The server ended"}/,
  );
  assertEquals((await server.ended()).code, 0);
  assertMatch(server.err, new RegExp(`job ${id}: cancelled after`));
});

unixTest("serve: a second signal ends it at once", async () => {
  await using server = await DrawingServer.start({ stepTime: 20 });
  await runningJob(server.url, 1000);
  server.kill("SIGTERM");
  await server.wrote("Ending after");
  server.kill("SIGTERM");
  assertEquals((await server.ended()).code, 143);
});

/**
 * The OpenAPI document against the server, by schemathesis: requests that it
 * makes from the document, right and wrong ones, never meet a bug, and every
 * answer is as described. A few hundred cases by default, thousands with
 * MASTERWEAVER_LOAD=all.
 *
 * The queue has room for all of them, so no 5xx is let through, not even 503.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DrawingServer } from "./support/drawing_server.ts";
import { inFolder } from "./support/file_systems.ts";
import { isFullLoad } from "./support/load.ts";
import { repositoryPath } from "./support/paths.ts";
import { PythonEnvironment } from "./support/python_environment.ts";
import { dataUrl, drawnPhoto } from "./support/studio_server.ts";

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
  "allow_header_conformance",
];
const { phases, examples, least, time } = isFullLoad
  ? { phases: "coverage,fuzzing", examples: 20, least: 2000, time: 300_000 }
  : { phases: "fuzzing", examples: 12, least: 100, time: 60_000 };

const python = await PythonEnvironment.with("schemathesis==4.32.5");
python.test("schemathesis: the server is as its document says", async () => {
  await using server = await DrawingServer.start({
    isInstant: true,
    maxWaiting: 100_000,
  });
  await inFolder(async (folder) => {
    const out = await python.runIn(
      folder,
      time,
      repositoryPath("tests/support/clients/schemathesis_run.py"),
      dataUrl(drawnPhoto()),
      ...["run", `${server.url}/openapi.json`, "--no-color"],
      ...["--phases", phases, "--max-examples", String(examples)],
      ...["--checks", CHECKS.join(","), "--seed", "1", "--workers", "2"],
    );
    const [, cases] = /(\d+) generated, \1 passed/.exec(out) ?? [];
    console.log(`${cases} cases`);
    assert(Number(cases) >= least, out);
  });
  // None of it was a bug, and the server goes on.
  const { status } = await (await fetch(`${server.url}/api/health`)).json();
  assertEquals(status, "ok");
  server.kill("SIGTERM");
  assertEquals((await server.ended()).code, 0);
  assertMatch(server.err, /: done after/);
  assert(!/^\s+at /m.test(server.err), server.err.slice(-2000));
});

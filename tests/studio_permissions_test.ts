/**
 * The studio with the permissions that SECURITY.md gives it: the page, and an
 * image without a warning.
 */
import { assert, assertEquals } from "@std/assert";
import { gpuTest } from "./support/gpu.ts";
import { LineProcess } from "./support/line_process.ts";
import { repositoryPath } from "./support/paths.ts";

/** SECURITY.md's command as arguments, at another port. */
async function givenArguments(port: number): Promise<string[]> {
  const text = await Deno.readTextFile(repositoryPath("SECURITY.md"));
  const [, command] = /^ +deno (run .* mod\.ts serve)$/m.exec(text) ?? [];
  assert(command);
  const args = command
    .replace(/"\$\(.*?\)"/, Deno.execPath())
    .replace("7860", String(port))
    .split(" ");
  return [...args, "--port", String(port)];
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

gpuTest(
  "SECURITY.md: the permissions it gives the studio suffice",
  async () => {
    const port = freePort();
    const url = `http://127.0.0.1:${port}`;
    const cwd = repositoryPath(".");
    await using server = new LineProcess(await givenArguments(port), { cwd });
    await server.line(/^API: /);
    const page = await fetch(url);
    assertEquals(page.status, 200, await page.text());
    const body = new FormData();
    const photo = await Deno.readFile(repositoryPath("weights/mini/demo.png"));
    body.set("references", new Blob([photo]), "a.png");
    body.set("prompt", "a woman");
    body.set("steps", "1");
    const asked = await fetch(`${url}/api/generate`, { method: "POST", body });
    const { id } = await asked.json();
    await (await fetch(`${url}/api/jobs/${id}/events`)).text();
    const job = await (await fetch(`${url}/api/jobs/${id}`)).json();
    assertEquals([job.state, job.warnings], ["done", []], job.error?.message);
  },
);

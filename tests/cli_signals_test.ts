/**
 * Ctrl-C and SIGTERM: once to stop cleanly, twice to end at once, and at any
 * time.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { deno } from "./support/command.ts";
import { inFolder, namesIn, succeeds } from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const isUnix = Deno.build.os !== "windows";
const demo = repositoryPath("weights/mini/demo.png");

/** A running command whose stderr is read as it comes. */
class Running implements AsyncDisposable {
  err = "";
  readonly #child: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;

  constructor(folder: string, ...args: string[]) {
    const script = repositoryPath("mod.ts");
    this.#child = deno(["run", "-A", script, ...args], { cwd: folder });
    this.#reader = this.#child.stderr.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Reads on until a text has come. */
  async until(text: string): Promise<void> {
    while (!this.err.includes(text)) {
      const { value, done } = await this.#reader.read();
      assert(!done, `ended without ${text}: ${this.err}`);
      this.err += value;
    }
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Reads the rest and waits for the end. */
  async ended(): Promise<Deno.CommandStatus> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      this.err += value;
    }
    return await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

const unixTest = (name: string, fn: () => Promise<void>) =>
  gpuTest(name, fn, !isUnix);

const wait = (milliseconds: number) =>
  new Promise((done) => setTimeout(done, milliseconds));

for (
  const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const
) {
  unixTest(
    `signals: ${signal} stops in order and leaves no file`,
    () =>
      inFolder(async (folder) => {
        await using run = new Running(folder, "--ref", demo, "--steps=1000");
        await run.until("Denoising");
        run.kill(signal);
        assertEquals((await run.ended()).code, 1, run.err);
        assertMatch(
          run.err,
          /\nNote: Stopping; press Ctrl-C again to end at once\n(.*\n)*Stopped before it was done\n$/,
        );
        assertEquals(await namesIn(folder), []);
      }),
  );

  unixTest(
    `signals: a second ${signal} ends with ${code}`,
    () =>
      inFolder(async (folder) => {
        // Nobody reads the pipe, so that writing to it never ends.
        assert(await succeeds("mkfifo", `${folder}/pipe`));
        const args = [
          "--steps=1",
          "--width=64",
          "--height=64",
          "--output=pipe",
        ];
        await using run = new Running(folder, "--ref", demo, ...args);
        await run.until("Decoding: 1/1");
        await wait(1500);
        run.kill(signal);
        await run.until("Stopping");
        run.kill(signal);
        assertEquals((await run.ended()).code, code, run.err);
        assertEquals(await namesIn(folder), ["pipe"]);
      }),
  );
}

Deno.test({
  name: "signals: a second Ctrl-C during the stop is handled",
  ignore: !isUnix,
  fn: async () => {
    const module = repositoryPath("src/host/command/interrupt.ts");
    const code = `
      import { Interrupt } from "file://${module}";
      {
        await using interrupt = new Interrupt(() => {});
        Deno.kill(Deno.pid, "SIGINT");
        while (!interrupt.signal.aborted) {
          await new Promise((done) => setTimeout(done, 5));
        }
        Deno.kill(Deno.pid, "SIGINT");
      }
      Deno.exit(1);`;
    const url = `data:text/typescript,${encodeURIComponent(code)}`;
    const { code: ended, stderr } = await deno(["run", "-A", url]).output();
    assertEquals(ended, 130, new TextDecoder().decode(stderr));
  },
});

unixTest(
  "signals: Ctrl-C while a photo is read ends it",
  () =>
    inFolder(async (folder) => {
      // A photo that never comes.
      assert(await succeeds("mkfifo", `${folder}/photo.png`));
      await using run = new Running(folder, "--ref", "photo.png");
      await wait(1500);
      const started = performance.now();
      run.kill("SIGINT");
      const { signal, code } = await run.ended();
      assert(
        signal === "SIGINT" || code === 130,
        `${signal} ${code} ${run.err}`,
      );
      assert(performance.now() - started < 1000);
      assertEquals(await namesIn(folder), ["photo.png"]);
    }),
);

Deno.test({
  name: "signals: a tool that is stopped leaves no unfinished file",
  ignore: !isUnix,
  fn: () =>
    inFolder(async (folder) => {
      const script = repositoryPath("tools/random_checkpoint.ts");
      const child = deno(
        ["run", "-A", script, "--output=out", "--part=unet"],
        { cwd: folder },
      );
      const weights = () => namesIn(`${folder}/out/unet`).catch(() => []);
      const isPartial = (name: string) => name.endsWith(".partial");
      while (!(await weights()).some(isPartial)) await wait(20);
      child.kill("SIGINT");
      const { code } = await child.output();
      assertEquals(code, 130);
      assertEquals((await weights()).filter(isPartial), []);
    }),
});

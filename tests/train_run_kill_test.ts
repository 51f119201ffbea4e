/**
 * A trainer that is killed at any moment leaves a run from which the next one
 * goes on. 20 kills by default, 50 with MASTERWEAVER_LOAD=all.
 */
import { assert, assertEquals } from "@std/assert";
import { RunFolder } from "../tools/train/run/run_folder.ts";
import { inFolder } from "./support/file_systems.ts";
import { amount } from "./support/load.ts";
import { repositoryPath } from "./support/paths.ts";
import { checkContent, runSettings } from "./support/train_run.ts";

/** In two runs side by side. */
const KILLS = amount(20, 50);
/** Large enough that most of the time something is being written. */
const VALUES = 100_000;

/** When a trainer is killed: so many milliseconds after it has started, or saved first. */
interface Moment {
  readonly after: "start" | "first";
  readonly delay: number;
}

/**
 * Lets a trainer save checkpoints and kills it.
 *
 * @returns the last step that it said to have saved; 0 if none
 */
async function killedAt(folder: string, moment: Moment): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-check",
      "-A",
      repositoryPath("tests/support/train_run_writer.ts"),
      folder,
      String(VALUES),
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const kill = () => setTimeout(() => child.kill("SIGKILL"), moment.delay);
  let timer = moment.after === "start" ? kill() : undefined;
  let heard = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    timer ??= kill();
    heard += text;
  }
  const { signal } = await child.status;
  assertEquals(signal, "SIGKILL");
  // The last line may be torn.
  return Number(heard.split("\n").at(-2) ?? 0);
}

async function killAgainAndAgain(run: string, times: number): Promise<void> {
  let last = 0;
  for (let i = 0; i < times; i++) {
    const moment: Moment = i % 5 === 4
      ? { after: "start", delay: 300 * Math.random() }
      : { after: "first", delay: 60 * Math.random() };
    last = Math.max(last, await killedAt(run, moment));
    using opened = await RunFolder.open(run, runSettings());
    const { checkpoint, broken } = await opened.latest();
    assertEquals(broken, []);
    assert(checkpoint, `nothing to load after step ${last}`);
    const { step } = checkpoint;
    assert(
      step === last || step === last + 1,
      `loaded step ${step}, saved ${last}`,
    );
    checkContent(checkpoint, VALUES);
    const weights = `${run}/adapter_${String(step).padStart(6, "0")}.pt`;
    assertEquals(await Deno.readTextFile(weights), `weights of ${step}`);
    const names = await Array.fromAsync(Deno.readDir(run));
    const left = names.filter(({ name }) =>
      name.startsWith(".masterweaver-run-")
    );
    assertEquals(left, []);
    last = step;
  }
}

Deno.test({
  name: `train run: killed ${KILLS} times at random moments, it always goes on`,
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      await Promise.all(
        ["a", "b"].map((name) =>
          killAgainAndAgain(`${folder}/${name}`, KILLS / 2)
        ),
      );
    }),
});

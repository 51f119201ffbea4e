/**
 * Runs scripts as ranks of Open MPI, where there is one.
 *
 * @module
 */
import { type Finished, finished } from "./command.ts";
import { repositoryPath } from "./paths.ts";

/** Whether there is an `mpirun` of Open MPI. */
export const hasMpi: boolean = await isOpenMpi();
const inCi = Boolean(Deno.env.get("CI"));

if (!hasMpi) {
  console.warn(
    "No Open MPI: tests of several ranks are skipped. `sh tools/setup.sh --with-mpi` installs it.",
  );
}

/**
 * Registers a test that needs `mpirun`. Without it, it is reported as skipped, by
 * its name; in CI it fails instead.
 */
export function mpiTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: !hasMpi && !inCi, fn });
}

/**
 * Runs a script of `tests/support/mpi/` in several processes of this machine, for at
 * most two minutes.
 */
export function mpirun(
  ranks: number,
  script: string,
  ...args: string[]
): Promise<Finished> {
  const path = repositoryPath(`tests/support/mpi/${script}`);
  return mpirunFile(ranks, path, args);
}

/** Runs any script in several processes of this machine, for at most two minutes. */
export async function mpirunFile(
  ranks: number,
  path: string,
  args: readonly string[],
): Promise<Finished> {
  return await finished(
    new Deno.Command("mpirun", {
      args: [
        ...["--oversubscribe", "--bind-to", "none", "-np", `${ranks}`],
        ...[Deno.execPath(), "run", "-A", "--no-check", path],
        ...args,
      ],
      env: {
        NO_COLOR: "1",
        // Containers have no other user, often.
        OMPI_ALLOW_RUN_AS_ROOT: "1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(120_000),
    }).spawn(),
  );
}

async function isOpenMpi(): Promise<boolean> {
  try {
    const { stdout } = await new Deno.Command("mpirun", { args: ["--version"] })
      .output();
    return new TextDecoder().decode(stdout).includes("Open MPI");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

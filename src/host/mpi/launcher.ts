/**
 * The `mpirun` that started this rank.
 *
 * @module
 */

/** What `mpirun` is called: by MPI, and by the runtimes of Open MPI 4 and 5. */
const LAUNCHERS = ["mpirun", "mpiexec", "orterun", "prterun"];

/**
 * The process id of `mpirun`, to send signals to. Undefined where it cannot be told:
 * on another machine than `mpirun`'s a daemon starts the ranks, and only Linux says
 * what a process is.
 */
export async function mpirunProcess(
  parent: number = Deno.ppid,
): Promise<number | undefined> {
  if (Deno.build.os !== "linux") return;
  try {
    const name = (await Deno.readTextFile(`/proc/${parent}/comm`)).trimEnd();
    return LAUNCHERS.includes(name) ? parent : undefined;
  } catch {
    return;
  }
}

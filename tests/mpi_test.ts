/**
 * Several ranks over Open MPI: what they exchange, and that none is left when one
 * fails.
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { MasterWeaverError } from "../src/base/errors.ts";
import { startedByOpenMpi } from "../src/host/mpi/communicator.ts";
import {
  libraryPaths,
  MpiLibrary,
  requireOpenMpi,
} from "../src/host/mpi/library.ts";
import { deno, finished } from "./support/command.ts";
import { gpuTest } from "./support/gpu.ts";
import { hasMpi, mpirun, mpiTest } from "./support/mpi.ts";
import { repositoryPath } from "./support/paths.ts";

/** What each rank printed, by rank. */
async function collectives(ranks: number) {
  const { code, out, err } = await mpirun(ranks, "collectives.ts");
  assertEquals(code, 0, err.join("\n"));
  return out.trimEnd().split("\n").map((line) => JSON.parse(line))
    .toSorted((a, b) => a.rank - b.rank);
}

mpiTest("mpi: three ranks exchange numbers, the same bits twice", async () => {
  const first = await collectives(3);
  assertEquals(first.length, 3);
  for (const [rank, found] of first.entries()) {
    const { bits, gathered, differing, ...rest } = found;
    assertEquals(rest, {
      rank,
      size: 3,
      hasHost: true,
      known: [6, 30, -3, 1.5],
      text: "from one",
      counted: 3,
      ticked: true,
    });
    assertEquals(
      gathered,
      [0, 20, 40].map((length, rank) => ({ rank, text: "é".repeat(length) })),
    );
    assertMatch(differing, /batch is 5 for rank 1, but 4 for rank 0/);
    assertEquals(bits, first[0].bits, "bits of another rank");
  }
  const second = await collectives(3);
  assertEquals(second, first);
});

gpuTest("mpi: two ranks add up the gradients on their GPUs", async () => {
  const { code, out, err } = await mpirun(2, "gradients.ts");
  assertEquals(code, 0, err.join("\n"));
  const expected = {
    others: [0, 1],
    first: [
      ["weight", 3, 3 + 2 / 1024],
      ["bias", 6, 6 + 2 / 1024],
      ["other", 9, 9 + 2 / 1024],
    ],
  };
  const lines = out.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines, [expected, expected]);
}, !hasMpi);

mpiTest("mpi: SIGUSR2 stops all ranks after the same step", async () => {
  for (const ranks of [1, 2]) {
    const { code, out, err } = await mpirun(ranks, "stopping.ts");
    assertEquals(code, 0, err.join("\n"));
    const lines = out.trimEnd().split("\n");
    assertMatch(lines[0], /^stopped after step \d+$/);
    assertEquals(lines, Array(ranks).fill(lines[0]));
  }
});

/** How rank 1 fails, and what must be said of it. */
const failures: readonly (readonly [way: string, RegExp[]])[] = [
  ["throw", [
    /^Rank 1 of 2 on \S+ failed and ends all ranks: Step 7: the loss is NaN; there is no checkpoint yet$/m,
  ]],
  ["bug", [
    /^Rank 1 of 2 on \S+ failed .*outside of any promise; the last good checkpoint is run\/step-000200$/m,
    /failing\.ts:\d+/,
  ]],
  ["kill", [
    /mpirun noticed that process rank 1 with PID \d+ on node \S+ exited on signal 9/,
    /^Rank 0 of 2 on \S+ is ended by SIGTERM, .*; the last good checkpoint is run\/step-000200$/m,
  ]],
  ["exit", [/mpirun has exited due to process rank 1 /]],
  ["hang", [
    /^Rank 0 of 2 on \S+ failed .*Waited 4 s for the other ranks \(call 2: the sum of 100000 numbers\): .*; the last good/m,
  ]],
];

for (const [way, expected] of failures) {
  mpiTest(`mpi: all ranks end when one fails: ${way}`, async () => {
    const start = performance.now();
    const { code, out, err } = await mpirun(2, "failing.ts", way);
    const seconds = (performance.now() - start) / 1000;
    assert(code !== 0, "exit code");
    assertEquals(out, "");
    for (const pattern of expected) assertMatch(err.join("\n"), pattern);
    // The failing rank would wait for a minute.
    assert(seconds < 45, `${seconds} s`);
  });
}

Deno.test("mpi: a process that no mpirun started is the only rank", async () => {
  const script = repositoryPath("src/host/mpi/communicator.ts");
  const { code, out, err } = await finished(deno([
    "eval",
    `const { openMpi } = await import(${JSON.stringify(`file://${script}`)});
    const ranks = await openMpi();
    const values = Float32Array.of(1, 2);
    await ranks.allReduceSum(values);
    console.log(ranks.rank, ranks.size, values[1], await ranks.gather("x"));
    await ranks.close();`,
  ], { env: { MPI_LIB: "none" } }));
  assertEquals([code, out, err], [0, '0 1 2 [ "x" ]\n', []]);
});

Deno.test("mpi: ranks of another MPI are refused", () => {
  const environment = (values: Record<string, string>) => ({
    get: (name: string) => values[name],
  });
  assert(startedByOpenMpi(environment({ OMPI_COMM_WORLD_SIZE: "1" })));
  assert(startedByOpenMpi(environment({ PMIX_RANK: "0" })));
  assert(!startedByOpenMpi(environment({ PMI_SIZE: "1" })));
  const error = assertThrows(
    () => startedByOpenMpi(environment({ PMI_SIZE: "4", PMI_RANK: "2" })),
    MasterWeaverError,
    "Cannot join the 4 ranks of this run: another MPI than Open MPI",
  );
  assertEquals(error.code, "distributed");
});

Deno.test("mpi: a library that is missing or another MPI's says what to do", () => {
  requireOpenMpi("Open MPI v4.1.4, package: Debian OpenMPI", "libmpi.so.40");
  requireOpenMpi("Open MPI v5.0.7", "libmpi.so.40");
  const other = assertThrows(
    () =>
      requireOpenMpi("MPICH Version:\t4.0.2\nMPICH Release", "libmpi.so.12"),
    MasterWeaverError,
    "Cannot use the MPI library libmpi.so.12: expected Open MPI 2 or later, found MPICH Version:",
  );
  assertEquals(other.code, "distributed");
  const missing = assertThrows(
    () => MpiLibrary.open(["no-such-library.so"]),
    MasterWeaverError,
    "Cannot find Open MPI's library, tried no-such-library.so: run `sh tools/setup.sh --with-mpi`",
  );
  assertEquals(missing.code, "distributed");
  assertEquals(libraryPaths("linux", "/opt/mpi/libmpi.so"), [
    "/opt/mpi/libmpi.so",
  ]);
  assertEquals(libraryPaths("linux", "")[0], "libmpi.so.40");
});

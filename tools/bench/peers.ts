/**
 * Other WebGPU engines beside this project's own: starts the process that
 * times them, and shows what it found.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { MasterWeaverError } from "../../src/base/errors.ts";
import type { PeersTask } from "./peers/main.ts";
import {
  PEER_TOLERANCE,
  type PeerRow,
  type PeerTiming,
} from "./peers/measure.ts";
import { PACKAGES } from "./peers/peer.ts";
import { figure, tableLines } from "./table.ts";

const path = (name: string) =>
  fileURLToPath(new URL(`peers/${name}`, import.meta.url));

/**
 * Times this project and all engines in one process, with a lock file of its
 * own: what is in `deno.lock` is downloaded by everyone who runs anything here,
 * and these engines are 70 MB that only this needs.
 *
 * @throws {MasterWeaverError} `gpu` where that process fails
 */
export async function runPeers(task: PeersTask): Promise<PeerRow[]> {
  const { success, code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-config",
      "--unstable-webgpu",
      `--lock=${path("deno.lock")}`,
      "--frozen",
      path("main.ts"),
      JSON.stringify(task),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) {
    throw new MasterWeaverError(
      "gpu",
      `Cannot time other engines: their process ended with ${code}, see above`,
    );
  }
  // What else an engine prints comes before.
  const last = new TextDecoder().decode(stdout).trim().split("\n").at(-1)!;
  return JSON.parse(last);
}

/** The rows as lines for a person. */
export function peerLines(rows: readonly PeerRow[]): string[] {
  const names = rows[0]?.peers.map(({ engine }) => engine) ?? [];
  const faults = rows.flatMap(({ name, shapes, peers }) =>
    peers.filter(({ fault }) => fault)
      .map(({ engine, fault }) => `${engine}, ${name} ${shapes}: ${fault}`)
  );
  const cell = ({ speed, ratio }: PeerTiming) =>
    speed === undefined || ratio === undefined
      ? ["–", "–"]
      : [figure(speed), `${figure(ratio)}×`];
  const packages = Object.values(PACKAGES).flat().join(", ");
  return [
    `Ops and other engines on the same adapter, by turns, ${
      rows[0]?.dtype
    }; they store f32`,
    ...tableLines([
      [
        "",
        "",
        "unit",
        "ours",
        ...names.flatMap((name) => [name, "ratio"]),
        "least",
        "shaders",
      ],
      ...rows.map((row) => [
        row.name,
        row.shapes,
        row.unit,
        row.right ? figure(row.speed) : "WRONG",
        ...row.peers.flatMap(cell),
        row.least === undefined ? "–" : `${figure(row.least)}×`,
        row.shaders.join(", "),
      ]),
    ], [0, 1, 2, 5 + 2 * names.length]),
    `  ratio: their time over ours; each result compared with f64 (NMSE at most ${PEER_TOLERANCE}`,
    `  of theirs); ${packages}`,
    ...faults.map((fault) => `  ${fault}`),
  ];
}

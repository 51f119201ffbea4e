/**
 * A component to convert: the files it comes from, and how its content is
 * planned from them.
 *
 * @module
 */
import type { ByteSource } from "../../src/base/bytes.ts";
import { readDlibFile } from "../../src/checkpoints/dlib_file.ts";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { planConversion } from "../../src/checkpoints/conversion.ts";
import { openCheckpoint } from "../../src/checkpoints/open.ts";
import type { ModelDtype } from "../../src/weights/quantisation_policy.ts";
import { listed } from "../../src/weights/scope.ts";
import { unwrapped } from "../../src/checkpoints/recognise.ts";
import type { Table } from "../../src/checkpoints/tables/table.ts";
import type { JsonObject } from "../../src/weights/weave.ts";
import type { WeaveContent } from "../../src/weights/weave_writer.ts";
import { basename, dirname } from "node:path";

/** A component to convert. */
export interface Component {
  /** Name of the file to write, without `.weave`. */
  readonly output: string;
  /** Its files; several where it is sharded. */
  readonly files: readonly string[];
  /** Its configuration, where it is known before the files are opened. */
  readonly config?: JsonObject;
  /**
   * Plans what is written.
   *
   * @param sources its files, opened
   * @throws {MasterWeaverError} `bad-checkpoint`, `bad-model`, `cannot-read`
   */
  plan(
    sources: readonly ByteSource[],
    options: PlanOptions,
  ): Promise<PlannedContent>;
}

/** How a component is converted. */
export interface PlanOptions {
  /** The type its floating-point tensors are stored as. */
  readonly dtype: ModelDtype;
  /** Whether unknown tensors are left out instead of refused. */
  readonly allowUnused: boolean;
}

/** What is to be written, and what that loses. */
export interface PlannedContent {
  /** What is to be written. */
  readonly content: WeaveContent;
  /** What storing lost: final once the content has been written. */
  readonly loss: {
    readonly maxRoundingError: number;
    readonly quantisedNmse: number;
  };
  /** How many tensors are left out on purpose, by reason. */
  readonly dropped: ReadonlyMap<string, number>;
  /** What the user should know about its files. */
  readonly warnings: readonly string[];
}

/** What a network is made from. */
export interface Network {
  /** Name of the file to write, without `.weave`. */
  readonly output: string;
  /** Its weight files; several where it is sharded. */
  readonly files: readonly string[];
  /** What is written into the file's header. */
  readonly config: JsonObject;
  /** Gives the tensors of one of its files other names. */
  readonly rename?: (checkpoint: Checkpoint) => Checkpoint;
  /**
   * Its table.
   *
   * @param checkpoint the opened weight files
   */
  table(checkpoint: readonly Checkpoint[]): Table;
}

/** A network's checkpoint. */
export function networkComponent(network: Network): Component {
  return { ...network, plan: (...args) => planNetwork(network, ...args) };
}

async function planNetwork(
  { files, config, table, rename = (checkpoint) => checkpoint }: Network,
  sources: readonly ByteSource[],
  { dtype, allowUnused }: PlanOptions,
): Promise<PlannedContent> {
  const checkpoint: Checkpoint[] = [];
  for (const source of sources) {
    checkpoint.push(rename(unwrapped(await openCheckpoint(source))));
  }
  const rows = table(checkpoint);
  const { tensors, loss, dropped, warnings } = planConversion(
    rows,
    checkpoint,
    dtype,
    allowUnused,
  );
  const dtypes = checkpoint.flatMap(({ tensors }) =>
    [...tensors.values()].map(({ dtype }) => dtype)
  );
  const content = {
    component: rows.component,
    config,
    provenance: {
      ...provenance(files),
      container: checkpoint[0].kind,
      dtypes: [...new Set(dtypes)].sort(),
    },
    tensors,
  };
  const objects = checkpoint.flatMap(({ name, objects = [] }) =>
    objects.length === 0
      ? []
      : [`${name}: ${listed("kinds of objects ignored", objects)}`]
  );
  return {
    content,
    loss,
    dropped,
    warnings: [
      ...warnings.map((warning) => `Warning: ${files[0]}: ${warning}`),
      ...objects,
    ],
  };
}

/** A file of dlib's, which needs no table. */
export function dlibComponent(output: string, file: string): Component {
  return {
    output,
    files: [file],
    async plan([source], { dtype }) {
      const { content, maxRoundingError } = await readDlibFile(
        source,
        dtype === "f32" ? "f32" : "f16",
        { ...provenance([file]), container: "dlib" },
      );
      return {
        content,
        loss: { maxRoundingError, quantisedNmse: 0 },
        dropped: new Map(),
        warnings: [],
      };
    },
  };
}

/** Where the weights came from, without anything about the machine or the date. */
function provenance(files: readonly string[]) {
  return {
    converter: "masterweaver tools/convert.ts 1",
    sources: files.map((file) => {
      const folder = basename(dirname(file));
      const name = basename(file);
      // A file with a common name is recognised by its folder.
      return /model|^pytorch/.test(name) ? `${folder}/${name}` : name;
    }),
  };
}

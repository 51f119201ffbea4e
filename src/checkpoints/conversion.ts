/**
 * Turns a checkpoint's tensors into a component's, by its table.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import {
  badCheckpoint,
  type Checkpoint,
  type CheckpointTensor,
  expectedFloats,
  holdsFloats,
  readFloats,
} from "./checkpoint.ts";
import { formatShape, type WeaveDtype } from "../weights/dtype.ts";
import { type BlockTensor, copyBlocks, isBlockTensor } from "./copy_blocks.ts";
import { encodeFloats, type FloatChunks, StorageLoss } from "./encode.ts";
import {
  type ModelDtype,
  storedDtype,
} from "../weights/quantisation_policy.ts";
import { listed } from "../weights/scope.ts";
import { HARMLESS } from "./tables/harmless.ts";
import type { Dropped, SourceTensor, Table, TableRow } from "./tables/table.ts";
import type { TensorToWrite } from "../weights/weave_writer.ts";

/** Values read at a time where a tensor need not be whole: 4 MiB as f32. */
const CHUNK_VALUES = 2 ** 20;

/** A conversion, ready to be written; values are read only then. */
export interface Conversion {
  /** The tensors, in the table's order. */
  readonly tensors: readonly TensorToWrite[];
  /** How many tensors were left out on purpose, by reason. */
  readonly dropped: ReadonlyMap<string, number>;
  /** What the user should know about what was left out. */
  readonly warnings: readonly string[];
  /** What storing lost so far; final once it is written. */
  readonly loss: StorageLoss;
}

/**
 * Matches a checkpoint with a table.
 *
 * @param table what the component needs
 * @param checkpoint its tensors; more than one file where it is sharded
 * @param dtype the type that floating-point tensors are stored as
 * @param allowUnused whether unknown tensors are left out instead of refused
 * @throws {MasterWeaverError} `bad-checkpoint` with all missing, misshapen and unused tensors; while the tensors are read, where one cannot be stored
 */
export function planConversion(
  table: Table,
  checkpoint: readonly Checkpoint[],
  dtype: ModelDtype,
  allowUnused = false,
): Conversion {
  const match = matchTensors(table, checkpoint, allowUnused);
  const loss = new StorageLoss();
  const files = new Map(
    checkpoint.flatMap(({ name, tensors }) =>
      [...tensors.values()].map((tensor) => [tensor, name] as const)
    ),
  );
  const fileOf = ([tensor]: readonly CheckpointTensor[]) =>
    files.get(tensor) ?? checkpoint[0].name;
  return {
    dropped: match.dropped,
    warnings: match.warnings,
    loss,
    tensors: storedTensors(table, dtype).map((tensor, i) => ({
      ...tensor,
      data: () => {
        const place = { file: fileOf(match.sources[i]), name: tensor.name };
        const row = table.rows[i];
        const blocks = sameBlocks(tensor.dtype, row, match.sources[i]);
        return blocks ? copyBlocks(place, blocks, loss) : encodeFloats(
          place,
          tensor.dtype,
          values(row, match.sources[i]),
          loss,
        );
      },
    })),
  };
}

/**
 * The tensor of blocks that a row is stored from as they are; undefined where
 * the values have to be quantised anew. Blocks agree where the kernel is one
 * pixel, so that both formats have a row's inputs in the same order.
 */
function sameBlocks(
  stored: WeaveDtype,
  { shape, make }: TableRow,
  [tensor]: readonly CheckpointTensor[],
): BlockTensor | undefined {
  const isOnePixel = shape.slice(2).every((size) => size === 1);
  return make === undefined && isOnePixel && isBlockTensor(tensor, stored)
    ? tensor
    : undefined;
}

/** A tensor of a component, without its values. */
export type StoredTensor = Pick<TensorToWrite, "name" | "dtype" | "shape">;

/** How the tensors of a table are stored, in its order. */
export function storedTensors(
  { component, rows }: Table,
  dtype: ModelDtype,
): StoredTensor[] {
  return rows.map(({ name, shape: given, exact }) => {
    const shape = storedShape(given);
    const stored = storedDtype(component, { name, shape, exact }, dtype);
    return { name, dtype: stored, shape };
  });
}

interface Match {
  /** The tensors that each row is made of. */
  readonly sources: readonly (readonly CheckpointTensor[])[];
  readonly dropped: ReadonlyMap<string, number>;
  readonly warnings: readonly string[];
}

function matchTensors(
  table: Table,
  checkpoint: readonly Checkpoint[],
  allowUnused: boolean,
): Match {
  const tensors = mergeShards(checkpoint);
  refuseScaled(checkpoint[0].name, tensors);
  const used = new Set<string>();
  const missing: string[] = [];
  const misshapen: string[] = [];
  const find = ({ names, shape }: SourceTensor): CheckpointTensor[] => {
    const name = names.find((name) => tensors.has(name));
    const tensor = name === undefined ? undefined : tensors.get(name);
    if (!tensor) {
      missing.push(names.join(" or "));
      return [];
    }
    if (!used.has(tensor.name) && !sameValues(tensor.shape, shape)) {
      misshapen.push(
        `${brief(tensor.name)} is ${formatShape(tensor.shape)}, expected ${
          formatShape(shape)
        }`,
      );
    }
    if (!used.has(tensor.name) && !holdsFloats(tensor)) {
      misshapen.push(
        expectedFloats(tensor, brief(tensor.name)),
      );
    }
    used.add(tensor.name);
    return [tensor];
  };
  const sources = table.rows.map((row) => row.from.flatMap(find));
  const left = [...tensors.keys()].filter((name) => !used.has(name));
  const { dropped, warnings, unused } = leaveOut(left, table.dropped);
  if (allowUnused && unused.length > 0) {
    const names = listed("not known here", unused.map(brief));
    dropped.set(`as asked for, ${names}`, unused.length);
    unused.length = 0;
  }
  const faults = [
    listed("missing", [...new Set(missing)].map(brief)),
    listed("misshapen", misshapen),
    listed("unused", unused.map(brief)),
  ].filter((fault) => fault !== "");
  if (faults.length > 0) {
    throw badCheckpoint(
      checkpoint[0].name,
      `its tensors are not those of the ${table.component} its config ` +
        `describes: ${faults.join("; ")}${
          missing.length + misshapen.length === 0
            ? "; --allow-unused leaves them out"
            : ""
        }`,
    );
  }
  return { sources, dropped, warnings };
}

/** Counts tensors by the reason they are left out; the rest are unknown. */
function leaveOut(names: readonly string[], own: readonly Dropped[]) {
  const dropped = new Map<string, number>();
  const warnings = new Set<string>();
  const unused: string[] = [];
  for (const name of names) {
    const why = [...own, ...HARMLESS].find(({ names }) => names.test(name));
    if (why === undefined) unused.push(name);
    else {
      dropped.set(why.reason, (dropped.get(why.reason) ?? 0) + 1);
      if (why.warning !== undefined) warnings.add(why.warning);
    }
  }
  return { dropped, warnings: [...warnings], unused };
}

/** Refuses weights that another tensor scales: without the scale they are wrong. */
function refuseScaled(
  file: string,
  tensors: ReadonlyMap<string, CheckpointTensor>,
): void {
  const scaled = [...tensors.keys()].find((name) =>
    /(^|\.)(scaled_fp8|scale_weight|weight_scale|weight_scale_inv)$/.test(name)
  );
  if (scaled === undefined) return;
  throw badCheckpoint(
    file,
    `its weights are scaled (it has ${
      brief(scaled)
    }), which is not supported; give a file in f32, f16 or bf16`,
  );
}

function mergeShards(
  checkpoint: readonly Checkpoint[],
): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  for (const shard of checkpoint) {
    for (const [name, tensor] of shard.tensors) {
      if (tensors.has(name)) {
        throw badCheckpoint(
          shard.name,
          `tensor ${brief(name)} is also in another of its files`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  return tensors;
}

/** Whether shapes are equal but for ones at the end, as those of 1×1 convolutions. */
function sameValues(a: readonly number[], b: readonly number[]): boolean {
  const longer = Math.max(a.length, b.length);
  for (let i = 0; i < longer; i++) {
    if ((a[i] ?? 1) !== (b[i] ?? 1)) return false;
  }
  return true;
}

/** Convolution weights (O, I, kh, kw) become (O, kh, kw, I padded to a multiple of 4). */
export function storedShape(shape: readonly number[]): readonly number[] {
  if (shape.length !== 4) return shape;
  const [out, inner, height, width] = shape;
  return [out, height, width, Math.ceil(inner / 4) * 4];
}

/** A row's values as they are stored, in chunks of whole outermost slices. */
async function* values(
  { shape, make }: TableRow,
  sources: readonly CheckpointTensor[],
): FloatChunks {
  const arranged = (values: Float32Array<ArrayBuffer>, count: number) =>
    shape.length === 4
      ? channelsLast(values, [count, ...shape.slice(1)])
      : values;
  const outer = shape[0] ?? 1;
  if (make) {
    const read: Float32Array<ArrayBuffer>[] = [];
    for (const tensor of sources) read.push(await readFloats(tensor));
    yield arranged(make(read), outer);
    return;
  }
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  const step = Math.max(1, Math.floor(CHUNK_VALUES / size));
  for (let row = 0; row < outer; row += step) {
    const count = Math.min(step, outer - row);
    const read = await readFloats(sources[0], row * size, count * size);
    yield arranged(read, count);
  }
}

/** (O, I, kh, kw) → (O, kh, kw, I), I padded with zeros to a multiple of 4. */
function channelsLast(
  values: Float32Array<ArrayBuffer>,
  [out, inner, height, width]: readonly number[],
): Float32Array<ArrayBuffer> {
  const padded = Math.ceil(inner / 4) * 4;
  const pixels = height * width;
  if (pixels === 1 && padded === inner) return values;
  const moved = new Float32Array(out * pixels * padded);
  for (let o = 0, from = 0; o < out; o++) {
    const start = o * pixels * padded;
    for (let i = 0; i < inner; i++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        moved[start + pixel * padded + i] = values[from++];
      }
    }
  }
  return moved;
}

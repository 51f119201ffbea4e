/**
 * One layer of a LoRA file as deltas of a network's tensors: matrices of low rank
 * (LoRA, and LoCon with or without a window between them), LoHa, LoKr, (IA)³ and
 * plain differences. Shapes are checked at once; values are read when they are
 * needed.
 *
 * @module
 */
import { brief } from "../weights/brief.ts";
import {
  fullDelta,
  hadamardAsLowRank,
  hadamardDelta,
  kroneckerDelta,
  type LowRank,
  lowRankDelta,
  scaleDelta,
} from "../weights/delta_kinds.ts";
import { formatShape } from "../weights/dtype.ts";
import type { TensorDelta } from "../weights/lora.ts";
import {
  badCheckpoint,
  type CheckpointTensor,
  expectedFloats,
  holdsFloats,
  readFloats,
} from "./checkpoint.ts";
import { product, swapped, throughWindow, transposed } from "./lora_layout.ts";
import type { LoraFactor } from "./lora_names.ts";
import { isDora, type ScaleRule } from "./lora_scale.ts";

/** The tensors of a layer. */
export type LoraFactors = Readonly<
  Partial<Record<LoraFactor, CheckpointTensor>>
>;

/** A layer of a file, and the weight it changes. */
export interface LoraFileLayer {
  /** What messages call the file. */
  readonly file: string;
  /** The layer's path in its network. */
  readonly path: string;
  /** The shape of its weight as `*.weave` has it: (O), (O, I) or (O, kh, kw, I). */
  readonly shape: readonly number[];
  /** The shape of its bias; undefined where it has none. */
  readonly biasShape?: readonly number[];
  /** Its tensors in the file. */
  readonly factors: LoraFactors;
  /** Tensors of one value that were read before: alpha, scalar, on_input. */
  readonly numbers: ReadonlyMap<CheckpointTensor, number>;
  /** Decides the scale where no alpha does. */
  readonly rule: ScaleRule;
}

/**
 * What a layer of a file does to its weight, and to its bias.
 *
 * @throws {MasterWeaverError} `bad-checkpoint` where tensors are missing, of another shape, or of an unknown combination
 */
export function layerDeltas(layer: LoraFileLayer): TensorDelta[] {
  const { factors, file } = layer;
  if (factors.dora_scale) throw isDora(file);
  const has = (...names: LoraFactor[]) => names.some((name) => factors[name]);
  const sizes = new Sizes(layer);
  const deltas: TensorDelta[] = [];
  if (has("down", "up")) deltas.push(lowRankLayer(sizes));
  if (has("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")) {
    deltas.push(lohaLayer(sizes));
  }
  if (has("lokr_w1", "lokr_w1_a", "lokr_w2", "lokr_w2_a")) {
    deltas.push(lokrLayer(sizes));
  }
  if (has("ia3", "ia3_l")) deltas.push(...ia3Layer(sizes));
  if (has("diff")) deltas.push(differenceLayer(sizes));
  if (has("diff_b")) deltas.push(biasLayer(sizes));
  if (deltas.length > 0) return deltas;
  throw sizes.wrong(
    `has ${Object.keys(factors).join(", ")} and no matrices to multiply`,
  );
}

/** A layer with the lengths of its weight's axes. */
class Sizes {
  readonly layer: LoraFileLayer;
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Sides of the window; empty for a linear layer. */
  readonly window: readonly number[];

  constructor(layer: LoraFileLayer) {
    const [outputs, ...rest] = layer.shape;
    this.layer = layer;
    this.name = `${layer.path}.weight`;
    this.outputs = outputs;
    this.inputs = rest.at(-1) ?? 1;
    this.window = rest.slice(0, -1);
  }

  get taps(): number {
    return this.window.reduce((product, side) => product * side, 1);
  }

  wrong(what: string): Error {
    const { file, path } = this.layer;
    return badCheckpoint(file, `layer ${path} ${what}`);
  }

  /** A tensor that must be there. */
  get(factor: LoraFactor): CheckpointTensor {
    const found = this.layer.factors[factor];
    if (!found) throw this.wrong(`has no factor ${factor}`);
    if (holdsFloats(found)) return found;
    throw badCheckpoint(
      this.layer.file,
      expectedFloats(found, `tensor ${brief(found.name)}`),
    );
  }

  /** The first axis of a tensor that must be there: its rank. */
  rank(factor: LoraFactor, axis = 0): number {
    const tensor = this.get(factor);
    const length = tensor.shape[axis];
    if (length > 0) return length;
    throw this.#misshapen(tensor, "at least one row of values");
  }

  /** Requires a shape, but for axes of length 1 at the end. */
  expect(factor: LoraFactor, ...expected: number[]): void {
    const tensor = this.get(factor);
    if (isSame(tensor.shape, expected)) return;
    throw this.#misshapen(tensor, formatShape(expected));
  }

  #misshapen({ name, shape }: CheckpointTensor, expected: string): Error {
    const { file, shape: weight } = this.layer;
    return badCheckpoint(
      file,
      `tensor ${brief(name)} is ${
        formatShape(shape)
      }, expected ${expected} for a weight of ${
        formatShape(weight)
      }; it was made for another model`,
    );
  }

  /** A tensor's values, which must be finite. */
  async read(factor: LoraFactor): Promise<Float32Array<ArrayBuffer>> {
    const tensor = this.get(factor);
    const values = await readFloats(tensor);
    if (values.every(Number.isFinite)) return values;
    throw badCheckpoint(
      this.layer.file,
      `tensor ${brief(tensor.name)} holds values that are not finite`,
    );
  }

  number(factor: LoraFactor): number | undefined {
    const tensor = this.layer.factors[factor];
    return tensor && this.layer.numbers.get(tensor);
  }

  /** alpha / rank, times LyCORIS's own scalar; 1 where nothing says it. */
  scale(rank: number | undefined): number {
    const { path, rule } = this.layer;
    const alpha = this.number("alpha");
    const own = alpha === undefined || rank === undefined
      ? rule(path, rank) ?? 1
      : alpha / rank;
    return own * (this.number("scalar") ?? 1);
  }
}

/** LoRA, and LoCon: `up` · `down`, with a window between them where there is a `mid`. */
function lowRankLayer(sizes: Sizes): TensorDelta {
  const { name, outputs, inputs, window, layer: { factors, shape } } = sizes;
  const rank = sizes.rank("up", 1);
  sizes.expect("up", outputs, rank);
  if (factors.mid) {
    const inner = sizes.rank("down");
    sizes.expect("mid", rank, inner, ...window);
    sizes.expect("down", inner, inputs);
  } else sizes.expect("down", rank, inputs, ...window);
  const scale = sizes.scale(rank);
  const read = async (): Promise<LowRank> => {
    const up = await sizes.read("up");
    const down = await sizes.read("down");
    return {
      rank,
      up,
      down: factors.mid
        ? throughWindow(
          await sizes.read("mid"),
          rank,
          down,
          down.length / inputs,
        )
        : swapped(down, rank, inputs, "last"),
    };
  };
  return {
    name,
    shape,
    rank,
    readLowRank: async () => scaled(await read(), scale),
    read: async (strength) =>
      lowRankDelta(name, shape, await read(), strength * scale),
  };
}

function scaled({ rank, down, up }: LowRank, scale: number): LowRank {
  return { rank, down, up: up.map((value) => value * scale) };
}

/** LoHa: the element-wise product of two matrices of low rank. */
function lohaLayer(sizes: Sizes): TensorDelta {
  const { name, layer: { shape } } = sizes;
  const first = lohaFactors(sizes, "hada_w1_a", "hada_w1_b", "hada_t1");
  const second = lohaFactors(sizes, "hada_w2_a", "hada_w2_b", "hada_t2");
  const scale = sizes.scale(first.rank);
  return {
    name,
    shape,
    rank: first.rank * second.rank,
    readLowRank: async () =>
      scaled(
        hadamardAsLowRank(await first.read(), await second.read()),
        scale,
      ),
    read: async (strength) =>
      hadamardDelta(
        name,
        shape,
        await first.read(),
        await second.read(),
        strength * scale,
      ),
  };
}

/** (O, R) · (R, I · taps), or with a window (R, R, taps) and both matrices by ranks. */
function lohaFactors(
  sizes: Sizes,
  a: LoraFactor,
  b: LoraFactor,
  t: LoraFactor,
) {
  const { outputs, inputs, window, taps, layer: { factors } } = sizes;
  const rank = sizes.rank(b);
  if (factors[t]) {
    sizes.expect(t, rank, rank, ...window);
    sizes.expect(a, rank, outputs);
    sizes.expect(b, rank, inputs);
  } else {
    sizes.expect(a, outputs, rank);
    sizes.expect(b, rank, inputs * taps);
  }
  const read = async (): Promise<LowRank> => {
    const up = await sizes.read(a);
    const down = await sizes.read(b);
    return factors[t]
      ? {
        rank,
        up: transposed(up, rank),
        down: throughWindow(await sizes.read(t), rank, down, rank),
      }
      : { rank, up, down: swapped(down, rank, inputs, "last") };
  };
  return { rank, read };
}

/** LoKr: a Kronecker product, each of whose factors may be of low rank itself. */
function lokrLayer(sizes: Sizes): TensorDelta {
  const { name, outputs, inputs, window, taps, layer } = sizes;
  const { factors, shape } = layer;
  const isWhole = factors.lokr_w1 !== undefined;
  const isWhole2 = factors.lokr_w2 !== undefined;
  const rank1 = isWhole ? undefined : sizes.rank("lokr_w1_b");
  const rank2 = isWhole2 ? undefined : sizes.rank("lokr_w2_b");
  const a = isWhole ? sizes.rank("lokr_w1") : sizes.rank("lokr_w1_a");
  const b = sizes.rank(isWhole ? "lokr_w1" : "lokr_w1_b", 1);
  if (outputs % a !== 0 || inputs % b !== 0) {
    throw sizes.wrong(
      `has a Kronecker factor of ${a} × ${b}, expected one that divides ${outputs} × ${inputs}; it was made for another model`,
    );
  }
  const [c, d] = [outputs / a, inputs / b];
  if (rank1 !== undefined) sizes.expect("lokr_w1_a", a, rank1);
  if (rank2 === undefined) sizes.expect("lokr_w2", c, d, ...window);
  else if (factors.lokr_t2) {
    sizes.expect("lokr_t2", rank2, rank2, ...window);
    sizes.expect("lokr_w2_a", rank2, c);
    sizes.expect("lokr_w2_b", rank2, d);
  } else {
    sizes.expect("lokr_w2_a", c, rank2);
    sizes.expect("lokr_w2_b", rank2, d * taps);
  }
  const scale = sizes.scale(rank2 ?? rank1);
  const firstOf = async () =>
    rank1 === undefined ? await sizes.read("lokr_w1") : product(
      await sizes.read("lokr_w1_a"),
      a,
      await sizes.read("lokr_w1_b"),
    );
  const secondOf = async () => {
    if (rank2 === undefined) {
      return swapped(await sizes.read("lokr_w2"), c, d, "last");
    }
    const [left, right] = [
      await sizes.read("lokr_w2_a"),
      await sizes.read("lokr_w2_b"),
    ];
    if (!factors.lokr_t2) {
      return swapped(product(left, c, right), c, d, "last");
    }
    const inner = throughWindow(
      await sizes.read("lokr_t2"),
      rank2,
      right,
      rank2,
    );
    return product(transposed(left, rank2), c, inner);
  };
  return {
    name,
    shape,
    async read(strength) {
      return kroneckerDelta(name, shape, {
        first: await firstOf(),
        firstShape: [a, b],
        second: await secondOf(),
      }, strength * scale);
    },
  };
}

/**
 * (IA)³: a factor for each output or input. LyCORIS has what is added to 1,
 * peft the factor itself, which multiplies the bias as well.
 */
function ia3Layer(sizes: Sizes): TensorDelta[] {
  const { name, outputs, inputs, layer } = sizes;
  const { factors, shape, biasShape, path } = layer;
  const isPeft = factors.ia3_l !== undefined;
  const factor = isPeft ? "ia3_l" : "ia3";
  const given = sizes.get(factor).shape;
  const onInput = isPeft
    ? given.length === 2 && given[0] === 1
    : sizes.number("on_input") === 1;
  const size = onInput ? inputs : outputs;
  if (isSame(given, [size])) sizes.expect(factor, size);
  else sizes.expect(factor, 1, size);
  const axis = onInput ? "inputs" : "outputs";
  const delta = (name: string, shape: readonly number[]): TensorDelta => ({
    name,
    shape,
    async read(strength) {
      const read = await sizes.read(factor);
      const values = isPeft ? read.map((value) => value - 1) : read;
      return scaleDelta(name, shape, values, axis, strength);
    },
  });
  const deltas = [delta(name, shape)];
  if (isPeft && !onInput && biasShape) {
    deltas.push(delta(`${path}.bias`, biasShape));
  }
  return deltas;
}

/** A difference of the whole weight. */
function differenceLayer(sizes: Sizes): TensorDelta {
  const { name, outputs, inputs, window, layer: { shape } } = sizes;
  const isVector = shape.length === 1;
  sizes.expect("diff", ...isVector ? shape : [outputs, inputs, ...window]);
  return {
    name,
    shape,
    async read(strength) {
      const values = await sizes.read("diff");
      return fullDelta(
        name,
        shape,
        isVector ? values : swapped(values, outputs, inputs, "last"),
        strength,
      );
    },
  };
}

/** A difference of the bias. */
function biasLayer(sizes: Sizes): TensorDelta {
  const { biasShape, path } = sizes.layer;
  if (!biasShape) throw sizes.wrong("changes a bias, of which it has none");
  sizes.expect("diff_b", ...biasShape);
  return {
    name: `${path}.bias`,
    shape: biasShape,
    async read(strength) {
      const values = await sizes.read("diff_b");
      return fullDelta(`${path}.bias`, biasShape, values, strength);
    },
  };
}

/** Whether shapes are equal but for axes of length 1 at their ends. */
function isSame(a: readonly number[], b: readonly number[]): boolean {
  const axes = Math.max(a.length, b.length);
  return Array.from({ length: axes }, (_, i) => i)
    .every((i) => (a[i] ?? 1) === (b[i] ?? 1));
}

/**
 * Looks weights up by path and shape, so that a network's code and its file
 * cannot drift apart.
 *
 * @module
 */
import { MasterWeaverError } from "../base/errors.ts";
import { brief } from "./brief.ts";
import { formatShape } from "./dtype.ts";
import type { WeaveFile, WeaveTensor } from "./weave.ts";

/** How many names of one kind a message lists. */
const LISTED = 8;

/** A weight that a network asked for. */
export interface WeightRef {
  /** Full path in the file. */
  readonly name: string;
  /** The shape asked for, outermost dimension first. */
  readonly shape: readonly number[];
  /**
   * The tensor to read: of the file's type, or f32 where a delta is added to it.
   * Its type decides the storage type on the GPU. It cannot be read where it is
   * missing.
   */
  readonly tensor: WeaveTensor;
  /**
   * What some images have beside the model, such as a ControlNet's file or a model
   * changed by LoRAs: its weights are freed when no plan reads them any more. The
   * model's own, which have no such owner, stay.
   */
  readonly owner?: WeaveFile;
}

/** A product of low rank beside a weight W, which then acts as W + up · down. */
export interface SideBranch {
  /** R, a multiple of 4. */
  readonly rank: number;
  /** (R, …), the weight's shape but for its first axis */
  readonly down: WeaveTensor;
  /** (O, R) */
  readonly up: WeaveTensor;
}

/** A {@linkcode SideBranch} as a network asks for it. */
export interface SideBranchRefs {
  /** R, a multiple of 4. */
  readonly rank: number;
  /** (R, …) */
  readonly down: WeightRef;
  /** (O, R) */
  readonly up: WeightRef;
}

/** How a component differs from its file for some images. */
export interface ScopeChanges {
  /** The component with other tensors in the places of some. */
  readonly file: WeaveFile;
  /** Products beside weights, by the weights' names. */
  readonly branches: ReadonlyMap<string, SideBranch>;
}

/** What all scopes of one file share. */
interface Ledger {
  readonly file: WeaveFile;
  readonly refs: Map<string, WeightRef>;
  readonly missing: Set<string>;
  readonly misshapen: Map<string, string>;
  readonly ignored: string[];
  /** As of {@linkcode WeightRef.owner}. */
  readonly owner?: WeaveFile;
  /** The unchanged file's ledger, and what is beside its weights. */
  readonly base?: Ledger;
  readonly branches?: ScopeChanges["branches"];
  readonly branchRefs?: Map<string, SideBranchRefs>;
}

function newLedger(file: WeaveFile): Ledger {
  return {
    file,
    refs: new Map(),
    missing: new Set(),
    misshapen: new Map(),
    ignored: [],
  };
}

/**
 * A place in a component's tree of names.
 *
 * Wrong names and shapes are collected, not thrown, so that one error can name
 * them all: call {@linkcode WeightScope.finish} when the network is built.
 *
 * @example
 * ```ts
 * import type { WeaveFile } from "./weave.ts";
 * import { WeightScope } from "./scope.ts";
 *
 * function project(file: WeaveFile) {
 *   const w = new WeightScope(file);
 *   const { shape } = w.at("attn2").tensor("to_q.weight", [320, 320]);
 *   w.finish(); // throws where attn2.to_q.weight is missing, or others are unused
 *   return shape;
 * }
 * ```
 */
export class WeightScope {
  readonly #ledger: Ledger;
  readonly #prefix: string;

  /** The root of a file's names. */
  constructor(file: WeaveFile);
  /** @ignore */
  constructor(file: WeaveFile, ledger: Ledger, prefix: string);
  constructor(file: WeaveFile, ledger?: Ledger, prefix = "") {
    this.#ledger = ledger ?? newLedger(file);
    this.#prefix = prefix;
  }

  /** A root without a file: it records what is asked for, and reads nothing. */
  static recording(component: string): WeightScope {
    return new WeightScope({
      name: component,
      component,
      config: {},
      provenance: {},
      tensors: new Map(),
      hash: "",
    });
  }

  /** The root of a file that some images have beside the model. */
  static beside(file: WeaveFile): WeightScope {
    return new WeightScope(file, { ...newLedger(file), owner: file }, "");
  }

  /**
   * The root of a component that is changed for some images. Weights that are
   * not changed are the same objects as those of the unchanged component.
   *
   * @param base of the unchanged component
   */
  static changed(
    base: WeightScope,
    { file, branches }: ScopeChanges,
  ): WeightScope {
    return new WeightScope(file, {
      ...newLedger(file),
      owner: file,
      base: base.#ledger,
      branches,
      branchRefs: new Map(),
    }, base.#prefix);
  }

  /** Every weight asked for so far, by any scope of the file, in order. */
  get requested(): readonly WeightRef[] {
    return [...this.#ledger.refs.values()];
  }

  /** The file the weights come from. */
  get file(): WeaveFile {
    return this.#ledger.file;
  }

  /**
   * The scope of a path below this one.
   *
   * @param path one or several segments, such as `down_blocks.0`
   */
  at(path: string): WeightScope {
    return new WeightScope(this.file, this.#ledger, this.#full(path));
  }

  /** Whether the file has a tensor of that name below this scope. */
  has(name: string): boolean {
    return this.file.tensors.has(this.#full(name));
  }

  /**
   * A weight by name and shape, recorded as used. The same name and shape give
   * the same object.
   *
   * @param name path below this scope, such as `to_q.weight`
   * @param shape expected dimensions, outermost first
   */
  tensor(name: string, shape: readonly number[]): WeightRef {
    const full = this.#full(name);
    const { file, refs, missing, misshapen } = this.#ledger;
    const known = refs.get(full);
    if (known && sameShape(known.shape, shape)) return known;
    const tensor = file.tensors.get(full);
    const { base, owner } = this.#ledger;
    if (base && tensor === base.file.tensors.get(full)) {
      return new WeightScope(base.file, base, this.#prefix).tensor(name, shape);
    }
    if (!tensor) missing.add(full);
    else if (!sameShape(tensor.shape, shape)) {
      misshapen.set(
        full,
        `${full} is ${formatShape(tensor.shape)}, expected ${
          formatShape(shape)
        }`,
      );
    }
    const ref = {
      name: full,
      shape: [...shape],
      tensor: tensor ?? absent(file, full, shape),
      ...owner && { owner },
    };
    refs.set(full, ref);
    return ref;
  }

  /**
   * The product beside a weight; undefined where there is none.
   *
   * @param name path below this scope, such as `to_q.weight`
   */
  branch(name: string): SideBranchRefs | undefined {
    const { branches, branchRefs, owner } = this.#ledger;
    const full = this.#full(name);
    const branch = branches?.get(full);
    if (!branch || !branchRefs) return undefined;
    const known = branchRefs.get(full);
    if (known) return known;
    const refOf = (tensor: WeaveTensor): WeightRef => {
      const { name, shape } = tensor;
      return { name, shape, tensor, owner };
    };
    const { rank, down, up } = branch;
    const made = { rank, down: refOf(down), up: refOf(up) };
    branchRefs.set(full, made);
    return made;
  }

  /**
   * Marks tensors as left unused on purpose.
   *
   * @param path a name or the start of names, in whole segments
   */
  ignore(path: string): void {
    this.#ledger.ignored.push(this.#full(path));
  }

  /**
   * Compares what was asked for with what the file has.
   *
   * @throws {MasterWeaverError} `bad-model` with all missing, misshapen and unused names
   */
  finish(): void {
    const { file, refs, missing, misshapen, ignored } = this.#ledger;
    const unused = [...file.tensors.keys()].filter((name) =>
      !refs.has(name) &&
      !ignored.some((path) => name === path || name.startsWith(`${path}.`))
    );
    const faults = [
      listed("missing", [...missing]),
      listed("misshapen", [...misshapen.values()]),
      listed("unused", unused.map(brief)),
    ].filter((fault) => fault !== "");
    if (faults.length === 0) return;
    throw new MasterWeaverError(
      "bad-model",
      `Cannot use ${file.name}: its tensors do not fit its config: ${
        faults.join("; ")
      }; convert the checkpoint again`,
    );
  }

  #full(path: string): string {
    return this.#prefix === "" ? path : `${this.#prefix}.${path}`;
  }
}

/**
 * Lists names in a message: their number, and the first few.
 *
 * @param kind what they have in common, such as `missing`
 * @returns an empty string where there are no names
 */
export function listed(kind: string, names: readonly string[]): string {
  if (names.length === 0) return "";
  const more = names.length > LISTED
    ? `, … (${names.length - LISTED} more)`
    : "";
  return `${names.length} ${kind}: ${names.slice(0, LISTED).join(", ")}${more}`;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function absent(
  file: WeaveFile,
  name: string,
  shape: readonly number[],
): WeaveTensor {
  return {
    name,
    dtype: "f32",
    shape,
    bytes: 0,
    chunks() {
      throw new MasterWeaverError(
        "bad-model",
        `Cannot read tensor ${name}: ${file.name} does not have it`,
      );
    },
  };
}

/**
 * Every op against plain loops in f64: f32 within NMSE 1e-10 (1e-9 where sums
 * have 10⁵ terms and more, whose rounding adds up), f16 within 1e-6, the
 * rounding of storage; its inputs are rounded to f16 for the reference too.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { GpuLimits, StorageType } from "../../src/gpu/gpu.ts";
import type { PipelineKey } from "../../src/gpu/pipelines.ts";
import { Graph, type Tensor } from "../../src/graph/graph.ts";
import { Plan } from "../../src/graph/plan.ts";
import { kernelsFor } from "../../src/ops/op.ts";
import { packTexels } from "../../src/ops/pack_texels.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { opCases } from "../ops/all_cases.ts";
import type { OpCase } from "../ops/op_case.ts";
import type { Dense } from "../ops/reference.ts";
import { nmse } from "./compare.ts";
import { gpuTest, sharedGpu } from "./gpu.ts";
import { type StoredInputs, storeInputs } from "./stored_inputs.ts";

/** A case's inputs as they are stored, and what must come out. */
interface Prepared extends StoredInputs {
  readonly want: Dense;
}

function prepare(storage: StorageType, opCase: OpCase): Prepared {
  const stored = storeInputs(storage, opCase);
  return { ...stored, want: opCase.reference(stored.values) };
}

/** Runs a prepared case; returns what came out. */
async function run(
  storage: StorageType,
  { op, attributes, inputs, output = "output" }: OpCase,
  { values, refs }: Prepared,
  kernel: string,
) {
  const gpu = await sharedGpu();
  const g = new Graph(storage);
  const tensors: Record<string, Tensor> = {};
  for (const [name, { shape, dtype = storage }] of Object.entries(inputs)) {
    tensors[name] = name in refs
      ? g.parameter(refs[name])
      : g.input(name, shape, dtype);
  }
  g.output("y", g.applyAll(op, tensors, attributes)[output]);
  using store = new WeightStore(gpu);
  const kernels = new KernelChoice(g, () => kernel);
  await store.load(kernels.parameters);
  using plan = await Plan.make(gpu, g, { weights: [store], kernels });
  for (const name of g.inputs.keys()) {
    const { data } = values[name];
    const isId = inputs[name].dtype === "u32";
    plan.write(name, isId ? new Uint32Array(data) : new Float32Array(data));
  }
  plan.run();
  const { y } = await plan.read("y");
  return { found: y, shape: g.outputs.get("y")!.shape };
}

/** The kernels of a case's op that can compute it, and what they compute. */
function kernelsOf(storage: StorageType, { op, attributes, inputs }: OpCase) {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype = storage }]) => [
      name,
      { shape, dtype },
    ]),
  );
  const outputs = op.outputs(specs, attributes, storage);
  const call = { inputs: specs, outputs, attributes };
  return { call, kernels: kernelsFor(op, call) };
}

/** The pipeline of every launch of one kernel of a case, packing included. */
export function pipelinesOf(
  storage: StorageType,
  opCase: OpCase,
  name: string,
  limits: GpuLimits,
): PipelineKey[] {
  const { call, kernels } = kernelsOf(storage, opCase);
  const kernel = kernels.find((kernel) => kernel.name === name)!;
  const target = { storage, limits };
  const packed = (kernel.texelInputs?.(call, target) ?? []).flatMap((input) => {
    const inputs = { x: call.inputs[input] };
    const outputs = packTexels.outputs(inputs, {}, storage);
    return packTexels.kernels[0]
      .launch({ inputs, outputs, attributes: {} }, target);
  });
  return [...packed, ...kernel.launch(call, target)].map((launch) => ({
    ...launch,
    storage,
    access: launch.bind.map(({ access }) => access),
  }));
}

/** The names of the kernels that can compute a case. */
export function kernelNames(storage: StorageType, opCase: OpCase): string[] {
  return kernelsOf(storage, opCase).kernels.map(({ name }) => name);
}

/** Which cases are tested, and what is done before each. */
export interface OpTests {
  /** Before the name of each test. */
  readonly title?: string;
  /** Which kernels of which cases are tested; all where not given. */
  readonly only?: (opCase: OpCase, kernel: string) => boolean;
  /** Called before a kernel of a case is prepared. */
  readonly before?: (opCase: OpCase, kernel: string) => Promise<void>;
}

/** Tests every kernel of every case in one storage type. */
export function testOps(
  storage: StorageType,
  { title = "op", only = () => true, before }: OpTests = {},
): void {
  for (const opCase of opCases) {
    const { name, op, exact, terms = 0 } = opCase;
    // Once for all kernels: the loops in f64 take longer than the GPU.
    let prepared: Prepared | null = null;
    const kernels = kernelNames(storage, opCase)
      .filter((kernel) => only(opCase, kernel));
    for (const kernel of kernels) {
      gpuTest(
        `${title} ${op.name}, ${storage}, ${kernel}: ${name}`,
        async () => {
          prepared ??= prepare(storage, opCase);
          await before?.(opCase, kernel);
          const { found, shape } = await run(storage, opCase, prepared, kernel);
          const { want } = prepared;
          // The next case's are made anew; these need not stay until the end.
          if (kernel === kernels.at(-1)) prepared = null;
          assertEquals(shape, want.shape);
          if (exact) {
            assertEquals(Float64Array.from(found), want.data);
            return;
          }
          const tolerance = storage === "f16"
            ? 1e-6
            : terms >= 1e5
            ? 1e-9
            : 1e-10;
          const error = nmse(found, want.data);
          assert(error <= tolerance, `NMSE ${error}, at most ${tolerance}`);
        },
      );
    }
  }
}

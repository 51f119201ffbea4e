/**
 * A denoising step of the mini model as a plan of its own, of any kind of work.
 *
 * @module
 */
import { openComponent } from "../../src/components.ts";
import { readDdimConfig } from "../../src/diffusion/ddim.ts";
import type { StepKind } from "../../src/diffusion/step_kinds.ts";
import { openModelFolder } from "../../src/files.ts";
import type { Graph } from "../../src/graph/graph.ts";
import { type GpuTensor, Plan } from "../../src/graph/plan.ts";
import { neededNodes } from "../../src/graph/schedule.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import { clipTextConfig } from "../../src/models/clip.ts";
import { identityConfig } from "../../src/models/id_resampler.ts";
import { unetConfig } from "../../src/models/unet.ts";
import { vaeConfig } from "../../src/models/vae.ts";
import {
  type Layout,
  type PainterParts,
  stepGraph,
} from "../../src/painter.ts";
import { sharedGpu } from "./gpu.ts";
import { repositoryPath } from "./paths.ts";

/** The parts of the mini model that paint. */
export async function miniPainterParts(): Promise<PainterParts> {
  const { files } = await openModelFolder(repositoryPath("weights/mini"));
  return {
    text: await openComponent(files, "text_encoder", clipTextConfig),
    unet: await openComponent(files, "unet", (json) => ({
      ...unetConfig(json),
      scheduler: readDdimConfig(
        (json as Record<string, unknown>).scheduler,
        "unet",
      ),
    })),
    adapter: await openComponent(files, "identity_adapter", identityConfig),
    vae: await openComponent(files, "vae", vaeConfig),
  };
}

/** Plans of steps over one store of weights, in f32. */
export class StepPlans implements Disposable {
  readonly #parts: PainterParts;
  readonly #layout: Layout;
  readonly #store: WeightStore;
  readonly #plans: Plan[] = [];

  private constructor(parts: PainterParts, layout: Layout, store: WeightStore) {
    this.#parts = parts;
    this.#layout = layout;
    this.#store = store;
  }

  /** None yet. */
  static async open(layout: Layout): Promise<StepPlans> {
    const store = new WeightStore(await sharedGpu(), "f32");
    return new StepPlans(await miniPainterParts(), layout, store);
  }

  /** The graph of a kind of step. */
  graph(kind: StepKind): Graph {
    return stepGraph("f32", this.#parts, this.#layout, kind);
  }

  /** The plan of a kind of step. */
  async plan(
    kind: StepKind,
    bindings: Readonly<Record<string, GpuTensor>> = {},
  ): Promise<Plan> {
    const graph = this.graph(kind);
    await this.#store.load(graph.weights);
    const weights = [this.#store];
    const plan = await Plan.make(await sharedGpu(), graph, {
      weights,
      bindings,
    });
    this.#plans.push(plan);
    return plan;
  }

  /** Frees plans and weights. */
  [Symbol.dispose](): void {
    for (const plan of this.#plans) plan[Symbol.dispose]();
    this.#store[Symbol.dispose]();
  }
}

/** Floating-point operations of a graph's ops, as they count them themselves. */
export function countFlops(graph: Graph): number {
  return neededNodes(graph).reduce((sum, node) => {
    const { op, inputs, attributes } = node.source;
    return sum + (op.flops?.(inputs, node, attributes) ?? 0);
  }, 0);
}

/**
 * The mini model's UNet alone, as the denoising loop runs it.
 *
 * @module
 */
import { stepGraph } from "../../src/generate/graphs/step.ts";
import { KernelChoice } from "../../src/graph/kernel_choice.ts";
import { Plan } from "../../src/graph/plan.ts";
import { WeightStore } from "../../src/graph/weight_store.ts";
import type { ReadyLoop } from "./generator.ts";
import { sharedGpu } from "./gpu.ts";
import { miniComponents } from "./model.ts";

/** The UNet's predictions alone: a step of DDIM that leaves nothing of the latents. */
export class Predictor implements Disposable {
  readonly #plans: readonly Plan[];
  readonly #store: WeightStore;
  readonly #guidanceScale: number;

  private constructor(
    plans: readonly Plan[],
    store: WeightStore,
    guidanceScale: number,
  ) {
    this.#plans = plans;
    this.#store = store;
    this.#guidanceScale = guidanceScale;
  }

  /** Those of a loop, with its conditions. */
  static async make(
    { handover, runShape }: ReadyLoop,
    guidanceScale: number,
  ): Promise<Predictor> {
    const gpu = await sharedGpu();
    const components = await miniComponents;
    const store = new WeightStore(gpu);
    const plan = async (guided: boolean) => {
      const kind = { guided, cached: false };
      const graph = stepGraph("f32", components, runShape, kind);
      await store.load(new KernelChoice(graph).parameters);
      const bindings = guided || !runShape.guided
        ? handover.bindings
        : handover.conditionalBindings(false);
      const { latents: _, ...keys } = bindings;
      return await Plan.make(gpu, graph, { weights: [store], bindings: keys });
    };
    const plans = [await plan(false)];
    if (runShape.guided) plans.push(await plan(true));
    return new Predictor(plans, store, guidanceScale);
  }

  /** The output for one image's latents; the identity has a scale of 0.8. */
  async noise(
    latents: Float32Array,
    timestep: number,
    guided: boolean,
  ): Promise<Float32Array> {
    const plan = this.#plans[Number(guided)];
    plan.write("latents", latents);
    plan.write("t", new Float32Array(guided ? 2 : 1).fill(timestep));
    plan.write("identity_scale", Float32Array.of(0.8));
    if (guided) {
      plan.write("guidance_scale", Float32Array.of(this.#guidanceScale));
    }
    plan.write("coefficients", Float32Array.of(0, 1));
    plan.run();
    return Float32Array.from((await plan.read("latents")).latents);
  }

  /** Frees its plans and weights. */
  [Symbol.dispose](): void {
    for (const plan of this.#plans) plan[Symbol.dispose]();
    this.#store[Symbol.dispose]();
  }
}

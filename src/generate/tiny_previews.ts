/**
 * Previews decoded by the tiny autoencoder, whose plan is kept while a run lasts.
 *
 * @module
 */
import { type CallOptions, networkProgress } from "../base/progress.ts";
import type { Plan } from "../graph/plan.ts";
import type { Image } from "../image/image.ts";
import { callPace, type GeneratorContext } from "./context.ts";
import { decoderOf } from "./decoder.ts";
import { noFaults } from "./health.ts";
import type { RunShape } from "./run_shape.ts";

/** Decodes previews of one run. */
export class TinyPreviews implements AsyncDisposable {
  readonly #context: GeneratorContext;
  readonly #size: Pick<RunShape, "height" | "width">;
  readonly #options: CallOptions;
  #held: AsyncGenerator<Plan, void, void> | null = null;
  #plan: Plan | null = null;

  /**
   * Nothing loaded yet.
   *
   * @param size rows and columns of the run's latents
   */
  constructor(
    context: GeneratorContext,
    { height, width }: Pick<RunShape, "height" | "width">,
    { signal }: CallOptions,
  ) {
    this.#context = context;
    this.#size = { height, width };
    this.#options = { signal };
  }

  /**
   * The images of latents without noise.
   *
   * @param latents (h, w, C) of each
   * @throws {MasterWeaverError} `bad-model`, `cannot-read`, `out-of-memory`, `aborted`, `device-lost`, `gpu`
   */
  async images(latents: readonly Float32Array[]): Promise<Image[]> {
    const plan = this.#plan ??= await this.#load();
    const images: Image[] = [];
    for (const own of latents) {
      plan.write("latents", own);
      plan.write("health", noFaults());
      await plan.runPaced(callPace(this.#context.gpu, this.#options));
      const [, height, width] = plan.tensor("pixels").spec.shape;
      const { pixels } = await plan.read("pixels");
      const data = new Uint8ClampedArray(pixels.buffer);
      images.push({ width, height, data });
    }
    return images;
  }

  async #load(): Promise<Plan> {
    const context = this.#context;
    const decoder = decoderOf(context, context.storage, "taesd");
    this.#held = decoder.network.stream({
      plans: { preview: decoder.whole(this.#size) },
      ...networkProgress("TAESD", this.#options),
    }, async function* ({ preview }) {
      yield preview;
    });
    const { value } = await this.#held.next();
    return value!;
  }

  /** Lets the network go. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held?.return();
    this.#held = null;
    this.#plan = null;
  }
}

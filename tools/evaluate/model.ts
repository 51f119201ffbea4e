/**
 * What a model brings to measure images with.
 *
 * @module
 */
import {
  type Components,
  readTokenizer,
} from "../../src/components/networks.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { FileSource, type ModelFolder } from "../../src/host/files.ts";
import {
  type EvaluationConfig,
  evaluationConfig,
} from "../../src/models/evaluation.ts";
import { Embedder } from "../../src/train/evaluation/embedder.ts";
import type { Measure } from "../../src/train/evaluation/scores.ts";
import {
  type Component,
  EVALUATION,
  openComponent,
} from "../../src/weights/components.ts";

/** What embeds images and prompts, and what the model lacks for it. */
export interface OpenedEmbedder {
  /** Embeds. */
  readonly embedder: Embedder;
  /** Measures that cannot be taken, with what is missing. */
  readonly missing: Readonly<Partial<Record<Measure, string>>>;
}

/**
 * Opens a model's evaluation, where it has one.
 *
 * @param folder the model's path
 * @param model its files
 * @param components its networks
 * @param stack frees and closes everything
 * @throws {MasterWeaverError} `bad-model` where it does not fit the model; `cannot-read`
 */
export async function openEmbedder(
  folder: string,
  model: ModelFolder,
  components: Components,
  stack: AsyncDisposableStack,
): Promise<OpenedEmbedder> {
  const evaluation = await openEvaluation(folder, model, stack);
  const { text, vision, parser } = components;
  const gpu = stack.use(await Gpu.open());
  const embedder = stack.use(
    new Embedder(
      gpu,
      { text, vision, parser, evaluation },
      readTokenizer(components),
    ),
  );
  return { embedder, missing: whatIsMissing(evaluation?.config, embedder) };
}

async function openEvaluation(
  folder: string,
  { files }: ModelFolder,
  stack: AsyncDisposableStack,
): Promise<Component<EvaluationConfig> | undefined> {
  const path = `${folder}/${EVALUATION}.weave`;
  const isThere = await Deno.stat(path).then(() => true, () => false);
  if (!isThere) return undefined;
  const source = stack.use(await FileSource.open(path));
  const own = { manifest: files.manifest, evaluation: source };
  return await openComponent(own, EVALUATION, evaluationConfig);
}

const WHOLE_CLIP = "convert the model with the whole CLIP that its image " +
  "encoder is from, with both towers and projections";

function whatIsMissing(
  config: EvaluationConfig | undefined,
  embedder: Embedder,
): OpenedEmbedder["missing"] {
  const missing: Partial<Record<Measure, string>> = {};
  if (!embedder.comparesTexts) {
    const why = `evaluation.weave with CLIP's two projections: ${WHOLE_CLIP}`;
    missing.clipT = why;
    missing.editFirst = why;
  }
  if (!config?.imageEmbedding) {
    missing.clipI = `evaluation.weave with visual_projection: ${WHOLE_CLIP}`;
  }
  if (!config?.identityEmbedding) {
    missing.faceSimilarity =
      "an identity head (id_head), which only the mini model has; " +
      "featureSimilarity compares features of the image tower, which is no " +
      "measure of identity";
  }
  return missing;
}

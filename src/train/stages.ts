/**
 * The two stages of training: what is trained, and how much each loss counts.
 *
 * Source: MasterWeaver's training scripts.
 *
 * @module
 */
import type { Components } from "../components/networks.ts";
import { type Trainable, trainedWeights } from "./step/trainable.ts";

/** Stage 1 learns the adapter; stage 2 tunes its encoder so that prompts still edit. */
export type Stage = 1 | 2;

/** Weight of the editing-direction loss in stage 2. */
export const LAMBDA_EDIT = 0.02;

/** What a stage is. */
export interface StageSettings {
  /** Weight of the error in the predicted noise. */
  readonly lambdaNoise: number;
  /** Weight of the editing-direction loss, if the stage has it. */
  readonly lambdaEdit?: number;
  /** Factor of the learning rate. */
  readonly learningRateFactor: number;
}

/** The settings of a stage. */
export function stageSettings(
  stage: Stage,
  lambdaEdit = LAMBDA_EDIT,
): StageSettings {
  return stage === 1
    ? { lambdaNoise: 0.6, learningRateFactor: 1 }
    : { lambdaNoise: 0.8, lambdaEdit, learningRateFactor: 0.02 };
}

/** The tensors of an adapter that a stage trains: all, or the encoder's alone. */
export function stageTrainable(
  stage: Stage,
  { adapter }: Pick<Components, "adapter">,
): Trainable {
  const { learningRateFactor } = stageSettings(stage);
  const isTrained = (name: string) =>
    stage === 1 || name.startsWith("id_encoder.");
  return trainedWeights(adapter.weights, isTrained, learningRateFactor);
}

/** Whether a step of a stage has the editing-direction loss: every even one of stage 2. */
export function hasEdit(stage: Stage, step: number): boolean {
  return stage === 2 && step % 2 === 0;
}

/**
 * What the Worker that looks after weights can be asked.
 *
 * @module
 */
import type { ModelResource } from "../../studio/wire/resources.ts";
import type { AddressPlace, ModelPlace } from "../model/place.ts";

/** How far a model is. */
export interface WeightsProgress {
  /** Bytes that are here, or checked. */
  readonly done: number;
  /** All bytes. */
  readonly total: number;
  /** Whether they are fetched or checked. */
  readonly stage: "fetch" | "check";
}

/** A model that can be used. */
export interface PreparedModel {
  /** What can be said of it without a GPU. */
  readonly model: ModelResource;
  /** Bytes of its files. */
  readonly bytes: number;
}

/** What the Worker can be asked. */
export type WeightsCalls = {
  /** Fetches what is missing of a model and checks it, or checks a picked folder's headers. */
  prepare: { input: ModelPlace; event: WeightsProgress; output: PreparedModel };
  /** Checks all that is kept of a model, and forgets damaged files: how many those are. */
  recheck: { input: AddressPlace; event: WeightsProgress; output: number };
  /** Forgets what is kept of a model, so that it is fetched anew. */
  forget: { input: ModelPlace; event: never; output: null };
};

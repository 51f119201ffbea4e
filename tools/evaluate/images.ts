/**
 * An adapter's images, made and scored.
 *
 * @module
 */
import type { MasterWeaver } from "../../src/host/masterweaver.ts";
import type { Image } from "../../src/image/image.ts";
import type { Embedder } from "../../src/train/evaluation/embedder.ts";
import {
  editPrompt,
  NINE_EDITS,
} from "../../src/train/evaluation/nine_edits.ts";
import { scoreImage, type Scores } from "../../src/train/evaluation/scores.ts";
import type { Reference } from "./references.ts";
import type { Protocol } from "./request.ts";

/** An image, measured. */
export interface MeasuredImage extends Scores {
  /** Who it shows. */
  readonly identity: string;
  /** The edit that was asked for. */
  readonly edit: string;
  /** What it was made from. */
  readonly prompt: string;
  /** Its noise. */
  readonly seed: number;
  /** The asked edit's place among the nine, from 1. */
  readonly rank?: number;
}

/** One person's images. */
export interface PersonImages {
  /** In the order of the edits. */
  readonly measured: readonly MeasuredImage[];
  /** In the same order. */
  readonly images: readonly Image[];
  /** SHA-256 of the header of the adapter's file. */
  readonly adapterHash: string;
}

/** Whose noise the seeds are of: the goldens' and PyTorch's on a CPU. */
export const RNG = "torch-cpu";

/** Seeds of one person's images lie so far from the next person's. */
const SEEDS_A_PERSON = 1000;

/** Makes images with one adapter. */
export class ImageMaker {
  readonly #weaver: MasterWeaver;
  readonly #embedder: Embedder;
  readonly #protocol: Protocol;
  /** Embeddings of the nine prompts, by the person's word. */
  readonly #prompts = new Map<string, readonly Float32Array[]>();

  /**
   * Takes over nothing: whoever made them frees them.
   *
   * @param weaver the model with the adapter
   * @param embedder measures the images
   * @param protocol how they are made
   */
  constructor(weaver: MasterWeaver, embedder: Embedder, protocol: Protocol) {
    this.#weaver = weaver;
    this.#embedder = embedder;
    this.#protocol = protocol;
  }

  /**
   * Makes one image of a person for each edit, and scores it.
   *
   * @param reference the person
   * @param index the person's place among all, which decides the noise
   */
  async make(reference: Reference, index: number): Promise<PersonImages> {
    const { edits, seed: base, ...settings } = this.#protocol;
    const { identity, word, image, isAligned, embedding } = reference;
    const who = await this.#weaver.encodeIdentity(
      [image],
      isAligned ? { align: false } : {},
    );
    const prompts = await this.#nine(word);
    const measured: MeasuredImage[] = [];
    const images: Image[] = [];
    for (const [asked, edit] of NINE_EDITS.slice(0, edits).entries()) {
      const prompt = editPrompt(edit, word);
      const seed = base + SEEDS_A_PERSON * index + asked;
      const made = await this.#weaver.generate({
        identity: who,
        prompt,
        seed,
        rng: RNG,
        steps: settings.steps,
        guidanceScale: settings.guidanceScale,
        idScale: settings.idScale,
      });
      const { scores, rank } = scoreImage({
        image: await this.#embedder.embedImage(made.images[0]),
        reference: embedding,
        prompts,
        asked,
      });
      const place = rank === undefined ? {} : { rank };
      measured.push({ identity, edit, prompt, seed, ...scores, ...place });
      images.push(made.images[0]);
    }
    return { measured, images, adapterHash: who.adapterHash };
  }

  /** The nine prompts of a word, embedded once; nothing where texts cannot be compared. */
  async #nine(word: string): Promise<readonly Float32Array[] | undefined> {
    if (!this.#embedder.comparesTexts) return undefined;
    let prompts = this.#prompts.get(word);
    if (!prompts) {
      const embedded: Float32Array[] = [];
      for (const edit of NINE_EDITS) {
        embedded.push(await this.#embedder.embedText(editPrompt(edit, word)));
      }
      this.#prompts.set(word, prompts = embedded);
    }
    return prompts;
  }
}

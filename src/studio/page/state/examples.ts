/**
 * The examples of the reference's page, redone with drawn portraits.
 *
 * @module
 */

/** A portrait, and what becomes of it. */
export interface Example {
  /** The portrait's path, from the page. */
  readonly portrait: string;
  /** What the image shows. */
  readonly prompt: string;
  /** Seed of the noise. */
  readonly seed: number;
  /** How strongly the identity is followed. */
  readonly idScale: number;
}

/** What a click fills in; the seeds and scales are the reference's. */
export const examples: readonly Example[] = [
  {
    portrait: "assets/portrait-0.jpg",
    prompt: "a photo of a man with red hair",
    seed: 42,
    idScale: 1,
  },
  {
    portrait: "assets/portrait-1.jpg",
    prompt: "a man in a red baseball jersey",
    seed: 42,
    idScale: 1.5,
  },
  {
    portrait: "assets/portrait-2.jpg",
    prompt: "a photo of an angry man wearing sunglasses",
    seed: 42,
    idScale: 1.3,
  },
  {
    portrait: "assets/portrait-3.jpg",
    prompt: "a woman in the snow",
    seed: 42,
    idScale: 1,
  },
  {
    portrait: "assets/portrait-4.jpg",
    prompt: "a photo of a woman with curly hair",
    seed: 42,
    idScale: 0.9,
  },
];

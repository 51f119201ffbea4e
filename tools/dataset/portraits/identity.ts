/**
 * Who a portrait shows: what stays the same in every appearance of a person.
 *
 * @module
 */
import {
  FIXED_PARTS,
  type FixedPart,
  type Gender,
  HAIR_STYLES,
  SKINS,
} from "./parts.ts";
import type { Random } from "../random.ts";

/** A person. */
export interface DrawnIdentity {
  readonly gender: Gender;
  /** How wide the head is, 0..1. */
  readonly fatness: number;
  readonly skin: string;
  readonly head: string;
  /** How dark a shaven head and chin are, 0..0.2. */
  readonly shave: number;
  readonly ear: { readonly id: string; readonly size: number };
  /** The angle, as all others, in degrees. */
  readonly eye: { readonly id: string; readonly angle: number };
  readonly eyebrow: { readonly id: string; readonly angle: number };
  readonly nose: {
    readonly id: string;
    readonly size: number;
    readonly flip: boolean;
  };
  readonly eyeLine: string;
  readonly smileLine: { readonly id: string; readonly size: number };
  readonly miscLine: string;
  /** The usual style, which appearances may change, as those below. */
  readonly hairStyle: string;
  readonly hairColor: string;
  readonly facialHair: string;
  /** Which hair of a style, as a share of the list. */
  readonly hairShare: number;
  /** Which hair behind the head, and which shade. */
  readonly shadeShare: number;
  /** Which beard and which mouth. */
  readonly mouthShare: number;
  readonly body: string;
}

/** Colours of hair as often as they are usual. */
const NATURAL = ["black", "black", "brown", "brown", "blond", "red", "grey"];

/** Draws a person; the order of the draws is part of what a seed means. */
export function drawIdentity(random: Random): DrawnIdentity {
  const gender: Gender = random.chance(0.5) ? "male" : "female";
  const isMale = gender === "male";
  const part = (name: FixedPart) => random.pick(FIXED_PARTS[gender][name]);
  const partOrNone = (name: FixedPart, probability: number) =>
    random.chance(probability) ? part(name) : "none";
  const identity = {
    gender,
    fatness: random.uniform(0, isMale ? 0.9 : 0.5),
    skin: random.pick(SKINS),
    head: part("head"),
    shave: isMale && random.chance(0.2) ? random.uniform(0, 0.2) : 0,
    ear: { id: part("ear"), size: random.uniform(0.5, isMale ? 1.5 : 1) },
    eye: { id: part("eye"), angle: Math.round(random.uniform(-10, 15)) },
    eyebrow: {
      id: part("eyebrow"),
      angle: Math.round(random.uniform(-12, 15)),
    },
    nose: {
      id: part("nose"),
      size: random.uniform(0.55, isMale ? 1.2 : 1),
      flip: random.chance(0.5),
    },
    eyeLine: partOrNone("eyeLine", 0.5),
    smileLine: {
      id: partOrNone("smileLine", isMale ? 0.5 : 0.1),
      size: random.uniform(0.5, 1.8),
    },
    miscLine: partOrNone("miscLine", 0.45),
    hairStyle: random.pick(usualStyles(gender, random)),
    hairColor: random.pick(NATURAL),
    hairShare: random.next(),
    shadeShare: random.next(),
    facialHair: isMale && random.chance(0.35)
      ? random.pick(["mustache", "goatee", "beard"])
      : "none",
    mouthShare: random.next(),
    body: part("body"),
  };
  // A draw that nothing uses any more, kept for the people of old seeds.
  random.next();
  return identity;
}

/** Half of the men may be bald by nature. */
function usualStyles(gender: Gender, random: Random): string[] {
  return Object.keys(HAIR_STYLES[gender]).filter((style) =>
    style !== "bald" || (gender === "male" && random.chance(0.5))
  );
}

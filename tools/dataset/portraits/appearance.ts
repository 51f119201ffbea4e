/**
 * How a person looks in one portrait: what a prompt may change.
 *
 * @module
 */
import type { DrawnIdentity } from "./identity.ts";
import { CLOTHES, HAIR_COLORS, HAIR_STYLES } from "./parts.ts";
import type { Random } from "../random.ts";
import { PLAIN_BACKGROUNDS, SCENES } from "./scene.ts";

/** An appearance, in the words of captions. */
export interface Appearance {
  readonly hairStyle: string;
  readonly hairColor: string;
  readonly expression: string;
  readonly glasses: "none" | "eyeglasses" | "sunglasses";
  readonly hat: "none" | "cap" | "santa" | "headband";
  readonly hatColor: string;
  readonly facialHair: string;
  readonly clothes: string;
  readonly jersey: string;
  /** A scene, or `plain`. */
  readonly background: string;
  readonly backgroundColor: string;
}

// As often as they are listed.
const EXPRESSIONS = [
  ...["smiling", "smiling", "angry", "surprised", "sad"],
  ...["neutral", "neutral", "neutral"],
];
const GLASSES: readonly Appearance["glasses"][] = [
  ...["none", "none", "none", "none"] as const,
  ...["eyeglasses", "sunglasses"] as const,
];
const HATS: readonly Appearance["hat"][] = [
  ...["none", "none", "none", "none", "none", "none"] as const,
  ...["cap", "santa", "headband"] as const,
];
const HAT_COLORS = ["red", "blue", "green", "yellow", "black"];
const JERSEYS = ["jersey", "jersey2", "baseball", "football", "hockey"];

/** Draws an appearance; the order of the draws is part of what a seed means. */
export function drawAppearance(
  { gender, hairStyle, hairColor, facialHair }: DrawnIdentity,
  random: Random,
): Appearance {
  return {
    hairStyle: random.chance(0.5)
      ? hairStyle
      : random.pick(Object.keys(HAIR_STYLES[gender])),
    hairColor: random.chance(0.45)
      ? hairColor
      : random.pick(Object.keys(HAIR_COLORS)),
    expression: random.pick(EXPRESSIONS),
    glasses: random.pick(GLASSES),
    hat: random.pick(HATS),
    hatColor: random.pick(HAT_COLORS),
    facialHair: gender === "female"
      ? "none"
      : random.chance(0.7)
      ? facialHair
      : random.pick(["none", "mustache", "goatee", "beard"]),
    clothes: random.pick(Object.keys(CLOTHES)),
    jersey: random.pick(JERSEYS),
    background: random.chance(0.55)
      ? "plain"
      : random.pick(Object.keys(SCENES)),
    backgroundColor: random.pick(Object.keys(PLAIN_BACKGROUNDS)),
  };
}

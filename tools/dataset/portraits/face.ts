/**
 * A person in an appearance as facesjs draws it.
 *
 * @module
 */
import type { Appearance } from "./appearance.ts";
import type { DrawnIdentity } from "./identity.ts";
import type { Face } from "./packages.ts";
import {
  atShare,
  CLOTHES,
  FACIAL_HAIR,
  HAIR_COLORS,
  HAIR_STYLES,
  MOUTHS,
} from "./parts.ts";

/** Degrees by which an expression turns the eyebrows. */
const EYEBROW_TURN: Readonly<Record<string, number>> = { angry: 14, sad: -16 };

const GLASSES = {
  none: "none",
  eyeglasses: "glasses2-black",
  sunglasses: "glasses1-primary",
} as const;
const HATS = {
  none: "none",
  cap: "hat",
  santa: "santa-hat",
  headband: "headband",
} as const;

/** Puts a face together. */
export function faceOf(
  identity: DrawnIdentity,
  appearance: Appearance,
): Face {
  const { gender, eyebrow, mouthShare, shadeShare } = identity;
  const { hair, behind } = HAIR_STYLES[gender][appearance.hairStyle];
  return {
    fatness: identity.fatness,
    teamColors: CLOTHES[appearance.clothes],
    parts: {
      hairBg: { id: atShare(behind, shadeShare) },
      body: {
        id: identity.body,
        color: identity.skin,
        size: gender === "male" ? 1 : 0.85,
      },
      jersey: { id: appearance.jersey },
      ear: identity.ear,
      head: { id: identity.head, shave: `rgba(0,0,0,${identity.shave})` },
      eyeLine: { id: identity.eyeLine },
      smileLine: identity.smileLine,
      miscLine: { id: identity.miscLine },
      facialHair: {
        id: atShare(FACIAL_HAIR[appearance.facialHair], mouthShare),
      },
      eye: identity.eye,
      eyebrow: {
        id: eyebrow.id,
        angle: eyebrow.angle + (EYEBROW_TURN[appearance.expression] ?? 0),
      },
      hair: {
        id: atShare(hair, identity.hairShare),
        color: atShare(HAIR_COLORS[appearance.hairColor], shadeShare),
        flip: false,
      },
      mouth: {
        id: atShare(MOUTHS[appearance.expression], mouthShare),
        flip: false,
      },
      nose: identity.nose,
      glasses: { id: GLASSES[appearance.glasses] },
      accessories: { id: HATS[appearance.hat] },
    },
  };
}

/**
 * The three colours of what is worn on the head: caps and headbands have their
 * own, which facesjs would take from the clothes.
 *
 * @returns nothing where the drawing has colours of its own
 */
export function hatColors(
  { hat, hatColor }: Appearance,
): readonly [string, string, string] | undefined {
  return hat === "cap" || hat === "headband" ? CLOTHES[hatColor] : undefined;
}

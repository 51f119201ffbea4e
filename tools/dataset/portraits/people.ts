/**
 * The people of a seed, with everything that is random about their portraits.
 *
 * @module
 */
import { type Appearance, drawAppearance } from "./appearance.ts";
import { drawCaption } from "./caption.ts";
import { drawIdentity, type DrawnIdentity } from "./identity.ts";
import { Random } from "../random.ts";
import { drawScene } from "./scene.ts";

/** A portrait before it is drawn. */
export interface PortraitPlan {
  readonly appearance: Appearance;
  /** What is behind the person, as SVG. */
  readonly scene: string;
  readonly captions: readonly [string, string, string];
}

/** A person and their portraits. */
export interface PersonPlan {
  readonly identity: DrawnIdentity;
  readonly portraits: readonly PortraitPlan[];
}

/**
 * Plans people one after the other: all of them are one random sequence.
 *
 * @param seed 0..2³²−1
 * @param count how many people
 * @param appearances portraits of each
 */
export function* planPeople(
  seed: number,
  count: number,
  appearances: number,
): Generator<PersonPlan> {
  const random = new Random(seed);
  for (let i = 0; i < count; i++) {
    const identity = drawIdentity(random);
    const portraits: PortraitPlan[] = [];
    for (let k = 0; k < appearances; k++) {
      portraits.push(planPortrait(identity, random));
    }
    yield { identity, portraits };
  }
}

function planPortrait(identity: DrawnIdentity, random: Random): PortraitPlan {
  const appearance = drawAppearance(identity, random);
  const { background, backgroundColor } = appearance;
  const scene = drawScene(background, backgroundColor, random);
  const caption = () => drawCaption(identity, appearance, random);
  return { appearance, scene, captions: [caption(), caption(), caption()] };
}

/**
 * What a caption says of a portrait: each thing that is seen only sometimes, as
 * in captions that people write.
 *
 * @module
 */
import type { Appearance } from "./appearance.ts";
import type { DrawnIdentity } from "./identity.ts";
import type { Gender } from "./parts.ts";
import type { Random } from "../random.ts";

const PEOPLE: Readonly<Record<Gender, readonly string[]>> = {
  male: ["man", "man", "man", "boy", "male", "person"],
  female: ["woman", "woman", "woman", "girl", "female", "person"],
};

const TEMPLATES = [
  ...["{}", "{}", "a photo of {}", "a photo of {}", "a portrait of {}"],
  ...["the photo of {}", "a good photo of {}"],
];

/** Writes a caption; the order of the draws is part of what a seed means. */
export function drawCaption(
  identity: DrawnIdentity,
  appearance: Appearance,
  random: Random,
): string {
  const person = random.pick(PEOPLE[identity.gender]);
  const before = adjectives(identity, appearance, random);
  const { hairStyle } = appearance;
  let after: string[] = [];
  if (hairStyle === "bald") {
    if (random.chance(0.85)) before.push("bald");
  } else after = hair(appearance, random.next());
  after.push(...worn(appearance, random), ...place(appearance, random));
  const noun = [...before, person].join(" ");
  const article = /^[aeiou]/.test(noun) ? "an" : "a";
  const text = [article, noun, ...after].join(" ");
  return random.pick(TEMPLATES).replace("{}", text);
}

function adjectives(
  { fatness }: DrawnIdentity,
  { expression }: Appearance,
  random: Random,
): string[] {
  const words: string[] = [];
  if (expression !== "neutral" && random.chance(0.75)) {
    const isHappy = expression === "smiling" && random.chance(0.4);
    words.push(isHappy ? "happy" : expression);
  }
  if (fatness > 0.6 && random.chance(0.5)) words.push("chubby");
  return words;
}

/** Colour, style, both, or nothing, by a number of [0, 1). */
function hair({ hairStyle, hairColor }: Appearance, share: number): string[] {
  const style = hairStyle === "bangs" || hairStyle === "dreads"
    ? hairStyle
    : `${hairStyle} hair`;
  if (share < 0.3) return [`with ${hairColor} hair`];
  if (share < 0.5) return [`with ${style}`];
  if (share >= 0.7) return [];
  return hairStyle === "bangs"
    ? [`with bangs and ${hairColor} hair`]
    : [`with ${hairStyle} ${hairColor} hair`];
}

/** A beard, glasses, a hat, clothes. */
function worn(appearance: Appearance, random: Random): string[] {
  const { facialHair, glasses, hat, hatColor, clothes, jersey } = appearance;
  const words: string[] = [];
  if (facialHair !== "none" && random.chance(0.6)) {
    words.push(`with a ${facialHair}`);
  }
  if (glasses !== "none" && random.chance(0.9)) {
    words.push(random.chance(0.5) ? `wearing ${glasses}` : `with ${glasses}`);
  }
  if (hat !== "none" && random.chance(0.9)) {
    words.push(
      hat === "santa"
        ? "wearing a santa hat"
        : hat === "cap"
        ? `wearing a ${hatColor} hat`
        : `wearing a ${hatColor} headband`,
    );
  }
  if (random.chance(0.4)) {
    words.push(
      jersey === "jersey" || jersey === "jersey2"
        ? `wearing a ${clothes} shirt`
        : `in a ${clothes} ${jersey} jersey`,
    );
  }
  return words;
}

function place(
  { background, backgroundColor }: Appearance,
  random: Random,
): string[] {
  if (background !== "plain") return random.chance(0.85) ? [background] : [];
  return random.chance(0.35) ? [`on a ${backgroundColor} background`] : [];
}

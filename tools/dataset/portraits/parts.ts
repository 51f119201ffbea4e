/**
 * What portraits are put together from, by facesjs's names.
 *
 * The lists are part of what a seed means: another order, or one name more,
 * draws other people.
 *
 * @module
 */

/** Which of facesjs's two lists of parts a person has. */
export type Gender = "male" | "female";

/** What an identity has in every appearance. */
export type FixedPart =
  | "head"
  | "ear"
  | "eye"
  | "eyebrow"
  | "nose"
  | "eyeLine"
  | "smileLine"
  | "miscLine"
  | "body";

const names = (text: string): readonly string[] => text.split(" ");
const numbered = (name: string, numbers: string): readonly string[] =>
  names(numbers).map((number) => `${name}${number}`);

const UP_TO_9 = "2 3 4 5 6 7 8 9";
const PLAIN_EYEBROWS = numbered(
  "eyebrow",
  `1 10 11 12 13 14 15 16 17 18 19 2 20 ${UP_TO_9.slice(2)}`,
);
// Without `pinocchio`, which no face parser takes for a nose.
const NOSES = [
  "honker",
  ...numbered("nose", `1 10 11 12 13 14 ${UP_TO_9}`),
  "small",
];
const SMILE_LINES = names("line1 line2 line3 line4 none");

/** Parts that an identity is drawn from. */
export const FIXED_PARTS: Readonly<
  Record<Gender, Readonly<Record<FixedPart, readonly string[]>>>
> = {
  male: {
    head: numbered("head", `1 10 11 12 13 14 15 16 17 18 ${UP_TO_9}`),
    ear: names("ear1 ear2 ear3"),
    eye: numbered("eye", `1 10 11 12 13 14 15 16 17 18 19 ${UP_TO_9}`),
    eyebrow: PLAIN_EYEBROWS,
    nose: NOSES,
    eyeLine: names("line1 line2 line3 line4 line5 line6 none"),
    smileLine: SMILE_LINES,
    miscLine: names(
      "chin1 chin2 forehead1 forehead2 forehead3 forehead4 forehead5 freckles1 freckles2 none",
    ),
    body: names("body body2 body3 body4 body5"),
  },
  female: {
    head: names("female1 female2 female3 head13 head14 head16 head2 head6"),
    ear: names("ear1 ear2"),
    eye: numbered("female", `1 10 11 12 13 14 15 16 ${UP_TO_9}`),
    eyebrow: [...PLAIN_EYEBROWS, ...numbered("female", `1 10 ${UP_TO_9}`)],
    nose: NOSES,
    eyeLine: ["none"],
    smileLine: SMILE_LINES,
    miscLine: names("blush chin1 chin2 freckles1 freckles2"),
    body: names("body body2 body4"),
  },
};

/** A hair style: hair, and what of it lies behind the head. */
interface HairStyle {
  readonly hair: readonly string[];
  readonly behind: readonly string[];
}

const style = (hair: string, behind = "none"): HairStyle => ({
  hair: names(hair),
  behind: names(behind),
});

/** Hair by the word that captions use. */
export const HAIR_STYLES: Readonly<
  Record<Gender, Readonly<Record<string, HairStyle>>>
> = {
  male: {
    short: style(
      "crop crop-fade crop-fade2 short short2 short3 short-fade short-fade-2 parted hair",
    ),
    curly: style("curly curly2 curly3 curlyFade1 curlyFade2"),
    afro: style("afro afro2"),
    spiky: style("spike spike2 spike3 spike4 high"),
    long: style("longHair middle-part shaggy1 shaggy2", "longHair shaggy"),
    bangs: style("shortBangs emo"),
    dreads: style("dreads cornrows"),
    bald: style("bald"),
  },
  female: {
    short: style("female1 female5 shortBangs short"),
    curly: style("curly curly2 female10", "female2 female4"),
    afro: style("afro afro2"),
    long: style(
      "female2 female3 female4 female6 female7 female8 female9 female11 female12",
      "female1 female2 female3 female4 female5 longHair",
    ),
    bangs: style("shortBangs female12", "female1 longHair"),
    dreads: style("cornrows dreads", "female1"),
    bald: style("bald"),
  },
};

/** Beards by the word that captions use. */
export const FACIAL_HAIR: Readonly<Record<string, readonly string[]>> = {
  mustache: names("mustache1 mustache-thin"),
  goatee: names("goatee1 goatee2 goatee3 goatee4 goatee15 goatee16"),
  beard: names("beard1 beard2 beard3 beard4 beard5 beard6"),
  none: ["none"],
};

/** Mouths by expression. */
export const MOUTHS: Readonly<Record<string, readonly string[]>> = {
  smiling: names("smile smile2 smile3 smile4 smile-closed"),
  angry: ["angry"],
  surprised: names("mouth4 mouth2"),
  sad: names("mouth7 closed"),
  neutral: names("straight side mouth mouth3 mouth5 mouth6 mouth8"),
};

/** Colours of skin. */
export const SKINS: readonly string[] = names(
  "#f2d6cb #ddb7a0 #fedac7 #f0c5a3 #eab687 #bb876f #aa816f #a67358 #ad6453 #74453d #5c3937 #c99a7c #8d5b45",
);

/** Two shades of each colour of hair; the natural ones come first. */
export const HAIR_COLORS: Readonly<Record<string, readonly string[]>> = {
  black: names("#272421 #0f0902"),
  brown: names("#5A3825 #6b4226"),
  blond: names("#e9c67b #D7BF91"),
  red: names("#c03a20 #b5301c"),
  grey: names("#9a9a9a #8b8d90"),
  blue: names("#2f5fd0 #3a6fe0"),
  green: names("#2f9e44 #37a94f"),
  purple: names("#8a3fc0 #7a35b0"),
  pink: names("#f06bb0 #e85aa0"),
};

/** Three colours of clothes: the ground, its shade, and what is printed on it. */
export const CLOTHES: Readonly<
  Record<string, readonly [string, string, string]>
> = {
  red: ["#b3202a", "#7a1319", "#ffffff"],
  blue: ["#2456a8", "#16335f", "#ffffff"],
  green: ["#2c8a46", "#19522a", "#ffffff"],
  yellow: ["#f2c318", "#a8860b", "#222222"],
  black: ["#2b2b2b", "#111111", "#999999"],
  white: ["#f4f4f4", "#cfcfcf", "#444444"],
  purple: ["#6d3aa8", "#45236c", "#ffffff"],
};

/** The item at a share of a list, 0..1. */
export function atShare<T>(list: readonly T[], share: number): T {
  return list[Math.min(list.length - 1, Math.floor(share * list.length))];
}

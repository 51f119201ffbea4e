/**
 * What is behind a person, as SVG in the drawing's units.
 *
 * @module
 */
import type { Random } from "../random.ts";

/** Plain backgrounds by the word that captions use. */
export const PLAIN_BACKGROUNDS: Readonly<Record<string, string>> = {
  white: "#ffffff",
  blue: "#8fb8e8",
  green: "#9fd39a",
  yellow: "#f5e08a",
  pink: "#f6c3d4",
  grey: "#c8c8c8",
};

/** Scenes by the words that captions use. */
export const SCENES: Readonly<Record<string, (random: Random) => string>> = {
  "in the snow": (random) =>
    everywhere("#cfe3f4") +
    scattered(60, random, () => random.uniform(4, 9).toFixed(1)),
  "at the beach": () =>
    '<rect x="-200" y="-200" width="1000" height="560" fill="#9bd4f5"/>' +
    '<rect x="-200" y="330" width="1000" height="110" fill="#2f86c9"/>' +
    '<rect x="-200" y="430" width="1000" height="400" fill="#ecd9a0"/>' +
    '<circle cx="370" cy="160" r="34" fill="#ffdf4f"/>',
  "at night": (random) =>
    everywhere("#141a3c") +
    '<circle cx="45" cy="165" r="30" fill="#f4f0c8"/>' +
    scattered(30, random, () => "2.5"),
  "in the forest": () => {
    let trees = "";
    for (let x = -30; x < 440; x += 62) {
      trees += `<path d="M${x} 480 l34 -260 l34 260 z" fill="#2f7a43"/>`;
    }
    return everywhere("#bfe0c0") + trees +
      '<rect x="-200" y="470" width="1000" height="300" fill="#5a8f4a"/>';
  },
};

/**
 * Draws a background.
 *
 * @param background a scene, or `plain`
 * @param color of a plain one
 */
export function drawScene(
  background: string,
  color: string,
  random: Random,
): string {
  return background === "plain"
    ? everywhere(PLAIN_BACKGROUNDS[color])
    : SCENES[background](random);
}

/** One colour, far beyond the frame. */
function everywhere(color: string): string {
  return `<rect x="-200" y="-200" width="1000" height="1000" fill="${color}"/>`;
}

/** White dots: snowflakes, stars. */
function scattered(
  count: number,
  random: Random,
  radius: () => string,
): string {
  let dots = "";
  for (let i = 0; i < count; i++) {
    const x = random.uniform(-20, 420).toFixed(0);
    const y = random.uniform(90, 560).toFixed(0);
    dots += `<circle cx="${x}" cy="${y}" r="${radius()}" fill="#fff"/>`;
  }
  return dots;
}

/**
 * The 68 landmarks of a drawn face, in dlib's order, from where facesjs puts
 * each part: hats, hair and glasses hide none of them.
 *
 * @module
 */
import { HeadOutline } from "./head_outline.ts";
import type { Face, FacePart, Packages, PartName } from "./packages.ts";
import { type Point, VIEW } from "./view.ts";

/** Where facesjs centres parts, in the drawing's units. */
const MIDDLE = 200;
const EYE: Point = [140, 310], EYEBROW: Point = [140, 270];
const NOSE: Point = [MIDDLE, 370], MOUTH: Point = [MIDDLE, 440];
/** This one grows from the middle to one side. */
const SIDE_NOSE = "nose4";

/** Where landmarks of the jaw are looked for: rays from here, temple to temple. */
const JAW_CENTER: Point = [MIDDLE, 320];
const JAW_POINTS = 17;

/** The least height of a mouth, which may be a line. */
const LEAST_MOUTH = 6;

/** An upright or turned box around a part. */
interface PartBox {
  readonly center: Point;
  readonly width: number;
  readonly height: number;
  /** Degrees, clockwise. */
  readonly angle: number;
}

/** Places landmarks. */
export class LandmarkMaker {
  readonly #packages: Packages;
  readonly #size: number;
  readonly #outlines: HeadOutline;
  readonly #sizes = new Map<string, { width: number; height: number }>();

  /**
   * Takes loaded packages whose drawings are those of facesjs.
   *
   * @param size pixels on a side of portraits
   */
  constructor(packages: Packages, size: number) {
    this.#packages = packages;
    this.#size = size;
    this.#outlines = new HeadOutline(packages);
  }

  /**
   * The landmarks of a face.
   *
   * @returns (68, 2): x and y in a portrait's pixels
   */
  of(face: Face): Float32Array {
    const box = (part: PartName, center: Point) =>
      this.#box(part, face.parts[part], center);
    const points = [
      ...this.#jaw(face),
      ...bothSides(eyebrow(box("eyebrow", EYEBROW)), [4, 3, 2, 1, 0]),
      ...nose(box("nose", NOSE)),
      ...bothSides(eye(box("eye", EYE)), [3, 2, 1, 0, 5, 4]),
      ...mouth(box("mouth", MOUTH)),
    ];
    const scale = this.#size / VIEW.side;
    return Float32Array.from(
      points.flatMap((
        [x, y],
      ) => [(x - VIEW.left) * scale, (y - VIEW.top) * scale]),
    );
  }

  /** Along the head's edge, from the image's left temple over the chin. */
  #jaw({ parts: { head }, fatness }: Face): Point[] {
    return Array.from({ length: JAW_POINTS }, (_, i) => {
      const angle = Math.PI * (1 - i / (JAW_POINTS - 1));
      const direction: Point = [Math.cos(angle), Math.sin(angle)];
      return this.#outlines.edge(head.id, fatness, JAW_CENTER, direction);
    });
  }

  #box(part: PartName, { id, size, angle, flip }: FacePart, center: Point) {
    const own = this.#sizeOf(part, id);
    const scale = size ?? 1;
    const [x, y] = center;
    const isAside = part === "nose" && id === SIDE_NOSE;
    const aside = isAside ? (flip ? -1 : 1) * own.width / 2 : 0;
    return {
      center: [x + aside, y] as const,
      width: own.width * scale,
      height: own.height * scale,
      angle: angle ?? 0,
    };
  }

  /** The size of a drawing, as facesjs measures it: of all its paths, without strokes. */
  #sizeOf(part: PartName, id: string): { width: number; height: number } {
    const key = `${part}/${id}`;
    const known = this.#sizes.get(key);
    if (known) return known;
    const svg = this.#packages.drawings[part][id];
    const bounds = [...svg.matchAll(/ d="([^"]*)"/g)]
      .map(([, path]) => this.#packages.pathBounds(path));
    const size = {
      width: Math.max(...bounds.map(([, , right]) => right)) -
        Math.min(...bounds.map(([left]) => left)),
      height: Math.max(...bounds.map(([, , , bottom]) => bottom)) -
        Math.min(...bounds.map(([, top]) => top)),
    };
    this.#sizes.set(key, size);
    return size;
  }
}

/** A point of a box, by shares of its half width and half height. */
function inBox(
  { center, width, height, angle }: PartBox,
  x: number,
  y: number,
): Point {
  const radians = angle * Math.PI / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  const [dx, dy] = [x * width / 2, y * height / 2];
  return [center[0] + dx * cos - dy * sin, center[1] + dx * sin + dy * cos];
}

/** Left parts, then their mirror images in the order that dlib lists those. */
function bothSides(left: readonly Point[], order: readonly number[]): Point[] {
  const right = order.map((i) => {
    const [x, y] = left[i];
    return [2 * MIDDLE - x, y] as const;
  });
  return [...left, ...right];
}

/** Five points along the middle of a brow, which is an arch. */
function eyebrow(box: PartBox): Point[] {
  return [-0.9, -0.45, 0, 0.45, 0.9].map((x) =>
    inBox(box, x, 0.6 * x * x - 0.3)
  );
}

/** Outer corner, two on the upper lid, inner corner, two on the lower lid. */
function eye(box: PartBox): Point[] {
  return [[-0.9, 0], [-0.35, -0.6], [0.35, -0.6], [0.9, 0], [0.35, 0.6], [
    -0.35,
    0.6,
  ]].map(([x, y]) => inBox(box, x, y));
}

/** Four down the bridge from between the eyes, five along the base. */
function nose(box: PartBox): Point[] {
  const [x, tip] = inBox(box, 0, 0.3);
  const from = Math.min(EYE[1], tip - 12);
  const bridge = [0, 1, 2, 3].map((i) =>
    [MIDDLE + (x - MIDDLE) * i / 3, from + (tip - from) * i / 3] as const
  );
  const base = [-0.6, -0.3, 0, 0.3, 0.6].map((x) =>
    inBox(box, x, 0.9 - 0.3 * Math.abs(x))
  );
  return [...bridge, ...base];
}

/** Twelve around the lips, eight around the opening. */
function mouth(box: PartBox): Point[] {
  const lips = { ...box, height: Math.max(box.height, LEAST_MOUTH) };
  return [...ring(lips, 12, 0.95), ...ring(lips, 8, 0.6)];
}

/** Points of an ellipse, clockwise from the image's left. */
function ring(box: PartBox, count: number, share: number): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = Math.PI * (1 + 2 * i / count);
    return inBox(box, share * Math.cos(angle), share * Math.sin(angle));
  });
}

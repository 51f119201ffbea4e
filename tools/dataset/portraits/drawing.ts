/**
 * Draws portraits: pixels and label maps.
 *
 * @module
 */
import type { Image } from "../../../src/image/image.ts";
import { faceOf, hatColors } from "./face.ts";
import type { DrawnIdentity } from "./identity.ts";
import { flatDrawings, labelMap } from "./label_map.ts";
import { LandmarkMaker } from "./landmarks.ts";
import {
  type Face,
  type Packages,
  PART_NAMES,
  type PartDrawings,
} from "./packages.ts";
import type { PortraitPlan } from "./people.ts";
import { VIEW } from "./view.ts";

/** A portrait with everything that training asks for. */
export interface Portrait {
  readonly image: Image;
  /** (height, width), classes 0..18. */
  readonly labels: Uint8Array;
  /** (68, 2): x and y in the image's pixels. */
  readonly landmarks: Float32Array;
}

/** Draws portraits. */
export class PortraitDrawer {
  readonly #packages: Packages;
  readonly #size: number;
  /** facesjs's drawings as they came. */
  readonly #original: PartDrawings;
  readonly #flat: PartDrawings;
  readonly #landmarks: LandmarkMaker;

  /**
   * Takes loaded packages.
   *
   * @param size pixels on a side
   */
  constructor(packages: Packages, size: number) {
    this.#packages = packages;
    this.#size = size;
    this.#original = structuredClone(packages.drawings);
    this.#flat = flatDrawings(packages.drawings);
    this.#landmarks = new LandmarkMaker(packages, size);
  }

  /** Draws a portrait. */
  draw(
    identity: DrawnIdentity,
    { appearance, scene }: PortraitPlan,
  ): Portrait {
    const face = faceOf(identity, appearance);
    const { accessories } = this.#packages.drawings;
    const { id } = face.parts.accessories;
    const colors = hatColors(appearance);
    if (colors) accessories[id] = tinted(accessories[id], colors);
    const colored = this.#rasterize(face, scene, "");
    use(this.#packages.drawings, this.#flat);
    const flat = this.#rasterize(face, "", ' shape-rendering="crispEdges"');
    use(this.#packages.drawings, this.#original);
    const size = this.#size;
    return {
      image: {
        width: size,
        height: size,
        data: Uint8ClampedArray.from(colored.data),
      },
      labels: labelMap(flat),
      landmarks: this.#landmarks.of(face),
    };
  }

  #rasterize(face: Face, background: string, attributes: string) {
    const { left, top, side } = VIEW;
    const svg = this.#packages.faceSvg(face).replace(
      /<svg[^>]*>/,
      () =>
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${top} ${side} ${side}"${attributes}>${background}`,
    );
    return this.#packages.rasterize(svg, this.#size);
  }
}

/** Puts drawings where facesjs takes them from. */
function use(table: PartDrawings, drawings: PartDrawings): void {
  for (const part of PART_NAMES) Object.assign(table[part], drawings[part]);
}

function tinted(
  svg: string,
  [primary, secondary, accent]: readonly [string, string, string],
): string {
  return svg.replaceAll("$[primary]", primary)
    .replaceAll("$[secondary]", secondary)
    .replaceAll("$[accent]", accent);
}

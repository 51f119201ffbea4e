/**
 * The edges of heads, read off a drawing of the head alone.
 *
 * @module
 */
import type { Packages, Raster } from "./packages.ts";
import type { Point } from "./view.ts";

/** The drawing's units that a head is drawn in, one pixel each. */
const WIDTH = 400, HEIGHT = 600;
const MIDDLE = WIDTH / 2;

/** Finds edges of heads. */
export class HeadOutline {
  readonly #packages: Packages;
  readonly #heads = new Map<string, Raster>();
  readonly #drawings: Readonly<Record<string, string>>;

  /** Takes loaded packages whose drawings are those of facesjs. */
  constructor(packages: Packages) {
    this.#packages = packages;
    this.#drawings = { ...packages.drawings.head };
  }

  /**
   * The last point of a head on a ray.
   *
   * @param id the head
   * @param fatness how wide it is drawn, 0..1
   * @param start inside the head, in the drawing's units
   * @param direction of length 1
   */
  edge(
    id: string,
    fatness: number,
    [x, y]: Point,
    [dx, dy]: Point,
  ): Point {
    // As facesjs: in proportion to the middle.
    const scale = 0.8 + 0.2 * fatness;
    const head = this.#head(id);
    let last = 0;
    for (let distance = 0; distance < HEIGHT / 2; distance += 0.5) {
      const column = Math.floor(MIDDLE + (x + distance * dx - MIDDLE) / scale);
      const row = Math.floor(y + distance * dy);
      const isInImage = column >= 0 && column < WIDTH && row < HEIGHT;
      if (isInImage && head.data[4 * (row * WIDTH + column) + 3] >= 128) {
        last = distance;
      }
    }
    return [x + last * dx, y + last * dy];
  }

  #head(id: string): Raster {
    const known = this.#heads.get(id);
    if (known) return known;
    const svg = this.#drawings[id].replaceAll("$[skinColor]", "#fff")
      .replace(/\$\[(face|head)Shave\]/g, "none");
    const raster = this.#packages.rasterize(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}">${svg}</svg>`,
      WIDTH,
    );
    this.#heads.set(id, raster);
    return raster;
  }
}

/**
 * The packages that draw: facesjs's parts and resvg's rasteriser.
 *
 * @module
 */

/**
 * The packages, exactly. They are imported by these strings at run time, in the
 * process that `draw_process.ts` is, so that nothing but portraits downloads
 * them; the `deno.lock` beside this file holds their checksums. To change a
 * version, change it here and run `draw_process.ts` once with `--frozen=false`
 * and that lock: seeds then draw other pixels.
 */
const PACKAGES = {
  faces: "npm:facesjs@5.0.3",
  bounds: "npm:svg-path-bbox@2.1.0",
  rasterizer: "npm:@resvg/resvg-wasm@2.6.2",
};

/** A part of a face as facesjs wants it. */
export interface FacePart {
  readonly id: string;
  readonly size?: number;
  readonly angle?: number;
  readonly flip?: boolean;
  readonly color?: string;
  readonly shave?: string;
}

/** A face as facesjs wants it: how wide, whose colours, and a part a name. */
export interface Face {
  readonly fatness: number;
  readonly teamColors: readonly [string, string, string];
  readonly parts: Readonly<Record<PartName, FacePart>>;
}

/** Everything that facesjs draws, back to front. */
export const PART_NAMES = [
  ...["hairBg", "body", "jersey", "ear", "head", "eyeLine"] as const,
  ...["smileLine", "miscLine", "facialHair", "eye", "eyebrow"] as const,
  ...["mouth", "nose", "hair", "glasses", "accessories"] as const,
];

/** A part of the face, or of what is worn. */
export type PartName = typeof PART_NAMES[number];

/** SVG of every part by its name and id. */
export type PartDrawings = Readonly<Record<PartName, Record<string, string>>>;

/** RGBA, alpha premultiplied. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** The packages, loaded. */
export interface Packages {
  /** facesjs's own table: what is in it when a face is drawn is what is drawn. */
  readonly drawings: PartDrawings;
  /** A face as an SVG document in units of 400 × 600. */
  readonly faceSvg: (face: Face) => string;
  /** Left, top, right, bottom of what is painted along a path. */
  readonly pathBounds: (path: string) => [number, number, number, number];
  /** An SVG document as pixels, of a width. */
  readonly rasterize: (svg: string, width: number) => Raster;
}

/** As much of the packages as is used. */
interface FacesModule {
  readonly svgs: PartDrawings;
  faceToSvgString(face: Record<string, unknown>): string;
}
interface BoundsModule {
  svgPathBbox(path: string): [number, number, number, number];
}
interface ResvgImage {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  free(): void;
}
interface ResvgModule {
  initWasm(wasm: Uint8Array): Promise<void>;
  Resvg: new (
    svg: string,
    options: { fitTo: { mode: "width"; value: number } },
  ) => { render(): ResvgImage; free(): void };
}

/** Loads the packages; needs `--unstable-raw-imports` for the WebAssembly. */
export async function loadPackages(): Promise<Packages> {
  const faces: FacesModule = await import(PACKAGES.faces);
  const { svgPathBbox }: BoundsModule = await import(PACKAGES.bounds);
  const { initWasm, Resvg }: ResvgModule = await import(PACKAGES.rasterizer);
  const wasm: { default: Uint8Array } = await import(
    `${PACKAGES.rasterizer}/index_bg.wasm`,
    { with: { type: "bytes" } }
  );
  await initWasm(wasm.default);
  return {
    drawings: faces.svgs,
    // A copy: facesjs writes into the face that it draws.
    faceSvg: ({ fatness, teamColors, parts }) =>
      faces.faceToSvgString(
        structuredClone({ fatness, teamColors, ...parts }),
      ),
    pathBounds: svgPathBbox,
    rasterize(svg, width) {
      const document = new Resvg(svg, {
        fitTo: { mode: "width", value: width },
      });
      const image = document.render();
      try {
        return {
          width: image.width,
          height: image.height,
          data: image.pixels.slice(),
        };
      } finally {
        image.free();
        document.free();
      }
    },
  };
}

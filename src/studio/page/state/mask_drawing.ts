/**
 * A mask that is painted: strokes over what was there, so that each can be undone.
 *
 * @module
 */
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";
import type { Size } from "./fitting_size.ts";

/** What a stroke is painted with. */
export interface Brush {
  /** Its diameter, in pixels of the mask. */
  readonly diameter: number;
  /** Whether it takes away. */
  readonly erases: boolean;
}

/** A place in the mask, in its pixels. */
export type Point = readonly [x: number, y: number];

/** What was done, in order. */
type Step = { readonly brush: Brush; readonly points: Point[] } | "clear";

/** The longest side of a mask: canvases of phones hold no more. */
const LONGEST = 2048;

/** The size of an image's mask. */
export function maskSize({ width, height }: Size): Size {
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

/** A mask: white where it was painted, transparent elsewhere. */
export class MaskDrawing {
  /** How many steps can be undone. */
  readonly count: Cell<number> = signal(0);
  readonly #steps: Step[] = [];
  readonly #canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #base: CanvasImageSource | null = null;

  /**
   * Nothing is painted yet.
   *
   * @param canvas as large as the mask
   */
  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true })!;
  }

  /** Shows a mask's file below the strokes: what is at least half white. */
  async load(file: Blob): Promise<void> {
    const { width, height } = this.#canvas;
    const bitmap = await createImageBitmap(file);
    const base = new OffscreenCanvas(width, height);
    const context = base.getContext("2d")!;
    context.drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    const pixels = context.getImageData(0, 0, width, height);
    const { data } = pixels;
    for (let i = 0; i < data.length; i += 4) {
      const isWhite = data[i] + data[i + 1] + data[i + 2] >= 3 * 128;
      data[i] = data[i + 1] = data[i + 2] = 255;
      data[i + 3] = isWhite ? 255 : 0;
    }
    context.putImageData(pixels, 0, 0);
    this.#base = base;
    this.#redraw();
  }

  /** Begins a stroke. */
  begin(brush: Brush, at: Point): void {
    this.#steps.push({ brush, points: [at] });
    this.count.value = this.#steps.length;
    this.#draw(brush, [at]);
  }

  /** Goes on with the last stroke. */
  extend(to: Point): void {
    const step = this.#steps.at(-1);
    if (!step || step === "clear") return;
    this.#draw(step.brush, [step.points.at(-1)!, to]);
    step.points.push(to);
  }

  /** Takes back the last step. */
  undo(): void {
    this.#steps.pop();
    this.count.value = this.#steps.length;
    this.#redraw();
  }

  /** Takes all paint away; that can be undone, too. */
  clear(): void {
    this.#steps.push("clear");
    this.count.value = this.#steps.length;
    this.#redraw();
  }

  /** The mask as a PNG, white on black; null where nothing is painted. */
  async toFile(): Promise<Blob | null> {
    const { width, height } = this.#canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    let isEmpty = true;
    for (let i = 3; i < data.length && isEmpty; i += 4) {
      isEmpty = data[i] < 128;
    }
    if (isEmpty) return null;
    const opaque = new OffscreenCanvas(width, height);
    const context = opaque.getContext("2d")!;
    context.fillRect(0, 0, width, height);
    context.drawImage(this.#canvas, 0, 0);
    return await opaque.convertToBlob({ type: "image/png" });
  }

  #redraw(): void {
    const { width, height } = this.#canvas;
    const from = this.#steps.lastIndexOf("clear");
    this.#context.clearRect(0, 0, width, height);
    if (from < 0 && this.#base) this.#context.drawImage(this.#base, 0, 0);
    for (const step of this.#steps.slice(from + 1)) {
      if (step !== "clear") this.#draw(step.brush, step.points);
    }
  }

  #draw({ diameter, erases }: Brush, points: readonly Point[]): void {
    const context = this.#context;
    context.globalCompositeOperation = erases
      ? "destination-out"
      : "source-over";
    context.strokeStyle = context.fillStyle = "#fff";
    context.lineWidth = diameter;
    context.lineCap = context.lineJoin = "round";
    // A line of no length would not be seen.
    context.beginPath();
    context.arc(...points[0], diameter / 2, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    context.stroke();
    context.globalCompositeOperation = "source-over";
  }
}
